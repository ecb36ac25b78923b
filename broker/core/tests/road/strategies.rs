//! Which member of a share group gets a message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wasmqtt_codec::Version;
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::limits::BrokerLimits;
use wasmqtt_core::subscription::SharedStrategy;

use crate::wire::{Client, Q1, Wire, clean, stored};

const ALL: [SharedStrategy; 8] = [
    SharedStrategy::RoundRobin,
    SharedStrategy::RoundRobinPerGroup,
    SharedStrategy::Random,
    SharedStrategy::Local,
    SharedStrategy::Sticky,
    SharedStrategy::HashClientId,
    SharedStrategy::HashTopic,
    SharedStrategy::Ordered,
];

fn seeded(strategy: SharedStrategy, seed: u64) -> Wire {
    Wire::on(Arc::new(Broker::new(BrokerLimits::default(), seed).sharing(strategy)))
}

fn wire(strategy: SharedStrategy) -> Wire {
    seeded(strategy, 7)
}

fn members(wire: &mut Wire, count: usize, filters: &[&str]) -> Vec<Client> {
    let join = |n| {
        let mut member = wire.connect(&stored(Version::V5, &format!("m{n}")));
        for filter in filters {
            wire.subscribe(&mut member, filter, Q1);
        }
        member
    };
    (0..count).map(join).collect()
}

/// What each member got.
fn taken(wire: &mut Wire, members: &mut [Client]) -> Vec<Vec<String>> {
    members.iter_mut().map(|member| wire.take_payloads(member)).collect()
}

fn counts(wire: &mut Wire, members: &mut [Client]) -> Vec<usize> {
    taken(wire, members).iter().map(Vec::len).collect()
}

/// Who got the one message that was published.
fn who(wire: &mut Wire, members: &mut [Client]) -> usize {
    let counts = counts(wire, members);
    assert_eq!(counts.iter().sum::<usize>(), 1, "{counts:?}");
    counts.iter().position(|count| *count == 1).unwrap()
}

#[test]
fn every_strategy_gives_each_message_to_one_member() {
    for strategy in ALL {
        let mut wire = wire(strategy);
        let mut members = members(&mut wire, 3, &["$share/g/a/+"]);
        let mut all = Vec::new();
        for n in 0..30 {
            let mut publisher = wire.connect(&clean(Version::V5, &format!("p{}", n % 5)));
            wire.publish(&mut publisher, &format!("a/{}", n % 7), Q1, &n.to_string());
        }
        all.extend(taken(&mut wire, &mut members).into_iter().flatten());
        let all: BTreeSet<u32> = all.iter().map(|payload| payload.parse().unwrap()).collect();
        assert_eq!(all, (0..30).collect(), "{strategy:?}");
    }
}

#[test]
fn every_strategy_passes_over_who_is_full_and_who_is_away() {
    for strategy in ALL {
        let mut wire = wire(strategy);
        wire.limits.queue.messages = 2;
        let mut full = members(&mut wire, 1, &["$share/g/a"]);
        wire.limits.queue.messages = 100;
        let mut there = wire.connect(&stored(Version::V5, "there"));
        let mut away = wire.connect(&stored(Version::V5, "away"));
        for member in [&mut there, &mut away] {
            wire.subscribe(member, "$share/g/a", Q1);
        }
        wire.lose(away);
        for n in 0..6 {
            let mut publisher = wire.connect(&clean(Version::V5, &format!("p{n}")));
            for _ in 0..5 {
                wire.publish(&mut publisher, "a", Q1, "x");
            }
        }
        let (full, there) = (wire.take(&mut full[0]).len(), wire.take(&mut there).len());
        assert_eq!((full <= 2, full + there), (true, 30), "{strategy:?}");
        let mut away = wire.connect(&stored(Version::V5, "away"));
        assert!(wire.take(&mut away).is_empty());
        assert_eq!(wire.lane.counters.dropped, 0);
    }
}

#[test]
fn a_member_that_is_away_and_has_room_comes_before_one_that_would_have_to_drop() {
    for strategy in ALL {
        let mut wire = wire(strategy);
        wire.limits.queue.messages = 1;
        let mut full = members(&mut wire, 1, &["$share/g/a"]);
        wire.limits.queue.messages = 100;
        let mut away = wire.connect(&stored(Version::V5, "away"));
        wire.subscribe(&mut away, "$share/g/a", Q1);
        wire.lose(away);
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        for _ in 0..10 {
            wire.publish(&mut publisher, "a", Q1, "x");
        }
        let mut away = wire.connect(&stored(Version::V5, "away"));
        let counts = (wire.take(&mut full[0]).len(), wire.take(&mut away).len());
        assert_eq!(counts, (1, 9), "{strategy:?}");
    }
}

