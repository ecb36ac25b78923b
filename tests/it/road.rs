//! The demo configuration from one end to the other: who enters, who may do what, and where messages go.

use wasmqtt_codec::{Connect, MessageProperties, MessagePropertiesBuf, QoS, Version, Will};

use crate::harness::client::login;
use crate::harness::config::{demo, open_listener, plugin, replaced};
use crate::harness::{Broker, Client, Outgoing};

const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// bob, who sees what the router moves.
fn bob(broker: &Broker) -> Client {
    Client::log_in(broker.addr(), Version::V5, "bob").subscribed("routed/#", QoS::AtLeastOnce)
}

fn alice(broker: &Broker) -> Client {
    Client::log_in(broker.addr(), Version::V5, "alice")
}

fn in_europe(topic: &str, payload: &str) -> Outgoing {
    Outgoing::new(topic, payload).property("region", "eu")
}

#[test]
fn a_message_with_the_property_is_routed_and_one_without_stays_where_it_is() {
    let broker = Broker::start(&demo());
    let mut alice = alice(&broker).subscribed("devices/alice/#", QoS::AtLeastOnce);
    let mut bob = bob(&broker);
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "21.5")), 0);
    let message = bob.message();
    assert_eq!(message.parts(), ("routed/eu/devices/alice/temp", "21.5"));
    assert_eq!(message.property("region"), Some("eu"));

    assert_eq!(alice.publish(&Outgoing::new("devices/alice/temp", "22")), 0);
    assert_eq!(alice.message().parts(), ("devices/alice/temp", "22"), "and nothing before");
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "23")), 0);
    assert_eq!(bob.message().parts(), ("routed/eu/devices/alice/temp", "23"), "and nothing before");
}

#[test]
fn every_qos_takes_the_road_and_older_subscribers_see_it_too() {
    let broker = Broker::start(&demo());
    let mut alice = alice(&broker);
    for version in VERSIONS {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let mut bob = Client::log_in(broker.addr(), version, "bob").subscribed("routed/#", qos);
            assert_eq!(alice.publish(&in_europe("devices/alice/temp", "1").qos(qos)), 0);
            let message = bob.message();
            assert_eq!(message.parts(), ("routed/eu/devices/alice/temp", "1"));
            assert_eq!(message.qos, qos);
            bob.disconnect();
        }
    }
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let broker = Broker::start(&demo());
    for version in VERSIONS {
        let expected = if version == Version::V5 { 0x86 } else { 4 };
        for (username, password) in [("alice", "wrong"), ("alice", ""), ("eve", "secret")] {
            let connect = login(version, username, password);
            let (mut client, answer) = Client::connect(broker.addr(), &connect);
            assert_eq!(answer.code, expected, "{username} {password} {version}");
            assert_eq!(client.end(), None, "the connection is closed behind CONNACK");
        }
    }
}

#[test]
fn who_does_not_say_who_it_is_is_refused() {
    let broker = Broker::start(&demo());
    for version in VERSIONS {
        let expected = if version == Version::V5 { 0x87 } else { 5 };
        let (mut client, answer) = Client::connect(broker.addr(), &Connect::new(version, "nobody"));
        assert_eq!(answer.code, expected, "{version}");
        assert_eq!(client.end(), None);
    }
}

#[test]
fn behaviour_09_a_denied_subscription_is_refused_visibly() {
    let broker = Broker::start(&demo());
    for version in VERSIONS {
        let refused = if version == Version::V5 { 0x87 } else { 0x80 };
        let mut alice = Client::log_in(broker.addr(), version, "alice");
        for filter in ["devices/bob/#", "devices/+/temp", "#", "+/alice/temp", "routed/#"] {
            assert_eq!(alice.subscribe(filter, QoS::AtLeastOnce), refused, "{filter} {version}");
        }
        let filters = ["devices/alice/#", "#", "devices/alice/temp"];
        assert_eq!(alice.subscribe_all(&filters, QoS::AtLeastOnce), [1, refused, 1], "{version}");
        alice.disconnect();
    }
}

