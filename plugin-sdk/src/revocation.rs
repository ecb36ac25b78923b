//! Rights that no longer hold. The operator grants it: `grants = { revocation = true }`.
//!
//! ```
//! use wasmqtt_plugin::revocation::{self, Subject};
//! revocation::revoke(Subject::Username("alice".into()));
//! assert_eq!(wasmqtt_plugin::test::take_revoked(), [Subject::Username("alice".into())]);
//! ```

pub use crate::bindings::imports::wasmqtt::plugin::revocation::Subject;

/// What was decided about these clients before no longer counts: answers that the broker reuses and what their
/// identities allowed. Their subscriptions, the messages that wait for them, and their wills are judged again. A call
/// into the broker, which never waits.
pub fn revoke(subject: Subject) {
    #[cfg(target_family = "wasm")]
    crate::bindings::imports::wasmqtt::plugin::revocation::revoke(&subject);
    #[cfg(not(target_family = "wasm"))]
    crate::test::revoke(subject);
}

/// Closes the connection of a client with an MQTT 5 reason code and a sentence; one that DISCONNECT cannot carry
/// becomes 0x98. False when no such client is connected. A call into the broker; on the host, true for the clients
/// that `test::set_connected` named.
pub fn disconnect(client_id: &str, code: u8, reason: Option<&str>) -> bool {
    #[cfg(target_family = "wasm")]
    return crate::bindings::imports::wasmqtt::plugin::revocation::disconnect(
        client_id, code, reason,
    );
    #[cfg(not(target_family = "wasm"))]
    return crate::test::disconnect(client_id, code, reason);
}
