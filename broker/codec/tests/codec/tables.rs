//! The tables of the specification, written down a second time.

use wasmqtt_codec::{DecodeError, Packet, PacketType, Property, PropertyType, QoS, ReasonCode};
use wasmqtt_codec::{Version, frame};

use super::{VERSIONS, block, decode, field, id, join};
use PacketType::*;

/// Table 2-6 (with 3.14.2.1): code and packets.
const REASONS: &[(u8, &str, &[PacketType])] = &[
    (
        0x00,
        "Success",
        &[ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth],
    ),
    (0x01, "Granted QoS 1", &[SubAck]),
    (0x02, "Granted QoS 2", &[SubAck]),
    (0x04, "Disconnect with Will Message", &[Disconnect]),
    (0x10, "No matching subscribers", &[PubAck, PubRec]),
    (0x11, "No subscription existed", &[UnsubAck]),
    (0x18, "Continue authentication", &[Auth]),
    (0x19, "Re-authenticate", &[Auth]),
    (0x80, "Unspecified error", &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect]),
    (0x81, "Malformed Packet", &[ConnAck, Disconnect]),
    (0x82, "Protocol Error", &[ConnAck, Disconnect]),
    (
        0x83,
        "Implementation specific error",
        &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect],
    ),
    (0x84, "Unsupported Protocol Version", &[ConnAck]),
    (0x85, "Client Identifier not valid", &[ConnAck]),
    (0x86, "Bad User Name or Password", &[ConnAck]),
    (0x87, "Not authorized", &[ConnAck, PubAck, PubRec, SubAck, UnsubAck, Disconnect]),
    (0x88, "Server unavailable", &[ConnAck]),
    (0x89, "Server busy", &[ConnAck, Disconnect]),
    (0x8a, "Banned", &[ConnAck]),
    (0x8b, "Server shutting down", &[Disconnect]),
    (0x8c, "Bad authentication method", &[ConnAck, Disconnect]),
    (0x8d, "Keep Alive timeout", &[Disconnect]),
    (0x8e, "Session taken over", &[Disconnect]),
    (0x8f, "Topic Filter invalid", &[SubAck, UnsubAck, Disconnect]),
    (0x90, "Topic Name invalid", &[ConnAck, PubAck, PubRec, Disconnect]),
    (0x91, "Packet Identifier in use", &[PubAck, PubRec, SubAck, UnsubAck]),
    (0x92, "Packet Identifier not found", &[PubRel, PubComp]),
    (0x93, "Receive Maximum exceeded", &[Disconnect]),
    (0x94, "Topic Alias invalid", &[Disconnect]),
    (0x95, "Packet too large", &[ConnAck, Disconnect]),
    (0x96, "Message rate too high", &[Disconnect]),
    (0x97, "Quota exceeded", &[ConnAck, PubAck, PubRec, SubAck, Disconnect]),
    (0x98, "Administrative action", &[Disconnect]),
    (0x99, "Payload format invalid", &[ConnAck, PubAck, PubRec, Disconnect]),
    (0x9a, "Retain not supported", &[ConnAck, Disconnect]),
    (0x9b, "QoS not supported", &[ConnAck, Disconnect]),
    (0x9c, "Use another server", &[ConnAck, Disconnect]),
    (0x9d, "Server moved", &[ConnAck, Disconnect]),
    (0x9e, "Shared Subscriptions not supported", &[SubAck, Disconnect]),
    (0x9f, "Connection rate exceeded", &[ConnAck, Disconnect]),
    (0xa0, "Maximum connect time", &[Disconnect]),
    (0xa1, "Subscription Identifiers not supported", &[SubAck, Disconnect]),
    (0xa2, "Wildcard Subscriptions not supported", &[SubAck, Disconnect]),
];

#[test]
fn reason_codes_are_those_of_table_2_6() {
    assert_eq!(ReasonCode::ALL.len(), REASONS.len());
    for code in 0..=u8::MAX {
        let row = REASONS.iter().find(|row| row.0 == code);
        let reason = ReasonCode::try_from(code);
        let Some((_, name, packets)) = row else {
            assert_eq!(reason, Err(DecodeError::ReasonCodeUnknown(code)));
            continue;
        };
        let reason = reason.unwrap();
        assert_eq!((reason as u8, reason.to_string().as_str()), (code, *name));
        assert_eq!(reason.is_error(), code >= 0x80);
        for kind in PacketType::ALL {
            assert_eq!(reason.allowed_in(kind), packets.contains(&kind), "{name} {kind}");
        }
    }
}

#[test]
fn granted_qos_is_its_own_number() {
    for (qos, code) in [(QoS::AtMostOnce, 0), (QoS::AtLeastOnce, 1), (QoS::ExactlyOnce, 2)] {
        assert_eq!(ReasonCode::granted(qos) as u8, code);
        assert_eq!(QoS::try_from(code), Ok(qos));
    }
    assert_eq!(QoS::try_from(3), Err(DecodeError::QosInvalid));
}

