//! Figures of several servers side by side: medians, spread, ratios and targets; as a table, as JSON and as a plot.

mod plot;
mod table;

use serde::Serialize;

/// Whether a target is a bound from above or from below, and of what.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// At most this much.
    AtMost(f64),
    /// At least this much.
    AtLeast(f64),
    /// At most this many times the figure of the row of this name.
    AtMostOf(f64, String),
    /// At least this many times the figure of the row of this name.
    AtLeastOf(f64, String),
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quantity {
    /// What was done, and what of it this is.
    pub title: String,
    /// Such as "us"; empty for a ratio.
    pub unit: String,
    /// Digits behind the point that mean something.
    pub digits: usize,
    /// What the row should reach that it is added to first.
    #[serde(skip)]
    pub target: Option<Target>,
}

impl Quantity {
    /// A quantity without a target.
    #[must_use]
    pub fn new(title: impl Into<String>, unit: &str, digits: usize) -> Self {
        Self { title: title.into(), unit: unit.to_owned(), digits, target: None }
    }

    /// The same, with a target.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }
}

/// One server's figures, one of each round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Of the server.
    pub name: String,
    /// In the order of the rounds.
    pub samples: Vec<f64>,
    /// Whether it is our broker.
    pub ours: bool,
    /// What it should be; for ours only.
    pub target: Option<Target>,
}

impl Row {
    /// The middle one, or the mean of the two in the middle. None without samples.
    #[must_use]
    pub fn median(&self) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(f64::midpoint(lower, upper))
    }

    /// The smallest and the largest.
    #[must_use]
    pub fn spread(&self) -> Option<(f64, f64)> {
        let smallest = self.samples.iter().copied().min_by(f64::total_cmp)?;
        let largest = self.samples.iter().copied().max_by(f64::total_cmp)?;
        Some((smallest, largest))
    }
}

/// One quantity of all servers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// What was measured.
    pub quantity: Quantity,
    /// Of whom.
    pub rows: Vec<Row>,
}

impl Group {
    /// The row of this name.
    #[must_use]
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// How many times the figure of `base` this row's is. None without `base`, or where that is nothing.
    #[must_use]
    pub fn ratio(&self, row: &Row, base: &str) -> Option<f64> {
        let base = self.row(base)?.median().filter(|base| *base != 0.0)?;
        Some(row.median()? / base)
    }

    /// Whether a row is what it should be. None where there is no target for it.
    #[must_use]
    pub fn met(&self, row: &Row) -> Option<bool> {
        Some(match row.target.as_ref()? {
            Target::AtMost(bound) => row.median()? <= *bound,
            Target::AtLeast(bound) => row.median()? >= *bound,
            Target::AtMostOf(bound, base) => self.ratio(row, base)? <= *bound,
            Target::AtLeastOf(bound, base) => self.ratio(row, base)? >= *bound,
        })
    }
}

/// Everything that a run found out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// On what it ran, one line each.
    pub machine: Vec<String>,
    /// Rows to which all others are compared, where they are there.
    pub bases: Vec<String>,
    /// In the order in which they were measured first.
    pub groups: Vec<Group>,
    /// What went wrong or was left out, once each.
    pub notes: Vec<String>,
}

impl Report {
    /// An empty report that compares to these rows.
    #[must_use]
    pub fn new(bases: Vec<String>) -> Self {
        Self { bases, machine: machine(), ..Self::default() }
    }

    /// One more figure.
    pub fn add(&mut self, quantity: &Quantity, name: &str, ours: bool, sample: f64) {
        let at = self.groups.iter().position(|group| group.quantity.title == quantity.title);
        let at = at.unwrap_or_else(|| {
            self.groups.push(Group { quantity: quantity.clone(), rows: Vec::new() });
            self.groups.len() - 1
        });
        let rows = &mut self.groups[at].rows;
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.samples.push(sample),
            None => {
                let target = quantity.target.clone().filter(|_| ours);
                rows.push(Row { name: name.to_owned(), samples: vec![sample], ours, target });
            }
        }
    }

    /// The group of this title.
    #[must_use]
    pub fn group(&self, title: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.quantity.title == title)
    }

    /// Something that whoever reads the figures has to know; said once.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Processor, cores and kernel.
fn machine() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']).to_owned();
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    vec![format!("{cores} cores of {model}"), format!("Linux {kernel}")]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Made-up figures.
    pub(crate) fn made_up() -> Report {
        let mut report = Report::new(vec!["relay".into(), "mosquitto".into()]);
        report.machine = vec!["2 cores of Imagination".into()];
        let pairs = Quantity::new("pairs QoS 0: CPU per delivered message", "us", 3)
            .target(Target::AtMost(0.45));
        for (name, ours, samples) in [
            ("wasmqtt", true, [0.5, 0.4, 0.42]),
            ("relay", false, [0.1, 0.1, 0.3]),
            ("mosquitto", false, [4.2, 4.0, 4.4]),
        ] {
            for sample in samples {
                report.add(&pairs, name, ours, sample);
            }
        }
        let rate = Quantity::new("unbatched: rate", "1/s", 0)
            .target(Target::AtLeastOf(0.8, "relay".into()));
        report.add(&rate, "wasmqtt", true, 70_000.0);
        report.add(&rate, "relay", false, 100_000.0);
        report.note("rumqttd <lost> 1 %");
        report
    }

    #[test]
    fn the_median_of_few_is_the_middle_or_between_the_two_there() {
        let median = |samples: &[f64]| {
            Row { name: String::new(), samples: samples.to_vec(), ours: false, target: None }
                .median()
        };
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn targets_are_for_our_rows_and_may_be_of_another() {
        let report = made_up();
        let pairs = &report.groups[0];
        assert_eq!(pairs.rows[0].median(), Some(0.42));
        assert_eq!(pairs.rows[0].spread(), Some((0.4, 0.5)));
        assert_eq!(pairs.ratio(&pairs.rows[0], "mosquitto"), Some(0.42 / 4.2));
        assert_eq!(pairs.ratio(&pairs.rows[0], "nobody"), None);
        assert_eq!(pairs.met(&pairs.rows[0]), Some(true));
        assert_eq!(pairs.met(&pairs.rows[1]), None);
        let rate = &report.groups[1];
        assert_eq!(rate.met(&rate.rows[0]), Some(false));
    }

    #[test]
    fn a_note_is_said_once() {
        let mut report = made_up();
        report.note("rumqttd <lost> 1 %");
        assert_eq!(report.notes.len(), 1);
    }
}
