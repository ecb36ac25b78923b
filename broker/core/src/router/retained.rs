//! The last message of each topic, for whoever subscribes later.

use std::sync::Arc;

use wasmqtt_codec::topic;

use crate::levels::{Content, Levels, NodeId, ROOT, STEP};
use crate::limits::{LONG_TOPIC, REPLAY_AT_ONCE, REPLAY_PLACES};
use crate::message::Message;
use crate::time::Moment;

/// A message in the store.
#[derive(Debug)]
pub(super) struct Kept {
    message: Arc<Message>,
    /// Counts what the store has taken.
    number: u64,
    /// When it is forgotten, whatever its own life.
    until: Option<Moment>,
}

impl Kept {
    fn is_over(&self, now: Moment) -> bool {
        self.message.is_expired(now) || self.until.is_some_and(|until| until <= now)
    }
}

impl Content for Option<Kept> {
    fn is_bare(&self) -> bool {
        self.is_none()
    }
}

/// Retained messages as a tree of topic levels; bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct Retained {
    topics: Levels<Option<Kept>>,
    count: usize,
    bytes: usize,
    /// Messages taken so far.
    taken: u64,
    bounds: Bounds,
}

/// What the store may hold, and for how long.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
    /// Seconds; 0 = no bound.
    pub(crate) expiry: u32,
}

/// Some of the messages that match.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) found: Vec<Arc<Message>>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<NodeId>,
}

/// The store is full; the message is not kept.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoreFull;

/// What a message counts in bytes. What is longer than topics are lies in the tree once more.
fn cost(message: &Message) -> usize {
    message.size() + message.topic().len().saturating_sub(LONG_TOPIC)
}

