//! mosquitto's acl_file: reading it, and judging as mosquitto does. A file is about publications and deliveries;
//! subscribing is always allowed, and what may not be read is not delivered.

use std::collections::HashMap;

use wasmqtt_plugin::{Action, Client, Request, Text};

/// What one line grants, or that it takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Deny,
    Grant { read: bool, write: bool },
}

/// A part of a level in a pattern.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    ClientId,
    Username,
}

#[derive(Debug)]
struct Entry {
    access: Access,
    levels: Vec<Vec<Part>>,
}

/// The file, read once.
#[derive(Debug, Default)]
pub(crate) struct AclFile {
    /// The topics before the first `user`, for clients without a name.
    anonymous: Vec<Entry>,
    users: HashMap<String, Vec<Entry>>,
    patterns: Vec<Entry>,
}

impl AclFile {
    /// # Errors
    /// What is wrong, with its line.
    pub(crate) fn parse(text: &Text) -> Result<Self, String> {
        let mut file = Self::default();
        let mut user: Option<String> = None;
        let mut entries = 0;
        for (number, line) in text.lines() {
            let line = line.trim_end();
            // As mosquitto, which takes a comment only at the beginning of a line.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (word, rest) = line.trim_start_matches(' ').split_once(' ').unwrap_or((line, ""));
            let at = |error: String| text.error(number, error);
            match word.trim_start_matches(' ') {
                "user" => match rest.trim() {
                    "" => return Err(at("names no user".to_owned())),
                    name => {
                        // A user without a topic of its own is a user all the same.
                        file.users.entry(name.to_owned()).or_default();
                        user = Some(name.to_owned());
                    }
                },
                "topic" => {
                    let list = match &user {
                        None => &mut file.anonymous,
                        Some(name) => file.users.entry(name.clone()).or_default(),
                    };
                    add(list, Entry::parse(rest, false).map_err(at)?);
                    entries += 1;
                }
                "pattern" => {
                    add(&mut file.patterns, Entry::parse(rest, true).map_err(at)?);
                    entries += 1;
                }
                other => {
                    return Err(at(format!(
                        "begins with {other:?}, not with user, topic or pattern"
                    )));
                }
            }
        }
        if entries == 0 {
            return Err("it holds no topic and no pattern, so nobody could do anything".to_owned());
        }
        Ok(file)
    }

    /// Whether the client may; none when no line is about it.
    pub(crate) fn judge(&self, client: &Client, request: &Request) -> Option<bool> {
        let write = match request.action {
            Action::Subscribe => return Some(true),
            Action::Publish | Action::Will => true,
            Action::Receive => false,
        };
        let own = match &client.username {
            None => Some(&self.anonymous),
            Some(name) => self.users.get(name),
        };
        let topic = &request.topic;
        let literal = |_: &Part| None;
        for entry in own.into_iter().flatten() {
            if let Some(answer) = entry.judge(topic, write, literal) {
                return Some(answer);
            }
        }
        let wildcard = |name: &str| name.contains(['+', '#']);
        if !self.patterns.is_empty()
            && (wildcard(&client.id) || client.username.as_deref().is_some_and(wildcard))
        {
            return Some(false);
        }
        for entry in &self.patterns {
            if entry.names(&Part::Username) && client.username.is_none() {
                continue;
            }
            // A level in a name would grant what is below another's name. Denying it more is harmless.
            let level = |part, name: &str| entry.names(&part) && name.contains('/');
            let widens = level(Part::ClientId, &client.id)
                || level(Part::Username, client.username.as_deref().unwrap_or_default());
            if widens && entry.access != Access::Deny {
                continue;
            }
            let value = |part: &Part| match part {
                Part::Text(_) => None,
                Part::ClientId => Some(client.id.as_str()),
                Part::Username => client.username.as_deref(),
            };
            if let Some(answer) = entry.judge(topic, write, value) {
                return Some(answer);
            }
        }
        None
    }
}

/// Denials are looked at first, wherever they stand.
fn add(list: &mut Vec<Entry>, entry: Entry) {
    if entry.access == Access::Deny {
        list.insert(0, entry);
    } else {
        list.push(entry);
    }
}

