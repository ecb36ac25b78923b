//! One hot reload: check, diff, prepare, prove, swap. Until the swap nothing is touched, so there is nothing to
//! roll back.

mod history;

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wasmqtt_sandbox::{Generation, LoadError, Sandbox};

use crate::config::{self, Config, Diff, Problem, Report};
use crate::listen::{Listeners, Plan};
use crate::{Server, assemble, chains, log, open_files};

pub(crate) use history::{History, Past};

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
    /// Listeners that cannot be opened, and why.
    Listeners(Vec<String>),
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
            Refused::Listeners(errors) => f.write_str(&errors.join("\n")),
            Refused::Broken(why) => f.write_str(why),
        }
    }
}

/// What a reload would put in force.
struct Prepared {
    next: Config,
    diff: Diff,
    warnings: Vec<Problem>,
    /// What becomes of the listeners, none of which is open yet.
    plan: Plan,
    generation: Generation,
    /// Plugins whose component is not the one that runs.
    changed: Vec<String>,
}

/// Everything up to the swap, except for sockets.
async fn prepare(
    old: &Config,
    listeners: &Listeners,
    sandbox: &Arc<Sandbox>,
    path: &Path,
) -> Result<Prepared, Refused> {
    let (read, warnings) = config::load(path).map_err(Refused::Config)?;
    let diff = config::diff(old, &read);
    let next = config::reload(old, &read);
    let plan = listeners.plan(&next).map_err(|error| Refused::Broken(error.to_string()))?;
    let (plugins, chains) = (assemble::plugins(&next), chains(&next, &plan));
    let preparing = Arc::clone(sandbox);
    let prepared = tokio::task::spawn_blocking(move || preparing.prepare(&plugins, &chains));
    let generation = prepared
        .await
        .map_err(|error| Refused::Broken(error.to_string()))?
        .map_err(Refused::Plugins)?;
    let running = sandbox.current();
    let runs = |name: &str| {
        let mut known = running.plugins().filter(|plugin| plugin.name == name);
        known.next().map(|plugin| plugin.digest)
    };
    let changed =
        generation.plugins().filter(|plugin| runs(&plugin.name) != Some(plugin.digest.clone()));
    let changed = changed.map(|plugin| plugin.name).collect();
    Ok(Prepared { next, diff, warnings, plan, generation, changed })
}

/// What may be asked for over `[admin]`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    /// Go as far as the swap, and no further.
    pub(crate) dry_run: bool,
}

/// What a reload would do.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Why it would be refused; none = it would not.
    pub refused: Option<String>,
    /// Configuration paths that would be in force.
    pub live: Vec<String>,
    /// Configuration paths that would wait for a restart.
    pub restart: Vec<String>,
    /// Plugins with another component than the one that runs.
    pub components: Vec<String>,
    /// Listeners that would be opened, and where.
    pub opened: Vec<String>,
    /// Listeners that would be closed, their clients disconnected, and where they were.
    pub closed: Vec<String>,
    /// What the author of the configuration should know.
    pub warnings: Vec<String>,
}

/// A reload of the configuration that runs, up to the swap: nothing changes. Costs what a reload costs.
pub(crate) async fn rehearse(
    config: &Mutex<Config>,
    listeners: &Listeners,
    sandbox: &Arc<Sandbox>,
) -> Rehearsal {
    let old = config.lock().clone();
    let Some(path) = old.sources.first() else {
        return Rehearsal::refused("the broker was started without a configuration file");
    };
    let prepared = prepare(&old, listeners, sandbox, path).await.and_then(|prepared| {
        prepared.plan.probe().map_err(Refused::Listeners)?;
        Ok(prepared)
    });
    match prepared {
        Err(why) => Rehearsal::refused(why),
        Ok(Prepared { diff, warnings, changed, plan, .. }) => Rehearsal {
            refused: None,
            live: diff.live().map(str::to_owned).collect(),
            restart: diff.restart().map(str::to_owned).collect(),
            components: changed,
            opened: plan.opened(),
            closed: plan.closed(),
            warnings: warnings.iter().map(ToString::to_string).collect(),
        },
    }
}

/// Has the running broker rehearse a reload.
///
/// # Errors
/// When it does not answer.
pub fn ask(admin: SocketAddr) -> anyhow::Result<Rehearsal> {
    crate::ask::ask(admin, "/reload", &Order { dry_run: true })
}

impl Rehearsal {
    /// Nothing but why it would be refused.
    pub fn refused(why: impl fmt::Display) -> Self {
        Self {
            refused: Some(why.to_string()),
            live: Vec::new(),
            restart: Vec::new(),
            components: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// For a terminal.
impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "{warning}\n")?;
        }
        if let Some(why) = &self.refused {
            return write!(f, "a reload would be refused:\n{why}");
        }
        let Self { live, restart, components, opened, closed, .. } = self;
        if live.is_empty() && restart.is_empty() && components.is_empty() {
            return f.write_str("a reload would change nothing");
        }
        f.write_str("a reload would be applied")?;
        for (what, names) in [
            ("changes", live),
            ("listeners that are opened", opened),
            ("listeners that are closed, and their clients disconnected", closed),
            ("other components", components),
            ("changes that wait for a restart", restart),
        ] {
            if !names.is_empty() {
                write!(f, "\n  {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Server {
    /// Reads the configuration and the components again and puts them in force, or changes nothing.
    pub async fn reload(&self, path: &Path, level: &log::Level) -> Outcome {
        let outcome = self.put_in_force(path, level).await;
        self.reloads.note(&outcome);
        outcome
    }

    async fn put_in_force(&self, path: &Path, level: &log::Level) -> Outcome {
        let old = self.config.lock().clone();
        let prepared = prepare(&old, &self.listeners, &self.sandbox, path).await;
        let Prepared { next, diff, warnings, mut plan, generation, changed } = match prepared {
            Ok(prepared) => prepared,
            Err(why) => return Outcome::Refused(why),
        };
        if diff.is_empty() && changed.is_empty() {
            return Outcome::Unchanged;
        }
        // The last thing that can fail.
        if let Err(errors) = plan.bind() {
            return Outcome::Refused(Refused::Listeners(errors));
        }
        // Who came in by what is gone is judged for the last time by who has judged so far.
        self.listeners.close(&plan, &self.broker).await;
        let generation = self.sandbox.swap(generation);
        self.apply(&next, level);
        self.listeners.open(plan, &self.broker, &self.workers, self.clock);
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

    /// What is live besides plugins and listeners.
    fn apply(&self, config: &Config, level: &log::Level) {
        level.set(&config.log);
        self.broker.set_limits(&assemble::broker_limits(config));
        self.patience.set_most(config.limits.max_authentications);
        open_files::check(config);
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
        let authorities = plugin.grants.http_ca.iter().map(|file| file.path.clone());
        std::iter::once(plugin.path.clone()).chain(handed).chain(authorities)
    });
    let certificates = config.listeners.iter().filter_map(|listener| listener.tls.as_ref());
    let certificates = certificates.flat_map(|tls| tls.files()).map(|file| file.path.clone());
    Watched {
        files: config.sources.iter().cloned().chain(plugins).chain(certificates).collect(),
        directories: config.include_directories.clone(),
    }
}

/// What the watcher looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Configuration files, components, the files they are handed, certificates and what belongs to them.
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
