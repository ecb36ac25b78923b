//! What a worker counts: plain numbers of its own, summed when somebody asks. Must not know who asks.

use std::collections::BTreeMap;

use wasmqtt_codec::{PacketType, QoS, ReasonCode, Version};

/// The types of packets that clients may send after CONNECT, and how they are called.
pub(crate) const PACKETS: [(PacketType, &str); 11] = [
    (PacketType::Publish, "publish"),
    (PacketType::PubAck, "puback"),
    (PacketType::PubRec, "pubrec"),
    (PacketType::PubRel, "pubrel"),
    (PacketType::PubComp, "pubcomp"),
    (PacketType::Subscribe, "subscribe"),
    (PacketType::Unsubscribe, "unsubscribe"),
    (PacketType::PingReq, "pingreq"),
    (PacketType::Disconnect, "disconnect"),
    (PacketType::Auth, "auth"),
    // A second one is a protocol error.
    (PacketType::Connect, "connect"),
];

/// Who ended a connection.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// The client, by DISCONNECT.
    Client,
    /// The broker.
    Broker,
    /// The network, or a client that does not say goodbye.
    Lost,
}

/// By the upper seven bits of a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heads([u64; 128]);

impl Default for Heads {
    fn default() -> Self {
        Self([0; 128])
    }
}

/// Counts of one worker, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Connections accepted.
    pub(crate) connections: u64,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    /// Whole packets after CONNECT, by the upper seven bits of their first byte: type, DUP and QoS.
    pub(crate) packets_received: Heads,
    /// Publications that were judged and routed.
    pub(crate) publish_received: u64,
    /// Publications that were refused.
    pub(crate) publish_refused: u64,
    pub(crate) publish_sent: u64,
    /// Publications that were to be retained and found a full store, and whose publishers could not be told.
    pub(crate) publish_not_retained: u64,
    /// Bytes of PUBLISH packets, without their fixed headers.
    pub(crate) publish_bytes_received: u64,
    /// Bytes of PUBLISH packets.
    pub(crate) publish_bytes_sent: u64,
    /// Stored sessions that ended because their time was over.
    pub(crate) sessions_expired: u64,
    /// Copies for subscribers that found a full mailbox.
    pub(crate) publish_dropped: u64,
    /// Copies for subscribers that waited for too long.
    pub(crate) publish_too_old: u64,
    /// Copies for subscribers whose time was over before they could be sent.
    pub(crate) publish_expired: u64,
    /// Copies that are larger than their subscribers take.
    pub(crate) publish_too_large: u64,
    /// Clients that entered, by [`version`](Self::entered).
    pub(crate) entered: [u64; 3],
    /// Clients that were refused, by reason code.
    pub(crate) refused: BTreeMap<u8, u64>,
    /// Clients that went, by who ended it and with which reason code.
    pub(crate) left: BTreeMap<(Ending, u8), u64>,
}

impl Counters {
    /// Packets of every type.
    pub(crate) fn packets(&self) -> u64 {
        self.packets_received.0.iter().sum()
    }

    /// Packets of one type.
    pub(crate) fn packets_of(&self, kind: PacketType) -> u64 {
        let counts = self.packets_received.0.iter().skip(kind as usize * 8);
        counts.take(8).sum()
    }

    /// PUBLISH packets with this QoS.
    pub(crate) fn publish_packets(&self, qos: QoS) -> u64 {
        let first = PacketType::Publish as usize * 8 + qos as usize;
        // Without DUP, and with it.
        let counts = [first, first + 4].map(|at| self.packets_received.0.get(at).copied());
        counts.into_iter().flatten().sum()
    }

    /// CONNECT packets that were answered.
    pub(crate) fn connects(&self) -> u64 {
        self.entered.iter().chain(self.refused.values()).sum()
    }

    /// Packets to clients: publications, and an answer to each packet that has one.
    pub(crate) fn packets_sent(&self) -> u64 {
        use PacketType::{PingReq, PubRec, PubRel, Subscribe, Unsubscribe};
        let answered = [PubRec, PubRel, Subscribe, Unsubscribe, PingReq];
        let answered: u64 = answered.map(|kind| self.packets_of(kind)).iter().sum();
        let acknowledged =
            [QoS::AtLeastOnce, QoS::ExactlyOnce].map(|qos| self.publish_packets(qos));
        self.publish_sent + self.connects() + answered + acknowledged.iter().sum::<u64>()
    }

