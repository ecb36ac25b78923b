//! A plugin that misbehaves hurts nobody but those who ask it, and the operator reads why. What one can do on purpose,
//! kind by kind, is in `hostile.rs`.

use std::time::{Duration, Instant};

use wasmqtt_codec::{Connect, QoS, Version};

use crate::harness::broker::refuse_to_start;
use crate::harness::config::{LOSSLESS, OPEN, hostile, open_listener};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// A listener `mqtt` that asks the hostile guest in `chain`, and a listener `calm` that does not.
fn two_listeners(chain: &str, keys: &str, config: &str) -> String {
    let mqtt = open_listener("mqtt", &format!("{chain} = [\"hostile\"]"));
    let keys = format!("limits = {{ call = \"200ms\", authenticate = \"500ms\" }}\n{keys}");
    format!("{mqtt}{}{LOSSLESS}{}", open_listener("calm", ""), hostile(&keys, config))
}

fn misbehaving(chain: &str, keys: &str, on: &str, deed: &str) -> Broker {
    let config = format!("on = \"{on}\"\ndo = \"{deed}\"\nwhen = \"bad\"");
    Broker::start(&two_listeners(chain, keys, &config))
}

#[test]
fn a_publication_that_a_failing_transformer_was_asked_about_is_refused_or_passes_as_the_operator_says()
 {
    for deed in ["trap", "loop", "fail", "fail-forever"] {
        for (policy, code) in [("closed", 0x83), ("open", 0)] {
            let keys = format!("on_failure = \"{policy}\"");
            let broker = misbehaving("transform", &keys, "publish", deed);
            let mut client = Client::enter(broker.addr_of("mqtt"), Version::V5, "c")
                .subscribed("#", QoS::AtLeastOnce);
            let mark = broker.mark();
            assert_eq!(client.publish(&Outgoing::new("bad/x", deed)), code, "{deed} {policy}");
            broker.wait_for(mark, "gave no answer");
            if policy == "open" {
                assert_eq!(client.message().parts(), ("bad/x", deed));
            }
            assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0);
            assert_eq!(client.message().parts(), ("good/x", ""), "and nothing before");
        }
    }
}

#[test]
fn a_client_that_a_failing_authenticator_was_asked_about_is_refused_or_passes_as_the_operator_says()
{
    for deed in ["trap", "loop", "fail"] {
        for (policy, v5, v3) in [("closed", 0x88, 3), ("open", 0, 0)] {
            let keys = format!("on_failure = \"{policy}\"");
            let broker = misbehaving("authenticate", &keys, "authenticate", deed);
            let addr = broker.addr_of("mqtt");
            let mark = broker.mark();
            let (_, answer) = Client::connect(addr, &Connect::new(Version::V5, "bad-5"));
            assert_eq!(answer.code, v5, "{deed} {policy}");
            let (_, answer) = Client::connect(addr, &Connect::new(Version::V311, "bad-311"));
            assert_eq!(answer.code, v3, "{deed} {policy}");
            let line = broker.wait_for(mark, "gave no answer");
            assert_eq!(
                (line.field("plugin"), line.field("hook")),
                ("hostile".into(), "authenticate".into())
            );
            Client::enter(addr, Version::V5, "good").ping();
        }
    }
}

#[test]
fn a_request_that_a_failing_authorizer_was_asked_about_is_denied_or_left_to_the_default() {
    for (policy, publish, subscribe) in [("closed", 0x83, 0x83), ("open", 0x10, 1)] {
        let keys = format!("on_failure = \"{policy}\"");
        let broker = misbehaving("authorize", &keys, "authorize", "trap");
        let mut client = Client::enter(broker.addr_of("mqtt"), Version::V5, "c");
        let mark = broker.mark();
        assert_eq!(client.publish(&Outgoing::new("bad/x", "")), publish, "{policy}");
        assert_eq!(client.subscribe("bad/#", QoS::AtLeastOnce), subscribe, "{policy}");
        assert_eq!(broker.wait_for(mark, "gave no answer").field("hook"), "authorize");
        assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0x10);
    }
}

