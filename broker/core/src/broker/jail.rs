//! Client identifiers that connect too often, and those that are banned for it; likewise whoever fails to log in too often.
//! Must not know sessions.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use crate::limits::{Flapping, JAIL_BANS, JAIL_CLIENTS};
use crate::time::Moment;

/// Cells whose time is over that make way for each new one. Two, so that there are ever fewer of them.
const SWEEP: usize = 2;

/// Connects by client identifier; bounded. Empty where nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Jail {
    hasher: RandomState,
    cells: Mutex<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    /// By the hash of who it is, which may be long: so every cell takes the same few bytes.
    cells: HashMap<u64, Cell, RandomState>,
    /// All cells, by their end: those that are counted, and those that are banned.
    counted: BTreeSet<(Moment, u64)>,
    banned: BTreeSet<(Moment, u64)>,
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
    /// When the ban of this one ends; none when there is none.
    pub(super) fn banned(&self, now: Moment, who: &(impl Hash + ?Sized)) -> Option<Moment> {
        let jail = self.cells.lock();
        let cell = jail.cells.get(&self.hasher.hash_one(who))?;
        (cell.banned && cell.until > now).then_some(cell.until)
    }

    /// Counts one connect. The end of the ban, when it is one too many.
    pub(super) fn count(
        &self,
        now: Moment,
        who: &(impl Hash + ?Sized),
        bound: &Flapping,
    ) -> Option<Moment> {
        if bound.connects == 0 {
            return None;
        }
        let id = self.hasher.hash_one(who);
        let mut jail = self.cells.lock();
        let known = jail.cells.get(&id).copied().filter(|cell| cell.until > now);
        let Some(cell) = known else {
            jail.sweep(now);
            let until = now.after_secs(bound.within);
            jail.put(id, Cell { connects: 1, banned: false, until });
            return None;
        };
        if !cell.banned && cell.connects < bound.connects {
            jail.put(id, Cell { connects: cell.connects + 1, ..cell });
            return None;
        }
        if cell.banned {
            return Some(cell.until);
        }
        let until = now.after_secs(bound.ban);
        jail.put(id, Cell { banned: true, until, ..cell });
        Some(until)
    }

    /// Identifiers that are counted or banned, over or not.
    pub(super) fn len(&self) -> usize {
        self.cells.lock().cells.len()
    }
}

impl Cells {
    /// Forgets a few of those whose time is over.
    fn sweep(&mut self, now: Moment) {
        for _ in 0..SWEEP {
            for ends in [&mut self.counted, &mut self.banned] {
                if ends.first().is_some_and(|(until, _)| *until <= now) {
                    let first = ends.pop_first();
                    first.map(|(_, id)| self.cells.remove(&id));
                }
            }
        }
    }

    /// Puts a cell in the place of what was there under this identifier. Where there is no room the one goes whose end is
    /// nearest: of those that are counted, unless bans have taken all that bans may take.
    fn put(&mut self, id: u64, cell: Cell) {
        self.take(id);
        if cell.banned && self.banned.len() >= JAIL_BANS {
            let first = self.banned.pop_first();
            first.map(|(_, id)| self.cells.remove(&id));
        }
        if self.cells.len() >= JAIL_CLIENTS {
            let first = self.counted.pop_first();
            first.map(|(_, id)| self.cells.remove(&id));
        }
        self.ends(cell.banned).insert((cell.until, id));
        self.cells.insert(id, cell);
    }

    fn take(&mut self, id: u64) {
        if let Some(before) = self.cells.remove(&id) {
            self.ends(before.banned).remove(&(before.until, id));
        }
    }

    fn ends(&mut self, banned: bool) -> &mut BTreeSet<(Moment, u64)> {
        if banned { &mut self.banned } else { &mut self.counted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: Flapping = Flapping { connects: 1, within: 60, ban: 300 };

    #[test]
    fn in_a_full_jail_newcomers_are_counted_in_place_of_the_oldest_counts_and_no_ban_ends() {
        let (jail, now) = (Jail::default(), Moment(5_000));
        let later = |n: u64| Moment(5_000 + n / 4);
        assert_eq!(jail.count(now, "banned", &BOUND), None);
        let until = jail.count(now, "banned", &BOUND);
        assert_eq!(until, Some(Moment(305_000)));
        for n in 1..JAIL_CLIENTS {
            assert_eq!(jail.count(later(n as u64), &format!("c{n}"), &BOUND), None);
        }
        assert_eq!(jail.len(), JAIL_CLIENTS);
        let end = later(JAIL_CLIENTS as u64);
        for n in 0..1000 {
            assert_eq!(jail.count(end, &format!("new{n}"), &BOUND), None);
            assert!(jail.count(end, &format!("new{n}"), &BOUND).is_some(), "new{n} is not counted");
        }
        assert_eq!((jail.len(), jail.banned(end, "banned")), (JAIL_CLIENTS, until));
        // Those that gave way are those whose counts would have been over first.
        assert_eq!(jail.count(end, "c990", &BOUND), None);
        assert!(jail.count(end, "c1010", &BOUND).is_some(), "nobody else had to go");
    }

    #[test]
    fn bans_leave_room_to_count_and_the_oldest_of_too_many_ends() {
        let (jail, within) = (Jail::default(), Flapping { ban: 3000, ..BOUND });
        let at = |n: usize| Moment(5_000 + n as u64);
        for n in 0..=JAIL_BANS {
            assert_eq!(jail.count(at(n), &format!("c{n}"), &within), None);
            assert!(jail.count(at(n), &format!("c{n}"), &within).is_some());
        }
        let now = at(JAIL_BANS);
        assert_eq!((jail.len(), jail.banned(now, "c0")), (JAIL_BANS, None));
        assert!(jail.banned(now, "c1").is_some());
        // As many guesses in turn as there is room for are all counted.
        for round in 0..2 {
            for n in 0..JAIL_CLIENTS - JAIL_BANS {
                let banned = jail.count(now, &format!("g{n}"), &Flapping { connects: 2, ..within });
                assert_eq!(banned, None, "{round}");
            }
        }
        assert!(jail.count(now, "g0", &Flapping { connects: 2, ..within }).is_some());
        assert!(jail.len() <= JAIL_CLIENTS);
    }

    #[test]
    fn what_is_over_makes_way_for_what_comes() {
        let (jail, now) = (Jail::default(), Moment(5_000));
        for n in 0..1000 {
            assert_eq!(jail.count(now, &format!("c{n}"), &BOUND), None);
        }
        assert!(jail.count(now, "c0", &BOUND).is_some());
        let later = Moment(65_000);
        for n in 0..600 {
            assert_eq!(jail.count(later, &format!("new{n}"), &BOUND), None);
        }
        assert_eq!(jail.len(), 601);
        assert_eq!(jail.banned(later, "c0"), Some(Moment(305_000)));
        assert_eq!(jail.count(Moment(305_000), "c0", &BOUND), None, "its ban is over");
        assert!(jail.count(Moment(305_000), "c0", &BOUND).is_some(), "and it is counted anew");
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
