//! MQTT topic filters with variables in them: does a filter match a topic, cover another filter, overlap
//! with another filter. It knows nothing of rules.

/// What `${username}` and `${client_id}` stand for in one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variables<'a> {
    pub(crate) username: Option<&'a str>,
    pub(crate) client_id: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    Username,
    ClientId,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(Variable),
}

#[derive(Debug, PartialEq, Eq)]
enum Level {
    /// A level of its own, or with variables in it. No parts: the empty level.
    Is(Vec<Part>),
    Any,
    Rest,
}

/// A filter as it stands in a rule.
#[derive(Debug)]
pub(crate) struct Filter {
    levels: Vec<Level>,
    variables: Vec<Variable>,
}

/// Whether leading wildcards match topics that begin with `$`. In MQTT they do not [MQTT-4.7.2-1], and so
/// they allow nothing there; a rule that denies with a leading wildcard is meant to deny those as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dollar {
    Apart,
    Included,
}

impl Filter {
    /// # Errors
    /// What MQTT or this plugin does not accept, in words for the operator.
    pub(crate) fn parse(filter: &str) -> Result<Self, String> {
        if filter.is_empty() {
            return Err("is empty; \"#\" is every topic".to_owned());
        }
        if filter.starts_with("$share/") {
            return Err("leave out $share/GROUP/: a rule is about the topics".to_owned());
        }
        let mut levels = Vec::new();
        let mut variables = Vec::new();
        for level in filter.split('/') {
            if levels.last() == Some(&Level::Rest) {
                return Err(format!("{filter:?}: # must be the last level"));
            }
            levels.push(match level {
                "+" => Level::Any,
                "#" => Level::Rest,
                _ => Level::Is(parse_level(filter, level, &mut variables)?),
            });
        }
        // "+/#" matches what "#" matches, since every topic has a first level.
        if levels == [Level::Any, Level::Rest] {
            levels = vec![Level::Rest];
        }
        Ok(Self { levels, variables })
    }

    /// Whether the variables can be filled in: a value that is missing, or that holds what would add a
    /// level or a wildcard, makes the filter match nothing (CVE-2017-7650).
    pub(crate) fn applies(&self, variables: Variables<'_>) -> bool {
        let leads = match self.levels.first() {
            Some(Level::Is(parts)) => matches!(parts.first(), Some(Part::Variable(_))),
            _ => false,
        };
        for (index, variable) in self.variables.iter().enumerate() {
            let Some(value) = value_of(*variable, variables) else { return false };
            if value.contains(['+', '#', '/', '\0']) {
                return false;
            }
            // A name such as "$SYS" must not reach the broker's own topics by coming first.
            if index == 0 && leads && value.starts_with('$') {
                return false;
            }
        }
        true
    }

    /// Whether the filter matches a topic name.
    pub(crate) fn matches(&self, topic: &str, dollar: Dollar, variables: Variables<'_>) -> bool {
        // A topic name is a filter without wildcards.
        self.covers_with(topic, dollar, variables)
    }

    /// Whether every topic that `requested` can match is matched by this filter.
    pub(crate) fn covers(&self, requested: &str, variables: Variables<'_>) -> bool {
        self.covers_with(requested, Dollar::Apart, variables)
    }

    /// Whether there is a topic that both this filter, its leading wildcards matching topics with `$` as
    /// well, and `requested` match.
    pub(crate) fn overlaps(&self, requested: &str, variables: Variables<'_>) -> bool {
        let mut levels = self.levels.iter();
        let mut requested = requested.split('/').enumerate();
        loop {
            match (levels.next(), requested.next()) {
                (None, None) => return true,
                // "a/#" matches "a" as well.
                (level, None) => return level == Some(&Level::Rest),
                (None, Some((_, text))) => return text == "#",
                (Some(Level::Rest), Some(_)) => return true,
                (Some(Level::Any), Some((_, "#"))) => return true,
                (Some(Level::Any), Some(_)) => {}
                (Some(Level::Is(parts)), Some((0, "#" | "+"))) if begins_with_dollar(parts) => {
                    return false;
                }
                (Some(Level::Is(_)), Some((_, "#"))) => return true,
                (Some(Level::Is(_)), Some((_, "+"))) => {}
                (Some(Level::Is(parts)), Some((_, text))) => {
                    if !is(parts, text, variables) {
                        return false;
                    }
                }
            }
        }
    }

