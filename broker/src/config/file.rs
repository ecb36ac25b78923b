//! From paths to one tree: reading, parsing, `include`, and `${ENV}`.
//!
//! It knows the files, not what their keys mean.

use std::{
    env::VarError,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Read as _},
    ops::Range,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

use super::{
    env::{self, Environment},
    problem::{Place, Problem, Problems, Severity, Sources, quote_path},
    tree::{self, Node, Table, Value},
};

/// Bytes of all files of one configuration together.
pub(super) const MAX_BYTES: u64 = 16 << 20;
/// Files of one configuration.
pub(super) const MAX_FILES: usize = 256;
/// Files that include each other in a row, the first one not counted.
pub(super) const MAX_DEPTH: usize = 8;
/// Bytes of a broken file up to which all its errors are looked for, not only the first: the parser keeps
/// one for nearly every byte of a file that is no TOML at all.
const MAX_RECOVERED: usize = 256 << 10;

/// One configuration as it was read.
pub(super) struct Document {
    pub(super) root: Table,
    pub(super) sources: Sources,
    pub(super) directories: Vec<PathBuf>,
    pub(super) problems: Problems,
    /// Something could not be read or parsed, and may be missing from `root`.
    pub(super) incomplete: bool,
}

/// Reads a file and everything it includes.
pub(super) fn read(path: &Path, env: Environment<'_>) -> Document {
    let mut reading = Reading::new(env);
    let root = reading.file(path, None);
    reading.finish(root)
}

/// Parses a text as if it had been read from `path`.
pub(super) fn parse(path: &Path, text: String, env: Environment<'_>) -> Document {
    let mut reading = Reading::new(env);
    let root = reading.text(path, text);
    reading.finish(Some(root))
}

/// The process's own environment.
pub(super) fn environment(name: &str) -> Result<String, VarError> {
    std::env::var(name)
}

struct Reading<'a> {
    env: Environment<'a>,
    sources: Sources,
    directories: Vec<PathBuf>,
    problems: Problems,
    incomplete: bool,
    bytes: u64,
    /// Every file that was begun: what it really is, and the name it was given.
    begun: Vec<(PathBuf, PathBuf)>,
    /// Those whose includes are being read.
    open: Vec<PathBuf>,
}

impl<'a> Reading<'a> {
    fn new(env: Environment<'a>) -> Self {
        Self {
            env,
            sources: Sources::default(),
            directories: Vec::new(),
            problems: Problems::default(),
            incomplete: false,
            bytes: 0,
            begun: Vec::new(),
            open: Vec::new(),
        }
    }

    fn finish(self, root: Option<Table>) -> Document {
        let Self { sources, directories, problems, incomplete, .. } = self;
        Document { root: root.unwrap_or_default(), sources, directories, problems, incomplete }
    }

    /// At the `include` that asked for the file, or, for the first one, with the file itself.
    fn error(&mut self, path: &Path, asked: Option<Place>, message: String, help: Option<&str>) {
        self.incomplete = true;
        let help = help.map(str::to_owned);
        let problem = match asked {
            Some(place) => self.sources.problem(Severity::Error, place, message, help),
            None => Problem::file(Severity::Error, path, message, help),
        };
        self.problems.push(asked.map_or(0, |place| place.file), problem);
    }

