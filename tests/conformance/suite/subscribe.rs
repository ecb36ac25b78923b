//! SUBSCRIBE and SUBACK, and what overlapping subscriptions make of a message.

use crate::harness::{BOTH, Broker, Client, Outgoing, Packet, Version, frame, packet, prop, text};

/// v5: 3.8.4-1, 3.8.4-2, 2.2.1-6; v3: 3.8.4-1, 3.8.4-2, 2.3.1-3, 2.3.1-7
#[test]
fn a_subscribe_is_answered_under_its_identifier() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for id in [1, 255, 256, 65_535] {
            client.send(&packet::subscribe(version, id, &[("a", 0)], &[]));
            match client.receive() {
                Packet::SubAck { id: answered, codes, .. } => {
                    assert_eq!((answered, codes), (id, vec![0]))
                }
                other => panic!("{other:?}"),
            }
            client.send(&packet::unsubscribe(version, id, &["a"]));
            match client.receive() {
                Packet::UnsubAck { id: answered, .. } => assert_eq!(answered, id),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// v5: 3.8.4-5, 3.8.4-6, 3.8.4-7, 3.9.3-1, 3.9.3-2; v3: 3.8.4-4, 3.9.3-1, 3.9.3-2
#[test]
fn each_filter_has_its_code_in_order_and_the_good_ones_count() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let filters = [("a", 2), ("b/#/c", 1), ("c", 0), ("d+", 0), ("e/+", 1), ("$share//x", 0)];
        let bad = if version == Version::V5 { 0x8F } else { 0x80 };
        assert_eq!(client.subscribe(&filters, &[]), [2, bad, 0, bad, 1, bad]);
        for topic in ["a", "c", "e/f"] {
            client.say(topic, topic, 0);
            assert_eq!(client.message().text(), topic);
        }
    }
}

/// v5: 3.8.4-8; v3: 3.3.5-1
#[test]
fn a_message_is_delivered_with_the_lower_qos_of_both() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for granted in 0..=2 {
            client.sub("qos", granted);
            for published in 0..=2 {
                client.say("qos", "x", published);
                assert_eq!(client.message().qos, published.min(granted));
            }
        }
    }
}

/// v5: 3.8.1-1, 2.1.3-1; v3: 3.8.1-1, 2.2.2-1, 2.2.2-2
#[test]
fn reserved_flags_of_subscribe_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let good = packet::subscribe(version, 1, &[("a", 0)], &[]);
        for flags in (0..16).filter(|flags| *flags != 2) {
            let bytes = [&[0x80 | flags], &good[1..]].concat();
            broker.client(version, "flags").fault(&bytes, 0x81);
        }
    }
}

/// v5: 3.8.3-2; v3: 3.8.3-3
#[test]
fn a_subscribe_without_a_filter_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let bytes = packet::subscribe(version, 1, &[], &[]);
        broker.client(version, "empty").fault(&bytes, 0x82);
    }
}

/// v5: 3.8.3-5; v3: 3-8.3-4
#[test]
fn reserved_bits_of_the_options_are_malformed() {
    let broker = Broker::start();
    for (version, bits) in [(Version::V311, 2..8), (Version::V5, 6..8)] {
        for bit in bits {
            let bytes = packet::subscribe(version, 1, &[("ok", 0), ("a", 1 << bit)], &[]);
            broker.client(version, "bits").fault(&bytes, 0x81);
        }
    }
}

/// v3: 3-8.3-4
#[test]
fn qos_3_and_retain_handling_3_are_protocol_errors() {
    let broker = Broker::start();
    for version in BOTH {
        let bytes = packet::subscribe(version, 1, &[("a", 3)], &[]);
        broker.client(version, "qos").fault(&bytes, 0x82);
    }
    let bytes = packet::subscribe(Version::V5, 1, &[("a", 0x30)], &[]);
    broker.client(Version::V5, "handling").fault(&bytes, 0x82);
}

#[test]
fn a_subscribe_that_is_cut_off_anywhere_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let good = packet::subscribe(version, 1, &[("abc", 0), ("def", 1)], &[]);
        let body = &good[2..];
        let head = 2 + version.block(&[]).len();
        for len in 0..body.len() {
            // At the ends of whole fields it is another packet.
            if len == head || len == head + 6 {
                continue;
            }
            broker.client(version, "cut").fault(&frame(0x82, &[&body[..len]]), 0x81);
        }
    }
}

/// v5: 3.8.3-3
#[test]
fn no_local_keeps_a_clients_own_messages_from_it() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    let mut other = broker.client(Version::V5, "other");
    client.sub("local", 2 | 0x04);
    other.sub("local", 2);
    client.say("local", "own", 2);
    assert_eq!(other.message().text(), "own");
    other.say("local", "foreign", 2);
    assert_eq!(client.message().text(), "foreign");
    client.hears_nothing();
    client.sub("local", 2);
    client.say("local", "now", 1);
    assert_eq!(client.message().text(), "now");
}

