//! What is wrong with a configuration, said so that its reader can put it right.
//!
//! Files are kept here with the places in them; what the text means is not known here.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::model::Location;

/// Problems of one severity that are kept; more of them help nobody.
pub(super) const MAX_PROBLEMS: usize = 100;
/// Characters of a source line that an excerpt shows.
const EXCERPT: usize = 120;
/// Characters of a value that a message quotes.
const QUOTE: usize = 60;
/// Characters of a path that a message quotes.
const QUOTE_PATH: usize = 500;

/// Whether a configuration can be used in spite of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but may not do what its author expects.
    Warning,
}

/// One thing that is wrong, and where. `Display` renders it for a terminal, over several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether the configuration can be used.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it, in one line.
    pub help: Option<String>,
    /// As it was named on the command line or by an `include`.
    pub file: PathBuf,
    /// From 1; 0 when the problem is the file as a whole.
    pub line: u32,
    /// In characters, from 1; 0 when the problem is the file as a whole.
    pub column: u32,
    /// The source line, or a part of it when it is long. Control characters are replaced.
    pub excerpt: String,
    /// The characters of `excerpt` that are meant: how many stand before them, and how many they are.
    pub mark: (usize, usize),
}

/// How the parts of a problem are set apart from each other: what stands before them, and behind.
#[derive(Clone, Copy, Default)]
struct Look {
    error: &'static str,
    warning: &'static str,
    message: &'static str,
    frame: &'static str,
    end: &'static str,
}

const COLOURED: Look = Look {
    error: "\x1b[1m\x1b[91m",
    warning: "\x1b[1m\x1b[93m",
    message: "\x1b[1m",
    frame: "\x1b[1m\x1b[94m",
    end: "\x1b[0m",
};

impl Problem {
    fn render(&self, f: &mut fmt::Formatter<'_>, look: Look) -> fmt::Result {
        let Look { error, warning, message: strong, frame, end } = look;
        let (severity, strict) = match self.severity {
            Severity::Error => ("error", error),
            Severity::Warning => ("warning", warning),
        };
        let file = self.file.display();
        write!(f, "{strict}{severity}{end}{strong}: {}{end}", self.message)?;
        if self.line == 0 {
            write!(f, "\n  {frame}-->{end} {file}")?;
            return match &self.help {
                Some(help) => write!(f, "\n   {frame}={end} {help}"),
                None => Ok(()),
            };
        }
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        write!(f, "\n{gutter}{frame}-->{end} {file}:{number}:{}", self.column)?;
        write!(f, "\n{gutter} {frame}|{end}\n{frame}{number} |{end} {}", self.excerpt)?;
        write!(f, "\n{gutter} {frame}|{end} ")?;
        let (before, marked) = self.mark;
        for character in self.excerpt.chars().take(before) {
            write!(f, "{}", if character == '\t' { '\t' } else { ' ' })?;
        }
        write!(f, "{strict}{}", "^".repeat(marked.max(1)))?;
        if let Some(help) = &self.help {
            write!(f, " {help}")?;
        }
        write!(f, "{end}")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Look::default())
    }
}

/// Why a configuration was refused: everything that is wrong with it. `Display` renders it for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// At least one, in the order of the files.
    pub errors: Vec<Problem>,
    /// In the order of the files.
    pub warnings: Vec<Problem>,
    /// How many more there were; a report keeps 100 of each severity.
    pub hidden: usize,
}

impl Report {
    fn render(&self, f: &mut fmt::Formatter<'_>, look: Look) -> fmt::Result {
        for problem in self.errors.iter().chain(&self.warnings) {
            problem.render(f, look)?;
            f.write_str("\n\n")?;
        }
        let counts = [(self.errors.len(), "error"), (self.warnings.len(), "warning")];
        let counts = counts.into_iter().filter(|(number, _)| *number > 0);
        let counts: Vec<String> = counts.map(|(number, what)| count(number, what)).collect();
        f.write_str(&counts.join(", "))?;
        if self.hidden > 0 {
            write!(f, "; {} more not shown", self.hidden)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Look::default())
    }
}

/// A report in colour, for a terminal that has it.
pub struct Coloured<'a>(pub &'a Report);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.render(f, COLOURED)
    }
}

impl std::error::Error for Report {}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A stretch of bytes in one of the [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// The byte each line starts with.
    lines: Vec<usize>,
}

