//! `wasmqtt plugin`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use wasmqtt::config::{Log, LogLevel};
use wasmqtt::plugin::{Hook, Language, bench, build, inspect, scaffold, test};

/// Words for the vectors that `test` and `bench` ask.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// A component, or the directory of a plugin.
    #[arg(default_value = ".", value_name = "PLUGIN")]
    target: PathBuf,
    /// Questions and expected answers. Without it: tests.toml beside the component.
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a directory with a plugin that builds, passes its tests and can be run.
    New {
        /// Lower-case letters, digits and dashes.
        name: String,
        /// What it is written in.
        #[arg(short, long)]
        lang: Language,
        /// Which question it answers.
        #[arg(long, default_value = "transformation")]
        hook: Hook,
    },
    /// Build the component of a plugin with the tools of its language.
    Build {
        /// Directory of the plugin.
        #[arg(default_value = ".")]
        directory: PathBuf,
    },
    /// Show what a component exports, which capabilities it asks for, its size and its digest.
    Inspect {
        /// The component.
        component: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put the questions of tests.toml to a plugin, and compare its answers.
    Test(Target),
    /// Measure what a plugin's calls, starts and memory cost.
    Bench {
        #[command(flatten)]
        target: Target,
        /// Time for each question, in milliseconds.
        #[arg(long, default_value_t = 500, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=600_000))]
        time: u64,
    },
}

impl Command {
    /// Does what was asked; errors go to standard error.
    pub(crate) fn execute(&self) -> ExitCode {
        // What a plugin logs, and why it gave no answer, is for its author to see.
        let _ = wasmqtt::log::start(&Log { level: LogLevel::Warn, ..Log::default() });
        let done = match self {
            Command::New { name, lang, hook } => {
                scaffold::scaffold(".".as_ref(), name, *lang, *hook).map(|directory| {
                    println!("{} is made; now", directory.display());
                    println!("  cd {name} && wasmqtt plugin build && wasmqtt plugin test");
                    true
                })
            }
            Command::Build { directory } => build::build(directory)
                .and_then(|component| inspect::inspect(&component, false))
                .map(|()| true),
            Command::Inspect { component, json } => {
                inspect::inspect(component, *json).map(|()| true)
            }
            Command::Test(Target { target, vectors, json }) => {
                test::test(target, vectors.as_deref(), *json)
            }
            Command::Bench { target: Target { target, vectors, json }, time } => {
                let time = Duration::from_millis(*time);
                bench::bench(target, vectors.as_deref(), time, *json).map(|()| true)
            }
        };
        match done {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::FAILURE
            }
        }
    }
}
