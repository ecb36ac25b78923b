//! `wasmqtt plugin`, as an author of plugins uses it: a plugin in each language is made, built, tested, measured, and
//! run in a broker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use wasmqtt_codec::{QoS, Version};

use crate::harness::config::OPEN;
use crate::harness::program::{Ended, installed, run_within};
use crate::harness::{Broker, Client, Outgoing, cache, root, wasmqtt};

/// A toolchain may have to be warmed up.
const BUILD: Duration = Duration::from_secs(280);

/// A directory for plugins, and the tools that `cargo xtask test` has installed.
struct Workshop {
    dir: tempfile::TempDir,
    path: std::ffi::OsString,
}

impl Workshop {
    fn open() -> Self {
        let python = installed("WASMQTT_PAHO_PYTHON");
        let mut path = vec![python.parent().unwrap().to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let path = std::env::join_paths(path).unwrap();
        Self { dir: tempfile::tempdir().unwrap(), path }
    }

    fn plugin(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(wasmqtt());
        command.arg("plugin").args(arguments).current_dir(self.dir.path());
        command.env("PATH", &self.path).env("XDG_CACHE_HOME", cache());
        // One for all plugins in Rust: the SDK is compiled once.
        command.env("CARGO_TARGET_DIR", cache().join("toolbox"));
        // Where rustup has no standard library for the target, `cargo xtask test` says how to do without.
        let environment = std::env::var("WASMQTT_WASM_CARGO").unwrap_or_default();
        command.envs(environment.lines().filter_map(|line| line.split_once('=')));
        run_within(&mut command, BUILD)
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let ended = self.plugin(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    }

    fn made(&self, language: &str, hook: &str) -> PathBuf {
        let name = format!("my-{hook}");
        self.succeeds(&["new", &name, "--lang", language, "--hook", hook]);
        let directory = self.dir.path().join(name);
        if language == "js" {
            // As `npm install` would leave it.
            let modules = root().join("plugins/redact/node_modules");
            std::os::unix::fs::symlink(modules, directory.join("node_modules")).unwrap();
        }
        directory
    }

    fn built_and_tested(&self, language: &str, hook: &str) -> PathBuf {
        let directory = self.made(language, hook);
        let name = directory.file_name().unwrap().to_str().unwrap();
        let said = self.succeeds(&["build", name]);
        assert!(said.contains("sha256"), "{said}");
        let said = self.succeeds(&["test", name]);
        assert!(said.contains(" 0 failed"), "{said}");
        directory.join(format!("{name}.wasm"))
    }
}

/// A broker with this transformer hands on a message with the user property that it sets.
fn greets(component: &Path) {
    let broker = Broker::start(&format!(
        "{OPEN}transform = [\"greeter\"]\n[[plugin]]\nname = \"greeter\"\npath = {component:?}\n\
         limits = {{ memory = \"128MiB\", call = \"10s\" }}\nconfig = {{ greeting = \"hi\" }}\n"
    ));
    let mut reader =
        Client::enter(broker.addr(), Version::V5, "reader").subscribed("hall/#", QoS::AtMostOnce);
    let mut writer = Client::enter(broker.addr(), Version::V5, "writer");
    let spam = Outgoing::new("hall/door", "spam").qos(QoS::AtLeastOnce);
    assert_eq!(writer.publish(&spam), 0x99);
    writer.publish(&Outgoing::new("hall/door", "open"));
    let message = reader.message();
    assert_eq!(message.parts(), ("hall/door", "open"));
    assert_eq!(message.property("greeting"), Some("hi"));
}

/// Makes, builds, tests, inspects, measures and runs a transformer, and a plugin of each other hook as far as its tests.
fn works(language: &str, others: &[&str]) {
    let workshop = Workshop::open();
    let component = workshop.built_and_tested(language, "transformation");
    let said = workshop.succeeds(&["inspect", component.to_str().unwrap(), "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(said["exports"].to_string().contains("wasmqtt:plugin/transformation@0.1.0"), "{said}");
    for import in said["imports"].as_array().unwrap() {
        assert_eq!(import["needs"], "nothing", "{import}");
    }
    let said = workshop.succeeds(&["bench", "my-transformation", "--time", "20", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let calls = said["calls"].as_array().unwrap();
    assert!(calls.len() == 2 && calls.iter().all(|call| call["median_ns"].as_u64() > Some(0)));
    assert!(said["memory"]["fresh_bytes"].as_u64() >= Some(64 << 10), "{said}");
    greets(&component);
    for hook in others {
        workshop.built_and_tested(language, hook);
    }
}

#[test]
fn a_plugin_in_rust_is_made_built_tested_measured_and_run() {
    works("rust", &["authentication", "authorization", "enhanced-authentication", "observation"]);
}

#[test]
fn a_plugin_in_javascript_is_made_built_tested_measured_and_run() {
    works("js", &["authentication", "authorization"]);
}

#[test]
fn a_plugin_in_python_is_made_built_tested_measured_and_run() {
    works("python", &["authentication", "authorization"]);
}

#[test]
fn a_plugin_in_c_is_made_built_tested_measured_and_run() {
    works("c", &["authentication", "authorization"]);
}

#[test]
fn a_vector_that_does_not_hold_is_shown_with_both_answers() {
    let workshop = Workshop::open();
    let vectors = workshop.dir.path().join("vectors.toml");
    let text = "[plugin]\nconfig.rules = [{ effect = \"allow\", filter = \"x\" }]\n[[case]]\nname = \"nobody is judged\"\n\
                authorize = { client = { id = \"c\" }, action = \"publish\", topic = \"a\" }\n\
                expect = \"allow\"\n";
    std::fs::write(&vectors, text).unwrap();
    let component = crate::harness::component("topic_acl");
    let component = component.to_str().unwrap();
    let ended = workshop.plugin(&["test", component, "--vectors", vectors.to_str().unwrap()]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.stdout + &ended.stderr;
    for part in ["FAIL  nobody is judged", "expected  allow", "answered  ", "0 passed, 1 failed"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn what_is_no_plugin_is_told_so() {
    let workshop = Workshop::open();
    for (arguments, told) in [
        (&["inspect", "missing.wasm"][..], "missing.wasm"),
        (&["new", "Bad Name", "--lang", "c"], "is no good name"),
        (&["new", "x", "--lang", "c", "--hook", "observation"], "in Rust only"),
        (&["build", "."], "is not a plugin's directory"),
        (&["test", "."], "is not a plugin's directory"),
    ] {
        let ended = workshop.plugin(arguments);
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
    }
    workshop.made("rust", "transformation");
    let again = workshop.plugin(&["new", "my-transformation", "--lang", "rust"]);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
}
