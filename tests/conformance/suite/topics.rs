//! Topic names and topic filters: what matches what.

use crate::harness::{BOTH, Broker, Client, Outgoing, Version, packet};

/// Whether a subscription to `filter` gets what is published to `topic`.
fn matches(client: &mut Client, filter: &str, topic: &str) -> bool {
    client.sub(filter, 0);
    client.send(&Outgoing::new(topic, "x", 0).bytes(client.version(), 0));
    client.send(&Outgoing::new("fence", "end", 0).bytes(client.version(), 0));
    let first = client.message();
    let matched = first.topic != "fence";
    if matched {
        assert_eq!((first.topic.as_str(), first.text()), (topic, "x"));
        assert_eq!(client.message().topic, "fence");
    }
    client.unsubscribe(&[filter]);
    matched
}

/// v5: 4.7.1-1, 4.7.1-2, 4.7.2-1, 3.3.2-3; v3: 4.7.1-2, 4.7.1-3, 4.7.2-1, 4.5.0-1, 3.3.2-3
#[test]
fn filters_match_as_the_specification_shows() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("fence", 0);
        for (filter, topic) in [
            ("sport/tennis/player1/#", "sport/tennis/player1"),
            ("sport/tennis/player1/#", "sport/tennis/player1/ranking"),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"),
            ("sport/#", "sport"),
            ("sport/tennis/+", "sport/tennis/player2"),
            ("sport/+", "sport/"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("+/tennis/#", "sport/tennis"),
            ("+/monitor/+", "a/monitor/b"),
            ("+", "x"),
            ("#", "/"),
            ("/#", "/"),
            ("+/+", "/"),
            ("/", "/"),
            ("a//b", "a//b"),
            ("a/+/b", "a//b"),
            ("+/$x", "a/$x"),
            ("$own/#", "$own/monitor/Clients"),
            ("$own/monitor/+", "$own/monitor/Clients"),
            ("a b/ c", "a b/ c"),
            ("Ä/ö/漢字/🦀", "Ä/ö/漢字/🦀"),
        ] {
            assert!(matches(&mut client, filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("sport/tennis/+", "sport/tennis/player1/ranking"),
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$own/x"),
            ("+/x", "$own/x"),
            ("+/monitor/Clients", "$own/monitor/Clients"),
            ("/+", "finance"),
            ("/finance", "finance"),
            ("finance/", "finance"),
            ("a/b", "a/b/"),
            ("a//b", "a/b"),
        ] {
            assert!(!matches(&mut client, filter, topic), "{filter} {topic}");
        }
    }
}

/// v5: 4.7.3-4; v3: 4.7.3-2, 4.7.3-4
#[test]
fn topics_are_compared_as_they_are() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("fence", 0);
        for (filter, topic) in [
            ("ACCOUNTS", "Accounts"),
            ("a ", "a"),
            // Composed and decomposed.
            ("\u{e9}", "e\u{301}"),
            ("a/./b", "a/b"),
            ("a%20b", "a b"),
            ("\u{feff}a", "a"),
        ] {
            assert!(!matches(&mut client, filter, topic), "{filter:?} {topic:?}");
            assert!(matches(&mut client, filter, filter), "{filter:?}");
            assert!(matches(&mut client, topic, topic), "{topic:?}");
        }
    }
}

/// v5: 4.7.1-1, 4.7.1-2; v3: 4.7.1-2, 4.7.1-3
#[test]
fn a_misplaced_wildcard_is_refused() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let bad = if version == Version::V5 { 0x8F } else { 0x80 };
        for filter in ["#/", "a/#/b", "a#", "#a", "a/b#", "##", "a+", "+a", "a/+b", "++", "a/b+/c"]
        {
            assert_eq!(client.subscribe(&[(filter, 0)], &[]), [bad], "{filter}");
        }
    }
}

/// v5: 4.7.3-2; v3: 4.7.3-2, 1.5.3-2
#[test]
fn a_topic_with_the_null_character_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [
            Outgoing::new("a\0b", "x", 0).bytes(version, 0),
            packet::subscribe(version, 1, &[("a\0b", 0)], &[]),
            packet::unsubscribe(version, 1, &["a\0b"]),
        ] {
            broker.client(version, "null").fault(&bytes, 0x81);
        }
    }
}

/// v5: 4.7.3-3; v3: 4.7.3-3
#[test]
fn a_topic_may_have_65535_bytes() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let long = "x".repeat(65_535);
        client.sub(&long, 1);
        client.say(&long, "long", 1);
        let message = client.message();
        assert_eq!((message.topic == long, message.text()), (true, "long"));
    }
}

/// v5: 4.7.2-1; v3: 4.7.2-1
#[test]
fn retained_messages_of_dollar_topics_are_hidden_from_wildcards() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.publish(&Outgoing::new("$own/x", "y", 1).retained());
        for filter in ["#", "+/#", "+/+", "+/x"] {
            client.sub(filter, 0);
        }
        client.hears_nothing();
        client.sub("$own/#", 0);
        assert_eq!(client.message().text(), "y");
    }
}

/// v3: 3.3.5-2
#[test]
fn nobody_but_the_broker_publishes_below_sys() {
    let broker = Broker::start();
    let mut watcher = broker.client(Version::V5, "watcher");
    watcher.sub("$SYS/mine/#", 0);
    for version in BOTH {
        let mut client = broker.client(version, "client");
        let code = client.publish(&Outgoing::new("$SYS/mine", "x", 1).retained());
        assert_eq!(code, if version == Version::V5 { 0x87 } else { 0 });
        watcher.hears_nothing();
    }
}
