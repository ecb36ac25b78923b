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
    let took = begin.elapsed();
    assert!((Duration::from_millis(5)..Duration::from_millis(500)).contains(&took), "{took:?}");
    assert_eq!(bench.rejected("l"), FAILED);
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.status().deadline_misses, 2);
}

#[test]
fn a_deadline_holds_after_a_long_idle_time() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    std::thread::sleep(Duration::from_millis(700));
    let begin = Instant::now();
    assert_eq!(bench.authorize("l"), denied(FAILED));
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
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
    for _ in 0..5 {
        assert_eq!(bench.authorize("l"), denied(FAILED));
    }
    assert!(bench.status().suspended);
    let begin = Instant::now();
    for _ in 0..10_000 {
        assert_eq!(bench.authorize("a"), denied(FAILED));
    }
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    assert_eq!(bench.status().calls, 5);
    // Shared by workers.
    let mut other = bench.sandbox.judge(1);
    assert_eq!(other.authorize(NOW, &bench.client, &publish("a")), denied(FAILED));
    std::thread::sleep(Duration::from_millis(1_300));
    assert_eq!(bench.authorize("a"), Decision::Allow, "the probe");
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
    let until = std::time::UNIX_EPOCH.elapsed().unwrap() + Duration::from_millis(3_000);
    let module = format!("(global $deadline i64 (i64.const {}))", until.as_millis());
    let mut bench = Bench::with(Puppet { globals: module, ..puppet }, OnFailure::Closed);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap();
    std::thread::sleep(until.saturating_sub(now) + Duration::from_millis(5));
    assert_eq!(bench.authorize("t"), denied(FAILED));
    let begin = Instant::now();
    assert_eq!(bench.authorize("a"), denied(FAILED));
    assert!(begin.elapsed() < Duration::from_millis(2_000), "{:?}", begin.elapsed());
    assert_eq!(bench.status().traps, 2);
}
