//! Questions that are asked off the data path, because a plugin that is asked may wait for somebody outside of the broker.
//! Their answers are remembered for all workers together. Must not know what is waited for.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::{Client, ListenerId};
use wasmqtt_core::judge::{Decision, Judge, Refusal, Request, Screened, Transformed};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

use crate::chain::{Chain, Instances, Memory, Session, Spent};
use crate::decisions::Decisions;
use crate::generation::Generation;
use crate::revocation::{Missed, Revocations};

/// What is remembered of authorizers in chains where one may wait, of one generation.
#[derive(Debug, Default)]
pub(crate) struct SharedDecisions {
    remembered: Mutex<Remembered>,
    revocations: Arc<Revocations>,
}

#[derive(Debug, Default)]
struct Remembered {
    decisions: Decisions,
    /// Of the revocations, how many it has seen.
    revoked: u64,
}

impl Remembered {
    fn catch_up(&mut self, revocations: &Revocations) {
        if revocations.count() == self.revoked {
            return;
        }
        let (count, missed) = revocations.since(self.revoked);
        self.revoked = count;
        match missed {
            Missed::Subjects(subjects) => {
                subjects.iter().for_each(|subject| self.decisions.forget(subject));
            }
            Missed::TooMany => self.decisions.clear(),
        }
    }
}

impl SharedDecisions {
    pub(crate) fn new(revocations: &Arc<Revocations>) -> Self {
        Self { remembered: Mutex::default(), revocations: Arc::clone(revocations) }
    }

    /// How many revocations there are now.
    pub(crate) fn revoked(&self) -> u64 {
        self.revocations.count()
    }

    /// Does something with what is remembered and not revoked.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Decisions) -> R) -> R {
        let mut remembered = self.remembered.lock();
        remembered.catch_up(&self.revocations);
        work(&mut remembered.decisions)
    }

    /// Learns from an answer that was asked for after so many revocations, unless there was another one since.
    pub(crate) fn learn(&self, revoked: u64, learn: impl FnOnce(&mut Decisions)) {
        let mut remembered = self.remembered.lock();
        remembered.catch_up(&self.revocations);
        if remembered.revoked == revoked {
            learn(&mut remembered.decisions);
        }
    }
}

/// Asks in place of a worker, from any thread, with instances that are no worker's own. One value per packet, whose
/// questions share the time that it may take; its calls block.
pub struct PatientJudge {
    generation: Arc<Generation>,
    memory: Memory,
    spent: Spent,
    revoked: u64,
}

impl PatientJudge {
    pub(crate) fn new(generation: Arc<Generation>) -> Self {
        let revoked = generation.shared.revoked();
        Self { generation, memory: Memory::default(), spent: Spent::default(), revoked }
    }

    fn ask<R>(
        &mut self,
        listener: ListenerId,
        now: Moment,
        hops: u8,
        question: impl FnOnce(&Chain, &mut Session<'_>) -> R,
    ) -> Option<R> {
        let chain = self.generation.chain(listener)?;
        let mut session = Session {
            plugins: &self.generation.plugins,
            instances: Instances::Pooled(&mut self.spent),
            memory: &mut self.memory,
            shared: chain.waits.authorize.then_some(&self.generation.shared),
            revoked: self.revoked,
            now,
            hops,
        };
        Some(question(chain, &mut session))
    }
}

impl fmt::Debug for PatientJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.generation.number;
        f.debug_struct("PatientJudge").field("generation", &number).finish_non_exhaustive()
    }
}

impl Judge for PatientJudge {
    fn knows(&self, listener: ListenerId) -> bool {
        self.generation.chain(listener).is_some()
    }

    fn authorize(&mut self, now: Moment, client: &Arc<Client>, request: &Request<'_>) -> Decision {
        self.ask(client.listener, now, 0, |chain, session| {
            chain.authorize(session, client, request)
        })
        .unwrap_or_else(|| Decision::Deny(Refusal::new(ReasonCode::NotAuthorized)))
    }

    fn transforms(&self, listener: ListenerId, message: &Message) -> bool {
        // Where the listener is gone, nobody can say what its transformers would have made of it: it is rejected.
        self.generation.chain(listener).is_none_or(|chain| chain.publish.may_want(message))
    }

    fn transform(&mut self, now: Moment, client: &Arc<Client>, message: Message) -> Transformed {
        let hops = message.hops();
        let transform =
            |chain: &Chain, session: &mut Session<'_>| chain.transform(session, client, message);
        self.ask(client.listener, now, hops, transform)
            .unwrap_or_else(|| Transformed::Reject(Refusal::new(ReasonCode::NotAuthorized)))
    }

    fn screens(&self, _: ListenerId) -> bool {
        true
    }

    /// Deliveries are for workers to judge.
    fn screen(&mut self, _: Moment, _: &Arc<Client>, _: &Arc<Message>) -> Screened {
        Screened::Skip
    }
}

#[cfg(test)]
mod tests {
    use wasmqtt_core::judge::{Permissions, Subject};

    use super::*;
    use crate::decisions::Recalled;
    use crate::testing::{client, publish};

    const NOW: Moment = Moment(1_000_000);

    #[test]
    fn an_answer_that_was_asked_for_before_a_revocation_is_not_learned_after_it() {
        let revocations = Arc::<Revocations>::default();
        let shared = SharedDecisions::new(&revocations);
        let client = client(Permissions::default());
        let learn = |revoked, topic: &str| {
            shared.learn(revoked, |decisions| {
                decisions.keep(NOW, &client, &publish(topic), 0, Some(&Decision::Allow), 1_000);
            });
        };
        let knows = |topic: &str| {
            let recall = |decisions: &mut Decisions| {
                decisions.recall(NOW, &client, &publish(topic), &[0], 0, |_| true)
            };
            shared.with(recall) != Recalled::Ask(0)
        };
        let before = shared.revoked();
        learn(before, "a");
        assert!(knows("a"));
        revocations.revoke(Subject::Everyone);
        assert!(!knows("a"), "what was known is forgotten");
        learn(before, "b");
        assert!(!knows("b"));
        learn(shared.revoked(), "b");
        assert!(knows("b"));
    }
}
