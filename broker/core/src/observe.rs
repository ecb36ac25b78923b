//! What happens, for whoever wants to know. Each worker notes it in [`Events`] of its own, which the shell empties at
//! the end of a turn: nobody is called, nothing is locked, and an event that nobody wants costs one branch.
//!
//! Must not know who observes.

use std::sync::Arc;

use wasmqtt_codec::ReasonCode;

use crate::client::Client;
use crate::judge::Refusal;

/// Events that one worker holds until they are taken; what is beyond is counted as lost. A turn makes a few, unless
/// a message is too much for thousands of subscribers.
const HELD_MAX: usize = 4096;

/// What can happen.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// A client was admitted. Its session's event follows.
    ClientConnected,
    /// A CONNECT was answered with no.
    ClientRefused,
    /// A connection is over, or has lost its session to another. Without a code, the stream just ended.
    ClientDisconnected,
    /// A client got a new session.
    SessionCreated,
    /// A client got the session it had before.
    SessionResumed,
    /// A session and what it held are gone.
    SessionEnded,
    /// A subscription was granted, with the QoS as code, or replaced one.
    Subscribed,
    /// A subscription was refused.
    SubscribeRefused,
    /// A subscription was given up, or taken away, with the reason as code.
    Unsubscribed,
    /// A publication or a will was refused.
    PublishRefused,
    /// Copies for one subscriber gave way, or found no room.
    MessageDropped,
    /// A plugin was loaded, or replaced by another version or configuration of itself.
    PluginReloaded,
}

/// A set of kinds.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Kinds(u16);

impl Kinds {
    /// The same and `kind`.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// Those of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether `kind` is one of these.
    #[inline]
    pub fn contain(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u16 != 0
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

/// Whom an event is about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// One that was admitted.
    Client(Arc<Client>),
    /// One that may be away: the owner of a session.
    Session {
        /// The client identifier.
        id: Arc<str>,
        /// The authentication name, where it is known.
        name: Option<Box<str>>,
    },
    /// One that was not admitted: what it says of itself.
    Stranger {
        /// The client identifier, if it got as far as to send one.
        id: Option<Box<str>>,
        /// The username.
        name: Option<Box<str>>,
        /// Address and port of the other end.
        peer: Box<str>,
    },
    /// A plugin, by its name.
    Plugin(Box<str>),
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// What.
    pub kind: Kind,
    /// To whom.
    pub subject: Subject,
    /// The topic, or the filter with its `$share` prefix.
    pub topic: Option<Box<str>>,
    /// What the peer was told, or would have been.
    pub code: Option<ReasonCode>,
    /// In words.
    pub reason: Option<Box<str>>,
    /// Of the [message](crate::message::Message::hops) it happened to.
    pub hops: u8,
}

impl Event {
    /// An event with nothing but a subject.
    pub fn new(kind: Kind, subject: Subject) -> Self {
        Self { kind, subject, topic: None, code: None, reason: None, hops: 0 }
    }

    /// An event of a client. A publisher inside the broker is a plugin.
    pub fn of(kind: Kind, client: &Arc<Client>) -> Self {
        Self::new(kind, Subject::Client(Arc::clone(client)))
    }

    /// The same about a topic or filter.
    pub fn on(mut self, topic: &str) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// The same with a code.
    pub fn coded(mut self, code: impl Into<Option<ReasonCode>>) -> Self {
        self.code = code.into();
        self
    }

    /// The same with the code and the words of a refusal.
    pub fn refused(mut self, refusal: &Refusal) -> Self {
        self.code = Some(refusal.code);
        self.reason.clone_from(&refusal.reason);
        self
    }

    /// The same, of a message that plugins published so many times in reaction to each other.
    pub fn after(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }
}

/// What happened on one worker since somebody looked.
#[derive(Debug, Default)]
pub struct Events {
    wanted: Kinds,
    held: Vec<Event>,
    lost: u64,
}

/// Events in their order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What happened.
    pub events: Vec<Event>,
    /// What happened besides, and did not fit.
    pub lost: u64,
}

impl Events {
    /// From now on, notes these kinds and no others.
    pub fn want(&mut self, kinds: Kinds) {
        self.wanted = kinds;
    }

    /// Whether this kind is noted.
    #[inline]
    pub fn wants(&self, kind: Kind) -> bool {
        self.wanted.contain(kind)
    }

    /// Notes an event, made only if its kind is wanted.
    #[inline]
    pub fn note(&mut self, kind: Kind, event: impl FnOnce() -> Event) {
        if self.wants(kind) {
            self.hold(event());
        }
    }

    #[cold]
    fn hold(&mut self, event: Event) {
        if self.held.len() < HELD_MAX {
            self.held.push(event);
        } else {
            self.lost += 1;
        }
    }

    /// Whether nothing was noted.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Hands out what was noted.
    pub fn take(&mut self) -> Batch {
        Batch { events: std::mem::take(&mut self.held), lost: std::mem::take(&mut self.lost) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin(kind: Kind) -> Event {
        Event::new(kind, Subject::Plugin("audit".into()))
    }

    #[test]
    fn what_nobody_wants_is_not_even_made() {
        let mut events = Events::default();
        events.note(Kind::Subscribed, || panic!("made"));
        events.want(Kinds::default().with(Kind::Unsubscribed));
        events.note(Kind::Subscribed, || panic!("made"));
        events.note(Kind::Unsubscribed, || plugin(Kind::Unsubscribed));
        assert_eq!(events.take().events.len(), 1);
        assert!(events.is_empty());
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut events = Events::default();
        events.want([Kind::MessageDropped].into_iter().collect());
        for _ in 0..HELD_MAX + 3 {
            events.note(Kind::MessageDropped, || plugin(Kind::MessageDropped));
        }
        let batch = events.take();
        assert_eq!((batch.events.len(), batch.lost), (HELD_MAX, 3));
        let batch = events.take();
        assert_eq!((batch.events.len(), batch.lost), (0, 0));
    }
}
