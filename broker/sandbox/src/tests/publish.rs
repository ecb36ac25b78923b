//! What becomes of publications.

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Actions, Effect, Judge, Permission, Permissions, Transformed};

use super::*;

fn granting(filter: &'static str, on_failure: OnFailure) -> Bench {
    Bench::new(&[("x", Puppet::default())], |specs, _| {
        specs[0].grants.topics = vec![filter.into()];
        specs[0].on_failure = on_failure;
    })
}

#[test]
fn every_verdict_of_a_transformer_arrives() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    let same = bench.forwarded("a");
    assert_eq!((same.topic(), same.payload()), ("a", &b"21.5"[..]));
    assert!(matches!(bench.transform("x"), Transformed::Discard));
    assert_eq!(bench.rejected("d"), ReasonCode::NotAuthorized);
    let status = bench.status();
    assert_eq!((status.calls, status.denied, status.discarded), (3, 1, 1));
}

#[test]
fn what_was_set_is_committed_together_with_forward() {
    let mut bench = granting("#", OnFailure::Closed);
    let changed = bench.forwarded("p");
    assert_eq!(changed.payload(), b"so long");
    assert_eq!(changed.properties().content_type(), Some("text"));
    assert_eq!(changed.properties().user_properties().get("region"), Some("text"));
    assert_eq!(changed.expires_at(), Some(Moment(8_000)));
    assert_eq!(changed.publisher().unwrap().id, "client".into());
    let louder = bench.forwarded("q");
    assert_eq!((louder.qos(), louder.retain()), (QoS::ExactlyOnce, true));
    assert_eq!(bench.forwarded("s/out/1").topic(), "out/1");
}

#[test]
fn what_was_set_before_a_trap_or_a_discard_leaves_no_trace() {
    let mut bench = granting("#", OnFailure::Open);
    assert_eq!(bench.forwarded("y/out/1").topic(), "y/out/1");
    assert!(matches!(bench.transform("z/out/1"), Transformed::Discard));
}

#[test]
fn a_handle_cannot_be_kept_beyond_its_call() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.rejected("k"), ReasonCode::ImplementationSpecificError);
    assert_eq!(bench.status().traps, 1);
    assert_eq!(bench.forwarded("a").topic(), "a");
}

#[test]
fn a_topic_that_is_none_is_a_failure_and_changes_nothing() {
    let mut bench = granting("#", OnFailure::Closed);
    assert_eq!(bench.rejected("w"), ReasonCode::ImplementationSpecificError);
    assert_eq!(bench.status().failures, 1);
    assert_eq!(granting("#", OnFailure::Open).forwarded("w").topic(), "w");
}

#[test]
fn a_rewrite_outside_the_grant_is_refused_whatever_the_failure_policy() {
    for on_failure in [OnFailure::Closed, OnFailure::Open] {
        let mut bench = granting("out/#", on_failure);
        assert_eq!(bench.forwarded("s/out/1").topic(), "out/1");
        assert_eq!(bench.rejected("s/in/1"), ReasonCode::NotAuthorized);
        assert_eq!(bench.rejected("s/$SYS/x"), ReasonCode::NotAuthorized);
    }
    let mut bench = granting("#", OnFailure::Closed);
    assert_eq!(bench.rejected("s/$SYS/x"), ReasonCode::NotAuthorized);
}

#[test]
fn with_reauthorize_a_rewrite_outside_the_grant_is_the_client_s_own_request() {
    let mut bench = Bench::new(&[("x", Puppet::default())], |specs, _| {
        specs[0].reauthorize = true;
        specs[0].grants.topics = vec!["out/#".into()];
    });
    // By the chain: topics beginning with `a` are allowed, with `d` denied.
    assert_eq!(bench.forwarded("s/a/1").topic(), "a/1");
    assert_eq!(bench.rejected("s/d/1"), ReasonCode::NotAuthorized);
    assert_eq!(bench.forwarded("s/out/1").topic(), "out/1");
    // `q` asks for more than the client did; nobody allows it.
    assert_eq!(bench.rejected("q"), ReasonCode::NotAuthorized);
    // By the client's permissions, which come first.
    let permission = Permission {
        effect: Effect::Allow,
        filter: "d/#".into(),
        actions: Actions::ALL,
        max_qos: None,
        retain: None,
    };
    bench.client = client(Permissions::resolve(&[permission], |_| None));
    assert_eq!(bench.forwarded("s/d/1").topic(), "d/1");
}

#[test]
fn each_transformer_sees_and_is_selected_by_what_the_one_before_committed() {
    let late = Puppet { filter: "s/#", ..Puppet::default() };
    let mut bench = Bench::new(&[("early", Puppet::default()), ("late", late)], |specs, _| {
        for spec in specs {
            spec.grants.topics = vec!["#".into()];
        }
    });
    assert_eq!(bench.forwarded("s/s/a").topic(), "a");
    assert_eq!(bench.forwarded("s/a/s").topic(), "a/s");
    let calls: Vec<u64> = bench.sandbox.current().plugins().map(|plugin| plugin.calls).collect();
    assert_eq!(calls, [2, 1]);
}

#[test]
fn a_message_that_nobody_selects_is_not_shown() {
    let puppet = Puppet { min_payload: 5, ..Puppet::default() };
    let mut bench = Bench::with(puppet, OnFailure::Closed);
    assert!(bench.judge.transforms(ListenerId(0), &message("d", b"12345")));
    assert!(!bench.judge.transforms(ListenerId(0), &message("d", b"1234")));
    assert_eq!(bench.forwarded("d").topic(), "d");
    assert_eq!(bench.status().calls, 0);
}

#[test]
fn a_plugin_without_selectors_makes_no_listener_transform() {
    let puppet = Puppet { on_publish: false, ..Puppet::default() };
    let bench = Bench::with(puppet, OnFailure::Closed);
    assert!(!bench.judge.transforms(ListenerId(0), &message("d", b"12345")));
    assert!(bench.judge.screens(ListenerId(0)));
    assert!(!bench.judge.screens(ListenerId(1)));
}

#[test]
fn a_failure_rejects_when_closed_and_forwards_when_open() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.rejected("f"), ReasonCode::ImplementationSpecificError);
    assert_eq!(bench.rejected("c"), ReasonCode::ImplementationSpecificError);
    let mut bench = Bench::with(Puppet::default(), OnFailure::Open);
    assert_eq!(bench.forwarded("f").topic(), "f");
}
