//! What became of the questions put to a plugin, and how long it took: plain counters per worker, summed
//! when somebody looks. Must not know plugins.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Of a worker's calls of one hook, one in this many is timed: two looks at the clock cost more than all
/// other counting.
const TIMED_EVERY: u64 = 16;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($value:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        pub(crate) enum $name { $($value,)+ }

        impl $name {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$value,)+];

            pub(crate) fn as_str(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }
    };
}

words! {
    /// What was asked.
    Hook {
        Authenticate = "authenticate",
        Exchange = "enhanced-authenticate",
        Authorize = "authorize",
        OnPublish = "on-publish",
        OnDeliver = "on-deliver",
        OnEvents = "on-events",
        Tick = "tick",
    }
}

words! {
    /// What came of it.
    Outcome {
        Allow = "allow",
        Challenge = "challenge",
        Deny = "deny",
        // Not asked: it denied the same before.
        DenyReused = "deny-reused",
        Abstain = "abstain",
        Forward = "forward",
        Discard = "discard",
        Reject = "reject",
        // Of a hook that answers nothing.
        Done = "done",
        Failure = "failure",
        Trap = "trap",
        Deadline = "deadline",
        // Not asked: too many instances were lost.
        Suspended = "suspended",
    }
}

const HOOKS: usize = Hook::ALL.len();
const OUTCOMES: usize = Outcome::ALL.len();

/// Upper bounds of the latency buckets.
pub(crate) const BOUNDS: [Duration; 16] = [
    Duration::from_nanos(250),
    Duration::from_nanos(500),
    Duration::from_micros(1),
    Duration::from_nanos(2_500),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(25),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
];

/// How many were within each of [`BOUNDS`] and not within the one before, and how many were beyond all.
pub(crate) type Buckets = [u64; BOUNDS.len() + 1];

/// Counts of one worker; written by that worker alone.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Tally([HookTally; HOOKS]);

#[derive(Debug, Default)]
struct HookTally {
    asked: Count,
    outcomes: [OutcomeTally; OUTCOMES],
}

#[derive(Debug, Default)]
struct OutcomeTally {
    calls: Count,
    buckets: [Count; BOUNDS.len() + 1],
    nanos: Count,
}

/// A number that only grows.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    /// By its only writer.
    fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    /// By one of several writers.
    fn add_shared(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One [`Tally`] per worker, and a last one for all other threads.
#[derive(Debug)]
pub(crate) struct Tallies {
    tallies: Box<[Tally]>,
    events_lost: Count,
}

/// A question under way.
pub(crate) struct Question<'a> {
    tally: Option<&'a HookTally>,
    shared: bool,
    since: Option<Instant>,
}

impl Tallies {
    pub(crate) fn new(workers: usize) -> Self {
        let tallies = (0..=workers).map(|_| Tally::default()).collect();
        Self { tallies, events_lost: Count::default() }
    }

    /// Begins a question that this worker, or with none any other thread, asks. Where many threads ask,
    /// a call takes its time anyway, and every one is timed.
    #[inline]
    pub(crate) fn begin(&self, worker: Option<usize>, hook: Hook) -> Question<'_> {
        let mut question = self.question(worker, hook);
        let timed = match question.tally {
            Some(tally) if !question.shared => {
                tally.asked.add(1);
                tally.asked.get() % TIMED_EVERY == 1
            }
            _ => true,
        };
        question.since = timed.then(Instant::now);
        question
    }

    /// Counts a question that did not reach the plugin.
    pub(crate) fn count(&self, worker: Option<usize>, hook: Hook, outcome: Outcome) {
        self.question(worker, hook).end(outcome);
    }

    fn question(&self, worker: Option<usize>, hook: Hook) -> Question<'_> {
        let last = self.tallies.len().saturating_sub(1);
        let place = worker.map_or(last, |worker| worker.min(last));
        let tally = self.tallies.get(place).and_then(|tally| tally.0.get(hook as usize));
        Question { tally, shared: place == last, since: None }
    }

    /// Counts events that were not told.
    pub(crate) fn events_lost(&self, events: u64) {
        self.events_lost.add_shared(events);
    }

    /// All of them.
    pub(crate) fn sum_events_lost(&self) -> u64 {
        self.events_lost.get()
    }

    /// What all threads counted.
    pub(crate) fn sum(&self, hook: Hook, outcome: Outcome) -> u64 {
        self.fold(hook, outcome, |tally| tally.calls.get())
    }

    /// How long those calls took that were timed, and all of them together.
    pub(crate) fn latency(&self, hook: Hook, outcome: Outcome) -> (Buckets, Duration) {
        let buckets = std::array::from_fn(|at| {
            self.fold(hook, outcome, |tally| tally.buckets.get(at).map_or(0, Count::get))
        });
        (buckets, Duration::from_nanos(self.fold(hook, outcome, |tally| tally.nanos.get())))
    }

    fn fold(&self, hook: Hook, outcome: Outcome, count: impl Fn(&OutcomeTally) -> u64) -> u64 {
        let hooks = self.tallies.iter().filter_map(|tally| tally.0.get(hook as usize));
        let outcomes = hooks.filter_map(|hook| hook.outcomes.get(outcome as usize));
        outcomes.fold(0, |sum, tally| sum.wrapping_add(count(tally)))
    }
}

