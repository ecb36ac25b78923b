//! The shell of wasmqtt: everything that touches the operating system, and the only place that assembles.
//!
//! [`Server::start`] reads top down as the architecture does: plugins, broker, workers, listeners.

mod admin;
mod ask;
mod assemble;
mod bell;
pub mod check;
mod clock;
pub mod config;
mod count;
mod drive;
pub mod explain;
mod http;
mod leave;
mod listen;
pub mod log;
mod open_files;
pub mod passwd;
mod patience;
pub mod plugin;
pub mod reload;
pub mod run;
mod sys;
mod transport;
mod watch;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::broker::Broker;
use wasmqtt_core::redirect::Redirect;
use wasmqtt_sandbox::{LoadError, Options, Sandbox};

use bell::Bells;
use clock::Clock;
use config::Config;
use listen::{Listeners, Plan};
use patience::Patience;
use worker::{Common, Workers};

/// How long connected clients have to take their DISCONNECT.
const DRAIN: Duration = Duration::from_secs(5);
/// Authentications that may be computed at once, per plugin.
const AUTHENTICATION_INSTANCES: usize = 4;

/// A running broker.
pub struct Server {
    /// What it runs by, after the last reload.
    config: Arc<Mutex<Config>>,
    sandbox: Arc<Sandbox>,
    broker: Arc<Broker>,
    patience: Patience,
    listeners: Arc<Listeners>,
    workers: Arc<Workers>,
    clock: Clock,
    tasks: JoinSet<()>,
    stopping: tokio::sync::watch::Sender<bool>,
    reloads: Arc<reload::History>,
}

/// Why a broker did not start. Everything that is wrong with its plugins is told at once.
#[derive(Debug)]
pub enum StartError {
    /// Plugins that cannot be loaded.
    Plugins(Vec<LoadError>),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        StartError::Other(error)
    }
}

impl Server {
    /// Loads the plugins, starts the workers and opens the listeners, in this order: a client that gets in is judged
    /// from its first packet. Runs on the control plane's runtime.
    ///
    /// # Errors
    /// Every plugin that cannot be loaded, or the first thing that the operating system refuses.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let count = match config.broker.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        let listeners = Arc::<Listeners>::default();
        let mut plan = listeners.plan(&config)?;

        let clock = Clock::start();
        let sandbox = Sandbox::new(Options {
            workers: count,
            cache_dir: cache_dir(),
            authentication_instances: AUTHENTICATION_INSTANCES,
            clock: wasmqtt_sandbox::Clock::new(move || clock.now()),
            http: wasmqtt_sandbox::HttpPort::new(http::Client::new()),
        })
        .map_err(|error| StartError::Plugins(vec![error]))?;
        let sandbox = Arc::new(sandbox);
        let (plugins, chains) = (assemble::plugins(&config), chains(&config, &plan));
        let preparing = Arc::clone(&sandbox);
        let prepared = tokio::task::spawn_blocking(move || preparing.prepare(&plugins, &chains));
        let generation = prepared
            .await
            .map_err(|error| StartError::Other(error.into()))?
            .map_err(StartError::Plugins)?;
        for plugin in generation.plugins() {
            tracing::info!(plugin = plugin.name, sha256 = plugin.digest, "plugin loaded");
        }
        sandbox.swap(generation);

        let broker = Arc::new(assemble::broker(&config, seed()));
        let (stopping, stopped) = tokio::sync::watch::channel(false);
        let most = config.limits.max_authentications;
        let patience = Patience::new(most);
        let shared = Arc::new(Common {
            broker: Arc::clone(&broker),
            gate: sandbox.gate(),
            patient_judge: {
                let judge = sandbox.patient_judges();
                Arc::new(move || Box::new(judge()))
            },
            control: tokio::runtime::Handle::current(),
            patience: patience.clone(),
            clock,
            outbox: sandbox.outbox(),
            bells: Bells::new(count),
            stopping: stopped,
        });
        let judges = (0..count).map(|worker| (sandbox.judge(worker), sandbox.outlet())).collect();
        let workers = Workers::start(judges, &shared).context("cannot start the workers")?;
        let workers = Arc::new(workers);

