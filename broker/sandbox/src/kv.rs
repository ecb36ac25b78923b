//! What plugins keep between calls: keys with values and token buckets, bounded in bytes, in shards with a
//! lock each. Must not know wasm, nor what time it is.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use thiserror::Error;
use wasmqtt_core::time::Moment;

/// Workers of a large machine seldom meet at one of these.
const SHARDS: usize = 16;
/// Bytes of an entry besides its key and its value.
pub(crate) const OVERHEAD: usize = 128;
/// Expired entries that a change removes in passing: more than it can add.
const SWEEP: usize = 2;
/// Parts of a token, so that a millisecond's worth of any rate is whole.
const PARTS: u64 = 1000;

/// Why nothing was changed.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    #[error(
        "kv is full: it may hold {limit} bytes; delete keys, or raise `limits.kv` of the plugin"
    )]
    Full { limit: usize },
    #[error("the value is not a whole number")]
    NotANumber,
    #[error("the sum is beyond 64 bits")]
    Overflow,
}

/// The keys of one plugin.
#[derive(Debug, Default)]
pub(crate) struct Store {
    hasher: RandomState,
    /// What all entries take, those that expired and were not yet swept included.
    bytes: AtomicUsize,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    values: Table<Box<[u8]>>,
    buckets: Table<Bucket>,
}

#[derive(Debug)]
struct Table<V> {
    entries: HashMap<Arc<str>, Entry<V>, RandomState>,
    /// When to look at an entry again: not after it expires.
    due: BTreeSet<(Moment, Arc<str>)>,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    expires: Option<Moment>,
    /// Its place in `due`.
    due: Option<Moment>,
}

#[derive(Copy, Clone, Debug)]
struct Bucket {
    parts: u64,
    at: Moment,
}

trait Payload {
    fn size(&self) -> usize;
}

impl Payload for Box<[u8]> {
    fn size(&self) -> usize {
        self.len()
    }
}

impl Payload for Bucket {
    fn size(&self) -> usize {
        0
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { entries: HashMap::default(), due: BTreeSet::new() }
    }
}

fn cost(key: &str, size: usize) -> usize {
    key.len() + size + OVERHEAD
}

fn is_over(expires: Option<Moment>, now: Moment) -> bool {
    expires.is_some_and(|expires| expires <= now)
}

impl<V: Payload> Table<V> {
    fn get(&self, key: &str, now: Moment) -> Option<&V> {
        let entry = self.entries.get(key)?;
        (!is_over(entry.expires, now)).then_some(&entry.value)
    }

    /// Bytes of what is there under this key, expired or not.
    fn taken(&self, key: &str) -> usize {
        self.entries.get(key).map_or(0, |entry| cost(key, entry.value.size()))
    }

    fn put(&mut self, key: &str, value: V, expires: Option<Moment>) {
        let (key, due) = match self.entries.get_key_value(key) {
            Some((key, entry)) => (Arc::clone(key), entry.due),
            None => (key.into(), None),
        };
        let mut entry = Entry { value, expires, due };
        if let Some(expires) = expires
            && due.is_none_or(|due| due > expires)
        {
            if let Some(due) = due {
                self.due.remove(&(due, Arc::clone(&key)));
            }
            self.due.insert((expires, Arc::clone(&key)));
            entry.due = Some(expires);
        }
        self.entries.insert(key, entry);
    }

    /// The bytes that were freed, and whether the value had not expired.
    fn remove(&mut self, key: &str, now: Moment) -> (usize, bool) {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return (0, false) };
        let freed = cost(&key, entry.value.size());
        if let Some(due) = entry.due {
            self.due.remove(&(due, key));
        }
        (freed, !is_over(entry.expires, now))
    }

    /// Removes what has expired: at most `entries`, until `bytes` are free.
    fn sweep(&mut self, now: Moment, mut entries: usize, bytes: usize) -> usize {
        let mut freed = 0;
        while freed < bytes && entries > 0 {
            if self.due.first().is_none_or(|(due, _)| *due > now) {
                break;
            }
            let Some((_, key)) = self.due.pop_first() else { break };
            let Some(entry) = self.entries.get_mut(&key) else { continue };
            entry.due = None;
            match entry.expires {
                Some(expires) if expires > now => {
                    entry.due = Some(expires);
                    self.due.insert((expires, key));
                }
                Some(_) => freed += self.remove(&key, now).0,
                None => {}
            }
            entries -= 1;
        }
        freed
    }
}

