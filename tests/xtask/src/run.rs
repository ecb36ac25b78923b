//! Starts the broker in the foreground with the demo configuration.

use std::process::Command;

use anyhow::{Context, Result};

use crate::plugins::{self, OtherLanguages};
use crate::{step, tree, wasm};

const DEMO: &str = "broker/demo.toml";

/// Builds plugins and broker, and becomes the broker. Returns only when that fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    plugins::build(OtherLanguages::Optional)?;
    step::say("broker: building (the first time takes minutes: the wasm compiler is part of it)");
    step::run(wasm::cargo().args(["build", "--workspace", "--bins"]), step::BUILD)?;
    let directory = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| tree::root().join("target"), |target| tree::root().join(target));
    let broker = directory.join("debug").join(format!("wasmqtt{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(&broker);
    command.arg("run").current_dir(tree::root());
    if !arguments.iter().any(|argument| argument == "--config" || argument.starts_with("--config="))
    {
        command.args(["--config", DEMO]);
    }
    command.args(arguments);
    step::say(format!("broker: {} {}", tree::short(&broker), shown(&command)));
    become_it(&mut command).with_context(|| format!("cannot start {}", broker.display()))
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// In the place of this process, so that signals reach the broker and its exit code the caller.
#[cfg(unix)]
fn become_it(command: &mut Command) -> std::io::Result<()> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> std::io::Result<()> {
    let status = command.status()?;
    std::process::exit(status.code().unwrap_or(1));
}
