//! What should this message become? The hook, and the message it is given: the broker's own in a
//! component, `test::Message` on the host.

use crate::bindings::imports::wasmqtt::plugin::messages;
pub use crate::bindings::imports::wasmqtt::plugin::types::{Origin, Qos, UserProperty};
pub use crate::bindings::transformation::exports::wasmqtt::plugin::transformation::Verdict;
use crate::{Client, Failure, Plugin, Refusal};

/// A plugin that changes messages or holds them back. Export it with `export!(MyPlugin: transformation)`,
/// and register for the messages it wants:
/// [`Registration::on_publish`](crate::Registration::on_publish).
pub trait Transformation: Plugin {
    /// Once for each message, before it is retained, routed or stored. What was set takes effect when
    /// the verdict is [`Verdict::Forward`]; any other answer leaves the message as it was.
    ///
    /// # Errors
    /// When the plugin cannot decide. The operator's `on_failure` applies: reject (the default), or
    /// forward the message as it was.
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let _ = message;
        Ok(Verdict::Forward)
    }

    /// Once for each subscriber; what is set changes that subscriber's copy alone. A verdict other than
    /// [`Verdict::Forward`] skips this one delivery.
    ///
    /// # Errors
    /// As for [`Transformation::on_publish`]; the default is to skip this one delivery.
    fn on_deliver(
        &mut self,
        subscriber: &Client,
        message: &impl Message,
    ) -> Result<Verdict, Failure> {
        let _ = (subscriber, message);
        Ok(Verdict::Forward)
    }
}

impl Verdict {
    /// The message is not routed, and its publisher hears why.
    pub fn reject(refusal: Refusal) -> Self {
        Self::Reject(refusal)
    }
}

macro_rules! message {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)?;)+) => {
        /// One message on its way. Each method is a call into the broker and copies only what it answers.
        /// Setters are staged and take effect together; getters answer what was set before in the same
        /// call.
        pub trait Message {
            $($(#[$doc])* fn $name(&self, $($argument: $type),*) $(-> $answer)?;)+
        }

        impl Message for messages::Message {
            $(#[inline] fn $name(&self, $($argument: $type),*) $(-> $answer)? {
                messages::Message::$name(self, $($argument),*)
            })+
        }
    };
}

message! {
    /// The topic name.
    fn topic() -> String;
    /// The QoS it was published at.
    fn qos() -> Qos;
    /// The retain flag.
    fn retain() -> bool;
    /// Where it came from.
    fn origin() -> Origin;
    /// Who sent it; none for what no client sent.
    fn publisher() -> Option<Client>;
    /// Bytes.
    fn payload_size() -> u32;
    /// The whole payload.
    fn payload() -> Vec<u8>;
    /// Part of the payload: shorter than asked for, or empty, where the payload ends.
    fn payload_range(offset: u32, length: u32) -> Vec<u8>;
    /// The content type (MQTT 5).
    fn content_type() -> Option<String>;
    /// The response topic (MQTT 5).
    fn response_topic() -> Option<String>;
    /// The correlation data (MQTT 5).
    fn correlation_data() -> Option<Vec<u8>>;
    /// Seconds left until it expires.
    fn expiry() -> Option<u32>;
    /// The first user property with this name.
    fn user_property(name: &str) -> Option<String>;
    /// Every user property, in order.
    fn user_properties() -> Vec<UserProperty>;
    /// Moves the message. The operator grants the topics a plugin may move messages to.
    fn set_topic(topic: &str);
    /// Sets the QoS.
    fn set_qos(qos: Qos);
    /// Sets the retain flag.
    fn set_retain(retain: bool);
    /// Replaces the payload.
    fn set_payload(payload: &[u8]);
    /// Sets or removes the content type.
    fn set_content_type(value: Option<&str>);
    /// Sets or removes the expiry, in seconds from now.
    fn set_expiry(seconds: Option<u32>);
    /// Replaces every user property of that name, or appends.
    fn set_user_property(name: &str, value: &str);
    /// Appends a user property.
    fn add_user_property(name: &str, value: &str);
    /// Removes every user property of that name.
    fn remove_user_property(name: &str);
}
