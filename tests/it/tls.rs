//! TLS: who gets in and under which name, what is refused and why, and certificates that are replaced while all goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{SerialNumber, date_time_ymd};
use tempfile::TempDir;
use wasmqtt_codec::{Connect, Version, Will};

use crate::harness::broker::Line;
use crate::harness::client::{bytes, connect_packet};
use crate::harness::config::{LOSSLESS, OPEN, open_listener};
use crate::harness::program::run;
use crate::harness::tls::{Authority, Dialler, Issued, Sealed, client};
use crate::harness::websocket::{BINARY, WebSocket};
use crate::harness::{Broker, Client, Outgoing, PATIENCE, root};

/// A broker with a listener `tls`, and one in the clear.
struct Setup {
    broker: Broker,
    authority: Authority,
}

const SERVER: &str =
    "protocol = \"tls\"\n[listener.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
const REQUIRED: &str = "client_certificate = \"required\"\nclient_ca = [\"ca.pem\"]\n";

fn listeners(keys: &str) -> String {
    format!("{}{keys}\n{OPEN}{LOSSLESS}", open_listener("tls", SERVER))
}

impl Setup {
    /// With further keys of `[listener.tls]`, and files that `prepare` writes.
    fn start_with(keys: &str, more: &str, prepare: impl FnOnce(&Path, &Authority)) -> Self {
        let authority = Authority::new("ours");
        let dir = TempDir::new().unwrap();
        authority.server("first.example.org").write(dir.path(), "server");
        std::fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
        prepare(dir.path(), &authority);
        let broker = Broker::start_in(dir, &format!("{}{more}", listeners(keys)));
        Self { broker, authority }
    }

    fn start(keys: &str) -> Self {
        Self::start_with(keys, "", |_, _| {})
    }

    fn addr(&self) -> std::net::SocketAddr {
        self.broker.addr_of("tls")
    }

    fn dialler(&self, shows: Option<&Issued>) -> Dialler {
        Dialler::new(&self.authority, shows)
    }

    /// Connects and must be let in.
    fn enter(&self, dialler: &Dialler, id: &str) -> Sealed {
        let (mut sealed, answer) = dialler.exchange(self.addr(), &hello(id), 4).unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
        sealed.read_exact(&mut vec![0; usize::from(answer[1]) - 2]).unwrap();
        sealed
    }

    /// Connects and must not get as far as CONNECT; answers the reason in the log.
    fn refused(&self, dialler: &Dialler) -> String {
        let mark = self.broker.mark();
        let answer = dialler.exchange(self.addr(), &hello("intruder"), 4);
        assert!(answer.is_err(), "{:02x?}", answer.map(|(_, answer)| answer));
        let line = self.broker.wait_for(mark, "connection refused");
        assert_eq!(line.field("listener"), "tls");
        let lines = self.broker.lines(mark);
        assert!(!lines.iter().any(|line| line.field("client_id") == "intruder"), "{lines:?}");
        line.field("reason")
    }

    /// Whether others are served as if nothing were.
    fn serves_others(&self) {
        Client::enter(self.broker.addr_of("mqtt"), Version::V5, "other").disconnect();
        self.enter(&self.dialler(None), "another");
    }
}

fn hello(id: &str) -> Vec<u8> {
    bytes(Version::V5, &[connect_packet(&Connect::new(Version::V5, id))])
}

fn connected(line: &Line) -> bool {
    line.message() == "client connected"
}

