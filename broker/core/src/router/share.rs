//! Shared subscriptions: each message goes to one member of a group [MQTT-4.8.2-4].

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::{FixedState, RandomState};
use wasmqtt_codec::QoS;

use super::Routed;
use super::trie::Subscriber;
use crate::limits::{SHARE_HOMES, SHARE_RALLY};
use crate::mailbox::{Delivery, Mailbox, Through, Wakes, Whom};
use crate::message::Message;
use crate::spread::{bucket, mix};
use crate::subscription::SharedStrategy;
use crate::time::Moment;

/// One member of a group.
#[derive(Clone, Debug)]
struct Member {
    /// Key of the session.
    key: u64,
    mailbox: Arc<Mailbox>,
    qos: QoS,
    retain_as_published: bool,
    /// Made once, for every message that comes this way.
    through: Arc<Through>,
}

impl Member {
    fn delivery(&self, message: &Arc<Message>) -> Delivery {
        Delivery {
            message: Arc::clone(message),
            through: Some(Arc::clone(&self.through)),
            qos: message.qos().min(self.qos),
            retain: self.retain_as_published && message.retain(),
            stored: false,
        }
    }
}

/// How a group chooses, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) strategy: SharedStrategy,
    /// Differs from group to group.
    pub(crate) number: u64,
    /// How often it has chosen or, when it is sticky, whom. Shared with the routes made from the group, so that it holds
    /// for every worker.
    pub(crate) turn: Arc<AtomicU64>,
}

/// The members of one share name at one filter.
#[derive(Debug)]
pub(crate) struct Group {
    /// As members wrote it, `$share` included.
    filter: Arc<str>,
    members: Vec<Member>,
    choice: Choice,
}

impl Group {
    pub(crate) fn new(name: &str, pattern: &str, choice: Choice) -> Self {
        let filter = format!("$share/{name}/{pattern}").into();
        Self { filter, members: Vec::new(), choice }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Adds a member or replaces the one of the same session; true when it is new.
    pub(crate) fn place(&mut self, subscriber: Subscriber) -> bool {
        let Subscriber { key, mailbox, options } = subscriber;
        let share = Some(Arc::clone(&self.filter));
        let through = Through { identifiers: options.identifier.into_iter().collect(), share };
        let member = Member {
            key,
            mailbox,
            qos: options.qos,
            retain_as_published: options.retain_as_published,
            through: Arc::new(through),
        };
        match self.members.iter_mut().find(|present| present.key == key) {
            Some(present) => {
                *present = member;
                false
            }
            None => {
                self.members.push(member);
                true
            }
        }
    }

    /// Takes a member away; false when this session had none.
    pub(crate) fn take(&mut self, key: u64) -> bool {
        let Some(at) = self.members.iter().position(|member| member.key == key) else {
            return false;
        };
        self.members.swap_remove(at);
        true
    }

    pub(crate) fn snapshot(&self) -> Share {
        Share { members: self.members.clone(), choice: self.choice.clone() }
    }
}

/// What one worker knows of share groups: its own number, and with which member each publisher stays.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    lane: u32,
    /// By group and publisher; bounded.
    members: HashMap<(u64, u64), u64, RandomState>,
}

impl Homes {
    pub(crate) fn on(lane: u32) -> Self {
        Self { lane, members: HashMap::default() }
    }

    pub(crate) fn lane(&self) -> u32 {
        self.lane
    }

    fn get(&self, group: u64, publisher: u64) -> Option<u64> {
        self.members.get(&(group, publisher)).copied()
    }

    fn set(&mut self, group: u64, publisher: u64, member: u64) {
        if let Some(known) = self.members.get_mut(&(group, publisher)) {
            *known = member;
            return;
        }
        if self.members.len() >= SHARE_HOMES {
            self.members.clear();
        }
        self.members.insert((group, publisher), member);
    }
}

/// The members of a group when a route was made.
#[derive(Debug)]
pub(crate) struct Share {
    members: Vec<Member>,
    choice: Choice,
}

impl Share {
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Hands a message to one member: of those that are there and have room, the one that the strategy prefers; else one
    /// that is away and has room; else one whose own policy says what gives way. Who has no place in its window is passed
    /// over: what waits for it could wait for ever. Not where the order of a publisher's messages counts more.
    pub(crate) fn hand(
        &self,
        now: Moment,
        message: &Arc<Message>,
        homes: &mut Homes,
        wakes: &mut Wakes,
        routed: &mut Routed,
    ) {
        let start = self.start(message, Some(homes));
        let near = match self.choice.strategy {
            SharedStrategy::Local => Some(Whom::Lane(homes.lane)),
            _ => None,
        };
        let whom = near.iter().chain(self.preferences());
        let mut offers = whom.map(|whom| self.offer(now, message, start, *whom, wakes));
        if let Some((passed_over, member)) = offers.find_map(|taken| taken) {
            self.remember(message, homes, passed_over, member);
            routed.taken += 1;
            return;
        }
        if let Some(member) = self.in_turn(start).find(|member| member.mailbox.is_open()) {
            let pushed = member.mailbox.push(now, member.delivery(message), wakes);
            routed.count(pushed, &member.mailbox);
        }
    }

