//! Rules that copy messages.

use wasmqtt_codec::{QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{LOSSLESS, open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing};

const RULE: &str = "[[plugin.config.rules]]\nwhen = { filter = \"sensors/+/alarm\" }\n\
    copy = { topic = \"archive/${1}\", retain = true }\nset = { archived = \"yes\" }\n";

fn config(component: &str, grants: &str) -> String {
    let keys = format!("{grants}{RULE}");
    let listener = open_listener("mqtt", "transform = [\"router\"]");
    format!("{listener}{LOSSLESS}{}", plugin("router", component, &keys))
}

#[test]
fn a_copy_arrives_beside_the_message_and_is_not_copied_again() {
    let rules =
        config("property_router_copy", "grants = { publish = [\"archive/#\", \"sensors/#\"] }\n");
    // The copy would match its own rule, if it were tried.
    let rules = rules.replace("\"archive/${1}\"", "\"sensors/${1}/alarm\"");
    let broker = Broker::start(&rules);
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("#", QoS::AtLeastOnce);
    let message = Outgoing::new("sensors/7/alarm", "fire").property("a", "b");
    assert_eq!(client.publish(&message.qos(QoS::AtLeastOnce)), 0);
    for _ in 0..2 {
        let message = client.message();
        assert_eq!(message.parts(), ("sensors/7/alarm", "fire"));
        assert_eq!((message.property("a"), message.property("archived")), (Some("b"), Some("yes")));
    }
    assert_eq!(client.publish(&Outgoing::new("end", "")), 0);
    assert_eq!(client.message().topic, "end", "and no third");
    let mut late =
        Client::enter(broker.addr(), Version::V5, "late").subscribed("sensors/#", QoS::AtLeastOnce);
    assert!(late.message().retain, "the copy was retained");
}

#[test]
fn a_copy_outside_of_the_grants_is_a_failure_and_the_plain_component_makes_none() {
    let broker =
        Broker::start(&config("property_router_copy", "grants = { publish = [\"other/#\"] }\n"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let mark = broker.mark();
    let message = Outgoing::new("sensors/7/alarm", "fire").qos(QoS::AtLeastOnce);
    assert_eq!(client.publish(&message), 0x83);
    assert!(broker.wait_for(mark, "gave no answer").holds("copy: publish to `archive/7`"));
    let error = refuse_to_start(&config("property_router", ""));
    assert!(error.contains("use property_router_copy.wasm with grants"), "{error}");
    let error = refuse_to_start(&config("property_router_copy", ""));
    assert!(
        error.contains("imports `wasmqtt:plugin/publisher@0.1.0`, which is not granted"),
        "{error}"
    );
}
