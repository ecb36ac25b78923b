//! What every measurement is told: programs, cores, rounds, and where figures go.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::drive::Drive;
use crate::report::Report;
use crate::server::{Program, Server, Setup, named};

/// Of every measurement.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A broker of this repository, under a name where there are several; the first is what others are compared to
    #[arg(long = "broker", value_name = "[NAME=]PATH", required = true)]
    brokers: Vec<String>,
    /// The load tool
    #[arg(long, value_name = "PATH")]
    loadgen: PathBuf,
    /// mosquitto, installed or unpacked
    #[arg(long, value_name = "PATH")]
    mosquitto: Option<PathBuf>,
    /// rumqttd
    #[arg(long, value_name = "PATH")]
    rumqttd: Option<PathBuf>,
    /// Where plugins and guests are, as `cargo xtask plugins` leaves them
    #[arg(long, value_name = "DIR", default_value = "target")]
    pub components: PathBuf,
    /// How often everything is measured, all servers one after the other in each
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
    /// How long each time
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub seconds: u32,
    /// Only scenarios whose name begins with one of these
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,
    /// Writes all figures to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws them into a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Cores of the server
    #[arg(long, value_name = "LIST", default_value = "0")]
    server_cores: String,
    /// Cores of the load
    #[arg(long, value_name = "LIST", default_value = "1")]
    load_cores: String,
}

impl Options {
    /// Our brokers.
    ///
    /// # Errors
    /// When there is no such program, or two have one name.
    pub fn ours(&self) -> Result<Vec<Server>> {
        let mut servers: Vec<Server> = Vec::new();
        for text in &self.brokers {
            let (name, path) = named(text, "wasmqtt")?;
            if servers.iter().any(|server| server.name == name) {
                bail!("two brokers are called {name}; write --broker NAME=PATH");
            }
            servers.push(Server { name, program: Program::Wasmqtt(path) });
        }
        Ok(servers)
    }

    /// mosquitto and rumqttd, as far as they are there.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn others(&self) -> Result<Vec<Server>> {
        let program = |path: &PathBuf| {
            path.canonicalize().with_context(|| format!("no program {}", path.display()))
        };
        let mut servers = Vec::new();
        if let Some(path) = &self.mosquitto {
            let program = Program::Mosquitto(program(path)?);
            servers.push(Server { name: "mosquitto".into(), program });
        }
        if let Some(path) = &self.rumqttd {
            let program = Program::Rumqttd(program(path)?);
            servers.push(Server { name: "rumqttd".into(), program });
        }
        Ok(servers)
    }

    /// The floor.
    #[must_use]
    pub fn relay(&self) -> Server {
        Server { name: "relay".into(), program: Program::Relay(self.loadgen.clone()) }
    }

    /// What drives the servers.
    ///
    /// # Errors
    /// When this program does not know where it is.
    pub fn drive(&self) -> Result<Drive> {
        let client = std::env::current_exe().context("where is this program?")?;
        Ok(Drive { tool: self.loadgen.clone(), client, cores: self.load_cores.clone() })
    }

    /// An open server on its core.
    #[must_use]
    pub fn setup(&self) -> Setup {
        Setup::open(Some(self.server_cores.clone()))
    }

    /// Whether a scenario is wanted.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| name.starts_with(only.as_str()))
    }

    /// Rows to compare to: the first of several brokers, and these.
    #[must_use]
    pub fn bases(&self, names: &[&str]) -> Vec<String> {
        let first =
            self.brokers.first().and_then(|text| text.split_once('=')).map(|(name, _)| name);
        let first = first.filter(|_| self.brokers.len() > 1);
        first.into_iter().chain(names.iter().copied()).map(str::to_owned).collect()
    }

    /// Prints the report, and writes it to the files that were asked for.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn show(&self, report: &Report) -> Result<()> {
        print!("{}", report.table());
        let write = |path: &PathBuf, content: String| {
            std::fs::write(path, content)
                .with_context(|| format!("cannot write {}", path.display()))
        };
        if let Some(path) = &self.json {
            write(path, serde_json::to_string_pretty(report)?)?;
        }
        if let Some(path) = &self.svg {
            write(path, report.svg())?;
        }
        Ok(())
    }
}
