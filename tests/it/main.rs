//! One integration binary: black box, real sockets, real components, real foreign clients.
//!
//! `cargo xtask test` builds the broker and the components and installs the clients before it runs this.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod abuse;
mod admin;
mod admission;
mod audit;
mod capabilities;
mod check;
mod cli;
mod containment;
mod crowd;
mod explain;
mod foreign;
mod harness;
mod history;
mod hostile;
mod http;
mod http_bounds;
mod http_order;
mod http_tls;
mod judging;
mod listeners;
mod logs;
mod observers;
mod parts;
mod plugins_files;
mod plugins_http;
mod plugins_jwt;
mod plugins_quota;
mod plugins_router;
mod plugins_schema;
mod plugins_spaces;
mod pub_sub;
mod publisher;
mod rates;
mod redact;
mod reload;
mod road;
mod scram;
mod security;
mod server;
mod shutdown;
mod sys;
mod tls;
mod tls_own;
mod toolbox;
mod vectors;
mod ways_in;
mod websocket;
mod words;
