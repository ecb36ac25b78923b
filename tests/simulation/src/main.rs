//! Runs seeds, and tells what came of them.

use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use wasmqtt_simulation::{Options, run};

/// Runs the broker in a simulated world, once for each seed
#[derive(Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Arguments {
    /// One seed, with every event printed
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Many seeds, as in `0..10000`; stops at the first that fails
    #[arg(long, value_parser = parse_range)]
    seeds: Option<Range<u64>>,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let wrong = || format!("`{text}` is no range of seeds; write one like 0..10000");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let range = from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?;
    if range.is_empty() { Err(wrong()) } else { Ok(range) }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (seeds, aloud) = match (arguments.seed, arguments.seeds) {
        (Some(seed), _) => (seed..seed.saturating_add(1), true),
        (None, seeds) => (seeds.unwrap_or_default(), false),
    };
    let start = Instant::now();
    let (mut runs, mut hash, mut delivered) = (0u64, 0u64, 0u64);
    for seed in seeds {
        let report = run(seed, Options { aloud, ..Options::default() });
        runs += 1;
        hash = hash.rotate_left(1) ^ report.hash;
        delivered += report.delivered;
        if report.failure.is_some() {
            eprintln!("{}", report.story());
            return ExitCode::FAILURE;
        }
    }
    let rate = runs as f64 / start.elapsed().as_secs_f64().max(f64::EPSILON);
    println!("{runs} runs, {delivered} deliveries compared, trace {hash:016x}, {rate:.0} runs/s");
    ExitCode::SUCCESS
}
