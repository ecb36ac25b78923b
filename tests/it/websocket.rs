//! WebSocket listeners: who gets one, what a frame holds, and what is too much.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use wasmqtt_codec::{Connect, Packet, QoS, Subscribe, Subscription, UserProperties, Version};

use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::{LOSSLESS, open_listener};
use crate::harness::websocket::{BEGIN, BINARY, END, PING, PONG, TEXT, WebSocket, frame, request};
use crate::harness::{Broker, PATIENCE};

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";

/// A WebSocket listener with further keys.
fn listener(keys: &str) -> String {
    open_listener("ws", &format!("protocol = \"ws\"\n{keys}"))
}

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(broker: &Broker, request: &str) -> String {
    WebSocket::ask(connect(broker), request).answer
}

fn open(broker: &Broker) -> WebSocket<TcpStream> {
    WebSocket::open(connect(broker), "mqtt")
}

/// An upgraded connection whose CONNECT was accepted.
fn enter(broker: &Broker, id: &str) -> WebSocket<TcpStream> {
    let mut socket = open(broker);
    socket.send(BINARY, &bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, id))]));
    let (_, answer) = socket.receive().unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
    socket
}

fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    bytes(
        Version::V5,
        &[Packet::Publish(wasmqtt_codec::Publish {
            dup: false,
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            packet_id: None,
            properties: wasmqtt_codec::PublishProperties::default(),
            payload,
        })],
    )
}

fn subscribe(filter: &str) -> Vec<u8> {
    bytes(
        Version::V5,
        &[Packet::Subscribe(Subscribe {
            packet_id: wasmqtt_codec::PacketId::new(1).unwrap(),
            subscription_identifier: None,
            user_properties: UserProperties::EMPTY,
            subscriptions: vec![Subscription::new(filter, QoS::AtMostOnce)],
        })],
    )
}

#[test]
fn what_one_read_leads_to_comes_back_in_one_frame() {
    let broker = Broker::start(&listener(""));
    let mut socket = enter(&broker, "c");
    let pings = [0xC0, 0].repeat(100);
    socket.send(BINARY, &pings);
    assert_eq!(socket.receive(), Some((BINARY, [0xD0, 0].repeat(100))));
}

