//! SUBSCRIBE and UNSUBSCRIBE as far as the wire goes, and their answers.

use std::borrow::Cow;

use wasmqtt_codec::{PacketId, PacketType, ReasonCode, SubAck, Subscribe, UnsubAck, Unsubscribe};

use super::{Connection, Inbound};
use crate::fault::Fault;
use crate::judge::Refusal;
use crate::time::Moment;

/// What became of SUBSCRIBE.
#[derive(Clone, Debug)]
pub struct Subscribed {
    /// One for each filter, in order.
    pub codes: Vec<ReasonCode>,
    /// The first refusal that there is more to say of than its code.
    pub explained: Option<Refusal>,
}

/// SUBSCRIBE packets of the current second.
#[derive(Debug, Default)]
pub(super) struct Subscribes {
    /// The lower bits of its number.
    second: u32,
    count: u32,
}

impl Subscribes {
    /// Counts one; false when it is one too many.
    fn count(&mut self, now: Moment, rate: u32) -> bool {
        let second = (now.0 / 1000) as u32;
        if self.second != second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= rate
    }
}

impl Connection {
    /// An identifier that an open publication has is taken all the same: it cannot be mistaken for that, and more clients
    /// count each kind of packet on its own than mean harm.
    pub(super) fn subscribe<'a>(
        &mut self,
        now: Moment,
        subscribe: Subscribe<'a>,
        out: &mut Vec<u8>,
    ) -> Result<Inbound<'a>, Fault> {
        let offered = self.limits.features.subscription_identifiers;
        if subscribe.subscription_identifier.is_some() && !offered {
            return Err(Fault::SubscriptionIdentifiersNotSupported);
        }
        self.check_answer(subscribe.subscriptions.len())?;
        if self.limits.subscribe_rate.is_some_and(|rate| !self.subscribes.count(now, rate)) {
            let refusal = Refusal::new(ReasonCode::QuotaExceeded)
                .because("more SUBSCRIBE packets in a second than allowed");
            let codes = subscribe.subscriptions.iter().map(|_| refusal.code).collect();
            let answer = Subscribed { codes, explained: Some(refusal) };
            self.subscribed(subscribe.packet_id, &answer, out);
            return Ok(Inbound::Settled);
        }
        Ok(Inbound::Subscribe(subscribe))
    }

    /// The SUBSCRIBE that was received last is not answered: it is received again, and counts then.
    pub fn postpone_subscribe(&mut self) {
        self.subscribes.count = self.subscribes.count.saturating_sub(1);
    }

    pub(super) fn unsubscribe<'a>(
        &self,
        unsubscribe: Unsubscribe<'a>,
    ) -> Result<Inbound<'a>, Fault> {
        self.check_answer(unsubscribe.filters.len())?;
        Ok(Inbound::Unsubscribe(unsubscribe))
    }

    /// Whether the client could take the SUBACK or UNSUBACK for so many filters [MQTT-3.1.2-24]: each is a code, and
    /// every one has to be there.
    fn check_answer(&self, filters: usize) -> Result<(), Fault> {
        // Identifier, no properties, codes.
        let remaining = 3 + filters;
        let length = match remaining {
            ..128 => 1,
            128..16_384 => 2,
            16_384..2_097_152 => 3,
            _ => 4,
        };
        if 1 + length + remaining > self.largest {
            return Err(Fault::Ordered(ReasonCode::PacketTooLarge));
        }
        Ok(())
    }

    /// Answers SUBSCRIBE, one code per filter, in order [MQTT-3.9.3-1].
    pub fn subscribed(&self, packet_id: PacketId, answer: &Subscribed, out: &mut Vec<u8>) {
        let mut reasons = Cow::Borrowed(&*answer.codes);
        let is_foreign = |code: &ReasonCode| !code.allowed_in(PacketType::SubAck);
        if reasons.iter().any(is_foreign) {
            // A plugin chose it.
            for code in reasons.to_mut().iter_mut().filter(|code| is_foreign(code)) {
                *code = ReasonCode::UnspecifiedError;
            }
        }
        let bare =
            SubAck { packet_id, reasons, reason_string: None, user_properties: Default::default() };
        let explained = answer.explained.as_ref().filter(|_| self.problem_information);
        if let Some(refusal) = explained {
            let full = SubAck {
                reason_string: refusal.reason.as_deref(),
                user_properties: refusal.user_properties.as_view(),
                ..bare.clone()
            };
            let start = out.len();
            if full.encode(self.version, out).is_ok() && out.len() - start <= self.largest {
                return;
            }
            // What is nice to have gives way to the client's Maximum Packet Size [MQTT-3.9.2-1], [MQTT-3.9.2-2].
            out.truncate(start);
        }
        let _ = bare.encode(self.version, out);
    }

    /// Answers UNSUBSCRIBE, likewise.
    pub fn unsubscribed(&self, packet_id: PacketId, reasons: &[ReasonCode], out: &mut Vec<u8>) {
        let unsuback = UnsubAck {
            packet_id,
            reasons: Cow::Borrowed(reasons),
            reason_string: None,
            user_properties: Default::default(),
        };
        let _ = unsuback.encode(self.version, out);
    }
}
