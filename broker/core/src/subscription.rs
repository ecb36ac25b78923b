//! What a subscription is, to whoever holds it and to whoever routes by it.

use std::num::NonZeroU32;

use wasmqtt_codec::QoS;

/// What a client asked of one subscription, as granted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct SubscriptionOptions {
    /// Granted.
    pub qos: QoS,
    /// The client's own messages are not sent back [MQTT-3.8.3-3].
    pub no_local: bool,
    /// The retain flag is sent on as it was published [MQTT-3.3.1-13].
    pub retain_as_published: bool,
    /// Sent with every message that matches.
    pub identifier: Option<NonZeroU32>,
}

/// Which member of a share group gets a message.
///
/// Whatever it says, a member that is away or whose queue is full is passed over for the next one; when nobody is
/// there, a member that is away and has room gets it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub enum SharedStrategy {
    /// One after the other; each filter of a share name takes turns of its own.
    #[default]
    RoundRobin,
    /// One after the other, with one turn for all filters of a share name: for groups of many filters with few messages
    /// each.
    RoundRobinPerGroup,
    /// Any.
    Random,
    /// One after the other of those on the publisher's own worker thread, which are served without waking another; then
    /// the others.
    Local,
    /// The same one for as long as it takes messages; then the next, for as long as that does.
    Sticky,
    /// By the publisher's client identifier: the same member, as long as the group stays as it is.
    HashClientId,
    /// By the topic, likewise.
    HashTopic,
    /// Each publisher has its own member, so that its messages stay in order, until that member is away or full; then it
    /// stays with the next, whoever joins or comes back. Remembered by the publisher's worker, for a bounded number of
    /// publishers.
    Ordered,
}
