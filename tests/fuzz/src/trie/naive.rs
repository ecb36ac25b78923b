//! A router that nobody could get wrong: lists, and a look at every entry.

use std::collections::{BTreeMap, HashMap};

use wasmqtt_codec::QoS;
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::subscription::{SharedStrategy, SubscriptionOptions};
use wasmqtt_core::time::Moment;

/// A retained message.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) topic: String,
    pub(super) number: u32,
    pub(super) qos: QoS,
    pub(super) expires_at: Option<Moment>,
    /// Who published it.
    pub(super) by: usize,
}

#[derive(Debug)]
struct Held {
    client: usize,
    filter: String,
    options: SubscriptionOptions,
}

impl Held {
    /// The filter without `$share/NAME/`.
    fn pattern(&self) -> &str {
        match self.filter.strip_prefix("$share/") {
            Some(shared) => shared.split_once('/').unwrap().1,
            None => &self.filter,
        }
    }

    fn is_shared(&self) -> bool {
        self.filter.starts_with("$share/")
    }
}

pub(super) struct Naive {
    held: Vec<Held>,
    kept: BTreeMap<String, Kept>,
    strategy: SharedStrategy,
    clients: usize,
    /// How often each member of a group was chosen since the group changed.
    turns: HashMap<String, Vec<u32>>,
}

impl Naive {
    pub(super) fn new(clients: usize, strategy: SharedStrategy) -> Self {
        let (held, kept, turns) = Default::default();
        Self { held, kept, strategy, clients, turns }
    }

    /// Whether it is new.
    pub(super) fn subscribe(
        &mut self,
        client: usize,
        filter: &str,
        options: SubscriptionOptions,
    ) -> bool {
        let is_new = !self.unsubscribe(client, filter);
        self.held.push(Held { client, filter: filter.into(), options });
        is_new
    }

    /// Whether it was there.
    pub(super) fn unsubscribe(&mut self, client: usize, filter: &str) -> bool {
        let before = self.held.len();
        self.held.retain(|held| held.client != client || held.filter != filter);
        self.turns.remove(filter);
        before > self.held.len()
    }

    pub(super) fn leave(&mut self, client: usize) {
        self.held.retain(|held| held.client != client);
        self.turns.clear();
    }

    /// One of the client's filters.
    pub(super) fn held(&self, client: usize, at: usize) -> Option<String> {
        let own: Vec<_> = self.held.iter().filter(|held| held.client == client).collect();
        Some(own.get(at % own.len().max(1))?.filter.clone())
    }

    pub(super) fn subscriptions(&self) -> usize {
        self.held.len()
    }

    pub(super) fn keep(&mut self, kept: Kept, is_empty: bool) {
        if is_empty {
            self.kept.remove(&kept.topic);
        } else {
            self.kept.insert(kept.topic.clone(), kept);
        }
    }

    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn forget(&mut self, now: Moment) {
        self.kept.retain(|_, kept| kept.expires_at.is_none_or(|at| at > now));
    }

    /// What a new subscription is handed, in order.
    pub(super) fn replay(
        &self,
        client: usize,
        pattern: &str,
        options: SubscriptionOptions,
        now: Moment,
    ) -> Vec<Kept> {
        let wanted = |kept: &&Kept| {
            matches(pattern, &kept.topic)
                && kept.expires_at.is_none_or(|at| at > now)
                && !(options.no_local && kept.by == client)
        };
        self.kept.values().filter(wanted).cloned().collect()
    }

