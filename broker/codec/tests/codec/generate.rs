//! Strategies for every packet in every version. The strings of generated packets are leaked: a
//! packet borrows, and a test process is short.

use std::num::{NonZeroU16, NonZeroU32};

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use wasmqtt_codec::frame::MAX_REMAINING_LENGTH;
use wasmqtt_codec::*;

type Text = &'static str;

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![
        8 => "[^\\x00]{0,12}".prop_map(|text| &*text.leak()),
        1 => Just("\u{feff}\u{1}\u{7f}\u{85}\u{fffe}"),
    ]
}

fn topic() -> impl Strategy<Value = Text> {
    "[^\\x00+#]{1,16}".prop_map(|text| &*text.leak())
}

fn filter() -> impl Strategy<Value = Text> {
    prop_oneof!["[^\\x00]{1,16}".prop_map(|text| &*text.leak()), Just("$share/group/a/+/#")]
}

fn binary() -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..24).prop_map(|bytes| &*bytes.leak())
}

/// Long enough that lengths need more than one byte.
fn payload() -> impl Strategy<Value = &'static [u8]> {
    prop_oneof![
        4 => binary(),
        1 => (0usize..20_000).prop_map(|len| &*vec![0xa5; len].leak()),
    ]
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|value| NonZeroU16::new(value).unwrap())
}

fn some_u16() -> impl Strategy<Value = Option<NonZeroU16>> {
    of(packet_id())
}

fn some_u32() -> impl Strategy<Value = Option<NonZeroU32>> {
    of((1..=u32::MAX).prop_map(|value| NonZeroU32::new(value).unwrap()))
}

fn subscription_identifier() -> impl Strategy<Value = NonZeroU32> {
    (0u32..28)
        .prop_flat_map(|bits| 1..=(1u32 << bits).min(MAX_REMAINING_LENGTH))
        .prop_map(|value| NonZeroU32::new(value).unwrap())
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)]
}

pub(crate) fn pairs() -> impl Strategy<Value = Vec<(Text, Text)>> {
    vec((text(), text()), 0..4)
}

fn user_properties(version: Version) -> BoxedStrategy<UserProperties<'static>> {
    if version != Version::V5 {
        return Just(UserProperties::EMPTY).boxed();
    }
    pairs()
        .prop_map(|pairs| {
            let mut buf = UserPropertiesBuf::new();
            for (name, value) in pairs {
                buf.push(name, value).unwrap();
            }
            Box::leak(Box::new(buf)).as_view()
        })
        .boxed()
}

pub(crate) fn message_properties_buf() -> impl Strategy<Value = MessagePropertiesBuf> {
    (of(any::<bool>()), of(text()), of(topic()), of(binary()), pairs()).prop_map(
        |(utf8, content_type, response_topic, correlation, pairs)| {
            let mut buf = MessagePropertiesBuf::new();
            for (name, value) in pairs {
                buf.add_user_property(name, value).unwrap();
            }
            buf.set_payload_format_indicator(utf8);
            buf.set_content_type(content_type).unwrap();
            buf.set_response_topic(response_topic).unwrap();
            buf.set_correlation_data(correlation).unwrap();
            buf
        },
    )
}

fn message_properties(version: Version) -> BoxedStrategy<MessageProperties<'static>> {
    if version != Version::V5 {
        return Just(MessageProperties::EMPTY).boxed();
    }
    message_properties_buf().prop_map(|buf| Box::leak(Box::new(buf)).as_view()).boxed()
}

/// `strategy` in 5.0, `None` before.
fn only_v5<T: Clone + std::fmt::Debug + 'static>(
    version: Version,
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    if version == Version::V5 { of(strategy).boxed() } else { Just(None).boxed() }
}

/// Success in 3.x, any code the packet may carry in 5.0.
fn reason(version: Version, kind: PacketType) -> BoxedStrategy<ReasonCode> {
    let allowed: Vec<_> = ReasonCode::ALL
        .iter()
        .copied()
        .filter(|code| code.allowed_in(kind))
        .filter(|code| match (version, kind) {
            (Version::V5, _) => true,
            (_, PacketType::ConnAck) => {
                ReasonCode::from_connack_v3(code.connack_v3()) == Some(*code)
            }
            (_, PacketType::SubAck) => ReasonCode::from_suback_v3(code.suback_v3()) == Some(*code),
            _ => *code == ReasonCode::Success,
        })
        .collect();
    proptest::sample::select(allowed).boxed()
}

fn will(version: Version) -> impl Strategy<Value = Will<'static>> {
    (
        qos(),
        any::<bool>(),
        topic(),
        binary(),
        only_v5(version, any::<u32>()),
        only_v5(version, any::<u32>()),
        message_properties(version),
    )
        .prop_map(|(qos, retain, topic, payload, delay, expiry, properties)| Will {
            qos,
            retain,
            topic,
            payload,
            delay_interval: delay.unwrap_or(0),
            message_expiry_interval: expiry,
            properties,
        })
}

