//! Clients that keep to the protocol and want to harm: what each of them may take is bounded, and nobody else notices.
//!
//! Numbered as in the catalogue of abuses; what needs neither memory nor a second process is in the core's own tests.

use std::collections::HashSet;
use std::time::Duration;

use wasmqtt_codec::{
    Ack, Connect, ConnectProperties, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode,
    Version, Will,
};

use crate::harness::client::bytes;
use crate::harness::config::OPEN;
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

const Q0: QoS = QoS::AtMostOnce;
const Q1: QoS = QoS::AtLeastOnce;
const Q2: QoS = QoS::ExactlyOnce;
const V5: Version = Version::V5;

fn limited(limits: &str) -> Broker {
    Broker::start(&format!("{OPEN}[limits]\n{limits}\n"))
}

fn enter(broker: &Broker, id: &str) -> Client {
    Client::enter(broker.addr(), V5, id)
}

/// A bystander who gets what is published and can say so.
fn check_bystander(client: &mut Client) {
    client.publish(&Outgoing::new("bystander", "still here"));
    assert_eq!(client.message().parts(), ("bystander", "still here"));
}

fn bystander(broker: &Broker) -> Client {
    enter(broker, "bystander").subscribed("bystander", Q1)
}

fn publication<'a>(topic: &'a str, qos: QoS, id: u16, payload: &'a [u8]) -> Packet<'a> {
    Packet::Publish(Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id: if qos == Q0 { None } else { PacketId::new(id) },
        properties: PublishProperties::default(),
        payload,
    })
}

/// A session that outlives its connection, with the bounds that a client sets for itself.
fn lasting(id: &str, seconds: u32) -> Connect<'_> {
    let properties = ConnectProperties {
        session_expiry_interval: Some(seconds),
        ..ConnectProperties::default()
    };
    Connect { clean_start: false, properties, ..Connect::new(V5, id) }
}

/// How much more memory the broker has, in MiB, than it had.
fn grown(broker: &Broker, before: u64) -> u64 {
    broker.memory().saturating_sub(before) >> 20
}

