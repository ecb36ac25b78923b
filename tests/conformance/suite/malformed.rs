//! Packets that are no packets, of every type.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Version, connect_like, frame, packet, text};

/// v5: 1.5.5-1
#[test]
fn a_remaining_length_that_is_too_long_or_not_minimal_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [
            &[0xC0, 0x80, 0x00][..],
            &[0xC0, 0x80, 0x80, 0x80, 0x00],
            &[0x30, 0x85, 0x00, 0, 1, b'a', 0, 0],
            &[0xC0, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
            &[0xC0, 0x80, 0x80, 0x80, 0x80],
        ] {
            broker.client(version, "length").fault(bytes, 0x81);
        }
    }
}

/// v5: 1.5.5-1
#[test]
fn a_property_length_that_is_not_minimal_is_malformed() {
    let broker = Broker::start();
    for length in [&[0x80, 0x00][..], &[0x80, 0x80, 0x00], &[0x80, 0x80, 0x80, 0x80, 0x00]] {
        let bytes = frame(0x30, &[&text("a"), length]);
        broker.client(Version::V5, "length").fault(&bytes, 0x81);
    }
}

/// v5: 2.1.3-1; v3: 2.2.2-1, 2.2.2-2
#[test]
fn reserved_flags_of_every_type_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for (kind, reserved) in [(0x40, 0), (0x50, 0), (0x60, 2), (0x70, 0), (0xC0, 0), (0xE0, 0)] {
            for flags in (0..16).filter(|flags| *flags != reserved) {
                let body: &[u8] = if kind < 0x80 { &[0, 1] } else { &[] };
                let bytes = frame(kind | flags, &[body]);
                broker.client(version, "flags").fault(&bytes, 0x81);
            }
        }
    }
}

#[test]
fn the_packet_type_zero_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for first in 0..16 {
            broker.client(version, "zero").fault(&[first, 0], 0x81);
        }
    }
}

/// v3: 4.8.0-1
#[test]
fn packets_that_only_a_server_sends_are_protocol_errors() {
    let broker = Broker::start();
    for version in BOTH {
        let block = version.block(&[]);
        for bytes in [
            frame(0x20, &[&[0, 0], &block]),
            frame(0x90, &[&[0, 1], &block, &[0]]),
            match version {
                Version::V311 => frame(0xB0, &[&[0, 1]]),
                Version::V5 => frame(0xB0, &[&[0, 1, 0, 0]]),
            },
            vec![0xD0, 0],
        ] {
            broker.client(version, "server").fault(&bytes, 0x82);
        }
    }
}

#[test]
fn auth_is_unknown_to_3_1_1() {
    let broker = Broker::start();
    broker.client(Version::V311, "auth").fault(&[0xF0, 0], 0x82);
}

#[test]
fn pings_with_a_body_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        broker.client(version, "body").fault(&[0xC0, 1, 0], 0x81);
    }
    broker.client(Version::V311, "body").fault(&[0xE0, 1, 0], 0x81);
}

#[test]
fn a_publish_that_is_cut_off_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 0..=2 {
            let good = Outgoing::new("abc", "", qos).bytes(version, 1);
            let body = &good[2..];
            for len in 0..body.len() {
                let bytes = frame(good[0], &[&body[..len]]);
                broker.client(version, "cut").fault(&bytes, 0x81);
            }
        }
    }
}

#[test]
fn a_connect_that_is_cut_off_or_goes_on_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let good = Hello::new(version, "client").login(Some("user"), Some(b"password")).bytes();
        let body = &good[2..];
        for len in 0..body.len() {
            let answer = broker.refusal(version, &frame(0x10, &[&body[..len]]));
            assert!(answer.is_none() || answer == version.code(0x81), "{len}: {answer:?}");
        }
        let answer = broker.refusal(version, &frame(0x10, &[body, &[0]]));
        assert_eq!(answer, version.code(0x81));
    }
}

#[test]
fn a_packet_that_ends_with_the_stream_is_dropped() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("#", 0);
        let good = Outgoing::new("abc", "payload", 0).bytes(version, 0);
        for len in 1..good.len() {
            let mut client = broker.client(version, "cut");
            client.send(&good[..len]);
            client.vanish();
        }
        watcher.hears_nothing_for(std::time::Duration::from_millis(100));
    }
}

#[test]
fn packets_are_taken_whatever_pieces_they_come_in() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "pieces");
        client.sub("a/b", 1);
        let bytes: Vec<u8> = (1..=20)
            .flat_map(|id| Outgoing::new("a/b", format!("{id}"), 1).bytes(version, id))
            .collect();
        for size in [1, 2, 3, 7, 64] {
            for piece in bytes.chunks(size) {
                client.send(piece);
            }
            (1..=20).for_each(|id| drop(client.pub_ack(id)));
            assert_eq!(client.texts(20), (1..=20).map(|n| n.to_string()).collect::<Vec<_>>());
        }
    }
}

/// v5: 4.13.1-1, 4.13.2-1; v3: 4.8.0-1
#[test]
fn a_fault_of_one_client_is_nothing_to_the_others() {
    let mut broker = Broker::start();
    for version in BOTH {
        let mut other = broker.client(version, "other");
        other.sub("a", 1);
        for bytes in
            [&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF][..], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 2, 0]]
        {
            let mut client = broker.client(version, "client");
            client.send(bytes);
            client.send_until_cut(&[0; 600]);
            client.end();
            let _ = broker.refusal(version, bytes);
        }
        other.say("a", "x", 1);
        assert_eq!(other.message().text(), "x");
        other.send(&packet::DISCONNECT);
    }
    broker.serves();
}

#[test]
fn flags_and_levels_of_connect_in_all_combinations_do_no_harm() {
    let mut broker = Broker::start();
    for version in BOTH {
        for flags in 0..=255_u8 {
            let bytes = connect_like(version, flags);
            let mut client = broker.open(version);
            client.send(&bytes);
            let _ = client.try_receive_bytes();
        }
    }
    broker.serves();
}
