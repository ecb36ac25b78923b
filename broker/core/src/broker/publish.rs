//! One message, from whoever sends it to whoever wants it: authorize, transform, retain, route.

use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode, Version};

use super::aside;
use super::{Broker, Lane};
use crate::client::Client;
use crate::judge::{self, Action, Judge, Permit, Refusal, Screened, Transformed};
use crate::limits::TURN_DELIVERIES;
use crate::mailbox::Delivery;
use crate::message::{Message, Origin, Parts};
use crate::observe::{Event, Events, Kind, Subject};
use crate::router::Manner;
use crate::session::Session;
use crate::time::Moment;

/// What became of a publication.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Published {
    /// Somebody gets it, or it is retained.
    Routed,
    /// Nobody wants it.
    NoMatchingSubscribers,
    /// A transformer let it vanish.
    Discarded,
}

impl Published {
    /// For PUBACK or PUBREC.
    pub fn reason(self) -> ReasonCode {
        match self {
            Published::Routed | Published::Discarded => ReasonCode::Success,
            Published::NoMatchingSubscribers => ReasonCode::NoMatchingSubscribers,
        }
    }
}

/// Whose message it is.
#[derive(Copy, Clone)]
pub(super) struct Publisher<'a> {
    pub(super) client: &'a Arc<Client>,
    /// Can be told that the message was refused.
    pub(super) is_answered: bool,
}

impl<'a> Publisher<'a> {
    /// Of a publication with this QoS: only MQTT 5 has a word for no [MQTT-3.4.2-1].
    pub(super) fn new(client: &'a Arc<Client>, qos: QoS) -> Self {
        Self { client, is_answered: qos != QoS::AtMostOnce && client.version == Version::V5 }
    }
}

impl Broker {
    /// Publishes for a client. The refusal is for the publisher; nobody else sees anything of a refused message.
    pub fn publish(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        parts: Parts<'_>,
    ) -> Result<Published, Refusal> {
        lane.judge.begin();
        self.publish_now(lane, now, client, parts)
    }

    pub(super) fn publish_now(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        parts: Parts<'_>,
    ) -> Result<Published, Refusal> {
        let judged = if is_reserved(parts.topic) {
            Err(Refusal::new(ReasonCode::NotAuthorized).because("$SYS is the broker's own"))
        } else {
            let Parts { topic, qos, retain, .. } = parts;
            judge::authorize_publish(&mut *lane.judge, now, client, topic, qos, retain)
        };
        let (topic, qos) = (parts.topic, parts.qos);
        let published = match judged {
            Ok(permit) => {
                let message = Message::new(parts, Some(Arc::clone(client)));
                let mut ended = Vec::new();
                let publisher = Publisher::new(client, qos);
                let published = self.pass(lane, now, publisher, permit, message, &mut ended);
                self.end_all(lane, now, ended);
                published
            }
            Err(refusal) => {
                lane.counters.refused += 1;
                Err(refusal)
            }
        };
        if let Err(refusal) = &published {
            note_refused(&mut lane.events, client, topic, 0, refusal);
        }
        published
    }

    /// Publishes for somebody inside the broker, who comes in at
    /// [`ListenerId::INTERNAL`](crate::client::ListenerId::INTERNAL) and whose own permissions say
    /// where to. The message goes the road of every other; it names no publisher.
    pub fn publish_internal(
        &self,
        lane: &mut Lane,
        now: Moment,
        publisher: &Arc<Client>,
        message: Message,
    ) -> Result<Published, Refusal> {
        lane.judge.begin();
        self.publish_internal_now(lane, now, publisher, message)
    }

    pub(super) fn publish_internal_now(
        &self,
        lane: &mut Lane,
        now: Moment,
        publisher: &Arc<Client>,
        message: Message,
    ) -> Result<Published, Refusal> {
        let judged = if is_reserved(message.topic()) {
            Err(Refusal::new(ReasonCode::NotAuthorized).because("$SYS is the broker's own"))
        } else {
            let (topic, qos, retain) = (message.topic(), message.qos(), message.retain());
            judge::authorize_publish(&mut *lane.judge, now, publisher, topic, qos, retain)
        };
        let told = told(&lane.events, &message);
        let mut ended = Vec::new();
        let from = Publisher { client: publisher, is_answered: true };
        let published = match judged {
            Ok(permit) => self.pass(lane, now, from, permit, message, &mut ended),
            Err(refusal) => {
                lane.counters.refused += 1;
                Err(refusal)
            }
        };
        self.end_all(lane, now, ended);
        if let (Err(refusal), Some((topic, hops))) = (&published, told) {
            note_refused(&mut lane.events, publisher, &topic, hops, refusal);
        }
        published
    }

