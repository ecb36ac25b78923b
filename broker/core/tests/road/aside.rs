//! What would have to be waited for is put aside, judged elsewhere, and goes on where it stopped.

use std::sync::Arc;
use std::task::{Context, Waker};

use wasmqtt_codec::{
    Next, Packet, Publish, ReasonCode, RetainHandling, Subscribe, Subscription, Version, frame,
};
use wasmqtt_core::broker::{Attempt, Published};
use wasmqtt_core::connection::Inbound;
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{
    Action, Actions, Decision, Effect, Identity, Permission, Refusal, Transformed,
};
use wasmqtt_core::message::{Changes, Origin, Parts};

use crate::judge::Scripted;
use crate::wire::{Client, Q0, Q1, Q2, Wire, clean, message, numbered, payloads, stored, will};

fn parts<'a>(topic: &'a str, payload: &'a str) -> Parts<'a> {
    Parts {
        topic,
        properties: Default::default(),
        payload: payload.as_bytes(),
        qos: Q1,
        retain: false,
        origin: Origin::Client,
        expires_at: None,
    }
}

fn attempt(wire: &mut Wire, client: &Client, topic: &str) -> Attempt {
    let broker = Arc::clone(&wire.broker);
    broker.try_publish(&mut wire.lane, wire.now, client.connection.client(), parts(topic, topic))
}

/// As whoever judges elsewhere answers: by the same script, which has all the time it needs.
fn elsewhere(wire: &Wire) -> Scripted {
    wire.judge.clone()
}

fn waits(wire: &Wire, action: Action, topic: &str) {
    wire.script().waits.push((action, topic.into()));
}

#[test]
fn a_publication_that_waits_reaches_nobody_before_its_answer_and_what_it_says_is_done() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    let client = wire.connect(&clean(Version::V5, "c"));
    for (topic, denied) in [("a", false), ("b", true)] {
        waits(&wire, Action::Publish, topic);
        if denied {
            wire.script().deny(Action::Publish, topic);
        }
        let Attempt::Aside(aside) = attempt(&mut wire, &client, topic) else {
            panic!("{topic} did not wait");
        };
        assert!(wire.take(&mut reader).is_empty());
        assert!(wire.script().asked.iter().all(|asked| asked.topic != topic), "not asked here");
        let judged = aside.ask(&mut elsewhere(&wire), wire.now);
        let broker = Arc::clone(&wire.broker);
        let published = broker.publish_judged(&mut wire.lane, wire.now, judged, || {});
        match denied {
            true => assert_eq!(published.unwrap_err().code, ReasonCode::NotAuthorized),
            false => assert_eq!(published.unwrap(), Published::Routed),
        }
        let expected: &[&str] = if denied { &[] } else { &["a"] };
        assert_eq!(wire.take_payloads(&mut reader), expected);
    }
    assert_eq!((wire.lane.counters.published, wire.lane.counters.refused), (1, 1));
    let Attempt::Done(Ok(Published::Routed)) = attempt(&mut wire, &client, "other") else {
        panic!("nobody has to be waited for");
    };
    assert_eq!(wire.take_payloads(&mut reader), ["other"]);
}

#[test]
fn what_a_waiting_transformer_makes_of_a_publication_is_routed() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    let client = wire.connect(&clean(Version::V5, "c"));
    wire.script().waits_to_transform = Some("a".into());
    wire.script().transform = Some(Box::new(|message, now| {
        let changes = Changes { payload: Some(b"changed".to_vec()), ..Changes::default() };
        match message.topic() {
            "a" => Transformed::Forward(message.with(&changes, now)),
            _ => Transformed::Discard,
        }
    }));
    let Attempt::Aside(aside) = attempt(&mut wire, &client, "a") else { panic!("it did not wait") };
    let judged = aside.ask(&mut elsewhere(&wire), wire.now);
    let broker = Arc::clone(&wire.broker);
    assert_eq!(
        broker.publish_judged(&mut wire.lane, wire.now, judged, || {}),
        Ok(Published::Routed)
    );
    assert_eq!(wire.take_payloads(&mut reader), ["changed"]);
    assert!(matches!(attempt(&mut wire, &client, "b"), Attempt::Done(Ok(Published::Discarded))));
}

