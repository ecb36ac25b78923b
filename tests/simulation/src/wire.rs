//! One direction of a connection: bytes that arrive late, in any pieces, or not at all. Knows nothing of packets.

use std::collections::VecDeque;

use crate::random::Random;

/// What a look at the end of a wire gives.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Nothing,
    Bytes(Vec<u8>),
    End,
}

/// Bytes under way, in order.
#[derive(Debug)]
pub(crate) struct Wire {
    chunks: VecDeque<(u64, Vec<u8>)>,
    size: usize,
    capacity: usize,
    latency: u64,
    /// Nothing more comes.
    ended: bool,
    /// Nobody reads any more.
    broken: bool,
}

impl Wire {
    pub(crate) fn new(capacity: usize, latency: u64) -> Self {
        Self { chunks: VecDeque::new(), size: 0, capacity, latency, ended: false, broken: false }
    }

    /// Takes what it has place for. None when it is broken.
    pub(crate) fn write(&mut self, now: u64, bytes: &[u8], random: &mut Random) -> Option<usize> {
        if self.broken {
            return None;
        }
        let len = bytes.len().min(self.capacity.saturating_sub(self.size));
        self.force(now, &bytes[..len], random);
        Some(len)
    }

    /// Takes everything, however full it is.
    pub(crate) fn force(&mut self, now: u64, bytes: &[u8], random: &mut Random) {
        if self.broken || bytes.is_empty() {
            return;
        }
        // Never before what was written before.
        let earliest = self.chunks.back().map_or(now, |(at, _)| *at);
        let at = earliest.max(now + random.below(self.latency + 1));
        self.size += bytes.len();
        self.chunks.push_back((at, bytes.to_vec()));
    }

    /// Whether [`Wire::read`] has something to say.
    pub(crate) fn is_readable(&self, now: u64) -> bool {
        match self.chunks.front() {
            Some((at, _)) => *at <= now,
            None => self.ended,
        }
    }

    pub(crate) fn has_place(&self) -> bool {
        self.broken || self.size < self.capacity
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Some of what has arrived.
    pub(crate) fn read(&mut self, now: u64, random: &mut Random) -> Read {
        if !self.is_readable(now) {
            return Read::Nothing;
        }
        let Some((at, mut bytes)) = self.chunks.pop_front() else { return Read::End };
        while self.chunks.front().is_some_and(|(at, _)| *at <= now) && random.chance(60) {
            let (_, more) = self.chunks.pop_front().unwrap_or_default();
            bytes.extend(more);
        }
        if random.chance(40) && bytes.len() > 1 {
            let rest = bytes.split_off(1 + random.index(bytes.len() - 1));
            self.chunks.push_front((at, rest));
        }
        self.size -= bytes.len();
        Read::Bytes(bytes)
    }

    /// Nothing more is written.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// The connection breaks: from somewhere on nothing arrives, and nobody notices at once.
    pub(crate) fn cut(&mut self, random: &mut Random) {
        let mut keep = random.index(self.size + 1);
        for (_, chunk) in &mut self.chunks {
            let len = chunk.len().min(keep);
            chunk.truncate(len);
            keep -= len;
        }
        self.chunks.retain(|(_, chunk)| !chunk.is_empty());
        self.size = self.chunks.iter().map(|(_, chunk)| chunk.len()).sum();
        self.ended = true;
        self.broken = true;
    }

    /// Nobody reads any more.
    pub(crate) fn abandon(&mut self) {
        self.broken = true;
        self.ended = true;
        self.chunks.clear();
        self.size = 0;
    }
}
