//! Another server that clients are sent to.

use wasmqtt_codec::ReasonCode;

/// Where clients are to go instead of here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// A name or an address, with or without a port; several, with a space between them [MQTT 5.0, 4.11].
    pub to: Box<str>,
    /// For good, rather than for a while.
    pub permanent: bool,
}

impl Redirect {
    /// For CONNACK or DISCONNECT.
    pub fn reason(&self) -> ReasonCode {
        if self.permanent { ReasonCode::ServerMoved } else { ReasonCode::UseAnotherServer }
    }
}
