//! What the core writes to one connection, packet by packet: each must be owed, allowed, and right in every field.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{
    Ack, Next, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode,
    SubscriptionIdentifiers, Version, decode, frame,
};
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Request, Screened};
use wasmqtt_core::limits::Limits;
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

use super::Auditor;
use super::entering::Newcomer;
use super::ingress::Owed;
use super::routing::Float;
use super::session::{Entry, Open, Session};

/// What a connection took from its mailbox.
#[derive(Debug)]
struct Pulled {
    entry: Entry,
    /// Whether its publisher may still publish it was asked.
    is_sourced: bool,
    is_screened: bool,
}

impl Pulled {
    fn new(entry: Entry) -> Self {
        Self { entry, is_sourced: false, is_screened: false }
    }

    /// Retained messages are delivered only while their publisher may publish them.
    fn needs_source(&self) -> bool {
        self.entry.stored && !self.entry.letter.is_moved && !self.is_sourced
    }
}

/// How fast a client publishes, whatever becomes of its connections.
#[derive(Debug, Default)]
pub(super) struct Pace {
    second: u64,
    publications: u32,
    pub(super) most: u32,
}

impl Pace {
    /// What was too much in one second is not held against the client in the next.
    pub(super) fn look(&mut self, now: Moment) {
        let second = now.0 / 1000;
        if self.second != second {
            (self.second, self.publications) = (second, 0);
        }
        self.publications = self.publications.min(self.most);
    }

    /// One more; true when it is one too many.
    pub(super) fn count(&mut self, now: Moment) -> bool {
        self.look(now);
        self.publications += 1;
        self.publications > self.most
    }
}

/// The model of one connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(super) client_id: Rc<str>,
    pub(super) key: u64,
    version: Version,
    pub(super) limits: Limits,
    pub(super) is_restricted: bool,
    pub(super) expires_at: Option<Moment>,
    pub(super) keep_alive: u16,
    pub(super) heard_at: Moment,
    largest: usize,
    window: usize,
    most_aliases: u16,
    aliases: BTreeMap<u16, String>,
    /// Pulled and not yet written.
    hand: VecDeque<Pulled>,
    /// To be sent again, oldest first.
    resend: VecDeque<u16>,
    /// Sent on this connection with QoS 1 or 2.
    pub(super) unacknowledged: BTreeSet<u16>,
    pub(super) owed: VecDeque<Owed>,
    pub(super) codes: VecDeque<Vec<ReasonCode>>,
    reasons: BTreeMap<u16, ReasonCode>,
    pub(super) may_route: bool,
    pub(super) is_over_quota: bool,
    pub(super) is_rude: bool,
    pub(super) is_ordered: bool,
    pub(super) pace: Option<Rc<RefCell<Pace>>>,
    pub(super) is_too_fast: bool,
    is_welcome: bool,
    is_over: bool,
    pub(super) is_leaving: bool,
}

impl Link {
    pub(super) fn new(newcomer: &Newcomer, session: &Session, now: Moment) -> Self {
        Self {
            client_id: Rc::clone(&newcomer.client_id),
            key: session.key,
            version: newcomer.version,
            limits: newcomer.limits,
            is_restricted: newcomer.is_restricted,
            expires_at: newcomer.expires_in.map(|seconds| now.after_secs(seconds)),
            keep_alive: newcomer.keep_alive,
            heard_at: now,
            largest: newcomer.largest,
            window: newcomer.window,
            most_aliases: newcomer.aliases,
            aliases: BTreeMap::new(),
            hand: VecDeque::new(),
            resend: session.open.iter().map(|(id, _)| *id).collect(),
            unacknowledged: BTreeSet::new(),
            owed: VecDeque::new(),
            codes: VecDeque::new(),
            reasons: BTreeMap::new(),
            may_route: true,
            is_over_quota: false,
            is_rude: false,
            is_ordered: false,
            pace: None,
            is_too_fast: false,
            is_welcome: false,
            is_over: false,
            is_leaving: false,
        }
    }

    pub(super) fn resends(&self) -> bool {
        !self.resend.is_empty()
    }

    fn forbids(&self, topic: &str) -> bool {
        self.is_restricted && topic.starts_with("secret/")
    }