    /// Whether everybody got what they should. True when there is anybody who should.
    pub(super) fn check(
        &mut self,
        publisher: usize,
        topic: &str,
        qos: QoS,
        retain: bool,
        got: &[Vec<Delivery>],
    ) -> bool {
        let mut reached = false;
        for (client, got) in got.iter().enumerate() {
            reached |= self.check_plain(client, publisher == client, topic, qos, retain, got);
        }
        let mut groups: BTreeMap<&str, Vec<&Held>> = BTreeMap::new();
        for held in &self.held {
            if held.is_shared() && matches(held.pattern(), topic) {
                groups.entry(&held.filter).or_default().push(held);
            }
        }
        let through_groups = got.iter().flatten().filter(|one| one.share().is_some()).count();
        assert_eq!(through_groups, groups.len(), "each group gets one copy of {topic:?}");
        for (filter, members) in groups {
            reached = true;
            let came = |one: &&Delivery| one.share().is_some_and(|share| **share == *filter);
            let taken: Vec<_> = got
                .iter()
                .enumerate()
                .flat_map(|(client, got)| got.iter().filter(came).map(move |one| (client, one)))
                .collect();
            let [(client, delivery)] = taken[..] else { panic!("{filter}: {taken:?}") };
            let member = members.iter().find(|held| held.client == client);
            let member = member.unwrap_or_else(|| panic!("{client} is no member of {filter}"));
            assert_eq!(delivery.qos, qos.min(member.options.qos));
            assert_eq!(delivery.retain, retain && member.options.retain_as_published);
            assert_eq!(delivery.identifiers(), member.options.identifier.as_slice());
            if self.strategy == SharedStrategy::RoundRobin {
                let turns =
                    self.turns.entry(filter.into()).or_insert_with(|| vec![0; self.clients]);
                turns[client] += 1;
                let of = members.iter().map(|held| turns[held.client]);
                let (least, most) = (of.clone().min().unwrap(), of.max().unwrap());
                assert!(most - least <= 1, "{filter}: {turns:?}");
            }
        }
        reached
    }

    /// One copy for everything a client holds, with the highest QoS and every identifier.
    fn check_plain(
        &self,
        client: usize,
        is_own: bool,
        topic: &str,
        qos: QoS,
        retain: bool,
        got: &[Delivery],
    ) -> bool {
        let wanted: Vec<_> = self
            .held
            .iter()
            .filter(|held| held.client == client && !held.is_shared())
            .filter(|held| matches(held.pattern(), topic) && !(is_own && held.options.no_local))
            .map(|held| held.options)
            .collect();
        let plain: Vec<_> = got.iter().filter(|one| one.share().is_none()).collect();
        assert_eq!(plain.len(), usize::from(!wanted.is_empty()), "{client}: {topic:?} {wanted:?}");
        let Some(delivery) = plain.first() else { return false };
        let highest = wanted.iter().map(|options| options.qos).max().unwrap();
        assert_eq!(delivery.qos, qos.min(highest));
        let as_published = wanted.iter().any(|options| options.retain_as_published);
        assert_eq!(delivery.retain, retain && as_published);
        assert!(!delivery.stored);
        let mut identifiers: Vec<_> =
            wanted.iter().filter_map(|options| options.identifier).collect();
        let mut sent = delivery.identifiers().to_vec();
        identifiers.sort_unstable();
        sent.sort_unstable();
        assert_eq!(sent, identifiers);
        true
    }
}

/// Section 4.7, read aloud.
fn matches(pattern: &str, topic: &str) -> bool {
    fn levels(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            (["#"], _) => true,
            ([], []) => true,
            ([first, pattern @ ..], [name, topic @ ..]) => {
                (*first == "+" || first == name) && levels(pattern, topic)
            }
            _ => false,
        }
    }
    if topic.starts_with('$') && pattern.starts_with(['+', '#']) {
        return false;
    }
    let (pattern, topic): (Vec<_>, Vec<_>) =
        (pattern.split('/').collect(), topic.split('/').collect());
    levels(&pattern, &topic)
}

/// Sections 4.7.1 and 4.8.2, read aloud.
pub(super) fn is_filter(text: &str) -> bool {
    let mut pattern = text;
    if let Some(shared) = text.strip_prefix("$share/") {
        let Some((name, filter)) = shared.split_once('/') else { return false };
        if name.is_empty() || name.contains(['+', '#']) {
            return false;
        }
        pattern = filter;
    }
    let levels: Vec<&str> = pattern.split('/').collect();
    let is_level = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at + 1 == levels.len(),
        other => !other.contains(['+', '#']),
    };
    !pattern.is_empty() && !text.contains('\0') && levels.iter().enumerate().all(is_level)
}
