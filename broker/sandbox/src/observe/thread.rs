//! The thread of one observing plugin: takes events off its queue, hands them over in batches, and ticks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use super::{Arc, Generation, Hub, Item, Observed, Queue, Receiver, Weak};
use crate::guest::Guest;
use crate::plugin::Plugin;

/// Events of one call at most.
pub(crate) const EVENTS_PER_CALL: usize = 256;
/// How long the end of the process waits for events that nobody was told of yet.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// What the thread knows.
pub(super) struct Observing {
    hub: Weak<Hub>,
    generation: Arc<Generation>,
    /// Of the plugin in its generation.
    place: usize,
    slot: Option<Guest>,
    queue: Arc<Queue>,
    inbox: Receiver<Item>,
    held: VecDeque<Observed>,
    /// Events that the plugin has still to be told of as lost.
    lost: u64,
    due: Option<Instant>,
    retiring: bool,
}

impl Observing {
    pub(super) fn new(
        hub: Weak<Hub>,
        generation: Arc<Generation>,
        place: usize,
        queue: Arc<Queue>,
        inbox: Receiver<Item>,
    ) -> Self {
        let mut new = Self {
            hub,
            slot: generation.take_observer(place),
            generation,
            place,
            queue,
            inbox,
            held: VecDeque::new(),
            lost: 0,
            due: None,
            retiring: false,
        };
        new.due = new.every().map(|every| Instant::now() + every);
        new
    }

    pub(super) fn start(self) {
        let name = self.plugin().map_or_else(String::new, |plugin| plugin.spec.name.clone());
        let thread = std::thread::Builder::new().name(format!("observer-{name}"));
        if let Err(error) = thread.spawn(move || self.run()) {
            tracing::error!(plugin = name, %error, "cannot start its thread; it observes nothing");
        }
    }

    fn run(mut self) {
        while self.receive() {
            self.take_up();
            self.hand_over();
            self.tick();
        }
    }

    fn plugin(&self) -> Option<&Plugin> {
        self.generation.plugins.get(self.place)
    }

    fn every(&self) -> Option<Duration> {
        self.plugin()?.registration.tick_every
    }

    /// Waits until there is something to do; false when there never will be.
    fn receive(&mut self) -> bool {
        if self.held.is_empty() && !self.retiring {
            let item = match self.due {
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => self.inbox.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match item {
                Ok(item) => self.accept(item),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.held.len() < EVENTS_PER_CALL
            && let Ok(item) = self.inbox.try_recv()
        {
            self.accept(item);
        }
        !(self.retiring && self.held.is_empty())
    }

    fn accept(&mut self, item: Item) {
        match item {
            Item::Events { at, events } => {
                self.held.extend(events.into_iter().map(|event| Observed { at, event }));
            }
            Item::Look => {}
            Item::Retire => self.retiring = true,
        }
    }

    /// Takes the instance of the generation that is in place. One that observes no more keeps the old until what waits
    /// is told.
    fn take_up(&mut self) {
        if self.retiring {
            return;
        }
        let Some(current) = self.hub.upgrade().map(|hub| hub.current()) else { return };
        if current.number() == self.generation.number() {
            return;
        }
        let Some(name) = self.plugin().map(|plugin| plugin.spec.name.as_str()) else { return };
        let found = current.observers().find(|(_, observer)| observer.name == name);
        let Some(place) = found.map(|(place, _)| place) else { return };
        let before = self.every();
        (self.slot, self.place) = (current.take_observer(place), place);
        self.generation = current;
        // A plugin that ticks as it did before goes on as if nothing had happened.
        if self.every() != before {
            self.due = self.every().map(|every| Instant::now() + every);
        }
    }

    /// Tells the plugin one batch. Events of different hops are told apart, so that what it publishes because of them
    /// counts on from the right number.
    fn hand_over(&mut self) {
        let Some(hops) = self.held.front().map(|first| first.event.hops) else { return };
        let alike = self.held.iter().take_while(|observed| observed.event.hops == hops);
        let count = alike.take(EVENTS_PER_CALL).count();
        let events: Vec<Observed> = self.held.drain(..count).collect();
        let Some(plugin) = self.generation.plugins.get(self.place) else { return };
        let over = self.queue.lost.swap(0, Ordering::Relaxed);
        if over > 0 {
            plugin.lose(over, "its queue was full");
        }
        self.lost = self.lost.saturating_add(over);
        match plugin.on_events(&mut self.slot, hops, &events, self.lost) {
            Ok(()) => self.lost = 0,
            Err(error) => {
                plugin.lose(count as u64, &error.to_string());
                self.lost = self.lost.saturating_add(count as u64);
            }
        }
        // Not before: at the end of the process somebody waits for the last call to return.
        self.queue.waiting.fetch_sub(count, Ordering::Relaxed);
    }

    fn tick(&mut self) {
        let (Some(due), Some(every)) = (self.due, self.every()) else { return };
        let now = Instant::now();
        if now < due || self.retiring {
            return;
        }
        // A tick that was missed is not made up for.
        let next = due + every;
        self.due = Some(if next > now { next } else { now + every });
        let Some(plugin) = self.generation.plugins.get(self.place) else { return };
        if let Err(error) = plugin.tick(&mut self.slot) {
            plugin.complain("tick", &error);
        }
    }
}
