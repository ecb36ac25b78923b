//! Clients that publish faster than they may: slowed down, or sent away.

use std::time::{Duration, Instant};

use wasmqtt_codec::{Connect, Packet, Publish, PublishProperties, QoS, Version};

use crate::harness::client::bytes;
use crate::harness::config::{LOSSLESS, OPEN};
use crate::harness::{Broker, Client, Outgoing};

/// A listener with these limits.
fn limited(keys: &str) -> String {
    format!("{OPEN}[listener.limits]\n{keys}\n{LOSSLESS}")
}

fn reader(broker: &Broker, filter: &str) -> Client {
    Client::enter(broker.addr(), Version::V5, "reader").subscribed(filter, QoS::AtLeastOnce)
}

/// Reads so many messages, in order.
fn read(reader: &mut Client, count: usize) {
    for number in 0..count {
        let message = reader.message();
        assert_eq!(message.text().split(' ').next(), Some(&*number.to_string()));
    }
}

#[test]
fn a_client_that_publishes_too_fast_is_slowed_down_and_nobody_else_is() {
    for version in [Version::V31, Version::V311, Version::V5] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let broker = Broker::start(&limited("publish_rate = 40"));
            let mut reader = reader(&broker, "fast");
            let mut fast = Client::enter(broker.addr(), version, "fast");
            let start = Instant::now();
            for number in 0..120 {
                let _ = fast.send_publish(&Outgoing::new("fast", number.to_string()).qos(qos));
            }
            let calm = Client::enter(broker.addr(), version, "calm");
            let mut calm = calm.subscribed("calm", QoS::AtMostOnce);
            assert!(calm.publish(&Outgoing::new("calm", "x")) < 0x80);
            assert_eq!(calm.message().text(), "x");
            // Forty in what is left of the first second, forty in the second, and forty in the third.
            read(&mut reader, 120);
            let took = start.elapsed();
            assert!(took >= Duration::from_secs(1), "{version:?} {qos:?}: {took:?}");
        }
    }
}

#[test]
fn a_publication_beyond_the_rate_of_bytes_is_made_up_for_and_no_keep_alive_runs_out_meanwhile() {
    let broker = Broker::start(&limited("publish_bytes_rate = \"10KiB\""));
    let mut reader = reader(&broker, "a");
    let mut connect = Connect::new(Version::V311, "large");
    connect.keep_alive = 1;
    let (mut large, _) = Client::connect(broker.addr(), &connect);
    // Four seconds' worth; then one that has to wait for them.
    let payload = format!("0 {}", "x".repeat(40 << 10));
    let start = Instant::now();
    assert_eq!(large.publish(&Outgoing::new("a", payload)), 0);
    assert_eq!(large.publish(&Outgoing::new("a", "1")), 0);
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    large.ping();
    read(&mut reader, 2);
}

#[test]
fn a_client_that_publishes_too_fast_is_sent_away_where_the_operator_wants_it() {
    let keys = "publish_bytes_rate = \"10KiB\"\non_publish_rate = \"disconnect\"";
    let broker = Broker::start(&limited(keys));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    // Just the rate: topic, its length, and no properties.
    let length = (10 << 10) - 4;
    assert_eq!(client.publish(&Outgoing::new("a", "x".repeat(length - 2))), 0x10);
    // Two of these are in the same second.
    let publish = Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic: "a",
        packet_id: None,
        properties: PublishProperties::default(),
        payload: &[b'x'; 9000],
    };
    client.send_as_far_as_possible(&bytes(Version::V5, &[Packet::Publish(publish)]).repeat(50));
    assert_eq!(client.end(), Some(0x96));

    // After a reload it is as that says.
    broker.reload(&limited("publish_bytes_rate = \"10KiB\"\npublish_rate = 1000"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    for _ in 0..3 {
        assert_eq!(client.publish(&Outgoing::new("a", "x".repeat(length))), 0x10);
    }
    client.ping();
}

#[test]
fn a_reload_slows_down_a_flood_that_is_under_way_and_lets_it_go_on() {
    for version in [Version::V311, Version::V5] {
        let broker = Broker::start(&limited(""));
        let mut reader = reader(&broker, "flood");
        let mut flood = Client::enter(broker.addr(), version, "flood");
        for number in 0..500 {
            flood.publish(&Outgoing::new("flood", number.to_string()));
        }
        broker.reload(&limited("publish_rate = 5\nmax_subscriptions = 1"));
        // Whatever it sends from its next turn on.
        flood.ping();
        let start = Instant::now();
        for number in 500..520 {
            flood.publish(&Outgoing::new("flood", number.to_string()));
        }
        // Five in what is left of the first second, and five in each of those that follow.
        assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(flood.subscribe("a", QoS::AtMostOnce), 0);
        let refused = flood.subscribe("b", QoS::AtMostOnce);
        assert!(refused >= 0x80, "{refused:#x}");

        broker.reload(&limited("publish_bytes_rate = \"1KiB\""));
        flood.ping();
        // More than eight minutes' worth; they are over when the bound is.
        let large = format!("520 {}", "x".repeat(512 << 10));
        flood.publish(&Outgoing::new("flood", large));
        broker.reload(&limited(""));
        flood.ping();
        read(&mut reader, 521);
        assert_eq!(flood.subscribe("b", QoS::AtMostOnce), 0);
    }
}