impl Store {
    fn shard(&self, key: &str) -> &Mutex<Shard> {
        // The remainder is always a place.
        let place = usize::try_from(self.hasher.hash_one(key)).unwrap_or(0) % SHARDS;
        self.shards.get(place).unwrap_or(&self.shards[0])
    }

    /// Bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn free(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Books the step from `before` to `after`, if it leads to no more than `limit`.
    fn book(&self, limit: usize, before: usize, after: usize) -> bool {
        if after <= before {
            self.free(before - after);
            return true;
        }
        let more = after - before;
        let booked = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| {
            bytes.checked_add(more).filter(|sum| *sum <= limit)
        });
        booked.is_ok()
    }

    /// Changes a shard, and where there is no room for it, once more after everything that expired is gone.
    fn change<R>(
        &self,
        limit: usize,
        now: Moment,
        key: &str,
        mut change: impl FnMut(&mut Shard) -> Result<R, Refused>,
    ) -> Result<R, Refused> {
        let mut shard = self.shard(key).lock();
        self.free(shard.values.sweep(now, SWEEP, usize::MAX));
        self.free(shard.buckets.sweep(now, SWEEP, usize::MAX));
        let result = change(&mut shard);
        drop(shard);
        if !matches!(result, Err(Refused::Full { .. })) {
            return result;
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            self.free(shard.values.sweep(now, usize::MAX, limit));
            self.free(shard.buckets.sweep(now, usize::MAX, limit));
        }
        change(&mut self.shard(key).lock())
    }

    /// The value of a key.
    pub(crate) fn get(&self, now: Moment, key: &str) -> Option<Vec<u8>> {
        self.shard(key).lock().values.get(key, now).map(|value| value.to_vec())
    }

    /// Replaces the value of a key and its time to live.
    pub(crate) fn set(
        &self,
        limit: usize,
        now: Moment,
        key: &str,
        value: &[u8],
        ttl: Option<Duration>,
    ) -> Result<(), Refused> {
        self.change(limit, now, key, |shard| {
            if !self.book(limit, shard.values.taken(key), cost(key, value.len())) {
                return Err(Refused::Full { limit });
            }
            shard.values.put(key, value.into(), ttl.map(|ttl| now.after(ttl)));
            Ok(())
        })
    }

    /// Whether there was a value.
    pub(crate) fn delete(&self, now: Moment, key: &str) -> bool {
        let (freed, was_there) = self.shard(key).lock().values.remove(key, now);
        self.free(freed);
        was_there
    }

    /// Adds to a number in decimal, and answers the sum. A key that is not there is 0, and gets the time to
    /// live.
    pub(crate) fn increment(
        &self,
        limit: usize,
        now: Moment,
        key: &str,
        by: i64,
        ttl: Option<Duration>,
    ) -> Result<i64, Refused> {
        self.change(limit, now, key, |shard| {
            let (before, expires) = match shard.values.entries.get(key) {
                Some(entry) if !is_over(entry.expires, now) => {
                    (number(&entry.value)?, entry.expires)
                }
                _ => (0, ttl.map(|ttl| now.after(ttl))),
            };
            let sum = before.checked_add(by).ok_or(Refused::Overflow)?;
            let text = sum.to_string();
            if !self.book(limit, shard.values.taken(key), cost(key, text.len())) {
                return Err(Refused::Full { limit });
            }
            shard.values.put(key, text.into_bytes().into(), expires);
            Ok(sum)
        })
    }

    /// Takes tokens from a bucket that holds `burst` of them when full and is filled at `per_second`; false
    /// when there are not as many.
    pub(crate) fn take(
        &self,
        limit: usize,
        now: Moment,
        key: &str,
        tokens: u32,
        (per_second, burst): (u32, u32),
    ) -> Result<bool, Refused> {
        let (wanted, full) = (u64::from(tokens) * PARTS, u64::from(burst) * PARTS);
        if wanted > full {
            return Ok(false);
        }
        self.change(limit, now, key, |shard| {
            let parts = shard.buckets.get(key, now).map_or(full, |bucket| {
                let passed = now.0.saturating_sub(bucket.at.0);
                // One part per millisecond and token per second.
                bucket.parts.saturating_add(passed.saturating_mul(per_second.into())).min(full)
            });
            let enough = parts >= wanted;
            let parts = if enough { parts - wanted } else { parts };
            if parts == full {
                // As good as none.
                self.free(shard.buckets.remove(key, now).0);
                return Ok(enough);
            }
            if !self.book(limit, shard.buckets.taken(key), cost(key, 0)) {
                return Err(Refused::Full { limit });
            }
            let refilled = match per_second {
                0 => None,
                rate => Some(Moment(now.0.saturating_add((full - parts).div_ceil(rate.into())))),
            };
            shard.buckets.put(key, Bucket { parts, at: now }, refilled);
            Ok(enough)
        })
    }
}

