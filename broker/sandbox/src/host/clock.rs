//! The `clock` capability.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Host;
use crate::bindings::wasmqtt::plugin::clock;

impl clock::Host for Host {
    fn now(&mut self) -> u64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }
}
