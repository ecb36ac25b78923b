//! The last message of a topic, for whoever comes later; and messages whose time is over.

use wasmqtt_codec::{
    Connect, MessagePropertiesBuf, Publish, PublishProperties, ReasonCode, Subscription, Version,
    Will,
};
use wasmqtt_core::judge::Transformed;
use wasmqtt_core::limits::BrokerLimits;
use wasmqtt_core::message::Changes;

use crate::wire::{Q0, Q1, Q2, VERSIONS, Wire, clean, message, payloads, stored, will};

fn expiring<'a>(topic: &'a str, payload: &'a str, seconds: u32) -> Publish<'a> {
    let properties = PublishProperties {
        message_expiry_interval: Some(seconds),
        ..PublishProperties::default()
    };
    Publish { qos: Q1, properties, ..message(topic, payload) }
}

#[test]
fn a_retained_message_is_replaced_by_the_next_and_taken_away_by_an_empty_one() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        wire.retain(&mut client, "a/b", "1");
        wire.retain(&mut client, "a/b", "2");
        wire.publish(&mut client, "a/b", Q1, "not retained");
        assert_eq!(wire.broker.retained(), 1);
        wire.subscribe(&mut client, "a/#", Q0);
        let taken = wire.take(&mut client);
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].payload.as_str(), taken[0].retain, taken[0].qos), ("2", true, Q0));
        wire.retain(&mut client, "a/b", "");
        assert_eq!(wire.broker.retained(), 0);
        assert_eq!(wire.take_payloads(&mut client), [""], "it is a message all the same");
        wire.subscribe(&mut client, "a/#", Q0);
        assert!(wire.take(&mut client).is_empty());
    }
}

#[test]
fn a_subscription_gets_all_retained_messages_that_match_each_once() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for topic in ["a", "a/b", "a/b/c", "x/b", "$hidden/b"] {
        wire.retain(&mut client, topic, topic);
    }
    for (filter, expected) in [
        ("#", vec!["a", "a/b", "a/b/c", "x/b"]),
        ("+/b", vec!["a/b", "x/b"]),
        ("a/#", vec!["a", "a/b", "a/b/c"]),
        ("a/b", vec!["a/b"]),
        ("$hidden/+", vec!["$hidden/b"]),
    ] {
        wire.subscribe(&mut client, filter, Q1);
        let mut taken = wire.take_payloads(&mut client);
        taken.sort();
        assert_eq!(taken, expected, "{filter}");
    }
}

#[test]
fn a_message_is_retained_under_the_topic_it_was_moved_to() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().transform = Some(Box::new(|message, now| {
        let changes = Changes { topic: Some("moved".into()), ..Changes::default() };
        Transformed::Forward(message.with(&changes, now))
    }));
    wire.retain(&mut client, "asked", "x");
    wire.script().transform = None;
    wire.subscribe(&mut client, "#", Q1);
    assert_eq!(wire.take(&mut client)[0].topic, "moved");
}

#[test]
fn a_transformer_decides_whether_a_message_is_retained() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().transform = Some(Box::new(|message, now| {
        let retain = Some(!message.retain());
        Transformed::Forward(message.with(&Changes { retain, ..Changes::default() }, now))
    }));
    wire.retain(&mut client, "a", "asked to");
    assert_eq!(wire.broker.retained(), 0);
    wire.publish(&mut client, "b", Q1, "not asked to");
    assert_eq!(wire.broker.retained(), 1);
}

#[test]
fn a_full_store_refuses_a_new_topic_and_nobody_gets_the_message() {
    let mut wire =
        Wire::bounded(BrokerLimits { max_retained_messages: 1, ..BrokerLimits::default() });
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.retain(&mut client, "a", "1");
    wire.subscribe(&mut client, "b", Q1);
    for qos in [Q1, Q2] {
        let retained = Publish { retain: true, qos, ..message("b", "x") };
        assert_eq!(wire.publish_with(&mut client, retained), ReasonCode::QuotaExceeded);
    }
    assert!(wire.take(&mut client).is_empty());
    assert_eq!(client.told.0.as_deref(), Some("retained store is full"));
    wire.retain(&mut client, "a", "2");
    assert_eq!(wire.broker.retained(), 1);
}

