//! What the ways in cost: the same load over plain TCP, TLS 1.3 and WebSocket, on our broker and on mosquitto. Plain TCP
//! goes through a tunnel as well, so that all are read and written in the same portions.

use anyhow::{Context, Result};

use crate::drive::Drive;
use crate::options::Options;
use crate::process::{Process, free_address, pinned};
use crate::report::{Quantity, Report, Target};
use crate::run::{Candidate, Measured, Scenario, rounds};
use crate::server::{Program, Started};
use crate::tunnel::Way;

/// Idle connections whose memory is measured.
const IDLE: u32 = 1_000;

/// Measures all ways.
///
/// # Errors
/// When there is nothing to measure.
pub fn ways(options: &Options) -> Result<()> {
    let mut servers = options.ours()?;
    servers.extend(options.others()?);
    let mut report = Report::new(Vec::new());
    let mut candidates = Vec::new();
    for server in servers {
        let ways: &[(Way, &str)] = match server.program {
            Program::Wasmqtt(_) => &[(Way::Tcp, "tcp"), (Way::Tls, "tls"), (Way::Ws, "ws")],
            // Debian's is built without WebSockets.
            Program::Mosquitto(_) => &[(Way::Tcp, "tcp"), (Way::Tls, "tls")],
            Program::Relay(_) | Program::Rumqttd(_) => &[],
        };
        report.bases.extend(ways.first().map(|(_, name)| format!("{} {name}", server.name)));
        for (way, name) in ways {
            let mut setup = options.setup();
            setup.way = *way;
            let row = format!("{} {name}", server.name);
            candidates.push(Candidate { server: server.clone(), setup, row });
        }
    }
    report.note("Debian's mosquitto has no WebSockets");
    let seconds = options.seconds;
    let scenarios = [
        pairs("pairs-qos0", "50 pairs, QoS 0, window 100", "--qos 0 --window 100", seconds),
        pairs("pairs-qos1", "50 pairs, QoS 1, window 100", "--qos 1 --window 100", seconds),
        pairs("unbatched", "50 pairs, QoS 0, window 1", "--qos 0 --window 1", seconds),
        idle(),
    ];
    rounds(options, &mut report, &candidates, &scenarios)?;
    options.show(&report)
}

fn pairs(name: &str, title: &str, arguments: &str, seconds: u32) -> Scenario {
    let cpu = Quantity::new(format!("{title}: CPU per delivered message"), "us", 3);
    let arguments = format!("--n 50 {arguments} --seconds {seconds}");
    Scenario {
        name: name.into(),
        takes: |_| true,
        measure: Box::new(move |drive, candidate, started| {
            let tunnel = Tunnel::open(drive, candidate.setup.way, started)?;
            let outcome = tunnel.tool(drive, started, "pairs", &arguments)?;
            Measured::default().with(&cpu, &outcome, "broker_us_per_delivered")
        }),
    }
}

fn idle() -> Scenario {
    let memory = Quantity::new("idle connection with one subscription: memory", "KiB", 1)
        .target(Target::AtMost(20.0));
    Scenario {
        name: "idle".into(),
        takes: |_| true,
        measure: Box::new(move |drive, candidate, started| {
            let tunnel = Tunnel::open(drive, candidate.setup.way, started)?;
            let arguments = format!("--n {IDLE} --settle 1");
            let outcome = tunnel.tool(drive, started, "idle", &arguments)?;
            Measured::default().with(&memory, &outcome, "kib_per_conn")
        }),
    }
}

/// A tunnel in a process of its own, on the cores of the load.
struct Tunnel {
    process: Process,
    listen: std::net::SocketAddr,
    _directory: tempfile::TempDir,
}

impl Tunnel {
    fn open(drive: &Drive, way: Way, started: &Started) -> Result<Self> {
        let directory = tempfile::tempdir().context("no temporary directory")?;
        let listen = free_address()?;
        let name = match way {
            Way::Tcp => "tcp",
            Way::Tls => "tls",
            Way::Ws => "ws",
        };
        let mut command = pinned(Some(&drive.cores), &drive.client);
        command.args(["client", "tunnel", "--way", name, "--listen", &listen.to_string()]);
        command.args(["--address", &started.address.to_string()]);
        command.arg("--ca").arg(started.certificate());
        let mut process = Process::start("tunnel", &mut command, directory.path())?;
        process.wait_until_it_listens(&[listen])?;
        Ok(Self { process, listen, _directory: directory })
    }

    fn tool(
        &self,
        drive: &Drive,
        started: &Started,
        mode: &str,
        arguments: &str,
    ) -> Result<crate::tool::Outcome> {
        let id = started.process.id();
        drive.tool(mode, self.listen, id, arguments).with_context(|| self.process.said())
    }
}
