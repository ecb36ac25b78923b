//! Clients that do everything they may, in random order, over connections that break at random; then everything
//! heals, and what was promised must have arrived. A seed replays a run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wasmqtt_codec::{Packet, PacketId, Publish, QoS, Version};
use wasmqtt_core::fault::Fault;

use crate::wire::{
    Client, Q0, Q1, Q2, Sent, VERSIONS, Wire, message, puback, pubcomp, pubrec, pubrel, stored,
};

/// Xorshift64*: enough to choose, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % bound
    }
}

/// A packet on its way to the broker.
#[derive(Clone, Debug)]
enum Going {
    Publish { id: Option<u16>, qos: QoS, dup: bool, payload: String },
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
}

/// A message the client has not seen through.
struct Open {
    id: u16,
    qos: QoS,
    payload: String,
    released: bool,
}

/// A client as the specification wants it: with a session of its own that survives its connections.
struct Peer {
    name: String,
    version: Version,
    client: Option<Client>,
    going: VecDeque<Going>,
    coming: VecDeque<Sent>,
    open: Vec<Open>,
    next_id: u16,
    /// QoS 2 identifiers received and not released.
    received: BTreeSet<u16>,
    log: Vec<String>,
    published: u32,
    /// Of them, those with QoS 1 and 2: they must arrive.
    owed: usize,
}

impl Peer {
    fn new(n: usize) -> Self {
        Self {
            name: format!("peer{n}"),
            version: VERSIONS[n % 3],
            client: None,
            going: VecDeque::new(),
            coming: VecDeque::new(),
            open: Vec::new(),
            next_id: 0,
            received: BTreeSet::new(),
            log: Vec::new(),
            published: 0,
            owed: 0,
        }
    }

    fn connect(&mut self, wire: &mut Wire) {
        let mut client = wire.connect(&stored(self.version, &self.name));
        self.going.clear();
        self.coming = client.inbox().into();
        for open in &self.open {
            self.going.push_back(match open.released {
                true => Going::PubRel(open.id),
                false => Going::Publish {
                    id: Some(open.id),
                    qos: open.qos,
                    dup: true,
                    payload: open.payload.clone(),
                },
            });
        }
        self.client = Some(client);
    }

    /// The payload says who published it, as what, and in which order.
    fn publish(&mut self, qos: QoS) {
        if self.open.len() >= 20 {
            return;
        }
        let payload = format!("{}:{}:{}", self.name, qos as u8, self.published);
        self.published += 1;
        let id = (qos != Q0).then(|| {
            loop {
                self.next_id = self.next_id % 40 + 1;
                if self.open.iter().all(|open| open.id != self.next_id) {
                    break self.next_id;
                }
            }
        });
        if let Some(id) = id {
            self.owed += 1;
            self.open.push(Open { id, qos, payload: payload.clone(), released: false });
        }
        self.going.push_back(Going::Publish { id, qos, dup: false, payload });
    }

    /// One packet reaches the broker.
    fn send(&mut self, wire: &mut Wire) {
        let Some(mut client) = self.client.take() else { return };
        if let Some(going) = self.going.pop_front() {
            self.coming.extend(send(wire, &mut client, &self.name, &going));
        }
        assert_eq!(client.closed, None, "{}", self.name);
        self.client = Some(client);
    }

    /// One packet reaches the client.
    fn take(&mut self) {
        let Some(packet) = self.coming.pop_front() else { return };
        match packet {
            Sent::Publish(got) => match (got.qos, got.id) {
                (Q1, Some(id)) => {
                    self.log.push(got.payload);
                    self.going.push_back(Going::PubAck(id));
                }
                (Q2, Some(id)) => {
                    if self.received.insert(id) {
                        self.log.push(got.payload);
                    } else {
                        assert!(got.dup, "an identifier in use came with a new message");
                    }
                    self.going.push_back(Going::PubRec(id));
                }
                _ => self.log.push(got.payload),
            },
            Sent::PubAck(id, _) => self.open.retain(|open| open.id != id),
            Sent::PubRec(id, _) => {
                if let Some(open) = self.open.iter_mut().find(|open| open.id == id) {
                    open.released = true;
                }
                self.going.push_back(Going::PubRel(id));
            }
            Sent::PubRel(id, _) => {
                self.received.remove(&id);
                self.going.push_back(Going::PubComp(id));
            }
            Sent::PubComp(id, _) => self.open.retain(|open| open.id != id),
            other => panic!("{other:?}"),
        }
    }

    fn pump(&mut self, wire: &mut Wire) -> bool {
        let Some(client) = &mut self.client else { return false };
        let sent = wire.pump(client);
        assert_eq!(client.closed, None, "{}", self.name);
        let any = !sent.is_empty();
        self.coming.extend(sent);
        any
    }

