//! One table of the configuration, key by key: every reader names the type and the range it wants, reports
//! what does not fit, and answers None then.
//!
//! A key nobody asked for is unknown. What the keys mean is not known here.

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive, time::Duration};

use super::super::{
    problem::{Place, Problems, Severity, Sources, quote},
    tree::{Entry, Node, Table, Value},
    unit,
};

/// Where problems go, and the files they are in.
pub(super) struct Reporter<'a> {
    pub(super) sources: &'a Sources,
    pub(super) problems: RefCell<Problems>,
    /// Something could not be read: what seems to be missing may be there.
    pub(super) incomplete: bool,
}

impl Reporter<'_> {
    pub(super) fn report(
        &self,
        severity: Severity,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let problem = self.sources.problem(severity, place, message, help);
        self.problems.borrow_mut().push(place.file, problem);
    }

    pub(super) fn error(&self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.report(Severity::Error, place, message, help);
    }

    pub(super) fn warning(&self, place: Place, message: impl Into<String>, help: Option<String>) {
        self.report(Severity::Warning, place, message, help);
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.problems.borrow().errors()
    }
}

/// A string and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) place: Place,
}

/// The keys of one table that was found, or of one that was not: then no key is there.
pub(super) struct Fields<'a> {
    reporter: &'a Reporter<'a>,
    table: Option<&'a Table>,
    /// With its last dot, for messages.
    path: String,
    /// The table's header.
    pub(super) place: Place,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(
        reporter: &'a Reporter<'a>,
        table: Option<&'a Table>,
        path: &str,
        place: Place,
    ) -> Self {
        let path = if path.is_empty() { String::new() } else { format!("{path}.") };
        Self { reporter, table, path, place, known: Vec::new() }
    }

    /// Ends the reading: the keys nobody asked for are unknown.
    pub(super) fn finish(self) {
        for (key, entry) in self.table.into_iter().flatten() {
            if !self.known.contains(&key.as_str()) {
                let message = format!("unknown key {}", quote(key));
                let help = suggestion(key, self.known.iter().copied());
                self.reporter.error(entry.key, message, help);
            }
        }
    }

    pub(super) fn entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table?.get(key)
    }

    /// Where the value under a dotted path stands; the table itself when it is not set.
    pub(super) fn place_of(&self, path: &str) -> Place {
        let mut place = self.place;
        let mut table = self.table;
        for key in path.split('.') {
            let Some(entry) = table.and_then(|table| table.get(key)) else { break };
            place = entry.node.place;
            table = match &entry.node.value {
                Value::Table(table) => Some(table),
                _ => None,
            };
        }
        place
    }

    /// Whether the value under a dotted path is set.
    pub(super) fn holds(&self, path: &str) -> bool {
        let mut table = self.table;
        path.split('.').all(|key| {
            let found = table.and_then(|table| table.get(key));
            table = match found.map(|entry| &entry.node.value) {
                Some(Value::Table(table)) => Some(table),
                _ => None,
            };
            found.is_some()
        })
    }

    /// Whether it is set, to whatever it may be.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    fn wrong_type(&self, key: &str, wanted: &str, node: &Node, help: Option<&str>) {
        let message = format!("`{}{key}` must be {wanted}, not {}", self.path, node.value.kind());
        self.reporter.error(node.place, message, help.map(str::to_owned));
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<Text<'a>> {
        let node = self.node(key)?;
        let Value::Text(text) = &node.value else {
            self.wrong_type(key, "a string", node, None);
            return None;
        };
        Some(Text { text, place: node.place })
    }

    /// As [`text`](Self::text), and an error when there is none.
    pub(super) fn required(&mut self, key: &'static str, example: &str) -> Option<Text<'a>> {
        let present = self.table.is_some_and(|table| table.contains_key(key));
        if !present && !self.reporter.incomplete {
            let section = self.path.trim_end_matches('.');
            let message = format!("`{key}` is missing from this {section}");
            self.reporter.error(self.place, message, Some(format!("add {key} = {example}")));
        }
        self.text(key)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let Value::Boolean(flag) = node.value else {
            self.wrong_type(key, "a boolean", node, Some("write true or false"));
            return None;
        };
        Some(flag)
    }

    fn out_of_range(&self, key: &str, found: &str, bounds: (String, String), place: Place) {
        let message =
            format!("`{}{key}` is {found}: it must be {} to {}", self.path, bounds.0, bounds.1);
        self.reporter.error(place, message, None);
    }

    pub(super) fn count<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let node = self.node(key)?;
        let Value::Integer(integer) = node.value else {
            self.wrong_type(key, "an integer", node, None);
            return None;
        };
        let count = T::try_from(integer).ok().filter(|count| range.contains(count));
        if count.is_none() {
            let bounds = (range.start().to_string(), range.end().to_string());
            self.out_of_range(key, &integer.to_string(), bounds, node.place);
        }
        count
    }

    /// Bytes.
    pub(super) fn size<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<u64> + Into<u64> + PartialOrd + Copy,
    {
        let node = self.node(key)?;
        let (bytes, written) = match &node.value {
            Value::Integer(integer) => (u64::try_from(*integer).ok(), integer.to_string()),
            Value::Text(text) => {
                let bytes = unit::parse_size(text);
                if bytes.is_none() {
                    let message = format!("`{}{key}`: {} is not a size", self.path, quote(text));
                    self.reporter.error(node.place, message, Some(unit::SIZE_FORM.into()));
                    return None;
                }
                (bytes, text.clone())
            }
            _ => {
                self.wrong_type(key, "a size", node, Some(unit::SIZE_FORM));
                return None;
            }
        };
        let size =
            bytes.and_then(|bytes| T::try_from(bytes).ok()).filter(|size| range.contains(size));
        if size.is_none() {
            let bounds = ((*range.start()).into(), (*range.end()).into());
            let bounds = (unit::size(bounds.0), unit::size(bounds.1));
            self.out_of_range(key, &written, bounds, node.place);
        }
        size
    }

    /// In milliseconds; a plain 0 needs no unit.
    pub(super) fn time(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let node = self.node(key)?;
        let (time, written) = match &node.value {
            Value::Integer(0) => (Duration::ZERO, "0".to_owned()),
            Value::Text(text) => {
                let Some(time) = unit::parse_duration(text) else {
                    let message =
                        format!("`{}{key}`: {} is not a duration", self.path, quote(text));
                    self.reporter.error(node.place, message, Some(unit::DURATION_FORM.into()));
                    return None;
                };
                (time, text.clone())
            }
            _ => {
                self.wrong_type(key, "a duration", node, Some(unit::DURATION_FORM));
                return None;
            }
        };
        if range.contains(&time) {
            return Some(time);
        }
        let bounds = (unit::duration(*range.start()), unit::duration(*range.end()));
        self.out_of_range(key, &written, bounds, node.place);
        None
    }

    /// A [`time`](Self::time) that is given to clients, who count in seconds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let time = self.time(key, range)?;
        if time.subsec_nanos() == 0 {
            return Some(time);
        }
        let message = format!("`{}{key}` must be whole seconds", self.path);
        self.reporter.error(self.place_of(key), message, None);
        None
    }

    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.text(key)?;
        self.one_of(key, text, words)
    }

    fn one_of<T: Copy>(
        &self,
        key: &str,
        Text { text, place }: Text<'_>,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let message = format!("`{}{key}` cannot be {}", self.path, quote(text));
            let help = suggestion(text, words.iter().map(|(word, _)| *word));
            self.reporter.error(place, message, help);
        }
        found.map(|(_, value)| *value)
    }

    /// A table of words under names of the user's choice.
    pub(super) fn named_words<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Vec<(Text<'a>, T)> {
        let fields = self.table(key);
        let mut named = Vec::new();
        for (name, Entry { key: place, node }) in fields.table.into_iter().flatten() {
            let Value::Text(text) = &node.value else {
                fields.wrong_type(name, "a string", node, None);
                continue;
            };
            if let Some(word) = fields.one_of(name, Text { text, place: node.place }, words) {
                named.push((Text { text: name, place: *place }, word));
            }
        }
        named
    }

    /// An array of strings.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Text<'a>>> {
        let node = self.node(key)?;
        let Value::Array(nodes) = &node.value else {
            self.wrong_type(key, "an array of strings", node, Some("write [\"...\"]"));
            return None;
        };
        let mut texts = Vec::with_capacity(nodes.len());
        for element in nodes {
            match &element.value {
                Value::Text(text) => texts.push(Text { text, place: element.place }),
                _ => self.wrong_type(key, "an array of strings", element, None),
            }
        }
        Some(texts)
    }

    /// A table in this one.
    pub(super) fn table(&mut self, key: &'static str) -> Fields<'a> {
        let path = format!("{}{key}", self.path);
        let found = self.entry(key);
        let place = found.map_or(self.place, |entry| entry.node.place);
        let table = match found.map(|entry| &entry.node) {
            Some(Node { value: Value::Table(table), .. }) => Some(table),
            Some(node) => {
                self.wrong_type(key, "a table", node, None);
                None
            }
            None => None,
        };
        Fields::new(self.reporter, table, &path, place)
    }

    /// `[[key]]`, at most `most` of them.
    pub(super) fn tables(&mut self, key: &'static str, most: usize) -> Vec<Fields<'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let help = format!("write [[{key}]]");
        let Value::Array(nodes) = &node.value else {
            self.wrong_type(key, "an array of tables", node, Some(&help));
            return Vec::new();
        };
        if let Some(first) = nodes.get(most) {
            let message = format!("there are {} {key}s: {most} is the most", nodes.len());
            self.reporter.error(first.place, message, None);
        }
        let mut tables = Vec::new();
        for element in nodes.iter().take(most) {
            match &element.value {
                Value::Table(table) => {
                    tables.push(Fields::new(self.reporter, Some(table), key, element.place));
                }
                _ => self.wrong_type(key, "an array of tables", element, Some(&help)),
            }
        }
        tables
    }
}

