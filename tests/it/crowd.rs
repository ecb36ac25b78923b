//! Many connections, much data, and clients in a hurry.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use wasmqtt_codec::{
    Connect, Disconnect, Packet, PacketId, Publish, PublishProperties, QoS, Version,
};

use crate::harness::client::{bytes, connect_packet, login};
use crate::harness::config::{LOSSLESS, OPEN, demo};
use crate::harness::stream::{Audit, Publisher};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

fn publish<'a>(topic: &'a str, number: Option<u16>, payload: &'a [u8]) -> Packet<'a> {
    let packet_id = number.and_then(PacketId::new);
    Packet::Publish(Publish {
        dup: false,
        qos: if packet_id.is_some() { QoS::AtLeastOnce } else { QoS::AtMostOnce },
        retain: false,
        topic,
        packet_id,
        properties: PublishProperties::default(),
        payload,
    })
}

#[test]
fn what_a_client_sends_before_it_closes_at_once_is_still_published() {
    for (config, name) in [(OPEN.to_owned(), "c"), (demo(), "alice")] {
        let broker = Broker::start(&config);
        let mut reader = match name {
            "c" => Client::enter(broker.addr(), Version::V5, "reader"),
            _ => Client::log_in(broker.addr(), Version::V5, name),
        };
        assert_eq!(reader.subscribe("devices/alice/#", QoS::AtLeastOnce), 1);
        for version in [Version::V5, Version::V311, Version::V31] {
            let mut connect = match name {
                "c" => Connect::new(version, name),
                _ => login(version, name, "secret"),
            };
            connect.client_id = "hurry";
            let mut hurry = Client::open(broker.addr(), version);
            hurry.send_bytes(&bytes(
                version,
                &[
                    connect_packet(&connect),
                    publish("devices/alice/temp", None, b"21.5"),
                    Packet::Disconnect(Disconnect::default()),
                ],
            ));
            hurry.finish();
            assert_eq!(reader.message().parts(), ("devices/alice/temp", "21.5"), "{version}");
        }
    }
}

#[test]
fn much_more_than_a_buffer_behind_connect_waits_for_the_answer() {
    let broker = Broker::start(&demo());
    let mut alice = Client::open(broker.addr(), Version::V5);
    let mut packets = vec![connect_packet(&login(Version::V5, "alice", "secret"))];
    let payload = vec![b'x'; 2048];
    packets.extend((1..=300).map(|id| publish("devices/alice/temp", Some(id), &payload)));
    alice.send_bytes(&bytes(Version::V5, &packets));
    assert_eq!(alice.answer().code, 0);
    for id in 1..=300 {
        assert_eq!(alice.puback(), (PacketId::new(id).unwrap(), 0x10));
    }
}

#[test]
fn fifty_clients_that_log_in_at_once_all_get_in() {
    let broker = Broker::start(&demo());
    let ids: Vec<String> = (0..50).map(|number| format!("c{number}")).collect();
    let mut clients: Vec<Client> = ids
        .iter()
        .enumerate()
        .map(|(number, id)| {
            let password = if number % 5 == 4 { "wrong" } else { "secret" };
            let mut connect = login(Version::V5, "alice", password);
            connect.client_id = id;
            let mut client = Client::open(broker.addr(), Version::V5);
            client.send(&connect_packet(&connect));
            client
        })
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let expected = if number % 5 == 4 { 0x86 } else { 0 };
        assert_eq!(client.answer().code, expected, "{number}");
    }
}

#[test]
fn a_large_message_arrives_whole_at_every_subscriber() {
    let broker = Broker::start(&format!("{OPEN}{LOSSLESS}"));
    let mut subscribers: Vec<Client> = (0..12)
        .map(|number| {
            let version = [Version::V5, Version::V311, Version::V31][number % 3];
            let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][number / 4];
            Client::enter(broker.addr(), version, &format!("s{number}")).subscribed("#", qos)
        })
        .collect();
    let mut publisher = Client::enter(broker.addr(), Version::V5, "publisher");
    let large: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
    for number in 0..5 {
        let message = Outgoing::new(&format!("large/{number}"), large.clone());
        assert_eq!(publisher.publish(&message.qos(QoS::ExactlyOnce)), 0);
    }
    for subscriber in &mut subscribers {
        for number in 0..5 {
            let message = subscriber.message();
            assert_eq!(message.topic, format!("large/{number}"));
            assert!(message.payload == large, "another payload");
        }
    }
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let broker = Broker::start(OPEN);
    let come_and_go = |times: usize| {
        for number in 0..times {
            let mut client = Client::enter(broker.addr(), Version::V5, &format!("c{number}"))
                .subscribed(&format!("a/{number}/+"), QoS::AtLeastOnce);
            client.publish(&Outgoing::new("b", ""));
            if number % 2 == 0 { client.disconnect() } else { client.hang_up() }
        }
    };
    come_and_go(200);
    let files = broker.open_files();
    let memory = broker.memory();
    come_and_go(2000);
    // The last ones may not be over yet.
    let start = Instant::now();
    while broker.open_files() > files {
        assert!(start.elapsed() < PATIENCE, "{} files", broker.open_files());
        std::thread::sleep(Duration::from_millis(10));
    }
    let grown = broker.memory().saturating_sub(memory);
    assert!(grown < 16 << 20, "2000 connections left {} KiB behind", grown >> 10);
}

