//! Levels that lie side by side in a topic or a filter, one or more of them. Must not know where they come from.

/// The first level.
pub(super) fn first(path: &str) -> &str {
    cut(path).0
}

/// The first level, and what is behind it.
fn cut(path: &str) -> (&str, Option<&str>) {
    match path.bytes().position(|byte| byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}

/// What is behind the levels that end at this byte.
pub(super) fn tail(path: &str, at: usize) -> Option<&str> {
    path.get(at + 1..)
}

/// What of `path` is behind `run`; none where it does not begin with it.
pub(super) fn after<'p>(path: &'p str, run: &str) -> Option<Option<&'p str>> {
    // Comparing nothing with nothing costs a hundred times as much as not to.
    let rest = if run.is_empty() { path } else { path.strip_prefix(run)? };
    match rest.as_bytes().first() {
        None => Some(None),
        Some(b'/') => Some(rest.get(1..)),
        Some(_) => None,
    }
}

/// Bytes of the levels that both begin with. The first level is the same.
pub(super) fn common(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let ends = |bytes: &[u8]| bytes.get(same).is_none_or(|byte| *byte == b'/');
    if ends(one) && ends(other) {
        return same;
    }
    let whole = one.get(..same).unwrap_or_default();
    whole.iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}

/// How levels of a filter fit the beginning of a topic.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Fit<'t> {
    No,
    /// They end with `#`.
    All,
    /// This is behind them.
    Rest(Option<&'t str>),
}

/// How `run`, which may have wildcards, fits the beginning of `topic`.
pub(super) fn fit<'t>(run: &str, topic: &'t str) -> Fit<'t> {
    if let Some(rest) = after(topic, run) {
        return Fit::Rest(rest);
    }
    let (mut wanted, mut rest) = (Some(run), Some(topic));
    while let Some(levels) = wanted {
        let (level, behind) = cut(levels);
        if level == "#" {
            return Fit::All;
        }
        let Some(path) = rest else { return Fit::No };
        let (name, deeper) = cut(path);
        if level != "+" && level != name {
            return Fit::No;
        }
        (wanted, rest) = (behind, deeper);
    }
    Fit::Rest(rest)
}

/// What of a filter is left for what lies deeper.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Left<'f> {
    /// Nothing: it ends here.
    End,
    /// These levels.
    Levels(&'f str),
    /// `#`: everything.
    All,
}

/// What is left of `filter` behind `run`, which has no wildcards; none where it does not match.
pub(super) fn narrow<'f>(run: &str, filter: &'f str) -> Option<Left<'f>> {
    let (mut names, mut rest) = (Some(run), Some(filter));
    while let Some(levels) = names {
        let (name, deeper) = cut(levels);
        let (level, behind) = cut(rest?);
        match level {
            "#" => return Some(Left::All),
            "+" => {}
            level if level == name => {}
            _ => return None,
        }
        (names, rest) = (deeper, behind);
    }
    Some(rest.map_or(Left::End, Left::Levels))
}
