//! `wasmqtt explain` and `wasmqtt reload --dry-run`: who decides, and what a reload would do.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use wasmqtt_codec::{QoS, Version};

use crate::harness::client::login;
use crate::harness::config::{OPEN, demo, hostile, open_listener, plugin, plugin_at};
use crate::harness::http::{self, Answer};
use crate::harness::program::{Ended, run};
use crate::harness::{Broker, Client, Outgoing, cache, component, root, wasmqtt};

const ADMIN: &str = "[admin]\nbind = \"127.0.0.1:0\"\n";

fn wasmqtt_in(dir: &Path, arguments: &[&str]) -> Ended {
    run(Command::new(wasmqtt()).args(arguments).current_dir(dir).env("XDG_CACHE_HOME", cache()))
}

/// Explains against a configuration: the exit code, and what is said.
fn explained(config: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("wasmqtt.toml"), config).unwrap();
    let ended = wasmqtt_in(dir.path(), &[&["explain"], arguments].concat());
    (ended.code, ended.stdout + &ended.stderr)
}

fn check(config: &str, arguments: &[&str], code: i32, parts: &[&str]) {
    let (ended, said) = explained(config, arguments);
    assert_eq!(ended, Some(code), "{arguments:?}: {said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
}

#[test]
fn the_plugin_or_the_default_that_decides_is_named_with_everybody_who_was_asked() {
    let demo = demo();
    check(
        &demo,
        &["c1", "publish", "devices/alice/x", "--username", "alice"],
        0,
        &[
            "c1 may publish to devices/alice/x\n",
            "permissions       none matches",
            "plugin topic-acl  allows",
            "decided by the plugin `topic-acl`",
        ],
    );
    check(
        &demo,
        &["c1", "subscribe", "$share/g/devices/bob/#", "--username", "alice", "--qos", "1"],
        1,
        &["0x87", "plugin topic-acl  abstains", "decided by `default` of the listener `mqtt`"],
    );
    check(
        &demo,
        &["c1", "publish", "$SYS/x", "--username", "alice"],
        1,
        &["$SYS is the broker's own", "decided by a rule of the broker"],
    );
    check(OPEN, &["c1", "receive", "a"], 0, &["may receive"]);
}

#[test]
fn a_plugin_that_gives_no_answer_decides_by_its_failure_policy_and_says_why() {
    for (policy, code, by) in [
        ("closed", 1, "decided by `on_failure` of the plugin `hostile`"),
        ("open", 0, "decided by `default` of the listener `mqtt`"),
    ] {
        let keys = format!("on_failure = \"{policy}\"");
        let guest = hostile(&keys, "on = \"authorize\"\ndo = \"trap\"");
        let config = open_listener("mqtt", "authorize = [\"hostile\"]") + &guest;
        let parts = ["gives no answer", "hostile: told to trap", by];
        check(&config, &["c", "publish", "a"], code, &parts);
    }
}

#[test]
fn a_permission_of_the_identity_is_shown_as_it_was_written_once_its_variables_are_known() {
    let path = root().join("plugins/jwt/tests");
    let text = std::fs::read_to_string(path.join("tokens.json")).unwrap();
    let tokens: Value = serde_json::from_str(&text).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listener =
        "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"jwt\"]\n";
    let keys = format!(
        "limits = {{ authenticate = \"20s\" }}\n[plugin.config]\nkeys = [{{ jwks = {{ file = \
         \"{}\" }} }}]\nattributes = {{ site = \"site\" }}\npermissions = [{{ effect = \"allow\", \
         filter = \"site/${{attribute.site}}/#\", actions = [\"publish\"] }}]\n",
        path.join("jwks.json").display()
    );
    let plugin = plugin_at("jwt", &component("jwt"), &keys);
    std::fs::write(dir.path().join("wasmqtt.toml"), format!("{listener}{plugin}")).unwrap();
    let asked = |topic: &str, password: &str| {
        // The password is the first line of the input.
        let words = "printf '%s\\n' \"$1\" | \"$2\" explain c publish \"$3\" --username u --authenticate --json";
        let mut command = Command::new("sh");
        command.args(["-c", words, "sh", password]).arg(wasmqtt()).arg(topic);
        let ended = run(command.current_dir(dir.path()).env("XDG_CACHE_HOME", cache()));
        let said: Value = serde_json::from_str(&ended.stdout).expect(&ended.stderr);
        (ended.code, said)
    };
    let token = tokens["rs256"].as_str().unwrap();
    let (code, said) = asked("site/north/x", token);
    assert_eq!((code, &said["allowed"]), (Some(0), &json!(true)), "{said}");
    assert_eq!(said["decided_by"], json!({ "permission": "allow publish site/north/#" }));
    let (code, said) = asked("site/south/x", token);
    assert_eq!((code, &said["decided_by"]), (Some(1), &json!({ "default": "mqtt" })), "{said}");
    let (code, said) = asked("site/north/x", "no token");
    assert_eq!((code, &said["decided_by"]), (Some(1), &json!("authentication")), "{said}");
}

#[test]
fn a_question_that_is_none_is_told_so() {
    for (arguments, part) in [
        (&["c", "publish", "a/#"][..], "the topic `a/#`"),
        (&["c", "subscribe", "a/#/b"], "the topic `a/#/b`"),
        (&["c", "publish", "a", "--listener", "tls"], "there is no listener `tls`"),
        (&["c", "publish", "a", "--qos", "3"], "--qos"),
        (&["c", "publish", "a", "--running"], "has no [admin]"),
        (&["c", "publish", "a", "--admin", "127.0.0.1:1"], "--running"),
    ] {
        check(OPEN, arguments, 2, &[part]);
    }
    check("colour = 1\n", &["c", "publish", "a"], 2, &["unknown key `colour`"]);
}

/// Two transformers: one that moves what has a region, and one that tags everything.
fn transformed(grants: &str) -> String {
    let listener = open_listener("mqtt", "transform = [\"router\", \"tagger\"]");
    let rule = "property = \"region\"\ntopic = \"routed/${value}/${topic}\"\nfilters = [\"in/#\"]";
    let router = plugin("router", "property_router", &format!("{grants}\n[plugin.config]\n{rule}"));
    let tagger = plugin("tagger", "tagger", "[plugin.config]\ntag = \"2\"");
    format!("{listener}{router}{tagger}")
}

#[test]
fn what_each_transformer_does_to_a_message_is_told_with_what_it_was_asked_for() {
    let granted = transformed("grants = { topics = [\"routed/#\"] }");
    let words = ["c", "publish", "in/a", "--property", "region=eu", "--payload", "x", "--qos", "1"];
    check(
        &granted,
        &words,
        0,
        &[
            "c may publish to in/a\n",
            "plugin router  changes topic in/a -> routed/eu/in/a",
            "(it wants in/#, with the user property region)",
            "plugin tagger  changes user properties +generation=2 (it wants every topic)",
            "routed to routed/eu/in/a",
        ],
    );
    check(
        &granted,
        &["c", "publish", "in/a"],
        0,
        &["plugin router  is not asked: no selector of it wants this message", "routed to in/a"],
    );
    let (code, said) = explained(&granted, &[&words[..], &["--json"]].concat());
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!((code, &said["passed"]["outcome"]), (Some(0), &json!("forwarded")), "{said}");
    assert_eq!(
        said["passed"]["message"],
        json!({
            "topic": "routed/eu/in/a", "qos": 1, "retain": false, "expiry": null, "payload": "x",
            "payload_hex": null, "content_type": null,
            "user_properties": [["region", "eu"], ["generation", "2"]],
        })
    );
    // What it has no grant for is refused, whatever comes behind it.
    check(
        &transformed(""),
        &words,
        1,
        &["plugin router  is refused what it wants", "outside its grants", "\nrefused"],
    );
    check(&granted, &["c", "subscribe", "in/a"], 0, &["c may subscribe to in/a"]);
    let (_, said) = explained(&granted, &["c", "subscribe", "in/a"]);
    assert!(!said.contains("transformers"), "{said}");
}

#[test]
fn a_transformer_that_gives_no_answer_or_says_no_decides_what_becomes_of_a_message() {
    for (deed, policy, code, parts) in [
        (
            "trap",
            "closed",
            1,
            ["gives no answer", "decided by `on_failure` of the plugin `hostile`"],
        ),
        ("trap", "open", 0, ["gives no answer", "routed to a"]),
        ("reject", "closed", 1, ["rejects it with", "decided by the plugin `hostile`"]),
        ("discard", "closed", 0, ["discards it", "routed to nobody"]),
    ] {
        let guest = hostile(
            &format!("on_failure = \"{policy}\""),
            &format!("on = \"publish\"\ndo = \"{deed}\""),
        );
        let config = open_listener("mqtt", "transform = [\"hostile\"]") + &guest;
        check(&config, &["c", "publish", "a"], code, &parts);
    }
}

#[test]
fn a_running_broker_explains_what_its_transformers_do_to_a_client_s_message() {
    let config = transformed("grants = { topics = [\"routed/#\"] }");
    let broker = Broker::start(&format!("{config}{ADMIN}"));
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("#", QoS::AtMostOnce);
    let ended = asked(&broker, &["c", "publish", "in/a", "--property", "region=eu", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let said: Value = serde_json::from_str(&ended.stdout).expect(&ended.stderr);
    assert_eq!(said["passed"]["message"]["topic"], "routed/eu/in/a", "{said}");
    let message = Outgoing::new("in/a", "").property("region", "eu");
    client.publish(&message);
    assert_eq!(client.message().topic, "routed/eu/in/a", "what was explained is what happens");
}

/// What the broker explains about one of its clients.
fn asked(broker: &Broker, arguments: &[&str]) -> Ended {
    let admin = broker.addr_of("[admin]").to_string();
    let words = [&["explain"], arguments, &["--running", "--admin", &admin]].concat();
    wasmqtt_in(broker.dir(), &words)
}

#[test]
fn a_running_broker_explains_what_its_clients_may_do_and_nothing_changes() {
    let broker = Broker::start(&format!("{}{ADMIN}", demo()));
    let (mut alice, answer) =
        Client::connect(broker.addr(), &login(Version::V5, "alice", "secret"));
    assert_eq!(answer.code, 0);
    for (topic, code, by) in [
        ("devices/alice/x", 0, "decided by the plugin `topic-acl`"),
        ("devices/bob/x", 1, "decided by `default` of the listener `mqtt`"),
    ] {
        let ended = asked(&broker, &["alice", "publish", topic]);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stdout.contains(by), "{}", ended.stdout);
        let allowed = alice.publish(&Outgoing::new(topic, "")) < 0x80;
        assert_eq!(allowed, code == 0, "{topic}: what was explained is what holds");
    }
    let ended = asked(&broker, &["nobody", "publish", "a"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("no client `nobody` has a session here"), "{}", ended.stderr);
    alice.ping();
}

fn post(admin: SocketAddr, path: &str, kind: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    http::exchange(http::connect(admin), request.as_bytes())
}

/// With those in `admin.rs`, K6 of the catalogue of faults.
#[test]
fn questions_of_other_types_and_sizes_are_refused() {
    let broker = Broker::start(&format!("{OPEN}{ADMIN}"));
    let admin = broker.addr_of("[admin]");
    let _client = Client::enter(broker.addr(), Version::V5, "c");
    let question = r#"{"client_id": "c", "action": "publish", "topic": "a"}"#;
    let asked = |kind: &str, body: &str| post(admin, "/explain", kind, body).status;
    assert_eq!(asked("application/json", question), 200);
    assert_eq!(asked("application/json; charset=utf-8", question), 200);
    // What a page in a browser may send without asking.
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        assert_eq!(asked(kind, question), 415, "{kind}");
        assert_eq!(post(admin, "/reload", kind, "{\"dry_run\": true}").status, 415, "{kind}");
    }
    let json = "application/json";
    assert_eq!(asked(json, "{"), 400);
    assert_eq!(asked(json, &question.replace("publish", "dance")), 400);
    assert_eq!(asked(json, &question.replace("\"a\"", "\"a/#\"")), 400);
    let topic = |bytes: usize| question.replace("\"a\"", &format!("\"{}\"", "x".repeat(bytes)));
    assert_eq!(asked(json, &topic(65_535)), 200);
    assert_eq!(asked(json, &topic(65_536)), 400);
    assert_eq!(asked(json, &topic(600 << 10)), 413);
    assert_eq!(http::get(admin, "/explain").status, 405);
    assert_eq!(post(admin, "/metrics", json, "{}").status, 405);
    let mut slow = http::connect(admin);
    let head = "POST /explain HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(http::read(slow).status, 408, "the rest never comes");
    let real = post(admin, "/reload", json, "{\"dry_run\": false}");
    assert_eq!((real.status, real.body.contains("SIGHUP")), (403, true));
}

/// What the broker says a reload would do.
fn rehearsed(broker: &Broker) -> (Option<i32>, Value) {
    let admin = broker.addr_of("[admin]").to_string();
    let words = ["reload", "--dry-run", "--json", "--admin", &admin];
    let ended = wasmqtt_in(broker.dir(), &words);
    (ended.code, serde_json::from_str(&ended.stdout).expect(&ended.stderr))
}

#[test]
fn a_dry_run_tells_what_a_reload_would_do_and_does_nothing() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Nobody watches where a link leads, so nothing is reloaded before it is asked for.
    let (target, link) = (elsewhere.path().join("real.wasm"), dir.path().join("link.wasm"));
    std::fs::copy(component("hostile"), &target).unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let config =
        open_listener("mqtt", "transform = [\"tr\"]") + &plugin_at("tr", &link, "") + ADMIN;
    let broker = Broker::start_in(dir, &config);
    let says = |components: &[&str]| {
        json!({
            "refused": null, "live": [], "restart": [], "components": components, "opened": [],
            "closed": [], "warnings": [],
        })
    };
    let nothing = says(&[]);
    assert_eq!(rehearsed(&broker), (Some(0), nothing.clone()));

    std::fs::copy(component("keeper"), &target).unwrap();
    let (code, said) = rehearsed(&broker);
    assert_eq!(code, Some(1));
    assert!(said["refused"].as_str().unwrap().contains("grants = { kv = true }"), "{said}");

    // The same, with a section of no meaning behind it.
    let mut bytes = std::fs::read(component("hostile")).unwrap();
    bytes.extend(b"\x00\x05\x04note");
    std::fs::write(&target, bytes).unwrap();
    let other = says(&["tr"]);
    for _ in 0..2 {
        assert_eq!(rehearsed(&broker), (Some(0), other.clone()), "and nothing is done");
    }
    let mark = broker.mark();
    broker.hang_up();
    broker.wait_for(mark, "reload applied");
    assert_eq!(rehearsed(&broker), (Some(0), nothing));
}

#[test]
fn a_dry_run_names_what_waits_for_a_restart_and_refuses_what_a_reload_would() {
    let broker = Broker::start(&format!("[broker]\nworkers = 2\n{OPEN}{ADMIN}"));
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("a", QoS::AtLeastOnce);
    broker.reload(&format!("[broker]\nworkers = 3\n{OPEN}{ADMIN}"));
    let (code, said) = rehearsed(&broker);
    assert_eq!((code, &said["restart"]), (Some(0), &json!(["broker.workers"])), "{said}");
    broker.refuse_reload(&format!("{OPEN}colour = 1\n{ADMIN}"));
    let (code, said) = rehearsed(&broker);
    assert_eq!(code, Some(1));
    assert!(said["refused"].as_str().unwrap().contains("unknown key `colour`"), "{said}");
    // Without an address it is the configuration that says where to ask, and this one says nothing.
    let ended = wasmqtt_in(broker.dir(), &["reload", "--dry-run"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("a reload would be refused"), "{}", ended.stdout);
    let ended = wasmqtt_in(broker.dir(), &["reload"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    client.publish(&Outgoing::new("a", "x"));
    assert_eq!(client.message().text(), "x");
}
