//! One hot reload: check, diff, prepare, prove, swap. Until the swap nothing is touched, so there is nothing to
//! roll back.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmqtt_sandbox::LoadError;

use crate::config::{self, Config, Problem, Report};
use crate::{Server, assemble, chains, leave, log};

/// How a reload ended.
#[derive(Debug)]
pub enum Outcome {
    /// The new generation judges from each client's next packet on.
    Applied(Applied),
    /// Configuration and components are what they were.
    Unchanged,
    /// Nothing changed.
    Refused(Refused),
}

/// What a reload brought.
#[derive(Debug)]
pub struct Applied {
    /// Number of the generation that judges now.
    pub generation: u64,
    /// Configuration paths that changed and are in force.
    pub live: Vec<String>,
    /// Configuration paths that changed and wait for a restart.
    pub restart: Vec<String>,
    /// What the author of the configuration should know.
    pub warnings: Vec<Problem>,
}

/// Why a reload was refused. Everything is told at once.
#[derive(Debug)]
pub enum Refused {
    /// The configuration is wrong.
    Config(Report),
    /// Plugins that cannot be loaded.
    Plugins(Vec<LoadError>),
    /// The preparation itself broke.
    Broken(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Config(report) => report.fmt(f),
            Refused::Plugins(errors) => {
                for (number, error) in errors.iter().enumerate() {
                    if number > 0 {
                        f.write_str("\n")?;
                    }
                    write!(f, "{error}")?;
                }
                Ok(())
            }
            Refused::Broken(why) => f.write_str(why),
        }
    }
}

impl Server {
    /// Reads the configuration and the components again and puts them in force, or changes nothing.
    pub async fn reload(&self, path: &Path, level: &log::Level) -> Outcome {
        let (read, warnings) = match config::load(path) {
            Ok(read) => read,
            Err(report) => return Outcome::Refused(Refused::Config(report)),
        };
        let old = self.config.lock().clone();
        let diff = config::diff(&old, &read);
        let next = config::reload(&old, &read);
        let (plugins, chains) = (assemble::plugins(&next), chains(&next, &self.listeners));
        let sandbox = Arc::clone(&self.sandbox);
        let prepared = tokio::task::spawn_blocking(move || sandbox.prepare(&plugins, &chains));
        let generation = match prepared.await {
            Ok(Ok(generation)) => generation,
            Ok(Err(errors)) => return Outcome::Refused(Refused::Plugins(errors)),
            Err(error) => return Outcome::Refused(Refused::Broken(error.to_string())),
        };
        let digests = |generation: &wasmqtt_sandbox::Generation| -> Vec<String> {
            generation.plugins().map(|plugin| plugin.digest).collect()
        };
        if diff.is_empty() && digests(&generation) == digests(&self.sandbox.current()) {
            return Outcome::Unchanged;
        }
        let generation = self.sandbox.swap(generation);
        self.apply(&next, level);
        *self.config.lock() = next;
        self.workers.refresh().await;
        // By whoever judges now.
        self.broker.ask_rejudge();
        Outcome::Applied(Applied {
            generation,
            live: diff.live().map(str::to_owned).collect(),
            restart: diff.restart().map(str::to_owned).collect(),
            warnings,
        })
    }

    /// What is live besides plugins.
    fn apply(&self, config: &Config, level: &log::Level) {
        level.set(&config.log);
        self.broker.set_limits(&assemble::broker_limits(config));
        for listener in &config.listeners {
            if let Some(place) = self.listeners.get(&listener.name) {
                let settings = assemble::settings(&config.broker, listener);
                let before = place.settings.swap(Arc::new(settings));
                leave::begin(&self.broker, place, &before);
            }
        }
    }

    /// Every file whose change is a reason to reload.
    pub fn watched(&self) -> Watched {
        watched(&self.config.lock())
    }
}

/// Every file whose change is a reason to reload this configuration.
pub(crate) fn watched(config: &Config) -> Watched {
    let plugins = config.plugins.iter().flat_map(|plugin| {
        let handed = plugin.files.values().map(|file| file.path.clone());
        std::iter::once(plugin.path.clone()).chain(handed)
    });
    Watched {
        files: config.sources.iter().cloned().chain(plugins).collect(),
        directories: config.include_directories.clone(),
    }
}

/// What the watcher looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Configuration files, components, and the files they are handed.
    pub files: Vec<std::path::PathBuf>,
    /// Directories in which every file matters.
    pub directories: Vec<std::path::PathBuf>,
}

/// Tells the operator how it went.
pub fn report(outcome: &Outcome) {
    match outcome {
        Outcome::Applied(applied) => {
            for warning in &applied.warnings {
                tracing::warn!("{warning}");
            }
            let changed = applied.live.join(", ");
            tracing::info!(generation = applied.generation, changed, "reload applied");
            if !applied.restart.is_empty() {
                let waiting = applied.restart.join(", ");
                tracing::warn!(waiting, "changed, but in force only after a restart");
            }
        }
        Outcome::Unchanged => tracing::info!("reload: nothing changed"),
        Outcome::Refused(why) => {
            tracing::error!("reload refused, everything goes on as before:\n{why}");
        }
    }
}
