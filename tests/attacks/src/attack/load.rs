//! Clients that are let in, and then ask for more than their share.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use wasmqtt_codec::QoS;
use wasmqtt_codec::frame::{self, MAX_PACKET_SIZE, Next};

use super::Stage;
use crate::wire::{connect, is_closed, is_late, open, publish, push, subscribe};

/// Subscribers that never read.
const DEAF: usize = 20;
/// Bytes of a message for them.
const SIZE: usize = 1024;
/// Levels of a deep topic.
const LEVELS: usize = 60_000;
/// Sessions with open identifiers.
const SESSIONS: usize = 8;

/// Lets a client in, and sends this.
fn enter(stage: &Stage<'_>, address: SocketAddr, id: &str, more: &[u8]) -> Option<TcpStream> {
    let mut stream = open(address).ok()?;
    stage.effort.connected();
    let (sent, there) = push(&mut stream, &[&connect(id, 60)[..], more].concat());
    stage.effort.sent(sent);
    there.then_some(stream)
}

pub(super) fn deaf_qos0(stage: &Stage<'_>) -> Result<bool> {
    Ok(deaf(stage, QoS::AtMostOnce))
}

pub(super) fn deaf_qos1(stage: &Stage<'_>) -> Result<bool> {
    Ok(deaf(stage, QoS::AtLeastOnce))
}

/// Publishes as fast as the broker takes it, to clients that take nothing.
fn deaf(stage: &Stage<'_>, qos: QoS) -> bool {
    let address = stage.target.tcp;
    let wanted = subscribe("flood/#", qos);
    let mut subscribers: Vec<Option<TcpStream>> = (0..DEAF).map(|_| None).collect();
    let mut publisher = None;
    let mut id = 0u16;
    // A part of a packet that the socket did not take.
    let mut rest = Vec::new();
    while stage.goes_on() {
        for (number, subscriber) in subscribers.iter_mut().enumerate() {
            if subscriber.is_none() {
                *subscriber = enter(stage, address, &format!("deaf-{number}"), &wanted);
            }
        }
        if publisher.is_none() {
            rest.clear();
            publisher = enter(stage, address, "loud", &[]);
        }
        let Some(stream) = &mut publisher else { continue };
        if rest.is_empty() {
            for _ in 0..64 {
                id = id.wrapping_add(1).max(1);
                rest.extend(publish("flood/a", id, qos, false, &[b'x'; SIZE]));
            }
        }
        let (sent, there) = push(stream, &rest);
        stage.effort.sent(sent);
        rest.drain(..sent);
        // With QoS 1 the publisher must read its acknowledgements, or else it would be slowed down itself.
        if !there || is_closed(stream) {
            publisher = None;
        }
    }
    true
}

/// Sends packets as long as the broker takes them, and reads whatever it answers.
fn send_all(stage: &Stage<'_>, stream: &mut TcpStream, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() && stage.goes_on() {
        let (sent, there) = push(stream, bytes);
        stage.effort.sent(sent);
        bytes = bytes.get(sent..).unwrap_or_default();
        if !there || is_closed(stream) {
            return false;
        }
    }
    true
}

fn open_publications() -> Vec<u8> {
    (1..=u16::MAX).flat_map(|id| publish("ids", id, QoS::ExactlyOnce, false, b"x")).collect()
}

pub(super) fn open_ids(stage: &Stage<'_>) -> Result<bool> {
    let all = open_publications();
    while stage.goes_on() {
        for session in 0..SESSIONS {
            let entered = enter(stage, stage.target.tcp, &format!("ids-{session}"), &[]);
            if let Some(mut stream) = entered {
                send_all(stage, &mut stream, &all);
            }
        }
    }
    Ok(true)
}

pub(super) fn open_ids_allowed(stage: &Stage<'_>) -> Result<bool> {
    let all = open_publications();
    let mut held: Vec<TcpStream> = Vec::new();
    for session in 0..SESSIONS {
        let entered = enter(stage, stage.target.wide, &format!("ids-{session}"), &[]);
        if let Some(mut stream) = entered {
            send_all(stage, &mut stream, &all);
            held.push(stream);
        }
    }
    while stage.goes_on() {
        for stream in &mut held {
            is_closed(stream);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(true)
}

pub(super) fn deep_topics(stage: &Stage<'_>) -> Result<bool> {
    Ok(deep(stage, stage.target.tcp))
}

pub(super) fn deep_topics_allowed(stage: &Stage<'_>) -> Result<bool> {
    Ok(deep(stage, stage.target.wide))
}

/// One client subscribes to such filters, and publishes to such topics, one at a time.
fn deep(stage: &Stage<'_>, address: SocketAddr) -> bool {
    // 60,000 levels in 65,535 bytes: most of them are empty.
    let topic = |number: usize| format!("{number}{}", "/".repeat(LEVELS - 1));
    let plus = "+/".repeat(65_535 / 2 - 1);
    let mut number = 0;
    while stage.goes_on() {
        let filters = [
            subscribe(&topic(number), QoS::AtMostOnce),
            subscribe(&format!("{number}{}#", "/".repeat(LEVELS - 1)), QoS::AtMostOnce),
            subscribe(&plus, QoS::AtMostOnce),
        ];
        let publication = publish(&topic(number), 1, QoS::AtLeastOnce, true, b"x");
        number += 1;
        for packet in filters.iter().chain([&publication]) {
            let Some(mut stream) = enter(stage, address, "deep", packet) else { continue };
            wait_for_answers(stage, &mut stream);
        }
    }
    true
}

/// Until the packet behind CONNECT is answered, too, or the connection is over.
fn wait_for_answers(stage: &Stage<'_>, stream: &mut TcpStream) {
    let mut came = Vec::new();
    let mut bytes = [0; 4096];
    while stage.goes_on() && packets(&came) < 2 {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(len) => came.extend_from_slice(bytes.get(..len).unwrap_or_default()),
            Err(error) if is_late(&error) => {}
            Err(_) => return,
        }
    }
}

/// How many whole ones there are.
fn packets(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while let Ok(Next::Whole { len, .. }) = frame::next(bytes, MAX_PACKET_SIZE) {
        bytes = bytes.get(len..).unwrap_or_default();
        count += 1;
    }
    count
}
