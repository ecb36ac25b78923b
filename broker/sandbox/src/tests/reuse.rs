//! Decisions that are answered without a call, and what ends that.

use wasmqtt_core::judge::Subject;

use super::*;
use crate::testing::spec;

/// A client that was denied so often that it is told so unasked, and the calls that cost.
fn insisting() -> (Bench, u64) {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    for _ in 0..10 {
        assert_eq!(bench.authorize("d"), denied(ReasonCode::NotAuthorized));
    }
    let status = bench.status();
    assert_eq!(status.denied, 10, "each denial counts, whoever was asked");
    assert!(status.calls < 10);
    (bench, status.calls)
}

#[test]
fn who_insists_costs_few_calls_and_other_requests_are_asked_as_ever() {
    let (mut bench, calls) = insisting();
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.authorize("dd"), denied(ReasonCode::NotAuthorized));
    assert_eq!(bench.status().calls, calls + 2);
    let later = Moment(NOW.0 + 2_000);
    bench.judge.authorize(later, &bench.client, &publish("d"));
    assert_eq!(bench.status().calls, calls + 3);
}

#[test]
fn where_all_abstain_and_the_default_denies_who_insists_costs_few_calls_too() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    for _ in 0..100 {
        assert_eq!(bench.authorize("n"), denied(ReasonCode::NotAuthorized));
    }
    assert!(bench.status().calls < 10, "{:?}", bench.status());
}

#[test]
fn a_failure_is_no_answer_and_never_reused() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    for _ in 0..10 {
        assert_eq!(bench.authorize("f"), denied(ReasonCode::ImplementationSpecificError));
    }
    assert_eq!(bench.status().failures, 10);
}

#[test]
fn a_revocation_is_known_with_the_next_packet_and_only_about_whom_it_names() {
    for (subject, reached) in [
        (Subject::Everyone, true),
        (Subject::ClientId("client".into()), true),
        (Subject::Username("alice".into()), true),
        (Subject::ClientId("other".into()), false),
    ] {
        let (mut bench, calls) = insisting();
        bench.sandbox.revocations().revoke(subject.clone());
        bench.authorize("d");
        assert_eq!(bench.status().calls, calls, "not in the middle of a packet");
        bench.judge.begin();
        bench.authorize("d");
        assert_eq!(bench.status().calls, calls + u64::from(reached), "{subject:?}");
    }
}

#[test]
fn a_worker_that_missed_a_flood_of_revocations_forgets_everything() {
    let (mut bench, calls) = insisting();
    for number in 0..1000 {
        bench.sandbox.revocations().revoke(Subject::ClientId(number.to_string().into()));
    }
    bench.judge.begin();
    bench.authorize("d");
    assert_eq!(bench.status().calls, calls + 1);
}

#[test]
fn a_new_generation_knows_no_decision_of_the_one_before() {
    let (mut bench, calls) = insisting();
    let (next, _file) = spec("x", &Puppet { min_payload: 1, ..Puppet::default() }.component());
    let generation = bench.sandbox.prepare(&[next], &[chain(&["x"])]).unwrap();
    bench.sandbox.swap(generation);
    bench.judge.begin();
    bench.authorize("d");
    assert_eq!(bench.status().calls, calls + 1);
}

#[test]
fn nobody_is_dismissed_before_somebody_is_there_to_do_it() {
    let sandbox = sandbox();
    let code = ReasonCode::AdministrativeAction;
    assert!(!sandbox.revocations().dismiss("c", code, "why"));
    sandbox.dismiss_with(move |client_id, told, why| (client_id, told, why) == ("c", code, "why"));
    assert!(sandbox.revocations().dismiss("c", code, "why"));
    assert!(!sandbox.revocations().dismiss("d", code, "why"));
}