    fn file(&mut self, path: &Path, asked: Option<Place>) -> Option<Table> {
        let name = quote_path(path);
        // What has no canonical form, such as a pipe, is only itself.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.open.contains(&real) {
            self.error(path, asked, format!("{name} includes itself"), Some("an include cycle"));
            return None;
        }
        if let Some((_, first)) = self.begun.iter().find(|(begun, _)| *begun == real) {
            let message = format!("{name} is included twice");
            let help = format!("already read as {}", quote_path(first));
            self.error(path, asked, message, Some(&help));
            return None;
        }
        if self.open.len() > MAX_DEPTH {
            let message = format!("{name} is included more than {MAX_DEPTH} files deep");
            self.error(path, asked, message, None);
            return None;
        }
        self.begun.push((real.clone(), path.to_owned()));
        let text = match self.load(path) {
            Ok(text) => text,
            Err((message, help)) => {
                self.error(path, asked, message, help);
                return None;
            }
        };
        self.open.push(real);
        let table = self.text(path, text);
        self.open.pop();
        Some(table)
    }

    fn load(&mut self, path: &Path) -> Result<String, (String, Option<&'static str>)> {
        let name = quote_path(path);
        let mut bytes = Vec::new();
        let left = MAX_BYTES.saturating_sub(self.bytes);
        File::open(path)
            .and_then(|file| file.take(left + 1).read_to_end(&mut bytes))
            .map_err(|error| (format!("cannot read {name}: {error}"), None))?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > left {
            let message = format!(
                "{name} is too long: a configuration may be {} MiB, all its files together",
                MAX_BYTES >> 20
            );
            return Err((message, None));
        }
        self.bytes += length;
        String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let line =
                error.as_bytes().iter().take(valid).filter(|byte| **byte == b'\n').count() + 1;
            (format!("{name} is not UTF-8: see line {line}"), Some("save it as UTF-8"))
        })
    }

    fn text(&mut self, path: &Path, text: String) -> Table {
        let bytes = text.len();
        let file = self.sources.add(path, text);
        let whole = self.sources.text(Place { file, start: 0, end: bytes });
        let before = self.problems.errors();
        let (table, errors) = table(whole);
        let mut without = None;
        for error in errors {
            let message = printable_message(error.message());
            let span = match error.span() {
                Some(span) => span,
                // The same once more helps nobody, and looking for it takes time.
                None if without.is_some() => continue,
                None => without.insert(first_line_without_place(whole)).clone(),
            };
            let place = Place { file, start: span.start, end: span.end };
            let problem = self.sources.problem(Severity::Error, place, message, None);
            self.problems.push(file, problem);
        }
        let mut root = tree::import(table, file, &self.sources, &mut self.problems);
        self.incomplete |= self.problems.errors() > before;
        env::substitute(&mut root, self.env, &self.sources, &mut self.problems);
        if let Some(include) = root.remove("include") {
            self.include(&mut root, path, include.node);
        }
        root
    }

    fn include(&mut self, root: &mut Table, path: &Path, include: Node) {
        let wanted = "`include` must be an array of strings, as in [\"conf.d/*.toml\"]";
        let Value::Array(patterns) = include.value else {
            return self.error(path, Some(include.place), wanted.into(), None);
        };
        for pattern in patterns {
            let Value::Text(text) = &pattern.value else {
                self.error(path, Some(pattern.place), wanted.into(), None);
                continue;
            };
            for file in self.expand(path, text, pattern.place) {
                if self.begun.len() >= MAX_FILES {
                    let message = format!("a configuration may have {MAX_FILES} files");
                    return self.error(path, Some(pattern.place), message, None);
                }
                if let Some(table) = self.file(&file, Some(pattern.place)) {
                    tree::merge(root, table, &self.sources, &mut self.problems);
                }
            }
        }
    }

    /// The files a pattern means, sorted. `*` stands for any characters of the last path component, except
    /// for a dot at its beginning: that is what editors call their temporary files.
    fn expand(&mut self, path: &Path, pattern: &str, asked: Place) -> Vec<PathBuf> {
        let pattern = path.parent().unwrap_or(Path::new("")).join(pattern);
        let last = pattern.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
        let directory = pattern.parent().unwrap_or(Path::new("")).to_owned();
        if directory.to_string_lossy().contains('*') {
            let message = "`*` may only stand in the last component of a path".to_owned();
            self.error(path, Some(asked), message, None);
            return Vec::new();
        }
        if !last.contains('*') {
            return vec![pattern];
        }
        let searched = if directory.as_os_str().is_empty() {
            Path::new(".").to_owned()
        } else {
            directory.clone()
        };
        if !self.directories.contains(&searched) {
            self.directories.push(searched.clone());
        }
        match matching(&searched, &last) {
            Ok(names) => names.into_iter().map(|name| directory.join(name)).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no directory {}", quote_path(&searched));
                let warning = self.sources.problem(Severity::Warning, asked, message, None);
                self.problems.push(asked.file, warning);
                Vec::new()
            }
            Err(error) => {
                let name = quote_path(&searched);
                self.error(path, Some(asked), format!("cannot read {name}: {error}"), None);
                Vec::new()
            }
        }
    }
}

