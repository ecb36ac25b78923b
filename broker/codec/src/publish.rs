//! PUBLISH: an application message on one hop. The hot path: no allocation in either direction but
//! the growth of the output. Must not know sessions or what an alias stands for.

use core::num::NonZeroU16;

use crate::forward::Forward;
use crate::frame::Frame;
use crate::message_properties::MessageProperties;
use crate::property::{Block, Place, Property, put_u16, put_u32};
use crate::subscription_identifiers::SubscriptionIdentifiers;
use crate::wire::{Measure, Reader, Sink, check_topic};
use crate::{DecodeError, EncodeError, PacketId, PacketType, QoS, Version};

/// An application message on its way between client and server (3.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Publish<'a> {
    /// Sent before with the same packet identifier; never with QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// Quality of service of this delivery.
    pub qos: QoS,
    /// To be retained (client to server), or was retained (server to client).
    pub retain: bool,
    /// Topic name, without wildcards [MQTT-3.3.2-2]. Empty only in 5.0 with a topic alias.
    pub topic: &'a str,
    /// Present exactly when QoS is above 0 [MQTT-2.2.1-2].
    pub packet_id: Option<PacketId>,
    /// 5.0 only; not written in 3.x.
    pub properties: PublishProperties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

/// Properties of PUBLISH: those of this hop, and those that travel with the message.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct PublishProperties<'a> {
    /// Seconds the message may still wait for delivery.
    pub message_expiry_interval: Option<u32>,
    /// Stands for the topic on this connection.
    pub topic_alias: Option<NonZeroU16>,
    /// Subscriptions this delivery is for; server to client only [MQTT-3.3.4-6].
    pub subscription_identifiers: SubscriptionIdentifiers<'a>,
    /// Properties that reach subscribers unaltered.
    pub message: MessageProperties<'a>,
}

impl<'a> Publish<'a> {
    /// As [`decode`](crate::decode), where it is known that the frame is a PUBLISH: it need not be moved out of a packet.
    ///
    /// # Errors
    /// As there.
    #[inline]
    pub fn decode(version: Version, frame: Frame<'a>) -> Result<Self, DecodeError> {
        decode(version, frame.first, frame.body)
    }

    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        check_topic(self.topic)?;
        self.unchecked().encode(version, out)
    }

    /// Appends everything but the payload, for a vectored write of both.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn encode_head(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        check_topic(self.topic)?;
        self.unchecked().encode_head(version, out)
    }

    /// Bytes of the whole packet, fixed header and payload included; `usize::MAX` if one of its
    /// subscription identifiers cannot be written. What else can be wrong only
    /// [`encode`](Self::encode) tells.
    #[inline]
    pub fn encoded_len(&self, version: Version) -> usize {
        self.unchecked().encoded_len(version)
    }

    #[inline]
    const fn unchecked(&self) -> Forward<'a> {
        Forward {
            dup: self.dup,
            qos: self.qos,
            retain: self.retain,
            topic: self.topic.as_bytes(),
            packet_id: self.packet_id,
            properties: self.properties,
            payload: self.payload,
        }
    }
}

impl<'a> PublishProperties<'a> {
    #[inline]
    pub(crate) fn encoded_len(&self) -> Result<usize, EncodeError> {
        let mut measure = Measure(self.message.encoded_len());
        self.write_hop(&mut measure)?;
        Ok(measure.0)
    }

    /// Writes what does not travel with the message.
    #[inline]
    pub(crate) fn write_hop<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_u32(sink, Property::MessageExpiryInterval, self.message_expiry_interval);
        put_u16(sink, Property::TopicAlias, self.topic_alias.map(NonZeroU16::get));
        self.subscription_identifiers.write(sink)
    }

    #[inline]
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match reader.varint()? {
            0 => Ok(Self::default()),
            len => Self::decode_block(reader.take(len as usize)?),
        }
    }

    // Kept apart so that the common message, which has none, does not pay for it.
    #[inline(never)]
    fn decode_block(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut block = Block::over(bytes, Place::packet(PacketType::Publish));
        let mut properties = Self::default();
        if block.take_plain_pairs() {
            properties.message = block.message_properties();
            return Ok(properties);
        }
        while let Some(property) = block.next()? {
            match property {
                Property::MessageExpiryInterval => {
                    properties.message_expiry_interval = Some(block.u32()?);
                }
                Property::TopicAlias => {
                    let alias = NonZeroU16::new(block.u16()?);
                    properties.topic_alias = Some(alias.ok_or(DecodeError::TopicAliasZero)?);
                }
                Property::SubscriptionIdentifier => {
                    if block.varint()? == 0 {
                        return Err(DecodeError::PropertyValueInvalid(property));
                    }
                }
                other => block.travelling(other)?,
            }
        }
        properties.subscription_identifiers = block.subscription_identifiers();
        properties.message = block.message_properties();
        Ok(properties)
    }
}

#[inline]
pub(crate) fn decode(version: Version, first: u8, body: &[u8]) -> Result<Publish<'_>, DecodeError> {
    let qos = QoS::try_from(first >> 1 & 0x03)?;
    let dup = first & 0x08 != 0;
    if dup && qos == QoS::AtMostOnce {
        return Err(DecodeError::DupWithQos0);
    }
    let mut reader = Reader::new(body);
    let topic = reader.topic()?;
    let packet_id = if qos == QoS::AtMostOnce { None } else { Some(reader.packet_id()?) };
    let properties = if version.has_properties() {
        PublishProperties::decode(&mut reader)?
    } else {
        PublishProperties::default()
    };
    if topic.is_empty() && properties.topic_alias.is_none() {
        return Err(DecodeError::TopicEmpty);
    }
    let retain = first & 0x01 != 0;
    Ok(Publish { dup, qos, retain, topic, packet_id, properties, payload: reader.rest() })
}
