//! Who should get a message: subscriptions, share groups, retained messages.
//!
//! Knows messages and mailboxes; must not know sessions, connections or who judges. Only this room pushes
//! publications into mailboxes, and it takes a [`Permit`] for each.

mod memo;
mod retained;
mod share;
mod trie;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use wasmqtt_codec::{Filter, QoS};

use crate::judge::Permit;
use crate::limits::BrokerLimits;
use crate::mailbox::{Delivery, Mailbox, Pushed, Replay, Through, Wakes};
use crate::message::Message;
use crate::subscription::{SharedStrategy, SubscriptionOptions};
use crate::time::Moment;
use memo::{Memo, Versions};
use retained::{Bounds, Retained};
use share::{Group, Homes, Share};
use trie::{Subscriber, Trie};

/// What a worker remembers of routing.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    memo: Memo,
    /// Of publishers, in groups where each has a member of its own.
    pub(crate) homes: Homes,
}

impl Remembered {
    /// Nothing yet, on the worker of this number.
    pub(crate) fn on(number: u32) -> Self {
        Self { memo: Memo::default(), homes: Homes::on(number) }
    }
}

/// Everybody who gets messages of one topic.
#[derive(Debug, Default)]
pub(crate) struct Route {
    targets: Vec<Target>,
    shares: Vec<Share>,
}

impl Route {
    /// Sessions named in it, however often.
    fn len(&self) -> usize {
        self.targets.len() + self.shares.iter().map(Share::len).sum::<usize>()
    }
}

/// One session's subscriptions to one topic: a message goes to it once [MQTT-3.3.4-2].
#[derive(Debug)]
struct Target {
    key: u64,
    mailbox: Arc<Mailbox>,
    granted: Granted,
    /// What is left for the client's own messages, when No Local takes some or all away.
    own: Option<Option<Granted>>,
}

/// What overlapping subscriptions come to: the highest QoS and every identifier.
#[derive(Clone, Debug)]
struct Granted {
    qos: QoS,
    retain_as_published: bool,
    through: Option<Arc<Through>>,
}

/// What became of a publication.
#[derive(Debug, Default)]
pub(crate) struct Routed {
    /// Mailboxes that took it.
    pub(crate) taken: usize,
    /// Mailboxes that had to drop this or older messages.
    pub(crate) dropped: usize,
    /// Clients whose session is to be ended: its policy says so, and nobody is there to do it.
    pub(crate) ended: Vec<Arc<str>>,
    /// Whose mailboxes had to drop because of this message, where somebody wants to know.
    pub(crate) losers: Option<(Arc<Message>, Vec<Arc<str>>)>,
    /// Neither kept nor handed to anybody: the store is full.
    pub(crate) store_full: bool,
    /// Handed on, but not kept: the store is full.
    pub(crate) not_kept: bool,
}

/// How a message is routed.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Manner {
    /// Whose mailboxes had to drop because of it is to be named.
    pub(crate) name_losers: bool,
    /// Its publisher can be told that it was refused. Else who is there gets it even if it cannot be kept.
    pub(crate) is_answered: bool,
}

/// All subscriptions and retained messages.
#[derive(Debug)]
pub(crate) struct Router {
    trie: RwLock<Trie>,
    versions: Versions,
    retained: RwLock<Retained>,
}

impl Router {
    pub(crate) fn new(limits: &BrokerLimits) -> Self {
        Self {
            trie: RwLock::default(),
            versions: Versions::default(),
            retained: RwLock::new(Retained::new(bounds(limits))),
        }
    }

    /// Makes share groups choose like this; before there is any. `seed` is where their numbers begin.
    pub(crate) fn set_strategy(&mut self, strategy: SharedStrategy, seed: u64) {
        *self.trie.get_mut() = Trie::new(strategy, seed);
    }

    /// Makes the groups of one share name choose otherwise; before there is any, and after [`Router::set_strategy`].
    pub(crate) fn name_strategy(&mut self, share: &str, strategy: SharedStrategy) {
        self.trie.get_mut().name(share, strategy);
    }

    /// Adds or replaces a subscription. Messages published from now on reach it.
    pub(crate) fn subscribe(
        &self,
        filter: Filter<'_>,
        key: u64,
        mailbox: &Arc<Mailbox>,
        options: SubscriptionOptions,
    ) {
        let subscriber = Subscriber { key, mailbox: Arc::clone(mailbox), options };
        self.trie.write().insert(filter.pattern(), filter.share(), subscriber);
        self.versions.bump(filter.pattern());
    }

