//! Measures, as `cargo xtask bench` asks it to.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use wasmqtt_load::client::pairs::{self, Pairs};
use wasmqtt_load::compare;
use wasmqtt_load::options::Options;

/// What the broker costs under load, beside others
#[derive(Parser)]
#[command(name = "wasmqtt-load")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Our broker beside others
    Compare(Options),
    /// The load client, once
    #[command(subcommand)]
    Client(Client),
}

#[derive(Subcommand)]
enum Client {
    /// Publishers and subscribers in pairs
    Pairs(Pairs),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Compare(options) => compare::compare(&options),
        Command::Client(client) => drive(&client),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn drive(client: &Client) -> Result<()> {
    match client {
        Client::Pairs(pairs) => println!("{}", pairs::run(pairs)?),
    }
    Ok(())
}
