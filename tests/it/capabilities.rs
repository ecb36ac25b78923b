//! What plugins may use beyond answering: granted by name, or the component is not loaded.

use std::time::Instant;

use wasmqtt_codec::{QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// A client that tells the guest `keeper` what to do with its keys, and reads its answers.
struct Keeper(Client);

impl Keeper {
    fn config(keys: &str) -> String {
        open_listener("mqtt", "transform = [\"keeper\"]") + &plugin("keeper", "keeper", keys)
    }

    fn new(broker: &Broker, id: &str) -> Self {
        let client = Client::enter(broker.addr(), Version::V5, id);
        Self(client.subscribed(&format!("{id}/#"), QoS::AtLeastOnce))
    }

    fn told(&mut self, id: &str, order: &str) -> String {
        assert_eq!(self.0.publish(&Outgoing::new(&format!("{id}/x"), order)), 0, "{order}");
        self.0.message().text().to_owned()
    }
}

#[test]
fn keys_are_shared_by_the_instances_of_all_workers_and_survive_a_reload() {
    let broker = Broker::start(&Keeper::config("grants = { kv = true }"));
    // Two workers: connections go to them in turn.
    let (mut a, mut b) = (Keeper::new(&broker, "a"), Keeper::new(&broker, "b"));
    assert_eq!(a.told("a", "set colour green"), "ok");
    assert_eq!(b.told("b", "get colour"), "green");
    for n in 0..10 {
        assert_eq!(a.told("a", "increment n 1"), (2 * n + 1).to_string());
        assert_eq!(b.told("b", "increment n 1"), (2 * n + 2).to_string());
    }
    broker.reload(&Keeper::config("on_failure = \"open\"\ngrants = { kv = true }"));
    assert_eq!(a.told("a", "get colour"), "green");
    assert_eq!(b.told("b", "increment n 1"), "21");
    assert_eq!(b.told("b", "delete colour"), "true");
    assert_eq!(a.told("a", "get colour"), "none");
}

#[test]
fn a_key_goes_when_its_time_is_over_and_a_bucket_is_filled_again() {
    let broker = Broker::start(&Keeper::config("grants = { kv = true }"));
    let mut a = Keeper::new(&broker, "a");
    assert_eq!(a.told("a", "set short x 300"), "ok");
    assert_eq!(a.told("a", "set long x 3000000"), "ok");
    assert_eq!(a.told("a", "take bucket 2 1"), "true");
    let start = Instant::now();
    for order in ["get short", "take bucket 2 1"] {
        let wanted = if order.starts_with("get") { "none" } else { "true" };
        while a.told("a", order) != wanted {
            assert!(start.elapsed() < PATIENCE, "{order} is never {wanted}");
        }
    }
    assert_eq!(a.told("a", "get long"), "x");
}

#[test]
fn what_a_plugin_keeps_ends_at_its_bound_and_the_bound_can_be_raised() {
    let broker = Broker::start(&Keeper::config("grants = { kv = \"64KiB\" }"));
    let mut a = Keeper::new(&broker, "a");
    assert_eq!(a.told("a", "set mine x"), "ok");
    let most = 64 * 1024 / (1000 + 128);
    let kept: usize = a.told("a", "fill 1000").parse().unwrap();
    assert!((most - 2..=most).contains(&kept), "{kept} of {most}");
    let refusal = a.told("a", &format!("set more {}", "x".repeat(1000)));
    assert!(refusal.contains("kv is full") && refusal.contains("`limits.kv`"), "{refusal}");
    assert_eq!(a.told("a", "get mine"), "x");
    broker.reload(&Keeper::config("grants = { kv = true }"));
    assert_eq!(a.told("a", &format!("set more {}", "x".repeat(1000))), "ok");
}

#[test]
fn a_capability_without_its_grant_keeps_the_broker_from_starting_and_is_named() {
    let told = refuse_to_start(&Keeper::config(""));
    for part in ["plugin `keeper`", "wasmqtt:plugin/kv@0.1.0", "`grants = { kv = true }`"] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}
