//! Who are you, in as many rounds as it takes: MQTT 5's AUTH packets.

pub use crate::bindings::enhanced_authentication::exports::wasmqtt::plugin::enhanced_authentication::{
    Challenge, Step, Success,
};
use crate::{Connect, Failure, Identity, Plugin, Refusal};

/// A plugin that speaks authentication methods. Export it with `export!(MyPlugin: enhanced_authentication)`.
///
/// It remembers nothing itself: what the next round needs it hands to the broker with the challenge, and gets it back
/// with the answer. So any instance can go on, also of a generation that did not exist when the exchange began. The
/// client never sees what is kept, and cannot have it used twice.
pub trait EnhancedAuthentication: Plugin {
    /// Names of the methods it speaks, at most 16 of at most 256 bytes. Every instance must answer the same.
    fn methods(&self) -> Vec<String>;

    /// A client sent CONNECT with one of the methods; or a connected client, whose CONNECT it is (without the
    /// password), wants to authenticate again. It must then turn out to be who it was. `data` is empty when the
    /// client sent none.
    ///
    /// # Errors
    /// When the plugin cannot decide. The client is refused with 0x88.
    fn begin(&mut self, connect: &Connect, method: &str, data: &[u8]) -> Result<Step, Failure>;

    /// The client answered the challenge that `state` was handed in with.
    ///
    /// # Errors
    /// As of [`begin`](Self::begin).
    fn proceed(
        &mut self,
        connect: &Connect,
        method: &str,
        data: &[u8],
        state: &[u8],
    ) -> Result<Step, Failure>;
}

impl Step {
    /// The client has to answer `data`; the broker keeps `state`, at most 16,384 bytes, for the next round.
    pub fn challenge(data: impl Into<Vec<u8>>, state: impl Into<Vec<u8>>) -> Self {
        Self::Challenge(Challenge { data: data.into(), state: state.into() })
    }

    /// The client is who it says.
    pub fn accept(identity: Identity) -> Self {
        Self::Accept(Success { identity, data: None })
    }

    /// Likewise, with the last word of the method.
    pub fn accept_with(identity: Identity, data: impl Into<Vec<u8>>) -> Self {
        Self::Accept(Success { identity, data: Some(data.into()) })
    }

    /// The client is refused.
    pub fn refuse(refusal: Refusal) -> Self {
        Self::Refuse(refusal)
    }
}
