//! Who is turned away is told now and then: at once when it begins, and not more often than the log can bear while it
//! goes on.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Shortest time between two lines about the same limit.
const QUIET: Duration = Duration::from_secs(10);

/// Counts who is turned away at one listener, by the limit.
#[derive(Default)]
pub(super) struct TurnedAway(HashMap<&'static str, Since>);

struct Since {
    said_at: Instant,
    count: u64,
}

impl TurnedAway {
    /// One more; answers how many there were since this was answered before, when it is time to say so.
    pub(super) fn count(&mut self, limit: &'static str, now: Instant) -> Option<u64> {
        let Some(since) = self.0.get_mut(limit) else {
            self.0.insert(limit, Since { said_at: now, count: 0 });
            return Some(1);
        };
        since.count += 1;
        if now.saturating_duration_since(since.said_at) < QUIET {
            return None;
        }
        since.said_at = now;
        Some(std::mem::take(&mut since.count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_together_after_a_while_for_ever() {
        let (mut turned_away, start) = (TurnedAway::default(), Instant::now());
        let mut at =
            |limit, seconds| turned_away.count(limit, start + Duration::from_secs(seconds));
        assert_eq!(at("a", 0), Some(1));
        assert_eq!([at("a", 1), at("a", 9)], [None, None]);
        assert_eq!(at("b", 9), Some(1), "each limit for itself");
        assert_eq!(at("a", 10), Some(3));
        assert_eq!(at("a", 19), None);
        assert_eq!(at("a", 100_000), Some(2), "also after a long time without any");
        assert_eq!(at("a", 100_010), Some(1));
    }
}
