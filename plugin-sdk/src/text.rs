//! A text of the configuration that may be in a file of its own.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A text in `[plugin.config]`: written there, or the content of a file.
///
/// ```toml
/// rules = "user alice\ntopic a/#"             # written there
/// rules = { file = "/etc/wasmqtt/rules.acl" }  # a file: the broker reads it, and again when it changes
/// ```
///
/// An empty text, or one of nothing but white space, is an error: a file that was cut off must not pass for
/// one that says nothing. Use it as the type of a field of a plugin's configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    file: Option<String>,
    content: String,
}

impl Text {
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.content
    }

    /// The file it came from, as the operator named it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Its lines with their numbers, from 1. A byte-order mark and carriage returns at the ends of lines are
    /// left out.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let text = self.content.strip_prefix('\u{feff}').unwrap_or(&self.content);
        text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// What is wrong with a line, for the operator: `FILE:LINE: what`, or `line LINE: what`.
    pub fn error(&self, line: usize, what: impl fmt::Display) -> String {
        match &self.file {
            Some(file) => format!("{file}:{line}: {what}"),
            None => format!("line {line}: {what}"),
        }
    }
}

/// The content may be a secret.
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {}", self.content.len(), self.file().unwrap_or("the configuration"))
    }
}

/// A text written in the configuration, for tests.
impl From<&str> for Text {
    fn from(content: &str) -> Self {
        Self { file: None, content: content.to_owned() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FromFile {
    file: String,
    content: String,
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = deserializer.deserialize_any(Visitor)?;
        if text.content.trim_start_matches('\u{feff}').trim().is_empty() {
            let name = text.file.as_deref().unwrap_or("the text");
            return Err(de::Error::custom(format_args!("{name} is empty")));
        }
        Ok(text)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or { file = \"PATH\" }")
    }

    fn visit_str<E: de::Error>(self, content: &str) -> Result<Text, E> {
        Ok(Text { file: None, content: content.to_owned() })
    }

    fn visit_string<E: de::Error>(self, content: String) -> Result<Text, E> {
        Ok(Text { file: None, content })
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
        let deserializer = de::value::MapAccessDeserializer::new(map);
        let FromFile { file, content } = FromFile::deserialize(deserializer)?;
        Ok(Text { file: Some(file), content })
    }
}
