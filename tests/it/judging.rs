//! Who may do what, and for how long a decision holds: what is remembered, what a revocation reaches, what a client
//! that insists costs.

use std::num::NonZeroU16;
use std::time::Instant;

use wasmqtt_codec::{Connect, MessageProperties, QoS, Version, Will};

use crate::harness::broker::{Mark, refuse_to_start};
use crate::harness::client::login;
use crate::harness::config::{LOSSLESS, open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// The guest that judges as it is told. Its log has room for every question.
fn warden(grants: &str, config: &str) -> String {
    let keys = format!(
        "limits = {{ call = \"1s\", authenticate = \"20s\", log_lines_per_second = 100000 }}\n\
         {grants}\n[plugin.config]\n{config}"
    );
    plugin("warden", "warden", &keys)
}

/// A broker where the warden judges everything.
fn judged(listener: &str, config: &str) -> Broker {
    let chains = format!("authorize = [\"warden\"]\ntransform = [\"warden\"]\n{listener}");
    let warden = warden("grants = { revocation = true }", config);
    Broker::start(&format!("{}{LOSSLESS}{warden}", open_listener("mqtt", &chains)))
}

/// One connection to each of the two workers: each has an instance of its own, which knows what it was told itself.
struct Control([Client; 2]);

impl Control {
    /// For a broker without any other connection: each goes to the worker that has the fewest.
    fn take(broker: &Broker) -> Self {
        let client = |id| {
            let (client, answer) = Client::connect(broker.addr(), &login(Version::V5, id, ""));
            assert_eq!(answer.code, 0);
            client
        };
        Self([client("control-0"), client("control-1")])
    }

    /// Tells both instances.
    fn tell(&mut self, command: &str, payload: &str) {
        for client in &mut self.0 {
            let message = Outgoing::new(&format!("control/{command}"), payload);
            assert_eq!(client.publish(&message), 0, "{command}");
        }
    }

    /// Revokes through one instance, and waits until it is carried out.
    fn revoke(&mut self, broker: &Broker, subject: &str) {
        let mark = broker.mark();
        let message = Outgoing::new(&format!("control/revoke/{subject}"), "");
        assert_eq!(self.0[0].publish(&message), 0);
        broker.wait_for(mark, "rights revoked by a plugin");
    }
}

/// How often the warden was asked about publications to this topic.
fn asked(broker: &Broker, since: Mark, topic: &str) -> usize {
    let question = format!("asked: Action::Publish {topic} of");
    broker.lines(since).iter().filter(|line| line.holds(&question)).count()
}

/// Logs in under this name and subscribes.
fn subscriber(broker: &Broker, name: &str, id: &str, filters: &[&str]) -> Client {
    let mut connect = login(Version::V5, name, "");
    connect.client_id = id;
    // What is not acknowledged keeps everything behind it waiting in the broker.
    connect.properties.receive_maximum = NonZeroU16::new(1);
    let (mut client, answer) = Client::connect(broker.addr(), &connect);
    assert_eq!(answer.code, 0);
    for filter in filters {
        assert_eq!(client.subscribe(filter, QoS::AtLeastOnce), 1, "{filter}");
    }
    client
}

#[test]
fn behaviour_06_a_revocation_reaches_live_subscriptions_queued_messages_and_publish_rights() {
    let broker = judged("", "reuse_ms = 3600000");
    let mut control = Control::take(&broker);
    let [mut alice, mut bob] = ["alice", "bob"].map(|name| {
        let filters = ["secret/x", "open/x"];
        let mut publisher = subscriber(&broker, name, &format!("{name}-publishes"), &[]);
        assert_eq!(publisher.publish(&Outgoing::new("secret/own", "")), 0x10);
        (publisher, subscriber(&broker, name, &format!("{name}-subscribes"), &filters))
    });
    // The first one is on its way to them; what comes behind it waits.
    for (topic, payload) in [("secret/x", "sent"), ("secret/x", "waiting"), ("open/x", "kept")] {
        assert_eq!(control.0[0].publish(&Outgoing::new(topic, payload)), 0);
    }
    for name in ["alice", "bob"] {
        control.tell(&format!("block/{name}-publishes"), "secret");
        control.tell(&format!("block/{name}-subscribes"), "secret");
    }
    let secret = Outgoing::new("secret/own", "");
    assert_eq!(alice.0.publish(&secret), 0x10, "what was decided holds until it is revoked");

    let mark = broker.mark();
    control.revoke(&broker, "username/alice");
    let line = broker.wait_for(mark, "subscription is no longer allowed");
    let told = (line.field("client_id"), line.field("filter"));
    assert_eq!(told, ("alice-subscribes".into(), "secret/x".into()));
    assert_eq!(alice.0.publish(&secret), 0x87);
    assert_eq!(alice.0.subscribe("secret/#", QoS::AtLeastOnce), 0x87);
    for (topic, payload) in [("secret/x", "later"), ("open/x", "end")] {
        assert_eq!(control.0[1].publish(&Outgoing::new(topic, payload)), 0);
    }
    assert_eq!(until_end(&mut alice.1), ["sent", "kept", "end"]);
    // Bob was not named.
    assert_eq!(until_end(&mut bob.1), ["sent", "waiting", "kept", "later", "end"]);
    assert_eq!(bob.0.publish(&secret), 0x10);

    control.revoke(&broker, "everyone");
    assert_eq!(bob.0.publish(&secret), 0x87);
}

/// Payloads of everything up to `end`.
fn until_end(client: &mut Client) -> Vec<String> {
    let mut got: Vec<String> = Vec::new();
    while got.last().is_none_or(|payload| payload != "end") {
        got.push(client.message().text().to_owned());
    }
    got
}

#[test]
fn behaviour_06_a_revocation_reaches_native_permissions_and_wills_of_sessions_that_are_away() {
    let broker = judged("authenticate = [\"warden\"]", "");
    let mut control = Control::take(&broker);
    let mut watcher = subscriber(&broker, "watcher", "watcher", &["native/+/will"]);
    let mut alice = subscriber(&broker, "alice", "alice", &["native/alice/#"]);
    let own = Outgoing::new("native/alice/x", "");
    for (id, delay) in [("carol", 1), ("erin", 3)] {
        let topic = format!("native/{id}/will");
        let mut connect = login(Version::V5, id, "");
        connect.properties.session_expiry_interval = Some(600);
        connect.will = Some(will(&topic, delay));
        let (client, answer) = Client::connect(broker.addr(), &connect);
        assert_eq!(answer.code, 0);
        let mark = broker.mark();
        client.hang_up();
        broker.wait_for(mark, "connection lost");
        control.tell(&format!("block/{id}"), "native");
        if id == "carol" {
            control.revoke(&broker, "username/carol");
        }
    }
    control.tell("block/alice", "native");
    assert_eq!(alice.publish(&own), 0, "its identity allows it, whatever the warden says");
    let mark = broker.mark();
    control.revoke(&broker, "username/alice");
    broker.wait_for(mark, "subscription is no longer allowed");
    assert_eq!(alice.publish(&own), 0x87);
    // That of carol would have come before.
    assert_eq!(watcher.message().topic, "native/erin/will");
    // A new login brings a new identity.
    let mut again = subscriber(&broker, "alice", "alice", &["native/alice/#"]);
    assert_eq!(again.publish(&own), 0);
}

fn will(topic: &str, delay_interval: u32) -> Will<'_> {
    Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        payload: b"gone",
        delay_interval,
        message_expiry_interval: None,
        properties: MessageProperties::EMPTY,
    }
}

