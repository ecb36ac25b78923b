//! Reason codes: one table of value, name and packets, and their 3.x forms. Must not know which fault
//! leads to which code.

use core::fmt;

use crate::{DecodeError, PacketType, QoS};

/// The packets a code may appear in, as bits by packet number.
type Places = u16;

const CONNACK: Places = 1 << PacketType::ConnAck as u16;
const PUBACK: Places = 1 << PacketType::PubAck as u16;
const PUBREC: Places = 1 << PacketType::PubRec as u16;
const PUBREL: Places = 1 << PacketType::PubRel as u16;
const PUBCOMP: Places = 1 << PacketType::PubComp as u16;
const SUBACK: Places = 1 << PacketType::SubAck as u16;
const UNSUBACK: Places = 1 << PacketType::UnsubAck as u16;
const DISCONNECT: Places = 1 << PacketType::Disconnect as u16;
const AUTH: Places = 1 << PacketType::Auth as u16;
const PUB: Places = PUBACK | PUBREC;
const RELEASE: Places = PUBREL | PUBCOMP;
const SUB: Places = SUBACK | UNSUBACK;
const CLOSE: Places = CONNACK | DISCONNECT;

macro_rules! reason_codes {
    ($($(#[$default:meta])? $variant:ident = $code:literal, $name:literal, $places:expr;)*) => {
        /// A reason code of MQTT 5.0 (section 2.4). 0x00 is one variant with three names:
        /// [`Success`](Self::Success), [`NORMAL_DISCONNECTION`](Self::NORMAL_DISCONNECTION) and
        /// [`GRANTED_QOS_0`](Self::GRANTED_QOS_0).
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
        #[repr(u8)]
        pub enum ReasonCode {
            $($(#[$default])? #[doc = concat!($name, ".")] $variant = $code,)*
        }

        impl ReasonCode {
            /// Every reason code, in the order of its value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the specification.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn places(self) -> Places {
                match self { $(Self::$variant => $places,)* }
            }
        }

        impl TryFrom<u8> for ReasonCode {
            type Error = DecodeError;

            /// Fails with [`DecodeError::ReasonCodeUnknown`].
            #[inline]
            fn try_from(code: u8) -> Result<Self, DecodeError> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    other => Err(DecodeError::ReasonCodeUnknown(other)),
                }
            }
        }
    };
}

reason_codes! {
    // What an absent reason code means.
    #[default]
    Success = 0x00, "Success", CONNACK | PUB | RELEASE | SUB | DISCONNECT | AUTH;
    GrantedQoS1 = 0x01, "Granted QoS 1", SUBACK;
    GrantedQoS2 = 0x02, "Granted QoS 2", SUBACK;
    DisconnectWithWill = 0x04, "Disconnect with Will Message", DISCONNECT;
    NoMatchingSubscribers = 0x10, "No matching subscribers", PUB;
    NoSubscriptionExisted = 0x11, "No subscription existed", UNSUBACK;
    ContinueAuthentication = 0x18, "Continue authentication", AUTH;
    ReAuthenticate = 0x19, "Re-authenticate", AUTH;
    UnspecifiedError = 0x80, "Unspecified error", CLOSE | PUB | SUB;
    MalformedPacket = 0x81, "Malformed Packet", CLOSE;
    ProtocolError = 0x82, "Protocol Error", CLOSE;
    ImplementationSpecificError = 0x83, "Implementation specific error", CLOSE | PUB | SUB;
    UnsupportedProtocolVersion = 0x84, "Unsupported Protocol Version", CONNACK;
    ClientIdentifierNotValid = 0x85, "Client Identifier not valid", CONNACK;
    BadUserNameOrPassword = 0x86, "Bad User Name or Password", CONNACK;
    NotAuthorized = 0x87, "Not authorized", CLOSE | PUB | SUB;
    ServerUnavailable = 0x88, "Server unavailable", CONNACK;
    ServerBusy = 0x89, "Server busy", CLOSE;
    Banned = 0x8A, "Banned", CONNACK;
    ServerShuttingDown = 0x8B, "Server shutting down", DISCONNECT;
    // Table 2-6 allows this one in DISCONNECT, 3.14.2.1 forgets it; re-authentication needs it.
    BadAuthenticationMethod = 0x8C, "Bad authentication method", CLOSE;
    KeepAliveTimeout = 0x8D, "Keep Alive timeout", DISCONNECT;
    SessionTakenOver = 0x8E, "Session taken over", DISCONNECT;
    TopicFilterInvalid = 0x8F, "Topic Filter invalid", SUB | DISCONNECT;
    TopicNameInvalid = 0x90, "Topic Name invalid", CLOSE | PUB;
    PacketIdentifierInUse = 0x91, "Packet Identifier in use", PUB | SUB;
    PacketIdentifierNotFound = 0x92, "Packet Identifier not found", RELEASE;
    ReceiveMaximumExceeded = 0x93, "Receive Maximum exceeded", DISCONNECT;
    TopicAliasInvalid = 0x94, "Topic Alias invalid", DISCONNECT;
    PacketTooLarge = 0x95, "Packet too large", CLOSE;
    MessageRateTooHigh = 0x96, "Message rate too high", DISCONNECT;
    QuotaExceeded = 0x97, "Quota exceeded", CLOSE | PUB | SUBACK;
    AdministrativeAction = 0x98, "Administrative action", DISCONNECT;
    PayloadFormatInvalid = 0x99, "Payload format invalid", CLOSE | PUB;
    RetainNotSupported = 0x9A, "Retain not supported", CLOSE;
    QoSNotSupported = 0x9B, "QoS not supported", CLOSE;
    UseAnotherServer = 0x9C, "Use another server", CLOSE;
    ServerMoved = 0x9D, "Server moved", CLOSE;
    SharedSubscriptionsNotSupported = 0x9E, "Shared Subscriptions not supported",
        SUBACK | DISCONNECT;
    ConnectionRateExceeded = 0x9F, "Connection rate exceeded", CLOSE;
    MaximumConnectTime = 0xA0, "Maximum connect time", DISCONNECT;
    SubscriptionIdentifiersNotSupported = 0xA1, "Subscription Identifiers not supported",
        SUBACK | DISCONNECT;
    WildcardSubscriptionsNotSupported = 0xA2, "Wildcard Subscriptions not supported",
        SUBACK | DISCONNECT;
}

impl ReasonCode {
    /// 0x00 in DISCONNECT.
    pub const NORMAL_DISCONNECTION: Self = Self::Success;
    /// 0x00 in SUBACK.
    pub const GRANTED_QOS_0: Self = Self::Success;

    /// The SUBACK code that grants `qos`.
    pub const fn granted(qos: QoS) -> Self {
        match qos {
            QoS::AtMostOnce => Self::GRANTED_QOS_0,
            QoS::AtLeastOnce => Self::GrantedQoS1,
            QoS::ExactlyOnce => Self::GrantedQoS2,
        }
    }

    /// Whether the operation failed: 0x80 and above.
    pub const fn is_error(self) -> bool {
        self as u8 >= 0x80
    }

    /// Whether the code may appear in packets of this type. Who may send it is not told apart.
    pub const fn allowed_in(self, kind: PacketType) -> bool {
        self.places() & (1 << kind as u16) != 0
    }

    /// The 3.x CONNACK return code that says it best. A refusal without a counterpart becomes 3
    /// (try later) or 5 (not like this). A malformed 3.x CONNECT deserves no CONNACK at all
    /// (3.1.1 [MQTT-3.1.4-1]), so the mapping of such codes is for completeness.
    pub const fn connack_v3(self) -> u8 {
        match self {
            Self::UnsupportedProtocolVersion => 1,
            Self::ClientIdentifierNotValid => 2,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized
            | Self::Banned
            | Self::BadAuthenticationMethod
            | Self::MalformedPacket
            | Self::ProtocolError
            | Self::TopicNameInvalid
            | Self::PacketTooLarge
            | Self::PayloadFormatInvalid
            | Self::RetainNotSupported
            | Self::QoSNotSupported => 5,
            other if other.is_error() => 3,
            _ => 0,
        }
    }

    /// The reason code of a 3.x CONNACK return code; `None` above 5, which is reserved.
    pub const fn from_connack_v3(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Success,
            1 => Self::UnsupportedProtocolVersion,
            2 => Self::ClientIdentifierNotValid,
            3 => Self::ServerUnavailable,
            4 => Self::BadUserNameOrPassword,
            5 => Self::NotAuthorized,
            _ => return None,
        })
    }

    /// The 3.x SUBACK return code: the granted QoS, or 0x80 for every failure (3.1.1
    /// [MQTT-3.9.3-2]). 3.1 knows no failure; its clients get 0x80 as well.
    pub const fn suback_v3(self) -> u8 {
        if self.is_error() { 0x80 } else { self as u8 }
    }

    /// The reason code of a 3.x SUBACK return code; `None` for reserved ones.
    pub const fn from_suback_v3(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::GRANTED_QOS_0,
            1 => Self::GrantedQoS1,
            2 => Self::GrantedQoS2,
            0x80 => Self::UnspecifiedError,
            _ => return None,
        })
    }

    /// Reads a code that must be allowed in `kind`.
    #[inline]
    pub(crate) fn decode(code: u8, kind: PacketType) -> Result<Self, DecodeError> {
        let reason = Self::try_from(code)?;
        if reason.allowed_in(kind) {
            Ok(reason)
        } else {
            Err(DecodeError::ReasonCodeNotAllowed(reason))
        }
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
