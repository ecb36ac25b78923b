//! Counts the system calls of a process with strace. What is counted is slowed down by it, so that times of such a run
//! mean nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long strace may take to begin and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A strace that is attached.
#[derive(Debug)]
pub struct Strace {
    child: Child,
    directory: tempfile::TempDir,
}

/// Whether there is one.
#[must_use]
pub fn is_there() -> bool {
    let mut command = Command::new("strace");
    command.arg("-V").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Strace {
    /// Counts from now on.
    ///
    /// # Errors
    /// When it may not look at the process.
    pub fn attach(process: u32) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let log = fs::File::create(directory.path().join("log"))?;
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-p", &process.to_string(), "-o"]);
        command.arg(directory.path().join("counts")).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(log).spawn().context("cannot start strace")?;
        let mut strace = Self { child, directory };
        let start = Instant::now();
        while !strace.said().contains("attached") {
            if strace.child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
                bail!("strace cannot look at process {process}: {}", strace.said().trim());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(strace)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Stops, and answers how many system calls there were.
    ///
    /// # Errors
    /// When it does not say.
    pub fn count(mut self) -> Result<f64> {
        // It lets go of the process and writes what it counted when it is interrupted.
        let mut kill = Command::new("kill");
        kill.args(["-INT", &self.child.id().to_string()]).status().context("cannot start kill")?;
        let start = Instant::now();
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                bail!("strace does not end");
            }
            thread::sleep(Duration::from_millis(10));
        }
        let path: PathBuf = self.directory.path().join("counts");
        let counts = fs::read_to_string(path).context("strace has written nothing")?;
        total(&counts).with_context(|| format!("strace has counted nothing:\n{counts}"))
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fourth column of the last line, which ends with `total`.
fn total(counts: &str) -> Option<f64> {
    let line = counts.lines().find(|line| line.trim_end().ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read_with_and_without_errors() {
        let counts = "% time     seconds  usecs/call     calls    errors syscall\n\
                      ------ ----------- ----------- --------- --------- ----------------\n \
                      60.00    0.000006           3      1234         1 write\n\
                      ------ ----------- ----------- --------- --------- ----------------\n\
                      100.00    0.000010           1      5678         1 total\n";
        assert_eq!(total(counts), Some(5678.0));
        assert_eq!(total("100.00    0.000010           1       42           total\n"), Some(42.0));
        assert_eq!(total(""), None);
    }
}
