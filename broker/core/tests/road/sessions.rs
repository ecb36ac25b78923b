//! Sessions outlive connections for as long as they may, and belong to one connection at a time.

use wasmqtt_codec::{Connect, ConnectProperties, Disconnect, Packet, ReasonCode, Version};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::Identity;
use wasmqtt_core::limits::BrokerLimits;

use crate::wire::{
    Q0, Q1, Q2, Refused, Sent, VERSIONS, Wire, clean, messages, payloads, puback, stored, will,
};

fn lasting(id: &str, seconds: u32) -> Connect<'_> {
    let properties = ConnectProperties {
        session_expiry_interval: Some(seconds),
        ..ConnectProperties::default()
    };
    Connect { properties, ..stored(Version::V5, id) }
}

/// 3.1 cannot say it.
fn present(version: Version) -> bool {
    version != Version::V31
}

#[test]
fn a_stored_session_is_there_again_with_its_subscriptions_and_messages() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        assert!(!subscriber.welcome.session_present);
        wire.subscribe(&mut subscriber, "a", Q1);
        wire.leave(subscriber);
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.publish(&mut publisher, "a", Q1, "while away");
        let mut subscriber = wire.connect(&stored(version, "s"));
        assert_eq!(subscriber.welcome.session_present, present(version));
        wire.publish(&mut publisher, "a", Q1, "while here");
        assert_eq!(wire.take_payloads(&mut subscriber), ["while away", "while here"]);
    }
}

#[test]
fn a_session_without_expiry_ends_with_its_connection() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        wire.subscribe(&mut client, "a", Q1);
        wire.lose(client);
        assert_eq!((wire.broker.sessions(), wire.broker.filter_nodes()), (0, 0));
        let client = wire.connect(&stored(version, "c"));
        assert!(!client.welcome.session_present);
    }
}

#[test]
fn a_clean_start_drops_what_was_there() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q1);
        wire.publish(&mut publisher, "a", Q1, "sent, not acknowledged");
        wire.pump(&mut subscriber);
        wire.publish(&mut publisher, "a", Q1, "queued");
        wire.lose(subscriber);
        let mut subscriber = wire.connect(&clean(version, "s"));
        assert!(!subscriber.welcome.session_present);
        wire.publish(&mut publisher, "a", Q1, "to no subscription");
        assert!(wire.take(&mut subscriber).is_empty());
        assert_eq!(wire.broker.sessions(), 2);
    }
}

#[test]
fn the_listener_caps_the_session_expiry_and_says_so_only_when_it_does() {
    let mut wire = Wire::new();
    wire.limits.session_expiry_max = 100;
    assert_eq!(wire.connect(&lasting("a", 100)).welcome.session_expiry, None);
    assert_eq!(wire.connect(&lasting("b", 0)).welcome.session_expiry, None);
    assert_eq!(wire.connect(&clean(Version::V5, "c")).welcome.session_expiry, None);
    let client = wire.connect(&lasting("d", u32::MAX));
    assert_eq!(client.welcome.session_expiry, Some(100));
    wire.lose(client);
    wire.pass(99_999);
    assert!(wire.broker.session("d").is_some());
    wire.pass(1);
    assert!(wire.broker.session("d").is_none());
}

#[test]
fn a_3x_session_that_is_not_clean_is_kept_up_to_the_cap() {
    for version in [Version::V31, Version::V311] {
        let mut wire = Wire::new();
        wire.limits.session_expiry_max = 60;
        let mut client = wire.connect(&stored(version, "c"));
        wire.subscribe(&mut client, "a/b/c", Q1);
        wire.leave(client);
        wire.pass(59_999);
        assert_eq!((wire.broker.sessions(), wire.broker.timers()), (1, 1));
        wire.pass(1);
        assert_eq!((wire.broker.sessions(), wire.broker.timers()), (0, 0));
        assert_eq!(wire.broker.filter_nodes(), 0);
    }
}

#[test]
fn the_clock_of_a_session_runs_only_while_its_client_is_away() {
    let mut wire = Wire::new();
    let client = wire.connect(&lasting("c", 10));
    wire.pass(60_000);
    wire.lose(client);
    wire.pass(9_000);
    let client = wire.connect(&lasting("c", 10));
    assert!(client.welcome.session_present);
    assert_eq!(wire.broker.timers(), 0);
    wire.pass(60_000);
    wire.lose(client);
    wire.pass(9_999);
    assert!(wire.broker.session("c").is_some());
    wire.pass(1);
    assert!(wire.broker.session("c").is_none());
}