/// What of the text is TOML, and everything that is not.
fn table(text: &str) -> (DeTable<'_>, Vec<toml::de::Error>) {
    match DeTable::parse(text) {
        Ok(table) => (table.into_inner(), Vec::new()),
        Err(_) if text.len() <= MAX_RECOVERED => {
            let (table, errors) = DeTable::parse_recoverable(text);
            (table.into_inner(), errors)
        }
        Err(error) => (DeTable::new(), vec![error]),
    }
}

/// The line in which the parser finds what it tells no place of, such as brackets in brackets beyond its limit: with
/// that line it says so, and without it not.
fn first_line_without_place(text: &str) -> Range<usize> {
    let ends: Vec<usize> = text
        .split_inclusive('\n')
        .scan(0, |end, line| {
            *end += line.len();
            Some(*end)
        })
        .collect();
    let is_before = |end: &usize| {
        let (_, errors) = table(text.get(..*end).unwrap_or_default());
        errors.iter().all(|error| error.span().is_some())
    };
    let at = ends.partition_point(is_before);
    let end = ends.get(at).copied().unwrap_or(text.len());
    let start = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    start..end
}

/// At most one more than the files a configuration may have.
fn matching(directory: &Path, pattern: &str) -> io::Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".") && !pattern.starts_with('.');
        if !hidden && matches(&name.to_string_lossy(), pattern) && !entry.path().is_dir() {
            names.push(name);
            if names.len() > MAX_FILES {
                break;
            }
        }
    }
    names.sort();
    Ok(names)
}

fn matches(name: &str, pattern: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return name == pattern };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    let Some((middle, last)) = tail.rsplit_once('*') else { return rest.ends_with(tail) };
    for part in middle.split('*') {
        match rest.split_once(part) {
            Some((_, after)) if !part.is_empty() => rest = after,
            _ if part.is_empty() => {}
            _ => return false,
        }
    }
    rest.ends_with(last)
}

/// The parser's message in one line.
fn printable_message(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(" ")
}

/// Where a plugin is: a relative path is tried from the working directory and then from the directory of
/// the file that names it. When there is nothing at either place, the first is what messages will name.
pub(super) fn resolve(path: &Path, named_in: &Path) -> PathBuf {
    if path.is_relative() && !path.exists() {
        let beside = named_in.parent().unwrap_or(Path::new("")).join(path);
        if beside.exists() {
            return beside;
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (name, pattern) in [
            ("a.toml", "*.toml"),
            (".toml", "*.toml"),
            ("a.toml", "*"),
            ("", "*"),
            ("10-a.toml", "10-*.toml"),
            ("a-b-c", "a*b*c"),
            ("abc", "a**c"),
            ("aXbXb", "a*b"),
            ("aab", "*ab"),
            ("a.toml", "a.toml"),
        ] {
            assert!(matches(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [
            ("a.toml~", "*.toml"),
            ("a.tom", "*.toml"),
            ("20-a.toml", "10-*.toml"),
            ("acb", "a*b*c"),
            ("aa", "a*a*a"),
            ("ab", "ab*b"),
            ("A.toml", "a*"),
        ] {
            assert!(!matches(name, pattern), "{name} {pattern}");
        }
    }
}
