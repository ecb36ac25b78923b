//! SUBACK. Must not know what was subscribed.

use std::borrow::Cow;

use crate::ack::Diagnosis;
use crate::property::put_block;
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketId, PacketType, ReasonCode, Version};

/// The answer to SUBSCRIBE (3.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubAck<'a> {
    /// Identifier of the SUBSCRIBE [MQTT-2.2.1-6].
    pub packet_id: PacketId,
    /// One for each topic filter, in their order [MQTT-3.9.3-1]; at least one. In 3.x every failure
    /// is written as 0x80 and read as [`ReasonCode::UnspecifiedError`].
    pub reasons: Cow<'a, [ReasonCode]>,
    /// Diagnosis for people; 5.0 only.
    pub reason_string: Option<&'a str>,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
}

impl SubAck<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for SubAck<'_> {
    fn kind(&self) -> PacketType {
        PacketType::SubAck
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if self.reasons.is_empty() {
            return Err(EncodeError::PayloadEmpty(PacketType::SubAck));
        }
        sink.u16(self.packet_id.get());
        if version.has_properties() {
            let Self { reason_string, user_properties, .. } = *self;
            put_block(sink, &Diagnosis { reason_string, user_properties })?;
        }
        for &reason in self.reasons.iter() {
            if !reason.allowed_in(PacketType::SubAck) {
                return Err(EncodeError::ReasonCodeNotAllowed(reason));
            }
            sink.u8(if version.has_properties() { reason as u8 } else { reason.suback_v3() });
        }
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<SubAck<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let packet_id = reader.packet_id()?;
    let mut diagnosis = Diagnosis { reason_string: None, user_properties: UserProperties::EMPTY };
    if version.has_properties() {
        diagnosis = Diagnosis::decode(&mut reader, PacketType::SubAck)?;
    }
    if reader.is_empty() {
        return Err(DecodeError::PayloadEmpty(PacketType::SubAck));
    }
    let reasons = reader.rest().iter().map(|&code| {
        if version.has_properties() {
            ReasonCode::decode(code, PacketType::SubAck)
        } else {
            ReasonCode::from_suback_v3(code).ok_or(DecodeError::ReasonCodeUnknown(code))
        }
    });
    let reasons = Cow::Owned(reasons.collect::<Result<_, _>>()?);
    let Diagnosis { reason_string, user_properties } = diagnosis;
    Ok(SubAck { packet_id, reasons, reason_string, user_properties })
}
