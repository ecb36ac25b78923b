//! A revocation reaches what the named clients hold, and nobody else.

use std::sync::Arc;

use wasmqtt_codec::{Connect, ConnectProperties, ReasonCode, Version, Will};
use wasmqtt_core::judge::{Action, Actions, Effect, Identity, Permission, Subject};

use crate::wire::{Client, Q1, VERSIONS, Wire, clean, payloads, stored, will};

fn named(wire: &mut Wire, name: &str) {
    let everything = Permission {
        effect: Effect::Allow,
        filter: "own/#".into(),
        actions: Actions::ALL,
        max_qos: None,
        retain: None,
    };
    let permissions = vec![everything];
    wire.identity = Identity { name: Some(name.into()), permissions, ..Identity::default() };
}

/// What the shell does in the turn of a connection.
fn rejudge(wire: &mut Wire, client: &Client) -> Vec<String> {
    let session = Arc::clone(client.connection.session());
    if !session.mailbox.take_rejudge(client.connection.attachment()) {
        return Vec::new();
    }
    let (broker, now) = (Arc::clone(&wire.broker), wire.now);
    let denied = broker.rejudge(&mut wire.lane, now, client.connection.client(), &session);
    denied.iter().map(|filter| filter.to_string()).collect()
}

/// Two clients called a1 and a2 of the name a, and one called b1 of b. Each subscribes to a filter that its identity
/// allows.
fn clients(wire: &mut Wire) -> [Client; 3] {
    [("a", "a1"), ("a", "a2"), ("b", "b1")].map(|(name, id)| {
        named(wire, name);
        let mut client = wire.connect(&clean(Version::V5, id));
        assert_eq!(wire.subscribe(&mut client, "own/#", Q1), ReasonCode::GrantedQoS1);
        client
    })
}

#[test]
fn a_revocation_reaches_whom_it_names_and_nobody_else() {
    let everyone = ["a1", "a2", "b1"];
    for (subject, expected) in [
        (Subject::Everyone, &everyone[..]),
        (Subject::Username("a".into()), &everyone[..2]),
        (Subject::ClientId("b1".into()), &everyone[2..]),
        (Subject::ClientId("a".into()), &[]),
        (Subject::Username("b1".into()), &[]),
    ] {
        let mut wire = Wire::new();
        let mut clients = clients(&mut wire);
        wire.script().deny(Action::Subscribe, "own/#");
        wire.script().deny(Action::Publish, "own/x");
        assert_eq!(wire.broker.revoke(&subject), expected.len(), "{subject:?}");
        for client in &mut clients {
            let reached = expected.contains(&&*client.id());
            let (filters, code) = match reached {
                true => (&["own/#"][..], ReasonCode::NotAuthorized),
                false => (&[][..], ReasonCode::Success),
            };
            assert_eq!(rejudge(&mut wire, client), filters, "{subject:?}");
            assert_eq!(wire.publish(client, "own/x", Q1, "x").is_error(), code.is_error());
        }
    }
}

#[test]
fn queued_messages_go_with_the_subscription_that_a_revocation_ends() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&clean(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "secret/#", Q1);
        wire.subscribe(&mut subscriber, "open/#", Q1);
        wire.publish(&mut publisher, "secret/a", Q1, "waiting");
        wire.publish(&mut publisher, "open/a", Q1, "kept");
        wire.script().deny(Action::Subscribe, "secret/#");
        wire.broker.revoke(&Subject::ClientId("s".into()));
        assert_eq!(rejudge(&mut wire, &subscriber), ["secret/#"]);
        assert_eq!(payloads(&wire.pump(&mut subscriber)), ["kept"], "{version:?}");
    }
}

#[test]
fn what_a_session_that_is_away_holds_is_judged_without_what_its_identity_allowed() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut watcher = wire.connect(&clean(Version::V5, "w"));
    wire.subscribe(&mut watcher, "own/will", Q1);
    named(&mut wire, "a");
    let connect = Connect {
        will: Some(Will { delay_interval: 10, ..will("own/will", "gone") }),
        properties: ConnectProperties {
            session_expiry_interval: Some(100),
            ..ConnectProperties::default()
        },
        ..stored(Version::V5, "away")
    };
    for revoked in [false, true] {
        let mut away = wire.connect(&connect);
        wire.subscribe(&mut away, "own/#", Q1);
        wire.lose(away);
        for action in [Action::Will, Action::Subscribe] {
            for topic in ["own/will", "own/#"] {
                wire.script().deny(action, topic);
            }
        }
        wire.publish(&mut publisher, "own/x", Q1, "x");
        if revoked {
            assert_eq!(wire.broker.revoke(&Subject::Username("a".into())), 1);
        }
        wire.pass(11_000);
        let (broker, now) = (Arc::clone(&wire.broker), wire.now);
        broker.expire(&mut wire.lane, now);
        let expected: &[&str] = if revoked { &[] } else { &["gone"] };
        assert_eq!(wire.take_payloads(&mut watcher), expected);
        if revoked {
            // The same name, but nothing is allowed by its identity any more.
            wire.identity.permissions.clear();
        }
        let mut back = wire.connect(&Connect { will: None, ..connect.clone() });
        let queued = wire.take_payloads(&mut back);
        assert_eq!(queued.is_empty(), revoked, "{queued:?}");
        wire.leave(back);
    }
}

#[test]
fn a_client_that_logs_in_again_has_the_rights_of_its_new_identity() {
    let mut wire = Wire::new();
    let [mut first, ..] = clients(&mut wire);
    wire.script().deny(Action::Publish, "own/x");
    wire.broker.revoke(&Subject::Everyone);
    assert_eq!(wire.publish(&mut first, "own/x", Q1, "x"), ReasonCode::NotAuthorized);
    named(&mut wire, "a");
    let mut again = wire.connect(&clean(Version::V5, "a1"));
    assert!(!wire.publish(&mut again, "own/x", Q1, "x").is_error());
}

#[test]
fn a_client_that_is_dismissed_is_told_why_where_that_fits() {
    for (largest, fits) in [(None, true), (Some(30), false)] {
        let mut wire = Wire::new();
        let properties = ConnectProperties {
            maximum_packet_size: largest.and_then(|size: u32| size.try_into().ok()),
            ..ConnectProperties::default()
        };
        let mut client = wire.connect(&Connect { properties, ..clean(Version::V5, "c") });
        let code = ReasonCode::AdministrativeAction;
        assert!(wire.broker.dismiss("c", code, "your contract has ended today"));
        assert!(!wire.broker.dismiss("d", code, "nobody"));
        wire.pump(&mut client);
        let fault = client.closed.clone().unwrap();
        assert_eq!(fault.reason(), code);
        assert_eq!(fault.to_string(), format!("{code}: your contract has ended today"));
        assert_eq!(client.told.0.as_deref() == Some("your contract has ended today"), fits);
    }
}
