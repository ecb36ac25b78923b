//! From the first bytes to CONNACK. The handshake consumes itself: after it there is a [`Connection`], and no
//! second CONNECT by construction.

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use wasmqtt_codec::{
    ConnAck, ConnAckProperties, Connect, Frame, MessagePropertiesBuf, Packet, PacketType, QoS,
    ReasonCode, Version, decode,
};

use super::exchange::{Authentication, Data};
use super::{Connection, Pace};
use crate::client::{Client, ListenerId, Transport};
use crate::fault::Fault;
use crate::judge::{Connecting, IdentityLimits, Refusal};
use crate::limits::Limits;
use crate::session::Session;
use crate::time::Moment;

/// What CONNECT asked for, in the broker's own memory: the read buffer is gone by the time an authenticator has
/// answered.
#[derive(Debug)]
pub struct Hello {
    /// What authenticators get to see.
    pub connecting: Connecting,
    /// Seconds; none = the property was absent.
    pub session_expiry: Option<u32>,
    /// What the client can take at once [MQTT-3.3.4-7].
    pub receive_maximum: NonZeroU16,
    /// Bytes; none = no bound.
    pub maximum_packet_size: Option<NonZeroU32>,
    /// Aliases the broker may assign toward the client [MQTT-3.1.2-26]; 0 = none.
    pub topic_alias_maximum: u16,
    /// Whether the client wants Response Information.
    pub request_response_information: bool,
    /// Whether the client wants reason strings on every packet [MQTT-3.1.2-29].
    pub request_problem_information: bool,
    /// Left by the client.
    pub will: Option<WillRequest>,
    /// The authentication method, and the data that came with it, until an exchange [begins](Hello::begin).
    pub(super) method: Option<(Arc<str>, Data)>,
    pub(super) authentication: Option<Box<Authentication>>,
}

impl Hello {
    /// Bytes of the largest packet that the client takes.
    pub(super) fn largest(&self) -> usize {
        self.maximum_packet_size.map_or(usize::MAX, |size| size.get() as usize)
    }

    /// Whether the client takes the CONNACK that admits it: it must be able to read what it may do
    /// [MQTT-3.1.2-24]. 0x95 if not.
    pub(crate) fn check_connack(&self, terms: &Terms<'_>) -> Result<(), Refusal> {
        if self.maximum_packet_size.is_none() {
            return Ok(());
        }
        let mut out = Vec::new();
        let written = self.connack(terms).encode(self.connecting.version, &mut out);
        if written.is_err() || out.len() > self.largest() {
            return Err(Refusal::new(ReasonCode::PacketTooLarge)
                .because("CONNACK is larger than the Maximum Packet Size of CONNECT"));
        }
        Ok(())
    }

    /// What CONNACK has to say. What is nice to have comes on top.
    fn connack<'a>(&'a self, terms: &Terms<'a>) -> ConnAck<'a> {
        let Terms { limits, session_expiry, keep_alive, assigned } = *terms;
        let asked = self.session_expiry.unwrap_or(0);
        let (authentication_method, authentication_data) = self.proof();
        ConnAck {
            session_present: false,
            reason: ReasonCode::Success,
            properties: ConnAckProperties {
                session_expiry_interval: (session_expiry != asked).then_some(session_expiry),
                receive_maximum: NonZeroU16::new(limits.receive_maximum),
                maximum_packet_size: NonZeroU32::new(limits.max_packet_size),
                assigned_client_identifier: assigned,
                topic_alias_maximum: limits.topic_alias_maximum,
                server_keep_alive: (keep_alive != self.connecting.keep_alive).then_some(keep_alive),
                maximum_qos: limits.features.max_qos,
                retain_available: limits.features.retain,
                wildcard_subscription_available: limits.features.wildcard_subscriptions,
                subscription_identifiers_available: limits.features.subscription_identifiers,
                shared_subscription_available: limits.features.shared_subscriptions,
                authentication_method,
                authentication_data,
                ..ConnAckProperties::default()
            },
        }
    }
}

/// On what terms a client is let in.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) limits: &'a Limits,
    /// Seconds.
    pub(crate) session_expiry: u32,
    /// Seconds; 0 = none.
    pub(crate) keep_alive: u16,
    /// The client identifier, when the broker chose it.
    pub(crate) assigned: Option<&'a str>,
}

