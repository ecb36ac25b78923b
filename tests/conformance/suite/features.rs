//! What a listener can be told not to offer: it is announced in CONNACK, and held to.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Prop, Version, Will, packet, prop};

const V5: Version = Version::V5;

/// v5: 3.2.2-9, 3.2.2-10, 3.2.2-11, 3.8.4-7
#[test]
fn a_maximum_qos_is_told_granted_at_most_and_held_to() {
    for most in 0..=1 {
        let broker = Broker::with_listener(&format!("max_qos = {most}"));
        let mut client = broker.client(V5, "client");
        assert!(client.props.contains(&Prop::Byte(0x24, most)), "{:?}", client.props);
        for version in BOTH {
            let mut client = broker.client(version, "client");
            let granted: Vec<u8> = (0..=2).map(|qos: u8| qos.min(most)).collect();
            assert_eq!(client.subscribe(&[("a", 0), ("b", 1), ("c", 2)], &[]), granted);
            client.say("c", "x", most);
            assert_eq!(client.message().qos, most);
        }
        for qos in most + 1..=2 {
            let bytes = Outgoing::new("a", "x", qos).bytes(V5, 1);
            broker.client(V5, "client").fault(&bytes, 0x9B);
        }
        client.send(&packet::PINGREQ);
    }
}

/// v5: 3.2.2-12
#[test]
fn a_will_above_the_maximum_qos_is_refused() {
    let broker = Broker::with_listener("max_qos = 1");
    let hello = |qos| Hello::new(V5, "client").will(Will::new("will", "x", qos));
    broker.connect(&hello(1)).ping();
    assert_eq!(broker.refusal(V5, &hello(2).bytes()), Some(0x9B));
}

/// v5: 3.2.2-13, 3.2.2-14
#[test]
fn a_listener_that_retains_nothing_says_so_and_refuses() {
    let broker = Broker::with_listener("retain = false");
    let client = broker.client(V5, "client");
    assert!(client.props.contains(&Prop::Byte(0x25, 0)), "{:?}", client.props);
    let bytes = Outgoing::new("a", "x", 1).retained().bytes(V5, 1);
    broker.client(V5, "client").fault(&bytes, 0x9A);
    let hello = Hello::new(V5, "client").will(Will::new("will", "x", 0).retained());
    assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x9A));
}

/// v3: 3.8.3-2
#[test]
fn a_listener_without_wildcards_refuses_filters_that_have_them() {
    let broker = Broker::with_listener("wildcard_subscriptions = false");
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let refused = if version == V5 { 0xA2 } else { 0x80 };
        let filters = [("a", 1), ("#", 1), ("a/+", 1), ("+", 0), ("$share/g/#", 0)];
        let codes = client.subscribe(&filters, &[]);
        assert_eq!(codes, [1, refused, refused, refused, refused]);
        assert_eq!(client.props.contains(&Prop::Byte(0x28, 0)), version == V5);
    }
}

#[test]
fn a_listener_without_shared_subscriptions_or_identifiers_refuses_them() {
    let broker =
        Broker::with_listener("shared_subscriptions = false\nsubscription_identifiers = false");
    let mut client = broker.client(V5, "client");
    for id in [0x29, 0x2A] {
        assert!(client.props.contains(&Prop::Byte(id, 0)), "{:?}", client.props);
    }
    assert_eq!(client.subscribe(&[("$share/g/a", 1), ("a", 1)], &[]), [0x9E, 1]);
    let bytes = packet::subscribe(V5, 9, &[("a", 0)], &[prop::subscription_identifier(1)]);
    client.fault(&bytes, 0xA1);
}

/// v5: 3.1.2-2; v3: 3.1.2-2
#[test]
fn a_version_that_a_listener_does_not_take_is_refused() {
    let broker = Broker::with_listener("protocols = [\"5.0\"]");
    let hello = Hello::new(Version::V311, "client");
    assert_eq!(broker.refusal(Version::V311, &hello.bytes()), Some(1));
    let broker = Broker::with_listener("protocols = [\"3.1.1\"]");
    assert_eq!(broker.refusal(V5, &Hello::new(V5, "client").bytes()), Some(0x84));
}

/// v5: 3.4.2-1, 3.5.2-1
#[test]
fn a_payload_that_is_declared_to_be_text_and_is_not_is_refused() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("format", 2);
    let message =
        |payload: &[u8], qos| Outgoing::new("format", payload, qos).with(prop::payload_format(1));
    for qos in 1..=2 {
        assert_eq!(client.publish(&message(&[0xFF, 0xFE], qos)), 0x99);
        assert_eq!(client.publish(&message("漢字".as_bytes(), qos)), 0);
        assert_eq!(client.message().text(), "漢字");
    }
    client.hears_nothing();
}
