//! The MQTT clients of others that the tests talk to the broker with: installed below target/clients in
//! pinned versions, and told to the tests through the environment.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::wasm::Toolchain;
use crate::{apt, javascript, python, step, tree};

/// The Python of an environment that has paho-mqtt, and the tools that make plugins of Python and C.
const PYTHON: &str = "WASMQTT_PAHO_PYTHON";
/// The `node_modules` that has mqtt.
const NODE_MODULES: &str = "WASMQTT_NODE_MODULES";
/// What cargo needs to build for wasm: lines of NAME=value.
const WASM_CARGO: &str = "WASMQTT_WASM_CARGO";
/// The browser that runs pages with mqtt.
const CHROMIUM: &str = "WASMQTT_CHROMIUM";
/// What it is called by who packages it.
const CHROMIUMS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const MOSQUITTO: [&str; 3] = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"];

/// Installs what is missing. Answers what the tests must find in their environment.
pub(crate) fn install() -> Result<Vec<(&'static str, OsString)>> {
    mosquitto()?;
    let python = paho().context("the tests need paho-mqtt")?;
    let modules = mqtt_js().context("the tests need mqtt for Node.js")?;
    let chromium = chromium()?;
    let cargo = Toolchain::find()?.environment().into_iter();
    let cargo = cargo.map(|(name, value)| format!("{name}={}\n", value.to_string_lossy()));
    let cargo: String = cargo.collect();
    Ok(vec![
        (PYTHON, python.into()),
        (NODE_MODULES, modules.into()),
        (CHROMIUM, chromium.into()),
        (WASM_CARGO, cargo.into()),
    ])
}

/// Installs what is missing, and says how a test that is run by hand finds it.
pub(crate) fn show() -> Result<()> {
    for (name, value) in install()? {
        println!("export {name}='{}'", value.display());
    }
    Ok(())
}

fn mosquitto() -> Result<()> {
    let missing = || MOSQUITTO.iter().any(|program| !step::exists(program));
    if missing() {
        apt::install(
            &["mosquitto-clients"],
            "mosquitto_pub, mosquitto_sub and mosquitto_rr for tests",
        )?;
    }
    if missing() {
        bail!(
            "the tests need mosquitto_pub, mosquitto_sub and mosquitto_rr; install your distribution's package \
             (Debian: `apt-get install mosquitto-clients` as root; macOS: `brew install mosquitto`)"
        );
    }
    Ok(())
}

fn chromium() -> Result<&'static str> {
    let find = || CHROMIUMS.into_iter().find(|program| step::exists(program));
    if find().is_none() {
        apt::install(&["chromium"], "a browser for tests, headless")?;
    }
    find().with_context(|| {
        format!(
            "the tests need a browser, one of {}; install your distribution's package (Debian: `apt-get install \
             chromium` as root)",
            CHROMIUMS.join(", ")
        )
    })
}

fn paho() -> Result<PathBuf> {
    python::environment("clients/venv", &sources().join("requirements.txt"), "a client for tests")
}

fn mqtt_js() -> Result<PathBuf> {
    javascript::need_node()?;
    let directory = tree::target("clients/node");
    for name in ["package.json", "package-lock.json"] {
        let path = sources().join(name);
        let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        tree::write_if_changed(&directory.join(name), &content)?;
    }
    let modules = directory.join("node_modules");
    javascript::install_packages(&directory, &modules, "a client for tests")?;
    Ok(modules)
}

fn sources() -> PathBuf {
    tree::root().join("tests/xtask/clients")
}