#[test]
fn who_asks_for_something_else_is_told_so_and_the_log_says_why() {
    let keys = "websocket = { path = \"/broker\", origins = [\"https://app.example.org\"] }";
    let broker = Broker::start(&listener(keys));
    let good = format!("{MQTT}Origin: https://app.example.org\r\n");
    let evil = format!("{MQTT}Origin: https://evil.example\r\n");
    assert!(ask(&broker, &request("/broker", &good)).starts_with("HTTP/1.1 101 "));
    for (request, status, logged) in [
        (request("/mqtt", &good), "404", "nothing at /mqtt"),
        (request("/broker", &evil), "403", "may not connect"),
        (request("/broker", "Sec-WebSocket-Protocol: chat\r\n"), "400", "subprotocol"),
        (request("/broker", ""), "400", "subprotocol"),
        ("GET /broker HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "426", "upgrade"),
        ("\x10\x0e\0\x04MQTT\x05\x02\0\0\0\0\x01c\r\n\r\n".to_owned(), "400", "refused"),
        (request("/broker", &format!("X: {}\r\n", "x".repeat(20_000))), "431", "too large"),
    ] {
        let mark = broker.mark();
        let answer = ask(&broker, &request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        let line = broker.wait_for(mark, "connection refused");
        let told = line.text().to_lowercase();
        assert!(told.contains(logged), "{request}: {told}");
    }
}

#[test]
fn an_upgrade_that_is_not_complete_in_time_ends_the_connection() {
    let limits = "[limits]\nconnect_timeout = \"500ms\"\n";
    let broker = Broker::start(&format!("{}{limits}", listener("")));
    let whole = request("/mqtt", MQTT);
    for sent in [&whole[..0], &whole[..20], &whole[..whole.len() - 1]] {
        let start = Instant::now();
        let mark = broker.mark();
        assert_eq!(ask(&broker, sent), "");
        assert!(start.elapsed() >= Duration::from_millis(490), "{:?}", start.elapsed());
        broker.wait_for(mark, "no CONNECT in time");
    }
    // The time does not begin again with the upgrade.
    let mut silent = open(&broker);
    assert_eq!(silent.end(), Some(1000));
}

#[test]
fn a_message_has_its_bound_and_a_packet_may_fill_it() {
    let keys =
        "websocket = { max_message_size = \"64KiB\" }\nlimits = { max_packet_size = \"300KiB\" }";
    let broker = Broker::start(&format!("{}{LOSSLESS}", listener(keys)));
    let mut socket = enter(&broker, "c");
    socket.send(BINARY, &subscribe("big"));
    assert_eq!(socket.receive().unwrap().1[0], 0x90);
    let payload = vec![b'x'; 250_000];
    // In frames of the largest size, and out in one.
    for part in publish("big", &payload).chunks(64 << 10) {
        socket.send(BINARY, part);
    }
    let (_, packet) = socket.receive().unwrap();
    assert_eq!(packet, publish("big", &payload));
    // The parts of a message count together.
    socket.send(BEGIN, &[0xC0, 0].repeat(16 << 10));
    socket.send(END, &[0xC0, 0].repeat(16 << 10));
    let mut answers = 0;
    while answers < 64 << 10 {
        answers += socket.receive().unwrap().1.len();
    }
    let mark = broker.mark();
    socket.send(BINARY, &[0xC0; (64 << 10) + 1]);
    assert_eq!(socket.end(), Some(1009));
    let line = broker.wait_for(mark, "connection lost");
    assert!(line.field("error").contains("max_message_size"), "{}", line.text());
}

#[test]
fn the_log_says_who_sent_text() {
    let broker = Broker::start(&listener(""));
    let mut socket = enter(&broker, "chatty");
    let mark = broker.mark();
    socket.send(TEXT, b"hello");
    assert_eq!(socket.end(), Some(1003));
    let line = broker.wait_for(mark, "connection lost");
    assert_eq!(line.field("client_id"), "chatty");
    assert!(line.field("error").contains("text"), "{}", line.text());
}

#[test]
fn a_trusted_proxy_says_for_whom_it_speaks_and_others_do_not() {
    let forwarded = format!("{MQTT}X-Forwarded-For: 203.0.113.9, 198.51.100.7\r\n");
    for (trusted, peer) in [("127.0.0.0/8", "198.51.100.7:0"), ("10.0.0.0/8", "127.0.0.1:")] {
        let broker = Broker::start(&listener(&format!("trusted_proxies = [\"{trusted}\"]")));
        let mark = broker.mark();
        let mut socket = WebSocket::ask(connect(&broker), &request("/mqtt", &forwarded));
        let connect = connect_packet(&Connect::new(Version::V5, "c"));
        socket.send(BINARY, &bytes(Version::V5, &[connect]));
        let line = broker.wait_for(mark, "client connected");
        assert!(line.field("peer").starts_with(peer), "{}", line.text());
    }
}

#[test]
fn a_reload_changes_who_may_upgrade_and_leaves_who_has() {
    let broker = Broker::start(&listener(""));
    let mut before = enter(&broker, "before");
    let line = broker.reload(&listener("websocket.path = \"/new\""));
    assert_eq!(line.field("changed"), "listener.ws.websocket");
    assert!(ask(&broker, &request("/mqtt", MQTT)).starts_with("HTTP/1.1 404 "));
    assert!(ask(&broker, &request("/new", MQTT)).starts_with("HTTP/1.1 101 "));
    before.send(BINARY, &[0xC0, 0]);
    assert_eq!(before.receive(), Some((BINARY, vec![0xD0, 0])));
}

#[test]
fn who_pings_without_end_and_never_listens_is_not_read_from() {
    let broker = Broker::start(&listener(""));
    let mut socket = enter(&broker, "deaf");
    socket.send(PING, b"one");
    assert_eq!(socket.receive(), Some((PONG, b"one".to_vec())));
    socket.stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let pings = frame(PING, &[b'x'; 125]).repeat(1000);
    let before = broker.memory();
    let mut sent = 0;
    // At some time nothing more is taken; 64 MiB are more than both sockets hold.
    while sent < 64 << 20 && std::io::Write::write_all(&mut socket.stream, &pings).is_ok() {
        sent += pings.len();
    }
    assert!(sent < 64 << 20, "everything was taken");
    let grown = broker.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes");
    enter(&broker, "other");
}
