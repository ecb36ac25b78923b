//! What a client leaves behind, and when.

use wasmqtt_codec::{
    Connect, ConnectProperties, Disconnect, Packet, ReasonCode, Subscription, Version, Will,
};
use wasmqtt_core::judge::{Action, Decision, Transformed};
use wasmqtt_core::message::{Changes, Origin};

use crate::wire::{Client, Q1, Q2, VERSIONS, Wire, clean, stored, will};

/// MQTT 5, with a session of so many seconds and a will that is so many seconds late.
fn late(id: &'static str, expiry: u32, delay: u32) -> Connect<'static> {
    let properties =
        ConnectProperties { session_expiry_interval: Some(expiry), ..ConnectProperties::default() };
    let will = Some(Will { delay_interval: delay, ..will("will", id) });
    Connect { clean_start: false, will, properties, ..Connect::new(Version::V5, id) }
}

fn watcher(wire: &mut Wire) -> Client {
    let mut watcher = wire.connect(&clean(Version::V5, "watcher"));
    wire.subscribe(&mut watcher, "#", Q2);
    watcher
}

#[test]
fn a_lost_connection_publishes_the_will_and_a_good_bye_does_not() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        let connect = Connect { will: Some(will("w", "gone")), ..clean(version, "c") };
        let client = wire.connect(&connect);
        wire.leave(client);
        assert!(wire.take(&mut watcher).is_empty());
        let client = wire.connect(&connect);
        wire.lose(client);
        let taken = wire.take(&mut watcher);
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].topic.as_str(), taken[0].payload.as_str()), ("w", "gone"));
        assert_eq!(taken[0].qos, Q1);
    }
}

#[test]
fn a_good_bye_may_ask_for_the_will() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let connect = Connect { will: Some(will("w", "gone")), ..clean(Version::V5, "c") };
    let mut client = wire.connect(&connect);
    let good_bye = Disconnect::new(ReasonCode::DisconnectWithWill);
    wire.send(&mut client, &Packet::Disconnect(good_bye));
    assert_eq!(wire.take_payloads(&mut watcher), ["gone"]);
}

#[test]
fn a_protocol_error_publishes_the_will() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        let connect = Connect { will: Some(will("w", "gone")), ..clean(version, "c") };
        let mut client = wire.connect(&connect);
        wire.send_bytes(&mut client, &[0x00, 0x00]);
        assert!(client.closed.is_some());
        assert_eq!(wire.take_payloads(&mut watcher), ["gone"]);
    }
}

#[test]
fn a_late_will_waits_for_its_time() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let client = wire.connect(&late("c", 100, 10));
    wire.lose(client);
    wire.pass(9_999);
    assert!(wire.take(&mut watcher).is_empty());
    wire.pass(1);
    assert_eq!(wire.take_payloads(&mut watcher), ["c"]);
    wire.pass(90_000);
    assert!(wire.take(&mut watcher).is_empty(), "once");
    assert!(wire.broker.session("c").is_none());
}

#[test]
fn the_end_of_the_session_cuts_the_delay_short() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let client = wire.connect(&late("c", 5, 10));
    wire.lose(client);
    wire.pass(4_999);
    assert!(wire.take(&mut watcher).is_empty());
    wire.pass(1);
    assert_eq!(wire.take_payloads(&mut watcher), ["c"]);
    let client = wire.connect(&late("d", 0, 10));
    wire.lose(client);
    assert_eq!(wire.take_payloads(&mut watcher), ["d"], "at once, when there is no session");
}

#[test]
fn coming_back_in_time_takes_a_late_will_away() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let client = wire.connect(&late("c", 100, 10));
    wire.lose(client);
    wire.pass(9_000);
    let client = wire.connect(&stored(Version::V5, "c"));
    assert!(client.welcome.session_present);
    wire.pass(60_000);
    wire.lose(client);
    wire.pass(60_000);
    assert!(wire.take(&mut watcher).is_empty());
}

#[test]
fn a_clean_start_ends_the_session_and_publishes_its_late_will() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let client = wire.connect(&late("c", 100, 10));
    wire.lose(client);
    wire.connect(&clean(Version::V5, "c"));
    assert_eq!(wire.take_payloads(&mut watcher), ["c"]);
}

#[test]
fn a_takeover_publishes_the_will_unless_it_is_late_and_the_session_goes_on() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    for (connect, expected) in
        [(late("a", 100, 0), vec!["a"]), (late("b", 100, 1), vec![]), (late("c", 0, 1), vec!["c"])]
    {
        let mut old = wire.connect(&connect);
        let new = wire.connect(&stored(Version::V5, connect.client_id));
        assert_eq!(wire.take_payloads(&mut watcher), expected);
        wire.pump(&mut old);
        assert!(old.closed.is_some());
        wire.leave(new);
        wire.pass(60_000);
        assert!(wire.take(&mut watcher).is_empty(), "never again");
    }
}

