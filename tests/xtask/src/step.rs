//! Running other programs: said before, bounded in time, and with their output when they fail.

use std::fs::{self, File};
use std::io::{IsTerminal, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::tree;

/// How long a step that goes out to the network may take before it is given up.
pub(crate) const NETWORK: Duration = Duration::from_secs(600);

/// How long a build or a test run may take before it is given up: far beyond what two cores need.
pub(crate) const BUILD: Duration = Duration::from_secs(3_600);

/// Lines of a quiet program's output that are shown when it fails.
const TAIL: usize = 60;

/// One line that says what is done now and why.
pub(crate) fn say(what: impl AsRef<str>) {
    let mut out = std::io::stdout().lock();
    let bold = if out.is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    // Whoever closed the pipe does not want to read it.
    let _ = writeln!(out, "{}== {}{}", bold.0, what.as_ref(), bold.1);
    let _ = out.flush();
}

/// Runs the program with its output on the terminal.
pub(crate) fn run(command: &mut Command, limit: Duration) -> Result<()> {
    let name = name(command);
    let child = command.spawn().with_context(|| cannot_start(&name))?;
    let status = wait(child, &name, limit)?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs the program and keeps its output to itself, unless it fails.
pub(crate) fn run_quietly(command: &mut Command, limit: Duration) -> Result<()> {
    let name = name(command);
    let (status, output) = capture(command, &name, limit)?;
    if !status.success() {
        let lines: Vec<&str> = output.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default().join("\n");
        bail!("`{name}` failed ({status}):\n{tail}");
    }
    Ok(())
}

/// How the program ends, and what it writes to both streams.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<(ExitStatus, String)> {
    let name = name(command);
    capture(command, &name, limit)
}

/// What the program writes, both streams, when it ends well within the limit; none otherwise.
pub(crate) fn answer(command: &mut Command, limit: Duration) -> Option<String> {
    let name = name(command);
    let (status, output) = capture(command, &name, limit).ok()?;
    status.success().then(|| output.trim().to_owned())
}

/// Whether a program of this name can be started; `--version` must be harmless.
pub(crate) fn exists(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// Into a file and not a pipe: what outlives the program cannot hold the reader up.
fn capture(command: &mut Command, name: &str, limit: Duration) -> Result<(ExitStatus, String)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let directory = tree::target("xtask");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let path = directory.join(format!("{}-{number}.log", std::process::id()));
    let said = || format!("cannot write {}", path.display());
    let log = File::create(&path).with_context(said)?;
    command.stdin(Stdio::null());
    command.stdout(log.try_clone().with_context(said)?).stderr(log);
    let ended = command
        .spawn()
        .with_context(|| cannot_start(name))
        .and_then(|child| wait(child, name, limit));
    let output = fs::read(&path).unwrap_or_default();
    // Nobody else knows the file; leaving it would be all the harm there is.
    let _ = fs::remove_file(&path);
    Ok((ended?, String::from_utf8_lossy(&output).into_owned()))
}

fn wait(mut child: Child, name: &str, limit: Duration) -> Result<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) =
            child.try_wait().with_context(|| format!("cannot wait for `{name}`"))?
        {
            return Ok(status);
        }
        if start.elapsed() > limit {
            // It may have ended by itself in this moment.
            let _ = child.kill();
            let _ = child.wait();
            bail!(
                "`{name}` was stopped after {} s; is the network or the machine unusually slow?",
                limit.as_secs()
            );
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn name(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy().into_owned()));
    words.join(" ")
}

fn cannot_start(name: &str) -> String {
    format!("cannot start `{name}`; is it installed and on the PATH?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let start = Instant::now();
        let error = run_quietly(&mut shell("exec sleep 600"), Duration::from_millis(100));
        assert!(error.unwrap_err().to_string().contains("was stopped after"));
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_quiet_program_is_heard_when_it_fails() {
        let script = "for i in $(seq 1 70); do echo line $i; done; exit 3";
        let error = run_quietly(&mut shell(script), BUILD).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("line 70"), "{error}");
        assert!(error.contains("line 11\n") && !error.contains("line 10\n"), "{error}");
    }

    #[test]
    fn only_a_program_that_succeeds_gives_an_answer() {
        assert_eq!(answer(&mut shell("echo ' 7 '"), BUILD).as_deref(), Some("7"));
        assert_eq!(answer(&mut shell("echo 7; exit 1"), BUILD), None);
        assert_eq!(answer(&mut Command::new("no-such-program"), BUILD), None);
        assert!(exists("sh") && !exists("no-such-program"));
    }
}
