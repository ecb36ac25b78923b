//! The rules of the rooms, as far as a machine can read them off the sources.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tree;

/// Longer files want a split.
const LINES: usize = 600;

/// What a folder's sources must not say, outside of their tests.
const RULES: &[(&str, &[&str])] = &[
    ("broker/client/src", &["wasmqtt_core", "wasmqtt_sandbox", "wasmtime"]),
    ("broker/codec/src", &["tokio", "serde", "tracing", "wasmqtt_core", "wasmtime"]),
    (
        "broker/core/src",
        &[
            "tokio",
            "wasmtime",
            "serde",
            "tracing",
            "std::net",
            "std::fs",
            "Instant::now",
            "SystemTime",
        ],
    ),
    (
        "broker/core/src/connection",
        &["crate::router", "judge::Judge", "judge::Gate", "broker::Broker}"],
    ),
    (
        "broker/core/src/session",
        &["crate::router", "crate::judge", "crate::connection", "crate::broker"],
    ),
    (
        "broker/core/src/router",
        &["crate::session", "crate::connection", "judge::Judge", "crate::broker"],
    ),
    ("broker/core/src/broker", &["wasmqtt_codec::frame", "wasmqtt_codec::decode", "Packet::"]),
    ("broker/sandbox/src", &["tokio", "wasmqtt_codec::decode", "std::net"]),
    ("plugin-sdk/src", &["wasmqtt_core", "wasmqtt_codec", "wasmqtt_sandbox"]),
    ("plugins", &["wasmqtt_core", "wasmqtt_codec", "wasmqtt_sandbox"]),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != "node_modules" {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn each(folder: &str, mut check: impl FnMut(&Path, &str)) {
    let mut found = Vec::new();
    sources(&tree::root().join(folder), &mut found);
    assert!(!found.is_empty(), "no sources below {folder}");
    for path in found {
        check(&path, &fs::read_to_string(&path).unwrap());
    }
}

/// What stands before the unit tests, without comments.
fn code(text: &str) -> String {
    let before = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = before.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn no_room_knows_what_it_must_not_know() {
    let mut wrong = Vec::new();
    for (folder, forbidden) in RULES {
        each(folder, |path, text| {
            let code = code(text);
            for word in forbidden.iter().filter(|word| code.contains(**word)) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_what_it_is_for_and_is_short_enough_to_read() {
    let mut wrong = Vec::new();
    for folder in ["broker", "plugin-sdk", "plugins", "tests"] {
        each(folder, |path, text| {
            let lines = text.lines().count();
            if lines > LINES {
                wrong.push(format!("{}: {lines} lines", path.display()));
            }
            if !text.starts_with("//!") && !text.starts_with("#![") {
                wrong.push(format!("{}: no //! at its head", path.display()));
            }
        });
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_top_level_is_what_was_agreed() {
    let agreed = [
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "broker",
        "plugin-sdk",
        "plugins",
        "target",
        "tests",
        "wit",
    ];
    let entries = fs::read_dir(tree::root()).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let extra: Vec<String> =
        names.filter(|name| !name.starts_with('.') && !agreed.contains(&name.as_str())).collect();
    // What a broker started here leaves behind is not part of the tree.
    let extra: Vec<_> = extra.into_iter().filter(|name| name != "data").collect();
    assert!(extra.is_empty(), "{extra:?}");
}
