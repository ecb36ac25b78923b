//! What transformers make of a message, one after the other, and why each was asked. Asks as the data path does, but
//! nothing that is remembered, and instances of its own.

use std::sync::Arc;

use wasmqtt_codec::{ReasonCode, topic};
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Refusal, Request, Transformed};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

use super::{Chain, Decider, Instances, Memory, Session, Spent, commit, failed};
use crate::convert::Verdict;
use crate::error::CallError;
use crate::generation::Generation;
use crate::host::messages::Original;
use crate::plugin::{Plugin, Slot};
use crate::registration::{Selector, Selectors};
use crate::sandbox::Sandbox;

/// The moment that expiries count from.
const NOW: Moment = Moment(0);

/// How a message fares among the transformers of a listener.
#[derive(Debug)]
pub struct Passage {
    /// Every transformer that wants publications at all, up to the one that ended it, in the order they are asked.
    pub treatments: Vec<(String, Treated)>,
    /// What is routed in the end, with expiries that count from zero.
    pub outcome: Transformed,
    /// Who ended it; none: it is routed.
    pub decider: Option<Decider>,
}

/// What one transformer did.
#[derive(Debug)]
pub struct Treated {
    /// Which of its selectors wants the message, in words.
    pub wants: Option<String>,
    /// What it did then.
    pub deed: Deed,
}

/// What a transformer may do with a message.
#[derive(Clone, Debug)]
pub enum Deed {
    /// It is not asked: no selector of it wants the message as it is by then.
    NotAsked,
    /// It passes it on as it was.
    Kept,
    /// It passes this on instead.
    Changed(Box<Message>),
    /// It lets it vanish.
    Discarded,
    /// It refuses it.
    Rejected(Refusal),
    /// It moves it to where it may not, for this reason: the message is refused.
    Breached(String),
    /// It has no answer, for this reason.
    Failed(String),
}

impl Sandbox {
    /// Explains what the transformers of a client's listener make of its publication now. Nobody is asked whether it may
    /// be published. Blocks; every plugin that is asked gets an instance that is started for this, and what its call does,
    /// counts included, is done.
    pub fn explain_message(&self, client: &Arc<Client>, message: Message) -> Passage {
        let generation = self.current();
        let nobody = Chain::default();
        generation.chain(client.listener).unwrap_or(&nobody).pass(&generation, client, message)
    }
}

impl Chain {
    fn pass(&self, generation: &Generation, client: &Arc<Client>, mut message: Message) -> Passage {
        let (mut spent, mut memory) = (Spent::default(), Memory::default());
        let mut session = Session {
            plugins: &generation.plugins,
            instances: Instances::Pooled(&mut spent),
            memory: &mut memory,
            shared: None,
            revoked: 0,
            now: NOW,
            hops: message.hops(),
        };
        let mut treatments = Vec::new();
        for (step, place) in self.publish.places_from(0).iter().enumerate() {
            let Some(plugin) = generation.plugins.get(*place) else { continue };
            let next = self.publish.next(&mut session.memory.selections, &message, step);
            let (wants, deed) = match next.is_some_and(|(wanting, _)| wanting == step) {
                false => (None, Deed::NotAsked),
                true => (
                    plugin.registration.on_publish.reason(&message),
                    self.treat(&mut session, (plugin, *place), client, &message),
                ),
            };
            let ended = ending(plugin, &deed);
            if let Deed::Changed(changed) = &deed {
                message = (**changed).clone();
            }
            treatments.push((plugin.spec.name.clone(), Treated { wants, deed }));
            if let Some((outcome, decider)) = ended {
                return Passage { treatments, outcome, decider: Some(decider) };
            }
        }
        Passage { treatments, outcome: Transformed::Forward(message), decider: None }
    }

    fn treat(
        &self,
        session: &mut Session<'_>,
        (plugin, place): (&Plugin, usize),
        client: &Arc<Client>,
        message: &Message,
    ) -> Deed {
        let original = Original::Owned(message.clone());
        let changes = match plugin.on_publish(Slot::Probed(&mut None), NOW, original).1 {
            Ok((Verdict::Forward, changes)) => changes,
            Ok((Verdict::Discard, _)) => return Deed::Discarded,
            Ok((Verdict::Reject(refusal), _)) => return Deed::Rejected(refusal),
            Err(error) => return Deed::Failed(error.to_string()),
        };
        if changes.is_empty() {
            return Deed::Kept;
        }
        let permits = |session: &mut Session<'_>, request: &Request<'_>| {
            self.permits(session, client, request)
        };
        match commit(session, place, message, &changes, Action::Publish, permits) {
            Ok(changed) => Deed::Changed(Box::new(changed)),
            Err(error) => deed(&error),
        }
    }
}

fn deed(error: &CallError) -> Deed {
    match error.is_breach() {
        true => Deed::Breached(error.to_string()),
        false => Deed::Failed(error.to_string()),
    }
}

/// What ends the passage, and who.
fn ending(plugin: &Plugin, deed: &Deed) -> Option<(Transformed, Decider)> {
    let name = plugin.spec.name.clone();
    match deed {
        Deed::NotAsked | Deed::Kept | Deed::Changed(_) => None,
        Deed::Discarded => Some((Transformed::Discard, Decider::Plugin(name))),
        Deed::Rejected(refusal) => {
            Some((Transformed::Reject(refusal.clone()), Decider::Plugin(name)))
        }
        Deed::Breached(_) => {
            let refusal = Refusal::new(ReasonCode::NotAuthorized);
            Some((Transformed::Reject(refusal), Decider::Plugin(name)))
        }
        Deed::Failed(_) if plugin.fails_open() => None,
        Deed::Failed(_) => Some((Transformed::Reject(failed()), Decider::OnFailure(name))),
    }
}

impl Selectors {
    /// The first selector that wants this message, in words.
    fn reason(&self, message: &Message) -> Option<String> {
        self.iter().find_map(|selector| selector.reason(message))
    }
}

impl Selector {
    fn reason(&self, message: &Message) -> Option<String> {
        let Self { filters, user_property, min_payload, max_payload } = self;
        let size = message.payload().len() as u64;
        let fits = u64::from(*min_payload) <= size
            && max_payload.is_none_or(|most| size <= u64::from(most));
        let filter = filters.iter().find(|filter| topic::matches(filter, message.topic()));
        let properties = message.properties().user_properties();
        let named = user_property.as_deref();
        let carries = named.is_none_or(|name| properties.iter().any(|(found, _)| found == name));
        if !fits || !carries || filter.is_none() && !filters.is_empty() {
            return None;
        }
        let mut words = filter.map_or("every topic".to_owned(), |filter| filter.clone());
        if let Some(name) = named {
            words.push_str(&format!(", with the user property {name}"));
        }
        match (*min_payload, *max_payload) {
            (0, None) => {}
            (least, None) => words.push_str(&format!(", from {least} bytes on")),
            (least, Some(most)) => words.push_str(&format!(", of {least} to {most} bytes")),
        }
        Some(words)
    }
}
