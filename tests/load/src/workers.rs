//! Two workers beside one: what it costs that a message has to cross from one thread to another.

use anyhow::{Result, bail};

use crate::options::Options;
use crate::report::{Quantity, Report, Target};
use crate::run::{Candidate, Figure, Measured, Scenario, rounds};
use crate::tool::Outcome;

/// The row that others are compared to.
const ONE: &str = "one worker";
const TWO: &str = "two workers";

const CROSSING: &str = "51 pairs, QoS 0, window 100, all messages cross";
const STAYING: &str = "50 pairs, QoS 0, window 100, no message crosses";
const UNBATCHED: &str = "51 pairs, QoS 0, window 1, all messages cross";
const FAN_OUT: &str = "fan-out 1 to 500, QoS 0, window 50, half of the copies cross";

/// Measures both.
///
/// # Errors
/// When there is nothing to measure.
pub fn workers(options: &Options) -> Result<()> {
    let ours = options.ours()?;
    let [server] = &ours[..] else { bail!("workers are measured with one broker at a time") };
    let mut report = Report::new(vec![ONE.to_owned()]);
    let candidates: Vec<Candidate> = [(ONE, 1), (TWO, 2)]
        .into_iter()
        .map(|(row, workers)| {
            let mut setup = options.setup();
            // The load has one of them as well: processor time is what counts.
            setup.cores = Some("0,1".into());
            setup.workers = workers;
            Candidate { server: server.clone(), setup, row: row.into() }
        })
        .collect();
    let s = options.seconds;
    // A connection goes to the worker with the fewest, and subscribers come first: with an odd number of pairs every
    // message crosses, with an even one none does.
    let scenarios = [
        scenario("crossing", CROSSING, "pairs", "--n 51 --window 100", s),
        scenario("staying", STAYING, "pairs", "--n 50 --window 100", s),
        scenario("unbatched", UNBATCHED, "pairs", "--n 51 --window 1", s),
        scenario("fan-out", FAN_OUT, "fanout", "--n 500 --window 50", s),
    ];
    rounds(options, &mut report, &candidates, &scenarios)?;
    crossing(&mut report);
    options.show(&report)
}

fn scenario(
    name: &str,
    title: &str,
    mode: &'static str,
    arguments: &str,
    seconds: u32,
) -> Scenario {
    let cpu = quantity(title).target(Target::AtMostOf(1.25, ONE.into()));
    let arguments = format!("{arguments} --qos 0 --seconds {seconds}");
    Scenario {
        name: name.into(),
        takes: |_| true,
        measure: Box::new(move |drive, candidate, started| {
            let id = started.process.id();
            let outcome = drive.tool(mode, started.address, id, &arguments)?;
            let mut quantity = cpu.clone();
            quantity.target = quantity.target.filter(|_| candidate.row == TWO);
            measured(&quantity, &outcome)
        }),
    }
}

fn quantity(title: &str) -> Quantity {
    Quantity::new(format!("{title}: CPU per delivered message"), "us", 3)
}

/// Of each round, what messages that cross cost more than those that stay.
fn crossing(report: &mut Report) {
    let samples = |title| {
        let group = report.group(&quantity(title).title)?;
        Some(group.row(TWO)?.samples.clone())
    };
    let (Some(crossing), Some(staying)) = (samples(CROSSING), samples(STAYING)) else { return };
    let one = Quantity::new("one crossing of many at once", "ns", 0);
    for (crossing, staying) in crossing.iter().zip(&staying) {
        report.add(&one, TWO, true, (crossing - staying) * 1e3);
    }
}

fn measured(quantity: &Quantity, outcome: &Outcome) -> Result<Measured> {
    let value = outcome.get("broker_us_per_delivered")?;
    let figure = Figure { quantity: quantity.clone(), value };
    Ok(Measured { figures: vec![figure], lost: outcome.lost() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crossing_is_what_messages_cost_more_that_cross() {
        let mut report = Report::new(Vec::new());
        for (title, cpu) in [(CROSSING, 0.75), (STAYING, 0.5)] {
            report.add(&quantity(title), ONE, true, 0.4);
            report.add(&quantity(title), TWO, true, cpu);
        }
        crossing(&mut report);
        let group = report.group("one crossing of many at once").unwrap();
        assert_eq!(group.row(TWO).unwrap().samples, [250.0]);
    }
}