#[test]
fn what_is_refused_anyway_and_what_the_client_itself_brings_rights_for_waits_for_nobody() {
    let mut wire = Wire::new();
    let client = wire.connect(&clean(Version::V5, "c"));
    waits(&wire, Action::Publish, "$SYS/x");
    let Attempt::Done(Err(refusal)) = attempt(&mut wire, &client, "$SYS/x") else {
        panic!("it waits for an answer that nobody may give");
    };
    assert_eq!(refusal.code, ReasonCode::NotAuthorized);

    let own = Permission {
        effect: Effect::Allow,
        filter: "own".into(),
        actions: Actions { publish: true, ..Actions::default() },
        max_qos: None,
        retain: None,
    };
    wire.identity = Identity { permissions: vec![own], ..Identity::default() };
    let client = wire.connect(&clean(Version::V5, "d"));
    waits(&wire, Action::Publish, "own");
    assert!(matches!(attempt(&mut wire, &client, "own"), Attempt::Done(Ok(_))));
    wire.script().waits_to_transform = Some("own".into());
    assert!(matches!(attempt(&mut wire, &client, "own"), Attempt::Aside(_)));
}

#[test]
fn a_will_that_waits_is_left_to_whoever_asks_elsewhere() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q2);
    for (topic, denied) in [("w", false), ("x", true)] {
        waits(&wire, Action::Will, topic);
        let mut connect = clean(Version::V5, "c");
        connect.will = Some(will(topic, "gone"));
        let client = wire.connect(&connect);
        assert!(!wire.lane.has_aside());
        if denied {
            wire.script().deny(Action::Will, topic);
        }
        wire.lose(client);
        assert!(wire.take(&mut reader).is_empty());
        let aside = wire.lane.take_aside();
        assert_eq!(aside.iter().map(|aside| aside.topic()).collect::<Vec<_>>(), [topic]);
        for aside in aside {
            let judged = aside.ask(&mut elsewhere(&wire), wire.now);
            let broker = Arc::clone(&wire.broker);
            let published = broker.publish_judged(&mut wire.lane, wire.now, judged, || {});
            assert_eq!(published.is_err(), denied);
        }
        let expected: &[&str] = if denied { &[] } else { &["gone"] };
        assert_eq!(wire.take_payloads(&mut reader), expected);
    }
}

#[test]
fn what_a_client_leaves_is_routed_in_its_order_and_its_next_connection_comes_after_it() {
    let mut wire = Wire::new();
    let broker = Arc::clone(&wire.broker);
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    let cx = &Context::from_waker(Waker::noop());
    let mut connect = clean(Version::V5, "c");
    connect.will = Some(will("w", "gone"));
    let client = wire.connect(&connect);
    assert!(broker.poll_clear("c", cx).is_ready());
    waits(&wire, Action::Publish, "a");
    let Attempt::Aside(first) = attempt(&mut wire, &client, "a") else { panic!("did not wait") };
    // Nobody has to be waited for because of the will, but it does not overtake.
    let next = wire.connect(&clean(Version::V5, "c"));
    let mut wills = wire.lane.take_aside();
    let gone = wills.pop().unwrap();
    assert!(wills.is_empty() && gone.topic() == "w" && wire.take(&mut reader).is_empty());
    assert!(broker.poll_clear("c", cx).is_pending() && broker.poll_clear("r", cx).is_ready());
    assert!(first.poll_first(cx).is_ready() && gone.poll_first(cx).is_pending());
    let judged = first.ask(&mut elsewhere(&wire), wire.now);
    assert!(gone.poll_first(cx).is_pending(), "answered is not routed");
    broker.publish_judged(&mut wire.lane, wire.now, judged, || {}).unwrap();
    assert!(gone.poll_first(cx).is_ready() && broker.poll_clear("c", cx).is_pending());
    let judged = gone.ask(&mut elsewhere(&wire), wire.now);
    broker.publish_judged(&mut wire.lane, wire.now, judged, || {}).unwrap();
    assert!(broker.poll_clear("c", cx).is_ready());
    assert_eq!(wire.take_payloads(&mut reader), ["a", "gone"]);
    // Nobody waits for one that is given up.
    drop(attempt(&mut wire, &next, "a"));
    assert!(broker.poll_clear("c", cx).is_ready());
}

#[test]
fn of_a_client_that_dies_faster_than_its_wills_are_judged_those_beyond_a_bound_are_refused() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    waits(&wire, Action::Will, "w");
    let mut connect = clean(Version::V5, "c");
    connect.will = Some(will("w", "gone"));
    for _ in 0..20 {
        let client = wire.connect(&connect);
        wire.lose(client);
    }
    let wills = wire.lane.take_aside();
    assert_eq!((wills.len(), wire.lane.counters.refused), (16, 4));
    let broker = Arc::clone(&wire.broker);
    for aside in wills {
        let judged = aside.ask(&mut elsewhere(&wire), wire.now);
        broker.publish_judged(&mut wire.lane, wire.now, judged, || {}).unwrap();
    }
    assert_eq!(wire.take_payloads(&mut reader).len(), 16);
    let client = wire.connect(&connect);
    wire.lose(client);
    assert_eq!(wire.lane.take_aside().len(), 1, "there is room again");
}

