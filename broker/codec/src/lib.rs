//! MQTT bytes <-> packets, for MQTT 3.1, 3.1.1 and 5.0, in both directions. Knows bytes and nothing
//! else: no I/O, no clock, no state between packets, no other crate.
//!
//! There is one packet model, in the shape of 5.0; what a 3.x packet cannot say has its default
//! there. Decoded packets borrow from the bytes they came from; encoding appends to a `Vec<u8>`.
//!
//! ```
//! use wasmqtt_codec::frame::{self, Next};
//! use wasmqtt_codec::{Ack, Packet, PacketId, ReasonCode, Version};
//!
//! let mut bytes = Vec::new();
//! let ack = Ack::new(PacketId::MIN, ReasonCode::Success);
//! Packet::PubAck(ack).encode(Version::V5, &mut bytes).unwrap();
//!
//! let Ok(Next::Whole { frame, len }) = frame::next(&bytes, 1024) else { panic!() };
//! assert_eq!(len, 4);
//! assert_eq!(wasmqtt_codec::decode(Version::V5, frame), Ok(Packet::PubAck(ack)));
//! ```

mod ack;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod error;
mod forward;
pub mod frame;
mod message_properties;
mod message_properties_buf;
mod property;
mod publish;
mod qos;
mod reason;
mod scan;
mod suback;
mod subscribe;
mod subscription_identifiers;
pub mod topic;
mod unsuback;
mod unsubscribe;
mod user_properties;
mod version;
mod wire;

pub use ack::Ack;
pub use auth::Auth;
pub use connack::{ConnAck, ConnAckProperties};
pub use connect::{Connect, ConnectProperties, Will};
pub use disconnect::Disconnect;
pub use error::{DecodeError, EncodeError, ErrorClass};
pub use forward::Forward;
pub use frame::{Frame, Next, PacketType};
pub use message_properties::MessageProperties;
pub use message_properties_buf::MessagePropertiesBuf;
pub use property::{Property, PropertyType};
pub use publish::{Publish, PublishProperties};
pub use qos::QoS;
pub use reason::ReasonCode;
pub use suback::SubAck;
pub use subscribe::{RetainHandling, Subscribe, Subscription};
pub use subscription_identifiers::{SubscriptionIdentifiers, SubscriptionIdentifiersIter};
pub use topic::{Filter, Topic, TopicError};
pub use unsuback::UnsubAck;
pub use unsubscribe::Unsubscribe;
pub use user_properties::{UserProperties, UserPropertiesBuf, UserPropertiesIter};
pub use version::Version;

/// A packet identifier: never zero [MQTT-2.2.1-3].
pub type PacketId = core::num::NonZeroU16;

/// A control packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet<'a> {
    /// Client requests to connect.
    Connect(Box<Connect<'a>>),
    /// Server answers CONNECT.
    ConnAck(Box<ConnAck<'a>>),
    /// An application message.
    Publish(Publish<'a>),
    /// Answer to a QoS 1 PUBLISH.
    PubAck(Ack<'a>),
    /// First answer to a QoS 2 PUBLISH.
    PubRec(Ack<'a>),
    /// The publisher releases a QoS 2 message.
    PubRel(Ack<'a>),
    /// Last answer of a QoS 2 delivery.
    PubComp(Ack<'a>),
    /// Client subscribes.
    Subscribe(Subscribe<'a>),
    /// Server answers SUBSCRIBE.
    SubAck(SubAck<'a>),
    /// Client unsubscribes.
    Unsubscribe(Unsubscribe<'a>),
    /// Server answers UNSUBSCRIBE.
    UnsubAck(UnsubAck<'a>),
    /// Client asks whether the server is there.
    PingReq,
    /// Server is there.
    PingResp,
    /// The connection is about to close.
    Disconnect(Disconnect<'a>),
    /// Extended authentication; 5.0 only.
    Auth(Auth<'a>),
}

/// Decodes one whole packet. CONNECT carries its own version, so `version` is ignored for it; the
/// reserved flags of the fixed header are checked here.
///
/// # Errors
/// [`DecodeError`] with the first fault that was found. The connection cannot go on after it.
#[inline]
pub fn decode<'a>(version: Version, frame: Frame<'a>) -> Result<Packet<'a>, DecodeError> {
    let Frame { first, body } = frame;
    // The hot path: PUBLISH has no reserved flags.
    if first >> 4 == PacketType::Publish as u8 {
        return publish::decode(version, first, body).map(Packet::Publish);
    }
    decode_other(version, first, body)
}

fn decode_other(version: Version, first: u8, body: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let kind = frame::check_first(version, first)?;
    Ok(match kind {
        PacketType::Connect => Packet::Connect(Box::new(connect::decode(body)?)),
        PacketType::ConnAck => Packet::ConnAck(Box::new(connack::decode(version, body)?)),
        PacketType::Publish => Packet::Publish(publish::decode(version, first, body)?),
        PacketType::PubAck => Packet::PubAck(ack::decode(version, kind, body)?),
        PacketType::PubRec => Packet::PubRec(ack::decode(version, kind, body)?),
        PacketType::PubRel => Packet::PubRel(ack::decode(version, kind, body)?),
        PacketType::PubComp => Packet::PubComp(ack::decode(version, kind, body)?),
        PacketType::Subscribe => Packet::Subscribe(subscribe::decode(version, body)?),
        PacketType::SubAck => Packet::SubAck(suback::decode(version, body)?),
        PacketType::Unsubscribe => Packet::Unsubscribe(unsubscribe::decode(version, body)?),
        PacketType::UnsubAck => Packet::UnsubAck(unsuback::decode(version, body)?),
        PacketType::PingReq => wire::Reader::new(body).finish().map(|()| Packet::PingReq)?,
        PacketType::PingResp => wire::Reader::new(body).finish().map(|()| Packet::PingResp)?,
        PacketType::Disconnect => Packet::Disconnect(disconnect::decode(version, body)?),
        PacketType::Auth => Packet::Auth(auth::decode(version, body)?),
    })
}

impl Packet<'_> {
    /// Appends the packet to `out`. CONNECT is written in its own version, whatever `version` is.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        match self {
            Self::Connect(connect) => connect.encode(version, out),
            Self::ConnAck(connack) => connack.encode(version, out),
            Self::Publish(publish) => publish.encode(version, out),
            Self::PubAck(ack) => ack.encode_puback(version, out),
            Self::PubRec(ack) => ack.encode_pubrec(version, out),
            Self::PubRel(ack) => ack.encode_pubrel(version, out),
            Self::PubComp(ack) => ack.encode_pubcomp(version, out),
            Self::Subscribe(subscribe) => subscribe.encode(version, out),
            Self::SubAck(suback) => suback.encode(version, out),
            Self::Unsubscribe(unsubscribe) => unsubscribe.encode(version, out),
            Self::UnsubAck(unsuback) => unsuback.encode(version, out),
            Self::PingReq | Self::PingResp => {
                out.extend_from_slice(&[self.kind().first_byte(), 0]);
                Ok(())
            }
            Self::Disconnect(disconnect) => disconnect.encode(version, out),
            Self::Auth(auth) => auth.encode(version, out),
        }
    }

    /// The packet type.
    pub const fn kind(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }
}