fn raw(setup: &Setup) -> TcpStream {
    let stream = TcpStream::connect(setup.addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the broker closes.
fn rest(mut stream: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // An alert may be followed by a reset.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn both_versions_of_tls_carry_mqtt_and_a_listener_may_want_one() {
    let setup = Setup::start("");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let dialler = Dialler::speaking(&setup.authority, None, &[version]);
        let mut sealed = setup.enter(&dialler, "c");
        sealed.write_all(&[0xC0, 0]).unwrap();
        let mut pong = [0; 2];
        sealed.read_exact(&mut pong).unwrap();
        assert_eq!((pong, sealed.conn.protocol_version()), ([0xD0, 0], Some(version.version)));
    }
    let newest = Setup::start("versions = [\"1.3\"]");
    let old = Dialler::speaking(&newest.authority, None, &[&rustls::version::TLS12]);
    let told = newest.refused(&old);
    assert!(told.contains("incompatible"), "{told}");
    newest.enter(&newest.dialler(None), "c");
}

#[test]
fn secure_websockets_are_both_together() {
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    let broker =
        Broker::start_in(dir, &open_listener("wss", &SERVER.replace("\"tls\"", "\"wss\"")));
    let mut dialler = Dialler::new(&authority, None);
    dialler.config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let sealed = dialler.dial(broker.addr()).unwrap();
    assert_eq!(sealed.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    let mut socket = WebSocket::open(sealed, "mqtt");
    socket.send(BINARY, &hello("c"));
    let (_, answer) = socket.receive().unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
}

#[test]
fn t1_mqtt_in_the_clear_is_answered_with_an_alert() {
    let setup = Setup::start("");
    let mark = setup.broker.mark();
    let mut stream = raw(&setup);
    stream.write_all(&hello("plain")).unwrap();
    let answer = rest(stream);
    assert!(answer.is_empty() || answer[0] == 0x15, "{answer:02x?}");
    let line = setup.broker.wait_for(mark, "connection refused");
    assert!(line.field("reason").contains("not TLS"), "{}", line.text());
    setup.serves_others();
}

#[test]
fn t2_who_shakes_no_hands_is_cut_off_and_nobody_waits_for_it() {
    let setup = Setup::start_with("", "connect_timeout = \"10s\"\n", |_, _| {});
    // A handshake that begins, as far as the client's first word.
    let silent: Vec<TcpStream> = (0..1000)
        .map(|number| {
            let mut stream = raw(&setup);
            if number % 2 == 0 {
                stream.write_all(&[0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]).unwrap();
            }
            stream
        })
        .collect();
    setup.serves_others();
    for stream in silent {
        rest(stream);
    }
    setup.serves_others();
}

#[test]
fn t3_a_handshake_byte_by_byte_has_no_more_time_than_another() {
    let setup = Setup::start_with("", "connect_timeout = \"1s\"\n", |_, _| {});
    let start = Instant::now();
    let mut stream = raw(&setup);
    let record = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[0; 500]].concat();
    for byte in &record {
        if stream.write_all(&[*byte]).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        assert!(start.elapsed() < PATIENCE, "it was never cut off");
    }
    assert!(start.elapsed() >= Duration::from_millis(990));
    setup.serves_others();
}

#[test]
fn t4_versions_before_1_2_are_answered_with_an_alert() {
    let setup = Setup::start("");
    for minor in [1, 2] {
        let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
        let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
        let mut stream = raw(&setup);
        let head = [0x16, 3, 1, 0, handshake.len() as u8];
        stream.write_all(&[&head[..], &handshake].concat()).unwrap();
        // A fatal alert: protocol_version, or that nothing is in common.
        let answer = rest(stream);
        assert!(answer[0] == 0x15 && matches!(answer[5..], [2, 70 | 40]), "{minor}: {answer:02x?}");
    }
}

#[test]
fn t5_renegotiation_is_refused() {
    let setup = Setup::start("");
    let script = root().join("tests/it/clients/tls_renegotiate.mjs");
    let ended = run(std::process::Command::new("node")
        .arg(script)
        .arg(setup.addr().port().to_string())
        .arg(setup.broker.dir().join("ca.pem"))
        .arg("1000"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.stdout.contains("refused") && !ended.stdout.contains("renegotiated"),
        "{ended:?}"
    );
    setup.serves_others();
}

#[test]
fn t6_certificates_that_do_not_hold_are_refused_and_the_log_says_why() {
    let keys = format!("{REQUIRED}client_crl = [\"revoked.pem\"]");
    let setup = Setup::start_with(&keys, "", |dir, authority| {
        std::fs::write(dir.join("revoked.pem"), authority.revoke(&[4711])).unwrap();
    });
    let issue = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = client("device");
        change(&mut params);
        setup.authority.issue(params)
    };
    let foreign = Authority::new("theirs").client("device");
    let expired = issue(&|params| {
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(2001, 1, 1);
    });
    let early = issue(&|params| params.not_before = date_time_ymd(3000, 1, 1));
    let revoked = issue(&|params| params.serial_number = Some(SerialNumber::from(4711)));
    let server = setup.authority.server("x");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let dialler =
            |shows: Option<&Issued>| Dialler::speaking(&setup.authority, shows, &[version]);
        for (shows, reason) in [
            (None, "shows no certificate"),
            (Some(&foreign), "is from nobody in client_ca"),
            (Some(&expired), "has expired"),
            (Some(&early), "is not valid yet"),
            (Some(&revoked), "has been revoked"),
            (Some(&server), "is not for clients"),
        ] {
            let told = setup.refused(&dialler(shows));
            assert!(told.contains(reason), "{reason}: {told}");
        }
        setup.enter(&dialler(Some(&setup.authority.client("device"))), "device");
    }
}

