//! The bounds of one connection: sizes, rates, aliases, and time.

use wasmqtt_codec::{
    Connect, ConnectProperties, Packet, PacketId, Publish, PublishProperties, ReasonCode, Version,
};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::Identity;
use wasmqtt_core::limits::OnPublishRate;
use wasmqtt_core::time::Moment;

use crate::wire::{Q0, Q1, Q2, Refused, Sent, VERSIONS, Wire, clean, message, payloads, stored};

fn aliased<'a>(topic: &'a str, alias: u16, payload: &'a str) -> Publish<'a> {
    let properties =
        PublishProperties { topic_alias: alias.try_into().ok(), ..PublishProperties::default() };
    Publish { properties, ..message(topic, payload) }
}

fn small(id: &str, bytes: u32) -> Connect<'_> {
    let properties = ConnectProperties {
        session_expiry_interval: Some(3600),
        maximum_packet_size: bytes.try_into().ok(),
        ..ConnectProperties::default()
    };
    Connect { properties, ..stored(Version::V5, id) }
}

#[test]
fn a_topic_alias_stands_for_its_topic_until_the_connection_ends() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "#", Q0);
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    for (topic, alias) in [("a", 1), ("", 1), ("b", 1), ("", 1), ("c", 32), ("", 32), ("", 1)] {
        wire.publish_with(&mut publisher, aliased(topic, alias, "x"));
    }
    let topics: Vec<String> = wire.take(&mut subscriber).into_iter().map(|got| got.topic).collect();
    assert_eq!(topics, ["a", "a", "b", "b", "c", "c", "b"]);
    wire.lose(publisher);
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    let answers = wire.send(&mut publisher, &Packet::Publish(aliased("", 1, "x")));
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::ProtocolError)]);
}

#[test]
fn an_alias_above_the_maximum_closes_the_connection() {
    let mut wire = Wire::new();
    wire.limits.topic_alias_maximum = 2;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(client.welcome.topic_alias_maximum, 2);
    wire.send(&mut client, &Packet::Publish(aliased("a", 3, "x")));
    assert_eq!(client.closed, Some(Fault::TopicAliasInvalid));
}

#[test]
fn an_alias_set_by_a_repeated_publication_counts() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "#", Q2);
    let first = Publish { qos: Q2, packet_id: PacketId::new(3), ..aliased("a", 1, "once") };
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    wire.send(&mut publisher, &Packet::Publish(first));
    wire.lose(publisher);
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    wire.send(&mut publisher, &Packet::Publish(Publish { dup: true, ..first }));
    wire.send(&mut publisher, &Packet::Publish(aliased("", 1, "by alias")));
    assert_eq!(publisher.closed, None);
    assert_eq!(wire.take_payloads(&mut subscriber), ["once", "by alias"]);
}

#[test]
fn a_publication_with_a_bad_alias_does_not_use_up_its_identifier() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&clean(Version::V5, "s"));
    wire.subscribe(&mut subscriber, "#", Q2);
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    let packet_id = PacketId::new(3);
    let bad = Publish { qos: Q2, packet_id, ..aliased("", 1, "x") };
    wire.send(&mut publisher, &Packet::Publish(bad));
    assert_eq!(publisher.closed, Some(Fault::TopicAliasUnknown));
    let mut publisher = wire.connect(&stored(Version::V5, "p"));
    let good = Publish { dup: true, qos: Q2, packet_id, ..message("a", "x") };
    wire.send(&mut publisher, &Packet::Publish(good));
    assert_eq!(wire.take_payloads(&mut subscriber), ["x"]);
}

#[test]
fn a_packet_above_the_maximum_size_closes_the_connection() {
    let mut wire = Wire::new();
    wire.limits.max_packet_size = 100;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(client.welcome.maximum_packet_size, Some(100));
    // Two bytes of fixed header, three of topic, one without properties.
    let fits = "x".repeat(100 - 2 - 3 - 1);
    wire.send(&mut client, &Packet::Publish(message("a", &fits)));
    assert_eq!(client.closed, None);
    let larger = format!("{fits}x");
    let answers = wire.send(&mut client, &Packet::Publish(message("a", &larger)));
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::PacketTooLarge)]);
}

