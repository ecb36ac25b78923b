//! What happened, in order: a hash of all of it, and the last events in words. Knows nothing of their meaning.

use std::collections::VecDeque;
use std::fmt::{Arguments, Write};

/// Events that are kept in words.
const KEPT: usize = 40;

/// The course of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    events: u64,
    last: VecDeque<String>,
    step: u64,
    now: u64,
    aloud: bool,
}

impl Trace {
    /// Prints every event, too, when it is to be told `aloud`.
    pub(crate) fn new(aloud: bool) -> Self {
        let hash = 0xCBF2_9CE4_8422_2325;
        Self { hash, events: 0, last: VecDeque::new(), step: 0, now: 0, aloud }
    }

    pub(crate) fn at(&mut self, step: u64, now: u64) {
        (self.step, self.now) = (step, now);
    }

    pub(crate) fn note(&mut self, event: Arguments<'_>) {
        let mut line = match self.last.len() < KEPT {
            true => String::new(),
            false => self.last.pop_front().unwrap_or_default(),
        };
        line.clear();
        let _ = write!(line, "{:>5} {:>7} ms  {event}", self.step, self.now);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if self.aloud {
            println!("{line}");
        }
        self.events += 1;
        self.last.push_back(line);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn last(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }
}
