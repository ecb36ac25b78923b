//! A client as the specification wants it, and what it believes: which messages it has open in both directions, and
//! how often it was handed each one. Knows nothing of the broker but its bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use wasmqtt_codec::{
    Ack, ConnAck, Next, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, Version,
    decode, frame,
};

/// A message of its own with QoS 1 or 2 that is not seen through.
#[derive(Clone, Debug)]
struct Sending {
    id: u16,
    qos: QoS,
    topic: &'static str,
    payload: String,
    retain: bool,
    expiry: Option<u32>,
    is_released: bool,
    /// Sent on this connection; and before.
    is_sent: bool,
    is_repeated: bool,
}

/// What CONNACK allows.
#[derive(Copy, Clone, Debug)]
struct Allowance {
    size: usize,
    window: usize,
    aliases: u16,
}

/// A message that this client has seen through to the end.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) payload: String,
    pub(crate) qos: QoS,
}

/// Packet identifiers come round behind this one; those above it are for what must not be sent.
const HIGHEST: u16 = 100;

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) number: usize,
    /// Empty while the broker is to choose.
    pub(crate) name: String,
    pub(crate) version: Version,
    /// The connection it believes in.
    pub(crate) link: Option<u32>,
    pub(crate) is_welcome: bool,
    pub(crate) keep_alive: u16,
    pub(crate) heard_at: u64,
    /// What the last CONNECT was answered with, when it was refused.
    pub(crate) last_refusal: Option<ReasonCode>,
    buffer: Vec<u8>,
    sending: VecDeque<Sending>,
    received: BTreeSet<u16>,
    /// By payload and QoS, since the session began.
    pub(crate) accepted: BTreeMap<(Rc<[u8]>, u8), u32>,
    pub(crate) seen: Vec<Seen>,
    allowance: Allowance,
    aliases: Vec<&'static str>,
    next_id: u16,
    sequence: u32,
    pub(crate) waiting: BTreeSet<u16>,
    session: Option<u64>,
    /// It has sent more than it may: what the broker has of that is nothing to go on with.
    pub(crate) is_at_odds: bool,
}

/// What a client publishes.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) topic: &'static str,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expiry: Option<u32>,
    pub(crate) filler: usize,
    pub(crate) is_empty: bool,
    pub(crate) aliased: bool,
}

impl Client {
    pub(crate) fn new(number: usize, name: String, version: Version) -> Self {
        Self {
            number,
            name,
            version,
            link: None,
            is_welcome: false,
            keep_alive: 0,
            heard_at: 0,
            last_refusal: None,
            buffer: Vec::new(),
            sending: VecDeque::new(),
            received: BTreeSet::new(),
            accepted: BTreeMap::new(),
            seen: Vec::new(),
            allowance: Allowance { size: 0, window: 0, aliases: 0 },
            aliases: Vec::new(),
            next_id: 0,
            sequence: 0,
            waiting: BTreeSet::new(),
            session: None,
            is_at_odds: false,
        }
    }

