//! Who is to be woken, once a worker is done with what it has read.

use std::task::Waker;

use super::Inner;

/// Owners that something was left for, in that order, with the numbers of their workers.
///
/// Woken at the first message of many, an owner on another worker would begin while the rest is still being pushed: both
/// would wait for each other's locks, and what could have been one write would be many. So a worker wakes when it has
/// routed all that it has read. An owner is in here once at most: its waker is taken out of its mailbox. Whoever is in
/// here when it is dropped is woken.
#[derive(Debug, Default)]
pub struct Wakes(Vec<(u32, Waker)>);

impl Wakes {
    pub(super) fn take_from(&mut self, mailbox: &mut Inner) {
        if let Some(waker) = mailbox.waker.take() {
            self.0.push((mailbox.lane, waker));
        }
    }

    /// Whether nobody is to be woken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all of them, with the numbers of their workers.
    pub fn drain(&mut self) -> impl Iterator<Item = (u32, Waker)> {
        self.0.drain(..)
    }

    /// Wakes all of them.
    pub fn wake(&mut self) {
        self.drain().for_each(|(_, waker)| waker.wake());
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        self.wake();
    }
}
