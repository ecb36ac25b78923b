//! An MQTT filter whose wildcards capture what they match.

use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Filter {
    text: String,
    wildcards: usize,
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("a filter is not empty and holds no NUL".to_owned());
        }
        let mut levels = text.split('/').peekable();
        let mut wildcards = 0;
        while let Some(level) = levels.next() {
            if level == "#" && levels.peek().is_some() {
                return Err(format!("{text:?}: # must be the last level"));
            }
            if level.len() > 1 && level.contains(['+', '#']) {
                return Err(format!("{text:?}: + and # must stand alone in their level"));
            }
            wildcards += usize::from(level == "+" || level == "#");
        }
        Ok(Self { text: text.to_owned(), wildcards })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// How many wildcards it has.
    pub(crate) fn wildcards(&self) -> usize {
        self.wildcards
    }

    /// Whether it matches; `captures` gets the stretch of the topic that each wildcard stands for.
    pub(crate) fn captures(&self, topic: &str, captures: &mut Vec<Range<usize>>) -> bool {
        captures.clear();
        if topic.starts_with('$') && self.text.starts_with(['+', '#']) {
            return false;
        }
        let mut start = 0;
        let mut levels = topic.split('/');
        for expected in self.text.split('/') {
            if expected == "#" {
                // Behind the last level for "a/#" and "a".
                captures.push(start.min(topic.len())..topic.len());
                return true;
            }
            let Some(level) = levels.next() else { return false };
            if expected == "+" {
                captures.push(start..start + level.len());
            } else if expected != level {
                return false;
            }
            start += level.len() + 1;
        }
        levels.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_captures_what_its_wildcards_stand_for() {
        let mut captures = Vec::new();
        for (filter, topic, expected) in [
            ("a/+/c", "a/b/c", Some(vec!["b"])),
            ("+/+", "/x", Some(vec!["", "x"])),
            ("a/#", "a/b/c", Some(vec!["b/c"])),
            ("a/#", "a", Some(vec![""])),
            ("a/#", "a/", Some(vec![""])),
            ("#", "a/b", Some(vec!["a/b"])),
            ("a/+/#", "a/b", Some(vec!["b", ""])),
            ("a", "a", Some(vec![])),
            ("a/+", "a", None),
            ("a/+", "a/b/c", None),
            ("+/x", "$SYS/x", None),
            ("#", "$SYS/x", None),
            ("$SYS/#", "$SYS/x", Some(vec!["x"])),
        ] {
            let parsed = Filter::parse(filter).unwrap();
            let matched = parsed.captures(topic, &mut captures);
            let texts: Vec<_> = captures.iter().map(|range| &topic[range.clone()]).collect();
            assert_eq!(matched.then_some(texts), expected, "{filter} {topic}");
            if expected.is_some() {
                assert_eq!(parsed.wildcards(), captures.len(), "{filter}");
            }
        }
    }

    #[test]
    fn a_bad_filter_says_what_is_wrong() {
        for (filter, part) in [
            ("", "not empty"),
            ("a/#/b", "last level"),
            ("a+", "stand alone"),
            ("a/b#", "stand alone"),
        ] {
            assert!(Filter::parse(filter).unwrap_err().contains(part), "{filter}");
        }
    }
}
