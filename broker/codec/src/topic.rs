//! Topic names and topic filters: validated once, and how filters relate to topics and to each other.
//! Must not know subscriptions or storage of either.

use core::fmt;

use crate::scan::{has_nul, has_wildcard};

/// What a shared subscription's filter starts with [MQTT-4.8.2-1].
pub const SHARE_PREFIX: &str = "$share/";

/// The longest topic name or filter, in bytes [MQTT-4.7.3-3].
pub const MAX_LEN: usize = 65_535;

/// Why a string is no topic name or no topic filter.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum TopicError {
    /// Less than one character [MQTT-4.7.3-1].
    Empty,
    /// More than 65 535 bytes [MQTT-4.7.3-3].
    TooLong,
    /// Contains U+0000 [MQTT-4.7.3-2].
    Nul,
    /// A topic name contains `+` or `#` [MQTT-4.7.0-1].
    Wildcard,
    /// `#` is not the last character or does not stand alone in its level [MQTT-4.7.1-1].
    MultiLevelMisplaced,
    /// `+` does not stand alone in its level [MQTT-4.7.1-2].
    SingleLevelMisplaced,
    /// The share name is empty [MQTT-4.8.2-1].
    ShareNameEmpty,
    /// The share name contains `+` or `#` [MQTT-4.8.2-2].
    ShareNameInvalid,
    /// No filter follows the share name [MQTT-4.8.2-2].
    ShareWithoutFilter,
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "topic is empty",
            Self::TooLong => "topic is longer than 65535 bytes",
            Self::Nul => "topic contains U+0000",
            Self::Wildcard => "topic name contains a wildcard",
            Self::MultiLevelMisplaced => "`#` must be the last level of a filter",
            Self::SingleLevelMisplaced => "`+` must be a whole level of a filter",
            Self::ShareNameEmpty => "share name is empty",
            Self::ShareNameInvalid => "share name contains a wildcard",
            Self::ShareWithoutFilter => "no topic filter after the share name",
        })
    }
}

impl core::error::Error for TopicError {}

/// A valid topic name.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Topic<'a>(&'a str);

impl<'a> Topic<'a> {
    /// Accepts 1 to 65 535 bytes without wildcards and U+0000.
    ///
    /// # Errors
    /// [`TopicError`] `Empty`, `TooLong`, `Nul` or `Wildcard`.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        check_len_and_nul(text)?;
        if has_wildcard(text.as_bytes()) {
            return Err(TopicError::Wildcard);
        }
        Ok(Self(text))
    }

    /// The topic name.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Its levels; at least one, and each may be empty.
    pub fn levels(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        levels(self.0)
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl AsRef<str> for Topic<'_> {
    fn as_ref(&self) -> &str {
        self.0
    }
}

/// A valid topic filter, possibly of a shared subscription.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Filter<'a> {
    text: &'a str,
    share: Option<&'a str>,
    pattern: &'a str,
}

impl<'a> Filter<'a> {
    /// Accepts 1 to 65 535 bytes without U+0000, with wildcards only where they may be, and splits
    /// `$share/NAME/filter`.
    ///
    /// # Errors
    /// Any [`TopicError`] but `Wildcard`.
    pub fn parse(text: &'a str) -> Result<Self, TopicError> {
        check_len_and_nul(text)?;
        let Some(shared) = text.strip_prefix(SHARE_PREFIX) else {
            check_pattern(text)?;
            return Ok(Self { text, share: None, pattern: text });
        };
        let (name, pattern) = match shared.split_once('/') {
            Some(("", _)) => return Err(TopicError::ShareNameEmpty),
            None if shared.is_empty() => return Err(TopicError::ShareNameEmpty),
            None | Some((_, "")) => return Err(TopicError::ShareWithoutFilter),
            Some(parts) => parts,
        };
        if has_wildcard(name.as_bytes()) {
            return Err(TopicError::ShareNameInvalid);
        }
        check_pattern(pattern)?;
        Ok(Self { text, share: Some(name), pattern })
    }

    /// The same of a text that was parsed before, which is not looked at again.
    pub fn from_trusted(text: &'a str) -> Self {
        let shared = text.strip_prefix(SHARE_PREFIX).and_then(|shared| shared.split_once('/'));
        match shared {
            Some((name, pattern)) => Self { text, share: Some(name), pattern },
            None => Self { text, share: None, pattern: text },
        }
    }

    /// The filter as the client wrote it.
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// The share name of a shared subscription.
    pub const fn share(&self) -> Option<&'a str> {
        self.share
    }

    /// What topics are matched against: the filter without `$share/NAME/`.
    pub const fn pattern(&self) -> &'a str {
        self.pattern
    }

    /// Whether the pattern has a wildcard.
    pub fn has_wildcard(&self) -> bool {
        has_wildcard(self.pattern.as_bytes())
    }

    /// Levels of the pattern.
    pub fn levels(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
        levels(self.pattern)
    }

    /// Whether the pattern matches the topic name: [`matches()`].
    pub fn matches(&self, topic: &str) -> bool {
        matches(self.pattern, topic)
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl AsRef<str> for Filter<'_> {
    fn as_ref(&self) -> &str {
        self.text
    }
}

