//! Many retained messages at once, and those that nobody may publish any more.

use wasmqtt_codec::Version;
use wasmqtt_core::judge::{Action, Transformed};
use wasmqtt_core::limits::{BrokerLimits, REPLAY_AT_ONCE};
use wasmqtt_core::message::Changes;

use crate::wire::{Q0, Q1, Q2, Wire, clean, message, stored};

const MANY: usize = REPLAY_AT_ONCE * 3 + 5;

fn crowded() -> Wire {
    let mut wire = Wire::new();
    let mut source = wire.connect(&clean(Version::V5, "source"));
    for n in 0..MANY {
        wire.retain(&mut source, &format!("t/{n}"), "old");
    }
    wire
}

#[test]
fn a_subscription_to_very_many_retained_messages_gets_each_once_and_holds_few() {
    for qos in [Q0, Q1, Q2] {
        let mut wire = crowded();
        let mut client = wire.connect(&clean(Version::V5, "c"));
        wire.subscribe(&mut client, "#", qos);
        let session = wire.broker.session("c").unwrap();
        assert_eq!(session.mailbox.len(), 1, "a note");
        let mut source = wire.connect(&clean(Version::V5, "source"));
        wire.retain(&mut source, "t/1", "new");
        wire.publish(&mut source, "t/2", Q1, "live");
        let taken = wire.take(&mut client);
        assert_eq!(taken.len(), MANY + 1);
        let mut topics: Vec<_> = taken.iter().filter(|got| got.retain).collect();
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        topics.dedup_by(|a, b| a.topic == b.topic);
        assert_eq!(topics.len(), MANY - 1, "the one that was replaced comes as it was published");
        let last: Vec<_> = taken[MANY - 1..].iter().map(|got| got.payload.as_str()).collect();
        assert_eq!(last, ["new", "live"]);
        assert!(session.mailbox.is_empty());
    }
}

#[test]
fn who_unsubscribes_or_loses_the_right_is_read_no_more_retained_messages() {
    let mut wire = crowded();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "t/+", Q1);
    wire.unsubscribe(&mut client, &["t/+"]);
    assert!(wire.take(&mut client).is_empty());
    wire.subscribe(&mut client, "t/+", Q1);
    wire.script().deny(Action::Subscribe, "t/+");
    let session = wire.broker.session("c").unwrap();
    let who = std::sync::Arc::clone(client.connection.client());
    assert_eq!(wire.broker.rejudge(&mut wire.lane, wire.now, &who, &session).len(), 1);
    assert!(wire.take(&mut client).is_empty());
}

#[test]
fn what_is_left_to_read_waits_for_a_client_that_comes_back() {
    let mut wire = crowded();
    let mut client = wire.connect(&stored(Version::V5, "c"));
    wire.subscribe(&mut client, "t/+", Q1);
    wire.lose(client);
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(wire.take(&mut client).len(), MANY);
}

#[test]
fn a_retained_message_is_not_sent_once_its_publisher_may_not_publish_it() {
    for check in [true, false] {
        let mut wire = Wire::new();
        wire.limits.features.check_retained_source = check;
        let mut source = wire.connect(&clean(Version::V5, "source"));
        wire.retain(&mut source, "good", "1");
        wire.retain(&mut source, "bad", "2");
        wire.script().deny(Action::Publish, "bad");
        let mut client = wire.connect(&clean(Version::V5, "c"));
        wire.subscribe(&mut client, "#", Q1);
        let expected: &[&str] = if check { &["1"] } else { &["2", "1"] };
        assert_eq!(wire.take_payloads(&mut client), expected);
        assert_eq!(wire.broker.retained(), 2, "it is there again with the right");
    }
}

#[test]
fn a_bound_on_retained_messages_of_the_broker_is_not_told_to_subscribers() {
    let limits = BrokerLimits { retained_expiry_max: 5, ..BrokerLimits::default() };
    let mut wire = Wire::bounded(limits);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.retain(&mut client, "a", "x");
    wire.pass(4_999);
    wire.subscribe(&mut client, "a", Q1);
    assert_eq!(wire.take(&mut client)[0].expiry, None);
    wire.pass(1);
    wire.subscribe(&mut client, "a", Q1);
    assert!(wire.take(&mut client).is_empty());
    wire.broker.expire_retained(wire.now);
    assert_eq!(wire.broker.retained(), 0);
}

#[test]
fn a_transformer_cannot_lengthen_the_life_of_a_message_beyond_its_bound() {
    let mut wire = Wire::new();
    wire.limits.message_expiry_max = 10;
    wire.limits.message_expiry_default = 4;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "a", Q1);
    wire.publish(&mut client, "a", Q1, "asks for nothing");
    assert_eq!(wire.take(&mut client)[0].expiry, Some(4));
    for (wanted, got) in [(Some(99), 10), (None, 10), (Some(3), 3)] {
        wire.script().transform = Some(Box::new(move |message, now| {
            let changes = Changes { expiry: Some(wanted), ..Changes::default() };
            Transformed::Forward(message.with(&changes, now))
        }));
        wire.publish_with(&mut client, message("a", "x"));
        assert_eq!(wire.take(&mut client)[0].expiry, Some(got), "{wanted:?}");
    }
}
