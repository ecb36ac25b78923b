//! The last message of each topic, for whoever subscribes later.

use std::sync::Arc;

use wasmqtt_codec::topic::levels;

use crate::levels::{Content, Levels, ROOT};
use crate::limits::{DEEP_TOPIC, TOPIC_LEVEL};
use crate::message::Message;
use crate::time::Moment;

impl Content for Option<Arc<Message>> {
    fn is_bare(&self) -> bool {
        self.is_none()
    }
}

/// Retained messages as a tree of topic levels; bounded in number and in bytes.
#[derive(Debug)]
pub(crate) struct Retained {
    topics: Levels<Option<Arc<Message>>>,
    count: usize,
    bytes: usize,
    max_count: usize,
    max_bytes: usize,
}

/// The store is full; the message is not kept.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoreFull;

/// What a message counts in bytes. A topic that is deeper than topics are costs far more than it is long.
fn cost(message: &Message) -> usize {
    let deeper = levels(message.topic()).count().saturating_sub(DEEP_TOPIC);
    message.size() + deeper * TOPIC_LEVEL
}

impl Retained {
    pub(crate) fn new(max_count: usize, max_bytes: usize) -> Self {
        Self { topics: Levels::default(), count: 0, bytes: 0, max_count, max_bytes }
    }

    pub(crate) fn set_bounds(&mut self, max_count: usize, max_bytes: usize) {
        (self.max_count, self.max_bytes) = (max_count, max_bytes);
    }

    /// Keeps `message` in place of the one before [MQTT-3.3.1-5]; an empty payload only takes that one away
    /// [MQTT-3.3.1-6], [MQTT-3.3.1-7].
    pub(crate) fn set(&mut self, message: &Arc<Message>) -> Result<(), StoreFull> {
        if message.payload().is_empty() {
            self.clear(message.topic());
            return Ok(());
        }
        let known = self.topics.find(message.topic());
        let before = known
            .and_then(|id| self.topics.get(id)?.content.as_ref())
            .map_or((0, 0), |old| (1, cost(old)));
        let count = self.count - before.0 + 1;
        let bytes = self.bytes - before.1 + cost(message);
        if count > self.max_count || bytes > self.max_bytes {
            return Err(StoreFull);
        }
        let id = known.or_else(|| self.topics.make(message.topic())).ok_or(StoreFull)?;
        if let Some(kept) = self.topics.content_mut(id) {
            *kept = Some(Arc::clone(message));
            (self.count, self.bytes) = (count, bytes);
        }
        Ok(())
    }

    fn clear(&mut self, topic: &str) {
        let Some(id) = self.topics.find(topic) else { return };
        if let Some(message) = self.topics.content_mut(id).and_then(Option::take) {
            self.count -= 1;
            self.bytes -= cost(&message);
        }
        self.topics.prune(id);
    }

    /// Every message whose topic matches `pattern` and whose time is not over.
    pub(crate) fn matches(&self, pattern: &str, now: Moment) -> Vec<Arc<Message>> {
        let names: Vec<&str> = levels(pattern).collect();
        let mut found = Vec::new();
        let mut pending = vec![(ROOT, 0usize)];
        while let Some((id, depth)) = pending.pop() {
            let Some(node) = self.topics.get(id) else { continue };
            // A leading wildcard does not match a topic that begins with `$` [MQTT-4.7.2-1].
            let visible = |name: &str| id != ROOT || !name.starts_with('$');
            let keep = node.content.iter().filter(|message| !message.is_expired(now)).cloned();
            match names.get(depth) {
                None => found.extend(keep),
                Some(&"#") => {
                    found.extend(keep);
                    // Stay at `#`: everything below matches too.
                    let below = node.children().filter(|(name, _)| visible(name));
                    pending.extend(below.map(|(_, child)| (child, depth)));
                }
                Some(&"+") => {
                    let below = node.children().filter(|(name, _)| visible(name));
                    pending.extend(below.map(|(_, child)| (child, depth + 1)));
                }
                Some(name) => pending.extend(node.child(name).map(|child| (child, depth + 1))),
            }
        }
        found
    }

