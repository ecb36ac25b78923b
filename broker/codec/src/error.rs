//! Every way bytes can be wrong, each with its normative statement, and every reason a packet cannot
//! be written. Must not know what the broker answers: it only sorts causes into classes.

use core::fmt;

use crate::{PacketType, Property, ReasonCode};

/// Why bytes are not an acceptable packet. Ids and sections are those of MQTT 5.0
/// unless marked `3.1.1`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// The fixed header announces more bytes than the receiver allows [MQTT-3.1.2-24],
    /// [MQTT-3.2.2-15].
    PacketTooLarge {
        /// Bytes of the packet, fixed header included.
        size: u32,
        /// Bytes that are allowed.
        max: u32,
    },
    /// A variable byte integer runs past its fourth byte (section 1.5.5).
    VarIntTooLong,
    /// A variable byte integer uses more bytes than it needs [MQTT-1.5.5-1].
    VarIntNotMinimal,
    /// Packet type 0 is reserved (section 2.1.2).
    PacketTypeReserved,
    /// Reserved flags of the fixed header are not as listed [MQTT-2.1.3-1].
    HeaderFlagsReserved(PacketType),
    /// This packet type does not exist in the connection's version (section 2.1.2).
    PacketNotInVersion(PacketType),
    /// A field reaches beyond the end of its packet or property block (section 4.13.1).
    Truncated,
    /// Bytes are left after the last field (section 4.13.1).
    TrailingBytes,
    /// A string is not well-formed UTF-8 [MQTT-1.5.4-1].
    StringNotUtf8,
    /// A string contains U+0000 [MQTT-1.5.4-2].
    StringContainsNul,
    /// A packet identifier is zero [MQTT-2.2.1-3], [MQTT-2.2.1-4].
    PacketIdZero,
    /// A PUBLISH has both QoS bits set [MQTT-3.3.1-4].
    QosInvalid,
    /// A PUBLISH of QoS 0 has the DUP flag [MQTT-3.3.1-2].
    DupWithQos0,
    /// A topic name is empty and nothing stands in for it [MQTT-4.7.3-1], [MQTT-3.3.2-8].
    TopicEmpty,
    /// A topic name contains `+` or `#` [MQTT-3.3.2-2].
    TopicWildcard,
    /// A response topic is empty or contains `+` or `#` [MQTT-3.3.2-14].
    ResponseTopicInvalid,
    /// A topic alias is zero [MQTT-3.3.2-8].
    TopicAliasZero,
    /// The protocol name is neither `MQTT` nor `MQIsdp` [MQTT-3.1.2-1].
    ProtocolNameUnknown,
    /// The protocol is MQTT, but not at this level [MQTT-3.1.2-2].
    ProtocolLevelUnsupported(u8),
    /// The reserved flag of CONNECT is set [MQTT-3.1.2-3].
    ConnectFlagReserved,
    /// The will's QoS is 3 [MQTT-3.1.2-12].
    WillQosInvalid,
    /// Will QoS or will retain without a will [MQTT-3.1.2-11], [MQTT-3.1.2-13].
    WillFlagsWithoutWill,
    /// A 3.x CONNECT has a password and no user name (3.1.1 [MQTT-3.1.2-22]).
    PasswordWithoutUserName,
    /// A 3.x CONNECT has no client identifier where it must: 3.1 always, 3.1.1 with clean session 0
    /// (3.1.1 [MQTT-3.1.3-8]).
    ClientIdEmpty,
    /// CONNECT has authentication data without an authentication method (section 3.1.2.11.10).
    AuthenticationDataWithoutMethod,
    /// AUTH has no authentication method [MQTT-4.12.0-5].
    AuthenticationMethodMissing,
    /// Reserved bits of the connect acknowledge flags are set [MQTT-3.2.2-1].
    ConnAckFlagsReserved,
    /// A CONNACK that refuses has session present set [MQTT-3.2.2-6].
    SessionPresentWithError,
    /// No such reason code, or no such 3.x return code (section 2.4).
    ReasonCodeUnknown(u8),
    /// The reason code exists but not in this packet [MQTT-3.2.2-8], [MQTT-3.4.2-1],
    /// [MQTT-3.5.2-1], [MQTT-3.6.2-1], [MQTT-3.7.2-1], [MQTT-3.9.3-2], [MQTT-3.11.3-2],
    /// [MQTT-3.14.2-1], [MQTT-3.15.2-1].
    ReasonCodeNotAllowed(ReasonCode),
    /// SUBSCRIBE, SUBACK, UNSUBSCRIBE or UNSUBACK without a single entry [MQTT-3.8.3-2],
    /// [MQTT-3.10.3-2].
    PayloadEmpty(PacketType),
    /// A topic filter is empty [MQTT-4.7.3-1].
    FilterEmpty,
    /// Reserved bits of the subscription options are set [MQTT-3.8.3-5].
    SubscriptionOptionsReserved,
    /// The requested QoS is 3 (section 3.8.3.1).
    SubscriptionQosInvalid,
    /// Retain handling is 3 (section 3.8.3.1).
    RetainHandlingInvalid,
    /// No local on a shared subscription [MQTT-3.8.3-4].
    NoLocalOnShared,
    /// No such property (section 2.2.2.2).
    PropertyUnknown(u32),
    /// The property does not belong into this packet (section 2.2.2.2).
    PropertyNotAllowed(Property),
    /// The property may occur once and occurs again (section 2.2.2.2).
    PropertyRepeated(Property),
    /// The property's value is outside its range: a boolean above 1, a zero where zero is forbidden.
    PropertyValueInvalid(Property),
}