    /// Bytes of this entry without a topic alias.
    fn size(&self, entry: &Entry, now: Moment) -> usize {
        let numbers = entry.identifiers.iter().filter_map(|id| NonZeroU32::new(*id));
        let identifiers: Vec<NonZeroU32> = numbers.collect();
        let left = entry.letter.expires_at.map(|at| at.seconds_left(now).unwrap_or(0));
        let publish = Publish {
            dup: false,
            qos: entry.qos,
            retain: entry.retain,
            topic: &entry.letter.topic,
            packet_id: (entry.qos != QoS::AtMostOnce).then_some(PacketId::MIN),
            properties: PublishProperties {
                message_expiry_interval: left,
                subscription_identifiers: SubscriptionIdentifiers::from(&*identifiers),
                ..PublishProperties::default()
            },
            payload: &entry.letter.payload,
        };
        publish.encoded_len(self.version)
    }

    /// The topic that a packet is about, as this client has to see it.
    fn resolve(&mut self, publish: &Publish<'_>) -> Result<String, String> {
        let Some(alias) = publish.properties.topic_alias else { return Ok(publish.topic.into()) };
        let alias = alias.get();
        if alias > self.most_aliases {
            return Err(format!("alias {alias} of at most {}", self.most_aliases));
        }
        if !publish.topic.is_empty() {
            self.aliases.insert(alias, publish.topic.into());
        }
        self.aliases.get(&alias).cloned().ok_or(format!("alias {alias} was never set"))
    }
}

impl Auditor {
    /// A connection took these from its mailbox.
    pub(crate) fn pulled(&mut self, at: u32, deliveries: &[Delivery]) {
        let Some(link) = self.links.get_mut(&at) else { return };
        let session = self.sessions.get_mut(&link.client_id);
        let Some(session) = session.filter(|session| session.holder == Some(at)) else {
            let none = deliveries.is_empty();
            return self.check(none, || "pulled from a mailbox that is not its own".into());
        };
        let mut wrong = None;
        for delivery in deliveries {
            let pulled = match delivery.share() {
                None => session.pull(delivery),
                Some(filter) => {
                    self.floating = self.floating.saturating_sub(1);
                    session.shared = session.shared.saturating_sub(1);
                    let found = self.floats.iter().enumerate().find_map(|(at, float)| {
                        let is_it = *float.filter == **filter && float.letter.is(&delivery.message);
                        Some((at, session.share(&float.letter, delivery).filter(|_| is_it)?))
                    });
                    let entry = found.map(|(at, entry)| {
                        self.floats.remove(at);
                        entry
                    });
                    entry.ok_or(format!("no member of {filter} is to get it"))
                }
            };
            match pulled {
                Ok(entry) => link.hand.push_back(Pulled::new(entry)),
                Err(expected) => wrong = wrong.or(Some((delivery, expected))),
            }
        }
        if let Some((delivery, expected)) = wrong {
            let text = String::from_utf8_lossy(delivery.message.payload()).into_owned();
            let (topic, ids) = (delivery.message.topic().to_owned(), delivery.identifiers());
            let what = format!("{topic} q{} {ids:?} \"{text}\"", delivery.qos as u8);
            self.fail(format!("{what} came out of the mailbox, but {expected}"));
        }
    }

    /// What this connection has pulled is judged next.
    pub(crate) fn screening(&mut self, at: u32) {
        self.screening = Some(at);
    }

    /// The judge was asked whether the publisher of a retained message may still publish it.
    pub(super) fn asked_source(
        &mut self,
        at: u32,
        source: &Client,
        request: &Request<'_>,
        permitted: bool,
    ) {
        self.note(format_args!("source {} {}: {permitted}", source.id, request.topic));
        let Some(link) = self.links.get_mut(&at) else {
            return self.fail("a source is judged for a connection that is over");
        };
        let checks = link.limits.features.check_retained_source;
        let Some(place) = link.hand.iter().position(Pulled::needs_source).filter(|_| checks) else {
            return self.fail("a source is judged that nobody has to ask about");
        };
        let pulled = &mut link.hand[place];
        pulled.is_sourced = true;
        let letter = &pulled.entry.letter;
        let is_it = *letter.topic == *request.topic
            && letter.qos == request.qos
            && letter.publisher == (Rc::from(&*source.id), source.key);
        if !permitted {
            link.hand.remove(place);
        }
        self.check(is_it, || format!("{request:?} of {} is not what was pulled", source.id));
    }

