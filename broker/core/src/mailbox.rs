//! The only way a message reaches anyone: bounded, ordered, without a runtime.
//!
//! Publishers push and never wait. The owner pulls at its own pace and leaves a [`Waker`] when there is nothing
//! to pull. Must not know sessions, connections or subscriptions.

mod delivery;
mod replay;
mod waiting;
mod wakes;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use wasmqtt_codec::{QoS, ReasonCode};

use crate::limits::{Overflow, Queue, REPLAY_AT_ONCE, TURN_BYTES};
use crate::redirect::Redirect;
use crate::time::Moment;
use waiting::{Front, Waiting};

pub use delivery::{Delivery, Through};
pub(crate) use replay::Replay;
pub use wakes::Wakes;

/// What the owner of a mailbox has to know besides messages.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Another connection took the session [MQTT-3.1.4-3].
    TakenOver,
    /// Close with this code; the session follows its expiry.
    Disconnect(ReasonCode),
    /// The same, with a sentence for the client.
    Dismiss(ReasonCode, Arc<str>),
    /// Close and tell the client where to go instead; the session follows its expiry.
    Redirect(Arc<Redirect>),
    /// Close with this code and end the session.
    EndSession(ReasonCode),
}

/// What became of a push.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Pushed {
    /// It waits for the owner.
    Queued,
    /// It waits, and older ones gave way.
    Displaced(u32),
    /// It was dropped.
    Dropped,
    /// It was dropped, and the session has to be ended by whoever pushed: there is no owner to do it.
    EndSession,
}

/// Whom an offer is for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// An owner that is there, on this worker, and has a place in its window for all that waits and one more.
    Lane(u32),
    /// An owner that is there, and has such a place.
    Ready,
    /// An owner that is there, and had any place in its window when it last looked.
    Reading,
    /// An owner that is there.
    Connected,
    /// An owner, there or away.
    Anyone,
}

/// A bounded queue of deliveries with one owner.
#[derive(Debug)]
pub struct Mailbox {
    client_id: Arc<str>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    queue: Waiting,
    /// Of what was published; retained messages have a bound of their own.
    bytes: u64,
    bound: Queue,
    /// Number of the connection that pulls; 0 = nobody.
    owner: u64,
    /// The highest number that ever pulled: numbers rise with every connection.
    latest: u64,
    /// Number of the worker that the owner lives on.
    lane: u32,
    /// How many messages with QoS 1 or 2 the owner had a place for when it last looked.
    window: usize,
    closed: bool,
    notice: Option<Notice>,
    /// The owner's subscriptions are to be judged again.
    rejudge: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    /// An empty mailbox that nobody owns yet, for the session of `client_id`.
    pub fn new(client_id: Arc<str>, bound: Queue) -> Self {
        let inner = Inner {
            queue: Waiting::default(),
            bytes: 0,
            bound,
            owner: 0,
            latest: 0,
            lane: 0,
            window: usize::MAX,
            closed: false,
            notice: None,
            rejudge: false,
            waker: None,
        };
        Self { client_id, inner: Mutex::new(inner) }
    }

    /// Whose session it belongs to.
    pub fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// A connection on this worker takes the mailbox over, with its own bound. The owner before it is woken, and finds out. One
    /// that comes too late, because another took the session from it meanwhile, finds out itself.
    pub fn attach(&self, owner: u64, bound: Queue, lane: u32) {
        let mut inner = self.inner.lock();
        if owner < inner.latest {
            return;
        }
        inner.latest = owner;
        inner.bound = bound;
        inner.owner = owner;
        inner.lane = lane;
        inner.window = usize::MAX;
        inner.notice = None;
        inner.rejudge = false;
        wake(inner);
    }

    /// Its owner has another bound from now on. What waits beyond it gives way to what comes next.
    pub(crate) fn set_bound(&self, owner: u64, bound: Queue) {
        let mut inner = self.inner.lock();
        if inner.owner == owner {
            inner.bound = bound;
        }
    }

