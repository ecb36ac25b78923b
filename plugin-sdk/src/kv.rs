//! Keys and values in the broker's memory: shared by all instances of the plugin, kept across a reload of
//! it, gone with the broker. The operator grants it with `grants = { kv = true }` and bounds it with
//! `limits.kv`; a plugin that uses it without the grant is not loaded.
//!
//! ```
//! use std::time::Duration;
//! use wasmqtt_plugin::kv;
//!
//! kv::set("seen/c1", b"yes", Some(Duration::from_secs(60))).unwrap();
//! assert_eq!(kv::get("seen/c1").as_deref(), Some(&b"yes"[..]));
//! assert_eq!(kv::increment("logins", 1, None), Ok(1));
//! assert!(kv::take("rate/c1", 1, 10, 1));
//! assert!(!kv::take("rate/c1", 1, 10, 1));
//! ```

use std::time::Duration;

#[cfg(target_family = "wasm")]
use crate::bindings::imports::wasmqtt::plugin::kv as host;
#[cfg(not(target_family = "wasm"))]
use crate::test::kv as host;

fn milliseconds(ttl: Option<Duration>) -> Option<u32> {
    ttl.map(|ttl| u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX))
}

/// The value of a key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    host::get(key)
}

/// Replaces the value of a key and its time to live (whole milliseconds, at most 49 days); without one it
/// stays until it is deleted.
///
/// # Errors
/// There is no room; nothing has changed.
pub fn set(key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), String> {
    host::set(key, value, milliseconds(ttl))
}

/// Removes a key, and answers whether it had a value.
pub fn delete(key: &str) -> bool {
    host::delete(key)
}

/// Adds to a value that is a whole number, written in decimal, and answers the sum; a key without a value
/// counts as 0. The time to live is that of a key made by this call; one that is there keeps its own, so
/// that this counts within a window of time.
///
/// # Errors
/// There is no room, or the value is no number, or the sum is none of 64 bits; nothing has changed.
pub fn increment(key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, String> {
    host::increment(key, by, milliseconds(ttl))
}

/// Takes tokens from a bucket that holds `burst` of them when full and is filled at `per_second`; false
/// when there are not as many. Buckets have keys of their own. Where there is no room for a new one the
/// answer is false, too, and the broker logs it.
pub fn take(key: &str, tokens: u32, per_second: u32, burst: u32) -> bool {
    host::take(key, tokens, per_second, burst)
}
