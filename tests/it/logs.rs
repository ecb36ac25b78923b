//! What operators read in the log of a broker that clients speak to.

use std::net::SocketAddr;
use std::process::Command;

use wasmqtt_codec::{Disconnect, Packet, QoS, ReasonCode, Version};

use crate::harness::config::{OPEN, plugin};
use crate::harness::program::Running;
use crate::harness::{Broker, Client, Outgoing, cache, wasmqtt};

/// Forges a line, steers a terminal, and looks like further fields.
const EVIL: &str = "eve\nERROR forged\x1b[2J\r username=root";
/// As it stands in the log.
const SHOWN: &str = r#""eve\nERROR forged\u{1b}[2J\r username=root""#;

/// A broker whose log is text, as it is where nothing else is said, and where its first listener listens.
fn logging_text(config: &str) -> (Running, SocketAddr, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wasmqtt.toml");
    std::fs::write(&path, format!("{config}\n[broker]\nworkers = 1\n")).unwrap();
    let command = "exec \"$0\" run --config \"$1\" 2>&1";
    let mut running = Running::start(
        Command::new("sh")
            .args(["-c", command])
            .arg(wasmqtt())
            .arg(&path)
            .env("XDG_CACHE_HOME", cache()),
    );
    let line = running.wait_for("listener=\"mqtt\"");
    let address = line.split("addr=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let address = address.parse().unwrap();
    running.wait_for("wasmqtt is ready");
    (running, address, dir)
}

#[test]
fn a_client_cannot_forge_lines_or_fields_of_the_log() {
    let (mut log, address, _dir) = logging_text(OPEN);
    let mut client = Client::enter(address, Version::V5, EVIL);
    let connected = log.wait_for("client connected");
    assert!(
        connected.contains(&format!("client connected client_id={SHOWN} peer=\"")),
        "{connected}"
    );
    client.send(&Packet::Disconnect(Disconnect::default()));
    let left = log.wait_for("client disconnected");
    assert!(left.contains(&format!("client_id={SHOWN} peer=\"")), "{left}");
    log.signal("TERM");
    assert_eq!(log.wait_for_end(), Some(0));
    for line in log.seen() {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(!line.trim_start().starts_with("ERROR"), "{line:?}");
    }
}

#[test]
fn a_message_that_was_moved_cannot_forge_lines_by_its_topic() {
    let keys = "[plugin.config]\nproperty = \"to\"\ntopic = \"${value}\"\n";
    let config = format!(
        "{OPEN}transform = [\"property-router\"]\n{}",
        plugin("property-router", "property_router", keys)
    );
    let (mut log, address, _dir) = logging_text(&config);
    let mut client = Client::enter(address, Version::V5, "mover");
    let moving = Outgoing::new("a", "x").qos(QoS::AtLeastOnce).property("to", "b\x1b[2J\nERROR c");
    assert_eq!(client.publish(&moving), 0x87);
    let line = log.wait_for("gave no answer");
    assert!(line.contains(r"it moved a message to `b\u{1b}[2J\nERROR c`"), "{line}");
    assert!(line.contains("hook=\"on-publish\""), "{line}");
}

#[test]
fn coming_and_going_are_told_with_the_same_fields_and_the_clients_reason() {
    let broker = Broker::start(OPEN);
    let told = |version, code| {
        let mark = broker.mark();
        let mut client = Client::log_in(broker.addr(), version, "alice");
        let came = broker.wait_for(mark, "client connected");
        client.send(&Packet::Disconnect(Disconnect { reason: code, ..Disconnect::default() }));
        let went = broker.wait_for(mark, "client disconnected");
        let mut last = 0;
        for field in ["client_id", "peer", "listener", "username"] {
            assert_eq!(came.field(field), went.field(field));
            assert!(!came.field(field).is_empty(), "{field}: {}", came.text());
            let at = |text: &str| text.find(&format!("\"{field}\"")).unwrap();
            assert!(at(came.text()) > last && at(went.text()) > 0, "{}", came.text());
            last = at(came.text());
        }
        went.field("code")
    };
    assert_eq!(told(Version::V5, ReasonCode::NORMAL_DISCONNECTION), "Normal disconnection");
    assert_eq!(told(Version::V5, ReasonCode::DisconnectWithWill), "Disconnect with Will Message");
    assert_eq!(told(Version::V311, ReasonCode::NORMAL_DISCONNECTION), "");
}
