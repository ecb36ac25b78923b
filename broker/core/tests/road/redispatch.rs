//! What a member of a share group leaves behind goes to another one.

use wasmqtt_codec::{Connect, ReasonCode, Version};
use wasmqtt_core::judge::Action;
use wasmqtt_core::limits::{Overflow, Queue};

use crate::wire::{Client, Q0, Q1, Q2, QOS, Sent, Wire, clean, messages, puback, stored, will};

const FILTER: &str = "$share/g/a";

fn member(wire: &mut Wire, connect: &Connect<'_>) -> Client {
    let mut member = wire.connect(connect);
    wire.subscribe(&mut member, FILTER, Q2);
    member
}

/// A member, alone in its group so far, and a publisher.
fn start() -> (Wire, Client, Client) {
    let mut wire = Wire::new();
    let first = member(&mut wire, &stored(Version::V5, "first"));
    let publisher = wire.connect(&clean(Version::V5, "p"));
    (wire, first, publisher)
}

fn publish(wire: &mut Wire, publisher: &mut Client, payloads: &[&str]) {
    for payload in payloads {
        assert_eq!(wire.publish(publisher, "a", Q1, payload), ReasonCode::Success);
    }
}

#[test]
fn what_waits_goes_to_another_member_in_order_when_a_session_ends() {
    let (mut wire, first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2", "3"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.lose(first);
    assert!(wire.take(&mut second).is_empty(), "the session is still there");
    wire.pass(3_600_000);
    assert!(wire.broker.session("first").is_none());
    assert_eq!(wire.take_payloads(&mut second), ["1", "2", "3"]);
}

#[test]
fn what_was_sent_with_qos_1_and_not_acknowledged_goes_to_another_member_without_dup() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2"]);
    let sent = messages(&wire.pump(&mut first));
    wire.send(&mut first, &puback(sent[0].id.unwrap()));
    publish(&mut wire, &mut publisher, &["3"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    // Starting anew ends the session.
    wire.connect(&clean(Version::V5, "first"));
    let taken = wire.take(&mut second);
    assert!(taken.iter().all(|got| !got.dup && got.qos == Q1));
    let taken: Vec<_> = taken.into_iter().map(|got| got.payload).collect();
    assert_eq!(taken, ["2", "3"]);
}

#[test]
fn what_was_sent_with_qos_2_goes_to_nobody_else_and_what_was_not_does() {
    let (mut wire, mut first, mut publisher) = start();
    wire.publish(&mut publisher, "a", Q2, "sent");
    assert_eq!(wire.pump(&mut first).len(), 1);
    wire.publish(&mut publisher, "a", Q2, "waiting");
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.connect(&clean(Version::V5, "first"));
    let taken = wire.take(&mut second);
    assert_eq!((taken.len(), taken[0].payload.as_str(), taken[0].qos), (1, "waiting", Q2));
}

#[test]
fn the_other_member_gets_it_as_its_own_subscription_says() {
    let (mut wire, first, mut publisher) = start();
    for qos in QOS {
        wire.publish(&mut publisher, "a", qos, "x");
    }
    let mut second = wire.connect(&clean(Version::V5, "second"));
    let subscription = wasmqtt_codec::Subscription::new(FILTER, Q1);
    wire.subscribe_with(&mut second, subscription, Some(9));
    drop(first);
    wire.connect(&clean(Version::V5, "first"));
    let taken = wire.take(&mut second);
    let qos: Vec<_> = taken.iter().map(|got| got.qos).collect();
    assert_eq!(qos, [Q0, Q1, Q1]);
    assert!(taken.iter().all(|got| got.subscriptions == [9]));
}

#[test]
fn what_came_through_other_subscriptions_stays_nobodys() {
    let (mut wire, mut first, mut publisher) = start();
    wire.subscribe(&mut first, "b", Q1);
    wire.publish(&mut publisher, "b", Q1, "own");
    publish(&mut wire, &mut publisher, &["shared"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.subscribe(&mut second, "b", Q1);
    wire.connect(&clean(Version::V5, "first"));
    assert_eq!(wire.take_payloads(&mut second), ["shared"]);
}

#[test]
fn who_unsubscribes_hands_on_what_waits_and_keeps_what_was_sent() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["sent"]);
    let sent = messages(&wire.pump(&mut first));
    publish(&mut wire, &mut publisher, &["1", "2"]);
    wire.publish(&mut publisher, "a", Q0, "3");
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    assert_eq!(wire.unsubscribe(&mut first, &[FILTER]), [ReasonCode::Success]);
    assert_eq!(wire.take_payloads(&mut second), ["1", "2", "3"]);
    assert!(wire.send(&mut first, &puback(sent[0].id.unwrap())).is_empty());
    assert!(wire.take(&mut first).is_empty());
}

#[test]
fn the_last_member_keeps_what_waits_when_it_unsubscribes() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1"]);
    wire.publish(&mut publisher, "a", Q0, "2");
    wire.unsubscribe(&mut first, &[FILTER]);
    assert_eq!(wire.take_payloads(&mut first), ["1", "2"]);
}

#[test]
fn what_the_others_have_no_room_for_stays_with_who_unsubscribes() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2", "3"]);
    wire.limits.queue = Queue { messages: 2, overflow: Overflow::EndSession, ..Queue::default() };
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.unsubscribe(&mut first, &[FILTER]);
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
    assert_eq!(wire.take_payloads(&mut first), ["3"]);
}

