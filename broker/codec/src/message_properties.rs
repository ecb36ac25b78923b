//! The properties that travel with an application message: a view over encoded property bytes. Must
//! not know expiry, aliases, subscription identifiers: those belong to one hop.

use core::fmt;

use crate::property::{Block, Entries, Place, Property, TRAVELLING};
use crate::user_properties::UserProperties;
use crate::wire::{Measure, Reader, Sink};
use crate::{DecodeError, PacketType};

/// Payload format indicator, content type, response topic, correlation data and user properties of
/// an application message. Receivers must get all of them unaltered [MQTT-3.3.2-4],
/// [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-20].
///
/// A view over a property block that may hold other properties as well; those are not seen and not
/// copied. A block that is *pure* holds none, and is copied at once.
#[derive(Copy, Clone, Default)]
pub struct MessageProperties<'a> {
    bytes: &'a [u8],
    /// The properties that may be in it, as bits by identifier.
    present: u64,
}

impl<'a> MessageProperties<'a> {
    /// No properties.
    pub const EMPTY: Self = Self { bytes: &[], present: 0 };

    /// A view over a block that holds no other properties than those `present`.
    #[inline]
    pub(crate) const fn over(bytes: &'a [u8], present: u64) -> Self {
        if present & TRAVELLING == 0 { Self::EMPTY } else { Self { bytes, present } }
    }

    /// A view over bytes that [`copy_to`](Self::copy_to) or the builder made.
    ///
    /// # Errors
    /// Whatever decoding such a block could report; a property that does not travel is
    /// [`DecodeError::PropertyNotAllowed`].
    pub fn from_pure(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut block = Block::over(bytes, Place::packet(PacketType::Publish));
        while let Some(property) = block.next()? {
            block.travelling(property)?;
        }
        Ok(block.message_properties())
    }

    /// Like [`from_pure`](Self::from_pure) without looking at the bytes: for those that never left
    /// the process or are protected by a checksum. Other bytes are harmless here (accessors stop at
    /// what they cannot read), but would be sent to subscribers as they are.
    pub const fn from_pure_trusted(bytes: &'a [u8]) -> Self {
        Self { bytes, present: TRAVELLING }
    }

    /// Whether the payload is declared to be UTF-8 text; `None` without the property.
    pub fn payload_format_indicator(&self) -> Option<bool> {
        self.find(Property::PayloadFormatIndicator)?.u8().ok().map(|value| value != 0)
    }

    /// What the payload is, as the publisher calls it.
    pub fn content_type(&self) -> Option<&'a str> {
        self.find(Property::ContentType)?.text().ok()
    }

    /// Where a response is expected.
    pub fn response_topic(&self) -> Option<&'a str> {
        self.find(Property::ResponseTopic)?.text().ok()
    }

    /// What identifies the request a response belongs to.
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.find(Property::CorrelationData)?.binary().ok()
    }

    /// The user properties, in order [MQTT-3.3.2-18].
    pub const fn user_properties(&self) -> UserProperties<'a> {
        UserProperties::over(self.bytes, true)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        !self.entries().any(|entry| entry.property.travels())
    }

    /// Bytes that [`copy_to`](Self::copy_to) would append.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        if !self.is_mixed() {
            return self.bytes.len();
        }
        let mut measure = Measure::default();
        self.write_entries(&mut measure);
        measure.0
    }

    /// Appends the encoded travelling properties, identifiers included, without a length: a pure
    /// block.
    #[inline]
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        self.write(out);
    }

    #[inline]
    pub(crate) fn write<S: Sink>(&self, sink: &mut S) {
        if !self.is_mixed() {
            return sink.bytes(self.bytes);
        }
        self.write_entries(sink);
    }

    /// Writes entry by entry, which leaves out whatever follows the last readable one.
    pub(crate) fn write_entries<S: Sink>(&self, sink: &mut S) {
        for entry in self.entries() {
            if entry.property.travels() {
                sink.bytes(entry.raw);
            }
        }
    }

    const fn is_mixed(&self) -> bool {
        self.present & !TRAVELLING != 0
    }

    #[inline]
    fn find(&self, property: Property) -> Option<Reader<'a>> {
        if self.present & (1 << property as u64) == 0 {
            None
        } else {
            self.entries().find(property)
        }
    }

    const fn entries(&self) -> Entries<'a> {
        Entries::new(self.bytes)
    }
}

impl PartialEq for MessageProperties<'_> {
    /// Equal in meaning: only the order of user properties counts.
    fn eq(&self, other: &Self) -> bool {
        self.payload_format_indicator() == other.payload_format_indicator()
            && self.content_type() == other.content_type()
            && self.response_topic() == other.response_topic()
            && self.correlation_data() == other.correlation_data()
            && self.user_properties() == other.user_properties()
    }
}

impl Eq for MessageProperties<'_> {}

impl fmt::Debug for MessageProperties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageProperties")
            .field("payload_format_indicator", &self.payload_format_indicator())
            .field("content_type", &self.content_type())
            .field("response_topic", &self.response_topic())
            .field("correlation_data", &self.correlation_data())
            .field("user_properties", &self.user_properties())
            .finish()
    }
}
