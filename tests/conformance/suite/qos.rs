//! The QoS handshakes, their identifiers, and what is sent again.

use crate::harness::{BOTH, Broker, Client, Hello, Outgoing, Packet, Version, packet};

/// A subscriber whose session lasts, and a publisher.
fn pair(broker: &Broker, version: Version, qos: u8) -> (Client, Client) {
    let mut subscriber = broker.connect(&Hello::resume(version, "subscriber", 60).clean());
    if version == Version::V311 {
        subscriber = broker.connect(&Hello::resume(version, "subscriber", 60));
    }
    subscriber.sub("qos", qos);
    (subscriber, broker.client(version, "publisher"))
}

fn again(broker: &Broker, version: Version) -> Client {
    let client = broker.connect(&Hello::resume(version, "subscriber", 60));
    assert!(client.present);
    client
}

/// v5: 2.2.1-4, 4.3.2-1, 4.3.2-2, 4.3.3-1, 4.3.3-2; v3: 2.3.1-4, 4.3.2-1, 4.3.3-1
#[test]
fn each_new_message_has_an_unused_identifier_and_no_dup() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 1..=2 {
            let (mut subscriber, mut publisher) = pair(&broker, version, qos);
            (0..20).for_each(|n| publisher.say("qos", &n.to_string(), qos));
            let mut ids = Vec::new();
            for n in 0..20 {
                let message = subscriber.unacknowledged();
                assert_eq!(message.text(), n.to_string());
                assert_eq!((message.qos, message.dup), (qos, false));
                assert!(message.id != 0 && !ids.contains(&message.id), "{ids:?} {}", message.id);
                ids.push(message.id);
            }
        }
    }
}

/// v5: 4.3.2-3, 4.4.0-1, 3.3.1-1; v3: 4.3.2-1, 4.4.0-1, 3.3.1.-1
#[test]
fn what_was_not_acknowledged_is_sent_again_with_dup_under_its_identifier() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 1..=2 {
            let (mut subscriber, mut publisher) = pair(&broker, version, qos);
            ["a", "b", "c"].iter().for_each(|text| publisher.say("qos", text, qos));
            let first: Vec<_> = (0..3).map(|_| subscriber.unacknowledged()).collect();
            // Nothing is sent again while the connection lasts.
            subscriber.hears_nothing_for(std::time::Duration::from_millis(500));
            subscriber.vanish();
            let mut subscriber = again(&broker, version);
            for before in &first {
                let now = subscriber.message();
                assert_eq!((now.id, now.text()), (before.id, before.text()));
                assert!(now.dup);
            }
            subscriber.disconnect();
            again(&broker, version).hears_nothing();
        }
    }
}

/// v5: 4.3.3-3, 4.3.3-4, 4.3.3-5, 4.3.3-6, 4.4.0-1; v3: 4.3.3-1, 4.4.0-1
#[test]
fn after_pubrec_only_pubrel_is_sent_again() {
    let broker = Broker::start();
    for version in BOTH {
        let (mut subscriber, mut publisher) = pair(&broker, version, 2);
        publisher.say("qos", "x", 2);
        let id = subscriber.unacknowledged().id;
        subscriber.send(&packet::pubrec(id));
        assert_eq!(subscriber.pub_rel(id).code, 0);
        subscriber.vanish();
        for _ in 0..2 {
            let mut subscriber = again(&broker, version);
            match subscriber.receive() {
                Packet::PubRel(ack) => assert_eq!((ack.id, ack.code), (id, 0)),
                other => panic!("{other:?}"),
            }
            subscriber.vanish();
        }
        let mut subscriber = again(&broker, version);
        subscriber.pub_rel(id);
        subscriber.send(&packet::pubcomp(id));
        subscriber.ping();
        subscriber.vanish();
        again(&broker, version).hears_nothing();
    }
}

/// v5: 4.3.3-10, 3.3.1-3; v3: 4.3.3-2
#[test]
fn a_repeated_qos_2_publication_is_acknowledged_again_and_delivered_once() {
    let broker = Broker::start();
    for version in BOTH {
        let (mut subscriber, mut publisher) = pair(&broker, version, 2);
        let message = Outgoing::new("qos", "once", 2);
        for again in [message.clone(), message.clone().dup(), message] {
            publisher.send(&again.bytes(version, 9));
            assert!(publisher.pub_rec(9).code < 0x80);
        }
        publisher.send(&packet::pubrel(9));
        assert_eq!(publisher.pub_comp(9).code, 0);
        assert_eq!(subscriber.message().text(), "once");
        subscriber.hears_nothing();
    }
}

/// v5: 4.3.3-10; v3: 4.3.3-2
#[test]
fn a_qos_2_publication_is_remembered_across_connections() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "watcher");
        subscriber.sub("qos", 0);
        let hello = Hello::resume(version, "sender", 60);
        let mut sender = broker.connect(&hello);
        let message = Outgoing::new("qos", "once", 2);
        sender.send(&message.bytes(version, 3));
        sender.pub_rec(3);
        sender.vanish();
        let mut sender = broker.connect(&hello);
        sender.send(&message.dup().bytes(version, 3));
        sender.pub_rec(3);
        sender.send(&packet::pubrel(3));
        assert_eq!(sender.pub_comp(3).code, 0);
        assert_eq!(subscriber.message().text(), "once");
        subscriber.hears_nothing();
    }
}