#[test]
fn nothing_gives_way_for_what_a_member_left_behind() {
    for overflow in
        [Overflow::DropOldest, Overflow::DropNewest, Overflow::EndSession, Overflow::Disconnect]
    {
        let (mut wire, first, mut publisher) = start();
        publish(&mut wire, &mut publisher, &["1", "2", "3"]);
        wire.lose(first);
        wire.limits.queue = Queue { messages: 2, overflow, ..Queue::default() };
        let mut second = wire.connect(&stored(Version::V5, "second"));
        wire.subscribe(&mut second, "own", Q1);
        wire.publish(&mut publisher, "own", Q1, "own");
        wire.subscribe(&mut second, FILTER, Q1);
        wire.lose(second);
        wire.connect(&clean(Version::V5, "first"));
        let mut second = wire.connect(&stored(Version::V5, "second"));
        assert_eq!(wire.take_payloads(&mut second), ["own", "1"], "{overflow:?}");
    }
}

#[test]
fn a_member_that_is_away_takes_what_is_left_behind_too() {
    let (mut wire, first, mut publisher) = start();
    let second = member(&mut wire, &stored(Version::V5, "second"));
    wire.lose(second);
    publish(&mut wire, &mut publisher, &["1", "2"]);
    wire.lose(first);
    wire.pass(1_000);
    let mut first = wire.connect(&stored(Version::V5, "first"));
    wire.pump(&mut first);
    // Neither acknowledged nor seen again.
    wire.connect(&clean(Version::V5, "first"));
    let mut second = wire.connect(&stored(Version::V5, "second"));
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
}