#[test]
fn t7_a_common_name_that_is_no_text_is_not_a_user_name() {
    let setup = Setup::start(&format!("{REQUIRED}client_name = [\"cn\"]"));
    let junk = setup.authority.client("admin\0.example.org");
    let told = setup.refused(&setup.dialler(Some(&junk)));
    assert!(told.contains("not a text"), "{told}");
    setup.enter(&setup.dialler(Some(&setup.authority.client("admin"))), "admin");
}

#[test]
fn t8_an_endless_chain_is_refused() {
    let setup = Setup::start(REQUIRED);
    let mut shown = setup.authority.client("device");
    let more = setup.authority.server("x").certificate;
    shown.certificate.push_str(&more.repeat(250));
    assert!(shown.certificate.len() > 100_000);
    let told = setup.refused(&setup.dialler(Some(&shown)));
    assert!(!told.is_empty());
    setup.enter(&setup.dialler(Some(&setup.authority.client("device"))), "device");
}

#[test]
fn t9_a_name_that_the_server_does_not_have_gets_what_the_listener_says() {
    let sni = "sni = [{ certificate = \"second.pem\", key = \"second.key\" }]\n";
    let second = |dir: &Path, authority: &Authority| {
        authority.server("second.example.org").write(dir, "second");
    };
    let setup = Setup::start_with(sni, "", second);
    let shown = |setup: &Setup, name| {
        let dialler = Dialler { name, ..setup.dialler(None) };
        let sealed = dialler.dial(setup.addr());
        sealed.map(|sealed| sealed.conn.peer_certificates().unwrap()[0].clone())
    };
    let file = |setup: &Setup, name: &str| {
        let pem = std::fs::read_to_string(setup.broker.dir().join(name)).unwrap();
        Issued { certificate: pem, key: String::new() }.der()
    };
    assert_eq!(shown(&setup, "second.example.org").unwrap(), file(&setup, "second.pem"));
    // An address is not sent as a name.
    for name in ["first.example.org", "localhost", "127.0.0.1"] {
        assert_eq!(shown(&setup, name).unwrap(), file(&setup, "server.pem"), "{name}");
    }
    let strict = Setup::start_with(&format!("{sni}unknown_server_name = \"refuse\""), "", second);
    assert_eq!(shown(&strict, "second.example.org").unwrap(), file(&strict, "second.pem"));
    for name in ["elsewhere.example.org", "127.0.0.1"] {
        assert!(shown(&strict, name).is_err(), "{name}");
    }
}

#[test]
fn t10_a_client_that_wants_to_speak_something_else_is_told_so_unless_nobody_is_asked() {
    let setup = Setup::start("");
    let asking = |setup: &Setup, name: &str| {
        let mut dialler = setup.dialler(None);
        dialler.config.alpn_protocols = vec![name.as_bytes().to_vec()];
        dialler
    };
    let sealed = setup.enter(&asking(&setup, "mqtt"), "c");
    assert_eq!(sealed.conn.alpn_protocol(), Some(&b"mqtt"[..]));
    let told = setup.refused(&asking(&setup, "h2"));
    assert!(told.contains("alpn"), "{told}");
    let error = asking(&setup, "h2").dial(setup.addr()).err().unwrap().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    let indifferent = Setup::start("alpn = []");
    indifferent.enter(&asking(&indifferent, "h2"), "c");
}

/// Publishes on a sealed connection with QoS 1, and waits for the acknowledgement.
fn publish(sealed: &mut Sealed, number: u16) {
    let payload = number.to_be_bytes();
    let packet =
        [&[0x32, 8, 0, 1, b't'][..], &(number % 60_000 + 1).to_be_bytes(), &[0], &payload].concat();
    sealed.write_all(&packet).unwrap();
    let mut head = [0; 2];
    sealed.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 0x40, "{head:02x?}");
    let mut body = vec![0; head[1].into()];
    sealed.read_exact(&mut body).unwrap();
}