#[test]
fn a_disconnect_may_change_the_session_expiry_within_the_cap() {
    let mut wire = Wire::new();
    wire.limits.session_expiry_max = 100;
    let good_bye = |seconds| {
        let session_expiry_interval = Some(seconds);
        Packet::Disconnect(Disconnect { session_expiry_interval, ..Disconnect::default() })
    };
    let mut client = wire.connect(&lasting("c", 10));
    wire.send(&mut client, &good_bye(1000));
    wire.pass(99_000);
    let mut client = wire.connect(&lasting("c", 10));
    assert!(client.welcome.session_present);
    wire.send(&mut client, &good_bye(0));
    assert_eq!((wire.broker.sessions(), wire.broker.timers()), (0, 0));
}

#[test]
fn a_disconnect_cannot_revive_a_session_that_ends_with_the_connection() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    let good_bye = Disconnect { session_expiry_interval: Some(5), ..Disconnect::default() };
    let answers = wire.send(&mut client, &Packet::Disconnect(good_bye));
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::ProtocolError)]);
    assert_eq!(client.closed, Some(Fault::SessionExpiryRaised));
    assert_eq!(wire.broker.sessions(), 0);
}

#[test]
fn a_second_connection_takes_the_session_over() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut old = wire.connect(&stored(version, "c"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut old, "a", Q1);
        wire.publish(&mut publisher, "a", Q1, "1");
        let sent = messages(&wire.pump(&mut old));
        wire.publish(&mut publisher, "a", Q1, "2");

        let mut new = wire.connect(&stored(version, "c"));
        assert_eq!(new.welcome.session_present, present(version));
        let answers = wire.pump(&mut old);
        let told: &[Sent] = match version {
            Version::V5 => &[Sent::Disconnect(ReasonCode::SessionTakenOver)],
            _ => &[],
        };
        assert_eq!(answers, told);
        assert_eq!(old.closed, Some(Fault::TakenOver));
        let again = wire.take(&mut new);
        assert_eq!(again.iter().map(|got| got.dup).collect::<Vec<_>>(), [true, false]);
        assert_eq!(again[0].id, sent[0].id);
        assert_eq!(wire.broker.sessions(), 2, "the old connection took nothing with it");
    }
}

#[test]
fn who_lost_the_session_can_acknowledge_and_release_nothing_in_it() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut publisher = wire.connect(&clean(version, "p"));
        for qos in [Q1, Q2] {
            let mut old = wire.connect(&stored(version, "c"));
            wire.subscribe(&mut old, "a", qos);
            wire.publish(&mut publisher, "a", qos, "x");
            let id = messages(&wire.pump(&mut old))[0].id.unwrap();
            let mut new = wire.connect(&stored(version, "c"));
            let late = if qos == Q1 { puback(id) } else { crate::wire::pubrec(id) };
            wire.send(&mut old, &late);
            assert_eq!(old.closed, Some(Fault::TakenOver));
            assert_eq!(payloads(&new.inbox()), ["x"], "sent again, and still open");
            let mut newer = wire.connect(&stored(version, "c"));
            assert_eq!(wire.take_payloads(&mut newer), ["x"], "still not acknowledged");
        }
    }
}

#[test]
fn who_lost_the_session_cannot_publish_with_qos_2_in_its_name() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "a", Q2);
    let mut old = wire.connect(&stored(Version::V5, "c"));
    let mut new = wire.connect(&stored(Version::V5, "c"));
    wire.send(&mut old, &crate::wire::numbered("a", Q2, 1, "old"));
    assert_eq!(old.closed, Some(Fault::TakenOver));
    wire.send(&mut new, &crate::wire::numbered("a", Q2, 1, "new"));
    assert_eq!(wire.take_payloads(&mut subscriber), ["new"]);
}

#[test]
fn a_session_without_expiry_is_not_handed_on_to_the_next_connection() {
    let mut wire = Wire::new();
    let mut old = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut old, "a", Q1);
    let mut new = wire.connect(&stored(Version::V5, "c"));
    assert!(!new.welcome.session_present);
    wire.pump(&mut old);
    assert_eq!(old.closed, Some(Fault::TakenOver));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    let code = wire.publish(&mut publisher, "a", Q1, "x");
    assert_eq!(code, ReasonCode::NoMatchingSubscribers);
    assert!(wire.take(&mut new).is_empty());
}

