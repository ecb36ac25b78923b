//! What plugins cost: the same pairs on our broker without a plugin and with each kind.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, bail};

use crate::options::Options;
use crate::report::{Quantity, Report, Target};
use crate::run::{Candidate, Figure, Measured, Scenario, rounds};

/// The row that all others are compared to.
const NONE: &str = "no plugin";
/// The property router moves every message there.
const MOVED: &str = "moved/";

/// A kind of plugin.
struct Kind {
    row: &'static str,
    /// Below `target`.
    component: &'static str,
    /// Of the listener.
    listener: &'static str,
    /// Of the plugin.
    plugin: &'static str,
    /// Whether subscribers are where the property router moves messages.
    moves: bool,
    /// Nanoseconds that it may add to a message.
    target: Target,
    /// Of the throughput without it, how much must be left: %.
    keeps: Option<f64>,
}

fn kinds() -> [Kind; 5] {
    let most = Target::AtMost;
    [
        Kind {
            row: "wants nothing of the topic",
            component: "plugins/property_router.wasm",
            listener: "preset = \"open\"\ntransform = [\"p\"]",
            plugin: "config = { property = \"region\", topic = \"moved/${topic}\", filters = [\"elsewhere/#\"] }",
            moves: false,
            target: most(5.0),
            keeps: None,
        },
        Kind {
            row: "native permissions",
            component: "guests/porter.wasm",
            listener: "authenticate = [\"p\"]",
            plugin: "config = { allow = [\"bench/#\"] }",
            moves: false,
            target: most(30.0),
            keeps: Some(97.0),
        },
        Kind {
            row: "cached decision",
            component: "plugins/topic_acl.wasm",
            listener: "anonymous = true\nauthorize = [\"p\"]",
            plugin: "config = { reuse_ms = 3600000, rules = [{ effect = \"allow\", filter = \"bench/#\" }] }",
            moves: false,
            target: most(30.0),
            keeps: None,
        },
        Kind {
            row: "decision in wasm",
            component: "plugins/topic_acl.wasm",
            listener: "anonymous = true\nauthorize = [\"p\"]",
            plugin: "config = { reuse_ms = 0, rules = [{ effect = \"allow\", filter = \"bench/#\" }] }",
            moves: false,
            target: most(500.0),
            keeps: None,
        },
        Kind {
            row: "property router",
            component: "plugins/property_router.wasm",
            listener: "preset = \"open\"\ntransform = [\"p\"]",
            plugin: "grants = { topics = [\"moved/#\"] }\nconfig = { property = \"region\", topic = \"moved/${topic}\" }",
            moves: true,
            target: most(900.0),
            keeps: None,
        },
    ]
}

/// Measures all kinds beside none.
///
/// # Errors
/// When a component is missing, or there is nothing to measure.
pub fn plugins(options: &Options) -> Result<()> {
    let mut report = Report::new(vec![NONE.to_owned()]);
    let ours = options.ours()?;
    let [server] = &ours[..] else { bail!("plugins are measured with one broker at a time") };
    let mut candidates =
        vec![Candidate { server: server.clone(), setup: options.setup(), row: NONE.into() }];
    for kind in kinds() {
        let mut candidate = candidates[0].clone();
        candidate.row = kind.row.into();
        candidate.setup.listener = kind.listener.into();
        candidate.setup.rest = plugin(&kind, &options.components)?;
        candidates.push(candidate);
    }
    let pairs = pairs(options.seconds);
    rounds(options, &mut report, &candidates, &[pairs])?;
    compare(&mut report);
    options.show(&report)
}

fn plugin(kind: &Kind, components: &Path) -> Result<String> {
    let path = components.join(kind.component);
    let Ok(path) = path.canonicalize() else {
        bail!("there is no {}; run `cargo xtask plugins`", path.display());
    };
    let mut text = String::new();
    let _ = writeln!(text, "[[plugin]]\nname = \"p\"\npath = {path:?}\n{}", kind.plugin);
    Ok(text)
}

/// With MQTT 5 and one property, which the property router reads; for all the same.
fn pairs(seconds: u32) -> Scenario {
    let cpu = quantity();
    Scenario {
        name: "pairs".into(),
        takes: |_| true,
        measure: Box::new(move |drive, candidate, started| {
            let moves = kinds().iter().any(|kind| kind.moves && kind.row == candidate.row);
            let moved = if moves { format!("--subscribe-below {MOVED}") } else { String::new() };
            let arguments = format!("--v5 --properties 1 --seconds {seconds} {moved}");
            let id = started.process.id();
            let outcome = drive.client("pairs", started.address, id, &arguments)?;
            Measured::default().with(&cpu, &outcome, "broker_us_per_delivered")
        }),
    }
}

fn quantity() -> Quantity {
    Quantity::new("50 pairs, QoS 0, window 100: CPU per delivered message", "us", 3)
}

/// Of each round the difference to none in the same round, and what is left of the throughput that one core has.
fn compare(report: &mut Report) {
    let Some(group) = report.group(&quantity().title).cloned() else { return };
    let Some(none) = group.row(NONE) else { return };
    for kind in kinds() {
        let Some(row) = group.row(kind.row) else { continue };
        let added = Quantity::new("added to a message, beside no plugin", "ns", 0)
            .target(kind.target.clone());
        let mut left = Quantity::new("throughput of one core, beside no plugin", "%", 1);
        left.target = kind.keeps.map(Target::AtLeast);
        for Figure { quantity, value } in differences(&none.samples, &row.samples, &added, &left) {
            report.add(&quantity, kind.row, true, value);
        }
    }
}

fn differences(none: &[f64], with: &[f64], added: &Quantity, left: &Quantity) -> Vec<Figure> {
    let figure = |quantity: &Quantity, value| Figure { quantity: quantity.clone(), value };
    let both = none.iter().zip(with);
    both.flat_map(|(none, with)| {
        [
            figure(added, (with - none) * 1e3),
            figure(left, none / with.max(f64::MIN_POSITIVE) * 100.0),
        ]
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_compared_with_none_round_by_round() {
        let mut report = Report::new(vec![NONE.to_owned()]);
        for (row, samples) in [(NONE, [0.4, 0.8]), ("property router", [0.8, 1.0])] {
            samples.iter().for_each(|sample| report.add(&quantity(), row, true, *sample));
        }
        compare(&mut report);
        let added = report.group("added to a message, beside no plugin").unwrap();
        let samples: Vec<i64> = added.rows[0].samples.iter().map(|ns| ns.round() as i64).collect();
        assert_eq!(samples, [400, 200]);
        assert_eq!(added.met(&added.rows[0]), Some(true));
        let left = report.group("throughput of one core, beside no plugin").unwrap();
        assert_eq!(left.rows[0].samples, [50.0, 80.0]);
    }

    #[test]
    fn a_component_that_is_not_built_is_named() {
        let error = plugin(&kinds()[1], Path::new("/nowhere")).unwrap_err().to_string();
        assert!(error.contains("porter.wasm") && error.contains("xtask plugins"), "{error}");
    }
}
