//! Which sessions there are, by client identifier.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::Session;

/// More than any machine has cores, so that workers seldom meet at one.
const SHARDS: usize = 64;

/// The sessions of some client identifiers.
type Shard = Mutex<HashMap<Arc<str>, Arc<Session>, RandomState>>;

/// How many sessions the names of some sessions have. No name has none.
type Names = Mutex<HashMap<Box<str>, u32, RandomState>>;

/// All sessions, connected and stored; bounded, all together and by the authentication name that owns them.
#[derive(Debug)]
pub struct Registry {
    shards: Vec<Shard>,
    names: Vec<Names>,
    hasher: RandomState,
    count: AtomicUsize,
    most: AtomicUsize,
}

/// No place for another session.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Full {
    /// Of the whole broker.
    Sessions,
    /// Of this name.
    Name,
}

impl Registry {
    /// An empty registry for at most `most` sessions.
    pub fn new(most: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            names: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::default(),
            count: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
        }
    }

    /// The session of this client.
    pub fn get(&self, client_id: &str) -> Option<Arc<Session>> {
        self.shard(client_id)?.lock().get(client_id).cloned()
    }

    /// The session of this client, or the one that `make` returns for this owner, now registered. True when it is new.
    /// `most` sessions may have one owner; 0 = no bound.
    pub fn get_or_insert(
        &self,
        client_id: &str,
        owner: Option<&str>,
        most: u32,
        make: impl FnOnce() -> Arc<Session>,
    ) -> Result<(Arc<Session>, bool), Full> {
        if let Some(session) = self.get(client_id) {
            return Ok((session, false));
        }
        if !self.enter(owner, most) {
            return Err(Full::Name);
        }
        let got = self.insert(client_id, make);
        if !matches!(got, Ok((_, true))) {
            self.leave(owner);
        }
        got
    }

    fn insert(
        &self,
        client_id: &str,
        make: impl FnOnce() -> Arc<Session>,
    ) -> Result<(Arc<Session>, bool), Full> {
        let Some(shard) = self.shard(client_id) else { return Err(Full::Sessions) };
        let mut sessions = shard.lock();
        if let Some(session) = sessions.get(client_id) {
            return Ok((Arc::clone(session), false));
        }
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most.load(Ordering::Relaxed) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::Sessions);
        }
        let session = make();
        sessions.insert(Arc::clone(&session.client_id), Arc::clone(&session));
        Ok((session, true))
    }

    /// Counts one more session of this name; false when it has as many as it may.
    fn enter(&self, owner: Option<&str>, most: u32) -> bool {
        let Some((name, names)) = self.names(owner) else { return true };
        let mut names = names.lock();
        let Some(count) = names.get_mut(name) else {
            names.insert(name.into(), 1);
            return true;
        };
        if most > 0 && *count >= most {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts one session of this name less. To be called once for each session that ends, before it is
    /// [removed](Self::remove): a client that comes again at once must find its place free.
    pub fn leave(&self, owner: Option<&str>) {
        let Some((name, names)) = self.names(owner) else { return };
        let mut names = names.lock();
        let Some(count) = names.get_mut(name) else { return };
        *count -= 1;
        if *count == 0 {
            names.remove(name);
        }
    }

    /// Forgets this very session; another one under the same identifier stays.
    pub fn remove(&self, session: &Arc<Session>) {
        let Some(shard) = self.shard(&session.client_id) else { return };
        let mut sessions = shard.lock();
        if sessions.get(&session.client_id).is_some_and(|found| Arc::ptr_eq(found, session)) {
            sessions.remove(&session.client_id);
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Changes the bound. Sessions beyond it stay; new ones have to wait for them to go.
    pub fn set_bound(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Every session there is, in no order.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.shards
            .iter()
            .flat_map(|shard| shard.lock().values().cloned().collect::<Vec<_>>())
            .collect()
    }

    /// Names that own sessions.
    pub fn owners(&self) -> usize {
        self.names.iter().map(|names| names.lock().len()).sum()
    }

    /// Sessions, connected and stored.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, client_id: &str) -> Option<&Shard> {
        self.shards.get(self.hasher.hash_one(client_id) as usize % SHARDS)
    }

    fn names<'n>(&self, owner: Option<&'n str>) -> Option<(&'n str, &Names)> {
        let name = owner?;
        Some((name, self.names.get(self.hasher.hash_one(name) as usize % SHARDS)?))
    }
}
