//! The load clients, against a server that knows just enough MQTT for them.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use wasmqtt_codec::frame::{self, Frame, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{Ack, ConnAck, Packet, ReasonCode, SubAck, UserProperties, Version, decode};

use super::pairs::{self, Pairs};
use super::storm::{self, Storm};
use super::subscriptions::{self, Subscriptions};
use crate::tool::Outcome;

/// Who subscribed to a topic, with wildcards as they are written, and who gets everything.
type Subscribers = Arc<Mutex<HashMap<String, Vec<TcpStream>>>>;

fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let subscribers = Subscribers::default();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let subscribers = Arc::clone(&subscribers);
            thread::spawn(move || serve(stream.unwrap(), &subscribers));
        }
    });
    address
}

/// Until the client goes.
fn serve(mut stream: TcpStream, subscribers: &Subscribers) {
    let (mut input, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        input.extend_from_slice(&buffer[..length]);
        let mut used = 0;
        while let Next::Whole { frame, len } = frame::next(&input[used..], MAX_PACKET_SIZE).unwrap()
        {
            let packet = &input[used..used + len];
            answer(&mut stream, frame, packet, subscribers);
            used += len;
        }
        input.drain(..used);
    }
}

fn answer(stream: &mut TcpStream, frame: Frame<'_>, bytes: &[u8], subscribers: &Subscribers) {
    let mut out = Vec::new();
    let version = Version::V311;
    match decode(version, frame).unwrap() {
        Packet::Connect(_) => {
            let connack = ConnAck::new(false, ReasonCode::Success);
            Packet::ConnAck(Box::new(connack)).encode(version, &mut out).unwrap();
        }
        Packet::Subscribe(subscribe) => {
            let reasons = vec![ReasonCode::Success; subscribe.subscriptions.len()];
            for subscription in &subscribe.subscriptions {
                let copy = stream.try_clone().unwrap();
                let mut all = subscribers.lock().unwrap();
                // Where the wildcard of the load client is, there is this word.
                let topic = subscription.filter.replace('+', "device");
                all.entry(topic).or_default().push(copy);
            }
            let suback = SubAck {
                packet_id: subscribe.packet_id,
                reasons: reasons.into(),
                reason_string: None,
                user_properties: UserProperties::EMPTY,
            };
            Packet::SubAck(suback).encode(version, &mut out).unwrap();
        }
        Packet::Publish(publish) => {
            if let Some(id) = publish.packet_id {
                let ack = Ack::new(id, ReasonCode::Success);
                Packet::PubAck(ack).encode(version, &mut out).unwrap();
            }
            for other in subscribers.lock().unwrap().get_mut(publish.topic).into_iter().flatten() {
                // It may have gone.
                let _ = other.write_all(bytes);
            }
        }
        _ => {}
    }
    let _ = stream.write_all(&out);
}

fn pairs(rate: f64) -> Pairs {
    Pairs {
        address: server(),
        process: std::process::id(),
        pairs: 3,
        window: 10,
        seconds: 0.2,
        size: 64,
        v5: false,
        properties: 0,
        subscribe_below: String::new(),
        rate,
    }
}

#[test]
fn all_messages_of_a_closed_loop_arrive() {
    let outcome = Outcome::read(&pairs::run(&pairs(0.0)).unwrap().to_string());
    assert!(outcome.get("delivered").unwrap() >= 30.0, "{outcome:?}");
    assert_eq!(outcome.lost(), 0.0);
    assert!(outcome.get("p99").is_err(), "latencies cost time; nobody asked for them");
}

#[test]
fn messages_at_a_rate_have_latencies() {
    let outcome = Outcome::read(&pairs::run(&pairs(1_000.0)).unwrap().to_string());
    assert_eq!(outcome.get("published").unwrap(), 200.0);
    assert_eq!(outcome.lost(), 0.0);
    assert!(outcome.get("p99").unwrap() >= outcome.get("p50").unwrap());
}

#[test]
fn a_storm_comes_and_goes() {
    let process = std::process::id();
    let storm = Storm { address: server(), process, rate: 100.0, seconds: 0.2 };
    assert_eq!(storm::run(&storm).unwrap(), 20);
}

#[test]
fn every_subscription_is_made_and_every_message_reaches_one() {
    let what = Subscriptions {
        address: server(),
        process: std::process::id(),
        clients: 2,
        subscriptions: 1_500,
        messages: 100,
    };
    let outcome = Outcome::read(&subscriptions::run(&what).unwrap().to_string());
    assert_eq!(outcome.get("delivered").unwrap(), 100.0);
    assert_eq!(outcome.lost(), 0.0);
}

#[test]
fn a_server_that_closes_is_an_error_and_not_a_figure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Reads CONNECT, so that closing is no reset.
            let _ = stream.unwrap().read(&mut [0; 512]);
        }
    });
    let error = pairs::run(&Pairs { address, ..pairs(0.0) }).unwrap_err().to_string();
    assert!(error.contains("refused or closed"), "{error}");
}