    /// The connection is new, or gone.
    pub(crate) fn begin(&mut self, link: Option<u32>) {
        self.link = link;
        self.is_welcome = false;
        self.buffer.clear();
        self.aliases.clear();
        self.waiting.clear();
        for sending in &mut self.sending {
            sending.is_repeated |= sending.is_sent;
            sending.is_sent = false;
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.sending.is_empty() && self.waiting.is_empty()
    }

    pub(crate) fn fresh_id(&mut self) -> PacketId {
        loop {
            // A small range, so that identifiers come round.
            self.next_id = self.next_id % HIGHEST + 1;
            let id = self.next_id;
            if self.sending.iter().all(|s| s.id != id) && !self.waiting.contains(&id) {
                return PacketId::new(id).unwrap_or(PacketId::MIN);
            }
        }
    }

    /// Takes a wish on. What has QoS 0 goes out at once, or never.
    pub(crate) fn publish(&mut self, wish: Wish, out: &mut Vec<u8>) {
        let number = self.sequence;
        self.sequence += 1;
        let (topic, qos, retain) = (wish.topic, wish.qos, wish.retain);
        let payload = match wish.is_empty {
            true => String::new(),
            false => format!(
                "{}/{number}|{topic}|q{}|r{}|{:?}|{}",
                self.number,
                qos as u8,
                u8::from(retain),
                self.version,
                ".".repeat(wish.filler)
            ),
        };
        let expiry = wish.expiry.filter(|_| self.version == Version::V5);
        let sending = Sending {
            id: 0,
            qos,
            topic,
            payload,
            retain,
            expiry,
            is_released: false,
            is_sent: false,
            is_repeated: false,
        };
        if sending.payload.len() + topic.len() + 40 > self.allowance.size {
            return;
        }
        if qos == QoS::AtMostOnce {
            self.write(&sending, wish.aliased, out);
        } else if self.sending.len() < 40 {
            let id = self.fresh_id().get();
            self.sending.push_back(Sending { id, ..sending });
            self.go_on(wish.aliased, out);
        }
    }

    /// So many messages with QoS 2 at once, whatever the broker has a place for.
    pub(crate) fn exceed(&mut self, count: u16, out: &mut Vec<u8>) {
        self.is_at_odds = true;
        for id in (HIGHEST + 1..).take(usize::from(count)) {
            let publish = Publish {
                dup: false,
                qos: QoS::ExactlyOnce,
                retain: false,
                topic: "t/a",
                packet_id: PacketId::new(id),
                properties: PublishProperties::default(),
                payload: b"too much",
            };
            self.ack(&Packet::Publish(publish), out);
        }
    }

    /// Sends what the broker has a place for, in order.
    pub(crate) fn go_on(&mut self, aliased: bool, out: &mut Vec<u8>) {
        let mut open = self.sending.iter().filter(|sending| sending.is_sent).count();
        for at in 0..self.sending.len() {
            if self.sending[at].is_sent || open >= self.allowance.window {
                continue;
            }
            self.sending[at].is_sent = true;
            open += 1;
            let sending = self.sending[at].clone();
            match PacketId::new(sending.id) {
                Some(id) if sending.is_released => {
                    self.ack(&Packet::PubRel(Ack::new(id, ReasonCode::Success)), out)
                }
                _ => self.write(&sending, aliased, out),
            }
        }
    }

    fn write(&mut self, sending: &Sending, aliased: bool, out: &mut Vec<u8>) {
        let known = self.aliases.iter().position(|topic| *topic == sending.topic);
        let has_place = self.aliases.len() < usize::from(self.allowance.aliases);
        let (topic, alias) = match known {
            Some(at) if aliased => ("", PacketId::new(at as u16 + 1)),
            None if aliased && has_place => {
                self.aliases.push(sending.topic);
                (sending.topic, PacketId::new(self.aliases.len() as u16))
            }
            _ => (sending.topic, None),
        };
        let publish = Publish {
            dup: sending.is_repeated,
            qos: sending.qos,
            retain: sending.retain,
            topic,
            packet_id: PacketId::new(sending.id),
            properties: PublishProperties {
                message_expiry_interval: sending.expiry,
                topic_alias: alias,
                ..PublishProperties::default()
            },
            payload: sending.payload.as_bytes(),
        };
        self.ack(&Packet::Publish(publish), out);
    }

    fn ack(&self, packet: &Packet<'_>, out: &mut Vec<u8>) {
        packet.encode(self.version, out).expect("a client that follows the rules");
    }

    /// Bytes come in; the answers go to `out`. An error is a broker that breaks a rule.
    ///
    /// `session` is the number of the session that its connection got: a client that never saw the CONNACK which told
    /// it of a new session could not know.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        session: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        self.buffer.extend_from_slice(bytes);
        loop {
            let buffer = std::mem::take(&mut self.buffer);
            let len = match frame::next(&buffer, frame::MAX_PACKET_SIZE) {
                Ok(Next::Whole { frame, len }) => {
                    let packet = decode(self.version, frame).map_err(|error| error.to_string())?;
                    self.take(&packet, session, out)?;
                    len
                }
                Ok(Next::Partial { .. }) => {
                    self.buffer = buffer;
                    return Ok(());
                }
                Err(error) => return Err(error.to_string()),
            };
            self.buffer = buffer[len..].to_vec();
        }
    }

