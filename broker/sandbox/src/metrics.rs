//! A plugin's own metrics: bounded in number, counted per worker and summed when somebody looks. Must not
//! know wasm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use thiserror::Error;

/// Metrics of one plugin.
pub(crate) const METRICS_MAX: usize = 100;
const NAME_MAX: usize = 100;
const TOTAL: &str = "_total";
/// Bytes of a help text; what is beyond is cut.
const HELP_MAX: usize = 1024;

/// What a metric is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// Why there is no such metric.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Refused {
    #[error("`{0}` is no name of a metric; take letters, digits and _, at most 100 of them")]
    Name(String),
    #[error("there are {METRICS_MAX} metrics already, the most that a plugin may have")]
    Full,
    #[error("`{0}` is a metric of the other kind")]
    Kind(String),
    #[error(
        "`{name}` would be exported by the same name as `{other}`, because `_total` is added to the name of a counter; \
         give one of them another name"
    )]
    Clash { name: String, other: String },
}

/// The metrics of one plugin.
#[derive(Debug)]
pub(crate) struct Registry {
    workers: usize,
    series: Mutex<Vec<Arc<Series>>>,
}

/// One metric.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: Box<str>,
    pub(crate) help: Box<str>,
    pub(crate) kind: MetricKind,
    /// One per worker and one for everybody else; of a gauge, one that holds the bits of its value.
    cells: Box<[Cell]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Cell(AtomicU64);

impl Registry {
    pub(crate) fn new(workers: usize) -> Self {
        Self { workers, series: Mutex::default() }
    }

    /// The metric of this name, made where there is none.
    pub(crate) fn get(
        &self,
        kind: MetricKind,
        name: &str,
        help: &str,
    ) -> Result<Arc<Series>, Refused> {
        if !is_name(name) {
            let start = name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default();
            return Err(Refused::Name(crate::host::log::printable(start).into_owned()));
        }
        let mut all = self.series.lock();
        if let Some(series) = all.iter().find(|series| *series.name == *name) {
            return match series.kind == kind {
                true => Ok(Arc::clone(series)),
                false => Err(Refused::Kind(name.into())),
            };
        }
        // One that no instance has a handle of is of a generation that is gone.
        let exported = exported(kind, name);
        all.retain(|other| other.exported() != exported || Arc::strong_count(other) > 1);
        if let Some(other) = all.iter().find(|other| other.exported() == exported) {
            return Err(Refused::Clash { name: name.into(), other: other.name.as_ref().into() });
        }
        if all.len() >= METRICS_MAX {
            // Those that no instance has a handle of are of a generation that is gone.
            all.retain(|series| Arc::strong_count(series) > 1);
            if all.len() >= METRICS_MAX {
                return Err(Refused::Full);
            }
        }
        let cells = match kind {
            MetricKind::Counter => self.workers + 1,
            MetricKind::Gauge => 1,
        };
        let help = help.get(..help.floor_char_boundary(HELP_MAX)).unwrap_or_default();
        let series = Arc::new(Series {
            name: name.into(),
            help: crate::host::log::printable(help).into(),
            kind,
            cells: (0..cells).map(|_| Cell::default()).collect(),
        });
        all.push(Arc::clone(&series));
        Ok(series)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Series>> {
        self.series.lock().clone()
    }
}

/// What a metric is called where it is exported, behind the plugin's name: the total of a counter says so, once.
fn exported(kind: MetricKind, name: &str) -> (&str, &'static str) {
    match (kind, name.strip_suffix(TOTAL)) {
        (_, Some(stem)) => (stem, TOTAL),
        (MetricKind::Counter, None) => (name, TOTAL),
        (MetricKind::Gauge, None) => (name, ""),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.len() <= NAME_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

impl Series {
    fn exported(&self) -> (&str, &'static str) {
        exported(self.kind, &self.name)
    }

    /// Counts what an instance of this worker saw.
    pub(crate) fn add(&self, worker: usize, n: u64) {
        if let Some(cell) = self.cells.get(worker).or_else(|| self.cells.last()) {
            cell.0.fetch_add(n, Ordering::Relaxed);
        }
    }

    pub(crate) fn set(&self, value: f64) {
        if let Some(cell) = self.cells.first() {
            cell.0.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// The sum of a counter, or the value of a gauge.
    pub(crate) fn value(&self) -> f64 {
        match self.kind {
            MetricKind::Counter => self.count() as f64,
            MetricKind::Gauge => f64::from_bits(self.count()),
        }
    }

    fn count(&self) -> u64 {
        self.cells.iter().fold(0, |sum, cell| sum.wrapping_add(cell.0.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MetricKind::{Counter, Gauge};

    #[test]
    fn a_counter_of_one_name_is_one_counter_whoever_counts() {
        let registry = Registry::new(2);
        let (a, b) =
            (registry.get(Counter, "n", "").unwrap(), registry.get(Counter, "n", "").unwrap());
        a.add(0, 1);
        b.add(1, 10);
        b.add(usize::MAX, 100);
        assert_eq!((a.value(), registry.all().len()), (111.0, 1));
        let gauge = registry.get(Gauge, "g", "").unwrap();
        gauge.set(2.5);
        gauge.set(-1.0);
        assert_eq!(gauge.value(), -1.0);
        assert_eq!(registry.get(Gauge, "n", "").unwrap_err(), Refused::Kind("n".into()));
    }

    #[test]
    fn two_metrics_that_would_be_exported_by_one_name_are_not_taken() {
        for (first, second) in
            [((Counter, "n"), (Gauge, "n_total")), ((Counter, "n_total"), (Counter, "n"))]
        {
            for ((kind, name), (other_kind, other)) in [(first, second), (second, first)] {
                let registry = Registry::new(1);
                let held = registry.get(kind, name, "").unwrap();
                let refused = registry.get(other_kind, other, "").unwrap_err();
                let clash = Refused::Clash { name: other.into(), other: name.into() };
                assert_eq!(refused, clash);
                assert!(registry.get(kind, name, "").is_ok());
                drop(held);
                // Nobody holds it any more.
                assert!(registry.get(other_kind, other, "").is_ok());
            }
        }
    }

    #[test]
    fn names_are_checked_and_help_is_cut() {
        let registry = Registry::new(1);
        for name in ["", "1a", "a-b", "a b", "é", &"a".repeat(101)] {
            assert!(matches!(registry.get(Counter, name, ""), Err(Refused::Name(_))), "{name}");
        }
        let series = registry.get(Counter, &"a".repeat(100), &"é\n".repeat(1000)).unwrap();
        assert!(series.help.len() <= HELP_MAX && !series.help.contains('\n'));
    }

    #[test]
    fn a_plugin_has_a_hundred_metrics_and_those_of_a_replaced_generation_make_room() {
        let registry = Registry::new(1);
        let name = |n: usize| format!("n{n}");
        let mut held: Vec<_> =
            (0..METRICS_MAX).map(|n| registry.get(Counter, &name(n), "").unwrap()).collect();
        assert_eq!(registry.get(Counter, "more", "").unwrap_err(), Refused::Full);
        assert!(registry.get(Counter, &name(5), "").is_ok());
        held.pop();
        assert!(registry.get(Counter, "more", "").is_ok());
        assert_eq!(registry.all().len(), METRICS_MAX);
    }
}
