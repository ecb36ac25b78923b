//! What a mailbox does at its bound, and for whom.

use super::*;
use crate::message::{Message, Origin, Parts};
use crate::subscription::SubscriptionOptions;

const NOW: Moment = Moment(0);

fn push(mailbox: &Mailbox, now: Moment, delivery: Delivery) -> Pushed {
    mailbox.push(now, delivery, &mut Wakes::default())
}

fn delivery(payload: &str, qos: QoS) -> Delivery {
    let parts = Parts {
        topic: "t",
        properties: Default::default(),
        payload: payload.as_bytes(),
        qos,
        retain: false,
        origin: Origin::Client,
        expires_at: None,
    };
    let message = Arc::new(Message::new(parts, None));
    Delivery { message, through: None, qos, retain: false, stored: false }
}

fn mailbox(messages: u32, overflow: Overflow) -> Mailbox {
    let bound = Queue { messages, bytes: 1000, overflow, qos0: false, age: 0 };
    let mailbox = Mailbox::new("c".into(), bound);
    mailbox.attach(1, bound, 0);
    mailbox
}

fn pull(mailbox: &Mailbox, window: usize) -> Vec<String> {
    let mut pulled = Vec::new();
    let owner = mailbox.inner.lock().owner;
    mailbox.pull(NOW, owner, 100, window, &mut pulled);
    pulled.iter().map(|d| String::from_utf8_lossy(d.message.payload()).into_owned()).collect()
}

#[test]
fn what_was_pushed_comes_out_in_order() {
    let mailbox = mailbox(10, Overflow::DropNewest);
    for payload in ["1", "2", "3"] {
        assert_eq!(push(&mailbox, NOW, delivery(payload, QoS::AtMostOnce)), Pushed::Queued);
    }
    assert_eq!(pull(&mailbox, 0), ["1", "2", "3"]);
    assert!(mailbox.is_empty());
}

#[test]
fn at_the_bound_the_newest_is_dropped_when_the_policy_says_so() {
    let mailbox = mailbox(2, Overflow::DropNewest);
    push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtLeastOnce));
    assert_eq!(push(&mailbox, NOW, delivery("3", QoS::AtLeastOnce)), Pushed::Dropped);
    assert_eq!(pull(&mailbox, 9), ["1", "2"]);
}

#[test]
fn at_the_bound_the_oldest_gives_way_when_the_policy_says_so() {
    let mailbox = mailbox(2, Overflow::DropOldest);
    push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtLeastOnce));
    assert_eq!(push(&mailbox, NOW, delivery("3", QoS::AtLeastOnce)), Pushed::Displaced(1));
    assert_eq!(pull(&mailbox, 9), ["2", "3"]);
}

#[test]
fn bytes_are_bounded_too_but_one_large_message_passes_an_empty_queue() {
    let mailbox = mailbox(100, Overflow::DropNewest);
    let large = "x".repeat(5000);
    assert_eq!(push(&mailbox, NOW, delivery(&large, QoS::AtLeastOnce)), Pushed::Queued);
    assert_eq!(push(&mailbox, NOW, delivery("small", QoS::AtLeastOnce)), Pushed::Dropped);
    assert_eq!(pull(&mailbox, 9).len(), 1);
    assert_eq!(push(&mailbox, NOW, delivery("small", QoS::AtLeastOnce)), Pushed::Queued);
}

#[test]
fn overflow_can_disconnect_or_end_the_session() {
    let connected = mailbox(1, Overflow::Disconnect);
    push(&connected, NOW, delivery("1", QoS::AtLeastOnce));
    assert_eq!(push(&connected, NOW, delivery("2", QoS::AtLeastOnce)), Pushed::Dropped);
    assert_eq!(connected.take_notice(1), Some(Notice::Disconnect(ReasonCode::QuotaExceeded)));

    let ending = mailbox(1, Overflow::EndSession);
    push(&ending, NOW, delivery("1", QoS::AtLeastOnce));
    assert_eq!(push(&ending, NOW, delivery("2", QoS::AtLeastOnce)), Pushed::Dropped);
    assert_eq!(ending.take_notice(1), Some(Notice::EndSession(ReasonCode::QuotaExceeded)));
    ending.detach(1);
    assert_eq!(push(&ending, NOW, delivery("3", QoS::AtLeastOnce)), Pushed::EndSession);
}

#[test]
fn a_closed_window_holds_back_acknowledged_messages_and_all_behind_them() {
    let mailbox = mailbox(10, Overflow::DropNewest);
    push(&mailbox, NOW, delivery("0", QoS::AtMostOnce));
    push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtMostOnce));
    assert_eq!(pull(&mailbox, 0), ["0"]);
    assert_eq!(pull(&mailbox, 1), ["1", "2"]);
}

