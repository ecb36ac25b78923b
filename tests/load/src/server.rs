//! The servers that are compared, and how each is told to listen, with nothing that slows it down.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{Process, free_address, pinned};
use crate::tunnel::{NAME, Way};

/// Files of a server that speaks TLS.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Which program it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The broker of this repository.
    Wasmqtt(PathBuf),
    /// The load tool as a server that is no broker: the floor.
    Relay(PathBuf),
    /// Debian's.
    Mosquitto(PathBuf),
    /// From the registry.
    Rumqttd(PathBuf),
}

/// A program under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// As the report calls it.
    pub name: String,
    /// What it is.
    pub program: Program,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Cores that it may use, such as "0".
    pub cores: Option<String>,
    /// Threads for clients, of our broker.
    pub workers: usize,
    /// How it is reached.
    pub way: Way,
    /// Lines for the listener of our broker's configuration.
    pub listener: String,
    /// Lines behind it.
    pub rest: String,
}

impl Setup {
    /// One worker on these cores, and whoever comes may do everything.
    #[must_use]
    pub fn open(cores: Option<String>) -> Self {
        let listener = "preset = \"open\"\n".into();
        Self { cores, workers: 1, way: Way::Tcp, listener, rest: String::new() }
    }
}

/// A server that listens. It ends when this is dropped, and leaves nothing behind.
#[derive(Debug)]
pub struct Started {
    /// Its process.
    pub process: Process,
    /// Where it speaks MQTT 3.1.1, and MQTT 5 as well unless `v5` is another address.
    pub address: SocketAddr,
    /// Where it speaks MQTT 5; none where it does not.
    pub v5: Option<SocketAddr>,
    /// Its configuration and its output.
    directory: TempDir,
}

impl Started {
    /// Its certificate, where it speaks TLS.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join(CERTIFICATE)
    }
}

impl Server {
    /// Whether this is the broker of this repository.
    #[must_use]
    pub fn ours(&self) -> bool {
        matches!(self.program, Program::Wasmqtt(_))
    }

    /// Whether it is a broker at all.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        !matches!(self.program, Program::Relay(_))
    }

    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// With what it said, when it does not.
    pub fn start(&self, setup: &Setup) -> Result<Started> {
        let directory = tempfile::tempdir().context("no temporary directory")?;
        let (address, other) = (free_address()?, free_address()?);
        if setup.way == Way::Tls {
            certify(directory.path())?;
        }
        let (mut command, v5) = match &self.program {
            Program::Wasmqtt(program) => {
                let configuration = wasmqtt(setup, address, directory.path());
                (wasmqtt_command(setup, program, directory.path(), &configuration)?, Some(address))
            }
            Program::Relay(program) => {
                let mut command = pinned(setup.cores.as_deref(), program);
                command.args(["relay", "--addr", &address.to_string()]);
                (command, None)
            }
            Program::Mosquitto(program) => {
                let path = written(
                    directory.path(),
                    "mosquitto.conf",
                    &mosquitto(setup, address, directory.path()),
                )?;
                let mut command = pinned(setup.cores.as_deref(), program);
                command.arg("-c").arg(path).env("LD_LIBRARY_PATH", libraries(program));
                (command, Some(address))
            }
            Program::Rumqttd(program) => {
                let path = written(directory.path(), "rumqttd.toml", &rumqttd(address, other))?;
                let mut command = pinned(setup.cores.as_deref(), program);
                command.arg("-c").arg(path);
                (command, Some(other))
            }
        };
        let mut process = Process::start("server", &mut command, directory.path())?;
        let both = [Some(address), v5];
        let addresses: Vec<SocketAddr> = both.into_iter().flatten().collect();
        process.wait_until_it_listens(&addresses)?;
        Ok(Started { process, address, v5, directory })
    }
}

