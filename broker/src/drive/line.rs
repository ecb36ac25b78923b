//! Who has much to do does it a part at a time, and waits in line for the next one. Those in line are called one by one,
//! and between two of them everybody else of the worker has its turn: however many connections flood it, and however
//! many go at once, who has little to do waits for one part of one of them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::num::NonZeroU64;
use std::task::{Context, Poll, Waker};

use tokio::task::yield_now;

use crate::worker::with_local;

/// What one connection may do at a time, in units of [`BYTES`].
const WHOLE: u32 = 1024;
/// Bytes that are read or written for one unit.
const BYTES: usize = 256;
/// Units of a packet, or of a message that is delivered, whatever its length.
const PACKET: u32 = 4;
/// Mailboxes that one unit pays for. Their owners deliver in turns of their own.
const MAILBOXES: u64 = 64;

/// What is left of the part of the work that is to be done in one go. Far more than clients who wait for acknowledgements
/// have under way.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part(u32);

impl Part {
    /// All of it.
    pub(crate) fn whole() -> Self {
        Self(WHOLE)
    }

    /// Bytes were read or written.
    pub(super) fn moved(&mut self, bytes: usize) {
        self.spend((bytes / BYTES) as u64);
    }

    /// A packet was dealt with, which went to so many mailboxes.
    #[inline]
    pub(super) fn received(&mut self, mailboxes: u64) {
        self.spend(u64::from(PACKET) + mailboxes / MAILBOXES);
    }

    /// So many messages were delivered.
    pub(super) fn delivered(&mut self, messages: usize) {
        self.spend(messages as u64 * u64::from(PACKET));
    }

    /// Something was done that is a part by itself.
    pub(super) fn end(&mut self) {
        self.0 = 0;
    }

    #[inline]
    fn spend(&mut self, units: u64) {
        self.0 = self.0.saturating_sub(u32::try_from(units).unwrap_or(u32::MAX));
    }

    /// Whether nothing is left.
    #[inline]
    pub(super) fn is_done(self) -> bool {
        self.0 == 0
    }
}

/// Those in line from which on nobody joins it to hear out a client whose connection is over.
const LONG: usize = 256;

/// A place in the line of one worker.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ticket(NonZeroU64);

/// Those that wait, in one worker. Who has gone meanwhile is called in vain.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: VecDeque<Waker>,
    /// Whoever has this number, or a lower one, has been called.
    called: u64,
    /// Whoever calls, when nobody is there.
    caller: Option<Waker>,
}

impl Line {
    /// Takes the last place. The task is woken when it is called.
    pub(super) fn join(&mut self, cx: &Context<'_>) -> Ticket {
        self.waiting.push_back(cx.waker().clone());
        if let Some(caller) = self.caller.take() {
            caller.wake();
        }
        Ticket(NonZeroU64::MIN.saturating_add(self.called + self.waiting.len() as u64 - 1))
    }

    /// Whether somebody still waits with this ticket. It is good for one turn.
    pub(super) fn keeps(&self, ticket: &mut Option<Ticket>) -> bool {
        let waits = ticket.is_some_and(|Ticket(number)| number.get() > self.called);
        if !waits {
            *ticket = None;
        }
        waits
    }

    /// Whether so many wait that there are better things to do than to be polite.
    pub(super) fn is_long(&self) -> bool {
        self.waiting.len() >= LONG
    }

    /// Calls the first, as soon as there is one.
    pub(super) fn poll_call(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.waiting.pop_front() {
            Some(first) => {
                self.called += 1;
                first.wake();
                Poll::Ready(())
            }
            None => {
                self.caller = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Calls one after the other of this worker, for ever.
pub(crate) async fn call() {
    call_each(|cx| with_local(|local| local.line.poll_call(cx)).unwrap_or(Poll::Pending)).await;
}

async fn call_each(mut poll_call: impl FnMut(&Context<'_>) -> Poll<()>) {
    loop {
        poll_fn(|cx| poll_call(cx)).await;
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    #[test]
    fn a_part_is_done_after_so_many_packets_or_bytes_or_mailboxes() {
        let count = |spend: fn(&mut Part)| {
            let mut part = Part::whole();
            let mut times = 0;
            while !part.is_done() {
                spend(&mut part);
                times += 1;
            }
            times
        };
        assert_eq!(count(|part| part.received(0)), 256);
        assert_eq!(count(|part| part.delivered(1)), 256);
        assert_eq!(count(|part| part.moved(64 << 10)), 4);
        assert_eq!(count(|part| part.received(10_000)), 7);
        assert_eq!(count(|part| part.received(u64::MAX)), 1);
        assert_eq!(count(|part| part.moved(usize::MAX)), 1);
        assert_eq!(count(Part::end), 1);
    }

    #[test]
    fn who_is_in_line_is_called_in_order_and_once() {
        let mut line = Line::default();
        let cx = Context::from_waker(Waker::noop());
        assert!(line.poll_call(&cx).is_pending());
        let mut none = None;
        assert!(!line.keeps(&mut none), "who does not wait");
        let [mut first, mut second] = [(); 2].map(|()| Some(line.join(&cx)));
        assert!(line.keeps(&mut first) && line.keeps(&mut second));
        assert!(line.poll_call(&cx).is_ready());
        assert!(!line.keeps(&mut first) && line.keeps(&mut second));
        let mut again = Some(line.join(&cx));
        assert!(line.poll_call(&cx).is_ready());
        assert!(!line.keeps(&mut second) && line.keeps(&mut again));
        assert_eq!(second, None);
        assert!(line.poll_call(&cx).is_ready() && line.poll_call(&cx).is_pending());
        assert!(!line.keeps(&mut again));
    }

    #[test]
    fn between_two_that_are_called_everybody_else_has_a_turn() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let line = Rc::new(RefCell::new(Line::default()));
            let steps = Rc::new(Cell::new(0));
            for _ in 0..10 {
                let (line, steps) = (Rc::clone(&line), Rc::clone(&steps));
                let mut ticket = None;
                let mut left = 10;
                tokio::task::spawn_local(poll_fn(move |cx| {
                    let mut line = line.borrow_mut();
                    if line.keeps(&mut ticket) {
                        return Poll::Pending;
                    }
                    if left == 0 {
                        return Poll::Ready(());
                    }
                    left -= 1;
                    steps.set(steps.get() + 1);
                    ticket = Some(line.join(cx));
                    Poll::Pending
                }));
            }
            let theirs = Rc::clone(&line);
            tokio::task::spawn_local(call_each(move |cx| theirs.borrow_mut().poll_call(cx)));
            yield_now().await;
            // The first part is done at once.
            let mut last = steps.get();
            while last < 100 {
                yield_now().await;
                assert!(steps.get() <= last + 2, "{last} and then {}", steps.get());
                last = steps.get();
            }
        });
    }
}
