//! The real binary under a configuration of the test's own, its log, and the signals it takes. Must not know MQTT.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::program::run;
use super::{PATIENCE, cache, wasmqtt};

/// Appended to a configuration that does not speak of them itself.
const LOG: &str = "\n[log]\nformat = \"json\"\n";
const WORKERS: &str = "\n[broker]\nworkers = 2\n";
/// How long a start may take: a component may have to be compiled while other tests run.
const START: Duration = Duration::from_secs(280);

/// A running broker; killed when dropped.
pub(crate) struct Broker {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    addresses: HashMap<String, SocketAddr>,
    first: String,
    dir: TempDir,
}

#[derive(Default)]
struct Log {
    lines: Mutex<Lines>,
    grew: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    ended: bool,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    text: String,
    value: Value,
}

impl Line {
    fn new(text: String) -> Self {
        let value = serde_json::from_str(&text).unwrap_or_default();
        Self { text, value }
    }

    /// The line as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A field; empty when it is not there.
    pub(crate) fn field(&self, name: &str) -> String {
        match self.value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// What it says, without fields.
    pub(crate) fn message(&self) -> String {
        self.field("message")
    }

    pub(crate) fn level(&self) -> String {
        self.field("level")
    }

    /// Whether message and fields hold this text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.message().contains(text)
            || self.value.as_object().is_some_and(|fields| {
                fields.values().any(|value| value.as_str().is_some_and(|v| v.contains(text)))
            })
    }
}

/// A place in the log.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl Mark {
    /// Before the first line.
    pub(crate) const START: Self = Self(0);
}

