//! What a listener does not offer: said in CONNACK, and held to.

use wasmqtt_codec::{
    Connect, MessageProperties, Packet, Publish, PublishProperties, QoS, ReasonCode, Subscribe,
    Subscription, UserProperties, Version, Will,
};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::features::{Features, Versions};

use crate::wire::{
    Client, Offers, Q0, Q1, Q2, QOS, Refused, Sent, VERSIONS, Wire, clean, message, payloads,
    stored, will,
};

const NOT_UTF8: &[u8] = &[0x61, 0xff];

fn wire(features: Features) -> Wire {
    let mut wire = Wire::new();
    wire.limits.features = features;
    wire
}

fn is_told(client: &Client, answers: &[Sent], fault: &Fault) {
    let told = [Sent::Disconnect(fault.reason())];
    let told: &[Sent] = if client.version == Version::V5 { &told } else { &[] };
    assert_eq!((client.closed.as_ref(), answers), (Some(fault), told));
}

fn publish<'a>(client: &mut Client, publish: Publish<'a>) -> Packet<'a> {
    let packet_id = (publish.qos != Q0).then(|| client.fresh_id());
    Packet::Publish(Publish { packet_id, ..publish })
}

/// Declares a payload to be UTF-8.
fn text() -> MessageProperties<'static> {
    MessageProperties::from_pure(&[1, 1]).unwrap()
}

#[test]
fn connack_says_what_a_listener_does_not_offer_and_nothing_of_what_it_does() {
    let everything =
        Offers { max_qos: 2, retain: true, wildcards: true, identifiers: true, shared: true };
    assert_eq!(Wire::new().connect(&clean(Version::V5, "c")).welcome.offers, everything);
    let features = Features {
        max_qos: Q1,
        retain: false,
        wildcard_subscriptions: false,
        subscription_identifiers: false,
        shared_subscriptions: false,
        ..Features::default()
    };
    let offers = Offers { max_qos: 1, ..Offers::default() };
    assert_eq!(wire(features).connect(&clean(Version::V5, "c")).welcome.offers, offers);
    let features = Features { max_qos: Q0, ..Features::default() };
    let offers = Offers { max_qos: 0, ..everything };
    assert_eq!(wire(features).connect(&clean(Version::V5, "c")).welcome.offers, offers);
}

#[test]
fn a_version_that_is_not_taken_is_refused_and_the_others_are_not() {
    let none = Versions { v31: false, v311: false, v5: false };
    for version in VERSIONS {
        let mut only = none;
        match version {
            Version::V31 => only.v31 = true,
            Version::V311 => only.v311 = true,
            Version::V5 => only.v5 = true,
        }
        let mut wire = wire(Features { versions: only, ..Features::default() });
        for other in VERSIONS {
            let refused = wire.try_connect(&clean(other, "c")).err().map(|refused| refused.code);
            let expected = (other != version).then_some(ReasonCode::UnsupportedProtocolVersion);
            assert_eq!(refused, expected);
        }
    }
}

#[test]
fn a_publication_above_the_maximum_qos_closes_the_connection() {
    for version in VERSIONS {
        for max_qos in [Q0, Q1] {
            for qos in QOS {
                let mut wire = wire(Features { max_qos, ..Features::default() });
                let mut watcher = wire.connect(&clean(version, "w"));
                wire.subscribe(&mut watcher, "a", Q2);
                let mut client = wire.connect(&clean(version, "c"));
                let packet = publish(&mut client, Publish { qos, ..message("a", "x") });
                let answers = wire.send(&mut client, &packet);
                let arrived = usize::from(qos <= max_qos);
                assert_eq!(wire.take(&mut watcher).len(), arrived);
                match qos <= max_qos {
                    true => assert_eq!(client.closed, None),
                    false => is_told(&client, &answers, &Fault::QosNotSupported),
                }
            }
        }
    }
}

#[test]
fn a_subscription_is_granted_the_maximum_qos_at_most() {
    for version in VERSIONS {
        let mut wire = wire(Features { max_qos: Q1, ..Features::default() });
        let mut client = wire.connect(&clean(version, "c"));
        for (asked, granted) in [(Q0, Q0), (Q1, Q1), (Q2, Q1)] {
            let code = wire.subscribe(&mut client, "a", asked);
            assert_eq!(code, ReasonCode::granted(granted));
        }
        wire.limits.features.max_qos = Q2;
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.publish(&mut publisher, "a", Q2, "x");
        assert_eq!(wire.take(&mut client)[0].qos, Q1);
    }
}

#[test]
fn a_will_beyond_what_is_offered_is_refused_and_costs_nobody_the_session() {
    let spoiled = Will { payload: NOT_UTF8, properties: text(), ..will("w", "") };
    for (left, code) in [
        (Will { qos: Q2, ..will("w", "x") }, ReasonCode::QoSNotSupported),
        (Will { retain: true, ..will("w", "x") }, ReasonCode::RetainNotSupported),
        (spoiled, ReasonCode::PayloadFormatInvalid),
    ] {
        let features = Features { max_qos: Q1, retain: false, ..Features::default() };
        let mut wire = wire(features);
        let mut first = wire.connect(&clean(Version::V5, "c"));
        let connect = Connect { will: Some(left), ..clean(Version::V5, "c") };
        let refused = wire.try_connect(&connect).err().expect("let in");
        assert_eq!(refused.code, code);
        assert!(refused.reason.is_some());
        assert!(wire.pump(&mut first).is_empty());
        wire.limits.features = Features { validate_payload_format: false, ..Features::default() };
        wire.connect(&connect);
    }
    let mut wire = wire(Features { max_qos: Q0, ..Features::default() });
    for version in [Version::V31, Version::V311] {
        let connect = Connect { will: Some(will("w", "x")), ..clean(version, "c") };
        let refused = wire.try_connect(&connect).err();
        assert_eq!(refused, Some(Refused { code: ReasonCode::NotAuthorized, reason: None }));
    }
}