    /// Forgets messages whose time is over.
    pub(crate) fn expire(&mut self, now: Moment) {
        let expired: Vec<Arc<Message>> = self
            .topics
            .contents()
            .flatten()
            .filter(|message| message.is_expired(now))
            .cloned()
            .collect();
        for message in expired {
            self.clear(message.topic());
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wasmqtt_codec::{QoS, topic};

    use super::*;
    use crate::message::{Origin, Parts};

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
        let found = retained.matches(pattern, Moment(0));
        let mut topics: Vec<String> = found.iter().map(|m| m.topic().to_owned()).collect();
        topics.sort();
        topics
    }

    #[test]
    fn a_later_message_replaces_and_an_empty_one_removes() {
        let mut retained = Retained::new(10, 1000);
        retained.set(&message("a/b", "1", None)).unwrap();
        retained.set(&message("a/b", "22", None)).unwrap();
        assert_eq!(retained.matches("a/b", Moment(0))[0].payload(), b"22");
        assert_eq!((retained.len(), retained.bytes), (1, 5));
        retained.set(&message("a/b", "", None)).unwrap();
        assert!(retained.matches("#", Moment(0)).is_empty());
        assert_eq!((retained.len(), retained.bytes), (0, 0));
        assert_eq!(retained.topics.used(), 1);
    }

    #[test]
    fn a_full_store_refuses_new_topics_but_still_replaces_and_removes() {
        let mut retained = Retained::new(1, 1000);
        retained.set(&message("a", "1", None)).unwrap();
        assert_eq!(retained.set(&message("b", "1", None)), Err(StoreFull));
        retained.set(&message("a", "2", None)).unwrap();
        retained.set(&message("a", "", None)).unwrap();
        retained.set(&message("b", "1", None)).unwrap();
        let mut small = Retained::new(10, 4);
        assert_eq!(small.set(&message("abc", "de", None)), Err(StoreFull));
        assert_eq!(small.len(), 0);
    }

    #[test]
    fn deep_topics_count_as_much_as_they_cost() {
        let mut retained = Retained::new(10, 2_000);
        // As deep as topics are: nothing but their bytes.
        retained.set(&message("1/2/3/4/5/6/7/8", "x", None)).unwrap();
        assert_eq!(retained.bytes, 16);
        retained.set(&message("1/2/3/4/5/6/7/8/9/10", "x", None)).unwrap();
        assert_eq!(retained.bytes, 16 + 21 + 2 * TOPIC_LEVEL);
        let deep = "/".repeat(20);
        assert_eq!(retained.set(&message(&deep, "x", None)), Err(StoreFull));
        retained.set(&message("1/2/3/4/5/6/7/8/9/10", "", None)).unwrap();
        assert_eq!((retained.len(), retained.bytes), (1, 16));
    }

    #[test]
    fn expired_messages_are_not_given_out_and_are_forgotten() {
        let mut retained = Retained::new(10, 1000);
        retained.set(&message("a", "1", Some(Moment(5)))).unwrap();
        assert_eq!(retained.matches("a", Moment(4)).len(), 1);
        assert_eq!(retained.matches("a", Moment(5)).len(), 0);
        retained.expire(Moment(5));
        assert_eq!(retained.len(), 0);
    }

    #[test]
    fn leading_wildcards_do_not_show_dollar_topics() {
        let mut retained = Retained::new(10, 1000);
        retained.set(&message("$SYS/x", "1", None)).unwrap();
        retained.set(&message("a/$x", "1", None)).unwrap();
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
            let mut retained = Retained::new(100, 10_000);
            for name in &names { retained.set(&message(name, "x", None)).unwrap(); }
            let expected: Vec<String> =
                names.iter().filter(|name| topic::matches(&filter, name)).cloned().collect();
            prop_assert_eq!(topics(&retained, &filter), expected);
        }
    }
}
