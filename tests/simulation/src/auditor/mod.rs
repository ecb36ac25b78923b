//! Watches everything that goes into the core and comes out of it, and knows what must come: a second, simple
//! broker that is told in which order things happened, but not how.
//!
//! The first thing that is wrong ends the run. Must not change anything it watches.

mod egress;
mod entering;
mod ingress;
mod routing;
pub(crate) mod session;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Arguments;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::broker::Broker;
use wasmqtt_core::limits::BrokerLimits;
use wasmqtt_core::time::Moment;

use crate::trace::Trace;
pub(crate) use egress::Link;
use egress::Pace;
use entering::Entrant;
use routing::Float;
use session::{Counts, Letter, Session};

/// What the core is doing for the driver just now.
#[derive(Debug)]
enum Doing {
    Nothing,
    /// Publishing for a client.
    Publish(Letter),
    /// Letting a client in; and whether it has been asked about the will.
    Admit(Box<Entrant>),
    /// Doing what is due.
    Expire,
}

/// A will that must be published before the core's call is over.
#[derive(Debug)]
struct Due {
    client_id: Rc<str>,
    letter: Letter,
    expiry: Option<u32>,
}

/// The auditor.
pub(crate) struct Auditor {
    pub(crate) trace: Trace,
    failure: Option<String>,
    now: Moment,
    broker: Arc<Broker>,
    limits: BrokerLimits,
    sessions: BTreeMap<Rc<str>, Session>,
    links: BTreeMap<u32, Link>,
    /// Of each client whose rate was ever limited.
    paces: BTreeMap<Rc<str>, Rc<RefCell<Pace>>>,
    /// Whose deliveries are being judged: two connections may have pulled for one client.
    screening: Option<u32>,
    retained: BTreeMap<Rc<str>, Letter>,
    doing: Doing,
    due: VecDeque<Due>,
    /// A publication that was permitted and goes to a transformer next, and the generation that permitted it.
    inquiry: Option<(Letter, u64, bool)>,
    /// What the publisher must be told.
    outcome: Option<ReasonCode>,
    /// Whoever is publishing can be told that it was refused.
    is_answered: bool,
    /// Messages for one member of a group each, until that one has them.
    floats: Vec<Float>,
    /// How many of them wait somewhere.
    floating: usize,
    /// How many more need not.
    excused: usize,
    /// How many of them were routed last.
    offered: usize,
    /// Something happened that may cost any of them.
    is_loose: bool,
    batch: u64,
    order: u64,
    /// Grants that the judge answered, in order.
    grants: VecDeque<Result<QoS, ReasonCode>>,
    /// How often the core was handed each publication.
    handed: BTreeMap<Vec<u8>, u32>,
    /// How often it was routed.
    routed: BTreeMap<Vec<u8>, u32>,
    /// The session of each connection there ever was.
    keys: BTreeMap<u32, u64>,
    /// Publications that were compared on their way out.
    pub(crate) delivered: u64,
}

impl Auditor {
    pub(crate) fn new(broker: Arc<Broker>, limits: BrokerLimits, trace: Trace) -> Self {
        Self {
            trace,
            failure: None,
            now: Moment(0),
            broker,
            limits,
            sessions: BTreeMap::new(),
            links: BTreeMap::new(),
            paces: BTreeMap::new(),
            screening: None,
            retained: BTreeMap::new(),
            doing: Doing::Nothing,
            due: VecDeque::new(),
            inquiry: None,
            outcome: None,
            is_answered: false,
            floats: Vec::new(),
            floating: 0,
            excused: 0,
            offered: 0,
            is_loose: false,
            batch: 0,
            order: 0,
            grants: VecDeque::new(),
            handed: BTreeMap::new(),
            routed: BTreeMap::new(),
            keys: BTreeMap::new(),
            delivered: 0,
        }
    }

    pub(crate) fn at(&mut self, step: u64, now: Moment) {
        self.now = now;
        self.trace.at(step, now.0);
    }

    pub(crate) fn note(&mut self, event: Arguments<'_>) {
        self.trace.note(event);
    }

