//! How many sessions one name may have, and how much one packet may ask for.

use wasmqtt_codec::{
    Connect, ConnectProperties, MessageProperties, MessagePropertiesBuf, Packet, Publish,
    PublishProperties, ReasonCode, Subscribe, Subscription, UserProperties, UserPropertiesBuf,
    Version,
};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::limits::BrokerLimits;

use crate::wire::{Q0, Q1, Q2, Sent, VERSIONS, Wire, clean, message, stored, will};

fn of<'a>(name: &'a str, connect: Connect<'a>) -> Connect<'a> {
    Connect { username: Some(name), ..connect }
}

fn code(wire: &mut Wire, connect: &Connect<'_>) -> Option<ReasonCode> {
    wire.try_connect(connect).err().map(|refused| refused.code)
}

#[test]
fn a_name_has_so_many_sessions_and_no_more_connected_or_stored() {
    for version in VERSIONS {
        let quota = match version {
            Version::V5 => ReasonCode::QuotaExceeded,
            _ => ReasonCode::ServerUnavailable,
        };
        let mut wire = Wire::new();
        wire.limits.max_sessions_per_name = 2;
        let a = wire.connect(&of("alice", stored(version, "a")));
        let b = wire.connect(&of("alice", clean(version, "b")));
        wire.lose(a);
        assert_eq!(code(&mut wire, &of("alice", clean(version, "c"))), Some(quota));
        assert_eq!(code(&mut wire, &of("bob", clean(version, "d"))), None);
        assert_eq!(code(&mut wire, &of("alice", stored(version, "a"))), None, "known");
        wire.leave(b);
        assert_eq!(code(&mut wire, &of("alice", clean(version, "c"))), None, "a place is free");
        assert_eq!(code(&mut wire, &of("alice", clean(version, "b"))), Some(quota));
    }
}

#[test]
fn starting_anew_at_the_bound_costs_no_second_place() {
    let mut wire = Wire::new();
    wire.limits.max_sessions_per_name = 1;
    for _ in 0..3 {
        wire.connect(&of("alice", stored(Version::V5, "a")));
        wire.connect(&of("alice", clean(Version::V5, "a")));
    }
    assert_eq!((wire.broker.sessions(), wire.broker.owners()), (1, 1));
    let expected = Some(ReasonCode::QuotaExceeded);
    assert_eq!(code(&mut wire, &of("alice", clean(Version::V5, "b"))), expected);
}

#[test]
fn a_stored_session_gives_its_place_back_when_it_expires() {
    let mut wire = Wire::new();
    wire.limits.max_sessions_per_name = 1;
    let a = wire.connect(&of("alice", stored(Version::V5, "a")));
    wire.lose(a);
    wire.pass(3_599_999);
    assert!(code(&mut wire, &of("alice", clean(Version::V5, "b"))).is_some());
    wire.pass(1);
    assert_eq!(wire.broker.owners(), 0);
    assert_eq!(code(&mut wire, &of("alice", clean(Version::V5, "b"))), None);
}

#[test]
fn clients_without_a_name_share_no_quota() {
    let mut wire = Wire::new();
    wire.limits.max_sessions_per_name = 1;
    for id in ["a", "b", "c"] {
        assert_eq!(code(&mut wire, &clean(Version::V5, id)), None);
    }
    assert_eq!(wire.broker.owners(), 0);
}

#[test]
fn a_client_that_finds_no_place_at_all_takes_none_from_its_name() {
    let mut wire = Wire::bounded(BrokerLimits { max_sessions: 1, ..BrokerLimits::default() });
    wire.limits.max_sessions_per_name = 1;
    let first = wire.connect(&of("bob", clean(Version::V5, "b")));
    for _ in 0..3 {
        assert!(code(&mut wire, &of("alice", clean(Version::V5, "a"))).is_some());
    }
    wire.lose(first);
    assert_eq!(code(&mut wire, &of("alice", clean(Version::V5, "a"))), None);
}

fn user_properties(count: usize) -> UserPropertiesBuf {
    let mut properties = UserPropertiesBuf::new();
    for _ in 0..count {
        properties.push("", "").unwrap();
    }
    properties
}

