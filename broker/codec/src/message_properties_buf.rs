//! The owned form of the properties that travel with a message: encoded bytes that can be edited.
//! Must not know packets.

use core::fmt;

use crate::message_properties::MessageProperties;
use crate::property::{Entries, Entry, Property, put_binary, put_bool, put_text};
use crate::scan::has_wildcard;
use crate::user_properties::put_user_property;
use crate::wire::{check_text, checked_length};
use crate::{EncodeError, UserProperties};

/// Owned [`MessageProperties`]. Every change is checked, keeps the order of user properties, and on
/// error leaves everything as it was.
#[derive(Clone, Default)]
pub struct MessagePropertiesBuf {
    /// A pure block.
    bytes: Vec<u8>,
}

impl MessagePropertiesBuf {
    /// No properties; allocates nothing.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// The properties as packets hold them.
    pub fn as_view(&self) -> MessageProperties<'_> {
        MessageProperties::from_pure_trusted(&self.bytes)
    }

    /// The encoded block, for [`MessageProperties::from_pure`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets or removes the payload format indicator.
    pub fn set_payload_format_indicator(&mut self, utf8: Option<bool>) {
        self.retain(|entry| entry.property != Property::PayloadFormatIndicator);
        if let Some(utf8) = utf8 {
            put_bool(&mut self.bytes, Property::PayloadFormatIndicator, utf8);
        }
    }

    /// Sets or removes the content type.
    ///
    /// # Errors
    /// [`EncodeError::StringTooLong`] above 65 535 bytes, [`EncodeError::StringContainsNul`],
    /// [`EncodeError::PacketTooLarge`].
    pub fn set_content_type(&mut self, content_type: Option<&str>) -> Result<(), EncodeError> {
        check_text(content_type.unwrap_or_default())?;
        self.check_growth(content_type.map_or(0, str::len))?;
        self.retain(|entry| entry.property != Property::ContentType);
        put_text(&mut self.bytes, Property::ContentType, content_type)
    }

    /// Sets or removes the response topic.
    ///
    /// # Errors
    /// [`EncodeError::ResponseTopicInvalid`] if it is empty or has wildcards [MQTT-3.3.2-14],
    /// [`EncodeError::StringTooLong`] above 65 535 bytes, [`EncodeError::StringContainsNul`],
    /// [`EncodeError::PacketTooLarge`].
    pub fn set_response_topic(&mut self, topic: Option<&str>) -> Result<(), EncodeError> {
        if topic.is_some_and(|topic| topic.is_empty() || has_wildcard(topic.as_bytes())) {
            return Err(EncodeError::ResponseTopicInvalid);
        }
        check_text(topic.unwrap_or_default())?;
        self.check_growth(topic.map_or(0, str::len))?;
        self.retain(|entry| entry.property != Property::ResponseTopic);
        put_text(&mut self.bytes, Property::ResponseTopic, topic)
    }

    /// Sets or removes the correlation data.
    ///
    /// # Errors
    /// [`EncodeError::StringTooLong`] above 65 535 bytes, [`EncodeError::PacketTooLarge`].
    pub fn set_correlation_data(&mut self, data: Option<&[u8]>) -> Result<(), EncodeError> {
        let len = data.map_or(0, <[u8]>::len);
        if len > usize::from(u16::MAX) {
            return Err(EncodeError::StringTooLong);
        }
        self.check_growth(len)?;
        self.retain(|entry| entry.property != Property::CorrelationData);
        put_binary(&mut self.bytes, Property::CorrelationData, data)
    }

    /// Appends a user property.
    ///
    /// # Errors
    /// [`EncodeError::StringTooLong`] above 65 535 bytes of name or value,
    /// [`EncodeError::StringContainsNul`], [`EncodeError::PacketTooLarge`].
    pub fn add_user_property(&mut self, name: &str, value: &str) -> Result<(), EncodeError> {
        put_user_property(&mut self.bytes, name, value)
    }

    /// Replaces all user properties of this name by one: in the place of the first, or at the end.
    ///
    /// # Errors
    /// As [`add_user_property`](Self::add_user_property).
    pub fn set_user_property(&mut self, name: &str, value: &str) -> Result<(), EncodeError> {
        let mut replacement = Vec::new();
        put_user_property(&mut replacement, name, value)?;
        checked_length(self.bytes.len().saturating_add(replacement.len()))?;
        let mut edited = Vec::with_capacity(self.bytes.len() + replacement.len());
        for entry in Entries::new(&self.bytes) {
            if is_named(&entry, name) {
                edited.append(&mut replacement);
            } else {
                edited.extend_from_slice(entry.raw);
            }
        }
        edited.append(&mut replacement);
        self.bytes = edited;
        Ok(())
    }

    /// Removes all user properties of this name; says whether there were any.
    pub fn remove_user_property(&mut self, name: &str) -> bool {
        let before = self.bytes.len();
        self.retain(|entry| !is_named(entry, name));
        self.bytes.len() < before
    }

    fn retain(&mut self, keep: impl Fn(&Entry<'_>) -> bool) {
        if Entries::new(&self.bytes).all(|entry| keep(&entry)) {
            return;
        }
        let mut kept = Vec::with_capacity(self.bytes.len());
        for entry in Entries::new(&self.bytes) {
            if keep(&entry) {
                kept.extend_from_slice(entry.raw);
            }
        }
        self.bytes = kept;
    }

    /// Identifier and length take three bytes.
    fn check_growth(&self, len: usize) -> Result<(), EncodeError> {
        checked_length(self.bytes.len().saturating_add(3).saturating_add(len)).map(drop)
    }
}

fn is_named(entry: &Entry<'_>, name: &str) -> bool {
    let mut value = entry.value;
    entry.property == Property::UserProperty
        && value.binary().is_ok_and(|candidate| candidate == name.as_bytes())
}

impl From<MessageProperties<'_>> for MessagePropertiesBuf {
    fn from(view: MessageProperties<'_>) -> Self {
        let mut bytes = Vec::with_capacity(view.encoded_len());
        view.write_entries(&mut bytes);
        Self { bytes }
    }
}

impl From<UserProperties<'_>> for MessagePropertiesBuf {
    fn from(view: UserProperties<'_>) -> Self {
        let mut bytes = Vec::with_capacity(view.encoded_len());
        view.copy_to(&mut bytes);
        Self { bytes }
    }
}

impl PartialEq for MessagePropertiesBuf {
    fn eq(&self, other: &Self) -> bool {
        self.as_view() == other.as_view()
    }
}

impl Eq for MessagePropertiesBuf {}

impl fmt::Debug for MessagePropertiesBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_view().fmt(f)
    }
}
