//! The `messages` capability: the message of the call in progress, read as it would become, changed on
//! the side. Nothing takes effect here. Must not know what a verdict leads to.

use std::sync::Arc;

use wasmqtt_codec::{EncodeError, MessageProperties, MessagePropertiesBuf, Topic};
use wasmqtt_core::client::Client;
use wasmqtt_core::message::{Changes, Message};
use wasmqtt_core::time::Moment;
use wasmtime::Result;
use wasmtime::component::Resource;

use super::Host;
use crate::bindings::wasmqtt::plugin::messages;
use crate::bindings::wasmqtt::plugin::messages::{Client as WitClient, Origin, Qos, UserProperty};
use crate::convert;

/// Bytes of staged properties: a guest that adds properties in a loop ends here.
pub(crate) const PROPERTIES_MAX: usize = 1 << 20;

/// A message, and what a plugin set so far.
#[allow(unreachable_pub)] // The generated bindings name it in a public type.
pub struct Staged {
    original: Original,
    changes: Changes,
    /// The first value that cannot be had. The hook fails with it, whatever it answers.
    fault: Option<String>,
    now: Moment,
}

/// Who owns the message.
pub(crate) enum Original {
    /// A publication on its way in.
    Owned(Message),
    /// Shared with other subscribers.
    Shared(Arc<Message>),
}

impl std::ops::Deref for Original {
    type Target = Message;

    fn deref(&self) -> &Message {
        match self {
            Self::Owned(message) => message,
            Self::Shared(message) => message,
        }
    }
}

impl Staged {
    pub(crate) fn new(original: Original, now: Moment) -> Self {
        Self { original, changes: Changes::default(), fault: None, now }
    }

    /// The message as it was, what was set, and what could not be set.
    pub(crate) fn into_parts(self) -> (Original, Changes, Option<String>) {
        (self.original, self.changes, self.fault)
    }

    pub(crate) fn publisher(&self) -> Option<&Client> {
        self.original.publisher().map(|publisher| &**publisher)
    }

    fn topic(&self) -> &str {
        self.changes.topic.as_deref().unwrap_or_else(|| self.original.topic())
    }

    fn payload(&self) -> &[u8] {
        self.changes.payload.as_deref().unwrap_or(self.original.payload())
    }

    fn properties(&self) -> MessageProperties<'_> {
        match &self.changes.properties {
            Some(properties) => properties.as_view(),
            None => self.original.properties(),
        }
    }

    fn expiry(&self) -> Option<u32> {
        match self.changes.expiry {
            Some(expiry) => expiry,
            None => self.original.expires_at()?.seconds_left(self.now),
        }
    }

    fn set_topic(&mut self, topic: String) {
        match Topic::parse(&topic) {
            Ok(_) => self.changes.topic = Some(topic),
            Err(error) => self.fail(|| format!("set-topic(`{}`): {error}", excerpt(&topic))),
        }
    }

    fn edit_properties(
        &mut self,
        what: &str,
        edit: impl FnOnce(&mut MessagePropertiesBuf) -> Result<(), EncodeError>,
    ) {
        if self.fault.is_some() {
            return;
        }
        let original = &self.original;
        let properties = self
            .changes
            .properties
            .get_or_insert_with(|| MessagePropertiesBuf::from(original.properties()));
        // Only what is added here is bounded: what a client sent is bounded already.
        let before = properties.as_bytes().len();
        let result = edit(properties);
        let after = properties.as_bytes().len();
        if let Err(error) = result {
            self.fail(|| format!("{what}: {error}"));
        } else if after > before && after > PROPERTIES_MAX {
            self.changes.properties = None;
            self.fail(|| format!("{what}: more than {PROPERTIES_MAX} bytes of properties"));
        }
    }

    fn fail(&mut self, fault: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(fault);
    }
}

/// Enough of a topic for a line in the log.
pub(crate) fn excerpt(text: &str) -> &str {
    text.get(..text.floor_char_boundary(200)).unwrap_or_default()
}

impl messages::Host for Host {}

impl messages::HostMessage for Host {
    fn topic(&mut self, _: Resource<Staged>) -> Result<String> {
        Ok(self.message()?.topic().to_owned())
    }

    fn qos(&mut self, _: Resource<Staged>) -> Result<Qos> {
        let message = self.message()?;
        Ok(convert::qos(message.changes.qos.unwrap_or(message.original.qos())))
    }

