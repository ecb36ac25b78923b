//! What a plugin has to say of a refusal, and when there is no room or no wish for it.

use std::num::NonZeroU32;

use wasmqtt_codec::{
    Connect, ConnectProperties, ReasonCode, Subscription, UserPropertiesBuf, Version,
};
use wasmqtt_core::judge::{Action, Decision, Refusal};

use crate::wire::{Q1, Q2, Wire, clean, will};

fn refusal(code: ReasonCode) -> Refusal {
    let mut user_properties = UserPropertiesBuf::new();
    user_properties.push("hint", "ask").unwrap();
    Refusal { user_properties, ..Refusal::new(code).because("no") }
}

fn small(largest: u32, wants_to_know: bool) -> Connect<'static> {
    let properties = ConnectProperties {
        maximum_packet_size: NonZeroU32::new(largest),
        request_problem_information: wants_to_know,
        ..ConnectProperties::default()
    };
    Connect { properties, ..clean(Version::V5, "c") }
}

/// v5: 3.4.2-3, 3.5.2-3, 3.4.2-2, 3.5.2-2, 3.9.2-1, 3.9.2-2, 3.1.2-29
#[test]
fn user_properties_and_reasons_of_plugins_keep_within_the_maximum_packet_size() {
    // With "no" and one property of 12 bytes, PUBACK takes 23 bytes and SUBACK as many.
    for (largest, wants_to_know, told) in
        [(64, true, (Some("no".to_owned()), 1)), (22, true, (None, 0)), (64, false, (None, 0))]
    {
        let mut wire = Wire::new();
        let no = || Decision::Deny(refusal(ReasonCode::QuotaExceeded));
        wire.script().answer(Action::Publish, "a", no());
        wire.script().answer(Action::Subscribe, "a", no());
        let mut client = wire.connect(&small(largest, wants_to_know));
        for qos in [Q1, Q2] {
            assert_eq!(wire.publish(&mut client, "a", qos, "x"), ReasonCode::QuotaExceeded);
            assert_eq!(client.told, told, "{largest}");
        }
        let code = wire.subscribe(&mut client, "a", Q1);
        assert_eq!((code, &client.told), (ReasonCode::QuotaExceeded, &told), "{largest}");
    }
}

/// v5: 3.2.2-19, 3.2.2-20
#[test]
fn what_a_plugin_says_in_connack_keeps_within_the_maximum_packet_size() {
    for (largest, reason) in [(64, Some("no".to_owned())), (21, None)] {
        let mut wire = Wire::new();
        let no = refusal(ReasonCode::NotAuthorized);
        wire.script().answer(Action::Will, "w", Decision::Deny(no));
        let connect = Connect { will: Some(will("w", "x")), ..small(largest, true) };
        let refused = wire.try_connect(&connect).err().unwrap();
        assert_eq!((refused.code, refused.reason), (ReasonCode::NotAuthorized, reason));
    }
    for (largest, count) in [(64, 1), (24, 0)] {
        let mut wire = Wire::new();
        wire.identity.connack_properties = refusal(ReasonCode::Success).user_properties;
        let client = wire.connect(&small(largest, true));
        assert_eq!(client.welcome.user_properties.len(), count, "{largest}");
    }
}

#[test]
fn a_refused_subscription_is_told_the_code_it_can_be_told() {
    let mut user_properties = UserPropertiesBuf::new();
    user_properties.push("hint", "ask").unwrap();
    for (code, told) in [
        (ReasonCode::NotAuthorized, ReasonCode::NotAuthorized),
        (ReasonCode::KeepAliveTimeout, ReasonCode::UnspecifiedError),
    ] {
        let mut wire = Wire::new();
        let refusal = Refusal { user_properties: user_properties.clone(), ..Refusal::new(code) };
        let refusal = Decision::Deny(refusal.because("no"));
        wire.script().answer(Action::Subscribe, "a", refusal);
        let mut client = wire.connect(&clean(Version::V5, "c"));
        let got = wire.subscribe_with(&mut client, Subscription::new("a", Q1), None);
        assert_eq!((got, client.told.clone()), (told, (Some("no".into()), 1)));
    }
}

#[test]
fn what_the_broker_itself_refuses_of_a_subscription_is_explained_to_who_wants_to_know() {
    for wants_to_know in [true, false] {
        let mut wire = Wire::new();
        wire.limits.max_subscriptions = 1;
        wire.limits.features.shared_subscriptions = false;
        let mut client = wire.connect(&small(200, wants_to_know));
        wire.subscribe(&mut client, "a", Q1);
        for (filter, code, why) in [
            ("b", ReasonCode::QuotaExceeded, "too many subscriptions of one client"),
            ("a#", ReasonCode::TopicFilterInvalid, "this is no topic filter"),
            (
                "$share/g/a",
                ReasonCode::SharedSubscriptionsNotSupported,
                "this listener takes no shared subscriptions",
            ),
        ] {
            let got = wire.subscribe_with(&mut client, Subscription::new(filter, Q1), None);
            let why = wants_to_know.then(|| why.to_owned());
            assert_eq!((got, &client.told), (code, &(why, 0)), "{filter}");
        }
    }
}
