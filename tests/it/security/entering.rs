//! Attacks on who is who.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use wasmqtt_codec::{Auth, Packet, QoS, ReasonCode, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::client::{bytes, connect_packet, login};
use crate::harness::config::{demo, plugin};
use crate::harness::scram::{METHOD, USER, first};
use crate::harness::web::{Reply, Web};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};
use crate::scram;

/// A listener behind a proxy, where a web service knows the password `secret`, and how often it was asked.
fn counted(limits: &str) -> (Broker, Web, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let web = Web::serve(move |request| {
        count.fetch_add(1, Ordering::SeqCst);
        match request.text().contains(r#""password":"c2VjcmV0""#) {
            true => Reply::json(r#"{"decision": "allow"}"#),
            false => Reply(400, Vec::new(), br#"{"decision": "deny"}"#.into()),
        }
    });
    let url = web.url();
    let keys = format!(
        "grants = {{ http = [\"{url}/\"] }}\nlimits = {{ call = \"1s\", authenticate = \"20s\" }}\n\
         [plugin.config]\nurl = \"{url}/login\"\n"
    );
    let listener = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\ndefault = \"allow\"\n\
                    authenticate = [\"http-auth\"]\nproxy_protocol = \"address\"\n\
                    trusted_proxies = [\"127.0.0.0/8\"]\n";
    let config =
        format!("{listener}[limits]\n{limits}\n{}", plugin("http-auth", "http_auth", &keys));
    (Broker::start(&config), web, asked)
}

/// Connects from an address, as the proxy says; answers CONNACK's code with the connection.
fn try_from(broker: &Broker, address: &str, name: &str, password: &str) -> (u8, TcpStream) {
    let mut stream = TcpStream::connect(broker.addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let family = if address.contains(':') { "TCP6" } else { "TCP4" };
    let own = if address.contains(':') { "::1" } else { "127.0.0.1" };
    let header = format!("PROXY {family} {address} {own} 1 2\r\n");
    let connect = bytes(Version::V5, &[connect_packet(&login(Version::V5, name, password))]);
    stream.write_all(&[header.as_bytes(), &connect].concat()).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], 0x20, "{answer:02x?}");
    (answer[3], stream)
}

#[test]
fn s2_an_address_that_guesses_is_banned_for_a_while_and_nobody_is_asked_about_it() {
    let limits = "failed_logins = { per_address = 4, within = \"1h\", ban = \"5s\" }";
    let (broker, _web, asked) = counted(limits);
    let code =
        |address: &str, name: &str, password: &str| try_from(&broker, address, name, password).0;
    let inside = try_from(&broker, "192.0.2.1", "inside", "secret");
    assert_eq!(inside.0, 0);
    let mark = broker.mark();
    for number in 0..5 {
        assert_eq!(code("192.0.2.1", &format!("user{number}"), "guess"), 0x87);
    }
    let line = broker.wait_for(mark, "too many failed logins from there");
    assert_eq!((line.level(), line.field("address")), ("WARN".into(), "192.0.2.1".into()));
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(before, 6);
    // The right password is of no use any more, and nobody learns that it is right.
    assert_eq!(code("192.0.2.1", "alice", "secret"), 0x8A);
    assert_eq!(code("192.0.2.1", "alice", "guess"), 0x8A);
    assert_eq!(asked.load(Ordering::SeqCst), before);
    // Others come in, and who is in stays.
    assert_eq!(code("192.0.2.2", "alice", "secret"), 0);
    let (_, mut inside) = inside;
    inside.write_all(&[0xC0, 0]).unwrap();
    let start = Instant::now();
    while code("192.0.2.1", "alice", "secret") != 0 {
        assert!(start.elapsed() < PATIENCE, "the ban does not end");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // A network of IPv6 is one address.
    for number in 0..5 {
        assert_eq!(code(&format!("2001:db8::{number}"), "alice", "guess"), 0x87);
    }
    assert_eq!(code("2001:db8::ffff", "alice", "secret"), 0x8A);
    assert_eq!(code("2001:db8:0:1::1", "alice", "secret"), 0);
}

#[test]
fn s2_a_name_that_is_guessed_at_from_everywhere_is_banned_whether_there_is_such_a_user_or_not() {
    let limits = "failed_logins = { per_name = 3, within = \"1h\", ban = \"1h\" }";
    let (broker, _web, asked) = counted(limits);
    let code =
        |address: &str, name: &str, password: &str| try_from(&broker, address, name, password).0;
    for name in ["alice", "nobody"] {
        for number in 0..4 {
            assert_eq!(code(&format!("192.0.2.{number}"), name, "guess"), 0x87);
        }
        let before = asked.load(Ordering::SeqCst);
        assert_eq!(code("198.51.100.1", name, "secret"), 0x8A);
        assert_eq!(asked.load(Ordering::SeqCst), before);
    }
    assert_eq!(code("192.0.2.1", "bob", "secret"), 0);
    // Those before MQTT 5 have no code of their own for it.
    let mut stream = TcpStream::connect(broker.addr()).unwrap();
    let connect = bytes(Version::V311, &[connect_packet(&login(Version::V311, "alice", "secret"))]);
    stream.write_all(&[&b"PROXY UNKNOWN\r\n"[..], &connect].concat()).unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0x20, 2, 0, 5]);
}

