//! The broker's log: one subscriber for the process, whose level a reload may change.
//!
//! Whatever peers and plugins choose may stand in it, so nothing of it begins a line or steers a terminal.

mod text;

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{Log, LogFormat, LogLevel};

/// Changes the level of the running log.
#[derive(Clone, Debug)]
pub struct Level(reload::Handle<Targets, Registry>);

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
        LogFormat::Text => {
            lines.fmt_fields(text::Fields).with_ansi(io::stderr().is_terminal()).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(level).with(lines).try_init()?;
    Ok(Level(handle))
}

/// The broker's own lines from `level` on, those of its libraries from warnings on: a compiler that
/// tells every step would bury what an operator looks for.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("wasmqtt", level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_speak_only_of_what_is_wrong() {
        let trace = filter(LogLevel::Trace);
        assert!(trace.would_enable("wasmqtt_sandbox::plugin", &Level::TRACE));
        assert!(trace.would_enable("cranelift_codegen", &Level::WARN));
        assert!(!trace.would_enable("cranelift_codegen", &Level::INFO));
        let error = filter(LogLevel::Error);
        assert!(!error.would_enable("wasmqtt", &Level::WARN));
        assert!(!error.would_enable("cranelift_codegen", &Level::WARN));
    }
}
