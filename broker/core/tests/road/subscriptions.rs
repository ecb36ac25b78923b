//! What a subscription gives, and what overlapping ones come to.

use wasmqtt_codec::{
    Packet, Publish, QoS, ReasonCode, RetainHandling, Subscribe, Subscription, UserProperties,
    Version,
};
use wasmqtt_core::judge::{Action, Decision};

use crate::wire::{Q0, Q1, Q2, Sent, VERSIONS, Wire, clean, message, stored};

#[test]
fn overlapping_subscriptions_bring_one_copy_with_the_highest_qos_and_every_identifier() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let subscriptions = [
        ("a/b", Q0, Some(1)),
        ("a/+", Q2, Some(2)),
        ("#", Q1, None),
        ("a/#", Q0, Some(2)),
        ("x/#", Q0, Some(9)),
    ];
    for (filter, qos, identifier) in subscriptions {
        wire.subscribe_with(&mut client, Subscription::new(filter, qos), identifier);
    }
    wire.publish(&mut client, "a/b", Q2, "x");
    let taken = wire.take(&mut client);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].qos, Q2);
    let mut identifiers = taken[0].subscriptions.clone();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [1, 2, 2]);
}

#[test]
fn subscribing_again_replaces_the_subscription() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        wire.subscribe_with(&mut client, Subscription::new("a", Q2), Some(1));
        assert_eq!(
            wire.subscribe_with(&mut client, Subscription::new("a", Q0), None),
            ReasonCode::GRANTED_QOS_0
        );
        wire.publish(&mut client, "a", Q2, "x");
        let taken = wire.take(&mut client);
        assert_eq!((taken.len(), taken[0].qos), (1, Q0));
        assert!(taken[0].subscriptions.is_empty());
        wire.unsubscribe(&mut client, &["a"]);
        wire.publish(&mut client, "a", Q2, "x");
        assert!(wire.take(&mut client).is_empty());
        assert_eq!(wire.broker.filter_nodes(), 0);
    }
}

#[test]
fn no_local_keeps_a_clients_own_messages_away_and_nobody_elses() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let mut other = wire.connect(&clean(Version::V5, "o"));
    let no_local = |filter| Subscription { no_local: true, ..Subscription::new(filter, Q1) };
    wire.subscribe_with(&mut client, no_local("a/#"), Some(1));
    wire.publish(&mut client, "a/b", Q1, "own");
    wire.publish(&mut other, "a/b", Q1, "other");
    assert_eq!(wire.take_payloads(&mut client), ["other"]);

    // A second one that does not mind its own: it alone counts for them.
    wire.subscribe_with(&mut client, Subscription::new("a/b", Q0), Some(2));
    wire.publish(&mut client, "a/b", Q1, "own");
    wire.publish(&mut other, "a/b", Q1, "other");
    let taken = wire.take(&mut client);
    let seen: Vec<_> = taken.iter().map(|got| (got.payload.as_str(), got.qos)).collect();
    assert_eq!(seen, [("own", Q0), ("other", Q1)]);
    assert_eq!(taken[0].subscriptions, [2]);
    let mut both = taken[1].subscriptions.clone();
    both.sort_unstable();
    assert_eq!(both, [1, 2]);
}

#[test]
fn it_does_not_matter_which_of_overlapping_filters_excludes_a_clients_own() {
    for (no_local, local) in [("a/b", "#"), ("#", "a/b"), ("+/b", "a/+"), ("a/+", "+/b")] {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(Version::V5, "c"));
        let mut other = wire.connect(&clean(Version::V5, "o"));
        let without = Subscription { no_local: true, ..Subscription::new(no_local, Q2) };
        wire.subscribe_with(&mut client, without, Some(1));
        wire.subscribe_with(&mut client, Subscription::new(local, Q1), Some(2));
        wire.publish(&mut client, "a/b", Q2, "own");
        let taken = wire.take(&mut client);
        assert_eq!((taken.len(), taken[0].qos), (1, Q1), "{no_local} {local}");
        assert_eq!(taken[0].subscriptions, [2]);
        wire.publish(&mut other, "a/b", Q2, "other");
        let taken = wire.take(&mut client);
        assert_eq!((taken.len(), taken[0].qos), (1, Q2));
        assert_eq!(taken[0].subscriptions.len(), 2);
    }
}

