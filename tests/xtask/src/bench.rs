//! Measures the broker beside others: gets them, builds what is ours, and starts the measuring.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wasm::cargo;
use crate::{plugins, step, tree};

/// Where the load tool is, beside the repository.
const LOADGEN: &str = "../shared/bench/loadgen";
/// Of the registry.
const RUMQTTD: &str = "0.20.0";
/// Debian's packages: the broker, and what it needs that is seldom installed.
const MOSQUITTO: [&str; 2] = ["mosquitto", "libdlt2"];

/// How long measuring may take: many rounds of many seconds of many scenarios.
const MEASURING: Duration = Duration::from_secs(6 * 3_600);

/// What to measure, and how.
#[derive(clap::Args)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(default_value = "compare")]
    what: What,
    /// A broker that is built already, in the place of the release build of this tree; several are compared
    #[arg(long = "broker", value_name = "[NAME=]PATH")]
    brokers: Vec<String>,
    /// The load tool: its sources, or a binary
    #[arg(long, value_name = "DIR|BINARY")]
    loadgen: Option<PathBuf>,
    /// Brokers that are left out: mosquitto, rumqttd
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    without: Vec<Other>,
    /// A mosquitto that is there already
    #[arg(long, value_name = "PATH")]
    mosquitto: Option<PathBuf>,
    /// A rumqttd that is there already
    #[arg(long, value_name = "PATH")]
    rumqttd: Option<PathBuf>,
    /// Makes the instructions that are counted the accepted ones
    #[arg(long)]
    accept: bool,
    /// How often everything is measured
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// How long each time
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Only scenarios whose name begins with one of these
    #[arg(long, value_name = "NAMES")]
    only: Option<String>,
    /// Writes all figures to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws them into a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// The broker beside the relay, mosquitto and rumqttd
    Compare,
    /// Each kind of plugin beside none
    Plugins,
    /// TLS and WebSocket beside plain TCP, and mosquitto
    Ways,
    /// A million subscriptions, 100,000 retained messages, 19,000 connections, and others that come and go
    Scale,
    /// Two workers beside one
    Workers,
    /// Instructions of each piece of a message's road, compared with those that were accepted last
    Instructions,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Compare => "compare",
            What::Plugins => "plugins",
            What::Ways => "ways",
            What::Scale => "scale",
            What::Workers => "workers",
            What::Instructions => "instructions",
        }
    }

    /// Whether the brokers of others take part.
    fn others(self) -> &'static [Other] {
        match self {
            What::Compare => &[Other::Mosquitto, Other::Rumqttd],
            What::Plugins | What::Workers | What::Instructions => &[],
            What::Ways | What::Scale => &[Other::Mosquitto],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Other {
    Mosquitto,
    Rumqttd,
}

pub(crate) fn bench(bench: &Bench) -> Result<()> {
    if bench.what == What::Instructions {
        return instructions(bench.accept);
    }
    if !step::exists("taskset") {
        bail!("programs are pinned to cores with taskset, and there is none (Debian: util-linux)");
    }
    let loadgen = loadgen(bench.loadgen.as_deref())?;
    let takes = |other| bench.what.others().contains(&other) && !bench.without.contains(&other);
    let mosquitto = if takes(Other::Mosquitto) { Some(mosquitto(bench)?) } else { None };
    let rumqttd = if takes(Other::Rumqttd) { Some(rumqttd(bench)?) } else { None };
    build(bench.brokers.is_empty())?;
    if bench.what == What::Plugins {
        plugins::build(plugins::OtherLanguages::Optional)?;
    }
    let mut command = Command::new(release("wasmqtt-load"));
    command.arg(bench.what.name()).arg("--loadgen").arg(loadgen);
    command.arg("--components").arg(tree::root().join("target"));
    let ours = [release("wasmqtt").display().to_string()];
    let brokers = if bench.brokers.is_empty() { &ours[..] } else { &bench.brokers[..] };
    for broker in brokers {
        command.args(["--broker", broker]);
    }
    for (name, path) in [("--mosquitto", mosquitto), ("--rumqttd", rumqttd)] {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
    pass_on(bench, &mut command);
    step::say(format!("measuring: {}", bench.what.name()));
    step::run(&mut command, MEASURING)
}

/// With the features that the pieces need and no others, so that whatever else is in the workspace changes no count.
fn instructions(accept: bool) -> Result<()> {
    step::say("pieces: building for release");
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--package", "wasmqtt-load", "--bins"]);
    step::run(&mut build, step::BUILD)?;
    let mut command = Command::new(release("wasmqtt-load"));
    command.arg("instructions").arg("--pieces").arg(release("wasmqtt-load-pieces"));
    command.arg("--baseline").arg(tree::root().join("tests/load/instructions.toml"));
    if accept {
        command.arg("--accept");
    }
    step::run(&mut command, step::BUILD)
}

fn pass_on(bench: &Bench, command: &mut Command) {
    for (name, number) in [("--rounds", bench.rounds), ("--seconds", bench.seconds)] {
        if let Some(number) = number {
            command.arg(name).arg(number.to_string());
        }
    }
    if let Some(only) = &bench.only {
        command.args(["--only", only]);
    }
    for (name, path) in [("--json", &bench.json), ("--svg", &bench.svg)] {
        if let Some(path) = path {
            command.arg(name).arg(path);
        }
    }
}

/// Of the release profile; with the broker, features are the same as in every other build of the workspace.
fn build(broker: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--release", "--quiet", "--bin", "wasmqtt-load"]);
    if broker {
        step::say("broker: building for release (the first time takes minutes)");
        command.args(["--workspace", "--bin", "wasmqtt"]);
    } else {
        command.args(["--package", "wasmqtt-load"]);
    }
    step::run(&mut command, step::BUILD)
}

/// Where a program is that was built for release.
pub(crate) fn release(name: &str) -> PathBuf {
    let directory = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| tree::root().join("target"), |target| tree::root().join(target));
    directory.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// The load tool is no part of the repository, so that both sides of a comparison are driven by what neither brings.
fn loadgen(given: Option<&Path>) -> Result<PathBuf> {
    let path = given.map_or_else(|| tree::root().join(LOADGEN), Path::to_path_buf);
    if path.is_file() {
        return Ok(path.canonicalize()?);
    }
    let manifest = path.join("Cargo.toml");
    if !manifest.is_file() {
        bail!(
            "there is no load tool at {}; name its sources or its binary with --loadgen",
            path.display()
        );
    }
    step::say("load tool: building");
    let target = tree::target("bench/loadgen");
    let mut command = cargo();
    command.args(["build", "--release", "--quiet", "--manifest-path"]).arg(manifest);
    step::run(command.arg("--target-dir").arg(&target), step::BUILD)?;
    Ok(target.join("release/loadgen"))
}

/// Debian's mosquitto: the one that is installed, else its packages, unpacked and not installed.
fn mosquitto(bench: &Bench) -> Result<PathBuf> {
    if let Some(path) = &bench.mosquitto {
        return Ok(path.clone());
    }
    let installed = Path::new("/usr/sbin/mosquitto");
    if installed.is_file() {
        return Ok(installed.to_owned());
    }
    let directory = tree::target("bench/mosquitto");
    let program = directory.join("usr/sbin/mosquitto");
    if program.is_file() {
        return Ok(program);
    }
    if !step::exists("apt-get") || !step::exists("dpkg") {
        bail!(
            "Debian's mosquitto is measured beside the broker, and this is no Debian; name one with --mosquitto, or \
             leave it out with --without mosquitto"
        );
    }
    step::say("apt: getting mosquitto (it is measured beside the broker, and not installed)");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let mut download = Command::new("apt-get");
    download.args(["download", "-q"]).args(MOSQUITTO).current_dir(&directory);
    step::run_quietly(&mut download, step::NETWORK)
        .context("run `apt-get update`, or leave mosquitto out with --without mosquitto")?;
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            let mut unpack = Command::new("dpkg");
            step::run_quietly(unpack.arg("-x").arg(&path).arg(&directory), step::NETWORK)?;
        }
    }
    Ok(program)
}

fn rumqttd(bench: &Bench) -> Result<PathBuf> {
    if let Some(path) = &bench.rumqttd {
        return Ok(path.clone());
    }
    let directory = tree::target("bench/rumqttd");
    let program = directory.join("bin/rumqttd");
    if !program.is_file() {
        step::say(format!("rumqttd {RUMQTTD}: building (it is measured beside the broker)"));
        let mut install = cargo();
        // Without its own lock file: that names a version of a crate which newer compilers refuse.
        install.args(["install", "rumqttd", "--version", RUMQTTD, "--root"]);
        install.arg(&directory).arg("--target-dir").arg(directory.join("target"));
        step::run_quietly(&mut install, step::BUILD)
            .context("leave it out with --without rumqttd")?;
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_load_tool_it_is_said_how_to_name_one() {
        let directory = tempfile::tempdir().unwrap();
        let error = loadgen(Some(directory.path())).unwrap_err().to_string();
        assert!(error.contains("--loadgen"), "{error}");
    }

    #[test]
    fn a_load_tool_that_is_built_is_taken_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("loadgen");
        fs::write(&path, "").unwrap();
        assert_eq!(loadgen(Some(&path)).unwrap(), path.canonicalize().unwrap());
    }
}