impl Question<'_> {
    /// Ends it.
    #[inline]
    pub(crate) fn end(self, outcome: Outcome) {
        let tally = self.tally.and_then(|tally| tally.outcomes.get(outcome as usize));
        let Some(tally) = tally else { return };
        let add = |count: &Count, n| if self.shared { count.add_shared(n) } else { count.add(n) };
        add(&tally.calls, 1);
        let Some(took) = self.since.map(|since| since.elapsed()) else { return };
        let place = BOUNDS.iter().position(|bound| took <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = tally.buckets.get(place) {
            add(bucket, 1);
        }
        add(&tally.nanos, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_count_apart_and_are_summed() {
        let tallies = Tallies::new(2);
        for worker in [Some(0), Some(1), Some(1), Some(2), Some(9), None] {
            tallies.begin(worker, Hook::Authorize).end(Outcome::Deny);
        }
        tallies.count(Some(0), Hook::Authorize, Outcome::Suspended);
        tallies.begin(None, Hook::Authorize).end(Outcome::Trap);
        let sums = [Outcome::Deny, Outcome::Trap, Outcome::Suspended, Outcome::Allow]
            .map(|outcome| tallies.sum(Hook::Authorize, outcome));
        assert_eq!(sums, [6, 1, 1, 0]);
        assert_eq!(tallies.sum(Hook::OnPublish, Outcome::Deny), 0);
    }

    fn timed(tallies: &Tallies, hook: Hook, outcome: Outcome) -> u64 {
        tallies.latency(hook, outcome).0.iter().sum()
    }

    #[test]
    fn one_in_sixteen_calls_of_a_worker_is_timed_and_every_call_of_other_threads() {
        let tallies = Tallies::new(1);
        for _ in 0..33 {
            tallies.begin(Some(0), Hook::OnPublish).end(Outcome::Forward);
        }
        assert_eq!(timed(&tallies, Hook::OnPublish, Outcome::Forward), 3);
        for _ in 0..5 {
            tallies.begin(None, Hook::Authenticate).end(Outcome::Allow);
        }
        assert_eq!(timed(&tallies, Hook::Authenticate, Outcome::Allow), 5);
        tallies.count(None, Hook::Authenticate, Outcome::Suspended);
        assert_eq!(timed(&tallies, Hook::Authenticate, Outcome::Suspended), 0);
    }

    #[test]
    fn a_call_is_put_into_the_first_bucket_that_holds_it() {
        let tallies = Tallies::new(1);
        let mut question = tallies.begin(None, Hook::OnDeliver);
        question.since = Instant::now().checked_sub(Duration::from_millis(20));
        question.end(Outcome::Forward);
        let (buckets, took) = tallies.latency(Hook::OnDeliver, Outcome::Forward);
        assert_eq!(buckets.iter().take(13).sum::<u64>(), 0, "{buckets:?}");
        assert_eq!(buckets.iter().sum::<u64>(), 1);
        assert!(took >= Duration::from_millis(20), "{took:?}");
        assert!(BOUNDS.is_sorted());
    }
}
