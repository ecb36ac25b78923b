//! What chains of authorizers add up to.

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Action, Decision, Judge, Permissions};

use super::*;
use crate::options::Fallback;
use crate::testing::{AUTHORIZATION, LIFECYCLE, message, request};

#[test]
fn every_answer_of_an_authorizer_arrives() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert_eq!(bench.authorize("u"), Decision::AllowUpTo(QoS::AtMostOnce));
    assert_eq!(bench.authorize("d"), denied(ReasonCode::NotAuthorized));
    let status = bench.status();
    assert_eq!((status.calls, status.denied, status.failures), (3, 1, 0));
}

#[test]
fn the_first_answer_that_is_no_abstention_is_final() {
    // The first one wants to be asked about subscriptions only, and so abstains from the rest.
    let silent = Puppet { actions: 0b010, ..Puppet::default() };
    let mut bench = Bench::new(&[("first", silent), ("second", Puppet::default())], |_, _| {});
    assert_eq!(bench.authorize("a"), Decision::Allow);
    let subscribe = request(Action::Subscribe, "d");
    assert_eq!(
        bench.judge.authorize(NOW, &bench.client, &subscribe),
        denied(ReasonCode::NotAuthorized)
    );
    let calls: Vec<u64> = bench.sandbox.current().plugins().map(|plugin| plugin.calls).collect();
    assert_eq!(calls, [1, 1]);
}

#[test]
fn where_all_abstain_the_listener_s_default_answers() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("n"), denied(ReasonCode::NotAuthorized));
    let mut bench =
        Bench::new(&[("x", Puppet::default())], |_, chain| chain.default = Fallback::Allow);
    assert_eq!(bench.authorize("n"), Decision::Allow);
    assert_eq!(bench.authorize("d"), denied(ReasonCode::NotAuthorized));
}

#[test]
fn a_listener_without_authorizers_answers_its_default_and_one_unknown_denies() {
    let mut bench = Bench::new(&[("x", Puppet::default())], |_, chain| chain.authorize.clear());
    assert_eq!(bench.authorize("a"), denied(ReasonCode::NotAuthorized));
    let elsewhere = wasmqtt_core::client::Client {
        listener: ListenerId(9),
        ..Arc::into_inner(client(Permissions::default())).unwrap()
    };
    let decision = bench.judge.authorize(NOW, &Arc::new(elsewhere), &publish("a"));
    assert_eq!(decision, denied(ReasonCode::NotAuthorized));
}

#[test]
fn an_action_that_was_not_registered_for_is_not_asked() {
    let puppet = Puppet { actions: 0b010, ..Puppet::default() };
    let mut bench = Bench::with(puppet, OnFailure::Closed);
    assert_eq!(bench.authorize("a"), denied(ReasonCode::NotAuthorized));
    let will = request(Action::Will, "a");
    assert_eq!(bench.judge.authorize(NOW, &bench.client, &will), denied(ReasonCode::NotAuthorized));
    assert_eq!(bench.status().calls, 0);
    let subscribe = request(Action::Subscribe, "a");
    assert_eq!(bench.judge.authorize(NOW, &bench.client, &subscribe), Decision::Allow);
}

#[test]
fn a_failure_denies_when_closed_and_abstains_when_open() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("f"), denied(ReasonCode::ImplementationSpecificError));
    assert_eq!(bench.status().failures, 1);
    let mut bench = Bench::new(&[("x", Puppet::default())], |specs, chain| {
        specs[0].on_failure = OnFailure::Open;
        chain.default = Fallback::Allow;
    });
    assert_eq!(bench.authorize("f"), Decision::Allow);
}

#[test]
fn a_denial_with_a_success_code_is_a_failure() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("c"), denied(ReasonCode::ImplementationSpecificError));
    assert_eq!(bench.status().failures, 1);
}

#[test]
fn a_plugin_learns_about_the_client_that_asks_and_about_no_other() {
    let mut bench = Bench::with(Puppet::default(), OnFailure::Closed);
    assert_eq!(bench.authorize("h"), Decision::Allow);
}

#[test]
fn a_plugin_that_only_authorizes_needs_no_other_export() {
    let puppet = Puppet {
        on_publish: false,
        on_deliver: false,
        exports: &[LIFECYCLE, AUTHORIZATION],
        ..Puppet::default()
    };
    let mut bench = Bench::new(&[("x", puppet)], |_, chain| {
        chain.authenticate.clear();
        chain.transform.clear();
    });
    assert_eq!(bench.authorize("a"), Decision::Allow);
    assert!(!bench.judge.transforms(ListenerId(0), &message("d", b"")));
}