#[test]
fn a_message_larger_than_the_client_takes_is_left_out_and_costs_no_place() {
    let mut wire = Wire::new();
    wire.limits.max_inflight = 1;
    let mut subscriber = wire.connect(&small("s", 40));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    // Two bytes of fixed header, three of topic, two of identifier, one without properties.
    let fits = "f".repeat(40 - 2 - 3 - 2 - 1);
    for qos in [Q1, Q2] {
        for _ in 0..3 {
            wire.publish(&mut publisher, "a", qos, &format!("{fits}x"));
        }
    }
    wire.publish(&mut publisher, "a", Q0, &"x".repeat(40));
    wire.publish(&mut publisher, "a", Q1, &fits);
    let mut seen = Vec::new();
    for _ in 0..20 {
        seen.extend(payloads(&wire.pump(&mut subscriber)));
    }
    assert_eq!(seen, [fits]);
}

#[test]
fn a_reason_string_gives_way_to_the_size_the_client_takes() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&small("c", 20));
    let code = wire.publish(&mut client, "$SYS/x", Q1, "x");
    assert_eq!(code, ReasonCode::NotAuthorized);
    assert_eq!(client.told.0, None);
    let mut client = wire.connect(&clean(Version::V5, "d"));
    wire.publish(&mut client, "$SYS/x", Q1, "x");
    assert!(client.told.0.is_some());
}

#[test]
fn more_publications_in_a_second_than_allowed_close_the_connection() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.limits.publish_rate = Some(3);
        wire.limits.on_publish_rate = OnPublishRate::Disconnect;
        let mut client = wire.connect(&clean(version, "c"));
        for _ in 0..3 {
            for _ in 0..3 {
                wire.publish(&mut client, "a", Q1, "x");
            }
            wire.pass(1000);
        }
        for _ in 0..4 {
            wire.send(&mut client, &Packet::Publish(message("a", "x")));
        }
        assert_eq!(client.closed, Some(Fault::MessageRateTooHigh));
    }
}

/// Topic, the length of it, no properties, payload.
const HEAD: usize = 4;

#[test]
fn more_bytes_in_a_second_than_allowed_close_the_connection_and_the_last_one_is_allowed() {
    for length in [100, 101] {
        let mut wire = Wire::new();
        wire.limits.publish_bytes_rate = Some(200);
        wire.limits.on_publish_rate = OnPublishRate::Disconnect;
        let mut client = wire.connect(&clean(Version::V5, "c"));
        for _ in 0..3 {
            for _ in 0..2 {
                let payload = "x".repeat(100 - HEAD);
                wire.send(&mut client, &Packet::Publish(message("a", &payload)));
            }
            wire.pass(1000);
        }
        assert_eq!(client.closed, None);
        let payload = "x".repeat(length - HEAD);
        wire.send(&mut client, &Packet::Publish(message("a", &payload)));
        assert_eq!(client.closed, None);
        let payload = "x".repeat(100 - HEAD);
        wire.send(&mut client, &Packet::Publish(message("a", &payload)));
        let too_many = (length > 100).then_some(Fault::MessageRateTooHigh);
        assert_eq!(client.closed, too_many, "{length}");
    }
}

