//! `wasmqtt check`: whether a broker would start with a configuration. Everything is done that a start does, but for the
//! sockets.

use std::path::Path;
use std::sync::Arc;

use wasmqtt_sandbox::{HttpPort, LoadError, Options, Sandbox, Subject};

use crate::config::{self, Config, Problem, Report, Severity};
use crate::listen::Listeners;
use crate::{assemble, chains, http};

/// Two instances show whether a plugin's `init` always answers the same.
const WORKERS: usize = 2;

/// Everything that is wrong with the configuration, or what is built in where there is none, and with its plugins. No
/// error: a broker would start with it.
pub fn check(path: Option<&Path>) -> Report {
    let (config, warnings) = match path.map(config::load) {
        Some(Ok(read)) => read,
        Some(Err(report)) => return report,
        None => config::built_in(),
    };
    Report { errors: prove(&config), warnings, hidden: 0 }
}

/// Loads and starts every plugin, puts them into their chains, and ends them.
fn prove(config: &Config) -> Vec<Problem> {
    let file = config.sources.first().map_or(Path::new(""), |path| path.as_path());
    let whole = |why: String| vec![Problem::file(Severity::Error, file, why, None)];
    let plan = match Listeners::default().plan(config) {
        Ok(plan) => plan,
        Err(error) => return whole(error.to_string()),
    };
    let options = Options {
        workers: WORKERS,
        cache_dir: crate::cache_dir(),
        http: HttpPort::new(http::Client::new()),
        ..Options::default()
    };
    let sandbox = match Sandbox::new(options) {
        Ok(sandbox) => Arc::new(sandbox),
        Err(error) => return whole(error.to_string()),
    };
    match sandbox.prepare(&assemble::plugins(config), &chains(config, &plan)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(|error| problem(config, file, error)).collect(),
    }
}

fn problem(config: &Config, file: &Path, error: &LoadError) -> Problem {
    let location = match error.subject() {
        Subject::Plugin(name) => {
            config.plugins.iter().find(|plugin| *plugin.name == **name).map(|it| &it.location)
        }
        Subject::Listener(name) => {
            config.listeners.iter().find(|listener| *listener.name == **name).map(|it| &it.location)
        }
        Subject::Host => None,
    };
    let message = format!("{}: {}", error.subject(), error.cause());
    match location {
        Some(location) => Problem::at(location, message),
        None => Problem::file(Severity::Error, file, message, None),
    }
}
