//! The router against a naive one: subscriptions, share groups and retained messages of a few clients.
//!
//! The naive one holds everything in lists and looks at every entry; whatever the two do not agree on is a fault.

mod naive;

use std::sync::Arc;

use arbitrary::Unstructured;
use wasmqtt_codec::{
    Connect, Filter, Next, PacketId, RetainHandling, Subscribe, Subscription, Unsubscribe,
    UserProperties, Version, frame,
};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::connection::{Departure, handshake};
use wasmqtt_core::judge::{AllowAll, Identity};
use wasmqtt_core::limits::{BrokerLimits, Limits, Queue};
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::message::{Origin, Parts};
use wasmqtt_core::session::Session;
use wasmqtt_core::subscription::{SharedStrategy, SubscriptionOptions};
use wasmqtt_core::time::Moment;

use super::{QOS, byte, pick};
use naive::{Kept, Naive};

const CLIENTS: usize = 5;
/// Workers, each with its own memory of routes.
const LANES: usize = 2;
const STRATEGIES: [SharedStrategy; 8] = [
    SharedStrategy::RoundRobin,
    SharedStrategy::RoundRobinPerGroup,
    SharedStrategy::Random,
    SharedStrategy::Local,
    SharedStrategy::Sticky,
    SharedStrategy::HashClientId,
    SharedStrategy::HashTopic,
    SharedStrategy::Ordered,
];
/// What topics and filters are made of, besides whatever the input says.
const PIECES: [&str; 16] = [
    "a",
    "b",
    "/",
    "+",
    "#",
    "$",
    "$share/g/",
    "$share/h/",
    "a/b",
    "/+",
    "/#",
    "+/",
    "$SYS",
    "é",
    "\0",
    "a/",
];

/// One client, as the broker has it.
struct Member {
    client: Arc<Client>,
    session: Arc<Session>,
    attachment: u64,
}

struct World {
    broker: Broker,
    lanes: Vec<Lane>,
    limits: Limits,
    now: Moment,
    members: Vec<Member>,
    naive: Naive,
    /// Publications so far: what tells one from another.
    published: u32,
}

/// The first byte chooses the strategy; then come operations.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let strategy = pick(&mut input, &STRATEGIES);
    let mut world = World::new(strategy);
    while !input.is_empty() {
        world.step(&mut input);
    }
    world.end();
}

impl World {
    fn new(strategy: SharedStrategy) -> Self {
        let broker = Broker::new(BrokerLimits::default(), 7).sharing(strategy);
        let lane = |number| Lane::new(Box::new(AllowAll)).on_worker(number as u32);
        let limits = Limits {
            // Nothing must be lost here: that is what `connection` is about.
            queue: Queue { messages: u32::MAX, bytes: u64::MAX, ..Queue::default() },
            ..Limits::default()
        };
        let mut world = Self {
            broker,
            lanes: (0..LANES).map(lane).collect(),
            limits,
            now: Moment(1_000),
            members: Vec::new(),
            naive: Naive::new(CLIENTS, strategy),
            published: 0,
        };
        for number in 0..CLIENTS {
            let member = world.admit(number);
            world.members.push(member);
        }
        world
    }

    fn admit(&mut self, number: usize) -> Member {
        let id = format!("client-{number}");
        let mut bytes = Vec::new();
        Connect::new(Version::V5, &id).encode(Version::V5, &mut bytes).unwrap();
        let Ok(Next::Whole { frame, .. }) = frame::next(&bytes, frame::MAX_PACKET_SIZE) else {
            panic!("half a CONNECT");
        };
        let hello = handshake::receive(frame, ListenerId(0), Transport::Tcp, "here:1").unwrap();
        let lane = &mut self.lanes[number % LANES];
        let admission =
            self.broker.admit(lane, self.now, &hello, Identity::default(), &self.limits).unwrap();
        Member {
            client: admission.client,
            session: admission.session,
            attachment: admission.attachment,
        }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) {
        let operation = byte(input);
        let number = usize::from(byte(input)) % CLIENTS;
        match operation % 8 {
            0..=2 => self.subscribe(input, number),
            3 => self.unsubscribe(input, number),
            4..=5 => self.publish(input, number),
            6 => {
                self.now.0 += u64::from(byte(input)) * 100;
                self.broker.expire_retained(self.now);
                self.naive.forget(self.now);
                assert_eq!(self.broker.retained(), self.naive.kept());
            }
            _ => self.rejoin(number),
        }
        assert_eq!(self.broker.subscriptions(), self.naive.subscriptions());
    }

