//! The real codec and core in a world made from a seed: lanes instead of threads, virtual time, wires that split,
//! delay and lose bytes, judges that are replaced under way, and clients of all versions that do whatever they may.
//! An auditor knows what must come of it. A seed replays a run exactly.
//!
//! Stands where the shell stands, so it must not look into the core for what it could see from outside.

// This package is a test: a broken assumption of its own has to stop it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod auditor;
mod client;
mod driver;
mod judge;
mod plan;
mod publication;
mod random;
mod saboteur;
mod trace;
mod wire;
mod workload;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use plan::Plan;
pub use saboteur::Sabotage;
use saboteur::Saboteur;
use world::World;

/// How a run is to be done, besides its seed.
#[derive(Copy, Clone, Debug, Default)]
pub struct Options {
    /// A fault to commit between the core and the world.
    pub sabotage: Option<Sabotage>,
    /// Whether every event is printed.
    pub aloud: bool,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it was made from.
    pub seed: u64,
    /// Of everything that happened: the same for the same seed.
    pub hash: u64,
    /// Steps taken, healing included.
    pub steps: u64,
    /// Events in the trace.
    pub events: u64,
    /// Application messages that were compared on their way out.
    pub delivered: u64,
    /// Whether the saboteur found an opportunity.
    pub is_sabotaged: bool,
    /// The first thing that was wrong.
    pub failure: Option<String>,
    /// The last events, oldest first.
    pub last: Vec<String>,
}

impl Report {
    /// Everything somebody needs who looks for the reason of a failure.
    pub fn story(&self) -> String {
        let failure = self.failure.as_deref().unwrap_or("nothing is wrong");
        let last = self.last.join("\n");
        format!(
            "seed {} at step {}: {failure}\n{last}\nreplay it: cargo xtask sim --seed {}\n",
            self.seed, self.steps, self.seed
        )
    }
}

/// One run, from beginning to end.
pub fn run(seed: u64, options: Options) -> Report {
    let mut world = World::new(Plan::new(seed), Saboteur::new(options.sabotage), options.aloud);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let auditor = match outcome {
        Ok(()) => world.auditor.borrow(),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            if let Ok(mut auditor) = world.auditor.try_borrow_mut() {
                auditor.fail(format!("panic: {}", text.unwrap_or_default()));
            }
            world.auditor.borrow()
        }
    };
    Report {
        seed,
        hash: auditor.trace.hash(),
        steps: world.step,
        events: auditor.trace.events(),
        delivered: auditor.delivered,
        // What was left behind, reached nobody and was missed by nobody is no fault.
        is_sabotaged: world.saboteur.has_acted
            || world.saboteur.has_tried() && auditor.failure().is_some(),
        failure: auditor.failure().map(str::to_owned),
        last: auditor.trace.last(),
    }
}
