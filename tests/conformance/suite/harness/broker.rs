//! The real binary, open to everybody, and its end. Must not know MQTT.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use serde_json::Value;
use tempfile::TempDir;

use super::PATIENCE;

const CONFIG: &str = "\
[[listener]]
name = \"mqtt\"
bind = \"127.0.0.1:0\"
anonymous = true
default = \"allow\"

[broker]
workers = 2

[log]
format = \"json\"
";

/// A running broker; killed when dropped, and then its log is shown if the test failed.
pub(crate) struct Broker {
    child: Child,
    addr: SocketAddr,
    reader: Option<JoinHandle<Vec<String>>>,
    _dir: TempDir,
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self::with_limits("")
    }

    /// With lines of `[limits]`.
    pub(crate) fn with_limits(limits: &str) -> Self {
        Self::with_config(&format!("{CONFIG}\n[limits]\n{limits}\n"))
    }

    /// With keys of `[[listener]]`.
    pub(crate) fn with_listener(keys: &str) -> Self {
        Self::with_config(&CONFIG.replacen("anonymous", &format!("{keys}\nanonymous"), 1))
    }

    /// Where the user of [`scram`](super::scram) comes in by SCRAM, and nobody else.
    pub(crate) fn with_scram() -> Self {
        let config = CONFIG.replacen("anonymous = true", "authenticate = [\"scram\"]", 1);
        let path = program().ancestors().nth(2).unwrap().join("plugins/scram.wasm");
        assert!(path.is_file(), "{} is missing; run `cargo xtask plugins`", path.display());
        Self::with_config(&format!(
            "{config}\n[[plugin]]\nname = \"scram\"\npath = \"{}\"\n\
             limits = {{ authenticate = \"20s\" }}\n[plugin.config.users]\n{}",
            path.display(),
            super::scram::USER
        ))
    }

    fn with_config(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("wasmqtt.toml");
        std::fs::write(&path, config).unwrap();
        let mut child = Command::new(program())
            .args(["run", "--config"])
            .arg(&path)
            .current_dir(dir.path())
            .env("XDG_CACHE_HOME", dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            let mut log = Vec::new();
            for line in stderr.lines().map_while(Result::ok) {
                // Nobody listens any more once the address is known.
                let _ = sender.send(line.clone());
                log.push(line);
            }
            log
        });
        let addr = address(&lines);
        Self { child, addr, reader: Some(reader), _dir: dir }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.reader.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        if std::thread::panicking() {
            log.iter().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Waits until the broker is ready; answers where it listens.
fn address(lines: &Receiver<String>) -> SocketAddr {
    let mut addr = None;
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("the broker did not start");
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        match line["message"].as_str() {
            Some("listening") => addr = line["addr"].as_str().and_then(|addr| addr.parse().ok()),
            Some("wasmqtt is ready") => return addr.expect("no address in the log"),
            _ => {}
        }
    }
}

/// The broker's program: next to this one.
fn program() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("wasmqtt");
    assert!(path.is_file(), "{} is missing; run `cargo build -p wasmqtt`", path.display());
    path
}
