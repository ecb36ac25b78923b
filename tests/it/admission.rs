//! Who gets a place at a listener: bounds of handshakes and of addresses, each at the bound.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use wasmqtt_codec::{Connect, Version};

use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::{OPEN, open_listener};
use crate::harness::http;
use crate::harness::{Broker, Client, PATIENCE};

fn hello(id: &str) -> Vec<u8> {
    bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, id))])
}

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Whether the broker has let it in; false when it has closed the connection.
fn is_in(mut stream: &TcpStream) -> bool {
    let mut answer = [0; 4];
    let came = stream.read_exact(&mut answer).is_ok();
    assert!(!came || (answer[0], answer[3]) == (0x20, 0), "{answer:02x?}");
    came
}

/// Tries until somebody gets in: what has just ended may not be counted down yet.
fn gets_in(broker: &Broker, say: impl Fn() -> Vec<u8>) -> TcpStream {
    let start = Instant::now();
    loop {
        let mut stream = connect(broker);
        // It may be closed already.
        let _ = stream.write_all(&say());
        if is_in(&stream) {
            return stream;
        }
        assert!(start.elapsed() < PATIENCE, "there is no place");
    }
}

#[test]
fn who_has_not_said_connect_takes_no_more_places_than_there_are_for_handshakes() {
    let limits = "[limits]\nmax_handshakes = 5\nconnect_timeout = \"5m\"\n";
    let broker = Broker::start(&format!("{OPEN}{limits}"));
    // Those who are in count no longer.
    let inside: Vec<Client> = (0..20)
        .map(|number| Client::enter(broker.addr(), Version::V5, &format!("inside{number}")))
        .collect();
    let silent: Vec<TcpStream> = (0..5).map(|_| connect(&broker)).collect();
    let mark = broker.mark();
    let mut beyond = connect(&broker);
    let _ = beyond.write_all(&hello("beyond"));
    assert!(!is_in(&beyond));
    let line = broker.wait_for(mark, "connections are closed at once");
    assert_eq!(line.field("limit"), "max_handshakes");
    for mut client in inside {
        client.ping();
    }
    drop(silent);
    gets_in(&broker, || hello("beyond"));
}

/// Clients from any address, as far as the broker knows.
fn proxied(limits: &str) -> Broker {
    let keys = "proxy_protocol = \"address\"\ntrusted_proxies = [\"127.0.0.1\"]";
    Broker::start(&format!("{}[limits]\n{limits}\n", open_listener("proxied", keys)))
}

fn from(address: &str, id: &str) -> Vec<u8> {
    let header = match address.contains(':') {
        true => format!("PROXY TCP6 {address} ::1 1 2\r\n"),
        false => format!("PROXY TCP4 {address} 127.0.0.1 1 2\r\n"),
    };
    [header.as_bytes(), &hello(id)].concat()
}

fn open(broker: &Broker, address: &str, id: &str) -> (TcpStream, bool) {
    let mut stream = connect(broker);
    stream.write_all(&from(address, id)).unwrap();
    let came = is_in(&stream);
    (stream, came)
}

#[test]
fn an_address_has_so_many_connections_and_others_have_theirs() {
    let broker = proxied("max_connections_per_address = 2");
    let first = open(&broker, "192.0.2.1", "a");
    let second = open(&broker, "192.0.2.1", "b");
    assert!(first.1 && second.1);
    let mark = broker.mark();
    assert!(!open(&broker, "192.0.2.1", "c").1);
    let line = broker.wait_for(mark, "connection refused");
    assert_eq!(line.field("reason"), "max_connections_per_address reached");
    assert!(line.field("peer").starts_with("192.0.2.1:"), "{}", line.text());
    let other = open(&broker, "192.0.2.2", "d");
    let six = open(&broker, "2001:db8::1", "e");
    let seven = open(&broker, "2001:db8::2", "f");
    assert!(other.1 && six.1 && seven.1);
    assert!(!open(&broker, "2001:db8::3", "g").1, "one network of IPv6 is one");
    drop(first);
    gets_in(&broker, || from("192.0.2.1", "c"));
}

