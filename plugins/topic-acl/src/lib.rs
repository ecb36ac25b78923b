//! Authorization: ordered rules over topic filters, or a file in mosquitto's format. What an operator can
//! configure is in `README.md`.
//!
//! A publication is about a topic, so a rule applies when its filter matches. A subscription is about many
//! topics: a rule allows it only when its filter covers all of them, and denies it when its filter
//! overlaps with any of them, so that subscribing to `#` never shows `secret/#`.

mod filter;
mod mosquitto;

use std::time::Duration;

use filter::{Dollar, Filter, Variables};
use mosquitto::AclFile;
use serde::Deserialize;
use serde_json::Value;
use wasmqtt_plugin::{
    Action, Actions, Authorization, Client, Decision, Failure, Plugin, Qos, Refusal, Registration,
    Request, Text, export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Read one by one, so that an error can say which rule it is in.
    rules: Option<Vec<Value>>,
    /// In mosquitto's format.
    acl: Option<Text>,
    no_match: Option<NoMatch>,
    #[serde(default = "a_minute")]
    reuse_ms: u32,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum NoMatch {
    Abstain,
    Deny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleConfig {
    effect: Effect,
    users: Option<Vec<String>>,
    client_ids: Option<Vec<String>>,
    actions: Option<Vec<RuleAction>>,
    filter: String,
    max_qos: Option<u8>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RuleAction {
    Publish,
    Subscribe,
    Receive,
}

fn a_minute() -> u32 {
    60_000
}

struct Rule {
    effect: Effect,
    /// Sorted; none = everyone.
    users: Option<Vec<String>>,
    /// Sorted; none = every client.
    client_ids: Option<Vec<String>>,
    actions: Actions,
    filter: Filter,
    max_qos: Option<Qos>,
}

enum Judge {
    Rules(Vec<Rule>),
    Mosquitto(AclFile),
}

struct TopicAcl {
    judge: Judge,
    no_match: NoMatch,
    reuse: Duration,
}

impl Plugin for TopicAcl {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let reuse = Duration::from_millis(config.reuse_ms.into());
        let (judge, actions, no_match) = match (config.rules, config.acl) {
            (Some(rules), None) => {
                let rules = parse_rules(rules)?;
                let no_match = config.no_match.unwrap_or(NoMatch::Abstain);
                let mut actions = Actions::empty();
                if no_match == NoMatch::Deny {
                    actions = Actions::PUBLISH | Actions::SUBSCRIBE;
                }
                let of_rules = rules.iter().fold(actions, |all, rule| all | rule.actions);
                (Judge::Rules(rules), of_rules, no_match)
            }
            (None, Some(acl)) => {
                let file = AclFile::parse(&acl).map_err(|error| format!("acl: {error}"))?;
                // What mosquitto does with what no line is about.
                let no_match = config.no_match.unwrap_or(NoMatch::Deny);
                (Judge::Mosquitto(file), Actions::all(), no_match)
            }
            _ => {
                return Err("write either rules, for example [{ effect = \"allow\", filter = \
                     \"devices/${username}/#\" }], or acl = { file = \"PATH\" } in mosquitto's format"
                    .to_owned());
            }
        };
        Ok((Self { judge, no_match, reuse }, Registration::new().authorize(actions)))
    }
}

fn parse_rules(rules: Vec<Value>) -> Result<Vec<Rule>, String> {
    if rules.is_empty() {
        return Err("rules: is empty; write at least one rule, for example \
             { effect = \"allow\", filter = \"devices/${username}/#\" }"
            .to_owned());
    }
    let mut parsed = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        parsed.push(Rule::parse(rule).map_err(|error| format!("rule {}: {error}", index + 1))?);
    }
    Ok(parsed)
}

impl Authorization for TopicAcl {
    fn authorize(&mut self, client: &Client, request: &Request) -> Result<Decision, Failure> {
        let decision = match &self.judge {
            Judge::Rules(rules) => decide(rules, client, request),
            Judge::Mosquitto(file) => file.judge(client, request).map(|allowed| {
                if allowed { Decision::allow() } else { deny("denied by the ACL file") }
            }),
        };
        let decision = decision.unwrap_or_else(|| match self.no_match {
            NoMatch::Deny => deny("no rule allows this"),
            NoMatch::Abstain => Decision::abstain(),
        });
        // The rules never change in the life of an instance, so an answer stays true.
        Ok(decision.reuse_for(self.reuse))
    }
}

/// None when no rule is about it.
fn decide(rules: &[Rule], client: &Client, request: &Request) -> Option<Decision> {
    let rule = rules.iter().find(|rule| rule.applies(client, request))?;
    Some(match rule {
        Rule { effect: Effect::Allow, max_qos: Some(qos), .. } => Decision::allow_up_to(*qos),
        Rule { effect: Effect::Allow, .. } => Decision::allow(),
        Rule { effect: Effect::Deny, .. } => deny("denied by a rule"),
    })
}

fn deny(reason: &str) -> Decision {
    Decision::deny(Refusal::not_authorized().reason(reason))
}

impl Rule {
    fn parse(rule: Value) -> Result<Self, String> {
        let rule: RuleConfig = serde_json::from_value(rule).map_err(|error| error.to_string())?;
        if rule.effect == Effect::Deny && rule.max_qos.is_some() {
            return Err("max_qos belongs to a rule that allows".to_owned());
        }
        let max_qos = match rule.max_qos {
            None => None,
            Some(0) => Some(Qos::AtMostOnce),
            Some(1) => Some(Qos::AtLeastOnce),
            Some(2) => Some(Qos::ExactlyOnce),
            Some(other) => return Err(format!("max_qos: {other} is no QoS; use 0, 1 or 2")),
        };
        let mut actions = Actions::empty();
        for action in rule.actions.unwrap_or(vec![RuleAction::Publish, RuleAction::Subscribe]) {
            actions |= match action {
                RuleAction::Publish => Actions::PUBLISH,
                RuleAction::Subscribe => Actions::SUBSCRIBE,
                RuleAction::Receive => Actions::RECEIVE,
            };
        }
        if actions.is_empty() {
            return Err("actions: is empty, so the rule never applies; leave it out for publish \
                 and subscribe"
                .to_owned());
        }
        Ok(Self {
            effect: rule.effect,
            users: sorted("users", rule.users)?,
            client_ids: sorted("client_ids", rule.client_ids)?,
            actions,
            filter: Filter::parse(&rule.filter).map_err(|error| format!("filter: {error}"))?,
            max_qos,
        })
    }

    fn applies(&self, client: &Client, request: &Request) -> bool {
        let action = match request.action {
            Action::Publish | Action::Will => Actions::PUBLISH,
            Action::Subscribe => Actions::SUBSCRIBE,
            Action::Receive => Actions::RECEIVE,
        };
        let variables = Variables { username: client.username.as_deref(), client_id: &client.id };
        self.actions.contains(action)
            && names(&self.users, client.username.as_deref())
            && names(&self.client_ids, Some(&client.id))
            && self.filter.applies(variables)
            && match (request.action, self.effect) {
                (Action::Subscribe, Effect::Allow) => self.filter.covers(&request.topic, variables),
                (Action::Subscribe, Effect::Deny) => {
                    self.filter.overlaps(&request.topic, variables)
                }
                (_, Effect::Allow) => self.filter.matches(&request.topic, Dollar::Apart, variables),
                (_, Effect::Deny) => {
                    self.filter.matches(&request.topic, Dollar::Included, variables)
                }
            }
    }
}

fn sorted(key: &str, names: Option<Vec<String>>) -> Result<Option<Vec<String>>, String> {
    let Some(mut names) = names else { return Ok(None) };
    if names.is_empty() {
        return Err(format!(
            "{key}: is empty, so the rule never applies; leave it out for everyone"
        ));
    }
    names.sort_unstable();
    names.dedup();
    Ok(Some(names))
}

/// Whether a sorted list, or no list at all, names this one.
fn names(list: &Option<Vec<String>>, name: Option<&str>) -> bool {
    match (list, name) {
        (None, _) => true,
        (Some(list), Some(name)) => {
            list.binary_search_by(|listed| listed.as_str().cmp(name)).is_ok()
        }
        (Some(_), None) => false,
    }
}

export!(TopicAcl: authorization);

#[cfg(test)]
mod tests;