    fn covers_with(&self, requested: &str, dollar: Dollar, variables: Variables<'_>) -> bool {
        let mut levels = self.levels.iter();
        let mut requested = requested.split('/').enumerate();
        loop {
            let (level, request) = (levels.next(), requested.next());
            if let (Some(Level::Any | Level::Rest), Some((0, text))) = (level, request)
                && text.starts_with('$')
                && dollar == Dollar::Apart
            {
                return false;
            }
            match (level, request) {
                (None, None) => return true,
                // "a/#" matches "a" as well.
                (Some(Level::Rest), _) => return true,
                (None, Some(_)) | (Some(_), None) | (Some(_), Some((_, "#"))) => return false,
                (Some(Level::Any), Some(_)) => {}
                (Some(Level::Is(_)), Some((_, "+"))) => return false,
                (Some(Level::Is(parts)), Some((_, text))) => {
                    if !is(parts, text, variables) {
                        return false;
                    }
                }
            }
        }
    }
}

fn parse_level(
    filter: &str,
    level: &str,
    variables: &mut Vec<Variable>,
) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let text = |parts: &mut Vec<Part>, text: &str| {
        if text.contains(['+', '#']) {
            return Err(format!("{filter:?}: + and # must stand alone in their level"));
        }
        if text.contains('\0') {
            return Err(format!("{filter:?}: holds NUL"));
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        Ok(())
    };
    let mut rest = level;
    while let Some((before, tail)) = rest.split_once("${") {
        text(&mut parts, before)?;
        let Some((name, tail)) = tail.split_once('}') else {
            return Err(format!("{filter:?}: \"${{{tail}\" lacks its closing brace"));
        };
        let variable = match name {
            "username" => Variable::Username,
            "client_id" => Variable::ClientId,
            _ => {
                return Err(format!(
                    "{filter:?}: ${{{name}}} is unknown; there are ${{username}} and ${{client_id}}"
                ));
            }
        };
        parts.push(Part::Variable(variable));
        variables.push(variable);
        rest = tail;
    }
    text(&mut parts, rest)?;
    Ok(parts)
}

fn value_of(variable: Variable, variables: Variables<'_>) -> Option<&str> {
    match variable {
        Variable::Username => variables.username,
        Variable::ClientId => Some(variables.client_id),
    }
}

fn begins_with_dollar(parts: &[Part]) -> bool {
    matches!(parts.first(), Some(Part::Text(text)) if text.starts_with('$'))
}

