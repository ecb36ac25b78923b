//! PUBLISH from client to server and on to subscribers: flags, identifiers, topic and payload.

use crate::harness::{BOTH, Broker, Outgoing, Packet, Version, frame, packet, prop, text};

/// v5: 3.3.4-1, 4.3.2-4, 4.3.3-8, 4.3.3-11, 2.2.1-5; v3: 3.3.4-1, 2.3.1-6, 4.3.2-2, 4.3.3-2
#[test]
fn each_qos_is_answered_as_it_asks_for() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.send(&Outgoing::new("a", "0", 0).bytes(version, 0));
        client.hears_nothing();
        for id in [1, 2, 255, 256, 65_535] {
            client.send(&Outgoing::new("a", "1", 1).bytes(version, id));
            client.pub_ack(id);
            client.send(&Outgoing::new("a", "2", 2).bytes(version, id));
            client.pub_rec(id);
            client.send(&packet::pubrel(id));
            assert_eq!(client.pub_comp(id).code, 0);
        }
        client.hears_nothing();
    }
}

/// v5: 3.3.1-4; v3: 3.3.1-4
#[test]
fn qos_3_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for first in [0x36, 0x37, 0x3E, 0x3F] {
            let bytes = frame(first, &[&text("a"), &[0, 1], &version.block(&[]), b"x"]);
            broker.client(version, "qos").fault(&bytes, 0x81);
        }
    }
}

/// v5: 3.3.1-2; v3: 3.3.1-2
#[test]
fn dup_with_qos_0_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let bytes = Outgoing::new("a", "x", 0).dup().bytes(version, 0);
        broker.client(version, "dup").fault(&bytes, 0x81);
    }
}

/// v5: 2.2.1-3; v3: 2.3.1-1
#[test]
fn a_packet_identifier_of_zero_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [
            Outgoing::new("a", "x", 1).bytes(version, 0),
            Outgoing::new("a", "x", 2).bytes(version, 0),
            packet::subscribe(version, 0, &[("a", 0)], &[]),
            packet::unsubscribe(version, 0, &["a"]),
            packet::puback(0),
            packet::pubrec(0),
            packet::pubrel(0),
            packet::pubcomp(0),
        ] {
            broker.client(version, "zero").fault(&bytes, 0x82);
        }
    }
}

/// v5: 2.2.1-2, 4.3.1-1; v3: 2.3.1-5, 4.3.1-1
#[test]
fn qos_0_has_no_packet_identifier_in_either_direction() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "none");
        client.sub("a", 2);
        // Two bytes that look like an identifier are payload.
        let bytes = frame(0x30, &[&text("a"), &version.block(&[]), &[0, 7, b'x']]);
        client.send(&bytes);
        let message = client.message();
        assert_eq!((message.qos, message.dup), (0, false));
        assert_eq!(message.payload, [0, 7, b'x']);
    }
}

/// v5: 3.3.2-2, 4.7.0-1; v3: 3.3.2-2, 4.7.1-1
#[test]
fn a_wildcard_in_a_topic_name_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for topic in ["#", "+", "a/#", "a/+/b", "a#", "+b", "a/b+"] {
            for qos in 0..=2 {
                let bytes = Outgoing::new(topic, "x", qos).bytes(version, 1);
                broker.client(version, "wild").fault(&bytes, 0x90);
            }
        }
    }
}

/// v5: 4.7.3-1; v3: 4.7.3-1
#[test]
fn an_empty_topic_name_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let bytes = Outgoing::new("", "x", 1).bytes(version, 1);
        broker.client(version, "empty").fault(&bytes, 0x82);
    }
}

/// v5: 3.3.2-3, 4.5.0-1; v3: 3.3.2-3, 4.5.0-1
#[test]
fn a_message_reaches_those_whose_filters_match_and_nobody_else() {
    let broker = Broker::start();
    for version in BOTH {
        let mut exact = broker.client(version, "exact");
        exact.sub("sport/tennis", 0);
        let mut wild = broker.client(version, "wild");
        wild.sub("sport/+", 0);
        let mut other = broker.client(version, "other");
        other.sub("sport", 0);
        other.sub("sport/tennis/", 0);
        let mut publisher = broker.client(version, "publisher");
        publisher.say("sport/tennis", "x", 1);
        for client in [&mut exact, &mut wild] {
            assert_eq!(client.message().topic, "sport/tennis");
            client.hears_nothing();
        }
        other.hears_nothing();
    }
}

/// v5: 3.3.1-3; v3: 3.3.1-3
#[test]
fn the_dup_flag_of_the_publisher_is_not_passed_on() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "subscriber");
        subscriber.sub("a", 2);
        let mut publisher = broker.client(version, "publisher");
        for qos in 1..=2 {
            publisher.publish(&Outgoing::new("a", "x", qos).dup());
            let message = subscriber.message();
            assert_eq!((message.qos, message.dup), (qos, false));
        }
    }
}

#[test]
fn every_payload_is_passed_on_as_it_is() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "payload");
        client.sub("a", 2);
        let all: Vec<u8> = (0..=255).collect();
        for payload in [vec![], vec![0], all, vec![0xFF; 127], vec![0; 128], vec![7; 500_000]] {
            for qos in 0..=2 {
                client.publish(&Outgoing::new("a", payload.clone(), qos));
                assert_eq!(client.message().payload, payload);
            }
        }
    }
}

