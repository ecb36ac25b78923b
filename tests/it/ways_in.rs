//! Unix sockets, and proxies that say for whom they speak.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};

use tempfile::TempDir;
use wasmqtt_codec::{Connect, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::{OPEN, open_listener};
use crate::harness::tls::{Authority, Dialler};
use crate::harness::{Broker, Client, PATIENCE};

/// Behind the signature and the head: from 192.0.2.9:7 to somewhere.
const V2: [u8; 12] = [192, 0, 2, 9, 127, 0, 0, 1, 0, 7, 0x07, 0x5b];

fn hello(id: &str) -> Vec<u8> {
    bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, id))])
}

fn v2(body: &[u8]) -> Vec<u8> {
    let head = [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[0x21, 0x11]].concat();
    [&head[..], &u16::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
}

/// What a proxy says of a client whose certificate it has verified.
fn v2_with_name(name: &str) -> Vec<u8> {
    let tlv = |kind: u8, value: &[u8]| {
        [&[kind][..], &u16::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    };
    let ssl = [&[0x03, 0, 0, 0, 0][..], &tlv(0x22, name.as_bytes())].concat();
    v2(&[&V2[..], &tlv(0x20, &ssl)].concat())
}

fn listener(keys: &str) -> String {
    open_listener("proxied", keys)
}

fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads what comes until the connection ends.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut came = Vec::new();
    // What was not read resets the connection.
    let _ = stream.read_to_end(&mut came);
    came
}

fn is_accepted(mut stream: impl Read) {
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
}

const TRUSTED: &str = "proxy_protocol = \"address\"\ntrusted_proxies = [\"127.0.0.0/8\"]";

#[test]
fn a_trusted_proxy_says_whose_the_connection_is_in_both_versions() {
    let broker = Broker::start(&listener(TRUSTED));
    for (header, peer) in [
        (b"PROXY TCP4 198.51.100.7 127.0.0.1 56250 1883\r\n".to_vec(), "198.51.100.7:56250"),
        (b"PROXY TCP6 2001:db8::7 ::1 56250 1883\r\n".to_vec(), "[2001:db8::7]:56250"),
        (v2(&V2), "192.0.2.9:7"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1:"),
        (v2_with_name("device-1"), "192.0.2.9:7"),
    ] {
        let mark = broker.mark();
        let mut stream = connect(&broker);
        stream.write_all(&[&header[..], &hello("c")].concat()).unwrap();
        is_accepted(&stream);
        let line = broker.wait_for(mark, "client connected");
        assert!(line.field("peer").starts_with(peer), "{}", line.text());
        // Who it is, it says itself, unless the listener says otherwise.
        assert_eq!(line.field("username"), "");
    }
}

#[test]
fn the_name_that_a_proxy_has_verified_is_the_name_of_the_client_where_the_listener_says_so() {
    let keys = TRUSTED.replace("address", "name");
    let config = listener(&keys).replace("anonymous = true", "anonymous = false");
    let broker = Broker::start(&config);
    let mark = broker.mark();
    let mut stream = connect(&broker);
    stream.write_all(&[v2_with_name("device-1"), hello("c")].concat()).unwrap();
    is_accepted(&stream);
    assert_eq!(broker.wait_for(mark, "client connected").field("username"), "device-1");
    // Without a certificate nobody vouches for it.
    let mut stream = connect(&broker);
    stream.write_all(&[v2(&V2), hello("d")].concat()).unwrap();
    let answer = rest(&stream);
    assert_eq!((answer[0], answer[3]), (0x20, 0x87), "{answer:02x?}");
}

#[test]
fn k5_what_is_no_header_from_a_trusted_proxy_ends_the_connection() {
    let limits = "[limits]\nconnect_timeout = \"1s\"\n";
    let broker = Broker::start(&format!("{}{limits}", listener(TRUSTED)));
    let lying = [&v2(&V2)[..14], &[0xff, 0xff]].concat();
    let bomb = v2(&[&V2[..], &[4, 0xff, 0xff]].concat());
    for (sent, reason) in [
        (hello("c"), "there is no PROXY header"),
        (b"PROXY TCP4 198.51.100.7 nowhere 1 2\r\n".to_vec(), "not as it must be"),
        (vec![b'P'; 200], "there is no PROXY header"),
        ([&b"PROXY UNKNOWN "[..], &[b'x'; 200]].concat(), "too long"),
        (lying, "too long"),
        (bomb, "cut off"),
    ] {
        let mark = broker.mark();
        let mut stream = connect(&broker);
        stream.write_all(&sent).unwrap();
        assert!(rest(&stream).is_empty());
        let line = broker.wait_for(mark, "connection refused");
        assert!(line.field("reason").contains(reason), "{}", line.text());
    }
    // One that is never complete has the time of any handshake.
    for sent in [&b"PROXY TCP4 198"[..], &v2(&V2)[..20]] {
        let mark = broker.mark();
        let mut stream = connect(&broker);
        stream.write_all(sent).unwrap();
        assert!(rest(&stream).is_empty());
        broker.wait_for(mark, "no CONNECT in time");
    }
}

#[test]
fn a_header_from_anybody_else_is_refused_and_who_comes_without_one_is_served() {
    let broker = Broker::start(&listener(&TRUSTED.replace("127.0.0.0/8", "10.0.0.0/8")));
    for header in [b"PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n".to_vec(), v2(&V2)] {
        let mark = broker.mark();
        let mut stream = connect(&broker);
        stream.write_all(&[&header[..], &hello("liar")].concat()).unwrap();
        assert!(rest(&stream).is_empty());
        let line = broker.wait_for(mark, "connection refused");
        assert!(line.field("reason").contains("not in trusted_proxies"), "{}", line.text());
        assert!(line.field("peer").starts_with("127.0.0.1:"), "{}", line.text());
    }
    Client::enter(broker.addr(), Version::V5, "direct").disconnect();
    // Where nobody speaks it, it is no packet.
    let plain = Broker::start(OPEN);
    let mut stream = connect(&plain);
    stream.write_all(b"PROXY UNKNOWN\r\n").unwrap();
    assert!(rest(&stream).is_empty());
}

#[test]
fn the_header_comes_before_tls() {
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    let tls = format!(
        "protocol = \"tls\"\n{TRUSTED}\ntls = {{ certificate = \"server.pem\", key = \"server.key\" }}"
    );
    let broker = Broker::start_in(dir, &listener(&tls));
    let mark = broker.mark();
    let mut stream = connect(&broker);
    stream.write_all(b"PROXY TCP4 198.51.100.7 127.0.0.1 1 8883\r\n").unwrap();
    let dialler = Dialler::new(&authority, None);
    let mut sealed = dialler.dial_on(stream).unwrap();
    sealed.write_all(&hello("c")).unwrap();
    is_accepted(&mut sealed);
    assert_eq!(broker.wait_for(mark, "client connected").field("peer"), "198.51.100.7:1");
}

/// A listener with TLS behind a proxy, with further keys, and an authority that clients may show certificates of.
fn sealed_behind_a_proxy(keys: &str, tls: &str, more: &str) -> (Broker, Authority) {
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    std::fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
    let tls = format!(
        "protocol = \"tls\"\n{keys}\n[listener.tls]\ncertificate = \"server.pem\"\n\
         key = \"server.key\"\n{tls}"
    );
    (Broker::start_in(dir, &format!("{}{more}", listener(&tls))), authority)
}

#[test]
fn an_address_takes_its_place_as_soon_as_the_proxy_has_named_it_and_before_hands_are_shaken() {
    let limits = "[limits]\nmax_connections_per_address = 1\nconnect_timeout = \"5m\"\n";
    let (broker, authority) = sealed_behind_a_proxy(TRUSTED, "", limits);
    let header = |address| format!("PROXY TCP4 {address} 127.0.0.1 1 8883\r\n");
    let mut silent = connect(&broker);
    silent.write_all(header("198.51.100.7").as_bytes()).unwrap();
    // It may not have been read yet: who comes second is refused, whoever that is.
    let mut other = connect(&broker);
    other.write_all(header("198.51.100.7").as_bytes()).unwrap();
    let line = broker.wait_for(crate::harness::broker::Mark::START, "connection refused");
    assert_eq!(line.field("reason"), "max_connections_per_address reached");
    assert!(line.field("peer").starts_with("198.51.100.7:"), "{}", line.text());
    let mut stream = connect(&broker);
    stream.write_all(header("198.51.100.8").as_bytes()).unwrap();
    let mut sealed = Dialler::new(&authority, None).dial_on(stream).unwrap();
    sealed.write_all(&hello("c")).unwrap();
    is_accepted(&mut sealed);
    drop((silent, other));
}

#[test]
fn the_name_that_a_proxy_gives_stays_where_the_listener_takes_none_from_certificates() {
    let keys = TRUSTED.replace("address", "name");
    for (source, name) in [("", "device-1"), ("client_name = [\"cn\"]\n", "own")] {
        let tls = format!("client_certificate = \"optional\"\nclient_ca = [\"ca.pem\"]\n{source}");
        let (broker, authority) = sealed_behind_a_proxy(&keys, &tls, "");
        let mut stream = connect(&broker);
        stream.write_all(&v2_with_name("device-1")).unwrap();
        let shown = authority.client("own");
        let mut sealed = Dialler::new(&authority, Some(&shown)).dial_on(stream).unwrap();
        let mark = broker.mark();
        sealed.write_all(&hello("c")).unwrap();
        is_accepted(&mut sealed);
        assert_eq!(broker.wait_for(mark, "client connected").field("username"), name);
    }
}

#[test]
fn who_leaves_without_a_byte_is_no_client_that_was_refused() {
    let log = "[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    let (broker, _) = sealed_behind_a_proxy("", "", log);
    let (proxied, _) = sealed_behind_a_proxy(TRUSTED, "", log);
    for broker in [&broker, &proxied] {
        for header in [&b""[..], b"PROXY UNKNOWN\r\n"] {
            let is_proxied = std::ptr::eq(broker, &proxied);
            if !is_proxied && !header.is_empty() {
                continue;
            }
            let mark = broker.mark();
            let mut stream = connect(broker);
            stream.write_all(header).unwrap();
            drop(stream);
            broker.wait_for(mark, "gone before CONNECT was answered");
        }
        let refused = |line: &crate::harness::broker::Line| line.holds("refused");
        let lines = broker.lines(crate::harness::broker::Mark::START);
        assert!(!lines.iter().any(refused), "{lines:?}");
    }
}

fn unix(dir: &TempDir, keys: &str) -> String {
    let path = dir.path().join("mqtt.sock");
    let listener = open_listener("unix", &format!("protocol = \"unix\"\n{keys}"));
    listener.replace("127.0.0.1:0", &path.display().to_string())
}

#[test]
fn a_unix_socket_has_its_permissions_says_who_connects_and_goes_with_the_broker() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mqtt.sock");
    // One that a crash has left is in nobody's way.
    drop(UnixListener::bind(&path).unwrap());
    let mut broker = Broker::start(&unix(&dir, "socket_mode = 0o600"));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mark = broker.mark();
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&hello("c")).unwrap();
    is_accepted(&stream);
    let line = broker.wait_for(mark, "client connected");
    assert!(line.field("peer").starts_with("unix:uid="), "{}", line.text());
    stream.write_all(&[0xE0, 0]).unwrap();
    rest(&stream);
    broker.terminate();
    broker.ends_at_once();
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_takes_nobodys_place() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mqtt.sock");
    std::fs::write(&path, "precious").unwrap();
    let told = refuse_to_start(&unix(&dir, ""));
    assert!(told.contains("cannot listen on") && told.contains("another file"), "{told}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    let told = refuse_to_start(&unix(&dir, ""));
    assert!(told.contains("cannot listen on"), "{told}");
    drop(other);
    let beyond = refuse_to_start(&unix(&dir, "").replace("mqtt.sock", "no/such/mqtt.sock"));
    assert!(beyond.contains("no/such/mqtt.sock"), "{beyond}");
}
