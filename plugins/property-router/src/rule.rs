//! One rule: which messages it is about, and what becomes of them.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use wasmqtt_plugin::{Message, Origin, Publication, Qos, Refusal, Selector, Verdict};

use crate::copy::{Copy, CopyConfig};
use crate::filter::Filter;
use crate::template::{Part, Template, Variables};

/// A rule as it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleConfig {
    #[serde(default)]
    pub(crate) when: When,
    pub(crate) topic: Option<String>,
    pub(crate) copy: Option<CopyConfig>,
    #[serde(default)]
    pub(crate) set: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) add: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) remove: Vec<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) qos: Option<u8>,
    pub(crate) retain: Option<bool>,
    pub(crate) expiry: Option<Expiry>,
    #[serde(default)]
    pub(crate) drop: bool,
    #[serde(default)]
    pub(crate) keep: bool,
    #[serde(default, rename = "continue")]
    pub(crate) go_on: bool,
}

/// What a message must be; everything that is given.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) filter: Option<String>,
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Test>,
    pub(crate) content_type: Option<Test>,
}

/// What a value must be.
#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(
    untagged,
    expecting = "expected a text, a list of texts, { prefix = \"...\" } or { present = ... }"
)]
pub(crate) enum Test {
    Equals(String),
    Any(Vec<String>),
    Prefix(Prefix),
    Present(Present),
}

#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prefix {
    prefix: String,
}

#[derive(Deserialize, Debug, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Present {
    present: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a number of seconds or \"never\"")]
pub(crate) enum Expiry {
    Seconds(u32),
    Never(Never),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Never {
    Never,
}

impl Test {
    pub(crate) const PRESENT: Self = Self::Present(Present { present: true });
    const ABSENT: Self = Self::Present(Present { present: false });

    fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equals(text) => value == text,
            Self::Any(texts) => texts.iter().any(|text| text == value),
            Self::Prefix(Prefix { prefix }) => value.starts_with(prefix),
            Self::Present(Present { present }) => *present,
        }
    }
}

/// What was learnt about a message while rules were tried; kept between calls, so that a call seldom
/// allocates.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    topic: Option<String>,
    captures: Vec<Range<usize>>,
    properties: Vec<String>,
    client_id: String,
    username: String,
    text: String,
    /// To be published when all rules have been tried.
    pub(crate) copies: Vec<Publication>,
}

impl Scratch {
    /// Forgets the message.
    pub(crate) fn clear(&mut self) {
        self.topic = None;
        self.captures.clear();
        self.properties.clear();
        self.copies.clear();
    }
}

#[derive(Debug)]
pub(crate) struct Rule {
    filter: Option<Filter>,
    /// None when the selector has done it and nobody asks what the wildcards stand for.
    check_filter: bool,
    properties: Vec<(String, Test)>,
    content_type: Option<Test>,
    topic: Option<Template>,
    copy: Option<Copy>,
    set: Vec<(String, Template)>,
    add: Vec<(String, Template)>,
    remove: Vec<String>,
    new_content_type: Option<Template>,
    qos: Option<Qos>,
    retain: Option<bool>,
    expiry: Option<Option<u32>>,
    drop: bool,
    pub(crate) go_on: bool,
    needs_topic: bool,
    needs_client: bool,
    needs_username: bool,
}

