//! Failed logins: who is refused for a while because of them, and who is not.

use wasmqtt_codec::ReasonCode;
use wasmqtt_core::broker::{Applicant, Banned, Broker};
use wasmqtt_core::limits::{BrokerLimits, FailedLogins};
use wasmqtt_core::time::Moment;

const NOW: Moment = Moment(1_000_000);
const LIMITS: FailedLogins = FailedLogins { per_address: 3, per_name: 2, within: 60, ban: 300 };

fn broker() -> Broker {
    Broker::new(BrokerLimits::default(), 7)
}

fn from<'a>(address: &'a str, name: &'a str) -> Applicant<'a> {
    Applicant { address: Some(address), name: Some(name) }
}

fn may(broker: &Broker, now: Moment, who: Applicant<'_>) -> bool {
    match broker.may_log_in(now, who, &LIMITS) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, ReasonCode::Banned);
            assert!(refusal.reason.unwrap().contains("too many failed logins; try again in "));
            false
        }
    }
}

#[test]
fn an_address_that_fails_too_often_is_banned_for_a_while_whatever_name_it_says() {
    let broker = broker();
    for number in 0..3 {
        let name = format!("u{number}");
        assert_eq!(broker.login_failed(NOW, from("a", &name), &LIMITS), Banned::default());
        assert!(may(&broker, NOW, from("a", "x")));
    }
    let banned = broker.login_failed(NOW, from("a", "u4"), &LIMITS);
    assert_eq!(banned, Banned { address: true, name: false });
    assert!(!may(&broker, NOW, from("a", "x")) && !may(&broker, Moment(1_299_999), from("a", "x")));
    assert!(may(&broker, NOW, from("b", "x")) && may(&broker, Moment(1_300_000), from("a", "x")));
    // It is told once.
    assert_eq!(broker.login_failed(NOW, from("a", "u5"), &LIMITS), Banned::default());
}

#[test]
fn a_name_that_is_tried_from_everywhere_is_banned_everywhere() {
    let broker = broker();
    for address in ["a", "b", "c"] {
        assert!(may(&broker, NOW, from("d", "root")));
        broker.login_failed(NOW, from(address, "root"), &LIMITS);
    }
    assert!(!may(&broker, NOW, from("d", "root")) && may(&broker, NOW, from("d", "other")));
    // At a listener that does not count names, it may.
    let other = FailedLogins { per_name: 0, ..LIMITS };
    assert_eq!(broker.may_log_in(NOW, from("d", "root"), &other), Ok(()));
}

#[test]
fn failures_far_apart_and_of_nobody_in_particular_ban_nobody() {
    let broker = broker();
    for minute in 0..20 {
        let now = Moment(NOW.0 + minute * 61_000);
        broker.login_failed(now, from("a", "u"), &LIMITS);
        broker.login_failed(now, from("a", "u"), &LIMITS);
        assert!(may(&broker, now, from("a", "u")));
    }
    for _ in 0..20 {
        assert_eq!(broker.login_failed(NOW, Applicant::default(), &LIMITS), Banned::default());
    }
    assert!(may(&broker, NOW, Applicant::default()));
    for _ in 0..20 {
        let off = FailedLogins::default();
        assert_eq!(broker.login_failed(NOW, from("z", "z"), &off), Banned::default());
        assert_eq!(broker.may_log_in(NOW, from("z", "z"), &off), Ok(()));
    }
}
