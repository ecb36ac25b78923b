//! The subscriptions of one session: mostly a few, sometimes a million.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::subscription::SubscriptionOptions;

/// As many as lie side by side. Looking through them is as fast as a tree, and takes a tenth of its room for the one
/// subscription that most clients have.
const FEW: usize = 16;

/// Options by filter as the client wrote it, `$share` included.
#[derive(Debug)]
pub struct Subscriptions(Held);

#[derive(Debug)]
enum Held {
    /// In the order of filters.
    Few(Vec<(Arc<str>, SubscriptionOptions)>),
    Many(BTreeMap<Arc<str>, SubscriptionOptions>),
}

impl Default for Subscriptions {
    fn default() -> Self {
        Self(Held::Few(Vec::new()))
    }
}

impl Subscriptions {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Few(few) => few.len(),
            Held::Many(many) => many.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// That of this filter.
    pub fn get(&self, filter: &str) -> Option<&SubscriptionOptions> {
        match &self.0 {
            Held::Few(few) => few.get(place(few, filter).ok()?).map(|(_, options)| options),
            Held::Many(many) => many.get(filter),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut SubscriptionOptions> {
        match &mut self.0 {
            Held::Few(few) => {
                let at = place(few, filter).ok()?;
                few.get_mut(at).map(|(_, options)| options)
            }
            Held::Many(many) => many.get_mut(filter),
        }
    }

    /// Adds one, or replaces that of the same filter [MQTT-3.8.4-3].
    pub fn insert(&mut self, filter: &str, options: SubscriptionOptions) {
        if let Some(known) = self.get_mut(filter) {
            *known = options;
            return;
        }
        match &mut self.0 {
            Held::Few(few) if few.len() < FEW => {
                let (Ok(at) | Err(at)) = place(few, filter);
                // One at a time: most clients have one, and never another.
                few.reserve_exact(1);
                few.insert(at, (filter.into(), options));
            }
            Held::Few(few) => {
                let mut many: BTreeMap<_, _> = std::mem::take(few).into_iter().collect();
                many.insert(filter.into(), options);
                self.0 = Held::Many(many);
            }
            Held::Many(many) => {
                many.insert(filter.into(), options);
            }
        }
    }

    /// Takes one away. False when there was none.
    pub fn remove(&mut self, filter: &str) -> bool {
        match &mut self.0 {
            Held::Few(few) => match place(few, filter) {
                Ok(at) => {
                    few.remove(at);
                    true
                }
                Err(_) => false,
            },
            Held::Many(many) => {
                let removed = many.remove(filter).is_some();
                if many.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }

    /// All of them, in the order of filters.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SubscriptionOptions)> {
        self.shared().map(|(filter, options)| (&**filter, options))
    }

    /// The same, each filter to be kept.
    pub fn shared(&self) -> impl Iterator<Item = (&Arc<str>, &SubscriptionOptions)> {
        let (few, many) = match &self.0 {
            Held::Few(few) => (Some(few), None),
            Held::Many(many) => (None, Some(many)),
        };
        let few = few.into_iter().flatten().map(|(filter, options)| (filter, options));
        few.chain(many.into_iter().flatten())
    }

    /// All filters, in order.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(filter, _)| filter)
    }
}

fn place(few: &[(Arc<str>, SubscriptionOptions)], filter: &str) -> Result<usize, usize> {
    few.binary_search_by(|(known, _)| (**known).cmp(filter))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;
    use wasmqtt_codec::QoS;

    use super::*;

    fn options(identifier: u32) -> SubscriptionOptions {
        SubscriptionOptions {
            qos: QoS::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            identifier: NonZeroU32::new(identifier),
        }
    }

    proptest! {
        #[test]
        fn few_and_many_subscriptions_are_what_a_map_of_them_is(
            steps in proptest::collection::vec((any::<bool>(), 0..40u32, 1..9u32), 0..200),
        ) {
            let (mut all, mut map) = (Subscriptions::default(), BTreeMap::<Box<str>, _>::new());
            for (adds, filter, identifier) in steps {
                let filter = format!("f/{filter}");
                if adds {
                    all.insert(&filter, options(identifier));
                    map.insert(filter.as_str().into(), options(identifier));
                } else {
                    prop_assert_eq!(all.remove(&filter), map.remove(filter.as_str()).is_some());
                }
                prop_assert_eq!(all.len(), map.len());
                prop_assert_eq!(all.is_empty(), map.is_empty());
                prop_assert_eq!(all.get(&filter), map.get(filter.as_str()));
                prop_assert!(all.iter().eq(map.iter().map(|(filter, options)| (&**filter, options))));
            }
        }
    }

    #[test]
    fn one_subscription_takes_room_for_one() {
        let mut all = Subscriptions::default();
        all.insert("a", options(1));
        assert!(matches!(&all.0, Held::Few(few) if few.capacity() == 1));
    }
}
