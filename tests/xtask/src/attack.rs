//! Attacks the broker: builds what is ours, and starts the attacks.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::bench::release;
use crate::step;
use crate::wasm::cargo;

/// Which broker, and which attacks.
#[derive(clap::Args)]
pub(crate) struct Attack {
    /// A broker that is built already, in the place of the release build of this tree
    #[arg(long, value_name = "PATH")]
    broker: Option<PathBuf>,
    /// For the attacks, after `--`: `--help` says what there is, `--list` names them
    #[arg(last = true)]
    arguments: Vec<String>,
}

pub(crate) fn attack(attack: &Attack) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--bin", "wasmqtt-attacks"]);
    if attack.broker.is_none() {
        step::say("broker: building for release (the first time takes minutes)");
        build.args(["--workspace", "--bin", "wasmqtt"]);
    } else {
        build.args(["--package", "wasmqtt-attacks"]);
    }
    step::run(&mut build, step::BUILD)?;
    let mut command = Command::new(release("wasmqtt-attacks"));
    let broker = attack.broker.clone().unwrap_or_else(|| release("wasmqtt"));
    command.arg("--broker").arg(broker).args(&attack.arguments);
    step::run(&mut command, step::BUILD)
}
