//! `[limits]` and `[listener.limits]`: the numbers, and which of two is the tighter one.

use std::{fmt, time::Duration};

use super::super::unit;

/// `[limits]` and `[listener.limits]`: what one client, or all of them together, may take.
///
/// A listener may only tighten; there these hold the effective values. Those that hold for the whole broker
/// cannot be set on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet a client may send, in bytes, as in CONNACK's Maximum Packet Size. 64 to 268 435 455.
    /// Default 1 MiB.
    pub max_packet_size: u32,
    /// QoS 1 and 2 publications a client may have unacknowledged towards the broker, as in CONNACK's
    /// Receive Maximum. At least 1. Default 1024.
    pub receive_maximum: u16,
    /// Topic aliases a client may set; 0 = none. Default 32.
    pub topic_alias_maximum: u16,
    /// QoS 1 and 2 publications towards one client that it has not acknowledged, whatever it would take.
    /// At least 1. Default 1024.
    pub max_inflight: u16,
    /// Longest a session outlives its connection, whole seconds. 0 to 4 294 967 294 s. Default 24 h.
    pub session_expiry_max: Duration,
    /// What may wait for one session.
    pub queue: Queue,
    /// Connections of one listener at the same time. 1 to 10 000 000. Default 100 000.
    pub max_connections: u32,
    /// Time from accepting a socket until a whole CONNECT has arrived. 100 ms to 5 min. Default 10 s.
    pub connect_timeout: Duration,
    /// Connections of one listener whose CONNECT has not been answered yet. 1 to 10 000 000. Default 10 000.
    pub max_handshakes: u32,
    /// Connections of one listener from one address at the same time; 0 = no bound. At most 10 000 000. Default 0.
    pub max_connections_per_address: u32,
    /// Connections of one listener from one address in a second; 0 = no bound. At most 10 000 000. Default 0.
    pub connection_rate_per_address: u32,
    /// Longest keep-alive a client may ask for, whole seconds; zero = whatever it asks for, or none. At most
    /// 65 535 s. Default zero.
    pub keep_alive_max: Duration,
    /// Shortest keep-alive of an MQTT 5 client that has one, whole seconds; it is told this instead. The maximum wins. At
    /// most 65 535 s. Default zero.
    pub keep_alive_min: Duration,
    /// Subscriptions of one session. 1 to 1 000 000. Default 1000.
    pub max_subscriptions: u32,
    /// Levels of a topic name or filter: the number of `/` plus one. At least 1. Default 256.
    pub max_topic_levels: u16,
    /// Bytes of a topic name or filter. At least 1. Default 65 535, the most MQTT can carry.
    pub max_topic_length: u16,
    /// Filters of one SUBSCRIBE; those beyond it are refused. 1 to 65 535. Default 1000.
    pub max_filters_per_subscribe: u32,
    /// User properties of one CONNECT, will, PUBLISH or SUBSCRIBE. 0 to 65 535. Default 100.
    pub max_user_properties: u16,
    /// Bytes of the names and values of these; 0 = as the packet has room for. At most 268 435 455. Default 0.
    pub max_user_properties_bytes: u32,
    /// Bytes of the payload of a publication or will; 0 = as the packet has room for. At most 268 435 455. Default 0.
    pub max_payload_size: u32,
    /// Bytes of a content type. Default 65 535, the most MQTT can carry.
    pub max_content_type: u16,
    /// Bytes of a response topic. Default 65 535.
    pub max_response_topic: u16,
    /// Bytes of correlation data. Default 65 535.
    pub max_correlation_data: u16,
    /// Longest delay of a will, whole seconds: one that asks for longer gets this; zero = no bound. At most
    /// 4 294 967 295 s. Default zero.
    pub will_delay_max: Duration,
    /// Longest life of a message, whole seconds: one that asks for longer, or for ever, gets this; zero = none.
    /// At most 4 294 967 295 s. Default zero.
    pub message_expiry_max: Duration,
    /// Life of a message that asks for none, whole seconds; zero = for ever. At most 4 294 967 295 s. Default zero.
    pub message_expiry_default: Duration,
    /// Longest a connection lasts, whole seconds; zero = no bound. At most 365 d. Default zero.
    pub connection_time_max: Duration,
    /// Publications of one client in a second; 0 = no bound. At most 10 000 000. Default 0.
    pub publish_rate: u32,
    /// Bytes of their topics, properties and payloads in a second; 0 = no bound. At most 1 GiB. Default 0.
    pub publish_bytes_rate: u32,
    /// What becomes of a client that publishes faster. Default throttle.
    pub on_publish_rate: OnPublishRate,
    /// SUBSCRIBE packets of one client in a second; 0 = no bound. At most 10 000 000. Default 0.
    pub subscribe_rate: u32,
    /// CONNECTs of one listener in a second; 0 = no bound. At most 10 000 000. Default 0.
    pub connect_rate: u32,
    /// Sessions, connected or not, of one authentication name; 0 = no bound. At most 1 000 000. Default 0.
    pub max_sessions_per_name: u32,
    /// How often one client identifier may connect.
    pub flapping: Flapping,
    /// How often somebody may fail to log in.
    pub failed_logins: FailedLogins,
    /// How much enhanced authentication one client may ask for.
    pub auth: Auth,
    /// Clients that may wait for an authenticator at once, of the whole broker; of each listener, where an authenticator
    /// asks a web service. 1 to 1 000 000. Default 1024.
    pub max_authentications: u32,
    /// Connections of all listeners at the same time, of the whole broker; 0 = no bound but theirs. At most 100 000 000.
    /// Default 0.
    pub max_connections_total: u32,
    /// Sessions, connected or not, of the whole broker. 1 to 100 000 000. Default 1 000 000.
    pub max_sessions: u32,
    /// Retained messages of the whole broker. 1 to 100 000 000. Default 100 000.
    pub max_retained_messages: u32,
    /// Bytes of all retained messages, of the whole broker. 1 KiB to 1 TiB. Default 256 MiB.
    pub max_retained_bytes: u64,
    /// Longest a message is retained after it was published, whole seconds, of the whole broker; zero = no bound. At most
    /// 4 294 967 295 s. Default zero.
    pub retained_expiry_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_packet_size: 1 << 20,
            receive_maximum: 1024,
            topic_alias_maximum: 32,
            max_inflight: 1024,
            session_expiry_max: Duration::from_hours(24),
            queue: Queue::default(),
            max_connections: 100_000,
            connect_timeout: Duration::from_secs(10),
            max_handshakes: 10_000,
            max_connections_per_address: 0,
            connection_rate_per_address: 0,
            keep_alive_max: Duration::ZERO,
            keep_alive_min: Duration::ZERO,
            max_subscriptions: 1000,
            max_topic_levels: 256,
            max_topic_length: u16::MAX,
            max_filters_per_subscribe: 1000,
            max_user_properties: 100,
            max_user_properties_bytes: 0,
            max_payload_size: 0,
            max_content_type: u16::MAX,
            max_response_topic: u16::MAX,
            max_correlation_data: u16::MAX,
            will_delay_max: Duration::ZERO,
            message_expiry_max: Duration::ZERO,
            message_expiry_default: Duration::ZERO,
            connection_time_max: Duration::ZERO,
            publish_rate: 0,
            publish_bytes_rate: 0,
            on_publish_rate: OnPublishRate::Throttle,
            subscribe_rate: 0,
            connect_rate: 0,
            max_sessions_per_name: 0,
            flapping: Flapping::default(),
            failed_logins: FailedLogins::default(),
            auth: Auth::default(),
            max_authentications: 1024,
            max_connections_total: 0,
            max_sessions: 1_000_000,
            max_retained_messages: 100_000,
            max_retained_bytes: 256 << 20,
            retained_expiry_max: Duration::ZERO,
        }
    }
}

