//! What was open when a connection broke goes on with the next one.

use wasmqtt_codec::{Connect, ConnectProperties, Packet, Publish, ReasonCode, Version};

use crate::wire::{
    Got, Q0, Q1, Q2, Sent, VERSIONS, Wire, clean, message, messages, numbered, payloads, puback,
    pubcomp, pubrec, pubrel, stored,
};

#[test]
fn what_was_not_acknowledged_is_sent_again_in_order_under_the_same_identifiers() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        for (payload, qos) in [("1", Q1), ("2", Q2), ("3", Q2), ("4", Q1), ("5", Q1)] {
            wire.publish(&mut publisher, "a", qos, payload);
        }
        let sent = messages(&wire.pump(&mut subscriber));
        assert!(sent.iter().all(|message| !message.dup));
        let ids: Vec<u16> = sent.iter().filter_map(|message| message.id).collect();
        wire.send(&mut subscriber, &pubrec(ids[1]));
        wire.send(&mut subscriber, &puback(ids[3]));
        wire.lose(subscriber);
        wire.publish(&mut publisher, "a", Q1, "6");

        let mut subscriber = wire.connect(&stored(version, "s"));
        let again = subscriber.inbox();
        let expected = [
            Sent::Publish(Got { dup: true, ..sent[0].clone() }),
            Sent::PubRel(ids[1], ReasonCode::Success),
            Sent::Publish(Got { dup: true, ..sent[2].clone() }),
            Sent::Publish(Got { dup: true, ..sent[4].clone() }),
        ];
        assert_eq!(again, expected, "{version:?}");
        // What is new is new.
        let fresh = messages(&wire.pump(&mut subscriber));
        assert_eq!(fresh.len(), 1);
        assert_eq!((fresh[0].payload.as_str(), fresh[0].dup), ("6", false));
        assert!(!ids.contains(&fresh[0].id.unwrap()));
    }
}

#[test]
fn nothing_is_sent_twice_on_a_connection_that_lives() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        wire.publish(&mut publisher, "a", Q2, "1");
        assert_eq!(payloads(&wire.pump(&mut subscriber)), ["1"]);
        for _ in 0..10 {
            wire.pass(60_000);
            assert!(wire.pump(&mut subscriber).is_empty());
        }
    }
}

#[test]
fn a_qos_2_message_released_on_the_next_connection_is_completed_there() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&stored(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        wire.send(&mut publisher, &numbered("a", Q2, 5, "x"));
        wire.lose(publisher);

        let mut publisher = wire.connect(&stored(version, "p"));
        let again = Packet::Publish(Publish {
            dup: true,
            qos: Q2,
            packet_id: wasmqtt_codec::PacketId::new(5),
            ..message("a", "x")
        });
        assert_eq!(wire.send(&mut publisher, &again), [Sent::PubRec(5, ReasonCode::Success)]);
        assert_eq!(wire.send(&mut publisher, &pubrel(5)), [Sent::PubComp(5, ReasonCode::Success)]);
        assert_eq!(wire.take_payloads(&mut subscriber), ["x"]);
    }
}

#[test]
fn a_clean_start_forgets_which_publications_were_received() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&clean(version, "s"));
        let mut publisher = wire.connect(&stored(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        wire.send(&mut publisher, &numbered("a", Q2, 5, "x"));
        wire.lose(publisher);
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.send(&mut publisher, &numbered("a", Q2, 5, "y"));
        assert_eq!(wire.take_payloads(&mut subscriber), ["x", "y"]);
    }
}