/// Words that are named where none is near.
const SUGGESTIONS: usize = 12;

/// The nearest of the known words, or all of them, unless they are too many for a line.
pub(super) fn suggestion<'w>(
    text: &str,
    known: impl Iterator<Item = &'w str> + Clone,
) -> Option<String> {
    match nearest(text, known.clone()) {
        Some(word) => Some(format!("did you mean `{word}`?")),
        None => {
            let words: Vec<&str> = known.clone().take(SUGGESTIONS).collect();
            let more = match known.count() - words.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            (!words.is_empty()).then(|| format!("known here: {}{more}", words.join(", ")))
        }
    }
}

/// The known word with the fewest typing mistakes between it and the text: at most one in three letters,
/// unless one of them is the beginning of the other.
fn nearest<'w>(text: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let length = text.chars().count();
    if length > 64 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    known
        .map(|word| (word, word.to_lowercase().replace('-', "_")))
        .map(|(word, plain)| {
            let mistakes = strsim::damerau_levenshtein(&text, &plain);
            let near = mistakes <= 1.max(length.max(plain.len()) / 3);
            let begins = length >= 3 && (plain.starts_with(&text) || text.starts_with(&plain));
            (word, mistakes, near || begins)
        })
        .filter(|(_, _, alike)| *alike)
        .min_by_key(|(_, mistakes, _)| *mistakes)
        .map(|(word, ..)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_with_the_fewest_mistakes() {
        let known = ["max_connections", "max_inflight", "queue", "connect_timeout"];
        for (text, word) in [
            ("max_conections", Some("max_connections")),
            ("max-connections", Some("max_connections")),
            ("MaxInflight", Some("max_inflight")),
            ("queu", Some("queue")),
            ("qeuue", Some("queue")),
            ("connection_timeout", Some("connect_timeout")),
            ("connect", Some("connect_timeout")),
            ("queue_of_messages", Some("queue")),
            ("q", None),
            ("qu", None),
            ("", None),
            ("workers", None),
        ] {
            assert_eq!(nearest(text, known.into_iter()), word, "{text}");
        }
        assert_eq!(nearest(&"queue".repeat(20), known.into_iter()), None);
    }

    #[test]
    fn without_a_near_word_all_of_them_are_named() {
        let known = ["deny", "allow"].into_iter();
        assert_eq!(suggestion("maybe", known).as_deref(), Some("known here: deny, allow"));
        assert_eq!(suggestion("maybe", [].into_iter()), None);
        let many = ["a"; SUGGESTIONS + 2].into_iter();
        assert!(suggestion("maybe", many).unwrap().ends_with(", a, a and 2 more"));
    }
}