        sandbox.dismiss_with({
            let broker = Arc::clone(&broker);
            move |client_id, code, why| match why {
                "" => broker.disconnect(client_id, code),
                why => broker.dismiss(client_id, code, why),
            }
        });

        let mut tasks = JoinSet::new();
        tasks.spawn(revoke(Arc::clone(&sandbox), Arc::clone(&broker)));
        plan.bind().map_err(|errors| anyhow::anyhow!(errors.join("\n")))?;
        listeners.open(plan, &broker, &workers, clock);
        let shown = Arc::new(Mutex::new(config.clone()));
        let reloads = Arc::new(reload::History::start());
        if let Some(admin) = &config.admin {
            let socket = admin::bind(admin.bind).await?;
            let view = admin::View {
                broker: Arc::clone(&broker),
                census: workers.census(),
                sandbox: Arc::clone(&sandbox),
                listeners: Arc::clone(&listeners),
                config: Arc::clone(&shown),
                started: std::time::Instant::now(),
                reloads: Arc::clone(&reloads),
                desk: tokio::sync::Semaphore::new(1),
            };
            tasks.spawn(admin::serve(socket, Arc::new(view)));
        }
        tasks.spawn(sys::publish(
            Arc::clone(&broker),
            Arc::clone(&sandbox),
            Arc::clone(&workers),
            Arc::clone(&reloads),
            config.broker.sys_interval,
        ));
        Ok(Self {
            config: shown,
            sandbox,
            broker,
            patience,
            listeners,
            workers,
            clock,
            tasks,
            stopping,
            reloads,
        })
    }

    /// The addresses that are listened on, in the order of the configuration.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.addresses()
    }

    /// Stops accepting, tells every client that the broker shuts down (0x8B), or where to go instead (0x9C), and waits a while for them to go.
    pub async fn stop(mut self) {
        self.listeners.stop().await;
        self.tasks.shutdown().await;
        self.stopping.send_replace(true);
        let to = self.config.lock().broker.server_reference.clone();
        let told = match to {
            Some(to) => {
                let to = Redirect { to: to.into(), permanent: false };
                self.broker.redirect_all(&Arc::new(to))
            }
            None => self.broker.disconnect_all(ReasonCode::ServerShuttingDown),
        };
        tracing::info!(sessions = told, "shutting down");
        let drained = tokio::time::timeout(DRAIN, async {
            while self.workers.connections() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        if drained.await.is_err() {
            let left = self.workers.connections();
            tracing::warn!(connections = left, "not everybody took the hint; closing");
        }
        let (workers, sandbox) = (self.workers, self.sandbox);
        let stopped = tokio::task::spawn_blocking(move || {
            // Their last words may still be published.
            sandbox.dismiss_observers();
            if let Ok(workers) = Arc::try_unwrap(workers).map_err(|_| ()) {
                workers.stop();
            }
        });
        let _ = stopped.await;
        tracing::info!("stopped");
    }
}

/// Has the sessions of clients judged again whose rights plugins have revoked.
async fn revoke(sandbox: Arc<Sandbox>, broker: Arc<Broker>) {
    loop {
        for subject in std::future::poll_fn(|cx| sandbox.poll_revocations(cx)).await {
            let sessions = broker.revoke(&subject);
            tracing::info!(?subject, sessions, "rights revoked by a plugin");
        }
    }
}

fn chains(config: &Config, plan: &Plan) -> Vec<wasmqtt_sandbox::ChainSpec> {
    assemble::chains(config, |name| plan.id(name))
}

/// Compiled components are kept between runs: compiling a JavaScript component takes seconds.
fn cache_dir() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    base.filter(|path| path.is_absolute()).or_else(home).map(|path| path.join("wasmqtt"))
}

/// Differs from run to run; nothing secret depends on it.
fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or(0)
        ^ u64::from(std::process::id())
}
