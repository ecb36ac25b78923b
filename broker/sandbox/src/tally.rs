//! How often a plugin was called and what came of it: plain counters per worker, summed when somebody
//! looks. Must not know what is counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one worker; written by that worker alone.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    pub(crate) calls: Count,
    pub(crate) traps: Count,
    pub(crate) deadline_misses: Count,
    pub(crate) failures: Count,
    pub(crate) denied: Count,
    pub(crate) discarded: Count,
    pub(crate) events_lost: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds one. Of two writers at the same time one may be lost, which costs less than a lock on the
    /// road of every message and is no loss where each worker has its own.
    pub(crate) fn add(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Adds one, whoever else does.
    pub(crate) fn add_shared(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds so many, whoever else does.
    pub(crate) fn add_many_shared(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One [`Tally`] per worker, and a last one for all other threads.
#[derive(Debug)]
pub(crate) struct Tallies(Box<[Tally]>);

impl Tallies {
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..=workers).map(|_| Tally::default()).collect())
    }

    /// Of this worker, or of all others.
    pub(crate) fn of(&self, worker: usize) -> Option<&Tally> {
        self.0.get(worker).or_else(|| self.0.last())
    }

    pub(crate) fn sum(&self, count: impl Fn(&Tally) -> &Count) -> u64 {
        self.0.iter().fold(0, |sum, tally| sum.wrapping_add(count(tally).get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_count_apart_and_are_summed() {
        let tallies = Tallies::new(2);
        for worker in [0, 1, 1, 2, 9] {
            tallies.of(worker).unwrap().calls.add();
        }
        tallies.of(9).unwrap().calls.add_shared();
        assert_eq!(tallies.sum(|tally| &tally.calls), 6);
        assert_eq!(tallies.sum(|tally| &tally.traps), 0);
    }
}
