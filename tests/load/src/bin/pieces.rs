//! Runs one piece of the road of a message a number of times, so that callgrind can count its instructions: each piece
//! is one function whose name begins with `counted_`, and only what happens below it is collected. Everything it needs
//! is made outside of it.

// This package is a test: a broken assumption of its own has to stop it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::hint::black_box;
use std::sync::Arc;

use wasmqtt_codec::{
    Connect, MessagePropertiesBuf, Next, Packet, PacketId, Publish, PublishProperties, QoS,
    Subscribe, Subscription, UserProperties, Version, decode, frame,
};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::{Connection, Inbound, handshake};
use wasmqtt_core::judge::{AllowAll, Identity};
use wasmqtt_core::limits::{BrokerLimits, Limits};
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::time::Moment;

const NOW: Moment = Moment(1_000_000);
const PAYLOAD: [u8; 64] = [b'a'; 64];
const TOPIC: &str = "bench/7/telemetry";
/// Subscribers of one topic.
const MANY: usize = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(piece), Some(times)) = (arguments.next(), arguments.next()) else {
        panic!("wasmqtt-load-pieces PIECE TIMES");
    };
    let times: usize = times.parse().expect("how often");
    match piece.as_str() {
        "decode" => decoding(Version::V311, 0, times),
        "decode-properties" => decoding(Version::V5, 3, times),
        "encode" => encoding(Version::V311, 0, times),
        "encode-properties" => encoding(Version::V5, 3, times),
        "route-memo" => Road::new(Version::V311, 1).publishing(QoS::AtMostOnce, false, times),
        "route-trie" => Road::new(Version::V311, 1).publishing(QoS::AtMostOnce, true, times),
        "route-many" => Road::new(Version::V311, MANY).publishing(QoS::AtMostOnce, false, times),
        "route-qos1" => Road::new(Version::V311, 1).publishing(QoS::AtLeastOnce, false, times),
        "pump" => Road::new(Version::V311, 1).pumping(QoS::AtMostOnce, times),
        "pump-qos1" => Road::new(Version::V311, 1).pumping(QoS::AtLeastOnce, times),
        "pump-properties" => Road::new(Version::V5, 1).pumping(QoS::AtMostOnce, times),
        other => panic!("no piece {other}"),
    }
}

fn properties(number: usize) -> MessagePropertiesBuf {
    let mut properties = MessagePropertiesBuf::new();
    let all = [("region", "eu"), ("unit", "celsius"), ("sensor", "hall-7/a")];
    for (name, value) in all.iter().take(number) {
        properties.add_user_property(name, value).unwrap();
    }
    properties
}

fn publish<'a>(properties: &'a MessagePropertiesBuf, qos: QoS) -> Publish<'a> {
    let message = properties.as_view();
    Publish {
        dup: false,
        qos,
        retain: false,
        topic: TOPIC,
        packet_id: (qos != QoS::AtMostOnce).then_some(PacketId::MIN),
        properties: PublishProperties { message, ..PublishProperties::default() },
        payload: &PAYLOAD,
    }
}

fn bytes(packet: &Packet<'_>, version: Version) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}

fn whole(bytes: &[u8]) -> wasmqtt_codec::Frame<'_> {
    match frame::next(bytes, frame::MAX_PACKET_SIZE) {
        Ok(Next::Whole { frame, .. }) => frame,
        other => panic!("{other:?}"),
    }
}

fn decoding(version: Version, number: usize, times: usize) {
    let properties = properties(number);
    let bytes = bytes(&Packet::Publish(publish(&properties, QoS::AtMostOnce)), version);
    for _ in 0..times {
        counted_decode(version, black_box(&bytes));
    }
}

#[inline(never)]
fn counted_decode(version: Version, bytes: &[u8]) {
    black_box(decode(version, whole(bytes)).unwrap());
}

fn encoding(version: Version, number: usize, times: usize) {
    let properties = properties(number);
    let publish = publish(&properties, QoS::AtMostOnce);
    let mut out = Vec::with_capacity(1024);
    for _ in 0..times {
        out.clear();
        counted_encode(black_box(&publish), version, &mut out);
    }
}

#[inline(never)]
fn counted_encode(publish: &Publish<'_>, version: Version, out: &mut Vec<u8>) {
    publish.encode(version, out).unwrap();
    black_box(out);
}

/// A broker with one worker, a publisher, and subscribers of its topic.
struct Road {
    broker: Broker,
    lane: Lane,
    version: Version,
    publisher: Connection,
    subscribers: Vec<Connection>,
    /// Subscribes and unsubscribes, so that what routing remembers is void.
    other: Connection,
    out: Vec<u8>,
    deliveries: Vec<Delivery>,
}

impl Road {
    fn new(version: Version, subscribers: usize) -> Self {
        let broker = Broker::new(BrokerLimits::default(), 7);
        let mut lane = Lane::new(Box::new(AllowAll));
        let publisher = enter(&broker, &mut lane, version, "publisher");
        let other = enter(&broker, &mut lane, version, "other");
        let subscribers: Vec<Connection> = (0..subscribers)
            .map(|i| enter(&broker, &mut lane, version, &format!("subscriber{i}")))
            .collect();
        let (out, deliveries) = (Vec::with_capacity(64 * 1024), Vec::with_capacity(1024));
        let mut road =
            Self { broker, lane, version, publisher, subscribers, other, out, deliveries };
        // Others, so that the trie is not empty but for them.
        for i in 0..100 {
            road.subscribe_other(&format!("bench/{i}/telemetry/other"));
        }
        for i in 0..road.subscribers.len() {
            let Self { broker, lane, subscribers, out, .. } = &mut road;
            subscribe(broker, lane, &mut subscribers[i], TOPIC, version, out);
        }
        road
    }

