//! DISCONNECT. Must not know wills or session expiry rules.

use crate::property::{Block, Place, Property, PropertyFields, put_block, put_text, put_u32};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketType, ReasonCode, Version};

/// The last packet of a connection (3.14). In 3.x it says nothing but that, and only clients send
/// it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Disconnect<'a> {
    /// Why; 5.0 only.
    pub reason: ReasonCode,
    /// Replaces the session expiry of CONNECT, in seconds; client only [MQTT-3.14.2-2]; 5.0 only.
    pub session_expiry_interval: Option<u32>,
    /// Diagnosis for people; 5.0 only.
    pub reason_string: Option<&'a str>,
    /// 5.0 only.
    pub user_properties: UserProperties<'a>,
    /// Another server to use; server only; 5.0 only.
    pub server_reference: Option<&'a str>,
}

impl Disconnect<'_> {
    /// A DISCONNECT without properties.
    pub const fn new(reason: ReasonCode) -> Self {
        Self {
            reason,
            session_expiry_interval: None,
            reason_string: None,
            user_properties: UserProperties::EMPTY,
            server_reference: None,
        }
    }

    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for Disconnect<'_> {
    fn kind(&self) -> PacketType {
        PacketType::Disconnect
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if !version.has_properties() {
            return Ok(());
        }
        if !self.reason.allowed_in(PacketType::Disconnect) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason));
        }
        if !self.is_empty() {
            sink.u8(self.reason as u8);
            return put_block(sink, self);
        }
        if self.reason != ReasonCode::NORMAL_DISCONNECTION {
            sink.u8(self.reason as u8);
        }
        Ok(())
    }
}

impl PropertyFields for Disconnect<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_u32(sink, Property::SessionExpiryInterval, self.session_expiry_interval);
        put_text(sink, Property::ReasonString, self.reason_string)?;
        put_text(sink, Property::ServerReference, self.server_reference)?;
        self.user_properties.write(sink);
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Disconnect<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let mut disconnect = Disconnect::default();
    if version.has_properties() && !reader.is_empty() {
        disconnect.reason = ReasonCode::decode(reader.u8()?, PacketType::Disconnect)?;
        if !reader.is_empty() {
            decode_properties(&mut disconnect, &mut reader)?;
        }
    }
    reader.finish()?;
    Ok(disconnect)
}

fn decode_properties<'a>(
    disconnect: &mut Disconnect<'a>,
    reader: &mut Reader<'a>,
) -> Result<(), DecodeError> {
    let mut block = Block::open(reader, Place::packet(PacketType::Disconnect))?;
    while let Some(property) = block.next()? {
        match property {
            Property::SessionExpiryInterval => {
                disconnect.session_expiry_interval = Some(block.u32()?);
            }
            Property::ReasonString => disconnect.reason_string = Some(block.text()?),
            Property::ServerReference => disconnect.server_reference = Some(block.text()?),
            other => block.travelling(other)?,
        }
    }
    disconnect.user_properties = block.user_properties();
    Ok(())
}
