//! What much of everything costs: subscriptions, retained messages, subscribers of one topic, connections, and clients
//! that come and go.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::drive::Drive;
use crate::options::Options;
use crate::process::{Process, pinned};
use crate::report::{Quantity, Report};
use crate::run::{Candidate, Measured, Scenario, rounds};
use crate::server::{Server, Setup, Started};

/// Connections of one process, whose open files are limited to little more.
const CONNECTIONS: u32 = 19_000;
/// What our broker must allow for it.
const LIMITS: &str = "[limits]\nmax_subscriptions = 1000000\nmax_retained_messages = 1000000\nmax_handshakes = 100000\n";

/// Measures all of it.
///
/// # Errors
/// When there is nothing to measure.
pub fn scale(options: &Options) -> Result<()> {
    let mut servers = options.ours()?;
    servers.extend(options.others()?);
    let mut report = Report::new(options.bases(&["mosquitto"]));
    let candidates: Vec<Candidate> =
        servers.into_iter().map(|server| candidate(server, options.setup())).collect();
    let scenarios = [
        subscriptions(),
        retained(),
        one_topic(options.seconds),
        connections(),
        storm(options.seconds),
    ];
    rounds(options, &mut report, &candidates, &scenarios)?;
    options.show(&report)
}

fn candidate(server: Server, mut setup: Setup) -> Candidate {
    setup.rest = LIMITS.into();
    Candidate::plain(server, setup)
}

fn subscriptions() -> Scenario {
    let title =
        |which: &str| format!("1,000,000 subscriptions, one in ten with a wildcard: {which}");
    let time = Quantity::new(title("time to make them"), "s", 2);
    let cpu = Quantity::new(title("CPU of each"), "us", 3);
    let memory = Quantity::new(title("memory of each"), "B", 0);
    let publish = Quantity::new(title("CPU per message, each to another topic"), "us", 3);
    let few =
        Quantity::new("10,000 subscriptions: CPU per message, each to another topic", "us", 3);
    Scenario {
        name: "subscriptions".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let run = |arguments| drive.client("subscriptions", started.address, id, arguments);
            let many = run("--subscriptions 1000000")?;
            // The connections of the first are gone, and their sessions with them.
            let little = run("--subscriptions 10000")?;
            Measured::default()
                .with(&time, &many, "subscribe_s")?
                .with(&cpu, &many, "us_per_subscription")?
                .with(&memory, &many, "bytes_per_subscription")?
                .with(&publish, &many, "broker_us_per_delivered")?
                .with(&few, &little, "broker_us_per_delivered")
        }),
    }
}

fn retained() -> Scenario {
    let title = |which: &str| format!("100,000 retained messages: {which}");
    let memory = Quantity::new(title("memory of each"), "B", 0);
    let time = Quantity::new(title("time to read all by #"), "s", 3);
    let cpu = Quantity::new(title("CPU per message read"), "us", 3);
    Scenario {
        name: "retained".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let outcome = drive.client("retained", started.address, id, "")?;
            Measured::default()
                .with(&memory, &outcome, "bytes_per_retained")?
                .with(&time, &outcome, "read_s")?
                .with(&cpu, &outcome, "broker_us_per_delivered")
        }),
    }
}

fn one_topic(seconds: u32) -> Scenario {
    let cpu = Quantity::new(
        "one topic with 10,000 subscribers, window 50: CPU per delivered message",
        "us",
        3,
    );
    let arguments = format!("--n 10000 --window 50 --qos 0 --seconds {seconds}");
    Scenario {
        name: "one-topic".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let id = started.process.id();
            let outcome = drive.tool("fanout", started.address, id, &arguments)?;
            Measured::default().with(&cpu, &outcome, "broker_us_per_delivered")
        }),
    }
}

fn connections() -> Scenario {
    let title = |which: &str| format!("19,000 connections with one subscription each: {which}");
    let memory = Quantity::new(title("memory of each"), "KiB", 2);
    let cpu = Quantity::new(title("CPU to let one in"), "us", 1);
    Scenario {
        name: "connections".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let arguments = format!("--n {CONNECTIONS} --settle 1");
            let id = started.process.id();
            let outcome = drive.tool("idle", started.address, id, &arguments)?;
            Measured::default().with(&memory, &outcome, "kib_per_conn")?.with(
                &cpu,
                &outcome,
                "broker_cpu_us_per_conn",
            )
        }),
    }
}

/// The others publish before it, and while it goes on.
fn storm(seconds: u32) -> Scenario {
    let title = |which: &str| format!("1,000 messages a second: {which}");
    let calm = Quantity::new(title("p99 of their latency"), "us", 0);
    let p99 = Quantity::new(title("p99 while 1,000 clients a second come and go"), "us", 0);
    Scenario {
        name: "storm".into(),
        takes: |_| true,
        measure: Box::new(move |drive, _, started| {
            let arguments = format!("--rate 1000 --seconds {seconds}");
            let id = started.process.id();
            let others = || drive.client("pairs", started.address, id, &arguments);
            let before = others()?;
            let directory = tempfile::tempdir()?;
            let mut storm = begin_storm(drive, started, seconds + 4, &directory)?;
            thread::sleep(Duration::from_secs(1));
            let during = others()?;
            storm.check()?;
            Measured::default().with(&calm, &before, "p99")?.with(&p99, &during, "p99")
        }),
    }
}

/// It goes on for longer than what is measured; its end is ours.
fn begin_storm(
    drive: &Drive,
    started: &Started,
    seconds: u32,
    directory: &tempfile::TempDir,
) -> Result<Process> {
    let mut command = pinned(Some(&drive.cores), &drive.client);
    command.args(["client", "storm", "--address", &started.address.to_string()]);
    command.args(["--process", &started.process.id().to_string()]);
    command.args(["--seconds", &seconds.to_string()]);
    Process::start("storm", &mut command, directory.path())
}
