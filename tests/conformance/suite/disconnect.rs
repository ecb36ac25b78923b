//! DISCONNECT, from either side.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Version, Will, frame, packet, prop};

#[test]
fn after_a_disconnect_the_broker_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        broker.client(version, "bye").disconnect();
    }
    broker.client(Version::V5, "bye").disconnect_with(0, &[prop::reason_string("done")]);
}

/// v5: 3.14.1-1; v3: 3.14.1-1
#[test]
fn reserved_flags_of_disconnect_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for flags in 1..16 {
            broker.client(version, "flags").fault(&[0xE0 | flags, 0], 0x81);
        }
    }
}

/// v5: 3.14.4-3, 3.1.2-10; v3: 3.14.4-3, 3.1.2-10
#[test]
fn a_normal_disconnect_takes_the_will_away() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("will", 0);
        let hello = Hello::new(version, "bye").will(Will::new("will", "gone", 0));
        broker.connect(&hello).disconnect();
        // Its session is over: what follows would come behind the will.
        watcher.say("will", "end", 0);
        assert_eq!(watcher.message().text(), "end");
    }
}

/// v5: 3.1.2-8, 3.14.2-1
#[test]
fn a_disconnect_with_another_reason_code_leaves_the_will() {
    let broker = Broker::start();
    let mut watcher = broker.client(Version::V5, "watcher");
    watcher.sub("will", 0);
    for code in [0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99] {
        let hello = Hello::new(Version::V5, "bye").will(Will::new("will", &code.to_string(), 0));
        broker.connect(&hello).disconnect_with(code, &[]);
        assert_eq!(watcher.message().text(), code.to_string());
    }
}

/// v5: 3.14.2-1
#[test]
fn a_disconnect_with_a_code_that_it_cannot_carry_is_a_protocol_error() {
    let broker = Broker::start();
    for code in [0x01, 0x02, 0x10, 0x18, 0x84, 0x92, 0xFF] {
        broker.client(Version::V5, "code").fault(&packet::disconnect(code, &[]), 0x82);
    }
}

#[test]
fn a_session_expiry_that_was_zero_cannot_be_raised_at_disconnect() {
    let broker = Broker::start();
    let bytes = packet::disconnect(0, &[prop::session_expiry(10)]);
    broker.client(Version::V5, "raise").fault(&bytes, 0x82);
    let zero = Hello::new(Version::V5, "raise").with(prop::session_expiry(0));
    broker.connect(&zero).fault(&bytes, 0x82);
    // Zero after zero is no change.
    broker.client(Version::V5, "raise").disconnect_with(0, &[prop::session_expiry(0)]);
}

#[test]
fn what_follows_a_disconnect_is_not_processed() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("after", 0);
        let mut client = broker.client(version, "client");
        let publish = Outgoing::new("after", "x", 0).bytes(version, 0);
        client.send(&[&packet::DISCONNECT[..], &publish].concat());
        assert_eq!(client.end(), None);
        watcher.hears_nothing();
    }
}

/// v5: 3.14.4-1, 3.14.4-2, 3.14.2-2, 3.14.2-3
#[test]
fn a_disconnect_of_the_broker_is_its_last_packet_and_small() {
    let broker = Broker::start();
    let hello = Hello::new(Version::V5, "small").with(prop::maximum_packet_size(20));
    let mut client = broker.connect(&hello);
    // Two faults and a ping: one DISCONNECT, and nothing behind it.
    client.send(&[&[0xC1, 0], &[0xC1, 0], &packet::PINGREQ[..]].concat());
    let bytes = client.try_receive_bytes().expect("no DISCONNECT");
    assert_eq!((bytes[0], bytes[2]), (0xE0, 0x81));
    assert!(bytes.len() <= 20);
    assert_eq!(client.try_receive_bytes(), None);
}

#[test]
fn a_disconnect_is_seen_even_by_a_client_that_goes_on_sending() {
    let broker = Broker::start();
    for _ in 0..20 {
        let mut client = broker.client(Version::V5, "busy");
        let more = Outgoing::new("a", vec![b'x'; 10_000], 0).bytes(Version::V5, 0);
        client.send_until_cut(&[0xC1, 0]);
        for _ in 0..20 {
            client.send_until_cut(&more);
        }
        assert_eq!(client.end(), Some(0x81));
    }
}

#[test]
fn properties_of_disconnect_that_do_not_belong_there_are_malformed() {
    let broker = Broker::start();
    for prop in [prop::topic_alias(1), prop::receive_maximum(1), prop::content_type("x")] {
        broker.client(Version::V5, "props").fault(&packet::disconnect(0, &[prop]), 0x81);
    }
    broker.client(Version::V5, "length").fault(&frame(0xE0, &[&[0, 5, 0x11, 0]]), 0x81);
}
