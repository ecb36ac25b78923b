//! AUTH, where nobody has begun an exchange.

use crate::harness::{Broker, Hello, Version, frame, packet, prop};

const V5: Version = Version::V5;

/// v5: 4.12.0-7
#[test]
fn auth_without_a_method_in_connect_is_a_protocol_error() {
    let broker = Broker::start();
    let method = prop::block(&[prop::authentication_method("x")]);
    for bytes in [
        vec![0xF0, 0],
        frame(0xF0, &[&[0x19], &method]),
        frame(0xF0, &[&[0x18], &method]),
        frame(0xF0, &[&[0x00], &method]),
    ] {
        broker.client(V5, "auth").fault(&bytes, 0x82);
    }
}

/// v5: 3.15.1-1, 2.1.3-1
#[test]
fn reserved_flags_of_auth_are_malformed() {
    let broker = Broker::start();
    for flags in 1..16 {
        broker.client(V5, "flags").fault(&[0xF0 | flags, 0], 0x81);
    }
}

/// v5: 4.12.0-6
#[test]
fn who_brings_no_method_is_told_none() {
    let broker = Broker::start();
    let client = broker.connect(&Hello::new(V5, "plain").login(Some("user"), Some(b"password")));
    let auth = [prop::AUTHENTICATION_METHOD, prop::AUTHENTICATION_DATA];
    assert!(!client.props.iter().any(|prop| auth.contains(&prop.id())));
}

/// v5: 4.12.0-1, 3.2.2-7, 3.1.4-2
#[test]
fn an_unknown_method_is_refused() {
    let broker = Broker::start();
    for method in ["", "unknown", "SCRAM-SHA-1", "漢字"] {
        let hello = Hello::new(V5, "method").with(prop::authentication_method(method));
        assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x8C), "{method:?}");
    }
}

#[test]
fn auth_packets_that_are_malformed_close_the_connection() {
    let broker = Broker::start();
    for bytes in [
        frame(0xF0, &[&[0x18]]),
        frame(0xF0, &[&[0x18, 0]]),
        frame(0xF0, &[&[0x18, 3, 0x15, 0]]),
        frame(0xF0, &[&[0x55, 0]]),
        frame(0xF0, &[&[0x18], &prop::block(&[prop::topic_alias(1)])]),
    ] {
        let mut client = broker.client(V5, "auth");
        client.send(&bytes);
        assert!(matches!(client.end(), Some(0x81 | 0x82)));
    }
    broker.client(V5, "auth").send(&packet::DISCONNECT);
}
