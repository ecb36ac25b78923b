//! What the client sends: acknowledgements are dealt with here, the rest is handed on.

use wasmqtt_codec::{
    Ack, Disconnect, EncodeError, Frame, MessageProperties, Packet, PacketId, PacketType, Publish,
    QoS, ReasonCode, Subscribe, Unsubscribe, Version, decode,
};

use super::{Connection, Departure, check_size};
use crate::fault::Fault;
use crate::judge::{Question, Refusal};
use crate::message::{Origin, Parts};
use crate::session::inflight::Expected;
use crate::time::Moment;

/// What a frame asks of the broker.
#[derive(Debug)]
pub enum Inbound<'a> {
    /// Nothing: it was dealt with, and answered if need be.
    Settled,
    /// Nothing but to be counted: a publication that was refused, and answered.
    Refused,
    /// To be published; then [`Connection::acknowledge`].
    Publish(Publication<'a>),
    /// To be subscribed; then [`Connection::subscribed`].
    Subscribe(Subscribe<'a>),
    /// To be unsubscribed; then [`Connection::unsubscribed`].
    Unsubscribe(Unsubscribe<'a>),
    /// To be asked, while everything else goes on; then [`Connection::answered`].
    Authenticate(Question),
    /// The client says good-bye.
    Disconnect(Departure),
}

/// A PUBLISH with its topic alias resolved.
#[derive(Debug)]
pub struct Publication<'a> {
    /// None with QoS 0.
    pub packet_id: Option<PacketId>,
    /// What the message is made of.
    pub parts: Parts<'a>,
}

/// Bytes of the shortest user property.
const USER_PROPERTY: usize = 5;

/// The control bytes of PINGRESP.
const PINGRESP: [u8; 2] = [0xD0, 0];

impl Connection {
    /// Takes one whole frame.
    pub fn receive<'a>(
        &'a mut self,
        now: Moment,
        frame: Frame<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'a>, Fault> {
        if frame.kind() == Some(PacketType::Publish) {
            // By reference: to move what was just written, in other portions, makes the processor wait.
            return match &Publish::decode(self.version, frame) {
                Ok(publish) => self.publish(now, publish, frame.body.len(), out),
                Err(error) => Err((*error).into()),
            };
        }
        let packet = decode(self.version, frame)?;
        self.heard_at = now;
        match packet {
            Packet::PubAck(ack) => self.settle(now, &ack, Expected::PubAck, out),
            Packet::PubRec(ack) => self.pubrec(now, &ack, out),
            Packet::PubRel(ack) => self.pubrel(&ack, out),
            Packet::PubComp(ack) => self.settle(now, &ack, Expected::PubComp, out),
            Packet::Subscribe(subscribe) => self.subscribe(now, subscribe, out),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(unsubscribe),
            Packet::PingReq => {
                out.extend_from_slice(&PINGRESP);
                Ok(Inbound::Settled)
            }
            Packet::Disconnect(disconnect) => self.disconnect(&disconnect).map(Inbound::Disconnect),
            Packet::Connect(_) => Err(Fault::SecondConnect),
            Packet::Auth(auth) => self.authenticate(now, &auth),
            other => Err(Fault::UnexpectedPacket(other.kind())),
        }
    }

    fn publish<'a>(
        &'a mut self,
        now: Moment,
        publish: &Publish<'a>,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'a>, Fault> {
        self.heard_at = now;
        self.rate.count(now, length, &self.limits)?;
        if !publish.properties.subscription_identifiers.is_empty() {
            return Err(Fault::SubscriptionIdentifierPublished);
        }
        let alias = publish.properties.topic_alias;
        // First of all, because what follows may count on the alias even when this one is a repetition.
        self.aliases.learn(publish.topic, alias)?;
        let topic = self.aliases.resolve(publish.topic, alias)?;
        let most = usize::from(self.limits.max_topic_levels);
        if topic.len() > usize::from(self.limits.max_topic_length)
            // Few bytes cannot hold many: counted only when they could be too many.
            || topic.len() >= most && topic.bytes().filter(|byte| *byte == b'/').count() >= most
        {
            return Err(Fault::TopicTooLong);
        }
        self.check_offered(publish)?;
        if let Err(fault) = self.check_content(publish, length) {
            return self.refuse(publish, fault, out);
        }
        match (publish.qos, publish.packet_id) {
            (QoS::ExactlyOnce, Some(id)) if !self.take(id)? => {
                self.ack(PacketType::PubRec, id, ReasonCode::Success, None, out);
                return Ok(Inbound::Settled);
            }
            (QoS::AtLeastOnce, Some(id)) if self.is_taken(id) => {
                return self.refuse(publish, Fault::PacketIdentifierInUse, out);
            }
            _ => {}
        }
        let expiry = self.limits.expiry(publish.properties.message_expiry_interval);
        Ok(Inbound::Publish(Publication {
            packet_id: publish.packet_id,
            parts: Parts {
                topic,
                properties: publish.properties.message,
                payload: publish.payload,
                qos: publish.qos,
                retain: publish.retain,
                origin: Origin::Client,
                expires_at: expiry.map(|seconds| now.after_secs(seconds)),
            },
        }))
    }

    /// Whether the listener takes publications of this kind: the client was told so in CONNACK.
    fn check_offered(&self, publish: &Publish<'_>) -> Result<(), Fault> {
        let features = &self.limits.features;
        if publish.qos > features.max_qos {
            return Err(Fault::QosNotSupported);
        }
        if publish.retain && !features.retain {
            return Err(Fault::RetainNotSupported);
        }
        Ok(())
    }

    /// What is wrong with this one publication, and with no other. `length` is that of the packet, without its fixed
    /// header.
    fn check_content(&self, publish: &Publish<'_>, length: usize) -> Result<(), Fault> {
        let most = usize::from(self.limits.max_user_properties);
        let properties = length.saturating_sub(publish.topic.len() + publish.payload.len());
        // Few bytes cannot hold many: counted only when they could be too many.
        if properties / USER_PROPERTY > most
            && publish.properties.message.user_properties().iter().count() > most
        {
            return Err(Fault::TooManyUserProperties);
        }
        check_size(&self.limits, publish.properties.message, properties, publish.payload)?;
        if self.limits.features.validate_payload_format {
            check_format(publish.properties.message, publish.payload)?;
        }
        Ok(())
    }

    /// Answers a publication that is not to be published. Without an answer, with QoS 0, or one that says so, before MQTT 5,
    /// the connection ends: the client could not be told otherwise.
    fn refuse(
        &self,
        publish: &Publish<'_>,
        fault: Fault,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'static>, Fault> {
        let id = publish.packet_id.filter(|_| self.version == Version::V5);
        let Some(id) = id else { return Err(fault) };
        let refusal = Refusal::new(fault.reason()).because(fault.to_string());
        let kind = match publish.qos {
            QoS::ExactlyOnce => PacketType::PubRec,
            _ => PacketType::PubAck,
        };
        self.ack(kind, id, refusal.code, Some(&refusal), out);
        Ok(Inbound::Refused)
    }

    /// Takes a QoS 2 publication on, before it is routed: whoever takes the session over meanwhile must not route it
    /// again. False for one that was received and not released: it must not be published again [MQTT-4.3.3-10].
    fn take(&self, id: PacketId) -> Result<bool, Fault> {
        let mut state = self.session.state.lock();
        self.check_attached(&state)?;
        if state.received.contains_key(&id) {
            return Ok(false);
        }
        if state.received.len() >= usize::from(self.limits.receive_maximum) {
            return Err(Fault::ReceiveMaximumExceeded);
        }
        state.received.insert(id, self.attachment);
        Ok(true)
    }

    /// Whether a QoS 2 publication that is not released has this identifier. A 3.x client could not be told.
    fn is_taken(&self, id: PacketId) -> bool {
        if self.version != Version::V5 {
            return false;
        }
        let state = self.session.state.lock();
        state.attachment == self.attachment && state.received.contains_key(&id)
    }

    /// Answers a publication that was judged and routed.
    pub fn acknowledge(
        &mut self,
        packet_id: Option<PacketId>,
        qos: QoS,
        outcome: Result<ReasonCode, &Refusal>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(id) = packet_id else { return Ok(()) };
        let (code, refusal) = match outcome {
            Ok(code) => (code, None),
            Err(refusal) => (refusal.code, Some(refusal)),
        };
        let kind = match qos {
            QoS::ExactlyOnce => PacketType::PubRec,
            _ => PacketType::PubAck,
        };
        // A refused one of a 3.x client has no code to say so: it goes through all the steps.
        if qos == QoS::ExactlyOnce && refusal.is_some() && self.version == Version::V5 {
            let mut state = self.session.state.lock();
            // Also where another connection has the session: the client may send it again there.
            state.give_up(id, self.attachment);
            self.check_attached(&state)?;
        }
        self.ack(kind, id, code, refusal, out);
        Ok(())
    }

    /// Lets go of a publication that was not published and is not answered: because its refusal ends the connection, or
    /// because that is over.
    pub fn give_up(&self, packet_id: Option<PacketId>) {
        if let Some(id) = packet_id {
            self.session.state.lock().give_up(id, self.attachment);
        }
    }

    fn settle(
        &mut self,
        now: Moment,
        ack: &Ack<'_>,
        expected: Expected,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'static>, Fault> {
        let mut state = self.session.state.lock();
        self.check_attached(&state)?;
        // An unknown identifier is what is left of a connection before; there is nothing to do about it.
        state.inflight.complete(ack.packet_id, expected);
        let room = state.inflight.room(self.window);
        drop(state);
        self.room = room;
        if !self.unsent.is_empty() {
            self.resend(now, out)?;
        }
        Ok(Inbound::Settled)
    }

    fn pubrec(
        &mut self,
        now: Moment,
        ack: &Ack<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'static>, Fault> {
        if ack.reason.is_error() {
            return self.settle(now, ack, Expected::PubRec, out);
        }
        let mut state = self.session.state.lock();
        self.check_attached(&state)?;
        let known = state.inflight.release(ack.packet_id);
        drop(state);
        self.step(PacketType::PubRel, ack.packet_id, known, out);
        Ok(Inbound::Settled)
    }

    fn pubrel(&mut self, ack: &Ack<'_>, out: &mut Vec<u8>) -> Result<Inbound<'static>, Fault> {
        let mut state = self.session.state.lock();
        self.check_attached(&state)?;
        let known = state.received.remove(&ack.packet_id).is_some();
        drop(state);
        self.step(PacketType::PubComp, ack.packet_id, known, out);
        Ok(Inbound::Settled)
    }

    /// The next step of QoS 2, whether the one before was `known` or not: the other side has to come to an end.
    fn step(&self, kind: PacketType, id: PacketId, known: bool, out: &mut Vec<u8>) {
        if known {
            self.ack(kind, id, ReasonCode::Success, None, out);
            return;
        }
        let unknown = Refusal::new(ReasonCode::PacketIdentifierNotFound)
            .because("nothing is open under this packet identifier");
        self.ack(kind, id, unknown.code, Some(&unknown), out);
    }

    fn disconnect(&self, disconnect: &Disconnect<'_>) -> Result<Departure, Fault> {
        let raised = disconnect.session_expiry_interval.is_some_and(|expiry| expiry > 0);
        if raised && self.session_expiry == 0 {
            return Err(Fault::SessionExpiryRaised);
        }
        Ok(Departure {
            with_will: disconnect.reason != ReasonCode::Success,
            session_expiry: disconnect
                .session_expiry_interval
                .map(|expiry| expiry.min(self.limits.session_expiry_max)),
            end_session: false,
            code: Some(disconnect.reason),
        })
    }

    fn ack(
        &self,
        kind: PacketType,
        packet_id: PacketId,
        reason: ReasonCode,
        refusal: Option<&Refusal>,
        out: &mut Vec<u8>,
    ) {
        let mut ack = Ack::new(packet_id, reason);
        if let Some(refusal) = refusal.filter(|_| self.problem_information) {
            ack.reason_string = refusal.reason.as_deref();
            ack.user_properties = refusal.user_properties.as_view();
        }
        let start = out.len();
        let written = encode(kind, &ack, self.version, out);
        if written.is_err() || out.len() - start > self.largest {
            // The reason string gives way to the client's Maximum Packet Size [MQTT-3.4.2-2], and a code that a
            // plugin chose and this packet cannot carry to one that it can. An answer there must be.
            out.truncate(start);
            let reason = if written.is_err() { ReasonCode::UnspecifiedError } else { reason };
            let _ = encode(kind, &Ack::new(packet_id, reason), self.version, out);
        }
    }
}

/// Whether a payload that is declared to be UTF-8 is.
pub(crate) fn check_format(properties: MessageProperties<'_>, payload: &[u8]) -> Result<(), Fault> {
    let declared = properties.payload_format_indicator() == Some(true);
    if declared && str::from_utf8(payload).is_err() {
        return Err(Fault::PayloadFormatInvalid);
    }
    Ok(())
}

fn encode(
    kind: PacketType,
    ack: &Ack<'_>,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    match kind {
        PacketType::PubRec => ack.encode_pubrec(version, out),
        PacketType::PubRel => ack.encode_pubrel(version, out),
        PacketType::PubComp => ack.encode_pubcomp(version, out),
        _ => ack.encode_puback(version, out),
    }
}
