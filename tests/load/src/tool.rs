//! What the load tool and the load client print: `name=value` words, the same from both.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// What one run came to, by the names that the load tool uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome(BTreeMap<String, f64>);

impl Outcome {
    /// Reads every word of the form `name=number`; others are for people.
    #[must_use]
    pub fn read(output: &str) -> Self {
        let pairs = output.split_whitespace().filter_map(|word| word.split_once('='));
        let numbers =
            pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Self(numbers.collect())
    }

    /// # Errors
    /// When it was not printed.
    pub fn get(&self, name: &str) -> Result<f64> {
        self.0.get(name).copied().with_context(|| format!("the load tool did not print {name}"))
    }

    /// Of the messages that should have been delivered, the part that was not: 0 to 1.
    #[must_use]
    pub fn lost(&self) -> f64 {
        let number = |name| self.0.get(name).copied().unwrap_or_default();
        number("lost") / (number("lost") + number("delivered")).max(1.0)
    }
}

/// Runs the load tool or the load client to its end.
///
/// # Errors
/// With what it said, when it fails: a broker that closes a connection makes it.
pub fn run(command: &mut Command) -> Result<Outcome> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Of a panic, what it says and not where.
        let lines = said.lines().filter(|line| !line.starts_with("thread ")).take_while(|line| {
            !line.starts_with("note: run with") && !line.starts_with("stack backtrace")
        });
        bail!("{} ({})", lines.collect::<Vec<_>>().join(" ").trim(), output.status);
    }
    Ok(Outcome::read(&String::from_utf8_lossy(&output.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "mode=latency n=50 qos=0 size=64 v=4 wall=3.00 published=30000 delivered=29999 lost=1 \
                           broker_us_per_delivered=0.712 rss_kib=12345\n\
                           latency_us p50=61 p90=80 p99=151 p999=402 max=1000\n";

    #[test]
    fn what_the_load_tool_prints_is_read_by_name() {
        let outcome = Outcome::read(PRINTED);
        assert_eq!(outcome.get("broker_us_per_delivered").unwrap(), 0.712);
        assert_eq!(outcome.get("p99").unwrap(), 151.0);
        assert_eq!(outcome.get("p999").unwrap(), 402.0);
        let error = outcome.get("mode").unwrap_err().to_string();
        assert!(error.contains("did not print mode"), "{error}");
    }

    #[test]
    fn losses_are_a_part_of_what_should_have_arrived() {
        assert_eq!(Outcome::read(PRINTED).lost(), 1.0 / 30_000.0);
        assert_eq!(Outcome::read("delivered=5").lost(), 0.0);
        assert_eq!(Outcome::read("").lost(), 0.0);
    }

    #[test]
    fn a_load_tool_that_fails_is_quoted() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo closed by broker >&2; exit 101"]);
        let error = run(&mut command).unwrap_err().to_string();
        assert!(error.contains("closed by broker") && error.contains("101"), "{error}");
    }
}
