//! Shared subscriptions.

use std::collections::BTreeSet;

use crate::harness::{Broker, Client, Hello, Outgoing, Version, packet, prop};

const V5: Version = Version::V5;

fn member(broker: &Broker, id: &str, filter: &str, qos: u8) -> Client {
    let mut client = broker.connect(&Hello::resume(V5, id, 60));
    client.sub(filter, qos);
    client
}

/// v5: 4.8.2-1, 4.8.2-2
#[test]
fn a_shared_filter_needs_a_share_name_and_a_filter() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    for filter in [
        "$share/",
        "$share//",
        "$share//a",
        "$share/a",
        "$share/a/",
        "$share/a+/b",
        "$share/+/b",
        "$share/#/b",
        "$share/a#/b",
        "$share/#",
        "$share/a/b#",
        "$share/a/#/b",
    ] {
        assert_eq!(client.subscribe(&[(filter, 0)], &[]), [0x8F], "{filter}");
    }
    for filter in
        ["$share/a/b", "$share/a/#", "$share/a//", "$share/ä/$own/+", "$share/$share/$share/x"]
    {
        client.sub(filter, 1);
        assert_eq!(client.unsubscribe(&[filter]), [0]);
    }
}

/// v5: 3.8.3-4
#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let broker = Broker::start();
    let bytes = packet::subscribe(V5, 1, &[("$share/a/b", 0x04)], &[]);
    broker.client(V5, "client").fault(&bytes, 0x82);
}

#[test]
fn each_message_goes_to_one_member_of_each_group() {
    let broker = Broker::start();
    let mut members: Vec<Client> =
        (0..3).map(|n| member(&broker, &format!("m{n}"), "$share/group/shared/+", 1)).collect();
    let mut lone = member(&broker, "lone", "$share/other/shared/#", 1);
    let mut plain = member(&broker, "plain", "shared/a", 1);
    let mut publisher = broker.client(V5, "publisher");
    (0..30).for_each(|n| publisher.say("shared/a", &n.to_string(), 1));
    let all: BTreeSet<String> = (0..30).map(|n: u8| n.to_string()).collect();
    assert_eq!(BTreeSet::from_iter(lone.texts(30)), all);
    assert_eq!(BTreeSet::from_iter(plain.texts(30)), all);
    let mut seen = Vec::new();
    for member in &mut members {
        member.say("$own/end", "", 0);
        member.sub("end", 0);
        member.say("end", "end", 0);
        let before = seen.len();
        loop {
            let message = member.message();
            if message.topic == "end" {
                break;
            }
            seen.push(message.text().to_owned());
        }
        assert!(seen.len() > before, "a member had nothing");
    }
    assert_eq!((seen.len(), BTreeSet::from_iter(seen)), (30, all));
}

/// v5: 4.8.2-3
#[test]
fn the_granted_qos_of_the_member_counts() {
    let broker = Broker::start();
    let mut publisher = broker.client(V5, "publisher");
    for qos in 0..=2 {
        let mut client = member(&broker, "client", "$share/g/q", qos);
        for published in 0..=2 {
            publisher.say("q", "x", published);
            assert_eq!(client.message().qos, published.min(qos));
        }
        // Its acknowledgements have arrived: nothing is sent again to the next connection.
        client.ping();
    }
}

/// v5: 4.8.2-4
#[test]
fn a_delivery_that_has_begun_is_completed_when_the_member_is_back() {
    let broker = Broker::start();
    let mut one = member(&broker, "one", "$share/g/q", 2);
    let mut publisher = broker.client(V5, "publisher");
    publisher.say("q", "begun", 2);
    let before = one.unacknowledged();
    let mut two = member(&broker, "two", "$share/g/q", 2);
    one.vanish();
    let mut one = broker.connect(&Hello::resume(V5, "one", 60));
    let now = one.message();
    assert_eq!((now.id, now.dup, now.text()), (before.id, true, "begun"));
    two.hears_nothing();
}

/// v5: 4.8.2-5
#[test]
fn a_message_that_was_sent_to_a_member_ends_with_its_session() {
    let broker = Broker::start();
    let mut one = member(&broker, "one", "$share/g/q", 2);
    let mut publisher = broker.client(V5, "publisher");
    publisher.say("q", "begun", 2);
    one.unacknowledged();
    let mut two = member(&broker, "two", "$share/g/q", 2);
    broker.client(V5, "one").disconnect();
    assert_eq!(one.end(), Some(0x8E));
    two.hears_nothing();
}

/// v5: 4.8.2-6
#[test]
fn a_message_that_a_member_refuses_goes_to_nobody_else() {
    let broker = Broker::start();
    for (qos, first) in [(1, 0x40), (2, 0x50)] {
        let mut one = member(&broker, "one", "$share/g/q", qos);
        let mut publisher = broker.client(V5, "publisher");
        publisher.say("q", "refused", qos);
        let id = one.unacknowledged().id;
        let mut two = member(&broker, "two", "$share/g/q", qos);
        one.send(&packet::ack_with(first, id, 0x83));
        one.hears_nothing();
        two.hears_nothing();
        two.unsubscribe(&["$share/g/q"]);
    }
}

/// v5: 3.3.4-3, 3.3.4-5
#[test]
fn a_shared_subscription_stands_beside_an_ordinary_one_of_the_same_client() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.subscribe(&[("$share/g/q", 1)], &[prop::subscription_identifier(1)]);
    client.subscribe(&[("q", 1)], &[prop::subscription_identifier(2)]);
    client.say("q", "x", 1);
    let mut identifiers = [client.message().identifiers(), client.message().identifiers()];
    identifiers.sort_unstable();
    assert_eq!(identifiers, [[1], [2]]);
    client.hears_nothing();
    client.unsubscribe(&["q"]);
    client.say("q", "y", 1);
    assert_eq!(client.message().identifiers(), [1]);
}

#[test]
fn retained_messages_are_not_sent_to_shared_subscriptions() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.publish(&Outgoing::new("shared", "x", 1).retained());
    client.sub("$share/g/shared", 1);
    client.hears_nothing();
}

#[test]
fn members_that_are_away_get_what_nobody_else_can_take() {
    let broker = Broker::start();
    member(&broker, "away", "$share/g/q", 1).disconnect();
    let mut here = member(&broker, "here", "$share/g/q", 1);
    let mut publisher = broker.client(V5, "publisher");
    (0..10).for_each(|n| publisher.say("q", &n.to_string(), 1));
    assert_eq!(here.texts(10), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    here.disconnect();
    publisher.say("q", "later", 1);
    let mut texts = Vec::new();
    for id in ["away", "here"] {
        let mut client = broker.connect(&Hello::resume(V5, id, 60));
        client.sub("fence", 0);
        client.say("fence", "fence", 0);
        loop {
            match client.message() {
                message if message.topic == "fence" => break,
                message => texts.push(message.text().to_owned()),
            }
        }
    }
    assert_eq!(texts, ["later"]);
}
