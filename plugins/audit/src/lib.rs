//! Observation: publishes what happens to clients, sessions and messages as CloudEvents 1.0, one message per event, in
//! the structured JSON format (content type `application/cloudevents+json`).
//!
//! ```toml
//! [broker]
//! observe = ["audit"]
//!
//! [[plugin]]
//! name = "audit"
//! path = "target/plugins/audit.wasm"
//! grants = { publish = ["audit/#"] }      # whatever `topic` can become
//! [plugin.config]
//! topic = "audit/${kind}/${client_id}"    # also ${username}; default "audit/${kind}"
//! kinds = ["client-connected", "client-refused", "client-disconnected"]   # default: every kind
//! source = "/brokers/hall-3"              # who says so, a URI reference; default "/wasmqtt"
//! qos = 1                                 # of what is published, 0 to 2; default 1
//! retain = false                          # whether the last one of each topic is kept; default false
//! ```
//!
//! In the topic, what an event has no value for is `-`, and `+`, `#`, `/` and NUL in a value are `_`: nobody chooses
//! the level he is written down at. Events that were lost on the way are told by an event of their own,
//! `wasmqtt.events-lost`, at the kind `events-lost`.

mod cloud_event;
mod template;

use serde::Deserialize;
use wasmqtt_plugin::{
    Event, EventKind, Observation, Plugin, Publication, Qos, Registration, clock, export,
    publisher, warn,
};

use cloud_event::{Ids, LOST};
use template::Template;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "topic")]
    topic: String,
    kinds: Option<Vec<String>>,
    #[serde(default = "source")]
    source: String,
    #[serde(default = "qos")]
    qos: u8,
    #[serde(default)]
    retain: bool,
}

fn topic() -> String {
    "audit/${kind}".to_owned()
}

fn source() -> String {
    "/wasmqtt".to_owned()
}

fn qos() -> u8 {
    1
}

struct Audit {
    topic: Template,
    source: String,
    qos: Qos,
    retain: bool,
    ids: Ids,
    /// Events that could not be published since the last that could.
    unpublished: u64,
}

impl Plugin for Audit {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let kinds = match config.kinds {
            None => EventKind::ALL.to_vec(),
            Some(names) => names.iter().map(|name| kind(name)).collect::<Result<_, _>>()?,
        };
        if kinds.is_empty() {
            return Err("kinds: is empty; leave it out for every kind".to_owned());
        }
        if config.source.is_empty() {
            return Err("source: is empty; CloudEvents wants a URI reference".to_owned());
        }
        let qos = match config.qos {
            0 => Qos::AtMostOnce,
            1 => Qos::AtLeastOnce,
            2 => Qos::ExactlyOnce,
            other => return Err(format!("qos: {other} is not 0, 1 or 2")),
        };
        let topic = Template::parse(&config.topic).map_err(|error| format!("topic: {error}"))?;
        let audit = Self {
            topic,
            source: config.source,
            qos,
            retain: config.retain,
            ids: Ids::new(clock::now()),
            unpublished: 0,
        };
        Ok((audit, Registration::new().events(kinds)))
    }
}

fn kind(name: &str) -> Result<EventKind, String> {
    EventKind::from_name(name).ok_or_else(|| {
        let known = EventKind::ALL.map(EventKind::as_str).join(", ");
        format!("kinds: there is no kind {name:?}; there are {known}")
    })
}

impl Observation for Audit {
    fn on_events(&mut self, events: &[Event], lost: u64) {
        let lost = lost.saturating_add(std::mem::take(&mut self.unpublished));
        if lost > 0 {
            let at = events.first().map_or_else(
                || u64::try_from(clock::now().as_millis()).unwrap_or(u64::MAX),
                |first| first.at,
            );
            let body = cloud_event::lost(&self.source, &self.ids.next(), at, lost);
            let topic = self.topic.fill(LOST, None, None);
            self.publish(topic, body, lost);
        }
        for event in events {
            let body = cloud_event::of(&self.source, &self.ids.next(), event);
            let (id, name) = (event.client_id.as_deref(), event.username.as_deref());
            let topic = self.topic.fill(event.kind.as_str(), id, name);
            self.publish(topic, body, 1);
        }
    }
}

impl Audit {
    /// `worth` events are told by this.
    fn publish(&mut self, topic: String, body: String, worth: u64) {
        let publication = Publication {
            topic,
            payload: body.into_bytes(),
            qos: self.qos,
            retain: self.retain,
            content_type: Some(cloud_event::CONTENT_TYPE.to_owned()),
            user_properties: Vec::new(),
        };
        if let Err(error) = publisher::publish(&publication) {
            self.unpublished = self.unpublished.saturating_add(worth);
            warn!("{error}");
        }
    }
}

export!(Audit: observation);

#[cfg(test)]
mod tests;