fn number(value: &[u8]) -> Result<i64, Refused> {
    let text = std::str::from_utf8(value).map_err(|_| Refused::NotANumber)?;
    text.parse().map_err(|_| Refused::NotANumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;
    const MS: Duration = Duration::from_millis(1);

    fn at(ms: u64) -> Moment {
        Moment(ms)
    }

    /// What is booked against what is there.
    fn audit(store: &Store) -> usize {
        let shards = store.shards.iter().map(|shard| {
            let shard = shard.lock();
            let values = &shard.values.entries;
            let values: usize = values.iter().map(|(key, it)| cost(key, it.value.size())).sum();
            values + shard.buckets.entries.keys().map(|key| cost(key, 0)).sum::<usize>()
        });
        shards.sum()
    }

    #[test]
    fn a_value_is_there_until_its_time_has_come() {
        let store = Store::default();
        store.set(LIMIT, at(0), "a", b"1", Some(10 * MS)).unwrap();
        store.set(LIMIT, at(0), "b", b"2", None).unwrap();
        assert_eq!(store.get(at(9), "a").as_deref(), Some(&b"1"[..]));
        assert_eq!(store.get(at(10), "a"), None);
        assert_eq!(store.get(at(u64::MAX), "b").as_deref(), Some(&b"2"[..]));
        assert!(!store.delete(at(10), "a") && store.delete(at(10), "b"));
        assert_eq!((store.bytes(), audit(&store)), (0, 0));
    }

    #[test]
    fn setting_again_replaces_value_and_time_to_live() {
        let store = Store::default();
        store.set(LIMIT, at(0), "a", b"1", Some(10 * MS)).unwrap();
        store.set(LIMIT, at(5), "a", b"22", Some(10 * MS)).unwrap();
        assert_eq!(store.get(at(14), "a").as_deref(), Some(&b"22"[..]));
        store.set(LIMIT, at(14), "a", b"3", None).unwrap();
        assert_eq!(store.get(at(100), "a").as_deref(), Some(&b"3"[..]));
        store.set(LIMIT, at(100), "a", b"4", Some(MS)).unwrap();
        assert_eq!(store.get(at(101), "a"), None);
        assert_eq!(store.bytes(), audit(&store));
    }

    #[test]
    fn at_the_bound_a_change_is_refused_and_nothing_is_lost() {
        let store = Store::default();
        let limit = cost("a", 10) + cost("b", 5);
        store.set(limit, at(0), "a", &[b'1'; 10], None).unwrap();
        store.set(limit, at(0), "b", &[b'2'; 5], None).unwrap();
        assert_eq!(store.bytes(), limit);
        let full = Refused::Full { limit };
        assert_eq!(store.set(limit, at(0), "b", &[b'3'; 6], None).unwrap_err(), full);
        assert_eq!(store.set(limit, at(0), "c", b"", None).unwrap_err(), full);
        assert_eq!(store.increment(limit, at(0), "c", 1, None).unwrap_err(), full);
        assert_eq!(store.take(limit, at(0), "c", 1, (1, 2)).unwrap_err(), full);
        assert_eq!(store.get(at(0), "b").as_deref(), Some(&[b'2'; 5][..]));
        assert!(full.to_string().contains("`limits.kv`"));
        // Less is always possible, and makes room.
        store.set(limit, at(0), "b", b"", None).unwrap();
        store.set(limit, at(0), "a", &[b'4'; 15], None).unwrap();
        assert_eq!((store.bytes(), audit(&store)), (limit, limit));
    }

    #[test]
    fn what_has_expired_makes_room_in_every_shard() {
        let store = Store::default();
        let limit = 100 * cost("key-00", 1);
        for n in 0..100 {
            store.set(limit, at(0), &format!("key-{n:02}"), b"1", Some((n + 1) * MS)).unwrap();
        }
        assert!(store.set(limit, at(0), "more-1", b"1", None).is_err());
        for n in 0..50 {
            store.set(limit, at(50), &format!("new-{n:02}"), b"1", None).unwrap();
        }
        assert!(store.set(limit, at(50), "more-1", b"1", None).is_err());
        assert_eq!((store.bytes(), audit(&store)), (limit, limit));
        assert_eq!(store.get(at(50), "key-50").as_deref(), Some(&b"1"[..]), "not yet expired");
    }

    #[test]
    fn entries_that_nobody_asks_for_again_are_swept_by_other_changes() {
        let store = Store::default();
        for n in 0..10_000u64 {
            store.set(LIMIT, at(n), &format!("session-{n}"), b"1", Some(20 * MS)).unwrap();
        }
        assert!(store.bytes() < 1_000 * cost("session-1234", 1), "{}", store.bytes());
    }

    #[test]
    fn a_counter_is_a_number_in_decimal_with_the_time_to_live_of_its_first_step() {
        let store = Store::default();
        assert_eq!(store.increment(LIMIT, at(0), "n", 5, Some(10 * MS)), Ok(5));
        assert_eq!(store.increment(LIMIT, at(9), "n", -7, Some(10 * MS)), Ok(-2));
        assert_eq!(store.get(at(9), "n").as_deref(), Some(&b"-2"[..]));
        assert_eq!(store.increment(LIMIT, at(10), "n", 1, None), Ok(1), "a new window");
        store.set(LIMIT, at(10), "n", i64::MAX.to_string().as_bytes(), None).unwrap();
        assert_eq!(store.increment(LIMIT, at(10), "n", 1, None), Err(Refused::Overflow));
        assert_eq!(store.increment(LIMIT, at(10), "n", 0, None), Ok(i64::MAX));
        store.set(LIMIT, at(10), "n", b"many", None).unwrap();
        assert_eq!(store.increment(LIMIT, at(10), "n", 1, None), Err(Refused::NotANumber));
        assert_eq!(store.get(at(10), "n").as_deref(), Some(&b"many"[..]));
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let store = Store::default();
        let take = |now, tokens| store.take(LIMIT, at(now), "b", tokens, (10, 5)).unwrap();
        assert!((0..5).all(|_| take(0, 1)) && !take(0, 1));
        assert!(!take(99, 1) && take(100, 1) && !take(100, 1));
        assert!(!take(399, 3) && take(400, 3));
        assert!(!take(1_000_000, 6), "never more than the burst");
        assert!(take(1_000_000, 5) && !take(1_000_000, 1));
    }

    #[test]
    fn a_bucket_that_is_full_again_takes_no_room() {
        let store = Store::default();
        for n in 0..1_000u64 {
            assert!(store.take(LIMIT, at(n), &format!("client-{n}"), 1, (100, 1)).unwrap());
        }
        assert!(store.bytes() < 200 * cost("client-123", 0), "{}", store.bytes());
        assert_eq!(store.bytes(), audit(&store));
        assert!(store.take(LIMIT, at(5_000), "x", 0, (1, 5)).unwrap());
        assert!(!store.take(LIMIT, at(5_000), "x", 1, (1, 0)).unwrap());
    }

    #[test]
    fn a_bucket_without_a_rate_is_never_filled_again() {
        let store = Store::default();
        assert!(store.take(LIMIT, at(0), "b", 2, (0, 2)).unwrap());
        assert!(!store.take(LIMIT, at(u64::MAX), "b", 1, (0, 2)).unwrap());
    }

    #[test]
    fn threads_that_fill_it_at_once_never_pass_the_bound() {
        let store = Store::default();
        let limit = 500 * cost("0-000", 0);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..400 {
                        let _ = store.set(limit, at(0), &format!("{thread}-{n:03}"), b"", None);
                        assert!(store.bytes() <= limit);
                    }
                });
            }
        });
        assert_eq!((store.bytes(), audit(&store)), (limit, limit));
    }
}
