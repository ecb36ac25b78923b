//! A connected client authenticates again, while everything else of it goes on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use wasmqtt_core::client::ListenerId;
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Question, Refusal, Step, Success};
use wasmqtt_core::time::Moment;

use super::ask::Asking;
use super::turn::{Driver, Ended};
use crate::worker::{Local, Shared};

/// Asks, elsewhere. One that cannot even be asked is answered at once.
pub(super) fn ask(
    shared: &Shared,
    listener: ListenerId,
    question: Question,
) -> Result<Asking<Step>, Fault> {
    Asking::start(shared, listener, move |gate| question.ask(gate))
        .map_err(|refusal| Fault::AuthenticationRefused(refusal.code))
}

impl Driver {
    /// Looks for the answer to what was asked; true when it was there.
    pub(super) fn poll_authentication(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Local,
        now: Moment,
    ) -> Result<bool, Ended> {
        let Some(asking) = &mut self.asking else { return Ok(false) };
        let answered = Pin::new(asking).poll(cx);
        if let Poll::Ready(answer) = answered {
            self.asking = None;
            if let Err(Refusal { code, reason, .. }) = &answer {
                let client_id = &*self.client.id;
                tracing::info!(client_id, %code, reason = reason.as_deref(), "re-authentication refused");
            }
            if let Some(success) = self.connection.answered(answer, &mut local.out)? {
                self.renew(local, now, success)?;
            }
            self.arm();
            return Ok(true);
        }
        self.arm();
        Ok(false)
    }

    fn renew(&mut self, local: &mut Local, now: Moment, success: Success) -> Result<(), Ended> {
        let Success { identity, data } = success;
        let Some(connecting) = self.connection.connecting() else { return Ok(()) };
        let (broker, attachment) = (&self.shared.broker, self.connection.attachment());
        let renewed =
            broker.renew(now, connecting, &identity, &self.client, &self.session, attachment)?;
        self.client = Arc::clone(&renewed.client);
        let properties = &identity.connack_properties;
        let (client, expires_at) = (renewed.client, renewed.expires_at);
        let out = &mut local.out;
        self.connection.renewed(client, expires_at, data.as_deref(), properties, out)?;
        tracing::info!(client_id = &*self.client.id, "client authenticated again");
        self.rejudge(local);
        Ok(())
    }

    /// Moves the alarm where the connection's deadline has come nearer.
    pub(super) fn arm(&mut self) {
        let Some(at) = self.connection.deadline() else { return };
        let at = self.shared.clock.instant(at);
        match &mut self.alarm {
            Some(alarm) if alarm.deadline() <= at => {}
            Some(alarm) => alarm.as_mut().reset(at),
            None => self.alarm = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }
}
