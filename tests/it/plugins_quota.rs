//! The plugin in C: so many messages and bytes, and no more.

use wasmqtt_codec::{Connect, Packet, QoS, ReasonCode, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::client::login;
use crate::harness::config::{open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing};

fn config(more: &str) -> String {
    let keys = format!("grants = {{ kv = true }}\n[plugin.config]\n{more}");
    let listener = open_listener("mqtt", "transform = [\"quota\"]");
    format!("{listener}{}", plugin("quota", "quota", &keys))
}

fn broker(more: &str) -> Broker {
    Broker::start(&config(more))
}

/// Codes of so many publications.
fn codes(client: &mut Client, topic: &str, payload: &str, count: usize) -> Vec<u8> {
    let message = Outgoing::new(topic, payload).qos(QoS::AtLeastOnce);
    (0..count).map(|_| client.publish(&message)).collect()
}

#[test]
fn each_client_may_publish_as_many_messages_as_its_bucket_holds() {
    // A bucket that fills up so slowly that a test sees nothing of it: one token in a second is the least there is, so
    // that the burst is large and nothing but the order of answers counts.
    let broker = broker("messages_per_second = 1\nmessages_burst = 100\nfilters = [\"in/#\"]");
    let mut reader =
        Client::enter(broker.addr(), Version::V5, "r").subscribed("#", QoS::AtLeastOnce);
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let begin = std::time::Instant::now();
    let codes_of = codes(&mut client, "in/a", "x", 200);
    let refilled = usize::try_from(begin.elapsed().as_secs()).unwrap() + 1;
    let passed = codes_of.iter().filter(|code| **code == 0).count();
    assert!((100..=100 + refilled).contains(&passed), "{passed} in {refilled} s");
    assert!(codes_of[..100].iter().all(|code| *code == 0));
    assert!(codes_of.iter().all(|code| [0, 0x97].contains(code)));
    for _ in 0..passed {
        assert_eq!(reader.message().topic, "in/a");
    }
    let mut other = Client::enter(broker.addr(), Version::V5, "other");
    assert_eq!(codes(&mut other, "in/b", "x", 100), [0; 100], "has a bucket of its own");
    assert_eq!(codes(&mut client, "out", "x", 300), [0; 300], "does not count");
}

#[test]
fn bytes_count_topic_and_payload_and_a_message_beyond_the_burst_never_passes() {
    let broker = broker("bytes_per_second = 1\nbytes_burst = 1000");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let payload = |bytes: usize| "x".repeat(bytes - 1);
    for _ in 0..2 {
        let large = Outgoing::new("t", payload(1001)).qos(QoS::AtLeastOnce);
        client.send_publish(&large);
        let raw = client.receive();
        let Packet::PubAck(ack) = raw.packet() else { panic!("{:?}", raw.packet()) };
        assert_eq!(ack.reason, ReasonCode::QuotaExceeded);
        assert_eq!(ack.reason_string, Some("larger than the quota of 1000 bytes at once"));
    }
    assert_eq!(codes(&mut client, "t", &payload(400), 2), [0x10, 0x10]);
    assert_eq!(codes(&mut client, "t", &payload(400), 1), [0x97]);
    assert_eq!(codes(&mut client, "t", &payload(100), 1), [0x10], "there is room for this one");
}

#[test]
fn clients_of_one_name_may_share_a_quota_and_what_is_beyond_may_vanish() {
    let listener = open_listener("mqtt", "authenticate = [\"hostile\"]\ntransform = [\"quota\"]");
    let keys = "grants = { kv = true }\n[plugin.config]\nmessages_per_second = 1\nmessages_burst = 50\n\
                by = \"username\"\non_exceed = \"discard\"";
    let broker = Broker::start(&format!(
        "{listener}{}{}",
        plugin("hostile", "hostile", ""),
        plugin("quota", "quota", keys)
    ));
    let enter = |name: &'static str, id: &'static str| {
        let mut connect: Connect<'_> = login(Version::V5, name, "");
        connect.client_id = id;
        Client::connect(broker.addr(), &connect).0
    };
    let (mut first, mut second) = (enter("alice", "a"), enter("alice", "b"));
    let mut bob = enter("bob", "c");
    assert_eq!(codes(&mut first, "t", "x", 49), [0x10; 49]);
    let begin = std::time::Instant::now();
    let codes_of = codes(&mut second, "t", "x", 60);
    let refilled = usize::try_from(begin.elapsed().as_secs()).unwrap() + 2;
    let routed = codes_of.iter().filter(|code| **code == 0x10).count();
    assert!((1..=1 + refilled + 49).contains(&routed));
    assert!(codes_of.contains(&0), "acknowledged as if it had been delivered");
    assert_eq!(codes(&mut bob, "t", "x", 50), [0x10; 50]);
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_the_key_that_is_wrong() {
    for (more, why) in [
        ("", "write at least one of messages_per_second and bytes_per_second"),
        ("messages_per_second = 0", "messages_per_second: must be a whole number from 1"),
        ("messages_per_second = 1.5", "messages_per_second: must be a whole number"),
        ("bytes_per_second = 4294967296", "bytes_per_second: must be a whole number"),
        ("bytes_per_second = -1", "bytes_per_second: must be a whole number"),
        ("messages_per_second = 1\nby = \"ip\"", "by: must be \"client_id\" or \"username\""),
        ("messages_per_second = 1\non_exceed = \"close\"", "on_exceed: must be"),
        ("messages_per_second = 1\nfilters = []", "filters: matches no topic"),
        ("messages_per_second = 1\nfilters = [1]", "filters: must be a list"),
        ("messages_per_second = 1\nfilters = [\"a\\\"b\"]", "filters: must be a list"),
        ("messages_per_second = 1\nbytes_burst = 1", "bytes_burst: says how much"),
        ("message_per_second = 1", "message_per_second: unknown; there are"),
    ] {
        let error = refuse_to_start(&config(more));
        assert!(error.contains(why), "{more}: {error}");
    }
    let without = config("messages_per_second = 1").replace("grants = { kv = true }\n", "");
    let error = refuse_to_start(&without);
    assert!(error.contains("imports `wasmqtt:plugin/kv@0.1.0`, which is not granted"), "{error}");
}
