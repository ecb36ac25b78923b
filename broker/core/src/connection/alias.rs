//! Topic aliases that a client has set; they live as long as the connection [MQTT-3.3.2-7].

use std::num::NonZeroU16;

use crate::fault::Fault;

/// Topic names by alias. Grows with what the client sets, up to the maximum announced in CONNACK.
#[derive(Debug)]
pub(crate) struct Aliases {
    maximum: u16,
    names: Vec<Option<Box<str>>>,
}

impl Aliases {
    pub(crate) fn new(maximum: u16) -> Self {
        Self { maximum, names: Vec::new() }
    }

    /// Sets the alias to the topic of a PUBLISH that has both.
    pub(crate) fn learn(&mut self, topic: &str, alias: Option<NonZeroU16>) -> Result<(), Fault> {
        let Some(alias) = alias else { return Ok(()) };
        if alias.get() > self.maximum {
            return Err(Fault::TopicAliasInvalid);
        }
        if topic.is_empty() {
            return Ok(());
        }
        let at = usize::from(alias.get()) - 1;
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        if let Some(name) = self.names.get_mut(at)
            && name.as_deref() != Some(topic)
        {
            *name = Some(topic.into());
        }
        Ok(())
    }

    /// The topic a PUBLISH is about: the one it names, or the one its alias was set to.
    pub(crate) fn resolve<'a>(
        &'a self,
        topic: &'a str,
        alias: Option<NonZeroU16>,
    ) -> Result<&'a str, Fault> {
        let Some(alias) = alias.filter(|_| topic.is_empty()) else { return Ok(topic) };
        let known = self.names.get(usize::from(alias.get()) - 1);
        known.and_then(Option::as_deref).ok_or(Fault::TopicAliasUnknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(n: u16) -> Option<NonZeroU16> {
        NonZeroU16::new(n)
    }

    #[test]
    fn an_alias_stands_for_the_topic_it_was_last_set_to() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.resolve("a", None), Ok("a"));
        for topic in ["a", "b"] {
            aliases.learn(topic, alias(2)).unwrap();
            assert_eq!(aliases.resolve(topic, alias(2)), Ok(topic));
            assert_eq!(aliases.resolve("", alias(2)), Ok(topic));
        }
    }

    #[test]
    fn an_alias_that_was_never_set_or_is_above_the_maximum_is_a_fault() {
        let mut aliases = Aliases::new(2);
        assert_eq!(aliases.resolve("", alias(1)), Err(Fault::TopicAliasUnknown));
        assert_eq!(aliases.learn("a", alias(3)), Err(Fault::TopicAliasInvalid));
        assert_eq!(aliases.learn("", alias(3)), Err(Fault::TopicAliasInvalid));
        assert_eq!(Aliases::new(0).learn("a", alias(1)), Err(Fault::TopicAliasInvalid));
    }
}