    /// Publishes what the broker has to say of itself, retained, below `$SYS`. Nobody is asked: it is no client's.
    pub fn publish_own(&self, lane: &mut Lane, now: Moment, topic: &str, payload: &[u8]) {
        let parts = Parts {
            topic,
            properties: Default::default(),
            payload,
            qos: QoS::AtMostOnce,
            retain: true,
            origin: Origin::Broker,
            expires_at: None,
        };
        let Some(permit) = judge::permit_own(topic) else { return };
        let message = Message::new(parts, None);
        let Lane { remembered, wakes, .. } = lane;
        let manner = Manner { name_losers: false, is_answered: false };
        let routed = self.router.route(remembered, wakes, permit, now, message, manner);
        self.end_all(lane, now, routed.ended);
    }

    /// Publishes a will in the name of the client that left it. It is judged again: rights may have changed.
    pub(super) fn publish_will(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        will: Message,
    ) -> Result<Published, Refusal> {
        let mut ended = Vec::new();
        let published = self.pass_will(lane, now, client, will, &mut ended);
        self.end_all(lane, now, ended);
        published
    }

    /// Ends the sessions that a message was too much for. Their wills may be too much for others, and so on: a list
    /// instead of a recursion, and all sessions found so far end before the next will is published, so that none
    /// is found twice.
    pub(super) fn end_all(&self, lane: &mut Lane, now: Moment, mut ended: Vec<Arc<str>>) {
        let mut wills = Vec::new();
        while !(ended.is_empty() && wills.is_empty()) {
            // Subscribers come in no order; the same broker must do the same twice.
            ended.sort_unstable();
            wills.extend(
                ended.drain(..).filter_map(|id| self.end_overflowed(&mut lane.events, now, &id)),
            );
            if let Some((client, will)) = wills.pop() {
                // Nobody is there to be told of a refusal.
                let _ = self.pass_will(lane, now, &client, will, &mut ended);
            }
        }
    }

    fn pass_will(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        will: Message,
        ended: &mut Vec<Arc<str>>,
    ) -> Result<Published, Refusal> {
        lane.judge.begin();
        let told = told(&lane.events, &will);
        // It does not overtake what its client published before.
        let waits = self.backlog.has(&client.id)
            || lane.judge.waits(client.listener)
                && aside::waits(lane, now, client, Action::Will, &will);
        let published = if waits {
            self.put_aside(lane, client, Action::Will, will).map(|aside| {
                lane.aside.push(aside);
                Published::Routed
            })
        } else {
            self.pass_will_now(lane, now, client, will, ended)
        };
        if let (Err(refusal), Some((topic, hops))) = (&published, told) {
            note_refused(&mut lane.events, client, &topic, hops, refusal);
        }
        published
    }

    fn pass_will_now(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        will: Message,
        ended: &mut Vec<Arc<str>>,
    ) -> Result<Published, Refusal> {
        // Whoever left it is gone.
        let publisher = Publisher { client, is_answered: false };
        match judge::authorize_will(&mut *lane.judge, now, client, &will) {
            Ok(permit) => self.pass(lane, now, publisher, permit, will, ended),
            Err(refusal) => {
                lane.counters.refused += 1;
                if !lane.judge.knows(client.listener) {
                    lane.orphans.push((Arc::clone(client), will.topic().into()));
                }
                Err(refusal)
            }
        }
    }

    /// Transforms and routes what was permitted, and names the sessions it was too much for.
    fn pass(
        &self,
        lane: &mut Lane,
        now: Moment,
        publisher: Publisher<'_>,
        permit: Permit,
        message: Message,
        ended: &mut Vec<Arc<str>>,
    ) -> Result<Published, Refusal> {
        let Publisher { client, is_answered } = publisher;
        match transform(&mut *lane.judge, now, client, message) {
            Ok(Some(message)) => self.route(lane, now, permit, message, is_answered, ended),
            Ok(None) => Ok(Published::Discarded),
            Err(refusal) => {
                lane.counters.refused += 1;
                Err(refusal)
            }
        }
    }

