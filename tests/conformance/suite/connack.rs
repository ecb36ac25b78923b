//! CONNACK: how a client is let in or sent away, and what becomes of whoever had its identifier.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Packet, Version, Will, packet, prop};

/// v5: 3.1.4-5, 3.2.0-1, 3.2.2-1, 3.2.2-8; v3: 3.1.4-4, 3.2.0-1
#[test]
fn a_valid_connect_is_answered_with_success_before_anything_else() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.open(version);
        client.send(&Hello::new(version, "valid").bytes());
        match client.receive() {
            Packet::ConnAck { present, code, .. } => assert_eq!((present, code), (false, 0)),
            other => panic!("{other:?}"),
        }
    }
}

/// v5: 3.2.0-2
#[test]
fn there_is_one_connack_on_a_connection() {
    let broker = Broker::start();
    for version in BOTH {
        // Reading is strict enough to fail on whatever else comes.
        broker.client(version, "once").hears_nothing();
    }
}

/// v5: 3.1.2-4, 3.1.4-4, 3.2.2-2, 3.2.2-3; v3: 3.1.4-3, 3.2.2-1, 3.2.2-2, 3.2.2-3, 3.1.2-6
#[test]
fn session_present_tells_whether_there_was_a_session() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, &format!("session {version:?}"), 60);
        let present = |hello: &Hello| {
            let client = broker.connect(hello);
            let present = client.present;
            client.disconnect();
            present
        };
        assert!(!present(&hello), "there was none");
        assert!(present(&hello), "there was one");
        assert!(!present(&hello.clone().clean()), "it had to be discarded");
        if version == Version::V5 {
            assert!(present(&hello), "a clean start may begin a session that lasts");
        } else {
            assert!(!present(&hello), "a clean session does not last");
        }
    }
}

/// v5: 3.2.2-6, 3.2.2-7, 4.12.0-1, 4.13.2-1
#[test]
fn a_refusal_has_session_present_0_and_closes_the_connection() {
    let broker = Broker::start();
    let id = "kept";
    broker.connect(&Hello::resume(Version::V5, id, 60)).disconnect();
    let hello = Hello::resume(Version::V5, id, 60).with(prop::authentication_method("nobody's"));
    let mut client = broker.open(Version::V5);
    client.send(&hello.bytes());
    assert_eq!(client.conn_ack(), 0x8C);
    assert!(!client.present);
    assert_eq!(client.try_receive(), None);
    // And the session is untouched.
    assert!(broker.connect(&Hello::resume(Version::V5, id, 60)).present);
}

/// v5: 3.1.4-3, 3.1.3-2; v3: 3.1.4-2, 3.1.3-2
#[test]
fn a_client_identifier_that_is_used_again_closes_the_older_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let mut old = broker.client(version, "same");
        let mut new = broker.client(version, "same");
        assert_eq!(old.end(), version.code(0x8E));
        new.ping();
        // A client with another identifier is another client.
        let _other = broker.client(version, "another");
        new.ping();
    }
}

/// v5: 3.1.4-3; v3: 3.1.4-2
#[test]
fn versions_take_over_from_each_other() {
    let broker = Broker::start();
    let mut old = broker.client(Version::V311, "same");
    let mut new = broker.client(Version::V5, "same");
    assert_eq!(old.end(), None);
    let _newest = broker.client(Version::V311, "same");
    assert_eq!(new.end(), Some(0x8E));
}

/// v5: 3.1.2-24
#[test]
fn connack_tells_the_limits_that_a_client_has_to_keep() {
    let broker = Broker::with_limits(
        "max_packet_size = \"2KiB\"\nreceive_maximum = 7\ntopic_alias_maximum = 3\nsession_expiry_max = \"1h\"",
    );
    let props = broker.client(Version::V5, "limits").props;
    assert_eq!(prop::four(&props, prop::MAXIMUM_PACKET_SIZE), Some(2048));
    assert_eq!(prop::two(&props, prop::RECEIVE_MAXIMUM), Some(7));
    assert_eq!(prop::two(&props, prop::TOPIC_ALIAS_MAXIMUM), Some(3));
    let granted = broker.connect(&Hello::resume(Version::V5, "longer", 7200)).props;
    assert_eq!(prop::four(&granted, prop::SESSION_EXPIRY), Some(3600));
    let all = [0x24, 0x25, 0x28, 0x29, 0x2A].map(|id| prop::Prop::Byte(id, 0));
    assert!(!all.iter().any(|lacking| props.contains(lacking)), "everything is supported");
}

