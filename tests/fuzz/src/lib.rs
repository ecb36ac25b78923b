//! What a fuzzer runs: one target per module, each of which takes any bytes and panics when a promise is broken.
//!
//! Nothing here knows a fuzzer. `libfuzzer/` makes programs of the targets, `tests/` hands them the corpora.

// How a fuzzer is told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

// Compiled here once more: its own crate brings wasmtime, which would have to be built for the fuzzer as well.
#[path = "../../../broker/src/config/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports)]
mod config;
pub mod configuration;
pub mod connection;
pub mod decoder;
pub mod hostile;
pub mod trie;

use arbitrary::Unstructured;
use wasmqtt_codec::{QoS, Version};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// The next byte; zero when there is none left.
fn byte(input: &mut Unstructured<'_>) -> u8 {
    input.arbitrary().unwrap_or_default()
}

/// One of these, by the next byte.
fn pick<T: Copy>(input: &mut Unstructured<'_>, of: &[T]) -> T {
    of[usize::from(byte(input)) % of.len()]
}
