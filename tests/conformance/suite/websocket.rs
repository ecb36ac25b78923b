//! MQTT over WebSocket.

use std::net::TcpStream;

use crate::harness::packet::{PINGREQ, subscribe};
use crate::harness::websocket::{BEGIN, BINARY, END, PING, PONG, TEXT, WebSocket};
use crate::harness::{BOTH, Broker, Hello, Outgoing, PATIENCE, Version};

fn broker() -> Broker {
    Broker::with_listener("protocol = \"ws\"")
}

fn open(broker: &Broker, subprotocol: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    WebSocket::open(stream, subprotocol)
}

/// Reads binary frames until there are so many bytes.
fn read(socket: &mut WebSocket<TcpStream>, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        let (first, payload) = socket.receive().expect("the broker closed the connection");
        assert_eq!(first, BINARY);
        bytes.extend(payload);
    }
    bytes
}

fn enter(broker: &Broker, version: Version, id: &str) -> WebSocket<TcpStream> {
    let mut socket = open(broker, "mqtt");
    socket.send(BINARY, &Hello::new(version, id).bytes());
    let answer = read(&mut socket, 4);
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
    socket
}

/// v5: 6.0.0-1; v3: 6.0.0-1
#[test]
fn packets_travel_in_binary_frames_and_text_closes_the_connection() {
    let broker = broker();
    for version in BOTH {
        let mut first = open(&broker, "mqtt");
        first.send(TEXT, &Hello::new(version, "text").bytes());
        assert_eq!(first.end(), Some(1003));
        // Also later, and when it is text in name only, and in several parts.
        for (kind, payload) in [(TEXT, &PINGREQ[..]), (TEXT, b""), (TEXT & 0x7f, b"par")] {
            let mut socket = enter(&broker, version, "client");
            socket.send(BINARY, &PINGREQ);
            assert_eq!(read(&mut socket, 2), [0xD0, 0]);
            socket.send(kind, payload);
            assert_eq!(socket.end(), Some(1003));
        }
    }
}

/// v5: 6.0.0-2; v3: 6.0.0-2
#[test]
fn packets_need_not_begin_or_end_where_frames_do() {
    let broker = broker();
    for version in BOTH {
        let mut socket = open(&broker, "mqtt");
        let message = Outgoing::new("frames", vec![b'x'; 300], 0).bytes(version, 0);
        let wanted = subscribe(version, 1, &[("frames", 0)], &[]);
        // Everything in frames of one byte, some of them parts of one message, with a ping here and there.
        let everything = [&Hello::new(version, "frames").bytes()[..], &wanted, &message].concat();
        for (at, byte) in everything.iter().enumerate() {
            match at % 4 {
                0 => socket.send(BINARY, &[*byte]),
                1 => socket.send(BEGIN, &[*byte]),
                2 => socket.send(0, &[*byte]),
                _ => {
                    socket.send(END, &[*byte]);
                    socket.send(BINARY, b"");
                }
            }
        }
        if !everything.len().is_multiple_of(4) && everything.len() % 4 != 1 {
            socket.send(END, b"");
        }
        let came = take_packets(&mut socket, 3);
        assert_eq!((came[0][0], came[1][0], &came[2]), (0x20, 0x90, &message));
        // Several packets in one frame, the last of them cut; its rest comes with others.
        let three = [&message[..], &message, &PINGREQ, &message].concat();
        let cut = three.len() - 100;
        socket.send(BINARY, &three[..cut]);
        socket.send(PING, b"still there?");
        socket.send(BINARY, &[&three[cut..], &PINGREQ].concat());
        let mut came = Vec::new();
        while came.len() < 3 * message.len() + 4 {
            let (first, payload) = socket.receive().unwrap();
            match first {
                PONG => assert_eq!(payload, b"still there?"),
                _ => came.extend(payload),
            }
        }
        let mut packets = split(&came);
        packets.sort();
        assert_eq!(packets, [&message[..], &message, &message, &[0xD0, 0], &[0xD0, 0]]);
    }
}

/// v5: 6.0.0-4; v3: 6.0.0-4
#[test]
fn the_subprotocol_that_is_answered_is_mqtt() {
    let broker = broker();
    for offered in ["mqtt", "mqttv3.1, mqtt", "chat, mqtt"] {
        let socket = open(&broker, offered);
        let answer = socket.answer.to_ascii_lowercase();
        assert!(answer.contains("\r\nsec-websocket-protocol: mqtt\r\n"), "{answer}");
    }
}

/// Reads whole packets, in whatever frames they are.
fn take_packets(socket: &mut WebSocket<TcpStream>, count: usize) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let packets = split(&bytes);
        if packets.len() >= count {
            return packets;
        }
        bytes.extend(read(socket, 1));
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut rest) = (Vec::new(), bytes);
    while let Some((len, _)) = crate::harness::read::measure(rest) {
        packets.push(rest[..len].to_vec());
        rest = &rest[len..];
    }
    packets
}
