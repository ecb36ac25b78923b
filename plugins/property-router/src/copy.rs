//! A second message made of the one that a rule is about. The broker queues it, and it goes the road of every other.

use serde::Deserialize;
use wasmqtt_plugin::{Failure, Message, Publication, Qos};

use crate::rule::qos;
use crate::template::{Part, Template, Variables};

/// As it is written: a topic, or more.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a topic or { topic = \"...\" }")]
pub(crate) enum CopyConfig {
    Topic(String),
    Table(Table),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    topic: String,
    qos: Option<u8>,
    #[serde(default)]
    retain: bool,
}

#[derive(Debug)]
pub(crate) struct Copy {
    topic: Template,
    /// None: that of the message.
    qos: Option<Qos>,
    retain: bool,
}

impl Copy {
    /// `variable` answers what a name in `${...}` stands for.
    pub(crate) fn build(
        config: CopyConfig,
        variable: impl FnMut(&str) -> Result<Part, String>,
    ) -> Result<Self, String> {
        if !cfg!(any(feature = "copy", test)) {
            return Err("this component cannot publish; use property_router_copy.wasm with \
                 grants = { publish = [\"TOPIC/FILTER\"] }"
                .to_owned());
        }
        let Table { topic, qos: level, retain } = match config {
            CopyConfig::Topic(topic) => Table { topic, qos: None, retain: false },
            CopyConfig::Table(table) => table,
        };
        let topic = Template::parse_topic(&topic, variable)?;
        Ok(Self { topic, qos: level.map(qos).transpose()?, retain })
    }

    pub(crate) fn template(&self) -> &Template {
        &self.topic
    }

    /// The message as it has become, at the copy's topic.
    pub(crate) fn of(
        &self,
        message: &impl Message,
        variables: &Variables<'_>,
    ) -> Result<Publication, (Option<Part>, &'static str)> {
        let mut topic = String::new();
        self.topic.fill_topic(variables, &mut topic)?;
        Ok(Publication {
            topic,
            payload: message.payload(),
            qos: self.qos.unwrap_or_else(|| message.qos()),
            retain: self.retain,
            content_type: message.content_type(),
            user_properties: message.user_properties(),
        })
    }
}

/// Leaves copies to be published; the first that cannot be is a failure.
pub(crate) fn publish(copies: &mut Vec<Publication>) -> Result<(), Failure> {
    #[cfg(any(feature = "copy", test))]
    for copy in copies.iter() {
        wasmqtt_plugin::publisher::publish(copy)
            .map_err(|error| Failure::transient(format!("copy: {error}")))?;
    }
    copies.clear();
    Ok(())
}
