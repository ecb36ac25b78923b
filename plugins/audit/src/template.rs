//! Topics made from what is known of an event.

#[derive(Debug, PartialEq)]
enum Part {
    Literal(String),
    Kind,
    ClientId,
    Username,
}

/// A topic with variables.
#[derive(Debug, PartialEq)]
pub(crate) struct Template(Vec<Part>);

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty; an example is \"audit/${kind}\"".to_owned());
        }
        if text.starts_with('$') && !text.starts_with("${") {
            return Err("begins with $: such topics are the broker's own".to_owned());
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, tail)) = rest.split_once("${") {
            push(&mut parts, literal)?;
            let Some((name, tail)) = tail.split_once('}') else {
                return Err(format!("\"${{{tail}\" lacks its closing brace"));
            };
            parts.push(match name {
                "kind" => Part::Kind,
                "client_id" => Part::ClientId,
                "username" => Part::Username,
                _ => {
                    return Err(format!(
                        "${{{name}}} is unknown; there are ${{kind}}, ${{client_id}} and ${{username}}"
                    ));
                }
            });
            rest = tail;
        }
        push(&mut parts, rest)?;
        Ok(Self(parts))
    }

    pub(crate) fn fill(
        &self,
        kind: &str,
        client_id: Option<&str>,
        username: Option<&str>,
    ) -> String {
        let mut topic = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => topic.push_str(text),
                Part::Kind => topic.push_str(kind),
                Part::ClientId => push_value(&mut topic, client_id),
                Part::Username => push_value(&mut topic, username),
            }
        }
        topic
    }
}

fn push(parts: &mut Vec<Part>, literal: &str) -> Result<(), String> {
    if literal.contains(['+', '#', '\0']) {
        return Err("holds +, # or NUL; it has to be a topic to publish to".to_owned());
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.to_owned()));
    }
    Ok(())
}

/// A value is one level, or a part of one, and never the beginning of the broker's own topics.
fn push_value(topic: &mut String, value: Option<&str>) {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        topic.push('-');
        return;
    };
    let is_first = topic.is_empty();
    topic.extend(value.chars().enumerate().map(|(at, char)| match char {
        '+' | '#' | '/' | '\0' => '_',
        '$' if is_first && at == 0 => '_',
        other => other,
    }));
}
