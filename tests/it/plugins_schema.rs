//! The plugin in Python: what does not follow its schema reaches nobody.

use wasmqtt_codec::{QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{LOSSLESS, open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing};

const SCHEMA: &str = r#"{"type": "object", "required": ["celsius"],
    "properties": {"celsius": {"type": "number", "maximum": 60}}}"#;

fn config(rules: &str) -> String {
    // A Python interpreter wants more memory and time than the defaults.
    let keys =
        format!("limits = {{ memory = \"128MiB\", call = \"5s\" }}\n[plugin.config]\n{rules}");
    let listener = open_listener("mqtt", "transform = [\"schema\"]");
    format!("{listener}{LOSSLESS}{}", plugin("schema", "schema", &keys))
}

const RULES: &str = "allow_empty = true\n\
    rules = [{ filter = \"sensors/+/reading\", schema = { file = \"reading.json\" } },\n\
    { filter = \"commands/#\", schema = { type = \"object\", required = [\"command\"] } }]";

fn broker() -> Broker {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("reading.json"), SCHEMA).unwrap();
    Broker::start_in(dir, &config(RULES))
}

#[test]
fn payloads_that_follow_their_schema_arrive_and_others_are_rejected_with_the_code_for_it() {
    let broker = broker();
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("#", QoS::AtLeastOnce);
    for (topic, payload) in [
        ("sensors/7/reading", "{}"),
        ("sensors/7/reading", "{\"celsius\": \"21\"}"),
        ("sensors/7/reading", "{\"celsius\": 61}"),
        ("sensors/7/reading", "celsius=21"),
        ("commands/x/y", "[]"),
        ("commands", "{}"),
    ] {
        assert_eq!(client.publish(&Outgoing::new(topic, payload)), 0x99, "{topic} {payload}");
    }
    for (topic, payload) in [
        ("sensors/7/reading", "{\"celsius\": 21}"),
        ("commands/x", "{\"command\": \"go\"}"),
        ("sensors/7/reading", ""),
        ("sensors/7/other", "celsius=21"),
    ] {
        assert_eq!(client.publish(&Outgoing::new(topic, payload)), 0, "{topic} {payload}");
        assert_eq!(client.message().parts(), (topic, payload), "and nothing before");
    }
}

#[test]
fn a_changed_schema_is_in_force_without_a_word_and_a_broken_one_changes_nothing() {
    let broker = broker();
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("#", QoS::AtLeastOnce);
    let reading = Outgoing::new("sensors/7/reading", "{\"celsius\": 61}");
    assert_eq!(client.publish(&reading), 0x99);
    let mark = broker.mark();
    broker.replace("reading.json", SCHEMA.replace("60", "70").as_bytes());
    broker.wait_for(mark, "reload applied");
    assert_eq!(client.publish(&reading), 0);
    let mark = broker.mark();
    broker.replace("reading.json", b"{\n\"type\": ]");
    let refused = broker.wait_for(mark, "reload refused");
    assert!(refused.holds("rule 1: reading.json:2: not JSON"), "{}", refused.text());
    assert_eq!(client.publish(&reading), 0);
}

#[test]
fn a_schema_that_cannot_be_used_is_an_error_at_the_start() {
    let rule = "rules = [{ filter = \"a\", schema = { type = \"objekt\" } }]";
    let said = refuse_to_start(&config(rule));
    assert!(said.contains("rule 1: schema: Unknown type"), "{said}");
}
