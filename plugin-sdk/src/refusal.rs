//! A "no" that the client hears, and a "could not decide" that only the operator hears.

pub use crate::bindings::imports::wasmqtt::plugin::types::{Failure, Refusal};

use crate::UserProperty;

impl Refusal {
    /// A refusal with an MQTT 5 reason code, which must be 0x80 or above (the broker answers 0x80,
    /// unspecified error, for any other). Clients of MQTT 3.x get the nearest code they know.
    pub fn new(code: u8) -> Self {
        Self { code, reason: None, user_properties: Vec::new() }
    }

    /// 0x83: the receiver does not accept this, for a reason of its own.
    pub fn implementation_specific() -> Self {
        Self::new(0x83)
    }

    /// 0x86: the user name or the password is wrong. The same for an unknown user as for a wrong
    /// password, or the answer tells an attacker which names exist.
    pub fn bad_user_name_or_password() -> Self {
        Self::new(0x86)
    }

    /// 0x87: this client may not do this.
    pub fn not_authorized() -> Self {
        Self::new(0x87)
    }

    /// 0x89: try again later.
    pub fn server_busy() -> Self {
        Self::new(0x89)
    }

    /// 0x8A: this client is banned.
    pub fn banned() -> Self {
        Self::new(0x8A)
    }

    /// 0x90: the topic name is well formed and not accepted.
    pub fn topic_name_invalid() -> Self {
        Self::new(0x90)
    }

    /// 0x95: the packet is larger than accepted.
    pub fn packet_too_large() -> Self {
        Self::new(0x95)
    }

    /// 0x97: a limit that an administrator set is exceeded.
    pub fn quota_exceeded() -> Self {
        Self::new(0x97)
    }

    /// 0x99: the payload is not what its format says.
    pub fn payload_format_invalid() -> Self {
        Self::new(0x99)
    }

    /// A reason string. MQTT 5 clients receive it, so it must not say what they may not know.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds a user property to the packet that carries the refusal (MQTT 5 only).
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push(UserProperty { name: name.into(), value: value.into() });
        self
    }
}

impl Failure {
    /// The plugin could not decide now; asked again, it may.
    pub fn transient(why: impl Into<String>) -> Self {
        Self::Transient(why.into())
    }

    /// The plugin will not be able to decide however often it is asked.
    pub fn permanent(why: impl Into<String>) -> Self {
        Self::Permanent(why.into())
    }
}
