//! CONNECT: who the client is, what it wants, and its will. Must not know authentication or
//! sessions.

use core::num::{NonZeroU16, NonZeroU32};

use crate::message_properties::MessageProperties;
use crate::property::{
    Block, Place, Property, PropertyFields, put_binary, put_block, put_bool, put_text, put_u16,
    put_u32,
};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, check_topic, encode};
use crate::{DecodeError, EncodeError, PacketType, QoS, Version};

const RESERVED: u8 = 0x01;
const CLEAN_START: u8 = 0x02;
const WILL: u8 = 0x04;
const WILL_QOS: u8 = 0x18;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

/// The first packet of a connection (3.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect<'a> {
    /// The version of this connection.
    pub version: Version,
    /// Start without an old session; in 3.x, clean session: and leave none behind.
    pub clean_start: bool,
    /// Seconds; 0 turns the mechanism off.
    pub keep_alive: u16,
    /// Empty asks the server to choose, where the version allows it. Longer than the 23 bytes of
    /// 3.1 is accepted in every version.
    pub client_id: &'a str,
    /// User name.
    pub username: Option<&'a str>,
    /// Password; in 3.x only with a user name (3.1.1 [MQTT-3.1.2-22]).
    pub password: Option<&'a [u8]>,
    /// Message to publish when the connection ends badly.
    pub will: Option<Will<'a>>,
    /// 5.0 only; not written in 3.x.
    pub properties: ConnectProperties<'a>,
}

/// The will of a client (3.1.2.5).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Will<'a> {
    /// QoS to publish it with.
    pub qos: QoS,
    /// Publish it as a retained message.
    pub retain: bool,
    /// Topic name, without wildcards, not empty.
    pub topic: &'a str,
    /// The message itself.
    pub payload: &'a [u8],
    /// Seconds to wait before it is published; 5.0 only.
    pub delay_interval: u32,
    /// Seconds it may wait for delivery once it is published; 5.0 only.
    pub message_expiry_interval: Option<u32>,
    /// Properties that reach subscribers; 5.0 only.
    pub properties: MessageProperties<'a>,
}

/// Properties of CONNECT (3.1.2.11).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ConnectProperties<'a> {
    /// Seconds the session outlives the connection; absent is 0, `u32::MAX` is forever.
    pub session_expiry_interval: Option<u32>,
    /// QoS 1 and 2 messages the client takes at a time; absent is 65 535.
    pub receive_maximum: Option<NonZeroU16>,
    /// Bytes of the largest packet the client takes; absent is no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The largest topic alias the client takes; 0 (the default) is none.
    pub topic_alias_maximum: u16,
    /// Asks for response information in CONNACK.
    pub request_response_information: bool,
    /// Allows reason strings and user properties on every packet; `true` by default.
    pub request_problem_information: bool,
    /// In order, with duplicates.
    pub user_properties: UserProperties<'a>,
    /// Asks for extended authentication.
    pub authentication_method: Option<&'a str>,
    /// What the method begins with; only with a method.
    pub authentication_data: Option<&'a [u8]>,
}

impl Default for ConnectProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry_interval: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: 0,
            request_response_information: false,
            request_problem_information: true,
            user_properties: UserProperties::EMPTY,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

impl<'a> Connect<'a> {
    /// A CONNECT with clean start, no keep alive and nothing else.
    pub fn new(version: Version, client_id: &'a str) -> Self {
        Self {
            version,
            clean_start: true,
            keep_alive: 0,
            client_id,
            username: None,
            password: None,
            will: None,
            properties: ConnectProperties::default(),
        }
    }

    /// The version that the body of a CONNECT announces: enough to answer in its language when the
    /// rest of it is wrong.
    ///
    /// # Errors
    /// [`DecodeError::ProtocolNameUnknown`], [`DecodeError::ProtocolLevelUnsupported`] (for a wrong
    /// pair of name and level, and for the bridge flag 0x80, too), or what the two fields can be
    /// wrong with.
    pub fn peek_version(body: &[u8]) -> Result<Version, DecodeError> {
        decode_version(&mut Reader::new(body))
    }

