//! Figures for people, and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::run::Outcome;

const HEAD: &str = "\
attack                connections  MB sent |   sent  received  lost  closed  p50 ms  p99 ms  max ms | before MiB  peak MiB   CPU s  wall s";

/// One line for each attack. On the left what was done, in the middle what the well-behaved noticed, on the right the
/// broker.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!("{HEAD}\n");
    for outcome in outcomes {
        let Outcome { name, effort, noticed, peak, before, cpu, wall } = outcome;
        let done = match effort {
            Some(effort) => {
                format!("{:>11}  {:>7.1}", effort.connections(), effort.bytes() as f64 / 1e6)
            }
            None => format!("{:>20}", "not tried"),
        };
        let (sent, received, lost) = (noticed.sent, noticed.received, noticed.lost());
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| noticed.quantile(part));
        let closed = noticed.closed;
        let (peak, before) = (peak / 1024.0, before / 1024.0);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{name:<21} {done} | {sent:>6}  {received:>8}  {lost:>4}  {closed:>6}  {p50:>6.2}  {p99:>6.2}  {max:>6.1} | \
             {before:>10.1}  {peak:>8.1}  {cpu:>6.2}  {wall:>6.1}"
        );
    }
    text
}

/// The same, all of it.
#[must_use]
pub fn json(outcomes: &[Outcome]) -> Value {
    let one = |outcome: &Outcome| {
        let noticed = &outcome.noticed;
        json!({
            "attack": outcome.name,
            "connections": outcome.effort.as_ref().map(|effort| effort.connections()),
            "bytes": outcome.effort.as_ref().map(|effort| effort.bytes()),
            "sent": noticed.sent,
            "received": noticed.received,
            "lost": noticed.lost(),
            "closed": noticed.closed,
            "p50_ms": noticed.quantile(0.5),
            "p99_ms": noticed.quantile(0.99),
            "max_ms": noticed.quantile(1.0),
            "before_kib": outcome.before,
            "peak_kib": outcome.peak,
            "cpu_s": outcome.cpu,
            "wall_s": outcome.wall,
        })
    };
    outcomes.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crowd::Noticed;

    #[test]
    fn every_line_has_its_figures_below_their_names() {
        let latencies = vec![1_000_000, 2_000_000];
        let noticed = Noticed { sent: 7, received: 5, closed: 1, latencies };
        let outcome = Outcome {
            name: "none",
            effort: None,
            noticed,
            peak: 2048.0,
            before: 1024.0,
            cpu: 0.5,
            wall: 10.0,
        };
        assert!(!outcome.is_held());
        let text = table(&[outcome]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), lines[1].len(), "{text}");
        for column in [0, 1] {
            let bar = |line: &str| line.match_indices('|').nth(column).unwrap().0;
            assert_eq!(bar(lines[0]), bar(lines[1]), "{text}");
        }
        assert!(
            lines[1].contains("not tried") && lines[1].ends_with("2.0    0.50    10.0"),
            "{text}"
        );
    }
}
