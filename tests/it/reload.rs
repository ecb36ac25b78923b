//! Configuration and components are replaced while messages flow: nobody is disconnected, nothing is lost, and what
//! is wrong changes nothing.

use std::time::{Duration, Instant};

use wasmqtt_codec::{Connect, MessageProperties, Packet, QoS, ReasonCode, Version, Will};

use crate::harness::broker::complete;
use crate::harness::client::{connect_packet, login};
use crate::harness::config::{
    LOSSLESS, OPEN, demo, hostile, open_listener, plugin_at, replaced, slow_authenticator,
};
use crate::harness::stream::{Audit, Publisher};
use crate::harness::{Broker, Client, Outgoing, component};

/// The user property that says which configuration of the guest `tagger` handled a message.
const GENERATION: &str = "generation";

fn transformed(transformer: &str) -> String {
    format!("{}{LOSSLESS}{transformer}", open_listener("mqtt", "transform = [\"transformer\"]"))
}

/// A broker in whose directory is `transformer.wasm`, a copy of the component `file`.
fn broker(file: &str, transformer: impl Fn(&std::path::Path) -> String) -> Broker {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(component(file), dir.path().join("transformer.wasm")).unwrap();
    let config = transformed(&transformer(&dir.path().join("transformer.wasm")));
    Broker::start_in(dir, &config)
}

fn router(path: &std::path::Path, prefix: &str) -> String {
    let config = format!(
        "grants = {{ topics = [\"v1/#\", \"v2/#\"] }}\n[plugin.config]\nproperty = \"region\"\n\
         topic = \"{prefix}/${{value}}/${{topic}}\""
    );
    plugin_at("transformer", path, &config)
}

fn tagger(path: &std::path::Path, tag: &str) -> String {
    let config = format!(
        "grants = {{ topics = [\"v3/#\", \"v4/#\"] }}\n[plugin.config]\ntag = \"{tag}\"\n\
         prefix = \"v{tag}/\""
    );
    plugin_at("transformer", path, &config)
}

/// A component with other bytes that does the same: with an empty custom section at its end.
fn with_other_bytes(file: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(component(file)).unwrap();
    bytes.extend([0, 2, 1, b'x']);
    bytes
}

/// Reads the streams, and knows which generation handled which message.
struct Reader {
    client: Client,
    audit: Audit,
    /// By publisher: the generation of its last message, and how many it has had of it.
    current: std::collections::BTreeMap<String, (u32, u32)>,
}

impl Reader {
    fn new(broker: &Broker) -> Self {
        let client = Client::enter(broker.addr(), Version::V5, "reader");
        let client = client.subscribed("#", QoS::AtLeastOnce);
        Self { client, audit: Audit::default(), current: Default::default() }
    }

    fn read(&mut self) {
        let message = self.client.message();
        let publisher = self.audit.take(&message);
        let topic = format!("stream/{publisher}");
        let generation = match message.topic.split_once('/') {
            Some((first @ ("v1" | "v2"), rest)) => {
                assert_eq!(rest, format!("eu/{topic}"));
                assert_eq!(message.property(GENERATION), None, "handled twice");
                first
            }
            Some((first @ ("v3" | "v4"), rest)) => {
                assert_eq!(rest, topic);
                assert_eq!(message.property(GENERATION), Some(&first[1..]));
                first
            }
            _ => panic!("not handled at all: {message:?}"),
        };
        let generation: u32 = generation[1..].parse().unwrap();
        let (before, count) = self.current.entry(publisher.clone()).or_insert((generation, 0));
        assert!(generation >= *before, "{publisher}: back from {before} to {generation}");
        if generation > *before {
            assert_eq!(generation, *before + 1, "{publisher}");
            (*before, *count) = (generation, 0);
        }
        *count += 1;
    }

    /// Reads until `publishers` have had many messages handled by this generation.
    fn read_until(&mut self, generation: u32, publishers: usize) {
        let enough = |reader: &Self| {
            let there =
                reader.current.values().filter(|(at, count)| *at == generation && *count > 200);
            there.count() == publishers
        };
        while !enough(self) {
            self.read();
        }
    }

    /// Reads some more of the same.
    fn read_more(&mut self, messages: u64) {
        let end = self.audit.total() + messages;
        while self.audit.total() < end {
            self.read();
        }
    }
}

