//! The clock of the broker: the only place where the core's `now` comes from.

use std::time::{Duration, Instant};

use wasmqtt_core::time::Moment;

/// Counts from the start of the broker.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Now, as the core counts.
    pub(crate) fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// When a moment comes, as the runtime counts.
    pub(crate) fn instant(&self, moment: Moment) -> tokio::time::Instant {
        // Beyond a century nobody waits, and adding more could overflow.
        const FAR: u64 = 100 * 365 * 24 * 60 * 60 * 1000;
        (self.0 + Duration::from_millis(moment.0.min(FAR))).into()
    }
}
