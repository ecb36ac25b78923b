//! Listeners come, go and move with a reload, while a stream through another one goes on and loses nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use wasmqtt_codec::{Connect, MessageProperties, QoS, Version, Will};

use crate::harness::broker::Mark;
use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::{LOSSLESS, hostile, open_listener, replaced};
use crate::harness::stream::{Audit, Publisher};
use crate::harness::websocket::WebSocket;
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// The listener that stays, and whatever else there is.
fn with(others: &str) -> String {
    format!("{}{others}{LOSSLESS}", open_listener("stays", ""))
}

/// An open listener there.
fn at(name: &str, bind: &str, more: &str) -> String {
    replaced(&open_listener(name, more), "127.0.0.1:0", bind)
}

/// A stream of messages through the listener that stays.
struct Stream {
    publisher: Publisher,
    reader: Client,
    audit: Audit,
}

impl Stream {
    fn start(broker: &Broker) -> Self {
        let reader = Client::enter(broker.addr(), Version::V5, "reader");
        let reader = reader.subscribed("stream", QoS::AtLeastOnce);
        let publisher = Client::enter(broker.addr(), Version::V5, "publisher");
        let audit = Audit::default();
        let publisher =
            Publisher::start(publisher, "publisher", "stream", None, u64::MAX, audit.lead());
        Self { publisher, reader, audit }
    }

    /// Reads some more of it.
    fn goes_on(&mut self) {
        for _ in 0..200 {
            let message = self.reader.message();
            self.audit.take(&message);
        }
    }

    fn has_lost_nothing(mut self) {
        self.goes_on();
        let (mut publisher, sent) = self.publisher.stop();
        while self.audit.total() < sent {
            let message = self.reader.message();
            self.audit.take(&message);
        }
        publisher.ping();
        self.reader.ping();
    }
}

/// Where a listener has been opened since.
fn opened(broker: &Broker, since: Mark, name: &str) -> SocketAddr {
    let is_it = |line: &crate::harness::broker::Line| {
        line.message() == "listening" && line.field("listener") == name
    };
    broker.wait_until(since, is_it, name).field("addr").parse().unwrap()
}

