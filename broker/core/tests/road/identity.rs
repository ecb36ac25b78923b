//! What an authenticator says about a client, and what comes of it.

use std::collections::BTreeSet;

use wasmqtt_codec::{Connect, ConnectProperties, ReasonCode, UserPropertiesBuf, Version};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Action, Actions, Effect, Identity, IdentityLimits, Permission};
use wasmqtt_core::limits::OnPublishRate;

use crate::wire::{Q0, Q1, Q2, VERSIONS, Wire, clean, message, numbered, stored};

fn permission(effect: Effect, filter: &str, actions: Actions) -> Permission {
    Permission { effect, filter: filter.into(), actions, max_qos: None, retain: None }
}

fn with(permissions: Vec<Permission>) -> Identity {
    Identity {
        name: Some("alice".into()),
        attributes: vec![("site".into(), "berlin".into())],
        permissions,
        ..Identity::default()
    }
}

#[test]
fn the_first_permission_that_matches_decides_and_then_the_chain() {
    let mut wire = Wire::new();
    wire.identity = with(vec![
        permission(Effect::Deny, "own/${username}/secret", Actions::ALL),
        permission(Effect::Allow, "own/${username}/#", Actions::ALL),
        permission(Effect::Allow, "site/${attribute.site}/${client_id}", Actions::ALL),
        permission(Effect::Deny, "own/#", Actions::ALL),
    ]);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().deny(Action::Publish, "chain/no");
    wire.script().asked.clear();
    let (yes, no) = (ReasonCode::NoMatchingSubscribers, ReasonCode::NotAuthorized);
    for (topic, expected) in
        [("own/alice/x", yes), ("own/alice/secret", no), ("own/bob/x", no), ("site/berlin/c", yes)]
    {
        assert_eq!(wire.publish(&mut client, topic, Q1, "x"), expected, "{topic}");
    }
    assert!(wire.script().asked.is_empty(), "permissions ask nobody");
    assert_eq!(wire.publish(&mut client, "chain/yes", Q1, "x"), yes);
    assert_eq!(wire.publish(&mut client, "chain/no", Q1, "x"), no);
    assert_eq!(wire.script().asked.len(), 2);
}

#[test]
fn a_subscription_must_be_allowed_as_a_whole() {
    let mut wire = Wire::new();
    wire.identity = with(vec![
        permission(Effect::Deny, "a/secret", Actions::ALL),
        permission(Effect::Allow, "a/+", Actions::ALL),
        permission(Effect::Deny, "#", Actions::ALL),
    ]);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for (filter, expected) in [
        ("a/open", ReasonCode::GrantedQoS1),
        ("a/+", ReasonCode::NotAuthorized),
        ("#", ReasonCode::NotAuthorized),
        ("$share/g/a/secret", ReasonCode::NotAuthorized),
        ("$share/g/a/open", ReasonCode::GrantedQoS1),
    ] {
        assert_eq!(wire.subscribe(&mut client, filter, Q1), expected, "{filter}");
    }
}

#[test]
fn a_permission_may_keep_single_deliveries_away() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let receive = Actions { receive: true, ..Actions::default() };
        wire.identity = with(vec![permission(Effect::Deny, "+/secret", receive)]);
        let mut client = wire.connect(&clean(version, "c"));
        assert_eq!(wire.subscribe(&mut client, "#", Q1), ReasonCode::GrantedQoS1);
        for topic in ["a/open", "a/secret", "b/secret", "b/open"] {
            wire.publish(&mut client, topic, Q1, topic);
        }
        assert_eq!(wire.take_payloads(&mut client), ["a/open", "b/open"]);
    }
}

#[test]
fn a_will_needs_the_permission_to_publish() {
    let mut wire = Wire::new();
    wire.identity = with(vec![permission(Effect::Deny, "w", Actions::ALL)]);
    let connect = Connect { will: Some(crate::wire::will("w", "x")), ..clean(Version::V5, "c") };
    assert_eq!(wire.try_connect(&connect).err().unwrap().code, ReasonCode::NotAuthorized);
}

#[test]
fn an_identity_tightens_the_limits_of_the_listener() {
    let mut wire = Wire::new();
    wire.identity.limits = IdentityLimits {
        receive_maximum: Some(1),
        maximum_packet_size: Some(200),
        session_expiry: Some(60),
        queued_messages: Some(2),
        subscriptions: Some(1),
        publish_rate: Some(10),
    };
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(client.welcome.receive_maximum, Some(1));
    assert_eq!(client.welcome.maximum_packet_size, Some(200));
    assert_eq!(client.welcome.session_expiry, Some(60));
    wire.subscribe(&mut client, "a", Q1);
    assert_eq!(wire.subscribe(&mut client, "b", Q1), ReasonCode::QuotaExceeded);
    for payload in ["1", "2", "3"] {
        wire.publish(&mut client, "a", Q1, payload);
    }
    assert_eq!(wire.take_payloads(&mut client), ["2", "3"]);
    wire.send(&mut client, &numbered("x", Q2, 1, "x"));
    wire.send(&mut client, &numbered("x", Q2, 2, "x"));
    assert_eq!(client.closed, Some(Fault::ReceiveMaximumExceeded));
}

