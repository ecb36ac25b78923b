//! Which plugin decides, and what those before it said. Asks as the data path does, but nothing that is remembered, and
//! instances of its own.

use std::sync::Arc;

use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Decision, Request};

use super::{Chain, failed};
use crate::generation::Generation;
use crate::plugin::{Plugin, Slot};
use crate::sandbox::Sandbox;

/// How authorizers come to their decision.
#[derive(Clone, Debug, PartialEq)]
pub struct Reasons {
    /// Every authorizer up to the one that decided, in the order they are asked.
    pub answers: Vec<(String, Answer)>,
    /// What it comes to.
    pub decision: Decision,
    /// Who decided.
    pub decider: Decider,
}

/// What one authorizer said.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It does not judge such requests.
    NotAsked,
    /// It leaves the question to the next one.
    Abstained,
    /// This.
    Decided(Decision),
    /// Nothing, for this reason.
    Failed(String),
}

/// Who decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Decider {
    /// This authorizer.
    Plugin(String),
    /// The failure policy of this one.
    OnFailure(String),
    /// Nobody had an answer: the listener's default.
    Default,
}

impl Sandbox {
    /// Explains how the authorizers of a client's listener answer a request now. Its permissions are not looked at, nor
    /// answers that are remembered. Blocks; every plugin that is asked gets an instance that is started for this, and
    /// what its call does, counts included, is done.
    pub fn explain(&self, client: &Arc<Client>, request: &Request<'_>) -> Reasons {
        let generation = self.current();
        let chain = generation.chain(client.listener);
        let nobody = Chain::default();
        chain.unwrap_or(&nobody).explain(&generation, client, request)
    }
}

impl Chain {
    fn explain(
        &self,
        generation: &Generation,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Reasons {
        let receives = request.action == Action::Receive;
        let places = if receives { &self.receive } else { &self.authorize };
        let mut answers = Vec::new();
        for plugin in places.iter().filter_map(|place| generation.plugins.get(*place)) {
            let name = plugin.spec.name.clone();
            let answer = ask(plugin, client, request);
            let decided = match &answer {
                Answer::Decided(decision) => {
                    Some((decision.clone(), Decider::Plugin(name.clone())))
                }
                Answer::Failed(_) if !plugin.fails_open() => {
                    Some((Decision::Deny(failed()), Decider::OnFailure(name.clone())))
                }
                _ => None,
            };
            answers.push((name, answer));
            if let Some((decision, decider)) = decided {
                return Reasons { answers, decision, decider };
            }
        }
        Reasons { answers, decision: self.by_default(receives), decider: Decider::Default }
    }
}

fn ask(plugin: &Plugin, client: &Arc<Client>, request: &Request<'_>) -> Answer {
    if !plugin.registration.authorize.contain(request.action) {
        return Answer::NotAsked;
    }
    match plugin.authorize(Slot::Probed(&mut None), 0, client, request) {
        Ok((Some(decision), _)) => Answer::Decided(decision),
        Ok((None, _)) => Answer::Abstained,
        Err(error) => Answer::Failed(error.to_string()),
    }
}