#[test]
fn a_delivery_that_a_failing_transformer_was_asked_about_is_skipped_for_that_subscriber_alone() {
    let broker = misbehaving("transform", "", "deliver", "trap");
    let mut asked = Client::enter(broker.addr_of("mqtt"), Version::V5, "asked")
        .subscribed("#", QoS::AtLeastOnce);
    let mut other = Client::enter(broker.addr_of("calm"), Version::V5, "other")
        .subscribed("#", QoS::AtLeastOnce);
    let mut publisher = Client::enter(broker.addr_of("calm"), Version::V5, "publisher");
    let mark = broker.mark();
    for topic in ["bad/x", "good/x"] {
        assert_eq!(publisher.publish(&Outgoing::new(topic, "")), 0);
        assert_eq!(other.message().topic, topic);
    }
    assert_eq!(asked.message().topic, "good/x", "and nothing before");
    assert_eq!(broker.wait_for(mark, "gave no answer").field("hook"), "on-deliver");
}

#[test]
fn a_plugin_that_loses_instance_after_instance_is_suspended_and_comes_back() {
    let broker = misbehaving("transform", "", "publish", "trap");
    let mut client = Client::enter(broker.addr_of("mqtt"), Version::V5, "c");
    let mut calm = Client::enter(broker.addr_of("calm"), Version::V5, "calm");
    let mark = broker.mark();
    let start = Instant::now();
    for _ in 0..5 {
        assert_eq!(client.publish(&Outgoing::new("bad/x", "")), 0x83);
    }
    loop {
        match client.publish(&Outgoing::new("good/x", "")) {
            0x10 => break,
            code => assert_eq!(code, 0x83),
        }
        assert_eq!(calm.publish(&Outgoing::new("good/x", "")), 0x10);
        assert!(start.elapsed() < PATIENCE, "it never came back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(start.elapsed() >= Duration::from_secs(1), "it was asked all the same");
    let line = broker.wait_for(mark, "lost too many instances");
    assert_eq!(line.field("plugin"), "hostile");
    for _ in 0..20 {
        assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0x10);
    }
}

#[test]
fn an_answer_that_the_contract_or_the_grants_do_not_allow_is_refused_whatever_the_policy() {
    let refused = |code: u8| code >= 0x80;
    for (deed, keys, expected) in [
        ("foreign-topic", "on_failure = \"open\"", 0x87),
        ("refuse-with-success", "", 0x83),
        ("refuse", "", 0x87),
        ("reject", "", 0x99),
        ("set-then-reject", "grants = { topics = [\"#\"] }", 0x87),
        ("set-then-trap", "grants = { topics = [\"#\"] }", 0x83),
    ] {
        let broker = misbehaving("transform", keys, "publish", deed);
        let mut client = Client::enter(broker.addr_of("mqtt"), Version::V5, "c")
            .subscribed("#", QoS::AtLeastOnce);
        let code = client.publish(&Outgoing::new("bad/x", ""));
        assert!(refused(code), "{deed}: {code:#x}");
        assert_eq!(code, expected, "{deed}: {code:#x}");
        assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0);
        assert_eq!(client.message().parts(), ("good/x", ""), "{deed}: and nothing before");
    }
}

#[test]
fn behaviour_20_setters_commit_together_or_not_at_all() {
    let keys = "on_failure = \"open\"\ngrants = { topics = [\"#\"] }";
    let broker = misbehaving("transform", keys, "publish", "set-then-trap");
    let mut client =
        Client::enter(broker.addr_of("mqtt"), Version::V5, "c").subscribed("#", QoS::AtLeastOnce);
    assert_eq!(client.publish(&Outgoing::new("bad/x", "as it was").property("a", "b")), 0);
    let message = client.message();
    assert_eq!(message.parts(), ("bad/x", "as it was"));
    assert_eq!(message.properties, [("a".to_owned(), "b".to_owned())]);
    assert!(!message.retain);
}

