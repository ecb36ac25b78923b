//! What a worker remembers: the subscribers of a topic, for as long as no subscription changed that could
//! matter to it.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::{FixedState, RandomState};
use std::hash::BuildHasher;

use super::Route;
use crate::limits::{MEMO_LENGTH, MEMO_SUBSCRIBERS, MEMO_TOPICS};

/// First levels are told apart by this many counters.
const BUCKETS: usize = 64;

/// Counts changes of subscriptions, by the first level of their filter, so that one client's subscribe does not
/// void what everybody remembers.
#[derive(Debug)]
pub(crate) struct Versions {
    buckets: [AtomicU64; BUCKETS],
    /// Changes of filters that begin with a wildcard: they matter to every topic.
    wild: AtomicU64,
}

/// A state of [`Versions`], as one topic sees it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Version(u64, u64);

impl Default for Versions {
    fn default() -> Self {
        Self { buckets: std::array::from_fn(|_| AtomicU64::new(0)), wild: AtomicU64::new(0) }
    }
}

impl Versions {
    pub(crate) fn bump(&self, pattern: &str) {
        let first = first_level(pattern.as_bytes());
        let counter = match first {
            b"+" | b"#" => Some(&self.wild),
            _ => self.buckets.get(bucket(first)),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    pub(crate) fn of(&self, bucket: usize) -> Version {
        let own = self.buckets.get(bucket).map_or(0, |counter| counter.load(Ordering::Acquire));
        Version(own, self.wild.load(Ordering::Acquire))
    }
}

fn first_level(topic: &[u8]) -> &[u8] {
    topic.split(|byte| *byte == b'/').next().unwrap_or_default()
}

fn bucket(first: &[u8]) -> usize {
    FixedState::default().hash_one(first) as usize % BUCKETS
}

#[derive(Debug)]
struct Entry {
    bucket: usize,
    version: Version,
    route: Rc<Route>,
}

/// Topic to route, per worker; bounded in topics and in the subscribers they name.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    /// Sessions named in all routes.
    named: usize,
}

impl Memo {
    /// The remembered route, or the one that `find` makes now.
    pub(crate) fn route(
        &mut self,
        topic: &[u8],
        versions: &Versions,
        find: impl FnOnce() -> Route,
    ) -> Rc<Route> {
        if topic.len() > MEMO_LENGTH {
            return Rc::new(find());
        }
        let known = self.entries.get_mut(topic);
        let bucket = known.as_ref().map_or_else(|| bucket(first_level(topic)), |at| at.bucket);
        // Read before the walk: a change during it makes the next look walk again.
        let version = versions.of(bucket);
        let Some(entry) = known else {
            let route = Rc::new(find());
            if self.entries.len() >= MEMO_TOPICS {
                *self = Self::default();
            }
            self.entries.insert(topic.into(), Entry { bucket, version, route: Rc::clone(&route) });
            self.count(0, route.len());
            return route;
        };
        if entry.version == version {
            return Rc::clone(&entry.route);
        }
        let route = Rc::new(find());
        let before = std::mem::replace(&mut entry.route, Rc::clone(&route)).len();
        entry.version = version;
        self.count(before, route.len());
        route
    }

    fn count(&mut self, before: usize, after: usize) {
        self.named = (self.named + after).saturating_sub(before);
        if self.named > MEMO_SUBSCRIBERS {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmqtt_codec::QoS;

    use super::*;
    use crate::limits::Queue;
    use crate::mailbox::Mailbox;
    use crate::router::Target;
    use crate::router::trie::Subscriber;
    use crate::subscription::SubscriptionOptions;

    fn is_found(memo: &mut Memo, versions: &Versions, topic: &str) -> bool {
        let mut walked = false;
        memo.route(topic.as_bytes(), versions, || {
            walked = true;
            Route::default()
        });
        walked
    }

    #[test]
    fn a_topic_is_looked_up_once_until_a_subscription_that_matters_changes() {
        let (mut memo, versions) = (Memo::default(), Versions::default());
        assert!(is_found(&mut memo, &versions, "a/b"));
        assert!(!is_found(&mut memo, &versions, "a/b"));
        versions.bump("a/+");
        assert!(is_found(&mut memo, &versions, "a/b"));
        versions.bump("+/b");
        assert!(is_found(&mut memo, &versions, "a/b"));
        let other = (0..)
            .map(|n| format!("x{n}"))
            .find(|first| bucket(first.as_bytes()) != bucket(b"a"))
            .unwrap();
        versions.bump(&other);
        assert!(!is_found(&mut memo, &versions, "a/b"));
    }

    #[test]
    fn a_topic_that_is_too_long_is_looked_up_each_time_and_takes_no_place() {
        let (mut memo, versions) = (Memo::default(), Versions::default());
        let longest = "t".repeat(MEMO_LENGTH);
        assert!(is_found(&mut memo, &versions, &longest));
        assert!(!is_found(&mut memo, &versions, &longest));
        let longer = "t".repeat(MEMO_LENGTH + 1);
        assert!(is_found(&mut memo, &versions, &longer));
        assert!(is_found(&mut memo, &versions, &longer));
        assert_eq!(memo.entries.len(), 1);
    }

    #[test]
    fn the_memo_never_names_more_subscribers_than_its_bound() {
        let mailbox = Arc::new(Mailbox::new("c".into(), Queue::default()));
        let target = |key| {
            let options = SubscriptionOptions {
                qos: QoS::AtMostOnce,
                no_local: false,
                retain_as_published: false,
                identifier: None,
            };
            Target::of(&Subscriber { key, mailbox: Arc::clone(&mailbox), options })
        };
        let crowd = |count| Route { targets: (0..count).map(target).collect(), shares: Vec::new() };
        let (mut memo, versions) = (Memo::default(), Versions::default());
        let half = MEMO_SUBSCRIBERS as u64 / 2;
        for topic in [b"a", b"b", b"c", b"d"] {
            assert_eq!(memo.route(topic, &versions, || crowd(half)).len() as u64, half);
            let named: usize = memo.entries.values().map(|entry| entry.route.len()).sum();
            assert_eq!(memo.named, named);
            assert!(named <= MEMO_SUBSCRIBERS);
        }
        // Subscribers come and go at a topic that stays.
        for count in [10, half, 1] {
            versions.bump("d");
            memo.route(b"d", &versions, || crowd(count));
            let named: usize = memo.entries.values().map(|entry| entry.route.len()).sum();
            assert_eq!(memo.named, named);
        }
        let too_many = MEMO_SUBSCRIBERS as u64 + 1;
        assert_eq!(memo.route(b"e", &versions, || crowd(too_many)).len() as u64, too_many);
        assert_eq!((memo.named, memo.entries.len()), (0, 0));
    }

    #[test]
    fn the_memo_never_holds_more_than_its_bound() {
        let (mut memo, versions) = (Memo::default(), Versions::default());
        for n in 0..=MEMO_TOPICS {
            memo.route(format!("t/{n}").as_bytes(), &versions, Route::default);
            assert!(memo.entries.len() <= MEMO_TOPICS);
        }
    }
}
