//! Reads what one peer is sent, and holds the broker to what it and the peer have promised each other.

use std::collections::{HashMap, HashSet, VecDeque};

use wasmqtt_codec::frame::{self, Next};
use wasmqtt_codec::{Ack, Connect, Packet, PacketId, QoS, ReasonCode, Topic, Version, decode};

/// The peer's end of one connection.
pub(super) struct Watcher {
    pub(super) version: Version,
    largest: usize,
    receive_maximum: usize,
    aliases_allowed: u16,
    aliases: HashMap<u16, String>,
    /// Sent to the peer, and not acknowledged in any way since.
    open: HashSet<PacketId>,
    /// What the peer would answer.
    pub(super) answers: VecDeque<Vec<u8>>,
    is_first: bool,
    is_over: bool,
}

impl Watcher {
    pub(super) fn new(connect: &Connect<'_>) -> Self {
        let properties = &connect.properties;
        let largest = properties.maximum_packet_size;
        Self {
            version: connect.version,
            largest: largest.map_or(usize::MAX, |size| size.get() as usize),
            receive_maximum: properties.receive_maximum.map_or(u16::MAX, |most| most.get()).into(),
            aliases_allowed: properties.topic_alias_maximum,
            aliases: HashMap::new(),
            open: HashSet::new(),
            answers: VecDeque::new(),
            is_first: true,
            is_over: false,
        }
    }

    /// The peer has sent this.
    pub(super) fn sends(&mut self, packet: &Packet<'_>) {
        match packet {
            Packet::PubAck(ack) | Packet::PubComp(ack) | Packet::PubRec(ack) => {
                self.open.remove(&ack.packet_id);
            }
            _ => {}
        }
    }

    /// The peer is sent this.
    pub(super) fn reads(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            assert!(!self.is_over, "after the last packet: {bytes:02x?}");
            let Ok(Next::Whole { frame, len }) = frame::next(bytes, frame::MAX_PACKET_SIZE) else {
                panic!("no whole packet: {bytes:02x?}");
            };
            let packet = match decode(self.version, frame) {
                Ok(packet) => packet,
                Err(error) => panic!("{error:?}: {:02x?}", &bytes[..len]),
            };
            assert!(len <= self.largest, "{packet:?}");
            self.take(&packet);
            bytes = &bytes[len..];
        }
    }

    fn take(&mut self, packet: &Packet<'_>) {
        let is_first = std::mem::take(&mut self.is_first);
        assert_eq!(is_first, matches!(packet, Packet::ConnAck(_)), "{packet:?}");
        match packet {
            Packet::ConnAck(connack) => self.is_over = connack.reason != ReasonCode::Success,
            Packet::Publish(publish) => self.publish(publish),
            Packet::PubRel(ack) => {
                let done = Ack::new(ack.packet_id, ReasonCode::Success);
                self.answer(&Packet::PubComp(done));
            }
            Packet::PubRec(ack) if !ack.reason.is_error() => {
                let release = Ack::new(ack.packet_id, ReasonCode::Success);
                self.answer(&Packet::PubRel(release));
            }
            Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubComp(_) => {}
            Packet::SubAck(_) | Packet::UnsubAck(_) | Packet::PingResp => {}
            Packet::Disconnect(_) => {
                assert_eq!(self.version, Version::V5);
                self.is_over = true;
            }
            other => panic!("a server never sends {other:?}"),
        }
    }

    fn publish(&mut self, publish: &wasmqtt_codec::Publish<'_>) {
        if let Some(alias) = publish.properties.topic_alias.map(|alias| alias.get()) {
            assert!(alias <= self.aliases_allowed, "{publish:?}");
            if publish.topic.is_empty() {
                assert!(self.aliases.contains_key(&alias), "{publish:?}");
            } else {
                self.aliases.insert(alias, publish.topic.to_owned());
            }
        }
        assert!(publish.topic.is_empty() || Topic::parse(publish.topic).is_ok(), "{publish:?}");
        let Some(id) = publish.packet_id else { return };
        assert!(self.open.insert(id), "in use: {publish:?}");
        assert!(self.open.len() <= self.receive_maximum, "{:?}", self.open);
        let ack = Ack::new(id, ReasonCode::Success);
        let answer = match publish.qos {
            QoS::AtLeastOnce => Packet::PubAck(ack),
            _ => Packet::PubRec(ack),
        };
        self.answer(&answer);
    }

    fn answer(&mut self, packet: &Packet<'_>) {
        let mut bytes = Vec::new();
        packet.encode(self.version, &mut bytes).unwrap();
        self.answers.push_back(bytes);
    }
}
