//! Measures, as `cargo xtask bench` asks it to.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use wasmqtt_load::client::pairs::{self, Pairs};
use wasmqtt_load::client::retained::{self, Retained};
use wasmqtt_load::client::storm::{self, Storm};
use wasmqtt_load::client::subscriptions::{self, Subscriptions};
use wasmqtt_load::instructions::{self, Instructions};
use wasmqtt_load::options::Options;
use wasmqtt_load::tunnel::{self, Tunnel};
use wasmqtt_load::{compare, plugins, scale, ways, workers};

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
    /// Our broker with plugins beside none
    Plugins(Options),
    /// TLS and WebSocket beside plain TCP
    Ways(Options),
    /// Much of everything
    Scale(Options),
    /// Two workers beside one
    Workers(Options),
    /// Instructions of the pieces of a message's road
    Instructions(Instructions),
    /// The load client, once
    #[command(subcommand)]
    Client(Client),
}

#[derive(Subcommand)]
enum Client {
    /// Publishers and subscribers in pairs
    Pairs(Pairs),
    /// Many retained messages, and one client that reads them
    Retained(Retained),
    /// Clients that come and go
    Storm(Storm),
    /// Many subscriptions
    Subscriptions(Subscriptions),
    /// A tunnel for load tools that speak plain TCP only
    Tunnel(Tunnel),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Compare(options) => compare::compare(&options),
        Command::Plugins(options) => plugins::plugins(&options),
        Command::Ways(options) => ways::ways(&options),
        Command::Scale(options) => scale::scale(&options),
        Command::Workers(options) => workers::workers(&options),
        Command::Instructions(what) => instructions::instructions(&what),
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
        Client::Retained(what) => println!("{}", retained::run(what)?),
        Client::Storm(storm) => println!("storms={}", storm::run(storm)?),
        Client::Subscriptions(what) => println!("{}", subscriptions::run(what)?),
        Client::Tunnel(tunnel) => tunnel::run(tunnel)?,
    }
    Ok(())
}
