//! What a person who waits sees of long work. Nothing where nobody looks.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Shorter work needs no explanation.
const PATIENCE: Duration = Duration::from_millis(700);
const PERIOD: Duration = Duration::from_millis(200);

/// One line on standard error that is written again and again.
pub(crate) struct Progress {
    ticks: Option<Interval>,
    start: Instant,
    shown: bool,
}

impl Progress {
    /// Shown only where somebody looks.
    pub(crate) fn new(wanted: bool) -> Self {
        let start = Instant::now();
        let ticks = (wanted && std::io::stderr().is_terminal()).then(|| {
            let mut ticks = interval_at(start + PATIENCE, PERIOD);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        Self { ticks, start, shown: false }
    }

    /// When the line should be written again.
    pub(crate) async fn tick(&mut self) {
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Since the work began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn show(&mut self, line: &str) {
        self.shown = true;
        // Whoever does not take it does not want it.
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        let _ = std::io::stderr().flush();
    }

    /// Before anything else is written there.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// Bytes for a person.
pub(crate) fn bytes(count: usize) -> String {
    match count {
        ..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{} kB", count / 1000),
        _ => format!("{} MB", count / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn bytes_are_short_to_read() {
        let shown = [9_999, 10_000, 9_999_999, 10_000_000, 268_000_000].map(super::bytes);
        assert_eq!(shown, ["9999 B", "10 kB", "9999 kB", "10 MB", "268 MB"]);
    }
}