#[test]
fn a_detached_mailbox_keeps_only_acknowledged_messages() {
    let mailbox = mailbox(10, Overflow::DropNewest);
    push(&mailbox, NOW, delivery("0", QoS::AtMostOnce));
    push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce));
    mailbox.detach(1);
    assert_eq!(push(&mailbox, NOW, delivery("2", QoS::AtMostOnce)), Pushed::Dropped);
    assert_eq!(push(&mailbox, NOW, delivery("3", QoS::AtLeastOnce)), Pushed::Queued);
    assert_eq!(pull(&mailbox, 9), ["1", "3"]);
}

#[test]
fn where_qos_0_waits_it_counts_and_is_given_back_like_the_rest() {
    let bound =
        Queue { messages: 2, bytes: 1000, overflow: Overflow::DropOldest, qos0: true, age: 0 };
    let mailbox = Mailbox::new("c".into(), bound);
    mailbox.attach(1, bound, 0);
    push(&mailbox, NOW, delivery("1", QoS::AtMostOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtMostOnce));
    mailbox.detach(1);
    assert_eq!(push(&mailbox, NOW, delivery("3", QoS::AtMostOnce)), Pushed::Displaced(1));
    mailbox.attach(2, bound, 0);
    let mut taken = Vec::new();
    mailbox.pull(NOW, 2, 9, 9, &mut taken);
    mailbox.attach(3, bound, 0);
    mailbox.give_back(&mut taken);
    assert_eq!(pull(&mailbox, 0), ["2", "3"]);
}

fn replay(filter: &str) -> Replay {
    let options = SubscriptionOptions {
        qos: QoS::AtLeastOnce,
        no_local: false,
        retain_as_published: false,
        identifier: None,
    };
    Replay { filter: filter.into(), options, through: None, at: 0, until: 9 }
}

fn stored(payload: &str) -> Delivery {
    Delivery { stored: true, ..delivery(payload, QoS::AtLeastOnce) }
}

#[test]
fn retained_messages_have_a_bound_of_their_own() {
    let mailbox = mailbox(1, Overflow::DropNewest);
    let some = || Some((0..100).map(|_| stored("r")).collect());
    mailbox.push_retained(replay("a"), some());
    mailbox.push_retained(replay("b"), some());
    mailbox.push_retained(replay("c"), some());
    assert_eq!(mailbox.len(), 201, "a note stands for the third");
    assert_eq!(push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce)), Pushed::Queued);
    assert_eq!(pull(&mailbox, 999).len(), 100);
    assert_eq!(pull(&mailbox, 999).len(), 100);
    assert_eq!(pull(&mailbox, 999), [""; 0], "what comes after the note waits");
    assert_eq!(mailbox.due_replay(1).unwrap().filter, "c".into());
    mailbox.refill(1, vec![stored("r1"), stored("r2")], Some(replay("c")));
    assert_eq!(pull(&mailbox, 9), ["r1", "r2"]);
    mailbox.refill(1, vec![stored("r3")], None);
    assert_eq!(pull(&mailbox, 9), ["r3", "1"]);
    assert!(mailbox.is_empty());
}

#[test]
fn a_note_is_replaced_by_the_next_for_its_filter_and_goes_with_its_subscription() {
    let mailbox = mailbox(9, Overflow::DropNewest);
    for _ in 0..3 {
        mailbox.push_retained(replay("a"), None);
        mailbox.push_retained(replay("b"), None);
    }
    assert_eq!(mailbox.len(), 2);
    mailbox.end_replay("a");
    assert_eq!(mailbox.due_replay(1).unwrap().filter, "b".into());
    mailbox.end_replay("b");
    assert!(mailbox.due_replay(1).is_none() && mailbox.is_empty());
}

#[test]
fn who_lost_the_mailbox_reads_no_retained_messages_into_it() {
    let mailbox = mailbox(9, Overflow::DropNewest);
    mailbox.push_retained(replay("a"), None);
    mailbox.attach(2, Queue::default(), 0);
    assert!(mailbox.due_replay(1).is_none());
    mailbox.refill(1, vec![stored("r")], None);
    assert_eq!(mailbox.len(), 1, "the note is still there");
    assert!(mailbox.due_replay(2).is_some());
}

