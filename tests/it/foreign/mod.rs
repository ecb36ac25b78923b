//! Clients that others wrote: what their users see is what counts.

mod browser;
mod demo;
mod mosquitto;
mod mosquitto_5;
mod scripts;
mod ways;

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::Broker;
use crate::harness::config::OPEN;
use crate::harness::program::{Ended, installed, run};
use crate::harness::root;

/// A broker where everybody may do everything and nothing is too much, which says often how many are there.
fn open() -> Broker {
    Broker::start(&format!(
        "{OPEN}[broker]\nworkers = 2\nsys_interval = \"1s\"\n[limits]\nmax_packet_size = \"2MiB\"\n\
         queue = {{ messages = 100000, bytes = \"100MiB\" }}\n"
    ))
}

/// A program of mosquitto, as a user types it.
fn mosquitto(addr: SocketAddr, program: &str, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &addr.port().to_string()]);
    for word in arguments.split_whitespace() {
        command.arg(word.trim_matches('\''));
    }
    command
}

/// Runs mosquitto_pub, which must succeed.
fn published(broker: &Broker, arguments: &str) {
    let ended = run(&mut mosquitto(broker.addr(), "mosquitto_pub", arguments));
    assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
}

/// Runs mosquitto_sub to its end; answers its lines.
fn received(broker: &Broker, arguments: &str) -> Vec<String> {
    let ended = run(&mut mosquitto(broker.addr(), "mosquitto_sub", arguments));
    assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
    ended.stdout.lines().map(str::to_owned).collect()
}

/// The script of this name, for paho.
fn paho(script: &str) -> Command {
    let mut python = Command::new(installed("WASMQTT_PAHO_PYTHON"));
    // It would leave compiled files among the sources.
    python.arg("-B").arg(root().join("tests/it/clients").join(script));
    python
}

/// The script of this name, for MQTT.js.
fn mqtt_js(script: &str) -> Command {
    installed("WASMQTT_NODE_MODULES");
    let mut node = Command::new("node");
    node.arg(root().join("tests/it/clients").join(script));
    node
}

/// A script says `ok` at last when everything was as it should be.
fn is_ok(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.lines().last(), Some("ok"), "{}", ended.stdout);
}
