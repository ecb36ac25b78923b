//! What is put aside because whoever judges it may have to wait for somebody outside of the broker. The questions are
//! asked elsewhere, by another judge; then the packet goes on where it stopped. Who calls keeps the order: of one client
//! nothing is handed on before what was put aside is done with, and nothing of its next connection either
//! ([`Broker::poll_clear`]).

use std::sync::Arc;
use std::task::{Context, Poll};

use wasmqtt_codec::{Filter, QoS, ReasonCode, Subscribe};

use super::backlog::Ticket;
use super::publish::{Publisher, is_reserved, note_refused, transform};
use super::{Broker, Lane, Published};
use crate::client::{Client, ListenerId};
use crate::judge::{self, Action, Judge, Permit, Refusal, Request};
use crate::message::{Message, Parts};
use crate::session::Session;
use crate::time::Moment;

/// A publication whose questions are to be asked elsewhere.
#[derive(Debug)]
pub struct PublicationAside {
    client: Arc<Client>,
    /// [`Action::Publish`] or [`Action::Will`].
    action: Action,
    message: Message,
    ticket: Option<Ticket>,
}

/// The same, with the answers.
#[derive(Debug)]
pub struct JudgedPublication {
    client: Arc<Client>,
    /// As it was published.
    topic: Box<str>,
    hops: u8,
    /// Its publisher can be told that it was refused.
    is_answered: bool,
    /// What is to be routed; none: a transformer let it vanish.
    outcome: Result<Option<(Permit, Message)>, Refusal>,
    /// Until it is routed.
    ticket: Option<Ticket>,
}

/// What became of a publication that may have to wait.
#[derive(Debug)]
pub enum Attempt {
    /// It is done with.
    Done(Result<Published, Refusal>),
    /// Its questions are to be asked elsewhere; then [`Broker::publish_judged`].
    Aside(PublicationAside),
}

impl PublicationAside {
    /// `ticket`: of whom order is kept beyond its connection.
    pub(super) fn new(
        client: &Arc<Client>,
        action: Action,
        message: Message,
        ticket: Option<Ticket>,
    ) -> Self {
        Self { client: Arc::clone(client), action, message, ticket }
    }

    /// Ready when nothing of the same client waits before it: to be asked not sooner.
    pub fn poll_first(&self, cx: &Context<'_>) -> Poll<()> {
        self.ticket.as_ref().map_or(Poll::Ready(()), |ticket| ticket.poll_first(cx))
    }

    /// Where it came in.
    pub fn listener(&self) -> ListenerId {
        self.client.listener
    }

    /// Where to.
    pub fn topic(&self) -> &str {
        self.message.topic()
    }

    /// Who publishes it.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Asks, where waiting does no harm.
    pub fn ask(self, judge: &mut dyn Judge, now: Moment) -> JudgedPublication {
        let Self { client, action, message, ticket } = self;
        let (topic, hops) = (message.topic().into(), message.hops());
        let is_answered =
            action != Action::Will && Publisher::new(&client, message.qos()).is_answered;
        let permit = match action {
            Action::Will => judge::authorize_will(judge, now, &client, &message),
            _ => {
                let (qos, retain) = (message.qos(), message.retain());
                judge::authorize_publish(judge, now, &client, message.topic(), qos, retain)
            }
        };
        let outcome = permit.and_then(|permit| {
            let message = transform(judge, now, &client, message)?;
            Ok(message.map(|message| (permit, message)))
        });
        JudgedPublication { client, topic, hops, is_answered, outcome, ticket }
    }
}

impl PublicationAside {
    /// Judges it without asking: it is refused.
    pub fn refuse(self, refusal: Refusal) -> JudgedPublication {
        let Self { client, message, ticket, .. } = self;
        let (topic, hops) = (message.topic().into(), message.hops());
        let outcome = Err(refusal);
        JudgedPublication { client, topic, hops, is_answered: true, outcome, ticket }
    }
}

/// Subscriptions that are to be judged elsewhere.
#[derive(Debug)]
pub struct SubscriptionsAside {
    client: Arc<Client>,
    filters: Vec<(Box<str>, QoS)>,
}

/// What was granted of subscriptions that were judged elsewhere.
#[derive(Debug, Default)]
pub struct Granted(Vec<(Box<str>, QoS, Result<QoS, Refusal>)>);

