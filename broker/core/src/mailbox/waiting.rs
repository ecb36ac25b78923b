//! The order in which deliveries wait. Must not know owners or bounds.

use std::collections::VecDeque;

use super::Delivery;

/// What waits, in the order it came. Retained messages stand apart, so that the oldest published one is found
/// without a walk over them.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) live: VecDeque<(i64, Delivery)>,
    pub(super) stored: VecDeque<(i64, Delivery)>,
    /// The place of the first; what is given back goes before it.
    first: i64,
    /// The place behind the last.
    next: i64,
}

impl Waiting {
    fn side(&mut self, stored: bool) -> &mut VecDeque<(i64, Delivery)> {
        if stored { &mut self.stored } else { &mut self.live }
    }

    pub(super) fn push_back(&mut self, delivery: Delivery) {
        let place = self.next;
        self.next += 1;
        self.side(delivery.stored).push_back((place, delivery));
    }

    pub(super) fn push_front(&mut self, delivery: Delivery) {
        self.first -= 1;
        let place = self.first;
        self.side(delivery.stored).push_front((place, delivery));
    }

    fn is_stored_next(&self) -> bool {
        match (self.live.front(), self.stored.front()) {
            (Some((live, _)), Some((stored, _))) => stored < live,
            (live, _) => live.is_none(),
        }
    }

    pub(super) fn front(&self) -> Option<&Delivery> {
        let side = if self.is_stored_next() { &self.stored } else { &self.live };
        side.front().map(|(_, delivery)| delivery)
    }

    pub(super) fn pop_front(&mut self) -> Option<Delivery> {
        let stored = self.is_stored_next();
        self.side(stored).pop_front().map(|(_, delivery)| delivery)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Delivery) -> bool) {
        self.live.retain(|(_, delivery)| keep(delivery));
        self.stored.retain(|(_, delivery)| keep(delivery));
    }

    /// Gives memory back once a long queue is empty.
    pub(super) fn shrink(&mut self) {
        for side in [&mut self.live, &mut self.stored] {
            if side.is_empty() && side.capacity() > 1024 {
                *side = VecDeque::new();
            }
        }
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live.iter().map(|(_, delivery)| delivery.message.size() as u64).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.live.len() + self.stored.len()
    }

    /// Takes out what was published and is `wanted`; what remains stays in order.
    pub(super) fn take(&mut self, wanted: impl Fn(&Delivery) -> bool) -> Vec<Delivery> {
        let live = std::mem::take(&mut self.live);
        let (taken, kept): (VecDeque<_>, _) =
            live.into_iter().partition(|(_, delivery)| wanted(delivery));
        self.live = kept;
        taken.into_iter().map(|(_, delivery)| delivery).collect()
    }
}
