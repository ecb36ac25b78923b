//! Packets that the broker sends, read strictly: what no client may be sent fails the test.

use super::packet::Version;
use super::prop::{self, Prop};

/// A packet of the broker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    ConnAck { present: bool, code: u8, props: Vec<Prop> },
    Publish(Message),
    PubAck(Ack),
    PubRec(Ack),
    PubRel(Ack),
    PubComp(Ack),
    SubAck { id: u16, codes: Vec<u8>, props: Vec<Prop> },
    UnsubAck { id: u16, codes: Vec<u8>, props: Vec<Prop> },
    PingResp,
    Disconnect { code: u8, props: Vec<Prop> },
    Auth { code: u8, props: Vec<Prop> },
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) id: u16,
    pub(crate) code: u8,
    pub(crate) props: Vec<Prop>,
}

/// PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    /// Zero with QoS 0.
    pub(crate) id: u16,
    pub(crate) props: Vec<Prop>,
    /// Bytes of the whole packet.
    pub(crate) size: usize,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    /// The identifiers of subscriptions, lowest first.
    pub(crate) fn identifiers(&self) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .props
            .iter()
            .filter_map(|prop| match prop {
                Prop::Var(prop::SUBSCRIPTION_IDENTIFIER, value) => Some(*value),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found
    }
}

/// Takes fields from the front of what the broker sent.
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, tail) = self.rest.split_at_checked(len).expect("a packet that is cut off");
        self.rest = tail;
        head
    }

    pub(crate) fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn varint(&mut self) -> u32 {
        let start = self.rest;
        for len in 1..=4 {
            if self.u8() & 0x80 == 0 {
                assert!(
                    len == 1 || start[len - 1] != 0,
                    "longer than needed: {:02x?}",
                    &start[..len]
                );
                return start[..len]
                    .iter()
                    .rev()
                    .fold(0, |all, byte| all << 7 | u32::from(byte & 0x7f));
            }
        }
        panic!("a variable byte integer of more than four bytes: {:02x?}", &start[..4]);
    }

    pub(crate) fn binary(&mut self) -> &'a [u8] {
        let len = self.u16();
        self.take(usize::from(len))
    }

    pub(crate) fn text(&mut self) -> String {
        let text = std::str::from_utf8(self.binary()).expect("a string that is not UTF-8");
        assert!(!text.contains('\0'), "a string with U+0000");
        text.to_owned()
    }
}

/// The size of the packet at the start of `bytes`, once it is whole, and where its body begins.
pub(crate) fn measure(bytes: &[u8]) -> Option<(usize, usize)> {
    let end = bytes.iter().skip(1).position(|byte| byte & 0x80 == 0)?;
    let head = end + 2;
    let size = head + Cursor::new(&bytes[1..head]).varint() as usize;
    (bytes.len() >= size).then_some((size, head))
}

/// Reads one whole packet.
pub(crate) fn read(version: Version, bytes: &[u8], head: usize) -> Packet {
    let first = bytes[0];
    let v5 = version == Version::V5;
    let mut cursor = Cursor::new(&bytes[head..]);
    let packet = match first {
        0x20 => conn_ack(v5, &mut cursor),
        0x30..=0x3F => publish(version, first, bytes.len(), &mut cursor),
        0x40 => Packet::PubAck(ack(v5, &mut cursor, &PUBLISH_CODES)),
        0x50 => Packet::PubRec(ack(v5, &mut cursor, &PUBLISH_CODES)),
        0x62 => Packet::PubRel(ack(v5, &mut cursor, &[0, 0x92])),
        0x70 => Packet::PubComp(ack(v5, &mut cursor, &[0, 0x92])),
        0x90 => {
            let (id, props) = head_of_answer(v5, &mut cursor);
            let allowed: &[u8] = if v5 { &SUBSCRIBE_CODES } else { &[0, 1, 2, 0x80] };
            Packet::SubAck { id, codes: codes(&mut cursor, allowed), props }
        }
        0xB0 => {
            let (id, props) = head_of_answer(v5, &mut cursor);
            Packet::UnsubAck { id, codes: codes(&mut cursor, &UNSUBSCRIBE_CODES), props }
        }
        0xD0 => Packet::PingResp,
        0xE0 if v5 => disconnect(&mut cursor),
        0xF0 if v5 => auth(&mut cursor),
        _ => panic!("the broker sent {bytes:02x?}"),
    };
    assert!(cursor.is_empty(), "more than belongs there: {bytes:02x?}");
    packet
}

