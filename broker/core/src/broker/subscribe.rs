//! Subscriptions come and go: each filter is judged, granted and routed on its own.

use std::num::NonZeroU32;
use std::sync::Arc;

use wasmqtt_codec::{
    Filter, QoS, ReasonCode, RetainHandling, Subscribe, Subscription, Unsubscribe,
};

use super::{Broker, Granted, Lane};
use crate::client::Client;
use crate::connection::{Subscribed, check_user_properties};
use crate::judge::{self, Refusal};
use crate::limits::Limits;
use crate::observe::{Event, Kind};
use crate::session::Session;
use crate::subscription::SubscriptionOptions;
use crate::time::Moment;

impl Broker {
    /// Subscribes, and leaves retained messages in the mailbox. One code per filter, in order [MQTT-3.8.4-6].
    pub fn subscribe(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
        limits: &Limits,
        subscribe: &Subscribe<'_>,
    ) -> Subscribed {
        lane.judge.begin();
        self.subscribe_as(lane, now, client, session, limits, subscribe, None)
    }

    /// The same with answers from [elsewhere](Self::put_subscribe_aside); what nobody was asked about is refused.
    #[allow(clippy::too_many_arguments)] // The answers come on top of all the others.
    pub fn subscribe_as(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
        limits: &Limits,
        subscribe: &Subscribe<'_>,
        granted: Option<&Granted>,
    ) -> Subscribed {
        let holder = Holder { client, session, limits, granted };
        let properties = subscribe.user_properties;
        let crowded = properties.iter().count() > limits.max_user_properties.into()
            || check_user_properties(limits, properties, usize::MAX).is_err();
        let most = if crowded { 0 } else { limits.max_filters_per_subscribe as usize };
        let mut explained = None;
        let grant = |(at, subscription): (usize, &Subscription<'_>)| {
            if at >= most {
                let why =
                    if crowded { "too many user properties" } else { "too many filters at once" };
                explained.get_or_insert_with(|| no(ReasonCode::QuotaExceeded, why));
                return ReasonCode::QuotaExceeded;
            }
            let identifier = subscribe.subscription_identifier;
            let granted = self.subscribe_one(lane, now, &holder, identifier, subscription);
            let (kind, code) = match &granted {
                Ok(code) => (Kind::Subscribed, *code),
                Err(refusal) => (Kind::SubscribeRefused, refusal.code),
            };
            lane.events.note(kind, || Event::of(kind, client).on(subscription.filter).coded(code));
            if let Some(refusal) = granted.err().filter(Refusal::is_explained) {
                explained.get_or_insert(refusal);
            }
            code
        };
        let codes = subscribe.subscriptions.iter().enumerate().map(grant).collect();
        Subscribed { codes, explained }
    }