    /// Routes what was permitted, and names the sessions it was too much for.
    pub(super) fn route(
        &self,
        lane: &mut Lane,
        now: Moment,
        permit: Permit,
        message: Message,
        is_answered: bool,
        ended: &mut Vec<Arc<str>>,
    ) -> Result<Published, Refusal> {
        let retain = message.retain();
        let name_losers = lane.events.wants(Kind::MessageDropped);
        let manner = Manner { name_losers, is_answered };
        let Lane { remembered, wakes, .. } = lane;
        let mut routed = self.router.route(remembered, wakes, permit, now, message, manner);
        if let Some((message, losers)) = routed.losers.take() {
            note_dropped(&mut lane.events, &message, losers);
        }
        lane.counters.published += 1;
        lane.counters.handed += (routed.taken + routed.dropped) as u64;
        lane.counters.dropped += routed.dropped as u64;
        lane.counters.not_retained += u64::from(routed.not_kept);
        ended.append(&mut routed.ended);
        if routed.store_full {
            return Err(Refusal::new(ReasonCode::QuotaExceeded).because("retained store is full"));
        }
        if routed.taken + routed.dropped == 0 && !retain {
            return Ok(Published::NoMatchingSubscribers);
        }
        Ok(Published::Routed)
    }

    /// Takes back what a connection pulled and could not send, because it has lost its session. Once that is over, what
    /// came through a share group goes to another member.
    pub fn give_back(&self, now: Moment, session: &Session, deliveries: &mut Vec<Delivery>) {
        let left = session.mailbox.give_back(deliveries);
        drop(self.router.redispatch(now, left));
    }

    /// Takes what waits for a connection and has a place, `window` of it with QoS 1 or 2; retained messages are read as
    /// they come up. Answers whether they were looked for: others should have their turn before the next of these.
    pub fn pull(
        &self,
        lane: &mut Lane,
        now: Moment,
        session: &Session,
        attachment: u64,
        window: usize,
        deliveries: &mut Vec<Delivery>,
    ) -> bool {
        let mailbox = &session.mailbox;
        let looked = self.router.read_on(now, mailbox, attachment);
        let too_old = mailbox.pull(now, attachment, TURN_DELIVERIES, window, deliveries);
        lane.counters.too_old += too_old as u64;
        looked
    }

    /// Judges what is about to be delivered, where anybody wants to: replaces or removes deliveries in place.
    pub fn screen(
        &self,
        lane: &mut Lane,
        now: Moment,
        subscriber: &Arc<Client>,
        deliveries: &mut Vec<Delivery>,
    ) {
        lane.judge.begin();
        if subscriber.check_retained_source {
            deliveries.retain(|delivery| {
                !delivery.stored
                    || judge::authorize_source(&mut *lane.judge, now, &delivery.message)
            });
        }
        if !subscriber.permissions.judge_receive() && !lane.judge.screens(subscriber.listener) {
            return;
        }
        deliveries.retain_mut(|delivery| {
            match judge::screen(&mut *lane.judge, now, subscriber, delivery.qos, &delivery.message)
            {
                Screened::Deliver => true,
                Screened::Replace(message) => {
                    delivery.qos = delivery.qos.min(message.qos());
                    delivery.message = message;
                    true
                }
                Screened::Skip => false,
            }
        });
    }
}

/// What a publication becomes; none: nothing.
#[inline]
pub(super) fn transform(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    message: Message,
) -> Result<Option<Message>, Refusal> {
    if !judge.transforms(client.listener, &message) {
        return Ok(Some(message));
    }
    match judge.transform(now, client, message) {
        Transformed::Forward(message) => Ok(Some(bounded(now, client, message))),
        Transformed::Discard => Ok(None),
        Transformed::Reject(refusal) => Err(refusal),
    }
}

#[cold]
fn note_dropped(events: &mut Events, message: &Message, losers: Vec<Arc<str>>) {
    for id in losers {
        events.note(Kind::MessageDropped, || {
            Event::new(Kind::MessageDropped, Subject::Session { id, name: None })
                .on(message.topic())
                .coded(ReasonCode::QuotaExceeded)
                .after(message.hops())
        });
    }
}

/// What is told of this message if it is refused, where somebody wants to know.
fn told(events: &Events, message: &Message) -> Option<(Box<str>, u8)> {
    events.wants(Kind::PublishRefused).then(|| (message.topic().into(), message.hops()))
}

pub(super) fn note_refused(
    events: &mut Events,
    publisher: &Arc<Client>,
    topic: &str,
    hops: u8,
    refusal: &Refusal,
) {
    events.note(Kind::PublishRefused, || {
        Event::of(Kind::PublishRefused, publisher).on(topic).refused(refusal).after(hops)
    });
}

/// A transformer may let a message live longer than its publisher may ask for, and then it does not.
fn bounded(now: Moment, client: &Client, message: Message) -> Message {
    match client.message_expiry_max {
        0 => message,
        most => message.expires_by(now.after_secs(most)),
    }
}

/// Topics that only the broker itself publishes to.
pub(super) fn is_reserved(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