    /// The owner leaves; QoS 0 messages no longer wait here, unless the bound says that they do. Nothing happens when
    /// another one has taken it over.
    pub fn detach(&self, owner: u64) {
        let mut inner = self.inner.lock();
        if inner.owner != owner {
            return;
        }
        inner.owner = 0;
        inner.notice = None;
        inner.waker = None;
        if !inner.bound.qos0 {
            inner.queue.retain(|delivery| delivery.qos != QoS::AtMostOnce);
            inner.queue.retain_replays(|replay| replay.options.qos != QoS::AtMostOnce);
            inner.bytes = inner.queue.live_bytes();
        }
    }

    /// The session is over: drops what waits and takes nothing more. An owner is woken, and finds out. What came
    /// through a share group is handed out, in order: another member may have it.
    pub fn close(&self) -> Vec<Delivery> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        let mut queue = std::mem::take(&mut inner.queue);
        inner.bytes = 0;
        wake(inner);
        queue.take(|delivery| delivery.share().is_some())
    }

    /// Hands out what waits and came through this shared subscription, in order.
    pub fn take_share(&self, filter: &str) -> Vec<Delivery> {
        self.inner.lock().take_share(filter)
    }

    /// As [`Mailbox::take_share`], but only while nobody owns it.
    pub(crate) fn take_share_while_away(&self, filter: &str) -> Vec<Delivery> {
        let mut inner = self.inner.lock();
        if inner.owner == 0 { inner.take_share(filter) } else { Vec::new() }
    }

    /// Tells the owner something, ahead of all messages. The first notice stands.
    pub fn notify(&self, notice: Notice) {
        let mut inner = self.inner.lock();
        if inner.owner == 0 {
            return;
        }
        inner.notice.get_or_insert(notice);
        wake(inner);
    }

    /// Asks the owner to have its subscriptions judged again. Without an owner nothing is asked: whoever attaches next
    /// is judged then.
    pub fn ask_rejudge(&self) {
        let mut inner = self.inner.lock();
        if inner.owner != 0 {
            inner.rejudge = true;
            wake(inner);
        }
    }

    /// Whether that was asked of this owner, once.
    pub fn take_rejudge(&self, owner: u64) -> bool {
        let mut inner = self.inner.lock();
        inner.owner == owner && std::mem::take(&mut inner.rejudge)
    }

    /// Drops what waits and `keep` does not want.
    pub fn retain(&self, keep: impl Fn(&Delivery) -> bool) {
        let mut inner = self.inner.lock();
        inner.queue.retain(keep);
        inner.bytes = inner.queue.live_bytes();
    }

    /// Leaves a delivery for the owner, who is one of those to wake. Never waits.
    pub fn push(&self, now: Moment, delivery: Delivery, wakes: &mut Wakes) -> Pushed {
        let mut inner = self.inner.lock();
        let pushed = inner.push(now, delivery);
        wakes.take_from(&mut inner);
        pushed
    }

    /// Leaves the retained messages of a subscription for the owner: those that were `found`, or, when these are too many
    /// to wait here, a note to read them from the store in time. A note for the same filter is replaced.
    pub(crate) fn push_retained(&self, replay: Replay, found: Option<Vec<Delivery>>) {
        let mut inner = self.inner.lock();
        inner.queue.retain_replays(|other| other.filter != replay.filter);
        let waiting = inner.queue.stored();
        match found.filter(|found| waiting + found.len() <= REPLAY_AT_ONCE) {
            _ if inner.closed => return,
            Some(found) => found.into_iter().for_each(|one| inner.queue.push_back(one)),
            None => inner.queue.push_replay(replay),
        }
        wake(inner);
    }

    /// The retained messages that are to be read next from the store, when nothing comes before them.
    pub(crate) fn due_replay(&self, owner: u64) -> Option<Replay> {
        let inner = self.inner.lock();
        match inner.queue.front() {
            Some(Front::Replay(replay)) if inner.owner == owner => Some(replay.clone()),
            _ => None,
        }
    }

    /// Takes what was read for the replay that is due, and how it goes on; none = nothing is left to read. Does nothing
    /// when the mailbox was taken over meanwhile: the next owner reads it again.
    pub(crate) fn refill(&self, owner: u64, read: Vec<Delivery>, rest: Option<Replay>) {
        let mut inner = self.inner.lock();
        if inner.owner != owner || !matches!(inner.queue.front(), Some(Front::Replay(_))) {
            return;
        }
        inner.queue.refill(read);
        inner.queue.go_on(rest);
    }

    /// Reads nothing more from the store for this filter.
    pub(crate) fn end_replay(&self, filter: &str) {
        self.inner.lock().queue.retain_replays(|replay| &*replay.filter != filter);
    }

    /// Leaves a delivery if nothing has to give way for it and `whom` is met; else it comes back.
    pub fn offer(
        &self,
        now: Moment,
        delivery: Delivery,
        whom: Whom,
        wakes: &mut Wakes,
    ) -> Option<Delivery> {
        let mut inner = self.inner.lock();
        inner.forget_old(now);
        let is_met = match whom {
            Whom::Lane(lane) => inner.lane == lane && inner.is_ready(delivery.qos),
            Whom::Ready => inner.is_ready(delivery.qos),
            Whom::Reading => inner.owner != 0 && inner.window > 0,
            Whom::Connected => inner.owner != 0,
            Whom::Anyone => true,
        };
        let size = delivery.message.size() as u64;
        if inner.closed || !is_met || !inner.keeps(&delivery) || !inner.has_room(size) {
            return Some(delivery);
        }
        inner.add(now, delivery);
        wakes.take_from(&mut inner);
        None
    }

    /// Whether it outlives its connection or has one.
    pub fn is_open(&self) -> bool {
        !self.inner.lock().closed
    }

    /// Takes up to `most` deliveries, of them at most `window` with QoS 1 or 2; stops at the first that the
    /// window has no place for, so that order is kept, and once they come to [`TURN_BYTES`]. Answers how many had waited
    /// too long, and were dropped.
    pub fn pull(
        &self,
        now: Moment,
        owner: u64,
        most: usize,
        window: usize,
        into: &mut Vec<Delivery>,
    ) -> usize {
        let mut inner = self.inner.lock();
        if inner.owner != owner {
            return 0;
        }
        let too_old = inner.forget_old(now);
        let (mut window, mut bytes) = (window, 0);
        for _ in 0..most {
            if bytes >= TURN_BYTES {
                break;
            }
            match inner.queue.front() {
                Some(Front::Delivery(next)) if next.qos == QoS::AtMostOnce => {}
                Some(Front::Delivery(_)) if window > 0 => window -= 1,
                _ => break,
            }
            let Some(delivery) = inner.pop() else { break };
            bytes += delivery.message.size();
            into.push(delivery);
        }
        inner.window = window;
        inner.queue.shrink();
        too_old
    }

    /// Takes back what its puller could not send any more, because the mailbox was taken over meanwhile. Once the
    /// session is over, what came through a share group is handed out, as by [`Mailbox::close`].
    pub fn give_back(&self, deliveries: &mut Vec<Delivery>) -> Vec<Delivery> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return deliveries.drain(..).filter(|back| back.share().is_some()).collect();
        }
        for delivery in deliveries.drain(..).rev() {
            if inner.keeps(&delivery) {
                inner.queue.push_front(delivery);
            }
        }
        inner.bytes = inner.queue.live_bytes();
        wake(inner);
        Vec::new()
    }

    /// Ready when there is a notice, or a delivery that a window of this size has a place for; else the owner
    /// is woken at the next push.
    pub fn poll_ready(&self, owner: u64, window: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.owner == owner {
            inner.window = window;
        }
        let deliverable = match inner.queue.front() {
            Some(Front::Delivery(next)) => window > 0 || next.qos == QoS::AtMostOnce,
            // Reading needs no place in the window, and goes only as far as it has to.
            Some(Front::Replay(_)) => true,
            None => false,
        };
        if deliverable { Poll::Ready(()) } else { inner.poll_notice(owner, cx) }
    }

    /// Ready when there is a notice; else the owner is woken at the next one, or at the next push. For an owner
    /// that can take no delivery now.
    pub fn poll_notice(&self, owner: u64, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.lock().poll_notice(owner, cx)
    }

    /// Takes the notice, if there is one. Somebody who is not the owner any more is told so.
    pub fn take_notice(&self, owner: u64) -> Option<Notice> {
        let mut inner = self.inner.lock();
        if inner.owner != owner || inner.closed {
            return Some(Notice::TakenOver);
        }
        inner.notice.take()
    }

    /// Deliveries that wait.
    pub fn len(&self) -> usize {
        self.inner.lock().queue.len()
    }

    /// Those that the queue's bound is about: what was published, without retained messages that a subscription asked for.
    pub fn published(&self) -> usize {
        self.inner.lock().queue.live.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Wakes the sleeping owner after letting go of the lock.
fn wake(mut inner: MutexGuard<'_, Inner>) {
    let waker = inner.waker.take();
    drop(inner);
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl Inner {
    fn take_share(&mut self, filter: &str) -> Vec<Delivery> {
        if self.queue.len() == 0 {
            return Vec::new();
        }
        let came = |delivery: &Delivery| delivery.share().is_some_and(|share| **share == *filter);
        let taken = self.queue.take(came);
        self.bytes = self.queue.live_bytes();
        taken
    }

    fn poll_notice(&mut self, owner: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.notice.is_some() || self.rejudge || self.owner != owner || self.closed {
            return Poll::Ready(());
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn push(&mut self, now: Moment, delivery: Delivery) -> Pushed {
        if self.closed || !self.keeps(&delivery) {
            return Pushed::Dropped;
        }
        let size = delivery.message.size() as u64;
        let mut displaced = u32::try_from(self.forget_old(now)).unwrap_or(u32::MAX);
        while !self.has_room(size) {
            match self.bound.overflow {
                Overflow::DropNewest => return Pushed::Dropped,
                Overflow::DropOldest => {
                    let Some((_, gone)) = self.queue.live.pop_front() else {
                        return Pushed::Dropped;
                    };
                    self.uncount(&gone);
                    displaced += 1;
                }
                Overflow::EndSession if self.owner != 0 => {
                    self.notice.get_or_insert(Notice::EndSession(ReasonCode::QuotaExceeded));
                    return Pushed::Dropped;
                }
                Overflow::EndSession => return Pushed::EndSession,
                Overflow::Disconnect => {
                    if self.owner != 0 {
                        self.notice.get_or_insert(Notice::Disconnect(ReasonCode::QuotaExceeded));
                    }
                    return Pushed::Dropped;
                }
            }
        }
        self.add(now, delivery);
        if displaced == 0 { Pushed::Queued } else { Pushed::Displaced(displaced) }
    }

    fn add(&mut self, now: Moment, delivery: Delivery) {
        if self.bound.age > 0 {
            self.queue.note(now, self.bound.age);
        }
        self.bytes += delivery.message.size() as u64;
        self.queue.push_back(delivery);
    }

    /// Drops what has waited too long; answers how many.
    #[inline]
    fn forget_old(&mut self, now: Moment) -> usize {
        if self.bound.age == 0 { 0 } else { self.forget_older(now) }
    }

    fn forget_older(&mut self, now: Moment) -> usize {
        let gone = self.queue.forget_old(now, self.bound.age);
        if gone > 0 {
            self.bytes = self.queue.live_bytes();
        }
        gone
    }

    /// Whether a message of this QoS may wait here while nobody is there to take it.
    fn keeps(&self, delivery: &Delivery) -> bool {
        self.owner != 0 || self.bound.qos0 || delivery.qos != QoS::AtMostOnce
    }

    /// Whether the owner can send one more message of this QoS behind all that waits without waiting for an
    /// acknowledgement.
    fn is_ready(&self, qos: QoS) -> bool {
        self.owner != 0 && (qos == QoS::AtMostOnce || self.queue.len() < self.window)
    }

    /// A message larger than the byte bound still passes an empty queue; else it could never be delivered.
    fn has_room(&self, size: u64) -> bool {
        self.queue.live.len() < self.bound.messages as usize
            && (self.queue.live.is_empty() || self.bytes + size <= self.bound.bytes)
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.queue.pop_front()?;
        self.uncount(&delivery);
        Some(delivery)
    }

    fn uncount(&mut self, delivery: &Delivery) {
        if !delivery.stored {
            self.bytes = self.bytes.saturating_sub(delivery.message.size() as u64);
        }
    }
}

#[cfg(test)]
mod tests;