#[test]
fn behaviour_10_a_discarded_message_is_acknowledged_with_success_although_nobody_wanted_it() {
    let broker = misbehaving("transform", "", "publish", "discard");
    let mut client = Client::enter(broker.addr_of("mqtt"), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("bad/x", "")), 0);
    assert_eq!(client.publish(&Outgoing::new("good/x", "")), 0x10);
}

#[test]
fn an_authenticator_cannot_let_anybody_in_by_refusing_with_success() {
    let broker = misbehaving("authenticate", "", "authenticate", "refuse-with-success");
    let connect = Connect::new(Version::V5, "bad");
    let (_, answer) = Client::connect(broker.addr_of("mqtt"), &connect);
    assert!(answer.code >= 0x80, "{answer:?}");
    let connect = Connect::new(Version::V311, "bad");
    let (_, answer) = Client::connect(broker.addr_of("mqtt"), &connect);
    assert!((1..=5).contains(&answer.code), "{answer:?}");
}

#[test]
fn a_plugin_that_cannot_be_started_keeps_the_broker_from_starting_and_is_named() {
    for (deed, why) in [
        ("trap", "it cannot be started"),
        ("loop", "its start and init took longer than 5s"),
        ("allocate", "it cannot be started"),
        ("recurse", "it cannot be started"),
        ("refuse", "init refused its configuration: hostile: told to refuse"),
        ("garbage-registration", "the registration that init answered is wrong"),
    ] {
        let config = two_listeners("transform", "", &format!("on = \"init\"\ndo = \"{deed}\""));
        let told = refuse_to_start(&config);
        assert!(told.contains("plugin `hostile`") && told.contains(why), "{deed}: {told}");
        assert!(told.contains("wasmqtt.toml:"), "it says where: {told}");
    }
}

#[test]
fn behaviour_17_a_missing_component_is_a_start_up_error() {
    let config = format!("{OPEN}[[plugin]]\nname = \"acl\"\npath = \"no/such.wasm\"\n");
    let told = refuse_to_start(&config);
    assert!(told.contains("plugin `acl`") && told.contains("no/such.wasm"), "{told}");
    assert!(told.contains("wasmqtt.toml:"), "it says where: {told}");
}

#[test]
fn behaviour_17_a_misspelt_plugin_in_a_chain_is_a_start_up_error_and_never_an_open_door() {
    let listener = open_listener("mqtt", "authorize = [\"hostle\"]");
    let told = refuse_to_start(&(listener + &hostile("", "")));
    assert!(told.contains("there is no plugin `hostle`"), "{told}");
    assert!(told.contains("hostile"), "it names what there is: {told}");
    assert!(told.contains("wasmqtt.toml:6:14"), "{told}");
}

#[test]
fn a_plugin_without_the_export_of_its_chain_is_a_start_up_error() {
    let listener = open_listener("mqtt", "authorize = [\"tagger\"]");
    let plugin = crate::harness::config::plugin("tagger", "tagger", "[plugin.config]\ntag = \"1\"");
    let told = refuse_to_start(&(listener + &plugin));
    assert!(told.contains("does not export wasmqtt:plugin/authorization@0.1.0"), "{told}");
    assert!(told.contains("listener `mqtt`"), "{told}");
}

#[test]
fn three_mistakes_in_the_configuration_are_told_at_once() {
    let config = "[limits]\nmax_conections = 5\nmax_packet_size = \"1 parsec\"\n\n[[listener]]\n\
                  name = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthorize = [\"topic-acl\"]\n";
    let told = refuse_to_start(config);
    for part in [
        "wasmqtt.toml:2:1",
        "did you mean `max_connections`?",
        "wasmqtt.toml:3:19",
        "wasmqtt.toml:8:14",
        "there is no plugin `topic-acl`",
        "3 errors",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
}
