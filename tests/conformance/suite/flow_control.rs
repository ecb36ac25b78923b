//! Receive Maximum, both ways.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Packet, Version, packet, prop};

const V5: Version = Version::V5;

/// v5: 3.3.4-7, 4.13.1-1
#[test]
fn more_open_qos_2_publications_than_allowed_close_the_connection() {
    let broker = Broker::with_limits("receive_maximum = 5");
    let mut client = broker.client(V5, "client");
    assert_eq!(prop::two(&client.props, prop::RECEIVE_MAXIMUM), Some(5));
    for id in 1..=6 {
        client.send(&Outgoing::new("a", "x", 2).bytes(V5, id));
    }
    assert_eq!(client.end(), Some(0x93));
}

/// v5: 3.3.4-7, 3.3.4-8, 4.9.0-3
#[test]
fn as_many_as_allowed_may_be_open_while_everything_else_goes_on() {
    let broker = Broker::with_limits("receive_maximum = 5");
    let mut client = broker.client(V5, "client");
    client.sub("a", 0);
    for id in 1..=5 {
        client.send(&Outgoing::new("a", "x", 2).bytes(V5, id));
        client.pub_rec(id);
    }
    client.ping();
    client.sub("b", 0);
    client.say("b", "y", 0);
    // A repetition is none more.
    client.send(&Outgoing::new("a", "x", 2).dup().bytes(V5, 5));
    client.pub_rec(5);
    client.send(&packet::pubrel(1));
    client.pub_comp(1);
    client.send(&Outgoing::new("a", "x", 2).bytes(V5, 6));
    client.pub_rec(6);
    // QoS 1 is answered at once, and so never open for long.
    let many: Vec<u8> =
        (100..200).flat_map(|id| Outgoing::new("c", "z", 1).bytes(V5, id)).collect();
    for id in 2..=6 {
        client.send(&packet::pubrel(id));
        client.pub_comp(id);
    }
    client.send(&many);
    (100..200).for_each(|id| drop(client.pub_ack(id)));
}

/// v5: 3.3.4-9, 4.9.0-1, 4.9.0-2, 3.3.4-10, 4.9.0-3
#[test]
fn the_broker_keeps_to_the_receive_maximum_of_the_client() {
    let broker = Broker::start();
    for qos in 1..=2 {
        let hello = Hello::new(V5, "client").with(prop::receive_maximum(2));
        let mut client = broker.connect(&hello);
        client.sub("flow", qos);
        client.sub("zero", 0);
        let mut publisher = broker.client(V5, "publisher");
        (0..6).for_each(|n| publisher.say("flow", &n.to_string(), qos));
        let mut open = vec![client.unacknowledged(), client.unacknowledged()];
        client.hears_nothing();
        // Everything else goes on.
        client.sub("more", 0);
        client.ping();
        for n in 2..6 {
            let done = open.remove(0);
            if qos == 1 {
                client.send(&packet::puback(done.id));
            } else {
                client.send(&packet::pubrec(done.id));
                client.pub_rel(done.id);
                client.hears_nothing();
                client.send(&packet::pubcomp(done.id));
            }
            let next = client.unacknowledged();
            assert_eq!(next.text(), n.to_string());
            open.push(next);
            client.hears_nothing();
        }
    }
}

/// v5: 3.3.4-9, 4.9.0-2
#[test]
fn a_refused_message_gives_its_place_back() {
    let broker = Broker::start();
    for (qos, first) in [(1, 0x40), (2, 0x50)] {
        let mut client = broker.connect(&Hello::new(V5, "client").with(prop::receive_maximum(1)));
        client.sub("flow", qos);
        let mut publisher = broker.client(V5, "publisher");
        (0..3).for_each(|n| publisher.say("flow", &n.to_string(), qos));
        for n in 0..3 {
            let message = client.unacknowledged();
            assert_eq!(message.text(), n.to_string());
            client.hears_nothing();
            client.send(&packet::ack_with(first, message.id, 0x80));
        }
    }
}

/// v5: 3.3.4-9, 4.4.0-1
#[test]
fn a_resumed_session_keeps_to_a_smaller_receive_maximum() {
    let broker = Broker::start();
    let mut client = broker.connect(&Hello::resume(V5, "client", 60));
    client.sub("flow", 1);
    let mut publisher = broker.client(V5, "publisher");
    (0..4).for_each(|n| publisher.say("flow", &n.to_string(), 1));
    let ids: Vec<u16> = (0..4).map(|_| client.unacknowledged().id).collect();
    client.vanish();
    let hello = Hello::resume(V5, "client", 60).with(prop::receive_maximum(1));
    let mut client = broker.connect(&hello);
    for id in ids {
        let message = client.unacknowledged();
        assert_eq!((message.id, message.dup), (id, true));
        client.hears_nothing();
        client.send(&packet::puback(id));
    }
    client.hears_nothing();
}

/// v5: 3.3.4-7, 4.13.1-1
#[test]
fn a_client_that_answers_while_it_is_sent_away_still_reads_why() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("a", 2);
    let most = prop::two(&client.props, prop::RECEIVE_MAXIMUM).unwrap();
    for id in 1..=most + 1 {
        client.send(&Outgoing::new("a", "x", 2).bytes(V5, id));
    }
    // What it answers meets a broker that is closing, which is no reason to lose the DISCONNECT.
    loop {
        match client.receive() {
            Packet::PubRec(ack) => client.send(&packet::pubrel(ack.id)),
            Packet::Publish(message) => client.send(&packet::pubrec(message.id)),
            Packet::Disconnect { code, .. } => return assert_eq!(code, 0x93),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_receive_maximum_of_zero_is_a_protocol_error() {
    let broker = Broker::start();
    let hello = Hello::new(V5, "zero").with(prop::receive_maximum(0));
    assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x82));
}

#[test]
fn a_thousand_messages_pass_a_window_of_one() {
    let broker = Broker::start();
    let mut client = broker.connect(&Hello::new(V5, "client").with(prop::receive_maximum(1)));
    client.sub("flow", 1);
    let mut publisher = broker.client(V5, "publisher");
    let all: Vec<u8> =
        (1..=500).flat_map(|n| Outgoing::new("flow", n.to_string(), 1).bytes(V5, n)).collect();
    publisher.send(&all);
    assert_eq!(client.texts(500), (1..=500).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_client_of_3_1_1_may_have_many_publications_open() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let all: Vec<u8> =
            (1..=1000).flat_map(|id| Outgoing::new("a", "x", 2).bytes(version, id)).collect();
        client.send(&all);
        (1..=1000).for_each(|id| drop(client.pub_rec(id)));
        let all: Vec<u8> = (1..=1000).flat_map(packet::pubrel).collect();
        client.send(&all);
        for id in 1..=1000 {
            assert!(
                matches!(client.receive(), Packet::PubComp(ack) if ack.id == id && ack.code == 0)
            );
        }
    }
}
