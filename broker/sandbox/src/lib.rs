//! Where plugins run: the [`Judge`](wasmqtt_core::judge::Judge) and the
//! [`Gate`](wasmqtt_core::judge::Gate) of the core, answered by WebAssembly components.
//!
//! [`Sandbox::prepare`] makes a [`Generation`] of plugins and chains beside the running one and proves
//! it; [`Sandbox::swap`] puts it in place. Workers ask through their own [`WorkerJudge`], on their own
//! instances, without a lock. What happens goes to observing plugins through an [`Outlet`] per worker, and what
//! plugins publish comes out of the [`Outbox`].

mod bindings;
mod breaker;
mod budget;
mod carried;
mod chain;
mod convert;
mod decisions;
mod elsewhere;
mod engine;
mod error;
mod generation;
mod guest;
mod host;
mod http;
mod kv;
mod linker;
mod loader;
mod metrics;
mod observe;
mod options;
mod outbox;
mod plugin;
mod pool;
mod probe;
mod registration;
mod revocation;
mod sandbox;
mod selection;
mod status;
mod tally;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod ticker;

pub use chain::{Answer, Decider, Deed, Passage, Reasons, Treated};
pub use elsewhere::PatientJudge;
pub use error::{LoadCause, LoadError, Subject};
pub use generation::Generation;
pub use http::{HttpClient, HttpLimits, HttpPort, HttpRequest, HttpResponse};
pub use linker::Capability;
pub use observe::Outlet;
pub use options::{
    ChainSpec, Clock, Fallback, Grants, OnFailure, Options, PluginLimits, PluginSpec,
};
pub use outbox::{Outbox, Publication};
pub use probe::{Admission, ComponentFile, Hooks, Probe, Treatment};
pub use sandbox::{Sandbox, WorkerJudge};
pub use status::{Latency, MetricKind, MetricStatus, OutcomeStatus, PluginStatus};
