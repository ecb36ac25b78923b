//! The life of the process: start, reload when asked, stop when asked.

use std::path::Path;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Config, Problem};
use crate::watch::Watch;
use crate::{Server, StartError, log, open_files, patience, reload};

/// Runs the broker until SIGTERM or SIGINT. `path` is where the configuration came from, when it did.
///
/// # Errors
/// Whatever keeps the broker from starting, for the operator to read.
pub fn run(config: Config, warnings: &[Problem], path: Option<&Path>) -> anyhow::Result<()> {
    let level = log::start(&config.log)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    open_files::raise();
    open_files::check(&config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(patience::THREADS)
        .thread_name("control")
        .build()
        .context("cannot start the control plane")?;
    let outcome = runtime.block_on(async {
        // From here on SIGHUP is no death, and no change of a file goes unseen.
        let mut signals = Signals::listen()?;
        let mut watch = Watch::start(&reload::watched(&config));
        let started = tokio::select! {
            () = signals.stop() => return Ok(()),
            started = Server::start(config) => started,
        };
        let server = started.map_err(|error| match error {
            StartError::Plugins(errors) => {
                anyhow::anyhow!(reload::Refused::Plugins(errors).to_string())
            }
            StartError::Other(error) => error,
        })?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "wasmqtt is ready");
        serve(&server, &mut signals, &mut watch, path, &level).await;
        server.stop().await;
        Ok(())
    });
    // An authenticator that is still computing has nobody left to answer to.
    runtime.shutdown_background();
    outcome
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Ready when the broker is to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reloads when asked, until asked to stop.
async fn serve(
    server: &Server,
    signals: &mut Signals,
    watch: &mut Watch,
    path: Option<&Path>,
    level: &log::Level,
) {
    let Signals { terminate, interrupt, hangup } = signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => return,
            _ = interrupt.recv() => return,
            _ = hangup.recv() => tracing::info!("reload: SIGHUP"),
            () = watch.settled() => tracing::info!("reload: files changed"),
        }
        let Some(path) = path else {
            tracing::warn!("nothing to reload: started without a configuration file");
            continue;
        };
        reload::report(&server.reload(path, level).await);
        watch.follow(&server.watched());
    }
}

/// Reads the configuration, or explains to standard error why it cannot be used.
///
/// # Errors
/// The report, ready to be printed.
pub fn load(path: &Path) -> anyhow::Result<(Config, Vec<Problem>)> {
    config::load(path).map_err(|report| anyhow::anyhow!("{report}"))
}
