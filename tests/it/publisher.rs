//! Messages that plugins publish: from where they may, to where they may, and on which road.

use std::collections::BTreeSet;
use std::time::Instant;

use wasmqtt_codec::{Connect, MessageProperties, QoS, Version, Will};

use crate::harness::broker::{Mark, refuse_to_start};
use crate::harness::client::Message;
use crate::harness::config::{LOSSLESS, OPEN, hostile, open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// The guest that publishes when it is called, as the plugin `name`.
pub(crate) fn herald(name: &str, keys: &str, config: &str) -> String {
    let granted = if keys.contains("grants") { "" } else { "grants = { publish = [\"#\"] }\n" };
    plugin(name, "herald", &format!("{granted}{keys}\n[plugin.config]\n{config}"))
}

fn everything(broker: &Broker) -> Client {
    Client::enter(broker.addr(), Version::V5, "reader").subscribed("#", QoS::ExactlyOnce)
}

/// A reader of everything, for tests in which the order between a message and what a plugin publishes because of it is
/// not promised: another worker may route the one and the other.
struct Reader {
    client: Client,
    put_aside: Vec<Message>,
}

impl Reader {
    fn enter(broker: &Broker) -> Self {
        Self { client: everything(broker), put_aside: Vec::new() }
    }

    /// The next message on this topic; others are put aside until they are asked for.
    fn on(&mut self, topic: &str) -> Message {
        if let Some(found) = self.put_aside.iter().position(|message| message.topic == topic) {
            return self.put_aside.remove(found);
        }
        loop {
            let message = self.client.message();
            if message.topic == topic {
                return message;
            }
            self.put_aside.push(message);
        }
    }
}

#[test]
fn behaviour_03_wills_and_plugin_publications_pass_the_chain() {
    let listener = open_listener("mqtt", "transform = [\"herald\", \"witness\", \"tagger\"]");
    let herald_config =
        "on = [\"publish\"]\nfilters = [\"in/#\"]\ntopic = \"out/x\"\nqos = 2\nretain = true";
    let config = [
        listener,
        herald("herald", "", herald_config),
        herald("witness", "", "on = []\nfilters = [\"out/#\"]\ntopic = \"no/where\""),
        plugin("tagger", "tagger", "[plugin.config]\ntag = \"7\""),
    ];
    let broker = Broker::start(&config.concat());
    let mut reader = Reader::enter(&broker);

    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("in/a", "x")), 0);
    let sent = reader.on("in/a");
    assert_eq!(
        (sent.property("origin"), sent.property("generation")),
        (Some("client/c"), Some("7"))
    );
    let own = reader.on("out/x");
    assert_eq!((own.text(), own.qos), ("publish in/a", QoS::ExactlyOnce));
    assert_eq!(own.property("from"), Some("herald"), "its own properties");
    assert_eq!(own.property("origin"), Some("plugin/none"), "as transformers see it");
    assert_eq!(own.property("generation"), Some("7"), "the last of the chain saw it, too");
    let mut late = Client::enter(broker.addr(), Version::V5, "late");
    late.subscribe("out/#", QoS::AtLeastOnce);
    let stored = late.message();
    assert_eq!((stored.text(), stored.retain), ("publish in/a", true));
    assert_eq!(stored.property("generation"), Some("7"), "what is retained went through the chain");

    let mut connect = Connect::new(Version::V5, "w");
    connect.will = Some(Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "in/will",
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties: MessageProperties::EMPTY,
    });
    Client::connect(broker.addr(), &connect).0.hang_up();
    let will = reader.on("in/will");
    assert_eq!((will.property("origin"), will.property("generation")), (Some("will/w"), Some("7")));
    let own = reader.on("out/x");
    assert_eq!((own.text(), own.property("generation")), ("publish in/will", Some("7")));
}

#[test]
fn a_plugins_message_passes_the_transformers_of_every_listener_and_may_be_rejected_there() {
    let config = [
        open_listener("mqtt", "transform = [\"herald\"]"),
        open_listener("other", "transform = [\"hostile\"]"),
        herald("herald", "", "on = [\"publish\"]\nfilters = [\"in/#\"]\ntopic = \"bad/x\""),
        hostile("", "on = \"publish\"\ndo = \"reject\"\nwhen = \"bad/\""),
    ];
    let broker = Broker::start(&config.concat());
    let mut reader = everything(&broker);
    assert_eq!(reader.publish(&Outgoing::new("bad/x", "by itself")), 0, "not on this listener");
    assert_eq!(reader.message().text(), "by itself");
    for _ in 0..3 {
        assert_eq!(reader.publish(&Outgoing::new("in/a", "")), 0);
        assert_eq!(reader.message().topic, "in/a", "and nothing of the plugin before");
    }
}

/// The endless amplification of P7.
#[test]
fn behaviour_15_a_plugin_that_publishes_into_its_own_topic_filter_comes_to_an_end() {
    for copies in [1, 2] {
        let listener = open_listener("mqtt", "transform = [\"herald\"]");
        let loops = format!(
            "on = [\"publish\"]\nfilters = [\"loop/#\"]\ntopic = \"loop/x\"\ncopies = {copies}"
        );
        // With one worker, a message is routed before what plugins publish because of it.
        let config =
            ["[broker]\nworkers = 1\n", LOSSLESS, &listener, &herald("herald", "", &loops)];
        let broker = Broker::start(&config.concat());
        let mut reader = everything(&broker);
        let mark = broker.mark();
        let mut client = Client::enter(broker.addr(), Version::V5, "c");
        assert_eq!(client.publish(&Outgoing::new("loop/a", "x")), 0);
        assert_eq!(reader.message().topic, "loop/a");
        let expected: usize = (1..=4).map(|hop| usize::pow(copies, hop)).sum();
        for _ in 0..expected {
            assert_eq!(reader.message().topic, "loop/x");
        }
        let line = broker.wait_for(mark, "publish to `loop/x`: it would be hop 5");
        assert_eq!(line.field("plugin"), "herald");
        assert_eq!(client.publish(&Outgoing::new("after", "x")), 0);
        assert_eq!(reader.message().topic, "after", "and nothing before");
        assert_eq!(client.publish(&Outgoing::new("loop/b", "x")), 0, "the next one begins anew");
        assert_eq!(reader.message().topic, "loop/b");
        assert_eq!(reader.message().topic, "loop/x");
    }
}