fn with_properties(count: usize) -> MessagePropertiesBuf {
    let mut properties = MessagePropertiesBuf::default();
    for _ in 0..count {
        properties.add_user_property("", "").unwrap();
    }
    properties
}

fn publication(properties: MessageProperties<'_>) -> Publish<'_> {
    let properties = PublishProperties { message: properties, ..PublishProperties::default() };
    Publish { properties, ..message("a", "x") }
}

#[test]
fn a_publication_with_too_many_user_properties_is_refused() {
    let mut wire = Wire::new();
    wire.limits.max_user_properties = 3;
    let mut watcher = wire.connect(&clean(Version::V5, "w"));
    wire.subscribe(&mut watcher, "#", Q0);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for qos in [Q1, Q2] {
        for (count, expected) in [(4, ReasonCode::QuotaExceeded), (3, ReasonCode::Success)] {
            let properties = with_properties(count);
            let publish = Publish { qos, ..publication(properties.as_view()) };
            assert_eq!(wire.publish_with(&mut client, publish), expected, "{count}");
        }
    }
    assert_eq!(wire.take(&mut watcher).len(), 2);
    let properties = with_properties(4);
    let packet = Packet::Publish(publication(properties.as_view()));
    let answers = wire.send(&mut client, &packet);
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::QuotaExceeded)]);
    assert_eq!(client.closed, Some(Fault::TooManyUserProperties));
}

#[test]
fn long_user_properties_are_not_taken_for_many() {
    let mut wire = Wire::new();
    wire.limits.max_user_properties = 1;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let mut properties = MessagePropertiesBuf::default();
    properties.add_user_property(&"n".repeat(1000), &"v".repeat(1000)).unwrap();
    let publish = Publish { qos: Q1, ..publication(properties.as_view()) };
    assert!(!wire.publish_with(&mut client, publish).is_error());
}

#[test]
fn a_connect_or_a_will_with_too_many_user_properties_is_refused() {
    for (count, expected) in [(2, None), (3, Some(ReasonCode::QuotaExceeded))] {
        let mut wire = Wire::new();
        wire.limits.max_user_properties = 2;
        let own = user_properties(count);
        let properties =
            ConnectProperties { user_properties: own.as_view(), ..ConnectProperties::default() };
        let connect = Connect { properties, ..clean(Version::V5, "c") };
        assert_eq!(code(&mut wire, &connect), expected);
        let left = with_properties(count);
        let left = wasmqtt_codec::Will { properties: left.as_view(), ..will("w", "x") };
        let connect = Connect { will: Some(left), ..clean(Version::V5, "c") };
        assert_eq!(code(&mut wire, &connect), expected);
    }
}

#[test]
fn a_subscribe_with_too_many_user_properties_is_refused_filter_by_filter() {
    let mut wire = Wire::new();
    wire.limits.max_user_properties = 2;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for (count, expected) in [(3, ReasonCode::QuotaExceeded), (2, ReasonCode::Success)] {
        let properties = user_properties(count);
        let packet = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: None,
            user_properties: properties.as_view(),
            subscriptions: ["a", "b"].map(|filter| Subscription::new(filter, Q0)).to_vec(),
        });
        assert_eq!(wire.send(&mut client, &packet), [Sent::SubAck(vec![expected; 2])]);
    }
}

#[test]
fn filters_beyond_the_bound_of_one_subscribe_are_refused_and_nobody_is_asked_about_them() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.limits.max_filters_per_subscribe = 2;
        let mut client = wire.connect(&clean(version, "c"));
        let packet = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: None,
            user_properties: UserProperties::EMPTY,
            subscriptions: ["a", "b", "c", "d"].map(|text| Subscription::new(text, Q0)).to_vec(),
        });
        let over = match version {
            Version::V5 => ReasonCode::QuotaExceeded,
            _ => ReasonCode::UnspecifiedError,
        };
        let expected = vec![ReasonCode::Success, ReasonCode::Success, over, over];
        assert_eq!(wire.send(&mut client, &packet), [Sent::SubAck(expected)]);
        assert_eq!(wire.script().asked.len(), 2);
        assert_eq!(wire.broker.subscriptions(), 2);
        assert!(!wire.subscribe(&mut client, "c", Q0).is_error(), "in a packet of its own");
    }
}