#[test]
fn a_password_is_never_written_to_the_log() {
    let config = demo() + "[log]\nlevel = \"trace\"\nformat = \"json\"\n";
    let broker = Broker::start(&config);
    let mark = broker.mark();
    let password = "do-not-write-this-down";
    for version in [Version::V5, Version::V311, Version::V31] {
        let (_, answer) = Client::connect(broker.addr(), &login(version, "alice", password));
        assert_ne!(answer.code, 0);
    }
    broker.wait_for(mark, "client refused");
    Client::log_in(broker.addr(), Version::V5, "bob").disconnect();
    broker.wait_for(mark, "client disconnected");
    for line in broker.lines(mark) {
        assert!(!line.text().contains(password) && !line.text().contains("argon2"), "{line:?}");
    }
}

#[test]
fn two_hundred_clients_on_two_workers_lose_nothing() {
    const CLIENTS: usize = 200;
    const THREADS: usize = 8;
    const ROUNDS: usize = 20;
    let broker = Broker::start(&format!("{OPEN}{LOSSLESS}"));
    let addr = broker.addr();
    let (subscribed, published) = (Barrier::new(THREADS), Barrier::new(THREADS));
    let work = |thread: usize| {
        let numbers: Vec<usize> = (thread..CLIENTS).step_by(THREADS).collect();
        let mut clients: Vec<Client> = numbers
            .iter()
            .map(|number| {
                let mut client = Client::enter(addr, Version::V5, &format!("c{number}"));
                let filters = [&*format!("in/{number}"), "all"];
                assert_eq!(client.subscribe_all(&filters, QoS::AtLeastOnce), [1, 1]);
                client
            })
            .collect();
        subscribed.wait();
        for round in 0..ROUNDS {
            for (client, number) in clients.iter_mut().zip(&numbers) {
                let to = (number + round * 13 + 1) % CLIENTS;
                let message = Outgoing::new(&format!("in/{to}"), format!("{number} {round}"));
                assert_eq!(client.publish(&message), 0);
                if round == ROUNDS / 2 {
                    assert_eq!(client.publish(&Outgoing::new("all", format!("{number} all"))), 0);
                }
            }
        }
        published.wait();
        for (client, number) in clients.iter_mut().zip(&numbers) {
            let mut arrived = BTreeMap::<String, usize>::new();
            for _ in 0..ROUNDS + CLIENTS {
                *arrived.entry(client.message().text().to_owned()).or_default() += 1;
            }
            let mut owed = BTreeMap::<String, usize>::new();
            for round in 0..ROUNDS {
                let from = (number + CLIENTS * ROUNDS - round * 13 - 1) % CLIENTS;
                owed.insert(format!("{from} {round}"), 1);
            }
            owed.extend((0..CLIENTS).map(|from| (format!("{from} all"), 1)));
            assert_eq!(arrived, owed, "client {number}");
            client.ping();
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || work(thread));
        }
    });
}

#[test]
fn a_reader_that_does_not_read_is_bounded_and_others_go_on() {
    let broker = Broker::start(OPEN);
    let mut stuck =
        Client::enter(broker.addr(), Version::V5, "stuck").subscribed("flood", QoS::AtMostOnce);
    let mut lively =
        Client::enter(broker.addr(), Version::V5, "lively").subscribed("calm/#", QoS::AtLeastOnce);
    let stream = Client::enter(broker.addr(), Version::V5, "stream");
    let mut audit = Audit::default();
    let stream = Publisher::start(stream, "stream", "calm/stream", None, 500, audit.lead());
    let mut flood = Client::enter(broker.addr(), Version::V5, "flood");
    let before = broker.memory();
    let mut most = 0;
    // 256 MiB in all.
    for number in 0..4096u32 {
        let mut payload = vec![0; 64 << 10];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        assert_eq!(flood.publish(&Outgoing::new("flood", payload)), 0);
        if number % 256 == 0 {
            most = most.max(broker.memory());
        }
    }
    let grown = most.max(broker.memory()).saturating_sub(before);
    assert!(grown < 64 << 20, "the broker took {} MiB", grown >> 20);
    while audit.total() < 500 {
        audit.take(&lively.message());
    }
    stream.join();
    // It finds whole messages in order when it comes back; the oldest of those that waited gave way.
    let mut last = None;
    while last != Some(4095) {
        let payload = stuck.message().payload;
        assert_eq!(payload.len(), 64 << 10);
        let number = u32::from_be_bytes(payload[..4].try_into().unwrap());
        assert!(last.is_none_or(|last| number > last), "{number} behind {last:?}");
        last = Some(number);
    }
}
