//! Rights that change reach what a session holds: its subscriptions, and the messages that wait because of them.

use std::sync::Arc;

use wasmqtt_codec::{QoS, Version};
use wasmqtt_core::judge::{Action, Decision};

use crate::wire::{Client, Q1, VERSIONS, Wire, clean, messages, payloads, stored};

/// What the shell does when it finds that it was asked to.
fn rejudge(wire: &mut Wire, client: &Client) -> Vec<String> {
    let session = wire.broker.session(&client.id()).unwrap();
    let owner = client.connection.attachment();
    assert!(session.mailbox.take_rejudge(owner), "not asked");
    assert!(!session.mailbox.take_rejudge(owner), "asked once");
    let (broker, now) = (Arc::clone(&wire.broker), wire.now);
    let denied = broker.rejudge(&mut wire.lane, now, client.connection.client(), &session);
    denied.iter().map(|filter| filter.to_string()).collect()
}

#[test]
fn a_subscription_that_is_no_longer_allowed_is_taken_away_with_what_waits_because_of_it() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&clean(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "secret/#", Q1);
        wire.subscribe(&mut subscriber, "open/#", Q1);
        wire.publish(&mut publisher, "secret/a", Q1, "waiting");
        wire.publish(&mut publisher, "open/a", Q1, "kept");

        wire.script().deny(Action::Subscribe, "secret/#");
        wire.broker.ask_rejudge();
        assert_eq!(rejudge(&mut wire, &subscriber), ["secret/#"]);
        wire.publish(&mut publisher, "secret/a", Q1, "later");
        wire.publish(&mut publisher, "open/a", Q1, "later");
        assert_eq!(payloads(&wire.pump(&mut subscriber)), ["kept", "later"], "{version:?}");
    }
}

#[test]
fn a_message_that_another_subscription_allows_stays() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "#", Q1);
    wire.subscribe(&mut subscriber, "open/#", Q1);
    wire.publish(&mut publisher, "open/a", Q1, "kept");
    wire.publish(&mut publisher, "other", Q1, "gone");
    wire.script().deny(Action::Subscribe, "#");
    wire.broker.ask_rejudge();
    rejudge(&mut wire, &subscriber);
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["kept"]);
}

#[test]
fn a_grant_that_was_lowered_lowers_the_subscription() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q1);
    wire.script().answer(Action::Subscribe, "a", Decision::AllowUpTo(QoS::AtMostOnce));
    wire.broker.ask_rejudge();
    assert!(rejudge(&mut wire, &subscriber).is_empty());
    wire.publish(&mut publisher, "a", Q1, "1");
    let got = messages(&wire.pump(&mut subscriber));
    assert_eq!((got.len(), got[0].id), (1, None));
}

#[test]
fn a_stored_session_is_judged_when_it_resumes() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "secret", Q1);
        wire.lose(subscriber);
        wire.publish(&mut publisher, "secret", Q1, "waiting");
        wire.script().deny(Action::Subscribe, "secret");

        let mut subscriber = wire.connect(&stored(version, "s"));
        wire.publish(&mut publisher, "secret", Q1, "later");
        assert!(wire.pump(&mut subscriber).is_empty(), "{version:?}");
        assert_eq!(wire.broker.subscriptions(), 0);
    }
}

#[test]
fn nobody_is_asked_about_a_session_that_is_away() {
    let mut wire = Wire::new();
    let subscriber = wire.connect(&stored(Version::V5, "s"));
    wire.lose(subscriber);
    wire.broker.ask_rejudge();
    let subscriber = wire.connect(&stored(Version::V5, "s"));
    let session = wire.broker.session("s").unwrap();
    assert!(!session.mailbox.take_rejudge(subscriber.connection.attachment()));
}
