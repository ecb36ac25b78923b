//! One question to a chain: with which instances it is asked, and what is remembered of the answers. Must not know
//! policies.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Decision, Request};
use wasmqtt_core::time::Moment;

use crate::carried::Carried;
use crate::decisions::{Decisions, Recalled};
use crate::elsewhere::SharedDecisions;
use crate::error::CallError;
use crate::guest::Guest;
use crate::plugin::{Plugin, Slot, Waited};
use crate::selection;
use crate::tally::{Hook, Outcome};

/// One worker's own instances, by the position of their plugin.
pub(crate) struct Seat {
    pub(crate) worker: usize,
    pub(crate) guests: Box<[Option<Guest>]>,
}

/// What one worker remembers of the generation that it asks.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) decisions: Decisions,
    pub(crate) selections: selection::Memo,
    /// Of the packet that is judged now.
    pub(crate) carried: Carried,
}

/// Whom a question goes to.
pub(crate) enum Instances<'a> {
    /// A worker's own. None of a plugin that may wait is asked.
    Seat(&'a mut Seat),
    /// Whichever are free: off the data path, where waiting does no harm.
    Pooled(&'a mut Spent),
}

/// How long each plugin has waited because of one packet, by its place.
#[derive(Debug, Default)]
pub(crate) struct Spent(BTreeMap<usize, Waited>);

/// A question: who answers, with which instances, and when.
pub(crate) struct Session<'a> {
    pub(crate) plugins: &'a [Plugin],
    pub(crate) instances: Instances<'a>,
    pub(crate) memory: &'a mut Memory,
    /// Where answers are remembered that are learned elsewhere.
    pub(crate) shared: Option<&'a SharedDecisions>,
    /// How many revocations there had been before the question.
    pub(crate) revoked: u64,
    pub(crate) now: Moment,
    /// Of the message that it is about.
    pub(crate) hops: u8,
}

impl<'a> Session<'a> {
    /// The plugin at this position, and its instance for one call.
    pub(super) fn at(&mut self, hook: Hook, place: usize) -> Option<(&'a Plugin, Slot<'_>)> {
        let plugin = self.plugins.get(place)?;
        let slot = match &mut self.instances {
            Instances::Pooled(spent) => plugin.pooled(hook, spent.0.entry(place).or_default()),
            Instances::Seat(_) if plugin.waits() => Slot::None(CallError::Waits),
            Instances::Seat(seat) => Slot::Own(seat.guests.get_mut(place)?, seat.worker),
        };
        Some((plugin, slot))
    }

    /// Whether asking this plugin about such a request may mean to wait.
    pub(super) fn waits_for(&self, place: usize, action: Action) -> bool {
        self.plugins
            .get(place)
            .is_some_and(|plugin| plugin.waits() && plugin.registration.authorize.contain(action))
    }

    /// Does something with what is remembered. What is learned from an answer is forgotten where rights were revoked
    /// since it was asked for.
    #[inline]
    fn remembered<R>(&mut self, work: impl FnOnce(&mut Decisions) -> R) -> R {
        match self.shared {
            None => work(&mut self.memory.decisions),
            Some(shared) => shared.with(work),
        }
    }

    fn learn(&mut self, learn: impl FnOnce(&mut Decisions)) {
        match self.shared {
            None => learn(&mut self.memory.decisions),
            Some(shared) => shared.learn(self.revoked, learn),
        }
    }

    /// What is known already, from position `from` on: where it was looked up for this packet, that.
    pub(super) fn recall(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
        places: &[usize],
        from: usize,
    ) -> Recalled {
        if from == 0
            && let Some(found) = self.memory.carried.find(client, request)
        {
            return found;
        }
        self.look_up(client, request, places, from)
    }

    /// What is known now, to be used for this packet.
    pub(super) fn recall_for_later(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
        places: &[usize],
    ) -> Recalled {
        let found = self.look_up(client, request, places, 0);
        self.memory.carried.keep(client, request, &found);
        found
    }

    fn look_up(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
        places: &[usize],
        from: usize,
    ) -> Recalled {
        let (now, plugins) = (self.now, self.plugins);
        let asks = |place: usize| {
            let plugin = plugins.get(place);
            plugin.is_some_and(|plugin| plugin.registration.authorize.contain(request.action))
        };
        self.remembered(|decisions| decisions.recall(now, client, request, places, from, asks))
    }

    /// What one authorizer answers, remembered for as long as it says; none: it abstains. An error is true where it
    /// denies.
    pub(super) fn ask(
        &mut self,
        place: usize,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Result<Option<Decision>, bool> {
        let (now, hops) = (self.now, self.hops);
        let Some((plugin, slot)) = self.at(Hook::Authorize, place) else { return Err(false) };
        match plugin.authorize(slot, hops, client, request) {
            Ok((decision, reuse_ms)) => {
                self.learn(|decisions| {
                    decisions.keep(now, client, request, place, decision.as_ref(), reuse_ms);
                });
                Ok(decision)
            }
            Err(error) => {
                plugin.complain("authorize", &error);
                Err(!plugin.fails_open())
            }
        }
    }

    /// Denials count whether or not somebody was asked again.
    pub(super) fn count_reused(&self, place: Option<usize>, decision: &Decision) {
        let worker = match &self.instances {
            Instances::Pooled(_) => None,
            Instances::Seat(seat) => Some(seat.worker),
        };
        if matches!(decision, Decision::Deny(_))
            && let Some(plugin) = place.and_then(|place| self.plugins.get(place))
        {
            plugin.tallies.count(worker, Hook::Authorize, Outcome::DenyReused);
        }
    }

    /// Where somebody was asked for a decision, takes note of clients that insist.
    pub(super) fn conclude(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
        place: Option<usize>,
        decision: &Decision,
        asked: bool,
    ) {
        let now = self.now;
        match decision {
            _ if !asked => {}
            Decision::Deny(refusal) => {
                self.learn(|decisions| decisions.denied(now, client, request, place, refusal));
            }
            _ => self.learn(|decisions| decisions.allowed(client, request)),
        }
    }

    pub(super) fn fails_open(&self, place: usize) -> bool {
        self.plugins.get(place).is_some_and(Plugin::fails_open)
    }
}
