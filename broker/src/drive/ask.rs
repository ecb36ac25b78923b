//! Questions to authenticators, off the data path.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::task::JoinHandle;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::{Gate, Refusal};

use crate::worker::Shared;

/// Clients that wait for an authenticator, and how many may at once. Beyond, they are told that the server is busy:
/// waiting longer than a client's patience helps nobody.
#[derive(Debug)]
pub(crate) struct Authentications {
    waiting: AtomicUsize,
    most: AtomicUsize,
}

impl Authentications {
    /// Nobody waits, and `most` may.
    pub(crate) fn new(most: u32) -> Self {
        Self { waiting: AtomicUsize::new(0), most: AtomicUsize::new(most as usize) }
    }

    /// Changes the bound. Whoever waits goes on waiting.
    pub(crate) fn set_most(&self, most: u32) {
        self.most.store(most as usize, Ordering::Relaxed);
    }
}

/// An answer that is on its way. Taken out of the queue when nobody waits for it any more.
pub(super) struct Asking<T> {
    call: JoinHandle<Result<T, Refusal>>,
    _place: Waiting,
}

impl<T: Send + 'static> Asking<T> {
    /// Asks. A refusal when too many wait already.
    pub(super) fn start(
        shared: &Shared,
        question: impl FnOnce(&dyn Gate) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let Some(place) = Waiting::enter(&shared.authentications) else {
            return Err(Refusal::new(ReasonCode::ServerBusy));
        };
        let gate = Arc::clone(&shared.gate);
        let call = shared.control.spawn_blocking(move || question(&*gate));
        Ok(Self { call, _place: place })
    }
}

impl<T> Future for Asking<T> {
    type Output = Result<T, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.call).poll(cx));
        // Where the call itself broke nobody said yes.
        Poll::Ready(answer.unwrap_or_else(|_| Err(Refusal::new(ReasonCode::ServerUnavailable))))
    }
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.call.abort();
    }
}

/// A place among those that wait for an authenticator.
struct Waiting(Arc<Authentications>);

impl Waiting {
    fn enter(all: &Arc<Authentications>) -> Option<Self> {
        let place = Self(Arc::clone(all));
        let before = all.waiting.fetch_add(1, Ordering::Relaxed);
        (before < all.most.load(Ordering::Relaxed)).then_some(place)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