#[test]
fn streams_go_on_across_new_configurations_and_a_new_component_and_switch_once() {
    let broker = broker("property_router", |path| router(path, "v1"));
    let path = broker.dir().join("transformer.wasm");
    let mut reader = Reader::new(&broker);
    let publishers: Vec<Publisher> = (0..4)
        .map(|number| {
            let name = format!("p{number}");
            let client = Client::enter(broker.addr(), Version::V5, &name);
            let topic = format!("stream/{name}");
            let property = Some(("region", "eu"));
            Publisher::start(client, &name, &topic, property, u64::MAX, reader.audit.lead())
        })
        .collect();
    reader.read_until(1, 4);

    // No signal: the file watcher sees it.
    broker.write_config(&transformed(&router(&path, "v2")));
    reader.read_until(2, 4);

    // Another component, which does not understand its configuration: everything goes on.
    let mark = broker.mark();
    broker.replace("transformer.wasm", &std::fs::read(component("tagger")).unwrap());
    broker.wait_for(mark, "init refused its configuration");
    reader.read_more(1000);

    // In place, as other editors do.
    std::fs::write(broker.config_path(), complete(&transformed(&tagger(&path, "3")))).unwrap();
    reader.read_until(3, 4);

    // Other bytes that do the same.
    let mark = broker.mark();
    broker.replace("transformer.wasm", &with_other_bytes("tagger"));
    broker.wait_for(mark, "reload applied");
    reader.read_more(1000);

    broker.write_config(&transformed(&tagger(&path, "4")));
    broker.hang_up();
    reader.read_until(4, 4);

    let sent: u64 = publishers.into_iter().map(|publisher| publisher.stop().1).sum();
    while reader.audit.total() < sent {
        reader.read();
    }
    reader.client.ping();
    assert_eq!(reader.audit.total(), sent);
}

#[test]
fn behaviour_04_a_client_that_was_connected_before_gets_a_new_hook_at_its_next_packet() {
    let broker = Broker::start(OPEN);
    let mut client =
        Client::enter(broker.addr(), Version::V5, "early").subscribed("#", QoS::AtLeastOnce);
    client.publish(&Outgoing::new("a", "1"));
    assert_eq!(client.message().property(GENERATION), None);
    broker.reload(&transformed(&tagger(&component("tagger"), "3")));
    client.publish(&Outgoing::new("a", "2"));
    assert_eq!(client.message().property(GENERATION), Some("3"));
    broker.reload(OPEN);
    client.publish(&Outgoing::new("a", "3"));
    assert_eq!(client.message().property(GENERATION), None);
}

#[test]
fn a_reload_without_a_change_says_so() {
    let broker = broker("tagger", |path| tagger(path, "3"));
    let mark = broker.mark();
    broker.hang_up();
    broker.wait_for(mark, "reload: SIGHUP");
    broker.wait_for(mark, "reload: nothing changed");

    // The watcher sees that the file was written, and then that it is the same.
    let mark = broker.mark();
    broker.replace("transformer.wasm", &std::fs::read(component("tagger")).unwrap());
    broker.wait_for(mark, "reload: files changed");
    broker.wait_for(mark, "reload: nothing changed");
}

#[test]
fn behaviour_11_a_bad_component_keeps_the_running_generation_and_says_why() {
    let file = |name: &str| component(name);
    let in_chain = |plugin: String| transformed(&plugin);
    let broken = tempfile::tempdir().unwrap();
    let cut = broken.path().join("cut.wasm");
    let bytes = std::fs::read(file("tagger")).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let text = broken.path().join("text.wasm");
    std::fs::write(&text, "#!/bin/sh\n").unwrap();
    let missing = broken.path().join("missing.wasm");
    let pinned = format!("sha256 = \"{}\"\n[plugin.config]\ntag = \"9\"", "07".repeat(32));
    let refusing = "[plugin.config]\non = \"init\"\ndo = \"refuse\"";
    let trapping = "[plugin.config]\non = \"init\"\ndo = \"trap\"";
    let with = |path: &std::path::Path, keys: &str| in_chain(plugin_at("transformer", path, keys));
    let cases = [
        (with(&cut, ""), "is not a valid component, perhaps cut short or corrupt"),
        (with(&text, ""), "is not WebAssembly"),
        (with(&missing, ""), "missing.wasm cannot be read"),
        (with(&file("bare"), ""), "does not export wasmqtt:plugin/lifecycle@0.1.0"),
        (with(&file("greedy"), ""), "imports `wasmqtt:plugin/sockets@0.1.0`"),
        (with(&file("hostile"), refusing), "hostile: told to refuse its configuration"),
        (with(&file("hostile"), trapping), "it cannot be started"),
        (with(&file("tagger"), "[plugin.config]\nteg = \"9\""), "unknown field `teg`"),
        (with(&file("tagger"), &pinned), "but the configuration pins 0707"),
        (
            with(
                &file("topic_acl"),
                "[plugin.config]\nrules = [{ effect = \"allow\", filter = \"#\" }]",
            ),
            "does not export wasmqtt:plugin/transformation@0.1.0",
        ),
    ];

    let broker = broker("tagger", |path| tagger(path, "3"));
    let mut client =
        Client::enter(broker.addr(), Version::V5, "early").subscribed("v3/#", QoS::AtLeastOnce);
    for (number, (config, why)) in cases.into_iter().enumerate() {
        let line = broker.refuse_reload(&config);
        let message = line.message();
        assert!(message.contains(why), "{why:?} is not in {message}");
        assert!(message.contains("plugin `transformer`"), "{message}");
        assert_eq!(line.level(), "ERROR");
        assert_eq!(client.publish(&Outgoing::new("a", why)), 0);
        assert_eq!(client.message().parts(), ("v3/a", why));
        Client::enter(broker.addr(), Version::V311, &format!("late{number}")).disconnect();
    }
}

