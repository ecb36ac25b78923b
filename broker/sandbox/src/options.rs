//! What the operator asks for, already parsed: plugins, chains and their bounds. Must not know the
//! configuration file it came from, nor wasm.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmqtt_core::client::ListenerId;
use wasmqtt_core::time::Moment;

use crate::http::{HttpLimits, HttpPort};

/// How the plugin host is set up; fixed for the life of the process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data-path workers; each gets its own instance of every plugin on a data path.
    pub workers: usize,
    /// Absolute directory for compiled components; none = compile at every start. It is created for
    /// this user alone, and refused when others may write to it: what lies there is run as native
    /// code.
    pub cache_dir: Option<PathBuf>,
    /// Most instances per plugin that answer authentications at the same time; at least one.
    pub authentication_instances: usize,
    /// The broker's clock: when what plugins keep expires.
    pub clock: Clock,
    /// How plugins reach web services.
    pub http: HttpPort,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            cache_dir: None,
            authentication_instances: 4,
            clock: Clock::default(),
            http: HttpPort::default(),
        }
    }
}

/// Answers the broker's `now`, from any thread.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Moment + Send + Sync>);

impl Clock {
    /// A clock that is read by calling `now`.
    pub fn new(now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Moment {
        (self.0)()
    }
}

impl Default for Clock {
    /// Counts from here.
    fn default() -> Self {
        let start = Instant::now();
        Self::new(move || Moment(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)))
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// What answers where a plugin cannot: after a failure, a trap or a missed deadline.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum OnFailure {
    /// Refuse, deny, reject, or skip that one delivery.
    #[default]
    Closed,
    /// As if the plugin had abstained, or forwarded without changes.
    Open,
}

/// What one plugin may use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PluginLimits {
    /// Bytes of linear memory of one instance, all its memories together; 64 KiB to
    /// [`MEMORY_MAX`](Self::MEMORY_MAX).
    pub memory: u64,
    /// Longest call on the data path, rounded up to milliseconds; 1 ms to 60 s.
    pub call: Duration,
    /// Longest authentication; the wait for a free instance may take as long again. 1 ms to 60 s.
    pub authenticate: Duration,
    /// Longest call that tells events, and longest tick; 1 ms to 60 s.
    pub observe: Duration,
    /// Events that may wait for an observer, at least one; what is beyond is counted as lost.
    pub queued_events: u32,
    /// Publications of the plugin that may wait to be routed, at least one; what is beyond it is told.
    pub queued_publications: u32,
    /// Lines per second in the log, all instances together; what is beyond is counted and dropped.
    pub log_lines_per_second: u32,
    /// Elements of all tables of one instance; at most
    /// [`TABLE_ELEMENTS_MAX`](Self::TABLE_ELEMENTS_MAX).
    pub table_elements: u32,
    /// Bytes the plugin may hand to the broker in one call of the broker; at most
    /// [`HOST_CALL_BYTES_MAX`](Self::HOST_CALL_BYTES_MAX). Bounds a payload it sets.
    pub host_call_bytes: u64,
    /// Bytes of what the plugin keeps in `kv`, all instances together; at most
    /// [`KV_MAX`](Self::KV_MAX).
    pub kv: u64,
    /// Of one with [`Grants::http`].
    pub http: HttpLimits,
}

impl PluginLimits {
    /// 1 GiB.
    pub const MEMORY_MAX: u64 = 1 << 30;
    /// 65,536.
    pub const TABLE_ELEMENTS_MAX: u32 = 1 << 16;
    /// 64 MiB.
    pub const HOST_CALL_BYTES_MAX: u64 = 64 << 20;
    /// 1 GiB.
    pub const KV_MAX: u64 = 1 << 30;
    /// Of a call and of an authentication.
    pub const TIME_MAX: Duration = Duration::from_secs(60);

