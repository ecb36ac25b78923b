//! The subscribers of one filter: mostly one, sometimes thousands.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Subscriber;

/// Subscribers by the key of their session. One takes no room of its own: a million clients with a filter each are what
/// brokers are for.
#[derive(Debug, Default)]
pub(super) enum Subscribers {
    #[default]
    None,
    One(Subscriber),
    #[expect(clippy::box_collection, reason = "a map of its own size would make every node larger")]
    Many(Box<HashMap<u64, Subscriber, RandomState>>),
}

impl Subscribers {
    /// Adds one or replaces that of the same session; true when it is new.
    pub(super) fn insert(&mut self, subscriber: Subscriber) -> bool {
        match self {
            Subscribers::One(known) if known.key == subscriber.key => {
                *known = subscriber;
                return false;
            }
            Subscribers::Many(known) => return known.insert(subscriber.key, subscriber).is_none(),
            Subscribers::None | Subscribers::One(_) => {}
        }
        *self = match std::mem::take(self) {
            Subscribers::One(known) => {
                let both = [known, subscriber].map(|one| (one.key, one));
                Subscribers::Many(Box::new(both.into_iter().collect()))
            }
            _ => Subscribers::One(subscriber),
        };
        true
    }

    /// Takes one away. False when there was none of this session.
    pub(super) fn remove(&mut self, key: u64) -> bool {
        match self {
            Subscribers::One(known) if known.key == key => *self = Subscribers::None,
            Subscribers::Many(known) => {
                let removed = known.remove(&key).is_some();
                // Not at one: somebody who comes and goes beside another would move both each time.
                if known.is_empty() {
                    *self = Subscribers::None;
                }
                return removed;
            }
            Subscribers::None | Subscribers::One(_) => return false,
        }
        true
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Subscriber> {
        let (one, many) = match self {
            Subscribers::None => (None, None),
            Subscribers::One(one) => (Some(one), None),
            Subscribers::Many(many) => (None, Some(many.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wasmqtt_codec::QoS;

    use super::*;
    use crate::limits::Queue;
    use crate::mailbox::Mailbox;
    use crate::subscription::SubscriptionOptions;

    fn subscriber(key: u64, qos: QoS) -> Subscriber {
        let options = SubscriptionOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        };
        Subscriber { key, mailbox: Arc::new(Mailbox::new("c".into(), Queue::default())), options }
    }

    fn keys(subscribers: &Subscribers) -> Vec<u64> {
        let mut keys: Vec<u64> = subscribers.iter().map(|one| one.key).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn one_and_many_are_added_replaced_and_taken_away() {
        let mut all = Subscribers::default();
        assert!(!all.remove(1));
        assert!(all.insert(subscriber(1, QoS::AtMostOnce)));
        assert!(!all.insert(subscriber(1, QoS::AtLeastOnce)));
        assert!(!all.remove(2));
        assert_eq!(all.iter().map(|one| one.options.qos).next(), Some(QoS::AtLeastOnce));
        assert!(all.insert(subscriber(2, QoS::AtMostOnce)));
        assert!(!all.insert(subscriber(2, QoS::ExactlyOnce)));
        assert!(all.insert(subscriber(3, QoS::AtMostOnce)));
        assert_eq!(keys(&all), [1, 2, 3]);
        assert!(all.remove(1) && all.remove(3) && !all.remove(3));
        assert_eq!(keys(&all), [2]);
        assert!(all.remove(2));
        assert!(matches!(all, Subscribers::None));
        assert!(all.insert(subscriber(4, QoS::AtMostOnce)));
        assert!(all.remove(4));
        assert!(matches!(all, Subscribers::None));
    }

    #[test]
    fn the_only_subscriber_takes_no_more_than_three_words() {
        assert_eq!(size_of::<Subscribers>(), 3 * size_of::<usize>());
    }
}
