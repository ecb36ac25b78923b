//! Maximum Packet Size, both ways.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Version, packet, prop};

const V5: Version = Version::V5;

/// v5: 3.2.2-15, 4.13.1-1
#[test]
fn a_packet_beyond_the_maximum_closes_the_connection_and_the_largest_passes() {
    let broker = Broker::with_limits("max_packet_size = \"2KiB\"");
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("a", 0);
        let head = Outgoing::new("a", "", 0).bytes(version, 0).len() + 1;
        client.publish(&Outgoing::new("a", vec![b'x'; 2048 - head], 0));
        assert_eq!(client.message().payload.len(), 2048 - head);
        let bytes = Outgoing::new("a", vec![b'x'; 2049 - head], 0).bytes(version, 0);
        client.send_until_cut(&bytes);
        assert_eq!(client.end(), version.code(0x95));
        // The head alone is enough to know.
        broker.client(version, "client").fault(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 0x95);
        let mut open = broker.open(version);
        open.send(&[0x10, 0xFF, 0xFF, 0xFF, 0x7F]);
        assert!(open.try_receive_bytes().is_none_or(|bytes| bytes[0] == 0x20));
    }
}

#[test]
fn a_packet_too_large_is_told_even_while_it_is_being_sent() {
    let broker = Broker::with_limits("max_packet_size = \"2KiB\"");
    for _ in 0..10 {
        let mut client = broker.client(V5, "client");
        client.send_until_cut(&Outgoing::new("a", vec![b'x'; 200_000], 0).bytes(V5, 0));
        assert_eq!(client.end(), Some(0x95));
    }
}

/// v5: 3.1.2-24, 3.1.2-25
#[test]
fn a_message_too_large_for_a_client_is_discarded_for_it_alone() {
    let broker = Broker::start();
    let hello = Hello::resume(V5, "small", 60).with(prop::maximum_packet_size(100));
    for qos in 0..=2 {
        let mut small = broker.connect(&hello);
        let mut large = broker.client(V5, "large");
        small.sub("size", qos);
        large.sub("size", qos);
        let mut publisher = broker.client(V5, "publisher");
        for payload in [vec![b'x'; 50], vec![b'x'; 200], vec![b'y'; 50]] {
            publisher.publish(&Outgoing::new("size", payload, qos));
        }
        assert_eq!(small.texts(2), ["x".repeat(50), "y".repeat(50)]);
        assert_eq!(large.texts(3).len(), 3);
        small.hears_nothing();
        small.disconnect();
        // It counts as sent.
        let mut roomy = broker.connect(&Hello::resume(V5, "small", 60));
        assert!(roomy.present);
        roomy.hears_nothing();
    }
}

/// v5: 3.1.2-24
#[test]
fn the_maximum_is_the_size_of_the_whole_packet() {
    let broker = Broker::start();
    for (most, aliases) in [(50, 0), (50, 1), (200, 0), (200, 1)] {
        let hello = Hello::new(V5, "client").with(prop::maximum_packet_size(most));
        let mut client = broker.connect(&hello.with(prop::topic_alias_maximum(aliases)));
        client.sub("size/#", 1);
        let mut publisher = broker.client(V5, "publisher");
        let mut sizes = Vec::new();
        for len in most - 30..most + 10 {
            let payload = vec![b'x'; len as usize];
            publisher.publish(&Outgoing::new(&format!("size/{len}"), payload, 1));
        }
        publisher.say("size/end", "end", 1);
        loop {
            let message = client.message();
            assert!(message.size <= most as usize, "{message:?}");
            if message.text() == "end" {
                break;
            }
            sizes.push(message.size);
        }
        assert_eq!(sizes.iter().max(), Some(&(most as usize)), "the largest that fits is sent");
    }
}

/// v5: 3.1.2-24
#[test]
fn an_answer_that_the_client_cannot_take_is_not_sent() {
    let broker = Broker::start();
    let hello = Hello::new(V5, "client").with(prop::maximum_packet_size(200));
    let names: Vec<String> = (0..195).map(|n| format!("f{n}")).collect();
    let filters: Vec<(&str, u8)> = names.iter().map(|name| (&name[..], 0)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut client = broker.connect(&hello);
    assert_eq!(client.subscribe(&filters[..194], &[]).len(), 194);
    assert_eq!(client.unsubscribe(&names[..194]).len(), 194);
    client.fault(&packet::subscribe(V5, 1, &filters, &[]), 0x95);
    broker.connect(&hello).fault(&packet::unsubscribe(V5, 1, &names), 0x95);
}

/// v5: 3.1.2-25
#[test]
fn a_message_too_large_takes_no_place_of_the_window() {
    let broker = Broker::start();
    let hello =
        Hello::new(V5, "client").with(prop::maximum_packet_size(60)).with(prop::receive_maximum(1));
    let mut client = broker.connect(&hello);
    client.sub("size", 2);
    let mut publisher = broker.client(V5, "publisher");
    for n in 0..20 {
        publisher.publish(&Outgoing::new("size", vec![b'x'; 500], 2));
        publisher.say("size", &n.to_string(), 2);
    }
    assert_eq!(client.texts(20), (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}
