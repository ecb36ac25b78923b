//! What came of the reloads so far: for `/metrics`, `GET /reload` and `$SYS`. Must not know how one is done.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::Outcome;

/// Bytes of a message; what is beyond is cut.
const MESSAGE: usize = 16 << 10;

/// What came of every reload since the start.
#[derive(Debug)]
pub(crate) struct History(Mutex<Past>);

/// What came of them so far.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Past {
    /// How many were put in force.
    pub(crate) applied: u64,
    /// How many found nothing changed.
    pub(crate) unchanged: u64,
    /// How many changed nothing, because something was wrong.
    pub(crate) refused: u64,
    /// When what is configured was last known to be what runs, in seconds since 1970: at the start, or by the last
    /// reload that was not refused.
    #[serde(skip)]
    pub(crate) success: u64,
    /// None before the first.
    pub(crate) last: Option<Last>,
}

/// What came of the last one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Last {
    /// When it ended, as in RFC 3339, in UTC.
    pub(crate) time: String,
    /// `applied`, `unchanged` or `refused`.
    pub(crate) outcome: &'static str,
    /// For the operator alone: lines of the configuration may be quoted.
    pub(crate) message: String,
}

impl History {
    /// A broker that was started now.
    pub(crate) fn start() -> Self {
        let success = seconds(SystemTime::now());
        Self(Mutex::new(Past { applied: 0, unchanged: 0, refused: 0, success, last: None }))
    }

    /// One that ended now.
    pub(crate) fn note(&self, outcome: &Outcome) {
        self.note_at(SystemTime::now(), outcome);
    }

    fn note_at(&self, now: SystemTime, outcome: &Outcome) {
        let mut past = self.0.lock();
        let count = match outcome {
            Outcome::Applied(_) => &mut past.applied,
            Outcome::Unchanged => &mut past.unchanged,
            Outcome::Refused(_) => &mut past.refused,
        };
        *count += 1;
        if !matches!(outcome, Outcome::Refused(_)) {
            past.success = seconds(now);
        }
        let time = i64::try_from(seconds(now)).ok().and_then(|at| Timestamp::from_second(at).ok());
        let mut message = told(outcome);
        if message.len() > MESSAGE {
            message.truncate(message.floor_char_boundary(MESSAGE));
            message.push_str(" [cut]");
        }
        past.last = Some(Last {
            time: time.map(|time| time.to_string()).unwrap_or_default(),
            outcome: word(outcome),
            message,
        });
    }

    /// What came of them so far.
    pub(crate) fn past(&self) -> Past {
        self.0.lock().clone()
    }
}

impl Past {
    /// By the word for it, how often that came out.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        [("applied", self.applied), ("unchanged", self.unchanged), ("refused", self.refused)]
    }

    /// Whether the last one was not refused, or none was tried.
    pub(crate) fn is_well(&self) -> bool {
        self.last.as_ref().is_none_or(|last| last.outcome != "refused")
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Applied(_) => "applied",
        Outcome::Unchanged => "unchanged",
        Outcome::Refused(_) => "refused",
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(applied) => {
            let mut lines: Vec<String> =
                applied.warnings.iter().map(|it| format!("{it}\n")).collect();
            if !applied.live.is_empty() {
                lines.push(format!("in force: {}", applied.live.join(", ")));
            }
            if !applied.restart.is_empty() {
                lines
                    .push(format!("in force only after a restart: {}", applied.restart.join(", ")));
            }
            lines.join("\n")
        }
        Outcome::Unchanged => "nothing changed".into(),
        Outcome::Refused(why) => why.to_string(),
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::reload::{Applied, Refused};

    #[test]
    fn the_last_outcome_is_kept_and_a_refusal_does_not_count_as_success() {
        let history = History::start();
        assert!(history.past().is_well() && history.past().last.is_none());
        let at = |second| UNIX_EPOCH + Duration::from_secs(second);
        let applied = Applied {
            generation: 2,
            live: vec!["log.level".into()],
            restart: vec!["broker.workers".into()],
            warnings: Vec::new(),
        };
        history.note_at(at(1_700_000_000), &Outcome::Applied(applied));
        let past = history.past();
        assert_eq!((past.success, past.is_well()), (1_700_000_000, true));
        let last = past.last.unwrap();
        assert_eq!((last.time.as_str(), last.outcome), ("2023-11-14T22:13:20Z", "applied"));
        assert_eq!(
            last.message,
            "in force: log.level\nin force only after a restart: broker.workers"
        );
        history.note_at(at(1_700_000_060), &Outcome::Refused(Refused::Broken("no".into())));
        let past = history.past();
        assert_eq!((past.success, past.is_well()), (1_700_000_000, false));
        assert_eq!(past.counts(), [("applied", 1), ("unchanged", 0), ("refused", 1)]);
        history.note_at(at(1_700_000_090), &Outcome::Unchanged);
        assert_eq!((history.past().success, history.past().is_well()), (1_700_000_090, true));
    }

    #[test]
    fn a_message_is_cut_at_16_kib() {
        let history = History::start();
        history.note(&Outcome::Refused(Refused::Broken("é".repeat(MESSAGE))));
        let message = history.past().last.unwrap().message;
        assert!(message.len() <= MESSAGE + " [cut]".len() && message.ends_with("é [cut]"));
    }
}
