//! Every way to the broker, as paho, MQTT.js and, where they can, mosquitto's programs go it, in every version.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{is_ok, mqtt_js, paho};
use crate::harness::Broker;
use crate::harness::config::{LOSSLESS, open_listener};
use crate::harness::program::{Running, run};
use crate::harness::tls::Authority;

const VERSIONS: [&str; 3] = ["3.1", "3.1.1", "5.0"];
const SERVER: &str = "tls = { certificate = \"server.pem\", key = \"server.key\" }";
const PROXY: &str = "proxy_protocol = \"address\"\ntrusted_proxies = [\"127.0.0.1\"]";

fn shows_paho(way: &Value) {
    is_ok(&run(paho("paho_ways.py").arg(way.to_string()).args(VERSIONS)));
}

fn shows_mqtt_js(way: &Value) {
    is_ok(&run(mqtt_js("mqtt_js_ways.mjs").arg(way.to_string()).args(VERSIONS)));
}

fn listener(keys: &str) -> String {
    format!("{}{LOSSLESS}", open_listener("way", keys))
}

/// A broker with certificates in its directory: its own, that of a client, and that of who issued them.
fn certified(keys: &str) -> Broker {
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    authority.client("device-1").write(dir.path(), "client");
    std::fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
    Broker::start_in(dir, &listener(keys))
}

fn file(broker: &Broker, name: &str) -> String {
    broker.dir().join(name).display().to_string()
}

fn content(broker: &Broker, name: &str) -> String {
    std::fs::read_to_string(broker.dir().join(name)).unwrap()
}

/// mosquitto_pub and mosquitto_sub with QoS 2, something retained, and a will, by these arguments.
fn shows_mosquitto(arguments: &[&str]) {
    let command = |program: &str, rest: &str| {
        let mut command = Command::new(program);
        command.args(arguments).args(rest.split_whitespace());
        command
    };
    for version in ["31", "311", "5"] {
        let kept = format!("-V {version} -q 2 -r -t ways/kept -m kept-{version}");
        assert_eq!(run(&mut command("mosquitto_pub", &kept)).code, Some(0));
        let sub = format!("-V {version} -q 2 -t ways/# -F %t|%p|%q|%r");
        let mut sub = Running::start(&mut command("mosquitto_sub", &sub));
        // What is retained says that it is subscribed.
        assert_eq!(sub.wait_for("kept"), format!("ways/kept|kept-{version}|2|1"));
        let message = format!("-V {version} -q 2 -t ways/a -m hello-{version}");
        assert_eq!(run(&mut command("mosquitto_pub", &message)).code, Some(0));
        assert_eq!(sub.wait_for("hello"), format!("ways/a|hello-{version}|2|0"));
        let will = "--will-topic ways/will --will-payload gone --will-qos 1";
        let dying = format!("-V {version} -t ways/kept -F %p {will}");
        let mut dying = Running::start(&mut command("mosquitto_sub", &dying));
        dying.wait_for("kept");
        // Killed, so that it cannot say good-bye.
        drop(dying);
        assert_eq!(sub.wait_for("gone"), "ways/will|gone|1|0");
        let cleared = format!("-V {version} -q 1 -r -n -t ways/kept");
        assert_eq!(run(&mut command("mosquitto_pub", &cleared)).code, Some(0));
    }
}

#[test]
fn paho_and_mqtt_js_come_by_tcp() {
    let broker = Broker::start(&listener(""));
    let port = broker.addr().port();
    shows_paho(&json!({ "port": port }));
    shows_mqtt_js(&json!({ "url": format!("mqtt://127.0.0.1:{port}") }));
    shows_mosquitto(&["-h", "127.0.0.1", "-p", &port.to_string()]);
}

#[test]
fn paho_and_mqtt_js_come_by_websocket() {
    let broker = Broker::start(&listener("protocol = \"ws\""));
    let port = broker.addr().port();
    shows_paho(&json!({ "port": port, "transport": "websockets", "path": "/mqtt" }));
    shows_mqtt_js(&json!({ "url": format!("ws://127.0.0.1:{port}/mqtt") }));
}

