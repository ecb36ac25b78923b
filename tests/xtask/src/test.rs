//! Everything that the continuous integration runs, in its order, and how long each step took.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::plugins::OtherLanguages;
use crate::wasm::cargo;
use crate::{clients, javascript, plugins, python, spec, step, tree};

type Step = (&'static str, fn() -> Result<()>);

const STEPS: &[Step] = &[
    ("format", format),
    ("lint", lint),
    ("specifications", specifications),
    ("build plugins", build_plugins),
    ("test plugins", test_plugins),
    ("test workspace", test_workspace),
];

/// Runs the steps up to the first that fails.
pub(crate) fn test() -> Result<()> {
    let mut took = Vec::new();
    let mut outcome = Ok(());
    for (name, run) in STEPS {
        let start = Instant::now();
        outcome = run().with_context(|| format!("step \"{name}\""));
        took.push((*name, start.elapsed()));
        if outcome.is_err() {
            break;
        }
    }
    step::say(if outcome.is_ok() { "test: all passed" } else { "test: failed" });
    for (name, time) in &took {
        println!("   {name:<16} {:>6.1} s", time.as_secs_f64());
    }
    let total: Duration = took.iter().map(|(_, time)| *time).sum();
    println!("   {:<16} {:>6.1} s", "total", total.as_secs_f64());
    outcome
}

fn format() -> Result<()> {
    need_component("fmt", "rustfmt")?;
    step::say("format: checking the workspace and the plugins");
    step::run(cargo().args(["fmt", "--all", "--check"]), step::BUILD)?;
    // The members outside the plugins' directory are formatted with it.
    step::run(in_plugins("fmt").args(["--all", "--check"]), step::BUILD)
}

fn lint() -> Result<()> {
    need_component("clippy", "clippy")?;
    step::say("lint: the workspace, warnings denied");
    step::run(
        cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]),
        step::BUILD,
    )?;
    step::say("lint: the lock file of the fuzz targets");
    let mut locked = cargo();
    locked.args(["tree", "--locked", "--manifest-path"]);
    locked.arg(tree::root().join("tests/fuzz/libfuzzer/Cargo.toml"));
    step::run_quietly(&mut locked, step::NETWORK)?;
    step::say("lint: the plugins, warnings denied");
    let mut clippy = in_plugins("clippy");
    clippy.args(["--workspace", "--all-targets", "--quiet", "--locked", "--target-dir"]);
    clippy.arg(tree::target("wasm")).args(["--", "-D", "warnings"]);
    step::run(&mut clippy, step::BUILD)
}

fn specifications() -> Result<()> {
    step::say("specifications: every normative statement is accounted for");
    spec::spec()
}

fn build_plugins() -> Result<()> {
    plugins::build(OtherLanguages::Required)
}

fn test_plugins() -> Result<()> {
    step::say("test: SDK, plugins and guests, without wasm");
    let mut tests = in_plugins("test");
    tests.args(["--workspace", "--quiet", "--locked", "--target-dir"]).arg(tree::target("wasm"));
    step::run(&mut tests, step::BUILD)?;
    step::say("test: redact, without wasm");
    javascript::test_redact()?;
    step::say("test: schema, without wasm");
    python::test_schema()
}

fn test_workspace() -> Result<()> {
    let environment = clients::install()?;
    // The tests start the real binary, which no test target builds by itself.
    step::say("test: building the broker");
    step::run(cargo().args(["build", "--workspace", "--bins"]), step::BUILD)?;
    let nextest = cargo().args(["nextest", "--version"]).output();
    if nextest.is_ok_and(|output| output.status.success()) {
        step::say("test: the workspace, with cargo-nextest");
        let mut tests = cargo();
        tests
            .args(["nextest", "run", "--workspace", "--no-fail-fast"])
            .envs(environment.iter().cloned());
        step::run(&mut tests, step::BUILD)?;
        // What nextest leaves out.
        step::say("test: the examples in the documentation");
        let mut examples = cargo();
        examples.args(["test", "--workspace", "--doc", "--quiet"]).envs(environment);
        return step::run(&mut examples, step::BUILD);
    }
    step::say("test: the workspace");
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]).envs(environment);
    step::run(&mut tests, step::BUILD)
}

fn in_plugins(subcommand: &str) -> Command {
    let mut command = cargo();
    command.current_dir(tree::root().join("plugins")).arg(subcommand);
    command
}

fn need_component(subcommand: &str, component: &str) -> Result<()> {
    let works = || {
        cargo().args([subcommand, "--version"]).output().is_ok_and(|output| output.status.success())
    };
    if works() {
        return Ok(());
    }
    let how = format!("`cargo {subcommand}` is missing; run `rustup component add {component}`");
    step::say(format!("rustup: adding {component} (the code is checked with it)"));
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", component]).current_dir(tree::root());
    step::run_quietly(&mut rustup, step::NETWORK).context(how)
}
