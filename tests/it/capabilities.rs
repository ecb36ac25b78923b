//! What plugins may use beyond answering: granted by name, or the component is not loaded.

use std::time::Instant;

use wasmqtt_codec::{QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{open_listener, plugin};
use crate::harness::http;
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
    let broker = Broker::start(&Keeper::config("grants = { kv = true, metrics = true }"));
    // Two workers: connections go to them in turn.
    let (mut a, mut b) = (Keeper::new(&broker, "a"), Keeper::new(&broker, "b"));
    assert_eq!(a.told("a", "set colour green"), "ok");
    assert_eq!(b.told("b", "get colour"), "green");
    for n in 0..10 {
        assert_eq!(a.told("a", "increment n 1"), (2 * n + 1).to_string());
        assert_eq!(b.told("b", "increment n 1"), (2 * n + 2).to_string());
    }
    broker.reload(&Keeper::config("on_failure = \"open\"\ngrants = { kv = true, metrics = true }"));
    assert_eq!(a.told("a", "get colour"), "green");
    assert_eq!(b.told("b", "increment n 1"), "21");
    assert_eq!(b.told("b", "delete colour"), "true");
    assert_eq!(a.told("a", "get colour"), "none");
}

#[test]
fn a_key_goes_when_its_time_is_over_and_a_bucket_is_filled_again() {
    let broker = Broker::start(&Keeper::config("grants = { kv = true, metrics = true }"));
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
    let broker = Broker::start(&Keeper::config("grants = { kv = \"64KiB\", metrics = true }"));
    let mut a = Keeper::new(&broker, "a");
    assert_eq!(a.told("a", "set mine x"), "ok");
    let most = 64 * 1024 / (1000 + 128);
    let kept: usize = a.told("a", "fill 1000").parse().unwrap();
    assert!((most - 2..=most).contains(&kept), "{kept} of {most}");
    let refusal = a.told("a", &format!("set more {}", "x".repeat(1000)));
    assert!(refusal.contains("kv is full") && refusal.contains("`limits.kv`"), "{refusal}");
    assert_eq!(a.told("a", "get mine"), "x");
    broker.reload(&Keeper::config("grants = { kv = true, metrics = true }"));
    assert_eq!(a.told("a", &format!("set more {}", "x".repeat(1000))), "ok");
}

#[test]
fn metrics_are_counted_by_all_instances_together_and_go_on_across_a_reload() {
    let admin = "[admin]\nbind = \"127.0.0.1:0\"\n";
    let keys = "grants = { kv = true, metrics = true }";
    let broker = Broker::start(&(Keeper::config(keys) + admin));
    // Two workers: connections go to them in turn.
    let (mut a, mut b) = (Keeper::new(&broker, "a"), Keeper::new(&broker, "b"));
    for _ in 0..5 {
        assert_eq!(a.told("a", "count seen 1"), "ok");
        assert_eq!(b.told("b", "count seen 10"), "ok");
    }
    assert_eq!(a.told("a", "gauge depth 2"), "ok");
    assert_eq!(b.told("b", "gauge depth -1.5"), "ok");
    broker.reload(&(Keeper::config(&format!("on_failure = \"open\"\n{keys}")) + admin));
    assert_eq!(a.told("a", "count seen 100"), "ok");
    let text = http::get(broker.addr_of("[admin]"), "/metrics").body;
    for line in [
        "# HELP wasmqtt_plugin_keeper_seen_total What was counted.",
        "# TYPE wasmqtt_plugin_keeper_seen_total counter",
        "wasmqtt_plugin_keeper_seen_total{plugin=\"keeper\"} 155",
        "# TYPE wasmqtt_plugin_keeper_depth gauge",
        "wasmqtt_plugin_keeper_depth{plugin=\"keeper\"} -1.5",
        "wasmqtt_plugin_calls_total{plugin=\"keeper\",hook=\"on-publish\",outcome=\"forward\"} 13",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
    }
}

#[test]
fn a_plugin_has_no_more_metrics_and_handles_than_its_bound() {
    let broker = Broker::start(&Keeper::config("grants = { kv = true, metrics = true }"));
    let mut a = Keeper::new(&broker, "a");
    let mark = broker.mark();
    for n in 0..101 {
        assert_eq!(a.told("a", &format!("count n{n} 1")), "ok");
    }
    assert!(broker.wait_for(mark, "there are 100 metrics").message().contains("no metric"));
    assert_eq!(a.told("a", "handles 1000"), "1000");
    assert_eq!(a.0.publish(&Outgoing::new("a/x", "handles 1025")), 0x83);
    broker.wait_for(mark, "it holds 1024 handles");
    assert_eq!(a.told("a", "get x"), "none");
}

#[test]
fn what_became_of_plugins_is_said_below_sys() {
    let often = "[broker]\nworkers = 2\nsys_interval = \"1s\"\n";
    let broker = Broker::start(&(Keeper::config("grants = { kv = true, metrics = true }") + often));
    let mut a = Keeper::new(&broker, "a");
    assert_eq!(a.told("a", "get x"), "none");
    assert_eq!(a.0.publish(&Outgoing::new("a/x", "nonsense")), 0x83);
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("$SYS/broker/plugins/keeper/#", QoS::AtMostOnce);
    let mut wanted =
        vec![("suspended", "0"), ("on-publish/forward", "1"), ("on-publish/failure", "1")];
    let start = Instant::now();
    while !wanted.is_empty() {
        assert!(start.elapsed() < PATIENCE, "never said: {wanted:?}");
        let message = reader.message();
        let name = message.topic.strip_prefix("$SYS/broker/plugins/keeper/").unwrap();
        wanted.retain(|(topic, value)| (name, message.text()) != (*topic, *value));
    }
}

#[test]
fn what_a_plugin_hands_over_at_once_ends_at_its_bound() {
    let config = |bound: &str| {
        let limits = format!("limits = {{ call = \"1s\", kv = \"1MiB\"{bound} }}");
        Keeper::config(&format!("{limits}\ngrants = {{ kv = true, metrics = true }}"))
    };
    let broker = Broker::start(&config(", host_call_bytes = \"64KiB\""));
    let mut a = Keeper::new(&broker, "a");
    // The key is handed over with its value.
    let set = |bytes: usize| format!("set key {}", "x".repeat(bytes - 3));
    assert_eq!(a.told("a", &set(64 << 10)), "ok");
    let mark = broker.mark();
    assert_eq!(a.0.publish(&Outgoing::new("a/x", set((64 << 10) + 1))), 0x83);
    let line = broker.wait_for(mark, "gave no answer");
    assert!(line.message().contains("its limit of 65536 host call bytes was reached"), "{line:?}");
    broker.reload(&config(""));
    assert_eq!(a.told("a", &set(512 << 10)), "ok");
}

#[test]
fn a_capability_without_its_grant_keeps_the_broker_from_starting_and_is_named() {
    for (keys, import, grant) in [
        ("grants = { metrics = true }", "wasmqtt:plugin/kv@0.1.0", "`grants = { kv = true }`"),
        ("grants = { kv = true }", "wasmqtt:plugin/metrics@0.1.0", "`grants = { metrics = true }`"),
    ] {
        let told = refuse_to_start(&Keeper::config(keys));
        for part in ["plugin `keeper`", import, grant] {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }
}
