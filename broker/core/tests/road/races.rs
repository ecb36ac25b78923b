//! Two workers at once: whatever order their steps come in, a session has one owner, a message goes where it
//! should as often as it should, and nothing is left behind.

// These tests are about threads; the crate they test has none.
#![allow(clippy::disallowed_methods)]

use std::sync::{Arc, Barrier};
use std::thread;

use wasmqtt_codec::{Connect, Packet, PacketId, Publish, ReasonCode, Version};
use wasmqtt_core::broker::Broker;
use wasmqtt_core::limits::BrokerLimits;

use crate::wire::{Client, Q1, Q2, VERSIONS, Wire, clean, message, numbered, pubrel, stored, will};

fn broker() -> Arc<Broker> {
    Arc::new(Broker::new(BrokerLimits::default(), 7))
}

fn leave_all(broker: &Arc<Broker>, ids: &[&str]) {
    let mut wire = Wire::on(Arc::clone(broker));
    for id in ids {
        let client = wire.connect(&clean(Version::V5, id));
        wire.leave(client);
    }
    assert_eq!((broker.sessions(), broker.filter_nodes()), (0, 0));
    assert_eq!(broker.timers(), 0);
}

/// Does both at once, each on a worker of its own.
fn both<A: Send, B: Send>(
    broker: &Arc<Broker>,
    a: impl FnOnce(&mut Wire) -> A + Send,
    b: impl FnOnce(&mut Wire) -> B + Send,
) -> (A, B) {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let a = scope.spawn(|| {
            let mut wire = Wire::on(Arc::clone(broker));
            barrier.wait();
            a(&mut wire)
        });
        let mut wire = Wire::on(Arc::clone(broker));
        barrier.wait();
        let b = b(&mut wire);
        (a.join().unwrap(), b)
    })
}

#[test]
fn of_two_connections_at_once_one_has_the_session_and_can_use_it() {
    let broker = broker();
    let mut wire = Wire::on(Arc::clone(&broker));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    for round in 0..1000 {
        let connect = |wire: &mut Wire| wire.connect(&stored(Version::V5, "c"));
        let (a, b) = both(&broker, connect, connect);
        let mut clients = [a, b];
        let payload = round.to_string();
        let mut taken = Vec::new();
        for client in &mut clients {
            if wire.pump(client).is_empty() {
                wire.subscribe(client, "a", Q1);
            }
        }
        wire.publish(&mut publisher, "a", Q1, &payload);
        for client in &mut clients {
            if client.closed.is_none() {
                taken.extend(wire.take_payloads(client));
            }
        }
        assert_eq!(taken, [payload]);
        assert_eq!(clients.iter().filter(|client| client.closed.is_none()).count(), 1);
        for client in clients {
            wire.lose(client);
        }
    }
    leave_all(&broker, &["c", "p"]);
}

#[test]
fn every_will_is_published_once_however_connections_meet() {
    let broker = broker();
    let mut wire = Wire::on(Arc::clone(&broker));
    let mut watcher = wire.connect(&clean(Version::V5, "w"));
    wire.subscribe(&mut watcher, "will", Q1);
    for round in 0..2000 {
        let kind = if round % 2 == 0 { clean } else { stored };
        let connect = |payload: &'static str| {
            move |wire: &mut Wire| {
                let will = Some(will("will", payload));
                wire.connect(&Connect { will, ..kind(Version::V5, "c") })
            }
        };
        let (a, b) = both(&broker, connect("a"), connect("b"));
        wire.lose(a);
        wire.lose(b);
        let mut taken = wire.take_payloads(&mut watcher);
        taken.sort();
        assert_eq!(taken, ["a", "b"]);
    }
}

