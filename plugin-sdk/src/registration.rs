//! What a plugin asks to be called for. The broker does not call it for anything else.

use crate::bindings::imports::wasmqtt::plugin::types;
pub use crate::bindings::lifecycle::exports::wasmqtt::plugin::lifecycle::{Registration, Selector};

pub use types::Actions;

impl Default for Registration {
    fn default() -> Self {
        Self::new()
    }
}

impl Registration {
    /// Nothing but authentication, which is always asked.
    pub fn new() -> Self {
        Self {
            authorize: Actions::empty(),
            on_publish: Vec::new(),
            on_deliver: Vec::new(),
            events: Vec::new(),
            tick_every: 0,
        }
    }

    /// Asks for these actions; of the others the plugin abstains, uncalled. A will is a publish.
    pub fn authorize(mut self, actions: Actions) -> Self {
        self.authorize |= actions;
        self
    }

    /// Asks for the messages that `selector` selects, once each, before they are routed.
    pub fn on_publish(mut self, selector: Selector) -> Self {
        self.on_publish.push(selector);
        self
    }

    /// Asks for the messages that `selector` selects, once for each subscriber.
    pub fn on_deliver(mut self, selector: Selector) -> Self {
        self.on_deliver.push(selector);
        self
    }
}

impl Default for Selector {
    fn default() -> Self {
        Self::all()
    }
}

impl Selector {
    /// Every message.
    pub fn all() -> Self {
        Self { filters: Vec::new(), user_property: None, min_payload: 0, max_payload: None }
    }

    /// Messages whose topic matches this MQTT filter.
    pub fn filter(filter: impl Into<String>) -> Self {
        Self::filters([filter])
    }

    /// Messages whose topic matches any of these MQTT filters; no filter at all means every topic.
    pub fn filters<F: Into<String>>(filters: impl IntoIterator<Item = F>) -> Self {
        Self { filters: filters.into_iter().map(Into::into).collect(), ..Self::all() }
    }

    /// Of those, the messages that carry a user property with this name.
    pub fn user_property(mut self, name: impl Into<String>) -> Self {
        self.user_property = Some(name.into());
        self
    }

    /// Of those, the messages whose payload has at least this many bytes.
    pub fn min_payload(mut self, bytes: u32) -> Self {
        self.min_payload = bytes;
        self
    }

    /// Of those, the messages whose payload has at most this many bytes.
    pub fn max_payload(mut self, bytes: u32) -> Self {
        self.max_payload = Some(bytes);
        self
    }
}