impl Broker {
    /// Starts a broker, in a directory of its own, and waits until it is ready.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), config)
    }

    /// As [`start`](Self::start), in a directory that has been prepared.
    pub(crate) fn start_in(dir: TempDir, config: &str) -> Self {
        std::fs::write(dir.path().join("wasmqtt.toml"), complete(config)).unwrap();
        Self::start_at(dir)
    }

    /// As [`start`](Self::start), in a directory that has a configuration already.
    pub(crate) fn start_at(dir: TempDir) -> Self {
        Self::spawn(dir).ready()
    }

    /// Waits until it is.
    fn ready(self) -> Self {
        let mut broker = self;
        let ready = |line: &Line| line.message() == "wasmqtt is ready";
        broker.wait_at_most(START, Mark(0), ready, "its start");
        for line in broker.lines(Mark(0)) {
            if line.message() == "listening" {
                let name = line.field("listener");
                if broker.addresses.is_empty() {
                    broker.first.clone_from(&name);
                }
                // A Unix socket has a path instead.
                if let Ok(addr) = line.field("addr").parse() {
                    broker.addresses.insert(name, addr);
                }
            }
        }
        broker
    }

    /// Starts a broker that takes long to be ready, and waits until it takes signals.
    pub(crate) fn start_slowly(config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("wasmqtt.toml"), complete(config)).unwrap();
        let broker = Self::spawn(dir);
        let start = Instant::now();
        // SIGHUP is the first bit of the mask, SIGTERM the fifteenth.
        while broker
            .status("SigCgt:")
            .is_none_or(|mask| u64::from_str_radix(&mask, 16).unwrap() & 0x4001 != 0x4001)
        {
            assert!(start.elapsed() < PATIENCE, "it takes no signals");
            std::thread::sleep(Duration::from_millis(5));
        }
        broker
    }

    /// As [`start`](Self::start), by a shell that has a word with the system first.
    pub(crate) fn start_behind(words: &str, config: &str) -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("wasmqtt.toml"), complete(config)).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{words} && exec \"$0\" \"$@\"")]).arg(wasmqtt());
        Self::spawn_by(command, dir).ready()
    }

    fn spawn(dir: TempDir) -> Self {
        Self::spawn_by(Command::new(wasmqtt()), dir)
    }

    fn spawn_by(mut command: Command, dir: TempDir) -> Self {
        let path = dir.path().join("wasmqtt.toml");
        let mut child = command
            .args(["run", "--config"])
            .arg(&path)
            .current_dir(dir.path())
            .env("XDG_CACHE_HOME", cache())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Log>::default();
        let stderr = child.stderr.take().unwrap();
        let writer = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                writer.lines.lock().unwrap().lines.push(Line::new(line));
                writer.grew.notify_all();
            }
            writer.lines.lock().unwrap().ended = true;
            writer.grew.notify_all();
        });
        let reader = Some(reader);
        let (addresses, first) = (HashMap::new(), String::new());
        Self { child, log, reader, addresses, first, dir }
    }

    /// Where its first listener listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr_of(&self.first)
    }

    pub(crate) fn addr_of(&self, listener: &str) -> SocketAddr {
        self.addresses[listener]
    }

    /// Its directory; the configuration is `wasmqtt.toml` there.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config_path(&self) -> PathBuf {
        self.dir().join("wasmqtt.toml")
    }

    /// Replaces the configuration file, as an editor does.
    pub(crate) fn write_config(&self, config: &str) {
        self.replace("wasmqtt.toml", complete(config).as_bytes());
    }

    /// Replaces a file in its directory at once.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) {
        let new = self.dir().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.dir().join(name)).unwrap();
    }

    /// The end of the log so far.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.log.lines.lock().unwrap().lines.len())
    }

    /// Everything that has been logged since.
    pub(crate) fn lines(&self, since: Mark) -> Vec<Line> {
        self.log.lines.lock().unwrap().lines[since.0..].to_vec()
    }

    /// Waits for a line whose message or fields hold this text.
    pub(crate) fn wait_for(&self, since: Mark, text: &str) -> Line {
        self.wait_at_most(PATIENCE, since, |line| line.holds(text), text)
    }

    /// Waits for a line like that.
    pub(crate) fn wait_until(
        &self,
        since: Mark,
        is_it: impl Fn(&Line) -> bool,
        what: &str,
    ) -> Line {
        self.wait_at_most(PATIENCE, since, is_it, what)
    }

    fn wait_at_most(
        &self,
        most: Duration,
        since: Mark,
        is_it: impl Fn(&Line) -> bool,
        what: &str,
    ) -> Line {
        let deadline = Instant::now() + most;
        let mut seen = since.0;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(line) = lines.lines[seen..].iter().find(|line| is_it(line)) {
                return line.clone();
            }
            seen = lines.lines.len();
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                let why = if lines.ended { "the broker ended" } else { "time is over" };
                // The log is shown when the broker is dropped.
                drop(lines);
                panic!("waited for {what:?} in the log, and {why}");
            }
            lines = self.log.grew.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// Puts another configuration in force with SIGHUP, and waits until it is.
    pub(crate) fn reload(&self, config: &str) -> Line {
        let mark = self.mark();
        self.write_config(config);
        self.hang_up();
        self.wait_for(mark, "reload applied")
    }

    /// Tries to put another configuration in force with SIGHUP, and waits for the refusal.
    pub(crate) fn refuse_reload(&self, config: &str) -> Line {
        let mark = self.mark();
        self.write_config(config);
        self.hang_up();
        // The watcher may be at what was written before, and say so now.
        let line = self.wait_for(mark, "reload: SIGHUP");
        let lines = self.lines(mark);
        let heeded = lines.iter().position(|other| other.text() == line.text()).unwrap();
        let since = Mark(mark.0 + heeded);
        // A component that never comes to its end is given five seconds of processor time.
        self.wait_at_most(START, since, |line| line.holds("reload refused"), "reload refused")
    }

    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    fn signal(&self, name: &str) {
        // The shell's own `kill` is everywhere, the program is not.
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for the end of the process, which was told to end: no client kept it for as long as clients may.
    pub(crate) fn ends_at_once(&mut self) {
        let status = self.wait_for_exit();
        assert_eq!(status.code(), Some(0), "{status}");
        let held_up = |line: &Line| line.holds("not everybody took the hint");
        assert!(!self.lines(Mark(0)).iter().any(held_up), "it waited for somebody");
    }

    /// Stops it with SIGTERM and starts it again in its directory. It listens wherever there is a place.
    pub(crate) fn restart(mut self) -> Self {
        self.terminate();
        self.ends_at_once();
        self.start_again()
    }

    /// Kills it, so that it cannot tell anybody, and starts it again likewise.
    pub(crate) fn crash(mut self) -> Self {
        self.child.kill().unwrap();
        self.wait_for_exit();
        self.start_again()
    }

    fn start_again(mut self) -> Self {
        let dir = std::mem::replace(&mut self.dir, TempDir::new().unwrap());
        Self::start_at(dir)
    }

    /// Waits for the end of the process and of its log.
    fn wait_for_exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < PATIENCE, "the broker did not end"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Its resident memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let resident = self.status("VmRSS:").unwrap();
        resident.trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// A line of what the kernel says of the process.
    fn status(&self, name: &str) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("the broker's log:");
            for line in &self.log.lines.lock().unwrap().lines {
                eprintln!("  {}", line.text);
            }
        }
    }
}

/// `config` with a log that the harness can read, and with two workers. At the end, so that lines keep their
/// numbers.
pub(crate) fn complete(config: &str) -> String {
    let mut text = config.to_owned();
    for (table, section) in [("[log]", LOG), ("[broker]", WORKERS)] {
        if !config.contains(table) {
            text.push_str(section);
        }
    }
    text
}

/// Runs a broker that must not start; answers what it tells the operator.
pub(crate) fn refuse_to_start(config: &str) -> String {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("wasmqtt.toml");
    std::fs::write(&path, complete(config)).unwrap();
    let mut command = Command::new(wasmqtt());
    command.args(["run", "--config", "wasmqtt.toml"]).current_dir(dir.path());
    let ended = run(command.env("XDG_CACHE_HOME", cache()));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    ended.stderr
}