    /// Comes again while the broker still believes in the old connection; what was on the way there arrives late.
    fn take_over(&mut self, wire: &mut Wire, random: &mut Random) {
        let old = self.client.take();
        let late: Vec<Going> = self.going.drain(..).collect();
        self.connect(wire);
        let Some(mut old) = old else { return };
        for going in late.iter().take(random.below(4)) {
            if old.closed.is_none() {
                send(wire, &mut old, &self.name, going);
            }
        }
        if old.closed.is_none() {
            assert!(wire.pump(&mut old).iter().all(|packet| matches!(packet, Sent::Disconnect(_))));
        }
        assert_eq!(old.closed, Some(Fault::TakenOver));
    }
}

fn send(wire: &mut Wire, client: &mut Client, name: &str, going: &Going) -> Vec<Sent> {
    let packet = match going {
        Going::Publish { id, qos, dup, payload } => Packet::Publish(Publish {
            qos: *qos,
            dup: *dup,
            packet_id: id.and_then(PacketId::new),
            ..message(name, payload)
        }),
        Going::PubAck(id) => puback(*id),
        Going::PubRec(id) => pubrec(*id),
        Going::PubRel(id) => pubrel(*id),
        Going::PubComp(id) => pubcomp(*id),
    };
    wire.send(client, &packet)
}

fn run(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut wire = Wire::new();
    wire.limits.max_inflight = 1 + random.below(6) as u16;
    wire.limits.queue.messages = 1_000_000;
    wire.limits.queue.bytes = u64::MAX;
    let mut peers: Vec<Peer> = (0..4).map(Peer::new).collect();
    for peer in &mut peers {
        peer.connect(&mut wire);
        let client = peer.client.as_mut().unwrap();
        for filter in ["#", "+"] {
            wire.subscribe(client, filter, Q2);
        }
    }
    for _ in 0..4000 {
        let at = random.below(peers.len());
        let peer = &mut peers[at];
        match random.below(60) {
            0..10 => peer.publish([Q0, Q1, Q2, Q2][random.below(4)]),
            10..28 => peer.send(&mut wire),
            28..44 => peer.take(),
            44..56 => {
                peer.pump(&mut wire);
            }
            56 => {
                if let Some(client) = peer.client.take() {
                    wire.lose(client);
                    peer.going.clear();
                    peer.coming.clear();
                }
            }
            57 => peer.take_over(&mut wire, &mut random),
            58 if peer.client.is_none() => peer.connect(&mut wire),
            _ => wire.pass(100),
        }
    }
    heal(&mut wire, &mut peers);
    audit(seed, &wire, &peers);
}

fn heal(wire: &mut Wire, peers: &mut [Peer]) {
    for peer in peers.iter_mut().filter(|peer| peer.client.is_none()) {
        peer.connect(wire);
    }
    loop {
        let mut busy = false;
        for peer in peers.iter_mut() {
            while !(peer.going.is_empty() && peer.coming.is_empty()) {
                peer.send(wire);
                peer.take();
                busy = true;
            }
            busy |= peer.pump(wire);
        }
        if !busy {
            return;
        }
    }
}

fn audit(seed: u64, wire: &Wire, peers: &[Peer]) {
    for peer in peers {
        assert!(peer.open.is_empty() && peer.received.is_empty(), "seed {seed}");
        let session = wire.broker.session(&peer.name).unwrap();
        let state = session.state.lock();
        assert_eq!(state.inflight.open(), 0);
        assert!(state.received.is_empty() && session.mailbox.is_empty());

        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut last: BTreeMap<&str, u32> = BTreeMap::new();
        for payload in &peer.log {
            let count = counts.entry(payload).or_default();
            *count += 1;
            let (from, number) = payload.rsplit_once(':').unwrap();
            // The first copies of one publisher and one quality come in the order of publication.
            let number: u32 = number.parse().unwrap();
            if *count == 1 {
                let before = last.insert(from, number);
                assert!(before.is_none_or(|before| before < number), "seed {seed}: {payload}");
            }
        }
        for publisher in peers {
            let mut arrived = 0;
            for number in 0..publisher.published {
                for (qos, allowed) in [(0, 0..=1), (1, 1..=usize::MAX), (2, 1..=1)] {
                    let payload = format!("{}:{qos}:{number}", publisher.name);
                    if let Some(count) = counts.get(payload.as_str()) {
                        assert!(allowed.contains(count), "seed {seed}: {payload} came {count}x");
                        arrived += usize::from(qos > 0);
                    }
                }
            }
            assert_eq!(arrived, publisher.owed, "seed {seed}: {} to {}", publisher.name, peer.name);
        }
    }
}

#[test]
fn what_was_promised_arrives_whatever_breaks() {
    for seed in 1..=60 {
        run(seed);
    }
}
