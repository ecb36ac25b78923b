//! What one instance sees of the broker: the data of its store. One file per capability. Must not know
//! chains or policies.

pub(crate) mod clients;
pub(crate) mod clock;
mod http;
mod kv;
pub(crate) mod log;
pub(crate) mod messages;
pub(crate) mod metrics;
mod publisher;
pub(crate) mod random;
mod revocation;
pub(crate) mod wasi;

use std::sync::Arc;
use std::time::Duration;

use wasmqtt_core::client::Client;
use wasmtime::{Result, bail};

use self::log::LineBudget;
use self::messages::Staged;
use crate::budget::Budget;
use crate::http::Web;
use crate::kv::Store;
use crate::metrics::{Registry, Series};
use crate::options::{Clock, PluginLimits};
use crate::outbox::Publisher;
use crate::revocation::Revocations;

/// What all instances of one plugin share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    /// The plugin's name.
    pub(crate) name: Box<str>,
    /// Names of listeners, by [`ListenerId`](wasmqtt_core::client::ListenerId).
    pub(crate) listeners: Arc<[Box<str>]>,
    /// For the log.
    pub(crate) lines: LineBudget,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Arc<Registry>,
    pub(crate) kv: Arc<Store>,
    /// Bytes it may hold.
    pub(crate) kv_limit: usize,
    /// Where to publish, if that is granted.
    pub(crate) publisher: Option<Arc<Publisher>>,
    /// Which web services it may ask, and how.
    pub(crate) http: Web,
}

/// The data of one instance's store.
pub(crate) struct Host {
    pub(crate) surroundings: Arc<Surroundings>,
    pub(crate) limiter: Limiter,
    pub(crate) budget: Budget,
    /// How long the next call, or the one in progress, may wait for web services because of the packet it is about.
    pub(crate) patience: Duration,
    /// The client of the call in progress: who asks, or who is delivered to.
    pub(crate) client: Option<Arc<Client>>,
    /// The message of the call in progress.
    pub(crate) message: Option<Staged>,
    /// How many [hops](wasmqtt_core::message::Message::hops) led to the call in progress; none during `init`.
    pub(crate) cause: Option<u8>,
    /// The last error line of the call in progress: what a guest says before it traps.
    pub(crate) last_words: Option<String>,
    /// What it wrote to standard output and error without an end of line.
    lines: wasi::Lines,
    /// Whose instance it is; beyond all workers until somebody [sits](crate::guest::Guest::sit) on it.
    pub(crate) worker: usize,
    /// What its handles of metrics stand for, by number.
    series: Vec<Arc<Series>>,
    /// Handles it owns.
    handles: usize,
}

impl Host {
    pub(crate) fn new(surroundings: Arc<Surroundings>, limits: &PluginLimits) -> Self {
        Self {
            surroundings,
            limiter: Limiter::new(limits),
            budget: Budget::default(),
            patience: Duration::MAX,
            client: None,
            message: None,
            cause: None,
            last_words: None,
            lines: wasi::Lines::default(),
            worker: usize::MAX,
            series: Vec::new(),
            handles: 0,
        }
    }

    /// The message behind every handle. There is one per call, so the handle's number says nothing.
    fn message(&mut self) -> Result<&mut Staged> {
        match &mut self.message {
            Some(message) => Ok(message),
            None => bail!("the message is only there while the hook runs that was given it"),
        }
    }
}

impl AsMut<Budget> for Host {
    fn as_mut(&mut self) -> &mut Budget {
        &mut self.budget
    }
}

/// Bounds linear memory and tables of one instance, all its memories and tables together.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory: usize,
    memory_limit: usize,
    table_elements: usize,
    table_elements_limit: usize,
    refused: Option<&'static str>,
}

impl Limiter {
    fn new(limits: &PluginLimits) -> Self {
        Self {
            memory: 0,
            memory_limit: usize::try_from(limits.memory).unwrap_or(usize::MAX),
            table_elements: 0,
            table_elements_limit: limits.table_elements as usize,
            refused: None,
        }
    }

    /// Bytes of all memories.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }

    /// The limit that was reached since the last time this was asked.
    pub(crate) fn take_refused(&mut self) -> Option<String> {
        self.refused.take().map(|what| match what {
            "memory" => format!("its memory limit of {} bytes was reached", self.memory_limit),
            _ => format!("its limit of {} table elements was reached", self.table_elements_limit),
        })
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.memory_limit {
            self.refused = Some("memory");
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let total = self.table_elements.saturating_sub(current).saturating_add(desired);
        if total > self.table_elements_limit {
            self.refused = Some("table");
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::ResourceLimiter;

    #[test]
    fn the_memory_limit_counts_all_memories_of_an_instance() {
        let limits = PluginLimits { memory: 1000, ..PluginLimits::default() };
        let mut limiter = Limiter::new(&limits);
        assert!(limiter.memory_growing(0, 400, None).unwrap());
        assert!(limiter.memory_growing(0, 600, None).unwrap());
        assert!(limiter.take_refused().is_none());
        assert!(!limiter.memory_growing(400, 401, None).unwrap());
        assert!(limiter.take_refused().unwrap().contains("1000 bytes"));
        assert!(limiter.take_refused().is_none());
    }

    #[test]
    fn the_table_limit_counts_all_tables_of_an_instance() {
        let limits = PluginLimits { table_elements: 10, ..PluginLimits::default() };
        let mut limiter = Limiter::new(&limits);
        assert!(limiter.table_growing(0, 4, None).unwrap());
        assert!(limiter.table_growing(0, 6, None).unwrap());
        assert!(!limiter.table_growing(6, 7, None).unwrap());
        assert!(limiter.take_refused().unwrap().contains("10 table elements"));
    }
}
