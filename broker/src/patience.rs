//! How many questions may block a thread at the same time. Questions that only compute share a few threads. Those that
//! may wait for somebody outside of the broker have many, and no listener can take them all: where one listener's web
//! service hangs, the clients of the others are asked about as before.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmqtt_core::client::ListenerId;

/// Questions that compute, at once.
const COMPUTING: usize = 16;
/// Questions that may wait for somebody else, at once: of all listeners, and of one.
const PATIENT: usize = 256;
const PATIENT_PER_LISTENER: usize = 64;
/// Packets of one listener that may wait for their turn: each holds its message, and what comes later would have to wait
/// for longer than anybody does.
const QUEUED_PER_LISTENER: usize = 8192;
/// Wills of one listener that may wait until there is a place for them: nobody can be told to send them again.
const BEHIND_PER_LISTENER: usize = 65_536;
/// Threads that never have to wait for each other: one for each of these, and some for loading plugins.
pub(crate) const THREADS: usize = COMPUTING + PATIENT + 4;
/// Places of all listeners.
#[derive(Clone)]
pub(crate) struct Patience(Arc<Places>);

struct Places {
    computing: Arc<Semaphore>,
    patient: Arc<Semaphore>,
    /// Of each listener that has asked, and of what comes through none.
    listeners: Mutex<HashMap<ListenerId, Place>>,
    /// Clients that wait for authenticators which compute.
    waiting: Arc<AtomicUsize>,
    /// How many of them may, and how many of each listener may wait for those that are patient.
    most: AtomicUsize,
}

#[derive(Clone)]
struct Place {
    patient: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    queued: Arc<Semaphore>,
    behind: Arc<AtomicUsize>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            patient: Arc::new(Semaphore::new(PATIENT_PER_LISTENER)),
            waiting: Arc::default(),
            queued: Arc::new(Semaphore::new(QUEUED_PER_LISTENER)),
            behind: Arc::default(),
        }
    }
}

/// The right to block one thread.
pub(crate) struct Turn {
    _all: Option<OwnedSemaphorePermit>,
    _of_listener: Option<OwnedSemaphorePermit>,
}

impl Patience {
    /// `most` clients may wait for an authenticator at once; beyond, they are told that the server is busy: waiting longer
    /// than a client's patience helps nobody.
    pub(crate) fn new(most: u32) -> Self {
        Self(Arc::new(Places {
            computing: Arc::new(Semaphore::new(COMPUTING)),
            patient: Arc::new(Semaphore::new(PATIENT)),
            listeners: Mutex::default(),
            waiting: Arc::default(),
            most: AtomicUsize::new(most as usize),
        }))
    }

    /// Changes the bound. Whoever waits goes on waiting.
    pub(crate) fn set_most(&self, most: u32) {
        self.0.most.store(most as usize, Ordering::Relaxed);
    }

    fn place(&self, listener: ListenerId) -> Place {
        self.0.listeners.lock().entry(listener).or_default().clone()
    }

    /// Waits until a question of this listener may block a thread; `patient`: it may wait for somebody outside of the
    /// broker. First come, first served.
    pub(crate) async fn turn(&self, listener: ListenerId, patient: bool) -> Turn {
        // They are never closed.
        if !patient {
            let all = Arc::clone(&self.0.computing).acquire_owned().await.ok();
            return Turn { _all: all, _of_listener: None };
        }
        let of_listener = self.place(listener).patient.acquire_owned().await.ok();
        let all = Arc::clone(&self.0.patient).acquire_owned().await.ok();
        Turn { _all: all, _of_listener: of_listener }
    }

    /// A place among the clients that wait for an authenticator; none when too many do already. `patient` as above:
    /// those of each listener are counted by themselves.
    pub(crate) fn enter(&self, listener: ListenerId, patient: bool) -> Option<Waiting> {
        let place = Waiting(match patient {
            true => self.place(listener).waiting,
            false => Arc::clone(&self.0.waiting),
        });
        let most = self.0.most.load(Ordering::Relaxed);
        (place.0.fetch_add(1, Ordering::Relaxed) < most).then_some(place)
    }

    /// A place among the packets of this listener that wait for a turn of a patient question; none when there are too many.
    pub(crate) fn queue(&self, listener: ListenerId) -> Option<Queued> {
        self.place(listener).queued.try_acquire_owned().ok().map(Queued)
    }