#[test]
fn t11_certificates_are_replaced_under_load_and_a_broken_one_changes_nothing() {
    let setup = Setup::start("");
    let mut sub = Client::enter(setup.broker.addr_of("mqtt"), Version::V5, "sub")
        .subscribed("t", wasmqtt_codec::QoS::AtLeastOnce);
    let mut sealed = setup.enter(&setup.dialler(None), "before");
    let shown = || {
        let sealed = setup.dialler(None).dial(setup.addr()).unwrap();
        sealed.conn.peer_certificates().unwrap()[0].clone()
    };
    let mut sent = 0;
    let mut load = |sealed: &mut Sealed, count: u16| {
        for _ in 0..count {
            publish(sealed, sent);
            sent += 1;
        }
    };
    load(&mut sealed, 20);
    // Replaced as certbot does it: the key first, then the certificate; in between they do not fit.
    let new = setup.authority.server("new.example.org");
    let mark = setup.broker.mark();
    setup.broker.replace("server.key", new.key.as_bytes());
    load(&mut sealed, 20);
    setup.broker.replace("server.pem", new.certificate.as_bytes());
    let line = setup.broker.wait_for(mark, "reload applied");
    assert_eq!(line.field("changed"), "listener.tls.tls");
    assert_eq!(shown(), new.der());
    load(&mut sealed, 20);
    // Broken, and SIGHUP insists.
    let mark = setup.broker.mark();
    setup.broker.replace("server.pem", b"-----BEGIN CERTIFICATE-----\nhalf a fi");
    let line = setup.broker.wait_for(mark, "reload refused");
    assert!(
        line.message().contains("server.pem` cannot be used: it is cut off"),
        "{}",
        line.text()
    );
    let mark = setup.broker.mark();
    setup.broker.hang_up();
    setup.broker.wait_for(mark, "reload refused");
    assert_eq!(shown(), new.der());
    load(&mut sealed, 20);
    for number in 0..80u16 {
        assert_eq!(sub.message().payload, number.to_be_bytes());
    }
}

#[test]
fn t12_a_stream_that_just_ends_leaves_no_half_message_and_its_will_is_sent() {
    let setup = Setup::start("");
    let mut sub = Client::enter(setup.broker.addr_of("mqtt"), Version::V5, "sub")
        .subscribed("#", wasmqtt_codec::QoS::AtLeastOnce);
    let mut connect = Connect::new(Version::V5, "cut");
    connect.will = Some(Will {
        qos: wasmqtt_codec::QoS::AtMostOnce,
        retain: false,
        topic: "will",
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties: Default::default(),
    });
    let hello = bytes(Version::V5, &[connect_packet(&connect)]);
    let (mut sealed, _) = setup.dialler(None).exchange(setup.addr(), &hello, 4).unwrap();
    let whole = [0x30, 8, 0, 1, b't', 0, b'h', b'a', b'l', b'f'];
    sealed.write_all(&whole[..7]).unwrap();
    // Without close_notify.
    sealed.sock.shutdown(std::net::Shutdown::Both).unwrap();
    assert_eq!(sub.message().parts(), ("will", "gone"));
}

#[test]
fn t13_there_is_no_early_data() {
    let setup = Setup::start("");
    let mut dialler = setup.dialler(None);
    dialler.config.enable_early_data = true;
    let config = Arc::new(dialler.config.clone());
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let stream = raw(&setup);
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut session = rustls::ClientConnection::new(Arc::clone(&config), name).unwrap();
        // The ticket of the connection before would have to allow it.
        assert!(session.early_data().is_none());
        let mut sealed = rustls::StreamOwned::new(session, stream);
        sealed.write_all(&hello("c")).unwrap();
        let mut answer = [0; 4];
        sealed.read_exact(&mut answer).unwrap();
        assert_eq!((answer[0], answer[3]), (0x20, 0));
        kinds.push(sealed.conn.handshake_kind());
    }
    // Or else it would not have been refused, but never asked for.
    assert_eq!(kinds.last(), Some(&Some(rustls::HandshakeKind::Resumed)), "{kinds:?}");
}

