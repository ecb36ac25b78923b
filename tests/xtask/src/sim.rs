//! Runs the simulation: one seed aloud, or many until one fails.

use std::process::Command;

use anyhow::Result;

use crate::step;
use crate::wasm::cargo;

/// Which runs.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Seeds {
    /// One seed, with every event printed: how a failure is looked into
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Many seeds, the last one excluded; stops at the first that fails
    #[arg(long, value_name = "A..B")]
    seeds: Option<String>,
}

pub(crate) fn sim(seeds: &Seeds) -> Result<()> {
    step::run(&mut command(seeds), step::BUILD)
}

fn command(seeds: &Seeds) -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--package", "wasmqtt-simulation", "--"]);
    if let Some(seed) = seeds.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    if let Some(seeds) = &seeds.seeds {
        command.args(["--seeds", seeds]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_simulation_is_told_which_seeds_to_run() {
        let arguments = |seeds: &Seeds| -> Vec<String> {
            let command = command(seeds);
            let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
            words.skip_while(|word| word != "--").skip(1).collect()
        };
        let one = Seeds { seed: Some(7), seeds: None };
        assert_eq!(arguments(&one), ["--seed", "7"]);
        let many = Seeds { seed: None, seeds: Some("1..9".into()) };
        assert_eq!(arguments(&many), ["--seeds", "1..9"]);
    }
}