/// v5: 3.8.4-3, 3.8.4-4
#[test]
fn a_repeated_subscription_replaces_and_loses_nothing() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let mut publisher = broker.client(version, "publisher");
        for qos in [2, 0, 1] {
            client.sub("again", qos);
            publisher.say("again", "x", 2);
            assert_eq!(client.message().qos, qos);
            client.hears_nothing();
        }
        // While messages flow, the subscription is replaced again and again.
        for n in 0..50 {
            let bytes = Outgoing::new("again", n.to_string(), 1).bytes(version, n + 1);
            publisher.send(&bytes);
            client.send(&packet::subscribe(version, 1000 + n, &[("again", 1)], &[]));
        }
        for _ in 0..50 {
            assert!(matches!(client.next_other(), Packet::SubAck { .. }));
        }
        assert_eq!(client.texts(50), (0..50).map(|n| n.to_string()).collect::<Vec<_>>());
    }
}

/// What a client with these filters, QoS and subscription identifiers is sent for one message.
fn copies(client: &mut Client, publisher: &mut Client) -> Vec<(u8, Vec<u32>)> {
    publisher.say("over/lap", "x", 2);
    let mut copies = Vec::new();
    client.ping();
    client.say("end", "end", 2);
    loop {
        let message = client.message();
        if message.topic == "end" {
            return copies;
        }
        copies.push((message.qos, message.identifiers()));
    }
}

/// v5: 3.3.4-2, 3.3.4-3, 3.3.4-4; v3: 3.3.5-1
#[test]
fn overlapping_subscriptions_give_the_highest_qos_and_all_identifiers() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let mut publisher = broker.client(version, "publisher");
        client.sub("end", 2);
        client.subscribe(&[("over/#", 2)], &[prop::subscription_identifier(1)]);
        client.subscribe(&[("over/+", 1)], &[prop::subscription_identifier(268_435_455)]);
        client.subscribe(&[("over/lap", 0)], &[]);
        let identifiers = if version == Version::V5 { vec![1, 268_435_455] } else { Vec::new() };
        assert_eq!(copies(&mut client, &mut publisher), [(2, identifiers)]);
        client.unsubscribe(&["over/#"]);
        let identifiers = if version == Version::V5 { vec![268_435_455] } else { Vec::new() };
        assert_eq!(copies(&mut client, &mut publisher), [(1, identifiers)]);
    }
}

/// v5: 3.3.4-3
#[test]
fn a_subscription_identifier_can_be_replaced_and_taken_away() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    for identifier in [vec![7], vec![8], vec![]] {
        let props: Vec<_> = identifier.iter().map(|n| prop::subscription_identifier(*n)).collect();
        client.subscribe(&[("id", 0), ("id/+", 0)], &props);
        for topic in ["id", "id/x"] {
            client.say(topic, "x", 0);
            assert_eq!(client.message().identifiers(), identifier);
        }
    }
}

#[test]
fn a_subscription_identifier_of_zero_or_twice_is_a_protocol_error() {
    let broker = Broker::start();
    let one = prop::subscription_identifier(1);
    for props in [vec![prop::subscription_identifier(0)], vec![one.clone(), one]] {
        let bytes = packet::subscribe(Version::V5, 1, &[("a", 0)], &props);
        broker.client(Version::V5, "identifier").fault(&bytes, 0x82);
    }
    // Five bytes are no variable byte integer.
    let block = prop::raw_block(&[0x0B, 0x80, 0x80, 0x80, 0x80, 1]);
    let bytes = frame(0x82, &[&[0, 1], &block, &text("a"), &[0]]);
    broker.client(Version::V5, "identifier").fault(&bytes, 0x81);
}

/// v5: 3.8.3-1; v3: 3.8.3-1
#[test]
fn a_filter_that_is_not_utf_8_or_empty_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for (bytes, code) in
            [(&[0xFF][..], 0x81), (&[0], 0x81), (&[0xED, 0xA0, 0x80], 0x81), (&[], 0x81)]
        {
            let block = version.block(&[]);
            let sub = frame(0x82, &[&[0, 1], &block, &packet::binary(bytes), &[0]]);
            broker.client(version, "filter").fault(&sub, code);
        }
    }
}

/// v5: 3.2.2-10, 3.2.2-9; v3: 3.8.3-2
#[test]
fn every_qos_and_wildcards_are_granted() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for filter in ["a", "#", "+", "+/#", "a/+/c/#", "/", "//", "$SYS/#", "$share/g/+/#"] {
            for qos in 0..=2 {
                client.sub(filter, qos);
            }
        }
        assert!(!client.props.iter().any(|prop| prop.id() == 0x24), "Maximum QoS");
    }
}

#[test]
fn one_packet_may_carry_many_filters() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "many");
        let names: Vec<String> = (0..500).map(|n| format!("many/{n}")).collect();
        let filters: Vec<(&str, u8)> = names.iter().map(|name| (&name[..], 1)).collect();
        assert_eq!(client.subscribe(&filters, &[]), vec![1; 500]);
        client.say("many/499", "x", 1);
        assert_eq!(client.message().topic, "many/499");
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        client.unsubscribe(&names);
        client.say("many/499", "x", 1);
        client.hears_nothing();
    }
}

/// v5: 3.8.4-1; v3: 3.8.4-1
#[test]
fn messages_may_come_before_suback_but_retained_ones_come_behind_it() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.publish(&Outgoing::new("retained", "x", 1).retained());
        client.send(&packet::subscribe(version, 9, &[("retained", 0)], &[]));
        assert!(matches!(client.receive(), Packet::SubAck { id: 9, .. }));
        assert!(matches!(client.receive(), Packet::Publish(_)));
    }
}
