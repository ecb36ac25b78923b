//! What the peer did wrong, and the one table that turns it into a reason code.

use std::fmt;
use std::sync::Arc;

use wasmqtt_codec::{DecodeError, ErrorClass, PacketType, ReasonCode};

use crate::redirect::Redirect;

/// Why a connection ends, seen from the broker.
#[derive(Clone, PartialEq, Debug)]
pub enum Fault {
    /// The bytes are no packet, or no allowed one.
    Decode(DecodeError),
    /// The first packet is not CONNECT [MQTT-3.1.0-1].
    ConnectExpected(PacketType),
    /// A second CONNECT [MQTT-3.1.0-2].
    SecondConnect,
    /// A packet only a server may send, or AUTH without an authentication method.
    UnexpectedPacket(PacketType),
    /// A PUBLISH with a subscription identifier: only a server sends one [MQTT-3.3.4-6].
    SubscriptionIdentifierPublished,
    /// AUTH names another method than CONNECT did [MQTT-4.12.0-5], [MQTT-4.12.1-1].
    AuthenticationMethodChanged,
    /// An exchange of more rounds, or more authentication data, than allowed.
    AuthenticationTooLong,
    /// An exchange that did not come to its end in time.
    AuthenticationTimeout,
    /// More re-authentications in a time than allowed.
    TooManyAuthentications,
    /// A re-authentication failed [MQTT-4.12.1-2].
    AuthenticationRefused(ReasonCode),
    /// A re-authentication under another name.
    NameChanged,
    /// More QoS 2 publications open than Receive Maximum allows [MQTT-3.3.4-9].
    ReceiveMaximumExceeded,
    /// A topic alias of 0 or above the maximum [MQTT-3.2.2-17].
    TopicAliasInvalid,
    /// No topic name, and an alias that was never set (3.3.2.3.4).
    TopicAliasUnknown,
    /// A topic beyond the length or depth this listener allows.
    TopicTooLong,
    /// More publications per second than allowed.
    MessageRateTooHigh,
    /// A publication above the Maximum QoS that was announced [MQTT-3.2.2-11].
    QosNotSupported,
    /// A publication to be retained, where that is not offered [MQTT-3.2.2-14].
    RetainNotSupported,
    /// A subscription identifier, where that is not offered.
    SubscriptionIdentifiersNotSupported,
    /// A payload that is declared to be UTF-8 and is not.
    PayloadFormatInvalid,
    /// More user properties, or longer ones, than this listener takes.
    TooManyUserProperties,
    /// A payload larger than this listener takes.
    PayloadTooLarge,
    /// A property, of this name, longer than this listener takes.
    PropertyTooLong(&'static str),
    /// A session expiry above zero in DISCONNECT after zero in CONNECT.
    SessionExpiryRaised,
    /// Nothing heard for one and a half times the keep alive [MQTT-3.1.2-22].
    KeepAliveTimeout,
    /// The identity has expired.
    IdentityExpired,
    /// A refused publication of a 3.x client, where the listener closes on it.
    PublishRefused(ReasonCode),
    /// Another connection has taken the session [MQTT-3.1.4-3].
    TakenOver,
    /// The connection has lasted as long as one may.
    ConnectionTimeOver,
    /// An identifier that a QoS 2 publication has, which is not released yet [MQTT-2.2.1-3].
    PacketIdentifierInUse,
    /// The client is to go elsewhere.
    Redirected(Arc<Redirect>),
    /// The broker wants it so.
    Ordered(ReasonCode),
    /// A plugin wants it so, and says why.
    Dismissed(ReasonCode, Arc<str>),
}

impl Fault {
    /// The code the peer is told.
    pub fn reason(&self) -> ReasonCode {
        match self {
            Fault::Decode(error) => match error.class() {
                ErrorClass::Malformed => ReasonCode::MalformedPacket,
                ErrorClass::Protocol => ReasonCode::ProtocolError,
                ErrorClass::PacketTooLarge => ReasonCode::PacketTooLarge,
                ErrorClass::TopicAliasInvalid => ReasonCode::TopicAliasInvalid,
                ErrorClass::UnsupportedVersion => ReasonCode::UnsupportedProtocolVersion,
                ErrorClass::TopicNameInvalid => ReasonCode::TopicNameInvalid,
                ErrorClass::ClientIdInvalid => ReasonCode::ClientIdentifierNotValid,
            },
            Fault::ConnectExpected(_)
            | Fault::SecondConnect
            | Fault::UnexpectedPacket(_)
            // Not 0x8C, which the table of DISCONNECT (3.14.2.1) does not have.
            | Fault::AuthenticationMethodChanged
            | Fault::SubscriptionIdentifierPublished
            | Fault::TopicAliasUnknown
            | Fault::SessionExpiryRaised => ReasonCode::ProtocolError,
            Fault::AuthenticationTooLong | Fault::TooManyAuthentications => {
                ReasonCode::QuotaExceeded
            }
            Fault::AuthenticationTimeout | Fault::NameChanged => ReasonCode::NotAuthorized,
            // What DISCONNECT has no word for, as for a wrong password, is not authorized.
            Fault::AuthenticationRefused(ReasonCode::BadAuthenticationMethod) => {
                ReasonCode::NotAuthorized
            }
            Fault::AuthenticationRefused(code) if !code.allowed_in(PacketType::Disconnect) => {
                ReasonCode::NotAuthorized
            }
            Fault::ReceiveMaximumExceeded => ReasonCode::ReceiveMaximumExceeded,
            Fault::TopicAliasInvalid => ReasonCode::TopicAliasInvalid,
            Fault::TopicTooLong => ReasonCode::TopicNameInvalid,
            Fault::MessageRateTooHigh => ReasonCode::MessageRateTooHigh,
            Fault::QosNotSupported => ReasonCode::QoSNotSupported,
            Fault::RetainNotSupported => ReasonCode::RetainNotSupported,
            Fault::SubscriptionIdentifiersNotSupported => {
                ReasonCode::SubscriptionIdentifiersNotSupported
            }
            Fault::PayloadFormatInvalid => ReasonCode::PayloadFormatInvalid,
            Fault::TooManyUserProperties | Fault::PayloadTooLarge | Fault::PropertyTooLong(_) => {
                ReasonCode::QuotaExceeded
            }
            Fault::KeepAliveTimeout => ReasonCode::KeepAliveTimeout,
            Fault::IdentityExpired | Fault::ConnectionTimeOver => ReasonCode::MaximumConnectTime,
            Fault::PacketIdentifierInUse => ReasonCode::PacketIdentifierInUse,
            Fault::Redirected(redirect) => redirect.reason(),
            Fault::TakenOver => ReasonCode::SessionTakenOver,
            Fault::AuthenticationRefused(code)
            | Fault::PublishRefused(code)
            | Fault::Ordered(code)
            | Fault::Dismissed(code, _) => *code,
        }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Fault::Decode(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Decode(error) => error.fmt(f),
            Fault::ConnectExpected(kind) => write!(f, "first packet is {kind:?}, not CONNECT"),
            Fault::SecondConnect => f.write_str("second CONNECT"),
            Fault::UnexpectedPacket(kind) => write!(f, "unexpected {kind:?}"),
            Fault::SubscriptionIdentifierPublished => {
                f.write_str("PUBLISH of a client with a subscription identifier")
            }
            Fault::AuthenticationMethodChanged => {
                f.write_str("AUTH with another method than CONNECT")
            }
            Fault::AuthenticationTooLong => {
                f.write_str("more rounds or data of authentication than allowed")
            }
            Fault::AuthenticationTimeout => f.write_str("the authentication took too long"),
            Fault::TooManyAuthentications => f.write_str("more re-authentications than allowed"),
            Fault::AuthenticationRefused(code) => write!(f, "re-authentication failed: {code}"),
            Fault::NameChanged => f.write_str("re-authentication under another name"),
            Fault::ReceiveMaximumExceeded => f.write_str("more open QoS 2 messages than allowed"),
            Fault::TopicAliasInvalid => f.write_str("topic alias out of range"),
            Fault::TopicAliasUnknown => f.write_str("topic alias was never set"),
            Fault::TopicTooLong => f.write_str("topic longer or deeper than allowed"),
            Fault::MessageRateTooHigh => f.write_str("more messages per second than allowed"),
            Fault::QosNotSupported => f.write_str("QoS above the maximum of this listener"),
            Fault::RetainNotSupported => f.write_str("this listener retains no messages"),
            Fault::SubscriptionIdentifiersNotSupported => {
                f.write_str("this listener takes no subscription identifiers")
            }
            Fault::PayloadFormatInvalid => f.write_str("payload declared to be UTF-8 is not"),
            Fault::TooManyUserProperties => f.write_str("more user properties than allowed"),
            Fault::PayloadTooLarge => f.write_str("payload larger than allowed"),
            Fault::PropertyTooLong(name) => write!(f, "{name} longer than allowed"),
            Fault::SessionExpiryRaised => f.write_str("session expiry raised at DISCONNECT"),
            Fault::KeepAliveTimeout => f.write_str("keep alive timeout"),
            Fault::IdentityExpired => f.write_str("identity expired"),
            Fault::PublishRefused(code) => write!(f, "publication refused: {code}"),
            Fault::TakenOver => f.write_str("session taken over"),
            Fault::ConnectionTimeOver => f.write_str("connected for as long as allowed"),
            Fault::PacketIdentifierInUse => f.write_str("packet identifier in use"),
            Fault::Redirected(redirect) => write!(f, "sent to {}", redirect.to),
            Fault::Ordered(code) => write!(f, "{code}"),
            Fault::Dismissed(code, why) => write!(f, "{code}: {why}"),
        }
    }
}