#[test]
fn an_identity_never_widens_the_limits_of_the_listener() {
    let mut wire = Wire::new();
    wire.limits.receive_maximum = 1;
    wire.limits.max_packet_size = 200;
    wire.limits.session_expiry_max = 60;
    wire.limits.max_subscriptions = 1;
    wire.limits.publish_rate = Some(2);
    wire.limits.on_publish_rate = OnPublishRate::Disconnect;
    wire.identity.limits = IdentityLimits {
        receive_maximum: Some(u16::MAX),
        maximum_packet_size: Some(u32::MAX),
        session_expiry: Some(u32::MAX),
        queued_messages: Some(u32::MAX),
        subscriptions: Some(u32::MAX),
        publish_rate: Some(u32::MAX),
    };
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(client.welcome.receive_maximum, Some(1));
    assert_eq!(client.welcome.maximum_packet_size, Some(200));
    assert_eq!(client.welcome.session_expiry, Some(60));
    wire.subscribe(&mut client, "a", Q1);
    assert_eq!(wire.subscribe(&mut client, "b", Q1), ReasonCode::QuotaExceeded);
    for _ in 0..3 {
        wire.send(&mut client, &wasmqtt_codec::Packet::Publish(message("x", "x")));
    }
    assert_eq!(client.closed, Some(Fault::MessageRateTooHigh));
}

#[test]
fn limits_of_zero_leave_a_client_that_can_still_be_told_something() {
    let mut wire = Wire::new();
    wire.identity.limits = IdentityLimits {
        receive_maximum: Some(0),
        maximum_packet_size: Some(0),
        queued_messages: Some(0),
        ..IdentityLimits::default()
    };
    let client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(client.welcome.receive_maximum, Some(1));
    assert_eq!(client.welcome.maximum_packet_size, Some(1));
    assert_eq!(client.connection.limits().queue.messages, 1);
}

#[test]
fn a_client_without_an_identifier_is_given_one_of_its_own_and_told() {
    let mut wire = Wire::new();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let client = wire.connect(&clean(Version::V5, ""));
        assert_eq!(client.welcome.assigned, Some(client.id()));
        assert!(!client.id().is_empty());
        assert!(seen.insert(client.id()));
    }
    assert_eq!(wire.broker.sessions(), 100);
    assert_eq!(wire.connect(&clean(Version::V5, "named")).welcome.assigned, None);
    let client = wire.connect(&clean(Version::V311, ""));
    assert!(seen.insert(client.id()));
}

#[test]
fn an_assigned_identifier_may_be_used_to_come_back() {
    let mut wire = Wire::new();
    let client = wire.connect(&stored(Version::V5, ""));
    let id = client.id();
    wire.lose(client);
    assert!(wire.connect(&stored(Version::V5, &id)).welcome.session_present);
}

#[test]
fn response_information_is_sent_only_to_who_asks_for_it() {
    let mut wire = Wire::new();
    let mut user_properties = UserPropertiesBuf::new();
    user_properties.push("region", "eu").unwrap();
    wire.identity = Identity {
        response_information: Some("reply/c".into()),
        connack_properties: user_properties,
        ..Identity::default()
    };
    let properties =
        ConnectProperties { request_response_information: true, ..ConnectProperties::default() };
    let welcome = wire.connect(&Connect { properties, ..clean(Version::V5, "c") }).welcome;
    assert_eq!(welcome.response_information.as_deref(), Some("reply/c"));
    assert_eq!(welcome.user_properties, [("region".to_owned(), "eu".to_owned())]);
    let welcome = wire.connect(&clean(Version::V5, "c")).welcome;
    assert_eq!(welcome.response_information, None);
}

#[test]
fn a_connack_fits_what_the_client_takes() {
    let mut wire = Wire::new();
    let mut user_properties = UserPropertiesBuf::new();
    user_properties.push("long", &"x".repeat(1000)).unwrap();
    wire.identity.connack_properties = user_properties;
    let properties = ConnectProperties {
        maximum_packet_size: 100.try_into().ok(),
        ..ConnectProperties::default()
    };
    let welcome = wire.connect(&Connect { properties, ..clean(Version::V5, "c") }).welcome;
    assert!(welcome.user_properties.is_empty());
    assert_eq!(wire.connect(&clean(Version::V5, "d")).welcome.user_properties.len(), 1);
}

#[test]
fn messages_carry_who_published_them() {
    let mut wire = Wire::new();
    wire.identity = with(Vec::new());
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().transform = Some(Box::new(|message, _| {
        let publisher = message.publisher().expect("a publisher");
        assert_eq!((&*publisher.id, publisher.name.as_deref()), ("c", Some("alice")));
        assert_eq!(publisher.attribute("site"), Some("berlin"));
        wasmqtt_core::judge::Transformed::Forward(message)
    }));
    wire.publish(&mut client, "a", Q0, "x");
    assert_eq!(wire.lane.counters.published, 1);
}