    /// Hands what waits for members that are away to those that are there, in order, now that one of them has joined.
    /// Only to one that has room; what nobody has room for stays where it was.
    pub(crate) fn rally(&self, now: Moment, filter: &str) -> Vec<Delivery> {
        let mut homeless = Vec::new();
        for member in self.members.iter().take(SHARE_RALLY) {
            let mut waiting = member.mailbox.take_share_while_away(filter).into_iter();
            let refused = waiting.by_ref().find_map(|one| self.pass_to(now, one, self.connected()));
            let is_full = refused.is_some();
            let mut left: Vec<Delivery> = refused.into_iter().chain(waiting).collect();
            if !left.is_empty() {
                // Not empty when its session has ended meanwhile.
                homeless.append(&mut member.mailbox.give_back(&mut left));
            }
            if is_full {
                break;
            }
        }
        homeless
    }

    /// Hands on what another member left behind. Only to one that has room: nothing gives way for it. It comes back
    /// when there is none.
    pub(crate) fn pass_on(&self, now: Moment, left: Delivery) -> Option<Delivery> {
        self.pass_to(now, left, self.preferences())
    }

    /// To whom a message goes, the best first.
    fn preferences(&self) -> &'static [Whom] {
        const ALL: [Whom; 4] = [Whom::Ready, Whom::Reading, Whom::Connected, Whom::Anyone];
        match self.choice.strategy {
            SharedStrategy::Ordered => &[Whom::Connected, Whom::Anyone],
            _ => &ALL,
        }
    }

    /// The same, without those that are away.
    fn connected(&self) -> &'static [Whom] {
        let all = self.preferences();
        all.split_last().map_or(&[], |(_, connected)| connected)
    }

    fn pass_to(&self, now: Moment, left: Delivery, whom: &[Whom]) -> Option<Delivery> {
        let start = self.start(&left.message, None);
        let mut wakes = Wakes::default();
        let offer =
            |whom: &Whom| self.offer(now, &left.message, start, *whom, &mut wakes).is_some();
        let taken = whom.iter().any(offer);
        (!taken).then_some(left)
    }

    /// The member that took it, and how many were passed over.
    fn offer(
        &self,
        now: Moment,
        message: &Arc<Message>,
        start: usize,
        whom: Whom,
        wakes: &mut Wakes,
    ) -> Option<(usize, &Member)> {
        self.in_turn(start).enumerate().find(|(_, member)| {
            member.mailbox.offer(now, member.delivery(message), whom, wakes).is_none()
        })
    }

    fn in_turn(&self, start: usize) -> impl Iterator<Item = &Member> {
        let (late, early) = self.members.split_at(start.min(self.members.len()));
        early.iter().chain(late)
    }

    /// The place of the member that is asked first.
    fn start(&self, message: &Message, homes: Option<&Homes>) -> usize {
        let Choice { strategy, number, turn } = &self.choice;
        let count = self.members.len();
        let publisher = message.publisher();
        let by_client = || bucket(hash(publisher.map_or("", |client| &client.id)), count);
        let next = || turn.fetch_add(1, Ordering::Relaxed);
        let within = |number: u64| (number % count.max(1) as u64) as usize;
        match strategy {
            SharedStrategy::RoundRobin
            | SharedStrategy::RoundRobinPerGroup
            | SharedStrategy::Local => within(next()),
            SharedStrategy::Random => within(mix(number.rotate_left(32) ^ next())),
            SharedStrategy::Sticky => self.position(turn.load(Ordering::Relaxed)).unwrap_or(0),
            SharedStrategy::HashClientId => by_client(),
            SharedStrategy::HashTopic => bucket(hash(message.topic()), count),
            SharedStrategy::Ordered => {
                let publisher = publisher.map_or(0, |client| client.key);
                homes
                    .and_then(|homes| homes.get(*number, publisher))
                    .and_then(|key| self.position(key))
                    .unwrap_or_else(by_client)
            }
        }
    }

    fn position(&self, key: u64) -> Option<usize> {
        self.members.iter().position(|member| member.key == key)
    }

    /// Remembers whom it was, where that matters to the next message.
    fn remember(&self, message: &Message, homes: &mut Homes, passed_over: usize, member: &Member) {
        let Choice { strategy, number, turn } = &self.choice;
        match strategy {
            // Else whoever comes behind one that is away would have its turns as well.
            SharedStrategy::RoundRobin
            | SharedStrategy::RoundRobinPerGroup
            | SharedStrategy::Local
                if passed_over > 0 =>
            {
                turn.fetch_add(passed_over as u64, Ordering::Relaxed);
            }
            SharedStrategy::Sticky if turn.load(Ordering::Relaxed) != member.key => {
                turn.store(member.key, Ordering::Relaxed);
            }
            SharedStrategy::Ordered => {
                let publisher = message.publisher().map_or(0, |client| client.key);
                homes.set(*number, publisher, member.key);
            }
            _ => {}
        }
    }
}

fn hash(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_never_remember_more_than_their_bound() {
        let mut homes = Homes::on(3);
        for publisher in 0..=SHARE_HOMES as u64 {
            homes.set(1, publisher, 7);
            homes.set(1, publisher, 8);
            assert_eq!(homes.get(1, publisher), Some(8));
            assert!(homes.members.len() <= SHARE_HOMES);
        }
        assert_eq!((homes.members.len(), homes.get(1, 0), homes.lane()), (1, None, 3));
    }
}