    /// Copies that no subscriber got.
    pub(crate) fn lost(&self) -> u64 {
        self.publish_dropped + self.publish_too_old + self.publish_expired + self.publish_too_large
    }

    /// Counts a packet by the first byte of its header, and its length without the header.
    #[inline]
    pub(crate) fn packet(&mut self, first: u8, length: usize) {
        if first >> 4 == PacketType::Publish as u8 {
            self.publish_bytes_received += length as u64;
        }
        if let Some(count) = self.packets_received.0.get_mut(usize::from(first >> 1)) {
            *count += 1;
        }
    }

    /// Counts a client that entered.
    pub(crate) fn entered(&mut self, version: Version) {
        let [v31, v311, v5] = &mut self.entered;
        let count = match version {
            Version::V31 => v31,
            Version::V311 => v311,
            Version::V5 => v5,
        };
        *count += 1;
    }

    /// Counts a client that was refused.
    pub(crate) fn refused(&mut self, code: ReasonCode) {
        *self.refused.entry(code as u8).or_default() += 1;
    }

    /// Counts a client that went.
    pub(crate) fn left(&mut self, ending: Ending, code: ReasonCode) {
        *self.left.entry((ending, code as u8)).or_default() += 1;
    }
}

impl std::ops::AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.connections += other.connections;
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        add(&mut self.packets_received.0, &other.packets_received.0);
        self.publish_received += other.publish_received;
        self.publish_refused += other.publish_refused;
        self.publish_sent += other.publish_sent;
        self.publish_not_retained += other.publish_not_retained;
        self.publish_bytes_received += other.publish_bytes_received;
        self.publish_bytes_sent += other.publish_bytes_sent;
        self.sessions_expired += other.sessions_expired;
        self.publish_dropped += other.publish_dropped;
        self.publish_too_old += other.publish_too_old;
        self.publish_expired += other.publish_expired;
        self.publish_too_large += other.publish_too_large;
        add(&mut self.entered, &other.entered);
        for (code, more) in other.refused {
            *self.refused.entry(code).or_default() += more;
        }
        for (how, more) in other.left {
            *self.left.entry(how).or_default() += more;
        }
    }
}

fn add(counts: &mut [u64], more: &[u64]) {
    for (count, more) in counts.iter_mut().zip(more) {
        *count += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_workers_counted_is_summed_kind_by_kind() {
        let mut one = Counters::default();
        one.packet(0x32, 7);
        one.entered(Version::V5);
        one.refused(ReasonCode::Banned);
        one.left(Ending::Lost, ReasonCode::Success);
        let mut other = one.clone();
        other.packet(0xc0, 0);
        other.entered(Version::V31);
        other.refused(ReasonCode::NotAuthorized);
        other.left(Ending::Broker, ReasonCode::Success);
        one += other;
        one.packet(0x3b, 9);
        assert_eq!((one.packets(), one.packets_of(PacketType::Publish)), (4, 3));
        assert_eq!(one.packets_of(PacketType::PingReq), 1);
        let by_qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
        assert_eq!(by_qos.map(|qos| one.publish_packets(qos)), [0, 3, 0]);
        assert_eq!(one.publish_bytes_received, 7 + 7 + 9);
        assert_eq!(one.entered, [1, 0, 2]);
        // CONNECT six times, PUBLISH three times, PINGREQ once.
        one.publish_sent = 7;
        assert_eq!((one.connects(), one.packets_sent()), (6, 6 + 3 + 1 + 7));
        assert_eq!(Vec::from_iter(one.refused), [(0x87, 1), (0x8a, 2)]);
        assert_eq!(one.left[&(Ending::Lost, 0)], 2);
        assert_eq!(one.left[&(Ending::Broker, 0)], 1);
    }

    #[test]
    fn every_type_of_packet_has_a_name_of_its_own() {
        let names: std::collections::HashSet<&str> =
            PACKETS.iter().map(|(_, name)| *name).collect();
        let kinds: std::collections::HashSet<u8> =
            PACKETS.iter().map(|(kind, _)| *kind as u8).collect();
        assert_eq!((names.len(), kinds.len()), (PACKETS.len(), PACKETS.len()));
    }
}