#[test]
fn a_stored_session_that_overflows_leaves_its_share_to_the_group() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.limits.queue = Queue { messages: 2, overflow: Overflow::EndSession, ..Queue::default() };
    let late = wasmqtt_codec::Will { delay_interval: 1000, ..will("w", "gone") };
    let mut first = wire.connect(&Connect { will: Some(late), ..stored(Version::V5, "first") });
    wire.subscribe(&mut first, FILTER, Q1);
    wire.subscribe(&mut first, "own", Q1);
    publish(&mut wire, &mut publisher, &["1", "2"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.lose(first);
    wire.publish(&mut publisher, "own", Q1, "too much");
    assert!(wire.broker.session("first").is_none());
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
}

#[test]
fn whose_subscription_is_denied_later_leaves_its_share_to_the_group() {
    let (mut wire, first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.script().deny(Action::Subscribe, "a");
    let (who, session) = (first.connection.client(), first.connection.session());
    let Wire { broker, lane, now, .. } = &mut wire;
    assert_eq!(broker.rejudge(lane, *now, who, session), [FILTER.into()]);
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
}

#[test]
fn what_was_pulled_and_could_not_be_sent_is_not_lost_to_the_group() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2"]);
    let session = std::sync::Arc::clone(first.connection.session());
    let mut pulled = Vec::new();
    session.mailbox.pull(wire.now, first.connection.attachment(), 9, 9, &mut pulled);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    wire.connect(&clean(Version::V5, "first"));
    let mut out = Vec::new();
    assert!(first.connection.pump(wire.now, &mut pulled, &mut out).is_err());
    wire.broker.give_back(wire.now, &session, &mut pulled);
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
    assert!(pulled.is_empty());
    assert_eq!(wire.pump(&mut first), [Sent::Disconnect(ReasonCode::SessionTakenOver)]);
}

#[test]
fn what_waits_for_a_member_that_is_away_goes_to_one_that_joins_in_order() {
    let (mut wire, mut first, mut publisher) = start();
    wire.subscribe(&mut first, "own", Q1);
    wire.lose(first);
    publish(&mut wire, &mut publisher, &["1", "2"]);
    wire.publish(&mut publisher, "own", Q1, "own");
    publish(&mut wire, &mut publisher, &["3"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    assert_eq!(wire.take_payloads(&mut second), ["1", "2", "3"]);
    let mut first = wire.connect(&stored(Version::V5, "first"));
    assert_eq!(wire.take_payloads(&mut first), ["own"], "each went to one of them");
}

#[test]
fn a_member_that_is_connected_keeps_what_waits_for_it_when_another_joins() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1", "2"]);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    assert!(wire.take(&mut second).is_empty());
    assert_eq!(wire.take_payloads(&mut first), ["1", "2"]);
}

#[test]
fn what_one_that_joins_has_no_room_for_stays_with_who_is_away() {
    let (mut wire, first, mut publisher) = start();
    wire.lose(first);
    publish(&mut wire, &mut publisher, &["1", "2", "3", "4"]);
    wire.limits.queue = Queue { messages: 2, overflow: Overflow::EndSession, ..Queue::default() };
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    assert_eq!(wire.take_payloads(&mut second), ["1", "2"]);
    let mut first = wire.connect(&stored(Version::V5, "first"));
    assert_eq!(wire.take_payloads(&mut first), ["3", "4"]);
}

#[test]
fn who_subscribes_once_more_has_not_joined() {
    let (mut wire, first, mut publisher) = start();
    let mut second = member(&mut wire, &stored(Version::V5, "second"));
    wire.lose(first);
    wire.lose(second);
    publish(&mut wire, &mut publisher, &["1", "2"]);
    second = wire.connect(&stored(Version::V5, "second"));
    let before = wire.take_payloads(&mut second);
    wire.subscribe(&mut second, FILTER, Q2);
    assert!(wire.take(&mut second).is_empty());
    let mut first = wire.connect(&stored(Version::V5, "first"));
    assert_eq!(before.len() + wire.take(&mut first).len(), 2);
}

#[test]
fn what_was_sent_to_a_member_that_is_away_is_sent_to_it_again_and_to_nobody_else() {
    let (mut wire, mut first, mut publisher) = start();
    publish(&mut wire, &mut publisher, &["1"]);
    assert_eq!(wire.pump(&mut first).len(), 1);
    wire.lose(first);
    let mut second = member(&mut wire, &clean(Version::V5, "second"));
    assert!(wire.take(&mut second).is_empty());
    let mut first = wire.connect(&stored(Version::V5, "first"));
    assert_eq!(wire.take_payloads(&mut first), ["1"]);
}