/// The will as CONNECT carried it.
#[derive(Debug)]
pub struct WillRequest {
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is to be retained.
    pub retain: bool,
    /// Topic name, as sent.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// Seconds.
    pub delay: u32,
    /// Seconds; none = for ever.
    pub expiry: Option<u32>,
    /// Properties that travel with the message.
    pub properties: MessagePropertiesBuf,
}

/// Reads the first packet, which must be CONNECT [MQTT-3.1.0-1].
pub fn receive(
    frame: Frame<'_>,
    listener: ListenerId,
    transport: Transport,
    peer: &str,
) -> Result<Box<Hello>, Fault> {
    // The version of a CONNECT is in the CONNECT.
    match decode(Version::V5, frame)? {
        Packet::Connect(connect) => Ok(hello(&connect, listener, transport, peer)),
        other => Err(Fault::ConnectExpected(other.kind())),
    }
}

fn hello(
    connect: &Connect<'_>,
    listener: ListenerId,
    transport: Transport,
    peer: &str,
) -> Box<Hello> {
    let properties = &connect.properties;
    let v5 = connect.version == Version::V5;
    let will = connect.will.as_ref().map(|will| WillRequest {
        qos: will.qos,
        retain: will.retain,
        topic: will.topic.to_owned(),
        payload: will.payload.to_vec(),
        delay: will.delay_interval,
        expiry: will.message_expiry_interval,
        properties: will.properties.into(),
    });
    Box::new(Hello {
        connecting: Connecting {
            client_id: connect.client_id.to_owned(),
            username: connect.username.map(str::to_owned),
            password: connect.password.map(<[u8]>::to_vec),
            listener,
            version: connect.version,
            transport,
            peer: peer.to_owned(),
            clean_start: connect.clean_start,
            keep_alive: connect.keep_alive,
            will_topic: will.as_ref().map(|will| will.topic.clone()),
            user_properties: properties
                .user_properties
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            certificate: None,
            is_certified: false,
        },
        // Before MQTT 5 a session that is not clean has no end of its own; the listener's maximum is it.
        session_expiry: match (v5, connect.clean_start) {
            (true, _) => properties.session_expiry_interval,
            (false, true) => None,
            (false, false) => Some(u32::MAX),
        },
        receive_maximum: properties.receive_maximum.unwrap_or(NonZeroU16::MAX),
        maximum_packet_size: properties.maximum_packet_size,
        topic_alias_maximum: properties.topic_alias_maximum,
        request_response_information: v5 && properties.request_response_information,
        request_problem_information: v5 && properties.request_problem_information,
        will,
        method: properties.authentication_method.map(|method| {
            let data = properties.authentication_data.unwrap_or_default();
            (method.into(), Data(data.to_vec()))
        }),
        authentication: None,
    })
}

/// What admission came to; [`open`] makes a connection of it.
#[derive(Debug)]
pub struct Admission {
    /// Who it is.
    pub client: Arc<Client>,
    /// Where its state lives.
    pub session: Arc<Session>,
    /// The number under which this connection has the session.
    pub attachment: u64,
    /// Whether the session was there before [MQTT-3.2.2-3].
    pub session_present: bool,
    /// Granted, in seconds.
    pub session_expiry: u32,
    /// Whether the broker chose the client identifier [MQTT-3.2.2-16].
    pub assigned: bool,
    /// In seconds, as it is held to; 0 = none.
    pub keep_alive: u16,
    /// Listener and identity, whichever is tighter.
    pub limits: Arc<Limits>,
    /// What of them the identity says; none = nothing.
    pub own: Option<Box<IdentityLimits>>,
    /// What it has published of what it may, where that is limited.
    pub pace: Option<Pace>,
    /// When the identity expires.
    pub expires_at: Option<Moment>,
    /// For CONNACK.
    pub connack_properties: wasmqtt_codec::UserPropertiesBuf,
    /// For CONNACK, when the client asked for it.
    pub response_information: Option<String>,
}

