//! The command line: what it says, and how it ends.

use std::path::Path;
use std::process::Command;

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{OPEN, demo};
use crate::harness::program::{Ended, run};
use crate::harness::{Broker, cache, root, wasmqtt};

fn wasmqtt_in(dir: &Path, arguments: &[&str]) -> Ended {
    run(Command::new(wasmqtt()).args(arguments).current_dir(dir).env("XDG_CACHE_HOME", cache()))
}

#[test]
fn help_names_every_command() {
    let ended = wasmqtt_in(root(), &["--help"]);
    assert_eq!(ended.code, Some(0));
    for command in ["run", "check", "print-config", "pub", "sub", "explain", "reload", "--version"]
    {
        assert!(ended.stdout.contains(command), "{command} is not in {}", ended.stdout);
    }
    let ended = wasmqtt_in(root(), &["--version"]);
    assert_eq!(ended.stdout.trim(), format!("wasmqtt {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_that_does_not_exist_is_an_error_of_its_own() {
    let ended = wasmqtt_in(root(), &["chek"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("check"), "{}", ended.stderr);
}

#[test]
fn check_accepts_what_is_shipped() {
    for file in ["broker/broker.toml", "broker/demo.toml"] {
        let ended = wasmqtt_in(root(), &["check", "--config", file]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("is valid"), "{}", ended.stdout);
    }
}

#[test]
fn check_tells_every_mistake_with_its_line_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("bad.toml"),
        format!("{OPEN}colour = 1\n[log]\nlevel = \"loud\"\n"),
    )
    .unwrap();
    let ended = wasmqtt_in(dir.path(), &["check", "-c", "bad.toml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for part in ["unknown key `colour`", "bad.toml:6:1", "bad.toml:8:9", "loud", "2 errors"] {
        assert!(ended.stderr.contains(part), "{part:?} is not in {}", ended.stderr);
    }
    let ended = wasmqtt_in(dir.path(), &["check", "-c", "missing.toml"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("missing.toml"), "{}", ended.stderr);
}

#[test]
fn check_warns_of_a_listener_where_nobody_may_do_anything() {
    let dir = tempfile::tempdir().unwrap();
    let config = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nanonymous = true\n";
    std::fs::write(dir.path().join("wasmqtt.toml"), config).unwrap();
    let ended = wasmqtt_in(dir.path(), &["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("warning"), "{}", ended.stderr);
    assert!(ended.stderr.contains("wasmqtt.toml:"), "{}", ended.stderr);
}

#[test]
fn what_print_config_prints_is_a_configuration_that_says_the_same() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("demo.toml"), demo()).unwrap();
    let first = wasmqtt_in(dir.path(), &["print-config", "-c", "demo.toml"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stdout.contains("max_packet_size"), "defaults are filled in: {}", first.stdout);
    std::fs::write(dir.path().join("printed.toml"), &first.stdout).unwrap();
    let check = wasmqtt_in(dir.path(), &["check", "-c", "printed.toml"]);
    assert_eq!(check.code, Some(0), "{check:?}");
    let second = wasmqtt_in(dir.path(), &["print-config", "-c", "printed.toml"]);
    assert_eq!(second.stdout, first.stdout);
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let broker = Broker::start(OPEN);
    let address = broker.addr().to_string();
    let told = refuse_to_start(&OPEN.replace("127.0.0.1:0", &address));
    assert!(told.contains(&address) && told.contains("listener `mqtt`"), "{told}");
    assert!(told.contains("another broker"), "{told}");
}