#[test]
fn behaviour_09_a_denied_publication_reaches_nobody_5_0_is_told_and_3_x_acknowledged() {
    let broker = Broker::start(&demo());
    let mut bob = Client::log_in(broker.addr(), Version::V5, "bob")
        .subscribed("devices/bob/#", QoS::AtLeastOnce);
    for version in VERSIONS {
        let told = if version == Version::V5 { 0x87 } else { 0 };
        let mut alice = Client::log_in(broker.addr(), version, "alice");
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let code = alice.publish(&Outgoing::new("devices/bob/temp", "foreign").qos(qos));
            let told = if qos == QoS::AtMostOnce { 0 } else { told };
            assert_eq!(code, told, "{version} {qos:?}");
        }
        alice.ping();
        assert_eq!(bob.publish(&Outgoing::new("devices/bob/marker", "own")), 0);
        assert_eq!(bob.message().parts(), ("devices/bob/marker", "own"), "and nothing before");
        alice.disconnect();
    }
}

#[test]
fn behaviour_09_where_the_listener_wants_it_a_denied_publication_ends_a_3_x_connection() {
    let config = replaced(
        &demo(),
        "name = \"mqtt\"\n",
        "name = \"mqtt\"\non_denied_publish = \"disconnect\"\n",
    );
    let broker = Broker::start(&config);
    for version in [Version::V31, Version::V311] {
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce] {
            let mut alice = Client::log_in(broker.addr(), version, "alice");
            alice.send_publish(&Outgoing::new("devices/bob/temp", "foreign").qos(qos));
            assert_eq!(alice.end(), None);
        }
    }
    // 5.0 can be told, and is.
    let mut alice = alice(&broker);
    assert_eq!(alice.publish(&Outgoing::new("devices/bob/temp", "foreign")), 0x87);
    alice.ping();
}

#[test]
fn a_property_that_would_widen_the_topic_is_rejected() {
    let broker = Broker::start(&demo());
    let (mut alice, mut bob) = (alice(&broker), bob(&broker));
    for region in ["+", "#", "eu/west", "", "a+b"] {
        let message = Outgoing::new("devices/alice/temp", "x").property("region", region);
        assert_eq!(alice.publish(&message), 0x90, "{region:?}");
    }
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "1")), 0);
    assert_eq!(bob.message().text(), "1", "and nothing before");
}

#[test]
fn a_will_on_a_foreign_topic_refuses_the_connect() {
    let broker = Broker::start(&demo());
    for version in VERSIONS {
        let expected = if version == Version::V5 { 0x87 } else { 5 };
        let mut connect = login(version, "alice", "secret");
        connect.will = Some(will("devices/bob/will", MessageProperties::EMPTY));
        let (mut client, answer) = Client::connect(broker.addr(), &connect);
        assert_eq!(answer.code, expected, "{version}");
        assert_eq!(client.end(), None);
    }
}

fn will<'a>(topic: &'a str, properties: MessageProperties<'a>) -> Will<'a> {
    Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties,
    }
}

#[test]
fn a_will_takes_the_same_road_as_a_publication() {
    let broker = Broker::start(&demo());
    let mut bob = bob(&broker);
    let mut properties = MessagePropertiesBuf::new();
    properties.add_user_property("region", "eu").unwrap();
    let mut connect = login(Version::V5, "alice", "secret");
    connect.will = Some(will("devices/alice/will", properties.as_view()));
    let (alice, answer) = Client::connect(broker.addr(), &connect);
    assert_eq!(answer.code, 0);
    alice.hang_up();
    let message = bob.message();
    assert_eq!(message.parts(), ("routed/eu/devices/alice/will", "gone"));
    assert_eq!(message.property("region"), Some("eu"));
}

#[test]
fn behaviour_01_a_rewrite_to_a_topic_outside_the_grant_is_refused() {
    let listener = open_listener("all", "");
    let config = replaced(&demo(), "topic = \"routed/${value}", "topic = \"elsewhere/${value}");
    let broker = Broker::start(&(config + &listener));
    let mut everything = Client::enter(broker.addr_of("all"), Version::V5, "everything")
        .subscribed("#", QoS::AtLeastOnce);
    let mut alice = Client::log_in(broker.addr_of("mqtt"), Version::V5, "alice");
    let mark = broker.mark();
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "21.5")), 0x87);
    let line = broker.wait_for(mark, "outside its grants");
    assert_eq!(line.field("plugin"), "property-router");
    assert!(line.message().contains("`elsewhere/eu/devices/alice/temp`"), "{}", line.message());
    assert_eq!(alice.publish(&Outgoing::new("devices/alice/temp", "22")), 0);
    assert_eq!(everything.message().parts(), ("devices/alice/temp", "22"), "and nothing before");
}