    /// The same, as soon as there is one; none when that takes longer than `most`, or too many wait already. First come,
    /// first served.
    pub(crate) async fn queue_within(
        &self,
        listener: ListenerId,
        most: Duration,
    ) -> Option<Queued> {
        if let Some(place) = self.queue(listener) {
            return Some(place);
        }
        let Place { queued, behind, .. } = self.place(listener);
        let behind = Waiting(behind);
        if behind.0.fetch_add(1, Ordering::Relaxed) >= BEHIND_PER_LISTENER {
            return None;
        }
        let place = tokio::time::timeout(most, queued.acquire_owned()).await;
        drop(behind);
        place.ok()?.ok().map(Queued)
    }
}

/// A place among the packets that wait for their turn.
pub(crate) struct Queued(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// A place among those that wait.
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is there at once.
    async fn at_once(turn: impl Future<Output = Turn>) -> Option<Turn> {
        tokio::select! { biased; turn = turn => Some(turn), () = std::future::ready(()) => None }
    }

    #[tokio::test]
    async fn a_listener_whose_questions_hang_takes_no_place_of_another_nor_of_those_that_compute() {
        let patience = Patience::new(1);
        let mut turns = Vec::new();
        for _ in 0..PATIENT_PER_LISTENER {
            turns.push(at_once(patience.turn(ListenerId(0), true)).await.unwrap());
        }
        assert!(at_once(patience.turn(ListenerId(0), true)).await.is_none());
        for listener in [ListenerId(1), ListenerId::INTERNAL] {
            assert!(at_once(patience.turn(listener, true)).await.is_some(), "{listener:?}");
        }
        for _ in 0..COMPUTING {
            turns.push(at_once(patience.turn(ListenerId(0), false)).await.unwrap());
        }
        assert!(at_once(patience.turn(ListenerId(1), false)).await.is_none());
        turns.clear();
        assert!(at_once(patience.turn(ListenerId(0), true)).await.is_some());
        assert!(at_once(patience.turn(ListenerId(0), false)).await.is_some());
    }

    #[test]
    fn packets_that_wait_are_bounded_by_listener() {
        let patience = Patience::new(1);
        let (one, other) = (ListenerId(0), ListenerId(1));
        let mut queued: Vec<_> =
            (0..QUEUED_PER_LISTENER).map(|_| patience.queue(one).unwrap()).collect();
        assert!(patience.queue(one).is_none());
        assert!(patience.queue(one).is_none(), "who was turned away takes no place");
        assert!(patience.queue(other).is_some() && patience.queue(ListenerId::INTERNAL).is_some());
        queued.pop();
        queued.extend(patience.queue(one));
        assert_eq!(queued.len(), QUEUED_PER_LISTENER);
        assert!(patience.queue(one).is_none());
        drop(queued);
        assert!(patience.queue(one).is_some());
    }

    #[tokio::test]
    async fn a_will_waits_for_a_place_but_not_for_ever_and_not_with_too_many_others() {
        let (patience, one) = (Patience::new(1), ListenerId(0));
        let mut queued: Vec<_> =
            (0..QUEUED_PER_LISTENER).map(|_| patience.queue(one).unwrap()).collect();
        let soon = Duration::from_millis(1);
        assert!(patience.queue_within(one, soon).await.is_none());
        let late = Duration::from_secs(3600);
        let waiting = tokio::spawn({
            let patience = patience.clone();
            async move { patience.queue_within(one, late).await }
        });
        while patience.place(one).behind.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        queued.pop();
        assert!(patience.queue(one).is_none(), "it is another's");
        queued.extend(waiting.await.unwrap());
        assert_eq!(queued.len(), QUEUED_PER_LISTENER);
        let behind = patience.place(one).behind;
        assert_eq!(behind.swap(BEHIND_PER_LISTENER, Ordering::Relaxed), 0);
        assert!(patience.queue_within(one, late).await.is_none());
        assert_eq!(behind.load(Ordering::Relaxed), BEHIND_PER_LISTENER, "it takes no place");
    }

    #[test]
    fn clients_that_wait_for_a_web_service_take_no_place_of_others() {
        let patience = Patience::new(3);
        let (one, other) = (ListenerId(0), ListenerId(1));
        let waiting: Vec<_> = (0..3).map(|_| patience.enter(one, true).unwrap()).collect();
        assert!(patience.enter(one, true).is_none());
        assert!(patience.enter(other, true).is_some());
        let computing: Vec<_> = (0..3).map(|_| patience.enter(other, false).unwrap()).collect();
        assert!(patience.enter(one, false).is_none(), "of the whole broker");
        patience.set_most(4);
        assert!(patience.enter(one, true).is_some() && patience.enter(one, false).is_some());
        patience.set_most(3);
        drop((waiting, computing));
        assert!(patience.enter(one, true).is_some() && patience.enter(one, false).is_some());
    }
}