#[test]
fn in_round_robin_each_filter_of_a_group_takes_turns_of_its_own() {
    let filters = ["$share/g/a", "$share/g/b"];
    for (strategy, expected) in [
        (SharedStrategy::RoundRobin, [0, 0, 1, 1, 0, 0]),
        (SharedStrategy::RoundRobinPerGroup, [0, 1, 0, 1, 0, 1]),
    ] {
        let mut wire = wire(strategy);
        let mut members = members(&mut wire, 2, &filters);
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        let mut order = Vec::new();
        for topic in ["a", "b", "a", "b", "a", "b"] {
            wire.publish(&mut publisher, topic, Q1, "x");
            order.push(who(&mut wire, &mut members));
        }
        assert_eq!(order, expected, "{strategy:?}");
    }
}

#[test]
fn the_turns_of_who_is_away_go_to_all_others_alike() {
    for strategy in [SharedStrategy::RoundRobin, SharedStrategy::RoundRobinPerGroup] {
        let mut wire = wire(strategy);
        let mut group = members(&mut wire, 4, &["$share/g/a"]);
        wire.lose(group.remove(1));
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        for _ in 0..30 {
            wire.publish(&mut publisher, "a", Q1, "x");
        }
        assert_eq!(counts(&mut wire, &mut group), [10, 10, 10], "{strategy:?}");
    }
}

#[test]
fn random_reaches_everybody_about_as_often_and_differs_from_run_to_run() {
    let run = |seed| {
        let mut wire = seeded(SharedStrategy::Random, seed);
        let mut members = members(&mut wire, 4, &["$share/g/a"]);
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        for n in 0..400 {
            wire.publish(&mut publisher, "a", Q1, &n.to_string());
        }
        taken(&mut wire, &mut members)
    };
    let first = run(1);
    assert!(first.iter().all(|got| (60..140).contains(&got.len())));
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
}

#[test]
fn local_prefers_members_on_the_publishers_own_worker() {
    let mut here = wire(SharedStrategy::Local);
    let mut there = Wire::on(Arc::clone(&here.broker));
    there.lane = Lane::new(Box::new(there.judge.clone())).on_worker(1);
    let mut near = members(&mut here, 2, &["$share/g/a"]);
    let mut far = there.connect(&stored(Version::V5, "far"));
    there.subscribe(&mut far, "$share/g/a", Q1);
    let mut publisher = here.connect(&clean(Version::V5, "p"));
    for _ in 0..10 {
        here.publish(&mut publisher, "a", Q1, "x");
    }
    assert_eq!(counts(&mut here, &mut near), [5, 5]);
    let mut elsewhere = there.connect(&clean(Version::V5, "q"));
    for _ in 0..4 {
        there.publish(&mut elsewhere, "a", Q1, "x");
    }
    assert_eq!(there.take(&mut far).len(), 4);
    for member in near {
        here.lose(member);
    }
    here.publish(&mut publisher, "a", Q1, "x");
    assert_eq!(there.take(&mut far).len(), 1, "nobody else is there");
}

#[test]
fn sticky_stays_with_one_member_until_it_goes_and_with_the_next_when_it_comes_back() {
    let mut wire = wire(SharedStrategy::Sticky);
    let mut group = members(&mut wire, 3, &["$share/g/a/+"]);
    let mut publishers: Vec<Client> =
        ["p", "q"].map(|id| wire.connect(&clean(Version::V5, id))).into();
    let mut publish = |wire: &mut Wire, group: &mut [Client]| {
        let mut found = BTreeSet::new();
        for (at, publisher) in publishers.iter_mut().enumerate() {
            wire.publish(publisher, &format!("a/{at}"), Q1, "x");
            found.insert(who(wire, group));
        }
        assert_eq!(found.len(), 1, "whoever publishes, and whatever the topic");
        found.pop_first().unwrap()
    };
    let first = publish(&mut wire, &mut group);
    assert_eq!(publish(&mut wire, &mut group), first);
    let name = group[first].id();
    let lost = group.remove(first);
    wire.lose(lost);
    let second = publish(&mut wire, &mut group);
    let second = group[second].id();
    group.push(wire.connect(&stored(Version::V5, &name)));
    let third = publish(&mut wire, &mut group);
    assert_eq!(group[third].id(), second);
}

