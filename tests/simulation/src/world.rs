//! One run: a broker, its lanes, clients, the wires between them, and time. First everything may break, then all
//! heals and what is owed must arrive.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{ReasonCode, Version};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::judge::{Identity, Refusal};
use wasmqtt_core::time::Moment;

use crate::auditor::Auditor;
use crate::client::Client;
use crate::driver::{Driver, Polled, Room};
use crate::judge::{Bench, Scripted};
use crate::plan::Plan;
use crate::random::Random;
use crate::saboteur::Saboteur;
use crate::trace::Trace;
use crate::wire::{Read, Wire};

/// Rounds of healing, of 20 ms each: what is owed must have arrived by then.
const ROUNDS: u64 = 10_000;

/// One connection with both ends.
pub(crate) struct Line {
    pub(crate) driver: Driver,
    pub(crate) up: Wire,
    pub(crate) down: Wire,
    pub(crate) is_gone: bool,
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) broker: Arc<Broker>,
    lanes: Vec<Lane>,
    /// The connection whose turn is held on each lane.
    busy: Vec<Option<u32>>,
    pub(crate) auditor: Rc<RefCell<Auditor>>,
    bench: Rc<RefCell<Bench>>,
    pub(crate) saboteur: Saboteur,
    pub(crate) clients: Vec<Client>,
    pub(crate) lines: BTreeMap<u32, Line>,
    next_line: u32,
    pub(crate) now: Moment,
    pub(crate) step: u64,
    pub(crate) is_healing: bool,
    wave: bool,
}

impl World {
    pub(crate) fn new(plan: Plan, saboteur: Saboteur, aloud: bool) -> Self {
        let mut random = Random::new(plan.seed.wrapping_add(1));
        let broker = Broker::new(plan.broker, plan.seed).sharing(plan.sharing);
        let broker = Arc::new(broker);
        let auditor = Auditor::new(Arc::clone(&broker), plan.broker, Trace::new(aloud));
        let auditor = Rc::new(RefCell::new(auditor));
        let bench = Rc::new(RefCell::new(Bench::new(plan.seed, plan.is_judged)));
        let judge = || Scripted::new(Rc::clone(&bench), Rc::clone(&auditor));
        let lane = |number: usize| Lane::new(Box::new(judge())).on_worker(number as u32);
        let lanes: Vec<Lane> = (0..plan.lanes).map(lane).collect();
        let versions = [Version::V31, Version::V311, Version::V5, Version::V5];
        let clients = (0..plan.clients)
            .map(|number| {
                let version = random.pick(&versions);
                // One that leaves its name to the broker.
                let is_nameless = number == 5 && version == Version::V5;
                let name = if is_nameless { String::new() } else { format!("client{number}") };
                Client::new(number, name, version)
            })
            .collect();
        Self {
            busy: vec![None; plan.lanes],
            plan,
            random,
            broker,
            lanes,
            auditor,
            bench,
            saboteur,
            clients,
            lines: BTreeMap::new(),
            next_line: 1,
            now: Moment(1_000),
            step: 0,
            is_healing: false,
            wave: false,
        }
    }

    /// Runs until something is wrong or everything is over.
    pub(crate) fn run(&mut self) {
        self.auditor.borrow_mut().note(format_args!("{:?}", self.plan));
        while self.step < self.plan.steps && !self.has_failed() {
            self.tick();
            self.one_step();
            self.auditor.borrow_mut().survey();
        }
        if !self.has_failed() {
            self.heal();
        }
    }

    fn has_failed(&self) -> bool {
        self.auditor.borrow().failure().is_some()
    }

    fn tick(&mut self) {
        self.step += 1;
        let jump = match self.random.below(1000) {
            0 => 30_000,
            1..10 => 3_000,
            _ => 6,
        };
        self.now.0 += self.random.below(jump);
        self.auditor.borrow_mut().at(self.step, self.now);
    }

    fn one_step(&mut self) {
        if self.random.below(10_000) < self.plan.cuts {
            return self.cut();
        }
        match self.random.below(100) {
            0..50 => {
                let ids: Vec<u32> = self.lines.keys().copied().collect();
                if !ids.is_empty() {
                    let id = self.random.pick(&ids);
                    let is_spurious = self.random.chance(3);
                    self.poll(id, is_spurious);
                }
            }
            50..70 => {
                let at = self.random.index(self.clients.len());
                // Some take their time.
                if at % 3 != 1 || self.random.chance(20) {
                    self.read(at);
                }
            }
            70..93 => {
                let at = self.random.index(self.clients.len());
                self.act(at);
            }
            93..96 => self.expire(),
            96..98 => self.reload(),
            98 if self.random.chance(20) => self.order(),
            _ => {}
        }
    }