#[test]
fn without_a_proxy_it_is_the_address_of_the_socket_that_counts() {
    let broker = Broker::start(&format!("{OPEN}[limits]\nmax_connections_per_address = 3\n"));
    let inside: Vec<Client> = (0..3)
        .map(|number| Client::enter(broker.addr(), Version::V5, &format!("c{number}")))
        .collect();
    let mark = broker.mark();
    let mut beyond = connect(&broker);
    let _ = beyond.write_all(&hello("beyond"));
    assert!(!is_in(&beyond));
    let line = broker.wait_for(mark, "connections are closed at once");
    assert_eq!(line.field("limit"), "max_connections_per_address");
    drop(inside);
    gets_in(&broker, || hello("beyond"));
}

#[test]
fn an_address_connects_so_often_in_a_second() {
    let broker = proxied("connection_rate_per_address = 5");
    // In one second at least one of so many is too many, whenever the second begins.
    let mut refused = 0;
    for number in 0..200 {
        refused += usize::from(!open(&broker, "192.0.2.1", &format!("c{number}")).1);
        if refused > 0 {
            break;
        }
    }
    assert!(refused > 0);
    assert!(open(&broker, "192.0.2.2", "other").1);
    gets_in(&broker, || from("192.0.2.1", "later"));
}

#[test]
fn a_reload_changes_the_bounds_of_newcomers() {
    let config = |most: u32| format!("{OPEN}[limits]\nmax_connections_per_address = {most}\n");
    let broker = Broker::start(&config(0));
    let _inside: Vec<Client> = (0..3)
        .map(|number| Client::enter(broker.addr(), Version::V5, &format!("c{number}")))
        .collect();
    broker.reload(&config(2));
    // Those who came while nobody counted are not counted.
    let _one = Client::enter(broker.addr(), Version::V5, "one");
    let _two = Client::enter(broker.addr(), Version::V5, "two");
    let mut beyond = connect(&broker);
    let _ = beyond.write_all(&hello("beyond"));
    assert!(!is_in(&beyond));
}

/// What `/metrics` says of this sample.
fn metric(broker: &Broker, sample: &str) -> Option<String> {
    let text = http::get(broker.addr_of("[admin]"), "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(sample));
    line.map(|value| value.trim().to_owned())
}

#[test]
fn all_listeners_together_have_so_many_connections_and_whoever_is_turned_away_is_counted() {
    let config = |total: u32| {
        let listeners = [open_listener("one", ""), open_listener("two", "")].concat();
        format!(
            "{listeners}[limits]\nmax_connections_total = {total}\n[admin]\nbind = \"127.0.0.1:0\"\n"
        )
    };
    let broker = Broker::start(&config(3));
    let (one, two) = (broker.addr_of("one"), broker.addr_of("two"));
    let inside = [(one, "a"), (two, "b"), (two, "c")]
        .map(|(address, id)| Client::enter(address, Version::V5, id));
    let turned_away = |listener: &str| {
        let labels = format!("{{listener=\"{listener}\",limit=\"max_connections_total\"}}");
        metric(&broker, &format!("wasmqtt_connections_turned_away_total{labels}"))
    };
    assert_eq!(turned_away("one").as_deref(), Some("0"));
    let mark = broker.mark();
    for _ in 0..2 {
        let mut beyond = TcpStream::connect(one).unwrap();
        beyond.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = beyond.write_all(&hello("beyond"));
        assert!(!is_in(&beyond));
    }
    let line = broker.wait_for(mark, "connections are closed at once");
    assert_eq!(line.field("limit"), "max_connections_total");
    assert_eq!(line.field("turned_away"), "1");
    assert_eq!(turned_away("one").as_deref(), Some("2"));
    assert_eq!(turned_away("two").as_deref(), Some("0"));
    broker.reload(&config(4));
    let mut late = Client::enter(one, Version::V5, "late");
    late.ping();
    drop(inside);
}
