//! The broker itself, without a machine to run on: sessions, routing and the verbs.
//!
//! Knows packets (through `wasmqtt-codec`) and nothing else of the outside: no sockets, no async runtime, no
//! clock (`now` is an argument), no randomness, no files, no wasm.

pub mod broker;
pub mod client;
pub mod connection;
pub mod fault;
pub mod features;
pub mod judge;
pub mod levels;
pub mod limits;
pub mod mailbox;
pub mod message;
pub mod observe;
pub mod redirect;
mod router;
pub mod session;
mod spread;
pub mod subscription;
pub mod time;
