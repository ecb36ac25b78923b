//! What a checked configuration is: plain data, with every default in one place.
//!
//! It knows neither TOML nor files; `check` is the only place that builds a [`Config`] from one, and it
//! enforces the bounds named here.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// An enumeration whose values are words of the configuration file.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $value,)+ }

        impl $name {
            pub(in crate::config) const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value),)+];

            /// As it is written in the configuration.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

mod limits;
mod listener;
mod network;
mod tls;

pub use limits::{Auth, FailedLogins, Flapping, Limits, OnPublishRate, Overflow, Queue};
pub(in crate::config) use limits::{Bound, Entries};
pub(in crate::config) use listener::Switch;
pub use listener::{
    Bind, DefaultAnswer, Features, Listener, OnDeniedPublish, OnDuplicate, Preset, Protocol,
    ProxyProtocol, Redirect, Version, WebSocket,
};
pub use network::Network;
pub use tls::{
    ClientCertificate, NameSource, PemFile, ServerCertificate, Tls, TlsVersion, UnknownName,
};

/// Everything the broker is told. The default is one listener on the loopback address that lets nobody in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[broker]`.
    pub broker: Broker,
    /// `[limits]`: the bounds of every listener that does not tighten them.
    pub limits: Limits,
    /// `[[listener]]`: 1 to 64, names and addresses unique.
    pub listeners: Vec<Listener>,
    /// `[[plugin]]`: at most 256, names unique.
    pub plugins: Vec<Plugin>,
    /// `[log]`.
    pub log: Log,
    /// `[admin]`: metrics over HTTP; none = not served.
    pub admin: Option<Admin>,
    /// Every file that was read, the first one first. Empty when no file was.
    pub sources: Vec<PathBuf>,
    /// Every directory an `include` pattern was matched in: a file that appears there may belong to the
    /// configuration.
    pub include_directories: Vec<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            broker: Broker::default(),
            limits: Limits::default(),
            listeners: vec![Listener::default()],
            plugins: Vec::new(),
            log: Log::default(),
            admin: None,
            sources: Vec::new(),
            include_directories: Vec::new(),
        }
    }
}

/// `[broker]`. Changes need a restart, except for `observe` and `server_reference`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Data-plane threads; 0 = one per core. At most 256. Default 0.
    pub workers: usize,
    /// Where durable state will live; this version keeps state in memory. Default `data`.
    pub data_dir: PathBuf,
    /// Which member of a share group gets a message. Default round-robin.
    pub shared_strategy: SharedStrategy,
    /// The same for the groups of single share names. Default none.
    pub share_groups: BTreeMap<String, SharedStrategy>,
    /// Time between two `$SYS` reports, whole seconds; zero = none. At most 24 h. Default 10 s.
    pub sys_interval: Duration,
    /// Plugins that are told what happens. Default none.
    pub observe: Vec<String>,
    /// Where clients are sent when the broker shuts down. Default nowhere. A reload changes it.
    pub server_reference: Option<String>,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            workers: 0,
            data_dir: "data".into(),
            shared_strategy: SharedStrategy::RoundRobin,
            share_groups: BTreeMap::new(),
            sys_interval: Duration::from_secs(10),
            observe: Vec::new(),
            server_reference: None,
        }
    }
}

words! {
    /// Which member of a share group gets a message. One that is away or full is passed over.
    SharedStrategy {
        /// One after the other, at each filter of a share name.
        RoundRobin = "round-robin",
        /// One after the other, over all filters of a share name.
        RoundRobinPerGroup = "round-robin-per-group",
        /// Any.
        Random = "random",
        /// Members on the publisher's worker thread first.
        Local = "local",
        /// The same one for as long as it takes messages.
        Sticky = "sticky",
        /// By the publisher's client identifier.
        HashClientId = "hash-client-id",
        /// By the topic.
        HashTopic = "hash-topic",
        /// Each publisher stays with one member.
        Ordered = "ordered",
    }
}

/// `[[plugin]]`: one component, and what it may do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plugin {
    /// 1 to 64 letters, digits, `-` and `_`; unique. Required. Chains use it.
    pub name: String,
    /// The component, already resolved: relative to the working directory, or, where no file is there and
    /// one is beside the configuration file that names it, relative to that file. Required.
    pub path: PathBuf,
    /// SHA-256 of the component; it is not loaded when it differs. Default none.
    pub sha256: Option<[u8; 32]>,
    /// What counts as its answer when it fails. Default closed.
    pub on_failure: OnFailure,
    /// Whether a message it moved is judged again as the client, instead of by `grants.topics`.
    /// Default false.
    pub reauthorize: bool,
    /// What it may take.
    pub limits: PluginLimits,
    /// What it may reach.
    pub grants: Grants,
    /// `[plugin.config]`, always an object: handed to the plugin's `init` as JSON. Dates are strings.
    /// Default empty.
    pub config: serde_json::Value,
    /// The files that `config` names with `{ file = "PATH" }`, by the path as it is written there.
    pub files: BTreeMap<String, PluginFile>,
    /// Where it is configured.
    pub location: Location,
}

