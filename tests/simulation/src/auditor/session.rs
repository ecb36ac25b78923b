//! The model of one session: what it subscribes to, what waits for it, what it has open. Follows the specification
//! and the documented bounds; must not look into the core.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use wasmqtt_codec::QoS;
use wasmqtt_core::limits::{Overflow, Queue};
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

/// A message as it was routed.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) topic: Rc<str>,
    pub(crate) payload: Rc<[u8]>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) expires_at: Option<Moment>,
    /// Client identifier and session key of whoever sent it.
    pub(crate) publisher: (Rc<str>, u64),
    /// A transformer put it where it is: its publisher need not be allowed to.
    pub(crate) is_moved: bool,
}

/// A message as one session is to get it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) letter: Letter,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) stored: bool,
    pub(crate) identifiers: Vec<u32>,
    /// Entries of one batch may come in any order.
    pub(crate) batch: u64,
    /// The shared subscription it came through.
    pub(crate) share: Option<Rc<str>>,
}

impl Letter {
    pub(crate) fn is(&self, message: &Message) -> bool {
        *message.payload() == *self.payload
            && *message.topic() == *self.topic
            && message.expires_at() == self.expires_at
    }
}

impl Entry {
    pub(crate) fn is(&self, delivery: &Delivery) -> bool {
        let mut identifiers: Vec<u32> = delivery.identifiers().iter().map(|id| id.get()).collect();
        identifiers.sort_unstable();
        self.letter.is(&delivery.message)
            && delivery.qos == self.qos
            && delivery.retain == self.retain
            && identifiers == self.identifiers
    }

    pub(crate) fn describe(&self) -> String {
        let payload = String::from_utf8_lossy(&self.letter.payload);
        let ids = &self.identifiers;
        let (topic, qos, retain) = (&self.letter.topic, self.qos as u8, self.retain);
        format!("{topic} q{qos} retain={retain} ids={ids:?} \"{payload}\"")
    }
}

/// One subscription as granted.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) qos: QoS,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) identifier: Option<u32>,
}

/// A will as CONNECT carried it.
#[derive(Clone, Debug)]
pub(crate) struct Testament {
    pub(crate) letter: Letter,
    pub(crate) delay: u32,
    pub(crate) expiry: Option<u32>,
}

/// How far an outgoing message has come.
#[derive(Clone, Debug)]
pub(crate) enum Open {
    Published(Entry),
    Released,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    /// The core's own number for it; zero until it is known.
    pub(crate) key: u64,
    /// The connection that has it.
    pub(crate) holder: Option<u32>,
    /// Rises with every connection that got a session.
    pub(crate) order: u64,
    pub(crate) expiry: u32,
    pub(crate) held: BTreeMap<String, Held>,
    /// Every form in which it ever held each shared subscription: messages may wait for long.
    pub(crate) shares: BTreeMap<String, Vec<Held>>,
    /// What waits, except for what came through share groups.
    pub(crate) queue: VecDeque<Entry>,
    /// How many messages wait that came through share groups.
    pub(crate) shared: usize,
    pub(crate) bound: Queue,
    pub(crate) will: Option<Testament>,
    pub(crate) will_due: Option<Moment>,
    pub(crate) ends_at: Option<Moment>,
    pub(crate) open: VecDeque<(u16, Open)>,
    pub(crate) received: BTreeMap<u16, u32>,
    /// A queue that was full has told its owner to go.
    pub(crate) is_told: bool,
    /// First copies that were written, by payload and QoS.
    pub(crate) written: Counts,
    /// Of these, what a later connection could not take any more.
    pub(crate) given_up: Counts,
}

/// Messages by payload and QoS.
pub(crate) type Counts = BTreeMap<(Rc<[u8]>, u8), u32>;

/// What became of a push.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Pushed {
    Taken,
    Dropped,
    Ends,
}

