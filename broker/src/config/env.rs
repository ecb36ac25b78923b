//! `${NAME}` in string values: what an environment variable holds takes its place.
//!
//! Inside `[plugin.config]` names in `${...}` are the plugin's own, so that only `${env:NAME}` is replaced.

use std::env::VarError;

use super::{
    problem::{Place, Problems, Severity, Sources, quote},
    tree::{Node, Table, Value},
};

/// Answers what an environment variable holds.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// How a reference begins, and what stands for that beginning itself.
#[derive(Clone, Copy)]
pub(super) struct Syntax {
    open: &'static str,
    escaped: &'static str,
}

/// Everywhere but in `[plugin.config]`.
pub(super) const BROKER: Syntax = Syntax { open: "${", escaped: "$${" };
/// In `[plugin.config]`.
pub(super) const PLUGIN: Syntax = Syntax { open: "${env:", escaped: "$${env:" };

impl Syntax {
    /// The text that is replaced by `text`.
    pub(super) fn escape(self, text: &str) -> String {
        text.replace(self.open, self.escaped)
    }
}

/// What is wrong with one reference.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// The reference as it is written: there is no such variable.
    Unset(String),
    /// Not UTF-8.
    Binary(String),
    /// No `}`, or not a name.
    Malformed(String),
}

/// Replaces every reference in one file's values. Keys are left alone.
pub(super) fn substitute(
    table: &mut Table,
    env: Environment<'_>,
    sources: &Sources,
    problems: &mut Problems,
) {
    let mut walk = Walk { env, sources, problems };
    for (key, entry) in table {
        match &mut entry.node.value {
            Value::Array(plugins) if key == "plugin" => {
                for plugin in plugins {
                    walk.plugin(plugin);
                }
            }
            _ => walk.node(&mut entry.node, BROKER),
        }
    }
}

struct Walk<'a> {
    env: Environment<'a>,
    sources: &'a Sources,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    fn plugin(&mut self, plugin: &mut Node) {
        let Value::Table(table) = &mut plugin.value else { return };
        for (key, entry) in table {
            self.node(&mut entry.node, if key == "config" { PLUGIN } else { BROKER });
        }
    }

    fn node(&mut self, node: &mut Node, syntax: Syntax) {
        match &mut node.value {
            Value::Text(text) => match replace(text, syntax, self.env) {
                Ok(None) => {}
                Ok(Some(replaced)) => *text = replaced,
                Err(faults) => {
                    for fault in faults {
                        self.report(fault, node.place, syntax);
                    }
                }
            },
            Value::Array(nodes) => nodes.iter_mut().for_each(|node| self.node(node, syntax)),
            Value::Table(table) => {
                table.values_mut().for_each(|entry| self.node(&mut entry.node, syntax));
            }
            _ => {}
        }
    }

    fn report(&mut self, fault: Fault, value: Place, syntax: Syntax) {
        let (written, message, help) = match fault {
            Fault::Unset(written) => {
                let name = written.trim_start_matches(syntax.open).trim_end_matches('}');
                let message = format!("the environment variable {} is not set", quote(name));
                (
                    written,
                    message,
                    format!("for a literal `{}` write `{}`", syntax.open, syntax.escaped),
                )
            }
            Fault::Binary(written) => {
                let message = format!("{} does not hold UTF-8", quote(&written));
                (written, message, "set it to text".into())
            }
            Fault::Malformed(written) => {
                let message = format!("{} does not name an environment variable", quote(&written));
                let help = format!(
                    "write `{}NAME}}` with A-Z, 0-9 and _, or `{}` for a literal `{}`",
                    syntax.open, syntax.escaped, syntax.open
                );
                (written, message, help)
            }
        };
        // A string may span lines, and what it says may differ from how it is written.
        let place = match self.sources.text(value).find(&written) {
            Some(at) => {
                Place { start: value.start + at, end: value.start + at + written.len(), ..value }
            }
            None => value,
        };
        let problem = self.sources.problem(Severity::Error, place, message, Some(help));
        self.problems.push(place.file, problem);
    }
}

