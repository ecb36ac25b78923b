//! `cargo xtask`: the one entry point for building, running and testing. It installs what it needs and says
//! what it installs and why. It knows the tree and the tools; nothing of MQTT.

mod apt;
mod attack;
mod bench;
mod c;
mod clients;
mod fuzz;
mod javascript;
mod mutate;
mod plugins;
mod python;
mod run;
mod sim;
mod spec;
mod step;
mod test;
#[cfg(test)]
mod tidy;
mod tree;
mod wasm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, runs and tests wasmqtt
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the plugins and the guests for tests, into target/plugins and target/guests
    Plugins,
    /// Install the MQTT clients of others that tests talk to the broker with, and print what their environment must say
    Clients,
    /// Build plugins and broker, and start the broker with the demo configuration
    Run {
        /// Arguments for `wasmqtt run`, after `--`; a `--config` here replaces the demo configuration
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Show which statements of the MQTT specifications a test checks, and fail where list and tests disagree
    Spec,
    /// Run the broker in a simulated world that is made from a seed
    Sim(sim::Seeds),
    /// Break the core in every way that is known, and demand that the simulation notices
    Mutate(mutate::Mutations),
    /// Hand one part of the broker inputs that nobody would think of, until one breaks it
    Fuzz(fuzz::Fuzz),
    /// Measure the broker beside others: processor time, latency, memory
    Bench(bench::Bench),
    /// Attack the broker beside a hundred well-behaved clients, and show what they notice and what it costs
    Attack(attack::Attack),
    /// Everything that the continuous integration runs, in its order
    Test,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Plugins => plugins::build(plugins::OtherLanguages::Required),
        Command::Clients => clients::show(),
        Command::Run { arguments } => run::run(&arguments),
        Command::Spec => spec::spec(),
        Command::Sim(seeds) => sim::sim(&seeds),
        Command::Mutate(mutations) => mutate::mutate(&mutations),
        Command::Fuzz(fuzz) => fuzz::fuzz(&fuzz),
        Command::Bench(bench) => bench::bench(&bench),
        Command::Attack(attack) => attack::attack(&attack),
        Command::Test => test::test(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