impl Rule {
    /// `alone`: the only rule, so that the broker's selector has looked at its filter. `value`: the property
    /// that `${value}` stands for.
    pub(crate) fn build(
        config: RuleConfig,
        alone: bool,
        value: Option<&str>,
    ) -> Result<Self, String> {
        config.check()?;
        let filter = match &config.when.filter {
            None => None,
            Some(text) => {
                Some(Filter::parse(text).map_err(|error| format!("when.filter: {error}"))?)
            }
        };
        let wildcards = filter.as_ref().map_or(0, Filter::wildcards);
        let mut properties: Vec<(String, Test)> = config.when.properties.into_iter().collect();
        let mut captures = false;
        let mut variable = |name: &str| {
            let part = variable(name, value, wildcards, &mut properties)?;
            captures |= matches!(part, Part::Capture(_));
            Ok(part)
        };
        let topic = match &config.topic {
            None => None,
            Some(text) => Some(
                Template::parse_topic(text, &mut variable)
                    .map_err(|error| format!("topic: {error}"))?,
            ),
        };
        let copy = match config.copy {
            None => None,
            Some(copy) => {
                Some(Copy::build(copy, &mut variable).map_err(|error| format!("copy: {error}"))?)
            }
        };
        let mut templates = |key: &str, texts: BTreeMap<String, String>| {
            let template =
                |(name, text): (String, String)| match Template::parse(&text, &mut variable) {
                    Ok(template) => Ok((name, template)),
                    Err(error) => Err(format!("{key}.{name}: {error}")),
                };
            texts.into_iter().map(template).collect::<Result<Vec<_>, String>>()
        };
        let set = templates("set", config.set)?;
        let add = templates("add", config.add)?;
        let content_type = config.content_type.map(|text| ("content_type".to_owned(), text));
        let new_content_type = templates("rule", content_type.into_iter().collect())?.pop();
        let new_content_type = new_content_type.map(|(_, template)| template);
        let used = |part: &Part| {
            let named = set.iter().chain(&add).map(|(_, template)| template);
            let copied = copy.as_ref().map(Copy::template);
            let mut all = named.chain(&topic).chain(&new_content_type).chain(copied);
            all.any(|template| template.uses(part))
        };
        let (needs_client, needs_username) = (used(&Part::ClientId), used(&Part::Username));
        Ok(Self {
            check_filter: filter.is_some() && (!alone || captures),
            needs_topic: used(&Part::Topic),
            needs_client: needs_client || needs_username,
            needs_username,
            filter,
            properties,
            content_type: config.when.content_type,
            topic,
            copy,
            set,
            add,
            remove: config.remove,
            new_content_type,
            qos: config.qos.map(qos).transpose()?,
            retain: config.retain,
            expiry: config.expiry.map(|expiry| match expiry {
                Expiry::Seconds(seconds) => Some(seconds),
                Expiry::Never(Never::Never) => None,
            }),
            drop: config.drop,
            go_on: config.go_on,
        })
    }

    /// What the broker has to call for.
    pub(crate) fn selector(&self) -> Selector {
        let filters = self.filter.iter().map(Filter::as_str);
        let selector = Selector::filters(filters);
        match self.properties.iter().find(|(_, test)| *test != Test::ABSENT) {
            Some((name, _)) => selector.user_property(name.as_str()),
            None => selector,
        }
    }

    /// Whether the rule is about the message; what its templates need is in `scratch` then.
    pub(crate) fn applies(&self, message: &impl Message, scratch: &mut Scratch) -> bool {
        // Else a copy of a copy would be made, until the broker stops it.
        if self.copy.is_some() && message.origin() == Origin::Plugin {
            return false;
        }
        scratch.properties.clear();
        for (name, test) in &self.properties {
            match property(message, name, test) {
                Some(value) => scratch.properties.push(value),
                None => return false,
            }
        }
        if (self.check_filter || self.needs_topic) && scratch.topic.is_none() {
            scratch.topic = Some(message.topic());
        }
        if self.check_filter
            && let (Some(filter), Some(topic)) = (&self.filter, &scratch.topic)
            && !filter.captures(topic, &mut scratch.captures)
        {
            return false;
        }
        if let Some(test) = &self.content_type {
            let holds = match message.content_type() {
                Some(value) => test.holds(&value),
                None => *test == Test::ABSENT,
            };
            if !holds {
                return false;
            }
        }
        if self.needs_client {
            let Some(client) = message.publisher() else { return false };
            if self.needs_username && client.username.is_none() {
                return false;
            }
            scratch.client_id = client.id;
            scratch.username = client.username.unwrap_or_default();
        }
        true
    }

    /// Stages what the rule says. Answers a verdict where that ends it.
    pub(crate) fn apply(&self, message: &impl Message, scratch: &mut Scratch) -> Option<Verdict> {
        if self.drop {
            return Some(Verdict::Discard);
        }
        let variables = Variables {
            topic: scratch.topic.as_deref().unwrap_or_default(),
            captures: &scratch.captures,
            properties: &scratch.properties,
            client_id: &scratch.client_id,
            username: &scratch.username,
        };
        let text = &mut scratch.text;
        for (name, template) in &self.set {
            template.fill(&variables, text);
            message.set_user_property(name, text);
        }
        for (name, template) in &self.add {
            template.fill(&variables, text);
            message.add_user_property(name, text);
        }
        for name in &self.remove {
            message.remove_user_property(name);
        }
        if let Some(template) = &self.new_content_type {
            template.fill(&variables, text);
            message.set_content_type(Some(text));
        }
        if let Some(qos) = self.qos {
            message.set_qos(qos);
        }
        if let Some(retain) = self.retain {
            message.set_retain(retain);
        }
        if let Some(expiry) = self.expiry {
            message.set_expiry(expiry);
        }
        if let Some(copy) = &self.copy {
            match copy.of(message, &variables) {
                Ok(copy) => scratch.copies.push(copy),
                Err((part, why)) => return Some(self.reject(part.as_ref(), why)),
            }
        }
        if let Some(template) = &self.topic {
            if let Err((part, why)) = template.fill_topic(&variables, text) {
                return Some(self.reject(part.as_ref(), why));
            }
            message.set_topic(text);
            scratch.topic = None;
        }
        None
    }