/// What kind of fault a [`DecodeError`] is: enough to choose a reason code.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum ErrorClass {
    /// Cannot be parsed: 0x81 Malformed Packet.
    Malformed,
    /// Can be parsed and is not allowed: 0x82 Protocol Error.
    Protocol,
    /// 0x95 Packet too large.
    PacketTooLarge,
    /// 0x94 Topic Alias invalid.
    TopicAliasInvalid,
    /// 0x84 Unsupported Protocol Version, or return code 1 in 3.x.
    UnsupportedVersion,
    /// 0x90 Topic Name invalid.
    TopicNameInvalid,
    /// 0x85 Client Identifier not valid; only ever from a 3.x CONNECT, which is answered with
    /// return code 2.
    ClientIdInvalid,
}

impl DecodeError {
    /// Sorts the cause.
    pub const fn class(&self) -> ErrorClass {
        use DecodeError as E;
        match self {
            E::PacketTooLarge { .. } => ErrorClass::PacketTooLarge,
            E::TopicAliasZero => ErrorClass::TopicAliasInvalid,
            E::ProtocolLevelUnsupported(_) => ErrorClass::UnsupportedVersion,
            E::TopicWildcard => ErrorClass::TopicNameInvalid,
            E::ClientIdEmpty => ErrorClass::ClientIdInvalid,
            E::PacketNotInVersion(_)
            | E::PacketIdZero
            | E::TopicEmpty
            | E::ResponseTopicInvalid
            | E::PasswordWithoutUserName
            | E::AuthenticationDataWithoutMethod
            | E::AuthenticationMethodMissing
            | E::SessionPresentWithError
            | E::ReasonCodeUnknown(_)
            | E::ReasonCodeNotAllowed(_)
            | E::PayloadEmpty(_)
            | E::SubscriptionQosInvalid
            | E::RetainHandlingInvalid
            | E::NoLocalOnShared
            | E::PropertyRepeated(_)
            | E::PropertyValueInvalid(_) => ErrorClass::Protocol,
            E::VarIntTooLong
            | E::VarIntNotMinimal
            | E::PacketTypeReserved
            | E::HeaderFlagsReserved(_)
            | E::Truncated
            | E::TrailingBytes
            | E::StringNotUtf8
            | E::StringContainsNul
            | E::QosInvalid
            | E::DupWithQos0
            | E::ProtocolNameUnknown
            | E::ConnectFlagReserved
            | E::WillQosInvalid
            | E::WillFlagsWithoutWill
            | E::ConnAckFlagsReserved
            | E::FilterEmpty
            | E::SubscriptionOptionsReserved
            | E::PropertyUnknown(_)
            | E::PropertyNotAllowed(_) => ErrorClass::Malformed,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DecodeError as E;
        let text = match self {
            E::PacketTooLarge { size, max } => {
                return write!(f, "packet of {size} bytes is larger than the allowed {max}");
            }
            E::HeaderFlagsReserved(kind) => {
                return write!(f, "reserved flags in the fixed header of {kind}");
            }
            E::PacketNotInVersion(kind) => {
                return write!(f, "{kind} does not exist in this protocol version");
            }
            E::ProtocolLevelUnsupported(level) => {
                return write!(f, "protocol level {level} is not supported");
            }
            E::ReasonCodeUnknown(code) => return write!(f, "unknown reason code 0x{code:02X}"),
            E::ReasonCodeNotAllowed(code) => {
                return write!(f, "reason code 0x{:02X} ({code}) in the wrong packet", *code as u8);
            }
            E::PayloadEmpty(kind) => return write!(f, "{kind} without an entry"),
            E::PropertyUnknown(id) => return write!(f, "unknown property 0x{id:02X}"),
            E::PropertyNotAllowed(property) => {
                return write!(f, "property {property} in the wrong packet");
            }
            E::PropertyRepeated(property) => return write!(f, "property {property} repeated"),
            E::PropertyValueInvalid(property) => {
                return write!(f, "value of property {property} out of range");
            }
            E::VarIntTooLong => "variable byte integer longer than four bytes",
            E::VarIntNotMinimal => "variable byte integer not in its shortest form",
            E::PacketTypeReserved => "packet type 0 is reserved",
            E::Truncated => "packet ends inside a field",
            E::TrailingBytes => "bytes after the last field",
            E::StringNotUtf8 => "string is not UTF-8",
            E::StringContainsNul => "string contains U+0000",
            E::PacketIdZero => "packet identifier is zero",
            E::QosInvalid => "QoS 3",
            E::DupWithQos0 => "DUP flag with QoS 0",
            E::TopicEmpty => "topic name is empty",
            E::TopicWildcard => "topic name contains a wildcard",
            E::ResponseTopicInvalid => "response topic is empty or contains a wildcard",
            E::TopicAliasZero => "topic alias is zero",
            E::ProtocolNameUnknown => "protocol name is not MQTT",
            E::ConnectFlagReserved => "reserved flag of CONNECT is set",
            E::WillQosInvalid => "will QoS 3",
            E::WillFlagsWithoutWill => "will QoS or will retain without a will",
            E::PasswordWithoutUserName => "password without a user name",
            E::ClientIdEmpty => "client identifier is empty",
            E::AuthenticationDataWithoutMethod => "authentication data without a method",
            E::AuthenticationMethodMissing => "authentication method is missing",
            E::ConnAckFlagsReserved => "reserved connect acknowledge flags are set",
            E::SessionPresentWithError => "session present in a refusal",
            E::FilterEmpty => "topic filter is empty",
            E::SubscriptionOptionsReserved => "reserved subscription options are set",
            E::SubscriptionQosInvalid => "requested QoS 3",
            E::RetainHandlingInvalid => "retain handling 3",
            E::NoLocalOnShared => "no local on a shared subscription",
        };
        f.write_str(text)
    }
}

impl core::error::Error for DecodeError {}

/// Why a packet cannot be written. The output is then as it was before.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum EncodeError {
    /// A string or binary field is longer than 65 535 bytes (section 1.5.4), (section 1.5.6).
    StringTooLong,
    /// A string contains U+0000 [MQTT-1.5.4-2].
    StringContainsNul,
    /// The remaining length would exceed 268 435 455 bytes (section 2.1.4).
    PacketTooLarge,
    /// The packet does not exist in this version.
    PacketNotInVersion(PacketType),
    /// A PUBLISH above QoS 0 has no packet identifier [MQTT-2.2.1-4].
    PacketIdMissing,
    /// A PUBLISH of QoS 0 has a packet identifier [MQTT-2.2.1-2].
    PacketIdWithQos0,
    /// A PUBLISH of QoS 0 has the DUP flag [MQTT-3.3.1-2].
    DupWithQos0,
    /// A topic name is empty without an alias in 5.0 [MQTT-4.7.3-1].
    TopicEmpty,
    /// A topic name contains `+` or `#` [MQTT-3.3.2-2].
    TopicWildcard,
    /// A response topic is empty or contains `+` or `#` [MQTT-3.3.2-14].
    ResponseTopicInvalid,
    /// A subscription identifier exceeds 268 435 455 (section 3.8.2.1.2).
    SubscriptionIdentifierTooLarge,
    /// The reason code may not be sent in this packet.
    ReasonCodeNotAllowed(ReasonCode),
    /// SUBSCRIBE, SUBACK, UNSUBSCRIBE or UNSUBACK without a single entry.
    PayloadEmpty(PacketType),
    /// A topic filter is empty [MQTT-4.7.3-1].
    FilterEmpty,
    /// No local on a shared subscription [MQTT-3.8.3-4].
    NoLocalOnShared,
    /// Session present in a CONNACK that refuses [MQTT-3.2.2-6].
    SessionPresentWithError,
    /// A 3.x CONNECT has a password and no user name (3.1.1 [MQTT-3.1.2-22]).
    PasswordWithoutUserName,
    /// A 3.x CONNECT needs a client identifier here (3.1.1 [MQTT-3.1.3-7]).
    ClientIdEmpty,
    /// CONNECT has authentication data without a method.
    AuthenticationDataWithoutMethod,
    /// AUTH has no authentication method.
    AuthenticationMethodMissing,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use EncodeError as E;
        let text = match self {
            E::PacketNotInVersion(kind) => {
                return write!(f, "{kind} does not exist in this protocol version");
            }
            E::ReasonCodeNotAllowed(code) => {
                return write!(f, "reason code 0x{:02X} ({code}) in the wrong packet", *code as u8);
            }
            E::PayloadEmpty(kind) => return write!(f, "{kind} without an entry"),
            E::StringTooLong => "field longer than 65535 bytes",
            E::StringContainsNul => "string contains U+0000",
            E::PacketTooLarge => "packet larger than the protocol allows",
            E::PacketIdMissing => "packet identifier missing",
            E::PacketIdWithQos0 => "packet identifier with QoS 0",
            E::DupWithQos0 => "DUP flag with QoS 0",
            E::TopicEmpty => "topic name is empty",
            E::TopicWildcard => "topic name contains a wildcard",
            E::ResponseTopicInvalid => "response topic is empty or contains a wildcard",
            E::SubscriptionIdentifierTooLarge => "subscription identifier above 268435455",
            E::FilterEmpty => "topic filter is empty",
            E::NoLocalOnShared => "no local on a shared subscription",
            E::SessionPresentWithError => "session present in a refusal",
            E::PasswordWithoutUserName => "password without a user name",
            E::ClientIdEmpty => "client identifier is empty",
            E::AuthenticationDataWithoutMethod => "authentication data without a method",
            E::AuthenticationMethodMissing => "authentication method is missing",
        };
        f.write_str(text)
    }
}

impl core::error::Error for EncodeError {}
