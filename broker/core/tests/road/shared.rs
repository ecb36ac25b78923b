//! Shared subscriptions: each message to one member.

use wasmqtt_codec::{Connect, ConnectProperties, ReasonCode, Version};
use wasmqtt_core::judge::Action;

use crate::wire::{Client, Q0, Q1, Q2, VERSIONS, Wire, clean, stored};

fn members(wire: &mut Wire, version: Version, count: usize) -> Vec<Client> {
    (0..count)
        .map(|n| {
            let mut member = wire.connect(&stored(version, &format!("m{n}")));
            wire.subscribe(&mut member, "$share/group/a/+", Q1);
            member
        })
        .collect()
}

#[test]
fn each_message_goes_to_one_member_in_turn() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut members = members(&mut wire, version, 3);
        let mut publisher = wire.connect(&clean(version, "p"));
        for n in 0..9 {
            wire.publish(&mut publisher, &format!("a/{}", n % 2), Q2, &n.to_string());
        }
        let mut all = Vec::new();
        for member in &mut members {
            let taken = wire.take(member);
            assert_eq!(taken.len(), 3);
            assert!(taken.iter().all(|got| got.qos == Q1));
            all.extend(taken.into_iter().map(|got| got.payload));
        }
        all.sort();
        assert_eq!(all, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
    }
}

#[test]
fn groups_are_apart_from_each_other_and_from_plain_subscriptions() {
    let mut wire = Wire::new();
    let mut one = wire.connect(&clean(Version::V5, "one"));
    let mut two = wire.connect(&clean(Version::V5, "two"));
    wire.subscribe(&mut one, "$share/g1/a", Q1);
    wire.subscribe(&mut two, "$share/g2/a", Q1);
    wire.subscribe(&mut two, "a", Q1);
    wire.publish(&mut one, "a", Q1, "x");
    assert_eq!(wire.take(&mut one).len(), 1);
    assert_eq!(wire.take(&mut two).len(), 2);
    assert_eq!(wire.unsubscribe(&mut two, &["$share/g2/a"]), [ReasonCode::Success]);
    wire.publish(&mut one, "a", Q1, "x");
    assert_eq!(wire.take(&mut one).len(), 1);
    assert_eq!(wire.take(&mut two).len(), 1);
}

#[test]
fn a_member_that_is_away_is_passed_over_while_another_is_there() {
    let mut wire = Wire::new();
    let mut members = members(&mut wire, Version::V5, 2);
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.lose(members.remove(0));
    for n in 0..4 {
        wire.publish(&mut publisher, "a/x", Q1, &n.to_string());
    }
    assert_eq!(wire.take_payloads(&mut members[0]), ["0", "1", "2", "3"]);
    let mut back = wire.connect(&stored(Version::V5, "m0"));
    assert!(wire.take(&mut back).is_empty());
}

#[test]
fn a_member_whose_queue_is_full_is_passed_over() {
    let mut wire = Wire::new();
    wire.limits.queue.messages = 2;
    let mut slow = wire.connect(&clean(Version::V5, "slow"));
    wire.limits.queue.messages = 100;
    let mut fast = wire.connect(&clean(Version::V5, "fast"));
    for member in [&mut slow, &mut fast] {
        wire.subscribe(member, "$share/g/a", Q1);
    }
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    for _ in 0..20 {
        wire.publish(&mut publisher, "a", Q1, "x");
    }
    assert_eq!(wire.take(&mut slow).len(), 2);
    assert_eq!(wire.take(&mut fast).len(), 18);
    assert_eq!(wire.lane.counters.dropped, 0);
}

