//! A connected client has proved again who it is.

use std::sync::Arc;

use super::Broker;

use crate::client::Client;
use crate::fault::Fault;
use crate::judge::{Connecting, Identity};
use crate::limits::Limits;
use crate::session::Session;
use crate::time::Moment;

/// A client as it is from now on.
#[derive(Debug)]
pub struct Renewed {
    /// With the attributes and permissions of the new identity.
    pub client: Arc<Client>,
    /// When the new identity expires.
    pub expires_at: Option<Moment>,
}

impl Broker {
    /// Puts a new identity in place of the one that `client` has. Its attributes, permissions and expiry hold from now
    /// on; limits stay as CONNACK told them. What the client holds has to be [judged again](Broker::rejudge).
    ///
    /// # Errors
    /// Another name than before: a session belongs to the name that made it. Another connection that has the session.
    pub fn renew(
        &self,
        now: Moment,
        connecting: &Connecting,
        identity: &Identity,
        before: &Client,
        session: &Session,
        attachment: u64,
    ) -> Result<Renewed, Fault> {
        if Client::name_of(connecting, identity) != before.name.as_deref() {
            return Err(Fault::NameChanged);
        }
        let client = Arc::new(Client {
            message_expiry_max: before.message_expiry_max,
            check_retained_source: before.check_retained_source,
            ..Client::admitted(connecting, identity, &before.id, before.key, &Limits::default())
        });
        let mut state = session.state.lock();
        if state.attachment != attachment {
            return Err(Fault::TakenOver);
        }
        // In whose name the will is published.
        state.client = Some(Arc::clone(&client));
        drop(state);
        let expires_at = identity.expires_in.map(|seconds| now.after_secs(seconds));
        Ok(Renewed { client, expires_at })
    }
}
