//! Filters, level by level. Must not know messages: it answers which subscribers a topic has.

mod subscribers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use foldhash::fast::RandomState;

use super::share::{Choice, Group};
use crate::levels::{Content, Levels, NodeId};
use crate::mailbox::Mailbox;
use crate::subscription::{SharedStrategy, SubscriptionOptions};
use subscribers::Subscribers;

/// One subscription at one filter.
#[derive(Clone, Debug)]
pub(crate) struct Subscriber {
    /// Key of the session.
    pub(crate) key: u64,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) options: SubscriptionOptions,
}

/// Who holds one filter.
#[derive(Debug, Default)]
struct Holders {
    subscribers: Subscribers,
    /// By name: one filter may have a hundred thousand. Most have none.
    #[expect(
        clippy::box_collection,
        reason = "a map of its own size would make every node larger"
    )]
    groups: Option<Box<BTreeMap<Box<str>, Group>>>,
}

impl Content for Holders {
    fn is_bare(&self) -> bool {
        matches!(self.subscribers, Subscribers::None) && self.groups.is_none()
    }
}

/// A tree of filters. Depth is bounded by the levels that a listener allows; nothing here recurses.
#[derive(Debug)]
pub(crate) struct Trie {
    levels: Levels<Holders>,
    /// Subscriptions, members of share groups included.
    count: usize,
    /// Those of them that are members of share groups.
    shared: usize,
    strategy: SharedStrategy,
    /// By share name: those whose groups choose otherwise.
    named: HashMap<Box<str>, SharedStrategy, RandomState>,
    /// Number of the last group that was made.
    groups: u64,
    /// Turns that all groups of a share name have in common, where they do, and how many groups that are.
    turns: HashMap<Box<str>, (Arc<AtomicU64>, usize), RandomState>,
}

impl Default for Trie {
    fn default() -> Self {
        Self::new(SharedStrategy::default(), 0)
    }
}

impl Trie {
    /// An empty tree whose share groups choose like this. `seed` is where the numbers of groups begin.
    pub(crate) fn new(strategy: SharedStrategy, seed: u64) -> Self {
        Self {
            levels: Levels::default(),
            count: 0,
            shared: 0,
            strategy,
            named: HashMap::default(),
            groups: seed,
            turns: HashMap::default(),
        }
    }

    /// Makes the groups of this share name choose like this, before there is any.
    pub(crate) fn name(&mut self, name: &str, strategy: SharedStrategy) {
        self.named.insert(name.into(), strategy);
    }

    /// Adds a subscription or replaces the one this session has here [MQTT-3.8.4-3].
    pub(crate) fn insert(&mut self, pattern: &str, share: Option<&str>, subscriber: Subscriber) {
        let Some(id) = self.levels.make(pattern) else { return };
        let is_new = match share {
            None => {
                let holders = self.levels.content_mut(id);
                holders.is_some_and(|holders| holders.subscribers.insert(subscriber))
            }
            Some(name) => self.join(id, pattern, name, subscriber),
        };
        self.count += usize::from(is_new);
        self.shared += usize::from(is_new && share.is_some());
    }

    fn join(&mut self, id: NodeId, pattern: &str, name: &str, subscriber: Subscriber) -> bool {
        let Some(node) = self.levels.content_mut(id) else { return false };
        let groups = node.groups.get_or_insert_default();
        if let Some(group) = groups.get_mut(name) {
            return group.place(subscriber);
        }
        self.groups = self.groups.wrapping_add(1);
        let strategy = self.named.get(name).copied().unwrap_or(self.strategy);
        let turn = match strategy {
            SharedStrategy::RoundRobinPerGroup => {
                let (turn, groups) = self.turns.entry(name.into()).or_default();
                *groups += 1;
                Arc::clone(turn)
            }
            _ => Arc::default(),
        };
        let choice = Choice { strategy, number: self.groups, turn };
        let mut group = Group::new(name, pattern, choice);
        group.place(subscriber);
        groups.insert(name.into(), group);
        true
    }

    fn leave(&mut self, id: NodeId, name: &str, key: u64) -> bool {
        let Some(node) = self.levels.content_mut(id) else { return false };
        let Some(groups) = &mut node.groups else { return false };
        let Some(group) = groups.get_mut(name) else { return false };
        let removed = group.take(key);
        if group.is_empty() {
            groups.remove(name);
            if groups.is_empty() {
                node.groups = None;
            }
            if let Some((_, groups)) = self.turns.get_mut(name) {
                *groups -= 1;
                if *groups == 0 {
                    self.turns.remove(name);
                }
            }
        }
        removed
    }

    /// The group of this name at this very pattern.
    pub(crate) fn group(&self, pattern: &str, name: &str) -> Option<&Group> {
        let node = self.levels.get(self.levels.find(pattern)?)?;
        node.content.groups.as_ref()?.get(name)
    }

    /// Subscriptions, members of share groups included.
    pub(crate) fn subscriptions(&self) -> usize {
        self.count
    }

    /// Those of them that are members of share groups.
    pub(crate) fn shared_subscriptions(&self) -> usize {
        self.shared
    }

