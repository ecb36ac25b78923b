//! The broker as a process on a network: what it does with connections, good ones and bad ones.

use std::time::{Duration, Instant};

use wasmqtt_codec::{
    Connect, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, Subscribe,
    Subscription, UserProperties, Version,
};

use crate::harness::broker::Mark;
use crate::harness::client::{Answer, bytes, connect_packet, login};
use crate::harness::config::{OPEN, demo, hostile, open_listener, slow_authenticator};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

fn with_limits(limits: &str) -> String {
    format!("{OPEN}[limits]\n{limits}\n")
}

/// CONNECT for a session that stays.
fn staying(version: Version, id: &str) -> Connect<'_> {
    let mut connect = Connect::new(version, id);
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(300);
    connect
}

#[test]
fn who_does_not_send_connect_in_time_is_closed() {
    let broker = Broker::start(&with_limits("connect_timeout = \"500ms\""));
    let whole = bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, "c"))]);
    for sent in [&whole[..0], &whole[..1], &whole[..whole.len() - 1]] {
        let start = Instant::now();
        let mut client = Client::open(broker.addr(), Version::V5);
        client.send_bytes(sent);
        assert_eq!(client.end(), None);
        let took = start.elapsed();
        // Without the setting it would be 10 s.
        assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(9), "{took:?}");
    }
    Client::enter(broker.addr(), Version::V5, "c").disconnect();
}

#[test]
fn of_who_has_not_entered_nothing_is_kept_but_a_connect_of_bounded_size() {
    // Nothing here ends because its time is over.
    let broker =
        Broker::start(&with_limits("connect_timeout = \"5m\"\nmax_packet_size = \"200MiB\""));
    let beginnings: [&[u8]; 4] = [
        // A PUBLISH and an AUTH of a million bytes, a type that there is not, and a CONNECT beyond 512 KiB.
        &[0x30, 0xc0, 0x84, 0x3d, 0, 1],
        &[0xf0, 0xc0, 0x84, 0x3d],
        &[0x00, 0xc0, 0x84, 0x3d],
        &[0x10, 0x80, 0x80, 0x40],
    ];
    for beginning in beginnings {
        let mut stranger = Client::open(broker.addr(), Version::V5);
        stranger.send_bytes(beginning);
        assert_eq!(stranger.end(), None, "{beginning:?}");
    }
    // As long as names can be.
    let (id, name, password) = ("i".repeat(65_535), "n".repeat(65_535), vec![b'p'; 65_535]);
    let mut connect = Connect::new(Version::V5, &id);
    (connect.username, connect.password) = (Some(name.as_str()), Some(password.as_slice()));
    let (client, answer) = Client::connect(broker.addr(), &connect);
    assert_eq!(answer.code, 0);
    client.disconnect();
}

#[test]
fn a_packet_beyond_the_limit_ends_the_connection_before_it_is_read() {
    let broker = Broker::start(&with_limits("max_packet_size = \"1KiB\""));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    // Fixed header, topic length, topic, packet identifier, property length.
    let fits = 1024 - 3 - 2 - 1 - 2 - 1;
    assert_eq!(client.publish(&Outgoing::new("a", vec![b'x'; fits])), 0x10);
    client.send_publish(&Outgoing::new("a", vec![b'x'; fits + 1]));
    assert_eq!(client.end(), Some(0x95));

    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    client.send_bytes(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(client.end(), Some(0x95), "at its first bytes");

    let mut old = Client::enter(broker.addr(), Version::V311, "old");
    old.send_bytes(&[0x30, 0xff, 0xff, 0xff, 0x7f]);
    assert_eq!(old.end(), None);
}

#[test]
fn who_sends_far_too_much_is_still_told_why() {
    let broker = Broker::start(&with_limits("max_packet_size = \"1KiB\""));
    for _ in 0..20 {
        let mut client = Client::enter(broker.addr(), Version::V5, "c");
        client.send_as_far_as_possible(&[0x30, 0x80, 0x80, 0x80, 0x04]);
        client.send_as_far_as_possible(&vec![b'x'; 8 << 20]);
        assert_eq!(client.end(), Some(0x95));
    }
}

#[test]
fn whoever_does_not_begin_with_connect_is_closed_without_a_word() {
    let broker = Broker::start(OPEN);
    for first in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xc0, 0], &[0xe0, 0], &[0x00, 0], &[0xff; 64]] {
        let mut client = Client::open(broker.addr(), Version::V5);
        client.send_bytes(first);
        assert!(client.try_receive().is_none(), "{first:02x?}");
    }
    Client::enter(broker.addr(), Version::V5, "c").disconnect();
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    let broker = Broker::start(OPEN);
    for (version, told) in [(Version::V5, Some(0x82)), (Version::V311, None), (Version::V31, None)]
    {
        let mut client = Client::enter(broker.addr(), version, "c");
        client.send(&connect_packet(&Connect::new(version, "c")));
        assert_eq!(client.end(), told, "{version}");
    }
}

