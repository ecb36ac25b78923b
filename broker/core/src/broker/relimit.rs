//! The operator changes limits while clients are connected.

use std::sync::Arc;

use super::{Broker, Lane};
use crate::connection::Connection;
use crate::limits::Limits;

impl Broker {
    /// What a connected client may use once its listener has these limits: what CONNACK told it stands, and so does what
    /// its identity says more tightly. A stored session gets them when its client is back. True when something changed;
    /// then the connection may have another deadline, and need no longer pause.
    pub fn relimit(&self, lane: &mut Lane, connection: &mut Connection, listener: &Limits) -> bool {
        let Some(limits) = connection.revised(listener) else { return false };
        if limits.queue != connection.limits().queue {
            connection.session().mailbox.set_bound(connection.attachment(), limits.queue);
        }
        let client = Arc::clone(connection.client());
        let anew = || self.rates.anew(&client.id, client.name.as_deref(), &limits);
        connection.revise(lane.share(limits), anew);
        true
    }
}