impl Retained {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { topics: Levels::default(), count: 0, bytes: 0, taken: 0, bounds }
    }

    pub(crate) fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// The number of the last message that was taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Keeps `message` in place of the one before [MQTT-3.3.1-5]; an empty payload only takes that one away
    /// [MQTT-3.3.1-6], [MQTT-3.3.1-7].
    pub(crate) fn set(&mut self, now: Moment, message: &Arc<Message>) -> Result<(), StoreFull> {
        if message.payload().is_empty() {
            self.clear(message.topic());
            return Ok(());
        }
        let known = self.topics.find(message.topic());
        let before = known
            .and_then(|id| self.topics.get(id)?.content.as_ref())
            .map_or((0, 0), |old| (1, cost(&old.message)));
        let count = self.count - before.0 + 1;
        let bytes = self.bytes - before.1 + cost(message);
        if count > self.bounds.count || bytes > self.bounds.bytes {
            return Err(StoreFull);
        }
        let id = known.or_else(|| self.topics.make(message.topic())).ok_or(StoreFull)?;
        if let Some(kept) = self.topics.content_mut(id) {
            self.taken += 1;
            let Bounds { expiry, .. } = self.bounds;
            *kept = Some(Kept {
                message: Arc::clone(message),
                number: self.taken,
                until: (expiry > 0).then(|| now.after_secs(expiry)),
            });
            (self.count, self.bytes) = (count, bytes);
        }
        Ok(())
    }

    fn clear(&mut self, topic: &str) {
        let Some(id) = self.topics.find(topic) else { return };
        if let Some(kept) = self.topics.content_mut(id).and_then(Option::take) {
            self.count -= 1;
            self.bytes -= cost(&kept.message);
        }
        self.topics.prune(id);
    }

    /// Every message whose topic matches `pattern` and whose time is not over, by topic; none when there are more than
    /// [`REPLAY_AT_ONCE`], or it would take more than [`REPLAY_PLACES`] to find them.
    pub(crate) fn matches(&self, pattern: &str, now: Moment) -> Option<Vec<Arc<Message>>> {
        let mut found = Vec::new();
        let whole = self.topics.matched(pattern, REPLAY_PLACES, |node| {
            let kept = node.content.iter().filter(|kept| !kept.is_over(now));
            found.extend(kept.map(|kept| Arc::clone(&kept.message)));
            found.len() <= REPLAY_AT_ONCE
        });
        if !whole {
            return None;
        }
        // The tree knows no order of its own; the same broker must say the same twice.
        found.sort_unstable_by(|a: &Arc<Message>, b| a.topic().cmp(b.topic()));
        Some(found)
    }

    /// Goes on from a place in the store: messages that match `pattern` and were taken before `until`, in the order of
    /// their places. Looks at a bounded number of places.
    pub(crate) fn part(&self, pattern: &str, now: Moment, at: NodeId, until: u64) -> Part {
        let mut part = Part::default();
        let mut left = REPLAY_PLACES;
        for (looked, kept) in self.topics.contents(at).enumerate() {
            if left == 0 || part.found.len() == REPLAY_AT_ONCE {
                part.next = u32::try_from(looked).ok().and_then(|looked| at.checked_add(looked));
                return part;
            }
            let long =
                kept.as_ref().map_or(0, |kept| pattern.len().min(kept.message.topic().len()));
            left = left.saturating_sub(1 + long / STEP);
            let wanted = |kept: &&Kept| {
                kept.number <= until
                    && !kept.is_over(now)
                    && topic::matches(pattern, kept.message.topic())
            };
            part.found.extend(kept.as_ref().filter(wanted).map(|kept| Arc::clone(&kept.message)));
        }
        part
    }

    /// Forgets messages whose time is over.
    pub(crate) fn expire(&mut self, now: Moment) {
        let expired: Vec<Arc<Message>> = self
            .topics
            .contents(ROOT)
            .flatten()
            .filter(|kept| kept.is_over(now))
            .map(|kept| Arc::clone(&kept.message))
            .collect();
        for message in expired {
            self.clear(message.topic());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasmqtt_codec::{QoS, topic};

    use super::*;
    use crate::message::{Origin, Parts};

    const NOW: Moment = Moment(0);

    fn store(count: usize, bytes: usize) -> Retained {
        Retained::new(Bounds { count, bytes, expiry: 0 })
    }

    fn message(topic: &str, payload: &str, expires_at: Option<Moment>) -> Arc<Message> {
        let parts = Parts {
            topic,
            properties: Default::default(),
            payload: payload.as_bytes(),
            qos: QoS::AtMostOnce,
            retain: true,
            origin: Origin::Client,
            expires_at,
        };
        Arc::new(Message::new(parts, None))
    }

    fn topics(retained: &Retained, pattern: &str) -> Vec<String> {
        let found = retained.matches(pattern, Moment(0)).unwrap();
        let mut topics: Vec<String> = found.iter().map(|m| m.topic().to_owned()).collect();
        topics.sort();
        topics
    }

    #[test]
    fn a_later_message_replaces_and_an_empty_one_removes() {
        let mut retained = store(10, 1000);
        retained.set(NOW, &message("a/b", "1", None)).unwrap();
        retained.set(NOW, &message("a/b", "22", None)).unwrap();
        assert_eq!(retained.matches("a/b", NOW).unwrap()[0].payload(), b"22");
        assert_eq!((retained.len(), retained.bytes), (1, 5));
        retained.set(NOW, &message("a/b", "", None)).unwrap();
        assert!(retained.matches("#", NOW).unwrap().is_empty());
        assert_eq!((retained.len(), retained.bytes), (0, 0));
        assert_eq!(retained.topics.used(), 1);
    }

    #[test]
    fn a_full_store_refuses_new_topics_but_still_replaces_and_removes() {
        let mut retained = store(1, 1000);
        retained.set(NOW, &message("a", "1", None)).unwrap();
        assert_eq!(retained.set(NOW, &message("b", "1", None)), Err(StoreFull));
        retained.set(NOW, &message("a", "2", None)).unwrap();
        retained.set(NOW, &message("a", "", None)).unwrap();
        retained.set(NOW, &message("b", "1", None)).unwrap();
        let mut small = store(10, 4);
        assert_eq!(small.set(NOW, &message("abc", "de", None)), Err(StoreFull));
        assert_eq!(small.len(), 0);
    }

    #[test]
    fn long_topics_count_as_much_as_they_cost() {
        let mut retained = store(10, 2_000);
        // As long as topics are: nothing but their bytes.
        let usual = "/".repeat(LONG_TOPIC);
        retained.set(NOW, &message(&usual, "x", None)).unwrap();
        assert_eq!(retained.bytes, LONG_TOPIC + 1);
        let longer = "x".repeat(LONG_TOPIC + 10);
        retained.set(NOW, &message(&longer, "x", None)).unwrap();
        assert_eq!(retained.bytes, 2 * LONG_TOPIC + 12 + 10);
        let long = "/".repeat(1000);
        assert_eq!(retained.set(NOW, &message(&long, "x", None)), Err(StoreFull));
        retained.set(NOW, &message(&longer, "", None)).unwrap();
        assert_eq!((retained.len(), retained.bytes), (1, LONG_TOPIC + 1));
    }

    #[test]
    fn expired_messages_are_not_given_out_and_are_forgotten() {
        let mut retained = store(10, 1000);
        retained.set(NOW, &message("a", "1", Some(Moment(5)))).unwrap();
        assert_eq!(retained.matches("a", Moment(4)).unwrap().len(), 1);
        assert_eq!(retained.matches("a", Moment(5)).unwrap().len(), 0);
        retained.expire(Moment(5));
        assert_eq!(retained.len(), 0);
    }

    #[test]
    fn a_bound_on_the_time_in_the_store_counts_from_the_last_message_and_leaves_the_messages_own_life_alone()
     {
        let mut retained = Retained::new(Bounds { count: 10, bytes: 1000, expiry: 2 });
        retained.set(NOW, &message("a", "1", None)).unwrap();
        retained.set(Moment(1000), &message("a", "2", Some(Moment(9000)))).unwrap();
        retained.set(NOW, &message("b", "1", Some(Moment(1000)))).unwrap();
        assert_eq!(topics_at(&retained, Moment(1999)), ["a"]);
        assert_eq!(
            retained.matches("a", Moment(2999)).unwrap()[0].expires_at(),
            Some(Moment(9000))
        );
        assert_eq!(topics_at(&retained, Moment(3000)), [""; 0]);
        retained.expire(Moment(3000));
        assert_eq!((retained.len(), retained.topics.used()), (0, 1));
    }

    #[test]
    fn more_than_fit_at_once_are_read_part_by_part_without_what_came_later() {
        let mut retained = store(100_000, 10_000_000);
        let count = REPLAY_AT_ONCE * 3 + 7;
        for n in 0..count {
            retained.set(NOW, &message(&format!("t/{n}"), "old", None)).unwrap();
            retained.set(NOW, &message(&format!("u/{n}/x"), "old", None)).unwrap();
        }
        assert!(retained.matches("t/+", NOW).is_none());
        let until = retained.taken();
        retained.set(NOW, &message("t/1", "new", None)).unwrap();
        retained.set(NOW, &message("t/new", "new", None)).unwrap();
        retained.set(NOW, &message("t/2", "", None)).unwrap();
        let (mut found, mut at) = (Vec::new(), Some(ROOT));
        while let Some(place) = at {
            let part = retained.part("t/+", NOW, place, until);
            assert!(part.found.len() <= REPLAY_AT_ONCE);
            found.extend(part.found);
            at = part.next;
        }
        found.iter().for_each(|message| assert_eq!(message.payload(), b"old"));
        let topics: std::collections::BTreeSet<&str> =
            found.iter().map(|message| message.topic()).collect();
        assert_eq!((topics.len(), found.len()), (count - 2, count - 2));
        assert!(!topics.contains("t/1") && !topics.contains("t/2"));
    }

    #[test]
    fn one_part_looks_at_a_bounded_number_of_places() {
        let mut retained = store(100_000, 10_000_000);
        for n in 0..REPLAY_PLACES {
            retained.set(NOW, &message(&format!("other/{n}"), "x", None)).unwrap();
        }
        retained.set(NOW, &message("last", "x", None)).unwrap();
        let first = retained.part("last", NOW, ROOT, u64::MAX);
        assert!(first.found.is_empty());
        let second = retained.part("last", NOW, first.next.unwrap(), u64::MAX);
        assert_eq!((second.found.len(), second.next), (1, None));
    }

    fn topics_at(retained: &Retained, now: Moment) -> Vec<String> {
        let found = retained.matches("#", now).unwrap();
        found.iter().map(|message| message.topic().to_owned()).collect()
    }

    #[test]
    fn leading_wildcards_do_not_show_dollar_topics() {
        let mut retained = store(10, 1000);
        retained.set(NOW, &message("$SYS/x", "1", None)).unwrap();
        retained.set(NOW, &message("a/$x", "1", None)).unwrap();
        assert_eq!(topics(&retained, "#"), ["a/$x"]);
        assert_eq!(topics(&retained, "+/x"), Vec::<String>::new());
        assert_eq!(topics(&retained, "$SYS/#"), ["$SYS/x"]);
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_matching_one_by_one_finds(
            names in proptest::collection::btree_set("(\\$s|[ab]?)(/[ab]?){0,3}", 0..12),
            filter in "(\\$s|[ab+]?)(/[ab+]?){0,3}(/#)?|#",
        ) {
            let names: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
            let mut retained = store(100, 10_000);
            for name in &names { retained.set(NOW, &message(name, "x", None)).unwrap(); }
            let expected: Vec<String> =
                names.iter().filter(|name| topic::matches(&filter, name)).cloned().collect();
            prop_assert_eq!(topics(&retained, &filter), expected);
        }
    }
}
