//! A judge that answers what a test has told it to, and remembers what it was asked. Must not know packets.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::{Client, ListenerId};
use wasmqtt_core::judge::{Action, Decision, Judge, Refusal, Request, Screened, Transformed};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

/// One question, as it was asked.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Asked {
    pub(crate) client: String,
    pub(crate) action: Action,
    pub(crate) topic: String,
    pub(crate) share: Option<String>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

type Transform = Box<dyn FnMut(Message, Moment) -> Transformed>;
type Screen = Box<dyn FnMut(&Arc<Client>, &Arc<Message>) -> Screened>;

/// What the judge answers. Allows everything until told otherwise.
#[derive(Default)]
pub(crate) struct Script {
    answers: Vec<(Action, String, Decision)>,
    pub(crate) asked: Vec<Asked>,
    /// It would have to wait for answers about these.
    pub(crate) waits: Vec<(Action, String)>,
    /// And for what becomes of messages to this topic.
    pub(crate) waits_to_transform: Option<String>,
    /// It has no rules for any listener.
    pub(crate) is_unknown: bool,
    pub(crate) transform: Option<Transform>,
    pub(crate) screen: Option<Screen>,
}

impl Script {
    /// Answers `decision` whenever a client wants to do `action` with exactly this topic or filter.
    pub(crate) fn answer(&mut self, action: Action, topic: &str, decision: Decision) {
        self.answers.retain(|(known, at, _)| (*known, at.as_str()) != (action, topic));
        self.answers.push((action, topic.into(), decision));
    }

    pub(crate) fn deny(&mut self, action: Action, topic: &str) {
        self.answer(action, topic, Decision::Deny(Refusal::new(ReasonCode::NotAuthorized)));
    }
}

/// A script that a test and its broker share.
#[derive(Clone, Default)]
pub(crate) struct Scripted(pub(crate) Rc<RefCell<Script>>);

impl Judge for Scripted {
    fn knows(&self, _: ListenerId) -> bool {
        !self.0.borrow().is_unknown
    }

    fn authorize(&mut self, _: Moment, client: &Arc<Client>, request: &Request<'_>) -> Decision {
        let mut script = self.0.borrow_mut();
        script.asked.push(Asked {
            client: client.id.to_string(),
            action: request.action,
            topic: request.topic.into(),
            share: request.share.map(Into::into),
            qos: request.qos,
            retain: request.retain,
        });
        let answer = script
            .answers
            .iter()
            .find(|(action, topic, _)| *action == request.action && topic == request.topic);
        answer.map_or(Decision::Allow, |(_, _, decision)| decision.clone())
    }

    fn waits(&self, _: ListenerId) -> bool {
        let script = self.0.borrow();
        !script.waits.is_empty() || script.waits_to_transform.is_some()
    }

    fn waits_to_authorize(&mut self, _: Moment, _: &Arc<Client>, request: &Request<'_>) -> bool {
        let waits = &self.0.borrow().waits;
        waits.iter().any(|(action, topic)| *action == request.action && topic == request.topic)
    }

    fn waits_to_transform(&mut self, _: ListenerId, message: &Message) -> bool {
        self.0.borrow().waits_to_transform.as_deref() == Some(message.topic())
    }

    fn transforms(&self, _: ListenerId, _: &Message) -> bool {
        self.0.borrow().transform.is_some()
    }

    fn transform(&mut self, now: Moment, _: &Arc<Client>, message: Message) -> Transformed {
        match &mut self.0.borrow_mut().transform {
            Some(transform) => transform(message, now),
            None => Transformed::Forward(message),
        }
    }

    fn screens(&self, _: ListenerId) -> bool {
        self.0.borrow().screen.is_some()
    }

    fn screen(&mut self, _: Moment, client: &Arc<Client>, message: &Arc<Message>) -> Screened {
        match &mut self.0.borrow_mut().screen {
            Some(screen) => screen(client, message),
            None => Screened::Deliver,
        }
    }
}
