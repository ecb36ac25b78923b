//! May you? The hook, what is asked, and how long an answer may be reused.

use std::time::Duration;

pub use crate::bindings::authorization::exports::wasmqtt::plugin::authorization::{
    Action, Answer, Decision, Request,
};
use crate::{Client, Failure, Plugin, Qos, Refusal};

/// A plugin that says what a client may do. Export it with `export!(MyPlugin: authorization)`, and
/// register for the actions it wants: [`Registration::authorize`](crate::Registration::authorize).
pub trait Authorization: Plugin {
    /// Asked for each action that was registered, unless an earlier answer may still be reused.
    ///
    /// # Errors
    /// When the plugin cannot decide. The operator's `on_failure` applies: deny (the default), or go on
    /// as if it had abstained.
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure>;
}

impl Decision {
    /// The client may.
    pub fn allow() -> Self {
        Answer::Allow.into()
    }

    /// The client may, up to this QoS: a subscription is granted at most this, a publication above it is
    /// denied.
    pub fn allow_up_to(qos: Qos) -> Self {
        Answer::AllowUpTo(qos).into()
    }

    /// The client may not, and no later plugin is asked.
    pub fn deny(refusal: Refusal) -> Self {
        Answer::Deny(refusal).into()
    }

    /// The next plugin of the chain is asked.
    pub fn abstain() -> Self {
        Answer::Abstain.into()
    }

    /// The broker may answer the same request of the same client with this for so long. Milliseconds;
    /// less than one means that it asks every time, and times beyond 49 days are cut.
    pub fn reuse_for(mut self, time: Duration) -> Self {
        self.reuse_ms = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self
    }
}

impl From<Answer> for Decision {
    /// An answer for this one request.
    fn from(answer: Answer) -> Self {
        Self { answer, reuse_ms: 0 }
    }
}

impl Request {
    /// A request to publish, at QoS 0 and without the retain flag: a start for tests.
    pub fn publish(topic: impl Into<String>) -> Self {
        Self::of(Action::Publish, topic.into())
    }

    /// A request to subscribe at QoS 0, without a share group: a start for tests.
    pub fn subscribe(filter: impl Into<String>) -> Self {
        Self::of(Action::Subscribe, filter.into())
    }

    /// A delivery of a message at QoS 0: a start for tests.
    pub fn receive(topic: impl Into<String>) -> Self {
        Self::of(Action::Receive, topic.into())
    }

    /// A will at QoS 0: a start for tests.
    pub fn will(topic: impl Into<String>) -> Self {
        Self::of(Action::Will, topic.into())
    }

    /// The same request at another QoS.
    pub fn qos(mut self, qos: Qos) -> Self {
        self.qos = qos;
        self
    }

    fn of(action: Action, topic: String) -> Self {
        Self { action, topic, share_group: None, qos: Qos::AtMostOnce, retain: false }
    }
}
