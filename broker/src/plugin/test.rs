//! `wasmqtt plugin test`: every vector of a plugin, one line each.

use std::path::Path;

use anstyle::{AnsiColor, Style};
use serde_json::json;
use wasmqtt_sandbox::PluginSpec;

use super::answer::{ask, fits, words};
use super::{Bench, vectors::Case};

const PASSED: Style = AnsiColor::Green.on_default().bold();
const FAILED: Style = AnsiColor::Red.on_default().bold();

/// Asks a plugin every question of its vectors and shows what it answered. Answers whether all were as
/// expected. `target` is a component or a project; without `vectors`, tests.toml beside it.
///
/// # Errors
/// When the plugin or the vectors cannot be loaded.
pub fn test(target: &Path, vectors: Option<&Path>, as_json: bool) -> anyhow::Result<bool> {
    let bench = Bench::set_up(target, vectors)?;
    let mut probe = bench.load()?;
    let load = |config: &toml::Table| {
        let config = serde_json::to_string(config)?;
        bench.load_as(&PluginSpec { config, ..bench.spec.clone() })
    };
    let (mut failed, mut cases) = (0, Vec::new());
    for case in &bench.vectors.cases {
        let answer = ask(&mut probe, &case.question()?, &load);
        let passed = fits(&case.expect, &answer);
        failed += usize::from(!passed);
        let (expected, answer) = (words(&case.expect), words(&answer));
        if as_json {
            let name = &case.name;
            cases.push(
                json!({ "name": name, "passed": passed, "expected": expected, "answer": answer }),
            );
        } else {
            show(case, passed, &expected, &answer);
        }
    }
    let passed = bench.vectors.cases.len() - failed;
    if as_json {
        println!("{:#}", json!({ "passed": passed, "failed": failed, "cases": cases }));
    } else {
        let style = if failed == 0 { PASSED } else { FAILED };
        anstream::println!("{style}{passed} passed, {failed} failed{style:#}");
    }
    Ok(failed == 0)
}

fn show(case: &Case, passed: bool, expected: &str, answer: &str) {
    if passed {
        anstream::println!("{PASSED}  ok{PASSED:#}  {}", case.name);
    } else {
        anstream::println!("{FAILED}FAIL{FAILED:#}  {}", case.name);
        println!("      expected  {expected}");
        println!("      answered  {answer}");
    }
}
