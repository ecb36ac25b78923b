//! How long one call may run. Counted in processor time of the calling thread, so that a plugin is not
//! blamed for a busy machine, and looked at only when the epoch says that the call takes long, so that
//! a short call pays nothing. Must not know what is called.

use std::time::Duration;

use cpu_time::ThreadTime;
use wasmtime::{Store, UpdateDeadline};

use crate::ticker::ticks;

/// The budget of the call in progress.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// What may be spent after the first look; before it, as much by the wall clock.
    half: Duration,
    /// The thread's processor time at the first look.
    since: Option<Duration>,
    /// How long the call has waited for somebody else.
    waited: Duration,
}

impl Budget {
    /// Whether to stop the call, or after how many ticks to look again.
    fn look(&mut self, now: Option<Duration>) -> UpdateDeadline {
        // Without a clock for the thread there is only the wall clock.
        let Some(now) = now else {
            return match self.since.replace(Duration::ZERO) {
                Some(_) => UpdateDeadline::Interrupt,
                None => UpdateDeadline::Continue(ticks(self.half)),
            };
        };
        let since = *self.since.get_or_insert(now);
        let left = self.half.saturating_sub(now.saturating_sub(since));
        if left.is_zero() {
            UpdateDeadline::Interrupt
        } else {
            UpdateDeadline::Continue(ticks(left))
        }
    }

    /// How long the call in progress has waited for somebody else, all waits together.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Adds a wait, which costs the call nothing of its budget. `before` is the thread's processor time at its
    /// beginning.
    pub(crate) fn waited_for(&mut self, wait: Duration, before: Option<Duration>) {
        self.waited += wait;
        if let (Some(since), Some(before), Some(now)) = (self.since, before, processor_time()) {
            self.since = Some(since + now.saturating_sub(before));
        }
    }
}

/// What the calling thread has used of the processor; none where nobody counts it.
pub(crate) fn processor_time() -> Option<Duration> {
    ThreadTime::try_now().ok().map(|now| now.as_duration())
}

/// Makes a store stop its calls when their budget is spent.
pub(crate) fn watch<T: AsMut<Budget> + 'static>(store: &mut Store<T>) {
    store.epoch_deadline_callback(|mut context| {
        Ok(context.data_mut().as_mut().look(processor_time()))
    });
}

/// Gives the next call of a store `limit` of processor time, at least half of it for certain.
///
/// A call that has the processor for itself is stopped after `limit` by the wall clock too, give or
/// take three [ticks](crate::ticker::TICK).
pub(crate) fn grant<T: AsMut<Budget>>(store: &mut Store<T>, limit: Duration) {
    let half = limit / 2;
    *store.data_mut().as_mut() = Budget { half, since: None, waited: Duration::ZERO };
    store.set_epoch_deadline(ticks(half));
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn continues(update: UpdateDeadline) -> Option<u64> {
        match update {
            UpdateDeadline::Continue(ticks) => Some(ticks),
            UpdateDeadline::Interrupt => None,
            _ => panic!("this engine does not yield"),
        }
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_is_not_counted() {
        let mut budget = Budget { half: 10 * MS, ..Budget::default() };
        assert_eq!(continues(budget.look(Some(500 * MS))), Some(ticks(10 * MS)));
        for _ in 0..100 {
            assert_eq!(continues(budget.look(Some(500 * MS))), Some(ticks(10 * MS)));
        }
        assert_eq!(continues(budget.look(Some(504 * MS))), Some(ticks(6 * MS)));
        assert_eq!(continues(budget.look(Some(510 * MS))), None);
    }

    #[test]
    fn without_a_clock_for_the_thread_the_wall_clock_decides() {
        let mut budget = Budget { half: 10 * MS, ..Budget::default() };
        assert_eq!(continues(budget.look(None)), Some(ticks(10 * MS)));
        assert_eq!(continues(budget.look(None)), None);
    }
}
