//! `[admin]`: what a monitoring system reads over HTTP, and what it cannot do to the broker.

use std::io::{Read, Write};
use std::net::SocketAddr;

use wasmqtt_codec::{Connect, QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{OPEN, demo, hostile, open_listener};
use crate::harness::http::{self, Answer};
use crate::harness::{Broker, Client, Outgoing};

const ADMIN: &str = "[admin]\nbind = \"127.0.0.1:0\"\n";

fn open() -> (Broker, SocketAddr) {
    let broker = Broker::start(&format!("{OPEN}{ADMIN}"));
    let admin = broker.addr_of("[admin]");
    (broker, admin)
}

/// The value of a sample, by its name and labels.
fn value(text: &str, sample: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
}

fn check(text: &str, expected: &[(&str, f64)]) {
    for (sample, wanted) in expected {
        assert_eq!(value(text, sample), Some(*wanted), "{sample} in:\n{text}");
    }
}

#[test]
fn what_became_of_clients_and_messages_is_told_in_the_text_format_of_prometheus() {
    let quiet = "[broker]\nsys_interval = \"0s\"\n";
    let broker = Broker::start(&format!("{quiet}{OPEN}{ADMIN}"));
    let admin = broker.addr_of("[admin]");
    let mut reader =
        Client::enter(broker.addr(), Version::V5, "reader").subscribed("#", QoS::AtLeastOnce);
    let mut old = Client::enter(broker.addr(), Version::V311, "old");
    for number in 0..5 {
        old.publish(&Outgoing::new(&format!("kept/{number}"), "x").retained());
        reader.message();
    }
    assert_eq!(reader.publish(&Outgoing::new("$SYS/mine", "")), 0x87);
    old.disconnect();
    broker.wait_for(crate::harness::broker::Mark::START, "client disconnected");
    let answer = http::get(admin, "/metrics");
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    let text = answer.body;
    check(
        &text,
        &[
            ("wasmqtt_sessions", 1.0),
            ("wasmqtt_subscriptions", 1.0),
            ("wasmqtt_retained_messages", 5.0),
            ("wasmqtt_connections_accepted_total", 2.0),
            ("wasmqtt_messages_received_total", 5.0),
            ("wasmqtt_messages_sent_total", 5.0),
            ("wasmqtt_messages_refused_total", 1.0),
            ("wasmqtt_messages_dropped_total{reason=\"queue-full\"}", 0.0),
            ("wasmqtt_publish_packets_received_total{qos=\"1\"}", 6.0),
            ("wasmqtt_packets_received_total{type=\"publish\"}", 6.0),
            ("wasmqtt_packets_received_total{type=\"subscribe\"}", 1.0),
            ("wasmqtt_packets_received_total{type=\"disconnect\"}", 1.0),
            ("wasmqtt_clients_connected_total{version=\"3.1.1\"}", 1.0),
            ("wasmqtt_clients_connected_total{version=\"5.0\"}", 1.0),
            (
                "wasmqtt_clients_disconnected_total{by=\"client\",reason=\"Normal disconnection\"}",
                1.0,
            ),
        ],
    );
    assert!(value(&text, "wasmqtt_received_bytes_total").unwrap() > 100.0);
    assert!(value(&text, "wasmqtt_listener_connections{listener=\"mqtt\"}").unwrap() >= 1.0);
}

#[test]
fn what_came_of_every_plugin_is_told_by_hook_and_outcome_with_how_long_it_took() {
    let broker = Broker::start(&format!("{}{ADMIN}", demo()));
    let (addr, admin) = (broker.addr(), broker.addr_of("[admin]"));
    let (_, refused) = Client::connect(
        addr,
        &Connect {
            username: Some("alice"),
            password: Some(b"wrong"),
            ..Connect::new(Version::V5, "a")
        },
    );
    assert_eq!(refused.code, 0x86);
    let text = http::get(admin, "/metrics").body;
    check(
        &text,
        &[
            (
                "wasmqtt_plugin_calls_total{plugin=\"password-file\",hook=\"authenticate\",outcome=\"deny\"}",
                1.0,
            ),
            (
                "wasmqtt_plugin_call_seconds_count{plugin=\"password-file\",hook=\"authenticate\",outcome=\"deny\"}",
                1.0,
            ),
            ("wasmqtt_clients_refused_total{reason=\"Bad User Name or Password\"}", 1.0),
            ("wasmqtt_plugin_suspended{plugin=\"password-file\"}", 0.0),
        ],
    );
}

#[test]
fn a_plugin_that_traps_is_counted_until_it_is_suspended_and_health_names_it() {
    let listener = open_listener("mqtt", "transform = [\"hostile\"]");
    let guest = hostile("", "on = \"publish\"\ndo = \"trap\"\nwhen = \"bad\"");
    let broker = Broker::start(&format!("{listener}{guest}{ADMIN}"));
    let admin = broker.addr_of("[admin]");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("good", "")), 0x10);
    let health = http::get(admin, "/health");
    assert_eq!(health.status, 200);
    assert!(health.body.contains("\"status\":\"ok\""), "{}", health.body);
    assert!(health.body.contains("\"suspended_plugins\":[]"), "{}", health.body);
    for _ in 0..5 {
        assert_eq!(client.publish(&Outgoing::new("bad", "")), 0x83);
    }
    assert_eq!(client.publish(&Outgoing::new("good", "")), 0x83, "it is suspended");
    let text = http::get(admin, "/metrics").body;
    let calls = |outcome: &str| {
        let labels = format!("{{plugin=\"hostile\",hook=\"on-publish\",outcome=\"{outcome}\"}}");
        value(&text, &format!("wasmqtt_plugin_calls_total{labels}"))
    };
    assert_eq!((calls("forward"), calls("trap")), (Some(1.0), Some(5.0)), "{text}");
    // The first was asked after all if the pause was over by then.
    assert!(calls("suspended").is_some(), "{text}");
}