    /// Appends the whole packet in its own version.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, _version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, self.version, out)
    }

    fn flags(&self) -> u8 {
        let mut flags = if self.clean_start { CLEAN_START } else { 0 };
        if let Some(will) = &self.will {
            flags |= WILL | (will.qos as u8) << 3;
            flags |= if will.retain { WILL_RETAIN } else { 0 };
        }
        flags |= if self.password.is_some() { PASSWORD } else { 0 };
        flags | if self.username.is_some() { USER_NAME } else { 0 }
    }

    fn check(&self) -> Result<(), EncodeError> {
        if self.version.has_properties() {
            let properties = &self.properties;
            if properties.authentication_data.is_some()
                && properties.authentication_method.is_none()
            {
                return Err(EncodeError::AuthenticationDataWithoutMethod);
            }
            return Ok(());
        }
        if self.password.is_some() && self.username.is_none() {
            return Err(EncodeError::PasswordWithoutUserName);
        }
        if id_required(self.version, self.clean_start) && self.client_id.is_empty() {
            return Err(EncodeError::ClientIdEmpty);
        }
        Ok(())
    }
}

/// Whether the client must bring its own identifier: always in 3.1, in 3.1.1 for a session that is
/// to be kept [MQTT-3.1.3-8].
fn id_required(version: Version, clean_start: bool) -> bool {
    match version {
        Version::V31 => true,
        Version::V311 => !clean_start,
        Version::V5 => false,
    }
}

impl Body for Connect<'_> {
    fn kind(&self) -> PacketType {
        PacketType::Connect
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        self.check()?;
        sink.text(version.protocol_name())?;
        sink.u8(version.level());
        sink.u8(self.flags());
        sink.u16(self.keep_alive);
        if version.has_properties() {
            put_block(sink, &self.properties)?;
        }
        sink.text(self.client_id)?;
        if let Some(will) = &self.will {
            if will.topic.is_empty() {
                return Err(EncodeError::TopicEmpty);
            }
            check_topic(will.topic)?;
            if version.has_properties() {
                put_block(sink, will)?;
            }
            sink.text(will.topic)?;
            sink.binary(will.payload)?;
        }
        if let Some(username) = self.username {
            sink.text(username)?;
        }
        if let Some(password) = self.password {
            sink.binary(password)?;
        }
        Ok(())
    }
}

impl PropertyFields for ConnectProperties<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_u32(sink, Property::SessionExpiryInterval, self.session_expiry_interval);
        put_u16(sink, Property::ReceiveMaximum, self.receive_maximum.map(NonZeroU16::get));
        put_u32(sink, Property::MaximumPacketSize, self.maximum_packet_size.map(NonZeroU32::get));
        let aliases = Some(self.topic_alias_maximum).filter(|maximum| *maximum > 0);
        put_u16(sink, Property::TopicAliasMaximum, aliases);
        if self.request_response_information {
            put_bool(sink, Property::RequestResponseInformation, true);
        }
        if !self.request_problem_information {
            put_bool(sink, Property::RequestProblemInformation, false);
        }
        put_text(sink, Property::AuthenticationMethod, self.authentication_method)?;
        put_binary(sink, Property::AuthenticationData, self.authentication_data)?;
        self.user_properties.write(sink);
        Ok(())
    }
}

impl PropertyFields for Will<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        let delay = Some(self.delay_interval).filter(|delay| *delay > 0);
        put_u32(sink, Property::WillDelayInterval, delay);
        put_u32(sink, Property::MessageExpiryInterval, self.message_expiry_interval);
        self.properties.write(sink);
        Ok(())
    }
}

fn decode_version(reader: &mut Reader<'_>) -> Result<Version, DecodeError> {
    let name = reader.binary()?;
    if name != b"MQTT" && name != b"MQIsdp" {
        return Err(DecodeError::ProtocolNameUnknown);
    }
    let level = reader.u8()?;
    match (name, level) {
        (b"MQIsdp", 3) => Ok(Version::V31),
        (b"MQTT", 4) => Ok(Version::V311),
        (b"MQTT", 5) => Ok(Version::V5),
        _ => Err(DecodeError::ProtocolLevelUnsupported(level)),
    }
}