#[test]
fn a_client_that_publishes_too_fast_is_read_again_when_the_second_is_over() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.now = Moment(5_300);
        wire.limits.publish_rate = Some(3);
        let mut client = wire.connect(&clean(version, "c"));
        for _ in 0..2 {
            wire.publish(&mut client, "a", Q1, "x");
        }
        assert_eq!(client.connection.paused(wire.now), None);
        wire.publish(&mut client, "a", Q1, "x");
        assert_eq!(client.connection.paused(wire.now), Some(Moment(6_000)));
        // One that was on its way all the same is taken, and made up for.
        for _ in 0..3 {
            wire.publish(&mut client, "a", Q1, "x");
        }
        assert_eq!(client.connection.paused(wire.now), Some(Moment(7_000)));
        wire.now = Moment(7_000);
        assert_eq!(client.connection.paused(wire.now), None);
        wire.publish(&mut client, "a", Q1, "x");
        assert_eq!((client.connection.paused(wire.now), client.closed), (None, None));
    }
}

#[test]
fn a_publication_larger_than_the_rate_is_followed_by_a_pause_that_makes_up_for_it() {
    let mut wire = Wire::new();
    wire.now = Moment(1_000);
    wire.limits.publish_bytes_rate = Some(100);
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for (length, until) in [(95, None), (5, Some(2_000)), (350, Some(5_000)), (49, None)] {
        let payload = "x".repeat(length.max(HEAD) - HEAD);
        wire.send(&mut client, &Packet::Publish(message("a", &payload)));
        assert_eq!(client.connection.paused(wire.now), until.map(Moment), "{length}");
        wire.now = until.map_or(wire.now, Moment);
    }
}

#[test]
fn who_comes_back_finds_what_it_has_published_already() {
    for version in VERSIONS {
        for connect in [clean(version, "c"), stored(version, "c")] {
            for is_there in [false, true] {
                let mut wire = Wire::new();
                wire.now = Moment(5_300);
                wire.limits.publish_rate = Some(3);
                let mut client = wire.connect(&connect);
                for _ in 0..2 {
                    wire.publish(&mut client, "a", Q1, "x");
                }
                let mut before = Some(client);
                if !is_there {
                    before.take().into_iter().for_each(|client| wire.lose(client));
                }
                let mut client = wire.connect(&connect);
                assert_eq!(client.connection.paused(wire.now), None);
                for _ in 0..5 {
                    wire.publish(&mut client, "a", Q1, "x");
                }
                wire.lose(client);
                // Seven of three in a second: it is read as late as if it had stayed.
                let mut client = wire.connect(&connect);
                assert_eq!(client.connection.paused(wire.now), Some(Moment(7_000)));
                wire.now = Moment(7_000);
                wire.publish(&mut client, "a", Q1, "x");
                assert_eq!(client.connection.paused(wire.now), None);
                wire.publish(&mut client, "a", Q1, "x");
                assert_eq!(client.connection.paused(wire.now), Some(Moment(8_000)));
            }
        }
    }
}

#[test]
fn what_one_client_has_published_is_held_against_no_other() {
    let mut wire = Wire::new();
    wire.limits.publish_rate = Some(1);
    let named = |name| Connect { username: Some(name), ..clean(Version::V5, "c") };
    for (connect, is_paused) in [
        (named("a"), false),
        (named("b"), false),
        (clean(Version::V5, "d"), false),
        (named("a"), true),
    ] {
        let mut client = wire.connect(&connect);
        assert_eq!(client.connection.paused(wire.now).is_some(), is_paused, "{connect:?}");
        wire.publish(&mut client, "a", Q1, "x");
        wire.lose(client);
    }
}

#[test]
fn who_is_sent_away_for_its_rate_comes_back_to_what_is_left_of_the_second_and_to_the_whole_next_one()
 {
    let mut wire = Wire::new();
    wire.limits.publish_bytes_rate = Some(200);
    wire.limits.on_publish_rate = OnPublishRate::Disconnect;
    for round in 0..3 {
        // Much more than the rate, which is not held against it for longer.
        for length in [2000, 10] {
            let mut client = wire.connect(&clean(Version::V5, "c"));
            let payload = "x".repeat(length);
            wire.send(&mut client, &Packet::Publish(message("a", &payload)));
            assert_eq!(client.closed, Some(Fault::MessageRateTooHigh), "{round} {length}");
        }
        wire.pass(1000);
        let mut client = wire.connect(&clean(Version::V5, "c"));
        wire.send(&mut client, &Packet::Publish(message("a", &"x".repeat(150))));
        assert_eq!(client.closed, None, "{round}");
        wire.lose(client);
    }
}