/// `limits.queue`: what may wait for one session, connected or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Messages. 1 to 10 000 000. Default 10 000.
    pub messages: u32,
    /// Bytes of their topics, properties and payloads. 1 KiB to 64 GiB. Default 16 MiB.
    pub bytes: u64,
    /// What happens at either bound. Default drop-oldest.
    pub overflow: Overflow,
    /// Whether messages with QoS 0 wait for a client that is away. Default false.
    pub qos0: bool,
    /// Longest a message waits, up to an eighth more, whole seconds; zero = no bound. At most 365 d. Default zero.
    pub age: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            messages: 10_000,
            bytes: 16 << 20,
            overflow: Overflow::DropOldest,
            qos0: false,
            age: Duration::ZERO,
        }
    }
}

/// `limits.flapping`: a client identifier that connects more often is refused for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flapping {
    /// Connects; 0 = as often as it likes. At most 1 000 000. Default 0.
    pub connects: u32,
    /// Time from the first of them in which they count, whole seconds. 1 s to 24 h. Default 1 min.
    pub within: Duration,
    /// Time for which it is then refused, whole seconds. 1 s to 30 d. Default 5 min.
    pub ban: Duration,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { connects: 0, within: Duration::from_mins(1), ban: Duration::from_mins(5) }
    }
}

/// `limits.failed_logins`: an address, or a user name, that fails to log in more often is refused for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// Of one address; of IPv6, of one network of 64 bits; 0 = no bound. At most 1 000 000. Default 0.
    pub per_address: u32,
    /// Of one user name, from wherever; 0 = no bound. At most 1 000 000. Default 0.
    pub per_name: u32,
    /// Time from the first of them in which they count, whole seconds. 1 s to 24 h. Default 1 min.
    pub within: Duration,
    /// Time for which it is then refused, whole seconds. 1 s to 30 d. Default 5 min.
    pub ban: Duration,
}