#[test]
fn r01_65535_open_qos_2_publications_end_at_the_receive_maximum() {
    let broker = Broker::start(OPEN);
    let mut other = bystander(&broker);
    let before = broker.memory();
    for round in 0..10 {
        let mut client = enter(&broker, &format!("c{round}"));
        let payload = [b'x'; 1000];
        let packets: Vec<Packet<'_>> =
            (1..=u16::MAX).map(|id| publication("a", Q2, id, &payload)).take(3_000).collect();
        client.send_as_far_as_possible(&bytes(V5, &packets));
        let mut received = 0;
        let code = loop {
            let raw = client.receive();
            match raw.packet() {
                Packet::PubRec(_) => received += 1,
                Packet::Disconnect(disconnect) => break disconnect.reason,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((received, code), (1024, ReasonCode::ReceiveMaximumExceeded));
        check_bystander(&mut other);
    }
    assert!(grown(&broker, before) < 64, "{} MiB", grown(&broker, before));
}

#[test]
fn r02_a_client_that_never_acknowledges_is_sent_no_identifier_twice_and_queues_no_more_than_its_bound()
 {
    let broker = limited("max_inflight = 65535");
    let mut silent = enter(&broker, "silent").subscribed("a", Q1);
    let mut publisher = enter(&broker, "publisher");
    const MESSAGES: usize = 70_000;
    let before = broker.memory();
    let mut seen = HashSet::new();
    // The client reads, in step with the publisher, and acknowledges nothing.
    for round in 0..MESSAGES / 500 {
        let packets: Vec<Packet<'_>> = (1..=500).map(|id| publication("a", Q1, id, b"x")).collect();
        publisher.send_bytes(&bytes(V5, &packets));
        for _ in 0..500 {
            publisher.puback();
        }
        while seen.len() < ((round + 1) * 500).min(65_535) {
            let raw = silent.receive();
            let Packet::Publish(publish) = raw.packet() else { panic!("{:?}", raw.packet()) };
            assert!(seen.insert(publish.packet_id.unwrap()), "used twice");
        }
    }
    // What is beyond all identifiers waits, and the oldest of it gives way.
    silent.send(&Packet::PingReq);
    assert_eq!(silent.receive().packet(), Packet::PingResp);
    assert!(grown(&broker, before) < 64, "{} MiB", grown(&broker, before));
    let first = PacketId::MIN;
    silent.send(&Packet::PubAck(Ack::new(first, ReasonCode::Success)));
    let raw = silent.receive();
    let Packet::Publish(publish) = raw.packet() else { panic!("{:?}", raw.packet()) };
    assert_eq!(publish.packet_id, Some(first), "the only one that is free");
}

#[test]
fn r03_a_flood_of_lasting_sessions_ends_at_the_maximum_and_none_lasts_longer_than_allowed() {
    let broker = limited("max_sessions = 500\nsession_expiry_max = \"2s\"");
    let mut refused = 0;
    let start = std::time::Instant::now();
    for number in 0..600 {
        let id = format!("flood {number}");
        let mut client = Client::open(broker.addr(), V5);
        client.send(&Packet::Connect(Box::new(lasting(&id, u32::MAX))));
        let raw = client.receive();
        let Packet::ConnAck(connack) = raw.packet() else { panic!("{:?}", raw.packet()) };
        match connack.reason {
            ReasonCode::Success => {
                assert_eq!(connack.properties.session_expiry_interval, Some(2));
            }
            ReasonCode::QuotaExceeded => refused += 1,
            other => panic!("{other}"),
        }
    }
    // On a slow machine some have ended meanwhile, which makes room.
    loop {
        let (client, answer) = Client::connect(broker.addr(), &lasting("later", 60));
        if answer.code == 0 {
            break client.disconnect();
        }
        refused += 1;
        assert!(start.elapsed() < PATIENCE, "no session has ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(refused > 0 || start.elapsed() > Duration::from_secs(1), "nobody was refused");
}

#[test]
fn r05_a_flood_of_retained_messages_ends_at_the_quota_in_messages_and_in_bytes() {
    // What the broker says of itself is retained as well.
    let quiet = "[broker]\nworkers = 2\nsys_interval = \"0s\"";
    let limits = "max_retained_messages = 1000\nmax_retained_bytes = \"1MiB\"";
    let broker = limited(&format!("{limits}\n{quiet}"));
    let mut other = bystander(&broker);
    let mut client = enter(&broker, "flood");
    let mut codes = Vec::new();
    for number in 0..1_200 {
        codes.push(client.publish(&Outgoing::new(&format!("r/{number}"), "x").retained()));
    }
    assert_eq!(codes.iter().filter(|code| **code == 0x97).count(), 200);
    for number in 0..1_000 {
        client.publish(&Outgoing::new(&format!("r/{number}"), "").retained());
    }
    let large = vec![b'x'; 300_000];
    let codes: Vec<u8> = (0..5)
        .map(|number| {
            client.publish(&Outgoing::new(&format!("l/{number}"), large.clone()).retained())
        })
        .collect();
    assert_eq!(codes.iter().filter(|code| **code == 0x97).count(), 2, "{codes:02x?}");
    check_bystander(&mut other);
}

#[test]
fn r05_retained_messages_at_deep_topics_take_no_more_memory_than_the_quota_says() {
    let broker = limited("max_retained_bytes = \"8MiB\"");
    let mut client = enter(&broker, "flood");
    let tail = "/a".repeat(120);
    let before = broker.memory();
    let full = (0..50_000).find(|number| {
        client.publish(&Outgoing::new(&format!("{number}{tail}"), "x").retained()) == 0x97
    });
    assert!(full.is_some_and(|number| number < 40_000), "{full:?}");
    assert!(grown(&broker, before) < 64, "{} MiB", grown(&broker, before));
}

#[test]
fn r07_a_large_message_to_many_readers_that_do_not_read_is_one_message() {
    let broker = Broker::start(OPEN);
    let mut other = bystander(&broker);
    let stuck: Vec<Client> = (0..60)
        .map(|number| enter(&broker, &format!("s{number}")).subscribed("large", Q0))
        .collect();
    let mut publisher = enter(&broker, "publisher");
    let before = broker.memory();
    let large = vec![b'x'; 1_000_000];
    for _ in 0..30 {
        publisher.publish(&Outgoing::new("large", large.clone()));
    }
    // 1.8 GB if every copy were kept; a reader may have one message half written and one in its queue.
    assert!(grown(&broker, before) < 250, "{} MiB", grown(&broker, before));
    check_bystander(&mut other);
    drop(stuck);
}

#[test]
fn r09_ten_thousand_share_groups_at_one_filter_are_joined_and_left_in_time() {
    let broker = Broker::start(OPEN);
    let mut other = bystander(&broker);
    let start = std::time::Instant::now();
    let mut members = Vec::new();
    for client in 0..10 {
        let mut member = enter(&broker, &format!("m{client}"));
        let filters: Vec<String> = (0..1_001).map(|n| format!("$share/{client}-{n}/a")).collect();
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        let codes = member.subscribe_all(&filters, Q0);
        // One more than a session may have.
        assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1_000);
        assert_eq!(codes.last(), Some(&0x97));
        members.push(member);
    }
    other.publish(&Outgoing::new("a", "x"));
    for member in &mut members {
        for _ in 0..1_000 {
            assert_eq!(member.message().parts(), ("a", "x"));
        }
    }
    members.into_iter().for_each(Client::disconnect);
    check_bystander(&mut other);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
}

#[test]
fn r10_subscribing_and_unsubscribing_while_others_publish_leaves_nothing_behind() {
    let broker = Broker::start(OPEN);
    let mut publisher = enter(&broker, "publisher");
    let mut client = enter(&broker, "client");
    let mut churn = |rounds: usize| {
        for round in 0..rounds {
            let filters =
                ["a/#", "a/+/c", "$share/g/a/#", &format!("{round}/+")].map(str::to_owned);
            for filter in &filters {
                client.subscribe(filter, Q1);
            }
            for number in 0..4 {
                publisher.send_publish(&Outgoing::new(&format!("a/{number}/c"), "x").qos(Q0));
            }
            client.send(&Packet::Unsubscribe(wasmqtt_codec::Unsubscribe {
                packet_id: PacketId::MAX,
                user_properties: Default::default(),
                filters: filters.iter().map(String::as_str).collect(),
            }));
            while !is_unsuback(&mut client) {}
        }
        publisher.ping();
    };
    churn(300);
    let before = broker.memory();
    churn(2_000);
    assert!(grown(&broker, before) < 16, "{} MiB", grown(&broker, before));
}

/// Takes the next packet, and acknowledges nothing.
fn is_unsuback(client: &mut Client) -> bool {
    matches!(client.receive().packet(), Packet::UnsubAck(_))
}

#[test]
fn r11_topic_aliases_take_the_memory_that_connack_promised_and_no_more() {
    let broker = limited("topic_alias_maximum = 8\nmax_topic_length = 4096");
    let before = broker.memory();
    let topic = "t".repeat(4_000);
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = enter(&broker, &format!("c{number}"));
        // Over and over: the last name of each alias is all that is kept.
        for round in 0..40u16 {
            let topic = format!("{round}{topic}");
            let properties = PublishProperties {
                topic_alias: (round % 8 + 1).try_into().ok(),
                ..PublishProperties::default()
            };
            let Packet::Publish(plain) = publication(&topic, Q0, 1, b"x") else { continue };
            client.send(&Packet::Publish(Publish { properties, ..plain }));
        }
        client.ping();
        clients.push(client);
    }
    // 100 clients with 8 names of 4 kB are 3 MiB; kept are their buffers besides.
    assert!(grown(&broker, before) < 24, "{} MiB", grown(&broker, before));
}

#[test]
fn r13_large_properties_to_many_readers_that_do_not_read_are_shared_like_payloads() {
    let broker = limited("max_user_properties = 65535");
    let mut other = bystander(&broker);
    let stuck: Vec<Client> = (0..60)
        .map(|number| enter(&broker, &format!("s{number}")).subscribed("rich", Q0))
        .collect();
    let mut publisher = enter(&broker, "publisher");
    let long = "x".repeat(60_000);
    let before = broker.memory();
    for _ in 0..100 {
        let mut message = Outgoing::new("rich", "x");
        for _ in 0..10 {
            message = message.property(&long[..1_000], &long[..40_000]);
        }
        publisher.publish(&message);
    }
    // 2.4 GB if every copy were kept.
    assert!(grown(&broker, before) < 200, "{} MiB", grown(&broker, before));
    check_bystander(&mut other);
    drop(stuck);
}

#[test]
fn r14_a_session_that_is_begun_anew_again_and_again_publishes_each_late_will_once() {
    let broker = Broker::start(OPEN);
    let mut watcher = enter(&broker, "watcher").subscribed("will", Q1);
    let before = broker.memory();
    for number in 0..500 {
        let payload = number.to_string();
        let will = Will {
            qos: Q1,
            retain: false,
            topic: "will",
            payload: payload.as_bytes(),
            delay_interval: u32::MAX,
            message_expiry_interval: None,
            properties: Default::default(),
        };
        let connect =
            Connect { will: Some(will), clean_start: number % 2 == 0, ..lasting("flip", 60) };
        let (client, answer) = Client::connect(broker.addr(), &connect);
        assert_eq!(answer.code, 0);
        client.hang_up();
    }
    // A clean start ends the session before, and only then its will is due [MQTT-3.1.3-9].
    for number in (1..499).step_by(2) {
        assert_eq!(watcher.message().text(), number.to_string());
    }
    watcher.ping();
    assert!(grown(&broker, before) < 16, "{} MiB", grown(&broker, before));
}

#[test]
fn a_packet_that_trickles_in_does_not_keep_a_connection_alive() {
    let broker = limited("connect_timeout = \"1s\"");
    // Before CONNECT, and behind it: only whole packets count.
    let mut stranger = Client::open(broker.addr(), V5);
    let connect = bytes(V5, &[Packet::Connect(Box::new(Connect::new(V5, "slow")))]);
    for byte in &connect[..connect.len() - 1] {
        stranger.send_as_far_as_possible(&[*byte]);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stranger.end(), None);
    let mut client =
        Client::connect(broker.addr(), &Connect { keep_alive: 1, ..Connect::new(V5, "slow") }).0;
    client.send_bytes(&[0x30, 0x7F, 0, 1, b'a', 0]);
    for _ in 0..40 {
        client.send_as_far_as_possible(b"x");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.end(), Some(0x8D));
}