    /// The judge looked at one delivery.
    pub(crate) fn screened(
        &mut self,
        client_id: &str,
        generation: u64,
        message: &Arc<Message>,
        screened: &Screened,
    ) {
        self.note(format_args!("judge g{generation} {client_id} receives: {screened:.20?}"));
        let at = self.screening.unwrap_or_default();
        let link = self.links.get_mut(&at).filter(|link| *link.client_id == *client_id);
        let Some(link) = link.filter(|link| link.hand.iter().any(|pulled| !pulled.is_screened))
        else {
            return self.fail("something is screened that nobody pulled");
        };
        while let Some(at) = link.hand.iter().position(|pulled| !pulled.is_screened) {
            let topic = Rc::clone(&link.hand[at].entry.letter.topic);
            if !link.forbids(&topic) {
                break;
            }
            link.hand.remove(at);
        }
        let Some(at) = link.hand.iter().position(|pulled| !pulled.is_screened) else {
            return self.fail("something forbidden is screened");
        };
        let Pulled { entry, is_screened, .. } = &mut link.hand[at];
        let same = *entry.letter.payload == *message.payload();
        *is_screened = true;
        match screened {
            Screened::Deliver => {}
            Screened::Replace(message) => entry.letter.payload = message.payload().into(),
            Screened::Skip => drop(link.hand.remove(at)),
        }
        self.check(same, || "screened out of order".into());
    }

    /// All of them were judged; what is left is written next.
    pub(crate) fn pumping(&mut self, at: u32) {
        self.screening = None;
        let Some(link) = self.links.get_mut(&at) else { return };
        let mut hand = std::mem::take(&mut link.hand);
        hand.retain(|pulled| !link.forbids(&pulled.entry.letter.topic));
        let checks = link.limits.features.check_retained_source;
        let is_asked = !checks || !hand.iter().any(Pulled::needs_source);
        link.hand = hand;
        self.check(is_asked, || "the source of a retained message was not judged".into());
    }

    /// Nothing of what was pulled is left over without a reason.
    pub(crate) fn pumped(&mut self, at: u32) {
        self.skip_excused(at);
        let Some(link) = self.links.get_mut(&at) else { return };
        let rest = std::mem::take(&mut link.hand);
        if let Some(Pulled { entry, .. }) = rest.front() {
            let lost = entry.describe();
            self.fail(format!("pulled and not sent: {lost}"));
        }
    }

