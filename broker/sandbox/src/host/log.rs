//! The `log` capability: lines in the broker's log, bounded in length and rate.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Host;
use crate::bindings::wasmqtt::plugin::log;
use crate::bindings::wasmqtt::plugin::log::Level;

/// Bytes of a line; what is beyond is cut.
pub(crate) const LINE_MAX: usize = 4 << 10;

/// Lines left in the current second, for all instances of one plugin.
#[derive(Debug)]
pub(crate) struct LineBudget {
    per_second: u32,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    start: Instant,
    lines: u32,
    dropped: u64,
}

/// Whether a line may be written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Leave {
    Granted {
        /// Lines that were dropped before this one and not yet reported.
        dropped: u64,
    },
    Refused,
}

impl LineBudget {
    pub(crate) fn new(per_second: u32) -> Self {
        let window = Window { start: Instant::now(), lines: 0, dropped: 0 };
        Self { per_second, window: Mutex::new(window) }
    }

    pub(crate) fn take(&self) -> Leave {
        self.take_at(Instant::now())
    }

    fn take_at(&self, now: Instant) -> Leave {
        let mut window = self.window.lock();
        if now.duration_since(window.start) >= Duration::from_secs(1) {
            window.start = now;
            window.lines = 0;
        }
        if window.lines >= self.per_second {
            window.dropped += 1;
            return Leave::Refused;
        }
        window.lines += 1;
        Leave::Granted { dropped: std::mem::take(&mut window.dropped) }
    }
}

/// One line, whatever the guest sent: cut at [`LINE_MAX`], and without what would forge another line
/// or steer a terminal.
fn one_line(mut text: String) -> String {
    if text.len() > LINE_MAX {
        text.truncate(text.floor_char_boundary(LINE_MAX));
        text.push_str(" [cut]");
    }
    match printable(text.trim_end()) {
        Cow::Borrowed(same) => same.to_owned(),
        Cow::Owned(cleaned) => cleaned,
    }
}

/// The text with control characters replaced by spaces.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        return Cow::Owned(text.replace(char::is_control, " "));
    }
    Cow::Borrowed(text)
}

macro_rules! at_level {
    ($level:expr, $macro:ident, $($arguments:tt)*) => {
        match $level {
            Level::Trace => tracing::$macro!(target: "wasmqtt::plugin", tracing::Level::TRACE, $($arguments)*),
            Level::Debug => tracing::$macro!(target: "wasmqtt::plugin", tracing::Level::DEBUG, $($arguments)*),
            Level::Info => tracing::$macro!(target: "wasmqtt::plugin", tracing::Level::INFO, $($arguments)*),
            Level::Warn => tracing::$macro!(target: "wasmqtt::plugin", tracing::Level::WARN, $($arguments)*),
            Level::Error => tracing::$macro!(target: "wasmqtt::plugin", tracing::Level::ERROR, $($arguments)*),
        }
    };
}

impl log::Host for Host {
    fn enabled(&mut self, level: Level) -> bool {
        at_level!(level, enabled,)
    }

    fn write(&mut self, level: Level, message: String) {
        self.say(level, message);
    }
}

impl Host {
    /// Writes a line within the plugin's share.
    pub(super) fn say(&mut self, level: Level, message: String) {
        let message = one_line(message);
        if let Leave::Granted { dropped } = self.surroundings.lines.take() {
            let plugin = &*self.surroundings.name;
            if dropped > 0 {
                tracing::warn!(target: "wasmqtt::plugin", plugin, dropped, "log lines over the limit");
            }
            at_level!(level, event, plugin, "{message}");
        }
        if level == Level::Error {
            self.last_words = Some(message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_rate_are_dropped_and_counted() {
        let budget = LineBudget::new(2);
        let start = Instant::now();
        assert_eq!(budget.take_at(start), Leave::Granted { dropped: 0 });
        assert_eq!(budget.take_at(start), Leave::Granted { dropped: 0 });
        for _ in 0..5 {
            assert_eq!(budget.take_at(start), Leave::Refused);
        }
        let later = start + Duration::from_millis(1100);
        assert_eq!(budget.take_at(later), Leave::Granted { dropped: 5 });
        assert_eq!(budget.take_at(later), Leave::Granted { dropped: 0 });
    }

    #[test]
    fn a_line_is_cut_at_4_kib_between_characters() {
        let line = one_line("é".repeat(LINE_MAX));
        assert!(line.len() <= LINE_MAX + " [cut]".len() && line.ends_with("é [cut]"));
        let whole = "x".repeat(LINE_MAX);
        assert_eq!(one_line(whole.clone()), whole);
    }

    #[test]
    fn a_guest_cannot_forge_a_second_line_or_steer_a_terminal() {
        assert_eq!(one_line("a\nERROR b\x1b[2J\n".into()), "a ERROR b [2J");
    }
}
