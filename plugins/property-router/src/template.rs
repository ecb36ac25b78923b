//! Texts with variables in them. It knows nothing of rules.

use std::ops::Range;

/// The longest topic name that MQTT can carry, in bytes.
pub(crate) const MAX_TOPIC: usize = 65_535;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    Topic,
    /// What the wildcard with this number matched, from 0.
    Capture(usize),
    /// The property of the condition with this number.
    Property(usize),
    ClientId,
    Username,
}

#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

/// What the variables stand for in one message. What is not used may be empty.
#[derive(Debug, Default)]
pub(crate) struct Variables<'a> {
    pub(crate) topic: &'a str,
    pub(crate) captures: &'a [Range<usize>],
    pub(crate) properties: &'a [String],
    pub(crate) client_id: &'a str,
    pub(crate) username: &'a str,
}

impl Template {
    /// `variable` answers what a name in `${...}` stands for.
    pub(crate) fn parse(
        text: &str,
        mut variable: impl FnMut(&str) -> Result<Part, String>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let literal = |parts: &mut Vec<Part>, text: &str| {
            if !text.is_empty() {
                parts.push(Part::Literal(text.to_owned()));
            }
        };
        let mut rest = text;
        while let Some((before, tail)) = rest.split_once("${") {
            literal(&mut parts, before);
            let Some((name, tail)) = tail.split_once('}') else {
                return Err(format!("\"${{{tail}\" lacks its closing brace"));
            };
            parts.push(variable(name)?);
            rest = tail;
        }
        literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// As [`parse`](Self::parse), of what must make a topic name.
    pub(crate) fn parse_topic(
        text: &str,
        variable: impl FnMut(&str) -> Result<Part, String>,
    ) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; an example is \"routed/${value}/${topic}\"".to_owned());
        }
        let template = Self::parse(text, variable)?;
        for part in &template.0 {
            if let Part::Literal(literal) = part
                && literal.contains(['+', '#', '\0'])
            {
                return Err(format!("{literal:?} holds +, # or NUL, which no topic name may hold"));
            }
        }
        Ok(template)
    }

    pub(crate) fn uses(&self, part: &Part) -> bool {
        self.0.contains(part)
    }

    pub(crate) fn fill(&self, variables: &Variables<'_>, text: &mut String) {
        text.clear();
        for part in &self.0 {
            text.push_str(part.value(variables));
        }
    }

    /// As [`fill`](Self::fill), of what must be a topic name that a value cannot widen.
    ///
    /// # Errors
    /// Which value is wrong, and how.
    pub(crate) fn fill_topic(
        &self,
        variables: &Variables<'_>,
        text: &mut String,
    ) -> Result<(), (Option<Part>, &'static str)> {
        text.clear();
        for part in &self.0 {
            let value = part.value(variables);
            if matches!(part, Part::Property(_) | Part::ClientId | Part::Username) {
                if value.is_empty() {
                    return Err((Some(part.clone()), "is empty"));
                }
                if value.contains(['+', '#', '/', '\0']) {
                    return Err((Some(part.clone()), "holds +, #, / or NUL"));
                }
            }
            text.push_str(value);
        }
        if text.len() > MAX_TOPIC {
            return Err((None, "makes the topic longer than 65,535 bytes"));
        }
        if text.is_empty() {
            return Err((None, "makes an empty topic"));
        }
        // Topics that begin with $ are the broker's own; a value must not reach them by coming first.
        let first = self.0.first();
        if text.starts_with('$') && !matches!(first, Some(Part::Literal(_) | Part::Topic)) {
            return Err((first.cloned(), "begins with $"));
        }
        Ok(())
    }
}

impl Part {
    fn value<'a>(&'a self, variables: &Variables<'a>) -> &'a str {
        match self {
            Self::Literal(text) => text,
            Self::Topic => variables.topic,
            Self::Capture(number) => variables
                .captures
                .get(*number)
                .and_then(|range| variables.topic.get(range.clone()))
                .unwrap_or_default(),
            Self::Property(number) => {
                variables.properties.get(*number).map(String::as_str).unwrap_or_default()
            }
            Self::ClientId => variables.client_id,
            Self::Username => variables.username,
        }
    }
}
