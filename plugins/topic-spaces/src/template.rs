//! Topic templates: MQTT filters with variables, each a level or a part of one.

use crate::client::Facts;
use crate::query::Field;

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Field(Field),
    SessionName,
}

#[derive(Debug, PartialEq, Eq)]
enum Level {
    Is(Vec<Part>),
    Any,
    Rest,
}

#[derive(Debug)]
pub(crate) struct Template(Vec<Level>);

/// What it must match: a topic name, or a filter, all of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requested<'a>(pub(crate) &'a str);

impl Template {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("is empty or holds NUL".to_owned());
        }
        let mut levels = Vec::new();
        for level in text.split('/') {
            if levels.last() == Some(&Level::Rest) {
                return Err(format!("{text:?}: # must be the last level"));
            }
            levels.push(match level {
                "+" => Level::Any,
                "#" => Level::Rest,
                level => Level::Is(parts(level).map_err(|error| format!("{text:?}: {error}"))?),
            });
        }
        Ok(Self(levels))
    }

    /// Whether it covers all of what is requested. A value that is missing, empty, or that holds a wildcard or a level
    /// matches nothing.
    pub(crate) fn covers(&self, requested: Requested<'_>, facts: &mut Facts<'_>) -> bool {
        let mut requested = requested.0.split('/').enumerate();
        for level in &self.0 {
            let next = requested.next();
            if let (Level::Any | Level::Rest, Some((0, text))) = (level, next)
                && text.starts_with('$')
            {
                return false;
            }
            match (level, next) {
                (Level::Rest, _) => return true,
                (_, None) | (_, Some((_, "#"))) => return false,
                (Level::Any, Some(_)) => {}
                (Level::Is(_), Some((_, "+"))) => return false,
                (Level::Is(parts), Some((at, text))) => {
                    let leads = at == 0 && !matches!(parts.first(), Some(Part::Text(_)) | None);
                    if (leads && text.starts_with('$')) || !is(parts, text, facts) {
                        return false;
                    }
                }
            }
        }
        requested.next().is_none()
    }
}

/// Whether the level is this text, with any of the values of what has several.
fn is(parts: &[Part], text: &str, facts: &mut Facts<'_>) -> bool {
    let Some((first, parts)) = parts.split_first() else { return text.is_empty() };
    let values: Vec<String> = match first {
        Part::Text(own) => {
            return text.strip_prefix(own.as_str()).is_some_and(|rest| is(parts, rest, facts));
        }
        Part::SessionName => vec![facts.client_id().to_owned()],
        Part::Field(field) => facts.values(field).to_vec(),
    };
    values.iter().any(|value| {
        !value.is_empty()
            && !value.contains(['+', '#', '/', '\0'])
            && text.strip_prefix(value.as_str()).is_some_and(|rest| is(parts, rest, facts))
    })
}

/// A `|` between a variable and text separates them and stands for nothing.
fn parts(level: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = level;
    let text = |parts: &mut Vec<Part>, text: &str| {
        if text.contains(['+', '#']) {
            return Err("+ and # must stand alone in their level".to_owned());
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        Ok(())
    };
    while let Some((before, tail)) = rest.split_once("${") {
        text(&mut parts, before.strip_suffix('|').unwrap_or(before))?;
        let (name, tail) = tail.split_once('}').ok_or("a variable lacks its closing brace")?;
        parts.push(variable(name)?);
        rest = tail.strip_prefix('|').unwrap_or(tail);
    }
    text(&mut parts, rest)?;
    Ok(parts)
}

fn variable(name: &str) -> Result<Part, String> {
    match name {
        "client.authenticationName" => return Ok(Part::Field(Field::AuthenticationName)),
        "client.sessionName" => return Ok(Part::SessionName),
        _ => {}
    }
    match name.strip_prefix("client.attributes.") {
        Some(attribute) if !attribute.is_empty() => {
            Ok(Part::Field(Field::Attribute(attribute.to_owned())))
        }
        _ => Err(format!(
            "${{{name}}} is unknown; there are ${{client.authenticationName}}, ${{client.sessionName}} \
             and ${{client.attributes.NAME}}"
        )),
    }
}
