//! PUBLISH on its way out again: what was checked when it came in is not looked at once more, because a message may go
//! out many times. Must not know where it came from.

use crate::publish::PublishProperties;
use crate::wire::{Sink, checked_length, varint_len};
use crate::{EncodeError, PacketId, PacketType, QoS, Version};

/// A [`Publish`](crate::Publish) with a topic that is known to be valid.
#[derive(Copy, Clone, Debug)]
pub struct Forward<'a> {
    /// Sent before with the same packet identifier; never with QoS 0 [MQTT-3.3.1-2].
    pub dup: bool,
    /// Quality of service of this delivery.
    pub qos: QoS,
    /// To be retained (client to server), or was retained (server to client).
    pub retain: bool,
    /// UTF-8, without wildcards and U+0000 [MQTT-3.3.2-2]: written as it is. Empty only in 5.0 with a topic alias.
    pub topic: &'a [u8],
    /// Present exactly when QoS is above 0 [MQTT-2.2.1-2].
    pub packet_id: Option<PacketId>,
    /// 5.0 only; not written in 3.x.
    pub properties: PublishProperties<'a>,
    /// The message itself.
    pub payload: &'a [u8],
}

/// Byte counts of a PUBLISH, in the order they are needed.
struct Layout {
    properties: usize,
    remaining: usize,
}

impl Forward<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse, the text of the topic aside; `out` is then as before.
    #[inline]
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let layout = self.layout(version)?;
        self.put_head(version, &layout, self.payload.len(), out)?;
        out.extend_from_slice(self.payload);
        Ok(())
    }

    #[inline]
    pub(crate) fn encode_head(
        &self,
        version: Version,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let layout = self.layout(version)?;
        self.put_head(version, &layout, 0, out)
    }

    /// Bytes of the whole packet, fixed header and payload included; `usize::MAX` if one of its
    /// subscription identifiers cannot be written.
    #[inline]
    pub fn encoded_len(&self, version: Version) -> usize {
        self.layout(version).map_or(usize::MAX, |Layout { remaining, .. }| {
            remaining.saturating_add(1 + varint_len(remaining))
        })
    }

    #[inline]
    fn layout(&self, version: Version) -> Result<Layout, EncodeError> {
        let (properties, block) = if version.has_properties() {
            let properties = self.properties.encoded_len()?;
            (properties, properties.saturating_add(varint_len(properties)))
        } else {
            (0, 0)
        };
        let head = 2 + self.topic.len() + if self.packet_id.is_some() { 2 } else { 0 };
        let remaining = head.saturating_add(block).saturating_add(self.payload.len());
        Ok(Layout { properties, remaining })
    }

    #[inline]
    fn check(&self, version: Version) -> Result<(), EncodeError> {
        match (self.qos, self.packet_id) {
            (QoS::AtMostOnce, Some(_)) => return Err(EncodeError::PacketIdWithQos0),
            (QoS::AtLeastOnce | QoS::ExactlyOnce, None) => {
                return Err(EncodeError::PacketIdMissing);
            }
            _ => {}
        }
        if self.dup && self.qos == QoS::AtMostOnce {
            return Err(EncodeError::DupWithQos0);
        }
        let aliased = version.has_properties() && self.properties.topic_alias.is_some();
        if self.topic.is_empty() && !aliased {
            return Err(EncodeError::TopicEmpty);
        }
        Ok(())
    }

    /// Appends the head and makes room for `following` more bytes.
    #[inline]
    fn put_head(
        &self,
        version: Version,
        layout: &Layout,
        following: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        self.check(version)?;
        let remaining = checked_length(layout.remaining)?;
        let start = out.len();
        // One byte of type, at most four of length, and all but the payload.
        out.reserve(5 + (layout.remaining - self.payload.len()) + following);
        out.push(
            PacketType::Publish.first_byte()
                | u8::from(self.dup) << 3
                | (self.qos as u8) << 1
                | u8::from(self.retain),
        );
        out.varint(remaining);
        self.put_variable_header(version, layout, out).inspect_err(|_| out.truncate(start))
    }

    #[inline]
    fn put_variable_header(
        &self,
        version: Version,
        layout: &Layout,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        out.binary(self.topic)?;
        if let Some(packet_id) = self.packet_id {
            out.u16(packet_id.get());
        }
        if version.has_properties() {
            out.length(layout.properties)?;
            if layout.properties > 0 {
                self.properties.write_hop(out)?;
                self.properties.message.write(out);
            }
        }
        Ok(())
    }
}