    fn cut(&mut self) {
        let ids: Vec<u32> = self.lines.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = self.random.pick(&ids);
        let Some(line) = self.lines.get_mut(&id) else { return };
        line.up.cut(&mut self.random);
        line.down.cut(&mut self.random);
        self.auditor.borrow_mut().note(format_args!("#{id} is cut"));
    }

    fn reload(&mut self) {
        self.bench.borrow_mut().reload();
        self.broker.ask_rejudge();
    }

    /// Somebody in charge closes a connection.
    fn order(&mut self) {
        let at = self.random.index(self.clients.len());
        let name = self.clients[at].name.clone();
        self.auditor.borrow_mut().note(format_args!("{name} is told to go"));
        self.auditor.borrow_mut().ordered(&name);
        self.broker.disconnect(&name, ReasonCode::AdministrativeAction);
    }

    fn expire(&mut self) {
        let at = self.random.index(self.lanes.len());
        if self.busy[at].is_some() {
            return;
        }
        self.auditor.borrow_mut().note(format_args!("what is due is done"));
        self.auditor.borrow_mut().expiring();
        self.broker.expire(&mut self.lanes[at], self.now);
        self.lanes[at].wakes.wake();
        self.auditor.borrow_mut().expired();
        if self.random.chance(10) {
            self.broker.expire_retained(self.now);
            self.auditor.borrow_mut().retained_expired();
        }
    }

    /// A connection gets its turn, when anything woke it and its lane is free.
    fn poll(&mut self, id: u32, is_spurious: bool) {
        let Some(line) = self.lines.get_mut(&id) else { return };
        let lane = line.driver.lane;
        let runs = line.driver.is_runnable(self.now, &line.up, &line.down) || is_spurious;
        if line.is_gone || !runs || self.busy[lane].is_some_and(|held| held != id) {
            return;
        }
        let can_hold = self.plan.holds && self.lanes.len() > 1 && !self.is_healing;
        let identity = match self.plan.has_identities && !self.is_healing {
            true if self.random.chance(4) => Err(Refusal::new(ReasonCode::BadUserNameOrPassword)),
            true => Ok(self.plan.identity(&mut self.random)),
            false => Ok(Identity::default()),
        };
        let patience = if self.random.chance(20) { self.random.below(2_000) } else { 0 };
        let polled = line.driver.poll(&mut Room {
            broker: &self.broker,
            lane: &mut self.lanes[lane],
            auditor: &self.auditor,
            saboteur: &mut self.saboteur,
            random: &mut self.random,
            up: &mut line.up,
            down: &mut line.down,
            listener: &self.plan.listener,
            now: self.now,
            holds: if can_hold { 15 } else { 0 },
            identity,
            patience,
        });
        // In the middle of a turn nobody is woken yet.
        if polled != Polled::Held {
            self.lanes[lane].wakes.wake();
        }
        self.busy[lane] = (polled == Polled::Held).then_some(id);
        line.is_gone = polled == Polled::Gone;
        self.sweep(id);
        if polled == Polled::Held && self.random.chance(4) {
            // Its session is taken from it in the middle of its turn.
            let owner = self.clients.iter().position(|c| c.link == Some(id) && c.is_welcome);
            owner.into_iter().for_each(|at| self.come(at));
        }
    }

    /// A connection that is gone stays for as long as its client may read.
    pub(crate) fn sweep(&mut self, id: u32) {
        let is_read = self.clients.iter().any(|client| client.link == Some(id));
        if !is_read && self.lines.get(&id).is_some_and(|line| line.is_gone) {
            self.lines.remove(&id);
        }
    }

    /// A client takes what has arrived, and answers.
    fn read(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(id) = client.link else { return };
        let Some(line) = self.lines.get_mut(&id) else { return };
        match line.down.read(self.now.0, &mut self.random) {
            Read::Nothing => {}
            Read::End => {
                line.up.end();
                line.down.abandon();
                client.begin(None);
                self.sweep(id);
            }
            Read::Bytes(bytes) => {
                let mut out = Vec::new();
                let key = self.auditor.borrow().key_of(id);
                let received = client.receive(&bytes, key, &mut out);
                if !out.is_empty() {
                    client.heard_at = self.now.0;
                }
                line.up.force(self.now.0, &out, &mut self.random);
                if let Err(wrong) = received {
                    self.auditor.borrow_mut().fail(format!("client {at}: {wrong}"));
                }
            }
        }
    }