    /// Takes a subscription away. False when this session had none here.
    pub(crate) fn remove(&mut self, pattern: &str, share: Option<&str>, key: u64) -> bool {
        let Some(id) = self.levels.find(pattern) else { return false };
        let removed = match share {
            None => {
                let holders = self.levels.content_mut(id);
                holders.is_some_and(|holders| holders.subscribers.remove(key))
            }
            Some(name) => self.leave(id, name, key),
        };
        self.count -= usize::from(removed);
        self.shared -= usize::from(removed && share.is_some());
        self.levels.prune(id);
        removed
    }

    /// Calls back for the subscribers and the groups of every filter that matches `topic`.
    pub(crate) fn matches<'t>(
        &'t self,
        topic: &str,
        mut subscribers: impl FnMut(&'t Subscriber),
        mut groups: impl FnMut(&'t Group),
    ) {
        self.levels.matching(topic, |node| {
            node.content.subscribers.iter().for_each(&mut subscribers);
            node.content.groups.iter().flat_map(|all| all.values()).for_each(&mut groups);
        });
    }

    /// Nodes in use besides the root.
    pub(crate) fn len(&self) -> usize {
        self.levels.used() - 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasmqtt_codec::{QoS, topic};

    use super::*;
    use crate::limits::Queue;

    fn subscriber(key: u64) -> Subscriber {
        let options = SubscriptionOptions {
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        Subscriber { key, mailbox: Arc::new(Mailbox::new("c".into(), Queue::default())), options }
    }

    fn keys(trie: &Trie, topic: &str) -> Vec<u64> {
        let mut keys = Vec::new();
        trie.matches(topic, |subscriber| keys.push(subscriber.key), |_| {});
        keys.sort_unstable();
        keys
    }

    #[test]
    fn wildcards_match_as_the_specification_says() {
        let mut trie = Trie::default();
        for (key, filter) in
            ["sport/#", "sport/+/player", "+/+", "#", "sport", "/finance", "/+", "+"]
                .iter()
                .enumerate()
        {
            trie.insert(filter, None, subscriber(key as u64));
        }
        assert_eq!(keys(&trie, "sport"), [0, 3, 4, 7]);
        assert_eq!(keys(&trie, "sport/tennis"), [0, 2, 3]);
        assert_eq!(keys(&trie, "sport/tennis/player"), [0, 1, 3]);
        assert_eq!(keys(&trie, "/finance"), [2, 3, 5, 6]);
    }

    #[test]
    fn leading_wildcards_do_not_match_topics_that_begin_with_a_dollar_sign() {
        let mut trie = Trie::default();
        for (key, filter) in ["#", "+/monitor", "$SYS/#", "$SYS/+"].iter().enumerate() {
            trie.insert(filter, None, subscriber(key as u64));
        }
        assert_eq!(keys(&trie, "$SYS/monitor"), [2, 3]);
        assert_eq!(keys(&trie, "a/monitor"), [0, 1]);
    }

    #[test]
    fn removing_the_last_subscription_gives_all_nodes_back() {
        let mut trie = Trie::default();
        trie.insert("a/b/c", None, subscriber(1));
        trie.insert("a/b", Some("group"), subscriber(2));
        trie.insert("a/b", Some("group"), subscriber(2));
        assert_eq!((trie.subscriptions(), trie.shared_subscriptions()), (2, 1));
        assert!(!trie.remove("a/b/c", None, 2));
        assert!(!trie.remove("a/b", None, 2));
        assert!(trie.remove("a/b/c", None, 1));
        assert!(trie.remove("a/b", Some("group"), 2));
        assert_eq!(trie.len(), 0);
        assert!(!trie.remove("a/b/c", None, 1));
    }

    #[test]
    fn a_topic_of_many_levels_does_not_overflow_the_stack() {
        let mut trie = Trie::default();
        let deep = "/".repeat(60_000);
        trie.insert(&deep, None, subscriber(1));
        assert_eq!(keys(&trie, &deep), [1]);
        assert!(trie.remove(&deep, None, 1));
    }

    #[test]
    fn turns_that_groups_have_in_common_go_with_the_last_of_them() {
        let mut trie = Trie::new(SharedStrategy::RoundRobinPerGroup, 7);
        for pattern in ["a", "b"] {
            for key in [1, 2] {
                trie.insert(pattern, Some("g"), subscriber(key));
            }
        }
        assert_eq!(trie.turns.len(), 1);
        for (key, left) in [(1, 1), (2, 0)] {
            for pattern in ["a", "b"] {
                assert!(trie.remove(pattern, Some("g"), key));
            }
            assert_eq!(trie.turns.len(), left);
        }
    }

    proptest! {
        #[test]
        fn the_trie_finds_what_matching_one_by_one_finds(
            filters in proptest::collection::vec("(\\$s|[ab+]?)(/[ab+]?){0,3}(/#)?", 0..12),
            gone in proptest::collection::vec(any::<bool>(), 12),
            name in "(\\$s|[ab]?)(/[ab]?){0,3}",
        ) {
            let mut trie = Trie::default();
            for (key, filter) in filters.iter().enumerate() {
                trie.insert(filter, None, subscriber(key as u64));
            }
            for (key, filter) in filters.iter().enumerate() {
                if gone[key] { trie.remove(filter, None, key as u64); }
            }
            let expected: Vec<u64> = filters.iter().enumerate()
                .filter(|(key, filter)| !gone[*key] && topic::matches(filter, &name))
                .map(|(key, _)| key as u64).collect();
            prop_assert_eq!(keys(&trie, &name), expected);
        }
    }
}
