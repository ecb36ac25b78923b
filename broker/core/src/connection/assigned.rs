//! Topic aliases that the broker assigns toward a client; they live as long as the connection [MQTT-3.3.2-7].
//!
//! An alias is known to the client only once the packet that introduces it has been written, so looking one up and
//! taking one are two steps. When all are taken, one that has not been used for a while is taken over.

use std::collections::HashMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use foldhash::fast::RandomState;

/// Aliases by topic, at most as many as the client allows and the broker cares to remember.
#[derive(Debug)]
pub(crate) struct Assigned {
    by_topic: HashMap<Arc<[u8]>, NonZeroU16, RandomState>,
    slots: Vec<Slot>,
    most: usize,
    /// Where the search for an unused alias goes on.
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    topic: Arc<[u8]>,
    /// Used since the hand came by.
    used: bool,
}

/// How a topic is written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// The client knows this alias: no topic needed.
    Known(NonZeroU16),
    /// Topic and alias; then [`Assigned::introduce`].
    New(NonZeroU16),
}

impl Assigned {
    /// At most `most` aliases; none when it is zero.
    pub(crate) fn new(most: u16) -> Option<Self> {
        let most = usize::from(most);
        (most > 0).then(|| Self { by_topic: HashMap::default(), slots: Vec::new(), most, hand: 0 })
    }

    /// How `topic` is to be written; none without an alias.
    pub(crate) fn form(&mut self, topic: &[u8]) -> Option<Form> {
        if let Some(alias) = self.by_topic.get(topic) {
            if let Some(slot) = self.slots.get_mut(usize::from(alias.get()) - 1) {
                slot.used = true;
            }
            return Some(Form::Known(*alias));
        }
        let at = if self.slots.len() < self.most { self.slots.len() } else { self.unused() };
        u16::try_from(at + 1).ok().and_then(NonZeroU16::new).map(Form::New)
    }

    /// The packet that introduces `alias` for `topic` was written.
    pub(crate) fn introduce(&mut self, alias: NonZeroU16, topic: &[u8]) {
        let topic: Arc<[u8]> = topic.into();
        let slot = Slot { topic: Arc::clone(&topic), used: true };
        match self.slots.get_mut(usize::from(alias.get()) - 1) {
            Some(taken) => {
                let before = std::mem::replace(taken, slot);
                self.by_topic.remove(&before.topic);
            }
            None => self.slots.push(slot),
        }
        self.by_topic.insert(topic, alias);
    }

    /// The next slot that was not used since the hand last came by. Goes round at most twice.
    fn unused(&mut self) -> usize {
        loop {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.slots.len().max(1);
            match self.slots.get_mut(at) {
                Some(slot) if slot.used => slot.used = false,
                _ => return at,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(n: u16) -> NonZeroU16 {
        NonZeroU16::new(n).unwrap()
    }

    fn use_topic(assigned: &mut Assigned, topic: &str) -> Form {
        let form = assigned.form(topic.as_bytes()).unwrap();
        if let Form::New(alias) = form {
            assigned.introduce(alias, topic.as_bytes());
        }
        form
    }

    #[test]
    fn the_first_use_introduces_and_the_next_ones_need_no_topic() {
        let mut assigned = Assigned::new(2).unwrap();
        assert_eq!(use_topic(&mut assigned, "a"), Form::New(alias(1)));
        assert_eq!(use_topic(&mut assigned, "b"), Form::New(alias(2)));
        assert_eq!(use_topic(&mut assigned, "a"), Form::Known(alias(1)));
    }

    #[test]
    fn an_alias_whose_packet_was_not_written_is_not_known() {
        let mut assigned = Assigned::new(1).unwrap();
        assert_eq!(assigned.form(b"a"), Some(Form::New(alias(1))));
        assert_eq!(assigned.form(b"a"), Some(Form::New(alias(1))));
        assert_eq!(assigned.form(b"b"), Some(Form::New(alias(1))));
    }

    #[test]
    fn a_full_table_takes_over_what_was_not_used_and_never_grows() {
        let mut assigned = Assigned::new(2).unwrap();
        use_topic(&mut assigned, "a");
        use_topic(&mut assigned, "b");
        assert_eq!(use_topic(&mut assigned, "c"), Form::New(alias(1)));
        assert_eq!(use_topic(&mut assigned, "c"), Form::Known(alias(1)));
        assert_eq!(use_topic(&mut assigned, "d"), Form::New(alias(2)));
        assert_eq!(use_topic(&mut assigned, "a"), Form::New(alias(1)));
        assert_eq!((assigned.slots.len(), assigned.by_topic.len()), (2, 2));
    }

    #[test]
    fn a_client_that_allows_none_gets_none() {
        assert!(Assigned::new(0).is_none());
    }
}
