//! One attack after the other, each on a broker of its own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::attack::{Attack, Effort, Stage};
use crate::crowd::{Crowd, Noticed};
use crate::target::Target;

/// How much is done.
#[derive(Clone, Debug)]
pub struct Scale {
    /// How long an attack lasts.
    pub time: Duration,
    /// Well-behaved clients.
    pub clients: usize,
    /// Messages that they publish in a second.
    pub rate: f64,
    /// Connections of an attack that is about their number.
    pub connections: usize,
}

/// What came of an attack.
#[derive(Debug)]
pub struct Outcome {
    /// Of the attack.
    pub name: &'static str,
    /// What was done; none where it could not be tried on this machine.
    pub effort: Option<Effort>,
    /// By the well-behaved.
    pub noticed: Noticed,
    /// The most memory of the broker, in KiB.
    pub peak: f64,
    /// Its memory before the attack, in KiB.
    pub before: f64,
    /// Seconds of processor time that the broker used, and how long it took.
    pub cpu: f64,
    /// Seconds of the whole exchange.
    pub wall: f64,
}

impl Outcome {
    /// Whether the well-behaved have lost nothing.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.noticed.lost() == 0 && self.noticed.closed == 0 && self.noticed.sent > 0
    }
}

/// Allows this process, and the broker that it starts, as many files as the system lets it have.
///
/// # Errors
/// What the system says.
pub fn allow_files() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot allow more open files")
}

/// Starts a broker, lets the well-behaved in, and attacks it.
///
/// # Errors
/// When the broker does not start, or ends, or does not let the well-behaved in.
pub fn run(attack: &Attack, program: &Path, scale: &Scale) -> Result<Outcome> {
    let mut target = Target::start(program)?;
    let crowd = Crowd::enter(target.tcp, scale.clients)?;
    let (cpu, before, start) = (target.process.cpu()?, target.process.resident()?, Instant::now());
    let (over, quiet) = (AtomicBool::new(false), AtomicBool::new(false));
    let effort = Effort::default();
    let done = thread::scope(|scope| {
        let exchange = scope.spawn(|| crowd.exchange(scale.rate, &quiet));
        let stage = Stage { target: &target, over: &over, effort: &effort, scale };
        let attacker = scope.spawn(move || (attack.begin)(&stage));
        while start.elapsed() < scale.time && !exchange.is_finished() {
            thread::sleep(Duration::from_millis(10));
        }
        // What arrives late because of the attack is looked at while it lasts.
        quiet.store(true, Ordering::Relaxed);
        let noticed = exchange.join().map_err(|_| anyhow!("the well-behaved failed"));
        over.store(true, Ordering::Relaxed);
        let attacked = attacker.join().map_err(|_| anyhow!("the attack {} failed", attack.name));
        anyhow::Ok((noticed??, attacked??))
    });
    let (noticed, tried) = done.with_context(|| format!("attack {}", attack.name))?;
    target.process.check().context("the broker did not survive")?;
    Ok(Outcome {
        name: attack.name,
        effort: tried.then_some(effort),
        noticed,
        peak: target.peak()?,
        before,
        cpu: target.process.cpu()? - cpu,
        wall: start.elapsed().as_secs_f64(),
    })
}
