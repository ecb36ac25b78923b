//! What the tests drive: the broker's own program, raw clients, and the programs of others. Nothing here
//! may know what a test is about.

pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod program;
pub(crate) mod scram;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod web;
pub(crate) mod websocket;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use broker::Broker;
pub(crate) use client::{Client, Outgoing};

/// How long anything that must happen may take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The broker's program: next to this one.
pub(crate) fn wasmqtt() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("wasmqtt");
    assert!(path.is_file(), "{} is missing; run `cargo build -p wasmqtt`", path.display());
    path
}

/// Compiled components are shared by all brokers of all tests.
pub(crate) fn cache() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A component as `cargo xtask plugins` builds it: a plugin of ours, or a guest made for tests.
pub(crate) fn component(name: &str) -> PathBuf {
    let target = root().join("target");
    let file = format!("{name}.wasm");
    let places = [target.join("plugins").join(&file), target.join("guests").join(&file)];
    match places.into_iter().find(|path| path.is_file()) {
        Some(path) => path,
        None => panic!("target/*/{file} is missing; run `cargo xtask plugins`"),
    }
}
