//! The `random` capability.

use wasmtime::{Error, Result};

use super::Host;
use crate::bindings::wasmqtt::plugin::random;

impl random::Host for Host {
    fn get_u64(&mut self) -> Result<u64> {
        getrandom::u64()
            .map_err(|error| Error::msg(format!("the system has no randomness: {error}")))
    }
}
