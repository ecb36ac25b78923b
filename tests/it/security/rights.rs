//! Attacks on who may do what.

use wasmqtt_codec::{
    MessagePropertiesBuf, Packet, PacketId, Publish, PublishProperties, QoS, Version,
};

use crate::harness::client::login;
use crate::harness::config::{demo, open_listener, plugin, replaced};
use crate::harness::web::{Reply, Web};
use crate::harness::{Broker, Client, Outgoing};

/// The demo configuration with other rules.
fn ruled(rules: &str) -> String {
    let demo = demo();
    let (before, rest) = demo.split_once("rules = [").unwrap();
    let (_, after) = rest.split_once("\n]\n").unwrap();
    let config = format!("{before}reuse_ms = 0\nrules = [\n{rules}\n]\n{after}");
    replaced(&config, "transform = [\"property-router\"]\n", "")
}

/// Alice may do everything; bob is kept from what is secret.
const SECRET: &str = "{ effect = \"allow\", users = [\"alice\"], filter = \"#\" },\n\
                      { effect = \"deny\", filter = \"secret/#\" },\n\
                      { effect = \"allow\", filter = \"#\" },";

fn publish<'a>(topic: &'a str, properties: PublishProperties<'a>) -> Packet<'a> {
    Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        packet_id: PacketId::new(77),
        properties,
        payload: b"x",
    })
}