#[test]
fn behaviour_02_the_retained_store_holds_the_transformed_message() {
    let broker = Broker::start(&demo());
    let mut alice = alice(&broker);
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "21.5").retained()), 0);
    let message = bob(&broker).message();
    assert_eq!(message.parts(), ("routed/eu/devices/alice/temp", "21.5"));
    assert!(message.retain);

    assert_eq!(alice.subscribe("devices/alice/#", QoS::AtLeastOnce), 1);
    alice.publish(&Outgoing::new("devices/alice/marker", "marker"));
    assert_eq!(alice.message().parts(), ("devices/alice/marker", "marker"), "and nothing before");

    // An empty payload clears it where it is.
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "").retained()), 0);
    let mut bob = bob(&broker);
    assert_eq!(alice.publish(&in_europe("devices/alice/temp", "now")), 0);
    assert_eq!(bob.message().text(), "now", "and nothing before");
}

#[test]
fn a_session_belongs_to_the_name_that_made_it() {
    let broker = Broker::start(&demo());
    let mut alice = alice(&broker);
    let mut connect = login(Version::V5, "bob", "secret");
    connect.client_id = "alice";
    let (mut bob, answer) = Client::connect(broker.addr(), &connect);
    assert_eq!(answer.code, 0x87);
    assert_eq!(bob.end(), None);
    alice.ping();
}

#[test]
fn nobody_but_the_broker_publishes_to_its_own_topics() {
    let broker = Broker::start(&open_listener("mqtt", ""));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.publish(&Outgoing::new("$SYS/broker/uptime", "0")), 0x87);
    assert_eq!(
        client.publish(&Outgoing::new("$SYSTEM", "0")),
        0x10,
        "nobody wants it, that is all"
    );
}

#[test]
fn behaviour_18_a_shared_subscription_is_judged_by_its_filter_and_each_message_goes_to_one_of_the_group()
 {
    let broker = Broker::start(&demo());
    let mut members: Vec<Client> = ["one", "two", "three"]
        .into_iter()
        .map(|id| {
            let mut connect = login(Version::V5, "alice", "secret");
            connect.client_id = id;
            let (mut client, answer) = Client::connect(broker.addr(), &connect);
            assert_eq!(answer.code, 0);
            assert_eq!(client.subscribe("$share/group/devices/bob/#", QoS::AtLeastOnce), 0x87);
            client.subscribed("$share/group/devices/alice/#", QoS::AtLeastOnce)
        })
        .collect();
    let mut alice = alice(&broker);
    for number in 0..30 {
        assert_eq!(alice.publish(&Outgoing::new("devices/alice/temp", number.to_string())), 0);
    }
    // A message to everybody comes behind all others.
    for member in &mut members {
        assert_eq!(member.subscribe("devices/alice/end", QoS::AtLeastOnce), 1);
    }
    alice.publish(&Outgoing::new("devices/alice/end", "end"));
    let mut arrived = Vec::new();
    for member in &mut members {
        let mut own = Vec::new();
        loop {
            let message = member.message();
            if message.text() == "end" {
                break;
            }
            own.push(message.text().parse::<u32>().unwrap());
        }
        assert!(!own.is_empty(), "everybody takes part");
        assert!(own.is_sorted(), "{own:?}");
        arrived.extend(own);
    }
    arrived.sort_unstable();
    assert_eq!(arrived, (0..30).collect::<Vec<_>>());
}

#[test]
fn behaviour_14_an_allow_list_and_a_block_list_combine_in_either_order() {
    let acl = |name: &str, rules: &str| {
        plugin(name, "topic_acl", &format!("[plugin.config]\nrules = [{rules}]"))
    };
    let plugins = acl("allow", "{ effect = \"allow\", filter = \"a/#\" }")
        + &acl("block", "{ effect = \"deny\", filter = \"+/secret/#\" }");
    // The first answer counts: whoever blocks goes first.
    for (order, secret) in [("\"block\", \"allow\"", 0x87), ("\"allow\", \"block\"", 0x10)] {
        let listener = open_listener("mqtt", &format!("authorize = [{order}]"));
        let broker = Broker::start(&(replaced(&listener, "\"allow\"\n", "\"deny\"\n") + &plugins));
        let mut client = Client::enter(broker.addr(), Version::V5, "c");
        for (topic, code) in
            [("a/b", 0x10), ("a/secret/x", secret), ("b/secret/x", 0x87), ("b/c", 0x87)]
        {
            assert_eq!(client.publish(&Outgoing::new(topic, "")), code, "{order} {topic}");
        }
    }
}
