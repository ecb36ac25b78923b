//! `cargo xtask spec`: which normative statements of MQTT 3.1.1 and 5.0 a test checks. Holds the sources of the
//! conformance tests and `tests/conformance.toml` to each other and to the list of all statements. Knows the names of
//! statements; nothing of what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::tree;

mod codes;

/// Sections, each with the numbers of its statements.
type Sections = &'static [(&'static str, &'static [RangeInclusive<u16>])];

/// One specification.
struct Specification {
    name: &'static str,
    /// In the comment above a test.
    mark: &'static str,
    sections: Sections,
    /// Written unlike the others in the specification itself.
    irregular: &'static [&'static str],
}

const MQTT5: Specification = Specification {
    name: "MQTT 5.0",
    mark: "v5:",
    sections: &[
        ("1.5.4", &[1..=3]),
        ("1.5.5", &[1..=1]),
        ("1.5.7", &[1..=1]),
        ("2.1.3", &[1..=1]),
        ("2.2.1", &[2..=6]),
        ("2.2.2", &[1..=1]),
        ("3.1.0", &[1..=2]),
        ("3.1.2", &[1..=30]),
        ("3.1.3", &[1..=12]),
        ("3.1.4", &[1..=6]),
        ("3.2.0", &[1..=2]),
        ("3.2.2", &[1..=22]),
        ("3.3.1", &[1..=13]),
        ("3.3.2", &[1..=20]),
        ("3.3.4", &[1..=10]),
        ("3.4.2", &[1..=3]),
        ("3.5.2", &[1..=3]),
        ("3.6.1", &[1..=1]),
        ("3.6.2", &[1..=3]),
        ("3.7.2", &[1..=3]),
        ("3.8.1", &[1..=1]),
        ("3.8.3", &[1..=5]),
        ("3.8.4", &[1..=8]),
        ("3.9.2", &[1..=2]),
        ("3.9.3", &[1..=2]),
        ("3.10.1", &[1..=1]),
        ("3.10.3", &[1..=2]),
        ("3.10.4", &[1..=6]),
        ("3.11.2", &[1..=2]),
        ("3.11.3", &[1..=2]),
        ("3.12.4", &[1..=1]),
        ("3.14.0", &[1..=1]),
        ("3.14.1", &[1..=1]),
        ("3.14.2", &[1..=4]),
        ("3.14.4", &[1..=3]),
        ("3.15.1", &[1..=1]),
        ("3.15.2", &[1..=3]),
        ("4.1.0", &[1..=2]),
        ("4.2", &[1..=1]),
        ("4.3.1", &[1..=1]),
        ("4.3.2", &[1..=5]),
        ("4.3.3", &[1..=13]),
        ("4.4.0", &[1..=2]),
        ("4.5.0", &[1..=2]),
        ("4.6.0", &[1..=6]),
        ("4.7.0", &[1..=1]),
        ("4.7.1", &[1..=2]),
        ("4.7.2", &[1..=1]),
        ("4.7.3", &[1..=4]),
        ("4.8.2", &[1..=6]),
        ("4.9.0", &[1..=3]),
        ("4.12.0", &[1..=7]),
        ("4.12.1", &[1..=2]),
        ("4.13.1", &[1..=1]),
        ("4.13.2", &[1..=1]),
        ("6.0.0", &[1..=4]),
    ],
    irregular: &[],
};

const MQTT311: Specification = Specification {
    name: "MQTT 3.1.1",
    mark: "v3:",
    sections: &[
        ("1.5.3", &[1..=3]),
        ("2.2.2", &[1..=2]),
        ("2.3.1", &[1..=7]),
        ("3.1.0", &[1..=2]),
        ("3.1.2", &[1..=4, 6..=6, 8..=24]),
        ("3.1.3", &[1..=11]),
        ("3.1.4", &[1..=5]),
        ("3.2.0", &[1..=1]),
        ("3.2.2", &[1..=6]),
        ("3.3.1", &[2..=12]),
        ("3.3.2", &[1..=3]),
        ("3.3.4", &[1..=1]),
        ("3.3.5", &[1..=2]),
        ("3.6.1", &[1..=1]),
        ("3.8.1", &[1..=1]),
        ("3.8.3", &[1..=3]),
        ("3.8.4", &[1..=2, 4..=4]),
        ("3.9.3", &[1..=2]),
        ("3.10.1", &[1..=1]),
        ("3.10.3", &[1..=2]),
        ("3.10.4", &[1..=6]),
        ("3.12.4", &[1..=1]),
        ("3.14.1", &[1..=1]),
        ("3.14.4", &[1..=3]),
        ("4.1.0", &[1..=2]),
        ("4.3.1", &[1..=1]),
        ("4.3.2", &[1..=2]),
        ("4.3.3", &[1..=2]),
        ("4.4.0", &[1..=1]),
        ("4.5.0", &[1..=2]),
        ("4.6.0", &[1..=6]),
        ("4.7.1", &[1..=3]),
        ("4.7.2", &[1..=1]),
        ("4.7.3", &[1..=4]),
        ("4.8.0", &[1..=2]),
        ("6.0.0", &[1..=4]),
        ("7.0.0", &[1..=2]),
        ("7.1.1", &[1..=1]),
        ("7.1.2", &[1..=1]),
    ],
    irregular: &["MQTT-3.3.1.-1", "MQTT-3-8.3-4"],
};