    #[cold]
    fn reject(&self, part: Option<&Part>, why: &str) -> Verdict {
        let reason = match part {
            Some(Part::Property(number)) => {
                let name = self.properties.get(*number).map_or("", |(name, _)| name);
                format!("the user property {name:?} {why}")
            }
            Some(Part::ClientId) => format!("the client identifier {why}"),
            Some(Part::Username) => format!("the user name {why}"),
            _ => format!("a rule {why}"),
        };
        Verdict::reject(Refusal::topic_name_invalid().reason(reason))
    }
}

impl RuleConfig {
    fn check(&self) -> Result<(), String> {
        let changes = self.topic.is_some()
            || self.copy.is_some()
            || !self.set.is_empty()
            || !self.add.is_empty()
            || !self.remove.is_empty()
            || self.content_type.is_some()
            || self.qos.is_some()
            || self.retain.is_some()
            || self.expiry.is_some();
        if self.drop && (changes || self.go_on) {
            return Err("drop = true leaves nothing to change or to continue with".to_owned());
        }
        if self.keep && (changes || self.drop || self.go_on) {
            return Err(
                "keep = true leaves the message as it is; remove the other actions".to_owned()
            );
        }
        if !changes && !self.drop && !self.keep {
            return Err(
                "has no action; write topic, copy, set, add, remove, content_type, qos, retain, \
                 expiry, drop = true or keep = true"
                    .to_owned(),
            );
        }
        if matches!(self.expiry, Some(Expiry::Seconds(0))) {
            return Err("expiry: 0 seconds; write drop = true, or expiry = \"never\"".to_owned());
        }
        let empty = |test: &Test| matches!(test, Test::Any(texts) if texts.is_empty());
        if self.when.properties.values().chain(&self.when.content_type).any(empty) {
            return Err("when: a list without a text never applies".to_owned());
        }
        Ok(())
    }
}

/// 0 to 2.
pub(crate) fn qos(level: u8) -> Result<Qos, String> {
    match level {
        0 => Ok(Qos::AtMostOnce),
        1 => Ok(Qos::AtLeastOnce),
        2 => Ok(Qos::ExactlyOnce),
        other => Err(format!("qos: {other} is no QoS; use 0, 1 or 2")),
    }
}

/// The first value of that name for which the test holds, or an empty one where there must be none.
fn property(message: &impl Message, name: &str, test: &Test) -> Option<String> {
    let first = message.user_property(name);
    if *test == Test::ABSENT {
        return first.is_none().then(String::new);
    }
    let first = first?;
    if test.holds(&first) {
        return Some(first);
    }
    // A name may occur several times.
    let all = message.user_properties().into_iter();
    all.filter(|property| property.name == name)
        .map(|property| property.value)
        .find(|value| test.holds(value))
}

/// What `${name}` stands for; a property that is used becomes a condition.
fn variable(
    name: &str,
    value: Option<&str>,
    wildcards: usize,
    properties: &mut Vec<(String, Test)>,
) -> Result<Part, String> {
    let property = name.strip_prefix("property.").or(value.filter(|_| name == "value"));
    if let Some(property) = property {
        let number = match properties.iter().position(|(name, _)| name == property) {
            Some(number) => number,
            None => {
                properties.push((property.to_owned(), Test::PRESENT));
                properties.len() - 1
            }
        };
        if properties.get(number).is_some_and(|(_, test)| *test == Test::ABSENT) {
            return Err(format!("${{{name}}} is never there: the rule wants it to be absent"));
        }
        return Ok(Part::Property(number));
    }
    match name {
        "topic" => return Ok(Part::Topic),
        "client_id" => return Ok(Part::ClientId),
        "username" => return Ok(Part::Username),
        _ => {}
    }
    if let Ok(number) = name.parse::<usize>() {
        return match number.checked_sub(1) {
            Some(index) if index < wildcards => Ok(Part::Capture(index)),
            _ => Err(format!("${{{name}}}: when.filter has {wildcards} wildcards")),
        };
    }
    let own = if value.is_some() { "${value}, " } else { "" };
    Err(format!(
        "${{{name}}} is unknown; there are {own}${{topic}}, ${{1}} and so on for the wildcards of \
         when.filter, ${{property.NAME}}, ${{client_id}} and ${{username}}"
    ))
}
