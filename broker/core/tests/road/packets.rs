//! What clients of tests send, and what is of interest in what they get.

use wasmqtt_codec::{
    Ack, Connect, ConnectProperties, Packet, PacketId, Publish, QoS, ReasonCode, Version, Will,
};

use crate::wire::{Got, Q0, Q1, Q2, Sent};

fn ack(id: u16, reason: ReasonCode) -> Ack<'static> {
    Ack::new(PacketId::new(id).unwrap(), reason)
}

pub(crate) fn puback(id: u16) -> Packet<'static> {
    Packet::PubAck(ack(id, ReasonCode::Success))
}

pub(crate) fn pubrec(id: u16) -> Packet<'static> {
    Packet::PubRec(ack(id, ReasonCode::Success))
}

pub(crate) fn pubrec_with(id: u16, reason: ReasonCode) -> Packet<'static> {
    Packet::PubRec(ack(id, reason))
}

pub(crate) fn pubrel(id: u16) -> Packet<'static> {
    Packet::PubRel(ack(id, ReasonCode::Success))
}

pub(crate) fn pubcomp(id: u16) -> Packet<'static> {
    Packet::PubComp(ack(id, ReasonCode::Success))
}

/// What a client that takes everything answers.
pub(crate) fn answer(packet: &Sent) -> Option<Packet<'static>> {
    match packet {
        Sent::Publish(Got { qos: Q1, id, .. }) => Some(puback((*id)?)),
        Sent::Publish(Got { qos: Q2, id, .. }) => Some(pubrec((*id)?)),
        Sent::PubRel(id, _) => Some(pubcomp(*id)),
        _ => None,
    }
}

/// A QoS 0 message with nothing else.
pub(crate) fn message<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish {
        dup: false,
        qos: Q0,
        retain: false,
        topic,
        packet_id: None,
        properties: Default::default(),
        payload: payload.as_bytes(),
    }
}

/// Numbered by the test itself.
pub(crate) fn numbered<'a>(topic: &'a str, qos: QoS, id: u16, payload: &'a str) -> Packet<'a> {
    Packet::Publish(Publish { qos, packet_id: PacketId::new(id), ..message(topic, payload) })
}

/// A client that leaves nothing behind.
pub(crate) fn clean(version: Version, id: &str) -> Connect<'_> {
    Connect::new(version, id)
}

/// A client whose session outlives its connection, by an hour where it can say so.
pub(crate) fn stored(version: Version, id: &str) -> Connect<'_> {
    let properties = ConnectProperties {
        session_expiry_interval: (version == Version::V5).then_some(3600),
        ..ConnectProperties::default()
    };
    Connect { clean_start: false, properties, ..Connect::new(version, id) }
}

/// A will with QoS 1 and nothing else.
pub(crate) fn will<'a>(topic: &'a str, payload: &'a str) -> Will<'a> {
    Will {
        qos: Q1,
        retain: false,
        topic,
        payload: payload.as_bytes(),
        delay_interval: 0,
        message_expiry_interval: None,
        properties: Default::default(),
    }
}

/// The messages among what was sent.
pub(crate) fn messages(sent: &[Sent]) -> Vec<Got> {
    let message = |packet: &Sent| match packet {
        Sent::Publish(message) => Some(message.clone()),
        _ => None,
    };
    sent.iter().filter_map(message).collect()
}

pub(crate) fn payloads(sent: &[Sent]) -> Vec<String> {
    messages(sent).into_iter().map(|message| message.payload).collect()
}
