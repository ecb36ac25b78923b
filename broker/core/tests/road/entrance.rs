//! Who does not even get to the authenticators, and who comes too often.

use wasmqtt_codec::{Connect, ReasonCode, Version};
use wasmqtt_core::features::Features;
use wasmqtt_core::limits::Flapping;

use crate::wire::{Q1, Sent, VERSIONS, Wire, clean, stored, will};

fn code(wire: &mut Wire, connect: &Connect<'_>) -> Option<ReasonCode> {
    wire.try_connect(connect).err().map(|refused| refused.code)
}

#[test]
fn where_nobody_takes_over_the_newcomer_is_refused_and_the_first_goes_on() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.limits.features.take_over = false;
        let connect = Connect { will: Some(will("w", "gone")), ..stored(version, "c") };
        let mut first = wire.connect(&connect);
        wire.subscribe(&mut first, "#", Q1);
        for newcomer in [clean(version, "c"), stored(version, "c")] {
            let expected = Some(ReasonCode::ClientIdentifierNotValid);
            assert_eq!(code(&mut wire, &newcomer), expected);
        }
        wire.publish(&mut first, "a", Q1, "x");
        assert_eq!(wire.take_payloads(&mut first), ["x"]);
        wire.lose(first);
        let mut second = wire.connect(&stored(version, "c"));
        assert_eq!(wire.take_payloads(&mut second), ["gone"], "the session is free again");
    }
}

#[test]
fn a_session_that_was_left_with_a_good_bye_is_free_at_once() {
    let mut wire = Wire::new();
    wire.limits.features.take_over = false;
    for connect in [clean(Version::V5, "c"), stored(Version::V5, "c"), clean(Version::V5, "c")] {
        let client = wire.connect(&connect);
        wire.leave(client);
    }
}

#[test]
fn unsafe_names_are_refused_where_they_are_not_wanted() {
    for version in VERSIONS {
        for name in ["a+b", "#", "a/b", "a\u{7}b", "a\u{7f}", "a\nb", "\u{85}"] {
            let mut wire = Wire::new();
            let user = Connect { username: Some(name), ..clean(version, "c") };
            for connect in [&clean(version, name), &user] {
                assert_eq!(code(&mut wire, connect), None, "by default");
            }
            wire.limits.features = Features { unsafe_client_ids: false, ..Features::default() };
            let expected = Some(ReasonCode::ClientIdentifierNotValid);
            assert_eq!(code(&mut wire, &clean(version, name)), expected);
            assert_eq!(code(&mut wire, &user), Some(ReasonCode::BadUserNameOrPassword));
            let safe = Connect { username: Some("ünï-code_1.2 $"), ..clean(version, "ünï:1") };
            assert_eq!(code(&mut wire, &safe), None);
            assert_eq!(code(&mut wire, &clean(Version::V5, "")), None, "an assigned one is safe");
        }
    }
}

const THREE: Flapping = Flapping { connects: 3, within: 60, ban: 300 };

#[test]
fn who_connects_too_often_is_banned_for_a_while() {
    for version in VERSIONS {
        let banned = match version {
            Version::V5 => ReasonCode::Banned,
            _ => ReasonCode::NotAuthorized,
        };
        let mut wire = Wire::new();
        wire.limits.flapping = THREE;
        for _ in 0..3 {
            let client = wire.connect(&clean(version, "c"));
            wire.leave(client);
            wire.pass(10_000);
        }
        for _ in 0..5 {
            assert_eq!(code(&mut wire, &clean(version, "c")), Some(banned));
        }
        assert_eq!(code(&mut wire, &clean(version, "other")), None);
        wire.pass(299_999);
        assert_eq!(code(&mut wire, &clean(version, "c")), Some(banned), "asking changes nothing");
        wire.pass(1);
        assert_eq!(code(&mut wire, &clean(version, "c")), None);
    }
}

#[test]
fn a_ban_is_told_with_the_seconds_that_are_left() {
    let mut wire = Wire::new();
    wire.limits.flapping = Flapping { connects: 1, ..THREE };
    wire.connect(&clean(Version::V5, "c"));
    assert_eq!(code(&mut wire, &clean(Version::V5, "c")), Some(ReasonCode::Banned));
    wire.pass(100_500);
    let refused = wire.try_connect(&clean(Version::V5, "c")).err().expect("let in");
    assert_eq!(refused.reason.as_deref(), Some("connected too often; try again in 200 s"));
}

#[test]
fn connects_far_apart_are_nobodys_concern() {
    let mut wire = Wire::new();
    wire.limits.flapping = THREE;
    for _ in 0..10 {
        for _ in 0..3 {
            assert_eq!(code(&mut wire, &clean(Version::V5, "c")), None);
        }
        wire.pass(60_000);
    }
    wire.limits.flapping.connects = 0;
    for _ in 0..10 {
        assert_eq!(code(&mut wire, &clean(Version::V5, "c")), None);
    }
}

#[test]
fn nobody_gets_another_clients_identifier_banned() {
    let mut wire = Wire::new();
    wire.limits.flapping = THREE;
    let of = |name| Connect { username: Some(name), ..stored(Version::V5, "c") };
    let mut owner = wire.connect(&of("alice"));
    for _ in 0..10 {
        assert_eq!(code(&mut wire, &of("mallory")), Some(ReasonCode::NotAuthorized));
    }
    assert!(wire.pump(&mut owner).is_empty());
    assert_eq!(code(&mut wire, &of("alice")), None);
}

#[test]
fn a_ban_is_of_the_name_that_has_earned_it_and_of_listeners_that_ban() {
    let mut wire = Wire::new();
    wire.limits.flapping = THREE;
    let of = |name| Connect { username: Some(name), ..clean(Version::V5, "c") };
    for _ in 0..3 {
        let mallory = wire.connect(&of("mallory"));
        wire.leave(mallory);
    }
    assert_eq!(code(&mut wire, &of("mallory")), Some(ReasonCode::Banned));
    let alice = wire.connect(&of("alice"));
    wire.leave(alice);
    // Elsewhere nobody asks.
    wire.limits.flapping.connects = 0;
    assert_eq!(code(&mut wire, &of("mallory")), None);
}

#[test]
fn two_clients_that_take_the_session_from_each_other_are_stopped() {
    let mut wire = Wire::new();
    wire.limits.flapping = THREE;
    let mut last = wire.connect(&clean(Version::V5, "c"));
    for _ in 0..2 {
        let next = wire.connect(&clean(Version::V5, "c"));
        assert_eq!(wire.pump(&mut last), [Sent::Disconnect(ReasonCode::SessionTakenOver)]);
        last = next;
    }
    assert_eq!(code(&mut wire, &clean(Version::V5, "c")), Some(ReasonCode::Banned));
    assert!(wire.pump(&mut last).is_empty(), "who has it keeps it");
}

#[test]
fn assigned_identifiers_are_not_counted() {
    let mut wire = Wire::new();
    wire.limits.flapping = THREE;
    for _ in 0..10 {
        wire.connect(&clean(Version::V5, ""));
    }
    assert_eq!(wire.broker.watched(), 0);
}