#[test]
fn a_topic_beyond_the_listeners_length_or_depth_closes_the_connection() {
    for topic in ["1/2/3/4", "a-topic-of-many-letters"] {
        let mut wire = Wire::new();
        wire.limits.max_topic_levels = 3;
        wire.limits.max_topic_length = 20;
        let mut client = wire.connect(&clean(Version::V5, "c"));
        wire.publish(&mut client, "1/2/3", Q1, "x");
        let answers = wire.send(&mut client, &Packet::Publish(message(topic, "x")));
        assert_eq!(answers, [Sent::Disconnect(ReasonCode::TopicNameInvalid)]);
    }
}

#[test]
fn silence_for_one_and_a_half_keep_alives_closes_the_connection() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&Connect { keep_alive: 10, ..clean(version, "c") });
        let start = wire.now;
        assert_eq!(client.connection.deadline(), Some(Moment(start.0 + 15_000)));
        wire.pass(14_999);
        assert!(wire.pump(&mut client).is_empty());
        wire.send(&mut client, &Packet::PingReq);
        // Half a packet is none, and what is sent to the client says nothing about it.
        wire.pass(10_000);
        wire.send_bytes(&mut client, &[0x30, 20, 0]);
        wire.pass(5_000);
        let answers = wire.pump(&mut client);
        let told: &[Sent] = match version {
            Version::V5 => &[Sent::Disconnect(ReasonCode::KeepAliveTimeout)],
            _ => &[],
        };
        assert_eq!(answers, told);
        assert_eq!(client.closed, Some(Fault::KeepAliveTimeout));
    }
}

#[test]
fn without_keep_alive_a_client_may_be_silent_for_ever() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(client.connection.deadline(), None);
    wire.pass(u64::from(u32::MAX) * 1000);
    assert!(wire.pump(&mut client).is_empty());
    assert_eq!(client.closed, None);
}

#[test]
fn the_listener_bounds_the_keep_alive_and_tells_who_can_be_told() {
    let mut wire = Wire::new();
    wire.limits.keep_alive_max = 60;
    let connect = |version, keep_alive| Connect { keep_alive, ..clean(version, "c") };
    for (asked, told) in [(0, Some(60)), (61, Some(60)), (60, None), (5, None)] {
        let client = wire.connect(&connect(Version::V5, asked));
        assert_eq!(client.welcome.keep_alive, told);
        let seconds = u64::from(told.unwrap_or(asked));
        let deadline = Some(Moment(wire.now.0 + seconds * 1500));
        assert_eq!(client.connection.deadline(), deadline);
    }
    for version in [Version::V31, Version::V311] {
        wire.connect(&connect(version, 60));
        for asked in [0, 61] {
            let refused = wire.try_connect(&connect(version, asked)).err();
            let Some(Refused { code, .. }) = refused else { panic!("let in") };
            assert_eq!(code, ReasonCode::ClientIdentifierNotValid);
        }
    }
}

#[test]
fn an_expired_identity_closes_the_connection_however_busy_it_is() {
    let mut wire = Wire::new();
    wire.identity = Identity { expires_in: Some(30), ..Identity::default() };
    let mut client = wire.connect(&Connect { keep_alive: 10, ..clean(Version::V5, "c") });
    for _ in 0..29 {
        wire.pass(1000);
        wire.send(&mut client, &Packet::PingReq);
        assert!(wire.pump(&mut client).is_empty());
    }
    assert_eq!(client.connection.deadline(), Some(Moment(wire.now.0 + 1000)));
    wire.pass(1000);
    let answers = wire.pump(&mut client);
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::MaximumConnectTime)]);
    assert_eq!(client.closed, Some(Fault::IdentityExpired));
}
