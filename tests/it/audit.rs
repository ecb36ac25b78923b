//! The audit plugin: what happens, published as CloudEvents.

use serde_json::{Value, json};
use wasmqtt_codec::{QoS, Version};

use crate::harness::config::{LOSSLESS, OPEN, plugin};
use crate::harness::{Broker, Client};

#[test]
fn what_happens_to_a_client_is_published_as_cloud_events() {
    let keys = "grants = { publish = [\"audit/#\"] }\n[plugin.config]\n\
                topic = \"audit/${client_id}/${kind}\"\nsource = \"/hall-3\"\n\
                kinds = [\"client-connected\", \"subscribed\", \"client-disconnected\"]";
    let broker = "[broker]\nobserve = [\"audit\"]\n";
    let config = [broker, LOSSLESS, OPEN, &plugin("audit", "audit", keys)].concat();
    let broker = Broker::start(&config);
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("audit/c/#", QoS::AtLeastOnce);
    Client::enter(broker.addr(), Version::V5, "c").subscribed("a/#", QoS::AtMostOnce).disconnect();
    let mut ids = Vec::new();
    for (kind, data) in [
        ("client-connected", json!({})),
        ("subscribed", json!({ "topic": "a/#", "code": 0 })),
        ("client-disconnected", json!({ "code": 0 })),
    ] {
        let message = reader.message();
        assert_eq!(message.topic, format!("audit/c/{kind}"));
        let mut event: Value = serde_json::from_slice(&message.payload).unwrap();
        let fields = event.as_object_mut().unwrap();
        assert_eq!(fields["specversion"], "1.0");
        assert_eq!(fields["type"], format!("wasmqtt.{kind}"));
        assert_eq!((&fields["source"], &fields["subject"]), (&json!("/hall-3"), &json!("c")));
        assert_eq!(fields["datacontenttype"], "application/json");
        assert!(fields["time"].as_str().unwrap().ends_with('Z'));
        ids.push(fields["id"].to_string());
        let said = fields["data"].as_object_mut().unwrap();
        assert_eq!(said.remove("client_id"), Some(json!("c")));
        assert!(said.remove("peer").unwrap().as_str().unwrap().starts_with("127.0.0.1:"));
        assert_eq!(fields["data"], data, "{kind}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "identifiers are unique");
}