    fn take(
        &mut self,
        packet: &Packet<'_>,
        session: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let success = |id| Ack::new(id, ReasonCode::Success);
        match packet {
            Packet::ConnAck(connack) => self.welcome(connack, session),
            Packet::Publish(publish) => {
                let accepts = match (publish.qos, publish.packet_id) {
                    (QoS::ExactlyOnce, Some(id)) => {
                        let is_new = self.received.insert(id.get());
                        if !is_new && !publish.dup {
                            return Err(format!("{id} is in use and came with a new message"));
                        }
                        self.ack(&Packet::PubRec(success(id)), out);
                        is_new
                    }
                    (QoS::AtLeastOnce, Some(id)) => {
                        self.ack(&Packet::PubAck(success(id)), out);
                        true
                    }
                    _ => true,
                };
                if accepts {
                    let key = (Rc::from(publish.payload), publish.qos as u8);
                    *self.accepted.entry(key).or_default() += 1;
                }
            }
            Packet::PubRel(ack) => {
                self.received.remove(&ack.packet_id.get());
                self.ack(&Packet::PubComp(success(ack.packet_id)), out);
            }
            Packet::PubAck(ack) | Packet::PubComp(ack) => self.finish(ack.packet_id.get())?,
            Packet::PubRec(ack) if ack.reason.is_error() && ack.packet_id.get() <= HIGHEST => {
                self.finish(ack.packet_id.get())?;
            }
            // It never goes on with that.
            Packet::PubRec(ack) if ack.packet_id.get() > HIGHEST => {}
            Packet::PubRec(ack) => {
                let id = ack.packet_id.get();
                let found = self.sending.iter_mut().find(|sending| sending.id == id);
                found.ok_or(format!("PUBREC for {id}, which is not open"))?.is_released = true;
                self.ack(&Packet::PubRel(success(ack.packet_id)), out);
            }
            Packet::SubAck(suback) => self.answered(suback.packet_id.get())?,
            Packet::UnsubAck(unsuback) => self.answered(unsuback.packet_id.get())?,
            _ => {}
        }
        if self.is_welcome {
            self.go_on(false, out);
        }
        Ok(())
    }

    fn answered(&mut self, id: u16) -> Result<(), String> {
        let known = self.waiting.remove(&id);
        if known { Ok(()) } else { Err(format!("{id} is answered, and was never asked")) }
    }

    fn finish(&mut self, id: u16) -> Result<(), String> {
        let at = self.sending.iter().position(|sending| sending.id == id && sending.is_sent);
        let gone = at.and_then(|at| self.sending.remove(at));
        let Sending { payload, qos, .. } = gone.ok_or(format!("{id} is done, and was not open"))?;
        if !payload.is_empty() {
            self.seen.push(Seen { payload, qos });
        }
        Ok(())
    }

    fn welcome(&mut self, connack: &ConnAck<'_>, session: Option<u64>) {
        let properties = &connack.properties;
        if connack.reason != ReasonCode::Success {
            self.last_refusal = Some(connack.reason);
            return;
        }
        if let Some(name) = properties.assigned_client_identifier {
            name.clone_into(&mut self.name);
        }
        self.is_welcome = true;
        self.last_refusal = None;
        self.keep_alive = properties.server_keep_alive.unwrap_or(self.keep_alive);
        if self.version == Version::V5 {
            self.allowance = Allowance {
                size: properties.maximum_packet_size.map_or(usize::MAX, |size| size.get() as usize),
                window: properties.receive_maximum.map_or(65_535, |most| usize::from(most.get())),
                aliases: properties.topic_alias_maximum,
            };
        } else {
            // What a 3.x client has to know from elsewhere; the world's tightest bounds.
            self.allowance = Allowance { size: 350, window: 1, aliases: 0 };
        }
        if self.session != session {
            self.forget();
            self.session = session;
        }
    }

    /// There is a new session: nothing is left of the one before.
    fn forget(&mut self) {
        self.sending.clear();
        self.received.clear();
        self.accepted.clear();
        self.is_at_odds = false;
    }
}
