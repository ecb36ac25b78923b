//! What is known of a client: its name and its attributes, from the configuration or from whoever authenticated it.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use wasmqtt_plugin::Client;

use crate::query::Field;

/// An attribute in the configuration.
#[derive(Deserialize, Debug)]
#[serde(untagged, expecting = "expected a text, a whole number or a list of texts")]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

impl Value {
    pub(crate) fn texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Number(number) => vec![number.to_string()],
            Self::List(texts) => texts,
        }
    }
}

/// Attributes by client, its name in lower case.
pub(crate) type Clients = HashMap<String, BTreeMap<String, Vec<String>>>;

/// What is known of one client; asked of the broker once.
pub(crate) struct Facts<'a> {
    client: &'a Client,
    configured: Option<&'a BTreeMap<String, Vec<String>>>,
    asked: BTreeMap<Field, Vec<String>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(client: &'a Client, clients: &'a Clients) -> Self {
        let name = client.username.as_ref().filter(|_| !clients.is_empty());
        let configured = name.and_then(|name| clients.get(&name.to_lowercase()));
        Self { client, configured, asked: BTreeMap::new() }
    }

    pub(crate) fn client_id(&self) -> &'a str {
        &self.client.id
    }

    /// Every value; none when there is nothing of that name.
    pub(crate) fn values(&mut self, field: &Field) -> &[String] {
        if !self.asked.contains_key(field) {
            let values = self.find(field);
            self.asked.insert(field.clone(), values);
        }
        self.asked.get(field).map_or(&[], Vec::as_slice)
    }

    fn find(&self, field: &Field) -> Vec<String> {
        let Field::Attribute(name) = field else {
            return self.client.username.iter().cloned().collect();
        };
        if let Some(values) = self.configured.and_then(|attributes| attributes.get(name)) {
            return values.clone();
        }
        let Some(value) = self.client.attribute(name) else { return Vec::new() };
        // What has several values comes as a list in JSON.
        match serde_json::from_str::<Vec<String>>(&value) {
            Ok(values) if value.starts_with('[') => values,
            _ => vec![value],
        }
    }
}
