//! CONNACK: the server's answer to CONNECT and what it offers. Must not know why a client is
//! refused.

use core::num::{NonZeroU16, NonZeroU32};

use crate::property::{
    Block, Place, Property, PropertyFields, put_binary, put_block, put_bool, put_text, put_u16,
    put_u32,
};
use crate::user_properties::UserProperties;
use crate::wire::{Body, Reader, Sink, encode};
use crate::{DecodeError, EncodeError, PacketType, QoS, ReasonCode, Version};

/// The answer to CONNECT (3.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnAck<'a> {
    /// The server kept a session; never in a refusal [MQTT-3.2.2-6]. 3.1 cannot say it: there it is
    /// not written, and read as `false`.
    pub session_present: bool,
    /// Accepted or why not. In 3.x, written with [`ReasonCode::connack_v3`] and read with
    /// [`ReasonCode::from_connack_v3`].
    pub reason: ReasonCode,
    /// 5.0 only; not written in 3.x.
    pub properties: ConnAckProperties<'a>,
}

/// Properties of CONNACK (3.2.2.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ConnAckProperties<'a> {
    /// Seconds the session outlives the connection; absent is what the client asked for.
    pub session_expiry_interval: Option<u32>,
    /// QoS 1 and 2 messages the server takes at a time; absent is 65 535.
    pub receive_maximum: Option<NonZeroU16>,
    /// The highest QoS the server takes; `ExactlyOnce` (the default) is not written.
    pub maximum_qos: QoS,
    /// Retained messages are supported; `true` by default.
    pub retain_available: bool,
    /// Bytes of the largest packet the server takes; absent is no limit.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// The identifier the server chose for a client without one [MQTT-3.2.2-16].
    pub assigned_client_identifier: Option<&'a str>,
    /// The largest topic alias the server takes; 0 (the default) is none.
    pub topic_alias_maximum: u16,
    /// Diagnosis for people.
    pub reason_string: Option<&'a str>,
    /// In order, with duplicates.
    pub user_properties: UserProperties<'a>,
    /// Filters with wildcards are supported; `true` by default.
    pub wildcard_subscription_available: bool,
    /// Subscription identifiers are supported; `true` by default.
    pub subscription_identifiers_available: bool,
    /// Shared subscriptions are supported; `true` by default.
    pub shared_subscription_available: bool,
    /// Seconds to use instead of the client's keep alive [MQTT-3.2.2-21].
    pub server_keep_alive: Option<u16>,
    /// Basis of response topics.
    pub response_information: Option<&'a str>,
    /// Another server to use.
    pub server_reference: Option<&'a str>,
    /// The method of the CONNECT [MQTT-4.12.0-5].
    pub authentication_method: Option<&'a str>,
    /// What the method ends with.
    pub authentication_data: Option<&'a [u8]>,
}

impl Default for ConnAckProperties<'_> {
    fn default() -> Self {
        Self {
            session_expiry_interval: None,
            receive_maximum: None,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            maximum_packet_size: None,
            assigned_client_identifier: None,
            topic_alias_maximum: 0,
            reason_string: None,
            user_properties: UserProperties::EMPTY,
            wildcard_subscription_available: true,
            subscription_identifiers_available: true,
            shared_subscription_available: true,
            server_keep_alive: None,
            response_information: None,
            server_reference: None,
            authentication_method: None,
            authentication_data: None,
        }
    }
}

impl ConnAck<'_> {
    /// A CONNACK without properties.
    pub fn new(session_present: bool, reason: ReasonCode) -> Self {
        Self { session_present, reason, properties: ConnAckProperties::default() }
    }

    /// Appends the whole packet.
    ///
    /// # Errors
    /// [`EncodeError`] for what the receiver would have to refuse; `out` is then as before.
    pub fn encode(&self, version: Version, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode(self, version, out)
    }
}

impl Body for ConnAck<'_> {
    fn kind(&self) -> PacketType {
        PacketType::ConnAck
    }

    fn write<S: Sink>(&self, version: Version, sink: &mut S) -> Result<(), EncodeError> {
        if !self.reason.allowed_in(PacketType::ConnAck) {
            return Err(EncodeError::ReasonCodeNotAllowed(self.reason));
        }
        if self.session_present && self.reason != ReasonCode::Success {
            return Err(EncodeError::SessionPresentWithError);
        }
        sink.u8(u8::from(self.session_present && version != Version::V31));
        if version.has_properties() {
            sink.u8(self.reason as u8);
            put_block(sink, &self.properties)
        } else {
            sink.u8(self.reason.connack_v3());
            Ok(())
        }
    }
}

