//! Numbers for the operator's monitoring, exported as `wasmqtt_plugin_NAME_...`, where NAME is the plugin's.
//! They go on across a reload, and all instances count together. The operator grants it with
//! `grants = { metrics = true }`; a plugin that uses it without the grant is not loaded. Make them in `init`
//! and keep them: making one is a call into the broker that takes a lock.
//!
//! A plugin may have 100 of them. A name that is none (letters, digits and `_`, at most 100 characters), one
//! beyond the bound, or one of the other kind is logged by the broker and counts nowhere.
//!
//! ```
//! use wasmqtt_plugin::{metrics, test};
//!
//! let logins = metrics::Counter::new("logins_total", "Users who logged in.");
//! logins.add(2);
//! metrics::Gauge::new("users", "Users that are known.").set(7.0);
//! assert_eq!(test::metric("logins_total"), Some(2.0));
//! assert_eq!(test::metric("users"), Some(7.0));
//! ```

#[cfg(target_family = "wasm")]
use crate::bindings::imports::wasmqtt::plugin::metrics as host;
#[cfg(not(target_family = "wasm"))]
use crate::test::metrics as host;

/// A number that only grows. The same name is the same counter.
#[derive(Debug)]
pub struct Counter(host::Counter);

impl Counter {
    /// Makes it, or finds it.
    pub fn new(name: &str, help: &str) -> Self {
        Self(host::Counter::new(name, help))
    }

    /// Counts `n` more.
    pub fn add(&self, n: u64) {
        self.0.add(n);
    }
}

/// A number that goes up and down; the last one set by any instance is exported.
#[derive(Debug)]
pub struct Gauge(host::Gauge);

impl Gauge {
    /// Makes it, or finds it.
    pub fn new(name: &str, help: &str) -> Self {
        Self(host::Gauge::new(name, help))
    }

    /// Says what it is now.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }
}