#[test]
fn a_malformed_packet_ends_the_connection() {
    let broker = Broker::start(OPEN);
    for (packet, told) in [
        (&[0x82, 3, 0, 1, 0][..], 0x82),       // SUBSCRIBE without a filter
        (&[0x36, 4, 0, 1, b'a', 0][..], 0x81), // QoS 3
        (&[0x30, 4, 0, 1, 0xff, 0][..], 0x81), // no UTF-8
        (&[0x20, 3, 0, 0, 0][..], 0x82),       // CONNACK, which only servers send
    ] {
        let mut client = Client::enter(broker.addr(), Version::V5, "c");
        client.send_bytes(packet);
        assert_eq!(client.end(), Some(told), "{packet:02x?}");
    }
}

#[test]
fn connections_beyond_the_maximum_are_closed_until_one_goes() {
    let broker = Broker::start(&with_limits("max_connections = 2"));
    let first = Client::enter(broker.addr(), Version::V5, "first");
    let mut second = Client::enter(broker.addr(), Version::V5, "second");
    let mark = broker.mark();
    assert!(Client::open(broker.addr(), Version::V5).try_receive().is_none());
    broker.wait_for(mark, "max_connections reached");
    second.ping();
    let mark = broker.mark();
    first.disconnect();
    broker.wait_for(mark, "client disconnected");
    // The place is free a moment after the line is written.
    let start = Instant::now();
    loop {
        let mut third = Client::open(broker.addr(), Version::V5);
        third.send(&connect_packet(&Connect::new(Version::V5, "third")));
        match third.try_receive() {
            Some(_) => return,
            None => assert!(start.elapsed() < PATIENCE, "still closed"),
        }
    }
}

#[test]
fn a_silent_client_is_closed_after_one_and_a_half_times_its_keep_alive() {
    let broker = Broker::start(OPEN);
    for (version, told) in [(Version::V5, Some(0x8D)), (Version::V311, None)] {
        let mut connect = Connect::new(version, "silent");
        connect.keep_alive = 1;
        let start = Instant::now();
        let (mut client, answer) = Client::connect(broker.addr(), &connect);
        assert_eq!(answer.code, 0);
        assert_eq!(client.end(), told);
        assert!(start.elapsed() >= Duration::from_millis(1450), "{:?}", start.elapsed());
    }
}

#[test]
fn a_client_that_pings_is_kept() {
    let broker = Broker::start(OPEN);
    let mut connect = Connect::new(Version::V5, "pings");
    // Silence is allowed for 4.5 s: more than any pause between two pings, less than all of them together.
    connect.keep_alive = 3;
    let (mut client, _) = Client::connect(broker.addr(), &connect);
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(100));
        client.ping();
    }
}

#[test]
fn a_second_connection_takes_the_session_and_the_first_is_told() {
    let broker = Broker::start(OPEN);
    for (version, told) in [(Version::V5, Some(0x8E)), (Version::V311, None), (Version::V31, None)]
    {
        let mut clients = vec![Client::enter(broker.addr(), version, "same")];
        for _ in 0..4 {
            clients.push(Client::enter(broker.addr(), version, "same"));
        }
        let mut last = clients.pop().unwrap();
        for mut client in clients {
            assert_eq!(client.end(), told, "{version}");
        }
        last.ping();
        last.disconnect();
    }
}

