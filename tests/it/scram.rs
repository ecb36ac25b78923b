//! The scram plugin in the real broker: who comes in by AUTH, who stays, and what a reload does to an exchange.

use std::io::Write;
use std::process::{Command, Stdio};

use wasmqtt_codec::{Auth, Connect, ConnectProperties, Packet, ReasonCode, Version};

use crate::harness::config::{open_listener, plugin};
use crate::harness::program::{installed, run};
use crate::harness::scram::{METHOD, PASSWORD, USER, first, last};
use crate::harness::{Broker, Client, root, wasmqtt};

/// One listener where the users come in by SCRAM alone.
pub(crate) fn config(users: &str, keys: &str) -> String {
    let listener = open_listener("mqtt", "authenticate = [\"scram\"]");
    let listener = listener.replace("anonymous = true\n", "");
    let limits = "limits = { call = \"1s\", authenticate = \"20s\" }";
    let config = format!("{limits}\n[plugin.config]\n{keys}\n[plugin.config.users]\n{users}");
    format!("{listener}{}", plugin("scram", "scram", &config))
}

fn auth<'a>(reason: ReasonCode, data: &'a [u8]) -> Packet<'a> {
    Packet::Auth(Auth { reason, method: Some(METHOD), data: Some(data), ..Auth::default() })
}

/// Sends CONNECT with the first message; answers the challenge.
fn knock(broker: &Broker) -> (Client, Vec<u8>) {
    let mut client = Client::open(broker.addr(), Version::V5);
    let data = first();
    let properties = ConnectProperties {
        authentication_method: Some(METHOD),
        authentication_data: Some(&data),
        ..ConnectProperties::default()
    };
    let connect = Connect { properties, ..Connect::new(Version::V5, "c") };
    client.send(&Packet::Connect(Box::new(connect)));
    let challenge = challenge(&mut client);
    (client, challenge)
}

pub(crate) fn challenge(client: &mut Client) -> Vec<u8> {
    match client.receive().packet() {
        Packet::Auth(auth) => {
            assert_eq!(
                (auth.reason, auth.method),
                (ReasonCode::ContinueAuthentication, Some(METHOD))
            );
            auth.data.unwrap().to_vec()
        }
        other => panic!("{other:?}"),
    }
}

/// Answers a challenge with this password; answers CONNACK's code.
fn prove(client: &mut Client, challenge: &[u8], password: &str) -> u8 {
    let (data, expected) = last(password, challenge);
    client.send(&auth(ReasonCode::ContinueAuthentication, &data));
    let raw = client.receive();
    match raw.packet() {
        Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => {
            assert_eq!(connack.properties.authentication_method, Some(METHOD));
            assert_eq!(connack.properties.authentication_data, Some(&*expected));
            0
        }
        Packet::ConnAck(connack) => connack.reason as u8,
        other => panic!("{other:?}"),
    }
}

fn enter(broker: &Broker) -> Client {
    let (mut client, challenge) = knock(broker);
    assert_eq!(prove(&mut client, &challenge, PASSWORD), 0);
    client
}

