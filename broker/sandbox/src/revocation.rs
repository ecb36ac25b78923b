//! Revocations on their way from plugins to where they matter: each worker's memory of decisions, and whoever has the
//! sessions. Bounded: a flood is merged into fewer revocations that are about more clients, and none is lost. Must not
//! know plugins or sessions.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::Subject;

/// Revocations that a worker may be behind; beyond, it forgets every decision.
const RECENT: usize = 64;
/// Subjects that wait for whoever has the sessions, and bytes of their names; beyond either, it is everyone.
const WAITING: usize = 1024;
const WAITING_BYTES: usize = 1 << 20;
/// No client identifier or name is longer, in bytes.
const NAME_MAX: usize = 65_535;

/// Closes the connection of a client with a code and a sentence; false when it has none.
type Dismiss = dyn Fn(&str, ReasonCode, &str) -> bool + Send + Sync;

/// What plugins revoked.
#[derive(Default)]
pub(crate) struct Revocations {
    /// How many there were; what workers compare. Written after `recent`.
    count: AtomicU64,
    recent: Mutex<VecDeque<Subject>>,
    waiting: Mutex<Waiting>,
    dismiss: OnceLock<Box<Dismiss>>,
}

#[derive(Default)]
struct Waiting {
    subjects: HashSet<Subject>,
    bytes: usize,
    waker: Option<Waker>,
}

/// What a worker missed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// These, the oldest first.
    Subjects(Vec<Subject>),
    /// More than are kept.
    TooMany,
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Revocations {
    /// Revokes the rights of these clients.
    pub(crate) fn revoke(&self, subject: Subject) {
        if let Subject::ClientId(name) | Subject::Username(name) = &subject
            && name.len() > NAME_MAX
        {
            return;
        }
        let mut recent = self.recent.lock();
        if recent.len() == RECENT {
            recent.pop_front();
        }
        recent.push_back(subject.clone());
        self.count.fetch_add(1, Ordering::Release);
        drop(recent);
        // Workers have to forget before sessions are judged again.
        let mut waiting = self.waiting.lock();
        waiting.add(subject);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many there were.
    #[inline]
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// What came after the first `seen`, and how many there are now.
    pub(crate) fn since(&self, seen: u64) -> (u64, Missed) {
        let recent = self.recent.lock();
        let count = self.count();
        let missed = usize::try_from(count.saturating_sub(seen)).unwrap_or(usize::MAX);
        let missed = match recent.len().checked_sub(missed) {
            Some(known) => Missed::Subjects(recent.iter().skip(known).cloned().collect()),
            None => Missed::TooMany,
        };
        (count, missed)
    }

    /// Ready with what waits for whoever has the sessions, once something does. For one caller.
    pub(crate) fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<Vec<Subject>> {
        let mut waiting = self.waiting.lock();
        if waiting.subjects.is_empty() {
            waiting.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        waiting.bytes = 0;
        Poll::Ready(waiting.subjects.drain().collect())
    }

    /// Says who closes connections; the first stands.
    pub(crate) fn dismiss_with(&self, dismiss: Box<Dismiss>) {
        let _ = self.dismiss.set(dismiss);
    }

    /// Closes the connection of a client; false when it has none.
    pub(crate) fn dismiss(&self, client_id: &str, code: ReasonCode, why: &str) -> bool {
        self.dismiss.get().is_some_and(|dismiss| dismiss(client_id, code, why))
    }
}

impl Waiting {
    fn add(&mut self, subject: Subject) {
        if self.subjects.contains(&Subject::Everyone) || self.subjects.contains(&subject) {
            return;
        }
        self.bytes += match &subject {
            Subject::Everyone => usize::MAX - self.bytes,
            Subject::ClientId(name) | Subject::Username(name) => name.len(),
        };
        if self.subjects.len() >= WAITING || self.bytes > WAITING_BYTES {
            self.subjects.clear();
            self.subjects.insert(Subject::Everyone);
        } else {
            self.subjects.insert(subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: usize) -> Subject {
        Subject::ClientId(number.to_string().into())
    }

    fn take(revocations: &Revocations) -> Vec<Subject> {
        let mut cx = Context::from_waker(Waker::noop());
        match revocations.poll_waiting(&mut cx) {
            Poll::Ready(mut subjects) => {
                subjects.sort_by_key(|subject| format!("{subject:?}"));
                subjects
            }
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn a_worker_learns_what_it_missed_and_one_that_is_far_behind_that_it_was_too_much() {
        let revocations = Revocations::default();
        assert_eq!(revocations.since(0), (0, Missed::Subjects(Vec::new())));
        for number in 0..RECENT {
            revocations.revoke(client(number));
        }
        let (count, missed) = revocations.since(RECENT as u64 - 2);
        assert_eq!(count, RECENT as u64);
        assert_eq!(missed, Missed::Subjects(vec![client(RECENT - 2), client(RECENT - 1)]));
        let all = (0..RECENT).map(client).collect();
        assert_eq!(revocations.since(0).1, Missed::Subjects(all));
        revocations.revoke(client(0));
        assert_eq!(revocations.since(0).1, Missed::TooMany);
        assert!(matches!(revocations.since(1).1, Missed::Subjects(all) if all.len() == RECENT));
    }

    #[test]
    fn the_same_subject_waits_once_and_is_taken_once() {
        let revocations = Revocations::default();
        for _ in 0..10 {
            revocations.revoke(client(1));
            revocations.revoke(Subject::Username("1".into()));
        }
        assert_eq!(take(&revocations), [client(1), Subject::Username("1".into())]);
        assert_eq!(take(&revocations), []);
    }

    #[test]
    fn a_flood_becomes_a_revocation_of_everyone() {
        let revocations = Revocations::default();
        for number in 0..WAITING {
            revocations.revoke(client(number));
        }
        assert_eq!(take(&revocations).len(), WAITING);
        for number in 0..=WAITING + 1 {
            revocations.revoke(client(number));
        }
        assert_eq!(take(&revocations), [Subject::Everyone]);
        let long = "x".repeat(NAME_MAX - 10);
        for number in 0..20 {
            revocations.revoke(Subject::Username(format!("{number}{long}").into()));
        }
        assert_eq!(take(&revocations), [Subject::Everyone]);
        revocations.revoke(client(1));
        revocations.revoke(Subject::Everyone);
        revocations.revoke(client(2));
        assert_eq!(take(&revocations), [Subject::Everyone]);
        revocations.revoke(client(3));
        assert_eq!(take(&revocations), [client(3)], "and is over with it");
    }

    #[test]
    fn a_name_that_no_client_can_have_is_nobodys() {
        let revocations = Revocations::default();
        revocations.revoke(Subject::ClientId("x".repeat(NAME_MAX + 1).into()));
        assert_eq!(take(&revocations), []);
        assert_eq!(revocations.count(), 0);
    }

    #[test]
    fn whoever_waits_is_woken() {
        let revocations = Revocations::default();
        let flag = std::sync::Arc::new(Flag::default());
        let waker = Waker::from(std::sync::Arc::clone(&flag));
        assert!(revocations.poll_waiting(&mut Context::from_waker(&waker)).is_pending());
        revocations.revoke(Subject::Everyone);
        assert!(flag.0.load(Ordering::Relaxed));
    }

    #[derive(Default)]
    struct Flag(std::sync::atomic::AtomicBool);

    impl std::task::Wake for Flag {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
