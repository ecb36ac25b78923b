//! Sends those who are connected elsewhere, a few at a time: where they go must not be stormed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wasmqtt_core::broker::Broker;
use wasmqtt_core::mailbox::Notice;
use wasmqtt_core::redirect::Redirect;

use crate::listen::{Listener, Settings};

/// Time between two looks at who is still there.
const STEP: Duration = Duration::from_secs(1);

/// Begins to move the clients of a listener away, if that is wanted and was not `before`.
pub(crate) fn begin(broker: &Arc<Broker>, listener: &Arc<Listener>, before: &Settings) {
    let settings = listener.settings.load_full();
    let Some(to) = settings.redirect.clone().filter(|_| !settings.move_within.is_zero()) else {
        return;
    };
    let wanted = (&settings.redirect, settings.move_within);
    if wanted == (&before.redirect, before.move_within) {
        return;
    }
    tracing::info!(listener = listener.name, to = &*to.to, "moving clients");
    tokio::spawn(leave(Arc::clone(broker), Arc::clone(listener), to, settings.move_within));
}

/// Ends once everybody was told, or when a reload wants something else or closes the listener.
async fn leave(broker: Arc<Broker>, listener: Arc<Listener>, to: Arc<Redirect>, within: Duration) {
    let end = Instant::now() + within;
    loop {
        let settings = listener.settings.load_full();
        if listener.is_closed()
            || settings.redirect.as_ref() != Some(&to)
            || settings.move_within != within
        {
            return;
        }
        let left = end.saturating_duration_since(Instant::now());
        let connected = broker.connected_through(listener.id);
        let steps = usize::try_from(left.as_secs()).unwrap_or(usize::MAX).saturating_add(1);
        for session in connected.iter().take(connected.len().div_ceil(steps)) {
            session.mailbox.notify(Notice::Redirect(Arc::clone(&to)));
        }
        if left.is_zero() {
            tracing::info!(listener = listener.name, "all clients were told to go");
            return;
        }
        tokio::time::sleep(STEP.min(left)).await;
    }
}
