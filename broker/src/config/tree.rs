//! A parsed configuration, freed from the file it was read from: values that remember their place.
//!
//! Files are joined here. What any key means is not known here, except that `[[listener]]` and
//! `[[plugin]]` are lists which grow.

use std::collections::BTreeMap;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::problem::{Place, Problem, Problems, Severity, Sources, quote};

/// Tables and arrays within each other. The parser has a bound of its own for each way to nest, but not for
/// all of them together.
const MAX_DEPTH: usize = 64;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date(String),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// With its article, for "must be ..., not ...".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Date(_) => "a date",
            Self::Array(_) => "an array",
            Self::Table(_) => "a table",
        }
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

pub(super) type Table = BTreeMap<String, Entry>;

/// Takes over what the parser made of the file with this number.
pub(super) fn import(
    table: DeTable<'_>,
    file: usize,
    sources: &Sources,
    problems: &mut Problems,
) -> Table {
    Import { file, sources, problems }.table(table, 0)
}

struct Import<'a> {
    file: usize,
    sources: &'a Sources,
    problems: &'a mut Problems,
}

impl Import<'_> {
    fn place<T>(&self, spanned: &Spanned<T>) -> Place {
        let span = spanned.span();
        Place { file: self.file, start: span.start, end: span.end }
    }

    fn error(&mut self, place: Place, message: &str) {
        let problem = self.sources.problem(Severity::Error, place, message, None);
        self.problems.push(self.file, problem);
    }

    fn table(&mut self, table: DeTable<'_>, depth: usize) -> Table {
        let mut entries = Table::new();
        for (key, value) in table {
            let place = self.place(&key);
            if let Some(node) = self.node(value, depth + 1) {
                entries.insert(key.into_inner().into_owned(), Entry { key: place, node });
            }
        }
        entries
    }

    fn array(&mut self, array: DeArray<'_>, depth: usize) -> Vec<Node> {
        array.into_iter().filter_map(|value| self.node(value, depth + 1)).collect()
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Option<Node> {
        let place = self.place(&value);
        if place.end == 0 {
            // The parser's stand-in for a value that is missing; it has reported that.
            return None;
        }
        if depth > MAX_DEPTH {
            self.error(place, &format!("nested more than {MAX_DEPTH} deep"));
            return None;
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Ok(integer) => Value::Integer(integer),
                    Err(_) => {
                        self.error(place, "this integer does not fit into 64 bits");
                        return None;
                    }
                }
            }
            DeValue::Float(float) => match float.as_str().parse() {
                Ok(float) => Value::Float(float),
                Err(_) => {
                    self.error(place, "this is not a number");
                    return None;
                }
            },
            DeValue::Boolean(boolean) => Value::Boolean(boolean),
            DeValue::Datetime(date) => Value::Date(date.to_string()),
            DeValue::Array(array) => Value::Array(self.array(array, depth)),
            DeValue::Table(table) => Value::Table(self.table(table, depth)),
        };
        Some(Node { value, place })
    }
}

/// Joins an included file's tables to those of the file that includes it: `[[listener]]` and `[[plugin]]`
/// grow, tables unite, and anything else that is set in both is an error that names both places.
pub(super) fn merge(into: &mut Table, included: Table, sources: &Sources, problems: &mut Problems) {
    unite(into, included, "", sources, problems);
}

/// `path` is the dotted path of the table, with its last dot.
fn unite(
    into: &mut Table,
    included: Table,
    path: &str,
    sources: &Sources,
    problems: &mut Problems,
) {
    for (key, entry) in included {
        let path = format!("{path}{key}");
        let grows = path == "listener" || path == "plugin";
        let Some(present) = into.get_mut(&key) else {
            into.insert(key, entry);
            continue;
        };
        match (&mut present.node.value, entry.node.value) {
            (Value::Array(list), Value::Array(more)) if grows => list.extend(more),
            (Value::Table(table), Value::Table(more)) if !grows => {
                unite(table, more, &format!("{path}."), sources, problems);
            }
            _ => problems.push(entry.key.file, twice(&path, entry.key, present.key, sources)),
        }
    }
}

fn twice(path: &str, second: Place, first: Place, sources: &Sources) -> Problem {
    sources.problem(
        Severity::Error,
        second,
        format!("{} is set twice", quote(path)),
        Some(format!("already set at {}", sources.name(first))),
    )
}
