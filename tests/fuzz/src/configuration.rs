//! The configuration: any text is accepted or refused with a place, and what is accepted can be printed and read back.

use std::env::VarError;
use std::path::Path;

use crate::config::{self, Config, Location, Problem};

const NAME: &str = "fuzz.toml";

fn environment(name: &str) -> Result<String, VarError> {
    match name {
        "A" => Ok("127.0.0.1:2883".into()),
        "B" => Ok("s3cr\"et ${A} \n".into()),
        _ => Err(VarError::NotPresent),
    }
}

fn parse(text: &str) -> Result<(Config, Vec<Problem>), config::Report> {
    config::parse(Path::new(NAME), text, &environment)
}

/// The bytes are a text, when they are UTF-8.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Other files are other targets: what is in them would make a run depend on the machine.
    if text.contains("include") || text.contains('\\') {
        return;
    }
    match parse(text) {
        Err(report) => {
            assert!(!report.errors.is_empty());
            for problem in report.errors.iter().chain(&report.warnings) {
                check_place(problem, text);
            }
            assert!(!report.to_string().is_empty());
        }
        Ok((config, warnings)) => {
            warnings.iter().for_each(|problem| check_place(problem, text));
            let printed = config::print(&config);
            let again = match parse(&printed) {
                Ok((again, _)) => again,
                Err(report) => panic!("{report}\n{printed}"),
            };
            assert_eq!(without_places(&config), without_places(&again), "{printed}");
            assert_eq!(config::print(&again), printed);
        }
    }
}

/// A problem is in one line that there is, or in the whole file.
fn check_place(problem: &Problem, text: &str) {
    assert!(!problem.message.is_empty() && problem.file == Path::new(NAME), "{problem:?}");
    let lines = text.split('\n').count();
    assert!(problem.line as usize <= lines, "{problem:?}");
    assert!((problem.line == 0) == (problem.column == 0), "{problem:?}");
    // What is missing altogether is missing in no line.
    let is_missing = problem.message.starts_with("there is no listener");
    assert!(problem.line > 0 || is_missing && problem.excerpt.is_empty(), "{problem:?}");
    assert!(!problem.to_string().chars().any(|one| one.is_control() && !"\n\t".contains(one)));
}

fn without_places(config: &Config) -> Config {
    let mut config = config.clone();
    config.sources.clear();
    config.include_directories.clear();
    for plugin in &mut config.plugins {
        plugin.location = Location::default();
    }
    for listener in &mut config.listeners {
        listener.location = Location::default();
    }
    config
}
