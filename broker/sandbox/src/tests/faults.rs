//! What a misbehaving plugin can do: little, and to nobody else.

use std::time::{Duration, Instant};

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::Decision;

use super::*;
use crate::options::Fallback;

const FAILED: ReasonCode = ReasonCode::ImplementationSpecificError;

#[test]
fn a_trap_costs_one_answer_and_a_fresh_instance_gives_the_next() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("g"), denied(ReasonCode::NotAuthorized), "first call: abstains");
    assert_eq!(bench.authorize("g"), Decision::Allow, "it remembers");
    assert_eq!(bench.authorize("t"), denied(FAILED));
    assert_eq!(bench.authorize("g"), denied(ReasonCode::NotAuthorized), "a fresh one does not");
    assert_eq!(bench.rejected("t"), FAILED);
    assert_eq!(bench.forwarded("a").topic(), "a");
    assert_eq!(bench.status().traps, 2);
}

#[test]
fn an_endless_loop_is_stopped_at_its_deadline() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    let begin = Instant::now();
    assert_eq!(bench.authorize("l"), denied(FAILED));
    assert!(begin.elapsed() >= Duration::from_millis(5), "{:?}", begin.elapsed());
    assert_eq!(bench.rejected("l"), FAILED);
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.status().deadline_misses, 2);
}

#[test]
fn a_deadline_holds_after_a_long_idle_time() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    // Long enough for whatever ends calls to have gone to sleep. Where it does not wake up this never ends.
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(bench.authorize("l"), denied(FAILED));
    assert_eq!(bench.status().deadline_misses, 1);
}

#[test]
fn a_memory_bomb_ends_at_its_own_limit() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("m"), denied(FAILED));
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.status().traps, 1);
}

#[test]
fn the_failure_policy_answers_for_traps_and_deadlines_too() {
    for topic in ["t", "l", "m"] {
        let mut bench = Bench::new(&[("x", Puppet::default())], |specs, chain| {
            specs[0].on_failure = OnFailure::Open;
            chain.default = Fallback::Allow;
        });
        assert_eq!(bench.authorize(topic), Decision::Allow);
        assert_eq!(bench.forwarded(topic).payload(), b"21.5");
    }
}

#[test]
fn a_plugin_that_always_loops_soon_costs_nothing_and_comes_back_after_a_pause() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    // Suspension is shared by workers.
    let mut other = bench.sandbox.judge(1);
    for _ in 0..4 {
        assert_eq!(bench.authorize("l"), denied(FAILED));
    }
    assert!(!bench.status().suspended);
    let begin = Instant::now();
    assert_eq!(bench.authorize("l"), denied(FAILED));
    assert!(bench.status().suspended);
    let mut calls = 0;
    while bench.authorize("a") != Decision::Allow {
        calls = bench.status().calls;
        if other.authorize(NOW, &bench.client, &publish("a")) == Decision::Allow {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(begin.elapsed() >= Duration::from_secs(1), "it was called during the pause");
    assert_eq!((calls, bench.status().calls), (5, 6), "the probe was the first call");
    assert!(!bench.status().suspended);
    assert_eq!(bench.authorize("a"), Decision::Allow);
}

#[test]
fn one_plugin_s_trap_leaves_the_other_plugins_alone() {
    let mut bench =
        Bench::new(&[("bad", Puppet::default()), ("good", Puppet::default())], |specs, _| {
            specs[0].on_failure = OnFailure::Open;
        });
    assert_eq!(bench.authorize("g"), denied(ReasonCode::NotAuthorized));
    // `t` traps in both; the second fails closed.
    assert_eq!(bench.authorize("t"), denied(FAILED));
    let traps: Vec<u64> = bench.sandbox.current().plugins().map(|plugin| plugin.traps).collect();
    assert_eq!(traps, [1, 1]);
    assert_eq!(bench.authorize("a"), Decision::Allow);
}

#[test]
fn a_restart_that_never_ends_is_stopped_too() {
    // Its first instances start at once; it is told to loop by a time that has come since.
    let puppet = Puppet {
        init: "(if (i64.gt_u (call $now) (global.get $deadline)) (then (loop $forever (br $forever))))",
        ..Puppet::default()
    };
    // A bench without the loop tells how long one takes to make on this machine.
    let begin = Instant::now();
    drop(Bench::with(Puppet::default(), OnFailure::Closed));
    let patience = Duration::from_secs(1) + begin.elapsed() * 10;
    let until = std::time::UNIX_EPOCH.elapsed().unwrap() + patience;
    let module = format!("(global $deadline i64 (i64.const {}))", until.as_millis());
    let mut bench = Bench::with(Puppet { globals: module, ..puppet }, OnFailure::Closed);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    std::thread::sleep(until.saturating_sub(now) + Duration::from_millis(5));
    assert_eq!(bench.authorize("t"), denied(FAILED));
    assert_eq!(bench.authorize("a"), denied(FAILED));
    assert_eq!(bench.status().traps, 2);
}
