//! What waits for a client is bounded, and four policies say what gives way.

use wasmqtt_codec::{Connect, ReasonCode, Version};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::limits::{BrokerLimits, Overflow, Queue};

use crate::wire::{Client, Q0, Q1, Sent, VERSIONS, Wire, clean, message, stored, will};

fn queue(messages: u32, overflow: Overflow) -> Queue {
    Queue { messages, overflow, ..Queue::default() }
}

/// A subscriber to everything behind this queue, and a publisher.
fn pair(version: Version, queue: Queue) -> (Wire, Client, Client) {
    let mut wire = Wire::new();
    let publisher = wire.connect(&clean(version, "p"));
    wire.limits.queue = queue;
    let mut subscriber = wire.connect(&stored(version, "s"));
    wire.subscribe(&mut subscriber, "#", Q1);
    (wire, subscriber, publisher)
}

fn fill(wire: &mut Wire, publisher: &mut Client, count: usize) {
    for n in 1..=count {
        assert_eq!(wire.publish(publisher, "a", Q1, &n.to_string()), ReasonCode::Success);
    }
}

#[test]
fn a_full_queue_keeps_the_newest_or_the_oldest() {
    for version in VERSIONS {
        for (overflow, expected) in
            [(Overflow::DropOldest, ["3", "4", "5"]), (Overflow::DropNewest, ["1", "2", "3"])]
        {
            for away in [false, true] {
                let (mut wire, mut subscriber, mut publisher) = pair(version, queue(3, overflow));
                if away {
                    wire.lose(subscriber);
                    fill(&mut wire, &mut publisher, 5);
                    subscriber = wire.connect(&stored(version, "s"));
                } else {
                    fill(&mut wire, &mut publisher, 5);
                }
                assert_eq!(wire.lane.counters.dropped, 2);
                assert_eq!(wire.take_payloads(&mut subscriber), expected);
                fill(&mut wire, &mut publisher, 1);
                assert_eq!(wire.take_payloads(&mut subscriber), ["1"], "there is room again");
            }
        }
    }
}

#[test]
fn what_waited_for_too_long_is_counted_apart_from_what_found_no_room() {
    let bound = Queue { messages: 3, age: 8, ..Queue::default() };
    let (mut wire, subscriber, mut publisher) = pair(Version::V5, bound);
    wire.lose(subscriber);
    fill(&mut wire, &mut publisher, 5);
    // Up to an eighth longer than it may.
    wire.pass(9_000);
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    assert!(wire.take_payloads(&mut subscriber).is_empty());
    assert_eq!((wire.lane.counters.dropped, wire.lane.counters.too_old), (2, 3));
}

#[test]
fn bytes_are_bounded_as_well() {
    let bound = Queue { messages: 100, bytes: 25, ..Queue::default() };
    let (mut wire, mut subscriber, mut publisher) = pair(Version::V5, bound);
    for payload in ["1........", "2........", "3........"] {
        wire.publish(&mut publisher, "a", Q1, payload);
    }
    assert_eq!(wire.take_payloads(&mut subscriber), ["2........", "3........"]);
}

#[test]
fn a_full_queue_may_close_the_connection_and_keep_the_session() {
    for version in VERSIONS {
        let (mut wire, mut subscriber, mut publisher) =
            pair(version, queue(2, Overflow::Disconnect));
        fill(&mut wire, &mut publisher, 4);
        let answers = wire.pump(&mut subscriber);
        let told: &[Sent] = match version {
            Version::V5 => &[Sent::Disconnect(ReasonCode::QuotaExceeded)],
            _ => &[],
        };
        assert_eq!(answers, told);
        assert_eq!(subscriber.closed, Some(Fault::Ordered(ReasonCode::QuotaExceeded)));
        fill(&mut wire, &mut publisher, 1);
        let mut subscriber = wire.connect(&stored(version, "s"));
        assert_eq!(wire.take_payloads(&mut subscriber), ["1", "2"]);
    }
}

#[test]
fn a_full_queue_may_end_the_session_of_a_connected_client() {
    for version in VERSIONS {
        let (mut wire, mut subscriber, mut publisher) =
            pair(version, queue(2, Overflow::EndSession));
        fill(&mut wire, &mut publisher, 3);
        wire.pump(&mut subscriber);
        assert_eq!(subscriber.closed, Some(Fault::Ordered(ReasonCode::QuotaExceeded)));
        assert!(wire.broker.session("s").is_none());
        assert_eq!((wire.broker.timers(), wire.broker.filter_nodes()), (0, 0));
        let mut subscriber = wire.connect(&stored(version, "s"));
        assert!(!subscriber.welcome.session_present);
        assert!(wire.take(&mut subscriber).is_empty());
    }
}

#[test]
fn a_full_queue_may_end_a_stored_session_and_publishes_its_late_will() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut publisher, "will", Q1);
    wire.limits.queue = queue(2, Overflow::EndSession);
    let late = wasmqtt_codec::Will { delay_interval: 1000, ..will("will", "gone") };
    let mut subscriber = wire.connect(&Connect { will: Some(late), ..stored(Version::V5, "s") });
    wire.subscribe(&mut subscriber, "a", Q1);
    wire.lose(subscriber);
    fill(&mut wire, &mut publisher, 2);
    assert!(wire.broker.session("s").is_some());
    fill(&mut wire, &mut publisher, 1);
    assert!(wire.broker.session("s").is_none());
    assert_eq!(wire.broker.timers(), 0);
    assert_eq!(wire.take_payloads(&mut publisher), ["gone"]);
}

