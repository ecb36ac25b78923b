//! Tells the generations of a plugin apart: appends the user property `generation` with the configured tag
//! to every message, and moves it below a prefix.
//!
//! ```toml
//! [plugin.config]
//! tag = "2"
//! prefix = "tagged/"      # optional: without it the message stays where it is
//! ```

use serde::Deserialize;
use wasmqtt_plugin::{
    Failure, Message, Plugin, Registration, Selector, Transformation, Verdict, export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    tag: String,
    #[serde(default)]
    prefix: String,
}

struct Tagger {
    config: Config,
}

impl Plugin for Tagger {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        Ok((Self { config }, Registration::new().on_publish(Selector::all())))
    }
}

impl Transformation for Tagger {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        message.add_user_property("generation", &self.config.tag);
        if !self.config.prefix.is_empty() {
            message.set_topic(&format!("{}{}", self.config.prefix, message.topic()));
        }
        Ok(Verdict::Forward)
    }
}

export!(Tagger: transformation);

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_plugin::test;

    #[test]
    fn every_message_is_tagged_and_moved_below_the_prefix() {
        let (mut tagger, _) = test::init::<Tagger>(r#"{"tag": "2", "prefix": "t/"}"#).unwrap();
        let message = test::Message::new("a", "").with_user_property("generation", "1");
        assert_eq!(tagger.on_publish(&message), Ok(Verdict::Forward));
        assert_eq!(message.changes().topic.as_deref(), Some("t/a"));
        let property = |value: &str| ("generation".to_owned(), value.to_owned());
        assert_eq!(message.changes().user_properties, Some(vec![property("1"), property("2")]));
    }
}
