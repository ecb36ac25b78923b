//! The broker's log: one subscriber for the process, whose level a reload may change.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat, LogLevel};

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<LevelFilter, Registry>);

impl Level {
    /// From now on, for everybody.
    pub fn set(&self, log: &Log) {
        if let Err(error) = self.0.modify(|level| *level = filter(log.level)) {
            tracing::error!(%error, "cannot change the log level");
        }
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// When the process logs already.
pub fn start(log: &Log) -> anyhow::Result<Level> {
    let (level, handle) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(level).with(lines).try_init()?;
    Ok(Level(handle))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}
