//! What ends a command badly: words for a person, and a number for a script.

use std::fmt;

use wasmqtt_codec::{ReasonCode, Version};

/// Anything that is neither a refusal by the broker nor one of the following.
const ERROR: u8 = 1;
/// Time was over, as mosquitto's programs say it.
const TIMEOUT: u8 = 27;

/// Why a command did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For the exit status.
    pub(crate) code: u8,
    text: String,
    /// Whether the connection may be better next time.
    pub(crate) passing: bool,
}

impl Failure {
    /// Anything that the broker has not said.
    pub(crate) fn error(text: impl Into<String>) -> Self {
        Self { code: ERROR, text: text.into(), passing: false }
    }

    /// The connection is gone.
    pub(crate) fn lost(text: impl Into<String>) -> Self {
        Self { passing: true, ..Self::error(text) }
    }

    /// Nothing more was waited for.
    pub(crate) fn timeout(text: impl Into<String>) -> Self {
        Self { code: TIMEOUT, ..Self::error(text) }
    }

    /// The broker says no, in answer to `what`. The exit status is the code as the version has it on the wire.
    pub(crate) fn refused(
        what: impl fmt::Display,
        version: Version,
        reason: ReasonCode,
        said: Option<&str>,
    ) -> Self {
        let code = if version.has_properties() { reason as u8 } else { reason.connack_v3() };
        Self { code, ..Self::error(format!("{what}: {}", words(reason, said))) }
    }
}

/// A reason, its number, and what the broker has added.
pub(crate) fn words(reason: ReasonCode, said: Option<&str>) -> String {
    let name = reason.to_string().to_lowercase().replace("qos", "QoS");
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    format!("{name} (0x{:02x}){said}", reason as u8)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_speaks_to_a_person_and_its_status_is_what_is_on_the_wire() {
        let reason = ReasonCode::NotAuthorized;
        let failure = Failure::refused("CONNECT was refused", Version::V5, reason, Some("no"));
        assert_eq!(failure.to_string(), "CONNECT was refused: not authorized (0x87): no");
        assert_eq!(failure.code, 0x87);
        assert_eq!(Failure::refused("x", Version::V311, reason, None).code, 5);
    }
}
