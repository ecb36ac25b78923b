//! UNSUBACK. Must not know what was unsubscribed.

use std::borrow::Cow;

use crate::ack::Diagnosis;
use crate::property::put_block;
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketId, PacketType, ReasonCode, Version};

/// The answer to UNSUBSCRIBE (3.11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsubAck<'a> {
    /// Identifier of the UNSUBSCRIBE [MQTT-2.2.1-6].
    pub packet_id: PacketId,
    /// One for each topic filter, in their order [MQTT-3.11.3-1]; at least one in 5.0. 3.x has
    /// none: there they are not written, and read as empty.
    pub reasons: Cow<'a, [ReasonCode]>,
    /// Diagnosis for people; 5.0 only.
    pub reason_string: Option<&'a str>,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
}

impl UnsubAck<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for UnsubAck<'_> {
    fn kind(&self) -> PacketType {
        PacketType::UnsubAck
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        sink.u16(self.packet_id.get());
        if !version.has_properties() {
            return Ok(());
        }
        if self.reasons.is_empty() {
            return Err(EncodeError::PayloadEmpty(PacketType::UnsubAck));
        }
        let Self { reason_string, user_properties, .. } = *self;
        put_block(sink, &Diagnosis { reason_string, user_properties })?;
        for &reason in self.reasons.iter() {
            if !reason.allowed_in(PacketType::UnsubAck) {
                return Err(EncodeError::ReasonCodeNotAllowed(reason));
            }
            sink.u8(reason as u8);
        }
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<UnsubAck<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    if !version.has_properties() {
        reader.finish()?;
        return Ok(UnsubAck {
            packet_id,
            reasons: Cow::Borrowed(&[]),
            reason_string: None,
            user_properties: UserProperties::EMPTY,
        });
    }
    let Diagnosis { reason_string, user_properties } =
        Diagnosis::decode(&mut reader, PacketType::UnsubAck)?;
    if reader.is_empty() {
        return Err(DecodeError::PayloadEmpty(PacketType::UnsubAck));
    }
    let reasons = reader.rest().iter().map(|&code| ReasonCode::decode(code, PacketType::UnsubAck));
    let reasons = Cow::Owned(reasons.collect::<Result<_, _>>()?);
    Ok(UnsubAck { packet_id, reasons, reason_string, user_properties })
}