impl Default for FailedLogins {
    fn default() -> Self {
        let Flapping { within, ban, .. } = Flapping::default();
        Self { per_address: 0, per_name: 0, within, ban }
    }
}

/// `limits.auth`: how much enhanced authentication, by AUTH packets, one client may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Rounds of one exchange: CONNECT, or the packet that begins a re-authentication, and each further AUTH packet of
    /// the client. 1 to 100. Default 8.
    pub rounds: u16,
    /// Bytes of authentication data from the client in one exchange. 16 B to 1 MiB. Default 64 KiB.
    pub data: u32,
    /// Longest an exchange may take, whole seconds. 1 s to 5 min. Default 30 s.
    pub timeout: Duration,
    /// Re-authentications of one connection; 0 = none. At most 1 000 000. Default 10.
    pub reauthentications: u32,
    /// Time from the first of them in which they count, whole seconds. 1 s to 24 h. Default 1 min.
    pub within: Duration,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            rounds: 8,
            data: 64 << 10,
            timeout: Duration::from_secs(30),
            reauthentications: 10,
            within: Duration::from_mins(1),
        }
    }
}

words! {
    /// What happens to a session whose queue is full.
    Overflow {
        /// The message that does not fit is dropped.
        DropNewest = "drop-newest",
        /// The messages that have waited longest are dropped.
        DropOldest = "drop-oldest",
        /// The session ends with all its state.
        EndSession = "end-session",
        /// The client is disconnected; its session stays.
        Disconnect = "disconnect",
    }
}

words! {
    /// What becomes of a client that publishes faster than it may.
    OnPublishRate {
        /// It is read later.
        Throttle = "throttle",
        /// It is disconnected.
        Disconnect = "disconnect",
    }
}

