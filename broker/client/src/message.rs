//! What a client owes for messages it gets, and the topics that aliases stand for. Must not know what becomes of them.

use std::collections::{HashMap, HashSet};

use wasmqtt_codec::{Ack, Packet, PacketId, Publish, QoS, ReasonCode};

use crate::failure::Failure;

/// Messages with QoS 2 that are here, but whose identifier the broker has not released. Not more than the Receive
/// Maximum, which the protocol bounds to 65 535.
#[derive(Debug, Default)]
pub(crate) struct Incoming(HashSet<PacketId>);

impl Incoming {
    /// Whether this message has not been here before.
    pub(crate) fn is_new(&self, publish: &Publish<'_>) -> bool {
        publish.qos != QoS::ExactlyOnce
            || publish.packet_id.is_none_or(|packet_id| !self.0.contains(&packet_id))
    }

    /// What a message that has been taken is answered.
    pub(crate) fn acknowledge(&mut self, publish: &Publish<'_>) -> Option<Packet<'static>> {
        let ack = Ack::new(publish.packet_id?, ReasonCode::Success);
        if publish.qos == QoS::ExactlyOnce {
            self.0.insert(ack.packet_id);
            return Some(Packet::PubRec(ack));
        }
        Some(Packet::PubAck(ack))
    }

    /// What PUBREL is answered.
    pub(crate) fn release(&mut self, packet_id: PacketId) -> Packet<'static> {
        let known = self.0.remove(&packet_id);
        let reason = if known { ReasonCode::Success } else { ReasonCode::PacketIdentifierNotFound };
        Packet::PubComp(Ack::new(packet_id, reason))
    }

    /// Whether nothing waits for PUBREL.
    pub(crate) fn is_settled(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the aliases of one connection stand for; not more than the client has allowed.
#[derive(Debug, Default)]
pub(crate) struct Aliases(HashMap<u16, String>);

impl Aliases {
    /// The topic of a message.
    pub(crate) fn topic<'a>(
        &'a mut self,
        publish: &Publish<'a>,
        most: u16,
    ) -> Result<&'a str, Failure> {
        let Some(alias) = publish.properties.topic_alias else { return Ok(publish.topic) };
        let alias = alias.get();
        if alias > most {
            let told = format!("the broker uses the topic alias {alias}, which it may not");
            return Err(Failure::error(told));
        }
        if !publish.topic.is_empty() {
            self.0.insert(alias, publish.topic.to_owned());
        }
        let known = self.0.get(&alias).map(String::as_str);
        known.ok_or_else(|| Failure::error("the broker uses a topic alias that stands for nothing"))
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use wasmqtt_codec::PublishProperties;

    use super::*;

    fn publish(topic: &str, qos: QoS, alias: u16) -> Publish<'_> {
        let properties =
            PublishProperties { topic_alias: NonZeroU16::new(alias), ..Default::default() };
        let packet_id = (qos != QoS::AtMostOnce).then_some(PacketId::MIN);
        Publish { dup: false, qos, retain: false, topic, packet_id, properties, payload: b"" }
    }

    #[test]
    fn a_message_with_qos_2_is_new_once_until_it_is_released() {
        let mut incoming = Incoming::default();
        let message = publish("t", QoS::ExactlyOnce, 0);
        for _ in 0..2 {
            assert!(incoming.is_new(&message));
            assert!(matches!(incoming.acknowledge(&message), Some(Packet::PubRec(_))));
            assert!(!incoming.is_new(&message) && !incoming.is_settled());
            let Packet::PubComp(ack) = incoming.release(PacketId::MIN) else { panic!() };
            assert_eq!(ack.reason, ReasonCode::Success);
            assert!(incoming.is_settled());
        }
        let Packet::PubComp(ack) = incoming.release(PacketId::MIN) else { panic!() };
        assert_eq!(ack.reason, ReasonCode::PacketIdentifierNotFound);
        assert_eq!(incoming.acknowledge(&publish("t", QoS::AtMostOnce, 0)), None);
    }

    #[test]
    fn an_alias_stands_for_the_last_topic_it_came_with() {
        let mut aliases = Aliases::default();
        let mut topic = |topic, alias| {
            aliases.topic(&publish(topic, QoS::AtMostOnce, alias), 2).map(str::to_owned)
        };
        assert_eq!(topic("a", 0).unwrap(), "a");
        assert!(topic("", 1).is_err());
        assert_eq!(topic("b", 1).unwrap(), "b");
        assert_eq!(topic("", 1).unwrap(), "b");
        assert_eq!(topic("c", 1).unwrap(), "c");
        assert_eq!(topic("", 1).unwrap(), "c");
        assert!(topic("d", 3).is_err());
    }
}
