//! Properties of MQTT 5.0: how each is written, and reading a block of them. Must not know which packet may carry
//! which: tests put them where they do not belong.

use super::packet::{binary, text, varint};
use super::read::Cursor;

/// Identifier and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Prop {
    Byte(u8, u8),
    Two(u8, u16),
    Four(u8, u32),
    Var(u8, u32),
    Text(u8, String),
    Binary(u8, Vec<u8>),
    Pair(u8, String, String),
}

impl Prop {
    pub(crate) fn id(&self) -> u8 {
        match self {
            Self::Byte(id, _) | Self::Two(id, _) | Self::Four(id, _) | Self::Var(id, _) => *id,
            Self::Text(id, _) | Self::Binary(id, _) | Self::Pair(id, ..) => *id,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![self.id()];
        match self {
            Self::Byte(_, value) => out.push(*value),
            Self::Two(_, value) => out.extend(value.to_be_bytes()),
            Self::Four(_, value) => out.extend(value.to_be_bytes()),
            Self::Var(_, value) => out.extend(varint(*value)),
            Self::Text(_, value) => out.extend(text(value)),
            Self::Binary(_, value) => out.extend(binary(value)),
            Self::Pair(_, name, value) => out.extend([text(name), text(value)].concat()),
        }
        out
    }

    fn read(cursor: &mut Cursor<'_>) -> Self {
        let id = cursor.u8();
        match id {
            PAYLOAD_FORMAT | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => {
                Self::Byte(id, cursor.u8())
            }
            SERVER_KEEP_ALIVE | RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => {
                Self::Two(id, cursor.u16())
            }
            MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | MAXIMUM_PACKET_SIZE => {
                Self::Four(id, cursor.u32())
            }
            SUBSCRIPTION_IDENTIFIER => Self::Var(id, cursor.varint()),
            CORRELATION_DATA | AUTHENTICATION_DATA => Self::Binary(id, cursor.binary().to_vec()),
            USER_PROPERTY => Self::Pair(id, cursor.text(), cursor.text()),
            CONTENT_TYPE
            | RESPONSE_TOPIC
            | ASSIGNED_CLIENT_IDENTIFIER
            | AUTHENTICATION_METHOD
            | 0x1A
            | SERVER_REFERENCE
            | REASON_STRING => Self::Text(id, cursor.text()),
            other => panic!("the broker sent a property {other:#04x}"),
        }
    }
}

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0B;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_IDENTIFIER: u8 = 0x12;
pub(crate) const SERVER_KEEP_ALIVE: u8 = 0x13;
pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const RESPONSE_INFORMATION: u8 = 0x1A;
pub(crate) const SERVER_REFERENCE: u8 = 0x1C;
pub(crate) const REASON_STRING: u8 = 0x1F;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const USER_PROPERTY: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;

pub(crate) fn payload_format(value: u8) -> Prop {
    Prop::Byte(PAYLOAD_FORMAT, value)
}

pub(crate) fn message_expiry(seconds: u32) -> Prop {
    Prop::Four(MESSAGE_EXPIRY, seconds)
}

pub(crate) fn content_type(value: &str) -> Prop {
    Prop::Text(CONTENT_TYPE, value.to_owned())
}

pub(crate) fn response_topic(value: &str) -> Prop {
    Prop::Text(RESPONSE_TOPIC, value.to_owned())
}

pub(crate) fn correlation_data(value: &[u8]) -> Prop {
    Prop::Binary(CORRELATION_DATA, value.to_vec())
}

pub(crate) fn subscription_identifier(value: u32) -> Prop {
    Prop::Var(SUBSCRIPTION_IDENTIFIER, value)
}

pub(crate) fn session_expiry(seconds: u32) -> Prop {
    Prop::Four(SESSION_EXPIRY, seconds)
}

pub(crate) fn authentication_method(value: &str) -> Prop {
    Prop::Text(AUTHENTICATION_METHOD, value.to_owned())
}

pub(crate) fn authentication_data(value: &[u8]) -> Prop {
    Prop::Binary(AUTHENTICATION_DATA, value.to_vec())
}

pub(crate) fn request_problem_information(value: u8) -> Prop {
    Prop::Byte(0x17, value)
}

pub(crate) fn request_response_information(value: u8) -> Prop {
    Prop::Byte(0x19, value)
}

pub(crate) fn will_delay(seconds: u32) -> Prop {
    Prop::Four(WILL_DELAY, seconds)
}

pub(crate) fn reason_string(value: &str) -> Prop {
    Prop::Text(REASON_STRING, value.to_owned())
}

pub(crate) fn receive_maximum(value: u16) -> Prop {
    Prop::Two(RECEIVE_MAXIMUM, value)
}

pub(crate) fn topic_alias_maximum(value: u16) -> Prop {
    Prop::Two(TOPIC_ALIAS_MAXIMUM, value)
}

pub(crate) fn topic_alias(value: u16) -> Prop {
    Prop::Two(TOPIC_ALIAS, value)
}

pub(crate) fn user(name: &str, value: &str) -> Prop {
    Prop::Pair(USER_PROPERTY, name.to_owned(), value.to_owned())
}

pub(crate) fn maximum_packet_size(value: u32) -> Prop {
    Prop::Four(MAXIMUM_PACKET_SIZE, value)
}

/// Properties with their length.
pub(crate) fn block(props: &[Prop]) -> Vec<u8> {
    raw_block(&props.iter().flat_map(Prop::bytes).collect::<Vec<u8>>())
}

/// Bytes that stand where properties should, with their length.
pub(crate) fn raw_block(bytes: &[u8]) -> Vec<u8> {
    [varint(u32::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

/// Reads a block that the broker has written.
pub(crate) fn read_block(cursor: &mut Cursor<'_>) -> Vec<Prop> {
    let len = cursor.varint() as usize;
    let mut inner = Cursor::new(cursor.take(len));
    let mut props = Vec::new();
    while !inner.is_empty() {
        props.push(Prop::read(&mut inner));
    }
    for (at, prop) in props.iter().enumerate() {
        let again = props.iter().skip(at + 1).any(|other| other.id() == prop.id());
        let repeatable = [USER_PROPERTY, SUBSCRIPTION_IDENTIFIER].contains(&prop.id());
        assert!(repeatable || !again, "the broker repeated a property: {props:?}");
    }
    props
}

/// The value of a two-byte property.
pub(crate) fn two(props: &[Prop], id: u8) -> Option<u16> {
    props.iter().find_map(|prop| match prop {
        Prop::Two(found, value) if *found == id => Some(*value),
        _ => None,
    })
}

/// The value of a four-byte property.
pub(crate) fn four(props: &[Prop], id: u8) -> Option<u32> {
    props.iter().find_map(|prop| match prop {
        Prop::Four(found, value) if *found == id => Some(*value),
        _ => None,
    })
}
