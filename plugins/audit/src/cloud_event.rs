//! Events as [CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md)
//! in JSON, structured mode.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use wasmqtt_plugin::Event;

pub(crate) const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The kind of what tells that events were lost.
pub(crate) const LOST: &str = "events-lost";

/// The last moment that RFC 3339 can write, in Unix milliseconds: the end of the year 9999.
const TIME_MAX: u64 = 253_402_300_799_999;

/// Identifiers that no other instance hands out: `source` and `id` together are unique.
pub(crate) struct Ids {
    begin: Duration,
    count: u64,
}

impl Ids {
    pub(crate) fn new(begin: Duration) -> Self {
        Self { begin, count: 0 }
    }

    pub(crate) fn next(&mut self) -> String {
        self.count += 1;
        format!("{:x}-{}", self.begin.as_millis(), self.count)
    }
}

#[derive(Serialize)]
struct CloudEvent<'a, T> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    datacontenttype: &'static str,
    data: T,
}

/// Only what is known is said.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<&'a str>,
}

#[derive(Serialize)]
struct Lost {
    lost: u64,
}

pub(crate) fn of(source: &str, id: &str, event: &Event) -> String {
    // CloudEvents allows no empty subject, but MQTT an empty client identifier.
    let subject = event.client_id.as_deref().or(event.plugin.as_deref());
    let data = Data {
        client_id: event.client_id.as_deref(),
        username: event.username.as_deref(),
        peer: event.peer.as_deref(),
        topic: event.topic.as_deref(),
        code: event.code,
        reason: event.reason.as_deref(),
        plugin: event.plugin.as_deref(),
    };
    let subject = subject.filter(|subject| !subject.is_empty());
    json(source, id, event.kind.as_str(), subject, event.at, data)
}

pub(crate) fn lost(source: &str, id: &str, at: u64, lost: u64) -> String {
    json(source, id, LOST, None, at, Lost { lost })
}

fn json<T: Serialize>(
    source: &str,
    id: &str,
    kind: &str,
    subject: Option<&str>,
    at: u64,
    data: T,
) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at.min(TIME_MAX));
    let event = CloudEvent {
        specversion: "1.0",
        id,
        source,
        r#type: format!("wasmqtt.{kind}"),
        subject,
        time: humantime::format_rfc3339_millis(time).to_string(),
        datacontenttype: "application/json",
        data,
    };
    // Strings and numbers can always be written.
    serde_json::to_string(&event).unwrap_or_default()
}
