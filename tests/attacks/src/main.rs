//! Attacks a broker, as `cargo xtask attack` asks it to.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use wasmqtt_attacks::attack::{ATTACKS, Attack};
use wasmqtt_attacks::run::{Scale, run};
use wasmqtt_attacks::{report, run};

/// Attacks a broker, beside a hundred well-behaved clients, and shows what they notice
#[derive(Parser)]
#[command(name = "wasmqtt-attacks")]
struct Arguments {
    /// The broker's program
    #[arg(long, value_name = "PATH")]
    broker: PathBuf,
    /// Only attacks whose name begins with one of these
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// How long each attack lasts
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Well-behaved clients: half of them publish, half of them subscribe
    #[arg(long, value_name = "N", default_value_t = 100)]
    clients: usize,
    /// Messages that they publish in a second, together
    #[arg(long, value_name = "N", default_value_t = 500.0)]
    rate: f64,
    /// Connections of an attack that is about their number
    #[arg(long, value_name = "N", default_value_t = 5000)]
    connections: usize,
    /// Writes the figures to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Names the attacks
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match attack(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether the well-behaved have lost nothing.
fn attack(arguments: &Arguments) -> Result<bool> {
    let wanted = |attack: &&Attack| {
        let only = &arguments.only;
        only.is_empty() || only.iter().any(|name| attack.name.starts_with(name.as_str()))
    };
    let attacks = ATTACKS.iter().filter(wanted);
    if arguments.list {
        attacks.for_each(|attack| println!("{:<20} {}", attack.name, attack.what));
        return Ok(true);
    }
    run::allow_files()?;
    let scale = Scale {
        time: Duration::from_secs(arguments.seconds),
        clients: arguments.clients,
        rate: arguments.rate,
        connections: arguments.connections,
    };
    let mut outcomes = Vec::new();
    for attack in attacks {
        eprintln!("{}: {}", attack.name, attack.what);
        outcomes.push(run(attack, &arguments.broker, &scale)?);
    }
    print!("{}", report::table(&outcomes));
    if let Some(file) = &arguments.json {
        let text = report::json(&outcomes).to_string();
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(outcomes.iter().all(|outcome| outcome.is_held()))
}