    /// Something is wrong. The first one counts.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.trace.note(format_args!("FAILED {what}"));
        self.failure.get_or_insert(what);
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    pub(crate) fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what());
        }
    }

    /// A call into the core is over.
    pub(crate) fn done(&mut self) {
        self.settle();
        self.doing = Doing::Nothing;
        if let Some(due) = self.due.pop_front() {
            self.fail(format!("the will of {} was due and not published", due.client_id));
        }
        self.check(self.inquiry.is_none(), || "permitted, and never transformed".into());
        self.inquiry = None;
    }

    /// What can be seen of the whole broker at any time is as the model has it.
    pub(crate) fn survey(&mut self) {
        self.settle();
        let (sessions, retained) = (self.broker.sessions(), self.broker.retained());
        let (expected, stored) = (self.sessions.len(), self.retained.len());
        self.check(sessions == expected, || format!("{sessions} sessions instead of {expected}"));
        self.check(retained == stored, || format!("{retained} retained instead of {stored}"));
        let mut wrong = None;
        let mut patterns = BTreeSet::new();
        for (id, session) in &self.sessions {
            for pattern in session.held.keys() {
                let pattern = pattern
                    .splitn(3, '/')
                    .last()
                    .filter(|_| pattern.starts_with("$share/"))
                    .unwrap_or(pattern);
                patterns.insert(pattern.to_owned());
            }
            let Some(real) = self.broker.session(id) else {
                wrong = Some(format!("there is no session {id}"));
                continue;
            };
            let (open, expected) = (real.state.lock().inflight.open(), session.open.len());
            // What is too large to be sent again is given up once there is a place in the window.
            let resends =
                session.holder.and_then(|at| self.links.get(&at)).is_some_and(Link::resends);
            if open != expected && !resends {
                wrong = Some(format!("{open} messages are open to {id} instead of {expected}"));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
        let (real, expected) = (self.broker.filter_nodes(), nodes(&patterns));
        self.check(real == expected, || format!("{real} nodes of filters instead of {expected}"));
    }

    /// Nothing is owed to anybody: for the end of a run.
    pub(crate) fn audit_rest(&mut self) {
        let links: Vec<u32> = self.links.keys().copied().collect();
        links.into_iter().for_each(|at| self.resent(at));
        let mut wrong = None;
        for (id, session) in &self.sessions {
            let (waiting, open) = (session.queue.len() + session.shared, session.open.len());
            if session.holder.is_some() && waiting + open > 0 {
                wrong = Some(format!("{id} is owed {waiting} waiting and {open} open messages"));
            }
            if !session.received.is_empty() {
                wrong = Some(format!("{id} has released everything, the broker has not"));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    /// What a client saw through to its end was published as often as its QoS promises.
    pub(crate) fn audit_seen(&mut self, payload: &str, qos: QoS) {
        let of = |counts: &BTreeMap<Vec<u8>, u32>| counts.get(payload.as_bytes()).copied();
        let (handed, routed) = (of(&self.handed).unwrap_or(0), of(&self.routed).unwrap_or(0));
        let right = handed > 0 && (qos != QoS::ExactlyOnce || routed <= 1);
        self.check(right, || format!("{payload} came {handed} times, was routed {routed} times"));
    }

    /// What a client accepted is what was sent to its session: QoS 2 as often, QoS 1 at least as often.
    pub(crate) fn audit_accepted(&mut self, client_id: &str, accepted: &Counts) {
        let Some(session) = self.sessions.get(client_id) else { return };
        let count = |counts: &Counts, key| counts.get(key).copied().unwrap_or(0);
        let mut wrong = None;
        for key in session.written.keys().chain(accepted.keys()) {
            let (got, sent) = (count(accepted, key), count(&session.written, key));
            let least = sent - count(&session.given_up, key);
            if key.1 > 0 && (got < least || key.1 == 2 && got > sent) {
                let text = String::from_utf8_lossy(&key.0).into_owned();
                wrong = Some(format!("{client_id} got \"{text}\" {got} times instead of {sent}"));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
    }

    /// The core's number for the session that this connection got.
    pub(crate) fn key_of(&self, link: u32) -> Option<u64> {
        self.keys.get(&link).copied()
    }

    fn next_batch(&mut self) -> u64 {
        self.batch += 1;
        self.batch
    }
}

/// In a tree of these filters: one for each of them, and one wherever several begin with the same levels.
fn nodes(patterns: &BTreeSet<String>) -> usize {
    let mut paths = BTreeSet::new();
    for pattern in patterns {
        let ends = pattern.match_indices('/').map(|(at, _)| at).chain([pattern.len()]);
        paths.extend(ends.map(|end| &pattern[..end]));
    }
    let mut below = BTreeMap::<&str, usize>::new();
    for (above, _) in paths.iter().filter_map(|path| path.rsplit_once('/')) {
        *below.entry(above).or_default() += 1;
    }
    let branches = |path: &str| below.get(path).is_some_and(|count| *count > 1);
    paths.iter().filter(|path| patterns.contains(**path) || branches(path)).count()
}