#[test]
fn every_call_but_init_may_publish() {
    let listener = open_listener(
        "mqtt",
        "authenticate = [\"herald\"]\nauthorize = [\"herald\"]\ntransform = [\"herald\"]",
    );
    let config = "on = [\"init\", \"authenticate\", \"authorize\", \"publish\", \"deliver\", \"tick\", \
                  \"events\"]\nfilters = [\"in/#\"]\ntopic = \"out/x\"\ntick = 50";
    let observed = "[broker]\nworkers = 2\nobserve = [\"herald\"]\n";
    let broker =
        Broker::start(&[observed, LOSSLESS, &listener, &herald("herald", "", config)].concat());
    broker.wait_for(Mark::START, "init cannot publish");
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("out/#", QoS::AtLeastOnce)
        .subscribed("in/#", QoS::AtLeastOnce);
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("in/a", "")), 0);
    let mut missing: BTreeSet<&str> = [
        "authenticate c",
        "authorize c in/a",
        "publish in/a",
        "deliver reader in/a",
        "tick ",
        "client-connected c",
    ]
    .into();
    let start = Instant::now();
    while !missing.is_empty() {
        let message = reader.message();
        missing.retain(|begin| !message.text().starts_with(begin));
        assert!(start.elapsed() < PATIENCE, "never: {missing:?}");
    }
}

#[test]
fn what_waits_of_one_plugin_is_bounded_and_the_plugin_is_told() {
    // On the one worker that routes, nothing is routed while the plugin runs.
    let workers = "[broker]\nworkers = 1\n";
    let listener = open_listener("mqtt", "transform = [\"herald\"]");
    let keys = "limits = { call = \"5s\", queued_publications = 10 }";
    let config =
        "on = [\"publish\"]\nfilters = [\"in/#\"]\ntopic = \"out/x\"\ncopies = 50\nqos = 1";
    let broker = Broker::start(&[workers, &listener, &herald("herald", keys, config)].concat());
    let mut reader = everything(&broker);
    let mark = broker.mark();
    for round in 0..2 {
        assert_eq!(reader.publish(&Outgoing::new("in/a", "")), 0);
        assert_eq!(reader.message().topic, "in/a");
        for _ in 0..10 {
            assert_eq!(reader.message().topic, "out/x", "round {round}");
        }
        assert_eq!(reader.publish(&Outgoing::new("after", "")), 0);
        assert_eq!(reader.message().topic, "after", "and nothing before");
    }
    broker.wait_for(mark, "10 of its publications wait already");
}

#[test]
fn a_plugin_publishes_only_where_it_is_granted() {
    let listener = open_listener("mqtt", "transform = [\"herald\"]");
    let config = "on = [\"publish\"]\nfilters = [\"in/#\"]\ntopic = \"out/x\"";
    let keys = "grants = { publish = [\"elsewhere/#\"] }";
    let broker = Broker::start(&(listener + &herald("herald", keys, config)));
    let mut reader = everything(&broker);
    let mark = broker.mark();
    assert_eq!(reader.publish(&Outgoing::new("in/a", "")), 0);
    assert_eq!(reader.message().topic, "in/a");
    broker.wait_for(mark, "publish to `out/x`: outside of its grants");
    assert_eq!(reader.publish(&Outgoing::new("after", "")), 0);
    assert_eq!(reader.message().topic, "after", "and nothing before");
}

#[test]
fn a_plugin_that_wants_to_publish_and_may_nowhere_is_not_loaded() {
    let listener = open_listener("mqtt", "transform = [\"herald\"]");
    let keys = "grants = { topics = [\"#\"] }";
    let config = "on = []\ntopic = \"out/x\"";
    let told = refuse_to_start(&(listener + &herald("herald", keys, config)));
    assert!(told.contains("imports `wasmqtt:plugin/publisher@0.1.0`"), "{told}");
    assert!(told.contains("grants = { publish = [\"TOPIC/FILTER\"] }"), "{told}");
}

#[test]
fn a_name_that_is_not_a_plugin_cannot_observe() {
    let broker = "[broker]\nobserve = [\"herold\"]\n";
    let config = herald("herald", "", "on = [\"events\"]\ntopic = \"x\"");
    let told = refuse_to_start(&[broker, OPEN, &config].concat());
    assert!(told.contains("wasmqtt.toml:2:12"), "{told}");
    assert!(told.contains("`broker.observe`: there is no plugin `herold`"), "{told}");
    assert!(told.contains("herald"), "it names what there is: {told}");
}

#[test]
fn a_plugin_without_the_export_cannot_observe() {
    let broker = "[broker]\nobserve = [\"tagger\"]\n";
    let config = plugin("tagger", "tagger", "[plugin.config]\ntag = \"1\"");
    let told = refuse_to_start(&[broker, OPEN, &config].concat());
    assert!(told.contains("does not export wasmqtt:plugin/observation@0.1.0"), "{told}");
    assert!(told.contains("plugin `tagger`"), "{told}");
}
