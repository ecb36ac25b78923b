//! What was sent to a client and is not yet acknowledged, in the order of sending.

use std::collections::VecDeque;
use std::num::NonZeroU16;

use wasmqtt_codec::{PacketId, QoS};

use crate::mailbox::Delivery;

/// How far an outgoing message has come.
#[derive(Clone, Debug)]
pub enum Stage {
    /// PUBLISH sent; PUBACK (QoS 1) or PUBREC (QoS 2) awaited.
    Published(Delivery),
    /// PUBREC received, PUBREL sent; PUBCOMP awaited. The message itself is no longer needed
    /// [MQTT-4.3.3-5].
    Released,
}

/// Outgoing messages by packet identifier.
///
/// Identifiers are given out in sequence, so an identifier is found by its distance from the oldest one. An
/// identifier comes round again only after all others, and never while it is in use [MQTT-2.2.1-4].
#[derive(Debug)]
pub struct Inflight {
    /// The identifier of the first slot.
    first: NonZeroU16,
    slots: VecDeque<Option<Stage>>,
    open: usize,
}

/// The identifiers that exist: 1 to 65,535.
const IDS: usize = u16::MAX as usize;

impl Default for Inflight {
    fn default() -> Self {
        Self { first: NonZeroU16::MIN, slots: VecDeque::new(), open: 0 }
    }
}

impl Inflight {
    /// Messages that are not acknowledged.
    pub fn open(&self) -> usize {
        self.open
    }

    /// How many more may be sent while at most `window` are open.
    pub fn room(&self, window: usize) -> usize {
        window.saturating_sub(self.open).min(IDS - self.slots.len())
    }

    /// The identifier that [`Inflight::insert`] would give; none when all are in use.
    pub fn next_id(&self) -> Option<PacketId> {
        (self.slots.len() < IDS).then(|| self.id_at(self.slots.len()))
    }

    /// Keeps `delivery` until it is acknowledged, under a fresh identifier; none when all are in use.
    pub fn insert(&mut self, delivery: Delivery) -> Option<PacketId> {
        let id = self.next_id()?;
        self.slots.push_back(Some(Stage::Published(delivery)));
        self.open += 1;
        Some(id)
    }

    /// PUBACK, or a PUBREC with an error code, or PUBCOMP: the message is done. False when nothing of that kind
    /// waits under `id`.
    pub fn complete(&mut self, id: PacketId, expected: Expected) -> bool {
        let Some(slot) = self.slot(id) else { return false };
        let fits = match (slot.as_ref(), expected) {
            (Some(Stage::Published(delivery)), Expected::PubAck) => {
                delivery.qos == QoS::AtLeastOnce
            }
            (Some(Stage::Published(delivery)), Expected::PubRec) => {
                delivery.qos == QoS::ExactlyOnce
            }
            (Some(Stage::Released), Expected::PubComp) => true,
            _ => false,
        };
        if fits {
            self.forget(id);
        }
        fits
    }

    /// Gives `id` up, whatever stage it is in.
    pub fn forget(&mut self, id: PacketId) {
        if self.slot(id).and_then(Option::take).is_none() {
            return;
        }
        self.open -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.first = next(self.first);
        }
        if self.slots.is_empty() && self.slots.capacity() > 64 {
            self.slots = VecDeque::new();
        }
    }

    /// How far the message under `id` has come; none when nothing is open there.
    pub fn get(&self, id: PacketId) -> Option<&Stage> {
        self.slots.get(self.distance(id))?.as_ref()
    }

    /// PUBREC: the message is the client's from now on; only the identifier is kept. A repeated PUBREC is
    /// answered again.
    pub fn release(&mut self, id: PacketId) -> bool {
        match self.slot(id) {
            Some(slot @ Some(Stage::Published(_))) => {
                let qos2 = matches!(slot, Some(Stage::Published(d)) if d.qos == QoS::ExactlyOnce);
                if qos2 {
                    *slot = Some(Stage::Released);
                }
                qos2
            }
            Some(Some(Stage::Released)) => true,
            _ => false,
        }
    }

    /// Everything open, oldest first, for sending again when a session resumes [MQTT-4.4.0-1].
    pub fn iter(&self) -> impl Iterator<Item = (PacketId, &Stage)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(at, slot)| slot.as_ref().map(|stage| (self.id_at(at), stage)))
    }

    /// What another member of a share group may have once the session is over: QoS 1 that came through the group, in
    /// order. What the client may have got with QoS 2 goes to nobody else [MQTT-4.8.2-5].
    /// Each is as it was sent to this client: what a plugin made of it on delivery stays in it.
    pub fn into_shared(self) -> Vec<Delivery> {
        let shared = |stage| match stage {
            Stage::Published(delivery) => {
                Some(delivery).filter(|open| open.qos == QoS::AtLeastOnce && open.share().is_some())
            }
            Stage::Released => None,
        };
        self.slots.into_iter().flatten().filter_map(shared).collect()
    }

    fn slot(&mut self, id: PacketId) -> Option<&mut Option<Stage>> {
        let distance = self.distance(id);
        self.slots.get_mut(distance)
    }

    fn distance(&self, id: PacketId) -> usize {
        (usize::from(id.get()) + IDS - usize::from(self.first.get())) % IDS
    }

    fn id_at(&self, distance: usize) -> PacketId {
        let id = (usize::from(self.first.get()) - 1 + distance) % IDS + 1;
        u16::try_from(id).ok().and_then(NonZeroU16::new).unwrap_or(NonZeroU16::MIN)
    }
}