#[test]
fn a_client_that_does_not_read_can_be_taken_over() {
    let broker = Broker::start(OPEN);
    let stuck = Client::enter(broker.addr(), Version::V5, "same").subscribed("#", QoS::AtMostOnce);
    let mut publisher = Client::enter(broker.addr(), Version::V5, "publisher");
    for _ in 0..200 {
        publisher.publish(&Outgoing::new("a", vec![0; 64 << 10]));
    }
    let mark = broker.mark();
    let mut fresh = Client::enter(broker.addr(), Version::V5, "same");
    broker.wait_for(mark, "session taken over");
    fresh.ping();
    stuck.hang_up();
}

#[test]
fn a_session_that_stays_gets_what_came_while_its_client_was_away() {
    let broker = Broker::start(OPEN);
    let mut publisher = Client::enter(broker.addr(), Version::V5, "publisher");
    for version in [Version::V5, Version::V311, Version::V31] {
        let (client, answer) = Client::connect(broker.addr(), &staying(version, "stays"));
        assert_eq!(answer, Answer { code: 0, session_present: false });
        client.subscribed("news/#", QoS::ExactlyOnce).disconnect();
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for number in 0..10 {
                let news = Outgoing::new("news/a", number.to_string()).qos(qos);
                assert_eq!(publisher.publish(&news), 0);
            }
        }
        let (mut client, answer) = Client::connect(broker.addr(), &staying(version, "stays"));
        // 3.1 has no word for it.
        assert_eq!(answer.session_present, version != Version::V31);
        for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
            for number in 0..10 {
                let message = client.message();
                assert_eq!((message.text(), message.qos), (&*number.to_string(), qos));
            }
        }
        client.disconnect();
        // A clean start ends it.
        Client::enter(broker.addr(), version, "stays").disconnect();
        assert_eq!(publisher.publish(&Outgoing::new("news/a", "")), 0x10);
    }
}

#[test]
fn what_was_not_acknowledged_is_sent_again_on_the_next_connection() {
    let broker = Broker::start(OPEN);
    let mut publisher = Client::enter(broker.addr(), Version::V5, "publisher");
    let (client, _) = Client::connect(broker.addr(), &staying(Version::V5, "stays"));
    let mut client = client.subscribed("a", QoS::AtLeastOnce);
    publisher.publish(&Outgoing::new("a", "1"));
    let raw = client.receive();
    let Packet::Publish(first) = raw.packet() else { panic!("{:?}", raw.packet()) };
    assert!(!first.dup);
    client.hang_up();
    let (mut client, answer) = Client::connect(broker.addr(), &staying(Version::V5, "stays"));
    assert!(answer.session_present);
    let raw = client.receive();
    let Packet::Publish(again) = raw.packet() else { panic!("{:?}", raw.packet()) };
    assert!(again.dup);
    assert_eq!((again.packet_id, again.payload), (first.packet_id, first.payload));
}

#[test]
fn packets_behind_connect_in_the_same_write_are_answered_in_order() {
    let broker = Broker::start(&demo());
    let packet_id = PacketId::new(7).unwrap();
    for version in [Version::V5, Version::V311, Version::V31] {
        let mut client = Client::open(broker.addr(), version);
        client.send_bytes(&bytes(
            version,
            &[
                connect_packet(&login(version, "alice", "secret")),
                Packet::Subscribe(Subscribe {
                    packet_id,
                    subscription_identifier: None,
                    user_properties: UserProperties::EMPTY,
                    subscriptions: vec![Subscription::new("devices/alice/#", QoS::AtMostOnce)],
                }),
                Packet::Publish(Publish {
                    dup: false,
                    qos: QoS::AtLeastOnce,
                    retain: false,
                    topic: "devices/alice/temp",
                    packet_id: Some(packet_id),
                    properties: PublishProperties::default(),
                    payload: b"21.5",
                }),
                Packet::PingReq,
            ],
        ));
        assert_eq!(client.answer().code, 0);
        let kinds: Vec<_> = (0..4).map(|_| client.receive().packet().kind().name()).collect();
        // The message may come before or after what is not about it.
        let others: Vec<_> = kinds.iter().copied().filter(|kind| *kind != "PUBLISH").collect();
        assert_eq!(others, ["SUBACK", "PUBACK", "PINGRESP"], "{version}: {kinds:?}");
        client.disconnect();
    }
}

