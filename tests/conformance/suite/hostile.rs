//! Packets that brought other brokers down: this one must survive, and other clients must not notice.

use std::time::Duration;

use wasmqtt_fuzz::hostile::{self, Expected, From, Hostile};

use crate::harness::hello::connect;
use crate::harness::packet::{PINGREQ, varint};
use crate::harness::{BOTH, Broker, Hello, Outgoing, Version, Will, frame, packet, prop, text};

const V5: Version = Version::V5;

/// What the harness calls the version of a file.
fn version(hostile: &Hostile) -> Version {
    match hostile.version {
        wasmqtt_codec::Version::V5 => V5,
        wasmqtt_codec::Version::V311 => Version::V311,
        wasmqtt_codec::Version::V31 => panic!("{}: not spoken here", hostile.name),
    }
}

#[test]
fn hostile_packets_of_strangers_are_answered_as_their_files_say_and_nobody_else_notices() {
    let mut broker = Broker::with_limits("connect_timeout = \"1s\"");
    let mut other = broker.client(V5, "other");
    for hostile in hostile::all().iter().filter(|hostile| hostile.from == From::Stranger) {
        let name = &hostile.name;
        let mut stranger = broker.open(version(hostile));
        stranger.send_until_cut(&hostile.bytes);
        match hostile.expected {
            // Whatever is not whole yet is waited for, but not for ever.
            Expected::Silence => assert_eq!(stranger.try_receive_bytes(), None, "{name}"),
            Expected::ConnAck(code) => {
                let bytes = stranger.try_receive_bytes().unwrap_or_else(|| panic!("{name}"));
                assert_eq!((bytes[0], bytes[3]), (0x20, code), "{name}");
                assert_eq!(stranger.try_receive_bytes(), None, "{name}");
            }
            Expected::Served => assert_eq!(stranger.conn_ack(), 0, "{name}"),
            Expected::Disconnect(_) => panic!("{name}: a stranger is not sent DISCONNECT"),
        }
        other.ping();
    }
    broker.serves();
}

#[test]
fn hostile_packets_of_clients_are_answered_as_their_files_say_and_nobody_else_notices() {
    let mut broker = Broker::start();
    let mut other = broker.client(V5, "other");
    for hostile in hostile::all().iter().filter(|hostile| hostile.from == From::Client) {
        let name = &hostile.name;
        let mut client = broker.client(version(hostile), "hostile");
        client.send_until_cut(&hostile.bytes);
        match hostile.expected {
            Expected::Disconnect(code) => {
                assert_eq!(client.end(), version(hostile).code(code), "{name}");
            }
            Expected::Served => {
                client.send(&PINGREQ);
                while client.receive() != crate::harness::Packet::PingResp {}
            }
            other => panic!("{name}: {other:?} before CONNECT only"),
        }
        other.ping();
    }
    broker.serves();
}

#[test]
fn thousands_of_topic_levels_do_not_break_the_tree() {
    let mut broker = Broker::start();
    for version in BOTH {
        let deep = "/".repeat(65_535);
        let mut client = broker.client(version, "deep");
        let refused = if version == V5 { 0x8F } else { 0x80 };
        for filter in [deep.clone(), format!("{}#", "/".repeat(65_534)), "+/".repeat(32_767)] {
            assert_eq!(client.subscribe(&[(&filter, 0)], &[]), [refused]);
            client.unsubscribe(&[&filter]);
        }
        let bytes = Outgoing::new(&deep, "x", 0).retained().bytes(version, 0);
        client.fault(&bytes, 0x90);
        let shared = format!("$share/{}", "x/".repeat(30_000));
        let mut client = broker.client(version, "deep");
        assert_eq!(client.subscribe(&[(&shared, 0)], &[]), [refused]);
        let hello = Hello::new(version, "will").will(Will::new(&deep, "x", 0));
        assert!(broker.refusal(version, &hello.bytes()).is_none_or(|code| code != 0));
    }
    broker.serves();
}

#[test]
fn topics_of_dollars_and_slashes_are_topics() {
    let mut broker = Broker::start();
    let mut client = broker.client(V5, "dollar");
    client.sub("#", 0);
    for topic in
        ["$", "$/", "$$", "/$", "$share", "$share/", "$share/x", "$share/g/x", "$CONTROL/x", "//"]
    {
        let code = client.publish(&Outgoing::new(topic, "x", 1).retained());
        assert!(matches!(code, 0 | 0x87 | 0x90), "{topic}: {code:#04x}");
    }
    broker.serves();
}

#[test]
fn a_hundred_thousand_user_properties_take_no_time() {
    let mut broker = Broker::start();
    let props: Vec<u8> = prop::user("", "").bytes().repeat(100_000);
    let start = std::time::Instant::now();
    let publish = frame(0x30, &[&text("a"), &prop::raw_block(&props), b"x"]);
    let mut client = broker.client(V5, "client");
    client.sub("a", 0);
    client.fault(&publish, 0x97);
    let hello = [&[0, 0], &prop::raw_block(&props)[..], &text("x")].concat();
    assert_eq!(broker.refusal(V5, &connect("MQTT", 5, 2, &hello)), Some(0x97));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    broker.serves();
}

#[test]
fn an_identifier_that_is_used_again_and_again_costs_nothing() {
    let mut broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "same");
        let one = Outgoing::new("a", vec![b'x'; 1000], 2).dup().bytes(version, 7);
        for _ in 0..20 {
            client.send(&one.repeat(50));
            (0..50).for_each(|_| drop(client.pub_rec(7)));
        }
        client.send(&packet::pubrel(7));
        client.pub_comp(7);
    }
    broker.serves();
}