#[test]
fn a_will_that_is_not_allowed_refuses_the_connect_and_disturbs_nobody() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut before = wire.connect(&stored(version, "c"));
        wire.script().deny(Action::Will, "w");
        let connect = Connect { will: Some(will("w", "gone")), ..clean(version, "c") };
        let refused = wire.try_connect(&connect).err().unwrap();
        assert_eq!(refused.code, ReasonCode::NotAuthorized);
        assert!(wire.pump(&mut before).is_empty());
        assert_eq!(before.closed, None);
        let asked = wire.script().asked.pop().unwrap();
        assert_eq!((asked.action, asked.topic.as_str(), asked.qos), (Action::Will, "w", Q1));
    }
}

#[test]
fn a_will_to_the_brokers_own_topics_refuses_the_connect() {
    let mut wire = Wire::new();
    let connect = Connect { will: Some(will("$SYS/x", "x")), ..clean(Version::V5, "c") };
    assert_eq!(wire.try_connect(&connect).err().unwrap().code, ReasonCode::NotAuthorized);
    wire.limits.max_topic_levels = 2;
    let connect = Connect { will: Some(will("a/b/c", "x")), ..clean(Version::V5, "c") };
    assert_eq!(wire.try_connect(&connect).err().unwrap().code, ReasonCode::TopicNameInvalid);
    assert_eq!(wire.broker.sessions(), 0);
}

#[test]
fn a_will_that_is_no_longer_allowed_is_not_published() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        let connect = Connect { will: Some(will("w", "gone")), ..clean(version, "c") };
        let client = wire.connect(&connect);
        wire.script().deny(Action::Will, "w");
        wire.lose(client);
        assert!(wire.take(&mut watcher).is_empty());
        assert_eq!(wire.lane.counters.refused, 1);
    }
}

#[test]
fn a_will_is_transformed_like_any_message() {
    let mut wire = Wire::new();
    let mut watcher = watcher(&mut wire);
    let connect = Connect { will: Some(will("w", "gone")), ..clean(Version::V5, "c") };
    let client = wire.connect(&connect);
    wire.script().transform = Some(Box::new(|message, now| {
        assert_eq!(message.origin(), Origin::Will);
        assert_eq!(message.publisher().map(|client| &*client.id), Some("c"));
        let changes = Changes { topic: Some("moved".into()), ..Changes::default() };
        Transformed::Forward(message.with(&changes, now))
    }));
    wire.lose(client);
    assert_eq!(wire.take(&mut watcher)[0].topic, "moved");
}

#[test]
fn a_retained_will_is_there_for_who_comes_later() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let will = Will { retain: true, ..will("w", "gone") };
        let client = wire.connect(&Connect { will: Some(will), ..clean(version, "c") });
        wire.lose(client);
        let mut watcher = watcher(&mut wire);
        let taken = wire.take(&mut watcher);
        assert_eq!((taken.len(), taken[0].retain, taken[0].payload.as_str()), (1, true, "gone"));
    }
}

#[test]
fn the_life_of_a_will_begins_when_it_is_published() {
    let mut wire = Wire::new();
    let will = Will { message_expiry_interval: Some(30), ..will("w", "gone") };
    let client = wire.connect(&Connect { will: Some(will), ..clean(Version::V5, "c") });
    let mut watcher = watcher(&mut wire);
    wire.pass(600_000);
    wire.lose(client);
    wire.pass(10_000);
    assert_eq!(wire.take(&mut watcher)[0].expiry, Some(20));
}

#[test]
fn a_client_does_not_get_its_own_will_when_it_wants_nothing_of_its_own() {
    let mut wire = Wire::new();
    let connect = Connect { will: Some(will("w", "gone")), ..stored(Version::V5, "c") };
    let mut client = wire.connect(&connect);
    let no_local = Subscription { no_local: true, ..Subscription::new("w", Q1) };
    wire.subscribe_with(&mut client, no_local, None);
    wire.lose(client);
    let mut client = wire.connect(&connect);
    assert!(client.welcome.session_present);
    assert!(wire.take(&mut client).is_empty());
    wire.subscribe(&mut client, "w", Q1);
    wire.lose(client);
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(wire.take_payloads(&mut client), ["gone"]);
}

#[test]
fn a_will_that_nobody_can_judge_any_more_is_not_published_and_is_told_of() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    for is_known in [true, false] {
        let connect = Connect { will: Some(will("gone", "x")), ..clean(Version::V5, "c") };
        let client = wire.connect(&connect);
        wire.script().deny(Action::Will, "gone");
        wire.script().is_unknown = !is_known;
        wire.lose(client);
        assert!(wire.take(&mut reader).is_empty());
        assert_eq!(wire.lane.has_orphans(), !is_known);
        let orphans = wire.lane.take_orphans();
        let told: Vec<_> = orphans.iter().map(|(client, topic)| (&*client.id, &**topic)).collect();
        assert_eq!(told, if is_known { vec![] } else { vec![("c", "gone")] });
        assert!(!wire.lane.has_orphans());
        wire.script().answer(Action::Will, "gone", Decision::Allow);
        wire.script().is_unknown = false;
    }
}
