//! A bounded number of instances, each used by one call at a time: for questions that are asked from
//! any thread. Must not know what is asked, nor how an instance is made.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// The instances of one plugin that are not a worker's own.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    max: usize,
    state: Mutex<State<T>>,
    freed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    idle: Vec<T>,
    /// Idle, lent, or about to be made by who was lent an empty place.
    places: usize,
}

/// One place of the pool. Empty where an instance is still to be made or was lost; given back when
/// dropped, and free for a fresh instance if it is empty then.
#[derive(Debug)]
pub(crate) struct Lease<'a, T> {
    pool: &'a Pool<T>,
    pub(crate) slot: Option<T>,
}

impl<T> Pool<T> {
    /// At most `max` instances, one at least.
    pub(crate) fn new(max: usize) -> Self {
        let state = State { idle: Vec::new(), places: 0 };
        Self { max: max.max(1), state: Mutex::new(state), freed: Condvar::new() }
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Takes an idle instance or an empty place, and waits for one until `until`.
    pub(crate) fn lease(&self, until: Instant) -> Option<Lease<'_, T>> {
        let mut state = self.state.lock();
        let mut over = false;
        loop {
            if let Some(instance) = state.idle.pop() {
                return Some(Lease { pool: self, slot: Some(instance) });
            }
            if state.places < self.max {
                state.places += 1;
                return Some(Lease { pool: self, slot: None });
            }
            if over {
                return None;
            }
            over = self.freed.wait_until(&mut state, until).timed_out();
        }
    }

    /// Adds an instance where there is a place for it.
    pub(crate) fn add(&self, instance: T) {
        let mut state = self.state.lock();
        if state.places < self.max {
            state.places += 1;
            state.idle.push(instance);
        }
    }
}

impl<T> Drop for Lease<'_, T> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock();
        match self.slot.take() {
            Some(instance) => state.idle.push(instance),
            None => state.places -= 1,
        }
        drop(state);
        self.pool.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn no_more_than_the_bound_are_out_and_the_wait_for_one_ends() {
        let pool = Pool::new(2);
        pool.add('a');
        let first = pool.lease(soon()).unwrap();
        assert_eq!(first.slot, Some('a'));
        let second = pool.lease(soon()).unwrap();
        assert_eq!(second.slot, None, "an empty place to fill");
        assert!(pool.lease(soon()).is_none());
        drop(first);
        assert_eq!(pool.lease(soon()).unwrap().slot, Some('a'));
    }

    #[test]
    fn what_was_made_in_a_lease_is_kept_and_what_was_lost_makes_room() {
        let pool = Pool::new(1);
        pool.lease(soon()).unwrap().slot = Some(1);
        let mut lease = pool.lease(soon()).unwrap();
        assert_eq!(lease.slot.take(), Some(1));
        drop(lease);
        assert_eq!(pool.lease(soon()).unwrap().slot, None);
    }

    #[test]
    fn who_waits_is_served_when_an_instance_comes_back() {
        let pool = Pool::new(1);
        pool.add(7);
        let lease = pool.lease(soon()).unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pool.lease(until).and_then(|mut lease| lease.slot.take()));
            std::thread::sleep(Duration::from_millis(20));
            drop(lease);
            assert_eq!(waiting.join().unwrap(), Some(7));
        });
    }

    #[test]
    fn instances_beyond_the_bound_are_not_kept() {
        let pool = Pool::new(1);
        pool.add(1);
        pool.add(2);
        let lease = pool.lease(soon()).unwrap();
        assert_eq!(lease.slot, Some(1));
        assert!(pool.lease(soon()).is_none());
    }
}
