//! Who are you? The hook, and what an accepted client may be given.

use std::time::Duration;

pub use crate::bindings::authentication::exports::wasmqtt::plugin::authentication::Outcome;
pub use crate::bindings::imports::wasmqtt::plugin::identities::{
    Effect, Identity, Limits, Permission,
};
use crate::{Actions, Connect, Failure, Plugin, Qos, Refusal, UserProperty};

/// A plugin that says who a client is. Export it with `export!(MyPlugin: authentication)`.
pub trait Authentication: Plugin {
    /// Asked once for each CONNECT. [`Outcome::Abstain`] leaves the question to the next plugin of the
    /// chain; a chain in which all abstain refuses the client.
    ///
    /// # Errors
    /// When the plugin cannot decide. The operator's `on_failure` applies: refuse (the default), or go
    /// on as if it had abstained.
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure>;
}

impl Outcome {
    /// The client is who it says.
    pub fn accept(identity: Identity) -> Self {
        Self::Accept(identity)
    }

    /// The client is refused, and no later plugin is asked.
    pub fn refuse(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }

    /// Another plugin's business.
    pub fn abstain() -> Self {
        Self::Abstain
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

impl Identity {
    /// A client known by the username it sent.
    pub fn new() -> Self {
        Self {
            name: None,
            attributes: Vec::new(),
            permissions: Vec::new(),
            limits: None,
            expires_in: None,
            connack_properties: Vec::new(),
            response_information: None,
        }
    }

    /// A client known by `name`, whatever username it sent. The name owns the session.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::new() }
    }

    /// Adds an attribute: later plugins read it with [`Client::attribute`](crate::Client::attribute),
    /// permissions with `${attribute.NAME}`.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Adds a permission. The broker evaluates permissions itself, first match first, before it asks any
    /// authorizer.
    pub fn permission(mut self, permission: Permission) -> Self {
        self.permissions.push(permission);
        self
    }

    /// Bounds for this client; never looser than the listener's.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The client must authenticate again after this time or is disconnected with 0xA0. Whole seconds, at least
    /// one; times beyond 136 years are cut.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.expires_in = Some(u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1));
        self
    }

    /// Adds a user property to the CONNACK (MQTT 5 only).
    pub fn connack_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.connack_properties.push(UserProperty { name: name.into(), value: value.into() });
        self
    }

    /// The CONNACK's response information, from which the client builds response topics (MQTT 5 only).
    pub fn response_information(mut self, value: impl Into<String>) -> Self {
        self.response_information = Some(value.into());
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

impl Limits {
    /// The listener's own bounds; set the fields that shall be tighter.
    pub fn new() -> Self {
        Self {
            receive_maximum: None,
            maximum_packet_size: None,
            session_expiry: None,
            queued_messages: None,
            subscriptions: None,
            publish_rate: None,
        }
    }
}

impl Permission {
    /// Allows `actions` on topics that match `filter`, which may hold `${client_id}`, `${username}` and
    /// `${attribute.NAME}`.
    pub fn allow(filter: impl Into<String>, actions: Actions) -> Self {
        Self::of(Effect::Allow, filter.into(), actions)
    }

    /// Denies `actions` on topics that match `filter`.
    pub fn deny(filter: impl Into<String>, actions: Actions) -> Self {
        Self::of(Effect::Deny, filter.into(), actions)
    }

    /// Only requests up to this QoS match.
    pub fn max_qos(mut self, qos: Qos) -> Self {
        self.max_qos = Some(qos);
        self
    }

    /// Only publications with the retain flag (`true`), or only those without, match.
    pub fn retain(mut self, retain: bool) -> Self {
        self.retain = Some(retain);
        self
    }

    fn of(effect: Effect, filter: String, actions: Actions) -> Self {
        Self { effect, filter, actions, max_qos: None, retain: None }
    }
}
