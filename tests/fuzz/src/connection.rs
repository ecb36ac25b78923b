//! A whole core: a broker and three peers that send packets, nonsense, or nothing, in virtual time.
//!
//! What must hold whatever they send: nothing panics, what is written is whole packets that the peer can read and
//! allows, every bound is kept, and when everybody is gone nothing is left.

mod peer;
mod script;
mod sends;
mod watcher;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use arbitrary::Unstructured;
use wasmqtt_codec::{QoS, ReasonCode, Version};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::features::Features;
use wasmqtt_core::limits::{
    BrokerLimits, Flapping, Limits, OnPublishRate, Overflow, Queue, REPLAY_AT_ONCE,
};
use wasmqtt_core::time::Moment;

use super::byte;
use peer::Peer;
use script::{Script, Scripted};

const PEERS: usize = 3;
/// Bytes of a chunk of nonsense, at most.
const CHUNK: usize = 64;

/// What all peers share.
struct World {
    broker: Arc<Broker>,
    lane: Lane,
    now: Moment,
    limits: Limits,
    most: BrokerLimits,
    script: Rc<RefCell<Script>>,
}

/// Two bytes choose the limits; then come operations.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut world = World::new(byte(&mut input), byte(&mut input));
    let mut peers: [Peer; PEERS] = Default::default();
    while !input.is_empty() {
        step(&mut world, &mut peers, &mut input);
        world.check();
    }
    world.end(peers);
}

/// What a core says to these bytes, and whether the connection is still there: from a client when there is a CONNECT of
/// its own before them, which is answered as it should be.
pub fn answer(before: Option<&[u8]>, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut world = World::roomy();
    let mut peer = Peer::default();
    if let Some(connect) = before {
        peer.send(&mut world, connect);
        assert_eq!(peer.said().first(), Some(&0x20));
    }
    peer.send(&mut world, bytes);
    let answer = (peer.said().to_vec(), peer.is_there());
    world.end([peer, Peer::default(), Peer::default()]);
    answer
}

fn step(world: &mut World, peers: &mut [Peer; PEERS], input: &mut Unstructured<'_>) {
    let operation = byte(input);
    let peer = &mut peers[usize::from(operation >> 4) % PEERS];
    match operation & 15 {
        0 => {
            let packet = sends::connect(input);
            peer.send(world, &packet);
        }
        1..=3 => {
            let packet = sends::publish(input, peer.version());
            peer.send(world, &packet);
        }
        4 => {
            let packet = sends::subscribe(input, peer.version());
            peer.send(world, &packet);
        }
        5 => {
            let packet = sends::unsubscribe(input, peer.version());
            peer.send(world, &packet);
        }
        6 => {
            let packet = sends::other(input, peer.version());
            peer.send(world, &packet);
        }
        7 => {
            let len = usize::from(byte(input)) % CHUNK;
            let chunk = input.bytes(len.min(input.len())).unwrap_or_default();
            peer.send(world, chunk);
        }
        8..=9 => peer.answer(world),
        10..=11 => peer.pump(world),
        12 => {
            peer.lose(world);
            *peer = Peer::default();
        }
        13 => {
            world.now.0 += [1, 500, 1_500, 5_000, 20_000, 120_000, 100, 1_000_000]
                [usize::from(byte(input)) % 8];
            world.broker.expire(&mut world.lane, world.now);
            world.broker.expire_retained(world.now);
        }
        14 => {
            let what = byte(input);
            world.interfere(what);
        }
        _ => peers.iter_mut().for_each(|peer| peer.pump(world)),
    }
}