fn subscription<'a>(filter: &'a str) -> Subscription<'a> {
    Subscription {
        filter,
        qos: Q1,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::SendAtSubscribe,
    }
}

#[test]
fn subscriptions_are_granted_as_was_answered_elsewhere_and_what_nobody_was_asked_about_is_refused()
{
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let filters = ["a", "b", "$share/g/c", "d/#/e"];
    let mut subscribe = Subscribe {
        packet_id: client.fresh_id(),
        subscription_identifier: None,
        user_properties: Default::default(),
        subscriptions: filters.iter().map(|filter| subscription(filter)).collect(),
    };
    let broker = Arc::clone(&wire.broker);
    let (who, session) =
        (Arc::clone(client.connection.client()), Arc::clone(client.connection.session()));
    let limits = Arc::clone(client.connection.limits());
    let aside = broker.put_subscribe_aside(&mut wire.lane, wire.now, &who, 100, &subscribe);
    assert!(aside.is_none(), "nobody has to be waited for");

    waits(&wire, Action::Subscribe, "c");
    wire.script().deny(Action::Subscribe, "b");
    let aside = broker.put_subscribe_aside(&mut wire.lane, wire.now, &who, 100, &subscribe);
    wire.script().asked.clear();
    let _ = aside.unwrap().ask(&mut elsewhere(&wire), wire.now, || false);
    assert!(wire.script().asked.is_empty(), "nobody wants to know any more");
    let aside = broker.put_subscribe_aside(&mut wire.lane, wire.now, &who, 100, &subscribe);
    let granted = aside.unwrap().ask(&mut elsewhere(&wire), wire.now, || true);
    wire.script().asked.clear();
    // As if they had been in another packet.
    subscribe.subscriptions.push(subscription("z"));
    subscribe.subscriptions.push(Subscription { qos: Q2, ..subscription("a") });
    let (lane, granted) = (&mut wire.lane, Some(&granted));
    let answer = broker.subscribe_as(lane, wire.now, &who, &session, &limits, &subscribe, granted);
    use ReasonCode::{GrantedQoS1, NotAuthorized, TopicFilterInvalid};
    let expected =
        [GrantedQoS1, NotAuthorized, GrantedQoS1, TopicFilterInvalid, NotAuthorized, NotAuthorized];
    assert_eq!(answer.codes, expected);
    assert!(wire.script().asked.is_empty());
    let mut sender = wire.connect(&clean(Version::V5, "s"));
    for topic in ["a", "b", "c", "z"] {
        wire.publish(&mut sender, topic, Q0, topic);
    }
    assert_eq!(payloads(&wire.pump(&mut client)), ["a", "c"]);
}

#[test]
fn what_a_session_holds_is_judged_elsewhere_too_and_nothing_else_is_touched() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&stored(Version::V5, "c"));
    for filter in ["a", "b"] {
        wire.subscribe(&mut client, filter, Q1);
    }
    let broker = Arc::clone(&wire.broker);
    let (who, session) =
        (Arc::clone(client.connection.client()), Arc::clone(client.connection.session()));
    assert!(broker.put_held_aside(&mut wire.lane, wire.now, &who, &session).is_none());
    waits(&wire, Action::Subscribe, "a");
    wire.script().deny(Action::Subscribe, "a");
    let aside = broker.put_held_aside(&mut wire.lane, wire.now, &who, &session).unwrap();
    let granted = aside.ask(&mut elsewhere(&wire), wire.now, || true);
    // Judged as it came, meanwhile.
    wire.script().waits.clear();
    wire.subscribe(&mut client, "c", Q1);
    wire.script().deny(Action::Subscribe, "c");
    let denied = broker.rejudge_as(&mut wire.lane, wire.now, &who, &session, Some(&granted));
    assert_eq!(denied, ["a".into()]);
    let held = session.state.lock().subscriptions.len();
    assert_eq!(held, 2);
}