/// Whether the level is this text, without building the level.
fn is(parts: &[Part], mut text: &str, variables: Variables<'_>) -> bool {
    for part in parts {
        let expected = match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable(variable) => value_of(*variable, variables),
        };
        let Some(rest) = expected.and_then(|expected| text.strip_prefix(expected)) else {
            return false;
        };
        text = rest;
    }
    text.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Variables<'static> = Variables { username: None, client_id: "c" };

    /// MQTT 5.0 section 4.7, written down a second time and differently: by recursion over levels.
    fn mqtt_matches(filter: &[&str], topic: &[&str], dollar: Dollar, first: bool) -> bool {
        match (filter, topic) {
            ([], []) => true,
            (["#" | "+", ..], [t, ..])
                if first && t.starts_with('$') && dollar == Dollar::Apart =>
            {
                false
            }
            (["#"], _) => true,
            (["+", filter @ ..], [_, topic @ ..]) => mqtt_matches(filter, topic, dollar, false),
            ([f, filter @ ..], [t, topic @ ..]) => {
                f == t && mqtt_matches(filter, topic, dollar, false)
            }
            _ => false,
        }
    }

    fn paths(alphabet: &[&'static str], depth: usize) -> Vec<Vec<&'static str>> {
        let mut all: Vec<Vec<&str>> = Vec::new();
        let mut last: Vec<Vec<&str>> = vec![Vec::new()];
        for _ in 0..depth {
            last = last
                .iter()
                .filter(|path| path.last() != Some(&"#"))
                .flat_map(|path| {
                    alphabet.iter().map(|level| {
                        let mut path = path.clone();
                        path.push(level);
                        path
                    })
                })
                .collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    #[test]
    fn filters_match_cover_and_overlap_exactly_as_their_topics_say() {
        let mut filters = paths(&["a", "$s", "", "+", "#"], 3);
        filters.retain(|filter| filter != &[""]);
        // One level more and one name more than any filter has: enough to tell any two filters apart.
        // The empty topic is among them; no client can publish to it, yet by the rules "/#" matches it.
        let topics = paths(&["a", "$s", "", "z"], 4);
        let sets = |dollar| -> Vec<Vec<bool>> {
            let of =
                |f: &Vec<&str>| topics.iter().map(|t| mqtt_matches(f, t, dollar, true)).collect();
            filters.iter().map(of).collect()
        };
        let (strict, generous) = (sets(Dollar::Apart), sets(Dollar::Included));
        let (mut covered, mut overlapping) = (0, 0);
        for (rule_index, rule) in filters.iter().enumerate() {
            let filter = Filter::parse(&rule.join("/")).unwrap();
            for (index, topic) in topics.iter().enumerate() {
                let topic = topic.join("/");
                let [apart, included] =
                    [Dollar::Apart, Dollar::Included].map(|d| filter.matches(&topic, d, NOBODY));
                assert_eq!(apart, strict[rule_index][index], "{rule:?} {topic}");
                assert_eq!(included, generous[rule_index][index], "{rule:?} {topic}");
            }
            for (index, request) in filters.iter().enumerate() {
                let wanted = &strict[index];
                let covers = wanted.iter().zip(&strict[rule_index]).all(|(w, r)| !w || *r);
                let overlaps = wanted.iter().zip(&generous[rule_index]).any(|(w, r)| *w && *r);
                let request = request.join("/");
                assert_eq!(filter.covers(&request, NOBODY), covers, "{rule:?} covers {request}");
                assert_eq!(
                    filter.overlaps(&request, NOBODY),
                    overlaps,
                    "{rule:?} overlaps {request}"
                );
                covered += usize::from(covers);
                overlapping += usize::from(overlaps);
            }
        }
        assert!(covered > 100 && overlapping > covered);
    }

    #[test]
    fn variables_fill_a_level_or_part_of_one() {
        let variables = Variables { username: Some("ann"), client_id: "c7" };
        let filter = Filter::parse("home/${username}-${client_id}x/+").unwrap();
        assert!(filter.applies(variables));
        assert!(filter.matches("home/ann-c7x/lamp", Dollar::Apart, variables));
        assert!(!filter.matches("home/ann-c7/lamp", Dollar::Apart, variables));
        assert!(!filter.matches("home/ann-c7xx/lamp", Dollar::Apart, variables));
        assert!(!filter.covers("home/+/lamp", variables));
        assert!(filter.overlaps("home/+/lamp", variables));
    }

    #[test]
    fn a_value_that_holds_a_wildcard_or_a_level_never_applies() {
        let filter = Filter::parse("devices/${username}/#").unwrap();
        for username in ["+", "#", "a/b", "a+", "#b", "/", "a\0"] {
            let variables = Variables { username: Some(username), client_id: "c" };
            assert!(!filter.applies(variables), "{username:?}");
        }
        assert!(!filter.applies(NOBODY));
        assert!(filter.applies(Variables { username: Some("$ann"), client_id: "c" }));
    }

    #[test]
    fn a_value_never_opens_the_brokers_own_topics() {
        let filter = Filter::parse("${client_id}/#").unwrap();
        assert!(!filter.applies(Variables { username: None, client_id: "$SYS" }));
        assert!(filter.applies(Variables { username: None, client_id: "c" }));
    }

    #[test]
    fn a_bad_filter_says_what_is_wrong() {
        for (filter, part) in [
            ("", "is empty"),
            ("a/#/b", "must be the last level"),
            ("a/b#", "must stand alone"),
            ("a+/b", "must stand alone"),
            ("a/${username}+", "must stand alone"),
            ("a\0", "NUL"),
            ("a/${user}", "${user} is unknown"),
            ("a/${username", "closing brace"),
            ("$share/g/a", "leave out $share"),
        ] {
            let error = Filter::parse(filter).unwrap_err();
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
