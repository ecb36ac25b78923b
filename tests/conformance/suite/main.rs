//! What MQTT 3.1.1 and MQTT 5.0 say of a server, statement by statement, against the real binary, over TCP and, where
//! that is what is said, over WebSocket.
//!
//! The comment above a test names the statements it checks, after `v5:` those of MQTT 5.0, after `v3:` those of
//! 3.1.1; `tests/conformance.toml` lists every statement, and `cargo xtask spec` holds both equal.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod aliases;
mod auth;
mod connack;
mod connect;
mod defaults;
mod disconnect;
mod features;
mod flow_control;
mod harness;
mod hostile;
mod malformed;
mod ping;
mod properties;
mod puback;
mod publish;
mod qos;
mod reason_codes;
mod retained;
mod sessions;
mod shared;
mod sizes;
mod subscribe;
mod topics;
mod unsubscribe;
mod utf8;
mod websocket;
mod will;