#[test]
fn what_has_waited_too_long_gives_way_at_every_bound_of_time() {
    let bound = Queue { age: 8, ..Queue::default() };
    let mailbox = Mailbox::new("c".into(), bound);
    mailbox.attach(1, bound, 0);
    for second in 0..20 {
        let payload = second.to_string();
        push(&mailbox, Moment(second * 1000), delivery(&payload, QoS::AtLeastOnce));
        let notes = mailbox.inner.lock().queue.notes();
        assert!(notes <= 12 && mailbox.len() <= 10, "{notes}");
    }
    let mut taken = Vec::new();
    assert_eq!(mailbox.pull(Moment(20_000), 1, 1, 9, &mut taken), 1);
    assert_eq!(taken[0].message.payload(), b"12", "nine seconds at the most");
    taken.clear();
    assert_eq!(mailbox.pull(Moment(60_000), 1, 9, 9, &mut taken), 7);
    assert!(taken.is_empty());
    let inner = mailbox.inner.lock();
    assert_eq!((inner.bytes, inner.queue.notes()), (0, 0));
}

#[test]
fn without_a_bound_of_time_messages_wait_and_nothing_is_noted() {
    let mailbox = mailbox(9, Overflow::DropNewest);
    push(&mailbox, Moment(0), delivery("1", QoS::AtLeastOnce));
    let mut taken = Vec::new();
    assert_eq!(mailbox.pull(Moment(u64::MAX), 1, 9, 9, &mut taken), 0);
    assert_eq!((taken.len(), mailbox.inner.lock().queue.notes()), (1, 0));
}

#[test]
fn who_lost_the_mailbox_gets_nothing_more_and_gives_back_what_it_took() {
    let mailbox = mailbox(10, Overflow::DropNewest);
    push(&mailbox, NOW, delivery("1", QoS::AtLeastOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtLeastOnce));
    let mut taken = Vec::new();
    mailbox.pull(NOW, 1, 1, 9, &mut taken);
    mailbox.attach(2, Queue::default(), 0);
    assert_eq!(mailbox.take_notice(1), Some(Notice::TakenOver));
    assert_eq!(mailbox.take_notice(2), None);
    mailbox.give_back(&mut taken);
    mailbox.pull(NOW, 1, 9, 9, &mut taken);
    assert!(taken.is_empty());
    mailbox.detach(1);
    assert_eq!(pull(&mailbox, 9), ["1", "2"]);
}

#[test]
fn who_attaches_too_late_does_not_take_the_mailbox_from_its_successor() {
    let mailbox = mailbox(10, Overflow::DropNewest);
    mailbox.attach(3, Queue::default(), 0);
    mailbox.attach(2, Queue::default(), 0);
    assert_eq!(mailbox.take_notice(2), Some(Notice::TakenOver));
    assert_eq!(mailbox.take_notice(3), None);
    mailbox.detach(3);
    mailbox.attach(2, Queue::default(), 0);
    assert!(
        mailbox
            .offer(NOW, delivery("1", QoS::AtLeastOnce), Whom::Connected, &mut Wakes::default())
            .is_some()
    );
}

#[test]
fn a_sleeping_owner_is_woken_once_for_many_messages() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let mailbox = mailbox(10, Overflow::DropNewest);
    assert!(mailbox.poll_ready(1, 1, &mut Context::from_waker(&waker)).is_pending());
    push(&mailbox, NOW, delivery("1", QoS::AtMostOnce));
    push(&mailbox, NOW, delivery("2", QoS::AtMostOnce));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(mailbox.poll_ready(1, 1, &mut Context::from_waker(&waker)).is_ready());
}

struct Rings(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Rings {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn an_owner_is_woken_once_and_when_the_publisher_is_done() {
    let mailbox = mailbox(9, Overflow::DropNewest);
    let rings = Arc::new(Rings(Default::default()));
    let waker = Waker::from(Arc::clone(&rings));
    let mut context = Context::from_waker(&waker);
    assert!(mailbox.poll_ready(1, 1, &mut context).is_pending());
    let rung = || rings.0.load(std::sync::atomic::Ordering::Relaxed);

    let mut wakes = Wakes::default();
    for payload in ["1", "2", "3"] {
        mailbox.push(NOW, delivery(payload, QoS::AtMostOnce), &mut wakes);
    }
    assert_eq!(rung(), 0);
    wakes.wake();
    assert_eq!(rung(), 1);
    assert!(wakes.is_empty() && mailbox.poll_ready(1, 1, &mut context).is_ready());

    let mut pulled = Vec::new();
    mailbox.pull(NOW, 1, 9, 9, &mut pulled);
    assert!(mailbox.poll_ready(1, 1, &mut context).is_pending());
    mailbox.push(NOW, delivery("4", QoS::AtMostOnce), &mut wakes);
    // A publisher that is gone forgets nobody.
    drop(wakes);
    assert_eq!(rung(), 2);
}
