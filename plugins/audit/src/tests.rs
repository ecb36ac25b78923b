//! What the plugin publishes, without a broker.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use serde_json::{Value, json};
use wasmqtt_plugin::test::{init, set_clock, set_publisher_room, take_published};
use wasmqtt_plugin::{Event, EventKind, Observation, Qos};

use crate::Audit;

fn audit(config: &str) -> Audit {
    set_clock(Duration::from_millis(0x18f));
    init::<Audit>(config).unwrap().0
}

fn refused(config: &str) -> String {
    init::<Audit>(config).err().unwrap()
}

fn connected() -> Event {
    Event {
        at: 1_700_000_000_123,
        client_id: Some("sensor-7".into()),
        username: Some("hall".into()),
        peer: Some("192.0.2.1:51000".into()),
        ..Event::new(EventKind::ClientConnected)
    }
}

fn parsed(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}

#[test]
fn an_event_becomes_a_cloud_event() {
    let mut audit = audit(r#"{"source": "/brokers/1"}"#);
    audit.on_events(&[connected()], 0);
    let published = take_published();
    let [only] = published.as_slice() else { panic!("{published:?}") };
    assert_eq!(only.topic, "audit/client-connected");
    assert_eq!(only.content_type.as_deref(), Some("application/cloudevents+json"));
    assert_eq!((only.qos, only.retain), (Qos::AtLeastOnce, false));
    assert_eq!(
        parsed(&only.payload),
        json!({
            "specversion": "1.0",
            "id": "18f-1",
            "source": "/brokers/1",
            "type": "wasmqtt.client-connected",
            "subject": "sensor-7",
            "time": "2023-11-14T22:13:20.123Z",
            "datacontenttype": "application/json",
            "data": { "client_id": "sensor-7", "username": "hall", "peer": "192.0.2.1:51000" },
        })
    );
}

#[test]
fn what_is_not_known_is_left_out_and_identifiers_are_unique() {
    let mut audit = audit("{}");
    let dropped = Event {
        client_id: Some(String::new()),
        topic: Some("a/b".into()),
        code: Some(0x97),
        ..Event::new(EventKind::MessageDropped)
    };
    let reloaded = Event { plugin: Some("acl".into()), ..Event::new(EventKind::PluginReloaded) };
    audit.on_events(&[dropped, reloaded], 0);
    let published = take_published();
    let (first, second) = (parsed(&published[0].payload), parsed(&published[1].payload));
    assert_eq!(first.get("subject"), None, "CloudEvents allows no empty one");
    assert_eq!(first["data"], json!({ "client_id": "", "topic": "a/b", "code": 0x97 }));
    assert_eq!((&second["subject"], &second["data"]), (&json!("acl"), &json!({"plugin": "acl"})));
    assert_ne!(first["id"], second["id"]);
}

#[test]
fn a_value_cannot_choose_its_level_of_the_topic() {
    let mut audit = audit(r#"{"topic": "${username}/a-${client_id}/${kind}"}"#);
    let forged =
        Event { client_id: Some("x/#+\0y".into()), username: Some("$SYS".into()), ..connected() };
    audit.on_events(&[forged, Event::new(EventKind::ClientRefused)], 0);
    let topics: Vec<String> = take_published().into_iter().map(|it| it.topic).collect();
    assert_eq!(topics, ["_SYS/a-x____y/client-connected", "-/a--/client-refused"]);
}

#[test]
fn lost_events_are_told_first() {
    let mut audit = audit("{}");
    audit.on_events(&[connected()], 7);
    let published = take_published();
    assert_eq!(published.len(), 2);
    assert_eq!(published[0].topic, "audit/events-lost");
    let lost = parsed(&published[0].payload);
    assert_eq!((&lost["type"], &lost["data"]["lost"]), (&json!("wasmqtt.events-lost"), &json!(7)));
}

#[test]
fn what_could_not_be_published_is_told_as_lost() {
    let mut audit = audit("{}");
    set_publisher_room(1);
    audit.on_events(&[connected(), connected(), connected()], 0);
    assert_eq!(take_published().len(), 1);
    set_publisher_room(10);
    audit.on_events(&[connected()], 3);
    let published = take_published();
    assert_eq!(parsed(&published[0].payload)["data"]["lost"], json!(5));
    assert_eq!(published.len(), 2);
}

#[test]
fn only_the_kinds_that_are_named_are_asked_for() {
    let (_, registration) =
        init::<Audit>(r#"{"kinds": ["subscribed", "client-refused"]}"#).unwrap();
    assert_eq!(registration.events, [EventKind::Subscribed, EventKind::ClientRefused]);
    let (_, registration) = init::<Audit>("{}").unwrap();
    assert_eq!(registration.events, EventKind::ALL);
}

#[test]
fn a_configuration_that_cannot_work_is_refused_with_what_to_do() {
    for (config, says) in [
        (r#"{"kinds": ["conected"]}"#, "there is no kind \"conected\"; there are client-connected"),
        (r#"{"kinds": []}"#, "leave it out"),
        (r#"{"qos": 3}"#, "qos: 3 is not 0, 1 or 2"),
        (r#"{"source": ""}"#, "source: is empty"),
        (r#"{"topic": ""}"#, "topic: is empty"),
        (r#"{"topic": "a/+"}"#, "topic: holds +"),
        (r#"{"topic": "$SYS/x"}"#, "topic: begins with $"),
        (r#"{"topic": "a/${who}"}"#, "${who} is unknown"),
        (r#"{"topic": "a/${kind"}"#, "closing brace"),
        (r#"{"topik": "a"}"#, "topik"),
    ] {
        let error = refused(config);
        assert!(error.contains(says), "{config}: {error}");
    }
}
