//! AUTH: extended authentication, 5.0 only. Must not know any authentication method.

use crate::property::{Block, Place, Property, PropertyFields, put_binary, put_block, put_text};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketType, ReasonCode, Version};

/// One step of extended authentication (3.15).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Auth<'a> {
    /// Success, continue, or authenticate again.
    pub reason: ReasonCode,
    /// The method of the CONNECT [MQTT-4.12.0-5]. Absent only in the empty form of success.
    pub method: Option<&'a str>,
    /// What the method exchanges.
    pub data: Option<&'a [u8]>,
    /// Diagnosis for people.
    pub reason_string: Option<&'a str>,
    /// In order, with duplicates.
    pub user_properties: UserProperties<'a>,
}

impl Auth<'_> {
    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError::PacketNotInVersion`] in 3.x and [`EncodeError`] for what the receiver would
    /// have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for Auth<'_> {
    fn kind(&self) -> PacketType {
        PacketType::Auth
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if !version.has_properties() {
            return Err(EncodeError::PacketNotInVersion(PacketType::Auth));
        }
        if !self.reason.allowed_in(PacketType::Auth) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason));
        }
        if *self == Self::default() {
            return Ok(());
        }
        if self.method.is_none() {
            return Err(EncodeError::AuthenticationMethodMissing);
        }
        sink.u8(self.reason as u8);
        put_block(sink, self)
    }
}

impl PropertyFields for Auth<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_text(sink, Property::AuthenticationMethod, self.method)?;
        put_binary(sink, Property::AuthenticationData, self.data)?;
        put_text(sink, Property::ReasonString, self.reason_string)?;
        self.user_properties.write(sink);
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<Auth<'_>, DecodeError> {
    if !version.has_properties() {
        return Err(DecodeError::PacketNotInVersion(PacketType::Auth));
    }
    let mut reader = Reader::new(body);
    let mut auth = Auth::default();
    if reader.is_empty() {
        return Ok(auth);
    }
    auth.reason = ReasonCode::decode(reader.u8()?, PacketType::Auth)?;
    let mut block = Block::open(&mut reader, Place::packet(PacketType::Auth))?;
    while let Some(property) = block.next()? {
        match property {
            Property::AuthenticationMethod => auth.method = Some(block.text()?),
            Property::AuthenticationData => auth.data = Some(block.binary()?),
            Property::ReasonString => auth.reason_string = Some(block.text()?),
            other => block.travelling(other)?,
        }
    }
    auth.user_properties = block.user_properties();
    reader.finish()?;
    if auth.method.is_none() {
        return Err(DecodeError::AuthenticationMethodMissing);
    }
    Ok(auth)
}
