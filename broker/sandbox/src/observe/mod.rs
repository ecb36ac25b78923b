//! The way of an event from a worker to the plugins that observe: one bounded queue per plugin, and a thread of its
//! own that empties it, so that neither a client nor another observer waits for a slow one. Must not know wasm.

mod thread;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::UNIX_EPOCH;

use parking_lot::Mutex;
use wasmqtt_core::observe::{Batch, Event, Kinds};

use crate::generation::Generation;
use crate::sandbox::Hub;
use thread::Observing;

/// Something that happened, and when.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    /// Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) event: Event,
}

/// What a thread is sent.
enum Item {
    /// That happened.
    Events { at: u64, events: Vec<Event> },
    /// Another generation is in place.
    Look,
    /// The plugin observes no more: end when everything before this is done.
    Retire,
}

/// Counts of one plugin's queue.
#[derive(Debug, Default)]
struct Queue {
    /// Events that wait.
    waiting: AtomicUsize,
    /// Events that found no room, and were not yet told.
    lost: AtomicU64,
}

/// Where events for one plugin are left.
#[derive(Clone)]
struct Post {
    name: Arc<str>,
    wanted: Kinds,
    /// Events that may wait.
    most: usize,
    queue: Arc<Queue>,
    sender: Sender<Item>,
}

impl Post {
    fn offer<'a>(&self, at: u64, events: impl Iterator<Item = &'a Event>, lost: u64) {
        let (mut taken, mut over) = (Vec::new(), lost);
        for event in events.filter(|event| self.wanted.contain(event.kind)) {
            if self.queue.waiting.fetch_add(1, Ordering::Relaxed) < self.most {
                taken.push(event.clone());
            } else {
                self.queue.waiting.fetch_sub(1, Ordering::Relaxed);
                over += 1;
            }
        }
        if over > 0 {
            self.queue.lost.fetch_add(over, Ordering::Relaxed);
        }
        if !taken.is_empty() {
            // Without a thread there is nobody to be told.
            let _ = self.sender.send(Item::Events { at, events: taken });
        }
    }
}

/// Everybody who observes.
#[derive(Default)]
pub(crate) struct Audience {
    posts: Mutex<Vec<Post>>,
    /// Counts how often `posts` changed; written after it.
    version: AtomicU64,
}

impl Audience {
    /// Makes the audience that of a generation which was just put in place.
    pub(crate) fn gather(&self, hub: &Arc<Hub>, generation: &Arc<Generation>) {
        let mut posts = self.posts.lock();
        let before = std::mem::take(&mut *posts);
        for (place, observer) in generation.observers() {
            let known = before.iter().find(|post| *post.name == *observer.name);
            let (queue, sender) = match known {
                Some(post) => (Arc::clone(&post.queue), post.sender.clone()),
                None => {
                    let (sender, inbox) = channel();
                    let queue = Arc::<Queue>::default();
                    let (generation, queue_too) = (Arc::clone(generation), Arc::clone(&queue));
                    let weak = Arc::downgrade(hub);
                    let observing = Observing::new(weak, generation, place, queue_too, inbox);
                    observing.start();
                    (queue, sender)
                }
            };
            let (wanted, most) = (observer.wanted, observer.most);
            let _ = sender.send(Item::Look);
            posts.push(Post { name: observer.name.into(), wanted, most, queue, sender });
        }
        for gone in before.iter().filter(|post| !posts.iter().any(|now| now.name == post.name)) {
            let _ = gone.sender.send(Item::Retire);
        }
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Tells what happened outside of any worker.
    pub(crate) fn tell(&self, events: &[Event]) {
        let at = unix_ms();
        for post in &*self.posts.lock() {
            post.offer(at, events.iter(), 0);
        }
    }

    /// Ends every thread once it has told what waits, and waits for that for a while.
    pub(crate) fn dismiss(&self) {
        let posts = std::mem::take(&mut *self.posts.lock());
        self.version.fetch_add(1, Ordering::Release);
        for post in &posts {
            let _ = post.sender.send(Item::Retire);
        }
        let until = std::time::Instant::now() + thread::FAREWELL;
        let waits = |post: &Post| post.queue.waiting.load(Ordering::Relaxed) > 0;
        while posts.iter().any(waits) && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Where one worker leaves its events.
pub struct Outlet {
    hub: Arc<Hub>,
    version: u64,
    posts: Vec<Post>,
}

impl Outlet {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        let mut outlet = Self { hub: Arc::clone(hub), version: 0, posts: Vec::new() };
        outlet.look();
        outlet
    }

    fn look(&mut self) {
        let audience = &self.hub.audience;
        let version = audience.version.load(Ordering::Acquire);
        if version != self.version {
            self.version = version;
            self.posts = audience.posts.lock().clone();
        }
    }

    /// What anybody wants to be told now. To be asked again whenever plugins were replaced.
    pub fn wanted(&mut self) -> Kinds {
        self.look();
        self.posts.iter().fold(Kinds::default(), |wanted, post| wanted.union(post.wanted))
    }

    /// Leaves what happened just now. Never waits: what finds no room is counted, and told with what does.
    pub fn send(&mut self, batch: &Batch) {
        self.look();
        let at = unix_ms();
        for post in &self.posts {
            post.offer(at, batch.events.iter(), batch.lost);
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("observers", &self.posts.len()).finish_non_exhaustive()
    }
}

fn unix_ms() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
