//! Programs of others, and our own where it is not a broker: run to their end, or watched line by line. Must not
//! know what they are for.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::PATIENCE;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, within a bound.
pub(crate) fn run(command: &mut Command) -> Ended {
    run_within(command, 2 * PATIENCE)
}

/// As [`run`], of a program that does much.
pub(crate) fn run_within(command: &mut Command, most: Duration) -> Ended {
    let mut child = spawn(command);
    let stdout = child.stdout.take().unwrap();
    let stderr = child.stderr.take().unwrap();
    let stdout = std::thread::spawn(move || read_all(stdout));
    let stderr = std::thread::spawn(move || read_all(stderr));
    let status = wait(&mut child, most);
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    match status {
        Some(code) => Ended { code, stdout, stderr },
        None => panic!("{command:?} did not end in time; it said:\n{stdout}\n{stderr}"),
    }
}

/// A program that runs beside the test; killed when dropped.
pub(crate) struct Running {
    child: Child,
    name: String,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = spawn_with(command, Stdio::inherit());
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, name: format!("{command:?}"), lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `text`; answers it.
    pub(crate) fn wait_for(&mut self, text: &str) -> String {
        self.wait_for_within(text, PATIENCE)
    }

    /// As [`wait_for`](Self::wait_for), of a program that waits for much itself.
    pub(crate) fn wait_for_within(&mut self, text: &str, most: Duration) -> String {
        let deadline = Instant::now() + most;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => self.give_up(text, error),
            }
        }
    }

    /// Everything it said until [`wait_for`](Self::wait_for) answered.
    pub(crate) fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Waits until it ends; answers with what.
    pub(crate) fn wait_for_end(&mut self) -> Option<i32> {
        let Some(code) = wait(&mut self.child, 2 * PATIENCE) else {
            panic!("{} goes on; it said:\n{}", self.name, self.seen.join("\n"));
        };
        self.seen.extend(self.lines.iter());
        code
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    fn give_up(&self, text: &str, error: RecvTimeoutError) -> ! {
        let (name, seen) = (&self.name, self.seen.join("\n"));
        panic!("{name} did not say {text:?} ({error}); it said:\n{seen}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `cargo xtask test` says in the environment about what it has installed.
pub(crate) fn installed(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => path.into(),
        None => panic!("{variable} is not set; run `cargo xtask test`, which installs the clients"),
    }
}

fn spawn(command: &mut Command) -> Child {
    spawn_with(command, Stdio::piped())
}

fn spawn_with(command: &mut Command, stderr: Stdio) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!(
            "cannot start {:?} ({error}); run `cargo xtask test`, which installs what is missing",
            command.get_program()
        ),
    }
}

fn read_all(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is worth showing.
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Kills what does not end in time.
fn wait(child: &mut Child, most: Duration) -> Option<Option<i32>> {
    let start = Instant::now();
    while start.elapsed() < most {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
