//! Rounds: every scenario on every server, one after the other, again and again, so that a change of the machine's mood
//! meets all of them.

use anyhow::Result;

use crate::drive::Drive;
use crate::options::Options;
use crate::report::{Quantity, Report};
use crate::server::{Server, Setup, Started};
use crate::tool::Outcome;

/// Losses from here on are worth a word, as a part of what should have arrived.
const LOSS: f64 = 0.0001;

/// One figure of one run.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub quantity: Quantity,
    /// How much.
    pub value: f64,
}

/// What one run came to: its figures, and the part of the messages that was lost.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// In the order of the report.
    pub figures: Vec<Figure>,
    /// 0 to 1.
    pub lost: f64,
}

impl Measured {
    /// One more figure of this outcome.
    ///
    /// # Errors
    /// When the load tool did not print it.
    pub fn with(mut self, quantity: &Quantity, outcome: &Outcome, name: &str) -> Result<Self> {
        self.figures.push(Figure { quantity: quantity.clone(), value: outcome.get(name)? });
        self.lost = self.lost.max(outcome.lost());
        Ok(self)
    }
}

/// A server with a setup, under the name of its row.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What is started.
    pub server: Server,
    /// How.
    pub setup: Setup,
    /// As the report calls it.
    pub row: String,
}

impl Candidate {
    /// A server as it is.
    #[must_use]
    pub fn plain(server: Server, setup: Setup) -> Self {
        Self { row: server.name.clone(), server, setup }
    }
}

/// Measures one server that has just been started.
pub type Measure = Box<dyn Fn(&Drive, &Candidate, &Started) -> Result<Measured>>;

/// Something that is done to servers.
pub struct Scenario {
    /// For `--only`.
    pub name: String,
    /// Who can take part.
    pub takes: fn(&Candidate) -> bool,
    /// What is done.
    pub measure: Measure,
}

impl std::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Runs all scenarios that are wanted on all candidates that can take part. A candidate that fails is noted, and the
/// others go on.
///
/// # Errors
/// When nothing can be measured at all.
pub fn rounds(
    options: &Options,
    report: &mut Report,
    candidates: &[Candidate],
    scenarios: &[Scenario],
) -> Result<()> {
    let drive = options.drive()?;
    let wanted: Vec<&Scenario> = scenarios.iter().filter(|s| options.wants(&s.name)).collect();
    for round in 1..=options.rounds {
        for scenario in &wanted {
            for candidate in candidates.iter().filter(|candidate| (scenario.takes)(candidate)) {
                let head =
                    format!("round {round}/{} {} {}", options.rounds, scenario.name, candidate.row);
                match once(&drive, scenario, candidate) {
                    Ok(measured) => {
                        eprintln!("{head}: {}", shown(&measured));
                        add(report, candidate, scenario, &measured);
                    }
                    Err(error) => {
                        eprintln!("{head}: {error:#}");
                        report.note(format!(
                            "{} fails at {}: {error:#}",
                            candidate.row, scenario.name
                        ));
                    }
                }
            }
        }
    }
    Ok(())
}

fn once(drive: &Drive, scenario: &Scenario, candidate: &Candidate) -> Result<Measured> {
    let mut started = candidate.server.start(&candidate.setup)?;
    let measured = (scenario.measure)(drive, candidate, &started);
    // What a server says that has ended explains more than that the load tool lost its connection.
    started.process.check()?;
    measured
}

fn shown(measured: &Measured) -> String {
    let figures = measured
        .figures
        .iter()
        .map(|Figure { quantity, value }| format!("{value:.*} {}", quantity.digits, quantity.unit));
    figures.collect::<Vec<_>>().join(", ")
}

fn add(report: &mut Report, candidate: &Candidate, scenario: &Scenario, measured: &Measured) {
    for Figure { quantity, value } in &measured.figures {
        report.add(quantity, &candidate.row, candidate.server.ours(), *value);
    }
    if measured.lost > LOSS {
        report.note(format!(
            "{}: not all messages of {} had arrived some seconds after the last one was sent",
            candidate.row, scenario.name
        ));
    }
}