    fn subscribe_one(
        &self,
        lane: &mut Lane,
        now: Moment,
        holder: &Holder<'_>,
        identifier: Option<NonZeroU32>,
        subscription: &Subscription<'_>,
    ) -> Result<ReasonCode, Refusal> {
        let Holder { client, session, limits, granted } = holder;
        let filter = Filter::parse(subscription.filter)
            .map_err(|_| no(ReasonCode::TopicFilterInvalid, "this is no topic filter"))?;
        let levels = filter.pattern().bytes().filter(|byte| *byte == b'/').count() + 1;
        if levels > usize::from(limits.max_topic_levels)
            || filter.as_str().len() > usize::from(limits.max_topic_length)
        {
            return Err(no(
                ReasonCode::TopicFilterInvalid,
                "the topic filter is too long or too deep",
            ));
        }
        if filter.share().is_some() && !limits.features.shared_subscriptions {
            let why = "this listener takes no shared subscriptions";
            return Err(no(ReasonCode::SharedSubscriptionsNotSupported, why));
        }
        if filter.has_wildcard() && !limits.features.wildcard_subscriptions {
            let why = "this listener takes no wildcards";
            return Err(no(ReasonCode::WildcardSubscriptionsNotSupported, why));
        }
        let grant = match granted {
            None => {
                let qos = subscription.qos;
                judge::authorize_subscribe(&mut *lane.judge, now, client, filter, qos)?
            }
            Some(granted) => match granted.of(filter, subscription.qos) {
                Some(granted) => granted.clone()?,
                None => return Err(no(ReasonCode::NotAuthorized, "nobody could be asked in time")),
            },
        };
        let options = SubscriptionOptions {
            qos: subscription.qos.min(grant).min(limits.features.max_qos),
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            identifier,
        };
        let mut state = session.state.lock();
        let is_new = state.subscriptions.get(filter.as_str()).is_none();
        if state.ended || is_new && state.subscriptions.len() >= limits.max_subscriptions as usize {
            return Err(no(ReasonCode::QuotaExceeded, "too many subscriptions of one client"));
        }
        state.subscriptions.insert(filter.as_str(), options);
        drop(state);
        self.align(filter, session);
        if is_new && filter.share().is_some() {
            self.router.rally(now, filter);
        }
        let replay = match subscription.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        // Retained messages are not sent to shared subscriptions.
        if replay && filter.share().is_none() && limits.features.retain {
            self.router.replay(now, filter, &session.mailbox, options);
        }
        Ok(match options.qos {
            QoS::AtMostOnce => ReasonCode::Success,
            QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
            QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
        })
    }

    /// Unsubscribes. One code per filter, in order [MQTT-3.10.4-5].
    pub fn unsubscribe(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
        unsubscribe: &Unsubscribe<'_>,
    ) -> Vec<ReasonCode> {
        let remove = |filter: &&str| {
            let Ok(filter) = Filter::parse(filter) else {
                return ReasonCode::TopicFilterInvalid;
            };
            let known = session.state.lock().subscriptions.remove(filter.as_str());
            self.align(filter, session);
            session.mailbox.end_replay(filter.as_str());
            self.pass_on(now, filter, session);
            if !known {
                return ReasonCode::NoSubscriptionExisted;
            }
            lane.events.note(Kind::Unsubscribed, || {
                Event::of(Kind::Unsubscribed, client).on(filter.as_str()).coded(ReasonCode::Success)
            });
            ReasonCode::Success
        };
        unsubscribe.filters.iter().map(remove).collect()
    }

    /// Hands what waits for a member that left a share group to the others; what they have no room for stays. What was
    /// sent already is seen through [MQTT-3.10.4-3].
    pub(super) fn pass_on(&self, now: Moment, filter: Filter<'_>, session: &Session) {
        if filter.share().is_none() || !self.router.is_shared(filter) {
            return;
        }
        let waiting = session.mailbox.take_share(filter.as_str());
        let mut left = self.router.redispatch(now, waiting);
        self.give_back(now, session, &mut left);
    }

    /// Makes the router hold of this filter what the session holds, and looks again: the session may have ended
    /// meanwhile, or changed under another connection. Whoever comes last leaves both the same.
    pub(super) fn align(&self, filter: Filter<'_>, session: &Session) {
        let held = || session.state.lock().subscriptions.get(filter.as_str()).copied();
        let mut wanted = held();
        loop {
            match wanted {
                Some(options) => {
                    self.router.subscribe(filter, session.key, &session.mailbox, options);
                }
                None => {
                    self.router.unsubscribe(filter, session.key);
                }
            }
            let now = held();
            if now == wanted {
                return;
            }
            wanted = now;
        }
    }
}

fn no(code: ReasonCode, why: &str) -> Refusal {
    Refusal::new(code).because(why)
}

/// Who subscribes.
struct Holder<'a> {
    client: &'a Arc<Client>,
    session: &'a Session,
    limits: &'a Limits,
    /// Answers that are there already.
    granted: Option<&'a Granted>,
}