#[test]
fn without_retain_nothing_is_taken_to_be_retained_and_nothing_retained_is_sent() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut elsewhere = wire.connect(&clean(version, "elsewhere"));
        wire.retain(&mut elsewhere, "a", "kept");
        wire.limits.features.retain = false;
        let mut client = wire.connect(&clean(version, "c"));
        assert_eq!(wire.subscribe(&mut client, "a", Q1), ReasonCode::GrantedQoS1);
        assert!(wire.take(&mut client).is_empty());
        wire.publish(&mut elsewhere, "a", Q1, "live");
        assert_eq!(wire.take_payloads(&mut client), ["live"]);
        let packet = publish(&mut client, Publish { retain: true, ..message("a", "") });
        let answers = wire.send(&mut client, &packet);
        is_told(&client, &answers, &Fault::RetainNotSupported);
        assert_eq!(wire.broker.retained(), 1);
    }
}

#[test]
fn filters_that_are_not_offered_are_refused_one_by_one() {
    let features = Features {
        wildcard_subscriptions: false,
        shared_subscriptions: false,
        ..Features::default()
    };
    let filters = ["a", "a/+", "#", "$share/g/a", "$share/g/#", "$SYS/a"];
    for version in VERSIONS {
        let mut wire = wire(features);
        let mut client = wire.connect(&clean(version, "c"));
        let packet = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: None,
            user_properties: UserProperties::EMPTY,
            subscriptions: filters.map(|filter| Subscription::new(filter, Q0)).to_vec(),
        });
        let (mut wild, mut shared) = (
            ReasonCode::WildcardSubscriptionsNotSupported,
            ReasonCode::SharedSubscriptionsNotSupported,
        );
        if version != Version::V5 {
            (wild, shared) = (ReasonCode::UnspecifiedError, ReasonCode::UnspecifiedError);
        }
        let codes = [ReasonCode::Success, wild, wild, shared, shared, ReasonCode::Success];
        assert_eq!(wire.send(&mut client, &packet), [Sent::SubAck(codes.to_vec())]);
        assert_eq!(wire.broker.subscriptions(), 2);
        assert_eq!(client.closed, None);
    }
}

#[test]
fn a_subscription_identifier_that_is_not_offered_closes_the_connection() {
    let mut wire = wire(Features { subscription_identifiers: false, ..Features::default() });
    let mut client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(wire.subscribe(&mut client, "a", Q0), ReasonCode::Success);
    let packet = Packet::Subscribe(Subscribe {
        packet_id: client.fresh_id(),
        subscription_identifier: 7.try_into().ok(),
        user_properties: UserProperties::EMPTY,
        subscriptions: vec![Subscription::new("b", Q0)],
    });
    let answers = wire.send(&mut client, &packet);
    is_told(&client, &answers, &Fault::SubscriptionIdentifiersNotSupported);
}

fn declared(qos: QoS, payload: &'static [u8]) -> Publish<'static> {
    let properties = PublishProperties { message: text(), ..PublishProperties::default() };
    Publish { qos, properties, payload, ..message("a", "") }
}

#[test]
fn a_payload_that_is_not_what_it_is_declared_to_be_is_refused_and_the_next_is_not() {
    for qos in [Q1, Q2] {
        let mut wire = Wire::new();
        let mut watcher = wire.connect(&clean(Version::V5, "w"));
        wire.subscribe(&mut watcher, "a", Q2);
        let mut client = wire.connect(&stored(Version::V5, "c"));
        for _ in 0..2 {
            let code = wire.publish_with(&mut client, declared(qos, NOT_UTF8));
            assert_eq!(code, ReasonCode::PayloadFormatInvalid);
            assert!(client.told.0.is_some());
        }
        let session = wire.broker.session("c").unwrap();
        assert!(session.state.lock().received.is_empty(), "the identifier is free again");
        assert_eq!(wire.publish_with(&mut client, declared(qos, b"good")), ReasonCode::Success);
        assert_eq!(wire.take_payloads(&mut watcher), ["good"]);
    }
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let answers = wire.send(&mut client, &Packet::Publish(declared(Q0, NOT_UTF8)));
    is_told(&client, &answers, &Fault::PayloadFormatInvalid);
}

#[test]
fn a_payload_is_looked_at_only_where_it_is_wanted_and_declared() {
    let undeclared = Publish { payload: NOT_UTF8, qos: Q1, ..message("a", "") };
    let mut wire = Wire::new();
    for version in VERSIONS {
        let mut client = wire.connect(&clean(version, "c"));
        let code = wire.publish_with(&mut client, undeclared);
        assert!(!code.is_error());
    }
    wire.limits.features.validate_payload_format = false;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for qos in QOS {
        assert!(!wire.publish_with(&mut client, declared(qos, NOT_UTF8)).is_error());
    }
    assert_eq!(payloads(&client.inbox()), Vec::<String>::new());
    assert_eq!(client.closed, None);
}