#[test]
fn sending_again_respects_a_window_that_has_become_smaller() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    for payload in ["1", "2", "3", "4", "5"] {
        wire.publish(&mut publisher, "a", Q2, payload);
    }
    let sent = messages(&wire.pump(&mut subscriber));
    assert_eq!(sent.len(), 5);
    wire.send(&mut subscriber, &pubrec(sent[3].id.unwrap()));
    wire.lose(subscriber);
    wire.publish(&mut publisher, "a", Q1, "6");

    let properties = ConnectProperties {
        session_expiry_interval: Some(3600),
        receive_maximum: 2.try_into().ok(),
        ..ConnectProperties::default()
    };
    let mut subscriber = wire.connect(&Connect { properties, ..stored(Version::V5, "s") });
    let again = subscriber.inbox();
    assert_eq!(payloads(&again), ["1", "2"]);
    assert!(wire.pump(&mut subscriber).is_empty(), "nothing new before all that is old");
    let mut open: Vec<u16> = messages(&again).iter().filter_map(|message| message.id).collect();
    let mut seen = Vec::new();
    while let Some(id) = open.pop() {
        wire.send(&mut subscriber, &pubrec(id));
        for packet in wire.send(&mut subscriber, &pubcomp(id)) {
            match packet {
                Sent::Publish(message) => {
                    assert!(message.dup);
                    open.push(message.id.unwrap());
                    seen.push(message.payload);
                }
                Sent::PubRel(id, _) => {
                    open.push(id);
                    seen.push("release".into());
                }
                other => panic!("{other:?}"),
            }
            assert!(open.len() <= 2);
        }
    }
    assert_eq!(seen, ["3", "release", "5"]);
    assert_eq!(wire.take_payloads(&mut subscriber), ["6"]);
}

#[test]
fn what_is_acknowledged_before_it_is_sent_again_takes_no_place_in_the_window() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q1);
    for payload in ["1", "2", "3", "4", "5"] {
        wire.publish(&mut publisher, "a", Q1, payload);
    }
    let sent = messages(&wire.pump(&mut subscriber));
    let ids: Vec<u16> = sent.iter().filter_map(|message| message.id).collect();
    wire.lose(subscriber);
    wire.publish(&mut publisher, "a", Q1, "6");

    let properties = ConnectProperties {
        session_expiry_interval: Some(3600),
        receive_maximum: 2.try_into().ok(),
        ..ConnectProperties::default()
    };
    let mut subscriber = wire.connect(&Connect { properties, ..stored(Version::V5, "s") });
    assert_eq!(payloads(&subscriber.inbox()), ["1", "2"]);
    for id in [ids[4], ids[2]] {
        assert!(wire.send(&mut subscriber, &puback(id)).is_empty(), "two are open");
    }
    assert_eq!(payloads(&wire.send(&mut subscriber, &puback(ids[0]))), ["4"]);
    assert!(wire.pump(&mut subscriber).is_empty(), "two are open");
    assert!(wire.send(&mut subscriber, &puback(ids[1])).is_empty());
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["6"]);
}

#[test]
fn what_the_next_connection_cannot_take_is_given_up_and_frees_its_place() {
    let mut wire = Wire::new();
    wire.limits.max_inflight = 1;
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q1);
    let large = "x".repeat(500);
    wire.publish(&mut publisher, "a", Q1, &large);
    wire.publish(&mut publisher, "a", Q1, "small");
    assert_eq!(payloads(&wire.pump(&mut subscriber)), [large]);
    wire.lose(subscriber);
    let properties = ConnectProperties {
        session_expiry_interval: Some(3600),
        maximum_packet_size: 100.try_into().ok(),
        ..ConnectProperties::default()
    };
    let mut subscriber = wire.connect(&Connect { properties, ..stored(Version::V5, "s") });
    assert!(subscriber.inbox().is_empty());
    assert_eq!(wire.take_payloads(&mut subscriber), ["small"]);
}

#[test]
fn qos_0_messages_do_not_wait_for_a_client_that_is_away() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&stored(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        wire.publish(&mut publisher, "a", Q0, "queued before, not written");
        wire.lose(subscriber);
        wire.publish(&mut publisher, "a", Q0, "sent meanwhile");
        wire.publish(&mut publisher, "a", Q1, "kept");
        wire.publish(&mut publisher, "a", Q2, "kept too");
        let mut subscriber = wire.connect(&stored(version, "s"));
        assert_eq!(wire.take_payloads(&mut subscriber), ["kept", "kept too"]);
    }
}

#[test]
fn a_session_goes_on_in_another_protocol_version() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&stored(Version::V311, "s"));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q1);
    wire.publish(&mut publisher, "a", Q1, "1");
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["1"]);
    wire.lose(subscriber);
    let mut subscriber = wire.connect(&stored(Version::V5, "s"));
    assert!(subscriber.welcome.session_present);
    let again = wire.take(&mut subscriber);
    assert_eq!((again.len(), again[0].dup), (1, true));
}
