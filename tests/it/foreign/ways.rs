//! Every way to the broker, as paho, MQTT.js and, where they can, mosquitto's programs go it, in every version.

use serde_json::{Value, json};

use super::{is_ok, mqtt_js, paho};
use crate::harness::Broker;
use crate::harness::config::{LOSSLESS, open_listener};
use crate::harness::program::run;

const VERSIONS: [&str; 3] = ["3.1", "3.1.1", "5.0"];

fn shows_paho(way: &Value) {
    is_ok(&run(paho("paho_ways.py").arg(way.to_string()).args(VERSIONS)));
}

fn shows_mqtt_js(way: &Value) {
    is_ok(&run(mqtt_js("mqtt_js_ways.mjs").arg(way.to_string()).args(VERSIONS)));
}

#[test]
fn paho_and_mqtt_js_come_by_websocket() {
    let listener = open_listener("ws", "protocol = \"ws\"");
    let broker = Broker::start(&format!("{listener}{LOSSLESS}"));
    let port = broker.addr().port();
    shows_paho(&json!({ "port": port, "transport": "websockets", "path": "/mqtt" }));
    shows_mqtt_js(&json!({ "url": format!("ws://127.0.0.1:{port}/mqtt") }));
}
