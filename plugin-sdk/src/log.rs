//! Lines in the broker's log, under the plugin's name. The broker bounds their rate; what is beyond it is
//! dropped and counted.
//!
//! ```
//! use wasmqtt_plugin::info;
//! info!("{} users", 3);
//! assert_eq!(wasmqtt_plugin::test::take_log(), ["info: 3 users"]);
//! ```

pub use crate::bindings::imports::wasmqtt::plugin::log::Level;

/// Whether a line of this level would be kept; a call into the broker.
pub fn enabled(level: Level) -> bool {
    #[cfg(target_family = "wasm")]
    return crate::bindings::imports::wasmqtt::plugin::log::enabled(level);
    #[cfg(not(target_family = "wasm"))]
    return level >= Level::Trace;
}

/// Writes a line; a call into the broker.
pub fn write(level: Level, message: &str) {
    #[cfg(target_family = "wasm")]
    crate::bindings::imports::wasmqtt::plugin::log::write(level, message);
    #[cfg(not(target_family = "wasm"))]
    crate::test::log(level, message);
}

/// Writes a line of a level, formatted only when the broker keeps that level.
#[macro_export]
macro_rules! log {
    ($level:expr, $($argument:tt)+) => {{
        let level = $level;
        if $crate::log::enabled(level) {
            $crate::log::write(level, &::std::format!($($argument)+));
        }
    }};
}

/// Writes a line of level trace.
#[macro_export]
macro_rules! trace {
    ($($argument:tt)+) => { $crate::log!($crate::log::Level::Trace, $($argument)+) };
}

/// Writes a line of level debug.
#[macro_export]
macro_rules! debug {
    ($($argument:tt)+) => { $crate::log!($crate::log::Level::Debug, $($argument)+) };
}

/// Writes a line of level info.
#[macro_export]
macro_rules! info {
    ($($argument:tt)+) => { $crate::log!($crate::log::Level::Info, $($argument)+) };
}

/// Writes a line of level warn.
#[macro_export]
macro_rules! warn {
    ($($argument:tt)+) => { $crate::log!($crate::log::Level::Warn, $($argument)+) };
}

/// Writes a line of level error.
#[macro_export]
macro_rules! error {
    ($($argument:tt)+) => { $crate::log!($crate::log::Level::Error, $($argument)+) };
}
