//! Every way a plugin can be refused or fail: [`LoadError`] speaks to the operator and says what to
//! do, [`CallError`] to the failure policy. Must not know policies.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a plugin, a chain or the plugin host itself was refused.
#[derive(Debug)]
pub struct LoadError {
    location: Box<str>,
    subject: Subject,
    cause: LoadCause,
}

/// What a [`LoadError`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The plugin of this name.
    Plugin(Box<str>),
    /// The chains of the listener of this name.
    Listener(Box<str>),
    /// The plugin host.
    Host,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin(name) => write!(f, "plugin `{name}`"),
            Self::Listener(name) => write!(f, "listener `{name}`"),
            Self::Host => f.write_str("plugin host"),
        }
    }
}

impl LoadError {
    /// About the plugin called `name`, configured at `location`.
    pub(crate) fn plugin(location: &str, name: &str, cause: LoadCause) -> Self {
        Self { location: location.into(), subject: Subject::Plugin(name.into()), cause }
    }

    /// About the chains of the listener called `name`.
    pub(crate) fn listener(name: &str, cause: LoadCause) -> Self {
        Self { location: Box::default(), subject: Subject::Listener(name.into()), cause }
    }

    /// About the plugin host.
    pub(crate) fn host(cause: LoadCause) -> Self {
        Self { location: Box::default(), subject: Subject::Host, cause }
    }

    /// What it is about.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What is wrong.
    pub fn cause(&self) -> &LoadCause {
        &self.cause
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.location.is_empty() {
            write!(f, "{}: ", self.location)?;
        }
        write!(f, "{}: {}", self.subject, self.cause)
    }
}

/// Without a source: it says what its cause says.
impl std::error::Error for LoadError {}

/// What is wrong with a plugin, a chain or the plugin host.
#[derive(Debug, Error)]
#[non_exhaustive]
#[allow(missing_docs)] // The messages are the documentation.
pub enum LoadCause {
    #[error("the wasm engine cannot be started: {0}")]
    Engine(String),
    #[error("the compile cache {path} cannot be used: {why}")]
    CacheDirectory { path: PathBuf, why: String },
    #[error("{path} cannot be read: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} is larger than {limit} bytes, the most a component may have")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error(
        "{path} has sha256 {found}, but the configuration pins {pinned}; if the new file is the one \
         you want, change `sha256`"
    )]
    Digest { path: PathBuf, found: String, pinned: String },
    #[error(
        "{path} is a core wasm module, not a component; build it with a component toolchain \
         (wit-bindgen, cargo-component, jco, componentize-py) or convert it with \
         `wasm-tools component new`"
    )]
    NotAComponent { path: PathBuf },
    #[error("{path} is not WebAssembly; `path` must name a compiled component (.wasm)")]
    NotWasm { path: PathBuf },
    #[error("{path} is not a valid component, perhaps cut short or corrupt; build it again: {why}")]
    Corrupt { path: PathBuf, why: String },
    #[error(
        "{path} has {functions} functions, of which {limit} are the most: compiling it would take too long"
    )]
    TooMuch { path: PathBuf, functions: u64, limit: u64 },
    #[error("the component imports `{import}`, {why}")]
    Import { import: String, why: String },
    #[error("the component does not fit the contract; build it again with its wit files: {0}")]
    Contract(String),
    #[error(
        "the component exports `{0}`, which this broker does not know; build the plugin with the \
         contract wasmqtt:plugin@0.1.0"
    )]
    UnknownExport(String),
    #[error(
        "the component does not export wasmqtt:plugin/lifecycle@0.1.0; every plugin must: include \
         one of the worlds of wasmqtt:plugin@0.1.0"
    )]
    NoLifecycle,
    #[error("{0}")]
    Limits(String),
    #[error("`{filter}` in `grants.{grant}` cannot be granted: {why}")]
    Grant { grant: &'static str, filter: String, why: String },
    #[error(
        "`broker.observe` names it, but it does not export wasmqtt:plugin/observation@0.1.0; take it out \
         of the list, or build the plugin with that export"
    )]
    NoObservation,
    #[error("init refused its configuration: {0}")]
    Init(String),
    #[error("it cannot be started: {0}")]
    Start(String),
    #[error("its start and init took longer than {0:?}; let init do less")]
    SlowStart(Duration),
    #[error("the registration that init answered is wrong: {0}")]
    Registration(String),
    #[error(
        "init answered different registrations for two instances; it must always answer the same"
    )]
    Unstable,
    #[error("its name is used twice; each plugin needs a name of its own")]
    Duplicate,
    #[error("there is no plugin `{plugin}`, which its {chain} chain names{}", list(.known))]
    NoSuchPlugin { plugin: String, chain: &'static str, known: Vec<String> },
    #[error(
        "its transform chain names plugin `{plugin}`, which changes deliveries and has `reauthorize`, and its authorize \
         chain names `{authorizer}`, which may wait for a web service: a delivery cannot wait; take one of the two out \
         of its chain, or leave out `reauthorize`"
    )]
    DeliveryWaits { plugin: String, authorizer: String },
    #[error("its {chain} chain names plugin `{plugin}` twice; name it once")]
    ChainedTwice { plugin: String, chain: &'static str },
    #[error(
        "plugin `{plugin}` is in its {chain} chain but does not export wasmqtt:plugin/{export}@0.1.0; \
         take it out of the chain, or build the plugin with that export"
    )]
    MissingExport { plugin: String, chain: &'static str, export: &'static str },
}

