//! What of a client is put aside and not yet routed, by client identifier: it outlives the connection and the session that
//! left it, and whatever the same client does next has to wait for it. Must not know what is waited for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

/// Publications of one client identifier that may wait, all but one of them wills: a client that is behind is not read.
/// One that goes round in circles faster than its wills are judged loses those beyond.
pub(super) const MOST: usize = 16;

/// All that waits.
#[derive(Debug, Default)]
pub(super) struct Backlog(Arc<Lines>);

#[derive(Debug, Default)]
struct Lines {
    /// Tickets there are: mostly none, and nobody has to look further.
    tickets: AtomicUsize,
    by_client: Mutex<HashMap<Box<str>, Line, RandomState>>,
}

/// What waits of one client, in its order.
#[derive(Debug, Default)]
struct Line {
    tickets: VecDeque<u64>,
    next: u64,
    /// Of those who wait for the line to move.
    wakers: Vec<Waker>,
}

/// A place in the line of a client, for as long as it is kept.
#[derive(Debug)]
pub(super) struct Ticket {
    lines: Arc<Lines>,
    client_id: Box<str>,
    number: u64,
}

impl Backlog {
    /// Whether nothing of anybody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.tickets.load(Ordering::Acquire) == 0
    }

    /// Whether anything of this client waits.
    pub(super) fn has(&self, client_id: &str) -> bool {
        !self.is_empty() && self.0.by_client.lock().contains_key(client_id)
    }

    /// The last place in the line of this client; none when it is full.
    pub(super) fn enter(&self, client_id: &str) -> Option<Ticket> {
        let mut by_client = self.0.by_client.lock();
        if !by_client.contains_key(client_id) {
            by_client.insert(client_id.into(), Line::default());
        }
        let line = by_client.get_mut(client_id).filter(|line| line.tickets.len() < MOST)?;
        let number = line.next;
        line.next += 1;
        line.tickets.push_back(number);
        self.0.tickets.fetch_add(1, Ordering::Release);
        Some(Ticket { lines: Arc::clone(&self.0), client_id: client_id.into(), number })
    }

    /// Ready when nothing of this client waits.
    pub(super) fn poll_clear(&self, client_id: &str, cx: &Context<'_>) -> Poll<()> {
        match self.0.by_client.lock().get_mut(client_id) {
            Some(line) => line.wait(cx),
            None => Poll::Ready(()),
        }
    }
}

impl Line {
    fn wait(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Ticket {
    /// Ready when nothing waits before it.
    pub(super) fn poll_first(&self, cx: &Context<'_>) -> Poll<()> {
        match self.lines.by_client.lock().get_mut(&self.client_id) {
            Some(line) if line.tickets.front() != Some(&self.number) => line.wait(cx),
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut by_client = self.lines.by_client.lock();
        let Some(line) = by_client.get_mut(&self.client_id) else { return };
        line.tickets.retain(|number| *number != self.number);
        let wakers = std::mem::take(&mut line.wakers);
        if line.tickets.is_empty() {
            by_client.remove(&self.client_id);
        }
        self.lines.tickets.fetch_sub(1, Ordering::Release);
        drop(by_client);
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicU32);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn each_ticket_waits_for_those_before_it_and_whoever_comes_next_for_all() {
        let (backlog, bell) = (Backlog::default(), Arc::<Bell>::default());
        let waker = Waker::from(Arc::clone(&bell));
        let cx = Context::from_waker(&waker);
        assert!(backlog.poll_clear("c", &cx).is_ready());
        let first = backlog.enter("c").unwrap();
        let second = backlog.enter("c").unwrap();
        let third = backlog.enter("c").unwrap();
        assert!(backlog.has("c") && !backlog.has("d"));
        assert!(backlog.poll_clear("d", &cx).is_ready());
        assert!(first.poll_first(&cx).is_ready());
        for _ in 0..3 {
            assert!(third.poll_first(&cx).is_pending());
            assert!(backlog.poll_clear("c", &cx).is_pending());
        }
        // One that is given up is waited for by nobody.
        drop(second);
        assert_eq!(bell.0.load(Ordering::Relaxed), 1, "asked often, woken once");
        assert!(third.poll_first(&cx).is_pending());
        drop(first);
        assert_eq!(bell.0.load(Ordering::Relaxed), 2);
        assert!(third.poll_first(&cx).is_ready());
        assert!(backlog.poll_clear("c", &cx).is_pending());
        drop(third);
        assert_eq!(bell.0.load(Ordering::Relaxed), 3);
        assert!(backlog.poll_clear("c", &cx).is_ready());
        assert!(backlog.is_empty() && backlog.0.by_client.lock().is_empty(), "nothing is left");
    }

    #[test]
    fn a_line_that_is_full_takes_nothing_more_and_others_do() {
        let backlog = Backlog::default();
        let mut tickets: Vec<_> = (0..MOST).map(|_| backlog.enter("c").unwrap()).collect();
        assert!(backlog.enter("c").is_none());
        assert!(backlog.enter("d").is_some());
        tickets.pop();
        tickets.extend(backlog.enter("c"));
        assert_eq!(tickets.len(), MOST);
        tickets.clear();
        assert!(backlog.is_empty());
    }
}