const CONNECT_CODES: [u8; 22] = [
    0, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97,
    0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
];
const PUBLISH_CODES: [u8; 9] = [0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const SUBSCRIBE_CODES: [u8; 12] = [0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2];
const UNSUBSCRIBE_CODES: [u8; 7] = [0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91];
/// Those that a server may send.
const DISCONNECT_CODES: [u8; 28] = [
    0, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8B, 0x8D, 0x8E, 0x8F, 0x90, 0x93, 0x94, 0x95, 0x96,
    0x97, 0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];

fn conn_ack(v5: bool, cursor: &mut Cursor<'_>) -> Packet {
    let (flags, code) = (cursor.u8(), cursor.u8());
    assert!(flags <= 1, "reserved bits in the acknowledge flags: {flags:#04x}");
    assert!(flags == 0 || code == 0, "session present, and refused with {code:#04x}");
    if v5 {
        assert!(CONNECT_CODES.contains(&code), "CONNACK with {code:#04x}");
    } else {
        assert!(code <= 5, "CONNACK with the return code {code}");
    }
    let props = if v5 { prop::read_block(cursor) } else { Vec::new() };
    Packet::ConnAck { present: flags == 1, code, props }
}

fn publish(version: Version, first: u8, size: usize, cursor: &mut Cursor<'_>) -> Packet {
    let (qos, dup) = (first >> 1 & 3, first & 8 != 0);
    assert!(qos < 3, "QoS 3");
    assert!(!(dup && qos == 0), "DUP with QoS 0");
    let topic = cursor.text();
    assert!(!topic.contains(['+', '#']), "a wildcard in the topic {topic:?}");
    let id = if qos == 0 { 0 } else { cursor.u16() };
    assert!(qos == 0 || id != 0, "the packet identifier is zero");
    let props = if version == Version::V5 { prop::read_block(cursor) } else { Vec::new() };
    let aliased = prop::two(&props, prop::TOPIC_ALIAS).is_some_and(|alias| alias > 0);
    assert!(!topic.is_empty() || aliased, "neither topic nor alias");
    let payload = cursor.take(cursor.rest.len()).to_vec();
    let retain = first & 1 != 0;
    Packet::Publish(Message { topic, payload, qos, retain, dup, id, props, size })
}

fn ack(v5: bool, cursor: &mut Cursor<'_>, allowed: &[u8]) -> Ack {
    let id = cursor.u16();
    let code = if v5 && !cursor.is_empty() { cursor.u8() } else { 0 };
    assert!(allowed.contains(&code), "an acknowledgement with {code:#04x}");
    let props = if v5 && !cursor.is_empty() { prop::read_block(cursor) } else { Vec::new() };
    Ack { id, code, props }
}

fn head_of_answer(v5: bool, cursor: &mut Cursor<'_>) -> (u16, Vec<Prop>) {
    (cursor.u16(), if v5 { prop::read_block(cursor) } else { Vec::new() })
}

fn codes(cursor: &mut Cursor<'_>, allowed: &[u8]) -> Vec<u8> {
    let codes = cursor.take(cursor.rest.len()).to_vec();
    assert!(codes.iter().all(|code| allowed.contains(code)), "codes {codes:02x?}");
    codes
}

fn auth(cursor: &mut Cursor<'_>) -> Packet {
    let code = cursor.u8();
    assert!([0, 0x18].contains(&code), "AUTH with {code:#04x}");
    Packet::Auth { code, props: prop::read_block(cursor) }
}

fn disconnect(cursor: &mut Cursor<'_>) -> Packet {
    let code = if cursor.is_empty() { 0 } else { cursor.u8() };
    assert!(DISCONNECT_CODES.contains(&code), "DISCONNECT with {code:#04x}");
    let props = if cursor.is_empty() { Vec::new() } else { prop::read_block(cursor) };
    assert_eq!(prop::four(&props, prop::SESSION_EXPIRY), None, "session expiry of the server");
    Packet::Disconnect { code, props }
}
