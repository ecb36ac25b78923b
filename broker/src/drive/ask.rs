//! Questions to authenticators, off the data path.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::judge::{Gate, Refusal};

use crate::patience::{Queued, Waiting};
use crate::worker::Shared;

/// An answer that is on its way. Taken out of the queue when nobody waits for it any more.
pub(super) struct Asking<T> {
    call: Elsewhere<Result<T, Refusal>>,
    _place: Waiting,
}

impl<T: Send + 'static> Asking<T> {
    /// Asks about a client of this listener. A refusal when too many wait already.
    pub(super) fn start(
        shared: &Shared,
        listener: ListenerId,
        question: impl FnOnce(&dyn Gate) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let gate = Arc::clone(&shared.gate);
        let patient = gate.waits(listener);
        let Some(place) = shared.patience.enter(listener, patient) else {
            return Err(Refusal::new(ReasonCode::ServerBusy));
        };
        let call = Elsewhere::start(shared, listener, patient, move || question(&*gate));
        Ok(Self { call, _place: place })
    }
}

impl<T> Future for Asking<T> {
    type Output = Result<T, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        // Where the call itself broke nobody said yes.
        Poll::Ready(answer.unwrap_or_else(|| Err(Refusal::new(ReasonCode::ServerUnavailable))))
    }
}

/// A call on a thread that may block. Nothing when it broke. Dropped before its turn, it is never made.
pub(super) struct Elsewhere<R>(Pin<Box<dyn Future<Output = Option<R>> + Send>>);

impl<R: Send + 'static> Elsewhere<R> {
    /// Makes the call as soon as one of this listener may be made; `patient`: it may wait for somebody outside of the
    /// broker.
    fn start(
        shared: &Shared,
        listener: ListenerId,
        patient: bool,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Self {
        Self::in_turn(shared, listener, patient, None, std::future::ready(call))
    }

    /// The same with a patient call that is not to be made yet: it takes nobody's turn meanwhile. `place`: in the queue,
    /// until it is its turn.
    pub(super) fn start_after<C: FnOnce() -> R + Send + 'static>(
        shared: &Shared,
        listener: ListenerId,
        place: Option<Queued>,
        call: impl Future<Output = C> + Send + 'static,
    ) -> Self {
        Self::in_turn(shared, listener, true, place, call)
    }

    fn in_turn<C: FnOnce() -> R + Send + 'static>(
        shared: &Shared,
        listener: ListenerId,
        patient: bool,
        place: Option<Queued>,
        call: impl Future<Output = C> + Send + 'static,
    ) -> Self {
        let (patience, control) = (shared.patience.clone(), shared.control.clone());
        let threads = control.clone();
        // On its own: a client that does not read is not polled, and must not keep a turn meanwhile.
        let call = Call(control.spawn(async move {
            let call = call.await;
            let turn = patience.turn(listener, patient).await;
            drop(place);
            let call = threads.spawn_blocking(move || {
                let answer = call();
                drop(turn);
                answer
            });
            Call(call).await
        }));
        Self(Box::pin(async move { call.await.flatten() }))
    }

    /// Lets go of `whoever` when nobody waits any more.
    pub(super) fn while_held(self, whoever: Arc<()>) -> Self {
        Self(Box::pin(async move {
            let answer = self.await;
            drop(whoever);
            answer
        }))
    }
}

impl<R> Future for Elsewhere<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        self.0.as_mut().poll(cx)
    }
}

/// Taken out of the queue of threads when nobody waits for it any more.
struct Call<R>(JoinHandle<R>);

impl<R> Future for Call<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        Pin::new(&mut self.0).poll(cx).map(Result::ok)
    }
}

impl<R> Drop for Call<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
