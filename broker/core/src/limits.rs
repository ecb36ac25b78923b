//! Every bound of the core in one place, with its reason.

use crate::features::Features;
use crate::judge::IdentityLimits;

/// What happens to a message that finds a full queue.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum Overflow {
    /// The new message is dropped: what is queued stays in order.
    DropNewest,
    /// The oldest queued messages make room: fresh values matter more.
    #[default]
    DropOldest,
    /// The session is ended: a client that must not miss anything starts anew.
    EndSession,
    /// The connection is closed with 0x97 and the session kept; the new message is dropped.
    Disconnect,
}

/// The bound of one mailbox.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// Messages that wait.
    pub messages: u32,
    /// Bytes of topic, properties and payload that wait. A message shared by many mailboxes counts in each.
    pub bytes: u64,
    /// What gives way.
    pub overflow: Overflow,
    /// Whether messages with QoS 0 wait for a client that is away, too.
    pub qos0: bool,
    /// Seconds a message waits, up to an eighth more; 0 = no bound. What has waited longer is dropped.
    pub age: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 16 << 20,
            overflow: Overflow::DropOldest,
            qos0: false,
            age: 0,
        }
    }
}

/// How often one client identifier may connect. A client that goes round in circles costs a login and a session each
/// time; two clients under one identifier take it from each other for ever.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Flapping {
    /// Connects; 0 = no bound. The next one is refused with 0x8A.
    pub connects: u32,
    /// Seconds, from the first of them, in which they count.
    pub within: u32,
    /// Seconds for which the identifier is then refused.
    pub ban: u32,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { connects: 0, within: 60, ban: 300 }
    }
}

/// How much enhanced authentication one client may ask for: every round is a question to a plugin, before anybody knows
/// who the client is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct AuthLimits {
    /// Rounds of one exchange, the first included: CONNECT, or the AUTH packet that begins a re-authentication, and each
    /// AUTH packet that answers a challenge. Beyond: 0x97.
    pub rounds: u16,
    /// Bytes of authentication data that the client sends in one exchange. Beyond: 0x97.
    pub data: u32,
    /// Seconds that one exchange may take. Then: 0x87.
    pub timeout: u32,
    /// Re-authentications of one connection; 0 = none is taken. Beyond: 0x97.
    pub reauthentications: u32,
    /// Seconds, from the first of them, in which they count.
    pub within: u32,
}

impl Default for AuthLimits {
    fn default() -> Self {
        Self { rounds: 8, data: 64 << 10, timeout: 30, reauthentications: 10, within: 60 }
    }
}

/// How often somebody may fail to say who it is. Beyond, whoever comes from there, or under that name, is refused with
/// 0x8A for a while, and nobody is asked about it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct FailedLogins {
    /// From one address; 0 = no bound.
    pub per_address: u32,
    /// Under one user name, whether or not there is such a user; 0 = no bound.
    pub per_name: u32,
    /// Time from the first of them in which they count, in seconds.
    pub within: u32,
    /// Time of refusal, in seconds.
    pub ban: u32,
}

impl Default for FailedLogins {
    fn default() -> Self {
        Self { per_address: 0, per_name: 0, within: 60, ban: 300 }
    }
}

/// What becomes of a client that publishes faster than it may.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum OnPublishRate {
    /// Nothing more of it is read for a while: it slows down by itself, and loses nothing.
    #[default]
    Throttle,
    /// It is disconnected with 0x96.
    Disconnect,
}

