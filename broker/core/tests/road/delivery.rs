//! The three qualities of service in both directions, on one connection.

use wasmqtt_codec::{ConnectProperties, Packet, PacketId, Publish, ReasonCode, Version};
use wasmqtt_core::fault::Fault;

use crate::wire::{
    Q0, Q1, Q2, QOS, Sent, VERSIONS, Wire, clean, message, messages, numbered, payloads, puback,
    pubcomp, pubrec, pubrec_with, pubrel,
};

fn window<'a>(id: &'a str, receive_maximum: u16) -> wasmqtt_codec::Connect<'a> {
    let properties = ConnectProperties {
        receive_maximum: receive_maximum.try_into().ok(),
        ..ConnectProperties::default()
    };
    wasmqtt_codec::Connect { properties, ..clean(Version::V5, id) }
}

#[test]
fn a_message_arrives_with_the_lower_of_its_own_and_the_granted_qos() {
    for version in VERSIONS {
        for published in QOS {
            for granted in QOS {
                let mut wire = Wire::new();
                let mut subscriber = wire.connect(&clean(version, "s"));
                let mut publisher = wire.connect(&clean(version, "p"));
                assert_eq!(
                    wire.subscribe(&mut subscriber, "a/+", granted),
                    ReasonCode::granted(granted)
                );
                let code = wire.publish(&mut publisher, "a/b", published, "x");
                assert_eq!(code, ReasonCode::Success);
                let taken = wire.take(&mut subscriber);
                assert_eq!(taken.len(), 1, "{version:?} {published:?} {granted:?}");
                assert_eq!((taken[0].topic.as_str(), taken[0].payload.as_str()), ("a/b", "x"));
                assert_eq!(taken[0].qos, published.min(granted));
                assert!(!taken[0].dup && !taken[0].retain);
                assert!(wire.take(&mut subscriber).is_empty());
            }
        }
    }
}

#[test]
fn a_publication_that_nobody_wants_is_acknowledged_and_v5_says_so() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut publisher = wire.connect(&clean(version, "p"));
        let expected = match version {
            Version::V5 => ReasonCode::NoMatchingSubscribers,
            _ => ReasonCode::Success,
        };
        for qos in [Q1, Q2] {
            assert_eq!(wire.publish(&mut publisher, "nobody", qos, "x"), expected);
        }
        assert_eq!(wire.publish(&mut publisher, "nobody", Q0, "x"), ReasonCode::Success);
    }
}

#[test]
fn a_qos_2_publication_repeated_before_its_release_is_routed_once() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut subscriber = wire.connect(&clean(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q2);
        let first = numbered("a", Q2, 7, "x");
        let again = Packet::Publish(Publish {
            dup: true,
            qos: Q2,
            packet_id: PacketId::new(7),
            ..message("a", "x")
        });
        let received = [Sent::PubRec(7, ReasonCode::Success)];
        assert_eq!(wire.send(&mut publisher, &first), received);
        assert_eq!(wire.send(&mut publisher, &again), received);
        assert_eq!(wire.send(&mut publisher, &pubrel(7)), [Sent::PubComp(7, ReasonCode::Success)]);
        assert_eq!(wire.take_payloads(&mut subscriber), ["x"]);
        // Released, the identifier is free for another message.
        assert_eq!(wire.send(&mut publisher, &numbered("a", Q2, 7, "y")), received);
        assert_eq!(wire.take_payloads(&mut subscriber), ["y"]);
    }
}

#[test]
fn releasing_an_unknown_identifier_is_answered_with_not_found() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        let expected = match version {
            Version::V5 => ReasonCode::PacketIdentifierNotFound,
            _ => ReasonCode::Success,
        };
        assert_eq!(wire.send(&mut client, &pubrel(9)), [Sent::PubComp(9, expected)]);
        assert_eq!(wire.send(&mut client, &pubrec(9)), [Sent::PubRel(9, expected)]);
        assert_eq!(wire.send(&mut client, &puback(9)), []);
        assert_eq!(wire.send(&mut client, &pubcomp(9)), []);
        assert_eq!(client.closed, None);
    }
}

#[test]
fn the_client_never_has_more_open_than_it_asked_for() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&window("s", 2));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    for payload in ["1", "2", "3", "4"] {
        wire.publish(&mut publisher, "a", Q1, payload);
    }
    wire.publish(&mut publisher, "a", Q0, "5");
    let sent = wire.pump(&mut subscriber);
    assert_eq!(payloads(&sent), ["1", "2"]);
    assert!(wire.pump(&mut subscriber).is_empty(), "the window is full");
    // The second first: acknowledgements come in any order.
    let second = messages(&sent)[1].id.unwrap();
    wire.send(&mut subscriber, &puback(second));
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["3"]);
    let first = messages(&sent)[0].id.unwrap();
    wire.send(&mut subscriber, &puback(first));
    // Behind the last that counts, what does not count goes out as well.
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["4", "5"]);
}