#[test]
fn subscribe_and_unsubscribe_in_turns_under_load_do_no_harm() {
    let mut broker = Broker::start();
    let mut publisher = broker.client(V5, "publisher");
    let mut client = broker.client(V5, "client");
    for turn in 1..300 {
        let filters = [("a/#", 1), ("a/+/c", 2), ("$share/g/a/#", 1), ("a/b/c", 0)];
        client.send(&packet::subscribe(V5, turn, &filters, &[]));
        publisher.send(&Outgoing::new("a/b/c", "x", 0).retained().bytes(V5, 0));
        client.send(&packet::unsubscribe(V5, turn, &["a/#", "$share/g/a/#", "a/+/c", "a/b/c"]));
    }
    publisher.ping();
    for _ in 1..300 {
        assert!(matches!(client.next_other(), crate::harness::Packet::SubAck { .. }));
        assert!(matches!(client.next_other(), crate::harness::Packet::UnsubAck { .. }));
    }
    client.ping();
    broker.serves();
}

#[test]
fn takeovers_in_quick_succession_leave_one_client() {
    let mut broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "storm", 60).will(Will::new("will", "x", 1));
        let all: Vec<_> = (0..50)
            .map(|_| {
                let mut client = broker.open(version);
                client.send(&hello.bytes());
                client
            })
            .collect();
        let mut alive = 0;
        for mut client in all {
            client.send_until_cut(&PINGREQ);
            loop {
                match client.try_receive() {
                    Some(crate::harness::Packet::PingResp) => {
                        alive += 1;
                        break;
                    }
                    Some(_) => {}
                    None => break,
                }
            }
        }
        assert!(alive >= 1);
    }
    broker.serves();
}

#[test]
fn wills_with_every_delay_and_expiry_are_survived() {
    let mut broker = Broker::start();
    for delay in [0, 1, u32::MAX] {
        for expiry in [0, 1, u32::MAX] {
            let will = Will::new("will", "x", 1)
                .retained()
                .with(prop::will_delay(delay))
                .with(prop::message_expiry(expiry));
            for seconds in [0, 1, u32::MAX] {
                let id = format!("{delay} {expiry} {seconds}");
                broker.connect(&Hello::resume(V5, &id, seconds).will(will.clone())).vanish();
                let _ = broker.connect(&Hello::new(V5, &id).will(will.clone()));
            }
        }
    }
    std::thread::sleep(Duration::from_millis(1200));
    broker.serves();
}

/// Packets of every kind that a client sends, as rich as they can be.
fn rich(version: Version) -> Vec<Vec<u8>> {
    let user = [prop::user("k", "v"), prop::reason_string("why")];
    let will = Will::new("w/x", "gone", 2).retained().with(prop::will_delay(1));
    let hello = Hello::resume(version, "rich", 5).will(will).login(Some("u"), Some(b"p"));
    let publish = Outgoing::new("a/b", "payload", 2)
        .retained()
        .with(prop::payload_format(1))
        .with(prop::message_expiry(9))
        .with(prop::topic_alias(1))
        .with(prop::response_topic("r"))
        .with(prop::correlation_data(b"c"))
        .with(prop::content_type("t"));
    let identifier = [prop::subscription_identifier(300), prop::user("k", "v")];
    let mut all = vec![
        hello.with(prop::receive_maximum(3)).with(prop::user("k", "v")).bytes(),
        publish.bytes(version, 1),
        Outgoing::new("a", "x", 1).bytes(version, 2),
        packet::subscribe(version, 3, &[("a/+", 1), ("$share/g/#", 2)], &identifier),
        packet::unsubscribe(version, 4, &["a/+", "b"]),
        packet::pubrel(1),
        PINGREQ.to_vec(),
        packet::DISCONNECT.to_vec(),
    ];
    if version == V5 {
        all.push(packet::disconnect(4, &[prop::session_expiry(1), user[1].clone()]));
        all.push(frame(0xF0, &[&[0x19], &prop::block(&[prop::authentication_method("m")])]));
        for first in [0x40, 0x50, 0x62, 0x70] {
            all.push(frame(first, &[&[0, 1, 0], &prop::block(&user)]));
        }
    }
    all
}

#[test]
fn packets_with_one_byte_changed_are_survived_and_answered_properly() {
    let mut broker = Broker::start();
    let mut other = broker.client(V5, "other");
    other.sub("#", 0);
    for version in BOTH {
        for (n, good) in rich(version).into_iter().enumerate() {
            for at in 0..good.len() {
                for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xFF] {
                    let mut bytes = good.clone();
                    bytes[at] ^= change;
                    let mut client = broker.open(version);
                    if n == 0 {
                        // CONNECT itself, by now perhaps of another version.
                        client.send_until_cut(&bytes);
                        client.finish_with(|client| client.try_receive_bytes().is_some());
                        continue;
                    }
                    client.send(&Hello::new(version, "changed").bytes());
                    assert_eq!(client.conn_ack(), 0);
                    client.send_until_cut(&bytes);
                    client.finish_with(|client| client.try_receive().is_some());
                }
            }
            other.ping();
        }
    }
    broker.serves();
}

#[test]
fn every_short_packet_of_every_type_is_survived() {
    let mut broker = Broker::start();
    for version in BOTH {
        for first in 0..=255_u8 {
            let mut client = broker.client(version, "short");
            client.send(&[first, 4, 0, 1, 0, 1]);
            client.send_until_cut(&[first, 1, 0]);
            client.send_until_cut(&varint(0));
            client.send_until_cut(&[0x00, 0x00, 0x00]);
            while client.try_receive_bytes().is_some() {}
        }
    }
    broker.serves();
}