/// What one client may use. A listener sets it; an authenticator may tighten it for one client.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Largest packet the broker accepts, in bytes: bounds the memory one connection can pin.
    pub max_packet_size: u32,
    /// QoS 2 publications of the client that may be unreleased: bounds the set of received packet ids.
    pub receive_maximum: u16,
    /// Topic aliases a client may set: each keeps one topic name for the life of the connection.
    pub topic_alias_maximum: u16,
    /// QoS 1 and 2 messages sent to the client and not yet acknowledged, whatever Receive Maximum it sent.
    pub max_inflight: u16,
    /// Longest session expiry, in seconds: a stored session costs memory.
    pub session_expiry_max: u32,
    /// Messages that wait for the client.
    pub queue: Queue,
    /// Filters a session may hold.
    pub max_subscriptions: u32,
    /// Levels of a topic or filter: bounds the depth of the topic tree.
    pub max_topic_levels: u16,
    /// Bytes of a topic or filter.
    pub max_topic_length: u16,
    /// Seconds; a client that asks for more, or for none, gets this (MQTT 5) or is not let in (3.x); 0 = no
    /// bound.
    pub keep_alive_max: u16,
    /// Seconds; an MQTT 5 client that asks for less is told this. One before it, which cannot be told, keeps its own.
    pub keep_alive_min: u16,
    /// PUBLISH packets per second, averaged over one second; none = unlimited.
    pub publish_rate: Option<u32>,
    /// Bytes of their topics, properties and payloads, likewise.
    pub publish_bytes_rate: Option<u32>,
    /// What becomes of a client that publishes faster.
    pub on_publish_rate: OnPublishRate,
    /// Longest life of a message the client publishes or leaves as its will, in seconds: what asks for longer, or for
    /// ever, gets this; 0 = no bound.
    pub message_expiry_max: u32,
    /// Life of a message that asks for none, in seconds; 0 = for ever.
    pub message_expiry_default: u32,
    /// Seconds until a connection is closed with 0xA0, whoever has it; 0 = no bound.
    pub connection_time_max: u32,
    /// Sessions, connected and stored, that one authentication name may have; 0 = no bound. Clients without a name
    /// are not counted. Beyond: 0x97.
    pub max_sessions_per_name: u32,
    /// User properties of one CONNECT, will, PUBLISH or SUBSCRIBE: each is handed to plugins and, with a message, sent
    /// to every subscriber. Beyond: 0x97.
    pub max_user_properties: u16,
    /// Bytes of their names and values. Beyond: 0x97.
    pub max_user_properties_bytes: u32,
    /// Bytes of the payload of a PUBLISH or a will: every subscriber is sent it. Beyond: 0x97.
    pub max_payload_size: u32,
    /// Bytes of a content type. Beyond: 0x97.
    pub max_content_type: u16,
    /// Bytes of a response topic. Beyond: 0x97.
    pub max_response_topic: u16,
    /// Bytes of correlation data. Beyond: 0x97.
    pub max_correlation_data: u16,
    /// Longest delay of a will, in seconds: one that asks for longer gets this; 0 = no bound.
    pub will_delay_max: u32,
    /// SUBSCRIBE packets in one second; none = unlimited. Beyond: 0x97 for each of its filters.
    pub subscribe_rate: Option<u32>,
    /// Filters of one SUBSCRIBE: each is a question to every authorizer, while other clients of the worker wait. Beyond:
    /// 0x97 for those that are too many.
    pub max_filters_per_subscribe: u32,
    /// How often one client identifier may connect.
    pub flapping: Flapping,
    /// How often somebody may fail to say who it is.
    pub failed_logins: FailedLogins,
    /// How much enhanced authentication it may ask for.
    pub auth: AuthLimits,
    /// What is offered at all.
    pub features: Features,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_size: 1 << 20,
            receive_maximum: 1024,
            topic_alias_maximum: 32,
            max_inflight: 1024,
            session_expiry_max: 24 * 60 * 60,
            queue: Queue::default(),
            max_subscriptions: 1000,
            max_topic_levels: 256,
            max_topic_length: u16::MAX,
            keep_alive_max: 0,
            keep_alive_min: 0,
            publish_rate: None,
            publish_bytes_rate: None,
            on_publish_rate: OnPublishRate::Throttle,
            message_expiry_max: 0,
            message_expiry_default: 0,
            connection_time_max: 0,
            max_sessions_per_name: 0,
            max_user_properties: 100,
            max_user_properties_bytes: u32::MAX,
            max_payload_size: u32::MAX,
            max_content_type: u16::MAX,
            max_response_topic: u16::MAX,
            max_correlation_data: u16::MAX,
            will_delay_max: 0,
            subscribe_rate: None,
            max_filters_per_subscribe: 1000,
            flapping: Flapping::default(),
            failed_logins: FailedLogins::default(),
            auth: AuthLimits::default(),
            features: Features::default(),
        }
    }
}

impl Limits {
    /// These, for a client that is connected while the operator changes them to `next`. What CONNACK told it, and what
    /// is looked at only when somebody enters, stays as it was.
    pub fn revised(&self, next: &Self) -> Self {
        Self {
            max_packet_size: self.max_packet_size,
            receive_maximum: self.receive_maximum,
            topic_alias_maximum: self.topic_alias_maximum,
            max_inflight: self.max_inflight,
            session_expiry_max: self.session_expiry_max,
            keep_alive_max: self.keep_alive_max,
            keep_alive_min: self.keep_alive_min,
            message_expiry_max: self.message_expiry_max,
            message_expiry_default: self.message_expiry_default,
            max_sessions_per_name: self.max_sessions_per_name,
            flapping: self.flapping,
            failed_logins: self.failed_logins,
            auth: self.auth,
            features: self.features,
            ..*next
        }
    }

    /// The delay of a will that asks for this one, in seconds.
    pub fn will_delay(&self, asked: u32) -> u32 {
        match self.will_delay_max {
            0 => asked,
            max => asked.min(max),
        }
    }

