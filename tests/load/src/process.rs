//! A program under measure: started on its cores, waited for, read from /proc, ended with its owner.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take until it listens: a slow machine compiles components in this time.
const READY: Duration = Duration::from_secs(120);
/// Clock ticks in a second as /proc counts them: the same on every Linux.
const TICKS: f64 = 100.0;
/// Lines of a program's output that are shown when it fails.
const TAIL: usize = 20;

/// A running program. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// `program`, to be run on these cores only, such as "0" or "0,1"; on all where `cores` is none.
#[must_use]
pub fn pinned(cores: Option<&str>, program: &Path) -> Command {
    match cores {
        None => Command::new(program),
        Some(cores) => {
            // It becomes the program, which so has the process id that was spawned.
            let mut command = Command::new("taskset");
            command.args(["-c", cores]).arg(program);
            command
        }
    }
}

/// An address of this machine where nothing listens at the moment.
///
/// # Errors
/// What the system says.
pub fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

impl Process {
    /// Starts it, with its output in `directory`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command, directory: &Path) -> Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// Waits until it accepts connections at every address.
    ///
    /// # Errors
    /// With the end of its output, when it ends or does not listen within two minutes.
    pub fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        let start = Instant::now();
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                self.check()?;
                if start.elapsed() > READY {
                    bail!("{} does not listen at {address}:\n{}", self.name, self.said());
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(())
    }

    /// # Errors
    /// With the end of its output, when it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} has ended ({status}):\n{}", self.name, self.said()),
            None => Ok(()),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Seconds of processor time that it has used, all threads, those that have ended too, in steps of 10 ms. Of a
    /// short time [`Cpu`] knows more.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        ticks(&stat).map(|ticks| ticks / TICKS).with_context(|| format!("cannot read {path}"))
    }

    /// Resident memory in KiB.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resident(&self) -> Result<f64> {
        resident(self.id())
    }

    /// The end of what it wrote.
    #[must_use]
    pub fn said(&self) -> String {
        let output = fs::read(&self.log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output).into_owned();
        let lines: Vec<&str> = output.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that each thread of a process has used so far.
#[derive(Clone, Debug)]
pub struct Cpu {
    /// Nanoseconds, by thread id.
    threads: BTreeMap<String, u64>,
}

impl Cpu {
    /// Of a process, now.
    ///
    /// # Errors
    /// When there is no such process, or the kernel keeps no such statistics.
    pub fn of(id: u32) -> Result<Self> {
        let path = format!("/proc/{id}/task");
        let mut threads = BTreeMap::new();
        for entry in fs::read_dir(&path).with_context(|| format!("cannot read {path}"))? {
            let entry = entry?;
            // It may end just now.
            let Ok(text) = fs::read_to_string(entry.path().join("schedstat")) else { continue };
            let used = text.split_whitespace().next().and_then(|used| used.parse().ok());
            let used = used.with_context(|| format!("no processor time in `{text}`"))?;
            threads.insert(entry.file_name().to_string_lossy().into_owned(), used);
        }
        if threads.is_empty() {
            bail!("there is no schedstat below {path}");
        }
        Ok(Self { threads })
    }

    /// Seconds of all threads since then. What a thread used that has ended meanwhile is not known.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> f64 {
        let used = self.threads.iter().map(|(thread, used)| {
            used.saturating_sub(earlier.threads.get(thread).copied().unwrap_or_default())
        });
        used.sum::<u64>() as f64 / 1e9
    }
}

/// User and system time: of the fields behind the name, which may hold anything, the 12th and 13th.
fn ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some(field(11)? + field(12)?)
}

/// Resident memory of a process in KiB.
///
/// # Errors
/// When there is no such process.
pub fn resident(id: u32) -> Result<f64> {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.with_context(|| format!("{path} does not say how much memory is resident"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_that_looks_like_fields() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(ticks(stat), Some(200.0));
        assert_eq!(ticks("7 (a) S 1 2"), None);
    }

    #[test]
    fn processor_time_is_of_the_threads_that_are_there() {
        let cpu = |threads: &[(&str, u64)]| Cpu {
            threads: threads.iter().map(|(id, used)| ((*id).to_owned(), *used)).collect(),
        };
        let before = cpu(&[("1", 500), ("2", 9_000)]);
        let after = cpu(&[("1", 1_000_000_500), ("3", 500_000_000)]);
        assert_eq!(after.since(&before), 1.5);
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let before = Cpu::of(std::process::id()).unwrap();
        let start = Instant::now();
        while Cpu::of(std::process::id()).unwrap().since(&before) == 0.0 {
            assert!(start.elapsed() < Duration::from_secs(30));
        }
        assert!(resident(std::process::id()).unwrap() > 100.0);
        assert!(Cpu::of(u32::MAX).is_err());
    }

    #[test]
    fn a_program_that_ends_instead_of_listening_is_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such thing; exit 3"]);
        let mut process = Process::start("broken", &mut command, directory.path()).unwrap();
        let error = process.wait_until_it_listens(&[free_address().unwrap()]).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_program_is_pinned_by_becoming_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = pinned(Some("0"), Path::new("sleep"));
        let process = Process::start("sleep", command.arg("60"), directory.path()).unwrap();
        let comm = format!("/proc/{}/comm", process.id());
        let start = Instant::now();
        while fs::read_to_string(&comm).unwrap().trim() != "sleep" {
            assert!(start.elapsed() < Duration::from_secs(30));
            thread::sleep(Duration::from_millis(5));
        }
    }
}