    fn subscribe(&mut self, input: &mut Unstructured<'_>, number: usize) {
        let filter = text(input);
        let options = byte(input);
        let handling =
            [RetainHandling::SendAtSubscribe, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
        let parsed = Filter::parse(&filter).ok();
        assert_eq!(parsed.is_some(), naive::is_filter(&filter), "{filter:?}");
        let shared = parsed.is_some_and(|parsed| parsed.share().is_some());
        let subscription = Subscription {
            filter: &filter,
            qos: QOS[usize::from(options & 3) % QOS.len()],
            // Not allowed together [MQTT-3.8.3-4].
            no_local: options & 4 != 0 && !shared,
            retain_as_published: options & 8 != 0,
            retain_handling: handling[usize::from(options >> 4 & 3) % handling.len()],
        };
        let identifier = std::num::NonZeroU32::new(u32::from(options >> 6));
        let subscribe = Subscribe {
            packet_id: PacketId::MIN,
            subscription_identifier: identifier,
            user_properties: UserProperties::EMPTY,
            subscriptions: vec![subscription],
        };
        let Self { broker, lanes, limits, now, members, naive, .. } = self;
        let member = &members[number];
        let codes = broker
            .subscribe(
                &mut lanes[number % LANES],
                *now,
                &member.client,
                &member.session,
                limits,
                &subscribe,
            )
            .codes;
        assert_eq!(codes.len(), 1);
        assert_eq!(!codes[0].is_error(), parsed.is_some(), "{filter:?}: {codes:?}");
        let Some(parsed) = parsed else { return };
        assert_eq!(codes[0] as u8, subscription.qos as u8);
        let options = SubscriptionOptions {
            qos: subscription.qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            identifier,
        };
        let is_new = naive.subscribe(number, &filter, options);
        let replays = match subscription.retain_handling {
            RetainHandling::SendAtSubscribe => true,
            RetainHandling::SendIfNew => is_new,
            RetainHandling::DoNotSend => false,
        };
        let expected = if replays && !shared {
            naive.replay(number, parsed.pattern(), options, *now)
        } else {
            Vec::new()
        };
        for other in 0..CLIENTS {
            let got = self.take(other);
            let expected = if other == number { &expected[..] } else { &[] };
            assert_eq!(got.len(), expected.len(), "{filter:?}: {got:?}");
            for (delivery, kept) in got.iter().zip(expected) {
                assert_eq!(delivery.message.topic(), kept.topic, "{filter:?}");
                assert_eq!(delivery.message.payload(), kept.number.to_be_bytes());
                assert_eq!(delivery.qos, kept.qos.min(options.qos));
                assert!(delivery.retain && delivery.stored);
                assert_eq!(delivery.identifiers(), identifier.as_slice());
            }
        }
    }

    fn unsubscribe(&mut self, input: &mut Unstructured<'_>, number: usize) {
        let filter = match byte(input) {
            // One that it has, as a rule.
            at @ 0..=199 => self.naive.held(number, at.into()).unwrap_or_else(|| text(input)),
            _ => text(input),
        };
        let unsubscribe = Unsubscribe {
            packet_id: PacketId::MIN,
            user_properties: UserProperties::EMPTY,
            filters: vec![&filter],
        };
        let Self { broker, lanes, members, .. } = self;
        let Member { client, session, .. } = &members[number];
        let lane = &mut lanes[number % LANES];
        let codes = broker.unsubscribe(lane, self.now, client, session, &unsubscribe);
        let known = self.naive.unsubscribe(number, &filter);
        assert_eq!(codes.len(), 1);
        assert_eq!(codes[0].is_error(), !naive::is_filter(&filter), "{filter:?}: {codes:?}");
        assert_eq!(codes[0] as u8 == 0, known, "{filter:?}: {codes:?}");
    }

    fn publish(&mut self, input: &mut Unstructured<'_>, number: usize) {
        let topic = text(input);
        let options = byte(input);
        if topic.contains(['+', '#', '\0']) || topic.is_empty() || topic.starts_with("$SYS") {
            return;
        }
        self.published += 1;
        let (qos, retain) = (QOS[usize::from(options & 3) % QOS.len()], options & 4 != 0);
        let payload = self.published.to_be_bytes();
        let payload: &[u8] = if options & 8 == 0 { &payload } else { &[] };
        let expires_at = (options & 16 != 0).then(|| self.now.after_secs(5));
        let parts = Parts {
            topic: &topic,
            properties: Default::default(),
            payload,
            qos,
            retain,
            origin: Origin::Client,
            expires_at,
        };
        let lane = &mut self.lanes[usize::from(options >> 7)];
        let published = self.broker.publish(lane, self.now, &self.members[number].client, parts);
        if retain {
            let kept =
                Kept { topic: topic.clone(), number: self.published, qos, expires_at, by: number };
            self.naive.keep(kept, payload.is_empty());
            assert_eq!(self.broker.retained(), self.naive.kept());
        }
        let got: Vec<_> = (0..CLIENTS).map(|client| self.take(client)).collect();
        let reached = self.naive.check(number, &topic, qos, retain, &got);
        for delivery in got.iter().flatten() {
            assert_eq!((delivery.message.topic(), delivery.message.payload()), (&*topic, payload));
        }
        let nobody = published.unwrap() == wasmqtt_core::broker::Published::NoMatchingSubscribers;
        assert_eq!(nobody, !reached && !retain, "{topic:?}");
    }

    /// The session ends, and with it whatever it had.
    fn rejoin(&mut self, number: usize) {
        self.leave(number);
        assert_eq!(self.broker.subscriptions(), self.naive.subscriptions());
        self.members[number] = self.admit(number);
    }

    fn leave(&mut self, number: usize) {
        let Self { broker, lanes, now, members, naive, .. } = self;
        let Member { session, attachment, .. } = &members[number];
        broker.depart(&mut lanes[number % LANES], *now, session, *attachment, Departure::LOST);
        naive.leave(number);
    }

    fn take(&self, number: usize) -> Vec<Delivery> {
        let Member { session, attachment, .. } = &self.members[number];
        let mut taken = Vec::new();
        while !session.mailbox.is_empty() {
            session.mailbox.pull(self.now, *attachment, usize::MAX, usize::MAX, &mut taken);
        }
        taken
    }

    /// When all are gone, nothing is left of them.
    fn end(mut self) {
        (0..CLIENTS).for_each(|number| self.leave(number));
        assert_eq!((self.broker.subscriptions(), self.broker.filter_nodes()), (0, 0));
        assert_eq!((self.broker.sessions(), self.broker.timers()), (0, 0));
    }
}

/// A text of some pieces.
fn text(input: &mut Unstructured<'_>) -> String {
    let len = byte(input) % 8;
    (0..len).map(|_| pick(input, &PIECES)).collect()
}
