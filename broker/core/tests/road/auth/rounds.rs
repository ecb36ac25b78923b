//! An authenticator of as many rounds as the client wants.

use parking_lot::Mutex;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::{Connecting, Gate, Identity, Progress, Refusal, Step, Success};

pub(super) const METHOD: &str = "ROUNDS";

/// Asks for as many rounds as the first data says, and then lets in whoever the identity says; refuses `no`.
#[derive(Default)]
pub(super) struct Rounds {
    pub(super) identity: Mutex<Identity>,
    /// Client identifiers and passwords that it saw.
    pub(super) seen: Mutex<Vec<(String, bool)>>,
}

impl Rounds {
    fn step(&self, left: u32, data: &[u8]) -> Result<Step, Refusal> {
        if data == b"no" {
            return Err(Refusal::new(ReasonCode::BadUserNameOrPassword));
        }
        if left == 0 {
            let identity = self.identity.lock().clone();
            return Ok(Step::Accept(Success { identity, data: Some(b"welcome".to_vec()) }));
        }
        let state = Box::from((left - 1).to_le_bytes());
        let progress = Progress { authenticator: "rounds".into(), state };
        Ok(Step::Challenge { data: format!("{left} more").into(), progress })
    }
}

impl Gate for Rounds {
    fn authenticate(&self, _: &Connecting) -> Result<Identity, Refusal> {
        panic!("asked the other way");
    }

    fn begin(&self, connecting: &Connecting, method: &str, data: &[u8]) -> Result<Step, Refusal> {
        if method != METHOD {
            return Err(Refusal::new(ReasonCode::BadAuthenticationMethod));
        }
        let seen = (connecting.client_id.clone(), connecting.password.is_some());
        self.seen.lock().push(seen);
        self.step(str::from_utf8(data).unwrap().parse().unwrap_or(0), data)
    }

    fn proceed(
        &self,
        _: &Connecting,
        method: &str,
        data: &[u8],
        progress: &Progress,
    ) -> Result<Step, Refusal> {
        assert_eq!((method, &*progress.authenticator), (METHOD, "rounds"));
        self.step(u32::from_le_bytes((&*progress.state).try_into().unwrap()), data)
    }
}

pub(super) fn named(name: &str) -> Rounds {
    let identity = Identity { name: Some(name.into()), ..Identity::default() };
    Rounds { identity: Mutex::new(identity), ..Rounds::default() }
}
