//! What the client is sent: messages from its mailbox, and after a resume what was open before.

use std::num::NonZeroU16;
use std::sync::Arc;

use wasmqtt_codec::{
    Ack, Forward, PacketId, PublishProperties, QoS, ReasonCode, SubscriptionIdentifiers,
};

use super::Connection;
use super::assigned::Form;
use crate::fault::Fault;
use crate::mailbox::Delivery;
use crate::session::inflight::Stage;
use crate::time::Moment;

/// Messages that were taken from the mailbox and not sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Their time was over.
    pub expired: u32,
    /// They are larger than the client takes.
    pub too_large: u32,
}

impl Connection {
    /// What was left out since this was asked before.
    pub fn take_left_out(&mut self) -> LeftOut {
        std::mem::take(&mut self.left_out)
    }

    #[cold]
    fn leave_out(&mut self, now: Moment, delivery: &Delivery) {
        match delivery.message.is_expired(now) {
            true => self.left_out.expired += 1,
            false => self.left_out.too_large += 1,
        }
    }

    /// Encodes what was pulled from the mailbox, in order. Messages whose time is over, or that are larger than the
    /// client takes, are left out as if they had been sent [MQTT-3.1.2-25]. Returns how many went out.
    pub fn pump(
        &mut self,
        now: Moment,
        deliveries: &mut Vec<Delivery>,
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        let mut sent = 0;
        let acknowledged = deliveries.iter().any(|delivery| delivery.qos != QoS::AtMostOnce);
        if !acknowledged {
            for delivery in deliveries.drain(..) {
                if self.send(now, &delivery, None, false, out) {
                    sent += 1;
                } else {
                    self.leave_out(now, &delivery);
                }
            }
            return Ok(sent);
        }
        let session = Arc::clone(&self.session);
        let mut state = session.state.lock();
        self.check_attached(&state)?;
        for delivery in deliveries.drain(..) {
            if delivery.qos == QoS::AtMostOnce {
                if self.send(now, &delivery, None, false, out) {
                    sent += 1;
                } else {
                    self.leave_out(now, &delivery);
                }
                continue;
            }
            let id = state.inflight.next_id();
            if id.is_some() && self.send(now, &delivery, id, false, out) {
                state.inflight.insert(delivery);
                sent += 1;
            } else {
                self.leave_out(now, &delivery);
            }
        }
        self.room = state.inflight.room(self.window);
        Ok(sent)
    }

    /// Sends everything again that the session has open: PUBLISH with DUP, or PUBREL, in the original order
    /// [MQTT-4.4.0-1].
    pub(super) fn resume(&mut self, now: Moment, out: &mut Vec<u8>) {
        self.unsent = self.session.state.lock().inflight.iter().map(|(id, _)| id).collect();
        // Who lost the session again by now finds out with the first packet.
        let _ = self.resend(now, out);
    }

    /// Goes on sending again for as long as the window has a place: it may be smaller than it was on the connection
    /// before [MQTT-3.3.4-9].
    pub(super) fn resend(&mut self, now: Moment, out: &mut Vec<u8>) -> Result<(), Fault> {
        let session = Arc::clone(&self.session);
        let mut state = session.state.lock();
        self.check_attached(&state)?;
        let inflight = &mut state.inflight;
        // A client may acknowledge what it got on the connection before: that takes no place here, nor is it sent again when
        // its identifier is another message's.
        self.unsent.retain(|id| inflight.get(*id).is_some());
        while inflight.open() < self.window + self.unsent.len()
            && let Some(id) = self.unsent.pop_front()
        {
            let sent = match inflight.get(id) {
                Some(Stage::Published(delivery)) => self.send(now, delivery, Some(id), true, out),
                Some(Stage::Released) => {
                    Ack::new(id, ReasonCode::Success).encode_pubrel(self.version, out).is_ok()
                }
                None => continue,
            };
            if !sent {
                self.left_out.too_large += 1;
                // Larger than this client takes: done with, as if it had been sent [MQTT-3.1.2-25].
                inflight.forget(id);
            }
        }
        self.room = inflight.room(self.window);
        Ok(())
    }

    fn send(
        &mut self,
        now: Moment,
        delivery: &Delivery,
        packet_id: Option<PacketId>,
        dup: bool,
        out: &mut Vec<u8>,
    ) -> bool {
        // Once sent, a message with QoS 1 or 2 is seen through; only new ones can be too late.
        if !dup && delivery.message.is_expired(now) {
            return false;
        }
        let publish = Forward { packet_id, dup, ..forward(now, delivery) };
        match self.assigned.as_mut().and_then(|assigned| assigned.form(publish.topic)) {
            None => self.write(&publish, out),
            // Instead of a topic of one or two bytes, the alias itself may be too much.
            Some(Form::Known(alias)) => {
                self.write(&aliased(b"", alias, publish), out) || self.write(&publish, out)
            }
            Some(Form::New(alias)) => {
                let topic = publish.topic;
                if self.write(&aliased(topic, alias, publish), out) {
                    if let Some(assigned) = &mut self.assigned {
                        assigned.introduce(alias, topic);
                    }
                    return true;
                }
                // The alias itself may have been too much.
                self.write(&publish, out)
            }
        }
    }

    /// Appends the packet, unless the client's Maximum Packet Size forbids it [MQTT-3.1.2-24].
    fn write(&self, publish: &Forward<'_>, out: &mut Vec<u8>) -> bool {
        if self.largest != usize::MAX && publish.encoded_len(self.version) > self.largest {
            return false;
        }
        publish.encode(self.version, out).is_ok()
    }
}

fn aliased<'a>(topic: &'a [u8], alias: NonZeroU16, publish: Forward<'a>) -> Forward<'a> {
    let properties = PublishProperties { topic_alias: Some(alias), ..publish.properties };
    Forward { topic, properties, ..publish }
}

fn forward(now: Moment, delivery: &Delivery) -> Forward<'_> {
    let message = &*delivery.message;
    Forward {
        dup: false,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: message.topic_bytes(),
        packet_id: None,
        properties: PublishProperties {
            // What is left, not what was set [MQTT-3.3.2-6].
            message_expiry_interval: message
                .expires_at()
                .map(|at| at.seconds_left(now).unwrap_or(0)),
            topic_alias: None,
            subscription_identifiers: SubscriptionIdentifiers::from(delivery.identifiers()),
            message: message.properties(),
        },
        payload: message.payload(),
    }
}
