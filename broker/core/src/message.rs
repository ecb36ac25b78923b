//! One application message on its way: immutable, shared, self-contained.
//!
//! Topic, properties and payload lie in one allocation of exactly their size, so that a small retained
//! message never keeps a read buffer alive. Must not know sessions, subscriptions or packets.

use std::sync::Arc;

use wasmqtt_codec::{MessageProperties, MessagePropertiesBuf, QoS};

use crate::client::Client;
use crate::time::Moment;

/// Where a message came from.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A connected client published it.
    Client,
    /// A client's will.
    Will,
    /// The HTTP interface.
    Http,
    /// A plugin.
    Plugin,
    /// Another broker.
    Bridge,
    /// The broker itself, below `$SYS`.
    Broker,
}

/// An application message.
#[derive(Clone, Debug)]
pub struct Message {
    body: Box<[u8]>,
    topic_end: u32,
    properties_end: u32,
    qos: QoS,
    retain: bool,
    origin: Origin,
    hops: u8,
    is_moved: bool,
    expires_at: Option<Moment>,
    publisher: Option<Arc<Client>>,
}

/// What a message is made of.
#[derive(Copy, Clone, Debug)]
pub struct Parts<'a> {
    /// Topic name, already validated.
    pub topic: &'a str,
    /// Properties that travel with the message.
    pub properties: MessageProperties<'a>,
    /// Application payload.
    pub payload: &'a [u8],
    /// As published.
    pub qos: QoS,
    /// As published.
    pub retain: bool,
    /// Who brought it.
    pub origin: Origin,
    /// When it stops being worth delivering [MQTT-3.3.2-5].
    pub expires_at: Option<Moment>,
}

/// What a transformer wants to be different. Empty by default.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// A validated topic name.
    pub topic: Option<String>,
    /// Quality of service.
    pub qos: Option<QoS>,
    /// Retain flag.
    pub retain: Option<bool>,
    /// Payload.
    pub payload: Option<Vec<u8>>,
    /// Seconds from now, or none for ever.
    pub expiry: Option<Option<u32>>,
    /// All properties that travel with the message.
    pub properties: Option<MessagePropertiesBuf>,
}

impl Changes {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.topic.is_none()
            && self.qos.is_none()
            && self.retain.is_none()
            && self.payload.is_none()
            && self.expiry.is_none()
            && self.properties.is_none()
    }
}

impl Message {
    /// Copies `parts` into one allocation.
    pub fn new(parts: Parts<'_>, publisher: Option<Arc<Client>>) -> Self {
        let topic = parts.topic.as_bytes();
        let properties = parts.properties.encoded_len();
        let mut body = Vec::with_capacity(topic.len() + properties + parts.payload.len());
        body.extend_from_slice(topic);
        let topic_end = body.len();
        if properties > 0 {
            parts.properties.copy_to(&mut body);
        }
        let properties_end = body.len();
        body.extend_from_slice(parts.payload);
        Self {
            body: body.into_boxed_slice(),
            // A packet is at most 268,435,455 bytes, so neither end can be cut.
            topic_end: topic_end as u32,
            properties_end: properties_end as u32,
            qos: parts.qos,
            retain: parts.retain,
            origin: parts.origin,
            hops: 0,
            is_moved: false,
            expires_at: parts.expires_at,
            publisher,
        }
    }

    /// This message with `changes` applied; the publisher, the origin and the hops stay.
    pub fn with(&self, changes: &Changes, now: Moment) -> Self {
        let properties = match &changes.properties {
            Some(properties) => properties.as_view(),
            None => self.properties(),
        };
        let changed = Self::new(
            Parts {
                topic: changes.topic.as_deref().unwrap_or_else(|| self.topic()),
                properties,
                payload: changes.payload.as_deref().unwrap_or(self.payload()),
                qos: changes.qos.unwrap_or(self.qos),
                retain: changes.retain.unwrap_or(self.retain),
                origin: self.origin,
                expires_at: match changes.expiry {
                    Some(expiry) => expiry.map(|seconds| now.after_secs(seconds)),
                    None => self.expires_at,
                },
            },
            self.publisher.clone(),
        );
        let Changes { topic, qos, retain, .. } = changes;
        let is_moved = self.is_moved || topic.is_some() || qos.is_some() || retain.is_some();
        Self { hops: self.hops, is_moved, ..changed }
    }

