//! The time of day. A plugin has no clock of its own, and `SystemTime::now` does not work in one.

use std::time::Duration;

/// Since the Unix epoch, in whole milliseconds; a call into the broker. On the host, the machine's
/// clock, or what `test::set_clock` set.
pub fn now() -> Duration {
    #[cfg(target_family = "wasm")]
    return Duration::from_millis(crate::bindings::imports::wasmqtt::plugin::clock::now());
    #[cfg(not(target_family = "wasm"))]
    return crate::test::clock();
}
