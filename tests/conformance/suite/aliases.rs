//! Topic aliases, both ways.

use crate::harness::{Broker, Hello, Outgoing, Version, prop};

const V5: Version = Version::V5;

/// v5: 3.3.2-12, 3.2.2-17
#[test]
fn every_alias_up_to_the_maximum_stands_for_the_topic_it_was_set_to() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    let most = prop::two(&client.props, prop::TOPIC_ALIAS_MAXIMUM).expect("no aliases");
    client.sub("alias/#", 1);
    for round in ["first", "second"] {
        for alias in 1..=most {
            let topic = format!("alias/{round}/{alias}");
            for topic_sent in [topic.as_str(), "", ""] {
                let message = Outgoing::new(topic_sent, "x", 1).with(prop::topic_alias(alias));
                assert_eq!(client.publish(&message), 0);
                let message = client.message();
                assert_eq!(message.topic, topic);
                assert_eq!(prop::two(&message.props, prop::TOPIC_ALIAS), None);
            }
        }
    }
}

/// v5: 3.3.2-8, 3.3.2-9, 3.2.2-17
#[test]
fn an_alias_of_zero_or_beyond_the_maximum_is_invalid() {
    let broker = Broker::start();
    let most = prop::two(&broker.client(V5, "client").props, prop::TOPIC_ALIAS_MAXIMUM).unwrap();
    for (topic, alias) in [("a", 0), ("", 0), ("a", most + 1), ("", most + 1), ("a", 65_535)] {
        let message = Outgoing::new(topic, "x", 0).with(prop::topic_alias(alias));
        broker.client(V5, "client").fault(&message.bytes(V5, 0), 0x94);
    }
}

/// 3.3.2.3.4
#[test]
fn an_alias_that_was_never_set_is_a_protocol_error_without_a_topic() {
    let broker = Broker::start();
    for qos in 0..=2 {
        let message = Outgoing::new("", "x", qos).with(prop::topic_alias(1)).bytes(V5, 1);
        broker.client(V5, "client").fault(&message, 0x82);
    }
}

/// v5: 3.2.2-18
#[test]
fn where_aliases_are_not_allowed_every_alias_is_invalid() {
    let broker = Broker::with_limits("topic_alias_maximum = 0");
    let mut client = broker.client(V5, "client");
    assert!(matches!(prop::two(&client.props, prop::TOPIC_ALIAS_MAXIMUM), None | Some(0)));
    client.fault(&Outgoing::new("a", "x", 0).with(prop::topic_alias(1)).bytes(V5, 0), 0x94);
}

/// v5: 3.3.2-7
#[test]
fn aliases_end_with_the_connection() {
    let broker = Broker::start();
    let hello = Hello::resume(V5, "client", 60);
    let mut client = broker.connect(&hello);
    client.publish(&Outgoing::new("a", "x", 1).with(prop::topic_alias(1)));
    client.vanish();
    let mut client = broker.connect(&hello);
    client.fault(&Outgoing::new("", "x", 1).with(prop::topic_alias(1)).bytes(V5, 1), 0x82);
}

#[test]
fn an_alias_is_set_by_a_repeated_qos_2_publication_too() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("alias", 0);
    let message = Outgoing::new("alias", "x", 2);
    client.send(&message.bytes(V5, 1));
    client.pub_rec(1);
    client.send(&message.dup().with(prop::topic_alias(2)).bytes(V5, 1));
    client.pub_rec(1);
    client.send(&Outgoing::new("", "y", 0).with(prop::topic_alias(2)).bytes(V5, 0));
    assert_eq!(client.texts(2), ["x", "y"]);
}

/// v5: 3.1.2-26, 3.3.2-8, 3.3.2-11
#[test]
fn the_broker_sets_an_alias_with_the_topic_and_then_leaves_the_topic_out() {
    let broker = Broker::start();
    for most in [1, 3, 65_535] {
        let hello = Hello::new(V5, "client").with(prop::topic_alias_maximum(most));
        let mut client = broker.connect(&hello);
        client.sub("server/#", 2);
        let mut publisher = broker.client(V5, "publisher");
        for qos in 0..=2 {
            publisher.say("server/a", &qos.to_string(), qos);
        }
        let mut set = 0;
        for qos in 0..=2 {
            let message = client.message();
            assert_eq!(message.text(), qos.to_string());
            let alias = prop::two(&message.props, prop::TOPIC_ALIAS).expect("no alias");
            assert!((1..=most).contains(&alias));
            if qos == 0 {
                assert_eq!(message.topic, "server/a");
                set = alias;
            } else {
                assert_eq!((message.topic.as_str(), alias), ("", set));
            }
        }
    }
}

/// v5: 3.1.2-26, 3.3.2-11
#[test]
fn more_topics_than_aliases_are_told_apart() {
    let broker = Broker::start();
    let hello = Hello::new(V5, "client").with(prop::topic_alias_maximum(2));
    let mut client = broker.connect(&hello);
    client.sub("server/#", 1);
    let mut publisher = broker.client(V5, "publisher");
    let mut topics = std::collections::HashMap::new();
    for n in [1, 1, 2, 3, 3, 1, 2, 2, 4, 4, 1, 1, 5, 3] {
        let topic = format!("server/{n}");
        publisher.say(&topic, &topic, 1);
        let message = client.message();
        let alias = prop::two(&message.props, prop::TOPIC_ALIAS);
        assert!(alias.is_none_or(|alias| (1..=2).contains(&alias)), "{alias:?}");
        if let Some(alias) = alias.filter(|_| !message.topic.is_empty()) {
            topics.insert(alias, message.topic.clone());
        }
        let named =
            if message.topic.is_empty() { &topics[&alias.unwrap()] } else { &message.topic };
        assert_eq!(named, &topic);
        assert_eq!(message.text(), topic);
    }
}

/// v5: 3.1.2-27
#[test]
fn a_client_that_allows_no_aliases_gets_none() {
    let broker = Broker::start();
    let absent = Hello::new(V5, "client");
    for hello in [absent.clone(), absent.with(prop::topic_alias_maximum(0))] {
        let mut client = broker.connect(&hello);
        client.sub("server/a", 1);
        for _ in 0..3 {
            client.say("server/a", "x", 1);
            let message = client.message();
            assert_eq!((message.topic.as_str(), &message.props[..]), ("server/a", &[][..]));
        }
    }
}

/// v5: 3.3.2-7, 4.4.0-1
#[test]
fn what_is_sent_again_names_its_topic_on_the_new_connection() {
    let broker = Broker::start();
    let hello = Hello::resume(V5, "client", 60).with(prop::topic_alias_maximum(5));
    let mut client = broker.connect(&hello);
    client.sub("server/a", 1);
    let mut publisher = broker.client(V5, "publisher");
    (0..2).for_each(|n| publisher.say("server/a", &n.to_string(), 1));
    assert_eq!(client.unacknowledged().topic, "server/a");
    assert_eq!(client.unacknowledged().topic, "");
    client.vanish();
    let mut client = broker.connect(&hello);
    let again = client.message();
    assert_eq!((again.topic.as_str(), again.dup), ("server/a", true));
    client.message();
}