#[test]
fn s3_names_and_identifiers_with_wildcards_and_separators_widen_nothing() {
    let web = Web::serve(|_| Reply::json(r#"{"decision": "allow"}"#));
    let url = web.url();
    let authenticator = format!(
        "grants = {{ http = [\"{url}/\"] }}\nlimits = {{ call = \"1s\", authenticate = \"20s\" }}\n\
         [plugin.config]\nurl = \"{url}/login\"\n"
    );
    let rules = "[plugin.config]\nrules = [\n\
                 { effect = \"allow\", filter = \"devices/${username}/#\" },\n\
                 { effect = \"allow\", filter = \"clients/${client_id}/#\" },\n]\n";
    let broker = Broker::start(&format!(
        "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"http-auth\"]\n\
         authorize = [\"topic-acl\"]\n{}{}",
        plugin("http-auth", "http_auth", &authenticator),
        plugin("topic-acl", "topic_acl", rules),
    ));
    for name in ["+", "#", "alice/..", "alice/private", "+/+", "a+b", "/", "", "$share"] {
        let (mut client, answer) =
            Client::connect(broker.addr(), &login(Version::V5, name, "secret"));
        assert_eq!(answer.code, 0, "{name:?}");
        for topic in ["devices/alice/x", "devices/alice/private/x", "clients/alice/x"] {
            assert_eq!(client.publish(&Outgoing::new(topic, "")), 0x87, "{name:?} {topic}");
            assert_eq!(client.subscribe(topic, QoS::AtMostOnce), 0x87, "{name:?} {topic}");
        }
        for filter in ["devices/#", "devices/+/x", "devices/+/#", "clients/#", "clients/+/#", "#"] {
            assert_eq!(client.subscribe(filter, QoS::AtMostOnce), 0x87, "{name:?} {filter}");
        }
    }
    let (mut alice, _) = Client::connect(broker.addr(), &login(Version::V5, "alice", "secret"));
    assert_eq!(alice.subscribe("devices/alice/#", QoS::AtMostOnce), 0);
    assert_eq!(alice.publish(&Outgoing::new("devices/alice/x", "")), 0);
}

#[test]
fn s4_a_wide_subscription_shows_nothing_of_what_is_denied() {
    let broker = Broker::start(&ruled(SECRET));
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    for version in [Version::V311, Version::V5] {
        let denied = if version == Version::V5 { 0x87 } else { 0x80 };
        let mut bob = Client::log_in(broker.addr(), version, "bob");
        for filter in ["#", "+/+", "+/#", "+/a/#", "secret/a", "secret/#", "secret"] {
            assert_eq!(bob.subscribe(filter, QoS::AtMostOnce), denied, "{version} {filter}");
        }
        for filter in ["public/#", "secrets/#", "+", "/secret/a"] {
            let granted = bob.subscribe(filter, QoS::AtMostOnce);
            // One level may be that of `secret/#`, which is `secret`, too.
            assert_eq!(granted, if filter == "+" { denied } else { 0 }, "{version} {filter}");
        }
        alice.publish(&Outgoing::new("secret/a", "secret"));
        alice.publish(&Outgoing::new("public/a", "public"));
        assert_eq!(bob.message().text(), "public");
    }
    // Where the rule is about each delivery, the subscription is granted, and shows the rest.
    let filtered = SECRET.replace(
        "{ effect = \"deny\", filter",
        "{ effect = \"deny\", actions = [\"receive\", \"publish\"], filter",
    );
    broker.reload(&ruled(&filtered));
    let mut bob = Client::log_in(broker.addr(), Version::V5, "bob");
    alice.publish(&Outgoing::new("secret/a", "kept").retained());
    for filter in ["secret/a", "#", "+/+"] {
        assert_eq!(bob.subscribe(filter, QoS::AtMostOnce), 0, "{filter}");
    }
    alice.publish(&Outgoing::new("secret/a", "secret"));
    alice.publish(&Outgoing::new("public/a", "public"));
    assert_eq!(bob.message().text(), "public");
}

#[test]
fn s5_a_shared_subscription_is_judged_by_the_filter_behind_the_group() {
    let broker = Broker::start(&ruled(SECRET));
    let mut bob = Client::log_in(broker.addr(), Version::V5, "bob");
    for filter in ["$share/g/secret/#", "$share/g/#", "$share/secret/#", "$share/g/+/a"] {
        assert_eq!(bob.subscribe(filter, QoS::AtMostOnce), 0x87, "{filter}");
    }
    assert_eq!(bob.subscribe("$share/g/public/#", QoS::AtMostOnce), 0);
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    alice.publish(&Outgoing::new("secret/a", "secret"));
    alice.publish(&Outgoing::new("public/a", "public"));
    assert_eq!(bob.message().text(), "public");
}

#[test]
fn s7_an_alias_is_judged_as_the_topic_it_stands_for_each_time() {
    let rules = |users: &str| {
        ruled(&format!("{{ effect = \"allow\", users = [\"{users}\"], filter = \"#\" }},"))
    };
    let broker = Broker::start(&rules("alice"));
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    let alias = || PublishProperties {
        topic_alias: std::num::NonZero::new(1),
        ..PublishProperties::default()
    };
    let mut code = |topic: &str| {
        alice.send(&publish(topic, alias()));
        alice.puback().1
    };
    assert_eq!(code("devices/alice/x"), 0x10);
    assert_eq!(code(""), 0x10);
    broker.reload(&rules("bob"));
    assert_eq!(code(""), 0x87);
    assert_eq!(code("devices/alice/x"), 0x87);
    broker.reload(&rules("alice"));
    assert_eq!(code(""), 0x10);
}

#[test]
fn s8_what_a_publisher_retained_is_shown_for_as_long_as_it_may_publish_it() {
    let rules = |publisher: &str, listener: &str| {
        let config = ruled(&format!(
            "{{ effect = \"allow\", actions = [\"publish\"], users = [\"{publisher}\"], filter = \"#\" }},\n\
             {{ effect = \"allow\", users = [\"bob\"], filter = \"marker\" }},\n\
             {{ effect = \"allow\", actions = [\"subscribe\"], users = [\"bob\"], filter = \"#\" }},"
        ));
        config.replacen("name = \"mqtt\"\n", &format!("name = \"mqtt\"\n{listener}"), 1)
    };
    let broker = Broker::start(&rules("alice", ""));
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    assert_eq!(alice.publish(&Outgoing::new("a/kept", "kept").retained()), 0);
    let sees = |broker: &Broker| {
        let mut bob = Client::log_in(broker.addr(), Version::V5, "bob");
        assert_eq!(bob.subscribe("a/kept", QoS::AtMostOnce), 0);
        assert_eq!(bob.subscribe("marker", QoS::AtMostOnce), 0);
        assert_eq!(bob.publish(&Outgoing::new("marker", "")), 0);
        bob.message().topic == "a/kept"
    };
    assert!(sees(&broker));
    broker.reload(&rules("carol", ""));
    assert!(!sees(&broker), "she may not publish it any more");
    broker.reload(&rules("carol", "check_retained_source = false\n"));
    assert!(sees(&broker), "where the operator wants it so");
    broker.reload(&rules("alice", ""));
    assert!(sees(&broker), "it was not deleted");
}

#[test]
fn s15_topics_of_the_broker_are_for_the_broker_and_others_with_a_dollar_for_those_who_ask() {
    let broker = Broker::start(&open_listener("mqtt", ""));
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader");
    assert_eq!(reader.subscribe("#", QoS::AtLeastOnce), 1);
    assert_eq!(reader.subscribe("+/dynamic-security/v1", QoS::AtLeastOnce), 1);
    for version in [Version::V311, Version::V5] {
        let mut client = Client::enter(broker.addr(), version, "client");
        for topic in ["$SYS/broker/uptime", "$SYS", "$SYS/x/y"] {
            let code = client.publish(&Outgoing::new(topic, "forged").retained());
            assert_eq!(code, if version == Version::V5 { 0x87 } else { 0 }, "{topic}");
        }
        // There is nothing behind it, and nobody who asks for everything sees it [MQTT-4.7.2-1].
        let control = Outgoing::new("$CONTROL/dynamic-security/v1", "forged");
        assert_eq!(client.publish(&control), if version == Version::V5 { 0x10 } else { 0 });
        client.publish(&Outgoing::new("marker", "marker"));
        assert_eq!(reader.message().topic, "marker");
    }
    let mut late = Client::enter(broker.addr(), Version::V5, "late");
    assert_eq!(late.subscribe("$SYS/x/y", QoS::AtMostOnce), 0);
    assert_eq!(late.subscribe("$SYS", QoS::AtMostOnce), 0);
    assert_eq!(late.subscribe("$SYS/broker/version", QoS::AtMostOnce), 0);
    assert_eq!(late.message().topic, "$SYS/broker/version", "and nothing that was forged");
}

#[test]
fn s16_a_response_topic_gives_nobody_a_right_to_publish_there() {
    let broker = Broker::start(&ruled(SECRET));
    let mut bob = Client::log_in(broker.addr(), Version::V5, "bob");
    assert_eq!(bob.subscribe("requests", QoS::AtMostOnce), 0);
    let mut alice = Client::log_in(broker.addr(), Version::V5, "alice");
    alice.subscribe("secret/#", QoS::AtMostOnce);
    let mut properties = MessagePropertiesBuf::new();
    properties.set_response_topic(Some("secret/answers")).unwrap();
    let message = properties.as_view();
    alice.send(&publish("requests", PublishProperties { message, ..PublishProperties::default() }));
    assert_eq!(alice.puback().1, 0);
    let raw = bob.receive();
    let Packet::Publish(request) = raw.packet() else { panic!("{:?}", raw.packet()) };
    let topic = request.properties.message.response_topic().unwrap();
    assert_eq!(topic, "secret/answers");
    assert_eq!(bob.publish(&Outgoing::new(topic, "answer")), 0x87);
    alice.ping();
    alice.publish(&Outgoing::new("secret/own", "own"));
    assert_eq!(alice.message().text(), "own", "and nothing before");
}
