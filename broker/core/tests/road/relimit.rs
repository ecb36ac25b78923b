//! The operator changes limits while clients are connected.

use wasmqtt_codec::{Connect, Publish, ReasonCode, Version};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Identity, IdentityLimits};
use wasmqtt_core::limits::{Limits, OnPublishRate, Overflow, Queue};

use crate::wire::{Client, Q0, Q1, Wire, clean, message};

/// What a turn does after a reload.
fn relimit(wire: &mut Wire, client: &mut Client, change: impl FnOnce(&mut Limits)) -> bool {
    change(&mut wire.limits);
    wire.broker.relimit(&mut wire.lane, &mut client.connection, &wire.limits)
}

#[test]
fn a_connected_client_gets_what_it_was_not_told_in_connack() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let before = **client.connection.limits();
    assert!(!relimit(&mut wire, &mut client, |_| {}), "nothing changes");
    assert!(relimit(&mut wire, &mut client, |limits| {
        limits.max_packet_size = 1000;
        limits.receive_maximum = 3;
        limits.topic_alias_maximum = 3;
        limits.session_expiry_max = 3;
        limits.keep_alive_max = 3;
        limits.features.retain = false;
        limits.max_subscriptions = 1;
        limits.max_filters_per_subscribe = 7;
        limits.max_payload_size = 10;
    }));
    let expected = Limits {
        max_subscriptions: 1,
        max_filters_per_subscribe: 7,
        max_payload_size: 10,
        ..before
    };
    assert_eq!(**client.connection.limits(), expected);
    assert_eq!(wire.subscribe(&mut client, "a", Q0), ReasonCode::Success);
    assert_eq!(wire.subscribe(&mut client, "b", Q0), ReasonCode::QuotaExceeded);
    let larger = Publish { qos: Q1, ..message("a", "12345678901") };
    assert_eq!(wire.publish_with(&mut client, larger), ReasonCode::QuotaExceeded);
    assert!(relimit(&mut wire, &mut client, |limits| limits.max_subscriptions = 2));
    assert_eq!(wire.subscribe(&mut client, "b", Q0), ReasonCode::Success);
}

#[test]
fn what_an_identity_says_more_tightly_stands() {
    let mut wire = Wire::new();
    let own = IdentityLimits {
        subscriptions: Some(2),
        publish_rate: Some(5),
        ..IdentityLimits::default()
    };
    wire.identity = Identity { limits: own, ..Identity::default() };
    let mut client = wire.connect(&clean(Version::V5, "c"));
    relimit(&mut wire, &mut client, |limits| {
        (limits.max_subscriptions, limits.publish_rate) = (10, Some(50));
    });
    let limits = client.connection.limits();
    assert_eq!((limits.max_subscriptions, limits.publish_rate), (2, Some(5)));
    relimit(&mut wire, &mut client, |limits| {
        (limits.max_subscriptions, limits.publish_rate) = (1, Some(3));
    });
    let limits = client.connection.limits();
    assert_eq!((limits.max_subscriptions, limits.publish_rate), (1, Some(3)));
}

#[test]
fn a_rate_that_is_new_begins_anew_and_one_that_is_gone_holds_nobody_up() {
    let mut wire = Wire::new();
    wire.limits.publish_rate = Some(1000);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for _ in 0..900 {
        wire.publish(&mut client, "a", Q0, "x");
    }
    assert_eq!(client.connection.paused(wire.now), None);
    relimit(&mut wire, &mut client, |limits| limits.publish_rate = Some(2));
    wire.publish(&mut client, "a", Q0, "x");
    assert_eq!(client.connection.paused(wire.now), None, "what came before is no debt");
    wire.publish(&mut client, "a", Q0, "x");
    assert!(client.connection.paused(wire.now).is_some());
    relimit(&mut wire, &mut client, |limits| limits.publish_rate = None);
    assert_eq!(client.connection.paused(wire.now), None);

    relimit(&mut wire, &mut client, |limits| {
        limits.publish_rate = Some(1);
        limits.on_publish_rate = OnPublishRate::Disconnect;
    });
    wire.publish(&mut client, "a", Q0, "x");
    assert_eq!(client.closed, None);
    let publish = Publish { qos: Q0, ..message("a", "x") };
    wire.send(&mut client, &wasmqtt_codec::Packet::Publish(publish));
    assert_eq!(client.closed, Some(Fault::MessageRateTooHigh));
}

#[test]
fn the_queue_of_a_connected_client_has_the_new_bound_at_once() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "reader"));
    wire.subscribe(&mut reader, "#", Q1);
    let mut writer = wire.connect(&clean(Version::V5, "writer"));
    for number in 0..5 {
        wire.publish(&mut writer, "a", Q1, &number.to_string());
    }
    relimit(&mut wire, &mut reader, |limits| {
        limits.queue = Queue { messages: 3, overflow: Overflow::DropOldest, ..Queue::default() };
    });
    for number in 5..7 {
        wire.publish(&mut writer, "a", Q1, &number.to_string());
    }
    assert_eq!(wire.take_payloads(&mut reader), ["4", "5", "6"]);
}

#[test]
fn the_time_of_a_connection_counts_from_its_beginning() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&Connect { keep_alive: 0, ..clean(Version::V5, "c") });
    wire.pass(60_000);
    assert_eq!(client.connection.deadline(), None);
    relimit(&mut wire, &mut client, |limits| limits.connection_time_max = 90);
    assert_eq!(client.connection.deadline().map(|at| at.0 - wire.now.0), Some(30_000));
    assert_eq!(client.connection.overdue(wire.now), None);
    relimit(&mut wire, &mut client, |limits| limits.connection_time_max = 30);
    assert_eq!(client.connection.overdue(wire.now), Some(Fault::ConnectionTimeOver));
}