impl SubscriptionsAside {
    /// Where they came in.
    pub fn listener(&self) -> ListenerId {
        self.client.listener
    }

    /// Judges all of them without asking: they are refused.
    pub fn refuse(self, refusal: &Refusal) -> Granted {
        let refuse = |(filter, qos)| (filter, qos, Err(refusal.clone()));
        Granted(self.filters.into_iter().map(refuse).collect())
    }

    /// Asks one by one, where waiting does no harm, as long as the answers are `wanted`.
    pub fn ask(self, judge: &mut dyn Judge, now: Moment, wanted: impl Fn() -> bool) -> Granted {
        let Self { client, filters } = self;
        let ask = |(filter, qos): (Box<str>, QoS)| {
            let granted = match Filter::parse(&filter) {
                Ok(filter) => judge::authorize_subscribe(judge, now, &client, filter, qos),
                Err(_) => Err(Refusal::new(ReasonCode::TopicFilterInvalid)),
            };
            (filter, qos, granted)
        };
        Granted(filters.into_iter().take_while(|_| wanted()).map(ask).collect())
    }
}

impl Granted {
    /// What was granted to exactly this subscription; none: nobody was asked about it.
    pub(super) fn of(&self, filter: Filter<'_>, qos: QoS) -> Option<&Result<QoS, Refusal>> {
        let mut all = self.0.iter();
        let same =
            |(name, asked, _): &&(Box<str>, QoS, _)| **name == *filter.as_str() && *asked == qos;
        all.find(same).map(|(_, _, granted)| granted)
    }
}

impl Broker {
    /// As [`publish`](Self::publish), but puts the publication aside where an answer would have to be waited for.
    pub fn try_publish(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        parts: Parts<'_>,
    ) -> Attempt {
        lane.judge.begin();
        if lane.judge.waits(client.listener)
            && let Some(message) = waiting(lane, now, client, &parts)
        {
            return match self.put_aside(lane, client, Action::Publish, message) {
                Ok(aside) => Attempt::Aside(aside),
                Err(refusal) => {
                    note_refused(&mut lane.events, client, parts.topic, 0, &refusal);
                    Attempt::Done(Err(refusal))
                }
            };
        }
        Attempt::Done(self.publish_now(lane, now, client, parts))
    }

    /// As [`publish_internal`](Self::publish_internal), likewise.
    pub fn try_publish_internal(
        &self,
        lane: &mut Lane,
        now: Moment,
        publisher: &Arc<Client>,
        message: Message,
    ) -> Attempt {
        lane.judge.begin();
        if lane.judge.waits(publisher.listener)
            && !is_reserved(message.topic())
            && waits(lane, now, publisher, Action::Publish, &message)
        {
            // Who publishes from inside does so one by one.
            let aside = PublicationAside::new(publisher, Action::Publish, message, None);
            return Attempt::Aside(aside);
        }
        Attempt::Done(self.publish_internal_now(lane, now, publisher, message))
    }

    /// Routes what was put aside, as its answers say. Where it is refused, `refused` is called before anything else of its
    /// client goes on: for whoever has taken note of it.
    pub fn publish_judged(
        &self,
        lane: &mut Lane,
        now: Moment,
        judged: JudgedPublication,
        refused: impl FnOnce(),
    ) -> Result<Published, Refusal> {
        let JudgedPublication { client, topic, hops, is_answered, outcome, ticket } = judged;
        let published = match outcome {
            Ok(None) => Ok(Published::Discarded),
            Ok(Some((permit, message))) => {
                let mut ended = Vec::new();
                let published = self.route(lane, now, permit, message, is_answered, &mut ended);
                self.end_all(lane, now, ended);
                published
            }
            Err(refusal) => {
                lane.counters.refused += 1;
                Err(refusal)
            }
        };
        if let Err(refusal) = &published {
            note_refused(&mut lane.events, &client, &topic, hops, refusal);
            refused();
        }
        drop(ticket);
        published
    }

    /// Puts aside what is to be judged elsewhere, behind what is there of the same client.
    pub(super) fn put_aside(
        &self,
        lane: &mut Lane,
        client: &Arc<Client>,
        action: Action,
        message: Message,
    ) -> Result<PublicationAside, Refusal> {
        let Some(ticket) = self.backlog.enter(&client.id) else {
            lane.counters.refused += 1;
            return Err(Refusal::new(ReasonCode::QuotaExceeded)
                .because("too many publications of this client wait to be judged"));
        };
        Ok(PublicationAside::new(client, action, message, Some(ticket)))
    }

