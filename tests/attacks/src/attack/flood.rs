//! Connections that come again and again, each with something that the broker must refuse.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::thread;

use anyhow::Result;
use wasmqtt_codec::QoS;

use super::Stage;
use crate::wire::{UPGRADE, connect, is_late, open, publish, push};

/// Attackers at a time.
const ATTACKERS: usize = 4;
/// Bytes that are written at once.
const CHUNK: usize = 64 << 10;

/// Runs it on several threads, again and again, with the number of the attacker.
fn again(stage: &Stage<'_>, attack: impl Fn(usize) + Sync) -> bool {
    thread::scope(|scope| {
        for number in 0..ATTACKERS {
            let attack = &attack;
            scope.spawn(move || {
                while stage.goes_on() {
                    attack(number);
                }
            });
        }
    });
    true
}

fn enter(stage: &Stage<'_>, address: SocketAddr) -> Option<TcpStream> {
    let stream = open(address).ok()?;
    stage.effort.connected();
    Some(stream)
}

/// Sends this once, and then something as often as the broker takes it; answers when the connection is over.
fn pour(stage: &Stage<'_>, address: SocketAddr, first: &[u8], endless: &[u8]) {
    let Some(mut stream) = enter(stage, address) else { return };
    let (sent, mut there) = push(&mut stream, first);
    stage.effort.sent(sent);
    while there && stage.goes_on() {
        let (sent, still) = push(&mut stream, endless);
        stage.effort.sent(sent);
        // Who takes nothing more may have said that it closes.
        there = still && (sent > 0 || answer(&mut stream));
    }
}

/// Waits a moment for something; false when the connection is over.
fn answer(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1024]) {
        Ok(len) => len > 0,
        Err(error) => is_late(&error),
    }
}

pub(super) fn connects(stage: &Stage<'_>) -> Result<bool> {
    Ok(again(stage, |number| {
        let Some(mut stream) = enter(stage, stage.target.tcp) else { return };
        let packet = connect(&format!("flood-{number}"), 0);
        stage.effort.sent(push(&mut stream, &packet).0);
        answer(&mut stream);
    }))
}

pub(super) fn packets(stage: &Stage<'_>) -> Result<bool> {
    let chunk = vec![b'x'; CHUNK];
    // The largest remaining length that there is.
    let announced = [0xff, 0xff, 0xff, 0x7f];
    Ok(again(stage, |number| {
        let (address, id) = (stage.target.tcp, format!("large-{number}"));
        pour(stage, address, &[&[0x10][..], &announced].concat(), &chunk);
        let behind = [&connect(&id, 0)[..], &[0x30], &announced, &[0, 1, b'a', 0]].concat();
        pour(stage, address, &behind, &chunk);
        // One that is allowed, but for its length field, which never ends.
        pour(stage, address, &[&connect(&id, 0)[..], &[0x30]].concat(), &[0xff; 64]);
    }))
}

pub(super) fn frames(stage: &Stage<'_>) -> Result<bool> {
    let chunk = vec![b'x'; CHUNK];
    let entered = |id: &str| {
        let packet = connect(id, 0);
        let frame = [&[0x82, 0x80 | packet.len() as u8, 0, 0, 0, 0][..], &packet].concat();
        [UPGRADE.as_bytes(), &frame].concat()
    };
    let huge = [&[0x82, 0xff][..], &(1u64 << 62).to_be_bytes(), &[0; 4]].concat();
    // A part of a message, with 65,535 bytes of PUBLISH in it, and no last one.
    let small = publish("a", 0, QoS::AtMostOnce, false, &[b'x'; 65_535 - 8]);
    let part = |first: u8| {
        let length = (small.len() as u16).to_be_bytes();
        [&[first, 0xfe][..], &length, &[0; 4], &small].concat()
    };
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[b'x'; 125]].concat().repeat(100);
    Ok(again(stage, |number| {
        let (address, first) = (stage.target.ws, entered(&format!("frame-{number}")));
        // The frames must not come before the answer, so that it is them that are refused.
        for (beginning, endless) in
            [(&huge, &chunk), (&part(0x02), &part(0x00)), (&Vec::new(), &ping)]
        {
            let Some(mut stream) = enter(stage, address) else { return };
            stage.effort.sent(push(&mut stream, UPGRADE.as_bytes()).0);
            answer(&mut stream);
            let rest = first.get(UPGRADE.len()..).unwrap_or_default();
            let (sent, mut there) = push(&mut stream, &[rest, beginning].concat());
            stage.effort.sent(sent);
            while there && stage.goes_on() {
                let (sent, still) = push(&mut stream, endless);
                stage.effort.sent(sent);
                there = still && sent > 0;
            }
        }
    }))
}

pub(super) fn headers(stage: &Stage<'_>) -> Result<bool> {
    let line = format!("X-Header: {}\r\n", "x".repeat(1000));
    let begun = UPGRADE.trim_end_matches("\r\n");
    Ok(again(stage, |_| {
        let address = stage.target.ws;
        pour(stage, address, format!("{begun}\r\n").as_bytes(), line.as_bytes());
        pour(stage, address, b"GET /", &[b'x'; 1024]);
        pour(stage, address, format!("{begun}\r\nX-Endless: ").as_bytes(), &[b'x'; 1024]);
    }))
}

pub(super) fn proxy_headers(stage: &Stage<'_>) -> Result<bool> {
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let second =
        [&signature[..], &[0x21, 0x11, 0, 12, 192, 0, 2, 9, 127, 0, 0, 1, 0, 7, 7, 0x5b]].concat();
    let long = [&signature[..], &[0x21, 0x11, 0xff, 0xff]].concat();
    Ok(again(stage, |number| {
        let address = stage.target.proxied;
        let first = b"PROXY TCP4 10.0.0.1 127.0.0.1 56250 1883\r\n";
        let entering = connect(&format!("liar-{number}"), 0);
        pour(stage, address, &[&first[..], &entering].concat(), &[0xC0, 0]);
        pour(stage, address, &[&second[..], &entering].concat(), &[0xC0, 0]);
        pour(stage, address, &long, &[0; 1024]);
    }))
}
