//! `wasmqtt plugin bench`: what a plugin costs, per hook and question.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmqtt_sandbox::Probe;

use super::Bench;
use super::answer::{ask, words};
use super::table::Table;
use super::vectors::{Expected, Question};

/// Calls between two looks at the clock.
const BATCH: u32 = 16;
/// Instances that are started to see what that costs.
const STARTS: u32 = 20;

/// One line of the result.
struct Figure {
    hook: &'static str,
    case: String,
    answer: String,
    calls: u32,
    /// Of one call.
    median: Duration,
    /// Of one call, the slowest tenth of the batches.
    p90: Duration,
}

/// Puts each question of the vectors again and again, for `time` each, and shows what a call costs.
///
/// # Errors
/// When the plugin or the vectors cannot be loaded.
pub fn bench(
    target: &Path,
    vectors: Option<&Path>,
    time: Duration,
    as_json: bool,
) -> anyhow::Result<()> {
    let bench = Bench::set_up(target, vectors)?;
    let mut probe = bench.load()?;
    let fresh = probe.memory().unwrap_or(0);
    let start = starts(&probe)?;
    let mut figures = Vec::new();
    for case in &bench.vectors.cases {
        let question = case.question()?;
        let hook = match question {
            Question::Init(_) => continue,
            Question::Authenticate(_) => "authenticate",
            Question::Exchange(_) => "exchange",
            Question::Events(_) => "on-events",
            Question::Authorize(..) => "authorize",
            Question::Publish(_) => "on-publish",
            Question::Deliver(..) => "on-deliver",
        };
        figures.extend(measure(&mut probe, &question, time).map(|(answer, calls, median, p90)| {
            let case = case.name.clone();
            Figure { hook, case, answer: words(&answer), calls, median, p90 }
        }));
    }
    let used = probe.memory().unwrap_or(0);
    if as_json {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let calls = figures.iter().map(|figure| {
            json!({
                "hook": figure.hook, "case": figure.case, "answer": figure.answer,
                "calls": figure.calls, "median_ns": nanos(figure.median), "p90_ns": nanos(figure.p90),
            })
        });
        let calls: Vec<_> = calls.collect();
        let memory = json!({ "fresh_bytes": fresh, "used_bytes": used });
        println!("{:#}", json!({ "start_ns": nanos(start), "memory": memory, "calls": calls }));
    } else {
        show(&figures, start, fresh, used);
    }
    Ok(())
}

fn starts(probe: &Probe) -> anyhow::Result<Duration> {
    let times = (0..STARTS).map(|_| probe.start()).collect::<Result<Vec<_>, _>>()?;
    Ok(quantile(times, 50))
}

/// None for what the plugin does not want to be asked.
fn measure(
    probe: &mut Probe,
    question: &Question,
    time: Duration,
) -> Option<(Expected, u32, Duration, Duration)> {
    let load = |_: &toml::Table| anyhow::bail!("only init loads again");
    let answer = ask(probe, question, &load);
    if answer == Expected::NotAsked {
        return None;
    }
    let (begin, mut batches, mut calls) = (Instant::now(), Vec::new(), 0);
    while begin.elapsed() < time || batches.is_empty() {
        let batch = Instant::now();
        for _ in 0..BATCH {
            std::hint::black_box(ask(probe, question, &load));
        }
        batches.push(batch.elapsed() / BATCH);
        calls += BATCH;
    }
    let p90 = quantile(batches.clone(), 90);
    Some((answer, calls, quantile(batches, 50), p90))
}

fn quantile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let place = times.len() * percent / 100;
    times.get(place).or(times.last()).copied().unwrap_or_default()
}

fn show(figures: &[Figure], start: Duration, fresh: usize, used: usize) {
    let mut table =
        Table::new(["HOOK", "CASE", "ANSWER", "CALLS", "MEDIAN", "P90"]).right([3, 4, 5]);
    for figure in figures {
        table.row([
            figure.hook.to_owned(),
            figure.case.clone(),
            figure.answer.clone(),
            figure.calls.to_string(),
            format!("{:.2?}", figure.median),
            format!("{:.2?}", figure.p90),
        ]);
    }
    table.print();
    println!();
    println!("a fresh instance takes {start:.1?}, its memory is {}", kib(fresh));
    println!("after these calls its memory is {}", kib(used));
    println!("times include what the broker does around a call; no plugin costs nothing at all");
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_times() {
        let times: Vec<Duration> = (1..=10).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(times.clone(), 50), Duration::from_millis(6));
        assert_eq!(quantile(times.clone(), 90), Duration::from_millis(10));
        assert_eq!(quantile(Vec::new(), 50), Duration::ZERO);
    }
}