/// The end of a re-authentication whose challenge is answered.
pub(crate) fn prove_again(client: &mut Client, challenge: &[u8]) {
    let (data, expected) = last(PASSWORD, challenge);
    client.send(&auth(ReasonCode::ContinueAuthentication, &data));
    match client.receive().packet() {
        Packet::Auth(auth) => {
            assert_eq!((auth.reason, auth.method), (ReasonCode::Success, Some(METHOD)));
            assert_eq!(auth.data, Some(&*expected));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn behaviour_16_an_auth_exchange_goes_on_across_a_reload() {
    let broker = Broker::start(&config(USER, ""));
    let (mut new, first_challenge) = knock(&broker);
    let mut old = enter_as(&broker, "old");
    old.send(&auth(ReasonCode::ReAuthenticate, &first()));
    let second_challenge = challenge(&mut old);
    // Other instances, which never saw the first round.
    let line = broker.reload(&config(USER, "expires_in = 3600"));
    assert!(line.holds("plugin.scram"), "{line:?}");
    assert_eq!(prove(&mut new, &first_challenge, PASSWORD), 0);
    prove_again(&mut old, &second_challenge);
    new.ping();
    old.ping();
    // The new generation has the last word: a user who is gone meanwhile does not get in.
    let (mut late, challenge) = knock(&broker);
    broker.reload(&config(&USER.replacen("user", "somebody", 1), ""));
    assert_eq!(prove(&mut late, &challenge, PASSWORD), 0x86);
    assert_eq!(late.end(), None);
}

/// As [`enter`], under another client identifier.
pub(crate) fn enter_as(broker: &Broker, id: &str) -> Client {
    let mut client = Client::open(broker.addr(), Version::V5);
    let properties =
        ConnectProperties { authentication_method: Some(METHOD), ..ConnectProperties::default() };
    let connect = Connect { properties, ..Connect::new(Version::V5, id) };
    client.send(&Packet::Connect(Box::new(connect)));
    // Without data the broker asks for the first message.
    match client.receive().packet() {
        Packet::Auth(auth) => assert_eq!((auth.method, auth.data), (Some(METHOD), None)),
        other => panic!("{other:?}"),
    }
    client.send(&auth(ReasonCode::ContinueAuthentication, &first()));
    let challenge = challenge(&mut client);
    assert_eq!(prove(&mut client, &challenge, PASSWORD), 0);
    client
}

#[test]
fn a_wrong_password_is_refused_and_no_other_way_leads_in() {
    let broker = Broker::start(&config(USER, ""));
    let (mut client, challenge) = knock(&broker);
    assert_eq!(prove(&mut client, &challenge, "pencils"), 0x86);
    assert_eq!(client.end(), None);
    let mut login = Connect::new(Version::V5, "c");
    (login.username, login.password) = (Some("user"), Some(PASSWORD.as_bytes()));
    assert_eq!(Client::connect(broker.addr(), &login).1.code, 0x86);
    let (mut client, _) = knock(&broker);
    client.send(&Packet::PingReq);
    assert_eq!(client.answer().code, 0x82);
}

#[test]
fn a_connected_client_authenticates_again_and_one_that_fails_to_is_disconnected() {
    let broker = Broker::start(&config(USER, ""));
    let mut client = enter(&broker);
    client.send(&auth(ReasonCode::ReAuthenticate, &first()));
    let asked = challenge(&mut client);
    client.ping();
    prove_again(&mut client, &asked);
    client.send(&auth(ReasonCode::ReAuthenticate, &first()));
    let asked = challenge(&mut client);
    let (data, _) = last("pencils", &asked);
    client.send(&auth(ReasonCode::ContinueAuthentication, &data));
    assert_eq!(client.end(), Some(0x87));
}

#[test]
fn a_client_whose_identity_expires_is_disconnected_unless_it_authenticates_again() {
    let broker = Broker::start(&config(USER, "expires_in = 2"));
    assert_eq!(enter(&broker).end(), Some(0xA0));
    let mut client = enter(&broker);
    broker.reload(&config(USER, ""));
    client.send(&auth(ReasonCode::ReAuthenticate, &first()));
    let asked = challenge(&mut client);
    prove_again(&mut client, &asked);
    // Longer than the first identity would have lasted, by another client's.
    broker.reload(&config(USER, "expires_in = 3"));
    assert_eq!(enter_as(&broker, "other").end(), Some(0xA0));
    client.ping();
}

#[test]
fn an_exchange_that_takes_too_long_is_ended() {
    let broker = Broker::start(&format!("{}\n[limits]\nauth.timeout = \"1s\"\n", config(USER, "")));
    let (mut client, _) = knock(&broker);
    assert_eq!(client.answer().code, 0x87);
    assert_eq!(client.end(), None);
}

/// What `wasmqtt passwd --scram` prints for a password.
fn passwd(name: &str, password: &str) -> String {
    let mut child = Command::new(wasmqtt())
        .args(["passwd", "--scram", "--iterations", "4096", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn the_line_that_passwd_makes_lets_its_user_in() {
    let broker = Broker::start(&config(&passwd("user", "secret"), ""));
    for (password, code) in [("secret", 0), (PASSWORD, 0x86)] {
        let (mut client, challenge) = knock(&broker);
        assert_eq!(prove(&mut client, &challenge, password), code);
    }
}

#[test]
fn mqtt_js_comes_in_by_scram_and_authenticates_again() {
    installed("WASMQTT_NODE_MODULES");
    let broker = Broker::start(&config(USER, ""));
    let mut node = Command::new("node");
    node.arg(root().join("tests/it/clients/mqtt_js_scram.mjs"));
    let ended = run(node.arg(broker.addr().port().to_string()));
    assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.stdout.trim(), "ok");
}
