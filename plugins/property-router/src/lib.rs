//! Transformation: rules that move messages by their user properties, topic and content type, drop them, or
//! change what they carry. What an operator can configure is in `README.md`. The plugin is asked only for
//! messages that a rule could be about, and a value can never widen where a message goes: what would add a
//! level or a wildcard is refused.

mod copy;
mod filter;
mod rule;
mod template;

use std::collections::BTreeMap;

use rule::{Rule, RuleConfig, Scratch, Test, When};
use serde::Deserialize;
use serde_json::Value;
use wasmqtt_plugin::{
    Failure, Message, Plugin, Registration, Selector, Transformation, Verdict, export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    property: Option<String>,
    topic: Option<String>,
    filters: Option<Vec<String>>,
    /// Read one by one, so that an error can say which rule it is in.
    rules: Option<Vec<Value>>,
}

struct PropertyRouter {
    rules: Vec<Rule>,
    scratch: Scratch,
}

impl Plugin for PropertyRouter {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let (rules, registration) = match config {
            Config { property: Some(property), topic: Some(topic), filters, rules: None } => {
                one_rule(property, topic, filters)?
            }
            Config { property: None, topic: None, filters: None, rules: Some(rules) } => {
                many_rules(rules)?
            }
            _ => {
                return Err("write either rules, or property and topic (and filters), as in \
                     property = \"region\", topic = \"routed/${value}/${topic}\""
                    .to_owned());
            }
        };
        Ok((Self { rules, scratch: Scratch::default() }, registration))
    }
}

/// The short form.
fn one_rule(
    property: String,
    topic: String,
    filters: Option<Vec<String>>,
) -> Result<(Vec<Rule>, Registration), String> {
    if property.is_empty() {
        return Err("property: name the user property to route by".to_owned());
    }
    if filters.as_ref().is_some_and(Vec::is_empty) {
        return Err("filters: matches no topic; leave it out to route every topic".to_owned());
    }
    let properties = BTreeMap::from([(property.clone(), Test::PRESENT)]);
    let config = RuleConfig {
        when: When { properties, ..When::default() },
        topic: Some(topic),
        ..RuleConfig::default()
    };
    let rule = Rule::build(config, true, Some(&property))?;
    let selector = Selector::filters(filters.unwrap_or_default()).user_property(property);
    Ok((vec![rule], Registration::new().on_publish(selector)))
}

fn many_rules(rules: Vec<Value>) -> Result<(Vec<Rule>, Registration), String> {
    if rules.is_empty() {
        return Err(
            "rules: is empty; write at least one rule, for example { when = { properties = { \
             region = \"eu\" } }, topic = \"eu/${topic}\" }"
                .to_owned(),
        );
    }
    let alone = rules.len() == 1;
    let mut registration = Registration::new();
    let mut built = Vec::with_capacity(rules.len());
    for (index, rule) in rules.into_iter().enumerate() {
        let rule = serde_json::from_value(rule)
            .map_err(|error| error.to_string())
            .and_then(|config| Rule::build(config, alone, None))
            .map_err(|error| format!("rule {}: {error}", index + 1))?;
        registration = registration.on_publish(rule.selector());
        built.push(rule);
    }
    Ok((built, registration))
}

impl Transformation for PropertyRouter {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        self.scratch.clear();
        let verdict = self.decide(message);
        if !matches!(verdict, Verdict::Reject(_)) {
            copy::publish(&mut self.scratch.copies)?;
        }
        Ok(verdict)
    }
}

impl PropertyRouter {
    fn decide(&mut self, message: &impl Message) -> Verdict {
        for rule in &self.rules {
            if !rule.applies(message, &mut self.scratch) {
                continue;
            }
            if let Some(verdict) = rule.apply(message, &mut self.scratch) {
                return verdict;
            }
            if !rule.go_on {
                break;
            }
        }
        Verdict::Forward
    }
}

export!(PropertyRouter: transformation);

#[cfg(test)]
mod tests;