impl Session {
    pub(crate) fn new(bound: Queue) -> Self {
        Self {
            key: 0,
            holder: None,
            order: 0,
            expiry: 0,
            held: BTreeMap::new(),
            shares: BTreeMap::new(),
            queue: VecDeque::new(),
            shared: 0,
            bound,
            will: None,
            will_due: None,
            ends_at: None,
            open: VecDeque::new(),
            received: BTreeMap::new(),
            is_told: false,
            written: Counts::new(),
            given_up: Counts::new(),
        }
    }

    pub(crate) fn hold(&mut self, filter: &str, held: &Held) {
        if filter.starts_with("$share/") {
            self.shares.entry(filter.to_owned()).or_default().push(held.clone());
        }
        self.held.insert(filter.to_owned(), held.clone());
    }

    pub(crate) fn next_due(&self) -> Option<Moment> {
        [self.will_due, self.ends_at].into_iter().flatten().min()
    }

    fn live(&self) -> usize {
        self.queue.iter().filter(|entry| !entry.stored).count() + self.shared
    }

    /// Whether a share group prefers it, and still does after some more messages.
    pub(crate) fn is_ready(&self, more: usize) -> bool {
        self.holder.is_some() && self.live() + more <= self.bound.messages as usize
    }

    /// Whether some more messages may have been too much for it while its client was away.
    pub(crate) fn may_end(&self, more: usize) -> bool {
        self.holder.is_none() && self.live() + more >= self.bound.messages as usize
    }

    pub(crate) fn is_full(&self) -> bool {
        self.live() >= self.bound.messages as usize
    }

    pub(crate) fn push(&mut self, entry: Entry) -> Pushed {
        if self.holder.is_none() && entry.qos == QoS::AtMostOnce && !self.bound.qos0 {
            return Pushed::Dropped;
        }
        while self.is_full() {
            match self.bound.overflow {
                Overflow::DropNewest => return Pushed::Dropped,
                Overflow::DropOldest => {
                    let oldest = self.queue.iter().position(|entry| !entry.stored);
                    let Some(oldest) = oldest else { return Pushed::Dropped };
                    self.queue.remove(oldest);
                }
                Overflow::EndSession if self.holder.is_none() => return Pushed::Ends,
                Overflow::EndSession | Overflow::Disconnect => {
                    self.is_told |= self.holder.is_some();
                    return Pushed::Dropped;
                }
            }
        }
        self.queue.push_back(entry);
        Pushed::Taken
    }

    /// The connection is gone: nothing with QoS 0 waits here any more, unless it may.
    pub(crate) fn detach(&mut self) {
        self.holder = None;
        self.is_told = false;
        let all = self.bound.qos0;
        self.queue.retain(|entry| all || entry.qos != QoS::AtMostOnce);
    }

    /// Gives up what the client cannot take.
    pub(crate) fn forget(&mut self, slot: usize) {
        if let Some((_, Open::Published(entry))) = self.open.remove(slot) {
            *self.given_up.entry((entry.letter.payload, entry.qos as u8)).or_default() += 1;
        }
    }

    /// Takes out of the queue what the owner pulled.
    pub(crate) fn pull(&mut self, delivery: &Delivery) -> Result<Entry, String> {
        let front = self.queue.front().ok_or("nothing waits")?;
        let batch = front.batch;
        let mut among = self.queue.iter().take_while(|entry| entry.batch == batch);
        let at = among.position(|entry| entry.is(delivery));
        let wrong = format!("{} is next", front.describe());
        at.and_then(|at| self.queue.remove(at)).ok_or(wrong)
    }

    /// The delivery of `letter` through a shared subscription, when it is one that this session may get.
    pub(crate) fn share(&self, letter: &Letter, delivery: &Delivery) -> Option<Entry> {
        let filter = delivery.share()?;
        let mut forms = self.shares.get(&**filter)?.iter();
        forms.find_map(|held| {
            let entry = Entry {
                letter: letter.clone(),
                qos: letter.qos.min(held.qos),
                retain: held.retain_as_published && letter.retain,
                stored: false,
                identifiers: held.identifier.into_iter().collect(),
                batch: 0,
                share: Some(Rc::from(&**filter)),
            };
            entry.is(delivery).then_some(entry)
        })
    }
}
