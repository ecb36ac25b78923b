//! How one worker wakes the connections of another: all of them at once.
//!
//! Waking a task of another thread costs a system call, and a message for ten thousand subscribers wakes thousands. Here
//! they are left in a list, and one task over there wakes them, which costs next to nothing on their own thread.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use wasmqtt_core::mailbox::Wakes;

/// Wakers that an empty list keeps room for, at most: who wakes more has enough to do to make another list.
const KEEP: usize = 1024;

/// One worker's: whom to wake there. Holds each connection once at most.
#[derive(Debug, Default)]
struct Bell(Mutex<Rung>);

#[derive(Debug, Default)]
struct Rung {
    wakers: Vec<Waker>,
    /// Of the task that wakes them; none when it was woken and has not looked yet.
    ringer: Option<Waker>,
}

/// Those of all workers, by their numbers.
#[derive(Debug)]
pub(crate) struct Bells(Box<[Bell]>);

impl Bells {
    /// For so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| Bell::default()).collect())
    }

    /// Wakes whom this worker has left messages for: its own at once, others over there.
    pub(crate) fn ring(&self, own: u32, wakes: &mut Wakes) {
        let mut wakes = wakes.drain().peekable();
        while let Some((worker, waker)) = wakes.next() {
            let bell = self.0.get(worker as usize).filter(|_| worker != own);
            let Some(bell) = bell else {
                waker.wake();
                continue;
            };
            let mut rung = bell.0.lock();
            rung.wakers.push(waker);
            // One lock for as many of the same worker as come in a row.
            while let Some((_, waker)) = wakes.next_if(|(next, _)| *next == worker) {
                rung.wakers.push(waker);
            }
            let ringer = rung.ringer.take();
            drop(rung);
            if let Some(ringer) = ringer {
                ringer.wake();
            }
        }
    }

    /// Wakes those of this worker that others have left messages for, whenever there are any. Never ready. `spare` is the
    /// list that takes the place of theirs: empty before and after, and the caller's for as long as it polls.
    pub(crate) fn poll_rung(
        &self,
        own: u32,
        cx: &mut Context<'_>,
        spare: &mut Vec<Waker>,
    ) -> Poll<()> {
        let Some(bell) = self.0.get(own as usize) else { return Poll::Pending };
        let mut rung = bell.0.lock();
        std::mem::swap(&mut rung.wakers, spare);
        if !rung.ringer.as_ref().is_some_and(|ringer| ringer.will_wake(cx.waker())) {
            rung.ringer = Some(cx.waker().clone());
        }
        drop(rung);
        spare.drain(..).for_each(Waker::wake);
        spare.shrink_to(KEEP);
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use wasmqtt_codec::QoS;
    use wasmqtt_core::limits::Queue;
    use wasmqtt_core::mailbox::{Delivery, Mailbox};
    use wasmqtt_core::message::{Message, Origin, Parts};
    use wasmqtt_core::time::Moment;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Count {
        fn get(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    fn asleep(worker: u32, count: &Arc<Count>) -> Mailbox {
        let mailbox = Mailbox::new("c".into(), Queue::default());
        mailbox.attach(1, Queue::default(), worker);
        let waker = Waker::from(Arc::clone(count));
        assert!(mailbox.poll_ready(1, 1, &mut Context::from_waker(&waker)).is_pending());
        mailbox
    }

    fn publish(to: &[Mailbox], wakes: &mut Wakes) {
        let parts = Parts {
            topic: "a",
            properties: Default::default(),
            payload: b"1",
            qos: QoS::AtMostOnce,
            retain: false,
            origin: Origin::Client,
            expires_at: None,
        };
        let message = Arc::new(Message::new(parts, None));
        for mailbox in to {
            let message = Arc::clone(&message);
            let qos = QoS::AtMostOnce;
            let delivery = Delivery { message, through: None, qos, retain: false, stored: false };
            mailbox.push(Moment(0), delivery, wakes);
        }
    }

    #[test]
    fn those_of_another_worker_are_woken_over_there_and_its_task_once() {
        let bells = Bells::new(2);
        let [own, theirs, ringer] = [(); 3].map(|()| Arc::<Count>::default());
        let task = Waker::from(Arc::clone(&ringer));
        let mut over_there = Context::from_waker(&task);
        let mut spare = Vec::new();
        assert!(bells.poll_rung(1, &mut over_there, &mut spare).is_pending());

        let mut wakes = Wakes::default();
        let here = [asleep(0, &own), asleep(0, &own)];
        let there = [asleep(1, &theirs), asleep(1, &theirs), asleep(1, &theirs)];
        publish(&here, &mut wakes);
        publish(&there, &mut wakes);
        bells.ring(0, &mut wakes);
        assert_eq!((own.get(), theirs.get(), ringer.get()), (2, 0, 1));

        // More before it has looked: nobody wakes it again.
        let late = [asleep(1, &theirs)];
        publish(&late, &mut wakes);
        bells.ring(0, &mut wakes);
        assert_eq!((theirs.get(), ringer.get()), (0, 1));
        assert!(bells.poll_rung(1, &mut over_there, &mut spare).is_pending());
        assert_eq!(theirs.get(), 4);

        // And again once it has.
        let again = [asleep(1, &theirs)];
        publish(&again, &mut wakes);
        bells.ring(0, &mut wakes);
        assert_eq!(ringer.get(), 2);
    }

    #[test]
    fn two_lists_take_turns_and_keep_room_for_some_only() {
        let (bells, count) = (Bells::new(2), Arc::<Count>::default());
        let task = Waker::from(Arc::new(Count::default()));
        let mut over_there = Context::from_waker(&task);
        let (mut wakes, mut spare) = (Wakes::default(), Vec::new());
        let mut ring = |many: usize, spare: &mut Vec<Waker>| {
            let there: Vec<Mailbox> = (0..many).map(|_| asleep(1, &count)).collect();
            publish(&there, &mut wakes);
            bells.ring(0, &mut wakes);
            let before = count.get();
            assert!(bells.poll_rung(1, &mut over_there, spare).is_pending());
            assert_eq!((count.get() - before, spare.len()), (many, 0));
        };
        for many in [5, 6, 7] {
            ring(many, &mut spare);
        }
        assert!((5..=KEEP).contains(&spare.capacity()));
        ring(2 * KEEP, &mut spare);
        assert!(spare.capacity() <= KEEP);
    }
}
