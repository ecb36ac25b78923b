//! Packets that are mostly right, so that the input need not find out what a packet looks like.

use std::num::{NonZeroU16, NonZeroU32};

use arbitrary::Unstructured;
use wasmqtt_codec::{
    Ack, Auth, Connect, ConnectProperties, Disconnect, MessagePropertiesBuf, Packet, PacketId,
    Publish, PublishProperties, ReasonCode, RetainHandling, Subscribe, Subscription, Unsubscribe,
    UserPropertiesBuf, Version, Will,
};

use crate::{QOS, VERSIONS, byte, pick};

pub(super) const CLIENT_IDS: [&str; 5] = ["a", "b", "c", "d+/#", ""];
const NAMES: [Option<&str>; 4] = [None, None, Some("n"), Some("m/+")];
const TOPICS: [&str; 16] = [
    "a",
    "b",
    "c",
    "a/b",
    "a/gone",
    "a/reject",
    "a/move",
    "a/write",
    "a/hide",
    "a/mask",
    "no",
    "$SYS/x",
    "$x",
    "/",
    "b/c/d/e/f/g/h",
    "",
];
const FILTERS: [&str; 20] = [
    "a",
    "b",
    "c",
    "a/b",
    "+",
    "#",
    "a/#",
    "+/+",
    "/",
    "$share/g/a",
    "$share/g/#",
    "$share/h/a/+",
    "$share/g/b",
    "no",
    "$SYS/#",
    "a/+/#",
    "$share//a",
    "a#",
    "b/c/d/e/f/g/h",
    "",
];
const SECONDS: [Option<u32>; 6] = [None, Some(0), Some(1), Some(60), Some(1_000), Some(u32::MAX)];
const REASONS: [ReasonCode; 4] = [
    ReasonCode::Success,
    ReasonCode::Success,
    ReasonCode::UnspecifiedError,
    ReasonCode::PacketIdentifierNotFound,
];

/// The packet as bytes; nothing when it cannot be written.
fn bytes(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = packet.encode(version, &mut out);
    out
}

fn id(input: &mut Unstructured<'_>) -> PacketId {
    PacketId::new(u16::from(byte(input) % 6)).unwrap_or(PacketId::MAX)
}

fn user_properties(count: u8) -> UserPropertiesBuf {
    let mut properties = UserPropertiesBuf::default();
    for _ in 0..count {
        properties.push("k", "v").unwrap();
    }
    properties
}

fn message_properties(choice: u8) -> MessagePropertiesBuf {
    let mut properties = MessagePropertiesBuf::default();
    properties.set_payload_format_indicator((choice & 1 != 0).then_some(choice & 2 != 0));
    properties.set_content_type((choice & 4 != 0).then_some("text")).unwrap();
    properties.set_response_topic((choice & 8 != 0).then_some("a/b")).unwrap();
    properties.set_correlation_data((choice & 16 != 0).then_some(&[0, 255])).unwrap();
    for _ in 0..choice >> 5 {
        properties.add_user_property("k", "v").unwrap();
    }
    properties
}

fn payload(input: &mut Unstructured<'_>) -> Vec<u8> {
    match byte(input) {
        len @ 0..=99 => vec![b'x'; usize::from(len) % 10],
        len @ 100..=199 => vec![0xFF; usize::from(len)],
        // Up to what the broker takes at most, and beyond.
        len => vec![b'y'; usize::from(len - 199) * 50],
    }
}

pub(super) fn connect(input: &mut Unstructured<'_>) -> Vec<u8> {
    let version = pick(input, &VERSIONS);
    let [flags, more, will] = [byte(input), byte(input), byte(input)];
    let will_payload = if flags & 2 != 0 { payload(input) } else { Vec::new() };
    let (will_properties, own) = (message_properties(will), user_properties(more >> 5));
    let will = (flags & 2 != 0).then(|| Will {
        qos: QOS[usize::from(will & 3) % QOS.len()],
        retain: will & 4 != 0,
        topic: pick(input, &TOPICS),
        payload: &will_payload,
        delay_interval: pick(input, &SECONDS).unwrap_or(0),
        message_expiry_interval: pick(input, &SECONDS),
        properties: will_properties.as_view(),
    });
    let properties = ConnectProperties {
        session_expiry_interval: pick(input, &SECONDS),
        receive_maximum: NonZeroU16::new(u16::from(more & 3)),
        maximum_packet_size: NonZeroU32::new(u32::from(byte(input)) & 0xF8),
        topic_alias_maximum: u16::from(more >> 2 & 3),
        request_problem_information: more & 16 == 0,
        request_response_information: flags & 64 != 0,
        user_properties: own.as_view(),
        authentication_method: (flags & 0xA8 == 0xA8).then_some("method"),
        ..ConnectProperties::default()
    };
    let connect = Connect {
        version,
        clean_start: flags & 1 != 0,
        keep_alive: [0, 10, 60, u16::MAX][usize::from(flags >> 2 & 3)],
        client_id: pick(input, &CLIENT_IDS),
        username: NAMES[usize::from(flags >> 4 & 3)],
        password: None,
        will,
        properties,
    };
    bytes(version, &Packet::Connect(Box::new(connect)))
}

