//! Handshakes take turns with everybody else. A step of one costs as much as a hundred messages, and thousands may
//! begin at once: without this, whoever is connected would wait for all of them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Handshakes of one worker that may take a step before others have theirs.
const STEPS: usize = 1;

/// Whose turn it is, in one worker.
#[derive(Clone, Debug)]
pub(crate) struct Turns(Arc<Semaphore>);

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(STEPS)))
    }

    /// Runs `work` to its end. Between two of its steps everything else that can go on in this worker does; who waits
    /// for its step is served in order.
    pub(super) async fn take<F: Future + Unpin>(&self, mut work: F) -> F::Output {
        loop {
            let turn = self.0.acquire().await;
            let done = poll_fn(|cx| Poll::Ready(Pin::new(&mut work).poll(cx))).await;
            yield_now().await;
            drop(turn);
            if let Poll::Ready(done) = done {
                return done;
            }
            // What has come meanwhile is taken at once: no more of them get here in one round than have a turn.
            let mut asked = false;
            let woken = poll_fn(|cx| match std::mem::replace(&mut asked, true) {
                false => Pin::new(&mut work).poll(cx).map(Some),
                true => Poll::Ready(None),
            });
            if let Some(done) = woken.await {
                return done;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// Runs on one thread, as a worker does.
    fn run(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, work);
    }

    #[test]
    fn everybody_else_has_a_turn_between_two_steps() {
        run(async {
            let (turns, steps) = (Turns::new(), Rc::new(Cell::new(0)));
            for _ in 0..100 {
                let (turns, steps) = (turns.clone(), Rc::clone(&steps));
                tokio::task::spawn_local(async move {
                    let step = poll_fn(|_| {
                        steps.set(steps.get() + 1);
                        Poll::Ready(())
                    });
                    turns.take(step).await;
                });
            }
            let mut last = 0;
            while last < 100 {
                yield_now().await;
                assert!(steps.get() <= last + 2 * STEPS, "{last} and then {}", steps.get());
                last = steps.get();
            }
        });
    }

    #[test]
    fn who_waits_for_something_keeps_nobody_from_its_turn_and_is_woken() {
        run(async {
            let turns = Turns::new();
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let first = turns.clone();
            let waiting = tokio::task::spawn_local(async move { first.take(receiver).await });
            for _ in 0..10 {
                yield_now().await;
            }
            turns.take(std::future::ready(())).await;
            sender.send(7).unwrap();
            assert_eq!(waiting.await.unwrap(), Ok(7));
            // Nothing is lost either where it has come before its turn is over.
            let (sender, receiver) = tokio::sync::oneshot::channel();
            let mut receiver = receiver;
            let mut polls = 0;
            let mut sender = Some(sender);
            let eager = poll_fn(|cx| {
                polls += 1;
                let polled = Pin::new(&mut receiver).poll(cx);
                if polls == 1 {
                    sender.take().map(|sender| sender.send(8));
                }
                polled
            });
            assert_eq!(turns.take(eager).await, Ok(8));
        });
    }
}