impl Specification {
    fn statements(&self) -> BTreeSet<String> {
        let regular = self.sections.iter().flat_map(|(section, numbers)| {
            let numbers = numbers.iter().cloned().flatten();
            numbers.map(move |number| format!("MQTT-{section}-{number}"))
        });
        regular.chain(self.irregular.iter().map(|id| (*id).to_owned())).collect()
    }
}

/// `tests/conformance.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Coverage {
    mqtt5: Entries,
    mqtt311: Entries,
    codes: codes::Codes,
}

type Entries = BTreeMap<String, Entry>;

/// What becomes of one statement.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Read by people only.
    #[serde(rename = "level")]
    _level: Level,
    #[serde(rename = "applies_to")]
    _applies_to: Party,
    status: Status,
    #[serde(default)]
    tests: BTreeSet<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Must,
    MustNot,
    May,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Party {
    Server,
    Client,
    Both,
}

#[derive(Deserialize, Copy, Clone, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Tested,
    NotApplicable,
    Open,
}

/// The tests there are, each with the statements that the comment above it names, as `v5:MQTT-...`.
type Tests = BTreeMap<String, BTreeSet<String>>;

/// Where tests besides those of the suite are, and how they are named.
const ELSEWHERE: [(&str, &str); 2] = [("core", "broker/core/tests/road"), ("it", "tests/it")];

/// Checks everything, and prints how far the tests go.
pub(crate) fn spec() -> Result<()> {
    let list = tree::root().join("tests/conformance.toml");
    let text = std::fs::read_to_string(&list)
        .with_context(|| format!("cannot read {}", list.display()))?;
    let coverage: Coverage =
        toml::from_str(&text).with_context(|| format!("in {}", tree::short(&list)))?;
    let mut tests = tests_below(&tree::root().join("tests/conformance/suite"))?;
    for (prefix, path) in ELSEWHERE {
        let found = tests_below(&tree::root().join(path))?;
        tests.extend(found.into_iter().map(|(test, named)| (format!("{prefix}::{test}"), named)));
    }
    let mut problems = Vec::new();
    for (specification, entries) in [(&MQTT5, &coverage.mqtt5), (&MQTT311, &coverage.mqtt311)] {
        check(specification, entries, &tests, &mut problems);
        print!("{}", Summary { specification, entries });
    }
    codes::check(&coverage.codes, &tests, &mut problems);
    if problems.is_empty() {
        return Ok(());
    }
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    bail!("{} problems in {}", problems.len(), tree::short(&list))
}

fn check(
    specification: &Specification,
    entries: &Entries,
    tests: &Tests,
    problems: &mut Vec<String>,
) {
    let Specification { name, mark, .. } = specification;
    let statements = specification.statements();
    let listed: BTreeSet<String> = entries.keys().cloned().collect();
    problems.extend(statements.difference(&listed).map(|id| format!("{name}: {id} has no entry")));
    problems.extend(listed.difference(&statements).map(|id| format!("{name}: {id} is unknown")));
    for (id, entry) in entries {
        let mut complain = |what: &str| problems.push(format!("{name}: {id} {what}"));
        match (entry.status, entry.tests.is_empty(), &entry.reason) {
            (Status::Tested, true, _) => complain("is tested by nothing"),
            (Status::Tested, _, Some(_)) => complain("is tested, and needs no reason"),
            (Status::NotApplicable | Status::Open, _, None) => complain("says no reason"),
            (Status::NotApplicable, false, _) => complain("is not applicable, and has tests"),
            _ => {}
        }
        for test in &entry.tests {
            match tests.get(test) {
                None => complain(&format!("names a test that does not exist: {test}")),
                Some(names) if !names.contains(&format!("{mark}{id}")) => {
                    complain(&format!("is not named by its test {test}"));
                }
                Some(_) => {}
            }
        }
    }
    for (test, names) in tests {
        for id in names.iter().filter_map(|id| id.strip_prefix(mark)) {
            match entries.get(id) {
                None => problems.push(format!("{name}: {test} names {id}, which is unknown")),
                Some(entry) if !entry.tests.contains(test) => {
                    problems.push(format!("{name}: {id} does not list {test}, which names it"));
                }
                Some(_) => {}
            }
        }
    }
}

