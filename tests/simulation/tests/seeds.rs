//! Runs that every change has to pass, and the proof that the auditor would notice if it did not.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::panic)]

use wasmqtt_simulation::{Options, Report, Sabotage, run};

fn sabotaged(seed: u64, sabotage: Sabotage) -> Report {
    run(seed, Options { sabotage: Some(sabotage), ..Options::default() })
}

#[test]
fn whatever_happens_nobody_gets_what_it_must_not_and_everybody_gets_what_is_owed() {
    let mut delivered = 0;
    for seed in 0..200 {
        let report = run(seed, Options::default());
        assert!(report.failure.is_none(), "{}", report.story());
        delivered += report.delivered;
    }
    assert!(delivered > 5_000, "the runs carry next to nothing: {delivered}");
}

#[test]
fn a_seed_replays_its_run_exactly() {
    for seed in [1, 77, 4711] {
        let (first, again) = (run(seed, Options::default()), run(seed, Options::default()));
        assert_eq!((first.hash, first.events), (again.hash, again.events), "seed {seed}");
        assert_ne!(first.hash, run(seed + 1, Options::default()).hash);
    }
}

#[test]
fn every_deliberate_fault_is_found_whenever_it_is_committed() {
    for sabotage in Sabotage::ALL {
        let reports = (0..400).map(|seed| sabotaged(seed, sabotage));
        let committed: Vec<Report> = reports.filter(|report| report.is_sabotaged).take(5).collect();
        assert!(committed.len() == 5, "{sabotage:?} found no opportunity");
        for report in committed {
            assert!(report.failure.is_some(), "{sabotage:?} went unnoticed: {}", report.story());
        }
    }
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let report = (0..60)
        .map(|seed| sabotaged(seed, Sabotage::LostAnswer))
        .find(|report| report.is_sabotaged)
        .unwrap_or_else(|| panic!("no opportunity"));
    let story = report.story();
    let seed = report.seed;
    assert!(story.contains(&format!("cargo xtask sim --seed {seed}")), "{story}");
    assert!(story.contains("was never sent") && report.last.len() <= 40, "{story}");
}