#[test]
fn wills_that_end_sessions_that_leave_wills_come_to_an_end() {
    let mut wire = Wire::bounded(BrokerLimits::default());
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.limits.queue = queue(1, Overflow::EndSession);
    let count = 20_000;
    for n in 0..count {
        // The will of each fills the queue of the next; the first topic fills them all.
        let (id, topic) = (format!("s{n}"), format!("chain/{}", n + 1));
        let late = wasmqtt_codec::Will { delay_interval: 9999, ..will(&topic, "gone") };
        let mut client = wire.connect(&Connect { will: Some(late), ..stored(Version::V5, &id) });
        wire.subscribe(&mut client, &format!("chain/{n}"), Q1);
        wire.subscribe(&mut client, &format!("fill/{n}"), Q1);
        wire.lose(client);
        wire.publish(&mut publisher, &format!("fill/{n}"), Q1, "x");
    }
    assert_eq!(wire.broker.sessions(), count + 1);
    wire.publish(&mut publisher, "chain/0", Q1, "x");
    let broker = &wire.broker;
    assert_eq!((broker.sessions(), broker.timers(), broker.filter_nodes()), (1, 0, 0));
}

#[test]
fn retained_messages_do_not_push_published_ones_out() {
    let (mut wire, mut subscriber, mut publisher) =
        pair(Version::V5, queue(2, Overflow::DropOldest));
    wire.take(&mut subscriber);
    for topic in ["r/1", "r/2", "r/3", "r/4"] {
        wire.publish_with(
            &mut publisher,
            wasmqtt_codec::Publish { retain: true, ..message(topic, topic) },
        );
        wire.take(&mut subscriber);
    }
    fill(&mut wire, &mut publisher, 2);
    wire.subscribe(&mut subscriber, "r/+", Q0);
    fill(&mut wire, &mut publisher, 1);
    let taken = wire.take(&mut subscriber);
    let (stored, live): (Vec<_>, Vec<_>) = taken.into_iter().partition(|got| got.retain);
    assert_eq!(stored.len(), 4);
    let live: Vec<_> = live.into_iter().map(|got| got.payload).collect();
    assert_eq!(live, ["2", "1"]);
}

#[test]
fn what_came_first_goes_out_first_retained_or_not() {
    let (mut wire, mut subscriber, mut publisher) =
        pair(Version::V5, queue(10, Overflow::DropOldest));
    wire.retain(&mut publisher, "r", "kept");
    wire.take(&mut subscriber);
    wire.publish(&mut publisher, "a", Q1, "before");
    wire.subscribe(&mut subscriber, "r", Q1);
    wire.publish(&mut publisher, "a", Q1, "after");
    assert_eq!(wire.take_payloads(&mut subscriber), ["before", "kept", "after"]);
}

#[test]
fn qos_0_waits_for_a_client_that_is_away_only_where_it_is_wanted() {
    for version in VERSIONS {
        for qos0 in [false, true] {
            let bound = Queue { qos0, ..queue(3, Overflow::DropOldest) };
            let (mut wire, subscriber, mut publisher) = pair(version, bound);
            wire.publish(&mut publisher, "a", Q0, "before");
            wire.lose(subscriber);
            for payload in ["1", "2", "3", "4"] {
                wire.publish(&mut publisher, "a", Q0, payload);
            }
            let mut subscriber = wire.connect(&stored(version, "s"));
            let expected: &[&str] = if qos0 { &["2", "3", "4"] } else { &[] };
            assert_eq!(wire.take_payloads(&mut subscriber), expected);
        }
    }
}

#[test]
fn qos_0_keeps_its_place_among_what_waits() {
    let bound = Queue { qos0: true, ..queue(10, Overflow::DropOldest) };
    let (mut wire, subscriber, mut publisher) = pair(Version::V5, bound);
    wire.publish(&mut publisher, "a", Q0, "1");
    wire.publish(&mut publisher, "a", Q1, "2");
    wire.lose(subscriber);
    wire.publish(&mut publisher, "a", Q0, "3");
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    assert_eq!(wire.take_payloads(&mut subscriber), ["1", "2", "3"]);
}

#[test]
fn what_the_broker_says_of_itself_ends_a_stored_session_that_has_no_room_for_it() {
    let mut wire = Wire::new();
    wire.limits.queue = Queue { qos0: true, ..queue(1, Overflow::EndSession) };
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "$SYS/#", Q0);
    wire.lose(subscriber);
    let (broker, now) = (std::sync::Arc::clone(&wire.broker), wire.now);
    broker.publish_own(&mut wire.lane, now, "$SYS/a", b"1");
    assert_eq!(broker.sessions(), 1);
    broker.publish_own(&mut wire.lane, now, "$SYS/b", b"1");
    assert_eq!((broker.sessions(), broker.subscriptions()), (0, 0));
}