/// v5: 3.2.2-22, 3.1.2-22; v3: 3.1.2-24
#[test]
fn a_keep_alive_that_is_not_replaced_is_the_clients_own() {
    let broker = Broker::start();
    let client = broker.connect(&Hello::new(Version::V5, "own").keep_alive(1));
    assert_eq!(prop::two(&client.props, prop::SERVER_KEEP_ALIVE), None);
    for version in BOTH {
        let start = std::time::Instant::now();
        let mut client = broker.connect(&Hello::new(version, "own").keep_alive(1));
        assert_eq!(client.end(), version.code(0x8D));
        assert!(start.elapsed().as_millis() >= 1300, "{:?}", start.elapsed());
    }
}

/// v5: 3.1.2-21
#[test]
fn a_server_keep_alive_is_told_and_is_what_counts() {
    let broker = Broker::with_limits("keep_alive_max = \"1s\"");
    for asked in [0, 120] {
        let mut client = broker.connect(&Hello::new(Version::V5, "told").keep_alive(asked));
        assert_eq!(prop::two(&client.props, prop::SERVER_KEEP_ALIVE), Some(1));
        assert_eq!(client.end(), Some(0x8D));
    }
}

/// v5: 3.1.2-28
#[test]
fn response_information_is_not_sent_unless_it_is_asked_for() {
    let broker = Broker::start();
    for hello in [
        Hello::new(Version::V5, "absent"),
        Hello::new(Version::V5, "zero").with(prop::request_response_information(0)),
    ] {
        let props = broker.connect(&hello).props;
        assert!(!props.iter().any(|prop| prop.id() == prop::RESPONSE_INFORMATION));
    }
}

/// v5: 3.2.2-19, 3.1.2-24
#[test]
fn connack_keeps_within_the_maximum_packet_size_of_the_client() {
    let broker = Broker::start();
    let hello = Hello::new(Version::V5, "small").with(prop::maximum_packet_size(64));
    let mut client = broker.open(Version::V5);
    client.send(&hello.bytes());
    assert!(client.try_receive_bytes().unwrap().len() <= 64);
    // A refusal has a reason string, which gives way.
    let refused = Hello::new(Version::V5, "refused").will(Will::new("$SYS/mine", "x", 0));
    // With 5, there is no place for the CONNACK that would let it in.
    for (most, code) in [(5, 0x95), (24, 0x87), (64, 0x87)] {
        let mut client = broker.open(Version::V5);
        client.send(&refused.clone().with(prop::maximum_packet_size(most)).bytes());
        let bytes = client.try_receive_bytes().unwrap();
        assert!(bytes.len() <= most as usize && bytes[3] == code, "{most}: {bytes:02x?}");
    }
}

/// v5: 3.14.0-1
#[test]
fn no_disconnect_is_sent_before_connack() {
    let broker = Broker::start();
    let mut client = broker.open(Version::V5);
    client.send(&packet::PINGREQ);
    assert_eq!(client.try_receive_bytes(), None);
    let mut client = broker.open(Version::V5);
    client.send(&Hello::new(Version::V5, "x").with(prop::receive_maximum(0)).bytes());
    let bytes = client.try_receive_bytes();
    assert!(bytes.is_none_or(|bytes| bytes[0] == 0x20));
    assert_eq!(client.try_receive_bytes(), None);
}

#[test]
fn connections_that_say_nothing_are_closed_in_time() {
    let broker = Broker::with_limits("connect_timeout = \"300ms\"");
    let mut silent = broker.open(Version::V5);
    let mut slow = broker.open(Version::V5);
    slow.send(&Hello::new(Version::V5, "slow").bytes()[..9]);
    let mut other = broker.client(Version::V5, "other");
    assert_eq!(silent.try_receive_bytes(), None);
    assert_eq!(slow.try_receive_bytes(), None);
    other.say("a", "b", 1);
    assert_eq!(other.publish(&Outgoing::new("a", "b", 1)), 0x10);
}
