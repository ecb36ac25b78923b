//! What came of a reload is told in the log, the metrics, over `[admin]` and below `$SYS`.

use serde_json::Value;
use wasmqtt_codec::{QoS, Version};

use crate::harness::config::OPEN;
use crate::harness::http;
use crate::harness::{Broker, Client};

const MORE: &str =
    "[admin]\nbind = \"127.0.0.1:0\"\n[broker]\nworkers = 1\nsys_interval = \"1s\"\n";

fn told(broker: &Broker) -> Value {
    let answer = http::get(broker.addr_of("[admin]"), "/reload");
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_str(&answer.body).unwrap()
}

fn metric(broker: &Broker, name: &str) -> f64 {
    let text = http::get(broker.addr_of("[admin]"), "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// What is said below this topic next, whatever comes between.
fn heard(reader: &mut Client, topic: &str, wanted: &str) {
    let topic = format!("$SYS/broker/reload/{topic}");
    for _ in 0..1000 {
        let message = reader.message();
        assert!(!message.text().contains("colour"), "{}", message.text());
        if message.topic == topic && message.text() == wanted {
            return;
        }
    }
    panic!("{topic} was never {wanted}");
}

#[test]
fn the_outcome_of_the_last_reload_can_be_read_everywhere() {
    let config = format!("{OPEN}{MORE}[log]\nformat = \"json\"\n");
    let broker = Broker::start(&config);
    let before = told(&broker);
    assert_eq!((&before["last"], &before["applied"]), (&Value::Null, &0.into()));
    assert_eq!(metric(&broker, "wasmqtt_last_reload_successful"), 1.0);
    let started = metric(&broker, "wasmqtt_last_successful_reload_timestamp_seconds");
    assert!(started > 1.7e9, "{started}");

    broker.reload(&config.replace("workers = 1", "workers = 1\nserver_reference = \"other:1883\""));
    let applied = told(&broker);
    let last = &applied["last"];
    assert_eq!((&last["outcome"], &applied["applied"]), (&"applied".into(), &1.into()));
    assert!(last["message"].as_str().unwrap().contains("broker.server_reference"), "{last}");
    assert!(last["time"].as_str().unwrap().ends_with('Z'), "{last}");

    broker.refuse_reload(&format!("colour = \"secret\"\n{config}"));
    let refused = told(&broker);
    let last = &refused["last"];
    assert_eq!(last["outcome"], "refused", "{refused}");
    let message = last["message"].as_str().unwrap();
    assert!(message.contains("unknown key `colour`") && message.contains(":1:1"), "{message}");
    assert_eq!(metric(&broker, "wasmqtt_last_reload_successful"), 0.0);
    assert_eq!(metric(&broker, "wasmqtt_reloads_total{outcome=\"applied\"}"), 1.0);
    assert!(metric(&broker, "wasmqtt_reloads_total{outcome=\"refused\"}") >= 1.0);
    assert!(metric(&broker, "wasmqtt_last_successful_reload_timestamp_seconds") >= started);
    let health = http::get(broker.addr_of("[admin]"), "/health").body;
    assert!(health.contains("\"last_reload\":\"refused\""), "{health}");
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("$SYS/broker/reload/#", QoS::AtMostOnce);
    heard(&mut reader, "outcome", "refused");
    heard(&mut reader, "applied", "1");
}