/// v5: 3.3.4-6
#[test]
fn a_subscription_identifier_from_a_client_is_a_protocol_error() {
    let broker = Broker::start();
    let bytes =
        Outgoing::new("a", "x", 0).with(prop::subscription_identifier(1)).bytes(Version::V5, 0);
    broker.client(Version::V5, "identifier").fault(&bytes, 0x82);
}

/// v5: 3.4.2-1, 3.5.2-1
#[test]
fn a_publication_that_nobody_wants_is_told_so() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "lonely");
    for qos in 1..=2 {
        assert_eq!(client.publish(&Outgoing::new("nobody", "x", qos)), 0x10);
    }
    client.sub("nobody", 0);
    for qos in 1..=2 {
        assert_eq!(client.publish(&Outgoing::new("nobody", "x", qos)), 0);
        assert_eq!(client.message().qos, 0);
    }
}

/// v5: 4.6.0-5, 4.6.0-6; v3: 4.6.0-6
#[test]
fn messages_of_a_topic_and_qos_arrive_in_the_order_they_were_sent() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "subscriber");
        subscriber.sub("order/#", 2);
        let mut publisher = broker.client(version, "publisher");
        for qos in 0..=2 {
            for number in 0..50 {
                let message = Outgoing::new("order/a", number.to_string(), qos);
                publisher.send(&message.bytes(version, number + 1));
            }
            let numbers: Vec<String> = (0..50).map(|number: u16| number.to_string()).collect();
            assert_eq!(subscriber.texts(50), numbers);
            for id in 1..=50 {
                match qos {
                    0 => {}
                    1 => drop(publisher.pub_ack(id)),
                    _ => drop(publisher.pub_rec(id)),
                }
            }
            for id in (1..=50).filter(|_| qos == 2) {
                publisher.send(&packet::pubrel(id));
                publisher.pub_comp(id);
            }
        }
    }
}

#[test]
fn acknowledgements_come_in_the_order_of_the_publications() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "order");
        let ids: Vec<u16> = (1..=100).map(|n| n * 37).collect();
        for qos in [1, 2] {
            let all: Vec<u8> = ids
                .iter()
                .flat_map(|id| Outgoing::new("a", "x", qos).bytes(version, *id))
                .collect();
            client.send(&all);
            for id in &ids {
                match client.receive() {
                    Packet::PubAck(ack) if qos == 1 => assert_eq!(ack.id, *id),
                    Packet::PubRec(ack) if qos == 2 => assert_eq!(ack.id, *id),
                    other => panic!("{other:?}"),
                }
            }
        }
        for id in &ids {
            client.send(&packet::pubrel(*id));
        }
        for id in &ids {
            client.pub_comp(*id);
        }
    }
}

#[test]
fn clients_of_both_versions_understand_each_other() {
    let broker = Broker::start();
    let mut old = broker.client(Version::V311, "old");
    let mut new = broker.client(Version::V5, "new");
    old.sub("to/old", 2);
    new.sub("to/new", 2);
    let message = Outgoing::new("to/old", "from 5", 2).with(prop::user("a", "b"));
    assert_eq!(new.publish(&message.with(prop::message_expiry(100))), 0);
    assert_eq!(old.message().text(), "from 5");
    old.say("to/new", "from 3", 1);
    let message = new.message();
    assert_eq!((message.text(), message.props.len()), ("from 3", 0));
}

#[test]
fn many_publishers_and_subscribers_at_once_lose_nothing() {
    let broker = Broker::with_limits("queue = { messages = 100000, bytes = \"64MiB\" }");
    for version in BOTH {
        let mut subscribers: Vec<_> =
            (0..4).map(|n| broker.client(version, &format!("subscriber {n}"))).collect();
        subscribers.iter_mut().for_each(|subscriber| subscriber.sub("many/#", 1));
        let mut publishers: Vec<_> =
            (0..4).map(|n| broker.client(version, &format!("publisher {n}"))).collect();
        for id in 1..=200 {
            for (n, publisher) in publishers.iter_mut().enumerate() {
                let message = Outgoing::new(&format!("many/{n}"), id.to_string(), 1);
                publisher.send(&message.bytes(version, id));
            }
        }
        for subscriber in &mut subscribers {
            let mut next = [1; 4];
            for _ in 0..800 {
                let message = subscriber.message();
                let n: usize = message.topic["many/".len()..].parse().unwrap();
                assert_eq!(message.text(), next[n].to_string(), "publisher {n}");
                next[n] += 1;
            }
            subscriber.hears_nothing();
        }
    }
}

/// v5: 2.2.2-1
#[test]
fn an_absent_property_length_is_malformed_and_its_own_is_never_absent() {
    let broker = Broker::start();
    broker.client(Version::V5, "absent").fault(&frame(0x30, &[&text("a")]), 0x81);
    let mut client = broker.client(Version::V5, "present");
    client.sub("a", 0);
    client.send(&Outgoing::new("a", "", 0).bytes(Version::V5, 0));
    assert_eq!(client.try_receive_bytes(), Some(vec![0x30, 4, 0, 1, b'a', 0]));
}
