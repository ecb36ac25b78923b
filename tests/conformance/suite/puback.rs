//! PUBACK, PUBREC, PUBREL and PUBCOMP as packets: flags, lengths, codes and properties.

use crate::harness::{BOTH, Broker, Client, Outgoing, Version, frame, packet, prop};

const FIRST: [u8; 4] = [0x40, 0x50, 0x62, 0x70];

/// v5: 3.6.1-1, 2.1.3-1; v3: 3.6.1-1, 2.2.2-1, 2.2.2-2
#[test]
fn reserved_flags_of_acknowledgements_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for first in FIRST {
            for flags in (0..16).filter(|flags| *flags != first & 0x0F) {
                broker.client(version, "flags").fault(&[first & 0xF0 | flags, 2, 0, 1], 0x81);
            }
        }
    }
}

#[test]
fn acknowledgements_of_the_wrong_length_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for first in FIRST {
            broker.client(version, "short").fault(&[first, 0], 0x81);
            broker.client(version, "short").fault(&[first, 1, 0], 0x81);
        }
    }
    for first in FIRST {
        broker.client(Version::V311, "long").fault(&[first, 3, 0, 1, 0], 0x81);
        for rest in [&[0, 1, 0, 1][..], &[0, 1, 0, 2, 0x1F], &[0, 1, 0, 0, 0]] {
            broker.client(Version::V5, "long").fault(&frame(first, &[rest]), 0x81);
        }
    }
}

/// v5: 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1
#[test]
fn reason_codes_that_an_acknowledgement_cannot_carry_are_protocol_errors() {
    let broker = Broker::start();
    for first in FIRST {
        for code in [0x01, 0x02, 0x11, 0x18, 0x81, 0x8E, 0x9A, 0xFF] {
            let bytes = packet::ack_with(first, 1, code);
            broker.client(Version::V5, "code").fault(&bytes, 0x82);
        }
    }
    for (first, code) in [(0x40, 0x92), (0x50, 0x92), (0x62, 0x10), (0x70, 0x97)] {
        broker.client(Version::V5, "code").fault(&packet::ack_with(first, 1, code), 0x82);
    }
}

/// v5: 3.4.2-1, 3.5.2-1, 3.6.2-1, 3.7.2-1
#[test]
fn acknowledgements_may_carry_a_code_a_reason_string_and_user_properties() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "full");
    client.sub("a", 2);
    let props = [prop::user("k", "1"), prop::reason_string("why"), prop::user("k", "2")];
    let full = |first, id: u16| frame(first, &[&id.to_be_bytes(), &[0], &prop::block(&props)]);
    let coded = |first, id: u16| packet::ack_with(first, id, 0);
    let make: [&dyn Fn(u8, u16) -> Vec<u8>; 3] = [&packet::ack, &coded, &full];
    for ack in make {
        client.send(&Outgoing::new("a", "x", 1).bytes(Version::V5, 10));
        client.pub_ack(10);
        let id = client.unacknowledged().id;
        client.send(&ack(0x40, id));
        client.send(&Outgoing::new("a", "x", 2).bytes(Version::V5, 11));
        client.pub_rec(11);
        client.send(&ack(0x62, 11));
        assert_eq!(client.pub_comp(11).code, 0);
        let id = client.unacknowledged().id;
        client.send(&ack(0x50, id));
        assert_eq!(client.pub_rel(id).code, 0);
        client.send(&ack(0x70, id));
        client.ping();
    }
}

#[test]
fn properties_that_acknowledgements_cannot_carry_are_malformed() {
    let broker = Broker::start();
    for first in FIRST {
        let props = [prop::topic_alias(1), prop::session_expiry(1), prop::content_type("x")];
        for prop in props {
            let bytes = frame(first, &[&[0, 1, 0], &prop::block(&[prop])]);
            broker.client(Version::V5, "props").fault(&bytes, 0x81);
        }
        let twice = [prop::reason_string("a"), prop::reason_string("b")];
        let bytes = frame(first, &[&[0, 1, 0], &prop::block(&twice)]);
        broker.client(Version::V5, "props").fault(&bytes, 0x82);
    }
}

/// Acknowledgements that the broker sends to `client`, with bytes of each.
fn acknowledgements(client: &mut Client) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    for bytes in [
        Outgoing::new("$SYS/mine", "x", 1).bytes(Version::V5, 1),
        Outgoing::new("$SYS/mine", "x", 2).bytes(Version::V5, 2),
        packet::pubrel(3),
        packet::pubrec(4),
        packet::subscribe(Version::V5, 5, &[("a/#/b", 0)], &[]),
        packet::unsubscribe(Version::V5, 6, &["a/#/b"]),
    ] {
        client.send(&bytes);
        got.push(client.try_receive_bytes().unwrap());
    }
    got
}

/// v5: 3.4.2-2, 3.5.2-2, 3.6.2-2, 3.7.2-2, 3.9.2-1, 3.11.2-1
#[test]
fn reason_strings_give_way_to_the_maximum_packet_size() {
    let broker = Broker::start();
    let hello = crate::harness::Hello::new(Version::V5, "small");
    let mut client = broker.connect(&hello.with(prop::maximum_packet_size(24)));
    for bytes in acknowledgements(&mut client) {
        assert!(bytes.len() <= 24, "{bytes:02x?}");
    }
}

/// v5: 3.1.2-29
#[test]
fn reason_strings_are_left_out_for_whoever_does_not_want_them() {
    let broker = Broker::start();
    let hello = crate::harness::Hello::new(Version::V5, "terse");
    let mut client = broker.connect(&hello.with(prop::request_problem_information(0)));
    // Packets with neither properties nor a property length have none; the others say that it is zero.
    for (bytes, len) in acknowledgements(&mut client).iter().zip([5, 5, 5, 5, 6, 6]) {
        assert_eq!(bytes.len(), len, "{bytes:02x?}");
    }
}
