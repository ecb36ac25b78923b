//! Deliberate faults between the core and the world, to show that the auditor finds each of them. The core itself
//! stays as it is.

use std::sync::Arc;

use wasmqtt_codec::{Next, Packet, PacketId, QoS, Version, decode, frame};
use wasmqtt_core::broker::Broker;
use wasmqtt_core::mailbox::{Delivery, Pushed, Wakes};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;

/// A fault that a broker could have.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Sabotage {
    /// A packet identifier is given out again while it is in use.
    ReusedIdentifier,
    /// A first copy says that it is a repeated one.
    DupOnLiveConnection,
    /// A will is published again.
    WillTwice,
    /// A QoS 2 message that was received before is routed again.
    DuplicateRouted,
    /// Two members of a share group get the same message.
    ShareToTwo,
    /// An acknowledgement is forgotten.
    LostAnswer,
    /// A message that was taken from the mailbox is forgotten.
    LostMessage,
    /// The retain flag is the wrong one.
    WrongRetain,
    /// Two messages change places.
    Reordered,
}

impl Sabotage {
    /// Every fault there is.
    pub const ALL: [Self; 9] = [
        Self::ReusedIdentifier,
        Self::DupOnLiveConnection,
        Self::WillTwice,
        Self::DuplicateRouted,
        Self::ShareToTwo,
        Self::LostAnswer,
        Self::LostMessage,
        Self::WrongRetain,
        Self::Reordered,
    ];
}

/// Commits one kind of fault, once.
#[derive(Debug, Default)]
pub(crate) struct Saboteur {
    wish: Option<Sabotage>,
    pub(crate) has_acted: bool,
    /// Who was given copies of what somebody else has. It is a fault once that client has one too: with its session
    /// the copy may be lost before.
    given: Vec<(String, Arc<Message>)>,
}

impl Saboteur {
    pub(crate) fn new(wish: Option<Sabotage>) -> Self {
        Self { wish, has_acted: false, given: Vec::new() }
    }

    /// Whether it is time for this fault; the caller has what it takes.
    pub(crate) fn commits(&mut self, fault: Sabotage) -> bool {
        let commits = self.wants(fault);
        self.has_acted |= commits;
        commits
    }

    pub(crate) fn wants(&self, fault: Sabotage) -> bool {
        self.wish == Some(fault) && !self.has_acted
    }

    /// Changes packets on their way out. `in_use` is an identifier that must not be given out now.
    pub(crate) fn tamper(&mut self, version: Version, in_use: Option<PacketId>, out: &mut Vec<u8>) {
        if self.wish.is_none() || self.has_acted {
            return;
        }
        let bytes = std::mem::take(out);
        let mut rest = bytes.as_slice();
        while let Ok(Next::Whole { frame, len }) = frame::next(rest, frame::MAX_PACKET_SIZE) {
            let (whole, behind) = rest.split_at(len);
            rest = behind;
            match decode(version, frame) {
                Ok(packet) => self.tamper_one(version, in_use, packet, whole, out),
                Err(_) => out.extend_from_slice(whole),
            }
        }
    }

    fn tamper_one(
        &mut self,
        version: Version,
        in_use: Option<PacketId>,
        mut packet: Packet<'_>,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) {
        let changed = match &mut packet {
            Packet::Publish(publish) if publish.qos != QoS::AtMostOnce && !publish.dup => {
                let other = in_use.filter(|id| Some(*id) != publish.packet_id);
                if other.is_some() && self.commits(Sabotage::ReusedIdentifier) {
                    publish.packet_id = other;
                    true
                } else if self.commits(Sabotage::DupOnLiveConnection) {
                    publish.dup = true;
                    true
                } else if self.commits(Sabotage::WrongRetain) {
                    publish.retain = !publish.retain;
                    true
                } else {
                    false
                }
            }
            Packet::PubAck(_) | Packet::SubAck(_) if self.commits(Sabotage::LostAnswer) => return,
            _ => false,
        };
        if !changed || packet.encode(version, out).is_err() {
            out.extend_from_slice(whole);
        }
    }

    /// Whether it left something that is a fault for whoever notices it.
    pub(crate) fn has_tried(&self) -> bool {
        self.has_acted || !self.given.is_empty()
    }

    /// Looks for what was given to a second one.
    pub(crate) fn pulled(&mut self, own: &str, deliveries: &[Delivery]) {
        let mut given = self.given.iter().filter(|(other, _)| other == own);
        self.has_acted |= given.any(|(_, message)| {
            deliveries.iter().any(|delivery| Arc::ptr_eq(&delivery.message, message))
        });
    }

    /// Changes what was taken from a mailbox.
    pub(crate) fn meddle(
        &mut self,
        broker: &Broker,
        now: Moment,
        own: &str,
        deliveries: &mut Vec<Delivery>,
    ) {
        let plain = |delivery: &Delivery| {
            delivery.qos != QoS::AtMostOnce && delivery.message.expires_at().is_none()
        };
        if self.wants(Sabotage::LostMessage)
            && let Some(at) = deliveries.iter().position(plain)
        {
            self.has_acted = true;
            deliveries.remove(at);
        }
        if self.wants(Sabotage::Reordered)
            && let [first, second, ..] = deliveries.as_mut_slice()
            && (plain(first) && plain(second))
            && first.message.payload() != second.message.payload()
        {
            self.has_acted = true;
            std::mem::swap(first, second);
        }
        if self.wants(Sabotage::ShareToTwo) {
            self.share_again(broker, now, own, deliveries);
        }
    }

    fn share_again(&mut self, broker: &Broker, now: Moment, own: &str, deliveries: &[Delivery]) {
        let filters = |id: &str| -> Vec<Box<str>> {
            let session = broker.session(id);
            let filters =
                session.map(|s| s.state.lock().subscriptions.filters().map(Box::from).collect());
            filters.unwrap_or_default()
        };
        let shares = filters(own);
        for other in (0..8).map(|number| format!("client{number}")).filter(|id| id != own) {
            let both = filters(&other)
                .into_iter()
                .find(|filter| filter.starts_with("$share/") && shares.contains(filter));
            let pattern = both.as_deref().and_then(|filter| filter.splitn(3, '/').nth(2));
            let Some(pattern) = pattern else { continue };
            let copy = deliveries.iter().find(|delivery| {
                delivery.qos != QoS::AtMostOnce
                    && delivery.share().is_some()
                    && wasmqtt_codec::topic::matches(pattern, delivery.message.topic())
            });
            let session = broker.session(&other).filter(|session| {
                // Where others wait it may give way to them, and then nobody could notice.
                session.mailbox.is_empty() && session.state.lock().attachment != 0
            });
            if let (Some(copy), Some(session)) = (copy, session) {
                if session.mailbox.push(now, copy.clone(), &mut Wakes::default()) == Pushed::Queued
                {
                    self.given.push((other, Arc::clone(&copy.message)));
                }
                return;
            }
        }
    }
}