#[test]
fn a_hash_gives_the_same_publisher_or_the_same_topic_to_the_same_member() {
    for strategy in [SharedStrategy::HashClientId, SharedStrategy::HashTopic] {
        let mut wire = wire(strategy);
        let mut group = members(&mut wire, 4, &["$share/g/#"]);
        let mut of: BTreeMap<usize, usize> = BTreeMap::new();
        for round in 0..3 {
            for n in 0..40 {
                let (client, topic) = match strategy {
                    SharedStrategy::HashClientId => (n, n * 3 + round),
                    _ => (n * 3 + round, n),
                };
                let mut publisher = wire.connect(&clean(Version::V5, &format!("p{client}")));
                wire.publish(&mut publisher, &format!("t/{topic}"), Q1, "x");
                let member = who(&mut wire, &mut group);
                assert_eq!(*of.entry(n).or_insert(member), member, "{strategy:?}");
            }
        }
        let used: BTreeSet<usize> = of.into_values().collect();
        assert_eq!(used.len(), 4, "{strategy:?}");
    }
}

#[test]
fn ordered_keeps_a_publisher_with_its_member_while_others_join_and_with_the_next_for_good() {
    let mut wire = wire(SharedStrategy::Ordered);
    let mut group = members(&mut wire, 3, &["$share/g/a"]);
    let mut publishers: Vec<Client> =
        (0..20).map(|n| wire.connect(&clean(Version::V5, &format!("p{n}")))).collect();
    let mut homes = |wire: &mut Wire, group: &mut [Client]| -> Vec<String> {
        let mut home = |publisher: &mut Client| {
            wire.publish(publisher, "a", Q1, "x");
            let member = who(wire, group);
            group[member].id()
        };
        publishers.iter_mut().map(&mut home).collect()
    };
    let before = homes(&mut wire, &mut group);
    let used: BTreeSet<&String> = before.iter().collect();
    assert_eq!(used.len(), 3);
    let mut late = wire.connect(&stored(Version::V5, "late"));
    wire.subscribe(&mut late, "$share/g/a", Q1);
    group.push(late);
    assert_eq!(homes(&mut wire, &mut group), before, "who joins takes nobody's publisher");

    let gone = group.remove(0);
    wire.lose(gone);
    let during = homes(&mut wire, &mut group);
    for (before, during) in before.iter().zip(&during) {
        assert!(before == "m0" || before == during, "the others stay");
        assert_ne!(during, "m0");
    }
    group.push(wire.connect(&stored(Version::V5, "m0")));
    assert_eq!(homes(&mut wire, &mut group), during, "who comes back finds it settled");
}

#[test]
fn ordered_keeps_the_order_of_a_publisher() {
    let mut wire = wire(SharedStrategy::Ordered);
    let mut group = members(&mut wire, 3, &["$share/g/a/#"]);
    let mut publishers: Vec<Client> =
        (0..6).map(|n| wire.connect(&clean(Version::V5, &format!("p{n}")))).collect();
    for n in 0..20 {
        for publisher in &mut publishers {
            let payload = format!("{} {n:02}", publisher.id());
            wire.publish(publisher, &format!("a/{}", n % 3), Q1, &payload);
        }
    }
    let got = taken(&mut wire, &mut group);
    for publisher in &publishers {
        let prefix = format!("{} ", publisher.id());
        let of = |got: &Vec<String>| -> Vec<String> {
            got.iter().filter(|payload| payload.starts_with(&prefix)).cloned().collect()
        };
        let streams: Vec<Vec<String>> =
            got.iter().map(of).filter(|stream| !stream.is_empty()).collect();
        let [stream] = &streams[..] else { panic!("one member: {streams:?}") };
        assert!(stream.is_sorted() && stream.len() == 20);
    }
}

#[test]
fn the_groups_of_a_share_name_can_choose_otherwise_than_the_others() {
    let broker = Broker::new(BrokerLimits::default(), 7).sharing(SharedStrategy::RoundRobin);
    let mut wire = Wire::on(Arc::new(broker.sharing_in("one", SharedStrategy::Sticky)));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    for (share, expected) in [("one", [0, 4]), ("other", [2, 2])] {
        let filter = format!("$share/{share}/{share}");
        let mut group = members(&mut wire, 2, &[&filter]);
        for _ in 0..4 {
            wire.publish(&mut publisher, share, Q1, "x");
        }
        let mut got = counts(&mut wire, &mut group);
        got.sort_unstable();
        assert_eq!(got, expected, "{share}");
    }
}
