//! The `revocation` capability.

use wasmqtt_codec::{PacketType, ReasonCode};
use wasmqtt_core::judge::Subject;

use super::Host;
use crate::bindings::wasmqtt::plugin::revocation;

/// Most bytes of the sentence that a client is told.
const REASON_MAX: usize = 1024;

impl revocation::Host for Host {
    fn revoke(&mut self, subject: revocation::Subject) {
        self.surroundings.revocations.revoke(match subject {
            revocation::Subject::Everyone => Subject::Everyone,
            revocation::Subject::ClientId(id) => Subject::ClientId(id.into()),
            revocation::Subject::Username(name) => Subject::Username(name.into()),
        });
    }

    fn disconnect(&mut self, client_id: String, code: u8, reason: Option<String>) -> bool {
        let code = ReasonCode::try_from(code)
            .ok()
            .filter(|code| code.is_error() && code.allowed_in(PacketType::Disconnect))
            .unwrap_or(ReasonCode::AdministrativeAction);
        let reason = reason.unwrap_or_default().replace('\0', " ");
        let why = reason.get(..reason.floor_char_boundary(REASON_MAX)).unwrap_or_default();
        self.surroundings.revocations.dismiss(&client_id, code, why)
    }
}