#[test]
fn behaviour_11_a_bad_configuration_keeps_the_running_generation_and_every_mistake_is_told() {
    let broker = broker("tagger", |path| tagger(path, "3"));
    let mut client =
        Client::enter(broker.addr(), Version::V5, "early").subscribed("v3/#", QoS::AtLeastOnce);
    let config = "[limits]\nmax_conections = 5\nmax_packet_size = \"1 parsec\"\n\n[[listener]]\n\
                  name = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthorize = [\"topic-acl\"]\n";
    let message = broker.refuse_reload(config).message();
    let path = broker.config_path();
    for part in [
        "unknown key `max_conections`".to_owned(),
        "did you mean `max_connections`?".to_owned(),
        format!("{}:2:1", path.display()),
        "`1 parsec` is not a size".to_owned(),
        format!("{}:3:19", path.display()),
        "there is no plugin `topic-acl`".to_owned(),
        format!("{}:8:14", path.display()),
        "3 errors".to_owned(),
    ] {
        assert!(message.contains(&part), "{part:?} is not in {message}");
    }
    client.publish(&Outgoing::new("a", "still"));
    assert_eq!(client.message().parts(), ("v3/a", "still"));
    // What is right again is taken.
    let path = broker.dir().join("transformer.wasm");
    broker.reload(&transformed(&tagger(&path, "4")));
    client.subscribe("v4/#", QoS::AtLeastOnce);
    client.publish(&Outgoing::new("a", "again"));
    assert_eq!(client.message().parts(), ("v4/a", "again"));
}