#[test]
fn another_name_cannot_have_the_session_and_changes_nothing() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.identity = Identity { name: Some("alice".into()), ..Identity::default() };
        let mut owner =
            wire.connect(&Connect { will: Some(will("w", "gone")), ..stored(version, "c") });
        wire.subscribe(&mut owner, "a", Q1);
        wire.identity = Identity { name: Some("mallory".into()), ..Identity::default() };
        for connect in [stored(version, "c"), clean(version, "c")] {
            let refused = wire.try_connect(&connect).err().unwrap();
            assert_eq!(refused.code, ReasonCode::NotAuthorized);
        }
        wire.identity = Identity::default();
        assert!(wire.try_connect(&stored(version, "c")).is_err(), "nor can nobody");
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.publish(&mut publisher, "a", Q1, "x");
        assert_eq!(wire.take_payloads(&mut owner), ["x"]);
        wire.lose(owner);
        assert!(wire.try_connect(&clean(version, "c")).is_err(), "nor while its owner is away");
        wire.identity = Identity { name: Some("alice".into()), ..Identity::default() };
        let back = wire.connect(&stored(version, "c"));
        assert_eq!(back.welcome.session_present, present(version));
    }
}

#[test]
fn the_username_owns_the_session_when_no_authenticator_says_otherwise() {
    let mut wire = Wire::new();
    let as_user = |name| Connect { username: Some(name), ..stored(Version::V5, "c") };
    let client = wire.connect(&as_user("alice"));
    wire.lose(client);
    let refused = wire.try_connect(&as_user("bob")).err().unwrap();
    assert_eq!(refused.code, ReasonCode::NotAuthorized);
    assert!(refused.reason.is_some());
    assert!(wire.connect(&as_user("alice")).welcome.session_present);
}

#[test]
fn a_full_broker_refuses_new_sessions_and_keeps_those_it_has() {
    let mut wire = Wire::bounded(BrokerLimits { max_sessions: 2, ..BrokerLimits::default() });
    let a = wire.connect(&stored(Version::V5, "a"));
    let b = wire.connect(&clean(Version::V5, "b"));
    let expected = ReasonCode::QuotaExceeded;
    let refused = wire.try_connect(&clean(Version::V5, "c")).err();
    assert_eq!(refused.map(|Refused { code, .. }| code), Some(expected));
    wire.lose(a);
    assert!(wire.try_connect(&clean(Version::V5, "c")).is_err(), "a is still stored");
    assert!(wire.connect(&stored(Version::V5, "a")).welcome.session_present);
    wire.lose(b);
    wire.connect(&clean(Version::V5, "c"));
    assert_eq!(wire.broker.sessions(), 2);
}

#[test]
fn many_short_lives_leave_nothing_behind() {
    let mut wire = Wire::new();
    for round in 0..500 {
        let version = VERSIONS[round % 3];
        let id = format!("c{}", round % 7);
        let connect = Connect { will: Some(will(&id, "gone")), ..clean(version, &id) };
        let mut client = wire.connect(&connect);
        for filter in ["#", "+/+", &format!("{round}/a/b"), &format!("$share/g/{round}/+")] {
            wire.subscribe(&mut client, filter, Q2);
        }
        for qos in [Q0, Q1, Q2] {
            wire.publish(&mut client, &format!("{round}/a"), qos, "x");
        }
        match round % 3 {
            0 => wire.leave(client),
            1 => wire.lose(client),
            // Taken over by the next of this name, or left open.
            _ => drop(client),
        }
    }
    for n in 0..7 {
        let client = wire.connect(&clean(Version::V5, &format!("c{n}")));
        wire.leave(client);
    }
    let broker = &wire.broker;
    assert_eq!((broker.sessions(), broker.timers(), broker.filter_nodes()), (0, 0, 0));
    assert_eq!((broker.retained(), broker.owners()), (0, 0));
}

#[test]
fn an_operator_can_close_a_connection_and_its_session_stays() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&stored(Version::V5, "c"));
    assert!(!wire.broker.disconnect("nobody", ReasonCode::AdministrativeAction));
    assert!(wire.broker.disconnect("c", ReasonCode::AdministrativeAction));
    let answers = wire.pump(&mut client);
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::AdministrativeAction)]);
    assert!(!wire.broker.disconnect("c", ReasonCode::AdministrativeAction), "it is away");
    assert!(wire.connect(&stored(Version::V5, "c")).welcome.session_present);
}
