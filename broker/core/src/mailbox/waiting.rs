//! The order in which deliveries wait. Must not know owners or bounds.

use std::collections::VecDeque;

use super::{Delivery, Replay};
use crate::time::Moment;

/// Places that a queue keeps while it is empty, at most.
const LONG: usize = 1024;

/// What waits, in the order it came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) live: VecDeque<(i64, Delivery)>,
    /// Most mailboxes have none of it for most of their lives.
    rare: Option<Box<Rare>>,
    /// The place of the first; what is given back goes before it.
    first: i64,
    /// The place behind the last.
    next: i64,
}

/// Retained messages stand apart, so that the oldest published one is found without a walk over them; and so do those that
/// are still to be read from the store.
#[derive(Debug, Default)]
struct Rare {
    stored: VecDeque<(i64, Delivery)>,
    replays: VecDeque<(i64, Replay)>,
    /// From which place on messages came, and when the first of them did. Few: see [`Waiting::note`].
    marks: VecDeque<(i64, Moment)>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Front<'a> {
    Delivery(&'a Delivery),
    /// More retained messages, once they are read.
    Replay(&'a Replay),
}

impl Waiting {
    fn side(&mut self, stored: bool) -> &mut VecDeque<(i64, Delivery)> {
        if stored { &mut self.rare().stored } else { &mut self.live }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    pub(super) fn push_back(&mut self, delivery: Delivery) {
        let place = self.take_place();
        self.side(delivery.stored).push_back((place, delivery));
    }

    pub(super) fn push_front(&mut self, delivery: Delivery) {
        self.first -= 1;
        let place = self.first;
        self.side(delivery.stored).push_front((place, delivery));
    }

    pub(super) fn push_replay(&mut self, replay: Replay) {
        let place = self.take_place();
        self.rare().replays.push_back((place, replay));
    }

    /// Retained messages that wait.
    pub(super) fn stored(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.stored.len())
    }

    /// Those that are still to be read and are not `kept` are not read any more.
    pub(super) fn retain_replays(&mut self, mut keep: impl FnMut(&Replay) -> bool) {
        if let Some(rare) = &mut self.rare {
            rare.replays.retain(|(_, replay)| keep(replay));
        }
    }

    /// The replay that comes first goes on like this, or is done with.
    pub(super) fn go_on(&mut self, rest: Option<Replay>) {
        let Some(rare) = &mut self.rare else { return };
        match (rest, rare.replays.front_mut()) {
            (Some(rest), Some((_, replay))) => *replay = rest,
            _ => {
                rare.replays.pop_front();
            }
        }
    }

    fn take_place(&mut self) -> i64 {
        let place = self.next;
        self.next += 1;
        place
    }

    /// Puts what was read for the replay that comes next into its place, ahead of what is still to be read.
    pub(super) fn refill(&mut self, deliveries: Vec<Delivery>) {
        let Some(rare) = &mut self.rare else { return };
        let Some((place, _)) = rare.replays.front() else { return };
        for delivery in deliveries.into_iter().rev() {
            rare.stored.push_front((*place, delivery));
        }
    }

    fn is_stored_next(&self) -> bool {
        let stored = self.rare.as_ref().and_then(|rare| rare.stored.front());
        match (self.live.front(), stored) {
            (Some((live, _)), Some((stored, _))) => stored < live,
            (live, stored) => live.is_none() && stored.is_some(),
        }
    }

    #[inline]
    pub(super) fn front(&self) -> Option<Front<'_>> {
        match &self.rare {
            None => self.live.front().map(|(_, delivery)| Front::Delivery(delivery)),
            Some(rare) => self.front_of(rare),
        }
    }

    fn front_of<'a>(&'a self, rare: &'a Rare) -> Option<Front<'a>> {
        let live = self.live.front();
        let next = if self.is_stored_next() { rare.stored.front() } else { live };
        match (next, rare.replays.front()) {
            (Some((place, delivery)), Some((replay, _))) if place <= replay => {
                Some(Front::Delivery(delivery))
            }
            (_, Some((_, replay))) => Some(Front::Replay(replay)),
            (Some((_, delivery)), None) => Some(Front::Delivery(delivery)),
            (None, None) => None,
        }
    }

    /// Takes the delivery that comes next, if it is one.
    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Delivery> {
        if self.rare.is_none() {
            return self.live.pop_front().map(|(_, delivery)| delivery);
        }
        self.pop_rare()
    }

    fn pop_rare(&mut self) -> Option<Delivery> {
        if !matches!(self.front(), Some(Front::Delivery(_))) {
            return None;
        }
        let stored = self.is_stored_next();
        self.side(stored).pop_front().map(|(_, delivery)| delivery)
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Delivery) -> bool) {
        self.live.retain(|(_, delivery)| keep(delivery));
        if let Some(rare) = &mut self.rare {
            rare.stored.retain(|(_, delivery)| keep(delivery));
        }
    }

    /// Notes that a message comes now, where messages must not wait for ever. One note stands for an eighth of `age`, so
    /// there are never more than a dozen.
    pub(super) fn note(&mut self, now: Moment, age: u32) {
        let is_due = |(_, at): &(i64, Moment)| at.0 + step(age) <= now.0;
        let next = self.next;
        let marks = &mut self.rare().marks;
        if marks.back().is_none_or(is_due) {
            marks.push_back((next, now));
        }
    }

    /// Drops what has waited longer than `age` seconds; answers how many that were.
    pub(super) fn forget_old(&mut self, now: Moment, age: u32) -> usize {
        let is_over = |(_, at): &(i64, Moment)| at.0 + step(age) + millis(age) <= now.0;
        let mut end = None;
        let Some(Rare { marks, .. }) = self.rare.as_deref_mut() else { return 0 };
        while marks.front().is_some_and(is_over) {
            marks.pop_front();
            end = Some(marks.front().map_or(self.next, |(place, _)| *place));
        }
        let Some(end) = end else { return 0 };
        let before = self.live.len();
        while self.live.front().is_some_and(|(place, _)| *place < end) {
            self.live.pop_front();
        }
        before - self.live.len()
    }

    #[cfg(test)]
    pub(super) fn notes(&self) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.marks.len())
    }

    /// Gives memory back once a long queue is empty.
    pub(super) fn shrink(&mut self) {
        if self.live.is_empty() && self.live.capacity() > LONG {
            self.live = VecDeque::new();
        }
        let is_over = |rare: &Rare| {
            rare.stored.is_empty() && rare.replays.is_empty() && rare.marks.is_empty()
        };
        if self.rare.as_deref().is_some_and(is_over) {
            self.rare = None;
        }
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live.iter().map(|(_, delivery)| delivery.message.size() as u64).sum()
    }

    pub(super) fn len(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |rare| rare.stored.len() + rare.replays.len());
        self.live.len() + rare
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

fn millis(age: u32) -> u64 {
    u64::from(age) * 1000
}

fn step(age: u32) -> u64 {
    millis(age) / 8
}
