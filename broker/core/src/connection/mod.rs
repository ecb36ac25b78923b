//! One client's life on the wire, without a wire.
//!
//! The law of use: hand in one frame with [`Connection::receive`]; do what it asks; write what was put into
//! `out`; after all frames, [`Connection::pump`] what the mailbox holds. `now` is an argument of everything.
//! Must not know the router, who judges, or the broker's verbs.

mod alias;
mod assigned;
mod close;
mod content;
mod exchange;
pub mod handshake;
mod inbound;
mod outbound;
mod rate;
mod subscriptions;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use wasmqtt_codec::{PacketId, ReasonCode, Version};

use crate::client::Client;
use crate::fault::Fault;
use crate::judge::IdentityLimits;
use crate::limits::{ASSIGNED_ALIASES, Limits};
use crate::mailbox::Notice;
use crate::session::Session;
use crate::time::Moment;
use alias::Aliases;
use assigned::Assigned;
use exchange::Authentication;
use handshake::{Admission, Hello};
use rate::Rate;
use subscriptions::Subscribes;

pub(crate) use content::{check_size, check_user_properties};
pub(crate) use inbound::check_format;
pub use inbound::{Inbound, Publication};
pub use outbound::LeftOut;
pub use rate::Pace;
pub use subscriptions::Subscribed;

/// How a connection ended, for [`Broker::depart`](crate::broker::Broker::depart).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Whether the will is to be published [MQTT-3.1.2-8].
    pub with_will: bool,
    /// A new session expiry, in seconds, from DISCONNECT.
    pub session_expiry: Option<u32>,
    /// The session ends with the connection, whatever its expiry.
    pub end_session: bool,
    /// What ended it: as the client said, or as it was told. None when the stream just ended.
    pub code: Option<ReasonCode>,
}

impl Departure {
    /// Anything but a proper DISCONNECT.
    pub const LOST: Self =
        Self { with_will: true, session_expiry: None, end_session: false, code: None };
}

/// A connected client, after the handshake.
#[derive(Debug)]
pub struct Connection {
    client: Arc<Client>,
    session: Arc<Session>,
    attachment: u64,
    version: Version,
    /// The client wants reason strings on every packet.
    problem_information: bool,
    /// Zero = none.
    keep_alive: Duration,
    /// When the last whole packet came.
    heard_at: Moment,
    /// Since when the broker does not read, or was last excused for it.
    deaf_since: Option<Moment>,
    expires_at: Option<Moment>,
    /// When it was let in.
    began_at: Moment,
    session_expiry: u32,
    /// Largest packet the client takes, in bytes.
    largest: usize,
    /// Messages with QoS 1 or 2 that may be open toward the client.
    window: usize,
    /// How many of these are free; what the mailbox is asked for.
    room: usize,
    /// Open since a connection before, and not yet sent again: the window had no place for them.
    unsent: VecDeque<PacketId>,
    aliases: Aliases,
    /// None when the client takes no aliases.
    assigned: Option<Box<Assigned>>,
    limits: Arc<Limits>,
    /// What of them is its own.
    own: Option<Box<IdentityLimits>>,
    rate: Rate,
    subscribes: Subscribes,
    /// What was not sent since somebody asked.
    left_out: LeftOut,
    /// Of a client that named a method in CONNECT.
    authentication: Option<Box<Authentication>>,
}

impl Connection {
    fn new(now: Moment, hello: &Hello, admission: Admission) -> Self {
        let window = hello.receive_maximum.get().min(admission.limits.max_inflight);
        Self {
            version: hello.connecting.version,
            problem_information: hello.request_problem_information,
            // One and a half times [MQTT-3.1.2-22].
            keep_alive: Duration::from_millis(u64::from(admission.keep_alive) * 1500),
            heard_at: now,
            deaf_since: None,
            expires_at: admission.expires_at,
            began_at: now,
            session_expiry: admission.session_expiry,
            largest: hello.largest(),
            window: usize::from(window),
            room: usize::from(window),
            unsent: VecDeque::new(),
            aliases: Aliases::new(admission.limits.topic_alias_maximum),
            assigned: Assigned::new(hello.topic_alias_maximum.min(ASSIGNED_ALIASES)).map(Box::new),
            limits: admission.limits,
            own: admission.own,
            rate: Rate::new(admission.pace),
            subscribes: Subscribes::default(),
            left_out: LeftOut::default(),
            authentication: hello.standing(now, &admission.client.id),
            client: admission.client,
            session: admission.session,
            attachment: admission.attachment,
        }
    }

