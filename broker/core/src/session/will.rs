//! The message a client leaves behind.

use std::sync::Arc;

use crate::client::Client;
use crate::message::{Changes, Message};
use crate::time::Moment;

/// A will, kept until it is published or no longer wanted [MQTT-3.1.2-7].
#[derive(Clone, Debug)]
pub struct Will {
    /// What is published. Its expiry starts when it is.
    pub message: Message,
    /// Seconds of life once it is published; none = for ever.
    pub expiry: Option<u32>,
    /// Seconds between the end of the connection and the publication; the end of the session cuts it short.
    pub delay: u32,
}

impl Will {
    /// The message as it is published now, in the name of the client that left it.
    pub fn message(self, client: &Arc<Client>, now: Moment) -> Message {
        let message = match self.expiry {
            None => self.message,
            expiry => {
                let changes = Changes { expiry: Some(expiry), ..Changes::default() };
                self.message.with(&changes, now)
            }
        };
        message.published_by(Arc::clone(client))
    }
}
