//! Messages of the plugin's own. The broker queues them, and each goes the road of every other message: through the
//! transformers, into the retained store, to the subscribers. The operator grants the topics:
//! `grants = { publish = ["audit/#"] }`; without that a plugin that calls this is not loaded.
//!
//! ```
//! use wasmqtt_plugin::{Publication, publisher, test};
//! publisher::publish(&Publication::new("audit/door", "open").retained()).unwrap();
//! assert_eq!(test::take_published(), [Publication::new("audit/door", "open").retained()]);
//! ```

pub use crate::bindings::imports::wasmqtt::plugin::publisher::Publication;
use crate::{Qos, UserProperty};

/// Leaves a message to be published; a call into the broker.
///
/// # Errors
/// Why it cannot be: the topic is outside of the grants, the queue is full, it was the fifth plugin in a row to
/// publish because of another's message, or it was called in `init`.
pub fn publish(publication: &Publication) -> Result<(), String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::imports::wasmqtt::plugin::publisher::publish(publication);
    #[cfg(not(target_family = "wasm"))]
    return fake::publish(publication);
}

impl Publication {
    /// A message at QoS 0, not retained, without properties.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            content_type: None,
            user_properties: Vec::new(),
        }
    }

    /// The same at another QoS.
    pub fn qos(mut self, qos: Qos) -> Self {
        self.qos = qos;
        self
    }

    /// The same, kept by the broker for who subscribes later.
    pub fn retained(mut self) -> Self {
        self.retain = true;
        self
    }

    /// The same with a content type (MQTT 5).
    pub fn content_type(mut self, value: impl Into<String>) -> Self {
        self.content_type = Some(value.into());
        self
    }

    /// The same with one more user property (MQTT 5).
    pub fn user_property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.user_properties.push(UserProperty { name: name.into(), value: value.into() });
        self
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod fake {
    //! What the broker would have been left.

    use std::cell::{Cell, RefCell};

    use super::Publication;

    thread_local! {
        static PUBLISHED: RefCell<Vec<Publication>> = const { RefCell::new(Vec::new()) };
        static ROOM: Cell<usize> = const { Cell::new(1_000) };
    }

    /// The publications that this thread has left since the last call.
    pub fn take_published() -> Vec<Publication> {
        PUBLISHED.take()
    }

    /// How many publications of this thread may wait for [`take_published`] before the queue is full; 1,000 at first.
    pub fn set_publisher_room(most: usize) {
        ROOM.set(most);
    }

    pub(super) fn publish(publication: &Publication) -> Result<(), String> {
        PUBLISHED.with_borrow_mut(|waiting| {
            if waiting.len() >= ROOM.get() {
                return Err(format!("{} publications wait already", waiting.len()));
            }
            waiting.push(publication.clone());
            Ok(())
        })
    }
}
