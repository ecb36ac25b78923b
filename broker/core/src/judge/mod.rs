//! The port through which anything outside has a say. Three questions: may this client enter ([`Gate`]), may
//! it do this, what should this message become ([`Judge`]). Chains of components implement it; so does a
//! one-line fake.
//!
//! Only this module makes a [`Permit`], and routing takes one, so an unchecked publish does not compile.

mod exchange;
mod permission;
mod permit;
mod revocation;

use std::fmt;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode, UserPropertiesBuf, Version};

use crate::client::{Certificate, Client, ListenerId, Transport};
use crate::message::Message;
use crate::redirect::Redirect;
use crate::time::Moment;

pub use exchange::{Progress, Question, Step, Success};
pub use permission::{Actions, Effect, Permission, Permissions};
pub use permit::{Permit, decide};
pub(crate) use permit::{
    authorize_publish, authorize_source, authorize_subscribe, authorize_will, permit_own, screen,
    waits,
};
pub use revocation::Subject;

/// What a client wants to do with a topic.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a message.
    Publish,
    /// Hold a subscription.
    Subscribe,
    /// Be handed a message, each time.
    Receive,
    /// Leave a will: asked at CONNECT and again when it is published.
    Will,
}

/// One question to authorizers.
#[derive(Copy, Clone, Debug)]
pub struct Request<'a> {
    /// What the client wants.
    pub action: Action,
    /// A topic name, or a filter without its `$share` prefix.
    pub topic: &'a str,
    /// The share name of a shared subscription.
    pub share: Option<&'a str>,
    /// Of the publication, or asked for by the subscription.
    pub qos: QoS,
    /// Of the publication.
    pub retain: bool,
}

/// A no, as the peer is told it.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// 0x80 or above.
    pub code: ReasonCode,
    /// For the peer, where its version and its wishes allow one.
    pub reason: Option<Box<str>>,
    /// For the peer, likewise.
    pub user_properties: UserPropertiesBuf,
    /// Where the peer is to go instead; with 0x9C and 0x9D.
    pub server_reference: Option<Box<str>>,
}

impl Refusal {
    /// A refusal with nothing but a code.
    pub fn new(code: ReasonCode) -> Self {
        Self {
            code,
            reason: None,
            user_properties: UserPropertiesBuf::default(),
            server_reference: None,
        }
    }

    /// The same with a sentence for the peer.
    pub fn because(mut self, reason: impl Into<Box<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// A refusal that sends the peer elsewhere.
    pub fn redirect(to: &Redirect) -> Self {
        Self { server_reference: Some(to.to.clone()), ..Self::new(to.reason()) }
    }

    /// Whether the peer has anything to read besides the code.
    pub fn is_explained(&self) -> bool {
        self.reason.is_some() || self.user_properties.as_view().iter().next().is_some()
    }
}

/// What a chain of authorizers answers, its default included.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// Yes.
    Allow,
    /// Yes, up to this QoS.
    AllowUpTo(QoS),
    /// No.
    Deny(Refusal),
}

/// What became of a publication.
#[derive(Debug)]
pub enum Transformed {
    /// Route this. Equal to what went in when nothing was changed.
    Forward(Message),
    /// Acknowledge with success, and route to nobody.
    Discard,
    /// Refuse.
    Reject(Refusal),
}

/// What became of one delivery.
#[derive(Debug)]
pub enum Screened {
    /// Deliver as it is.
    Deliver,
    /// Deliver this to this subscriber instead.
    Replace(Arc<Message>),
    /// Not to this subscriber.
    Skip,
}

/// The data-path questions. One value per worker, called on the worker's own thread; a call returns within
/// the deadline of the plugins behind it.
pub trait Judge {
    /// Called before the questions about one packet or one batch of deliveries. All questions until the next
    /// call are answered by one generation of plugins. Must be cheap: one load when nothing was replaced.
    fn begin(&mut self) {}

    /// Whether it has rules for this listener. Where it has none every answer is no.
    fn knows(&self, listener: ListenerId) -> bool {
        let _ = listener;
        true
    }

