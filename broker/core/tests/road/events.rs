//! What is told to observers: each event once, in the order it happened.

use std::sync::Arc;

use wasmqtt_codec::{Connect, QoS, ReasonCode, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::connection::Departure;
use wasmqtt_core::judge::{Action, Actions, Effect, Permission, Permissions};
use wasmqtt_core::limits::{Overflow, Queue};
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::observe::{Event, Kind, Kinds, Subject};

use crate::wire::{Q0, Q1, Wire, clean, stored, will};

const ALL: [Kind; 12] = [
    Kind::ClientConnected,
    Kind::ClientRefused,
    Kind::ClientDisconnected,
    Kind::SessionCreated,
    Kind::SessionResumed,
    Kind::SessionEnded,
    Kind::Subscribed,
    Kind::SubscribeRefused,
    Kind::Unsubscribed,
    Kind::PublishRefused,
    Kind::MessageDropped,
    Kind::PluginReloaded,
];

fn observed() -> Wire {
    let mut wire = Wire::new();
    wire.lane.events.want(ALL.into_iter().collect());
    wire
}

fn taken(wire: &mut Wire) -> Vec<Event> {
    let batch = wire.lane.events.take();
    assert_eq!(batch.lost, 0);
    batch.events
}

/// Kind, client identifier, topic and code.
fn told(wire: &mut Wire) -> Vec<(Kind, String, String, Option<ReasonCode>)> {
    let id = |subject: &Subject| match subject {
        Subject::Client(client) => client.id.to_string(),
        Subject::Session { id, .. } => id.to_string(),
        Subject::Stranger { id, .. } => id.as_deref().unwrap_or("").to_owned(),
        Subject::Plugin(name) => name.to_string(),
    };
    let tell = |event: Event| {
        let topic = event.topic.as_deref().unwrap_or("").to_owned();
        (event.kind, id(&event.subject), topic, event.code)
    };
    taken(wire).into_iter().map(tell).collect()
}

fn kinds(wire: &mut Wire) -> Vec<Kind> {
    taken(wire).into_iter().map(|event| event.kind).collect()
}

#[test]
fn the_life_of_a_client_is_told_in_its_order() {
    let mut wire = observed();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().deny(Action::Subscribe, "no");
    wire.script().deny(Action::Publish, "secret");
    wire.subscribe(&mut client, "a/#", Q1);
    wire.subscribe(&mut client, "no", Q1);
    wire.publish(&mut client, "a/b", Q1, "nothing to tell");
    wire.publish(&mut client, "secret", Q1, "x");
    wire.unsubscribe(&mut client, &["a/#", "never/had"]);
    wire.leave(client);
    let denied = Some(ReasonCode::NotAuthorized);
    let told = told(&mut wire);
    let expected = [
        (Kind::ClientConnected, "", None),
        (Kind::SessionCreated, "", None),
        (Kind::Subscribed, "a/#", Some(ReasonCode::GrantedQoS1)),
        (Kind::SubscribeRefused, "no", denied),
        (Kind::PublishRefused, "secret", denied),
        (Kind::Unsubscribed, "a/#", Some(ReasonCode::Success)),
        (Kind::ClientDisconnected, "", Some(ReasonCode::Success)),
        (Kind::SessionEnded, "", None),
    ];
    assert_eq!(told, expected.map(|(kind, topic, code)| (kind, "c".into(), topic.into(), code)));
}

#[test]
fn a_stored_session_is_told_when_it_is_resumed_and_when_its_time_is_over() {
    let mut wire = observed();
    let client = wire.connect(&stored(Version::V5, "c"));
    wire.lose(client);
    assert_eq!(
        kinds(&mut wire),
        [Kind::ClientConnected, Kind::SessionCreated, Kind::ClientDisconnected]
    );
    let client = wire.connect(&Connect { clean_start: false, ..stored(Version::V5, "c") });
    wire.lose(client);
    assert_eq!(
        kinds(&mut wire),
        [Kind::ClientConnected, Kind::SessionResumed, Kind::ClientDisconnected]
    );
    wire.pass(u64::from(u32::MAX) * 1000);
    assert_eq!(kinds(&mut wire), [Kind::SessionEnded]);
}

#[test]
fn a_take_over_is_told_as_the_end_of_the_old_connection_before_the_new_one() {
    for (clean_start, expected) in [
        (false, vec![Kind::ClientDisconnected, Kind::ClientConnected, Kind::SessionResumed]),
        (
            true,
            vec![
                Kind::ClientDisconnected,
                Kind::SessionEnded,
                Kind::ClientConnected,
                Kind::SessionCreated,
            ],
        ),
    ] {
        let mut wire = observed();
        let mut old = wire.connect(&stored(Version::V5, "c"));
        taken(&mut wire);
        let new = wire.connect(&Connect { clean_start, ..stored(Version::V5, "c") });
        let events = taken(&mut wire);
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), expected);
        assert_eq!(events[0].code, Some(ReasonCode::SessionTakenOver));
        wire.pump(&mut old);
        assert!(old.closed.is_some());
        assert_eq!(kinds(&mut wire), [], "the old connection was told already");
        wire.lose(new);
    }
}