fn check_flags(version: Version, flags: u8) -> Result<(), DecodeError> {
    // 3.1 does not use this bit and does not forbid it.
    if flags & RESERVED != 0 && version != Version::V31 {
        return Err(DecodeError::ConnectFlagReserved);
    }
    // Without a will 3.1 disregards these.
    let of_will = if flags & WILL == 0 && version == Version::V31 { 0 } else { flags };
    if of_will & WILL_QOS == WILL_QOS {
        return Err(DecodeError::WillQosInvalid);
    }
    if of_will & WILL == 0 && of_will & (WILL_QOS | WILL_RETAIN) != 0 {
        return Err(DecodeError::WillFlagsWithoutWill);
    }
    if flags & PASSWORD != 0 && flags & USER_NAME == 0 && !version.has_properties() {
        return Err(DecodeError::PasswordWithoutUserName);
    }
    Ok(())
}

pub(crate) fn decode(body: &[u8]) -> Result<Connect<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let version = decode_version(&mut reader)?;
    let flags = reader.u8()?;
    check_flags(version, flags)?;
    let clean_start = flags & CLEAN_START != 0;
    let keep_alive = reader.u16()?;
    let properties = if version.has_properties() {
        ConnectProperties::decode(&mut reader)?
    } else {
        ConnectProperties::default()
    };
    let client_id = reader.text()?;
    if client_id.is_empty() && id_required(version, clean_start) {
        return Err(DecodeError::ClientIdEmpty);
    }
    let will =
        if flags & WILL == 0 { None } else { Some(Will::decode(version, flags, &mut reader)?) };
    // In 3.1 the remaining length takes precedence over these two flags.
    let present = |flag: u8, reader: &Reader<'_>| {
        flags & flag != 0 && !(version == Version::V31 && reader.is_empty())
    };
    let username = if present(USER_NAME, &reader) { Some(reader.text()?) } else { None };
    let password = if present(PASSWORD, &reader) { Some(reader.binary()?) } else { None };
    reader.finish()?;
    Ok(Connect {
        version,
        clean_start,
        keep_alive,
        client_id,
        username,
        password,
        will,
        properties,
    })
}

impl<'a> ConnectProperties<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut block = Block::open(reader, Place::packet(PacketType::Connect))?;
        let mut properties = Self::default();
        while let Some(property) = block.next()? {
            let invalid = DecodeError::PropertyValueInvalid(property);
            match property {
                Property::SessionExpiryInterval => {
                    properties.session_expiry_interval = Some(block.u32()?);
                }
                Property::ReceiveMaximum => {
                    properties.receive_maximum =
                        Some(NonZeroU16::new(block.u16()?).ok_or(invalid)?);
                }
                Property::MaximumPacketSize => {
                    properties.maximum_packet_size =
                        Some(NonZeroU32::new(block.u32()?).ok_or(invalid)?);
                }
                Property::TopicAliasMaximum => properties.topic_alias_maximum = block.u16()?,
                Property::RequestResponseInformation => {
                    properties.request_response_information = block.boolean(property)?;
                }
                Property::RequestProblemInformation => {
                    properties.request_problem_information = block.boolean(property)?;
                }
                Property::AuthenticationMethod => {
                    properties.authentication_method = Some(block.text()?);
                }
                Property::AuthenticationData => {
                    properties.authentication_data = Some(block.binary()?);
                }
                other => block.travelling(other)?,
            }
        }
        if properties.authentication_data.is_some() && properties.authentication_method.is_none() {
            return Err(DecodeError::AuthenticationDataWithoutMethod);
        }
        properties.user_properties = block.user_properties();
        Ok(properties)
    }
}

impl<'a> Will<'a> {
    /// `flags` are the checked connect flags.
    fn decode(version: Version, flags: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut delay_interval = 0;
        let mut message_expiry_interval = None;
        let mut properties = MessageProperties::EMPTY;
        if version.has_properties() {
            let mut block = Block::open(reader, Place::WILL)?;
            while let Some(property) = block.next()? {
                match property {
                    Property::WillDelayInterval => delay_interval = block.u32()?,
                    Property::MessageExpiryInterval => {
                        message_expiry_interval = Some(block.u32()?);
                    }
                    other => block.travelling(other)?,
                }
            }
            properties = block.message_properties();
        }
        let topic = reader.topic()?;
        if topic.is_empty() {
            return Err(DecodeError::TopicEmpty);
        }
        Ok(Self {
            qos: QoS::try_from((flags & WILL_QOS) >> 3).map_err(|_| DecodeError::WillQosInvalid)?,
            retain: flags & WILL_RETAIN != 0,
            topic,
            payload: reader.binary()?,
            delay_interval,
            message_expiry_interval,
            properties,
        })
    }
}