#[test]
fn s10_password_and_acl_files_that_are_missing_empty_or_garbled_keep_the_broker_from_starting() {
    let listener = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\n\
                    authenticate = [\"password-file\"]\nauthorize = [\"topic-acl\"]\n";
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let good = demo();
    let hash = good.lines().find(|line| line.starts_with("alice = ")).unwrap();
    let hash = hash.split('"').nth(1).unwrap();
    for (name, content) in [
        ("passwd", &*format!("alice:{hash}\n")),
        ("acl", "user alice\ntopic home/#\n"),
        ("empty", ""),
        ("blank", "\n# nobody\n\n"),
        ("garbled", "\u{1}\u{2}not what it should be\n"),
    ] {
        std::fs::write(dir.path().join(name), content).unwrap();
    }
    std::fs::write(dir.path().join("binary"), [0xff, 0xfe, 0, 1]).unwrap();
    let config = |passwords: &str, acl: &str| {
        let passwords = format!(
            "limits = {{ authenticate = \"20s\" }}\n[plugin.config]\npasswords = {{ file = \"{}\" }}",
            path(passwords)
        );
        let acl = format!("[plugin.config]\nacl = {{ file = \"{}\" }}", path(acl));
        let passwords = plugin("password-file", "password_file", &passwords);
        format!("{listener}{passwords}{}", plugin("topic-acl", "topic_acl", &acl))
    };
    for bad in ["missing", "empty", "blank", "garbled", "binary"] {
        let said = refuse_to_start(&config(bad, "acl"));
        assert!(said.contains(bad) || said.contains("there is no user"), "{bad}: {said}");
        let said = refuse_to_start(&config("passwd", bad));
        assert!(said.contains(bad) || said.contains("nobody could do anything"), "{bad}: {said}");
    }
    let broker = Broker::start(&config("passwd", "acl"));
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    assert_eq!(alice.publish(&Outgoing::new("home/lamp", "on")), 0x10);
    assert_eq!(alice.publish(&Outgoing::new("garage/door", "open")), 0x87);
}

#[test]
fn s12_a_stored_session_is_not_resumed_under_another_name() {
    let broker = Broker::start(&demo());
    let mut connect = login(Version::V5, "alice", "secret");
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(3600);
    let (mut alice, _) = Client::connect(broker.addr(), &connect);
    assert_eq!(alice.subscribe("devices/alice/#", QoS::AtLeastOnce), 1);
    alice.disconnect();
    let mut other = login(Version::V5, "alice", "secret");
    other.client_id = "other";
    let (mut other, _) = Client::connect(broker.addr(), &other);
    assert_eq!(other.publish(&Outgoing::new("devices/alice/x", "private")), 0);

    for clean_start in [false, true] {
        let mut thief = login(Version::V5, "bob", "secret");
        thief.client_id = "alice";
        thief.clean_start = clean_start;
        let (mut thief, answer) = Client::connect(broker.addr(), &thief);
        assert_eq!(answer.code, 0x87, "clean start: {clean_start}");
        assert_eq!(thief.end(), None);
    }
    let (mut alice, answer) = Client::connect(broker.addr(), &connect);
    assert!(answer.session_present, "nobody has ended it");
    assert_eq!(alice.message().text(), "private");
}

fn auth<'a>(reason: ReasonCode, method: &'a str, data: &'a [u8]) -> Packet<'a> {
    Packet::Auth(Auth { reason, method: Some(method), data: Some(data), ..Auth::default() })
}

#[test]
fn s13_a_wrong_step_another_method_and_a_flood_of_re_authentications_end_the_connection() {
    use ReasonCode::{ContinueAuthentication, ReAuthenticate, Success};
    let limits = "[limits]\nauth = { reauthentications = 3, within = \"1h\" }\n";
    let broker = Broker::start(&format!("{}{limits}", scram::config(USER, "")));
    let mut bystander = scram::enter_as(&broker, "bystander");
    for (what, packet, code) in [
        ("a step of no exchange", auth(ContinueAuthentication, METHOD, b"x"), 0x82),
        ("a success of its own making", auth(Success, METHOD, b"x"), 0x82),
        ("another method", auth(ReAuthenticate, "PLAIN", b"x"), 0x82),
    ] {
        let mut client = scram::enter_as(&broker, "c");
        client.send(&packet);
        assert_eq!(client.end(), Some(code), "{what}");
    }
    let mut client = scram::enter_as(&broker, "c");
    let again = first();
    for _ in 0..3 {
        client.send(&auth(ReAuthenticate, METHOD, &again));
        let challenge = scram::challenge(&mut client);
        scram::prove_again(&mut client, &challenge);
    }
    client.send(&auth(ReAuthenticate, METHOD, &again));
    assert_eq!(client.end(), Some(0x97));
    bystander.ping();
}

#[test]
fn s14_a_password_of_65535_bytes_is_refused_like_any_and_a_name_with_a_nul_is_malformed() {
    let broker = Broker::start(&demo());
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    for version in [Version::V31, Version::V311, Version::V5] {
        let expected = if version == Version::V5 { 0x86 } else { 4 };
        let long = "x".repeat(65_535);
        for name in ["alice", "nobody"] {
            let mut connect = login(version, name, &long);
            connect.client_id = "long";
            assert_eq!(
                Client::connect(broker.addr(), &connect).1.code,
                expected,
                "{version} {name}"
            );
        }
        let mut connect = login(version, "alXce", "secret");
        connect.client_id = "nul";
        let mut packet = bytes(version, &[connect_packet(&connect)]);
        let place = packet.windows(5).position(|name| name == b"alXce").unwrap();
        packet[place + 2] = 0;
        let mut client = Client::open(broker.addr(), version);
        client.send_bytes(&packet);
        // There is no code for it before MQTT 5 [MQTT-1.5.4-2].
        if version == Version::V5 {
            assert_eq!(client.answer().code, 0x81);
        }
        assert_eq!(client.end(), None, "{version}");
    }
    alice.ping();
    assert_eq!(alice.publish(&Outgoing::new("devices/alice/x", "")), 0x10);
}

#[test]
fn s14_a_password_that_is_no_text_is_as_wrong_as_any() {
    let broker = Broker::start(&demo());
    let mut connect = login(Version::V5, "alice", "");
    for password in [&b"secret\0"[..], b"\0secret", b"\xff\xfe", b"secret ", b""] {
        connect.password = Some(password);
        assert_eq!(Client::connect(broker.addr(), &connect).1.code, 0x86, "{password:?}");
    }
    connect.password = None;
    assert_eq!(Client::connect(broker.addr(), &connect).1.code, 0x86);
}