fn list(known: &[String]) -> String {
    if known.is_empty() {
        return "; no plugin is configured".into();
    }
    format!("; configured are: {}", known.join(", "))
}

/// Why a plugin gave no answer.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CallError {
    /// The instance is lost.
    #[error("its instance is lost: {0}")]
    Trap(String),
    /// The instance is lost.
    #[error("it did not answer within {0:?}; if it needs longer, raise its limit")]
    Deadline(Duration),
    /// It said that it cannot decide.
    #[error("it reported a {} failure: {text}", if *.permanent { "permanent" } else { "transient" })]
    Failure {
        /// Asking again will not help.
        permanent: bool,
        /// Its own words.
        text: String,
    },
    /// It answered what the contract does not allow.
    #[error("its answer is invalid: {0}")]
    Invalid(String),
    /// It moved a message to where the operator did not allow.
    #[error(
        "it moved a message to `{}`, which is outside its grants; add a filter that matches to \
         `grants.topics`, or set `reauthorize = true`",
        .topic.escape_debug()
    )]
    Grant {
        /// Where to.
        topic: String,
    },
    /// It changed a message to what neither its grants nor the client's own rights allow.
    #[error(
        "it changed a message to topic `{}`, QoS {qos}, retain {retain}, which the client itself \
         may not do; if it shall, add a filter that matches to `grants.topics` and leave out \
         `reauthorize`",
        .topic.escape_debug()
    )]
    Rights {
        /// Where to.
        topic: String,
        /// 0 to 2.
        qos: u8,
        /// The flag.
        retain: bool,
    },
    /// A fresh instance could not be made.
    #[error("a fresh instance could not be started: {0}")]
    Restart(String),
    /// It was not asked, because it failed too often.
    #[error("it is not asked for now, because it lost too many instances; see the lines before")]
    Suspended,
    /// It was not asked where nobody may wait.
    #[error(
        "it may wait for a web service, which nobody can do here: where retained messages are checked again for \
         their publishers, only what it answered before with a time of reuse counts"
    )]
    Waits,
    /// It was not asked, because it has had all the time there is for one packet.
    #[error(
        "it has waited {0:?} because of one packet; if its questions need longer together, raise \
         `limits.http_packet_time`"
    )]
    Late(Duration),
    /// All instances were busy for the whole deadline.
    #[error("all its {instances} instances were busy for {waited:?}; raise {limit}")]
    Busy {
        /// How many there are.
        instances: usize,
        /// How long was waited.
        waited: Duration,
        /// What there could be more of.
        limit: &'static str,
    },
}

impl CallError {
    /// Whether the instance may not be called again.
    pub(crate) fn loses_instance(&self) -> bool {
        matches!(self, Self::Trap(_) | Self::Deadline(_) | Self::Restart(_))
    }

    /// Whether it tried what it has no right to do: refused whatever the failure policy says.
    pub(crate) fn is_breach(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Rights { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_and_what_to_do() {
        let error = LoadError::plugin("wasmqtt.toml:12", "x", LoadCause::NoLifecycle);
        let text = error.to_string();
        assert!(
            text.starts_with("wasmqtt.toml:12: plugin `x`: the component does not export"),
            "{text}"
        );
        let cause = LoadCause::MissingExport {
            plugin: "x".into(),
            chain: "authorize",
            export: "authorization",
        };
        let text = LoadError::listener("mqtt", cause).to_string();
        assert!(
            text.starts_with(
                "listener `mqtt`: plugin `x` is in its authorize chain but does not export \
                 wasmqtt:plugin/authorization@0.1.0"
            ),
            "{text}"
        );
    }

    #[test]
    fn only_traps_deadlines_and_failed_restarts_cost_the_instance() {
        assert!(CallError::Trap(String::new()).loses_instance());
        assert!(CallError::Deadline(Duration::ZERO).loses_instance());
        assert!(CallError::Restart(String::new()).loses_instance());
        assert!(!CallError::Suspended.loses_instance());
        assert!(!CallError::Invalid(String::new()).loses_instance());
    }
}