#[test]
fn the_retain_flag_is_passed_on_only_to_who_wants_it_as_published() {
    let mut wire = Wire::new();
    let mut plain = wire.connect(&clean(Version::V5, "plain"));
    let mut exact = wire.connect(&clean(Version::V5, "exact"));
    let mut old = wire.connect(&clean(Version::V311, "old"));
    wire.subscribe(&mut plain, "a", Q1);
    wire.subscribe(&mut old, "a", Q1);
    let as_published = Subscription { retain_as_published: true, ..Subscription::new("a", Q1) };
    wire.subscribe_with(&mut exact, as_published, None);
    for retain in [true, false] {
        wire.publish_with(&mut old, Publish { retain, ..message("a", "x") });
        assert!(!wire.take(&mut plain)[0].retain);
        assert!(!wire.take(&mut old)[0].retain);
        assert_eq!(wire.take(&mut exact)[0].retain, retain);
    }
}

#[test]
fn retain_handling_says_when_retained_messages_are_sent() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.retain(&mut client, "a", "kept");
    let handling = |retain_handling| Subscription { retain_handling, ..Subscription::new("a", Q1) };
    let cases = [
        (RetainHandling::DoNotSend, 0),
        (RetainHandling::SendIfNew, 0),
        (RetainHandling::SendAtSubscribe, 1),
        (RetainHandling::SendAtSubscribe, 1),
    ];
    for (retain_handling, expected) in cases {
        wire.subscribe_with(&mut client, handling(retain_handling), None);
        assert_eq!(wire.take(&mut client).len(), expected, "{retain_handling:?}");
    }
    wire.unsubscribe(&mut client, &["a"]);
    wire.subscribe_with(&mut client, handling(RetainHandling::SendIfNew), Some(4));
    let taken = wire.take(&mut client);
    assert_eq!(taken.len(), 1);
    assert!(taken[0].retain);
    assert_eq!(taken[0].subscriptions, [4]);
}

#[test]
fn a_subscription_of_a_session_is_not_new_after_a_resume() {
    let mut wire = Wire::new();
    let if_new =
        Subscription { retain_handling: RetainHandling::SendIfNew, ..Subscription::new("a", Q1) };
    let mut client = wire.connect(&stored(Version::V5, "c"));
    wire.retain(&mut client, "a", "kept");
    wire.subscribe_with(&mut client, if_new, None);
    assert_eq!(wire.take(&mut client).len(), 1);
    wire.lose(client);
    let mut client = wire.connect(&stored(Version::V5, "c"));
    wire.subscribe_with(&mut client, if_new, None);
    assert!(wire.take(&mut client).is_empty());
}

#[test]
fn unsubscribing_says_whether_there_was_a_subscription() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        wire.subscribe(&mut client, "a/+", Q1);
        let codes = wire.unsubscribe(&mut client, &["a/b", "a/+", "a/+", "a/#/b"]);
        let expected: &[ReasonCode] = match version {
            Version::V5 => &[
                ReasonCode::NoSubscriptionExisted,
                ReasonCode::Success,
                ReasonCode::NoSubscriptionExisted,
                ReasonCode::TopicFilterInvalid,
            ],
            _ => &[],
        };
        assert_eq!(codes, expected);
        wire.publish(&mut client, "a/b", Q1, "x");
        assert!(wire.take(&mut client).is_empty());
    }
}

