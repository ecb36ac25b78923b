//! Abuses of the rules that the core alone has to stand; those that are about memory are told from outside.

use wasmqtt_codec::{Connect, Publish, ReasonCode, Version};
use wasmqtt_core::limits::BrokerLimits;

use crate::wire::{
    Q0, Q1, QOS, Sent, VERSIONS, Wire, clean, message, messages, puback, stored, will,
};

#[test]
fn r04_a_flood_of_subscriptions_ends_at_the_quota_and_gives_everything_back() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for number in 0..2_000 {
        let code = wire.subscribe(&mut client, &format!("{number}/+/#"), Q0);
        let expected =
            if number < 1_000 { ReasonCode::GRANTED_QOS_0 } else { ReasonCode::QuotaExceeded };
        assert_eq!(code, expected, "{number}");
    }
    assert_eq!(wire.broker.subscriptions(), 1_000);
    wire.leave(client);
    assert_eq!((wire.broker.subscriptions(), wire.broker.filter_nodes()), (0, 0));
}

#[test]
fn r06_the_longest_expiry_and_will_delay_neither_overflow_nor_outlive_the_session() {
    let mut wire = Wire::new();
    let mut watcher = wire.connect(&clean(Version::V5, "w"));
    wire.subscribe(&mut watcher, "#", Q0);
    let late = wasmqtt_codec::Will {
        delay_interval: u32::MAX,
        message_expiry_interval: Some(u32::MAX),
        ..will("gone", "x")
    };
    let properties = wasmqtt_codec::ConnectProperties {
        session_expiry_interval: Some(u32::MAX),
        ..Default::default()
    };
    let mut client =
        wire.connect(&Connect { will: Some(late), properties, ..stored(Version::V5, "c") });
    let most = wire.limits.session_expiry_max;
    assert_eq!(client.welcome.session_expiry, Some(most));
    let properties = wasmqtt_codec::PublishProperties {
        message_expiry_interval: Some(u32::MAX),
        ..Default::default()
    };
    wire.publish_with(&mut client, Publish { properties, retain: true, ..message("a", "x") });
    assert_eq!(wire.take(&mut watcher)[0].expiry, Some(u32::MAX));
    wire.lose(client);
    wire.pass(u64::from(most) * 1000);
    assert_eq!(wire.take(&mut watcher)[0].topic, "gone");
    assert_eq!((wire.broker.sessions(), wire.broker.timers()), (1, 0));
    // The end of time itself.
    wire.now.0 = u64::MAX - 1;
    let mut late = wire.connect(&Connect { keep_alive: 1, ..clean(Version::V5, "late") });
    wire.publish_with(&mut late, Publish { properties, ..message("b", "x") });
    wire.lose(late);
}

#[test]
fn r08_a_member_of_a_group_that_never_acknowledges_holds_up_nobody_and_leaves_its_messages() {
    let mut wire = Wire::new();
    wire.limits.max_inflight = 2;
    wire.limits.queue.messages = 3;
    let mut silent = wire.connect(&clean(Version::V5, "silent"));
    let mut willing = wire.connect(&clean(Version::V5, "willing"));
    for member in [&mut silent, &mut willing] {
        wire.subscribe(member, "$share/g/a", Q1);
    }
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut taken = Vec::new();
    let mut unanswered = Vec::new();
    for number in 0..100 {
        wire.publish(&mut publisher, "a", Q1, &number.to_string());
        unanswered.extend(messages(&wire.pump(&mut silent)));
        taken.extend(wire.take_payloads(&mut willing));
    }
    // Two on the way: everything else went to who takes it, and nothing waits for who does not.
    assert_eq!((unanswered.len(), taken.len()), (2, 98));
    wire.lose(silent);
    taken.extend(wire.take_payloads(&mut willing));
    let mut numbers: Vec<u32> = taken.iter().map(|payload| payload.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 100);
    let id = unanswered[0].id.unwrap();
    assert!(!matches!(wire.send(&mut publisher, &puback(id))[..], [Sent::Disconnect(_)]));
}

#[test]
fn r12_more_user_properties_than_a_listener_takes_reach_no_subscriber() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "a", Q1);
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let mut properties = wasmqtt_codec::MessagePropertiesBuf::new();
    for _ in 0..=wire.limits.max_user_properties {
        properties.add_user_property("", "").unwrap();
    }
    let bomb =
        wasmqtt_codec::PublishProperties { message: properties.as_view(), ..Default::default() };
    let bomb = Publish { qos: Q1, properties: bomb, ..message("a", "x") };
    assert_eq!(wire.publish_with(&mut publisher, bomb), ReasonCode::QuotaExceeded);
    assert!(wire.take(&mut subscriber).is_empty());
    assert!(publisher.closed.is_none());
}

#[test]
fn r15_zero_length_everything_is_something() {
    for version in VERSIONS {
        let mut wire = Wire::bounded(BrokerLimits::default());
        let id = if version == Version::V31 { "c" } else { "" };
        let nothing = Connect {
            username: Some(""),
            password: Some(b""),
            will: Some(will("/", "")),
            ..clean(version, id)
        };
        let mut client = wire.connect(&nothing);
        assert!(!client.id().is_empty());
        for filter in ["/", "//", "+", "#"] {
            assert!(!wire.subscribe(&mut client, filter, Q1).is_error());
        }
        for qos in QOS {
            for topic in ["/", "//"] {
                wire.publish(&mut client, topic, qos, "");
                assert_eq!(wire.take_payloads(&mut client), [""]);
                let empty = Publish { retain: true, qos, ..message(topic, "") };
                wire.publish_with(&mut client, empty);
                assert_eq!(wire.take_payloads(&mut client), [""]);
            }
        }
        assert_eq!(wire.broker.retained(), 0);
        wire.unsubscribe(&mut client, &["/", "//", "+", "#"]);
        wire.lose(client);
        assert_eq!((wire.broker.sessions(), wire.broker.filter_nodes()), (0, 0));
    }
}
