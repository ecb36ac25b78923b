//! `wasmqtt check` says what a start would say, plugins and all.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::config::{OPEN, hostile, open_listener, plugin, plugin_at};
use crate::harness::program::{Ended, run_within};
use crate::harness::{PATIENCE, cache, component, wasmqtt};

/// A component may have to be compiled while other tests run.
fn check(dir: &Path, more: &[&str]) -> Ended {
    let mut command = Command::new(wasmqtt());
    command.arg("check").args(more).current_dir(dir).env("XDG_CACHE_HOME", cache());
    run_within(&mut command, 8 * PATIENCE)
}

/// What is said of this configuration, which a broker would not start with.
fn refused(config: &str, more: &[&str]) -> Ended {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmqtt.toml"), config).unwrap();
    let ended = check(dir.path(), more);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended
}

#[test]
fn what_a_start_would_refuse_is_told_at_once_with_file_and_line() {
    let missing = plugin_at("missing", Path::new("missing.wasm"), "");
    let pinned = plugin("pinned", "tagger", &format!("sha256 = \"{}\"", "0".repeat(64)));
    let unfit =
        plugin("unfit", "property_router", "[plugin.config]\nproperty = \"p\"\ntopic = \"t\"");
    let picky = hostile("", "on = \"init\"\ndo = \"refuse\"");
    let chains = "authorize = [\"unfit\"]\ntransform = [\"missing\", \"pinned\", \"hostile\"]";
    let config = format!("{}{missing}{pinned}{unfit}{picky}", open_listener("mqtt", chains));
    let line = |text: &str| {
        1 + config.lines().position(|line| line == text).unwrap_or_else(|| panic!("{text}"))
    };
    let ended = refused(&config, &[]);
    assert!(!ended.stdout.contains("is valid"), "{ended:?}");
    for part in [
        "error: plugin `missing`: missing.wasm cannot be read: No such file",
        "error: plugin `pinned`: ",
        "but the configuration pins 0000",
        "error: listener `mqtt`: plugin `unfit` is in its authorize chain but does not export",
        "error: plugin `hostile`: init refused its configuration: hostile: told to refuse",
        "4 errors",
    ] {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
    let told: Value = serde_json::from_str(&refused(&config, &["--json"]).stdout).unwrap();
    assert_eq!(told["valid"], false);
    let errors = told["errors"].as_array().unwrap();
    let place = |name: &str| {
        let is_it = |error: &&Value| error["message"].as_str().unwrap().starts_with(name);
        let error = errors.iter().find(is_it).unwrap();
        assert_eq!(error["file"], "wasmqtt.toml");
        error["line"].as_u64().unwrap() as usize
    };
    for name in ["missing", "pinned", "hostile"] {
        let at = place(&format!("plugin `{name}`"));
        let declared = line(&format!("name = \"{name}\""));
        assert!(at + 1 == declared || at == declared, "{name}: {at}, declared in {declared}");
    }
    assert_eq!(place("listener `mqtt`"), line("bind = \"127.0.0.1:0\""));
}

#[test]
fn a_configuration_that_is_wrong_itself_is_told_as_json_too() {
    let ended = refused(&format!("{OPEN}colour = 1\n"), &["--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let error = &told["errors"][0];
    assert!(error["message"].as_str().unwrap().contains("unknown key `colour`"), "{told}");
    assert_eq!((&error["line"], &error["column"]), (&6.into(), &1.into()));
}

#[test]
fn a_configuration_with_plugins_that_a_broker_starts_with_is_valid_and_no_socket_is_opened() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener = open_listener("mqtt", "transform = [\"tagger\"]");
    let listener = listener.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string());
    let config =
        format!("{listener}{}", plugin("tagger", "tagger", "[plugin.config]\ntag = \"1\""));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmqtt.toml"), config).unwrap();
    let ended = check(dir.path(), &["--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(told["valid"], true, "{told}");
    assert!(component("tagger").exists());
}

#[test]
fn without_a_configuration_the_defaults_are_warned_of_like_those_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let bare = check(dir.path(), &[]);
    assert_eq!(bare.code, Some(0), "{bare:?}");
    let plain = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1883\"\n";
    std::fs::write(dir.path().join("wasmqtt.toml"), plain).unwrap();
    let written = check(dir.path(), &[]);
    assert!(bare.stderr.contains("listener `mqtt` lets nobody in"), "{bare:?}");
    assert_eq!(bare.stderr.replace("(no configuration)", "wasmqtt.toml"), written.stderr);
}

#[test]
fn problems_are_plain_text_where_nobody_looks_at_a_terminal() {
    let ended = refused(&format!("{OPEN}colour = 1\n"), &[]);
    assert!(!ended.stderr.contains('\x1b'), "{ended:?}");
}
