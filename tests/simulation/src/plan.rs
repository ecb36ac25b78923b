//! What kind of run a seed makes: how many take part, how much of everything there is, how often things break.

use wasmqtt_core::features::Features;
use wasmqtt_core::judge::{Actions, Effect, Identity, IdentityLimits, Permission};
use wasmqtt_core::limits::{BrokerLimits, Limits, OnPublishRate, Overflow, Queue};
use wasmqtt_core::subscription::SharedStrategy;

use crate::random::Random;

/// One run's parameters.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) lanes: usize,
    pub(crate) clients: usize,
    pub(crate) steps: u64,
    pub(crate) listener: Limits,
    pub(crate) broker: BrokerLimits,
    /// Judges answer differently from one generation to the next; otherwise everything is allowed.
    pub(crate) is_judged: bool,
    /// Authenticators bound some clients, or refuse them.
    pub(crate) has_identities: bool,
    /// How share groups choose.
    pub(crate) sharing: SharedStrategy,
    /// Clients join share groups. Not where the oldest messages give way: which those are depends on whom groups chose.
    pub(crate) has_groups: bool,
    /// Bytes that a wire holds toward a client.
    pub(crate) wire: usize,
    /// Longest delay of a chunk, in milliseconds.
    pub(crate) latency: u64,
    /// Cuts per ten thousand steps.
    pub(crate) cuts: u64,
    /// Clients break the rules now and then.
    pub(crate) is_rude: bool,
    /// A turn may be held between any two verbs, as if its thread had to wait.
    pub(crate) holds: bool,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let tight = random.chance(40);
        let policies = [
            Overflow::DropNewest,
            Overflow::DropOldest,
            Overflow::EndSession,
            Overflow::Disconnect,
        ];
        let queue = match tight {
            true => Queue {
                messages: 2 + random.below(10) as u32,
                bytes: u64::MAX,
                overflow: random.pick(&policies),
                qos0: random.chance(20),
                age: 0,
            },
            false => Queue {
                messages: 1_000_000,
                bytes: u64::MAX,
                qos0: random.chance(20),
                age: 0,
                // Some identities are bounded all the same.
                overflow: Overflow::DropNewest,
            },
        };
        let listener = Limits {
            max_packet_size: random.pick(&[400, 1000, 1 << 20]),
            receive_maximum: random.pick(&[2, 5, 20]),
            topic_alias_maximum: random.pick(&[0, 2, 8]),
            max_inflight: random.pick(&[1, 3, 10, 1024]),
            session_expiry_max: random.pick(&[20, 3600]),
            queue,
            max_subscriptions: random.pick(&[3, 6, 1000]),
            max_topic_levels: 6,
            max_topic_length: 40,
            keep_alive_max: random.pick(&[0, 0, 30]),
            on_publish_rate: OnPublishRate::Disconnect,
            features: Features {
                check_retained_source: !seed.is_multiple_of(3),
                ..Features::default()
            },
            ..Limits::default()
        };
        let broker = BrokerLimits {
            max_sessions: random.pick(&[3, 1000, 1000]),
            max_retained_messages: random.pick(&[2, 1000, 1000]),
            max_retained_bytes: random.pick(&[300, 1 << 20, 1 << 20]),
            retained_expiry_max: 0,
        };
        Self {
            seed,
            lanes: 1 + random.index(3),
            clients: 2 + random.index(5),
            steps: 300 + random.below(1500),
            listener,
            broker,
            is_judged: random.chance(50),
            has_identities: random.chance(40),
            sharing: random.pick(&STRATEGIES),
            has_groups: !(tight && queue.overflow == Overflow::DropOldest),
            wire: random.pick(&[64, 300, 4000, 1 << 20]),
            latency: random.pick(&[0, 5, 50, 500]),
            cuts: random.pick(&[0, 20, 100, 300]),
            is_rude: random.chance(25),
            holds: random.chance(60),
        }
    }

    /// Who a client is told to be, when authenticators have a say.
    pub(crate) fn identity(&self, random: &mut Random) -> Identity {
        let some = |random: &mut Random, values: &[u32]| {
            if random.chance(30) { Some(random.pick(values)) } else { None }
        };
        let limits = IdentityLimits {
            receive_maximum: some(random, &[1, 3, 100]).map(|value| value as u16),
            maximum_packet_size: some(random, &[350, 500, 1 << 21]),
            session_expiry: some(random, &[0, 5, 100]),
            queued_messages: some(random, &[5, 50]),
            subscriptions: some(random, &[2, 10]),
            publish_rate: some(random, &[3, 30]).filter(|_| random.chance(30)),
        };
        let mut identity = Identity { limits, ..Identity::default() };
        if random.chance(30) {
            identity.permissions.push(secret());
        }
        identity.expires_in = some(random, &[5, 60]);
        identity
    }
}

/// Nothing below `secret` is this client's business.
fn secret() -> Permission {
    Permission {
        effect: Effect::Deny,
        filter: "secret/#".into(),
        actions: Actions::ALL,
        max_qos: None,
        retain: None,
    }
}

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

/// Topics that clients publish to.
pub(crate) const TOPICS: [&str; 8] =
    ["t/a", "t/b", "t/a/x", "u", "s/one", "s/two", "secret/x", "$own/z"];

/// Filters that clients subscribe to; the last one is none.
pub(crate) const FILTERS: [&str; 16] = [
    "#", "+/+", "t/#", "t/+", "t/a", "t/b", "u", "+", "s/#", "s/one", "secret/#", "secret/x",
    "t/a/#", "$own/#", "will/#", "t/#/not",
];

/// Shared subscriptions, some of which overlap.
pub(crate) const GROUPS: [&str; 4] =
    ["$share/g/t/#", "$share/g/s/+", "$share/h/#", "$share/h/s/one"];