fn is_closed(address: SocketAddr) {
    let error = TcpStream::connect(address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

fn is_over(mut stream: TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert_eq!(rest, b""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn a_listener_that_is_new_is_opened_and_nobody_else_notices() {
    let broker = Broker::start(&with(""));
    let mut stream = Stream::start(&broker);
    stream.goes_on();
    let mark = broker.mark();
    let line = broker.reload(&with(&at("new", "127.0.0.1:0", "")));
    assert_eq!(line.field("changed"), "listener.new");
    stream.goes_on();
    let address = opened(&broker, mark, "new");
    let mut client = Client::enter(address, Version::V5, "c").subscribed("a", QoS::AtLeastOnce);
    let mut early = Client::enter(broker.addr(), Version::V311, "early");
    early.publish(&Outgoing::new("a", "1"));
    assert_eq!(client.message().text(), "1");
    client.publish(&Outgoing::new("a", "2"));
    assert_eq!(client.message().text(), "2");
    stream.has_lost_nothing();
}

#[test]
fn a_listener_that_is_gone_is_closed_and_its_clients_are_told_so() {
    let broker = Broker::start(&with(&at("gone", "127.0.0.1:0", "")));
    let mut stream = Stream::start(&broker);
    let address = broker.addr_of("gone");
    let half_open = TcpStream::connect(address).unwrap();
    let mut connect = Connect::new(Version::V5, "c");
    connect.properties.session_expiry_interval = Some(1000);
    connect.clean_start = false;
    connect.will = Some(Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "will",
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties: MessageProperties::EMPTY,
    });
    let (mut client, _) = Client::connect(address, &connect);
    let older = Client::enter(address, Version::V311, "older");
    client.subscribe("a", QoS::AtLeastOnce);
    let mut heir =
        Client::enter(broker.addr(), Version::V5, "heir").subscribed("will", QoS::AtLeastOnce);

    let mark = broker.mark();
    broker.reload(&with(""));
    assert_eq!(client.end(), Some(0x98));
    let mut older = older;
    assert_eq!(older.end(), None);
    is_over(half_open);
    is_closed(address);
    assert_eq!(heir.message().parts(), ("will", "gone"));
    let line = broker.wait_for(mark, "no longer listening");
    assert_eq!((line.field("listener"), line.field("clients")), ("gone".into(), "2".into()));
    stream.goes_on();

    // The session is where it was, for whoever comes by another way.
    heir.publish(&Outgoing::new("a", "kept"));
    connect.will = None;
    let (mut client, answer) = Client::connect(broker.addr(), &connect);
    assert!(answer.session_present);
    assert_eq!(client.message().text(), "kept");

    // And it may come back.
    let mark = broker.mark();
    broker.reload(&with(&at("gone", "127.0.0.1:0", "")));
    Client::enter(opened(&broker, mark, "gone"), Version::V5, "late").ping();
    stream.has_lost_nothing();
}

#[test]
fn a_listener_that_moves_is_closed_and_opened() {
    let broker = Broker::start(&with(&at("moves", "127.0.0.1:0", "")));
    let mut stream = Stream::start(&broker);
    let mut address = broker.addr_of("moves");
    let port = address.port();
    let here = format!("127.0.0.1:{port}");
    let mut is_plain = true;
    // To another address, back to the port, to more addresses of the same port and to fewer, to another protocol at the
    // same address, and to another name there.
    for (name, bind, keys) in [
        ("moves", "127.0.0.2:0", ""),
        ("moves", &*here, ""),
        ("moves", &*format!("0.0.0.0:{port}"), ""),
        ("moves", &*here, ""),
        ("moves", &*here, "protocol = \"ws\"\n"),
        ("renamed", &*here, ""),
    ] {
        let mut client = is_plain.then(|| Client::enter(address, Version::V5, "c"));
        let half_open = TcpStream::connect(address).unwrap();
        let (mark, before) = (broker.mark(), address);
        broker.reload(&with(&at(name, bind, keys)));
        if let Some(client) = &mut client {
            assert_eq!(client.end(), Some(0x98), "{name} {bind}");
        }
        is_over(half_open);
        address = opened(&broker, mark, name);
        if before.port() != address.port() {
            is_closed(before);
        }
        address.set_ip(
            if bind.starts_with("127.0.0.2") { [127, 0, 0, 2] } else { [127, 0, 0, 1] }.into(),
        );
        is_plain = !keys.contains("ws");
        if !is_plain {
            WebSocket::open(TcpStream::connect(address).unwrap(), "mqtt");
        } else {
            Client::enter(address, Version::V5, "late").ping();
        }
        stream.goes_on();
    }
    stream.has_lost_nothing();
}

#[test]
fn who_waits_at_the_old_door_is_not_let_in_by_the_rules_of_the_new_one() {
    let looping = hostile(
        "limits = { authenticate = \"20s\" }",
        "on = \"authenticate\"\ndo = \"loop\"\nwhen = \"slow\"\notherwise = \"abstain\"",
    );
    let closed = replaced(
        &at("door", "127.0.0.1:0", "authenticate = [\"hostile\"]"),
        "anonymous = true",
        "anonymous = false",
    );
    let broker = Broker::start(&format!("{}{looping}", with(&closed)));
    let address = broker.addr_of("door");
    let mut slow = TcpStream::connect(address).unwrap();
    let connect = Connect::new(Version::V5, "slow");
    slow.write_all(&bytes(Version::V5, &[connect_packet(&connect)])).unwrap();
    let fast = Client::connect(address, &Connect::new(Version::V5, "fast")).1;
    assert_eq!(fast.code, 0x87);
    broker.reload(&with(&at("door", "127.0.0.2:0", "")));
    is_over(slow);
    is_closed(address);
}

#[test]
fn one_that_cannot_be_opened_is_a_reason_to_change_nothing() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let before = with(&at("other", "127.0.0.1:0", ""));
    let admin = "[admin]\nbind = \"127.0.0.1:0\"\n";
    let broker = Broker::start(&format!("{before}{admin}"));
    let mut stream = Stream::start(&broker);
    let mut client = Client::enter(broker.addr_of("other"), Version::V5, "c");
    let new = at("fine", "127.0.0.1:0", "") + &at("taken", &taken, "");
    let after = format!("{}{admin}", with(&new));
    let line = 1 + after.lines().position(|line| line.contains(&taken)).unwrap();

    let mark = broker.mark();
    let message = broker.refuse_reload(&after).message();
    for part in [
        format!("cannot listen on {taken} (listener `taken`)"),
        format!("{}:{line}", broker.config_path().display()),
    ] {
        assert!(message.contains(&part), "{part:?} is not in {message}");
    }
    stream.goes_on();
    client.ping();
    Client::enter(broker.addr_of("other"), Version::V5, "late").ping();
    assert!(!broker.lines(mark).iter().any(|line| line.message() == "listening"));
    assert!(rehearse(&broker).contains(&format!("cannot listen on {taken}")));

    drop(holder);
    let said = rehearse(&broker);
    for part in [
        format!("listeners that are opened: fine (tcp 127.0.0.1:0), taken (tcp {taken})"),
        "listeners that are closed, and their clients disconnected: other (tcp 127.0.0.1:0)".into(),
    ] {
        assert!(said.contains(&part), "{part:?} is not in {said}");
    }
    client.ping();
    let mark = broker.mark();
    broker.hang_up();
    broker.wait_for(mark, "reload applied");
    assert_eq!(client.end(), Some(0x98));
    Client::enter(taken.parse().unwrap(), Version::V5, "late").ping();
    stream.has_lost_nothing();
}

/// What a reload would do, as an operator is told.
fn rehearse(broker: &Broker) -> String {
    let admin = broker.addr_of("[admin]").to_string();
    let words = ["reload", "--dry-run", "--admin", &admin];
    let mut command = std::process::Command::new(crate::harness::wasmqtt());
    crate::harness::program::run(command.args(words).current_dir(broker.dir())).stdout
}

#[test]
fn the_file_of_a_unix_socket_comes_and_goes_and_changes_its_permissions() {
    let unix = |path: &str, mode: &str| {
        let keys = format!("protocol = \"unix\"\nsocket_mode = {mode}");
        with(&at("local", path, &keys))
    };
    let broker = Broker::start(&with(""));
    let mode = |name: &str| {
        let found = std::fs::metadata(broker.dir().join(name)).ok()?;
        Some(found.permissions().mode() & 0o777)
    };
    broker.reload(&unix("a.sock", "0o600"));
    assert_eq!(mode("a.sock"), Some(0o600));
    let mut kept = UnixStream::connect(broker.dir().join("a.sock")).unwrap();
    kept.write_all(&bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, "c"))]))
        .unwrap();
    let mut head = [0; 4];
    kept.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[3]), (0x20, 0));
    broker.reload(&unix("a.sock", "0o666"));
    assert_eq!(mode("a.sock"), Some(0o666));
    broker.reload(&unix("b.sock", "0o660"));
    assert_eq!((mode("a.sock"), mode("b.sock")), (None, Some(0o660)));
    kept.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    kept.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&[0xe0, 1, 0x98]), "{rest:02x?}");

    // Somebody else's file is not replaced.
    std::fs::write(broker.dir().join("c.sock"), "precious").unwrap();
    let message = broker.refuse_reload(&unix("c.sock", "0o660")).message();
    assert!(message.contains("there is another file"), "{message}");
    assert_eq!(std::fs::read_to_string(broker.dir().join("c.sock")).unwrap(), "precious");
    assert_eq!(mode("b.sock"), Some(0o660));
    broker.reload(&with(""));
    assert_eq!(mode("b.sock"), None);
}