impl World {
    fn new(choice: u8, other: u8) -> Self {
        let bit = |at: u8| choice >> at & 1 != 0;
        let flag = |at: u8| other >> at & 1 != 0;
        let overflow = [
            Overflow::DropNewest,
            Overflow::DropOldest,
            Overflow::EndSession,
            Overflow::Disconnect,
        ];
        let limits = Limits {
            max_packet_size: 2_048,
            receive_maximum: 3,
            topic_alias_maximum: 3,
            max_inflight: 4,
            session_expiry_max: 100,
            queue: Queue {
                messages: 6,
                bytes: 1_000,
                overflow: overflow[usize::from(choice & 3)],
                qos0: bit(2),
                age: 0,
            },
            max_subscriptions: 5,
            max_topic_levels: 6,
            max_topic_length: 64,
            keep_alive_max: if bit(3) { 30 } else { 0 },
            publish_rate: bit(4).then_some(20),
            publish_bytes_rate: bit(4).then_some(4_000),
            on_publish_rate: OnPublishRate::Disconnect,
            message_expiry_max: if bit(5) { 50 } else { 0 },
            max_sessions_per_name: if bit(6) { 2 } else { 0 },
            max_user_properties: 4,
            max_filters_per_subscribe: 4,
            flapping: Flapping { connects: if bit(7) { 5 } else { 0 }, ..Flapping::default() },
            features: Features {
                max_qos: if flag(0) { QoS::AtLeastOnce } else { QoS::ExactlyOnce },
                retain: !flag(1),
                wildcard_subscriptions: !flag(2),
                subscription_identifiers: !flag(3),
                shared_subscriptions: !flag(4),
                validate_payload_format: !flag(5),
                take_over: !flag(6),
                unsafe_client_ids: !flag(7),
                ..Features::default()
            },
            ..Limits::default()
        };
        let most = BrokerLimits {
            max_sessions: 4,
            max_retained_messages: 4,
            max_retained_bytes: 2_000,
            retained_expiry_max: 0,
        };
        let script = Rc::new(RefCell::new(Script::default()));
        Self {
            broker: Arc::new(Broker::new(most, u64::from(choice))),
            lane: Lane::new(Box::new(Scripted(Rc::clone(&script)))),
            now: Moment(1_000_000),
            limits,
            most,
            script,
        }
    }

    /// With limits as they are by default.
    fn roomy() -> Self {
        let (limits, most) = (Limits::default(), BrokerLimits::default());
        Self { broker: Arc::new(Broker::new(most, 7)), limits, most, ..Self::new(0, 0) }
    }

    /// What happens besides packets.
    fn interfere(&mut self, what: u8) {
        match what & 3 {
            0 => {
                let code = ReasonCode::AdministrativeAction;
                self.broker.disconnect(sends::CLIENT_IDS[usize::from(what >> 2) % 4], code);
            }
            1 => {
                self.script.borrow_mut().strict ^= true;
                self.broker.ask_rejudge();
            }
            2 => self.script.borrow_mut().code = what >> 2,
            _ => {
                self.most.max_retained_messages = usize::from(what >> 2) % 4 + 1;
                self.broker.set_limits(&self.most);
            }
        }
    }

    fn check(&self) {
        let Self { broker, limits, most, .. } = self;
        assert!(broker.sessions() <= most.max_sessions);
        // The bound may have been lowered since; what is there stays.
        assert!(broker.retained() <= 4);
        assert!(broker.subscriptions() <= broker.sessions() * limits.max_subscriptions as usize);
        assert!(broker.timers() <= broker.sessions());
        assert!(broker.owners() <= broker.sessions());
        let levels = usize::from(limits.max_topic_levels);
        assert!(broker.filter_nodes() <= broker.subscriptions() * levels);
        for id in sends::CLIENT_IDS {
            let Some(session) = broker.session(id) else { continue };
            let mailbox = &session.mailbox;
            assert!(mailbox.published() <= limits.queue.messages as usize + TAKEN_BACK);
            // Each SUBSCRIBE may ask for all that is retained again.
            assert!(mailbox.len() - mailbox.published() <= 2 * REPLAY_AT_ONCE);
            let state = session.state.lock();
            assert!(state.received.len() <= usize::from(limits.receive_maximum));
            assert!(state.inflight.open() <= usize::from(limits.max_inflight));
            assert!(state.subscriptions.len() <= limits.max_subscriptions as usize);
        }
    }

    /// Everybody goes, and all time passes.
    fn end(mut self, peers: [Peer; PEERS]) {
        for mut peer in peers {
            peer.lose(&mut self);
        }
        let longest = u64::from(self.limits.session_expiry_max);
        self.now.0 += (longest + 1) * 1_000;
        self.broker.expire(&mut self.lane, self.now);
        let broker = &self.broker;
        assert_eq!((broker.sessions(), broker.timers(), broker.owners()), (0, 0, 0));
        assert_eq!((broker.subscriptions(), broker.filter_nodes()), (0, 0));
    }
}

/// What a connection pulled and gave back may be more than the queue's bound, once.
const TAKEN_BACK: usize = 4;

/// What a peer speaks before it has said so.
const UNSAID: Version = Version::V5;
