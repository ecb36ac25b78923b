//! SUBSCRIBE. Keeps topic filters as they are: whether one is valid is answered per filter, not by
//! refusing the packet. Must not know subscriptions.

use core::num::NonZeroU32;

use crate::property::{Block, Place, Property, PropertyFields, put_block};
use crate::subscription_identifiers::put_subscription_identifier;
use crate::topic::SHARE_PREFIX;
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketId, PacketType, QoS, Version};

/// A request to subscribe (3.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subscribe<'a> {
    /// Identifies the SUBACK that answers.
    pub packet_id: PacketId,
    /// Sent back with every message for these subscriptions: 1 to 268 435 455; 5.0 only.
    pub subscription_identifier: Option<NonZeroU32>,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
    /// At least one [MQTT-3.8.3-2].
    pub subscriptions: Vec<Subscription<'a>>,
}

/// One topic filter and its options.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Subscription<'a> {
    /// Not empty; otherwise unchecked: see [`Filter::parse`](crate::topic::Filter::parse).
    pub filter: &'a str,
    /// The highest QoS the client wants to be served with.
    pub qos: QoS,
    /// Do not send back the client's own messages [MQTT-3.8.3-3]; 5.0 only.
    pub no_local: bool,
    /// Keep the retain flag as it was published [MQTT-3.3.1-13]; 5.0 only.
    pub retain_as_published: bool,
    /// When to send retained messages; 5.0 only.
    pub retain_handling: RetainHandling,
}

impl<'a> Subscription<'a> {
    /// A subscription with the options every version has.
    pub const fn new(filter: &'a str, qos: QoS) -> Self {
        Self {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        }
    }
}

/// When a subscription is answered with retained messages.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every subscribe [MQTT-3.3.1-9].
    #[default]
    SendAtSubscribe = 0,
    /// If the subscription did not exist [MQTT-3.3.1-10].
    SendIfNew = 1,
    /// Never [MQTT-3.3.1-11].
    DoNotSend = 2,
}

impl Subscribe<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for Subscribe<'_> {
    fn kind(&self) -> PacketType {
        PacketType::Subscribe
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.subscriptions.is_empty() {
            return Err(EncodeError::PayloadEmpty(PacketType::Subscribe));
        }
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            put_block(sink, self)?;
        }
        for subscription in &self.subscriptions {
            subscription.write(version, sink)?;
        }
        Ok(())
    }
}

impl PropertyFields for Subscribe<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        if let Some(id) = self.subscription_identifier {
            put_subscription_identifier(sink, id)?;
        }
        self.user_properties.write(sink);
        Ok(())
    }
}

impl<'a> Subscription<'a> {
    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.filter.is_empty() {
            return Err(EncodeError::FilterEmpty);
        }
        sink.text(self.filter)?;
        if !version.has_properties() {
            sink.u8(self.qos as u8);
            return Ok(());
        }
        if self.no_local && self.filter.starts_with(SHARE_PREFIX) {
            return Err(EncodeError::NoLocalOnShared);
        }
        sink.u8(self.qos as u8
            | u8::from(self.no_local) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4);
        Ok(())
    }

    fn decode(version: Version, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let filter = reader.text()?;
        if filter.is_empty() {
            return Err(DecodeError::FilterEmpty);
        }
        let options = reader.u8()?;
        let reserved = match version {
            // 3.1 does not use the upper bits and does not forbid them.
            Version::V31 => 0,
            Version::V311 => 0xfc,
            Version::V5 => 0xc0,
        };
        if options & reserved != 0 {
            return Err(DecodeError::SubscriptionOptionsReserved);
        }
        let qos = QoS::try_from(options & 0x03).map_err(|_| DecodeError::SubscriptionQosInvalid)?;
        let mut subscription = Self::new(filter, qos);
        if version.has_properties() {
            subscription.no_local = options & 0x04 != 0;
            subscription.retain_as_published = options & 0x08 != 0;
            subscription.retain_handling = match options >> 4 {
                0 => RetainHandling::SendAtSubscribe,
                1 => RetainHandling::SendIfNew,
                2 => RetainHandling::DoNotSend,
                _ => return Err(DecodeError::RetainHandlingInvalid),
            };
            if subscription.no_local && filter.starts_with(SHARE_PREFIX) {
                return Err(DecodeError::NoLocalOnShared);
            }
        }
        Ok(subscription)
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Subscribe<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut subscription_identifier = None;
    let mut user_properties = UserProperties::EMPTY;
    if version.has_properties() {
        let mut block = Block::open(&mut reader, Place::packet(PacketType::Subscribe))?;
        while let Some(property) = block.next()? {
            match property {
                Property::SubscriptionIdentifier => {
                    let id = NonZeroU32::new(block.varint()?);
                    subscription_identifier =
                        Some(id.ok_or(DecodeError::PropertyValueInvalid(property))?);
                }
                other => block.travelling(other)?,
            }
        }
        user_properties = block.user_properties();
    }
    if reader.is_empty() {
        return Err(DecodeError::PayloadEmpty(PacketType::Subscribe));
    }
    let mut subscriptions = Vec::new();
    while !reader.is_empty() {
        subscriptions.push(Subscription::decode(version, &mut reader)?);
    }
    Ok(Subscribe { packet_id, subscription_identifier, user_properties, subscriptions })
}