    fn retain(&mut self, _: Resource<Staged>) -> Result<bool> {
        let message = self.message()?;
        Ok(message.changes.retain.unwrap_or(message.original.retain()))
    }

    fn origin(&mut self, _: Resource<Staged>) -> Result<Origin> {
        Ok(convert::origin(self.message()?.original.origin()))
    }

    fn publisher(&mut self, _: Resource<Staged>) -> Result<Option<WitClient>> {
        Ok(self.message()?.publisher().map(convert::owned_client))
    }

    fn payload_size(&mut self, _: Resource<Staged>) -> Result<u32> {
        Ok(u32::try_from(self.message()?.payload().len()).unwrap_or(u32::MAX))
    }

    fn payload(&mut self, _: Resource<Staged>) -> Result<Vec<u8>> {
        Ok(self.message()?.payload().to_owned())
    }

    fn payload_range(&mut self, _: Resource<Staged>, offset: u32, length: u32) -> Result<Vec<u8>> {
        let rest = self.message()?.payload().get(offset as usize..).unwrap_or_default();
        Ok(rest.get(..length as usize).unwrap_or(rest).to_owned())
    }

    fn content_type(&mut self, _: Resource<Staged>) -> Result<Option<String>> {
        Ok(self.message()?.properties().content_type().map(str::to_owned))
    }

    fn response_topic(&mut self, _: Resource<Staged>) -> Result<Option<String>> {
        Ok(self.message()?.properties().response_topic().map(str::to_owned))
    }

    fn correlation_data(&mut self, _: Resource<Staged>) -> Result<Option<Vec<u8>>> {
        Ok(self.message()?.properties().correlation_data().map(<[u8]>::to_owned))
    }

    fn expiry(&mut self, _: Resource<Staged>) -> Result<Option<u32>> {
        Ok(self.message()?.expiry())
    }

    fn user_property(&mut self, _: Resource<Staged>, name: String) -> Result<Option<String>> {
        Ok(self.message()?.properties().user_properties().get(&name).map(str::to_owned))
    }

    fn user_properties(&mut self, _: Resource<Staged>) -> Result<Vec<UserProperty>> {
        Ok(convert::owned_user_properties(self.message()?.properties().user_properties()))
    }

    fn set_topic(&mut self, _: Resource<Staged>, topic: String) -> Result<()> {
        self.message()?.set_topic(topic);
        Ok(())
    }

    fn set_qos(&mut self, _: Resource<Staged>, qos: Qos) -> Result<()> {
        self.message()?.changes.qos = Some(convert::core_qos(qos));
        Ok(())
    }

    fn set_retain(&mut self, _: Resource<Staged>, retain: bool) -> Result<()> {
        self.message()?.changes.retain = Some(retain);
        Ok(())
    }

    fn set_payload(&mut self, _: Resource<Staged>, payload: Vec<u8>) -> Result<()> {
        self.message()?.changes.payload = Some(payload);
        Ok(())
    }

    fn set_content_type(&mut self, _: Resource<Staged>, value: Option<String>) -> Result<()> {
        self.message()?.edit_properties("set-content-type", |properties| {
            properties.set_content_type(value.as_deref())
        });
        Ok(())
    }

    fn set_expiry(&mut self, _: Resource<Staged>, seconds: Option<u32>) -> Result<()> {
        self.message()?.changes.expiry = Some(seconds);
        Ok(())
    }

    fn set_user_property(
        &mut self,
        _: Resource<Staged>,
        name: String,
        value: String,
    ) -> Result<()> {
        self.message()?.edit_properties("set-user-property", |properties| {
            properties.set_user_property(&name, &value)
        });
        Ok(())
    }

    fn add_user_property(
        &mut self,
        _: Resource<Staged>,
        name: String,
        value: String,
    ) -> Result<()> {
        self.message()?.edit_properties("add-user-property", |properties| {
            properties.add_user_property(&name, &value)
        });
        Ok(())
    }

    fn remove_user_property(&mut self, _: Resource<Staged>, name: String) -> Result<()> {
        self.message()?.edit_properties("remove-user-property", |properties| {
            properties.remove_user_property(&name);
            Ok(())
        });
        Ok(())
    }

    fn drop(&mut self, _: Resource<Staged>) -> Result<()> {
        Ok(())
    }
}
