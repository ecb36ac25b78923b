//! Somebody who judges by the looks of a topic, so that every answer a plugin may give is given.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode, UserPropertiesBuf};
use wasmqtt_core::client::{Client, ListenerId};
use wasmqtt_core::judge::{Action, Decision, Judge, Refusal, Request, Screened, Transformed};
use wasmqtt_core::message::{Changes, Message};
use wasmqtt_core::time::Moment;

/// What it answers by, besides the topic.
#[derive(Default)]
pub(super) struct Script {
    /// Nobody may do anything with `b` now.
    pub(super) strict: bool,
    /// Chooses the reason code of a refusal.
    pub(super) code: u8,
}

pub(super) struct Scripted(pub(super) Rc<RefCell<Script>>);

impl Scripted {
    fn refusal(&self) -> Refusal {
        let codes = [
            ReasonCode::NotAuthorized,
            ReasonCode::QuotaExceeded,
            ReasonCode::TopicNameInvalid,
            // One that hardly any packet may carry.
            ReasonCode::KeepAliveTimeout,
        ];
        let code = codes[usize::from(self.0.borrow().code) % codes.len()];
        let mut user_properties = UserPropertiesBuf::default();
        user_properties.push("why", "because").unwrap();
        Refusal { user_properties, ..Refusal::new(code).because("said so") }
    }
}

fn changed(message: &Message, topic: Option<&str>, now: Moment) -> Message {
    let payload = topic.is_none().then(|| b"changed".to_vec());
    let changes = Changes { topic: topic.map(Into::into), payload, ..Changes::default() };
    message.with(&changes, now)
}

impl Judge for Scripted {
    fn authorize(&mut self, _: Moment, _: &Arc<Client>, request: &Request<'_>) -> Decision {
        let strict = self.0.borrow().strict && request.topic.starts_with('b');
        if strict || request.topic.starts_with("no") {
            return Decision::Deny(self.refusal());
        }
        match request.topic.starts_with("c") && request.action != Action::Receive {
            true => Decision::AllowUpTo(QoS::AtLeastOnce),
            false => Decision::Allow,
        }
    }

    fn transforms(&self, _: ListenerId, _: &Message) -> bool {
        true
    }

    fn transform(&mut self, now: Moment, _: &Arc<Client>, message: Message) -> Transformed {
        match message.topic() {
            "a/gone" => Transformed::Discard,
            "a/reject" => Transformed::Reject(self.refusal()),
            "a/move" => Transformed::Forward(changed(&message, Some("b"), now)),
            "a/write" => Transformed::Forward(changed(&message, None, now)),
            _ => Transformed::Forward(message),
        }
    }

    fn screens(&self, _: ListenerId) -> bool {
        true
    }

    fn screen(&mut self, now: Moment, _: &Arc<Client>, message: &Arc<Message>) -> Screened {
        match message.topic() {
            "a/hide" => Screened::Skip,
            "a/mask" => Screened::Replace(Arc::new(changed(message, None, now))),
            _ => Screened::Deliver,
        }
    }
}