fn check_len_and_nul(text: &str) -> Result<(), TopicError> {
    match text.len() {
        0 => Err(TopicError::Empty),
        len if len > MAX_LEN => Err(TopicError::TooLong),
        _ if has_nul(text.as_bytes()) => Err(TopicError::Nul),
        _ => Ok(()),
    }
}

/// What is right is seen at a glance, however many levels there are; what is wrong is looked at level by level.
fn check_pattern(pattern: &str) -> Result<(), TopicError> {
    let open = match pattern.strip_suffix('#') {
        Some(open) if open.is_empty() || open.ends_with('/') => open,
        _ => pattern,
    };
    let bytes = open.as_bytes();
    let beside = |this: u8, other: u8| (this == b'+') & (other != b'/');
    let pairs = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    let wrong = pairs.fold(open.contains('#'), |wrong, (one, other)| {
        wrong | beside(*one, *other) | beside(*other, *one)
    });
    if wrong { check_levels(pattern) } else { Ok(()) }
}

#[cold]
fn check_levels(pattern: &str) -> Result<(), TopicError> {
    let mut open = levels(pattern);
    while let Some(level) = open.next() {
        if level.len() > 1 && level.contains('+') {
            return Err(TopicError::SingleLevelMisplaced);
        }
        if level.contains('#') && (level.len() > 1 || open.next().is_some()) {
            return Err(TopicError::MultiLevelMisplaced);
        }
    }
    Ok(())
}

const fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'+' | b'#')
}

/// The levels of a topic name or filter; at least one, and each may be empty.
pub fn levels(text: &str) -> impl Iterator<Item = &str> + Clone {
    Levels(Some(text))
}

/// Levels are short: looking at byte after byte finds their ends several times as fast as the search that `split` has for
/// long texts.
#[derive(Clone)]
struct Levels<'a>(Option<&'a str>);

impl<'a> Iterator for Levels<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0?;
        match text.bytes().position(|byte| byte == b'/') {
            Some(end) => {
                self.0 = text.get(end + 1..);
                text.get(..end)
            }
            None => self.0.take(),
        }
    }
}

/// Whether one starts with a wildcard and the other with `$`: they then have no topic in common
/// [MQTT-4.7.2-1].
fn dollar_hides(filter: &str, other: &str) -> bool {
    other.starts_with('$') && filter.bytes().next().is_some_and(is_wildcard)
}

/// Whether `filter` (valid, without a share prefix) matches the topic name `topic` (4.7). A topic
/// that begins with `$` is not matched by a filter that begins with a wildcard [MQTT-4.7.2-1].
/// Nothing is normalized [MQTT-4.7.3-4]. Takes time linear in the shorter of both and no memory.
pub fn matches(filter: &str, topic: &str) -> bool {
    if dollar_hides(filter, topic) {
        return false;
    }
    let mut names = levels(topic);
    for level in levels(filter) {
        match (level, names.next()) {
            // Also the parent: `sport/#` matches `sport`.
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (level, Some(name)) if level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

/// The same filter without the empty topic, which `#` and `/#` seem to match and no message has.
fn spelled_out(filter: &str) -> &str {
    match filter {
        "#" => "+/#",
        "/#" => "/+/#",
        other => other,
    }
}

/// Whether filter `wide` matches every topic name that filter `narrow` matches. Both are valid and
/// without a share prefix.
pub fn covers(wide: &str, narrow: &str) -> bool {
    let narrow = spelled_out(narrow);
    if dollar_hides(wide, narrow) {
        return false;
    }
    let mut inner = levels(narrow);
    for level in levels(wide) {
        match (level, inner.next()) {
            ("#", _) => return true,
            // `#` also stands for no level at all, which neither of the others does.
            (_, Some("#") | None) => return false,
            ("+", Some(_)) => {}
            (level, Some(other)) if level == other => {}
            _ => return false,
        }
    }
    inner.next().is_none()
}

/// Whether there can be a topic name that both filters match. Both are valid and without a share
/// prefix.
pub fn overlaps(a: &str, b: &str) -> bool {
    if dollar_hides(a, b) || dollar_hides(b, a) {
        return false;
    }
    let (mut left, mut right) = (levels(spelled_out(a)), levels(spelled_out(b)));
    loop {
        match (left.next(), right.next()) {
            (Some("#"), _) | (_, Some("#")) => return true,
            (None, None) => return true,
            (None, Some(_)) | (Some(_), None) => return false,
            (Some("+"), Some(_)) | (Some(_), Some("+")) => {}
            (Some(x), Some(y)) if x == y => {}
            _ => return false,
        }
    }
}
