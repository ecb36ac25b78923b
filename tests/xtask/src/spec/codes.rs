//! The reason codes: each must have a test in which a client gets it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Tests;

/// By code, as in `0x8D`.
pub(super) type Codes = BTreeMap<String, Code>;

/// What becomes of one code.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    #[serde(default)]
    tests: Vec<String>,
    open: Option<String>,
}

/// Those of table 2-6 of MQTT 5.0.
const ALL: [u8; 43] = [
    0x00, 0x01, 0x02, 0x04, 0x10, 0x11, 0x18, 0x19, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97,
    0x98, 0x99, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
];

/// Checks every code, and prints how far the tests go.
pub(super) fn check(codes: &Codes, all: &Tests, problems: &mut Vec<String>) {
    let tests: Vec<String> = all.keys().cloned().collect();
    problems.extend(problems_of(codes, &tests));
    let open: Vec<(&String, &str)> =
        codes.iter().filter_map(|(code, entry)| Some((code, entry.open.as_deref()?))).collect();
    println!(
        "{:<10}  {:>3} codes: {:>3} produced by a test, {:>3} open",
        "Reasons",
        ALL.len(),
        codes.len() - open.len(),
        open.len()
    );
    open.iter().for_each(|(code, why)| println!("   open  {code:<16} {why}"));
}

fn problems_of(codes: &Codes, tests: &[String]) -> Vec<String> {
    let all: Vec<String> = ALL.iter().map(|code| format!("0x{code:02X}")).collect();
    let mut problems: Vec<String> = all
        .iter()
        .filter(|code| !codes.contains_key(*code))
        .map(|code| format!("{code} has no entry"))
        .collect();
    for (code, Code { tests: named, open }) in codes {
        if !all.contains(code) {
            problems.push(format!("{code} is no reason code"));
        }
        if named.is_empty() == open.is_none() {
            problems.push(format!("{code} needs either tests or a reason why it is open"));
        }
        let missing = named.iter().filter(|test| !tests.contains(test));
        problems.extend(missing.map(|test| format!("{code} names no test there is: {test}")));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_without_a_test_that_exists_is_a_problem() {
        let complete = |change: &str| -> Vec<String> {
            let lines =
                ALL.iter().map(|code| format!("\"0x{code:02X}\" = {{ tests = ['a::b'] }}\n"));
            let text: String = lines.filter(|line| !line.contains("0x8D")).collect();
            problems_of(&toml::from_str(&(text + change)).unwrap(), &["a::b".into()])
        };
        assert_eq!(complete("\"0x8D\" = { tests = ['a::b'] }"), [""; 0]);
        assert_eq!(complete("\"0x8D\" = { open = 'why' }"), [""; 0]);
        assert_eq!(complete(""), ["0x8D has no entry"]);
        for (entry, said) in [
            ("\"0x8D\" = { tests = ['a::c'] }", "no test there is: a::c"),
            ("\"0x8D\" = {}", "either tests or a reason"),
            ("\"0x8D\" = { tests = ['a::b'], open = 'why' }", "either tests or a reason"),
            ("\"0x8D\" = { open = 'why' }\n\"0x77\" = { open = 'why' }", "0x77 is no reason code"),
        ] {
            let found = complete(entry);
            assert!(found.iter().any(|problem| problem.contains(said)), "{entry}: {found:?}");
        }
    }
}