    /// Another connection took the session meanwhile: what has an acknowledgement waits for it.
    pub(crate) fn gave_back(&mut self, at: u32) {
        let Some(link) = self.links.get_mut(&at) else { return };
        let rest = std::mem::take(&mut link.hand);
        let mut session = self.sessions.get_mut(&link.client_id);
        for Pulled { entry, .. } in rest.into_iter().rev() {
            let session = session.as_mut().filter(|session| session.key == link.key);
            match (entry.share.clone(), session) {
                (Some(filter), _) => {
                    self.is_loose = true;
                    self.floating += 1;
                    self.floats.push(Float { filter, letter: entry.letter });
                }
                (None, Some(session)) => {
                    let keeps = session.holder.is_some() || session.bound.qos0;
                    if keeps || entry.qos != QoS::AtMostOnce {
                        session.queue.push_front(entry);
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Expired, or larger than the client takes: as if it had been sent.
    fn skip_excused(&mut self, at: u32) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&at) else { return };
        while let Some(Pulled { entry, .. }) = link.hand.front() {
            let expired = entry.letter.expires_at.is_some_and(|at| at <= now);
            if !expired && link.size(entry, now) <= link.largest {
                return;
            }
            link.hand.pop_front();
        }
    }

    /// The answer that the publisher must get.
    pub(crate) fn acknowledging(&mut self, at: u32, packet_id: u16, code: ReasonCode) {
        if let Some(link) = self.links.get_mut(&at) {
            link.reasons.insert(packet_id, code);
        }
    }

    /// Bytes leave the core: whole packets, nothing else.
    pub(crate) fn written(&mut self, at: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.failure.is_none() {
            let Some(link) = self.links.get(&at) else {
                return self.fail("written to a connection that is over");
            };
            let (version, largest) = (link.version, link.largest);
            let (frame, len) = match frame::next(bytes, frame::MAX_PACKET_SIZE) {
                Ok(Next::Whole { frame, len }) => (frame, len),
                other => return self.fail(format!("half a packet written: {other:?}")),
            };
            self.check(len <= largest, || format!("{len} bytes to a client that takes {largest}"));
            match decode(version, frame) {
                Ok(packet) => self.sent(at, &packet),
                Err(error) => self.fail(format!("what was written is no packet: {error}")),
            }
            bytes = &bytes[len..];
        }
    }

    /// For a saboteur: an identifier that is in use.
    pub(crate) fn oldest_open(&self, at: u32) -> Option<PacketId> {
        let link = self.links.get(&at)?;
        let (id, _) = self.sessions.get(&link.client_id)?.open.front()?;
        PacketId::new(*id)
    }

    fn sent(&mut self, at: u32, packet: &Packet<'_>) {
        let Some(link) = self.links.get_mut(&at) else { return };
        let is_connack = matches!(packet, Packet::ConnAck(_));
        let in_place = !link.is_over && link.is_welcome != is_connack;
        link.is_welcome = true;
        link.is_over |= matches!(packet, Packet::Disconnect(_));
        let v5 = link.version == Version::V5;
        let id = Rc::clone(&link.client_id);
        self.note(format_args!("{id} #{at} <- {}", packet.kind()));
        self.check(in_place, || format!("{} out of place", packet.kind()));
        match packet {
            Packet::Publish(publish) if publish.dup => self.sent_again(at, publish),
            Packet::Publish(publish) => self.sent_first(at, publish),
            Packet::PubAck(ack) => self.sent_ack(at, &Owed::PubAck(ack.packet_id.get()), ack),
            Packet::PubRec(ack) => self.sent_ack(at, &Owed::PubRec(ack.packet_id.get()), ack),
            Packet::PubComp(ack) => self.sent_owed(at, &Owed::PubComp(ack.packet_id.get())),
            Packet::PubRel(ack) => self.sent_pubrel(at, ack.packet_id.get()),
            Packet::PingResp => self.sent_owed(at, &Owed::PingResp),
            Packet::SubAck(suback) => {
                self.sent_owed(at, &Owed::SubAck(suback.packet_id.get()));
                self.sent_codes(at, &suback.reasons, v5);
            }
            Packet::UnsubAck(unsuback) => {
                self.sent_owed(at, &Owed::UnsubAck(unsuback.packet_id.get()));
                let codes = &unsuback.reasons;
                if v5 { self.sent_codes(at, codes, v5) } else { self.drop_codes(at) }
            }
            Packet::ConnAck(_) => {}
            Packet::Disconnect(_) => self.check(v5, || "DISCONNECT to a 3.x client".into()),
            other => self.fail(format!("a server never sends {}", other.kind())),
        }
    }

    fn sent_owed(&mut self, at: u32, answer: &Owed) {
        let front = self.links.get_mut(&at).and_then(|link| link.owed.pop_front());
        self.check(front.as_ref() == Some(answer), || format!("{answer:?} instead of {front:?}"));
    }

    fn sent_ack(&mut self, at: u32, answer: &Owed, ack: &Ack<'_>) {
        self.sent_owed(at, answer);
        let Some(link) = self.links.get_mut(&at) else { return };
        let code = link.reasons.remove(&ack.packet_id.get()).unwrap_or_default();
        let right = link.version != Version::V5 || code == ack.reason;
        self.check(right, || format!("{answer:?} says {} instead of {code}", ack.reason));
    }

    fn sent_codes(&mut self, at: u32, codes: &[ReasonCode], v5: bool) {
        let expected = self.links.get_mut(&at).and_then(|link| link.codes.pop_front());
        let expected = expected.unwrap_or_default();
        let same = |(code, expected): (&ReasonCode, &ReasonCode)| {
            code == expected || !v5 && code.is_error() && expected.is_error()
        };
        let right = codes.len() == expected.len() && codes.iter().zip(&expected).all(same);
        self.check(right, || format!("{codes:?} written instead of {expected:?}"));
    }

    fn drop_codes(&mut self, at: u32) {
        if let Some(link) = self.links.get_mut(&at) {
            link.codes.pop_front();
        }
    }

    fn sent_pubrel(&mut self, at: u32, id: u16) {
        let resent = self.next_resend(at);
        let Some(link) = self.links.get_mut(&at) else { return };
        if link.owed.front() == Some(&Owed::PubRel(id)) {
            link.owed.pop_front();
        } else if let Some((next, Open::Released)) = resent
            && next == id
        {
            link.resend.pop_front();
        } else {
            self.fail(format!("PUBREL {id} out of place"));
        }
    }

    /// What has to be sent again next, after everything that needs not be, when the window has a place for it.
    fn next_resend(&mut self, at: u32) -> Option<(u16, Open)> {
        let now = self.now;
        let link = self.links.get_mut(&at)?;
        let session = self.sessions.get_mut(&link.client_id)?;
        link.resend.retain(|id| session.open.iter().any(|(open, _)| open == id));
        while session.open.len() < link.window + link.resend.len()
            && let Some(id) = link.resend.front()
        {
            match session.open.iter().position(|(open, _)| open == id) {
                None => {}
                Some(slot) => match &session.open[slot].1 {
                    Open::Published(entry) if link.size(entry, now) > link.largest => {
                        session.forget(slot);
                    }
                    open => return Some((*id, open.clone())),
                },
            }
            link.resend.pop_front();
        }
        None
    }

    /// Everything that has to be sent again and has a place in the window was.
    pub(crate) fn resent(&mut self, at: u32) {
        let next = self.next_resend(at);
        let Some(link) = self.links.get(&at) else { return };
        let Some(session) = self.sessions.get(&link.client_id) else { return };
        let holds = session.holder == Some(at);
        self.check(next.is_none() || !holds, || "not sent again in time".into());
    }

    fn sent_again(&mut self, at: u32, publish: &Publish<'_>) {
        let next = self.next_resend(at);
        let id = publish.packet_id.map_or(0, |id| id.get());
        match next {
            Some((next, Open::Published(entry))) if next == id => {
                if let Some(link) = self.links.get_mut(&at) {
                    link.resend.pop_front();
                }
                self.compare(at, publish, &entry);
                self.count(at, id);
            }
            next => self.fail(format!("DUP for {id}, but {next:?} is to be sent again")),
        }
    }

    fn sent_first(&mut self, at: u32, publish: &Publish<'_>) {
        self.skip_excused(at);
        let pending = self.next_resend(at).is_some();
        let front = self.links.get_mut(&at).and_then(|link| link.hand.pop_front());
        let Some(Pulled { entry, .. }) = front else {
            let text = String::from_utf8_lossy(publish.payload).into_owned();
            return self.fail(format!("nobody pulled {} \"{text}\"", publish.topic));
        };
        self.compare(at, publish, &entry);
        self.delivered += 1;
        let Some(id) = publish.packet_id.map(|id| id.get()) else { return };
        self.check(!pending, || "new messages before old ones were sent again".into());
        let Some(link) = self.links.get(&at) else { return };
        let session = self.sessions.get_mut(&link.client_id);
        let Some(session) = session.filter(|session| session.holder == Some(at)) else {
            return self.fail("a message with QoS 1 or 2 to a connection that lost its session");
        };
        let is_free = session.open.iter().all(|(open, _)| *open != id);
        let key = (Rc::clone(&entry.letter.payload), entry.qos as u8);
        *session.written.entry(key).or_default() += 1;
        session.open.push_back((id, Open::Published(entry)));
        self.check(is_free, || format!("packet identifier {id} is in use"));
        self.count(at, id);
    }

    fn count(&mut self, at: u32, id: u16) {
        let Some(link) = self.links.get_mut(&at) else { return };
        link.unacknowledged.insert(id);
        let (open, window) = (link.unacknowledged.len(), link.window);
        self.check(open <= window, || format!("{open} messages open, the client takes {window}"));
    }

    /// Every field of a PUBLISH.
    fn compare(&mut self, at: u32, publish: &Publish<'_>, entry: &Entry) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&at) else { return };
        let v5 = link.version == Version::V5;
        let topic = match link.resolve(publish) {
            Ok(topic) => topic,
            Err(wrong) => return self.fail(wrong),
        };
        let letter = &entry.letter;
        let properties = &publish.properties;
        let mut identifiers: Vec<u32> =
            properties.subscription_identifiers.iter().map(|id| id.get()).collect();
        identifiers.sort_unstable();
        let left = letter.expires_at.map(|at| at.seconds_left(now).unwrap_or(0));
        let is_right = topic == *letter.topic
            && *publish.payload == *letter.payload
            && publish.qos == entry.qos
            && publish.retain == entry.retain
            && (!v5 || identifiers == entry.identifiers)
            && (!v5 || properties.message_expiry_interval == left);
        let late = !publish.dup && letter.expires_at.is_some_and(|at| at <= now);
        self.check(is_right, || format!("{publish:?} instead of {}", entry.describe()));
        self.check(!late, || format!("delivered after it expired: {}", entry.describe()));
    }
}
