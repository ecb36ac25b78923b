//! The verbs: admit, publish, subscribe, depart. The only room that sees all of the core; must not know packets'
//! bytes, sockets or clocks.

mod admit;
mod aside;
mod backlog;
mod depart;
mod greet;
mod jail;
mod logins;
mod publish;
mod rates;
mod rejudge;
mod relimit;
mod renew;
mod subscribe;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use parking_lot::Mutex;

use crate::client::{Client, ListenerId};
use crate::judge::Judge;
use crate::limits::{BrokerLimits, Limits};
use crate::mailbox::{Notice, Wakes};
use crate::observe::Events;
use crate::redirect::Redirect;
use crate::router::{Remembered, Router};
use crate::session::registry::Registry;
use crate::session::{Due, Session, State};
use crate::subscription::SharedStrategy;
use backlog::Backlog;
use jail::Jail;
use logins::Failures;
use rates::Rates;
use wasmqtt_codec::ReasonCode;

pub use aside::{Attempt, Granted, JudgedPublication, PublicationAside, SubscriptionsAside};
pub use logins::{Applicant, Banned};
pub use publish::Published;
pub use renew::Renewed;

/// What one worker owns: whoever judges for it, what it remembers, what it counted. Never shared.
pub struct Lane {
    judge: Box<dyn Judge>,
    remembered: Remembered,
    /// What the client before was given: most get the same as it.
    limits: Arc<Limits>,
    /// What this worker counted since it began.
    pub counters: Counters,
    /// What happened here that somebody wants to know.
    pub events: Events,
    /// Whom it has left messages for: to be woken when it is done with what it has read.
    pub wakes: Wakes,
    /// Wills that are to be judged elsewhere, or behind what is.
    aside: Vec<PublicationAside>,
    /// Wills that nobody could judge, because the listener is gone: of whom, and to which topic.
    orphans: Vec<(Arc<Client>, Box<str>)>,
}

/// Counts of one worker; summed by whoever shows them.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were judged and routed.
    pub published: u64,
    /// Copies for mailboxes, whether they had room or not.
    pub handed: u64,
    /// Messages that were refused.
    pub refused: u64,
    /// Copies that found a full mailbox, or made older ones give way.
    pub dropped: u64,
    /// Messages that were to be retained, and were only delivered: the store was full, and nobody could be told.
    pub not_retained: u64,
    /// Copies that waited in a mailbox for too long.
    pub too_old: u64,
    /// Stored sessions that ended because their time was over.
    pub expired_sessions: u64,
}

