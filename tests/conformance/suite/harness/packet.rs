//! Bytes of packets that a client sends, valid as well as not.

use super::prop::{self, Prop};

/// Of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V311,
    V5,
}

impl Version {
    pub(crate) fn level(self) -> u8 {
        match self {
            Self::V311 => 4,
            Self::V5 => 5,
        }
    }

    /// Properties where the version has any.
    pub(crate) fn block(self, props: &[Prop]) -> Vec<u8> {
        match self {
            Self::V311 => Vec::new(),
            Self::V5 => prop::block(props),
        }
    }

    /// The code in DISCONNECT that is expected of the broker; before 5.0 it has none to send.
    pub(crate) fn code(self, code: u8) -> Option<u8> {
        (self == Self::V5).then_some(code)
    }
}

/// A packet: its first byte, its length, and its parts.
pub(crate) fn frame(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [vec![first], varint(u32::try_from(body.len()).unwrap()), body].concat()
}

/// A string with its length.
pub(crate) fn text(value: &str) -> Vec<u8> {
    binary(value.as_bytes())
}

/// Bytes with their length.
pub(crate) fn binary(value: &[u8]) -> Vec<u8> {
    [&u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
}

/// A variable byte integer.
pub(crate) fn varint(mut value: u32) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

pub(crate) const PINGREQ: [u8; 2] = [0xC0, 0];

/// A message to publish.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) props: Vec<Prop>,
}

impl Outgoing {
    pub(crate) fn new(topic: &str, payload: impl Into<Vec<u8>>, qos: u8) -> Self {
        let (topic, payload) = (topic.to_owned(), payload.into());
        Self { topic, payload, qos, retain: false, dup: false, props: Vec::new() }
    }

    pub(crate) fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    pub(crate) fn dup(self) -> Self {
        Self { dup: true, ..self }
    }

    pub(crate) fn with(mut self, prop: Prop) -> Self {
        self.props.push(prop);
        self
    }

    /// The packet; the identifier is left out with QoS 0.
    pub(crate) fn bytes(&self, version: Version, id: u16) -> Vec<u8> {
        let first = 0x30 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain);
        let id = if self.qos == 0 { Vec::new() } else { id.to_be_bytes().to_vec() };
        frame(first, &[&text(&self.topic), &id, &version.block(&self.props), &self.payload])
    }
}

/// An acknowledgement as short as it can be.
pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    frame(first, &[&id.to_be_bytes()])
}

pub(crate) fn puback(id: u16) -> Vec<u8> {
    ack(0x40, id)
}

pub(crate) fn pubrec(id: u16) -> Vec<u8> {
    ack(0x50, id)
}

pub(crate) fn pubrel(id: u16) -> Vec<u8> {
    ack(0x62, id)
}

pub(crate) fn pubcomp(id: u16) -> Vec<u8> {
    ack(0x70, id)
}

/// An acknowledgement of 5.0 with a reason code.
pub(crate) fn ack_with(first: u8, id: u16, code: u8) -> Vec<u8> {
    frame(first, &[&id.to_be_bytes(), &[code]])
}

/// SUBSCRIBE with filters and the byte of options behind each.
pub(crate) fn subscribe(
    version: Version,
    id: u16,
    filters: &[(&str, u8)],
    props: &[Prop],
) -> Vec<u8> {
    let payload: Vec<u8> = filters
        .iter()
        .flat_map(|(filter, options)| [text(filter), vec![*options]].concat())
        .collect();
    frame(0x82, &[&id.to_be_bytes(), &version.block(props), &payload])
}

pub(crate) fn unsubscribe(version: Version, id: u16, filters: &[&str]) -> Vec<u8> {
    let payload: Vec<u8> = filters.iter().flat_map(|filter| text(filter)).collect();
    frame(0xA2, &[&id.to_be_bytes(), &version.block(&[]), &payload])
}

/// DISCONNECT of 5.0 with a reason code and properties.
pub(crate) fn disconnect(code: u8, props: &[Prop]) -> Vec<u8> {
    frame(0xE0, &[&[code], &prop::block(props)])
}

pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];