    /// Asks the authorizers of the client's listener, in order. For [`Action::Receive`] the answer is
    /// `Allow` when nobody wants to judge it.
    fn authorize(&mut self, now: Moment, client: &Arc<Client>, request: &Request<'_>) -> Decision;

    /// Whether any transformer of this listener may want this publication. Must be cheap: one branch when there is none,
    /// and a few where none can.
    fn transforms(&self, listener: ListenerId, message: &Message) -> bool;

    /// Passes a publication through the transformers of the client's listener, each seeing what the one
    /// before it committed.
    fn transform(&mut self, now: Moment, client: &Arc<Client>, message: Message) -> Transformed;

    /// Whether any plugin of this listener wants to see deliveries.
    fn screens(&self, listener: ListenerId) -> bool;

    /// Whether an answer about a publication or a subscription of this listener may have to wait for somebody outside
    /// of the broker. Must be cheap: one branch when none does. What waits is to be asked elsewhere, of another judge;
    /// this one answers it as its plugins' failure policy says.
    fn waits(&self, listener: ListenerId) -> bool {
        let _ = listener;
        false
    }

    /// Whether this answer would have to be waited for.
    fn waits_to_authorize(
        &mut self,
        now: Moment,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> bool {
        let _ = (now, client, request);
        false
    }

    /// Whether what this publication becomes would have to be waited for.
    fn waits_to_transform(&mut self, listener: ListenerId, message: &Message) -> bool {
        let _ = (listener, message);
        false
    }

    /// Asks for one delivery: `receive`, then `on-deliver`.
    fn screen(&mut self, now: Moment, subscriber: &Arc<Client>, message: &Arc<Message>)
    -> Screened;
}

/// The question at the door. Blocks for as long as the plugins behind it need, so it is asked off the data path.
pub trait Gate: Send + Sync {
    /// Passes a CONNECT through the authenticators of its listener.
    fn authenticate(&self, connecting: &Connecting) -> Result<Identity, Refusal>;

    /// The same without blocking, where there is nobody to ask; none = somebody has to be asked.
    fn authenticate_at_once(&self, connecting: &Connecting) -> Option<Result<Identity, Refusal>> {
        let _ = connecting;
        None
    }

    /// Whether an authenticator of this listener may have to wait for somebody outside of the broker.
    fn waits(&self, listener: ListenerId) -> bool {
        let _ = listener;
        false
    }

    /// Begins an AUTH exchange with the authenticator that speaks `method`; 0x8C where there is none. Asked for a
    /// CONNECT, and for a connected client that wants to authenticate again. `data` is empty when the client sent
    /// none.
    fn begin(&self, connecting: &Connecting, method: &str, data: &[u8]) -> Result<Step, Refusal> {
        let _ = (connecting, method, data);
        Err(Refusal::new(ReasonCode::BadAuthenticationMethod))
    }

    /// Goes on with an exchange, wherever the round before was answered.
    fn proceed(
        &self,
        connecting: &Connecting,
        method: &str,
        data: &[u8],
        progress: &Progress,
    ) -> Result<Step, Refusal> {
        let _ = (connecting, method, data, progress);
        Err(Refusal::new(ReasonCode::BadAuthenticationMethod))
    }
}

/// The CONNECT packet as authenticators see it, before there is a session.
#[derive(Clone)]
pub struct Connecting {
    /// Empty when the client leaves the choice to the broker.
    pub client_id: String,
    /// As sent.
    pub username: Option<String>,
    /// As sent.
    pub password: Option<Vec<u8>>,
    /// Where it came in.
    pub listener: ListenerId,
    /// What it speaks.
    pub version: Version,
    /// What carries its packets.
    pub transport: Transport,
    /// Address and port of the other end.
    pub peer: String,
    /// As sent.
    pub clean_start: bool,
    /// Seconds; 0 = none.
    pub keep_alive: u16,
    /// Topic of the will, when there is one.
    pub will_topic: Option<String>,
    /// As sent, in order.
    pub user_properties: Vec<(String, String)>,
    /// What it showed below MQTT.
    pub certificate: Option<Arc<Certificate>>,
    /// Whether the username is not as sent, but what the certificate says: nobody else needs to vouch for it.
    pub is_certified: bool,
}

impl fmt::Debug for Connecting {
    /// Without the password: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("client_id", &self.client_id)
            .field("username", &self.username)
            .field("listener", &self.listener)
            .field("version", &self.version)
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("will_topic", &self.will_topic)
            .finish_non_exhaustive()
    }
}

/// Who the client turned out to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The authentication name that owns the session; none = the username sent.
    pub name: Option<String>,
    /// For authorizers and permissions.
    pub attributes: Vec<(String, String)>,
    /// First match wins, then the chain.
    pub permissions: Vec<Permission>,
    /// Tightens the listener's limits.
    pub limits: IdentityLimits,
    /// Seconds until the client is disconnected with 0xA0.
    pub expires_in: Option<u32>,
    /// Sent with CONNACK.
    pub connack_properties: UserPropertiesBuf,
    /// Sent with CONNACK when the client asked for it.
    pub response_information: Option<String>,
}

/// Bounds for one client; none = the listener's own. Never looser than the listener's.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityLimits {
    /// QoS 2 publications unreleased.
    pub receive_maximum: Option<u16>,
    /// Bytes.
    pub maximum_packet_size: Option<u32>,
    /// Seconds.
    pub session_expiry: Option<u32>,
    /// Messages.
    pub queued_messages: Option<u32>,
    /// Filters.
    pub subscriptions: Option<u32>,
    /// Messages per second.
    pub publish_rate: Option<u32>,
}

/// Lets everybody do everything: for tests, and for a broker without plugins behind a listener that allows.
#[derive(Copy, Clone, Debug, Default)]
pub struct AllowAll;

impl Judge for AllowAll {
    fn authorize(&mut self, _: Moment, _: &Arc<Client>, _: &Request<'_>) -> Decision {
        Decision::Allow
    }

    fn transforms(&self, _: ListenerId, _: &Message) -> bool {
        false
    }

    fn transform(&mut self, _: Moment, _: &Arc<Client>, message: Message) -> Transformed {
        Transformed::Forward(message)
    }

    fn screens(&self, _: ListenerId) -> bool {
        false
    }

    fn screen(&mut self, _: Moment, _: &Arc<Client>, _: &Arc<Message>) -> Screened {
        Screened::Deliver
    }
}

impl Gate for AllowAll {
    fn authenticate(&self, _: &Connecting) -> Result<Identity, Refusal> {
        Ok(Identity::default())
    }

    fn authenticate_at_once(&self, _: &Connecting) -> Option<Result<Identity, Refusal>> {
        Some(Ok(Identity::default()))
    }
}