#[test]
fn a_publication_taken_on_before_a_takeover_is_not_routed_again_after_it() {
    let broker = broker();
    let mut wire = Wire::on(Arc::clone(&broker));
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "a", Q2);
    for round in 0..1000 {
        let payload = round.to_string();
        let mut old = wire.connect(&stored(Version::V5, "p"));
        let send = |wire: &mut Wire| {
            wire.send(&mut old, &numbered("a", Q2, 1, &payload));
        };
        let take_over = |wire: &mut Wire| {
            let mut new = wire.connect(&stored(Version::V5, "p"));
            let packet_id = PacketId::new(1);
            let again = Publish { dup: true, qos: Q2, packet_id, ..message("a", &payload) };
            wire.send(&mut new, &Packet::Publish(again));
            new
        };
        let ((), mut new) = both(&broker, send, take_over);
        wire.send(&mut new, &pubrel(1));
        assert_eq!(wire.take_payloads(&mut subscriber), [payload]);
    }
}

#[test]
fn a_subscription_made_while_its_session_ends_does_not_outlive_it() {
    let broker = broker();
    for _ in 0..1000 {
        let mut wire = Wire::on(Arc::clone(&broker));
        let mut old = wire.connect(&stored(Version::V5, "c"));
        let subscribe = |wire: &mut Wire| {
            for filter in ["a/b", "+/c", "$share/g/d"] {
                let code = wire.subscribe(&mut old, filter, Q1);
                assert!(matches!(code, ReasonCode::GrantedQoS1 | ReasonCode::QuotaExceeded));
            }
        };
        let end = |wire: &mut Wire| {
            let client = wire.connect(&clean(Version::V5, "c"));
            wire.leave(client);
        };
        both(&broker, subscribe, end);
        assert_eq!((broker.sessions(), broker.filter_nodes()), (0, 0));
    }
}

#[test]
fn a_late_subscription_of_who_lost_the_session_does_not_undo_the_new_owners() {
    let broker = broker();
    for _ in 0..1000 {
        let mut wire = Wire::on(Arc::clone(&broker));
        let mut old = wire.connect(&stored(Version::V5, "c"));
        let subscribe = |wire: &mut Wire| {
            wire.subscribe(&mut old, "a", Q1);
        };
        let unsubscribe = |wire: &mut Wire| {
            let mut client = wire.connect(&stored(Version::V5, "c"));
            wire.unsubscribe(&mut client, &["a"]);
            client
        };
        let ((), mut client) = both(&broker, subscribe, unsubscribe);
        // Whichever came last: what the session holds and what is routed are the same.
        let holds = wire.broker.session("c").unwrap().state.lock().subscriptions.len();
        let mut publisher = wire.connect(&clean(Version::V5, "p"));
        let code = wire.publish(&mut publisher, "a", Q1, "x");
        assert_eq!(code == ReasonCode::Success, holds == 1);
        assert_eq!(wire.take(&mut client).len(), holds);
        wire.leave(publisher);
        wire.lose(client);
        leave_all(&broker, &["c"]);
    }
}

#[test]
fn a_storm_of_connections_under_few_names_leaves_nothing_behind() {
    let broker = broker();
    let ids = ["a", "b", "c"];
    let live = |worker: usize, wire: &mut Wire| {
        let mut open: Vec<Client> = Vec::new();
        for round in 0..1500 {
            let n = round * 7 + worker * 3;
            let id = ids[n % 3];
            let version = VERSIONS[n % 3];
            let connect =
                if n.is_multiple_of(5) { clean(version, id) } else { stored(version, id) };
            let connect = Connect { will: Some(will("b/will", "gone")), ..connect };
            let mut client = wire.connect(&connect);
            client.inbox();
            for filter in ["a/+", "#", "$share/g/b/#"] {
                wire.subscribe(&mut client, filter, Q2);
            }
            wire.send(&mut client, &numbered("a/x", Q1, 1, "x"));
            if client.closed.is_none() {
                wire.send(&mut client, &numbered("b/x", Q2, 2, "x"));
            }
            wire.pass(1000);
            open.push(client);
            if open.len() > 3 {
                let mut client = open.swap_remove(n % open.len());
                if client.closed.is_none() {
                    wire.pump(&mut client);
                }
                wire.lose(client);
            }
        }
        for client in open {
            wire.lose(client);
        }
    };
    both(&broker, |wire| live(0, wire), |wire| live(1, wire));
    assert!(broker.sessions() <= ids.len());
    leave_all(&broker, &ids);
}
