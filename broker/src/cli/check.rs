//! `wasmqtt check`.

use std::process::ExitCode;

use serde_json::{Value, json};
use wasmqtt::config::{Coloured, Log, LogLevel, Problem, Report};

use super::Source;

/// Words for `check`.
#[derive(clap::Args)]
pub(crate) struct Check {
    #[command(flatten)]
    source: Source,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Does what was asked; problems go to standard error, unless JSON is wanted.
    pub(crate) fn execute(&self) -> ExitCode {
        // What a plugin logs when it starts may say what it misses.
        let _ = wasmqtt::log::start(&Log { level: LogLevel::Warn, ..Log::default() });
        let report = wasmqtt::check::check(self.source.path());
        let valid = report.errors.is_empty();
        if self.json {
            println!("{:#}", told(&report));
        } else {
            if !valid || !report.warnings.is_empty() {
                anstream::eprintln!("{}", Coloured(&report));
            }
            if valid {
                println!("the configuration is valid");
            }
        }
        if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn told(report: &Report) -> Value {
    let list = |problems: &[Problem]| problems.iter().map(problem).collect::<Vec<_>>();
    json!({
        "valid": report.errors.is_empty(),
        "errors": list(&report.errors),
        "warnings": list(&report.warnings),
        "hidden": report.hidden,
    })
}

fn problem(problem: &Problem) -> Value {
    let Problem { message, help, file, line, column, .. } = problem;
    let some = |number: &u32| Some(*number).filter(|number| *number > 0);
    json!({
        "message": message,
        "help": help,
        "file": file,
        "line": some(line),
        "column": some(column),
    })
}
