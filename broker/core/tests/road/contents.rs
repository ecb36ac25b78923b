//! How much one message, or one CONNECT, may carry, each at the bound.

use wasmqtt_codec::{
    Connect, MessagePropertiesBuf, Packet, Publish, PublishProperties, ReasonCode, Subscribe,
    Subscription, UserPropertiesBuf, Version, Will,
};
use wasmqtt_core::connection::LeftOut;
use wasmqtt_core::fault::Fault;
use wasmqtt_core::limits::Limits;

use crate::wire::{Q0, Q1, Q2, Sent, VERSIONS, Wire, clean, message, will};

/// A way to carry so many bytes, and the bound of it.
type Way = (fn(&mut Limits), fn(&mut MessagePropertiesBuf, usize), Fault);

/// Each with a bound of ten bytes.
fn ways() -> [Way; 4] {
    [
        (
            |limits| limits.max_content_type = 10,
            |buf, length| buf.set_content_type(Some(&"t".repeat(length))).unwrap(),
            Fault::PropertyTooLong("content type"),
        ),
        (
            |limits| limits.max_response_topic = 10,
            |buf, length| buf.set_response_topic(Some(&"t".repeat(length))).unwrap(),
            Fault::PropertyTooLong("response topic"),
        ),
        (
            |limits| limits.max_correlation_data = 10,
            |buf, length| buf.set_correlation_data(Some(&b"d".repeat(length))).unwrap(),
            Fault::PropertyTooLong("correlation data"),
        ),
        (
            |limits| limits.max_user_properties_bytes = 10,
            |buf, length| {
                buf.add_user_property("name", "").unwrap();
                buf.add_user_property("", &"v".repeat(length - 4)).unwrap();
            },
            Fault::TooManyUserProperties,
        ),
    ]
}

#[test]
fn a_property_of_a_publication_or_a_will_beyond_its_bound_is_refused() {
    for (bound, fill, fault) in ways() {
        let mut wire = Wire::new();
        bound(&mut wire.limits);
        let mut client = wire.connect(&clean(Version::V5, "c"));
        for (length, expected) in [(10, ReasonCode::NoMatchingSubscribers), (11, fault.reason())] {
            let mut buf = MessagePropertiesBuf::default();
            fill(&mut buf, length);
            let properties =
                PublishProperties { message: buf.as_view(), ..PublishProperties::default() };
            let publish = Publish { properties, ..message("a", "x") };
            for qos in [Q1, Q2] {
                let code = wire.publish_with(&mut client, Publish { qos, ..publish });
                assert_eq!(code, expected, "{fault:?} {length}");
            }
            let left = Will { properties: buf.as_view(), ..will("w", "x") };
            let connect = Connect { will: Some(left), ..clean(Version::V5, "w") };
            let refused = wire.try_connect(&connect).err().map(|refused| refused.code);
            assert_eq!(refused, (length == 11).then_some(ReasonCode::QuotaExceeded), "{fault:?}");
            if length == 11 {
                wire.send(&mut client, &Packet::Publish(publish));
                assert_eq!(client.closed, Some(fault.clone()));
            }
        }
    }
}

#[test]
fn a_payload_beyond_its_bound_is_refused_or_ends_the_connection_that_cannot_be_told() {
    for version in VERSIONS {
        for qos in [Q0, Q1, Q2] {
            let mut wire = Wire::new();
            wire.limits.max_payload_size = 10;
            let mut watcher = wire.connect(&clean(Version::V5, "w"));
            wire.subscribe(&mut watcher, "#", Q0);
            let mut client = wire.connect(&clean(version, "c"));
            assert_eq!(wire.publish(&mut client, "a", qos, "0123456789"), ReasonCode::Success);
            let packet_id = (qos != Q0).then(|| client.fresh_id());
            let publish = Publish { qos, packet_id, ..message("a", "0123456789x") };
            let answers = wire.send(&mut client, &Packet::Publish(publish));
            if version == Version::V5 && qos != Q0 {
                assert!(matches!(
                    answers[..],
                    [Sent::PubAck(_, ReasonCode::QuotaExceeded)
                        | Sent::PubRec(_, ReasonCode::QuotaExceeded)]
                ));
                assert_eq!(client.closed, None);
            } else {
                assert_eq!(client.closed, Some(Fault::PayloadTooLarge), "{version:?} {qos:?}");
            }
            assert_eq!(wire.take_payloads(&mut watcher), ["0123456789"]);
        }
        let mut wire = Wire::new();
        wire.limits.max_payload_size = 10;
        let connect = |payload| Connect { will: Some(will("w", payload)), ..clean(version, "c") };
        assert!(wire.try_connect(&connect("0123456789")).is_ok());
        assert!(wire.try_connect(&connect("0123456789x")).is_err());
    }
}

