//! What became of a plugin, for those who look from outside. Must not know how it is counted.

use std::time::Duration;

pub use crate::metrics::MetricKind;
use crate::plugin::Plugin;
use crate::tally::{BOUNDS, Hook, Outcome, Tallies};

/// What became of one plugin so far. Counts go on across reloads of a plugin of the same name.
#[derive(Clone, PartialEq, Debug)]
pub struct PluginStatus {
    /// As configured.
    pub name: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Questions put to it.
    pub calls: u64,
    /// Calls that ended in a trap, and restarts that failed.
    pub traps: u64,
    /// Calls that took too long.
    pub deadline_misses: u64,
    /// Calls that answered a failure or something invalid.
    pub failures: u64,
    /// Clients refused, requests denied, publications rejected.
    pub denied: u64,
    /// Publications discarded and deliveries skipped.
    pub discarded: u64,
    /// Bytes of what it keeps in `kv`.
    pub kv_bytes: usize,
    /// Events that it was not told: its queue was full, or a call failed.
    pub events_lost: u64,
    /// Whether it lost too many instances and is not asked for now.
    pub suspended: bool,
    /// The same, hook by hook and outcome by outcome: what has happened.
    pub outcomes: Vec<OutcomeStatus>,
    /// Its own metrics.
    pub metrics: Vec<MetricStatus>,
}

/// How often something came of a hook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutcomeStatus {
    /// `authenticate`, `enhanced-authenticate`, `authorize`, `on-publish`, `on-deliver`, `on-events` or `tick`.
    pub hook: &'static str,
    /// `allow`, `challenge`, `deny`, `abstain`, `forward`, `discard`, `reject`, `done` (of hooks that answer nothing),
    /// `failure`, `trap` or `deadline`; `deny-reused` and `suspended` were answered without a call.
    pub outcome: &'static str,
    /// How often.
    pub count: u64,
    /// How long it took.
    pub latency: Latency,
}

/// How long the calls took that were timed: one in 16 of each worker's, all of other threads'.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latency {
    /// How many calls were not longer than this and longer than the bound before; none = beyond all.
    pub buckets: Vec<(Option<Duration>, u64)>,
    /// Of all calls that were timed.
    pub sum: Duration,
}

impl Latency {
    /// Calls that were timed.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

/// One of a plugin's own metrics.
#[derive(Clone, PartialEq, Debug)]
pub struct MetricStatus {
    /// As the plugin calls it.
    pub name: String,
    /// In its own words.
    pub help: String,
    /// What it is.
    pub kind: MetricKind,
    /// Now.
    pub value: f64,
}

impl PluginStatus {
    pub(crate) fn of(plugin: &Plugin) -> Self {
        let tallies = &plugin.tallies;
        let outcomes: Vec<OutcomeStatus> = Hook::ALL
            .iter()
            .flat_map(|hook| Outcome::ALL.iter().map(|outcome| (*hook, *outcome)))
            .filter_map(|(hook, outcome)| OutcomeStatus::of(tallies, hook, outcome))
            .collect();
        let of = |wanted: &[Outcome]| {
            let wanted = outcomes
                .iter()
                .filter(|status| wanted.iter().any(|outcome| outcome.as_str() == status.outcome));
            wanted.map(|status| status.count).sum::<u64>()
        };
        let rejected = tallies.sum(Hook::OnPublish, Outcome::Reject);
        let all: u64 = outcomes.iter().map(|status| status.count).sum();
        let metrics = plugin.surroundings.metrics.all();
        Self {
            name: plugin.spec.name.clone(),
            digest: plugin.digest.hex(),
            calls: all - of(&[Outcome::DenyReused, Outcome::Suspended]),
            traps: of(&[Outcome::Trap]),
            deadline_misses: of(&[Outcome::Deadline]),
            failures: of(&[Outcome::Failure]),
            denied: of(&[Outcome::Deny, Outcome::DenyReused]) + rejected,
            discarded: of(&[Outcome::Discard]) + tallies.sum(Hook::OnDeliver, Outcome::Reject),
            kv_bytes: plugin.surroundings.kv.bytes(),
            events_lost: tallies.sum_events_lost(),
            suspended: plugin.breaker.is_open(),
            metrics: metrics
                .iter()
                .map(|series| MetricStatus {
                    name: series.name.to_string(),
                    help: series.help.to_string(),
                    kind: series.kind,
                    value: series.value(),
                })
                .collect(),
            outcomes,
        }
    }
}

impl OutcomeStatus {
    /// None where it has not happened.
    fn of(tallies: &Tallies, hook: Hook, outcome: Outcome) -> Option<Self> {
        let count = tallies.sum(hook, outcome);
        if count == 0 {
            return None;
        }
        let (buckets, sum) = tallies.latency(hook, outcome);
        let bounds = BOUNDS.iter().map(|bound| Some(*bound)).chain([None]);
        let latency = Latency { buckets: bounds.zip(buckets).collect(), sum };
        Some(Self { hook: hook.as_str(), outcome: outcome.as_str(), count, latency })
    }
}