#[test]
fn behaviour_06_a_plugin_that_may_disconnects_a_client_on_any_worker() {
    let broker = judged("", "");
    let mut control = Control::take(&broker);
    for version in [Version::V31, Version::V311, Version::V5] {
        // On both workers.
        for id in ["one", "two"] {
            let mut client = Client::enter(broker.addr(), version, id);
            let command = Outgoing::new(&format!("control/disconnect/{id}"), "no longer");
            assert_eq!(control.0[0].publish(&command), 0);
            assert_eq!(client.end(), (version == Version::V5).then_some(0x98));
            // Gone for the broker as well, once its turn is over.
            let start = Instant::now();
            while control.0[1].publish(&command) != 0x87 {
                assert!(start.elapsed() < PATIENCE, "{id} is still there");
            }
        }
    }
}

#[test]
fn behaviour_06_a_plugin_that_may_not_revoke_is_not_loaded_and_told_how_it_could() {
    let chains = "authorize = [\"warden\"]";
    for grants in ["", "grants = { revocation = false }"] {
        let told = refuse_to_start(&(open_listener("mqtt", chains) + &warden(grants, "")));
        for part in ["plugin `warden`", "wasmqtt:plugin/revocation@0.1.0", "revocation = true"] {
            assert!(told.contains(part), "{part:?} is not in {told}");
        }
    }
}