    /// Whether a transformer set its topic, QoS or retain flag: its publisher did not ask for what it is.
    pub fn is_moved(&self) -> bool {
        self.is_moved
    }

    /// This message, as one that was published after so many [hops](Self::hops).
    pub fn after(mut self, hops: u8) -> Self {
        self.hops = hops;
        self
    }

    /// This message, worth delivering until then and no longer.
    pub fn expires_by(self, at: Moment) -> Self {
        let expires_at = Some(self.expires_at.map_or(at, |own| own.min(at)));
        Self { expires_at, ..self }
    }

    /// This message in the name of `client`.
    pub fn published_by(mut self, client: Arc<Client>) -> Self {
        self.publisher = Some(client);
        self
    }

    /// Topic name. It is validated again each time: on the road of every message, [`topic_bytes`](Self::topic_bytes) will do.
    pub fn topic(&self) -> &str {
        core::str::from_utf8(self.topic_bytes()).unwrap_or_default()
    }

    /// Topic name, as it is compared and sent: nothing has to look at it.
    #[inline]
    pub fn topic_bytes(&self) -> &[u8] {
        self.body.get(..self.topic_end as usize).unwrap_or_default()
    }

    /// The byte that the topic begins with.
    #[inline]
    pub fn topic_begins(&self) -> Option<u8> {
        self.body.first().copied().filter(|_| self.topic_end > 0)
    }

    /// Properties that travel with the message.
    pub fn properties(&self) -> MessageProperties<'_> {
        let range = self.topic_end as usize..self.properties_end as usize;
        MessageProperties::from_pure_trusted(self.body.get(range).unwrap_or_default())
    }

    /// Application payload.
    pub fn payload(&self) -> &[u8] {
        self.body.get(self.properties_end as usize..).unwrap_or_default()
    }

    /// Bytes of topic, properties and payload.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// As published, or as a transformer set it.
    pub fn qos(&self) -> QoS {
        self.qos
    }

    /// As published, or as a transformer set it.
    pub fn retain(&self) -> bool {
        self.retain
    }

    /// Who brought it.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// How many plugins published because of another message or event until this one was: 0 for what did not come
    /// from a plugin. Plugins that react to each other, or to themselves, are stopped by it.
    pub fn hops(&self) -> u8 {
        self.hops
    }

    /// The client that sent it; none for what no client sent.
    pub fn publisher(&self) -> Option<&Arc<Client>> {
        self.publisher.as_ref()
    }

    /// When it stops being worth delivering.
    pub fn expires_at(&self) -> Option<Moment> {
        self.expires_at
    }

    /// Whether its time is over [MQTT-3.3.2-5].
    pub fn is_expired(&self, now: Moment) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        let mut properties = MessagePropertiesBuf::default();
        properties.add_user_property("region", "eu").unwrap();
        Message::new(
            Parts {
                topic: "a/b",
                properties: properties.as_view(),
                payload: b"21.5",
                qos: QoS::AtLeastOnce,
                retain: true,
                origin: Origin::Client,
                expires_at: Some(Moment(9_000)),
            },
            None,
        )
    }

    #[test]
    fn a_message_gives_back_what_it_was_made_of() {
        let message = message();
        assert_eq!(message.topic(), "a/b");
        assert_eq!(message.topic_bytes(), b"a/b");
        assert_eq!(message.payload(), b"21.5");
        assert_eq!(message.properties().user_properties().get("region"), Some("eu"));
        assert_eq!(message.size(), 3 + 13 + 4);
        assert!(!message.is_expired(Moment(8_999)));
        assert!(message.is_expired(Moment(9_000)));
    }

    #[test]
    fn changes_replace_only_what_they_name() {
        let changes =
            Changes { topic: Some("c".into()), expiry: Some(Some(2)), ..Changes::default() };
        let changed = message().with(&changes, Moment(1_000));
        assert_eq!(changed.topic(), "c");
        assert_eq!(changed.payload(), b"21.5");
        assert_eq!(changed.expires_at(), Some(Moment(3_000)));
        assert_eq!(changed.properties().user_properties().get("region"), Some("eu"));
        assert!(changed.retain());
        assert!(changed.is_moved() && !message().is_moved());
        let payload = Changes { payload: Some(vec![]), ..Changes::default() };
        assert!(!message().with(&payload, Moment(1_000)).is_moved());
        assert!(changed.with(&payload, Moment(1_000)).is_moved());
    }
}