#[test]
fn return_codes_of_older_connacks_have_counterparts() {
    for (reason, code) in [
        (ReasonCode::Success, 0),
        (ReasonCode::UnsupportedProtocolVersion, 1),
        (ReasonCode::ClientIdentifierNotValid, 2),
        (ReasonCode::ServerUnavailable, 3),
        (ReasonCode::BadUserNameOrPassword, 4),
        (ReasonCode::NotAuthorized, 5),
    ] {
        assert_eq!(reason.connack_v3(), code);
        assert_eq!(ReasonCode::from_connack_v3(code), Some(reason));
    }
    for (reason, code) in [
        (ReasonCode::ServerBusy, 3),
        (ReasonCode::QuotaExceeded, 3),
        (ReasonCode::ConnectionRateExceeded, 3),
        (ReasonCode::UseAnotherServer, 3),
        (ReasonCode::BadAuthenticationMethod, 5),
        (ReasonCode::Banned, 5),
    ] {
        assert_eq!(reason.connack_v3(), code);
    }
    for code in 6..=u8::MAX {
        assert_eq!(ReasonCode::from_connack_v3(code), None);
    }
    // No refusal may look like a success.
    for reason in ReasonCode::ALL {
        assert_eq!(reason.connack_v3() == 0, !reason.is_error());
        assert!(reason.connack_v3() <= 5);
    }
}

#[test]
fn return_codes_of_older_subacks_are_a_qos_or_0x80() {
    for code in 0..=u8::MAX {
        let reason = ReasonCode::from_suback_v3(code);
        assert_eq!(reason.is_some(), matches!(code, 0..=2 | 0x80));
        assert!(reason.is_none_or(|reason| reason.suback_v3() == code));
    }
    assert_eq!(ReasonCode::QuotaExceeded.suback_v3(), 0x80);
}

/// Table 2-4: identifier, name, type, packets, and whether the will may have it.
const PROPERTIES: &[(u8, &str, PropertyType, &[PacketType], bool)] = {
    use PropertyType::*;
    &[
        (1, "Payload Format Indicator", Byte, &[Publish], true),
        (2, "Message Expiry Interval", FourByteInteger, &[Publish], true),
        (3, "Content Type", String, &[Publish], true),
        (8, "Response Topic", String, &[Publish], true),
        (9, "Correlation Data", Binary, &[Publish], true),
        (11, "Subscription Identifier", VariableByteInteger, &[Publish, Subscribe], false),
        (17, "Session Expiry Interval", FourByteInteger, &[Connect, ConnAck, Disconnect], false),
        (18, "Assigned Client Identifier", String, &[ConnAck], false),
        (19, "Server Keep Alive", TwoByteInteger, &[ConnAck], false),
        (21, "Authentication Method", String, &[Connect, ConnAck, Auth], false),
        (22, "Authentication Data", Binary, &[Connect, ConnAck, Auth], false),
        (23, "Request Problem Information", Byte, &[Connect], false),
        (24, "Will Delay Interval", FourByteInteger, &[], true),
        (25, "Request Response Information", Byte, &[Connect], false),
        (26, "Response Information", String, &[ConnAck], false),
        (28, "Server Reference", String, &[ConnAck, Disconnect], false),
        (
            31,
            "Reason String",
            String,
            &[ConnAck, PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck, Disconnect, Auth],
            false,
        ),
        (33, "Receive Maximum", TwoByteInteger, &[Connect, ConnAck], false),
        (34, "Topic Alias Maximum", TwoByteInteger, &[Connect, ConnAck], false),
        (35, "Topic Alias", TwoByteInteger, &[Publish], false),
        (36, "Maximum QoS", Byte, &[ConnAck], false),
        (37, "Retain Available", Byte, &[ConnAck], false),
        (
            38,
            "User Property",
            StringPair,
            &[
                Connect,
                ConnAck,
                Publish,
                PubAck,
                PubRec,
                PubRel,
                PubComp,
                Subscribe,
                SubAck,
                Unsubscribe,
                UnsubAck,
                Disconnect,
                Auth,
            ],
            true,
        ),
        (39, "Maximum Packet Size", FourByteInteger, &[Connect, ConnAck], false),
        (40, "Wildcard Subscription Available", Byte, &[ConnAck], false),
        (41, "Subscription Identifier Available", Byte, &[ConnAck], false),
        (42, "Shared Subscription Available", Byte, &[ConnAck], false),
    ]
};

#[test]
fn properties_are_those_of_table_2_4() {
    assert_eq!(Property::ALL.len(), PROPERTIES.len());
    for id in 0..300 {
        let row = PROPERTIES.iter().find(|row| u32::from(row.0) == id);
        let property = Property::from_id(id);
        assert_eq!(property.is_some(), row.is_some(), "{id}");
        let (Some(property), Some((_, name, value, packets, will))) = (property, row) else {
            continue;
        };
        assert_eq!((u32::from(property.id()), property.name()), (id, *name));
        assert_eq!(property.value_type(), *value);
        assert_eq!(property.allowed_in_will(), *will);
        for kind in PacketType::ALL {
            assert_eq!(property.allowed_in(kind), packets.contains(&kind), "{name} {kind}");
            let repeatable = match property {
                Property::UserProperty => packets.contains(&kind),
                Property::SubscriptionIdentifier => kind == Publish,
                _ => false,
            };
            assert_eq!(property.repeatable_in(kind), repeatable, "{name} {kind}");
        }
        let travels = matches!(id, 1 | 3 | 8 | 9 | 38);
        assert_eq!(property.travels(), travels);
    }
}

