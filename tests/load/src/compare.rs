//! Our broker beside others: the scenarios whose targets are in the design.

use anyhow::{Context, Result};

use crate::options::Options;
use crate::report::{Quantity, Report, Target};
use crate::run::{Candidate, Figure, Measured, Scenario, rounds};
use crate::strace::{self, Strace};

/// Idle connections whose memory is measured. The heap grows by huge pages of 2 MiB: half a KiB for each of so many, by
/// which one run differs from the next.
const IDLE: u32 = 4_000;

/// One run of the load tool, for which processor time of each delivered message is the figure.
struct Load {
    name: &'static str,
    title: &'static str,
    mode: &'static str,
    arguments: &'static str,
    target: Option<f64>,
    /// Whether the relay can do it: QoS 0 and no wildcards.
    relay: bool,
    /// Whether system calls are counted, too.
    traced: bool,
}

const LOADS: &[Load] = &[
    Load {
        name: "pairs-qos0",
        title: "50 pairs, QoS 0, window 100",
        mode: "pairs",
        arguments: "--n 50 --window 100 --qos 0",
        target: Some(0.45),
        relay: true,
        traced: true,
    },
    Load {
        name: "pairs-qos1",
        title: "50 pairs, QoS 1, window 100",
        mode: "pairs",
        arguments: "--n 50 --window 100 --qos 1",
        target: Some(0.75),
        relay: false,
        traced: true,
    },
    Load {
        name: "pairs-qos2",
        title: "50 pairs, QoS 2, window 100",
        mode: "pairs",
        arguments: "--n 50 --window 100 --qos 2",
        target: Some(1.2),
        relay: false,
        traced: true,
    },
    Load {
        name: "fan-out",
        title: "fan-out 1 to 500, QoS 0, window 50",
        mode: "fanout",
        arguments: "--n 500 --window 50 --qos 0",
        target: Some(0.20),
        relay: true,
        traced: true,
    },
    Load {
        name: "fan-in",
        title: "fan-in 50 to 1 by a wildcard, QoS 0, window 100",
        mode: "fanin",
        arguments: "--n 50 --window 100 --qos 0",
        target: None,
        relay: false,
        traced: false,
    },
];

/// Measures all of it.
///
/// # Errors
/// When there is nothing to measure, or no place for the figures.
pub fn compare(options: &Options) -> Result<()> {
    let mut servers = options.ours()?;
    servers.push(options.relay());
    servers.extend(options.others()?);
    let setup = options.setup();
    let candidates: Vec<Candidate> =
        servers.into_iter().map(|server| Candidate::plain(server, setup.clone())).collect();
    let mut scenarios: Vec<Scenario> =
        LOADS.iter().map(|load| closed_loop(load, options)).collect();
    scenarios.extend([unbatched(options), latency(options), idle(), properties(options)]);
    let mut report = Report::new(options.bases(&["relay", "mosquitto"]));
    rounds(options, &mut report, &candidates, &scenarios)?;
    system_calls(options, &mut report, &candidates)?;
    options.show(&report)
}

fn closed_loop(load: &'static Load, options: &Options) -> Scenario {
    let mut cpu = Quantity::new(format!("{}: CPU per delivered message", load.title), "us", 3);
    cpu.target = load.target.map(Target::AtMost);
    let arguments = format!("{} --seconds {}", load.arguments, options.seconds);
    Scenario {
        name: load.name.into(),
        takes: if load.relay { |_| true } else { |candidate| candidate.server.is_broker() },
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let outcome = drive.tool(load.mode, started.address, id, &arguments)?;
            Measured::default().with(&cpu, &outcome, "broker_us_per_delivered")
        }),
    }
}

fn unbatched(options: &Options) -> Scenario {
    let rate = Quantity::new("50 pairs, QoS 0, window 1: rate", "1/s", 0)
        .target(Target::AtLeastOf(0.8, "relay".into()));
    let cpu = Quantity::new("50 pairs, QoS 0, window 1: CPU per delivered message", "us", 3);
    let arguments = format!("--n 50 --window 1 --qos 0 --seconds {}", options.seconds);
    Scenario {
        name: "unbatched".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let outcome = drive.tool("pairs", started.address, id, &arguments)?;
            Measured::default().with(&rate, &outcome, "msg_s")?.with(
                &cpu,
                &outcome,
                "broker_us_per_delivered",
            )
        }),
    }
}

