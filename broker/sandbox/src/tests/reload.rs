//! One generation follows another.

use std::sync::Arc;

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Decision, Judge};

use super::*;
use crate::testing::{INIT_TRAP_IF_TOLD, connecting, message};

fn generation(sandbox: &Sandbox, puppet: &Puppet) -> (crate::Generation, tempfile::TempPath) {
    let (spec, file) = puppet.spec("x");
    (sandbox.prepare(&[spec], &[chain(&["x"])]).unwrap(), file)
}

#[test]
fn a_judge_can_be_made_on_one_thread_and_asked_on_another() {
    fn is_send<T: Send>(_: &T) {}
    fn is_shared<T: Send + Sync>(_: &T) {}
    let sandbox = sandbox();
    is_send(&sandbox.judge(0));
    is_shared(&sandbox.current());
    is_shared(&sandbox);
}

#[test]
fn before_the_first_generation_every_answer_is_no() {
    let sandbox = sandbox();
    let mut judge = sandbox.judge(0);
    judge.begin();
    let client = client(Permissions::default());
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), denied(ReasonCode::NotAuthorized));
    assert!(sandbox.gate().authenticate(&connecting("a", None)).is_err());
    // Not even what native permissions allow goes by transformers that nobody knows.
    assert!(judge.transforms(ListenerId(0), &message("d", b"")) && !judge.screens(ListenerId(0)));
    let transformed = judge.transform(NOW, &client, message("d", b""));
    assert!(matches!(transformed, Transformed::Reject(_)), "{transformed:?}");
    assert_eq!(sandbox.current().number(), 0);
}

#[test]
fn a_worker_takes_a_generation_up_when_it_begins_and_not_before() {
    let sandbox = sandbox();
    let (first, _file) = generation(&sandbox, &Puppet::default());
    assert_eq!(sandbox.swap(first), 1);
    let mut judge = sandbox.judge(0);
    let client = client(Permissions::default());
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), Decision::Allow);
    // The second one is not asked about publications.
    let (second, _file) = generation(&sandbox, &Puppet { actions: 0b010, ..Puppet::default() });
    assert_eq!(sandbox.swap(second), 2);
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), Decision::Allow);
    judge.begin();
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), denied(ReasonCode::NotAuthorized));
}

#[test]
fn instances_start_anew_with_a_generation_even_of_the_same_bytes() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    bench.authorize("g");
    assert_eq!(bench.authorize("g"), Decision::Allow, "it remembers");
    let (spec, _file) = Puppet::default().spec("x");
    let next = bench.sandbox.prepare(&[spec], &[chain(&["x"])]).unwrap();
    bench.sandbox.swap(next);
    bench.judge.begin();
    assert_eq!(bench.authorize("g"), denied(ReasonCode::NotAuthorized), "it forgot");
    assert_eq!(bench.status().calls, 3, "counts go on");
}

#[test]
fn the_same_bytes_are_not_compiled_again() {
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    let (spec, _file) = Puppet::default().spec("y");
    let next = bench.sandbox.prepare(&[spec], &[chain(&["y"])]).unwrap();
    let running = bench.sandbox.current();
    let range = |generation: &crate::Generation| generation.plugins[0].component.image_range();
    assert_eq!(range(&running), range(&next));
}

#[test]
fn a_generation_lives_until_the_last_worker_has_left_it() {
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    let old = Arc::downgrade(&bench.sandbox.current());
    let mut late = bench.sandbox.judge(1);
    let mut judge = bench.judge;
    let (next, _file) = generation(&bench.sandbox, &Puppet::default());
    bench.sandbox.swap(next);
    judge.begin();
    assert!(old.upgrade().is_some());
    assert_eq!(late.authorize(NOW, &bench.client, &publish("a")), Decision::Allow);
    late.begin();
    assert!(old.upgrade().is_none());
}

#[test]
fn a_generation_that_is_refused_leaves_the_running_one_alone() {
    let puppet = || Puppet { init: INIT_TRAP_IF_TOLD, ..Puppet::default() };
    let mut bench = Bench::with(puppet(), OnFailure::Closed);
    let (mut spec, _file) = puppet().spec("x");
    spec.config = "told".into();
    assert!(bench.sandbox.prepare(&[spec], &[chain(&["x"])]).is_err());
    bench.judge.begin();
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.sandbox.current().number(), 1);
}

#[test]
fn a_second_judge_of_a_worker_or_one_beyond_the_plan_makes_its_own_instances() {
    let bench = Bench::with(Puppet::default(), OnFailure::Closed);
    for worker in [0, 0, 1, 7] {
        let mut judge = bench.sandbox.judge(worker);
        assert_eq!(judge.authorize(NOW, &bench.client, &publish("a")), Decision::Allow);
    }
}

#[test]
fn a_plugin_in_no_data_path_chain_leaves_the_others_their_own_instances() {
    let door = Puppet { on_publish: false, ..Puppet::default() };
    let mut bench = Bench::new(&[("door", door), ("x", Puppet::default())], |_, chain| {
        chain.authorize = vec!["x".into()];
        chain.transform = vec!["x".into()];
    });
    bench.authorize("g");
    assert_eq!(bench.authorize("g"), Decision::Allow);
    assert!(bench.sandbox.gate().authenticate(&connecting("a", None)).is_ok());
    let calls: Vec<u64> = bench.sandbox.current().plugins().map(|plugin| plugin.calls).collect();
    assert_eq!(calls, [1, 2]);
}