impl Lane {
    /// A lane whose questions go to `judge`.
    pub fn new(judge: Box<dyn Judge>) -> Self {
        Self {
            judge,
            remembered: Remembered::default(),
            limits: Arc::default(),
            counters: Counters::default(),
            events: Events::default(),
            wakes: Wakes::default(),
            aside: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// The same, as the worker of this number: connections with equal numbers live on one thread.
    pub fn on_worker(self, number: u32) -> Self {
        Self { remembered: Remembered::on(number), ..self }
    }

    /// One allocation for as many clients in a row as have the same limits.
    fn share(&mut self, limits: Limits) -> Arc<Limits> {
        if *self.limits != limits {
            self.limits = Arc::new(limits);
        }
        Arc::clone(&self.limits)
    }

    /// Whoever judges for this worker.
    pub fn judge(&mut self) -> &mut dyn Judge {
        &mut *self.judge
    }
}

/// The broker: sessions, subscriptions and retained messages, shared by all workers.
#[derive(Debug)]
pub struct Broker {
    sessions: Registry,
    router: Router,
    /// What is due, and for whom; one entry per session at most.
    timers: Mutex<BTreeMap<Due, Arc<str>>>,
    jail: Jail,
    failures: Failures,
    rates: Rates,
    backlog: Backlog,
    keys: AtomicU64,
    attachments: AtomicU64,
    /// Makes assigned client identifiers differ between runs.
    seed: u64,
}

impl Broker {
    /// An empty broker. `seed` should differ from run to run: assigned client identifiers are made from it.
    pub fn new(limits: BrokerLimits, seed: u64) -> Self {
        Self {
            sessions: Registry::new(limits.max_sessions),
            router: Router::new(&limits),
            timers: Mutex::default(),
            jail: Jail::default(),
            failures: Failures::default(),
            rates: Rates::default(),
            backlog: Backlog::default(),
            keys: AtomicU64::new(1),
            attachments: AtomicU64::new(1),
            seed,
        }
    }

    /// The same, with share groups that choose like this. For a broker that nobody has subscribed at yet.
    pub fn sharing(mut self, strategy: SharedStrategy) -> Self {
        self.router.set_strategy(strategy, self.seed);
        self
    }

    /// The same, with groups of this share name that choose otherwise. After [`Broker::sharing`].
    pub fn sharing_in(mut self, share: &str, strategy: SharedStrategy) -> Self {
        self.router.name_strategy(share, strategy);
        self
    }

    /// Sessions, connected and stored.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Authentication names that own sessions.
    pub fn owners(&self) -> usize {
        self.sessions.owners()
    }

    /// Client identifiers whose connects are counted, and those that are banned.
    pub fn watched(&self) -> usize {
        self.jail.len()
    }

    /// Subscriptions of all sessions.
    pub fn subscriptions(&self) -> usize {
        self.router.subscriptions()
    }

    /// Those of them that are shared.
    pub fn shared_subscriptions(&self) -> usize {
        self.router.shared_subscriptions()
    }

    /// Retained messages.
    pub fn retained(&self) -> usize {
        self.router.retained_len()
    }

    /// Bytes of the retained messages, as they are bounded.
    pub fn retained_bytes(&self) -> usize {
        self.router.retained_bytes()
    }

    /// Nodes in the tree of the filters of all subscriptions: none when there is no subscription.
    pub fn filter_nodes(&self) -> usize {
        self.router.trie_len()
    }

    /// The session of this client identifier, connected or stored.
    pub fn session(&self, client_id: &str) -> Option<Arc<Session>> {
        self.sessions.get(client_id)
    }

    /// Closes the connection of this client with `code`; false when it has none.
    pub fn disconnect(&self, client_id: &str, code: ReasonCode) -> bool {
        self.notify(client_id, Notice::Disconnect(code))
    }

    /// The same, with a sentence for the client.
    pub fn dismiss(&self, client_id: &str, code: ReasonCode, why: &str) -> bool {
        self.notify(client_id, Notice::Dismiss(code, why.into()))
    }

    fn notify(&self, client_id: &str, notice: Notice) -> bool {
        let Some(session) = self.sessions.get(client_id) else { return false };
        let connected = session.state.lock().attachment != 0;
        if connected {
            session.mailbox.notify(notice);
        }
        connected
    }

    /// Closes every connection with `code`; returns how many were told.
    pub fn disconnect_all(&self, code: ReasonCode) -> usize {
        self.notify_all(&Notice::Disconnect(code))
    }

    /// Sends every client elsewhere; returns how many were told.
    pub fn redirect_all(&self, to: &Arc<Redirect>) -> usize {
        self.notify_all(&Notice::Redirect(Arc::clone(to)))
    }

    fn notify_all(&self, notice: &Notice) -> usize {
        let sessions = self.sessions.all();
        sessions.iter().for_each(|session| session.mailbox.notify(notice.clone()));
        sessions.len()
    }

    /// The clients that are connected through this listener, in no order.
    pub fn connected_through(&self, listener: ListenerId) -> Vec<Arc<Session>> {
        let mut sessions = self.sessions.all();
        sessions.retain(|session| {
            let state = session.state.lock();
            let client = state.client.as_ref().filter(|_| state.attachment != 0);
            client.is_some_and(|client| client.listener == listener)
        });
        sessions
    }

    /// Changes the bounds of the whole broker. What is beyond them stays; nothing more is taken.
    pub fn set_limits(&self, limits: &BrokerLimits) {
        self.sessions.set_bound(limits.max_sessions);
        self.router.set_limits(limits);
    }

    /// Ready when nothing that this client published, and none of its wills, is put aside and not yet routed. Until then no
    /// packet of its next connection may be acted on: its messages are delivered in the order in which they came
    /// [MQTT-4.6.0-5]. Not to be asked while a connection has a publication of its own put aside.
    #[inline]
    pub fn poll_clear(&self, client_id: &str, cx: &Context<'_>) -> Poll<()> {
        match self.backlog.is_empty() {
            true => Poll::Ready(()),
            false => self.backlog.poll_clear(client_id, cx),
        }
    }

    fn next_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// Sessions that have something due while their client is away.
    pub fn timers(&self) -> usize {
        self.timers.lock().len()
    }

    /// Does what [`Timer::of`] found to be done, after letting go of the state.
    fn schedule(&self, session: &Session, Timer { before, next }: Timer) {
        if before == next {
            return;
        }
        let mut timers = self.timers.lock();
        if let Some(due) = before {
            timers.remove(&due);
        }
        let Some(due) = next else { return };
        timers.insert(due, Arc::clone(&session.client_id));
        drop(timers);
        if session.state.lock().scheduled != next {
            // Whoever changed it in between may have looked for the entry before it was there.
            self.timers.lock().remove(&due);
        }
    }
}

/// A change of the one timer that a session has.
struct Timer {
    before: Option<Due>,
    next: Option<Due>,
}

impl Timer {
    /// Sets the timer in `state` to what is due next for the client that left under this number.
    fn of(state: &mut State, attachment: u64) -> Self {
        let next = state.next_due().map(|at| (at, attachment));
        Self { before: std::mem::replace(&mut state.scheduled, next), next }
    }
}
