//! Builds a fuzz target as cargo-fuzz would, with the stable compiler of this tree, and runs it under libFuzzer.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wasm::cargo;
use crate::{step, tree};

/// Bytes of one input: what a target has to be told fits in far fewer, and short inputs are many.
const LONGEST: u32 = 4_096;
/// Memory of the fuzzer beyond which a target counts as growing, in MiB: the coverage itself takes most of it.
const MEMORY: u32 = 2_048;
/// How long one input may take before it counts as a hang, in seconds.
const HANG: u32 = 25;

/// What makes libFuzzer see where an input goes. cargo-fuzz passes the same.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// Which target
    target: Target,
    /// How long; without it, until something is found
    #[arg(long, value_name = "N")]
    seconds: Option<u32>,
    /// Without AddressSanitizer: about twice as fast, for code without `unsafe`
    #[arg(long)]
    plain: bool,
    /// Arguments for libFuzzer, after `--`: options, or files to run once
    #[arg(last = true)]
    arguments: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    /// The codec, in both directions
    Decoder,
    /// A whole core with three clients
    Connection,
    /// Routing, against a naive one
    Trie,
    /// The configuration
    Configuration,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Target::Decoder => "decoder",
            Target::Connection => "connection",
            Target::Trie => "trie",
            Target::Configuration => "configuration",
        }
    }
}

pub(crate) fn fuzz(fuzz: &Fuzz) -> Result<()> {
    let name = fuzz.target.name();
    if !step::exists("c++") {
        bail!("libFuzzer is C++ and there is no `c++`; install a C++ compiler (Debian: g++)");
    }
    let host = step::answer(cargo().args(["-vV"]), step::NETWORK)
        .and_then(|said| {
            said.lines().find_map(|line| line.strip_prefix("host: ").map(String::from))
        })
        .context("`cargo -vV` does not say what machine this is")?;
    step::say(format!("building the fuzz target {name}"));
    step::run(&mut build(fuzz, &host), step::BUILD)?;
    let program = tree::target("fuzz").join(&host).join("release").join(name);
    step::say(format!("fuzzing {name}; what it finds goes to target/fuzz/artifacts/{name}"));
    let limit = fuzz.seconds.map_or(Duration::MAX, |seconds| {
        Duration::from_secs(seconds.into()).saturating_add(step::BUILD)
    });
    step::run(&mut run(fuzz, program)?, limit)
}

fn build(fuzz: &Fuzz, host: &str) -> Command {
    let mut flags = COVERAGE.to_vec();
    if !fuzz.plain {
        flags.push("-Zsanitizer=address");
    }
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--release", "--locked", "--target", host])
        // Given a machine, cargo leaves build scripts and macros without these flags.
        .args(["--bin", fuzz.target.name(), "--manifest-path"])
        .arg(tree::root().join("tests/fuzz/libfuzzer/Cargo.toml"))
        .arg("--target-dir")
        .arg(tree::target("fuzz"))
        .env("RUSTFLAGS", flags.join(" "))
        // The flags for coverage and sanitizers are there in the stable compiler, behind this.
        .env("RUSTC_BOOTSTRAP", "1");
    command
}

fn run(fuzz: &Fuzz, program: PathBuf) -> Result<Command> {
    let name = fuzz.target.name();
    let directory = |of: &str| -> Result<PathBuf> {
        let path = tree::target("fuzz").join(of).join(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    };
    let (corpus, artifacts) = (directory("corpus")?, directory("artifacts")?);
    let mut command = Command::new(program);
    command.args([
        format!("-max_len={LONGEST}"),
        format!("-rss_limit_mb={MEMORY}"),
        format!("-timeout={HANG}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-print_final_stats=1".into(),
        "-detect_leaks=0".into(),
    ]);
    // The table of waiters for locks is kept for ever on purpose; looking for leaks at the end would find that.
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    let dictionary = tree::root().join("tests/fuzz/dictionaries").join(name);
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    if let Some(seconds) = fuzz.seconds {
        command.arg(format!("-max_total_time={seconds}"));
    }
    if !fuzz.arguments.iter().any(|argument| !argument.starts_with('-')) {
        // What is found is kept in the first; the second is the one in the repository.
        command.arg(corpus);
        let known = tree::root().join("tests/fuzz/corpus").join(name);
        if known.is_dir() {
            command.arg(known);
        }
    }
    command.args(&fuzz.arguments);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn words(command: &Command) -> Vec<String> {
        command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_target_is_a_program_and_has_a_corpus() {
        let fuzz = tree::root().join("tests/fuzz");
        let manifest = fs::read_to_string(fuzz.join("libfuzzer/Cargo.toml")).unwrap();
        for target in Target::value_variants() {
            let name = target.name();
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
            assert!(fuzz.join("libfuzzer/targets").join(format!("{name}.rs")).is_file(), "{name}");
            assert!(fuzz.join("corpus").join(name).is_dir(), "{name}");
        }
    }

    #[test]
    fn files_to_run_once_take_the_place_of_the_corpus() {
        let target = Target::Decoder;
        let fuzz = |arguments: &[&str]| Fuzz {
            target,
            seconds: Some(3),
            plain: true,
            arguments: arguments.iter().map(|word| (*word).to_owned()).collect(),
        };
        let all = words(&run(&fuzz(&["-runs=1"]), PathBuf::from("decoder")).unwrap());
        assert!(all.iter().any(|word| word.ends_with("corpus/decoder")), "{all:?}");
        assert!(all.contains(&"-max_total_time=3".to_owned()), "{all:?}");
        assert_eq!(all.last().map(String::as_str), Some("-runs=1"));
        let one = words(&run(&fuzz(&["crash-1"]), PathBuf::from("decoder")).unwrap());
        assert!(!one.iter().any(|word| word.ends_with("corpus/decoder")), "{one:?}");
    }

    #[test]
    fn the_sanitizer_is_left_out_only_when_asked() {
        let flags = |plain| {
            let fuzz = Fuzz { target: Target::Trie, seconds: None, plain, arguments: Vec::new() };
            let command = build(&fuzz, "x86_64-unknown-linux-gnu");
            let mut all = command.get_envs();
            all.find_map(|(key, value)| (key == "RUSTFLAGS").then(|| value.unwrap().to_owned()))
                .unwrap()
                .into_string()
                .unwrap()
        };
        assert!(flags(false).contains("-Zsanitizer=address"));
        assert!(!flags(true).contains("sanitizer=address"));
        assert!(flags(true).contains("inline-8bit-counters"));
    }
}
