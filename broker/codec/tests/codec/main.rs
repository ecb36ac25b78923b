//! The codec seen from outside: what it reads, what it writes, and what it refuses.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod encode_faults;
mod faults;
mod generate;
mod images;
mod round_trip;
mod tables;
mod topics;
mod views;

use wasmqtt_codec::{DecodeError, Frame, Packet, PacketId, Version};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

fn decode(version: Version, first: u8, body: &[u8]) -> Result<Packet<'_>, DecodeError> {
    wasmqtt_codec::decode(version, Frame { first, body })
}

/// A field with two bytes of length.
fn field(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// A property block of less than 16,384 bytes with its length.
fn block(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 1 << 14);
    let mut out = match bytes.len() {
        len @ 0..128 => vec![len as u8],
        len => vec![len as u8 | 0x80, (len >> 7) as u8],
    };
    out.extend_from_slice(bytes);
    out
}

fn join<const N: usize>(parts: [&[u8]; N]) -> Vec<u8> {
    parts.concat()
}
