//! Retained messages.

use crate::harness::{BOTH, Broker, Outgoing, Version, prop};

/// v5: 3.3.1-5, 3.3.1-9; v3: 3.3.1-5, 3.3.1-6, 3.3.1-8
#[test]
fn the_last_retained_message_is_sent_to_new_subscriptions_with_the_flag() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for (text, qos) in [("old", 1), ("new", 2)] {
            client.publish(&Outgoing::new("retained", text, qos).retained());
        }
        client.sub("retained", 2);
        let message = client.message();
        assert_eq!((message.text(), message.qos, message.retain), ("new", 2, true));
        client.hears_nothing();
    }
}

/// v5: 3.8.4-8; v3: 3.3.1-5
#[test]
fn a_retained_message_is_sent_with_the_lower_qos_of_both() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for published in 0..=2 {
            client.publish(&Outgoing::new("qos", "x", published).retained());
            for wanted in 0..=2 {
                client.sub("qos", wanted);
                let message = client.message();
                assert_eq!((message.qos, message.retain), (published.min(wanted), true));
                client.unsubscribe(&["qos"]);
            }
        }
    }
}

/// v5: 3.3.1-6, 3.3.1-7; v3: 3.3.1-10, 3.3.1-11
#[test]
fn an_empty_retained_message_is_delivered_and_removes_the_one_before() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.publish(&Outgoing::new("gone", "x", 1).retained());
        client.sub("gone", 1);
        assert_eq!(client.message().text(), "x");
        client.publish(&Outgoing::new("gone", "", 1).retained());
        let message = client.message();
        assert_eq!((message.text(), message.retain), ("", false));
        client.sub("gone", 1);
        client.hears_nothing();
    }
}

/// v5: 3.3.1-8; v3: 3.3.1-12
#[test]
fn a_message_without_the_flag_neither_stores_nor_removes() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.publish(&Outgoing::new("kept", "first", 1).retained());
        client.say("kept", "second", 1);
        client.say("kept", "", 1);
        client.say("unkept", "x", 1);
        client.sub("kept", 0);
        client.sub("unkept", 0);
        assert_eq!(client.message().text(), "first");
        client.hears_nothing();
        client.publish(&Outgoing::new("kept", "", 1).retained());
    }
}

/// v5: 3.3.1-5; v3: 3.3.1-7
#[test]
fn a_retained_message_with_qos_0_replaces_the_one_before() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.publish(&Outgoing::new("zero", "1", 1).retained());
        client.publish(&Outgoing::new("zero", "0", 0).retained());
        client.sub("zero", 2);
        let message = client.message();
        assert_eq!((message.text(), message.qos), ("0", 0));
        client.hears_nothing();
    }
}

/// v5: 3.3.1-12; v3: 3.3.1-9
#[test]
fn the_flag_is_cleared_for_established_subscriptions() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("live", 1);
        client.publish(&Outgoing::new("live", "x", 1).retained());
        assert!(!client.message().retain);
        client.publish(&Outgoing::new("live", "", 1).retained());
    }
}

/// v5: 3.3.1-13
#[test]
fn retain_as_published_keeps_the_flag() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    client.sub("live", 1 | 0x08);
    client.publish(&Outgoing::new("live", "x", 1).retained());
    assert!(client.message().retain);
    client.say("live", "y", 1);
    assert!(!client.message().retain);
}

/// v5: 3.3.1-9, 3.3.1-10, 3.3.1-11, 3.8.4-4
#[test]
fn retain_handling_says_which_subscriptions_get_retained_messages() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    for topic in ["handling/a", "handling/b"] {
        client.publish(&Outgoing::new(topic, topic, 1).retained());
    }
    let both = |client: &mut crate::harness::Client| {
        let mut texts = client.texts(2);
        texts.sort();
        assert_eq!(texts, ["handling/a", "handling/b"]);
    };
    client.sub("handling/+", 1 | 0x20);
    client.hears_nothing();
    client.sub("handling/+", 1 | 0x10);
    client.hears_nothing();
    client.sub("handling/+", 1);
    both(&mut client);
    client.sub("handling/+", 1);
    both(&mut client);
    client.unsubscribe(&["handling/+"]);
    client.sub("handling/+", 1 | 0x10);
    both(&mut client);
    client.sub("handling/+", 1 | 0x10);
    client.hears_nothing();
}

/// v5: 3.3.1-9; v3: 3.3.1-6
#[test]
fn wildcards_get_every_retained_message_that_matches() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "publisher");
    for topic in ["TopicA", "TopicA/B", "Topic/C", "TopicA/B/D", "/TopicA", "$own/A"] {
        client.publish(&Outgoing::new(topic, "x", 1).retained());
    }
    for version in BOTH {
        let mut client = broker.client(version, "client");
        for (filter, mut topics) in [
            ("#", vec!["TopicA", "TopicA/B", "Topic/C", "TopicA/B/D", "/TopicA"]),
            ("+", vec!["TopicA"]),
            ("+/+", vec!["TopicA/B", "Topic/C", "/TopicA"]),
            ("TopicA/#", vec!["TopicA", "TopicA/B", "TopicA/B/D"]),
            ("TopicA/+", vec!["TopicA/B"]),
            ("TopicA/+/D", vec!["TopicA/B/D"]),
            ("/+", vec!["/TopicA"]),
            ("/#", vec!["/TopicA"]),
            ("$own/+", vec!["$own/A"]),
        ] {
            client.sub(filter, 1);
            let mut got: Vec<_> = (0..topics.len()).map(|_| client.message().topic).collect();
            got.sort();
            topics.sort_unstable();
            assert_eq!(got, topics, "{filter}");
            client.hears_nothing();
            client.unsubscribe(&[filter]);
        }
    }
}

#[test]
fn retained_messages_keep_their_properties() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    let props = [prop::content_type("text"), prop::user("a", "1"), prop::user("a", "2")];
    let message = props.iter().cloned().fold(Outgoing::new("props", "x", 1), Outgoing::with);
    client.publish(&message.retained());
    client.subscribe(&[("props", 1)], &[prop::subscription_identifier(9)]);
    let message = client.message();
    assert_eq!(message.identifiers(), [9]);
    assert!(props.iter().all(|prop| message.props.contains(prop)), "{:?}", message.props);
}

/// v5: 3.3.2-5, 3.3.2-6
#[test]
fn a_retained_message_that_has_expired_is_not_sent() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V5, "client");
    for (topic, seconds) in [("expiry/short", 1), ("expiry/long", 100)] {
        let message = Outgoing::new(topic, "x", 1).with(prop::message_expiry(seconds));
        client.publish(&message.retained());
    }
    std::thread::sleep(std::time::Duration::from_millis(2100));
    client.sub("expiry/+", 1);
    let message = client.message();
    assert_eq!(message.topic, "expiry/long");
    let left = prop::four(&message.props, prop::MESSAGE_EXPIRY).unwrap();
    assert!((1..=98).contains(&left), "{left}");
    client.hears_nothing();
}
