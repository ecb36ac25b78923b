//! Clients that send thousands of small packets at once: they are dealt with a part at a time, in order, and completely.

use std::net::TcpStream;
use std::time::Duration;

use wasmqtt_codec::{Packet, PacketId, Publish, PublishProperties, QoS, Version};

use crate::harness::client::bytes;
use crate::harness::config::{LOSSLESS, OPEN};
use crate::harness::websocket::{BINARY, WebSocket, frame};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};
use crate::http::{free, judged, slowly};

/// More than one read takes, and than many parts.
const MANY: u16 = 10_000;

fn numbered(topic: &str, number: u16) -> Packet<'_> {
    Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        packet_id: PacketId::new(number),
        properties: PublishProperties::default(),
        payload: b"x",
    })
}

/// As many as there are, each with its own identifier.
fn flood(version: Version) -> Vec<u8> {
    let packets: Vec<Packet<'_>> = (1..=MANY).map(|number| numbered("a", number)).collect();
    bytes(version, &packets)
}

fn check_acknowledged(client: &mut Client, numbers: impl Iterator<Item = u16>) {
    for number in numbers {
        assert_eq!(client.puback().0.get(), number);
    }
}

#[test]
fn a_flood_of_small_packets_is_acknowledged_in_order_and_reaches_everybody() {
    let broker = Broker::start(&format!("{OPEN}{LOSSLESS}"));
    for version in [Version::V311, Version::V5] {
        let reader = Client::enter(broker.addr(), version, "reader");
        let mut reader = reader.subscribed("a", QoS::AtMostOnce);
        let mut loud = Client::enter(broker.addr(), version, "loud");
        // What is asked behind it is answered behind it.
        let behind = bytes(version, &[Packet::PingReq]);
        loud.send_bytes(&[flood(version), behind].concat());
        check_acknowledged(&mut loud, 1..=MANY);
        assert!(matches!(loud.receive().packet(), Packet::PingResp));
        for _ in 0..MANY {
            assert_eq!(reader.message().parts(), ("a", "x"));
        }
        assert!(!reader.has_heard());
    }
}

#[test]
fn a_flood_in_the_frames_of_a_websocket_is_acknowledged_completely() {
    let config = OPEN.replace("name = \"mqtt\"", "name = \"mqtt\"\nprotocol = \"ws\"");
    let broker = Broker::start(&format!("{config}{LOSSLESS}"));
    let stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut socket = WebSocket::open(stream, "mqtt");
    let connect = wasmqtt_codec::Connect::new(Version::V311, "loud");
    socket.send(BINARY, &bytes(Version::V311, &[Packet::Connect(Box::new(connect))]));
    let frames: Vec<u8> =
        flood(Version::V311).chunks(60_000).flat_map(|part| frame(BINARY, part)).collect();
    let mut sending = socket.stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || std::io::Write::write_all(&mut sending, &frames));
    // CONNACK and every PUBACK are four bytes long.
    let mut answers = Vec::new();
    while answers.len() < 4 * (1 + usize::from(MANY)) {
        answers.extend(socket.receive().unwrap().1);
    }
    sender.join().unwrap().unwrap();
    let numbers: Vec<u16> =
        answers.chunks(4).skip(1).map(|ack| u16::from_be_bytes([ack[2], ack[3]])).collect();
    assert!(numbers.into_iter().eq(1..=MANY));
}

#[test]
fn what_is_behind_a_packet_that_waits_for_its_judge_is_dealt_with_completely_afterwards() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "filters = [\"in/waits\"]");
    let mut reader = free(&broker, "reader", "in/#");
    let mut loud = Client::enter(broker.addr(), Version::V5, "slow");
    // More than a part before it, and more than several behind it, all of it read at once.
    let topics = |number| if number == 500 { "in/waits" } else { "in/a" };
    let packets: Vec<_> = (1..=2000).map(|number| numbered(topics(number), number)).collect();
    loud.send_bytes(&bytes(Version::V5, &packets));
    web.wait_for("/x/transform/slow", 1);
    check_acknowledged(&mut loud, 1..500);
    std::thread::sleep(Duration::from_millis(100));
    assert!(!loud.has_heard());
    barrier.open();
    check_acknowledged(&mut loud, 500..=2000);
    for number in 1..=2000 {
        assert_eq!(reader.message().topic, topics(number));
    }
}

#[test]
fn a_client_whose_connection_is_closed_in_the_middle_of_a_flood_reads_why() {
    let broker = Broker::start(OPEN);
    let mut loud = Client::enter(broker.addr(), Version::V5, "loud");
    let mut other =
        Client::enter(broker.addr(), Version::V5, "other").subscribed("b", QoS::AtMostOnce);
    // A packet that no client may send, and as much behind it as is heard out.
    let flood = flood(Version::V5);
    loud.send_bytes(&[&flood[..], &[0xF0 | 1, 0], &flood].concat());
    check_acknowledged(&mut loud, 1..=MANY);
    assert_eq!(loud.end(), Some(0x81));
    other.publish(&Outgoing::new("b", "still here"));
    assert_eq!(other.message().parts(), ("b", "still here"));
}
