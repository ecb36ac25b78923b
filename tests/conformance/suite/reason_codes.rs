//! Reason codes that only a configured listener gives; the `[codes]` of `tests/conformance.toml` name the test of each.

use crate::harness::{BOTH, Broker, Hello, Outgoing, Packet, Prop, Version, packet, prop};

const V5: Version = Version::V5;

/// v5: 2.2.1-3
#[test]
fn an_identifier_that_an_open_qos_2_publication_has_is_in_use() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.send(&Outgoing::new("a", "x", 2).bytes(V5, 7));
    assert_eq!(client.pub_rec(7).code, 0x10);
    client.send(&Outgoing::new("a", "y", 1).bytes(V5, 7));
    assert_eq!(client.pub_ack(7).code, 0x91);
    client.send(&packet::pubrel(7));
    assert_eq!(client.pub_comp(7).code, 0);
    client.send(&Outgoing::new("a", "z", 1).bytes(V5, 7));
    assert_eq!(client.pub_ack(7).code, 0x10);
}

#[test]
fn more_publications_in_a_second_than_allowed_close_the_connection() {
    let broker = Broker::with_limits("publish_rate = 10\non_publish_rate = \"disconnect\"");
    let mut client = broker.client(V5, "client");
    let flood: Vec<u8> = (0..100).flat_map(|_| Outgoing::new("a", "x", 0).bytes(V5, 0)).collect();
    client.fault(&flood, 0x96);
    // Nobody else has to make up for it.
    broker.client(V5, "other").say("a", "x", 0);
}

#[test]
fn more_connects_in_a_second_than_allowed_are_refused() {
    let broker = Broker::with_limits("connect_rate = 1");
    for version in BOTH {
        let refused = if version == V5 { 0x9F } else { 3 };
        // Two in one second there are, sooner or later.
        let found = (0..1000).any(|number| {
            let mut client = broker.open(version);
            client.send(&Hello::new(version, &format!("c{number}")).bytes());
            let code = client.conn_ack();
            assert!(code == 0 || code == refused, "{code:#x}");
            code == refused
        });
        assert!(found);
    }
}

#[test]
fn a_connection_ends_when_it_has_lasted_as_long_as_it_may() {
    let broker = Broker::with_limits("connection_time_max = \"1s\"");
    for version in BOTH {
        let mut client = broker.connect(&Hello::new(version, "client").keep_alive(60));
        assert_eq!(client.end(), version.code(0xA0));
    }
}

#[test]
fn a_listener_that_sends_clients_elsewhere_says_where() {
    for (permanent, code) in [(false, 0x9C), (true, 0x9D)] {
        let keys = format!("redirect = {{ to = \"other.example:1883\", permanent = {permanent} }}");
        let broker = Broker::with_listener(&keys);
        let mut client = broker.open(V5);
        client.send(&Hello::new(V5, "client").bytes());
        assert_eq!(client.conn_ack(), code);
        let reference = Prop::Text(prop::SERVER_REFERENCE, "other.example:1883".into());
        assert_eq!(client.props, [reference]);
        assert_eq!(client.try_receive(), None);
        // It gives way to what the client can take.
        let small = Hello::new(V5, "client").with(prop::maximum_packet_size(10));
        let mut client = broker.open(V5);
        client.send(&small.bytes());
        assert_eq!((client.conn_ack(), client.props.len()), (code, 0));
        let hello = Hello::new(Version::V311, "client");
        assert_eq!(broker.refusal(Version::V311, &hello.bytes()), Some(3));
    }
}

/// v5: 3.14.2-3
#[test]
fn a_disconnect_says_why_to_who_wants_to_know_and_has_room_for_it() {
    let broker = Broker::start();
    let told = |hello: &Hello| {
        let mut client = broker.connect(hello);
        client.send(&hello.bytes());
        match client.receive() {
            Packet::Disconnect { code: 0x82, props } => props,
            other => panic!("{other:?}"),
        }
    };
    let hello = Hello::new(V5, "client");
    let why = Prop::Text(prop::REASON_STRING, "second CONNECT".into());
    assert_eq!(told(&hello), [why]);
    assert_eq!(told(&hello.clone().with(prop::request_problem_information(0))), []);
    assert_eq!(told(&hello.with(prop::maximum_packet_size(20))), []);
}
