//! Plugins with the files of an installation that used mosquitto: passwords and rules are read as they are, followed
//! when they change, and refused when they are broken.

use wasmqtt_codec::{Connect, QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::client::login;
use crate::harness::config::plugin;
use crate::harness::{Broker, Client, Outgoing, root};

/// Taken, and nobody has subscribed.
const UNHEARD: u8 = 0x10;

const LISTENER: &str = "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nanonymous = true\n\
                        authenticate = [\"password-file\"]\nauthorize = [\"topic-acl\"]\n";

fn config() -> String {
    let passwords = plugin(
        "password-file",
        "password_file",
        "limits = { authenticate = \"20s\" }\n[plugin.config]\npasswords = { file = \"passwd\" }",
    );
    let acl =
        plugin("topic-acl", "topic_acl", "[plugin.config]\nacl = { file = \"acl\" }\nreuse_ms = 0");
    format!("{LISTENER}{passwords}{acl}")
}

/// What mosquitto_passwd wrote.
fn passwords() -> String {
    let path = root().join("plugins/password-file/tests/mosquitto.passwd");
    std::fs::read_to_string(path).unwrap()
}

const ACL: &str =
    "topic read public/#\nuser alice\ntopic home/#\npattern write devices/%c/status\n";

fn broker() -> Broker {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("passwd"), passwords()).unwrap();
    std::fs::write(dir.path().join("acl"), ACL).unwrap();
    Broker::start_in(dir, &config())
}

fn code(broker: &Broker, username: &str, password: &str) -> u8 {
    Client::connect(broker.addr(), &login(Version::V5, username, password)).1.code
}

fn entered(broker: &Broker, username: &str, password: &str) -> Client {
    let (client, answer) = Client::connect(broker.addr(), &login(Version::V5, username, password));
    assert_eq!(answer.code, 0, "{username}");
    client
}

#[test]
fn users_of_mosquitto_log_in_with_their_passwords_and_nobody_else_does() {
    let broker = broker();
    for (username, password) in [
        ("alice", "wonderland"),
        ("bob", "p:ss wörd"),
        ("carol", "builder"),
        ("dave", "wonderland"),
    ] {
        assert_eq!(code(&broker, username, password), 0, "{username}");
        assert_eq!(code(&broker, username, "wrong"), 0x86, "{username}");
    }
    assert_eq!(code(&broker, "eve", "wonderland"), 0x86);
}

#[test]
fn a_mosquitto_acl_file_decides_who_publishes_and_what_is_delivered() {
    let broker = broker();
    let mut alice = entered(&broker, "alice", "wonderland").subscribed("#", QoS::AtLeastOnce);
    let mut carol = entered(&broker, "carol", "builder").subscribed("#", QoS::AtLeastOnce);
    assert_eq!(carol.publish(&Outgoing::new("home/lamp", "no")), 0x87);
    assert_eq!(carol.publish(&Outgoing::new("devices/alice/status", "no")), 0x87);
    assert_eq!(carol.publish(&Outgoing::new("devices/carol/status", "unread")), 0);
    assert_eq!(alice.publish(&Outgoing::new("home/lamp", "on")), 0);
    assert_eq!(alice.message().parts(), ("home/lamp", "on"));
    // Nothing of it reached carol, whose subscription is to everything.
    carol.ping();
    carol.disconnect();
    // A client without a name has the topics before the first user.
    let (mut anonymous, answer) =
        Client::connect(broker.addr(), &Connect::new(Version::V5, "anonymous"));
    assert_eq!(answer.code, 0);
    assert_eq!(anonymous.publish(&Outgoing::new("public/a", "no")), 0x87);
    assert_eq!(anonymous.publish(&Outgoing::new("devices/anonymous/status", "yes")), 0);
}

#[test]
fn a_changed_file_is_in_force_without_a_word_and_a_broken_one_changes_nothing() {
    let broker = broker();
    let mut alice = entered(&broker, "alice", "wonderland");
    assert_eq!(alice.publish(&Outgoing::new("garage/door", "open")), 0x87);
    let mark = broker.mark();
    broker.replace("acl", format!("{ACL}user alice\ntopic garage/#\n").as_bytes());
    broker.wait_for(mark, "reload applied");
    assert_eq!(alice.publish(&Outgoing::new("garage/door", "open")), UNHEARD, "while connected");

    let mark = broker.mark();
    broker.replace("acl", b"user alice\ntopick #\n");
    let refused = broker.wait_for(mark, "reload refused");
    assert!(refused.holds("acl:2: begins with \"topick\""), "{}", refused.text());
    assert_eq!(alice.publish(&Outgoing::new("garage/door", "shut")), UNHEARD);

    broker.replace("acl", ACL.as_bytes());
    let mark = broker.mark();
    broker.replace("passwd", b"");
    let refused = broker.wait_until(mark, |line| line.holds("passwd is empty"), "the refusal");
    assert!(refused.holds("reload refused"), "{}", refused.text());
    assert_eq!(code(&broker, "carol", "builder"), 0);
    let mark = broker.mark();
    let without_carol = passwords()
        .lines()
        .filter(|line| !line.starts_with("carol"))
        .fold(String::new(), |all, line| all + line + "\n");
    broker.replace("passwd", without_carol.as_bytes());
    broker.wait_for(mark, "reload applied");
    assert_eq!(code(&broker, "carol", "builder"), 0x86);
    assert_eq!(code(&broker, "alice", "wonderland"), 0);
}

#[test]
fn a_file_that_is_missing_is_an_error_at_the_start() {
    let said = refuse_to_start(&config());
    assert!(said.contains("cannot read `passwd`") && said.contains("cannot read `acl`"), "{said}");
}