impl PropertyFields for ConnAckProperties<'_> {
    fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        put_u32(sink, Property::SessionExpiryInterval, self.session_expiry_interval);
        put_u16(sink, Property::ReceiveMaximum, self.receive_maximum.map(NonZeroU16::get));
        if self.maximum_qos != QoS::ExactlyOnce {
            sink.u8(Property::MaximumQoS.id());
            sink.u8(self.maximum_qos as u8);
        }
        put_u32(sink, Property::MaximumPacketSize, self.maximum_packet_size.map(NonZeroU32::get));
        let aliases = Some(self.topic_alias_maximum).filter(|maximum| *maximum > 0);
        put_u16(sink, Property::TopicAliasMaximum, aliases);
        put_u16(sink, Property::ServerKeepAlive, self.server_keep_alive);
        for (property, available) in [
            (Property::RetainAvailable, self.retain_available),
            (Property::WildcardSubscriptionAvailable, self.wildcard_subscription_available),
            (Property::SubscriptionIdentifierAvailable, self.subscription_identifiers_available),
            (Property::SharedSubscriptionAvailable, self.shared_subscription_available),
        ] {
            if !available {
                put_bool(sink, property, false);
            }
        }
        for (property, value) in [
            (Property::AssignedClientIdentifier, self.assigned_client_identifier),
            (Property::ReasonString, self.reason_string),
            (Property::ResponseInformation, self.response_information),
            (Property::ServerReference, self.server_reference),
            (Property::AuthenticationMethod, self.authentication_method),
        ] {
            put_text(sink, property, value)?;
        }
        put_binary(sink, Property::AuthenticationData, self.authentication_data)?;
        self.user_properties.write(sink);
        Ok(())
    }
}

pub(crate) fn decode(version: Version, body: &[u8]) -> Result<ConnAck<'_>, DecodeError> {
    let mut reader = Reader::new(body);
    let flags = reader.u8()?;
    // 3.1 does not use this byte and does not forbid anything.
    if flags > 1 && version != Version::V31 {
        return Err(DecodeError::ConnAckFlagsReserved);
    }
    let session_present = flags == 1 && version != Version::V31;
    let code = reader.u8()?;
    let reason = if version.has_properties() {
        ReasonCode::decode(code, PacketType::ConnAck)?
    } else {
        ReasonCode::from_connack_v3(code).ok_or(DecodeError::ReasonCodeUnknown(code))?
    };
    if session_present && reason != ReasonCode::Success {
        return Err(DecodeError::SessionPresentWithError);
    }
    let properties = if version.has_properties() {
        ConnAckProperties::decode(&mut reader)?
    } else {
        ConnAckProperties::default()
    };
    reader.finish()?;
    Ok(ConnAck { session_present, reason, properties })
}

impl<'a> ConnAckProperties<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut block = Block::open(reader, Place::packet(PacketType::ConnAck))?;
        let mut properties = Self::default();
        while let Some(property) = block.next()? {
            properties.decode_one(property, &mut block)?;
        }
        properties.user_properties = block.user_properties();
        Ok(properties)
    }

    fn decode_one(&mut self, property: Property, block: &mut Block<'a>) -> Result<(), DecodeError> {
        use Property as P;
        let invalid = DecodeError::PropertyValueInvalid(property);
        match property {
            P::SessionExpiryInterval => self.session_expiry_interval = Some(block.u32()?),
            P::ReceiveMaximum => {
                self.receive_maximum = Some(NonZeroU16::new(block.u16()?).ok_or(invalid)?);
            }
            P::MaximumQoS => {
                let at_least_once = block.boolean(property)?;
                self.maximum_qos = if at_least_once { QoS::AtLeastOnce } else { QoS::AtMostOnce };
            }
            P::RetainAvailable => self.retain_available = block.boolean(property)?,
            P::MaximumPacketSize => {
                self.maximum_packet_size = Some(NonZeroU32::new(block.u32()?).ok_or(invalid)?);
            }
            P::AssignedClientIdentifier => self.assigned_client_identifier = Some(block.text()?),
            P::TopicAliasMaximum => self.topic_alias_maximum = block.u16()?,
            P::ReasonString => self.reason_string = Some(block.text()?),
            P::WildcardSubscriptionAvailable => {
                self.wildcard_subscription_available = block.boolean(property)?;
            }
            P::SubscriptionIdentifierAvailable => {
                self.subscription_identifiers_available = block.boolean(property)?;
            }
            P::SharedSubscriptionAvailable => {
                self.shared_subscription_available = block.boolean(property)?;
            }
            P::ServerKeepAlive => self.server_keep_alive = Some(block.u16()?),
            P::ResponseInformation => self.response_information = Some(block.text()?),
            P::ServerReference => self.server_reference = Some(block.text()?),
            P::AuthenticationMethod => self.authentication_method = Some(block.text()?),
            P::AuthenticationData => self.authentication_data = Some(block.binary()?),
            other => block.travelling(other)?,
        }
        Ok(())
    }
}
