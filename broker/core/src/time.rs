//! Time as a number. The core never reads a clock: `now` is an argument of everything that needs it.

use core::time::Duration;

/// Milliseconds since the broker started; monotonic, never wall-clock time.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment plus `duration`, stopping at the end of time instead of wrapping.
    pub fn after(self, duration: Duration) -> Moment {
        Moment(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This moment plus whole seconds, stopping at the end of time instead of wrapping.
    pub fn after_secs(self, seconds: u32) -> Moment {
        Moment(self.0.saturating_add(u64::from(seconds) * 1000))
    }

    /// Time from `earlier` to here; zero when `earlier` is later.
    pub fn since(self, earlier: Moment) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds left until this moment, rounded up; `None` once it has come.
    pub fn seconds_left(self, now: Moment) -> Option<u32> {
        let left = self.0.checked_sub(now.0).filter(|left| *left > 0)?;
        Some(u32::try_from(left.div_ceil(1000)).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_left_round_up_and_end_at_the_moment_itself() {
        let at = Moment(5_000);
        assert_eq!(at.seconds_left(Moment(0)), Some(5));
        assert_eq!(at.seconds_left(Moment(4_001)), Some(1));
        assert_eq!(at.seconds_left(Moment(5_000)), None);
        assert_eq!(at.seconds_left(Moment(9_000)), None);
    }

    #[test]
    fn the_end_of_time_does_not_wrap() {
        assert_eq!(Moment(u64::MAX).after_secs(u32::MAX), Moment(u64::MAX));
        assert_eq!(Moment(u64::MAX).after(Duration::MAX), Moment(u64::MAX));
    }
}
