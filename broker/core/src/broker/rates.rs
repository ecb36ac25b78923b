//! How fast clients publish, beyond their connections: by client identifier and name, for as long as it matters. Must not
//! know what is counted.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::connection::Pace;
use crate::limits::{Limits, PACES};
use crate::time::Moment;

/// Clients in a table that is not searched yet for those that need no longer be in it.
const FEW: usize = 1024;

/// What is counted of each client. Empty where nothing is.
#[derive(Debug, Default)]
pub(super) struct Rates {
    hasher: RandomState,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    paces: HashMap<u64, Pace, RandomState>,
    /// Clients that were left by the last search.
    left: usize,
}

impl Rates {
    /// What is counted of this client, where its rate is limited.
    #[inline]
    pub(super) fn of(
        &self,
        now: Moment,
        client_id: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Option<Pace> {
        if !Pace::is_limited(limits) {
            return None;
        }
        let key = self.hasher.hash_one((client_id, name));
        let mut table = self.table.lock();
        table.search(now);
        let pace = table.paces.entry(key).or_default().clone();
        drop(table);
        pace.adopt(now, limits);
        Some(pace)
    }

    /// The same for a client that is connected, and of which nothing is held against it any more.
    pub(super) fn anew(
        &self,
        client_id: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Option<Pace> {
        if !Pace::is_limited(limits) {
            return None;
        }
        let (key, pace) = (self.hasher.hash_one((client_id, name)), Pace::default());
        pace.adopt(Moment::default(), limits);
        self.table.lock().paces.insert(key, pace.clone());
        Some(pace)
    }

    /// Clients of which something is counted, or was.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.table.lock().paces.len()
    }
}

impl Table {
    /// Forgets whom nothing is held against any more, each time that their number has doubled.
    fn search(&mut self, now: Moment) {
        if self.paces.len() < FEW.max(self.left * 2) {
            return;
        }
        let mut away = Vec::new();
        self.paces.retain(|key, pace| match pace.idle_from() {
            None => true,
            Some(idle) if idle <= now => false,
            Some(idle) => {
                away.push((idle, *key));
                true
            }
        });
        if let Some(beyond) = away.len().checked_sub(PACES).filter(|beyond| *beyond > 0) {
            away.select_nth_unstable(beyond - 1);
            for (_, key) in away.iter().take(beyond) {
                self.paces.remove(key);
            }
        }
        self.left = self.paces.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(5_000);

    fn limits() -> Limits {
        Limits { publish_rate: Some(1), ..Limits::default() }
    }

    #[test]
    fn nothing_is_remembered_where_nothing_is_counted() {
        let rates = Rates::default();
        assert!(rates.of(NOW, "c", None, &Limits::default()).is_none());
        assert_eq!(rates.len(), 0);
    }

    #[test]
    fn who_is_idle_is_forgotten_and_who_is_connected_is_not() {
        let rates = Rates::default();
        let of = |now, id: &str| rates.of(now, id, None, &limits()).unwrap();
        let connected: Vec<_> = (0..FEW / 2).map(|n| of(NOW, &format!("c{n}"))).collect();
        for n in 0..100_000u64 {
            of(Moment(5_000 + n * 10), &format!("away{n}"));
            assert!(rates.len() <= 2 * FEW, "{} after {n}", rates.len());
        }
        drop(connected);
        for n in 0..=2 * FEW {
            of(Moment(2_000_000), &format!("later{n}"));
        }
        assert!(rates.len() <= 2 * FEW, "{}", rates.len());
    }

    #[test]
    fn beyond_the_bound_those_go_that_would_be_idle_first() {
        let rates = Rates::default();
        let owing = |n: usize, seconds: u64| {
            let pace = rates.of(NOW, &format!("c{n}"), None, &limits()).unwrap();
            pace.owe_for_test(seconds);
        };
        owing(0, 1_000_000);
        for n in 1..4 * PACES {
            owing(n, 10 + n as u64);
            assert!(rates.len() <= 2 * PACES + 2, "{} after {n}", rates.len());
        }
        let mut pace =
            rates.table.lock().paces[&rates.hasher.hash_one(("c0", None::<&str>))].clone();
        assert!(pace.idle_from().is_none(), "it is shared with the table");
        rates.table.lock().paces.clear();
        assert_eq!(pace.idle_from(), Some(Moment(1_000_005_000)), "it was kept");
    }
}
