//! What survives the wire: one client's subscriptions, in-flight messages and will.
//!
//! Must not know packets, the router or who judges.

pub mod inflight;
pub mod registry;
pub mod subscriptions;
pub mod will;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmqtt_codec::PacketId;

use crate::client::Client;
use crate::limits::Queue;
use crate::mailbox::Mailbox;
use crate::time::Moment;
use inflight::Inflight;
use subscriptions::Subscriptions;
use will::Will;

/// One client's session. Shared by its connection, the registry and the timers; each takes the lock for one
/// step and never across another lock.
#[derive(Debug)]
pub struct Session {
    /// Unique on this node for the life of the session.
    pub key: u64,
    /// The client identifier.
    pub client_id: Arc<str>,
    /// The authentication name that created it; nobody else may use it.
    pub owner: Option<Box<str>>,
    /// Where its messages wait.
    pub mailbox: Arc<Mailbox>,
    /// Everything that changes.
    pub state: Mutex<State>,
}

/// The changing part of a [`Session`].
#[derive(Debug, Default)]
pub struct State {
    /// Number of the connection that has it; 0 = none. A connection that finds another number has lost it.
    pub attachment: u64,
    /// It is over; whoever finds this has to make a new one.
    pub ended: bool,
    /// Seconds it outlives its connection.
    pub expiry: u32,
    /// The client as it was admitted last: the will is published in its name.
    pub client: Option<Arc<Client>>,
    /// Sent and not acknowledged.
    pub inflight: Inflight,
    /// Packet identifiers of QoS 2 publications received and not released [MQTT-4.3.3-10], and the numbers of the
    /// connections that brought them; bounded by Receive Maximum.
    pub received: BTreeMap<PacketId, u64>,
    /// What it asked for.
    pub subscriptions: Subscriptions,
    /// Left by the client.
    pub will: Option<Box<Will>>,
    /// When the will is to be published, while the client is away.
    pub will_due: Option<Moment>,
    /// When the session ends, while the client is away.
    pub ends_at: Option<Moment>,
    /// The one entry this session has among the broker's timers.
    pub scheduled: Option<Due>,
}

/// When something is due, and the number of the connection that left it behind: no two entries are the same.
pub type Due = (Moment, u64);

impl Session {
    /// A session that nobody is attached to yet.
    pub fn new(key: u64, client_id: &str, owner: Option<&str>, bound: Queue) -> Self {
        let client_id: Arc<str> = client_id.into();
        Self {
            key,
            client_id: Arc::clone(&client_id),
            owner: owner.map(Into::into),
            mailbox: Arc::new(Mailbox::new(client_id, bound)),
            state: Mutex::default(),
        }
    }
}

impl State {
    /// Forgets a QoS 2 publication that this connection brought and that was not published: whoever has the session by now
    /// may be sent it again, and it is then no repetition.
    pub fn give_up(&mut self, id: PacketId, attachment: u64) {
        if self.received.get(&id) == Some(&attachment) {
            self.received.remove(&id);
        }
    }

    /// The next moment at which something has to be done for a client that is away.
    pub fn next_due(&self) -> Option<Moment> {
        match (self.will_due, self.ends_at) {
            (Some(will), Some(end)) => Some(will.min(end)),
            (will, end) => will.or(end),
        }
    }
}
