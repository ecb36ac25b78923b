//! User properties: a view over encoded property bytes and its owned builder. Must not know the
//! packet they came in.

use core::fmt;

use crate::EncodeError;
use crate::property::{Entries, Property};
use crate::wire::{Measure, Sink, check_text, checked_length};

/// The user properties of a packet, in order and with duplicates.
#[derive(Copy, Clone, Default)]
pub struct UserProperties<'a> {
    bytes: &'a [u8],
    /// `bytes` holds other properties as well.
    mixed: bool,
}

impl<'a> UserProperties<'a> {
    /// No user properties.
    pub const EMPTY: Self = Self { bytes: &[], mixed: false };

    pub(crate) const fn over(bytes: &'a [u8], mixed: bool) -> Self {
        Self { bytes, mixed }
    }

    /// Names and values in the order they were sent.
    pub const fn iter(&self) -> UserPropertiesIter<'a> {
        UserPropertiesIter { entries: Entries::new(self.bytes) }
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        raw_pairs(Entries::new(self.bytes))
            .find(|(candidate, _)| *candidate == name.as_bytes())
            .and_then(|(_, value)| core::str::from_utf8(value).ok())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        raw_pairs(Entries::new(self.bytes)).next().is_none()
    }

    /// Bytes that [`copy_to`](Self::copy_to) would append.
    pub fn encoded_len(&self) -> usize {
        let mut measure = Measure::default();
        self.write(&mut measure);
        measure.0
    }

    /// Appends the encoded user properties, identifiers included, without a length.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    pub(crate) fn write<S: Sink>(&self, sink: &mut S) {
        if !self.mixed {
            return sink.bytes(self.bytes);
        }
        for entry in Entries::new(self.bytes) {
            if entry.property == Property::UserProperty {
                sink.bytes(entry.raw);
            }
        }
    }
}

impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for UserProperties<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = UserPropertiesIter<'a>;

    fn into_iter(self) -> UserPropertiesIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &UserProperties<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = UserPropertiesIter<'a>;

    fn into_iter(self) -> UserPropertiesIter<'a> {
        self.iter()
    }
}

fn raw_pairs(entries: Entries<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    entries.filter(|entry| entry.property == Property::UserProperty).filter_map(|entry| {
        let mut value = entry.value;
        Some((value.binary().ok()?, value.binary().ok()?))
    })
}

/// Iterates over names and values.
#[derive(Clone, Debug)]
pub struct UserPropertiesIter<'a> {
    entries: Entries<'a>,
}

impl<'a> Iterator for UserPropertiesIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let mut value = self
            .entries
            .by_ref()
            .find(|entry| entry.property == Property::UserProperty)
            .map(|entry| entry.value)?;
        Some((
            core::str::from_utf8(value.binary().ok()?).ok()?,
            core::str::from_utf8(value.binary().ok()?).ok()?,
        ))
    }
}

/// Owned user properties in their encoded form.
#[derive(Clone, Default)]
pub struct UserPropertiesBuf {
    bytes: Vec<u8>,
}

impl UserPropertiesBuf {
    /// An empty list; allocates nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends a property; on error nothing has changed.
    ///
    /// # Errors
    /// [`EncodeError::StringTooLong`] if name or value exceed 65 535 bytes,
    /// [`EncodeError::StringContainsNul`], and [`EncodeError::PacketTooLarge`] if no packet could
    /// carry the list any more.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), EncodeError> {
        put_user_property(&mut self.bytes, name, value)
    }

    /// Removes all properties and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The properties as packets hold them.
    pub fn as_view(&self) -> UserProperties<'_> {
        UserProperties::over(&self.bytes, false)
    }
}

impl From<UserProperties<'_>> for UserPropertiesBuf {
    fn from(view: UserProperties<'_>) -> Self {
        let mut bytes = Vec::with_capacity(view.encoded_len());
        view.copy_to(&mut bytes);
        Self { bytes }
    }
}

impl PartialEq for UserPropertiesBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_view() == other.as_view()
    }
}

impl Eq for UserPropertiesBuf {}

impl fmt::Debug for UserPropertiesBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_view().fmt(f)
    }
}

/// Appends one user property to an encoded block.
pub(crate) fn put_user_property(
    block: &mut Vec<u8>,
    name: &str,
    value: &str,
) -> Result<(), EncodeError> {
    check_text(name)?;
    check_text(value)?;
    let added = 1 + 2 + name.len() + 2 + value.len();
    checked_length(block.len().saturating_add(added))?;
    block.reserve(added);
    block.u8(Property::UserProperty.id());
    block.text(name)?;
    block.text(value)
}