/// Writes CONNACK, and whatever a resumed session has open, and hands over to the steady state.
pub fn open(now: Moment, hello: &Hello, admission: Admission, out: &mut Vec<u8>) -> Connection {
    let version = hello.connecting.version;
    let mut connack = hello.connack(&Terms {
        limits: &admission.limits,
        session_expiry: admission.session_expiry,
        keep_alive: admission.keep_alive,
        assigned: admission.assigned.then_some(&*admission.client.id),
    });
    connack.session_present = admission.session_present;
    connack.properties.response_information = admission.response_information.as_deref();
    connack.properties.user_properties = admission.connack_properties.as_view();
    let start = out.len();
    let written = connack.encode(version, out);
    if written.is_err() || out.len() - start > hello.largest() {
        // What is nice to have gives way to what must fit [MQTT-3.2.2-20]; that it does was seen at admission.
        out.truncate(start);
        connack.properties.user_properties = Default::default();
        connack.properties.response_information = None;
        let _ = connack.encode(version, out);
    }
    let mut connection = Connection::new(now, hello, admission);
    connection.resume(now, out);
    connection
}

/// Writes the CONNACK that refuses [MQTT-3.2.2-7]. A 3.x client is told one of its five codes.
pub fn refuse(hello: &Hello, refusal: &Refusal, out: &mut Vec<u8>) {
    let version = hello.connecting.version;
    // A plugin may have chosen one that CONNACK cannot carry.
    let code = match refusal.code.allowed_in(PacketType::ConnAck) {
        true => refusal.code,
        false => ReasonCode::NotAuthorized,
    };
    let bare = ConnAck::new(false, code);
    let mut referring = bare.clone();
    referring.properties.server_reference = refusal.server_reference.as_deref();
    let mut full = referring.clone();
    if hello.request_problem_information {
        full.properties.reason_string = refusal.reason.as_deref();
        full.properties.user_properties = refusal.user_properties.as_view();
    }
    let start = out.len();
    // What is nice to have gives way to what the client can take [MQTT-3.2.2-19], [MQTT-3.2.2-20]; when it takes not even
    // the code, closing says enough [MQTT-3.1.2-24].
    for connack in [&full, &referring, &bare] {
        if connack.encode(version, out).is_ok() && out.len() - start <= hello.largest() {
            return;
        }
        out.truncate(start);
    }
}

/// What, if anything, is said to a peer whose first packet was wrong. CONNACK tells only those who sent a
/// CONNECT: bytes of a stranger are answered with silence.
pub fn reject(fault: &Fault, frame: Option<Frame<'_>>, out: &mut Vec<u8>) {
    let Some(frame) = frame.filter(|frame| frame.first == 0x10) else { return };
    let version = match (fault.reason(), level(frame.body)) {
        // Whoever speaks something newer can read what 5.0 says [MQTT-3.1.2-2], unless the packet has the form of 3.1.1;
        // everybody else expects the code of 3.1.1 [MQTT-3.1.2-2 of 3.1.1], among them bridges of 3.x, which mark their
        // level with the highest bit.
        (ReasonCode::UnsupportedProtocolVersion, Some(6..0x83 | 0x85..))
            if !has_form_of(Version::V311, frame) =>
        {
            Version::V5
        }
        // Both have a return code of 3.x, and are known before a 5.0 client is.
        (ReasonCode::UnsupportedProtocolVersion | ReasonCode::ClientIdentifierNotValid, _) => {
            Version::V311
        }
        (_, Some(5)) => Version::V5,
        // A malformed CONNECT of 3.x is closed without a word [MQTT-3.1.4-1 of 3.1.1].
        _ => return,
    };
    let _ = ConnAck::new(false, fault.reason()).encode(version, out);
}

/// Whether the packet is a CONNECT of this version but for its protocol level.
fn has_form_of(version: Version, frame: Frame<'_>) -> bool {
    let mut body = frame.body.to_vec();
    let Some(level) = body.get_mut(NAME.len()) else { return false };
    *level = version.level();
    decode(version, Frame { body: &body, ..frame }).is_ok()
}

/// How a CONNECT of 3.1.1 and later begins.
const NAME: &[u8] = b"\0\x04MQTT";

/// The protocol level of a CONNECT that is called MQTT.
fn level(body: &[u8]) -> Option<u8> {
    body.strip_prefix(NAME)?.first().copied()
}