    /// The subscriptions of a packet, where an answer about one would have to be waited for: then they are to be judged
    /// elsewhere before [`subscribe`](Self::subscribe).
    pub fn put_subscribe_aside(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        most: u32,
        subscribe: &Subscribe<'_>,
    ) -> Option<SubscriptionsAside> {
        lane.judge.begin();
        if !lane.judge.waits(client.listener) {
            return None;
        }
        let wanted = subscribe.subscriptions.iter().take(most as usize);
        let wanted = wanted.map(|subscription| (subscription.filter, subscription.qos));
        subscriptions(lane, now, client, wanted)
    }

    /// The subscriptions that a session holds, likewise, before [`rejudge`](Self::rejudge).
    pub fn put_held_aside(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
    ) -> Option<SubscriptionsAside> {
        lane.judge.begin();
        if !lane.judge.waits(client.listener) {
            return None;
        }
        let state = session.state.lock();
        let held: Vec<_> = state
            .subscriptions
            .iter()
            .map(|(filter, options)| (Box::<str>::from(filter), options.qos))
            .collect();
        drop(state);
        subscriptions(lane, now, client, held.iter().map(|(filter, qos)| (&**filter, *qos)))
    }
}

impl Lane {
    /// Takes the wills that became due and are to be judged elsewhere; then [`Broker::publish_judged`].
    pub fn take_aside(&mut self) -> Vec<PublicationAside> {
        std::mem::take(&mut self.aside)
    }

    /// Takes note of the wills that were refused because nobody judges for their listener any more: of whom they were, and
    /// to which topic. For whoever tells the operator, before long.
    pub fn take_orphans(&mut self) -> Vec<(Arc<Client>, Box<str>)> {
        std::mem::take(&mut self.orphans)
    }

    /// Whether [`take_orphans`](Self::take_orphans) has anything to take.
    #[inline]
    pub fn has_orphans(&self) -> bool {
        !self.orphans.is_empty()
    }

    /// Whether [`take_aside`](Self::take_aside) has anything to take.
    pub fn has_aside(&self) -> bool {
        !self.aside.is_empty()
    }
}

/// The message, where an answer about it would have to be waited for.
fn waiting(
    lane: &mut Lane,
    now: Moment,
    client: &Arc<Client>,
    parts: &Parts<'_>,
) -> Option<Message> {
    if is_reserved(parts.topic) {
        return None;
    }
    let message = Message::new(*parts, Some(Arc::clone(client)));
    waits(lane, now, client, Action::Publish, &message).then_some(message)
}

/// Whether an answer about this publication would have to be waited for.
pub(super) fn waits(
    lane: &mut Lane,
    now: Moment,
    client: &Arc<Client>,
    action: Action,
    message: &Message,
) -> bool {
    waits_to_permit(lane, now, client, action, message)
        || lane.judge.waits_to_transform(client.listener, message)
}

/// Whether the answer to whether it may be published at all would have to be.
pub(super) fn waits_to_permit(
    lane: &mut Lane,
    now: Moment,
    client: &Arc<Client>,
    action: Action,
    message: &Message,
) -> bool {
    let request = Request {
        action,
        topic: message.topic(),
        share: None,
        qos: message.qos(),
        retain: message.retain(),
    };
    judge::waits(&mut *lane.judge, now, client, &request)
}

fn subscriptions<'a>(
    lane: &mut Lane,
    now: Moment,
    client: &Arc<Client>,
    wanted: impl Iterator<Item = (&'a str, QoS)> + Clone,
) -> Option<SubscriptionsAside> {
    let waits = wanted.clone().any(|(filter, qos)| {
        Filter::parse(filter).is_ok_and(|filter| {
            let request = Request {
                action: Action::Subscribe,
                topic: filter.pattern(),
                share: filter.share(),
                qos,
                retain: false,
            };
            judge::waits(&mut *lane.judge, now, client, &request)
        })
    });
    waits.then(|| SubscriptionsAside {
        client: Arc::clone(client),
        filters: wanted.map(|(filter, qos)| (filter.into(), qos)).collect(),
    })
}