    /// The life of a message that asks for this one, in seconds; none = for ever.
    pub fn expiry(&self, asked: Option<u32>) -> Option<u32> {
        let default = Some(self.message_expiry_default).filter(|seconds| *seconds > 0);
        match (self.message_expiry_max, asked.or(default)) {
            (0, asked) => asked,
            (max, asked) => Some(asked.map_or(max, |asked| asked.min(max))),
        }
    }
}

impl IdentityLimits {
    /// The listener's limits, where these are not tighter.
    pub(crate) fn tighten(&self, listener: &Limits) -> Limits {
        let mut limits = *listener;
        let lower = |bound: &mut u32, own: Option<u32>| *bound = own.unwrap_or(*bound).min(*bound);
        lower(&mut limits.max_packet_size, self.maximum_packet_size.map(|size| size.max(1)));
        lower(&mut limits.session_expiry_max, self.session_expiry);
        // Less than one and nothing could ever be delivered.
        lower(&mut limits.queue.messages, self.queued_messages.map(|messages| messages.max(1)));
        lower(&mut limits.max_subscriptions, self.subscriptions);
        if let Some(receive_maximum) = self.receive_maximum {
            limits.receive_maximum = limits.receive_maximum.min(receive_maximum.max(1));
        }
        limits.publish_rate = match (limits.publish_rate, self.publish_rate) {
            (Some(listener), Some(own)) => Some(listener.min(own)),
            (listener, own) => listener.or(own),
        };
        limits
    }
}

/// What the whole broker may hold.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct BrokerLimits {
    /// Sessions, connected and stored.
    pub max_sessions: usize,
    /// Retained messages.
    pub max_retained_messages: usize,
    /// Bytes of topic, properties and payload of retained messages, and of each topic once more what is beyond
    /// [`LONG_TOPIC`].
    pub max_retained_bytes: usize,
    /// Seconds a message is retained, whatever its own life; 0 = no bound.
    pub retained_expiry_max: u32,
}

impl Default for BrokerLimits {
    fn default() -> Self {
        Self {
            max_sessions: 1_000_000,
            max_retained_messages: 100_000,
            max_retained_bytes: 256 << 20,
            retained_expiry_max: 0,
        }
    }
}

/// Bytes of a topic that lie in the tree of retained messages for nothing. What a topic is longer counts twice: it lies in
/// its message, too.
pub const LONG_TOPIC: usize = 256;

/// Topics a worker remembers with their subscribers. Beyond it the memo starts over: a rebuild costs one walk
/// of the trie per topic, so the bound only has to be larger than the set of topics in steady use.
pub const MEMO_TOPICS: usize = 16_384;

/// The longest topic that a worker remembers, in bytes. What is longer is seldom the same twice, and would fill the memory
/// that the shorter ones are worth.
pub const MEMO_LENGTH: usize = 512;

/// Subscribers that all topics a worker remembers may name: a few thousand clients at `#` would else be remembered
/// once for every topic. 64 bytes each.
pub const MEMO_SUBSCRIBERS: usize = 262_144;

/// Client identifiers whose connects are counted, where they are; likewise addresses and user names that fail to log in.
/// Beyond it the count that would be over first gives way to a new one, and bans stand: a flood of identifiers must cost no
/// memory, set nobody free and keep nobody from being counted.
pub const JAIL_CLIENTS: usize = 65_536;

/// Clients without a connection of which it is remembered what they have published, where their rate is limited. Beyond it
/// those are forgotten that owe least.
pub const PACES: usize = 65_536;

/// Those of them that may be banned. Beyond it the ban ends that would end first: without room to count, whoever came next
/// could try as often as it liked.
pub const JAIL_BANS: usize = JAIL_CLIENTS / 4 * 3;

/// Publishers whose place in a share group a worker remembers, each once per group. Beyond it the memory starts over,
/// and their places are found by a hash again: mostly the same ones.
pub const SHARE_HOMES: usize = 16_384;

/// Members of a share group that are looked at for messages that wait for somebody who is away, when another one joins:
/// a group of a hundred thousand must not hold up whoever subscribes.
pub const SHARE_RALLY: usize = 1024;

/// Deliveries a connection takes from its mailbox in one turn, so that no connection holds up its worker.
pub const TURN_DELIVERIES: usize = 512;

/// Bytes of messages a connection takes from its mailbox in one turn; one message may go beyond.
pub const TURN_BYTES: usize = 256 << 10;

/// Retained messages that are taken from the store at once for one subscriber; the others stay there until these are
/// on their way.
pub const REPLAY_AT_ONCE: usize = 256;

/// Places of the retained store that are looked at in one turn for one subscriber, under its lock; fewer where topics are
/// long.
pub const REPLAY_PLACES: usize = 4096;

/// Topic aliases the broker assigns toward one client, however many that client allows: each keeps a topic name, and
/// few topics make most of a client's traffic.
pub const ASSIGNED_ALIASES: u16 = 64;