impl Plugin {
    /// What `init` is handed: `config`, where each `{ "file": "PATH" }` has become
    /// `{ "file": "PATH", "content": "..." }`.
    pub fn config_with_contents(&self) -> serde_json::Value {
        let mut config = self.config.clone();
        self.fill_in(&mut config);
        config
    }

    fn fill_in(&self, value: &mut serde_json::Value) {
        use serde_json::Value;
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.fill_in(value)),
            Value::Object(fields) => {
                let path = fields.get("file").and_then(Value::as_str);
                let named =
                    path.filter(|_| fields.len() == 1).and_then(|path| self.files.get(path));
                match named {
                    Some(file) => {
                        fields.insert("content".to_owned(), file.content.clone().into());
                    }
                    None => fields.values_mut().for_each(|value| self.fill_in(value)),
                }
            }
            _ => {}
        }
    }
}

/// A file that a plugin is handed.
#[derive(Clone, PartialEq, Eq)]
pub struct PluginFile {
    /// Resolved as the path of a component is.
    pub path: PathBuf,
    /// All of it. Secrets, often.
    pub content: String,
}

impl fmt::Debug for PluginFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.path.display(), self.content.len())
    }
}

words! {
    /// What counts as a plugin's answer when it failed, trapped or was late.
    OnFailure {
        /// Refuse, deny, reject, or skip that one delivery.
        Closed = "closed",
        /// As if it had abstained or forwarded.
        Open = "open",
    }
}

/// `plugin.limits`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginLimits {
    /// Linear memory of one instance, in bytes. 64 KiB to 1 GiB. Default 16 MiB.
    pub memory: u64,
    /// Deadline of one call on the data path. 1 ms to 60 s. Default 5 ms.
    pub call: Duration,
    /// Deadline of one `authenticate` call. 1 ms to 60 s. Default 2 s.
    pub authenticate: Duration,
    /// Deadline of one call that tells events, and of one tick. 1 ms to 60 s. Default 1 s.
    pub observe: Duration,
    /// Events that may wait for it; what is beyond is lost. 1 to 1 000 000. Default 8192.
    pub queued_events: u32,
    /// Its own publications that may wait to be routed. 1 to 100 000. Default 1000.
    pub queued_publications: u32,
    /// Lines it may log in a second. At most 100 000. Default 100.
    pub log_lines_per_second: u32,
    /// Bytes it may hand to the broker in one call of a capability or setter. 1 KiB to 64 MiB. Default 64 MiB.
    pub host_call_bytes: u64,
    /// Bytes of the keys and values it keeps; see [`Grants::kv`]. 1 KiB to 1 GiB. Default 1 MiB.
    pub kv: u64,
    /// Longest that the HTTP requests of one call may take together; see [`Grants::http`]. 1 ms to 60 s. Default 5 s.
    pub http_time: Duration,
    /// Longest that one packet, or one session that is judged again, may have the plugin wait, all its calls together. 1 ms
    /// to 10 min. Default 30 s.
    pub http_packet_time: Duration,
    /// Bytes of one request. 1 KiB to 16 MiB. Default 64 KiB.
    pub http_request: u64,
    /// Bytes of one reply. 1 KiB to 16 MiB. Default 64 KiB.
    pub http_reply: u64,
    /// Requests under way at once. 1 to 64. Default 16.
    pub http_at_once: u32,
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
            host_call_bytes: 64 << 20,
            kv: 1 << 20,
            http_time: Duration::from_secs(5),
            http_packet_time: Duration::from_secs(30),
            http_request: 64 << 10,
            http_reply: 64 << 10,
            http_at_once: 16,
        }
    }
}

/// `plugin.grants`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Topic filters; a message may be moved to a topic one of them matches. Default none.
    pub topics: Vec<String>,
    /// Whether it may revoke rights of any client, and close its connection. Default false.
    pub revocation: bool,
    /// Whether it may keep keys and values, as many as `limits.kv` has room for. Default false.
    pub kv: bool,
    /// Topic filters; it may publish messages of its own to a topic one of them matches. Default none.
    pub publish: Vec<String>,
    /// Whether it may have metrics of its own. Default false.
    pub metrics: bool,
    /// URL prefixes; it may ask web services below one of them. Default none.
    pub http: Vec<String>,
    /// CAs that vouch for these web services, instead of the public ones. At most 64 files. Default none.
    pub http_ca: Vec<PemFile>,
}

/// A place in a configuration file, for messages about what is configured there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Location {
    /// As it was named on the command line or by an `include`.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least severe lines that are written. Default info.
    pub level: LogLevel,
    /// Default text. A change needs a restart.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: LogLevel::Info, format: LogFormat::Text }
    }
}

words! {
    /// How severe a log line is.
    LogLevel {
        /// Every step.
        Trace = "trace",
        /// What helps to find a fault.
        Debug = "debug",
        /// What an operator wants to read later.
        Info = "info",
        /// What an operator should look at.
        Warn = "warn",
        /// What an operator must act on.
        Error = "error",
    }
}

words! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

/// `[admin]`. A change needs a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Default 127.0.0.1:18083.
    pub bind: SocketAddr,
}

impl Default for Admin {
    fn default() -> Self {
        Self { bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 18083)) }
    }
}