fn connect_properties(version: Version) -> BoxedStrategy<ConnectProperties<'static>> {
    if version != Version::V5 {
        return Just(ConnectProperties::default()).boxed();
    }
    let limits = (of(any::<u32>()), some_u16(), some_u32(), any::<u16>());
    let asks = (any::<bool>(), any::<bool>());
    let authentication = of((text(), of(binary())));
    (limits, asks, user_properties(version), authentication)
        .prop_map(|(limits, asks, user_properties, authentication)| ConnectProperties {
            session_expiry_interval: limits.0,
            receive_maximum: limits.1,
            maximum_packet_size: limits.2,
            topic_alias_maximum: limits.3,
            request_response_information: asks.0,
            request_problem_information: asks.1,
            user_properties,
            authentication_method: authentication.map(|(method, _)| method),
            authentication_data: authentication.and_then(|(_, data)| data),
        })
        .boxed()
}

fn connect(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let names = (text(), of(text()), of(binary()), of(will(version)));
    (any::<bool>(), any::<u16>(), names, connect_properties(version)).prop_map(
        move |(clean_start, keep_alive, (client_id, username, password, will), properties)| {
            let v5 = version == Version::V5;
            Packet::Connect(Box::new(Connect {
                version,
                clean_start,
                keep_alive,
                client_id: if client_id.is_empty() && !v5 { "id" } else { client_id },
                username,
                password: password.filter(|_| v5 || username.is_some()),
                will,
                properties,
            }))
        },
    )
}

fn connack_properties(version: Version) -> BoxedStrategy<ConnAckProperties<'static>> {
    if version != Version::V5 {
        return Just(ConnAckProperties::default()).boxed();
    }
    let limits = (of(any::<u32>()), some_u16(), qos(), some_u32(), any::<u16>(), of(any::<u16>()));
    let texts = (of(text()), of(text()), of(text()), of(text()), of(text()), of(binary()));
    (limits, any::<[bool; 4]>(), texts, user_properties(version))
        .prop_map(|(limits, available, texts, user_properties)| ConnAckProperties {
            session_expiry_interval: limits.0,
            receive_maximum: limits.1,
            maximum_qos: limits.2,
            retain_available: available[0],
            maximum_packet_size: limits.3,
            assigned_client_identifier: texts.0,
            topic_alias_maximum: limits.4,
            reason_string: texts.1,
            user_properties,
            wildcard_subscription_available: available[1],
            subscription_identifiers_available: available[2],
            shared_subscription_available: available[3],
            server_keep_alive: limits.5,
            response_information: texts.2,
            server_reference: texts.3,
            authentication_method: texts.4,
            authentication_data: texts.5,
        })
        .boxed()
}

fn connack(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (any::<bool>(), reason(version, PacketType::ConnAck), connack_properties(version)).prop_map(
        move |(present, reason, properties)| {
            let session_present =
                present && reason == ReasonCode::Success && version != Version::V31;
            Packet::ConnAck(Box::new(ConnAck { session_present, reason, properties }))
        },
    )
}

/// Any message in any form.
pub(crate) fn publish(version: Version) -> impl Strategy<Value = Publish<'static>> {
    let hop = (
        only_v5(version, any::<u32>()),
        only_v5(version, packet_id()),
        only_v5(version, vec(subscription_identifier(), 0..4)),
        message_properties(version),
    );
    (any::<[bool; 3]>(), qos(), topic(), packet_id(), hop, payload()).prop_map(
        |([dup, retain, aliased], qos, topic, packet_id, hop, payload)| {
            let list: &[NonZeroU32] = hop.2.unwrap_or_default().leak();
            Publish {
                dup: dup && qos > QoS::AtMostOnce,
                qos,
                retain,
                topic: if aliased && hop.1.is_some() { "" } else { topic },
                packet_id: Some(packet_id).filter(|_| qos > QoS::AtMostOnce),
                properties: PublishProperties {
                    message_expiry_interval: hop.0,
                    topic_alias: hop.1,
                    subscription_identifiers: SubscriptionIdentifiers::from_list(list),
                    message: hop.3,
                },
                payload,
            }
        },
    )
}

fn ack(version: Version, kind: PacketType) -> impl Strategy<Value = Packet<'static>> {
    (packet_id(), reason(version, kind), only_v5(version, text()), user_properties(version))
        .prop_map(move |(packet_id, reason, reason_string, user_properties)| {
            let ack = Ack { packet_id, reason, reason_string, user_properties };
            match kind {
                PacketType::PubAck => Packet::PubAck(ack),
                PacketType::PubRec => Packet::PubRec(ack),
                PacketType::PubRel => Packet::PubRel(ack),
                _ => Packet::PubComp(ack),
            }
        })
}