#[test]
fn whose_copy_found_no_room_is_told() {
    let mut wire = observed();
    let queue = Queue { messages: 1, overflow: Overflow::DropNewest, ..wire.limits.queue };
    wire.limits.queue = queue;
    let mut slow = wire.connect(&clean(Version::V5, "slow"));
    wire.subscribe(&mut slow, "a", Q1);
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    taken(&mut wire);
    for _ in 0..3 {
        wire.publish(&mut publisher, "a", Q1, "x");
    }
    let dropped =
        (Kind::MessageDropped, "slow".to_owned(), "a".to_owned(), Some(ReasonCode::QuotaExceeded));
    assert_eq!(told(&mut wire), [dropped.clone(), dropped]);
}

#[test]
fn a_refused_will_is_told_and_a_subscription_that_is_taken_away_too() {
    let mut wire = observed();
    let mut connect = clean(Version::V5, "c");
    connect.will = Some(will("secret", "x"));
    let mut client = wire.connect(&connect);
    wire.subscribe(&mut client, "a", Q0);
    taken(&mut wire);
    wire.script().deny(Action::Will, "secret");
    wire.script().deny(Action::Subscribe, "a");
    let (who, session) =
        (Arc::clone(client.connection.client()), Arc::clone(client.connection.session()));
    wire.broker.rejudge(&mut wire.lane, wire.now, &who, &session);
    wire.depart(&client, Departure::LOST);
    let denied = Some(ReasonCode::NotAuthorized);
    let expected = [
        (Kind::Unsubscribed, "a", denied),
        (Kind::ClientDisconnected, "", None),
        (Kind::SessionEnded, "", None),
        (Kind::PublishRefused, "secret", denied),
    ];
    assert_eq!(
        told(&mut wire),
        expected.map(|(kind, topic, code)| (kind, "c".into(), topic.into(), code))
    );
}

#[test]
fn nothing_is_told_when_nobody_wants_it() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "a/#", Q1);
    wire.leave(client);
    assert_eq!(kinds(&mut wire), []);
    wire.lane.events.want(Kinds::default().with(Kind::SessionEnded));
    let client = wire.connect(&clean(Version::V5, "c"));
    wire.leave(client);
    assert_eq!(kinds(&mut wire), [Kind::SessionEnded]);
}

/// A plugin that may publish below `granted`.
fn plugin() -> Arc<Client> {
    let granted = Permission {
        effect: Effect::Allow,
        filter: "granted/#".into(),
        actions: Actions { publish: true, ..Actions::default() },
        max_qos: None,
        retain: None,
    };
    Arc::new(Client {
        key: 0,
        id: "auditor".into(),
        name: None,
        listener: ListenerId::INTERNAL,
        version: Version::V5,
        transport: Transport::Internal,
        peer: "".into(),
        attributes: Box::default(),
        permissions: Permissions::resolve(&[granted], |_| None),
        message_expiry_max: 0,
        check_retained_source: false,
    })
}

fn own(topic: &str, qos: QoS, retain: bool) -> Message {
    let parts = Parts {
        topic,
        properties: Default::default(),
        payload: b"x",
        qos,
        retain,
        origin: Origin::Plugin,
        expires_at: None,
    };
    Message::new(parts, None).after(3)
}

#[test]
fn a_publication_from_inside_is_routed_and_retained_where_it_is_granted() {
    let mut wire = observed();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "granted/#", Q1);
    taken(&mut wire);
    let publisher = plugin();
    let message = own("granted/a", Q1, true);
    let published =
        wire.broker.publish_internal(&mut wire.lane, wire.now, &publisher, message).unwrap();
    assert_eq!(published.reason(), ReasonCode::Success);
    let got = wire.take(&mut client);
    assert_eq!((got[0].topic.as_str(), got[0].qos), ("granted/a", Q1));
    assert_eq!(wire.broker.retained(), 1);
    assert_eq!(wire.script().asked.iter().filter(|ask| ask.action == Action::Publish).count(), 0);
    assert_eq!(kinds(&mut wire), []);
}

#[test]
fn a_publication_from_inside_is_refused_where_nobody_allows_it() {
    let mut wire = observed();
    let publisher = plugin();
    wire.script().deny(Action::Publish, "elsewhere");
    for topic in ["elsewhere", "$SYS/x"] {
        let message = own(topic, Q0, false);
        let refusal = wire
            .broker
            .publish_internal(&mut wire.lane, wire.now, &publisher, message)
            .unwrap_err();
        assert_eq!(refusal.code, ReasonCode::NotAuthorized);
        let event = taken(&mut wire).remove(0);
        assert_eq!((event.kind, event.hops), (Kind::PublishRefused, 3), "{topic}");
    }
}
