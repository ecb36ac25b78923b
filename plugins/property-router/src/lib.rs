//! Transformation: moves a message to a topic made from one of its user properties. It is asked only for
//! messages that carry the property, and a value can never widen where a message goes: what would add a
//! level or a wildcard is refused.
//!
//! ```toml
//! [plugin.config]
//! property = "region"                     # the user property to route by
//! topic = "routed/${value}/${topic}"      # ${value}: its value; ${topic}: the topic published to
//! filters = ["sensors/#"]                 # optional: only these topics
//! ```

use serde::Deserialize;
use wasmqtt_plugin::{
    Failure, Message, Plugin, Refusal, Registration, Selector, Transformation, Verdict, export,
};

/// The longest topic name that MQTT can carry, in bytes.
const MAX_TOPIC: usize = 65_535;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    property: String,
    topic: String,
    filters: Option<Vec<String>>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    Value,
    Topic,
}

struct PropertyRouter {
    property: String,
    parts: Vec<Part>,
    /// The topic being built; kept between calls, so that a call seldom allocates.
    topic: String,
}

impl Plugin for PropertyRouter {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        if config.property.is_empty() {
            return Err("property: name the user property to route by".to_owned());
        }
        if config.filters.as_ref().is_some_and(Vec::is_empty) {
            return Err("filters: matches no topic; leave it out to route every topic".to_owned());
        }
        let parts = parse_template(&config.topic).map_err(|error| format!("topic: {error}"))?;
        let selector = Selector::filters(config.filters.unwrap_or_default())
            .user_property(config.property.as_str());
        let router = Self { property: config.property, parts, topic: String::new() };
        Ok((router, Registration::new().on_publish(selector)))
    }
}

impl Transformation for PropertyRouter {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let Some(value) = message.user_property(&self.property) else {
            return Ok(Verdict::Forward);
        };
        if value.is_empty() {
            return Ok(self.reject("is empty"));
        }
        if value.contains(['+', '#', '/', '\0']) {
            return Ok(self.reject("holds +, #, / or NUL"));
        }
        self.topic.clear();
        for part in &self.parts {
            match part {
                Part::Literal(text) => self.topic.push_str(text),
                Part::Value => self.topic.push_str(&value),
                Part::Topic => self.topic.push_str(&message.topic()),
            }
        }
        if self.topic.len() > MAX_TOPIC {
            return Ok(self.reject("makes the topic longer than 65,535 bytes"));
        }
        // Topics that begin with $ are the broker's own; a value must not reach them by coming first.
        if self.topic.starts_with('$') && matches!(self.parts.first(), Some(Part::Value)) {
            return Ok(self.reject("begins with $"));
        }
        message.set_topic(&self.topic);
        Ok(Verdict::Forward)
    }
}

impl PropertyRouter {
    #[cold]
    fn reject(&self, why: &str) -> Verdict {
        let reason = format!("the user property {:?} {why}", self.property);
        Verdict::reject(Refusal::topic_name_invalid().reason(reason))
    }
}

fn parse_template(template: &str) -> Result<Vec<Part>, String> {
    if template.is_empty() {
        return Err("is empty; an example is \"routed/${value}/${topic}\"".to_owned());
    }
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, tail)) = rest.split_once("${") {
        push_literal(&mut parts, literal)?;
        let Some((name, tail)) = tail.split_once('}') else {
            return Err(format!("\"${{{tail}\" lacks its closing brace"));
        };
        parts.push(match name {
            "value" => Part::Value,
            "topic" => Part::Topic,
            _ => {
                return Err(format!("${{{name}}} is unknown; there are ${{value}} and ${{topic}}"));
            }
        });
        rest = tail;
    }
    push_literal(&mut parts, rest)?;
    Ok(parts)
}

