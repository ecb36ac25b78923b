//! How fast a client publishes, and when it may go on. What it used up is its own, and not its connection's: whoever comes
//! back finds it as it was.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::fault::Fault;
use crate::limits::{Limits, OnPublishRate};
use crate::time::Moment;

/// What is counted of one client, for its connection and the next one.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Mutex<Count>>);

/// Publications of the current second, with what was too much in those before.
#[derive(Debug, Default)]
struct Count {
    second: u64,
    messages: u64,
    bytes: u64,
    /// Until then nothing more is to be read.
    until: Moment,
    /// In a second.
    most_messages: u64,
    most_bytes: u64,
}

impl Pace {
    /// Whether anything is to be counted under these limits.
    #[inline]
    pub(crate) fn is_limited(limits: &Limits) -> bool {
        limits.publish_rate.is_some() || limits.publish_bytes_rate.is_some()
    }

    /// Goes on under the limits of another connection.
    pub(crate) fn adopt(&self, now: Moment, limits: &Limits) {
        let mut count = self.0.lock();
        count.advance(now);
        let most = |rate: Option<u32>| rate.map_or(u64::MAX, u64::from);
        count.most_messages = most(limits.publish_rate);
        count.most_bytes = most(limits.publish_bytes_rate);
        if limits.on_publish_rate == OnPublishRate::Disconnect {
            count.forgive();
        }
    }

    /// Counts publications of so many seconds.
    #[cfg(test)]
    pub(crate) fn owe_for_test(&self, seconds: u64) {
        let mut count = self.0.lock();
        count.messages = count.most_messages * seconds;
    }

    /// When nothing is left to be counted, of a client that has no connection; none while it has one.
    pub(crate) fn idle_from(&mut self) -> Option<Moment> {
        let count = Arc::get_mut(&mut self.0)?.get_mut();
        let seconds = |counted: u64, most: u64| match most {
            0 => 1,
            most => counted.div_ceil(most),
        };
        let messages = seconds(count.messages, count.most_messages);
        let bytes = seconds(count.bytes, count.most_bytes);
        let second = count.second.saturating_add(messages.max(bytes));
        Some(Moment(second.saturating_mul(1000)).max(count.until))
    }
}

impl Count {
    fn advance(&mut self, now: Moment) {
        let second = now.0 / 1000;
        let passed = second.saturating_sub(self.second);
        self.messages = self.messages.saturating_sub(self.most_messages.saturating_mul(passed));
        self.bytes = self.bytes.saturating_sub(self.most_bytes.saturating_mul(passed));
        self.second = second;
    }

    /// What was too much is not carried over: it was not taken.
    fn forgive(&mut self) {
        self.messages = self.messages.min(self.most_messages);
        self.bytes = self.bytes.min(self.most_bytes);
    }

    fn count(&mut self, now: Moment, bytes: u64, excess: OnPublishRate) -> Result<(), Fault> {
        self.advance(now);
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if excess == OnPublishRate::Disconnect {
            let too_fast = self.messages > self.most_messages || self.bytes > self.most_bytes;
            self.forgive();
            return if too_fast { Err(Fault::MessageRateTooHigh) } else { Ok(()) };
        }
        // As many seconds as it takes until there is room for one more. Nobody can wait for a rate of nothing.
        let seconds = self
            .messages
            .checked_div(self.most_messages)
            .zip(self.bytes.checked_div(self.most_bytes))
            .map(|(messages, bytes)| messages.max(bytes))
            .ok_or(Fault::MessageRateTooHigh)?;
        if seconds > 0 {
            self.until = Moment(self.second.saturating_add(seconds).saturating_mul(1000));
        }
        Ok(())
    }
}

/// The part of a connection in it; empty where nothing is counted.
#[derive(Debug)]
pub(super) struct Rate {
    pace: Option<Pace>,
    /// Until then nothing more is to be read.
    until: Moment,
}

impl Rate {
    pub(super) fn new(pace: Option<Pace>) -> Self {
        let until = pace.as_ref().map_or(Moment::default(), |pace| pace.0.lock().until);
        Self { pace, until }
    }

    /// Counts one publication.
    #[inline]
    pub(super) fn count(
        &mut self,
        now: Moment,
        bytes: usize,
        limits: &Limits,
    ) -> Result<(), Fault> {
        let Some(pace) = &self.pace else { return Ok(()) };
        // Nobody else wants it, but a connection that has just lost its session.
        let mut count = pace.0.lock();
        count.count(now, bytes as u64, limits.on_publish_rate)?;
        self.until = count.until;
        Ok(())
    }

    /// Until when nothing more is to be read of the client; none = go on.
    #[inline]
    pub(super) fn paused(&self, now: Moment) -> Option<Moment> {
        (self.until > now).then_some(self.until)
    }
}
