//! Everything in `corpus/`, handed to the targets without a fuzzer.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;

use wasmqtt_codec::frame::{self, Next};
use wasmqtt_codec::{Connect, Packet, Version, decode};
use wasmqtt_fuzz::hostile::{self, Expected, From, Hostile, corpus};
use wasmqtt_fuzz::{configuration, connection, decoder, trie};

fn replay(name: &str, run: impl Fn(&[u8])) {
    let entries: Vec<_> = fs::read_dir(corpus(name)).unwrap().collect();
    assert!(!entries.is_empty(), "no corpus of {name}");
    for entry in entries {
        run(&fs::read(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn every_input_that_taught_the_fuzzer_of_the_decoder_is_survived() {
    replay("decoder", decoder::run);
}

#[test]
fn every_input_that_taught_the_fuzzer_of_the_connection_is_survived() {
    replay("connection", connection::run);
}

#[test]
fn every_input_that_taught_the_fuzzer_of_the_trie_is_survived() {
    replay("trie", trie::run);
}

#[test]
fn every_input_that_taught_the_fuzzer_of_the_configuration_is_survived() {
    replay("configuration", configuration::run);
}

#[test]
fn hostile_packets_are_the_same_packets_in_every_version_and_wherever_they_are_cut() {
    for hostile in hostile::all() {
        for version in 0..3 {
            for cut in [0, 6, 9, 30, 255] {
                decoder::run(&[&[version, cut], &hostile.bytes[..]].concat());
            }
        }
    }
}

#[test]
fn hostile_packets_are_answered_by_the_core_as_their_files_say() {
    let mut wrong = Vec::new();
    for hostile in hostile::all() {
        let mut connect = Vec::new();
        Connect::new(hostile.version, "hostile").encode(hostile.version, &mut connect).unwrap();
        let before = (hostile.from == From::Client).then_some(&connect[..]);
        let (said, is_there) = connection::answer(before, &hostile.bytes);
        let codes = codes(hostile.version, &said);
        let as_expected = match hostile.expected {
            // Of a packet that is not whole yet the rest is waited for; the shell has a clock for that.
            Expected::Silence => codes.is_empty() && (!is_there || hostile.from == From::Stranger),
            Expected::ConnAck(code) => codes == [(2, code)] && !is_there,
            Expected::Disconnect(code) if hostile.version == Version::V5 => {
                codes == [(14, code)] && !is_there
            }
            Expected::Disconnect(_) => codes.is_empty() && !is_there,
            Expected::Served => is_there && codes.iter().all(|(kind, _)| *kind != 14),
        };
        if !as_expected {
            let Hostile { name, expected, .. } = hostile;
            wrong.push(format!("{name}: {expected:?}, not {codes:02x?}, there: {is_there}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Type and code of each packet; the code only of those that end a connection, or begin it.
fn codes(version: Version, mut said: &[u8]) -> Vec<(u8, u8)> {
    let mut codes = Vec::new();
    while !said.is_empty() {
        let Ok(Next::Whole { frame, len }) = frame::next(said, frame::MAX_PACKET_SIZE) else {
            panic!("{said:02x?}");
        };
        codes.push((
            frame.first >> 4,
            match decode(version, frame) {
                // As it is on the wire: 3.x has codes of its own.
                Ok(Packet::ConnAck(_)) => frame.body[1],
                Ok(Packet::Disconnect(disconnect)) => disconnect.reason as u8,
                _ => 0,
            },
        ));
        said = &said[len..];
    }
    codes
}