    /// Takes a subscription away. False when there was none.
    pub(crate) fn unsubscribe(&self, filter: Filter<'_>, key: u64) -> bool {
        let removed = self.trie.write().remove(filter.pattern(), filter.share(), key);
        self.versions.bump(filter.pattern());
        removed
    }

    /// Hands a judged message to everybody who wants it, and keeps it when it is retained. Those who had to drop are
    /// counted, and named if that is wanted.
    pub(crate) fn route(
        &self,
        remembered: &mut Remembered,
        wakes: &mut Wakes,
        _permit: Permit,
        now: Moment,
        message: Message,
        manner: Manner,
    ) -> Routed {
        let message = Arc::new(message);
        let losers = manner.name_losers.then(|| (Arc::clone(&message), Vec::new()));
        let mut routed = Routed { losers, ..Routed::default() };
        if message.retain() && self.retained.write().set(now, &message).is_err() {
            if manner.is_answered {
                // Nobody gets what its publisher is told was refused: it may come again.
                routed.store_full = true;
                return routed;
            }
            routed.not_kept = true;
        }
        let Remembered { memo, homes } = remembered;
        let route =
            memo.route(message.topic_bytes(), &self.versions, || self.find(message.topic()));
        let publisher = message.publisher().map(|client| client.key);
        for target in &route.targets {
            let granted = match &target.own {
                Some(own) if publisher == Some(target.key) => own.as_ref(),
                _ => Some(&target.granted),
            };
            let Some(granted) = granted else { continue };
            let pushed = target.mailbox.push(now, delivery(&message, granted), wakes);
            routed.count(pushed, &target.mailbox);
        }
        for share in &route.shares {
            share.hand(now, &message, homes, wakes, &mut routed);
        }
        routed
    }

    /// Whether the group of this shared subscription has members.
    pub(crate) fn is_shared(&self, filter: Filter<'_>) -> bool {
        let Some(name) = filter.share() else { return false };
        self.trie.read().group(filter.pattern(), name).is_some()
    }

    /// Hands what one member of a share group left behind to another, in order; it was judged when it was routed. What
    /// nobody has room for comes back.
    pub(crate) fn redispatch(&self, now: Moment, left: Vec<Delivery>) -> Vec<Delivery> {
        let mut groups: HashMap<Arc<str>, Option<Share>, RandomState> = HashMap::default();
        let hand_on = |delivery: Delivery| {
            let Some(filter) = delivery.share().cloned() else { return Some(delivery) };
            let group = groups.entry(filter).or_insert_with_key(|filter| self.group(filter));
            match group {
                Some(share) => share.pass_on(now, delivery),
                None => Some(delivery),
            }
        };
        left.into_iter().filter_map(hand_on).collect()
    }

    /// Hands what waits for members of a share group that are away to those that are there, now that one has joined.
    pub(crate) fn rally(&self, now: Moment, filter: Filter<'_>) {
        let Some(share) = self.group(filter.as_str()) else { return };
        for left in share.rally(now, filter.as_str()) {
            drop(share.pass_on(now, left));
        }
    }

    fn group(&self, filter: &str) -> Option<Share> {
        let filter = Filter::from_trusted(filter);
        self.trie.read().group(filter.pattern(), filter.share()?).map(Group::snapshot)
    }

    /// Leaves the retained messages that match a new subscription in its mailbox, or a note to read them.
    pub(crate) fn replay(
        &self,
        now: Moment,
        filter: Filter<'_>,
        mailbox: &Mailbox,
        options: SubscriptionOptions,
    ) {
        let store = self.retained.read();
        let (found, until) = (store.matches(filter.pattern(), now), store.taken());
        drop(store);
        if found.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let through = Through::plain(options.identifier);
        let replay = Replay { filter: filter.as_str().into(), options, through, at: 0, until };
        let found = found.map(|found| replayed(&replay, mailbox, found));
        mailbox.push_retained(replay, found);
    }

    /// Reads on in the store for the subscription that is due in this mailbox; false when none is.
    pub(crate) fn read_on(&self, now: Moment, mailbox: &Mailbox, owner: u64) -> bool {
        let Some(replay) = mailbox.due_replay(owner) else { return false };
        let part = self.retained.read().part(&replay.filter, now, replay.at, replay.until);
        let read = replayed(&replay, mailbox, part.found);
        mailbox.refill(owner, read, part.next.map(|at| Replay { at, ..replay }));
        true
    }

    /// Changes the bounds. What is beyond them stays until it is replaced, removed or expired.
    pub(crate) fn set_limits(&self, limits: &BrokerLimits) {
        self.retained.write().set_bounds(bounds(limits));
    }