/// Every file of one configuration.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// The number places in this file carry.
    pub(super) fn add(&mut self, path: &Path, text: String) -> usize {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        self.files.push(Source { path: path.to_owned(), text, lines });
        self.files.len() - 1
    }

    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|source| source.path.clone()).collect()
    }

    pub(super) fn path(&self, place: Place) -> &Path {
        self.files.get(place.file).map_or(Path::new(""), |source| &source.path)
    }

    pub(super) fn text(&self, place: Place) -> &str {
        let source = self.files.get(place.file);
        source.and_then(|source| source.text.get(place.start..place.end)).unwrap_or("")
    }

    /// From 1.
    pub(super) fn line(&self, place: Place) -> u32 {
        let line = self
            .files
            .get(place.file)
            .map_or(0, |source| source.lines.partition_point(|start| *start <= place.start));
        u32::try_from(line).unwrap_or(u32::MAX)
    }

    /// `file:line`.
    pub(super) fn name(&self, place: Place) -> String {
        format!("{}:{}", self.path(place).display(), self.line(place))
    }

    pub(super) fn problem(
        &self,
        severity: Severity,
        place: Place,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Problem {
        let line = self.line(place);
        let mut problem = Problem::file(severity, self.path(place), message, help);
        let Some(source) = self.files.get(place.file) else { return problem };
        let number = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let start = source.lines.get(number).copied().unwrap_or(0);
        let end = source.lines.get(number + 1).copied().unwrap_or(source.text.len());
        let row = source.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r']);
        let chars_to =
            |byte: usize| row.char_indices().take_while(|(at, _)| start + at < byte).count();
        let column = chars_to(place.start);
        let marked = chars_to(place.end).saturating_sub(column).max(1);

        let skipped = column.saturating_sub(EXCERPT / 2);
        problem.excerpt = printable(row.chars().skip(skipped).take(EXCERPT));
        problem.line = line;
        problem.column = u32::try_from(column + 1).unwrap_or(u32::MAX);
        let before = column - skipped;
        problem.mark = (before, marked.min(EXCERPT - before));
        problem
    }
}

impl Problem {
    /// An error in what is configured there. The file is read once more, for the excerpt.
    pub(crate) fn at(location: &Location, message: impl Into<String>) -> Self {
        let Location { file, line } = location;
        let mut sources = Sources::default();
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let number = usize::try_from(*line).unwrap_or(usize::MAX).saturating_sub(1);
        let row = text.lines().nth(number).map(str::to_owned);
        let at = sources.add(file, text);
        let start = sources.files.first().and_then(|source| source.lines.get(number)).copied();
        match (row, start) {
            (Some(row), Some(start)) => {
                let indent = row.len() - row.trim_start().len();
                let place =
                    Place { file: at, start: start + indent, end: start + row.trim_end().len() };
                sources.problem(Severity::Error, place, message, None)
            }
            // It is another file by now.
            _ => Self { line: *line, ..Self::file(Severity::Error, file, message, None) },
        }
    }

    /// A problem with a file as a whole.
    pub(crate) fn file(
        severity: Severity,
        path: &Path,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        Self {
            severity,
            message: printable(message.into().chars()),
            help: help.map(|help| printable(help.chars())),
            file: path.to_owned(),
            line: 0,
            column: 0,
            excerpt: String::new(),
            mark: (0, 0),
        }
    }
}

/// A file must not speak to the terminal.
fn printable(text: impl Iterator<Item = char>) -> String {
    text.map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c })
        .collect()
}

/// A value of the file inside a message: in backquotes, and no longer than a line.
pub(super) fn quote(text: &str) -> String {
    shortened(text, QUOTE)
}

/// A path inside a message: as [`quote`], but what may be long is shown.
pub(super) fn quote_path(path: &Path) -> String {
    shortened(&path.to_string_lossy(), QUOTE_PATH)
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("`{}...`", text.get(..end).unwrap_or(text)),
        None => format!("`{text}`"),
    }
}

/// Problems as they are found, bounded.
#[derive(Debug, Default)]
pub(super) struct Problems {
    errors: Vec<(usize, Problem)>,
    warnings: Vec<(usize, Problem)>,
    hidden: usize,
}

impl Problems {
    /// `file` is its number in the [`Sources`], for the order.
    pub(super) fn push(&mut self, file: usize, problem: Problem) {
        let list = match problem.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() < MAX_PROBLEMS {
            list.push((file, problem));
        } else {
            self.hidden += 1;
        }
    }

    pub(super) fn errors(&self) -> usize {
        self.errors.len()
    }

    /// Adds what is not on a line that one of `self`'s own errors is on: it would only be a consequence.
    pub(super) fn append(&mut self, later: Self) {
        let own: Vec<(usize, u32)> = self.errors.iter().map(|(file, p)| (*file, p.line)).collect();
        for (file, problem) in later.errors.into_iter().chain(later.warnings) {
            if !own.contains(&(file, problem.line)) {
                self.push(file, problem);
            }
        }
        self.hidden += later.hidden;
    }

    pub(super) fn into_report(self) -> Report {
        let order = |mut list: Vec<(usize, Problem)>| {
            list.sort_by_key(|(file, problem)| (*file, problem.line, problem.column));
            list.into_iter().map(|(_, problem)| problem).collect()
        };
        Report { errors: order(self.errors), warnings: order(self.warnings), hidden: self.hidden }
    }
}