    /// Who it is.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Where its state lives.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// The number under which it has its session.
    pub fn attachment(&self) -> u64 {
        self.attachment
    }

    /// What it may use.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// What it may use once its listener has these limits; none = nothing changes. What it was told in CONNACK stands.
    pub fn revised(&self, listener: &Limits) -> Option<Limits> {
        let next = match &self.own {
            Some(own) => self.limits.revised(&own.tighten(listener)),
            None => self.limits.revised(listener),
        };
        (next != *self.limits).then_some(next)
    }

    /// It may use this from now on. `pace`: where its rate is another, what is counted from now on.
    pub(crate) fn revise(&mut self, limits: Arc<Limits>, pace: impl FnOnce() -> Option<Pace>) {
        let rates = |limits: &Limits| {
            (limits.publish_rate, limits.publish_bytes_rate, limits.on_publish_rate)
        };
        if rates(&self.limits) != rates(&limits) {
            // What was too much for one rate says nothing about another.
            self.rate = Rate::new(pace());
        }
        self.limits = limits;
    }

    /// How many messages with QoS 1 or 2 it has room for.
    pub fn room(&self) -> usize {
        self.room
    }

    /// When [`Connection::overdue`] is worth asking, unless a packet comes before; none = never.
    pub fn deadline(&self) -> Option<Moment> {
        let silent = (!self.keep_alive.is_zero()).then(|| self.heard_at.after(self.keep_alive));
        [silent, self.expires_at, self.exchange_deadline(), self.over_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Until when nothing more is to be read of the client, because it publishes too fast; none = go on. Whoever reads
    /// asks after each packet.
    #[inline]
    pub fn paused(&self, now: Moment) -> Option<Moment> {
        self.rate.paused(now)
    }

    /// The broker does not read from now on.
    pub fn stop_reading(&mut self, now: Moment) {
        self.deaf_since.get_or_insert(now);
    }

    /// The broker has not been reading: silence until now is not the client's, nor is an exchange that it could not go
    /// on with.
    pub fn excuse(&mut self, now: Moment) {
        self.heard_at = now;
        if let Some(since) = &mut self.deaf_since {
            let deaf = now.since(std::mem::replace(since, now));
            if let Some(authentication) = &mut self.authentication {
                authentication.postpone(deaf);
            }
        }
    }

    /// The broker reads on.
    pub fn read_on(&mut self, now: Moment) {
        self.stop_reading(now);
        self.excuse(now);
        self.deaf_since = None;
    }

    /// Whether its time is over.
    pub fn overdue(&self, now: Moment) -> Option<Fault> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Some(Fault::IdentityExpired);
        }
        if self.over_at().is_some_and(|at| at <= now) {
            return Some(Fault::ConnectionTimeOver);
        }
        if self.exchange_deadline().is_some_and(|at| at <= now) {
            return Some(Fault::AuthenticationTimeout);
        }
        let silent = !self.keep_alive.is_zero() && self.heard_at.after(self.keep_alive) <= now;
        silent.then_some(Fault::KeepAliveTimeout)
    }

    /// When it has lasted as long as it may.
    fn over_at(&self) -> Option<Moment> {
        match self.limits.connection_time_max {
            0 => None,
            seconds => Some(self.began_at.after_secs(seconds)),
        }
    }

    /// What a notice in the mailbox means for this connection.
    pub fn noticed(&self, notice: Notice) -> (Fault, Departure) {
        match notice {
            Notice::TakenOver => (Fault::TakenOver, Departure::LOST),
            Notice::Disconnect(code) => (Fault::Ordered(code), Departure::LOST),
            Notice::Dismiss(code, why) => (Fault::Dismissed(code, why), Departure::LOST),
            Notice::Redirect(redirect) => (Fault::Redirected(redirect), Departure::LOST),
            Notice::EndSession(code) => {
                (Fault::Ordered(code), Departure { end_session: true, ..Departure::LOST })
            }
        }
    }

    /// Whether another connection has taken the session.
    fn check_attached(&self, state: &crate::session::State) -> Result<(), Fault> {
        if state.attachment == self.attachment { Ok(()) } else { Err(Fault::TakenOver) }
    }
}
