//! The clock behind every deadline: a plain OS thread that moves the engine's epoch once a millisecond
//! while guests run, and sleeps while none does. Must not know what is called.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::Thread;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::{Engine, EngineWeak};

/// One step of the epoch; deadlines are counted in it.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// Ticks between two looks at who is running.
const LOOK_EVERY: u32 = 64;
/// Looks without any call after which the ticker sleeps.
const QUIET_LOOKS: u32 = 4;

/// Ticks that make up at least `duration`.
pub(crate) fn ticks(duration: Duration) -> u64 {
    // The next tick may be due at once.
    let whole = duration.as_micros().div_ceil(TICK.as_micros());
    u64::try_from(whole).unwrap_or(u64::MAX / 4).min(u64::MAX / 4) + 1
}

/// Says whether one instance runs, without sharing a cache line with any other.
///
/// Odd while a call is under way, another number after each call.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Pulse(AtomicU64);

/// A call under way.
pub(crate) struct Running<'a>(&'a Pulse);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let beat = self.0.0.load(Ordering::Relaxed);
        self.0.0.store(beat.wrapping_add(1), Ordering::Release);
    }
}

/// The ticking thread. Ends with this value, or when the engine is gone.
#[derive(Debug)]
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Debug, Default)]
struct Shared {
    asleep: AtomicBool,
    stop: AtomicBool,
    pulses: Mutex<Vec<Weak<Pulse>>>,
}

impl Ticker {
    /// Starts the thread; it does not keep the engine alive.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, engine) = (Arc::clone(&shared), engine.weak());
        let thread = std::thread::Builder::new()
            .name("wasm-ticker".into())
            .spawn(move || theirs.run(&engine))?
            .thread()
            .clone();
        Ok(Self { shared, thread })
    }

    /// A new instance's sign of life.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        let pulse = Arc::new(Pulse::default());
        self.shared.pulses.lock().push(Arc::downgrade(&pulse));
        pulse
    }

    /// Makes sure that the epoch moves until the answer is dropped. One call per pulse at a time.
    pub(crate) fn run<'a>(&self, pulse: &'a Pulse) -> Running<'a> {
        let beat = pulse.0.load(Ordering::Relaxed);
        // Ordered against the ticker's own store and look: either it sees this call, or this call
        // sees that it sleeps.
        pulse.0.store(beat.wrapping_add(1), Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(pulse)
    }

    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.shared.asleep.load(Ordering::SeqCst)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn run(&self, engine: &EngineWeak) {
        let (mut seen, mut quiet) = (0, 0);
        loop {
            for _ in 0..LOOK_EVERY {
                std::thread::sleep(TICK);
                match engine.upgrade() {
                    Some(engine) if !self.stop.load(Ordering::Relaxed) => engine.increment_epoch(),
                    _ => return,
                }
            }
            if self.is_active(&mut seen) {
                quiet = 0;
                continue;
            }
            quiet += 1;
            if quiet < QUIET_LOOKS {
                continue;
            }
            quiet = 0;
            self.asleep.store(true, Ordering::SeqCst);
            while !self.is_active(&mut seen) && !self.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Whether a call is under way or was since the last look.
    fn is_active(&self, seen: &mut u64) -> bool {
        let (mut running, mut total) = (false, 0u64);
        self.pulses.lock().retain(|pulse| {
            let Some(pulse) = pulse.upgrade() else { return false };
            let beat = pulse.0.load(Ordering::SeqCst);
            running |= beat % 2 == 1;
            total = total.wrapping_add(beat);
            true
        });
        running || std::mem::replace(seen, total) != total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn eventually(what: &str, condition: impl Fn() -> bool) {
        let start = Instant::now();
        while !condition() {
            assert!(start.elapsed() < Duration::from_secs(30), "never {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn an_idle_ticker_sleeps_and_a_call_wakes_it_for_as_long_as_it_runs() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).unwrap();
        let pulse = ticker.pulse();
        eventually("asleep", || ticker.is_asleep());
        let running = ticker.run(&pulse);
        eventually("awake", || !ticker.is_asleep());
        std::thread::sleep(TICK * LOOK_EVERY * QUIET_LOOKS * 2);
        assert!(!ticker.is_asleep(), "asleep during a call");
        drop(running);
        eventually("asleep again", || ticker.is_asleep());
    }

    #[test]
    fn the_thread_ends_with_its_ticker_even_from_sleep() {
        let engine = Engine::default();
        let ticker = Ticker::start(&engine).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        eventually("asleep", || ticker.is_asleep());
        drop(ticker);
        eventually("ended", || shared.upgrade().is_none());
    }

    #[test]
    fn a_deadline_is_never_shorter_than_asked() {
        assert_eq!(ticks(Duration::from_millis(5)), 6);
        assert_eq!(ticks(Duration::from_micros(1_500)), 3);
        assert_eq!(ticks(Duration::ZERO), 1);
        assert!(ticks(Duration::MAX) < u64::MAX / 2);
    }
}