#[test]
fn whatever_else_is_asked_is_refused() {
    let (_broker, admin) = open();
    let missing = http::get(admin, "/etc/passwd");
    assert_eq!((missing.status, missing.body.contains("/metrics")), (404, true));
    assert_eq!(http::get(admin, "/metrics/../../etc/passwd").status, 404);
    for method in ["POST", "PUT", "DELETE"] {
        let answer = http::request(admin, method, "/metrics");
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: GET, HEAD"), "{}", answer.head);
    }
    let head = http::request(admin, "HEAD", "/metrics");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let junk = http::exchange(http::connect(admin), b"\x10\x00\x00\x04MQTT\r\n\r\n");
    assert_eq!(junk.status, 400);
}

#[test]
fn a_head_that_is_too_large_is_refused_and_one_that_never_ends_is_cut_off() {
    let (_broker, admin) = open();
    let bomb = format!("GET /metrics HTTP/1.1\r\nHost: x\r\nX: {}", "x".repeat(64 << 10));
    let mut stream = http::connect(admin);
    // It may be refused before all of it is written.
    let _ = stream.write_all(bomb.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 431 "), "{}", String::from_utf8_lossy(&answer));
    let mut slow = http::connect(admin);
    slow.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n").unwrap();
    // Nothing more comes; the broker hangs up.
    let Answer { status, .. } = http::read(slow);
    assert!(status == 0 || status == 408, "{status}");
}

#[test]
fn sixty_four_connections_are_served_and_the_next_one_waits_for_a_place() {
    let (_broker, admin) = open();
    let request = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
    // Answered, and open.
    let mut held: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = http::connect(admin);
            stream.write_all(request).unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            stream
        })
        .collect();
    let mut next = http::connect(admin);
    next.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    next.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(next.read(&mut [0]).is_err(), "there was a place for it");
    next.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    drop(held.pop());
    assert_eq!(http::read(next).status, 200);
}

#[test]
fn an_address_that_is_taken_keeps_the_broker_from_starting_and_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let told = refuse_to_start(&format!("{OPEN}[admin]\nbind = \"{addr}\"\n"));
    assert!(told.contains(&addr.to_string()) && told.contains("[admin]"), "{told}");
}

#[test]
fn a_broker_with_an_open_admin_connection_ends_when_told() {
    let (mut broker, admin) = open();
    let mut idle = http::connect(admin);
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0]).unwrap();
    broker.terminate();
    broker.ends_at_once();
}