    /// The first bound that cannot be had, in words.
    pub(crate) fn fault(&self) -> Option<String> {
        let times = Duration::from_millis(1)..=Self::TIME_MAX;
        if !(1 << 16..=Self::MEMORY_MAX).contains(&self.memory) {
            return Some("`memory` must be between 64 KiB and 1 GiB".into());
        }
        if ![self.call, self.authenticate, self.observe].iter().all(|time| times.contains(time)) {
            return Some(
                "`call`, `authenticate` and `observe` must be between 1 ms and 60 s".into(),
            );
        }
        if self.queued_events == 0 || self.queued_publications == 0 {
            return Some("`queued_events` and `queued_publications` must be at least 1".into());
        }
        if self.table_elements > Self::TABLE_ELEMENTS_MAX {
            return Some("`table_elements` must be at most 65536".into());
        }
        if self.host_call_bytes > Self::HOST_CALL_BYTES_MAX {
            return Some("`host_call_bytes` must be at most 64 MiB".into());
        }
        if self.kv > Self::KV_MAX {
            return Some("`kv` must be at most 1 GiB".into());
        }
        self.http.fault()
    }
}

impl Default for PluginLimits {
    fn default() -> Self {
        Self {
            memory: 16 << 20,
            call: Duration::from_millis(5),
            authenticate: Duration::from_secs(2),
            observe: Duration::from_secs(1),
            queued_events: 8192,
            queued_publications: 1000,
            log_lines_per_second: 100,
            table_elements: 20_000,
            host_call_bytes: Self::HOST_CALL_BYTES_MAX,
            kv: 1 << 20,
            http: HttpLimits::default(),
        }
    }
}

/// What one plugin is allowed beyond answering.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grants {
    /// Topic filters: where the plugin may move a message to.
    pub topics: Vec<String>,
    /// Whether it may revoke rights of any client, and close its connection.
    pub revocation: bool,
    /// Whether it may keep keys and values, up to [`PluginLimits::kv`].
    pub kv: bool,
    /// Topic filters: where the plugin may publish to.
    pub publish: Vec<String>,
    /// Whether it may have metrics of its own.
    pub metrics: bool,
    /// URL prefixes: which web services the plugin may ask.
    pub http: Vec<String>,
    /// Certificates of CAs in DER: those that vouch for these web services, instead of the public ones.
    pub http_ca: Option<Arc<[Vec<u8>]>>,
}

/// One plugin of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PluginSpec {
    /// What chains call it.
    pub name: String,
    /// The component.
    pub path: PathBuf,
    /// When given, the only bytes that are accepted.
    pub sha256: Option<[u8; 32]>,
    /// What answers where the plugin cannot.
    pub on_failure: OnFailure,
    /// Asks for a rewrite outside `grants.topics`, for a higher QoS and for a retain flag that was
    /// set, whether the client may publish that itself. Without it a rewrite outside of the grants is
    /// refused.
    pub reauthorize: bool,
    /// Whether it is told events, and ticks.
    pub observe: bool,
    /// What it may use.
    pub limits: PluginLimits,
    /// What it may do.
    pub grants: Grants,
    /// JSON for `init`.
    pub config: String,
    /// Where it is configured, as in `wasmqtt.toml:12`; for messages. May be empty.
    pub location: String,
}

/// What answers where all authorizers of a listener abstain.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Fallback {
    /// Everybody may do what nobody forbids.
    Allow,
    /// Nobody may do what nobody allows.
    #[default]
    Deny,
}

/// The plugins of one listener, each list in the order they are asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChainSpec {
    /// Which listener.
    pub listener: ListenerId,
    /// Its name: for messages, and for plugins that ask.
    pub name: String,
    /// Admits who sends no username, and where there is no authenticator everybody.
    pub anonymous: bool,
    /// Where all authorizers abstain.
    pub default: Fallback,
    /// Names of plugins.
    pub authenticate: Vec<String>,
    /// Names of plugins.
    pub authorize: Vec<String>,
    /// Names of plugins.
    pub transform: Vec<String>,
}
