//! `[plugin.config]`: the configuration a plugin is handed, and the files it names with `{ file = "PATH" }`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::{Map, Number, Value as Json};

use super::super::{
    file,
    model::PluginFile,
    problem::{Place, quote_path},
    tree::{Entry, Node, Table, Value},
};
use super::fields::Reporter;

/// Bytes of all files that one plugin is handed.
pub(in crate::config) const MAX_BYTES: u64 = 16 << 20;

/// The configuration as it is written, always an object unless it is wrong, and the files it names.
pub(super) fn read(
    config: Option<&Entry>,
    named_in: &Path,
    reporter: &Reporter<'_>,
) -> (Json, BTreeMap<String, PluginFile>) {
    let mut reading = Reading { named_in, reporter, files: BTreeMap::new(), bytes: 0 };
    let json = match config.map(|entry| &entry.node) {
        None => Json::Object(Map::new()),
        Some(Node { value: Value::Table(table), .. }) => reading.object(table),
        Some(node) => {
            let message = format!("`plugin.config` must be a table, not {}", node.value.kind());
            reporter.error(node.place, message, Some("write [plugin.config]".into()));
            Json::Null
        }
    };
    (json, reading.files)
}

struct Reading<'a> {
    named_in: &'a Path,
    reporter: &'a Reporter<'a>,
    files: BTreeMap<String, PluginFile>,
    bytes: u64,
}

impl Reading<'_> {
    fn object(&mut self, table: &Table) -> Json {
        let fields = table.iter().map(|(key, entry)| (key.clone(), self.json(&entry.node)));
        fields.collect()
    }

    fn json(&mut self, node: &Node) -> Json {
        match &node.value {
            Value::Text(text) | Value::Date(text) => Json::String(text.clone()),
            Value::Integer(integer) => Json::from(*integer),
            Value::Float(float) => self.number(*float, node.place),
            Value::Boolean(boolean) => Json::Bool(*boolean),
            Value::Array(nodes) => nodes.iter().map(|node| self.json(node)).collect(),
            Value::Table(table) => {
                if let Some((path, place)) = names_a_file(table) {
                    self.file(path, place);
                }
                self.object(table)
            }
        }
    }

    fn number(&self, float: f64, place: Place) -> Json {
        match Number::from_f64(float) {
            Some(number) => Json::Number(number),
            None => {
                let message = format!("JSON, which plugins are configured with, has no `{float}`");
                self.reporter.error(place, message, None);
                Json::Null
            }
        }
    }

    fn file(&mut self, written: &str, place: Place) {
        if self.files.contains_key(written) {
            return;
        }
        let path = file::resolve(Path::new(written), self.named_in);
        match self.content(&path) {
            Ok(content) => {
                self.files.insert(written.to_owned(), PluginFile { path, content });
            }
            Err((message, help)) => {
                self.reporter.error(place, message, help.map(str::to_owned));
            }
        }
    }

    fn content(&mut self, path: &Path) -> Result<String, (String, Option<&'static str>)> {
        let name = quote_path(path);
        let left = MAX_BYTES.saturating_sub(self.bytes);
        let bytes = read_at_most(path, left.saturating_add(1))
            .map_err(|error| (format!("cannot read {name}: {error}"), None))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > left {
            let most = MAX_BYTES >> 20;
            let message =
                format!("{name} is too long: the files of one plugin may have {most} MiB together");
            return Err((message, None));
        }
        self.bytes += length;
        String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = good.filter(|byte| **byte == b'\n').count() + 1;
            (format!("{name} is not UTF-8: see line {line}"), Some("save it as UTF-8"))
        })
    }
}

pub(super) fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // A pipe or a terminal would hold the start up.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The path in `{ file = "PATH" }`, without any other key.
fn names_a_file(table: &Table) -> Option<(&str, Place)> {
    let file = &table.get("file")?.node;
    match &file.value {
        Value::Text(path) if table.len() == 1 => Some((path, file.place)),
        _ => None,
    }
}