#[test]
fn each_filter_of_a_subscribe_is_answered_on_its_own_and_in_order() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.limits.max_topic_levels = 3;
        wire.limits.max_topic_length = 20;
        wire.script().deny(Action::Subscribe, "denied");
        wire.script().answer(Action::Subscribe, "lower", Decision::AllowUpTo(Q0));
        let mut client = wire.connect(&clean(version, "c"));
        let filters: [(&str, QoS, ReasonCode); 9] = [
            ("a", Q2, ReasonCode::GrantedQoS2),
            ("a/#/b", Q1, ReasonCode::TopicFilterInvalid),
            ("a+", Q1, ReasonCode::TopicFilterInvalid),
            ("denied", Q1, ReasonCode::NotAuthorized),
            ("lower", Q2, ReasonCode::GRANTED_QOS_0),
            ("1/2/3/4", Q1, ReasonCode::TopicFilterInvalid),
            ("a-filter-of-21-letters", Q1, ReasonCode::TopicFilterInvalid),
            ("$share//a", Q1, ReasonCode::TopicFilterInvalid),
            ("b", Q1, ReasonCode::GrantedQoS1),
        ];
        let subscribe = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: None,
            user_properties: UserProperties::EMPTY,
            subscriptions: filters.iter().map(|(f, q, _)| Subscription::new(f, *q)).collect(),
        });
        let expected: Vec<ReasonCode> = filters
            .iter()
            .map(|(_, _, code)| match version {
                Version::V5 => *code,
                _ if code.is_error() => ReasonCode::UnspecifiedError,
                _ => *code,
            })
            .collect();
        assert_eq!(wire.send(&mut client, &subscribe), [Sent::SubAck(expected)]);
        wire.publish(&mut client, "lower", Q2, "x");
        wire.publish(&mut client, "denied", Q2, "x");
        let taken = wire.take(&mut client);
        assert_eq!((taken.len(), taken[0].qos), (1, Q0));
    }
}

#[test]
fn a_session_holds_only_so_many_subscriptions_and_may_still_replace_them() {
    let mut wire = Wire::new();
    wire.limits.max_subscriptions = 2;
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(wire.subscribe(&mut client, "a", Q1), ReasonCode::GrantedQoS1);
    assert_eq!(wire.subscribe(&mut client, "b", Q1), ReasonCode::GrantedQoS1);
    assert_eq!(wire.subscribe(&mut client, "c", Q1), ReasonCode::QuotaExceeded);
    assert_eq!(wire.subscribe(&mut client, "a", Q2), ReasonCode::GrantedQoS2);
    wire.unsubscribe(&mut client, &["b"]);
    assert_eq!(wire.subscribe(&mut client, "c", Q1), ReasonCode::GrantedQoS1);
    wire.lose(client);
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert_eq!(wire.subscribe(&mut client, "d", Q1), ReasonCode::QuotaExceeded);
}

#[test]
fn a_denied_subscription_brings_nothing_retained_either() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.retain(&mut client, "secret", "kept");
    wire.script().deny(Action::Subscribe, "secret");
    assert_eq!(wire.subscribe(&mut client, "secret", Q1), ReasonCode::NotAuthorized);
    assert!(wire.take(&mut client).is_empty());
    assert_eq!(wire.broker.filter_nodes(), 0);
}

#[test]
fn topics_that_begin_with_a_dollar_sign_are_hidden_from_leading_wildcards() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for filter in ["#", "+/x"] {
        wire.subscribe(&mut client, filter, Q1);
    }
    wire.publish(&mut client, "$other/x", Q1, "x");
    assert!(wire.take(&mut client).is_empty());
    wire.subscribe(&mut client, "$other/#", Q1);
    wire.publish(&mut client, "$other/x", Q1, "x");
    assert_eq!(wire.take(&mut client).len(), 1);
}

#[test]
fn a_subscription_sees_the_next_message_of_a_topic_that_is_already_in_use() {
    let mut wire = Wire::new();
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for filter in ["a/b", "a/+", "+/b", "#"] {
        assert_eq!(
            wire.publish(&mut publisher, "a/b", Q1, "before"),
            ReasonCode::NoMatchingSubscribers
        );
        wire.subscribe(&mut client, filter, Q1);
        assert_eq!(wire.publish(&mut publisher, "a/b", Q1, "during"), ReasonCode::Success);
        wire.unsubscribe(&mut client, &[filter]);
        assert_eq!(wire.take_payloads(&mut client), ["during"]);
    }
}