fn push_literal(parts: &mut Vec<Part>, literal: &str) -> Result<(), String> {
    if literal.contains(['+', '#', '\0']) {
        return Err(format!("{literal:?} holds +, # or NUL, which no topic name may hold"));
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
    Ok(())
}

export!(PropertyRouter: transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    fn router(config: &str) -> (PropertyRouter, Registration) {
        test::init(config).unwrap()
    }

    fn refused(config: &str) -> String {
        test::init::<PropertyRouter>(config).map(|_| ()).unwrap_err()
    }

    const DEMO: &str = r#"{"property": "region", "topic": "routed/${value}/${topic}"}"#;

    #[test]
    fn a_message_moves_to_the_topic_made_from_its_property() {
        let (mut router, _) = router(DEMO);
        for value in ["eu", "north pole", "${topic}"] {
            let message = test::Message::new("sensors/7", "21").with_user_property("region", value);
            assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
            let expected = test::Changes {
                topic: Some(format!("routed/{value}/sensors/7")),
                ..test::Changes::default()
            };
            assert_eq!(message.changes(), expected);
        }
    }

    #[test]
    fn only_messages_with_the_property_are_asked_for() {
        let (mut router, registration) = router(DEMO);
        assert_eq!(
            registration,
            Registration::new().on_publish(Selector::all().user_property("region"))
        );
        let message = test::Message::new("sensors/7", "21").with_user_property("other", "eu");
        assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
        assert_eq!(message.changes(), test::Changes::default());
    }

    #[test]
    fn filters_become_part_of_the_selector() {
        let (_, registration) =
            router(r#"{"property": "region", "topic": "x/${value}", "filters": ["a/#", "b"]}"#);
        assert_eq!(
            registration.on_publish,
            [Selector::filters(["a/#", "b"]).user_property("region")]
        );
    }

    #[test]
    fn a_value_that_could_widen_the_topic_is_rejected_with_0x90() {
        let (mut router, _) = router(DEMO);
        for value in ["", "+", "#", "eu/de", "eu\0", "/", "a#"] {
            let message = test::Message::new("sensors/7", "21").with_user_property("region", value);
            let Ok(Verdict::Reject(refusal)) = router.on_publish(&message) else {
                panic!("{value:?} was not rejected");
            };
            assert_eq!(refusal.code, 0x90);
            assert!(refusal.reason.unwrap().contains("\"region\""));
            assert_eq!(message.changes(), test::Changes::default());
        }
    }

    #[test]
    fn a_value_never_makes_a_topic_of_the_broker() {
        let (mut router, _) = router(r#"{"property": "p", "topic": "${value}/x"}"#);
        let message = test::Message::new("t", "").with_user_property("p", "$SYS");
        assert!(matches!(router.on_publish(&message), Ok(Verdict::Reject(_))));
        let message = test::Message::new("t", "").with_user_property("p", "SYS$");
        assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    }

    #[test]
    fn a_topic_is_as_long_as_mqtt_allows_and_no_longer() {
        let (mut router, _) = router(r#"{"property": "p", "topic": "x/${value}"}"#);
        for (length, fits) in [(MAX_TOPIC - 2, true), (MAX_TOPIC - 1, false)] {
            let message = test::Message::new("t", "").with_user_property("p", &"v".repeat(length));
            let verdict = router.on_publish(&message).unwrap();
            assert_eq!(verdict == Verdict::Forward, fits);
            assert_eq!(message.changes().topic.is_some(), fits);
        }
    }

    #[test]
    fn a_bad_configuration_says_what_is_wrong() {
        for (config, part) in [
            (r#"{"property": "", "topic": "x"}"#, "property: name the user property"),
            (r#"{"property": "p", "topic": ""}"#, "topic: is empty"),
            (r#"{"property": "p", "topic": "a/#"}"#, "holds +, # or NUL"),
            (r#"{"property": "p", "topic": "a/${valeu}"}"#, "${valeu} is unknown"),
            (r#"{"property": "p", "topic": "a/${value"}"#, "lacks its closing brace"),
            (r#"{"property": "p", "topic": "a", "filters": []}"#, "filters: matches no topic"),
            (r#"{"property": "p", "topic": "a", "filter": "b"}"#, "unknown field `filter`"),
            (r#"{"property": "p", "topic": 7}"#, "topic: invalid type"),
            ("{}", "missing field `property`"),
        ] {
            let error = refused(config);
            assert!(error.contains(part), "{config}: {error}");
        }
    }
}