#[test]
fn user_properties_of_connect_and_subscribe_have_the_same_bound() {
    let mut wire = Wire::new();
    wire.limits.max_user_properties_bytes = 10;
    for (value, refused) in [("012345", false), ("0123456", true)] {
        let mut own = UserPropertiesBuf::new();
        own.push("name", value).unwrap();
        let mut connect = clean(Version::V5, "c");
        connect.properties.user_properties = own.as_view();
        let code = wire.try_connect(&connect).err().map(|refused| refused.code);
        assert_eq!(code, refused.then_some(ReasonCode::QuotaExceeded));
        let mut client = wire.connect(&clean(Version::V5, "c"));
        let packet = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: None,
            user_properties: own.as_view(),
            subscriptions: vec![Subscription::new("a", Q0)],
        });
        let code = if refused { ReasonCode::QuotaExceeded } else { ReasonCode::Success };
        assert_eq!(wire.send(&mut client, &packet), [Sent::SubAck(vec![code])]);
    }
}

#[test]
fn subscribes_beyond_the_rate_are_refused_until_the_second_is_over() {
    let mut wire = Wire::new();
    wire.limits.subscribe_rate = Some(2);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let mut other = wire.connect(&clean(Version::V5, "o"));
    let codes = ["a", "b", "c"].map(|filter| wire.subscribe(&mut client, filter, Q0));
    let (granted, refused) = (ReasonCode::Success, ReasonCode::QuotaExceeded);
    assert_eq!(codes, [granted, granted, refused]);
    let reason = client.told.0.as_deref();
    assert_eq!(reason, Some("more SUBSCRIBE packets in a second than allowed"));
    assert_eq!(wire.subscribe(&mut other, "a", Q0), granted, "each for itself");
    wire.pass(1000);
    assert_eq!(wire.subscribe(&mut client, "c", Q0), granted);
    // One that is put aside is received twice, and counted once.
    client.connection.postpone_subscribe();
    assert_eq!(wire.subscribe(&mut client, "d", Q0), granted);
    assert_eq!(wire.subscribe(&mut client, "e", Q0), granted);
    assert_eq!(wire.subscribe(&mut client, "f", Q0), refused);
}

#[test]
fn a_will_is_not_later_than_allowed() {
    for (most, asked, given) in [(0, 50, 50), (60, 50, 50), (60, 70, 60)] {
        let mut wire = Wire::new();
        wire.limits.will_delay_max = most;
        let mut watcher = wire.connect(&clean(Version::V5, "w"));
        wire.subscribe(&mut watcher, "#", Q0);
        let left = Will { delay_interval: asked, ..will("will", "gone") };
        let mut connect = Connect { will: Some(left), ..clean(Version::V5, "c") };
        connect.properties.session_expiry_interval = Some(1000);
        let client = wire.connect(&connect);
        wire.lose(client);
        wire.pass(given * 1000 - 1);
        assert!(wire.take(&mut watcher).is_empty(), "{most} {asked}");
        wire.pass(1);
        assert_eq!(wire.take_payloads(&mut watcher), ["gone"], "{most} {asked}");
    }
}

#[test]
fn what_is_not_sent_is_counted_by_the_reason() {
    for qos in [Q0, Q1] {
        let mut wire = Wire::new();
        let mut connect = clean(Version::V5, "s");
        connect.properties.maximum_packet_size = 100.try_into().ok();
        let mut subscriber = wire.connect(&connect);
        wire.subscribe(&mut subscriber, "#", qos);
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        for payload in ["small", &"x".repeat(100), "small", &"x".repeat(100)] {
            wire.publish(&mut publisher, "a", qos, payload);
        }
        let expiring =
            PublishProperties { message_expiry_interval: Some(1), ..PublishProperties::default() };
        let publish = Publish { qos, properties: expiring, ..message("a", "late") };
        wire.publish_with(&mut publisher, publish);
        wire.pass(1000);
        assert_eq!(wire.take(&mut subscriber).len(), 2);
        let left_out = LeftOut { expired: 1, too_large: 2 };
        assert_eq!(subscriber.connection.take_left_out(), left_out, "{qos:?}");
        assert_eq!(subscriber.connection.take_left_out(), LeftOut::default(), "once");
    }
}
