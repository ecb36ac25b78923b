//! The road of a message, from bytes in to bytes out, without a socket: what a client sees of the broker.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abuse;
mod aside;
mod auth;
mod contents;
mod delivery;
mod entrance;
mod events;
mod expiry;
mod explained;
mod features;
mod identity;
mod judge;
mod limits;
mod logins;
mod packets;
mod queues;
mod quotas;
mod races;
mod redispatch;
mod refusals;
mod rejudge;
mod relimit;
mod replay;
mod resume;
mod retained;
mod revoke;
mod sessions;
mod shared;
mod strategies;
mod subscriptions;
mod wills;
mod wire;
mod workload;
