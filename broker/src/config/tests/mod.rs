//! What the configuration promises, from the outside: a text or some files in, a `Config` or a report out.

mod addresses;
mod errors;
mod files;
mod hostile;
mod includes;
mod presets;
mod reload;
mod shipped;
mod tls;
mod transport;
mod values;
mod warnings;

use std::{env::VarError, path::Path};

use super::{Config, Problem, Report, parse};

/// Two variables, whatever the environment of the test.
fn env(name: &str) -> Result<String, VarError> {
    match name {
        "WASMQTT_BIND" => Ok("127.0.0.1:2883".into()),
        "WASMQTT_SECRET" => Ok("s3cr\"et ${value}".into()),
        _ => Err(VarError::NotPresent),
    }
}

fn check(text: &str) -> Result<(Config, Vec<Problem>), Report> {
    parse(Path::new("wasmqtt.toml"), text, &env)
}

/// One listener that no warning is due for.
const LISTENER: &str = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:1883\"\nanonymous = true\n\
                        default = \"allow\"\n";

fn good(text: &str) -> Config {
    check(text).unwrap_or_else(|report| panic!("{report}")).0
}

fn report(text: &str) -> Report {
    check(text).expect_err("an error")
}

/// Each error as `line:column message (help)`.
fn errors(text: &str) -> Vec<String> {
    report(text).errors.iter().map(line).collect()
}

fn warnings(text: &str) -> Vec<String> {
    check(text).unwrap_or_else(|report| panic!("{report}")).1.iter().map(line).collect()
}

fn line(problem: &Problem) -> String {
    let Problem { line, column, message, help, .. } = problem;
    match help {
        Some(help) => format!("{line}:{column} {message} ({help})"),
        None => format!("{line}:{column} {message}"),
    }
}

/// Its listeners, without where they were read from.
fn listeners(config: &Config) -> Vec<super::Listener> {
    anonymous_origin(config.clone()).listeners
}

/// The configuration without where it was read from.
fn anonymous_origin(mut config: Config) -> Config {
    config.sources.clear();
    config.include_directories.clear();
    for plugin in &mut config.plugins {
        plugin.location = super::Location::default();
    }
    for listener in &mut config.listeners {
        listener.location = super::Location::default();
    }
    config
}