fn latency(options: &Options) -> Scenario {
    let title = |which: &str| format!("latency at 10,000 messages a second: {which}");
    let p50 = Quantity::new(title("p50"), "us", 0).target(Target::AtMost(60.0));
    let p99 = Quantity::new(title("p99"), "us", 0).target(Target::AtMost(150.0));
    let arguments = format!("--n 50 --rate 10000 --seconds {}", options.seconds);
    Scenario {
        name: "latency".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let outcome = drive.tool("latency", started.address, id, &arguments)?;
            Measured::default().with(&p50, &outcome, "p50")?.with(&p99, &outcome, "p99")
        }),
    }
}

fn idle() -> Scenario {
    let memory = Quantity::new("idle connection with one subscription: memory", "KiB", 2)
        .target(Target::AtMost(3.0));
    Scenario {
        name: "idle".into(),
        takes: |candidate| candidate.server.is_broker(),
        measure: Box::new(move |drive, _, started| {
            let arguments = format!("--n {IDLE} --settle 1");
            let id = started.process.id();
            let outcome = drive.tool("idle", started.address, id, &arguments)?;
            Measured::default().with(&memory, &outcome, "kib_per_conn")
        }),
    }
}

/// The load tool knows one property at most: both versions are driven by the load client here.
fn properties(options: &Options) -> Scenario {
    let title = |which: &str| format!("50 pairs, QoS 0, window 100, own load client: {which}");
    let plain = Quantity::new(title("MQTT 3.1.1"), "us", 3);
    let with = Quantity::new(title("MQTT 5 with three properties"), "us", 3);
    let ratio = Quantity::new(title("MQTT 5 with three properties to MQTT 3.1.1"), "", 3)
        .target(Target::AtMost(1.15));
    let seconds = options.seconds;
    Scenario {
        name: "properties".into(),
        takes: |candidate| candidate.server.is_broker(),
        measure: Box::new(move |drive, _, started| {
            let v5 = started.v5.context("it does not speak MQTT 5")?;
            let id = started.process.id();
            let run = |address, arguments: &str| {
                drive.client("pairs", address, id, &format!("--seconds {seconds} {arguments}"))
            };
            let name = "broker_us_per_delivered";
            let four = run(started.address, "")?;
            let five = run(v5, "--v5 --properties 3")?;
            let mut measured =
                Measured::default().with(&plain, &four, name)?.with(&with, &five, name)?;
            let value = five.get(name)? / four.get(name)?.max(f64::MIN_POSITIVE);
            measured.figures.push(Figure { quantity: ratio.clone(), value });
            Ok(measured)
        }),
    }
}

/// In a round of their own, because counting slows down what is counted.
fn system_calls(options: &Options, report: &mut Report, candidates: &[Candidate]) -> Result<()> {
    let traced = LOADS.iter().filter(|load| load.traced && options.wants(load.name));
    let traced: Vec<&Load> = traced.collect();
    if traced.is_empty() {
        return Ok(());
    }
    if !strace::is_there() {
        report.note("system calls were not counted: there is no strace (Debian: strace)");
        return Ok(());
    }
    let drive = options.drive()?;
    for load in traced {
        let quantity =
            Quantity::new(format!("{}: system calls per delivered message", load.title), "", 4);
        // The relay does not survive that somebody begins to look at it.
        for candidate in candidates.iter().filter(|candidate| candidate.server.is_broker()) {
            let counted = candidate.server.start(&candidate.setup).and_then(|started| {
                let id = started.process.id();
                let strace = Strace::attach(id)?;
                let arguments = format!("{} --seconds {}", load.arguments, options.seconds);
                let outcome = drive.tool(load.mode, started.address, id, &arguments)?;
                Ok(strace.count()? / outcome.get("delivered")?.max(1.0))
            });
            match counted {
                Ok(calls) => {
                    eprintln!("system calls {} {}: {calls:.4}", load.name, candidate.row);
                    report.add(&quantity, &candidate.row, candidate.server.ours(), calls);
                }
                Err(error) => report.note(format!(
                    "system calls of {} at {} were not counted: {error:#}",
                    candidate.row, load.name
                )),
            }
        }
    }
    report.note(
        "system calls are counted with strace, which makes everything slower and turns bigger",
    );
    Ok(())
}