#[test]
fn behaviour_07_a_cached_allow_is_not_extended_by_use() {
    const REUSE: u64 = 2_000;
    let broker = judged("", &format!("reuse_ms = {REUSE}"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let (mark, start) = (broker.mark(), Instant::now());
    let mut published = 0;
    // It never pauses for as long as the answer holds.
    while asked(&broker, mark, "a") < 3 {
        assert!(start.elapsed() < PATIENCE, "it was not asked again: {published} messages");
        assert_eq!(client.publish(&Outgoing::new("a", "")), 0x10);
        published += 1;
    }
    // The broker counts in whole milliseconds.
    let held = (start.elapsed().as_millis() + 100) / u128::from(REUSE);
    let asked = asked(&broker, mark, "a") as u128;
    assert!(asked <= held + 1, "asked {asked} times while the answer held {held} times");
}

#[test]
fn behaviour_08_a_client_that_is_denied_1000_times_a_second_costs_few_guest_calls() {
    // Also where the plugin wants to be asked every time.
    for config in ["deny = [\"no\"]", "deny = [\"no\"]\nreuse_ms = 60000"] {
        let broker = judged("", config);
        let mut client = Client::enter(broker.addr(), Version::V5, "c");
        let (mark, start) = (broker.mark(), Instant::now());
        for _ in 0..3000 {
            assert_eq!(client.publish(&Outgoing::new("no", "")), 0x87);
        }
        let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
        // Whoever is allowed is asked about as ever.
        for _ in 0..5 {
            assert_eq!(client.publish(&Outgoing::new("yes", "")), 0x10);
        }
        broker.wait_for(mark, "asked: Action::Publish yes");
        let (no, most) = (asked(&broker, mark, "no"), 10 + seconds);
        assert!((1..=most).contains(&no), "{no} calls in {seconds} s");
    }
}

#[test]
fn behaviour_18_share_filters_reach_the_authorizer_without_the_prefix_and_with_the_group() {
    let broker = judged("", "deny = [\"secret/#\"]\ndeny_group = \"thieves\"");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    for (filter, code, question) in [
        ("$share/honest/a/+", 1, "a/+ of c in group honest"),
        ("$share/thieves/a/+", 0x87, "a/+ of c in group thieves"),
        ("a/+", 1, "a/+ of c in group -"),
        ("$share/honest/secret/#", 0x87, "secret/# of c in group honest"),
    ] {
        let mark = broker.mark();
        assert_eq!(client.subscribe(filter, QoS::AtLeastOnce), code, "{filter}");
        broker.wait_for(mark, &format!("asked: Action::Subscribe {question}"));
    }
    // In MQTT 3.1.1 likewise.
    let (mut old, _) = Client::connect(broker.addr(), &Connect::new(Version::V311, "o"));
    assert_eq!(old.subscribe("$share/thieves/a/+", QoS::AtLeastOnce), 0x80);
}