fn retain_handling(version: Version) -> impl Strategy<Value = RetainHandling> {
    let count = if version == Version::V5 { 3 } else { 1 };
    (0usize..count).prop_map(|index| {
        [RetainHandling::SendAtSubscribe, RetainHandling::SendIfNew, RetainHandling::DoNotSend]
            [index]
    })
}

fn subscription(version: Version) -> impl Strategy<Value = Subscription<'static>> {
    (filter(), qos(), any::<[bool; 2]>(), retain_handling(version)).prop_map(
        move |(filter, qos, [no_local, as_published], retain_handling)| Subscription {
            filter,
            qos,
            no_local: no_local && version == Version::V5 && !filter.starts_with("$share/"),
            retain_as_published: as_published && version == Version::V5,
            retain_handling,
        },
    )
}

fn subscribe(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (
        packet_id(),
        only_v5(version, subscription_identifier()),
        user_properties(version),
        vec(subscription(version), 1..5),
    )
        .prop_map(|(packet_id, subscription_identifier, user_properties, subscriptions)| {
            Packet::Subscribe(Subscribe {
                packet_id,
                subscription_identifier,
                user_properties,
                subscriptions,
            })
        })
}

fn unsubscribe(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (packet_id(), user_properties(version), vec(filter(), 1..5)).prop_map(
        |(packet_id, user_properties, filters)| {
            Packet::Unsubscribe(Unsubscribe { packet_id, user_properties, filters })
        },
    )
}

fn suback(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (
        packet_id(),
        vec(reason(version, PacketType::SubAck), 1..5),
        only_v5(version, text()),
        user_properties(version),
    )
        .prop_map(|(packet_id, reasons, reason_string, user_properties)| {
            let reasons = reasons.into();
            Packet::SubAck(SubAck { packet_id, reasons, reason_string, user_properties })
        })
}

fn unsuback(version: Version) -> impl Strategy<Value = Packet<'static>> {
    let count = if version == Version::V5 { 1..5 } else { 0..1 };
    (
        packet_id(),
        vec(reason(version, PacketType::UnsubAck), count),
        only_v5(version, text()),
        user_properties(version),
    )
        .prop_map(|(packet_id, reasons, reason_string, user_properties)| {
            let reasons = reasons.into();
            Packet::UnsubAck(UnsubAck { packet_id, reasons, reason_string, user_properties })
        })
}

fn disconnect(version: Version) -> impl Strategy<Value = Packet<'static>> {
    (
        reason(version, PacketType::Disconnect),
        only_v5(version, any::<u32>()),
        only_v5(version, text()),
        user_properties(version),
        only_v5(version, text()),
    )
        .prop_map(
            |(reason, session_expiry_interval, reason_string, user_properties, reference)| {
                Packet::Disconnect(Disconnect {
                    reason,
                    session_expiry_interval,
                    reason_string,
                    user_properties,
                    server_reference: reference,
                })
            },
        )
}

fn auth() -> impl Strategy<Value = Packet<'static>> {
    let full = (
        reason(Version::V5, PacketType::Auth),
        text(),
        of(binary()),
        of(text()),
        user_properties(Version::V5),
    )
        .prop_map(|(reason, method, data, reason_string, user_properties)| {
            let method = Some(method);
            Packet::Auth(Auth { reason, method, data, reason_string, user_properties })
        });
    prop_oneof![8 => full, 1 => Just(Packet::Auth(Auth::default()))]
}

/// Every packet that exists in `version`, with everything it can say there.
pub(crate) fn packet(version: Version) -> BoxedStrategy<Packet<'static>> {
    let old = prop_oneof![
        connect(version),
        connack(version),
        publish(version).prop_map(Packet::Publish),
        ack(version, PacketType::PubAck),
        ack(version, PacketType::PubRec),
        ack(version, PacketType::PubRel),
        ack(version, PacketType::PubComp),
        subscribe(version),
        suback(version),
    ];
    let more = prop_oneof![
        unsubscribe(version),
        unsuback(version),
        Just(Packet::PingReq),
        Just(Packet::PingResp),
        disconnect(version),
    ];
    match version {
        Version::V5 => prop_oneof![9 => old, 5 => more, 1 => auth()].boxed(),
        _ => prop_oneof![9 => old, 5 => more].boxed(),
    }
}

pub(crate) fn version() -> impl Strategy<Value = Version> {
    proptest::sample::select(&super::VERSIONS[..])
}

pub(crate) fn version_and_packet() -> impl Strategy<Value = (Version, Packet<'static>)> {
    version().prop_flat_map(|version| (Just(version), packet(version)))
}