#[test]
fn behaviour_12_overwriting_the_file_has_no_effect_until_a_reload_and_the_bytes_are_read_once() {
    let config = "[plugin.config]\non = \"publish\"\ndo = \"trap\"\nwhen = \"bad/\"";
    let broker = broker("hostile", |path| plugin_at("transformer", path, config));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let mark = broker.mark();
    broker.replace("transformer.wasm", b"garbage");
    broker.wait_for(mark, "reload refused");
    // The instance is lost, and its successor is made from what was read at the start.
    for _ in 0..2 {
        assert_eq!(client.publish(&Outgoing::new("bad/x", "")), 0x83);
        assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0x10);
    }
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let broker = Broker::start(OPEN);
    let denied = replaced(OPEN, "\"allow\"", "\"deny\"");
    let level = |level: &str| format!("{denied}[log]\nformat = \"json\"\nlevel = \"{level}\"\n");
    broker.reload(&level("debug"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let mark = broker.mark();
    assert_eq!(client.publish(&Outgoing::new("a", "")), 0x87);
    broker.wait_until(mark, |line| line.level() == "DEBUG", "a line of level DEBUG");

    broker.reload(&level("info"));
    let mark = broker.mark();
    assert_eq!(client.publish(&Outgoing::new("a", "")), 0x87);
    client.disconnect();
    broker.wait_for(mark, "client disconnected");
    assert!(broker.lines(mark).iter().all(|line| line.level() != "DEBUG"));
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let broker = Broker::start(&format!("{OPEN}{}", hostile("", "")));
    let mark = broker.mark();
    let addr = broker.addr();
    broker.reload(&format!(
        "{OPEN}{}[broker]\nworkers = 1\n",
        hostile("", "on = \"publish\"\ndo = \"discard\"")
    ));
    let line = broker.wait_for(mark, "only after a restart");
    assert!(line.holds("broker.workers"), "{line:?}");
    assert!(broker.wait_for(mark, "reload applied").holds("plugin.hostile.config"));
    Client::enter(addr, Version::V5, "c").disconnect();
}

#[test]
fn limits_of_a_listener_hold_for_new_connections_after_a_reload() {
    let broker = Broker::start(OPEN);
    let mut early = Client::enter(broker.addr(), Version::V5, "early");
    broker.reload(&format!("{OPEN}[limits]\nmax_packet_size = \"128B\"\n"));
    let large = Outgoing::new("a", vec![b'x'; 200]);
    assert_eq!(early.publish(&large), 0x10);
    let mut late = Client::enter(broker.addr(), Version::V5, "late");
    late.send_publish(&large);
    assert_eq!(late.end(), Some(0x95));
}

/// The demo configuration where alice may do nothing any more.
fn without_alice() -> String {
    replaced(
        &demo(),
        "filter = \"devices/${username}/#\"",
        "filter = \"devices/${username}/#\", users = [\"bob\"]",
    )
}

#[test]
fn a_right_that_is_taken_away_is_gone_at_the_next_packet_of_a_connected_client() {
    let broker = Broker::start(&demo());
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    let message = Outgoing::new("devices/alice/temp", "");
    // Asked often enough that the answer is one that the broker remembers.
    for _ in 0..100 {
        assert_eq!(alice.publish(&message), 0x10);
    }
    broker.reload(&without_alice());
    assert_eq!(alice.publish(&message), 0x87);
    assert_eq!(alice.subscribe("devices/alice/#", QoS::AtLeastOnce), 0x87);
    broker.reload(&demo());
    assert_eq!(alice.publish(&message), 0x10);
}

#[test]
fn a_right_that_is_taken_away_ends_the_subscriptions_that_were_held_by_it() {
    let broker = Broker::start(&demo());
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    assert_eq!(alice.subscribe("devices/alice/#", QoS::AtLeastOnce), 1);
    let mut bob = Client::log_in(broker.addr(), Version::V5, "bob");
    assert_eq!(bob.subscribe("devices/bob/#", QoS::AtLeastOnce), 1);
    let mark = broker.mark();
    broker.reload(&without_alice());
    let line = broker.wait_for(mark, "subscription is no longer allowed");
    assert_eq!(line.field("filter"), "devices/alice/#");
    // Bob's rights are what they were.
    bob.publish(&Outgoing::new("devices/bob/temp", "1"));
    assert_eq!(bob.message().topic, "devices/bob/temp");
    // What alice may do again she has to ask for again.
    broker.reload(&demo());
    assert_eq!(alice.publish(&Outgoing::new("devices/alice/temp", "1")), 0x10);
}

#[test]
fn a_will_is_judged_by_the_rules_of_the_day_on_which_it_is_published() {
    let broker = Broker::start(&demo());
    let mut connect = login(Version::V5, "alice", "secret");
    connect.will = Some(Will {
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: "devices/alice/will",
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties: MessageProperties::EMPTY,
    });
    for (rules, expected) in [(without_alice(), "marker"), (demo(), "will")] {
        let (alice, answer) = Client::connect(broker.addr(), &connect);
        assert_eq!(answer.code, 0);
        if rules != demo() {
            broker.reload(&rules);
        }
        let mark = broker.mark();
        alice.hang_up();
        broker.wait_for(mark, "connection lost");
        if rules != demo() {
            broker.reload(&demo());
        }
        // The will was to be retained.
        let mut late = Client::log_in(broker.addr(), Version::V5, "alice");
        assert_eq!(late.subscribe("devices/alice/#", QoS::AtLeastOnce), 1);
        assert_eq!(late.publish(&Outgoing::new("devices/alice/marker", "")), 0);
        assert_eq!(late.message().topic, format!("devices/alice/{expected}"));
        late.disconnect();
    }
}

#[test]
fn a_listener_that_begins_to_redirect_moves_its_clients_away_a_few_at_a_time() {
    let broker = Broker::start(OPEN);
    let start = Instant::now();
    let enter = |id: &str| Client::enter(broker.addr(), Version::V5, id);
    let mut clients: Vec<Client> = (0..30).map(|n| enter(&format!("c{n}"))).collect();
    let mut older = Client::enter(broker.addr(), Version::V311, "older");
    let mark = broker.mark();
    let redirect = "redirect = { to = \"b.example:1883\", permanent = true, move_within = \"2s\" }";
    broker.reload(&format!("{OPEN}{redirect}\n"));
    for client in &mut clients {
        let raw = client.receive();
        let Packet::Disconnect(told) = raw.packet() else { panic!("{:?}", raw.packet()) };
        assert_eq!(told.reason, ReasonCode::ServerMoved);
        assert_eq!(told.server_reference, Some("b.example:1883"));
        assert_eq!(client.end(), None);
    }
    assert_eq!(older.end(), None);
    broker.wait_for(mark, "all clients were told to go");
    assert!(start.elapsed() >= Duration::from_secs(2), "all at once");
}

#[test]
fn a_redirect_that_is_taken_back_stops_moving_clients() {
    let broker = Broker::start(OPEN);
    let mut clients: Vec<Client> =
        (0..5).map(|n| Client::enter(broker.addr(), Version::V5, &format!("c{n}"))).collect();
    let redirect = "redirect = { to = \"b.example:1883\", move_within = \"1h\" }";
    let mark = broker.mark();
    broker.reload(&format!("{OPEN}{redirect}\n"));
    broker.wait_for(mark, "moving clients");
    broker.reload(OPEN);
    // One was told at once. Whoever comes now is let in.
    let stayed = clients.iter_mut().filter(|client| !client.has_heard()).count();
    assert!(stayed >= 3, "{stayed}");
    Client::enter(broker.addr(), Version::V5, "late").ping();
}

#[test]
fn a_reload_does_not_wait_for_an_authenticator_that_thinks() {
    let broker = Broker::start(&slow_authenticator("50s", ""));
    let mut slow = Client::open(broker.addr(), Version::V5);
    slow.send(&connect_packet(&Connect::new(Version::V5, "slow")));
    // Nobody has that much patience.
    broker.reload(&demo());
    Client::log_in(broker.addr(), Version::V5, "alice").disconnect();
}

#[test]
fn old_generations_are_let_go_although_clients_stay() {
    let broker = broker("tagger", |path| tagger(path, "3"));
    let path = broker.dir().join("transformer.wasm");
    let mut clients: Vec<Client> =
        (0..20).map(|n| Client::enter(broker.addr(), Version::V5, &format!("c{n}"))).collect();
    let reload = |times: u32| {
        for number in 0..times {
            broker.reload(&transformed(&tagger(&path, if number % 2 == 0 { "4" } else { "3" })));
        }
    };
    reload(20);
    let before = broker.memory();
    reload(60);
    let grown = broker.memory().saturating_sub(before);
    assert!(grown < 32 << 20, "60 reloads left {} KiB behind", grown >> 10);
    clients.iter_mut().for_each(Client::ping);
}

#[test]
fn a_file_that_comes_into_an_included_directory_is_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    let config = format!("include = [\"conf.d/*.toml\"]\n{OPEN}");
    let broker = Broker::start_in(dir, &config);
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let mark = broker.mark();
    broker.replace("conf.d/limits.toml", b"[limits]\nmax_packet_size = \"128B\"\n");
    let line = broker.wait_for(mark, "reload applied");
    assert!(line.holds("limits.max_packet_size"), "{line:?}");
    let mark = broker.mark();
    broker.replace("conf.d/wrong.toml", b"[limits]\nmax_packet = 1\n");
    let line = broker.wait_for(mark, "reload refused");
    assert!(line.message().contains("wrong.toml:2:1"), "{}", line.message());
    client.ping();
    let mark = broker.mark();
    std::fs::remove_file(broker.dir().join("conf.d/wrong.toml")).unwrap();
    std::fs::remove_file(broker.dir().join("conf.d/limits.toml")).unwrap();
    broker.wait_for(mark, "reload applied");
}

#[test]
fn a_link_that_is_replaced_on_the_way_to_the_configuration_is_seen() {
    let dir = tempfile::tempdir().unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, dir.path().join("new")).unwrap();
        std::fs::rename(dir.path().join("new"), dir.path().join(name)).unwrap();
    };
    // As Kubernetes mounts a ConfigMap.
    for (version, config) in [("1", OPEN), ("2", &*format!("{OPEN}[limits]\nmax_inflight = 7\n"))] {
        std::fs::create_dir(dir.path().join(version)).unwrap();
        std::fs::write(dir.path().join(version).join("wasmqtt.toml"), complete(config)).unwrap();
    }
    link("1", "..data");
    link("..data/wasmqtt.toml", "wasmqtt.toml");
    let broker = Broker::start_at(dir);
    let mark = broker.mark();
    let again = broker.dir().join("new");
    std::os::unix::fs::symlink("2", &again).unwrap();
    std::fs::rename(again, broker.dir().join("..data")).unwrap();
    let line = broker.wait_for(mark, "reload applied");
    assert!(line.holds("limits.max_inflight"), "{line:?}");
}
