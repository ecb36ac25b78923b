//! Stops calling a plugin that loses instance after instance. One per plugin and generation, shared
//! by workers. Must not know wasm or policies.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Instances lost within [`WINDOW`] that open the breaker.
const LOSSES: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(30);
/// A probe that never reports back does not keep the breaker open longer than this.
const PROBE: Duration = Duration::from_secs(60);

/// Whether a plugin is called.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    /// The common case is one load of a word that is only read.
    open: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    losses: VecDeque<Instant>,
    /// While open: when the next probe may go.
    probe_at: Option<Instant>,
    back_off: Duration,
    closed_at: Option<Instant>,
}

/// Leave to call once; its outcome is reported with [`Breaker::proved`] or [`Breaker::lost`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Pass {
    /// All is well.
    Plain,
    /// The one call that decides whether the breaker closes.
    Probe,
}

/// What a loss led to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    /// Go on.
    Tolerated,
    /// The breaker opened for this long.
    Opened(Duration),
}

impl Breaker {
    /// Whether to call now. While the breaker is open one call is let through from time to time.
    pub(crate) fn pass(&self) -> Option<Pass> {
        if !self.open.load(Ordering::Relaxed) {
            return Some(Pass::Plain);
        }
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<Pass> {
        let mut state = self.state.lock();
        match state.probe_at {
            Some(at) if now < at => None,
            Some(_) => {
                state.probe_at = Some(now + PROBE);
                Some(Pass::Probe)
            }
            None => Some(Pass::Plain),
        }
    }

    /// Whether calls are held back.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// A call came back with its instance intact.
    pub(crate) fn proved(&self, pass: Pass) {
        if pass == Pass::Probe {
            let mut state = self.state.lock();
            state.probe_at = None;
            state.losses.clear();
            state.closed_at = Some(Instant::now());
            self.open.store(false, Ordering::Relaxed);
        }
    }

    /// A call cost its instance.
    pub(crate) fn lost(&self, pass: Pass) -> Lost {
        self.lost_at(pass, Instant::now())
    }

    fn lost_at(&self, pass: Pass, now: Instant) -> Lost {
        let mut state = self.state.lock();
        let open = state.probe_at.is_some();
        if open && pass == Pass::Plain {
            // Was under way when another loss opened the breaker.
            return Lost::Tolerated;
        }
        if !open {
            while state.losses.front().is_some_and(|at| now.duration_since(*at) > WINDOW) {
                state.losses.pop_front();
            }
            state.losses.push_back(now);
            if state.losses.len() < LOSSES {
                return Lost::Tolerated;
            }
        }
        // A plugin that held out for a while starts from the shortest back-off again.
        let relapse =
            open || state.closed_at.is_some_and(|at| now.duration_since(at) <= 2 * BACK_OFF_MAX);
        state.back_off = match relapse {
            true => (state.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX),
            false => BACK_OFF_MIN,
        };
        let pause = state.back_off + jitter(state.back_off);
        state.probe_at = Some(now + pause);
        self.open.store(true, Ordering::Relaxed);
        Lost::Opened(pause)
    }
}

/// Up to a quarter more, so that the plugins of many brokers do not come back in step. The clock's
/// lowest digits are as good as dice here.
fn jitter(back_off: Duration) -> Duration {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |elapsed| elapsed.subsec_nanos());
    (back_off / 4).mul_f64(f64::from(nanos / 7 % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(breaker: &Breaker, pass: Pass, at: Instant) -> Duration {
        match breaker.lost_at(pass, at) {
            Lost::Opened(pause) => pause,
            Lost::Tolerated => panic!("still closed"),
        }
    }

    fn open(now: Instant) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..LOSSES {
            breaker.lost_at(Pass::Plain, now);
        }
        breaker
    }

    #[test]
    fn four_losses_are_tolerated_and_the_fifth_opens() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..4 {
            assert_eq!(breaker.lost_at(Pass::Plain, now), Lost::Tolerated);
            assert_eq!(breaker.pass(), Some(Pass::Plain));
        }
        let pause = opened(&breaker, Pass::Plain, now);
        assert!((BACK_OFF_MIN..=BACK_OFF_MIN * 5 / 4).contains(&pause), "{pause:?}");
        assert_eq!(breaker.pass_at(now + BACK_OFF_MIN / 2), None);
    }

    #[test]
    fn losses_far_apart_never_open() {
        let (breaker, mut now) = (Breaker::default(), Instant::now());
        for _ in 0..50 {
            assert_eq!(breaker.lost_at(Pass::Plain, now), Lost::Tolerated);
            now += WINDOW / 3;
        }
    }

    #[test]
    fn one_probe_goes_through_and_closes_when_it_returns() {
        let now = Instant::now();
        let breaker = open(now);
        let later = now + BACK_OFF_MIN * 2;
        assert_eq!(breaker.pass_at(later), Some(Pass::Probe));
        assert_eq!(breaker.pass_at(later), None, "one probe at a time");
        breaker.proved(Pass::Probe);
        assert_eq!(breaker.pass(), Some(Pass::Plain));
        assert_eq!(breaker.lost_at(Pass::Plain, later), Lost::Tolerated);
    }

    #[test]
    fn calls_under_way_when_it_opened_neither_close_it_nor_lengthen_the_pause() {
        let now = Instant::now();
        let breaker = open(now);
        breaker.proved(Pass::Plain);
        assert!(breaker.is_open());
        assert_eq!(breaker.lost_at(Pass::Plain, now), Lost::Tolerated);
        assert_eq!(breaker.pass_at(now + BACK_OFF_MIN * 2), Some(Pass::Probe));
    }

    #[test]
    fn the_back_off_doubles_up_to_half_a_minute() {
        let mut now = Instant::now();
        let breaker = open(now);
        now += BACK_OFF_MIN * 2;
        for expected in [2, 4, 8, 16, 30, 30] {
            assert_eq!(breaker.pass_at(now), Some(Pass::Probe));
            let pause = opened(&breaker, Pass::Probe, now);
            let expected = Duration::from_secs(expected);
            assert!((expected..=expected * 5 / 4).contains(&pause), "{pause:?} for {expected:?}");
            now += pause;
        }
    }

    #[test]
    fn a_probe_that_never_reports_back_is_followed_by_another() {
        let now = Instant::now();
        let breaker = open(now);
        let later = now + BACK_OFF_MIN * 2;
        assert_eq!(breaker.pass_at(later), Some(Pass::Probe));
        assert_eq!(breaker.pass_at(later + PROBE), Some(Pass::Probe));
    }
}
