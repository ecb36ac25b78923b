//! How fast a client publishes, and when it may go on.

use crate::fault::Fault;
use crate::limits::{Limits, OnPublishRate};
use crate::time::Moment;

/// Publications of the current second, with what was too much in those before.
#[derive(Debug, Default)]
pub(super) struct Rate {
    second: u64,
    messages: u64,
    bytes: u64,
    /// Until then nothing more is to be read.
    until: Moment,
}

impl Rate {
    /// Counts one publication.
    #[inline]
    pub(super) fn count(
        &mut self,
        now: Moment,
        bytes: usize,
        limits: &Limits,
    ) -> Result<(), Fault> {
        match (limits.publish_rate, limits.publish_bytes_rate) {
            (None, None) => Ok(()),
            rates => self.count_within(now, bytes as u64, rates, limits.on_publish_rate),
        }
    }

    fn count_within(
        &mut self,
        now: Moment,
        bytes: u64,
        (messages_rate, bytes_rate): (Option<u32>, Option<u32>),
        excess: OnPublishRate,
    ) -> Result<(), Fault> {
        let rate = |rate: Option<u32>| rate.map_or(u64::MAX, u64::from);
        let (messages_rate, bytes_rate) = (rate(messages_rate), rate(bytes_rate));
        let second = now.0 / 1000;
        let passed = second.saturating_sub(self.second);
        self.messages = self.messages.saturating_sub(messages_rate.saturating_mul(passed));
        self.bytes = self.bytes.saturating_sub(bytes_rate.saturating_mul(passed));
        self.second = second;
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if excess == OnPublishRate::Disconnect {
            let too_fast = self.messages > messages_rate || self.bytes > bytes_rate;
            return if too_fast { Err(Fault::MessageRateTooHigh) } else { Ok(()) };
        }
        // As many seconds as it takes until there is room for one more. Nobody can wait for a rate of nothing.
        let seconds = self
            .messages
            .checked_div(messages_rate)
            .zip(self.bytes.checked_div(bytes_rate))
            .map(|(messages, bytes)| messages.max(bytes))
            .ok_or(Fault::MessageRateTooHigh)?;
        if seconds > 0 {
            self.until = Moment(second.saturating_add(seconds).saturating_mul(1000));
        }
        Ok(())
    }

    /// Until when nothing more is to be read of the client; none = go on.
    #[inline]
    pub(super) fn paused(&self, now: Moment) -> Option<Moment> {
        (self.until > now).then_some(self.until)
    }
}