    fn subscribe_other(&mut self, filter: &str) {
        let Self { broker, lane, other, out, version, .. } = self;
        subscribe(broker, lane, other, filter, *version, out);
    }

    fn publishing(mut self, qos: QoS, forgets: bool, times: usize) {
        let properties = properties(0);
        let bytes = bytes(&Packet::Publish(publish(&properties, qos)), self.version);
        for turn in 0..times + 1 {
            if forgets {
                self.subscribe_other(&format!("bench/{}/telemetry/more", turn % 50));
            }
            self.out.clear();
            // The first one is not counted: what is remembered afterwards is found out by it.
            if turn == 0 {
                self.uncounted_publish(&bytes);
            } else {
                let Self { broker, lane, publisher, out, .. } = &mut self;
                counted_publish(broker, lane, publisher, black_box(&bytes), out);
            }
            for i in 0..self.subscribers.len() {
                self.drain(i);
            }
        }
    }

    fn uncounted_publish(&mut self, bytes: &[u8]) {
        let Self { broker, lane, publisher, out, .. } = self;
        receive(broker, lane, publisher, bytes, out);
    }

    fn pumping(mut self, qos: QoS, times: usize) {
        let number = if self.version.has_properties() { 3 } else { 0 };
        let properties = properties(number);
        let bytes = bytes(&Packet::Publish(publish(&properties, qos)), self.version);
        for _ in 0..times {
            self.out.clear();
            self.uncounted_publish(&bytes);
            self.out.clear();
            let Self { broker, lane, subscribers, out, deliveries, .. } = &mut self;
            counted_pump(broker, lane, &mut subscribers[0], deliveries, out);
            assert!(!self.out.is_empty(), "nothing was delivered");
            self.acknowledge(0);
        }
    }

    fn drain(&mut self, index: usize) {
        self.out.clear();
        let Self { broker, lane, subscribers, out, deliveries, .. } = self;
        pump(broker, lane, &mut subscribers[index], deliveries, out);
        assert!(!self.out.is_empty(), "nothing was delivered");
        self.acknowledge(index);
    }

    /// Acknowledges what was delivered last, if it wants that.
    fn acknowledge(&mut self, index: usize) {
        let written = std::mem::take(&mut self.out);
        if let Packet::Publish(Publish { packet_id: Some(id), .. }) =
            decode(self.version, whole(&written)).unwrap()
        {
            let ack = wasmqtt_codec::Ack::new(id, wasmqtt_codec::ReasonCode::Success);
            let ack = bytes(&Packet::PubAck(ack), self.version);
            let inbound = self.subscribers[index].receive(NOW, whole(&ack), &mut self.out).unwrap();
            assert!(matches!(inbound, Inbound::Settled));
        }
        self.out = written;
    }
}

fn enter(broker: &Broker, lane: &mut Lane, version: Version, id: &str) -> Connection {
    let connect = bytes(&Packet::Connect(Box::new(Connect::new(version, id))), version);
    let hello =
        handshake::receive(whole(&connect), ListenerId(0), Transport::Tcp, "here:1").unwrap();
    let limits = Limits { max_subscriptions: 1_000, ..Limits::default() };
    let admission = broker.admit(lane, NOW, &hello, Identity::default(), &limits).expect("refused");
    handshake::open(NOW, &hello, admission, &mut Vec::new())
}

fn subscribe(
    broker: &Broker,
    lane: &mut Lane,
    connection: &mut Connection,
    filter: &str,
    version: Version,
    out: &mut Vec<u8>,
) {
    let packet = Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        subscription_identifier: None,
        user_properties: UserProperties::EMPTY,
        subscriptions: vec![Subscription::new(filter, QoS::AtLeastOnce)],
    });
    receive(broker, lane, connection, &bytes(&packet, version), out);
}

#[inline(never)]
fn counted_publish(
    broker: &Broker,
    lane: &mut Lane,
    connection: &mut Connection,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    receive(broker, lane, connection, bytes, out);
}

#[inline(always)]
fn receive(
    broker: &Broker,
    lane: &mut Lane,
    connection: &mut Connection,
    bytes: &[u8],
    out: &mut Vec<u8>,
) {
    let who = Arc::clone(connection.client());
    let session = Arc::clone(connection.session());
    match connection.receive(NOW, whole(bytes), out).unwrap() {
        Inbound::Publish(publication) => {
            let (id, qos) = (publication.packet_id, publication.parts.qos);
            let published = broker.publish(lane, NOW, &who, publication.parts);
            let outcome = published.as_ref().map(|published| published.reason());
            connection.acknowledge(id, qos, outcome, out).unwrap();
        }
        Inbound::Subscribe(subscribe) => {
            let id = subscribe.packet_id;
            let limits = Limits::default();
            let answer = broker.subscribe(lane, NOW, &who, &session, &limits, &subscribe);
            connection.subscribed(id, &answer, out);
        }
        other => panic!("{other:?}"),
    }
}

#[inline(never)]
fn counted_pump(
    broker: &Broker,
    lane: &mut Lane,
    connection: &mut Connection,
    deliveries: &mut Vec<Delivery>,
    out: &mut Vec<u8>,
) {
    pump(broker, lane, connection, deliveries, out);
}

#[inline(always)]
fn pump(
    broker: &Broker,
    lane: &mut Lane,
    connection: &mut Connection,
    deliveries: &mut Vec<Delivery>,
    out: &mut Vec<u8>,
) {
    let session = Arc::clone(connection.session());
    let who = Arc::clone(connection.client());
    let (owner, room) = (connection.attachment(), connection.room());
    broker.pull(lane, NOW, &session, owner, room, deliveries);
    broker.screen(lane, NOW, &who, deliveries);
    connection.pump(NOW, deliveries, out).unwrap();
}