#[test]
fn t14_a_flood_of_new_keys_ends_the_connection() {
    let setup = Setup::start("");
    let dialler = Dialler::speaking(&setup.authority, None, &[&rustls::version::TLS13]);
    let mut sealed = setup.enter(&dialler, "restless");
    let mark = setup.broker.mark();
    let mut ended = false;
    for _ in 0..1000 {
        let refreshed = sealed.conn.refresh_traffic_keys().is_ok();
        if !refreshed || sealed.conn.write_tls(&mut sealed.sock).is_err() {
            ended = true;
            break;
        }
    }
    if !ended {
        rest(&mut sealed);
    }
    let line = setup.broker.wait_for(mark, "connection lost");
    assert!(line.field("error").contains("TooManyKeyUpdateRequests"), "{}", line.text());
    setup.serves_others();
}

#[test]
fn t15_records_of_one_byte_are_as_good_as_any() {
    let setup = Setup::start("");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let dialler = Dialler::speaking(&setup.authority, None, &[version]);
        let mut sealed = dialler.dial(setup.addr()).unwrap();
        for byte in [&hello("slow")[..], &[0xC0, 0]].concat() {
            sealed.write_all(&[byte]).unwrap();
            sealed.flush().unwrap();
        }
        let mut head = [0; 2];
        sealed.read_exact(&mut head).unwrap();
        assert_eq!(head[0], 0x20);
        let mut more = vec![0; usize::from(head[1]) + 2];
        sealed.read_exact(&mut more).unwrap();
        assert_eq!(more[more.len() - 2..], [0xD0, 0]);
    }
}

#[test]
fn the_name_in_the_certificate_is_the_name_of_the_client_whatever_it_says_itself() {
    let keys = format!("{REQUIRED}client_name = [\"san-dns\", \"cn\"]");
    let closed = |text: String| text.replacen("anonymous = true", "anonymous = false", 1);
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    std::fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
    let setup = Setup { broker: Broker::start_in(dir, &closed(listeners(&keys))), authority };
    let dialler = setup.dialler(Some(&setup.authority.client("device-1")));
    let mut connect = Connect::new(Version::V5, "c");
    connect.username = Some("somebody else");
    let mark = setup.broker.mark();
    let hello = bytes(Version::V5, &[connect_packet(&connect)]);
    let (_, answer) = dialler.exchange(setup.addr(), &hello, 4).unwrap();
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02x?}");
    let line = setup.broker.wait_until(mark, connected, "the client");
    assert_eq!(line.field("username"), "device-1");
}

#[test]
fn an_optional_certificate_gives_a_name_to_those_who_have_one() {
    let keys = REQUIRED.replace("required", "optional");
    let setup = Setup::start(&format!("{keys}client_name = [\"cn\"]"));
    for (shows, name) in [(None, ""), (Some(setup.authority.client("device-1")), "device-1")] {
        let mark = setup.broker.mark();
        setup.enter(&setup.dialler(shows.as_ref()), "c");
        let line = setup.broker.wait_until(mark, connected, "the client");
        assert_eq!(line.field("username"), name);
    }
    let foreign = Authority::new("theirs").client("device-1");
    assert!(setup.refused(&setup.dialler(Some(&foreign))).contains("nobody in client_ca"));
}

#[test]
fn a_large_message_waits_for_a_slow_reader_and_arrives_whole() {
    let setup = Setup::start_with("", "max_packet_size = \"8MiB\"\n", |_, _| {});
    let mut sealed = setup.enter(&setup.dialler(None), "slow");
    sealed.write_all(&[0x82, 7, 0, 1, 0, 0, 1, b't', 0]).unwrap();
    let mut publisher = Client::enter(setup.broker.addr_of("mqtt"), Version::V5, "pub");
    let payload: Vec<u8> = (0..6_000_000u32).map(|at| (at % 251) as u8).collect();
    while publisher.publish(&Outgoing::new("t", payload.clone())) != 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    // More than both sockets hold waits in the broker, sealed and unsealed.
    std::thread::sleep(Duration::from_millis(300));
    let mut came = Vec::new();
    let mut chunk = [0; 1 << 14];
    // SUBACK, and what stands before the payload.
    while came.len() < 6 + 9 + payload.len() {
        let len = sealed.read(&mut chunk).unwrap();
        assert!(len > 0, "the connection was closed");
        came.extend_from_slice(&chunk[..len]);
    }
    assert!(came.ends_with(&payload));
}