#[test]
fn a_member_whose_window_is_full_is_passed_over() {
    let mut wire = Wire::new();
    let narrow = ConnectProperties { receive_maximum: 1.try_into().ok(), ..Default::default() };
    let mut stuck = wire.connect(&Connect { properties: narrow, ..clean(Version::V5, "stuck") });
    let mut fast = wire.connect(&clean(Version::V5, "fast"));
    for member in [&mut stuck, &mut fast] {
        wire.subscribe(member, "$share/g/a", Q1);
        // It has looked whether there is anything.
        wire.pump(member);
    }
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    // All at once.
    for _ in 0..20 {
        wire.publish(&mut publisher, "a", Q1, "x");
    }
    assert_eq!(wire.pump(&mut stuck).len(), 1, "and this one is not acknowledged");
    assert_eq!(wire.take(&mut fast).len(), 19);
    // One by one.
    for _ in 0..10 {
        wire.publish(&mut publisher, "a", Q1, "x");
        assert_eq!(wire.take(&mut fast).len(), 1);
    }
    assert!(wire.pump(&mut stuck).is_empty());
    // QoS 0 needs no place in the window.
    for _ in 0..4 {
        wire.publish(&mut publisher, "a", Q0, "x");
    }
    assert_eq!(wire.pump(&mut stuck).len(), 2);
    assert_eq!(wire.take(&mut fast).len(), 2);
}

#[test]
fn where_all_windows_are_full_messages_wait() {
    let mut wire = Wire::new();
    wire.limits.max_inflight = 1;
    let mut members = members(&mut wire, Version::V311, 2);
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    for _ in 0..10 {
        assert_eq!(wire.publish(&mut publisher, "a/x", Q1, "x"), ReasonCode::Success);
    }
    let all: usize = members.iter_mut().map(|member| wire.take(member).len()).sum();
    assert_eq!(all, 10);
}

#[test]
fn stored_sessions_take_the_messages_when_no_member_is_connected() {
    let mut wire = Wire::new();
    for member in members(&mut wire, Version::V5, 2) {
        wire.lose(member);
    }
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    for n in 0..4 {
        assert_eq!(wire.publish(&mut publisher, "a/x", Q1, &n.to_string()), ReasonCode::Success);
    }
    let mut all = Vec::new();
    for id in ["m0", "m1"] {
        let mut member = wire.connect(&stored(Version::V5, id));
        let taken = wire.take_payloads(&mut member);
        assert_eq!(taken.len(), 2);
        all.extend(taken);
    }
    all.sort();
    assert_eq!(all, ["0", "1", "2", "3"]);
}

#[test]
fn a_group_whose_members_are_all_gone_is_gone() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut member = wire.connect(&clean(Version::V5, "m"));
    wire.subscribe(&mut member, "$share/g/a", Q1);
    wire.lose(member);
    let code = wire.publish(&mut publisher, "a", Q1, "x");
    assert_eq!(code, ReasonCode::NoMatchingSubscribers);
    assert_eq!(wire.broker.filter_nodes(), 0);
}

#[test]
fn a_shared_subscription_is_sent_nothing_retained() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.retain(&mut client, "a", "kept");
    wire.subscribe(&mut client, "$share/g/a", Q1);
    assert!(wire.take(&mut client).is_empty());
    wire.publish(&mut client, "a", Q0, "live");
    assert_eq!(wire.take_payloads(&mut client), ["live"]);
}

#[test]
fn an_authorizer_sees_the_group_apart_from_the_filter() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "$share/group/a/+", Q1);
    let asked = wire.script().asked.pop().unwrap();
    assert_eq!((asked.client.as_str(), asked.action), ("c", Action::Subscribe));
    assert_eq!((asked.topic.as_str(), asked.share.as_deref()), ("a/+", Some("group")));
    wire.subscribe(&mut client, "a/+", Q1);
    assert_eq!(wire.script().asked.pop().unwrap().share, None);
    wire.script().deny(Action::Subscribe, "b");
    let code = wire.subscribe(&mut client, "$share/group/b", Q1);
    assert_eq!(code, ReasonCode::NotAuthorized);
}

#[test]
fn a_shared_subscription_carries_its_identifier() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let shared = wasmqtt_codec::Subscription::new("$share/g/a", Q1);
    wire.subscribe_with(&mut client, shared, Some(6));
    wire.publish(&mut client, "a", Q1, "x");
    assert_eq!(wire.take(&mut client)[0].subscriptions, [6]);
}