impl Entry {
    /// What follows `topic` or `pattern`.
    fn parse(rest: &str, pattern: bool) -> Result<Self, String> {
        let rest = rest.trim();
        let (access, topic) = match rest.split_once(' ') {
            None => (Access::Grant { read: true, write: true }, rest),
            Some((access, topic)) => {
                let access = match access {
                    "read" => Access::Grant { read: true, write: false },
                    "write" => Access::Grant { read: false, write: true },
                    "readwrite" => Access::Grant { read: true, write: true },
                    "deny" => Access::Deny,
                    other => {
                        return Err(format!(
                            "{other:?} is no access; there are read, write, readwrite and deny"
                        ));
                    }
                };
                (access, topic.trim())
            }
        };
        if topic.is_empty() {
            return Err("names no topic".to_owned());
        }
        check(topic)?;
        let levels = topic.split('/').map(|level| parts(level, pattern)).collect();
        Ok(Self { access, levels })
    }

    fn names(&self, part: &Part) -> bool {
        self.levels.iter().flatten().any(|one| one == part)
    }

    /// None when the entry has no say.
    fn judge<'a>(
        &'a self,
        topic: &str,
        write: bool,
        value: impl Fn(&Part) -> Option<&'a str>,
    ) -> Option<bool> {
        let has_a_say = match self.access {
            Access::Deny => Some(false),
            Access::Grant { read, write: may_write } => {
                (if write { may_write } else { read }).then_some(true)
            }
        };
        has_a_say.filter(|_| self.matches(topic, value))
    }

    /// Wildcards stand only where the file has them; what a name brings is text.
    fn matches<'a>(&'a self, topic: &str, value: impl Fn(&Part) -> Option<&'a str>) -> bool {
        let filled: Vec<Option<String>> = self
            .levels
            .iter()
            .map(|parts| match parts.as_slice() {
                [Part::Text(text)] if text == "+" || text == "#" => None,
                parts => Some(parts.iter().map(|part| text_of(part, &value)).collect()),
            })
            .collect();
        let first = filled.first().and_then(Option::as_deref);
        if topic.starts_with('$') != first.is_some_and(|first| first.starts_with('$')) {
            return false;
        }
        let multi = matches!(self.levels.last().map(Vec::as_slice), Some([Part::Text(text)]) if text == "#");
        let text = filled.iter().map(|level| level.as_deref().unwrap_or("+"));
        let wild: Vec<bool> = filled.iter().map(Option::is_none).collect();
        // A name with a level in it makes more levels of one.
        let mut expected = Vec::new();
        for (level, wild) in text.zip(wild) {
            expected.extend(level.split('/').map(|level| (level, wild)));
        }
        let singles = expected.len() - usize::from(multi);
        let mut levels = topic.split('/');
        for (text, wild) in expected.iter().take(singles) {
            match levels.next() {
                Some(level) if *wild || level == *text => {}
                _ => return false,
            }
        }
        multi || levels.next().is_none()
    }
}

fn text_of<'a>(part: &'a Part, value: &impl Fn(&Part) -> Option<&'a str>) -> &'a str {
    match part {
        Part::Text(text) => text,
        part => value(part).unwrap_or_default(),
    }
}

fn check(topic: &str) -> Result<(), String> {
    if topic.len() > 65_535 || topic.contains('\0') {
        return Err("the topic is longer than 65,535 bytes or holds NUL".to_owned());
    }
    let mut levels = topic.split('/').peekable();
    while let Some(level) = levels.next() {
        let last = levels.peek().is_none();
        if level == "#" && !last {
            return Err(format!("{topic:?}: # must be the last level"));
        }
        if level.len() > 1 && level.contains(['+', '#']) {
            return Err(format!("{topic:?}: + and # must stand alone in their level"));
        }
    }
    Ok(())
}

fn parts(level: &str, pattern: bool) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = level;
    while let Some(first) = rest.chars().next() {
        let variable = match rest.get(..2) {
            Some("%c") if pattern => Some(Part::ClientId),
            Some("%u") if pattern => Some(Part::Username),
            _ => None,
        };
        let taken = if let Some(variable) = variable {
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(variable);
            2
        } else {
            text.push(first);
            first.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    if !text.is_empty() || parts.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}