/// Every test of the suite, by its path in the crate.
fn tests_below(suite: &Path) -> Result<Tests> {
    let mut tests = Tests::new();
    let said = || format!("cannot read {}", suite.display());
    for file in std::fs::read_dir(suite).with_context(said)? {
        let path = file.with_context(said)?.path();
        let Some(module) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).with_context(said)?;
            tests.extend(tests_in(module, &source));
        }
    }
    Ok(tests)
}

fn tests_in(module: &str, source: &str) -> Tests {
    let mut tests = Tests::new();
    let (mut named, mut is_test) = (BTreeSet::new(), false);
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("///") {
            named.extend(statements_in(comment));
        } else if line == "#[test]" {
            is_test = true;
        } else if let Some(name) = line.strip_prefix("fn ").and_then(|rest| rest.split('(').next())
        {
            if std::mem::take(&mut is_test) {
                tests.insert(format!("{module}::{name}"), std::mem::take(&mut named));
            }
            named.clear();
        }
    }
    tests
}

/// `v5: 1.5.4-1, 1.5.4-2; v3: 1.5.3-1`, as `v5:MQTT-1.5.4-1` and so on.
fn statements_in(comment: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in comment.split(';').map(str::trim) {
        for mark in [MQTT5.mark, MQTT311.mark] {
            let Some(ids) = part.strip_prefix(mark) else { continue };
            found.extend(ids.split(',').map(|id| format!("{mark}MQTT-{}", id.trim())));
        }
    }
    found
}

struct Summary<'a> {
    specification: &'a Specification,
    entries: &'a Entries,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |status| self.entries.values().filter(|entry| entry.status == status).count();
        writeln!(
            f,
            "{:<10}  {:>3} statements: {:>3} tested, {:>3} not applicable, {:>3} open",
            self.specification.name,
            self.entries.len(),
            count(Status::Tested),
            count(Status::NotApplicable),
            count(Status::Open)
        )?;
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.status == Status::Open) {
            writeln!(f, "   open  {id:<16} {}", entry.reason.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
/// v5: 1.5.4-1, 1.5.4-2; v3: 1.5.3-1
#[test]
fn a_test() {}

/// v5: 1.5.4-3
fn no_test() {}

#[test]
fn another() {}
";

    fn problems(entries: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let entries = toml::from_str(entries).unwrap();
        let specification =
            Specification { sections: &[("1.5.4", &[1..=2])], irregular: &[], ..MQTT5 };
        check(&specification, &entries, &tests_in("utf8", SOURCE), &mut problems);
        problems
    }

    fn entry(number: u8, rest: &str) -> String {
        format!("[\"MQTT-1.5.4-{number}\"]\nlevel = 'must'\napplies_to = 'both'\nstatus = {rest}\n")
    }

    const TESTED: &str = "'tested'\ntests = ['utf8::a_test']";

    #[test]
    fn tests_are_found_with_the_statements_they_name() {
        let tests = tests_in("utf8", SOURCE);
        assert_eq!(tests.keys().collect::<Vec<_>>(), ["utf8::a_test", "utf8::another"]);
        let named: Vec<&str> = tests["utf8::a_test"].iter().map(String::as_str).collect();
        assert_eq!(named, ["v3:MQTT-1.5.3-1", "v5:MQTT-1.5.4-1", "v5:MQTT-1.5.4-2"]);
        assert!(tests["utf8::another"].is_empty());
    }

    #[test]
    fn a_list_that_agrees_with_the_tests_has_no_problem() {
        assert_eq!(problems(&[entry(1, TESTED), entry(2, TESTED)].concat()), [""; 0]);
    }

    #[test]
    fn whatever_does_not_agree_is_a_problem() {
        let good = entry(1, TESTED);
        let gone = "'tested'\ntests = ['utf8::a_test', 'utf8::gone']";
        let other = "'tested'\ntests = ['utf8::a_test', 'utf8::another']";
        for (second, said) in [
            (String::new(), "has no entry"),
            (entry(2, "'tested'"), "tested by nothing"),
            (entry(2, "'open'"), "says no reason"),
            (entry(2, gone), "does not exist"),
            (entry(2, other), "is not named by its test"),
            (entry(2, "'open'\nreason = 'x'"), "does not list utf8::a_test"),
            ([entry(2, TESTED), entry(9, TESTED)].concat(), "MQTT-1.5.4-9 is unknown"),
        ] {
            let found = problems(&[good.clone(), second].concat());
            assert!(found.iter().any(|problem| problem.contains(said)), "{said}: {found:?}");
        }
    }

    #[test]
    fn every_statement_of_both_specifications_is_known() {
        assert_eq!(MQTT5.statements().len(), 251);
        assert_eq!(MQTT311.statements().len(), 136);
    }
}