fn written(directory: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A certificate that vouches for itself.
fn certify(directory: &Path) -> Result<()> {
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
    written(directory, CERTIFICATE, &certificate.pem())?;
    written(directory, KEY, &key.serialize_pem())?;
    Ok(())
}

fn wasmqtt_command(
    setup: &Setup,
    program: &Path,
    directory: &Path,
    configuration: &str,
) -> Result<Command> {
    let path = written(directory, "wasmqtt.toml", configuration)?;
    let mut command = pinned(setup.cores.as_deref(), program);
    command.args(["run", "--config"]).arg(path);
    Ok(command)
}

fn wasmqtt(setup: &Setup, address: SocketAddr, directory: &Path) -> String {
    let Setup { workers, listener, rest, .. } = setup;
    let protocol = match setup.way {
        Way::Tcp => String::new(),
        Way::Ws => "protocol = \"ws\"\n".to_owned(),
        Way::Tls => format!(
            "protocol = \"tls\"\ntls.certificate = {:?}\ntls.key = {:?}\n",
            directory.join(CERTIFICATE),
            directory.join(KEY)
        ),
    };
    let mut text = String::new();
    let _ = write!(
        text,
        "[broker]\nworkers = {workers}\ndata_dir = {:?}\n\n[log]\nlevel = \"warn\"\n\n[[listener]]\nname = \"mqtt\"\n\
         bind = \"{address}\"\n{protocol}{listener}\n{rest}\n",
        directory.join("data")
    );
    text
}

/// Without the small windows that it has by default: ours has no smaller ones than these.
fn mosquitto(setup: &Setup, address: SocketAddr, directory: &Path) -> String {
    let tls = match setup.way {
        Way::Tls => format!(
            "certfile {}\nkeyfile {}\ntls_version tlsv1.3\n",
            directory.join(CERTIFICATE).display(),
            directory.join(KEY).display()
        ),
        _ => String::new(),
    };
    format!(
        "listener {} {}\nallow_anonymous true\npersistence false\nuser root\nset_tcp_nodelay true\n\
         max_queued_messages 0\nmax_inflight_messages 1024\nlog_dest stderr\nlog_type error\n{tls}",
        address.port(),
        address.ip()
    )
}

/// Its libraries, where Debian's packages were unpacked and not installed.
fn libraries(program: &Path) -> PathBuf {
    // ROOT/usr/sbin/mosquitto
    let root = program.ancestors().nth(3).unwrap_or(Path::new("/"));
    root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

fn rumqttd(v4: SocketAddr, v5: SocketAddr) -> String {
    let mut text = String::from(
        "id = 0\n[router]\nid = 0\nmax_connections = 20010\nmax_outgoing_packet_count = 200\n\
         max_segment_size = 104857600\nmax_segment_count = 10\n",
    );
    for (version, address) in [("v4", v4), ("v5", v5)] {
        let _ = write!(
            text,
            "[{version}.1]\nname = \"{version}-1\"\nlisten = \"{address}\"\nnext_connection_delay_ms = 1\n\
             [{version}.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\n\
             max_inflight_count = 100\ndynamic_filters = true\n"
        );
    }
    text
}

/// `NAME=PATH`, or a path alone, which is called `default`.
///
/// # Errors
/// When there is no such file.
pub fn named(text: &str, default: &str) -> Result<(String, PathBuf)> {
    let (name, path) = text.split_once('=').unwrap_or((default, text));
    let path = fs::canonicalize(path).with_context(|| format!("no program {path}"))?;
    if name.is_empty() || !path.is_file() {
        bail!("`{text}` is not NAME=PATH of a program");
    }
    Ok((name.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_has_a_name_of_its_own_or_the_default_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), "b", "").unwrap().canonicalize().unwrap();
        let text = path.display().to_string();
        assert_eq!(named(&text, "wasmqtt").unwrap(), ("wasmqtt".to_owned(), path.clone()));
        assert_eq!(named(&format!("old={text}"), "x").unwrap(), ("old".to_owned(), path));
        assert!(named(&format!("={text}"), "x").is_err());
        assert!(named("old=/no/such/program", "x").is_err());
    }

    #[test]
    fn libraries_are_where_the_packages_were_unpacked() {
        let libraries = libraries(Path::new("/a/b/usr/sbin/mosquitto"));
        assert!(libraries.starts_with("/a/b/usr/lib"), "{libraries:?}");
    }
}
