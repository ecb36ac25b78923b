//! PUBACK, PUBREC, PUBREL and PUBCOMP: four packets of one shape. Must not know the QoS handshakes.

use crate::property::{Block, Place, Property, PropertyFields, put_block, put_text};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketId, PacketType, ReasonCode, Version};

/// A PUBACK (3.4), PUBREC (3.5), PUBREL (3.6) or PUBCOMP (3.7).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ack<'a> {
    /// Identifier of the PUBLISH this is about [MQTT-2.2.1-5].
    pub packet_id: PacketId,
    /// Outcome. Not written in 3.x, where only success can be told.
    pub reason: ReasonCode,
    /// Diagnosis for people; 5.0 only.
    pub reason_string: Option<&'a str>,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
}

impl<'a> Ack<'a> {
    /// An acknowledgement without properties.
    pub const fn new(packet_id: PacketId, reason: ReasonCode) -> Self {
        Self { packet_id, reason, reason_string: None, user_properties: UserProperties::EMPTY }
    }

    /// Appends a PUBACK.
    ///
    /// # Errors
    /// [`EncodeError::ReasonCodeNotAllowed`] if PUBACK may not carry the reason, and what strings
    /// can be wrong with; `out` is then as before.
    pub fn encode_puback(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(&Kinded { kind: PacketType::PubAck, ack: self }, version, out)
    }

    /// Appends a PUBREC.
    ///
    /// # Errors
    /// As [`encode_puback`](Self::encode_puback).
    pub fn encode_pubrec(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(&Kinded { kind: PacketType::PubRec, ack: self }, version, out)
    }

    /// Appends a PUBREL.
    ///
    /// # Errors
    /// As [`encode_puback`](Self::encode_puback).
    pub fn encode_pubrel(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(&Kinded { kind: PacketType::PubRel, ack: self }, version, out)
    }

    /// Appends a PUBCOMP.
    ///
    /// # Errors
    /// As [`encode_puback`](Self::encode_puback).
    pub fn encode_pubcomp(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(&Kinded { kind: PacketType::PubComp, ack: self }, version, out)
    }
}

/// An acknowledgement with the packet type it is sent as.
struct Kinded<'a> {
    kind: PacketType,
    ack: &'a Ack<'a>,
}

impl Body for Kinded<'_> {
    fn kind(&self) -> PacketType {
        self.kind
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        let Ack { packet_id, reason, reason_string, user_properties } = *self.ack;
        sink.u16(packet_id.get());
        if !version.has_properties() {
            return Ok(());
        }
        if !reason.allowed_in(self.kind) {
            return Err(EncodeError::ReasonCodeNotAllowed(reason));
        }
        let properties = Diagnosis { reason_string, user_properties };
        if !properties.is_empty() {
            sink.u8(reason as u8);
            put_block(sink, &properties)
        } else {
            if reason != ReasonCode::Success {
                sink.u8(reason as u8);
            }
            Ok(())
        }
    }
}

pub(crate) fn decode(
    version: Version,
    kind: PacketType,
    body: &[u8],
) -> Result<Ack<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut ack = Ack::new(reader.packet_id()?, ReasonCode::Success);
    if version.has_properties() && !reader.is_empty() {
        ack.reason = ReasonCode::decode(reader.u8()?, kind)?;
        if !reader.is_empty() {
            let properties = Diagnosis::decode(&mut reader, kind)?;
            ack.reason_string = properties.reason_string;
            ack.user_properties = properties.user_properties;
        }
    }
    reader.finish()?;
    Ok(ack)
}

/// The properties of every answer that has no others: reason string and user properties.
pub(crate) struct Diagnosis<'a> {
    pub(crate) reason_string: Option<&'a str>,
    pub(crate) user_properties: UserProperties<'a>,
}

impl<'a> Diagnosis<'a> {
    pub(crate) fn decode(reader: &mut Reader<'a>, kind: PacketType) -> Result<Self, DecodeError> {
        let mut block = Block::open(reader, Place::packet(kind))?;
        let mut reason_string = None;
        while let Some(property) = block.next()? {
            match property {
                Property::ReasonString => reason_string = Some(block.text()?),
                other => block.travelling(other)?,
            }
        }
        Ok(Self { reason_string, user_properties: block.user_properties() })
    }
}

impl PropertyFields for Diagnosis<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_text(sink, Property::ReasonString, self.reason_string)?;
        self.user_properties.write(sink);
        Ok(())
    }
}