/// v5: 4.3.3-12, 4.3.2-5; v3: 4.3.2-2, 4.3.3-2
#[test]
fn an_identifier_is_new_again_once_the_handshake_is_over() {
    let broker = Broker::start();
    for version in BOTH {
        let (mut subscriber, mut publisher) = pair(&broker, version, 2);
        for text in ["1", "2"] {
            publisher.send(&Outgoing::new("qos", text, 1).dup().bytes(version, 5));
            publisher.pub_ack(5);
        }
        for text in ["3", "4"] {
            publisher.send(&Outgoing::new("qos", text, 2).dup().bytes(version, 5));
            publisher.pub_rec(5);
            publisher.send(&packet::pubrel(5));
            publisher.pub_comp(5);
        }
        assert_eq!(subscriber.texts(4), ["1", "2", "3", "4"]);
    }
}

/// v5: 4.3.3-11, 3.6.2-1, 3.7.2-1; v3: 4.3.3-2
#[test]
fn a_release_of_an_unknown_identifier_is_completed_all_the_same() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "release");
        client.send(&packet::pubrel(77));
        let code = if version == Version::V5 { 0x92 } else { 0 };
        assert_eq!(client.pub_comp(77).code, code);
        client.send(&packet::pubrec(78));
        assert_eq!(client.pub_rel(78).code, code);
        // Acknowledgements of nothing are no reason to close.
        client.send(&[packet::puback(79), packet::pubcomp(80)].concat());
        client.ping();
    }
}

/// v5: 3.6.2-1
#[test]
fn a_release_with_a_reason_code_is_completed() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = pair(&broker, Version::V5, 2);
    publisher.send(&Outgoing::new("qos", "x", 2).bytes(Version::V5, 6));
    publisher.pub_rec(6);
    publisher.send(&packet::ack_with(0x62, 6, 0x92));
    assert_eq!(publisher.pub_comp(6).code, 0);
    let id = subscriber.unacknowledged().id;
    subscriber.send(&packet::pubrec(id));
    subscriber.pub_rel(id);
    subscriber.send(&packet::ack_with(0x70, id, 0x92));
    subscriber.hears_nothing();
    subscriber.vanish();
    again(&broker, Version::V5).hears_nothing();
}

/// v5: 4.4.0-2, 4.3.3-4
#[test]
fn what_a_subscriber_refuses_is_done_and_not_sent_again() {
    let broker = Broker::start();
    for (qos, first) in [(1, 0x40), (2, 0x50)] {
        let (mut subscriber, mut publisher) = pair(&broker, Version::V5, qos);
        for code in [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99] {
            publisher.say("qos", "unwanted", qos);
            let id = subscriber.unacknowledged().id;
            subscriber.send(&packet::ack_with(first, id, code));
            subscriber.hears_nothing();
        }
        subscriber.vanish();
        again(&broker, Version::V5).hears_nothing();
    }
}

/// v5: 4.3.3-9
#[test]
fn an_identifier_whose_publication_was_refused_is_new_again() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = pair(&broker, Version::V5, 2);
    for text in ["1", "2"] {
        publisher.send(&Outgoing::new("$SYS/mine", "x", 2).bytes(Version::V5, 8));
        assert_eq!(publisher.pub_rec(8).code, 0x87);
        publisher.send(&Outgoing::new("qos", text, 2).bytes(Version::V5, 8));
        assert_eq!(publisher.pub_rec(8).code, 0);
        publisher.send(&packet::pubrel(8));
        assert_eq!(publisher.pub_comp(8).code, 0);
        assert_eq!(subscriber.message().text(), text);
    }
    subscriber.hears_nothing();
}

/// v5: 4.3.2-3, 4.3.3-5; v3: 4.3.2-1, 4.3.3-1
#[test]
fn an_acknowledgement_of_the_wrong_kind_acknowledges_nothing() {
    let broker = Broker::start();
    for version in BOTH {
        let (mut subscriber, mut publisher) = pair(&broker, version, 2);
        publisher.say("qos", "one", 1);
        publisher.say("qos", "two", 2);
        let (one, two) = (subscriber.unacknowledged().id, subscriber.unacknowledged().id);
        subscriber.send(&[packet::pubcomp(one), packet::puback(two)].concat());
        subscriber.ping();
        subscriber.vanish();
        let mut subscriber = again(&broker, version);
        assert_eq!(subscriber.texts(2), ["one", "two"]);
    }
}

/// v5: 4.3.3-13, 4.3.3-7
#[test]
fn expiry_does_not_stop_a_qos_2_handshake_that_has_begun() {
    let broker = Broker::start();
    let (mut subscriber, mut publisher) = pair(&broker, Version::V5, 2);
    let message = Outgoing::new("qos", "short", 2).with(crate::harness::prop::message_expiry(3));
    publisher.send(&message.bytes(Version::V5, 4));
    publisher.pub_rec(4);
    let first = subscriber.unacknowledged();
    std::thread::sleep(std::time::Duration::from_millis(3500));
    subscriber.vanish();
    let mut subscriber = again(&broker, Version::V5);
    let second = subscriber.message();
    assert_eq!((second.id, second.dup, second.text()), (first.id, true, "short"));
    publisher.send(&packet::pubrel(4));
    assert_eq!(publisher.pub_comp(4).code, 0);
}

/// v5: 4.3.3-4; v3: 2.3.1-6
#[test]
fn releases_come_in_the_order_of_the_pubrecs() {
    let broker = Broker::start();
    for version in BOTH {
        let (mut subscriber, mut publisher) = pair(&broker, version, 2);
        (0..5).for_each(|n| publisher.say("qos", &n.to_string(), 2));
        let ids: Vec<u16> = (0..5).map(|_| subscriber.unacknowledged().id).collect();
        let all: Vec<u8> = ids.iter().rev().flat_map(|id| packet::pubrec(*id)).collect();
        subscriber.send(&all);
        ids.iter().rev().for_each(|id| drop(subscriber.pub_rel(*id)));
        ids.iter().for_each(|id| subscriber.send(&packet::pubcomp(*id)));
        subscriber.ping();
    }
}