/// Every limit under its dotted name.
pub(in crate::config) type Entries = [(&'static str, Bound); 55];

/// One value of [`Limits`], without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Bound {
    Bytes(u64),
    Count(u64),
    Time(Duration),
    /// A time whose zero means that there is no bound.
    TimeOrNone(Duration),
    Word(&'static str),
    /// Bytes whose zero means that there is no bound.
    BytesOrNone(u64),
    /// A count whose zero means that there is no bound.
    CountOrNone(u64),
    Flag(bool),
    /// A time that is neither tight nor loose by itself.
    Span(Duration),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Bytes(bytes) | Self::BytesOrNone(bytes) => f.write_str(&unit::size(bytes)),
            Self::Count(count) | Self::CountOrNone(count) => count.fmt(f),
            Self::Time(time) | Self::TimeOrNone(time) | Self::Span(time) => {
                f.write_str(&unit::duration(time))
            }
            Self::Word(word) => f.write_str(word),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

impl Bound {
    /// Whether this would let through what `other` stops. Policies have no order.
    pub(in crate::config) fn is_looser_than(self, other: Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) | (Self::Count(a), Self::Count(b)) => a > b,
            (Self::Time(a), Self::Time(b)) => a > b,
            (Self::CountOrNone(a), Self::CountOrNone(b))
            | (Self::BytesOrNone(a), Self::BytesOrNone(b)) => b != 0 && (a == 0 || a > b),
            (Self::TimeOrNone(a), Self::TimeOrNone(b)) => !b.is_zero() && (a.is_zero() || a > b),
            _ => false,
        }
    }
}

impl Limits {
    /// The limits that hold for the whole broker.
    pub(in crate::config) const BROKER_WIDE: [&str; 6] = [
        "max_authentications",
        "max_connections_total",
        "max_sessions",
        "max_retained_messages",
        "max_retained_bytes",
        "retained_expiry_max",
    ];

    /// Every limit under its dotted name, in the order of the annotated default configuration.
    pub(in crate::config) fn entries(&self) -> Entries {
        // No `..`: a new limit that is not listed here does not compile.
        let Self {
            max_packet_size,
            receive_maximum,
            topic_alias_maximum,
            max_inflight,
            session_expiry_max,
            queue: Queue { messages, bytes, overflow, qos0, age },
            max_connections,
            connect_timeout,
            max_handshakes,
            max_connections_per_address,
            connection_rate_per_address,
            keep_alive_max,
            keep_alive_min,
            max_subscriptions,
            max_topic_levels,
            max_topic_length,
            max_filters_per_subscribe,
            max_user_properties,
            max_user_properties_bytes,
            max_payload_size,
            max_content_type,
            max_response_topic,
            max_correlation_data,
            will_delay_max,
            message_expiry_max,
            message_expiry_default,
            connection_time_max,
            publish_rate,
            publish_bytes_rate,
            on_publish_rate,
            subscribe_rate,
            connect_rate,
            max_sessions_per_name,
            flapping: Flapping { connects, within, ban },
            failed_logins:
                FailedLogins { per_address, per_name, within: fails_within, ban: fails_ban },
            auth: Auth { rounds, data, timeout, reauthentications, within: auth_within },
            max_authentications,
            max_connections_total,
            max_sessions,
            max_retained_messages,
            max_retained_bytes,
            retained_expiry_max,
        } = *self;
        [
            ("max_packet_size", Bound::Bytes(max_packet_size.into())),
            ("receive_maximum", Bound::Count(receive_maximum.into())),
            ("topic_alias_maximum", Bound::Count(topic_alias_maximum.into())),
            ("max_inflight", Bound::Count(max_inflight.into())),
            ("session_expiry_max", Bound::Time(session_expiry_max)),
            ("queue.messages", Bound::Count(messages.into())),
            ("queue.bytes", Bound::Bytes(bytes)),
            ("queue.overflow", Bound::Word(overflow.as_str())),
            ("queue.qos0", Bound::Flag(qos0)),
            ("queue.age", Bound::TimeOrNone(age)),
            ("max_connections", Bound::Count(max_connections.into())),
            ("connect_timeout", Bound::Time(connect_timeout)),
            ("max_handshakes", Bound::Count(max_handshakes.into())),
            ("max_connections_per_address", Bound::CountOrNone(max_connections_per_address.into())),
            ("connection_rate_per_address", Bound::CountOrNone(connection_rate_per_address.into())),
            ("keep_alive_max", Bound::TimeOrNone(keep_alive_max)),
            ("keep_alive_min", Bound::Span(keep_alive_min)),
            ("max_subscriptions", Bound::Count(max_subscriptions.into())),
            ("max_topic_levels", Bound::Count(max_topic_levels.into())),
            ("max_topic_length", Bound::Bytes(max_topic_length.into())),
            ("max_filters_per_subscribe", Bound::Count(max_filters_per_subscribe.into())),
            ("max_user_properties", Bound::Count(max_user_properties.into())),
            ("max_user_properties_bytes", Bound::BytesOrNone(max_user_properties_bytes.into())),
            ("max_payload_size", Bound::BytesOrNone(max_payload_size.into())),
            ("max_content_type", Bound::Bytes(max_content_type.into())),
            ("max_response_topic", Bound::Bytes(max_response_topic.into())),
            ("max_correlation_data", Bound::Bytes(max_correlation_data.into())),
            ("will_delay_max", Bound::TimeOrNone(will_delay_max)),
            ("message_expiry_max", Bound::TimeOrNone(message_expiry_max)),
            ("message_expiry_default", Bound::Span(message_expiry_default)),
            ("connection_time_max", Bound::TimeOrNone(connection_time_max)),
            ("publish_rate", Bound::CountOrNone(publish_rate.into())),
            ("publish_bytes_rate", Bound::BytesOrNone(publish_bytes_rate.into())),
            ("on_publish_rate", Bound::Word(on_publish_rate.as_str())),
            ("subscribe_rate", Bound::CountOrNone(subscribe_rate.into())),
            ("connect_rate", Bound::CountOrNone(connect_rate.into())),
            ("max_sessions_per_name", Bound::CountOrNone(max_sessions_per_name.into())),
            ("flapping.connects", Bound::CountOrNone(connects.into())),
            ("flapping.within", Bound::Span(within)),
            ("flapping.ban", Bound::Span(ban)),
            ("failed_logins.per_address", Bound::CountOrNone(per_address.into())),
            ("failed_logins.per_name", Bound::CountOrNone(per_name.into())),
            ("failed_logins.within", Bound::Span(fails_within)),
            ("failed_logins.ban", Bound::Span(fails_ban)),
            ("auth.rounds", Bound::Count(rounds.into())),
            ("auth.data", Bound::Bytes(data.into())),
            ("auth.timeout", Bound::Time(timeout)),
            ("auth.reauthentications", Bound::Count(reauthentications.into())),
            ("auth.within", Bound::Span(auth_within)),
            ("max_authentications", Bound::Count(max_authentications.into())),
            ("max_connections_total", Bound::CountOrNone(max_connections_total.into())),
            ("max_sessions", Bound::Count(max_sessions.into())),
            ("max_retained_messages", Bound::Count(max_retained_messages.into())),
            ("max_retained_bytes", Bound::Bytes(max_retained_bytes)),
            ("retained_expiry_max", Bound::TimeOrNone(retained_expiry_max)),
        ]
    }
}