#[test]
fn the_listener_bounds_the_window_of_a_client_that_asks_for_none() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        wire.limits.max_inflight = 3;
        let mut subscriber = wire.connect(&clean(version, "s"));
        let mut publisher = wire.connect(&clean(version, "p"));
        wire.subscribe(&mut subscriber, "a", Q1);
        for _ in 0..5 {
            wire.publish(&mut publisher, "a", Q1, "x");
        }
        assert_eq!(payloads(&wire.pump(&mut subscriber)).len(), 3);
        assert!(wire.pump(&mut subscriber).is_empty());
    }
}

#[test]
fn a_qos_2_message_holds_its_place_until_pubcomp() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&window("s", 1));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    wire.publish(&mut publisher, "a", Q2, "1");
    wire.publish(&mut publisher, "a", Q2, "2");
    let id = messages(&wire.pump(&mut subscriber))[0].id.unwrap();
    let release = [Sent::PubRel(id, ReasonCode::Success)];
    assert_eq!(wire.send(&mut subscriber, &pubrec(id)), release);
    assert_eq!(wire.send(&mut subscriber, &pubrec(id)), release, "repeated, answered again");
    assert!(wire.pump(&mut subscriber).is_empty());
    wire.send(&mut subscriber, &pubcomp(id));
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["2"]);
}

#[test]
fn a_pubrec_with_an_error_frees_its_place_without_a_release() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&window("s", 1));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    wire.publish(&mut publisher, "a", Q2, "1");
    wire.publish(&mut publisher, "a", Q2, "2");
    let id = messages(&wire.pump(&mut subscriber))[0].id.unwrap();
    let refused = pubrec_with(id, ReasonCode::QuotaExceeded);
    assert_eq!(wire.send(&mut subscriber, &refused), []);
    assert_eq!(payloads(&wire.pump(&mut subscriber)), ["2"]);
}

#[test]
fn an_acknowledgement_of_the_wrong_kind_frees_nothing() {
    let mut wire = Wire::new();
    let mut subscriber = wire.connect(&window("s", 1));
    let mut publisher = wire.connect(&clean(Version::V5, "p"));
    wire.subscribe(&mut subscriber, "a", Q2);
    wire.publish(&mut publisher, "a", Q2, "1");
    wire.publish(&mut publisher, "a", Q2, "2");
    let id = messages(&wire.pump(&mut subscriber))[0].id.unwrap();
    wire.send(&mut subscriber, &puback(id));
    wire.send(&mut subscriber, &pubcomp(id));
    assert!(wire.pump(&mut subscriber).is_empty());
    assert_eq!(client_is_open(&subscriber), Ok(()));
}

fn client_is_open(client: &crate::wire::Client) -> Result<(), Fault> {
    client.closed.clone().map_or(Ok(()), Err)
}

#[test]
fn messages_of_one_publisher_arrive_in_the_order_they_were_sent() {
    for version in VERSIONS {
        for qos in QOS {
            let mut wire = Wire::new();
            wire.limits.max_inflight = 4;
            let mut subscriber = wire.connect(&clean(version, "s"));
            let mut publisher = wire.connect(&clean(version, "p"));
            wire.subscribe(&mut subscriber, "#", Q2);
            let sent: Vec<String> = (0..50).map(|n| n.to_string()).collect();
            for payload in &sent {
                wire.publish(&mut publisher, "a", qos, payload);
            }
            assert_eq!(wire.take_payloads(&mut subscriber), sent);
        }
    }
}

#[test]
fn more_open_qos_2_publications_than_announced_close_the_connection() {
    let mut wire = Wire::new();
    wire.limits.receive_maximum = 2;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    assert_eq!(client.welcome.receive_maximum, Some(2));
    for id in [1, 2] {
        wire.send(&mut client, &numbered("a", Q2, id, "x"));
    }
    // A repetition takes no further place.
    wire.send(&mut client, &numbered("a", Q2, 2, "x"));
    assert_eq!(client.closed, None);
    let answers = wire.send(&mut client, &numbered("a", Q2, 3, "x"));
    assert_eq!(answers, [Sent::Disconnect(ReasonCode::ReceiveMaximumExceeded)]);
    assert_eq!(client.closed, Some(Fault::ReceiveMaximumExceeded));
}

#[test]
fn acknowledged_publications_make_room_below_the_receive_maximum() {
    let mut wire = Wire::new();
    wire.limits.receive_maximum = 1;
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for _ in 0..5 {
        wire.publish(&mut client, "a", Q2, "x");
        wire.publish(&mut client, "a", Q1, "x");
    }
    assert_eq!(client.closed, None);
}

#[test]
fn a_ping_is_answered() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        assert_eq!(wire.send(&mut client, &Packet::PingReq), [Sent::PingResp]);
    }
}

#[test]
fn a_second_connect_is_a_protocol_error() {
    for version in VERSIONS {
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        let again = Packet::Connect(Box::new(clean(version, "c")));
        let answers = wire.send(&mut client, &again);
        let expected: &[Sent] = match version {
            Version::V5 => &[Sent::Disconnect(ReasonCode::ProtocolError)],
            _ => &[],
        };
        assert_eq!(answers, expected);
        assert_eq!(client.closed, Some(Fault::SecondConnect));
    }
}
