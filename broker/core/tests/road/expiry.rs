//! The longest life a listener gives to messages.

use wasmqtt_codec::{Connect, Publish, PublishProperties, Version, Will};

use crate::wire::{Client, Q1, VERSIONS, Wire, clean, message, will};

fn watcher(wire: &mut Wire) -> Client {
    let mut watcher = wire.connect(&clean(Version::V5, "watcher"));
    wire.subscribe(&mut watcher, "#", Q1);
    watcher
}

fn living(seconds: Option<u32>) -> Publish<'static> {
    let properties =
        PublishProperties { message_expiry_interval: seconds, ..PublishProperties::default() };
    Publish { qos: Q1, properties, ..message("a", "x") }
}

#[test]
fn a_longer_life_or_one_without_end_is_cut_to_the_maximum() {
    for (max, asked, given) in [
        (60, None, Some(60)),
        (60, Some(61), Some(60)),
        (60, Some(60), Some(60)),
        (60, Some(5), Some(5)),
        (60, Some(u32::MAX), Some(60)),
        (0, None, None),
        (0, Some(u32::MAX), Some(u32::MAX)),
    ] {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        wire.limits.message_expiry_max = max;
        let mut client = wire.connect(&clean(Version::V5, "c"));
        wire.publish_with(&mut client, living(asked));
        assert_eq!(wire.take(&mut watcher)[0].expiry, given, "{max} {asked:?}");
    }
}

#[test]
fn clients_that_cannot_ask_are_bounded_too() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        wire.limits.message_expiry_max = 60;
        let mut client = wire.connect(&clean(version, "c"));
        wire.publish(&mut client, "a", Q1, "x");
        wire.pass(59_999);
        wire.publish(&mut client, "a", Q1, "y");
        wire.pass(1);
        assert_eq!(wire.take_payloads(&mut watcher), ["y"]);
    }
}

#[test]
fn a_retained_message_is_forgotten_at_the_maximum() {
    let mut wire = Wire::new();
    wire.limits.message_expiry_max = 60;
    let mut client = wire.connect(&clean(Version::V311, "c"));
    wire.retain(&mut client, "a", "kept");
    wire.pass(59_999);
    wire.broker.expire_retained(wire.now);
    assert_eq!(wire.broker.retained(), 1);
    wire.pass(1);
    wire.broker.expire_retained(wire.now);
    assert_eq!(wire.broker.retained(), 0);
}

#[test]
fn the_life_of_a_will_is_cut_as_well() {
    for (asked, given) in [(None, 60), (Some(100), 60), (Some(5), 5)] {
        let mut wire = Wire::new();
        let mut watcher = watcher(&mut wire);
        wire.limits.message_expiry_max = 60;
        let left = Will { message_expiry_interval: asked, ..will("w", "gone") };
        let client = wire.connect(&Connect { will: Some(left), ..clean(Version::V5, "c") });
        wire.lose(client);
        assert_eq!(wire.take(&mut watcher)[0].expiry, Some(given));
    }
}
