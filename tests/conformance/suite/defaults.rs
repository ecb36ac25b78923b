//! What a broker without limits of its own in the configuration gives a client that keeps to the specification.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Version};

/// Messages of a burst: more than a second's worth of most devices.
const BURST: u16 = 5000;

fn burst(topic: &str, version: Version) -> Vec<u8> {
    let message = |n: u16| Outgoing::new(topic, n.to_string(), 1).bytes(version, n);
    (1..=BURST).flat_map(message).collect()
}

#[test]
fn a_burst_reaches_a_subscriber_that_is_slower_whole_and_in_order() {
    let broker = Broker::start();
    for version in BOTH {
        let mut subscriber = broker.client(version, "slow");
        subscriber.sub("burst", 1);
        let mut publisher = broker.client(version, "fast");
        publisher.send(&burst("burst", version));
        for n in 1..=BURST {
            assert_eq!(publisher.pub_ack(n).code, 0);
        }
        // Nothing was read so far.
        for n in 1..=BURST {
            assert_eq!(subscriber.message().text(), n.to_string());
        }
    }
}

#[test]
fn a_burst_waits_for_a_client_that_is_away_whole_and_in_order() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "away", 60);
        let mut subscriber = broker.connect(&hello);
        subscriber.sub("burst", 1);
        subscriber.disconnect();
        let mut publisher = broker.client(version, "fast");
        publisher.send(&burst("burst", version));
        for n in 1..=BURST {
            assert_eq!(publisher.pub_ack(n).code, 0);
        }
        let mut subscriber = broker.connect(&hello);
        for n in 1..=BURST {
            assert_eq!(subscriber.message().text(), n.to_string());
        }
        subscriber.unsubscribe(&["burst"]);
    }
}

#[test]
fn large_messages_wait_side_by_side() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "away", 60);
        let mut subscriber = broker.connect(&hello);
        subscriber.sub("large", 1);
        subscriber.disconnect();
        let mut publisher = broker.client(version, "publisher");
        for n in 0..10 {
            publisher.publish(&Outgoing::new("large", vec![n; 1_000_000], 1));
        }
        let mut subscriber = broker.connect(&hello);
        for n in 0..10 {
            assert!(subscriber.message().payload == vec![n; 1_000_000], "{n}");
        }
        subscriber.unsubscribe(&["large"]);
    }
}

#[test]
fn a_client_may_come_back_hundreds_of_times_in_a_second() {
    let broker = Broker::start();
    for version in BOTH {
        let mut standing = Vec::new();
        for n in 0..300 {
            let client = broker.client(version, "restless");
            match n % 3 {
                0 => client.vanish(),
                1 => client.disconnect(),
                // The next one takes over.
                _ => standing.push(client),
            }
        }
        broker.client(version, "restless").ping();
        for mut client in standing {
            assert_eq!(client.end(), version.code(0x8E));
        }
    }
}

#[test]
fn two_hundred_separators_make_a_topic() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "deep");
        let deep = "/".repeat(200);
        client.sub(&deep, 1);
        client.say(&deep, "x", 1);
        assert_eq!(client.message().topic, deep);
    }
}
