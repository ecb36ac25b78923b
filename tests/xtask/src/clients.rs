//! The MQTT clients of others that the tests talk to the broker with: installed below target/clients in
//! pinned versions, and told to the tests through the environment.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wasm::Toolchain;
use crate::{apt, javascript, step, tree};

/// The Python of an environment that has paho-mqtt, and the tools that make plugins of Python and C.
const PYTHON: &str = "WASMQTT_PAHO_PYTHON";
/// The `node_modules` that has mqtt.
const NODE_MODULES: &str = "WASMQTT_NODE_MODULES";
/// What cargo needs to build for wasm: lines of NAME=value.
const WASM_CARGO: &str = "WASMQTT_WASM_CARGO";
const MOSQUITTO: [&str; 3] = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"];

/// Installs what is missing. Answers what the tests must find in their environment.
pub(crate) fn install() -> Result<Vec<(&'static str, OsString)>> {
    mosquitto()?;
    let python = paho().context("the tests need paho-mqtt")?;
    let modules = mqtt_js().context("the tests need mqtt for Node.js")?;
    let cargo = Toolchain::find()?.environment().into_iter();
    let cargo = cargo.map(|(name, value)| format!("{name}={}\n", value.to_string_lossy()));
    let cargo: String = cargo.collect();
    Ok(vec![(PYTHON, python.into()), (NODE_MODULES, modules.into()), (WASM_CARGO, cargo.into())])
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

fn paho() -> Result<PathBuf> {
    let requirements = sources().join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let venv = tree::target("clients/venv");
    let python = venv.join("bin/python");
    let stamp = venv.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
        && step::exists(&python.to_string_lossy())
    {
        return Ok(python);
    }
    step::say(format!("python: installing {} (a client for tests)", wanted.trim()));
    make_venv(&venv)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--timeout", "60"]);
    pip.arg("--requirement").arg(&requirements);
    step::run_quietly(&mut pip, step::NETWORK)?;
    tree::write_if_changed(&stamp, wanted.as_bytes())?;
    Ok(python)
}

fn make_venv(venv: &Path) -> Result<()> {
    if !step::exists("python3") {
        apt::install(&["python3"], "for a client the tests use")?;
    }
    let make = || {
        let mut python = Command::new("python3");
        python.args(["-m", "venv", "--clear"]).arg(venv);
        step::run_quietly(&mut python, Duration::from_secs(180))
    };
    // Debian keeps part of the module in a package of its own.
    let Err(error) = make() else { return Ok(()) };
    if apt::install(&["python3-venv"], "for a client the tests use")? {
        return make();
    }
    Err(error.context(
        "cannot make a Python environment; install Python 3 with its venv module (Debian: \
         `apt-get install python3-venv` as root)",
    ))
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
