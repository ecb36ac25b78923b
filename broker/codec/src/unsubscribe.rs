//! UNSUBSCRIBE. Keeps topic filters as they are. Must not know subscriptions.

use crate::property::{Block, Place, PropertyFields, put_block};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketId, PacketType, Version};

/// A request to unsubscribe (3.10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsubscribe<'a> {
    /// Identifies the UNSUBACK that answers.
    pub packet_id: PacketId,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
    /// At least one [MQTT-3.10.3-2], none empty; otherwise unchecked.
    pub filters: Vec<&'a str>,
}

impl Unsubscribe<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for Unsubscribe<'_> {
    fn kind(&self) -> PacketType {
        PacketType::Unsubscribe
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.filters.is_empty() {
            return Err(EncodeError::PayloadEmpty(PacketType::Unsubscribe));
        }
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            put_block(sink, &self.user_properties)?;
        }
        for filter in &self.filters {
            if filter.is_empty() {
                return Err(EncodeError::FilterEmpty);
            }
            sink.text(filter)?;
        }
        Ok(())
    }
}

impl PropertyFields for UserProperties<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        UserProperties::write(self, sink);
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Unsubscribe<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut user_properties = UserProperties::EMPTY;
    if version.has_properties() {
        let mut block = Block::open(&mut reader, Place::packet(PacketType::Unsubscribe))?;
        while let Some(property) = block.next()? {
            block.travelling(property)?;
        }
        user_properties = block.user_properties();
    }
    if reader.is_empty() {
        return Err(DecodeError::PayloadEmpty(PacketType::Unsubscribe));
    }
    let mut filters = Vec::new();
    while !reader.is_empty() {
        let filter = reader.text()?;
        if filter.is_empty() {
            return Err(DecodeError::FilterEmpty);
        }
        filters.push(filter);
    }
    Ok(Unsubscribe { packet_id, user_properties, filters })
}