/// A value every decoder accepts.
fn value(property: Property) -> Vec<u8> {
    match property.value_type() {
        PropertyType::Byte | PropertyType::VariableByteInteger => vec![1],
        PropertyType::TwoByteInteger => vec![0, 1],
        PropertyType::FourByteInteger => vec![0, 0, 0, 1],
        PropertyType::String | PropertyType::Binary => field("a"),
        PropertyType::StringPair => join([&field("a"), &field("b")]),
    }
}

/// A packet of 5.0 with these properties, all else valid; `None` where there are no properties.
fn packet_with(kind: PacketType, properties: &[u8]) -> Option<Vec<u8>> {
    let block = block(properties);
    Some(match kind {
        Connect => join([&field("MQTT"), &[5, 2, 0, 0], &block, &field("id")]),
        ConnAck => join([&[0, 0], &block]),
        Publish => join([&field("a"), &block]),
        PubAck | PubRec | PubRel | PubComp => join([&[0, 1, 0], &block]),
        Subscribe => join([&[0, 1], &block, &field("a"), &[0]]),
        Unsubscribe => join([&[0, 1], &block, &field("a")]),
        SubAck | UnsubAck => join([&[0, 1], &block, &[0]]),
        Disconnect => join([&[0], &block]),
        Auth => join([&[0x18], &block]),
        PingReq | PingResp => return None,
    })
}

fn will_with(properties: &[u8]) -> Vec<u8> {
    let head = join([&field("MQTT"), &[5, 6, 0, 0, 0], &field("id")]);
    join([&head, &block(properties), &field("a"), &field("")])
}

/// What the decoder must say to `property`, given where it is allowed and what else it needs.
fn expected(property: Property, kind: PacketType, allowed: bool) -> Result<(), DecodeError> {
    if !allowed {
        return Err(DecodeError::PropertyNotAllowed(property));
    }
    match (property, kind) {
        (Property::AuthenticationData, Connect) => {
            Err(DecodeError::AuthenticationDataWithoutMethod)
        }
        (Property::AuthenticationMethod, Auth) => Ok(()),
        (_, Auth) => Err(DecodeError::AuthenticationMethodMissing),
        _ => Ok(()),
    }
}

#[test]
fn every_decoder_takes_exactly_the_properties_of_the_table() {
    for &property in Property::ALL {
        let entry = join([&[property.id()], &value(property)]);
        let twice = entry.repeat(2);
        for kind in PacketType::ALL {
            let Some(body) = packet_with(kind, &entry) else { continue };
            let result = decode(Version::V5, kind.first_byte(), &body).map(drop);
            let expected = expected(property, kind, property.allowed_in(kind));
            assert_eq!(result, expected, "{property} in {kind}");
            if expected.is_ok() {
                let body = packet_with(kind, &twice).unwrap();
                let result = decode(Version::V5, kind.first_byte(), &body).map(drop);
                let repeated = if property.repeatable_in(kind) {
                    Ok(())
                } else {
                    Err(DecodeError::PropertyRepeated(property))
                };
                assert_eq!(result, repeated, "{property} twice in {kind}");
            }
        }
        let result = decode(Version::V5, 0x10, &will_with(&entry)).map(drop);
        assert_eq!(result, expected(property, Publish, property.allowed_in_will()), "{property}");
    }
}

#[test]
fn packet_types_have_their_number_and_reserved_flags() {
    for (index, kind) in PacketType::ALL.into_iter().enumerate() {
        assert_eq!(kind as usize, index + 1);
        assert_eq!(PacketType::of(kind.first_byte()), Some(kind));
        let flags = if matches!(kind, PubRel | Subscribe | Unsubscribe) { 2 } else { 0 };
        assert_eq!(kind.first_byte() & 0x0f, flags);
    }
    assert_eq!(PacketType::of(0x0f), None);
    assert_eq!(frame::Frame { first: 0xe0, body: &[] }.kind(), Some(Disconnect));
}

#[test]
fn versions_have_their_name_and_level() {
    let table = VERSIONS.map(|v| (v.protocol_name(), v.level(), v.to_string()));
    assert_eq!(
        table,
        [
            ("MQIsdp", 3, "3.1".to_owned()),
            ("MQTT", 4, "3.1.1".to_owned()),
            ("MQTT", 5, "5.0".to_owned())
        ]
    );
}

#[test]
fn a_packet_fits_two_cache_lines() {
    assert!(size_of::<Packet<'_>>() <= 128, "{}", size_of::<Packet<'_>>());
    assert_eq!(size_of_val(&id(1)), 2);
}