/// Which acknowledgement has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Expected {
    /// For QoS 1.
    PubAck,
    /// For QoS 2, with an error code: the client did not take the message.
    PubRec,
    /// The end of QoS 2.
    PubComp,
}

fn next(id: NonZeroU16) -> NonZeroU16 {
    id.checked_add(1).unwrap_or(NonZeroU16::MIN)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::message::{Message, Origin, Parts};

    fn delivery(qos: QoS) -> Delivery {
        let parts = Parts {
            topic: "t",
            properties: Default::default(),
            payload: b"",
            qos,
            retain: false,
            origin: Origin::Client,
            expires_at: None,
        };
        let message = Arc::new(Message::new(parts, None));
        Delivery { message, through: None, qos, retain: false, stored: false }
    }

    fn id(n: u16) -> PacketId {
        NonZeroU16::new(n).unwrap()
    }

    #[test]
    fn identifiers_count_up_and_skip_zero_when_they_come_round() {
        let mut inflight = Inflight::default();
        for expected in 1..=u16::MAX {
            assert_eq!(inflight.insert(delivery(QoS::AtLeastOnce)), Some(id(expected)));
            assert!(inflight.complete(id(expected), Expected::PubAck));
        }
        assert_eq!(inflight.insert(delivery(QoS::AtLeastOnce)), Some(id(1)));
    }

    #[test]
    fn an_identifier_in_use_is_never_given_out_again() {
        let mut inflight = Inflight::default();
        for _ in 0..u16::MAX {
            assert!(inflight.insert(delivery(QoS::AtLeastOnce)).is_some());
        }
        assert_eq!(inflight.insert(delivery(QoS::AtLeastOnce)), None);
        // The oldest stays open: all identifiers behind it stay taken even when they are acknowledged.
        assert!(inflight.complete(id(2), Expected::PubAck));
        assert_eq!(inflight.room(usize::MAX), 0);
        assert!(inflight.complete(id(1), Expected::PubAck));
        assert_eq!(inflight.room(usize::MAX), 2);
        assert_eq!(inflight.insert(delivery(QoS::AtLeastOnce)), Some(id(1)));
    }

    #[test]
    fn acknowledgements_of_the_wrong_kind_or_of_unknown_identifiers_change_nothing() {
        let mut inflight = Inflight::default();
        let one = inflight.insert(delivery(QoS::AtLeastOnce)).unwrap();
        let two = inflight.insert(delivery(QoS::ExactlyOnce)).unwrap();
        assert!(!inflight.complete(two, Expected::PubAck));
        assert!(!inflight.complete(two, Expected::PubComp));
        assert!(!inflight.release(one));
        assert!(!inflight.complete(id(77), Expected::PubAck));
        assert_eq!(inflight.open(), 2);
        assert!(inflight.release(two));
        assert!(inflight.release(two), "a repeated PUBREC is answered again");
        assert!(inflight.complete(two, Expected::PubComp));
        assert!(inflight.complete(one, Expected::PubAck));
        assert_eq!(inflight.open(), 0);
    }

    #[test]
    fn what_is_open_comes_back_in_the_order_it_was_sent() {
        let mut inflight = Inflight::default();
        for _ in 0..4 {
            inflight.insert(delivery(QoS::AtLeastOnce));
        }
        inflight.complete(id(2), Expected::PubAck);
        let open: Vec<u16> = inflight.iter().map(|(id, _)| id.get()).collect();
        assert_eq!(open, [1, 3, 4]);
    }

    #[test]
    fn the_window_counts_only_what_is_open() {
        let mut inflight = Inflight::default();
        for _ in 0..5 {
            inflight.insert(delivery(QoS::AtLeastOnce));
        }
        assert_eq!(inflight.room(8), 3);
        inflight.complete(id(3), Expected::PubAck);
        assert_eq!(inflight.room(8), 4);
        assert_eq!(inflight.room(2), 0);
    }
}
