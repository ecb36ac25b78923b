//! Authorization as in Azure Event Grid: clients have attributes, queries over them make groups, templates make topic
//! spaces, and a binding lets a group publish or subscribe to a space. What an operator can configure is in
//! `README.md`.

mod client;
mod query;
mod template;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use client::{Clients, Facts, Value};
use query::Query;
use serde::Deserialize;
use template::{Requested, Template};
use wasmqtt_plugin::{
    Action, Actions, Authorization, Client, Decision, Failure, Plugin, Refusal, Registration,
    Request, export,
};

/// The group of every client.
const ALL: &str = "$all";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    clients: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    groups: BTreeMap<String, String>,
    spaces: BTreeMap<String, Vec<String>>,
    bindings: Vec<BindingConfig>,
    #[serde(default)]
    no_match: NoMatch,
    #[serde(default = "a_minute")]
    reuse_ms: u32,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Default)]
#[serde(rename_all = "snake_case")]
enum NoMatch {
    Abstain,
    #[default]
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BindingConfig {
    group: String,
    space: String,
    permission: PermissionWord,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum PermissionWord {
    Publisher,
    Subscriber,
}

fn a_minute() -> u32 {
    60_000
}

/// Indices into the groups and the spaces.
#[derive(Clone, Copy)]
struct Binding {
    group: usize,
    space: usize,
}

struct TopicSpaces {
    clients: Clients,
    groups: Vec<Query>,
    spaces: Vec<Vec<Template>>,
    publishers: Vec<Binding>,
    subscribers: Vec<Binding>,
    no_match: NoMatch,
    reuse: Duration,
}

impl Plugin for TopicSpaces {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let clients = clients(config.clients)?;
        let mut group_names = vec![ALL.to_owned()];
        let mut groups = vec![Query::All];
        for (name, text) in config.groups {
            if name.starts_with('$') {
                return Err(format!("groups.{name}: names with $ are built in; there is {ALL}"));
            }
            groups.push(Query::parse(&text).map_err(|error| format!("groups.{name}: {error}"))?);
            group_names.push(name);
        }
        let mut space_names = Vec::new();
        let mut spaces = Vec::new();
        for (name, texts) in config.spaces {
            if texts.is_empty() {
                return Err(format!("spaces.{name}: has no template"));
            }
            let templates =
                texts.iter().map(|text| Template::parse(text)).collect::<Result<_, _>>();
            spaces.push(templates.map_err(|error| format!("spaces.{name}: {error}"))?);
            space_names.push(name);
        }
        if config.bindings.is_empty() {
            return Err("bindings: is empty, so nobody could do anything; write for example \
                 { group = \"$all\", space = \"NAME\", permission = \"publisher\" }"
                .to_owned());
        }
        let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
        for (index, binding) in config.bindings.into_iter().enumerate() {
            let find = |kind: &str, names: &[String], name: &str| {
                names.iter().position(|own| own == name).ok_or_else(|| {
                    format!(
                        "bindings[{index}]: there is no {kind} {name:?}; there are {}",
                        names.join(", ")
                    )
                })
            };
            let group = find("group", &group_names, &binding.group)?;
            let space = find("space", &space_names, &binding.space)?;
            let list = match binding.permission {
                PermissionWord::Publisher => &mut publishers,
                PermissionWord::Subscriber => &mut subscribers,
            };
            list.push(Binding { group, space });
        }
        let reuse = Duration::from_millis(config.reuse_ms.into());
        let no_match = config.no_match;
        let spaces = Self { clients, groups, spaces, publishers, subscribers, no_match, reuse };
        Ok((spaces, Registration::new().authorize(Actions::PUBLISH | Actions::SUBSCRIBE)))
    }
}

/// Names are unique whatever their case.
fn clients(config: BTreeMap<String, BTreeMap<String, Value>>) -> Result<Clients, String> {
    let mut clients = HashMap::with_capacity(config.len());
    for (name, attributes) in config {
        let attributes = attributes.into_iter().map(|(key, value)| (key, value.texts())).collect();
        if clients.insert(name.to_lowercase(), attributes).is_some() {
            return Err(format!("clients.{name}: is there twice, in another case"));
        }
    }
    Ok(clients)
}

impl Authorization for TopicSpaces {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        let bindings = match request.action {
            Action::Publish | Action::Will => &self.publishers,
            Action::Subscribe => &self.subscribers,
            Action::Receive => return Ok(Decision::abstain()),
        };
        let mut facts = Facts::new(client, &self.clients);
        let requested = Requested(&request.topic);
        let allowed = bindings.iter().any(|binding| {
            let space = self.spaces.get(binding.space).map_or(&[][..], Vec::as_slice);
            space.iter().any(|template| template.covers(requested, &mut facts))
                && self.groups.get(binding.group).is_some_and(|group| group.holds(&mut facts))
        });
        let decision = match (allowed, self.no_match) {
            (true, _) => Decision::allow(),
            (false, NoMatch::Abstain) => Decision::abstain(),
            (false, NoMatch::Deny) => {
                Decision::deny(Refusal::not_authorized().reason("no binding allows this"))
            }
        };
        Ok(decision.reuse_for(self.reuse))
    }
}

export!(TopicSpaces: authorization);

#[cfg(test)]
mod tests;
