//! Subscription identifiers of a PUBLISH: a view over encoded property bytes or over a list. Must
//! not know subscriptions.

use core::fmt;
use core::num::NonZeroU32;

use crate::EncodeError;
use crate::frame::MAX_REMAINING_LENGTH;
use crate::property::{Entries, Property};
use crate::wire::Sink;

/// The identifiers of the subscriptions a message is delivered for [MQTT-3.3.4-3].
#[derive(Copy, Clone)]
pub struct SubscriptionIdentifiers<'a>(Source<'a>);

#[derive(Copy, Clone)]
enum Source<'a> {
    List(&'a [NonZeroU32]),
    Block(&'a [u8]),
}

impl<'a> SubscriptionIdentifiers<'a> {
    /// No identifiers.
    pub const EMPTY: Self = Self(Source::List(&[]));

    /// Identifiers to send, 1 to 268 435 455 each; a larger one makes encoding fail with
    /// [`EncodeError::SubscriptionIdentifierTooLarge`].
    pub const fn from_list(list: &'a [NonZeroU32]) -> Self {
        Self(Source::List(list))
    }

    pub(crate) const fn over(bytes: &'a [u8]) -> Self {
        Self(Source::Block(bytes))
    }

    /// The identifiers in order.
    pub fn iter(&self) -> SubscriptionIdentifiersIter<'a> {
        SubscriptionIdentifiersIter(match self.0 {
            Source::List(list) => IterSource::List(list.iter()),
            Source::Block(bytes) => IterSource::Block(Entries::new(bytes)),
        })
    }

    /// Whether there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        match self.0 {
            Source::List(list) => list.is_empty(),
            Source::Block(_) => self.iter().next().is_none(),
        }
    }

    #[inline]
    pub(crate) fn write<S: Sink>(&self, sink: &mut S) -> Result<(), EncodeError> {
        if self.is_empty() {
            return Ok(());
        }
        for id in self.iter() {
            put_subscription_identifier(sink, id)?;
        }
        Ok(())
    }
}

impl Default for SubscriptionIdentifiers<'_> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<'a> From<&'a [NonZeroU32]> for SubscriptionIdentifiers<'a> {
    fn from(list: &'a [NonZeroU32]) -> Self {
        Self::from_list(list)
    }
}

impl PartialEq for SubscriptionIdentifiers<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for SubscriptionIdentifiers<'_> {}

impl fmt::Debug for SubscriptionIdentifiers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for SubscriptionIdentifiers<'a> {
    type Item = NonZeroU32;
    type IntoIter = SubscriptionIdentifiersIter<'a>;

    fn into_iter(self) -> SubscriptionIdentifiersIter<'a> {
        self.iter()
    }
}

/// Iterates over identifiers.
#[derive(Clone, Debug)]
pub struct SubscriptionIdentifiersIter<'a>(IterSource<'a>);

#[derive(Clone, Debug)]
enum IterSource<'a> {
    List(core::slice::Iter<'a, NonZeroU32>),
    Block(Entries<'a>),
}

impl Iterator for SubscriptionIdentifiersIter<'_> {
    type Item = NonZeroU32;

    fn next(&mut self) -> Option<NonZeroU32> {
        match &mut self.0 {
            IterSource::List(list) => list.next().copied(),
            IterSource::Block(entries) => entries
                .find(|entry| entry.property == Property::SubscriptionIdentifier)
                .and_then(|mut entry| NonZeroU32::new(entry.value.varint().ok()?)),
        }
    }
}

/// Writes one identifier as a property.
pub(crate) fn put_subscription_identifier<S: Sink>(
    sink: &mut S,
    id: NonZeroU32,
) -> Result<(), EncodeError> {
    if id.get() > MAX_REMAINING_LENGTH {
        return Err(EncodeError::SubscriptionIdentifierTooLarge);
    }
    sink.u8(Property::SubscriptionIdentifier.id());
    sink.varint(id.get());
    Ok(())
}