#[test]
fn packets_that_come_byte_by_byte_are_understood() {
    let broker = Broker::start(OPEN);
    let mut client = Client::open(broker.addr(), Version::V5);
    let packet_id = PacketId::new(1).unwrap();
    let stream = bytes(
        Version::V5,
        &[
            connect_packet(&Connect::new(Version::V5, "slowly")),
            Packet::Publish(Publish {
                dup: false,
                qos: QoS::AtLeastOnce,
                retain: false,
                topic: "a",
                packet_id: Some(packet_id),
                properties: PublishProperties::default(),
                payload: &[b'x'; 200],
            }),
            Packet::PingReq,
        ],
    );
    for byte in stream {
        client.send_bytes(&[byte]);
    }
    assert_eq!(client.answer().code, 0);
    assert_eq!(client.puback(), (packet_id, 0x10));
    assert_eq!(client.receive().packet(), Packet::PingResp);
}

#[test]
fn behaviour_05_a_slow_authentication_of_one_client_does_not_delay_another() {
    // Longer than anybody here waits.
    let broker = Broker::start(&slow_authenticator("50s", ""));
    let mut slow = Client::open(broker.addr(), Version::V5);
    slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    assert_eq!(alice.publish(&Outgoing::new("devices/alice/x", "")), 0x10);
    assert!(!slow.has_heard(), "it was not asked to the end");
    alice.ping();
}

#[test]
fn who_comes_while_as_many_as_may_are_being_authenticated_is_told_that_the_server_is_busy() {
    let broker = Broker::start(&slow_authenticator("50s", "[limits]\nmax_authentications = 1\n"));
    let log_in = |version| Client::connect(broker.addr(), &login(version, "alice", "secret")).1;
    let start = Instant::now();
    // Who of the two comes first is up to chance.
    let slow = loop {
        let mut slow = Client::open(broker.addr(), Version::V5);
        slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
        if log_in(Version::V5).code == 0x89 && !slow.has_heard() {
            break slow;
        }
        assert!(start.elapsed() < PATIENCE, "there is room for both");
    };
    assert_eq!(log_in(Version::V311).code, 3);
    assert!(!slow.has_heard(), "it is asked no more");
    // Its place is free again.
    slow.hang_up();
    while log_in(Version::V5).code == 0x89 {
        assert!(start.elapsed() < PATIENCE, "its place is taken");
    }
    assert_eq!(log_in(Version::V5).code, 0);
}

#[test]
fn as_many_files_are_opened_as_the_system_allows_and_a_shortage_is_told() {
    let config = |most: u32| open_listener("mqtt", &format!("limits.max_connections = {most}"));
    // Fewer than there are clients below.
    let broker = Broker::start_behind("ulimit -Sn 48 && ulimit -Hn 900", &config(389));
    let raised = broker.wait_for(Mark::START, "open files");
    assert_eq!((raised.field("limit"), raised.field("before")), ("900".into(), "48".into()));
    let short = broker.wait_for(Mark::START, "need more open files than");
    assert_eq!((short.level(), short.field("needed")), ("WARN".into(), "901".into()));
    let ids: Vec<String> = (0..100).map(|number| format!("c{number}")).collect();
    let mut clients: Vec<Client> =
        ids.iter().map(|id| Client::enter(broker.addr(), Version::V5, id)).collect();
    clients.iter_mut().for_each(Client::ping);
    let mark = broker.mark();
    broker.reload(&config(388));
    assert!(!broker.lines(mark).iter().any(|line| line.holds("open files")), "now it is enough");
}