#[test]
fn who_cannot_be_told_that_the_store_is_full_is_heard_by_those_who_are_there() {
    for version in VERSIONS {
        let mut wire =
            Wire::bounded(BrokerLimits { max_retained_messages: 1, ..BrokerLimits::default() });
        let mut client = wire.connect(&clean(version, "c"));
        wire.retain(&mut client, "a", "1");
        wire.subscribe(&mut client, "b", Q2);
        let told: &[_] = if version == Version::V5 { &[Q0] } else { &[Q0, Q1, Q2] };
        for qos in told {
            let retained = Publish { retain: true, qos: *qos, ..message("b", "x") };
            assert_eq!(wire.publish_with(&mut client, retained), ReasonCode::Success);
            let got = wire.take(&mut client);
            assert_eq!(got.len(), 1, "{version:?} {qos:?}");
            assert!(!got[0].retain);
        }
        assert_eq!(wire.broker.retained(), 1);
        assert_eq!(wire.lane.counters.not_retained, told.len() as u64);

        let will = Will { retain: true, ..will("b", "gone") };
        let dying = wire.connect(&Connect { will: Some(will), ..clean(version, "w") });
        wire.lose(dying);
        assert_eq!(wire.take_payloads(&mut client), ["gone"]);
        assert_eq!(wire.broker.retained(), 1);
    }
}

#[test]
fn a_retained_message_counts_down_and_is_then_forgotten() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.publish_with(&mut client, Publish { retain: true, ..expiring("a", "x", 10) });
    wire.pass(7_500);
    wire.subscribe(&mut client, "a", Q1);
    assert_eq!(wire.take(&mut client)[0].expiry, Some(3));
    wire.pass(2_500);
    wire.subscribe(&mut client, "a", Q1);
    assert!(wire.take(&mut client).is_empty());
    assert_eq!(wire.broker.retained(), 1);
    wire.broker.expire_retained(wire.now);
    assert_eq!(wire.broker.retained(), 0);
}

#[test]
fn a_message_whose_time_is_over_is_not_delivered() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        let mut subscriber = wire.connect(&stored(version, "s"));
        wire.subscribe(&mut subscriber, "a", Q1);
        wire.lose(subscriber);
        for (payload, seconds) in [("short", 5), ("long", 60), ("none", 0)] {
            wire.publish_with(&mut publisher, expiring("a", payload, seconds));
        }
        wire.publish(&mut publisher, "a", Q1, "for ever");
        wire.pass(5_000);
        let mut subscriber = wire.connect(&stored(version, "s"));
        let taken = wire.take(&mut subscriber);
        let seen: Vec<_> = taken.iter().map(|got| (got.payload.as_str(), got.expiry)).collect();
        let left = (version == Version::V5).then_some(55);
        assert_eq!(seen, [("long", left), ("for ever", None)]);
    }
}

#[test]
fn a_message_that_expired_in_the_queue_takes_no_place_in_the_window() {
    let mut wire = Wire::new();
    wire.limits.max_inflight = 1;
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "a", Q1);
    wire.publish_with(&mut publisher, expiring("a", "late", 1));
    wire.publish(&mut publisher, "a", Q1, "in time");
    wire.pass(1_000);
    assert!(wire.pump(&mut subscriber).is_empty());
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["in time"]);
}

#[test]
fn a_message_sent_before_its_time_was_over_is_seen_through() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "a", Q1);
    wire.publish_with(&mut publisher, expiring("a", "x", 5));
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["x"]);
    wire.lose(subscriber);
    wire.pass(60_000);
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    let again = wire.take(&mut subscriber);
    assert_eq!((again.len(), again[0].dup, again[0].expiry), (1, true, Some(0)));
}

#[test]
fn properties_travel_with_live_and_retained_messages() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let mut properties = MessagePropertiesBuf::new();
    for (name, value) in [("k", "1"), ("k", "2"), ("a", "")] {
        properties.add_user_property(name, value).unwrap();
    }
    wire.subscribe(&mut client, "a", Q1);
    let message = Publish {
        retain: true,
        properties: PublishProperties {
            message: properties.as_view(),
            ..PublishProperties::default()
        },
        ..message("a", "x")
    };
    wire.publish_with(&mut client, message);
    wire.subscribe(&mut client, "a", Q1);
    let taken = wire.take(&mut client);
    assert_eq!(taken.len(), 2);
    for got in taken {
        let pairs: Vec<_> =
            got.user_properties.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("k", "1"), ("k", "2"), ("a", "")]);
    }
}

#[test]
fn a_clients_own_retained_message_is_not_sent_where_it_wants_nothing_of_its_own() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let mut other = wire.connect(&clean(Version::V5, "o"));
    wire.retain(&mut client, "a/own", "own");
    wire.retain(&mut other, "a/other", "other");
    let no_local = Subscription { no_local: true, ..Subscription::new("a/+", Q1) };
    wire.subscribe_with(&mut client, no_local, None);
    assert_eq!(wire.take_payloads(&mut client), ["other"]);
}
