//! Client identifiers that connect too often, and those that are banned for it; likewise whoever fails to log in too often.
//! Must not know sessions.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::limits::{Flapping, JAIL_CLIENTS};
use crate::time::Moment;

/// How long a full table is not searched again for what is over, in seconds: a search looks at everything.
const REST: u32 = 1;

/// Connects by client identifier; bounded. Empty where nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Jail {
    hasher: RandomState,
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    /// By the hash of the identifier, which may be long: so every cell takes the same few bytes.
    cells: HashMap<u64, Cell, RandomState>,
    /// When a full table may be searched again.
    search_at: Moment,
}

/// One client identifier.
#[derive(Copy, Clone, Debug)]
struct Cell {
    connects: u32,
    banned: bool,
    /// When the connects no longer count, or the ban ends.
    until: Moment,
}

impl Jail {
    /// When the ban of this identifier ends; none when there is none.
    pub(super) fn banned(&self, now: Moment, client_id: &str) -> Option<Moment> {
        let jail = self.cells.lock();
        let cell = jail.cells.get(&self.hasher.hash_one(client_id))?;
        (cell.banned && cell.until > now).then_some(cell.until)
    }

    /// Counts one connect. The end of the ban, when it is one too many.
    pub(super) fn count(&self, now: Moment, client_id: &str, bound: &Flapping) -> Option<Moment> {
        if bound.connects == 0 {
            return None;
        }
        let id = self.hasher.hash_one(client_id);
        let mut jail = self.cells.lock();
        let fresh = Cell { connects: 1, banned: false, until: now.after_secs(bound.within) };
        let Some(cell) = jail.cells.get_mut(&id) else {
            if jail.has_room(now) {
                jail.cells.insert(id, fresh);
            }
            return None;
        };
        if cell.until <= now {
            *cell = fresh;
            return None;
        }
        if !cell.banned && cell.connects < bound.connects {
            cell.connects += 1;
            return None;
        }
        if !cell.banned {
            *cell = Cell { banned: true, until: now.after_secs(bound.ban), ..*cell };
        }
        Some(cell.until)
    }

    /// Identifiers that are counted or banned, over or not.
    pub(super) fn len(&self) -> usize {
        self.cells.lock().cells.len()
    }
}

impl Cells {
    fn has_room(&mut self, now: Moment) -> bool {
        if self.cells.len() >= JAIL_CLIENTS && self.search_at <= now {
            self.search_at = now.after_secs(REST);
            self.cells.retain(|_, cell| cell.until > now);
        }
        self.cells.len() < JAIL_CLIENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Flapping = Flapping { connects: 1, within: 60, ban: 300 };

    #[test]
    fn a_full_jail_counts_nobody_new_and_lets_nobody_go() {
        let (jail, now) = (Jail::default(), Moment(5_000));
        for n in 0..JAIL_CLIENTS {
            assert_eq!(jail.count(now, &format!("c{n}"), &BOUND), None);
        }
        let until = Some(Moment(305_000));
        assert_eq!(jail.count(now, "c0", &BOUND), until);
        for n in 0..1000 {
            for _ in 0..3 {
                assert_eq!(jail.count(now, &format!("new{n}"), &BOUND), None);
            }
        }
        assert_eq!((jail.len(), jail.banned(now, "c0")), (JAIL_CLIENTS, until));

        let later = Moment(65_000);
        assert_eq!(jail.count(later, "new", &BOUND), None);
        assert_eq!(jail.len(), 2, "what was over has made room");
        assert_eq!(jail.banned(later, "c0"), until);
        assert!(jail.count(later, "new", &BOUND).is_some());
    }

    #[test]
    fn nothing_is_remembered_where_nothing_is_counted() {
        let jail = Jail::default();
        for _ in 0..10 {
            assert_eq!(jail.count(Moment(1), "c", &Flapping::default()), None);
        }
        assert_eq!((jail.len(), jail.banned(Moment(1), "c")), (0, None));
    }
}