pub(super) fn publish(input: &mut Unstructured<'_>, version: Version) -> Vec<u8> {
    let flags = byte(input);
    let qos = QOS[usize::from(flags & 3) % QOS.len()];
    let properties = message_properties(if flags & 128 == 0 { 0 } else { byte(input) });
    let payload = payload(input);
    let publish = Publish {
        dup: flags & 4 != 0 && qos != QOS[0],
        qos,
        retain: flags & 8 != 0,
        topic: pick(input, &TOPICS),
        packet_id: (qos != QOS[0]).then(|| id(input)),
        properties: PublishProperties {
            message_expiry_interval: if flags & 64 == 0 { None } else { pick(input, &SECONDS) },
            topic_alias: NonZeroU16::new(u16::from(flags >> 4 & 3)),
            message: properties.as_view(),
            ..PublishProperties::default()
        },
        payload: &payload,
    };
    bytes(version, &Packet::Publish(publish))
}

pub(super) fn subscribe(input: &mut Unstructured<'_>, version: Version) -> Vec<u8> {
    let flags = byte(input);
    let handling =
        [RetainHandling::SendAtSubscribe, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
    let subscriptions = (0..flags % 6)
        .map(|_| {
            let options = byte(input);
            Subscription {
                filter: pick(input, &FILTERS),
                qos: QOS[usize::from(options & 3) % QOS.len()],
                no_local: options & 4 != 0,
                retain_as_published: options & 8 != 0,
                retain_handling: handling[usize::from(options >> 4) % 3],
            }
        })
        .collect();
    let properties = user_properties(flags >> 6);
    let subscribe = Subscribe {
        packet_id: id(input),
        subscription_identifier: NonZeroU32::new(u32::from(flags >> 3 & 7)),
        user_properties: properties.as_view(),
        subscriptions,
    };
    bytes(version, &Packet::Subscribe(subscribe))
}

pub(super) fn unsubscribe(input: &mut Unstructured<'_>, version: Version) -> Vec<u8> {
    let filters = (0..byte(input) % 5).map(|_| pick(input, &FILTERS)).collect();
    let unsubscribe =
        Unsubscribe { packet_id: id(input), user_properties: Default::default(), filters };
    bytes(version, &Packet::Unsubscribe(unsubscribe))
}

/// Acknowledgements of anything or nothing, and what is left.
pub(super) fn other(input: &mut Unstructured<'_>, version: Version) -> Vec<u8> {
    let kind = byte(input);
    let reason = REASONS[usize::from(kind >> 4) % REASONS.len()];
    let ack = Ack::new(id(input), reason);
    let packet = match kind & 15 {
        0..=1 => Packet::PubAck(ack),
        2..=4 => Packet::PubRec(ack),
        5..=7 => Packet::PubRel(Ack::new(ack.packet_id, ReasonCode::Success)),
        8..=10 => Packet::PubComp(Ack::new(ack.packet_id, ReasonCode::Success)),
        11 => Packet::PingReq,
        12 => Packet::Auth(Auth {
            reason: ReasonCode::ContinueAuthentication,
            method: Some("method"),
            data: None,
            reason_string: None,
            user_properties: Default::default(),
        }),
        13 => Packet::PingResp,
        _ => Packet::Disconnect(Disconnect {
            session_expiry_interval: pick(input, &SECONDS),
            ..Disconnect::new(if kind & 16 == 0 {
                ReasonCode::Success
            } else {
                ReasonCode::DisconnectWithWill
            })
        }),
    };
    bytes(version, &packet)
}