    /// Forgets retained messages whose time is over.
    pub(crate) fn expire(&self, now: Moment) {
        self.retained.write().expire(now);
    }

    /// Subscriptions, members of share groups included.
    pub(crate) fn subscriptions(&self) -> usize {
        self.trie.read().subscriptions()
    }

    /// Members of share groups, once for each filter.
    pub(crate) fn shared_subscriptions(&self) -> usize {
        self.trie.read().shared_subscriptions()
    }

    /// Retained messages in the store.
    pub(crate) fn retained_len(&self) -> usize {
        self.retained.read().len()
    }

    /// Their bytes, as they are bounded.
    pub(crate) fn retained_bytes(&self) -> usize {
        self.retained.read().bytes()
    }

    /// Nodes of the trie besides its root: none when nobody has a subscription.
    pub(crate) fn trie_len(&self) -> usize {
        self.trie.read().len()
    }

    fn find(&self, topic: &str) -> Route {
        let trie = self.trie.read();
        let mut route = Route::default();
        let mut shares = Vec::new();
        let mut index: HashMap<u64, usize, RandomState> = HashMap::default();
        trie.matches(
            topic,
            |subscriber| match index.get(&subscriber.key) {
                None => {
                    index.insert(subscriber.key, route.targets.len());
                    route.targets.push(Target::of(subscriber));
                }
                Some(at) => {
                    if let Some(target) = route.targets.get_mut(*at) {
                        target.merge(&subscriber.options);
                    }
                }
            },
            |group| shares.push(group.snapshot()),
        );
        route.shares = shares;
        route
    }
}

impl Routed {
    fn count(&mut self, pushed: Pushed, mailbox: &Mailbox) {
        if let (Some((_, losers)), false) = (&mut self.losers, pushed == Pushed::Queued) {
            losers.push(Arc::clone(mailbox.client_id()));
        }
        match pushed {
            Pushed::Queued => self.taken += 1,
            Pushed::Displaced(_) => {
                self.taken += 1;
                self.dropped += 1;
            }
            Pushed::Dropped => self.dropped += 1,
            Pushed::EndSession => {
                self.dropped += 1;
                self.ended.push(Arc::clone(mailbox.client_id()));
            }
        }
    }
}

impl Granted {
    fn of(options: &SubscriptionOptions) -> Self {
        Self {
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            through: Through::plain(options.identifier),
        }
    }

    fn merge(&mut self, options: &SubscriptionOptions) {
        self.qos = self.qos.max(options.qos);
        self.retain_as_published |= options.retain_as_published;
        if let Some(id) = options.identifier {
            let others = self.through.iter().flat_map(|through| through.identifiers.iter());
            self.through = Through::plain(others.copied().chain([id]));
        }
    }
}

impl Target {
    fn of(subscriber: &Subscriber) -> Self {
        Self {
            key: subscriber.key,
            mailbox: Arc::clone(&subscriber.mailbox),
            granted: Granted::of(&subscriber.options),
            own: subscriber.options.no_local.then_some(None),
        }
    }

    fn merge(&mut self, options: &SubscriptionOptions) {
        let own = match (self.own.take(), options.no_local) {
            (None, false) => None,
            (None, true) => Some(Some(self.granted.clone())),
            (Some(own), true) => Some(own),
            (Some(None), false) => Some(Some(Granted::of(options))),
            (Some(Some(mut own)), false) => {
                own.merge(options);
                Some(Some(own))
            }
        };
        self.own = own;
        self.granted.merge(options);
    }
}

fn delivery(message: &Arc<Message>, granted: &Granted) -> Delivery {
    Delivery {
        qos: message.qos().min(granted.qos),
        retain: granted.retain_as_published && message.retain(),
        stored: false,
        through: granted.through.clone(),
        message: Arc::clone(message),
    }
}

fn bounds(limits: &BrokerLimits) -> Bounds {
    Bounds {
        count: limits.max_retained_messages,
        bytes: limits.max_retained_bytes,
        expiry: limits.retained_expiry_max,
    }
}

/// Retained messages as one subscription gets them.
fn replayed(replay: &Replay, mailbox: &Mailbox, found: Vec<Arc<Message>>) -> Vec<Delivery> {
    let Replay { options, through, .. } = replay;
    let is_own = |message: &Message| {
        let publisher = message.publisher().map(|client| &*client.id);
        options.no_local && publisher == Some(&**mailbox.client_id())
    };
    let deliver = |message: Arc<Message>| Delivery {
        qos: message.qos().min(options.qos),
        retain: true,
        stored: true,
        through: through.clone(),
        message,
    };
    found.into_iter().filter(|message| !is_own(message)).map(deliver).collect()
}
