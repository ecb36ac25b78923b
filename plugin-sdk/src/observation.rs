//! What happened: events in batches, and a clock that rings. Off the road of every message.

use std::time::Duration;

pub use crate::bindings::imports::wasmqtt::plugin::types::EventKind;
pub use crate::bindings::observation::exports::wasmqtt::plugin::observation::Event;
use crate::{Plugin, Registration};

/// A plugin that is told what happens, and is woken from time to time. Export it with
/// `export!(MyPlugin: observation)`, register for the kinds it wants ([`Registration::events`]) and for a tick
/// ([`Registration::tick_every`]), and have the operator name it in `broker.observe`.
///
/// One instance is told everything, one call after the other, in a thread of its own: no client waits for it. A call
/// that panics or takes too long costs the instance and the events it was told; the next one says how many were lost.
pub trait Observation: Plugin {
    /// Once for each batch, in the order in which things happened to each client. `lost` counts the events since the
    /// last call that succeeded which did not fit the queue or went with a failed call.
    fn on_events(&mut self, events: &[Event], lost: u64) {
        let _ = (events, lost);
    }

    /// Again and again, as registered. A tick that is missed is not made up for.
    fn tick(&mut self) {}
}

impl EventKind {
    /// Every kind there is.
    pub const ALL: [Self; 12] = [
        Self::ClientConnected,
        Self::ClientRefused,
        Self::ClientDisconnected,
        Self::SessionCreated,
        Self::SessionResumed,
        Self::SessionEnded,
        Self::Subscribed,
        Self::SubscribeRefused,
        Self::Unsubscribed,
        Self::PublishRefused,
        Self::MessageDropped,
        Self::PluginReloaded,
    ];

    /// As the contract writes it: `client-connected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClientConnected => "client-connected",
            Self::ClientRefused => "client-refused",
            Self::ClientDisconnected => "client-disconnected",
            Self::SessionCreated => "session-created",
            Self::SessionResumed => "session-resumed",
            Self::SessionEnded => "session-ended",
            Self::Subscribed => "subscribed",
            Self::SubscribeRefused => "subscribe-refused",
            Self::Unsubscribed => "unsubscribed",
            Self::PublishRefused => "publish-refused",
            Self::MessageDropped => "message-dropped",
            Self::PluginReloaded => "plugin-reloaded",
        }
    }

    /// The kind that the contract writes like this.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl Event {
    /// An event without any detail, at the Unix epoch: a start for tests.
    pub fn new(kind: EventKind) -> Self {
        Self {
            kind,
            at: 0,
            client_id: None,
            username: None,
            peer: None,
            topic: None,
            code: None,
            reason: None,
            plugin: None,
        }
    }
}

impl Registration {
    /// Asks to be told of these kinds of events.
    pub fn events(mut self, kinds: impl IntoIterator<Item = EventKind>) -> Self {
        self.events.extend(kinds);
        self
    }

    /// Asks for a call of [`Observation::tick`] each time this much time is over. Milliseconds; from 10 ms to 49 days.
    pub fn tick_every(mut self, time: Duration) -> Self {
        self.tick_every = u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        self
    }
}