#[test]
fn what_was_refused_to_a_connection_that_lost_its_session_is_no_repetition_on_the_next() {
    for put_aside in [false, true] {
        let mut wire = Wire::new();
        let mut reader = wire.connect(&clean(Version::V5, "r"));
        wire.subscribe(&mut reader, "#", Q2);
        let mut old = wire.connect(&stored(Version::V5, "p"));
        let broker = Arc::clone(&wire.broker);
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        numbered("a", Q2, 1, "x").encode(Version::V5, &mut bytes).unwrap();
        let Ok(Next::Whole { frame, .. }) = frame::next(&bytes, u32::MAX) else { panic!() };
        if put_aside {
            waits(&wire, Action::Publish, "a");
        }
        wire.script().deny(Action::Publish, "a");
        let who = Arc::clone(old.connection.client());
        let Inbound::Publish(publication) =
            old.connection.receive(wire.now, frame, &mut out).unwrap()
        else {
            panic!("it is not to be published");
        };
        let id = publication.packet_id;
        let attempt = broker.try_publish(&mut wire.lane, wire.now, &who, publication.parts);
        let mut new = wire.connect(&stored(Version::V5, "p"));
        let refused = match attempt {
            Attempt::Aside(aside) => {
                let judged = aside.ask(&mut elsewhere(&wire), wire.now);
                let give_up = || {
                    let cx = Context::from_waker(Waker::noop());
                    assert!(broker.poll_clear("p", &cx).is_pending(), "the next packet waits");
                    old.connection.give_up(id);
                };
                broker.publish_judged(&mut wire.lane, wire.now, judged, give_up).unwrap_err()
            }
            Attempt::Done(published) => {
                let refusal = published.unwrap_err();
                let told = old.connection.acknowledge(id, Q2, Err(&refusal), &mut out);
                assert_eq!(told, Err(Fault::TakenOver));
                refusal
            }
        };
        assert_eq!(refused.code, ReasonCode::NotAuthorized);
        // Sent again, it is judged again.
        wire.script().answer(Action::Publish, "a", Decision::Allow);
        wire.script().waits.clear();
        let again = Publish { dup: true, qos: Q2, packet_id: id, ..message("a", "x") };
        wire.send(&mut new, &Packet::Publish(again));
        assert_eq!(wire.take_payloads(&mut reader), ["x"], "put aside: {put_aside}");
        // And what the next one itself has taken on is not let go of by the one before.
        old.connection.give_up(id);
        wire.send(&mut new, &Packet::Publish(again));
        assert!(wire.take_payloads(&mut reader).is_empty());
    }
}

#[test]
fn what_is_put_aside_can_be_refused_unasked() {
    let mut wire = Wire::new();
    let mut reader = wire.connect(&clean(Version::V5, "r"));
    wire.subscribe(&mut reader, "#", Q1);
    let client = wire.connect(&clean(Version::V5, "c"));
    let broker = Arc::clone(&wire.broker);
    waits(&wire, Action::Publish, "a");
    waits(&wire, Action::Subscribe, "b");
    let crowded = Refusal::new(ReasonCode::QuotaExceeded);
    let Attempt::Aside(aside) = attempt(&mut wire, &client, "a") else { panic!("did not wait") };
    wire.script().asked.clear();
    let judged = aside.refuse(crowded.clone());
    let refused = broker.publish_judged(&mut wire.lane, wire.now, judged, || {});
    assert_eq!(refused.unwrap_err().code, ReasonCode::QuotaExceeded);
    assert!(broker.poll_clear("c", &Context::from_waker(Waker::noop())).is_ready());
    let subscribe = Subscribe {
        packet_id: 1.try_into().unwrap(),
        subscription_identifier: None,
        user_properties: Default::default(),
        subscriptions: vec![subscription("a"), subscription("b")],
    };
    let (who, session) =
        (Arc::clone(client.connection.client()), Arc::clone(client.connection.session()));
    let limits = Arc::clone(client.connection.limits());
    let aside = broker.put_subscribe_aside(&mut wire.lane, wire.now, &who, 100, &subscribe);
    let granted = aside.unwrap().refuse(&crowded);
    let (lane, granted) = (&mut wire.lane, Some(&granted));
    let answer = broker.subscribe_as(lane, wire.now, &who, &session, &limits, &subscribe, granted);
    assert_eq!(answer.codes, [ReasonCode::QuotaExceeded; 2]);
    assert!(wire.script().asked.is_empty() && wire.take(&mut reader).is_empty());
}

#[test]
fn a_session_that_resumes_is_judged_by_its_connection_where_that_may_have_to_wait() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&stored(Version::V5, "c"));
    wire.subscribe(&mut client, "a", Q1);
    wire.send(&mut client, &Packet::PingReq);
    wire.lose(client);
    waits(&wire, Action::Subscribe, "a");
    wire.script().deny(Action::Subscribe, "a");
    let client = wire.connect(&stored(Version::V5, "c"));
    let session = client.connection.session();
    assert_eq!(session.state.lock().subscriptions.len(), 1, "not yet");
    assert!(session.mailbox.take_rejudge(client.connection.attachment()));
}
