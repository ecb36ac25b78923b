//! Every way bytes can be wrong: the exact error, and its class.

use std::collections::HashSet;
use std::mem::discriminant;

use wasmqtt_codec::frame::{self, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{Connect, DecodeError as E, ErrorClass, Packet, PacketType, Property};
use wasmqtt_codec::{ReasonCode, Version};

use super::{block, decode, field, join};

const V31: Version = Version::V31;
const V311: Version = Version::V311;
const V5: Version = Version::V5;

/// CONNECT up to and without the client identifier; 5.0 gets the property block as well.
fn connect_head(name: &str, level: u8, flags: u8) -> Vec<u8> {
    join([&field(name), &[level, flags, 0, 10], if level == 5 { &[0] } else { &[] }])
}

fn connect_v5(properties: &[u8]) -> Vec<u8> {
    join([&field("MQTT"), &[5, 2, 0, 10], &block(properties), &field("id")])
}

fn connect_v5_with_will(properties: &[u8], topic: &str) -> Vec<u8> {
    join([
        &connect_head("MQTT", 5, 0x06),
        &field("id"),
        &block(properties),
        &field(topic),
        &field("payload"),
    ])
}

fn publish_v5(topic: &str, properties: &[u8]) -> Vec<u8> {
    join([&field(topic), &block(properties), b"payload"])
}

fn subscribe_v5(properties: &[u8], filter: &str, options: u8) -> Vec<u8> {
    join([&[0, 1], &block(properties), &field(filter), &[options]])
}

/// A row: version, first byte, body, error.
type Row = (Version, u8, Vec<u8>, E);

fn header_rows() -> Vec<Row> {
    vec![
        (V5, 0x00, vec![], E::PacketTypeReserved),
        (V311, 0x0f, vec![], E::PacketTypeReserved),
        (V5, 0x11, connect_v5(&[]), E::HeaderFlagsReserved(PacketType::Connect)),
        (V5, 0x28, vec![0, 0, 0], E::HeaderFlagsReserved(PacketType::ConnAck)),
        (V5, 0x42, vec![0, 1], E::HeaderFlagsReserved(PacketType::PubAck)),
        (V5, 0x51, vec![0, 1], E::HeaderFlagsReserved(PacketType::PubRec)),
        (V5, 0x60, vec![0, 1], E::HeaderFlagsReserved(PacketType::PubRel)),
        (V5, 0x6a, vec![0, 1], E::HeaderFlagsReserved(PacketType::PubRel)),
        (V5, 0x72, vec![0, 1], E::HeaderFlagsReserved(PacketType::PubComp)),
        (V5, 0x80, subscribe_v5(&[], "a", 0), E::HeaderFlagsReserved(PacketType::Subscribe)),
        (V311, 0x8a, vec![], E::HeaderFlagsReserved(PacketType::Subscribe)),
        (V5, 0x92, vec![0, 1, 0, 0], E::HeaderFlagsReserved(PacketType::SubAck)),
        (V5, 0xa3, vec![0, 1, 0], E::HeaderFlagsReserved(PacketType::Unsubscribe)),
        (V5, 0xb1, vec![0, 1, 0], E::HeaderFlagsReserved(PacketType::UnsubAck)),
        (V5, 0xc1, vec![], E::HeaderFlagsReserved(PacketType::PingReq)),
        (V5, 0xd4, vec![], E::HeaderFlagsReserved(PacketType::PingResp)),
        (V5, 0xe1, vec![], E::HeaderFlagsReserved(PacketType::Disconnect)),
        (V5, 0xf8, vec![], E::HeaderFlagsReserved(PacketType::Auth)),
        (V31, 0xf0, vec![], E::PacketNotInVersion(PacketType::Auth)),
        (V311, 0xf0, vec![], E::PacketNotInVersion(PacketType::Auth)),
        (V5, 0xc0, vec![0], E::TrailingBytes),
        (V5, 0xd0, vec![0], E::TrailingBytes),
        (V311, 0xe0, vec![0], E::TrailingBytes),
        (V5, 0xe0, vec![0, 0, 0], E::TrailingBytes),
        (V311, 0x40, vec![0, 1, 0], E::TrailingBytes),
        (V5, 0x40, vec![0, 1, 0, 0, 0], E::TrailingBytes),
        (V311, 0xb0, vec![0, 1, 0], E::TrailingBytes),
        (V311, 0x20, vec![0, 0, 0], E::TrailingBytes),
        (V5, 0x10, join([&connect_v5(&[]), &[0]]), E::TrailingBytes),
        (V5, 0xf0, vec![0x18, 4, 21, 0, 1, b'm', 0], E::TrailingBytes),
    ]
}

fn connect_rows() -> Vec<Row> {
    let id = field("id");
    vec![
        (V5, 0x10, connect_head("MQTt", 5, 2), E::ProtocolNameUnknown),
        (V5, 0x10, connect_head("", 5, 2), E::ProtocolNameUnknown),
        (V5, 0x10, join([&[0, 2, 0xff, 0xfe], &[5, 2]]), E::ProtocolNameUnknown),
        (V5, 0x10, connect_head("MQTT", 3, 2), E::ProtocolLevelUnsupported(3)),
        (V5, 0x10, connect_head("MQTT", 6, 2), E::ProtocolLevelUnsupported(6)),
        (V5, 0x10, connect_head("MQIsdp", 4, 2), E::ProtocolLevelUnsupported(4)),
        (V5, 0x10, connect_head("MQTT", 0x84, 2), E::ProtocolLevelUnsupported(0x84)),
        (V5, 0x10, connect_head("MQIsdp", 0x83, 2), E::ProtocolLevelUnsupported(0x83)),
        (V5, 0x10, connect_head("MQTT", 5, 0x03), E::ConnectFlagReserved),
        (V311, 0x10, connect_head("MQTT", 4, 0x03), E::ConnectFlagReserved),
        (V5, 0x10, connect_head("MQTT", 5, 0x1e), E::WillQosInvalid),
        (V5, 0x10, connect_head("MQTT", 5, 0x18), E::WillQosInvalid),
        (V5, 0x10, connect_head("MQTT", 5, 0x0a), E::WillFlagsWithoutWill),
        (V311, 0x10, connect_head("MQTT", 4, 0x22), E::WillFlagsWithoutWill),
        (V311, 0x10, connect_head("MQTT", 4, 0x42), E::PasswordWithoutUserName),
        (V31, 0x10, connect_head("MQIsdp", 3, 0x42), E::PasswordWithoutUserName),
        (V31, 0x10, join([&connect_head("MQIsdp", 3, 2), &[0, 0]]), E::ClientIdEmpty),
        (V311, 0x10, join([&connect_head("MQTT", 4, 0), &[0, 0]]), E::ClientIdEmpty),
        (V311, 0x10, join([&connect_head("MQTT", 4, 0x82), &id]), E::Truncated),
        (V5, 0x10, connect_v5(&[22, 0, 1, 9]), E::AuthenticationDataWithoutMethod),
        (V5, 0x10, connect_v5_with_will(&[], "a/+"), E::TopicWildcard),
        (V5, 0x10, connect_v5_with_will(&[], ""), E::TopicEmpty),
        (V5, 0x10, connect_v5_with_will(&[8, 0, 1, b'#'], "a"), E::ResponseTopicInvalid),
        (
            V5,
            0x10,
            connect_v5_with_will(&[35, 0, 1], "a"),
            E::PropertyNotAllowed(Property::TopicAlias),
        ),
        (
            V5,
            0x10,
            connect_v5(&[24, 0, 0, 0, 1]),
            E::PropertyNotAllowed(Property::WillDelayInterval),
        ),
        (
            V5,
            0x10,
            connect_v5_with_will(&[24, 0, 0, 0, 1, 24, 0, 0, 0, 1], "a"),
            E::PropertyRepeated(Property::WillDelayInterval),
        ),
    ]
}

fn value_rows() -> Vec<Row> {
    let invalid = E::PropertyValueInvalid;
    vec![
        (V5, 0x10, connect_v5(&[33, 0, 0]), invalid(Property::ReceiveMaximum)),
        (V5, 0x10, connect_v5(&[39, 0, 0, 0, 0]), invalid(Property::MaximumPacketSize)),
        (V5, 0x10, connect_v5(&[25, 2]), invalid(Property::RequestResponseInformation)),
        (V5, 0x10, connect_v5(&[23, 255]), invalid(Property::RequestProblemInformation)),
        (V5, 0x20, vec![0, 0, 3, 33, 0, 0], invalid(Property::ReceiveMaximum)),
        (V5, 0x20, vec![0, 0, 5, 39, 0, 0, 0, 0], invalid(Property::MaximumPacketSize)),
        (V5, 0x20, vec![0, 0, 2, 36, 2], invalid(Property::MaximumQoS)),
        (V5, 0x20, vec![0, 0, 2, 37, 2], invalid(Property::RetainAvailable)),
        (V5, 0x20, vec![0, 0, 2, 40, 2], invalid(Property::WildcardSubscriptionAvailable)),
        (V5, 0x20, vec![0, 0, 2, 41, 2], invalid(Property::SubscriptionIdentifierAvailable)),
        (V5, 0x20, vec![0, 0, 2, 42, 2], invalid(Property::SharedSubscriptionAvailable)),
        (V5, 0x30, publish_v5("a", &[1, 2]), invalid(Property::PayloadFormatIndicator)),
        (V5, 0x30, publish_v5("a", &[11, 0]), invalid(Property::SubscriptionIdentifier)),
        (V5, 0x82, subscribe_v5(&[11, 0], "a", 0), invalid(Property::SubscriptionIdentifier)),
        (V5, 0x30, publish_v5("a", &[35, 0, 0]), E::TopicAliasZero),
        (V5, 0x30, publish_v5("a", &[8, 0, 0]), E::ResponseTopicInvalid),
        (V5, 0x30, publish_v5("a", &[8, 0, 1, b'+']), E::ResponseTopicInvalid),
        (V5, 0x30, publish_v5("a", &[99]), E::PropertyUnknown(99)),
        (V5, 0x30, publish_v5("a", &[0]), E::PropertyUnknown(0)),
        (V5, 0x30, publish_v5("a", &[0xff, 0xff, 0xff, 0x7f]), E::PropertyUnknown(268_435_455)),
        (V5, 0x30, publish_v5("a", &[0x83, 0x00, 0, 0]), E::VarIntNotMinimal),
        (V5, 0x30, publish_v5("a", &[11, 0xff, 0xff, 0xff, 0xff, 1]), E::VarIntTooLong),
        (
            V5,
            0x30,
            publish_v5("a", &[17, 0]),
            E::PropertyNotAllowed(Property::SessionExpiryInterval),
        ),
        (V5, 0x40, vec![0, 1, 0, 2, 35, 0], E::PropertyNotAllowed(Property::TopicAlias)),
        (
            V5,
            0x30,
            publish_v5("a", &[2, 0, 0, 0, 1, 2, 0, 0, 0, 1]),
            E::PropertyRepeated(Property::MessageExpiryInterval),
        ),
        (
            V5,
            0x82,
            subscribe_v5(&[11, 1, 11, 2], "a", 0),
            E::PropertyRepeated(Property::SubscriptionIdentifier),
        ),
        (V5, 0x30, publish_v5("a", &[3, 0, 2, 0xc0, 0x80]), E::StringNotUtf8),
        (V5, 0x30, publish_v5("a", &[38, 0, 1, b'n', 0, 1, 0]), E::StringContainsNul),
        (V5, 0x30, publish_v5("a", &[38, 0, 1, 0, 0, 1, b'v']), E::StringContainsNul),
        (V5, 0x30, publish_v5("a", &[38, 0, 1, b'n']), E::Truncated),
        (V5, 0x30, publish_v5("a", &[2, 0, 0]), E::Truncated),
        (V5, 0x30, publish_v5("a", &[9, 0, 9, 1]), E::Truncated),
    ]
}

fn packet_rows() -> Vec<Row> {
    let not_allowed = E::ReasonCodeNotAllowed;
    vec![
        (V311, 0x36, join([&field("a"), &[0, 1]]), E::QosInvalid),
        (V311, 0x38, field("a"), E::DupWithQos0),
        (V31, 0x30, field(""), E::TopicEmpty),
        (V311, 0x30, field(""), E::TopicEmpty),
        (V5, 0x30, publish_v5("", &[]), E::TopicEmpty),
        (V5, 0x30, publish_v5("a/#", &[]), E::TopicWildcard),
        (V5, 0x30, publish_v5("+", &[]), E::TopicWildcard),
        (V311, 0x30, field(b"a\0b"), E::StringContainsNul),
        (V311, 0x30, field(b"\xed\xa0\x80"), E::StringNotUtf8),
        (V311, 0x30, field(b"\xff"), E::StringNotUtf8),
        (V311, 0x30, vec![0, 5, b'a'], E::Truncated),
        (V311, 0x32, field("a"), E::Truncated),
        (V311, 0x32, join([&field("a"), &[0, 0]]), E::PacketIdZero),
        (V5, 0x30, join([&field("a"), &[5]]), E::Truncated),
        (V5, 0x30, join([&field("a"), &[0x80, 0x00]]), E::VarIntNotMinimal),
        (V5, 0x30, join([&field("a"), &[0xff; 5]]), E::VarIntTooLong),
        (V5, 0x20, vec![2, 0, 0], E::ConnAckFlagsReserved),
        (V311, 0x20, vec![0x80, 0], E::ConnAckFlagsReserved),
        (V5, 0x20, vec![1, 0x87, 0], E::SessionPresentWithError),
        (V311, 0x20, vec![1, 5], E::SessionPresentWithError),
        (V311, 0x20, vec![0, 6], E::ReasonCodeUnknown(6)),
        (V5, 0x20, vec![0, 5, 0], E::ReasonCodeUnknown(5)),
        (V5, 0x20, vec![0, 0x8e, 0], not_allowed(ReasonCode::SessionTakenOver)),
        (V5, 0x20, vec![0, 0], E::Truncated),
        (V5, 0x40, vec![0, 0], E::PacketIdZero),
        (V5, 0x40, vec![0], E::Truncated),
        (V5, 0x40, vec![0, 1, 0x92], not_allowed(ReasonCode::PacketIdentifierNotFound)),
        (V5, 0x62, vec![0, 1, 0x10], not_allowed(ReasonCode::NoMatchingSubscribers)),
        (V5, 0x70, vec![0, 1, 0x7f], E::ReasonCodeUnknown(0x7f)),
        (V5, 0x82, vec![0, 1, 0], E::PayloadEmpty(PacketType::Subscribe)),
        (V311, 0x82, vec![0, 1], E::PayloadEmpty(PacketType::Subscribe)),
        (V311, 0x82, vec![0, 0], E::PacketIdZero),
        (V5, 0x82, subscribe_v5(&[], "", 0), E::FilterEmpty),
        (V5, 0x82, join([&[0, 1, 0], &field("a")]), E::Truncated),
        (V5, 0x82, subscribe_v5(&[], "a", 0x40), E::SubscriptionOptionsReserved),
        (V5, 0x82, subscribe_v5(&[], "a", 0x80), E::SubscriptionOptionsReserved),
        (V311, 0x82, join([&[0, 1], &field("a"), &[4]]), E::SubscriptionOptionsReserved),
        (V5, 0x82, subscribe_v5(&[], "a", 3), E::SubscriptionQosInvalid),
        (V311, 0x82, join([&[0, 1], &field("a"), &[3]]), E::SubscriptionQosInvalid),
        (V5, 0x82, subscribe_v5(&[], "a", 0x30), E::RetainHandlingInvalid),
        (V5, 0x82, subscribe_v5(&[], "$share/g/a", 4), E::NoLocalOnShared),
        (V5, 0x90, vec![0, 1, 0], E::PayloadEmpty(PacketType::SubAck)),
        (V311, 0x90, vec![0, 1], E::PayloadEmpty(PacketType::SubAck)),
        (V311, 0x90, vec![0, 1, 3], E::ReasonCodeUnknown(3)),
        (V311, 0x90, vec![0, 1, 0x87], E::ReasonCodeUnknown(0x87)),
        (V5, 0x90, vec![0, 1, 0, 0x11], not_allowed(ReasonCode::NoSubscriptionExisted)),
        (V5, 0xa2, vec![0, 1, 0], E::PayloadEmpty(PacketType::Unsubscribe)),
        (V311, 0xa2, vec![0, 1], E::PayloadEmpty(PacketType::Unsubscribe)),
        (V311, 0xa2, vec![0, 1, 0, 0], E::FilterEmpty),
        (V5, 0xb0, vec![0, 1, 0], E::PayloadEmpty(PacketType::UnsubAck)),
        (V5, 0xb0, vec![0, 1, 0, 0x97], not_allowed(ReasonCode::QuotaExceeded)),
        (V5, 0xe0, vec![0x01], not_allowed(ReasonCode::GrantedQoS1)),
        (V5, 0xf0, vec![0x87], not_allowed(ReasonCode::NotAuthorized)),
        (V5, 0xf0, vec![0x18, 0], E::AuthenticationMethodMissing),
        (V5, 0xf0, vec![0x18], E::Truncated),
    ]
}

#[test]
fn bits_of_a_will_that_is_not_there_are_disregarded_in_3_1() {
    for flags in [0x0a, 0x12, 0x1a, 0x22, 0x3a] {
        let body = join([&connect_head("MQIsdp", 3, flags), &field("id")]);
        let packet = decode(Version::V31, 0x10, &body);
        let Ok(Packet::Connect(connect)) = packet else { panic!("{flags:#x}: {packet:?}") };
        assert_eq!((connect.client_id, connect.will), ("id", None));
    }
}

#[test]
fn every_fault_has_its_error() {
    let mut seen = HashSet::new();
    for rows in [header_rows(), connect_rows(), value_rows(), packet_rows()] {
        for (version, first, body, error) in rows {
            assert_eq!(decode(version, first, &body), Err(error), "{first:#x} {body:x?}");
            assert!(!error.to_string().is_empty());
            seen.insert(discriminant(&error));
        }
    }
    // All variants but PacketTooLarge, which only a fixed header can cause.
    assert_eq!(seen.len(), 39);
}

#[test]
fn a_packet_cut_anywhere_is_truncated_or_lacks_something() {
    let body = connect_v5_with_will(&[24, 0, 0, 0, 1, 38, 0, 1, b'n', 0, 1, b'v'], "topic");
    assert!(decode(V5, 0x10, &body).is_ok());
    for len in 0..body.len() {
        assert_eq!(decode(V5, 0x10, &body[..len]), Err(E::Truncated), "{len}");
    }
}

#[test]
fn errors_have_the_class_their_section_asks_for() {
    for (error, class) in [
        (E::PacketTooLarge { size: 2, max: 1 }, ErrorClass::PacketTooLarge),
        (E::TopicAliasZero, ErrorClass::TopicAliasInvalid),
        (E::ProtocolLevelUnsupported(6), ErrorClass::UnsupportedVersion),
        (E::TopicWildcard, ErrorClass::TopicNameInvalid),
        (E::ClientIdEmpty, ErrorClass::ClientIdInvalid),
        // 2.2.2.2: an identifier that is not valid for its packet type is malformed, ...
        (E::PropertyUnknown(99), ErrorClass::Malformed),
        (E::PropertyNotAllowed(Property::TopicAlias), ErrorClass::Malformed),
        // ... one that occurs too often is a protocol error.
        (E::PropertyRepeated(Property::TopicAlias), ErrorClass::Protocol),
        (E::PropertyValueInvalid(Property::ReceiveMaximum), ErrorClass::Protocol),
        (E::StringNotUtf8, ErrorClass::Malformed),
        (E::QosInvalid, ErrorClass::Malformed),
        (E::HeaderFlagsReserved(PacketType::PubRel), ErrorClass::Malformed),
        (E::SubscriptionOptionsReserved, ErrorClass::Malformed),
        (E::TopicEmpty, ErrorClass::Protocol),
        (E::PayloadEmpty(PacketType::Subscribe), ErrorClass::Protocol),
        (E::NoLocalOnShared, ErrorClass::Protocol),
        (E::SubscriptionQosInvalid, ErrorClass::Protocol),
        (E::RetainHandlingInvalid, ErrorClass::Protocol),
    ] {
        assert_eq!(error.class(), class, "{error}");
    }
}

#[test]
fn a_fixed_header_is_judged_as_soon_as_it_can_be() {
    let next = |bytes: &[u8]| match frame::next(bytes, 1000) {
        Ok(Next::Partial { total }) => Ok(total),
        Ok(Next::Whole { len, .. }) => Ok(Some(len)),
        Err(error) => Err(error),
    };
    assert_eq!(next(&[]), Ok(None));
    assert_eq!(next(&[0x30]), Ok(None));
    assert_eq!(next(&[0x30, 0x80]), Ok(None));
    assert_eq!(next(&[0x30, 5]), Ok(Some(7)));
    assert_eq!(next(&[0x30, 0xe5, 0x07]), Ok(Some(1000)));
    assert_eq!(next(&[0x30, 0xe6, 0x07]), Err(E::PacketTooLarge { size: 1001, max: 1000 }));
    assert_eq!(next(&[0x30, 0x80, 0]), Err(E::VarIntNotMinimal));
    assert_eq!(next(&[0x30, 0xff, 0xff, 0x80, 0]), Err(E::VarIntNotMinimal));
    assert_eq!(next(&[0x30, 0xff, 0xff, 0xff, 0xff]), Err(E::VarIntTooLong));
    assert_eq!(next(&[0x30, 0x80, 0x80, 0x80, 0x80, 0]), Err(E::VarIntTooLong));
    assert_eq!(
        frame::next(&[0x30, 0xff, 0xff, 0xff, 0x7f], u32::MAX),
        Ok(Next::Partial { total: Some(MAX_PACKET_SIZE as usize) })
    );
    assert_eq!(
        frame::next(&[0x30, 0xff, 0xff, 0xff, 0x7f], MAX_PACKET_SIZE - 1),
        Err(E::PacketTooLarge { size: MAX_PACKET_SIZE, max: MAX_PACKET_SIZE - 1 })
    );
    assert_eq!(frame::next(&[0xc0, 0], 0), Err(E::PacketTooLarge { size: 2, max: 0 }));
}

#[test]
fn the_version_of_a_broken_connect_can_still_be_told() {
    assert_eq!(Connect::peek_version(&connect_head("MQTT", 5, 0xff)), Ok(V5));
    assert_eq!(Connect::peek_version(&connect_head("MQTT", 4, 0xff)), Ok(V311));
    assert_eq!(Connect::peek_version(&connect_head("MQIsdp", 3, 0xff)), Ok(V31));
    assert_eq!(Connect::peek_version(b"GET / HTTP/1.1"), Err(E::Truncated));
    assert_eq!(Connect::peek_version(&[0, 0, 0]), Err(E::ProtocolNameUnknown));
}

#[test]
fn older_clients_are_read_with_the_leniency_of_their_version() {
    // 3.1 may resend SUBSCRIBE, UNSUBSCRIBE and PUBREL with the DUP flag.
    assert!(decode(V31, 0x8a, &join([&[0, 1], &field("a"), &[0xfd]])).is_ok());
    assert!(decode(V31, 0xaa, &join([&[0, 1], &field("a")])).is_ok());
    assert!(decode(V31, 0x6a, &[0, 1]).is_ok());
    // 3.1 announces a user name or a password and may leave it out; bit 0 means nothing.
    let head = join([&connect_head("MQIsdp", 3, 0xc3), &field("id")]);
    for (tail, username, password) in [
        (vec![], None, None),
        (field("u"), Some("u"), None),
        (join([&field("u"), &field("p")]), Some("u"), Some(&b"p"[..])),
    ] {
        let body = join([&head, &tail]);
        let Ok(Packet::Connect(connect)) = decode(V31, 0x10, &body) else { panic!() };
        assert_eq!((connect.username, connect.password), (username, password));
    }
    // 5.0 allows a password without a user name, and 5.0 and 3.1.1 an empty identifier.
    let body = join([&connect_head("MQTT", 5, 0x40), &field(""), &field("p")]);
    let Ok(Packet::Connect(connect)) = decode(V5, 0x10, &body) else { panic!() };
    assert_eq!((connect.client_id, connect.password), ("", Some(&b"p"[..])));
    assert!(decode(V311, 0x10, &join([&connect_head("MQTT", 4, 2), &[0, 0]])).is_ok());
    // No version is held to 23 bytes.
    let long = field("x".repeat(300));
    assert!(decode(V31, 0x10, &join([&connect_head("MQIsdp", 3, 2), &long])).is_ok());
}

#[test]
fn control_characters_and_byte_order_marks_are_kept() {
    let topic = "\u{feff}a\u{1}\u{1f}\u{7f}\u{9f}\u{ffff}\u{feff}";
    let body = field(topic);
    let Ok(Packet::Publish(publish)) = decode(V311, 0x30, &body) else { panic!() };
    assert_eq!(publish.topic, topic);
}

#[test]
fn an_empty_topic_is_fine_with_an_alias() {
    let body = publish_v5("", &[35, 0, 7]);
    let Ok(Packet::Publish(publish)) = decode(V5, 0x30, &body) else { panic!() };
    assert_eq!((publish.topic, publish.properties.topic_alias), ("", Some(super::id(7))));
}

/// Blocks of nothing but user properties are checked at once; among others, each is on its own.
#[test]
fn user_properties_alone_are_judged_as_among_others() {
    let pair = |name: &str, value: &str| join([&[38], &field(name), &field(value)]);
    let long = "x".repeat(300);
    let strings =
        ["", "a", "eu", "celsius", "hall-7/a", "h\u{f6}he", &long[..127], &long[..128], &long];
    let judged = |alone: &[u8]| {
        // A subscription identifier may be repeated, and does not travel.
        let among = join([&[11, 1], alone]);
        let results = [alone, &among].map(|block| {
            let body = publish_v5("a", block);
            decode(V5, 0x30, &body).map(|packet| match packet {
                Packet::Publish(publish) => {
                    let travelling = publish.properties.message;
                    let pairs = travelling.user_properties().iter();
                    let pairs: Vec<_> =
                        pairs.map(|(name, value)| join([&field(name), &field(value)])).collect();
                    (pairs, travelling.content_type().is_some(), travelling.encoded_len())
                }
                other => panic!("{other:?}"),
            })
        });
        let [alone, among] = results;
        assert_eq!(alone, among);
        alone.is_ok()
    };
    for first in strings {
        for second in strings {
            assert!(judged(&join([
                &pair(first, second),
                &pair(second, first),
                &pair("unit", first)
            ])));
        }
    }
    let whole = join([&pair("region", "eu"), &pair("unit", "celsius"), &pair("a", "hall-7/a")]);
    let mut wrong = 0;
    for at in 0..whole.len() {
        assert!(!judged(&whole[..at]) || [0, 13, 29].contains(&at), "{at}");
        for byte in 0..=u8::MAX {
            let mut changed = whole.clone();
            changed[at] = byte;
            wrong += usize::from(!judged(&changed));
        }
    }
    assert!(wrong > whole.len() * 129, "{wrong}");
}