#[test]
fn everybody_comes_by_tls_1_2_and_1_3() {
    let broker = certified(&format!("protocol = \"tls\"\n{SERVER}"));
    let port = broker.addr().port();
    let ca = file(&broker, "ca.pem");
    for (python, node, mosquitto) in
        [("TLSv1_2", "TLSv1.2", "tlsv1.2"), ("TLSv1_3", "TLSv1.3", "tlsv1.3")]
    {
        shows_paho(&json!({ "port": port, "tls": { "ca": ca }, "tls_version": python }));
        shows_mqtt_js(&json!({
            "url": format!("mqtts://127.0.0.1:{port}"), "ca": content(&broker, "ca.pem"),
            "minVersion": node, "maxVersion": node,
        }));
        let port = port.to_string();
        let tls = ["--cafile", &ca, "--tls-version", mosquitto, "--tls-alpn", "mqtt"];
        shows_mosquitto(&[&["-h", "127.0.0.1", "-p", &port][..], &tls].concat());
    }
}

#[test]
fn everybody_comes_with_a_certificate() {
    let keys = SERVER.replace(
        " }",
        ", client_certificate = \"required\", client_ca = [\"ca.pem\"], client_name = [\"cn\"] }",
    );
    let broker = certified(&format!("protocol = \"tls\"\n{keys}"));
    let port = broker.addr().port();
    let [ca, cert, key] = ["ca.pem", "client.pem", "client.key"].map(|name| file(&broker, name));
    let mark = broker.mark();
    shows_paho(&json!({ "port": port, "tls": { "ca": ca, "cert": cert, "key": key } }));
    shows_mqtt_js(&json!({
        "url": format!("mqtts://127.0.0.1:{port}"), "ca": content(&broker, "ca.pem"),
        "cert": content(&broker, "client.pem"), "key": content(&broker, "client.key"),
    }));
    let port = port.to_string();
    let tls = ["--cafile", &ca, "--cert", &cert, "--key", &key];
    shows_mosquitto(&[&["-h", "127.0.0.1", "-p", &port][..], &tls].concat());
    for line in broker.lines(mark).iter().filter(|line| line.message() == "client connected") {
        assert_eq!(line.field("username"), "device-1");
    }
}

#[test]
fn paho_and_mqtt_js_come_by_secure_websocket() {
    let broker = certified(&format!("protocol = \"wss\"\n{SERVER}"));
    let port = broker.addr().port();
    let ca = file(&broker, "ca.pem");
    let way =
        json!({ "port": port, "transport": "websockets", "path": "/mqtt", "tls": { "ca": ca } });
    shows_paho(&way);
    shows_mqtt_js(&json!({
        "url": format!("wss://127.0.0.1:{port}/mqtt"), "ca": content(&broker, "ca.pem"),
    }));
}

#[test]
fn everybody_comes_by_unix_socket() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mqtt.sock").display().to_string();
    let listener = listener("protocol = \"unix\"").replace("127.0.0.1:0", &path);
    let _broker = Broker::start(&listener);
    shows_paho(&json!({ "host": path, "port": 1, "transport": "unix" }));
    shows_mqtt_js(&json!({ "socket": { "path": path } }));
    shows_mosquitto(&["--unix", &path]);
}

#[test]
fn paho_and_mqtt_js_come_through_proxies() {
    let broker = Broker::start(&listener(PROXY));
    let port = broker.addr().port();
    let v1 = b"PROXY TCP4 198.51.100.7 127.0.0.1 56250 1883\r\n".to_vec();
    let v2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..],
        &[198, 51, 100, 8, 127, 0, 0, 1, 0, 7, 7, 0x5b],
    ]
    .concat();
    for (header, peer) in [(v1, "198.51.100.7:56250"), (v2, "198.51.100.8:7")] {
        let first: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
        let mark = broker.mark();
        shows_paho(&json!({ "port": port, "first": first }));
        let socket = json!({ "port": port, "host": "127.0.0.1" });
        shows_mqtt_js(&json!({ "socket": socket, "first": first }));
        let lines = broker.lines(mark);
        let connected = lines.iter().filter(|line| line.message() == "client connected");
        assert!(connected.map(|line| line.field("peer")).all(|found| found == peer));
    }
}