/// None when there is nothing to replace.
fn replace(text: &str, syntax: Syntax, env: Environment<'_>) -> Result<Option<String>, Vec<Fault>> {
    if !text.contains(syntax.open) {
        return Ok(None);
    }
    let mut result = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        let (before, from) = rest.split_at(dollar);
        result.push_str(before);
        if let Some(after) = from.strip_prefix(syntax.escaped) {
            result.push_str(syntax.open);
            rest = after;
        } else if let Some(after) = from.strip_prefix(syntax.open) {
            let end = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            rest = tail.strip_prefix('}').unwrap_or(tail);
            let closed = tail.starts_with('}');
            let written = if closed {
                format!("{}{name}}}", syntax.open)
            } else {
                unclosed(from, syntax.open.len())
            };
            if !closed || name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                faults.push(Fault::Malformed(written));
                continue;
            }
            match env(name) {
                Ok(value) => result.push_str(&value),
                Err(VarError::NotPresent) => faults.push(Fault::Unset(written)),
                Err(VarError::NotUnicode(_)) => faults.push(Fault::Binary(written)),
            }
        } else {
            result.push('$');
            rest = from.strip_prefix('$').unwrap_or_default();
        }
    }
    result.push_str(rest);
    if faults.is_empty() { Ok(Some(result)) } else { Err(faults) }
}

fn is_name(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// As much of a malformed reference as its author would call one: to the brace, if that is near.
fn unclosed(from: &str, open: usize) -> String {
    let body: String =
        from.chars().skip(open).take_while(|c| !c.is_whitespace()).take(40).collect();
    let opening: String = from.chars().take(open).collect();
    match body.find('}') {
        Some(end) => format!("{opening}{}}}", body.get(..end).unwrap_or_default()),
        None => format!("{opening}{body}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Result<String, VarError> {
        match name {
            "HOST" => Ok("example.org".into()),
            "TRICK" => Ok("${HOST}".into()),
            "EMPTY" => Ok(String::new()),
            "BINARY" => Err(VarError::NotUnicode("x".into())),
            _ => Err(VarError::NotPresent),
        }
    }

    fn broker(text: &str) -> String {
        replace(text, BROKER, &env).unwrap().unwrap_or_else(|| text.into())
    }

    fn plugin(text: &str) -> String {
        replace(text, PLUGIN, &env).unwrap().unwrap_or_else(|| text.into())
    }

    #[test]
    fn a_variable_takes_the_place_of_its_reference_once() {
        assert_eq!(broker("a${HOST}b${HOST}"), "aexample.orgbexample.org");
        assert_eq!(broker("[${EMPTY}]"), "[]");
        assert_eq!(broker("${TRICK}"), "${HOST}");
    }

    #[test]
    fn a_doubled_dollar_before_a_brace_stands_for_itself() {
        assert_eq!(broker("$${HOST}"), "${HOST}");
        assert_eq!(broker("$$${HOST}"), "$${HOST}");
        assert_eq!(broker("$ $$ $HOST 5$"), "$ $$ $HOST 5$");
        assert_eq!(plugin("$${env:HOST}"), "${env:HOST}");
    }

    #[test]
    fn what_belongs_to_the_plugin_is_left_to_it() {
        for text in ["routed/${value}/${topic}", "$${value}", "${HOST}", "${", "${environment}"] {
            assert_eq!(plugin(text), text);
        }
        assert_eq!(plugin("${env:HOST}/${value}"), "example.org/${value}");
    }

    #[test]
    fn every_faulty_reference_is_reported() {
        let faults = replace("${NONE} ${lower} ${ ${1A} ${} ${BINARY}", BROKER, &env).unwrap_err();
        assert_eq!(
            faults,
            [
                Fault::Unset("${NONE}".into()),
                Fault::Malformed("${lower}".into()),
                Fault::Malformed("${".into()),
                Fault::Malformed("${1A}".into()),
                Fault::Malformed("${}".into()),
                Fault::Binary("${BINARY}".into()),
            ]
        );
    }

    #[test]
    fn an_escaped_text_is_replaced_by_itself() {
        for text in ["${HOST}", "$${HOST}", "$$${env:HOST}", "${${", "plain", "$", "${env:"] {
            assert_eq!(broker(&BROKER.escape(text)), text);
            assert_eq!(plugin(&PLUGIN.escape(text)), text);
        }
    }
}