    /// Opens a connection on any lane, on which the client writes `bytes` first.
    pub(crate) fn open(&mut self, at: usize, bytes: &[u8]) -> u32 {
        let id = self.next_line;
        self.next_line += 1;
        let lane = self.random.index(self.lanes.len());
        let mut up = Wire::new(usize::MAX, self.plan.latency);
        up.force(self.now.0, bytes, &mut self.random);
        let down = Wire::new(self.plan.wire, self.plan.latency);
        let driver = Driver::new(id, lane);
        self.lines.insert(id, Line { driver, up, down, is_gone: false });
        let before = self.clients[at].link;
        self.clients[at].begin(Some(id));
        self.clients[at].heard_at = self.now.0;
        if let Some(before) = before {
            // The old connection is still there for the broker; its client does not look at it any more.
            if let Some(line) = self.lines.get_mut(&before) {
                line.down.abandon();
                if self.random.chance(50) {
                    line.up.end();
                }
            }
            self.sweep(before);
        }
        id
    }

    /// The client's bytes go onto its wire.
    pub(crate) fn send(&mut self, at: usize, bytes: &[u8]) {
        let client = &mut self.clients[at];
        let line = client.link.and_then(|id| self.lines.get_mut(&id));
        if let Some(line) = line.filter(|_| !bytes.is_empty()) {
            client.heard_at = self.now.0;
            line.up.force(self.now.0, bytes, &mut self.random);
        }
    }

    /// Nothing breaks any more; everybody comes back, and what is owed must arrive in time.
    fn heal(&mut self) {
        self.is_healing = true;
        self.plan.latency = self.plan.latency.min(20);
        self.bench.borrow_mut().open();
        self.auditor.borrow_mut().note(format_args!("everything heals"));
        // What nobody holds any more ends at last, for the broker, too.
        let held: Vec<Option<u32>> = self.clients.iter().map(|client| client.link).collect();
        // Who is at odds with the broker begins anew.
        let at_odds = |at: &usize| self.clients[*at].is_at_odds;
        let at_odds: Vec<usize> = (0..self.clients.len()).filter(at_odds).collect();
        at_odds.into_iter().for_each(|at| self.hang_up(at));
        let abandoned = self.lines.iter_mut().filter(|(id, _)| !held.contains(&Some(**id)));
        abandoned.for_each(|(_, line)| line.up.end());
        for _ in 0..ROUNDS {
            self.step += 1;
            self.now.0 += 20;
            self.auditor.borrow_mut().at(self.step, self.now);
            self.round();
            if self.has_failed() {
                return;
            }
            let all_here = self.clients.iter().all(|client| is_lost(client) || client.is_welcome);
            if all_here && !self.wave {
                self.wave = true;
                (0..self.clients.len()).for_each(|at| self.publish_last(at));
            } else if all_here && self.is_quiet() {
                self.auditor.borrow_mut().survey();
                return self.audit();
            }
        }
        let lines: Vec<u32> = self.lines.keys().copied().collect();
        let busy = |client: &&Client| !(is_lost(client) || client.is_welcome && client.is_idle());
        let busy: Vec<usize> = self.clients.iter().filter(busy).map(|c| c.number).collect();
        let what = format!("not all is well in time: lines {lines:?}, clients {busy:?}");
        self.auditor.borrow_mut().fail(what);
    }

    fn round(&mut self) {
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            let is_tired = client.keep_alive > 0
                && self.now.0 - client.heard_at > u64::from(client.keep_alive) * 500;
            if client.link.is_none() && !is_lost(client) {
                self.come_back(at);
            } else if client.is_welcome && is_tired {
                self.ping(at);
            }
            self.read(at);
        }
        let ids: Vec<u32> = self.lines.keys().copied().collect();
        for id in ids {
            self.poll(id, false);
            self.sweep(id);
        }
        if self.step.is_multiple_of(50) {
            self.expire();
        }
    }

    fn is_quiet(&self) -> bool {
        let now = self.now;
        let idle = |line: &Line| {
            let runs = line.driver.is_runnable(now, &line.up, &line.down);
            !runs && !line.is_gone && line.up.is_empty() && line.down.is_empty()
        };
        self.lines.values().all(idle)
            && self.lines.len() == self.clients.iter().filter(|c| c.link.is_some()).count()
            && self.clients.iter().all(|client| is_lost(client) || client.is_idle())
    }

    fn audit(&mut self) {
        let mut auditor = self.auditor.borrow_mut();
        auditor.audit_rest();
        for client in self.clients.iter().filter(|client| client.is_welcome) {
            auditor.audit_accepted(&client.name, &client.accepted);
        }
        for client in &self.clients {
            client.seen.iter().for_each(|seen| auditor.audit_seen(&seen.payload, seen.qos));
        }
    }
}

/// The broker has no place for it.
fn is_lost(client: &Client) -> bool {
    client.link.is_none()
        && matches!(
            client.last_refusal,
            Some(ReasonCode::QuotaExceeded | ReasonCode::ServerUnavailable)
        )
}