#[test]
fn where_nobody_is_asked_nobody_waits_for_a_place() {
    let open = open_listener("open", "");
    let more = format!("[limits]\nmax_authentications = 1\n{open}");
    let broker = Broker::start(&slow_authenticator("50s", &more));
    let start = Instant::now();
    // As above: until the only place is taken.
    let slow = loop {
        let mut slow = Client::open(broker.addr(), Version::V5);
        slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
        let alice = Client::connect(broker.addr(), &login(Version::V5, "alice", "secret")).1;
        if alice.code == 0x89 && !slow.has_heard() {
            break slow;
        }
        assert!(start.elapsed() < PATIENCE, "there is room for both");
    };
    for (number, version) in [Version::V5, Version::V311, Version::V31].into_iter().enumerate() {
        Client::enter(broker.addr_of("open"), version, &format!("c{number}")).ping();
    }
    assert!(!slow.has_heard(), "it is asked still");
}

#[test]
fn a_plugin_that_sends_clients_elsewhere_need_not_know_where_that_is() {
    let chain = open_listener("mqtt", "authenticate = [\"hostile\"]");
    let plugin = hostile("", "on = \"authenticate\"\ndo = \"send-away\"\nwhen = \"away\"");
    let config = |reference: &str| format!("{chain}{plugin}[broker]\n{reference}\n");
    let broker = Broker::start(&config("server_reference = \"b.example:1883\""));
    let refused = |expected: Option<&str>| {
        let mut client = Client::open(broker.addr(), Version::V5);
        client.send(&connect_packet(&Connect::new(Version::V5, "away")));
        let raw = client.receive();
        let Packet::ConnAck(answer) = raw.packet() else { panic!("{:?}", raw.packet()) };
        assert_eq!(answer.reason, ReasonCode::UseAnotherServer);
        assert_eq!(answer.properties.server_reference, expected);
        assert_eq!(client.end(), None);
    };
    refused(Some("b.example:1883"));
    Client::enter(broker.addr(), Version::V5, "c").disconnect();
    let (_, answer) = Client::connect(broker.addr(), &Connect::new(Version::V311, "away"));
    assert_eq!(answer.code, 3, "server unavailable");
    broker.reload(&config(""));
    refused(None);
}

#[test]
fn an_authenticator_that_takes_too_long_is_given_up_when_its_time_is_over() {
    let broker = Broker::start(&slow_authenticator("4s", ""));
    let mut slow = Client::open(broker.addr(), Version::V5);
    let start = Instant::now();
    slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
    assert_eq!(slow.answer().code, 0x88);
    assert!(start.elapsed() >= Duration::from_secs(4), "it was asked to the end");
}

#[test]
fn behaviour_05_a_closed_socket_cancels_its_authentication_and_leaves_nothing_behind() {
    let listener = "[limits]\nmax_connections = 1\n[log]\nlevel = \"debug\"\nformat = \"json\"\n";
    let broker = Broker::start(&slow_authenticator("50s", listener));
    let start = Instant::now();
    let mut slow = Client::open(broker.addr(), Version::V5);
    slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
    let mark = broker.mark();
    slow.hang_up();
    broker.wait_for(mark, "gone before CONNECT was answered");
    // Its place is free, although the plugin still thinks.
    loop {
        let mut alice = Client::open(broker.addr(), Version::V5);
        alice.send(&connect_packet(&login(Version::V5, "alice", "secret")));
        if alice.try_receive().is_some() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "its place is taken");
    }
}

#[test]
fn a_listener_without_permission_lets_nobody_do_anything() {
    let broker = Broker::start(&open_listener("mqtt", "").replace("\"allow\"", "\"deny\""));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("a", "")), 0x87);
    assert_eq!(client.subscribe("a", QoS::AtMostOnce), 0x87);
}
