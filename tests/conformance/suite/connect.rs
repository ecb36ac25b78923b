//! CONNECT: the first packet, its flags and its payload.

use crate::harness::hello::connect;
use crate::harness::{
    BOTH, Broker, Hello, Outgoing, Packet, Version, Will, frame, packet, prop, text,
};

/// v5: 3.1.0-1; v3: 3.1.0-1
#[test]
fn a_first_packet_other_than_connect_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let packets = [
            packet::PINGREQ.to_vec(),
            packet::DISCONNECT.to_vec(),
            packet::puback(1),
            packet::pubrec(1),
            packet::pubrel(1),
            packet::pubcomp(1),
            packet::subscribe(version, 1, &[("a", 0)], &[]),
            packet::unsubscribe(version, 1, &["a"]),
            Outgoing::new("a", "b", 1).bytes(version, 1),
            vec![0x20, 3, 0, 0, 0],
            vec![0xD0, 0],
            vec![0xF0, 0],
            vec![0x00, 0],
        ];
        for bytes in packets {
            assert_eq!(broker.refusal(version, &bytes), None, "{bytes:02x?}");
        }
    }
}

/// v5: 3.1.0-2, 4.13.1-1; v3: 3.1.0-2, 4.8.0-1
#[test]
fn a_second_connect_closes_the_connection_with_protocol_error() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::new(version, "twice");
        broker.connect(&hello).fault(&hello.bytes(), 0x82);
    }
}

/// v5: 3.1.2-1; v3: 3.1.2-1
#[test]
fn another_protocol_name_is_not_processed_and_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let body = Hello::new(version, "name").body();
        for name in ["MQTTX", "mqtt", "MQT", "", "HTTP", "MQIsdp2"] {
            let answer = broker.refusal(version, &connect(name, version.level(), 2, &body));
            assert!(matches!(answer, None | Some(0x81 | 0x84)), "{name:?}: {answer:?}");
        }
    }
}

/// v5: 3.1.2-2; v3: 3.1.2-2
#[test]
fn an_unknown_protocol_level_is_answered_with_return_code_1_and_closed() {
    let broker = Broker::start();
    // With the highest bit as bridges of 3.x set it, which then try without.
    for level in [0, 1, 2, 3, 0x83, 0x84] {
        let body = Hello::new(Version::V311, "level").body();
        let answer = broker.refusal(Version::V311, &connect("MQTT", level, 2, &body));
        assert_eq!(answer, Some(1), "{level}");
    }
}

/// v3: 3.1.2-2
#[test]
fn a_protocol_level_above_5_in_the_form_of_3_1_1_is_answered_with_return_code_1_and_closed() {
    let broker = Broker::start();
    for level in [6, 9, 99, 127, 255] {
        let body = Hello::new(Version::V311, "level").body();
        let answer = broker.refusal(Version::V311, &connect("MQTT", level, 2, &body));
        assert_eq!(answer, Some(1), "{level}");
    }
}

/// v5: 3.1.2-2
#[test]
fn a_protocol_level_above_5_is_answered_in_the_form_of_5_0_and_closed() {
    let broker = Broker::start();
    for level in [6, 7, 9, 127, 0x80, 0x85, 255] {
        let body = Hello::new(Version::V5, "level").body();
        let answer = broker.refusal(Version::V5, &connect("MQTT", level, 2, &body));
        assert_eq!(answer, Some(0x84), "{level}");
    }
}

/// v5: 3.1.2-3, 3.1.4-1; v3: 3.1.2-3, 3.1.4-1, 3.2.2-6
#[test]
fn the_reserved_connect_flag_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let body = Hello::new(version, "flag").body();
        let answer = broker.refusal(version, &connect("MQTT", version.level(), 3, &body));
        assert_eq!(answer, version.code(0x81));
    }
}

/// v5: 3.1.2-11, 3.1.2-13; v3: 3.1.2-11, 3.1.2-13, 3.1.2-15
#[test]
fn will_flags_without_a_will_close_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let body = Hello::new(version, "flags").body();
        for flags in [0x0A, 0x12, 0x22, 0x2A, 0x1A] {
            let answer = broker.refusal(version, &connect("MQTT", version.level(), flags, &body));
            assert_eq!(answer, version.code(0x81), "{flags:#04x}");
        }
    }
}

/// v5: 3.1.2-12; v3: 3.1.2-14
#[test]
fn a_will_with_qos_3_closes_the_connection_and_all_others_are_taken() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 0..=3 {
            let hello = Hello::new(version, "qos").will(Will::new("will", "x", qos));
            if qos < 3 {
                broker.connect(&hello).ping();
            } else {
                assert_eq!(broker.refusal(version, &hello.bytes()), version.code(0x81));
            }
        }
    }
}

/// v5: 3.1.2-9, 3.1.2-17, 3.1.2-19, 3.1.3-3; v3: 3.1.2-9, 3.1.2-19, 3.1.2-21, 3.1.3-3
#[test]
fn a_field_that_the_flags_announce_must_be_there() {
    let broker = Broker::start();
    for version in BOTH {
        let full = Hello::new(version, "full")
            .will(Will::new("will", "gone", 0))
            .login(Some("user"), Some(b"password"));
        let (flags, body) = (full.flags(), full.body());
        // Every cut leaves out the last fields: password, user name, will, client identifier.
        for len in 0..body.len() {
            let bytes = connect("MQTT", version.level(), flags, &body[..len]);
            let answer = broker.refusal(version, &bytes);
            assert_eq!(answer, version.code(0x81), "{len} of {}", body.len());
        }
        broker.connect(&full).ping();
    }
}

/// v5: 3.1.2-16, 3.1.2-18; v3: 3.1.2-11, 3.1.2-18, 3.1.2-20
#[test]
fn a_field_that_the_flags_do_not_announce_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::new(version, "more");
        for extra in [text("user"), [text("user"), text("password")].concat(), vec![0]] {
            let body = [hello.body(), extra].concat();
            let answer = broker.refusal(version, &connect("MQTT", version.level(), 2, &body));
            assert_eq!(answer, version.code(0x81));
        }
    }
}

/// v3: 3.1.2-22
#[test]
fn a_password_without_a_user_name_is_for_mqtt_5_only() {
    let broker = Broker::start();
    let hello = |version| Hello::new(version, "password").login(None, Some(b"secret"));
    assert_eq!(broker.refusal(Version::V311, &hello(Version::V311).bytes()), None);
    broker.connect(&hello(Version::V5)).ping();
}

/// v5: 3.1.3-1; v3: 3.1.3-1
#[test]
fn all_fields_of_the_payload_are_read_in_their_order() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("will/topic", 0);
        let hello = Hello::new(version, "client")
            .will(Will::new("will/topic", "will payload", 0))
            .login(Some("user"), Some(b"password"));
        broker.connect(&hello).vanish();
        let message = watcher.message();
        assert_eq!((message.topic.as_str(), message.text()), ("will/topic", "will payload"));
    }
}

/// v5: 3.1.3-4, 3.1.3-11, 3.1.3-12; v3: 3.1.3-4, 3.1.3-10, 3.1.3-11
#[test]
fn strings_in_connect_that_are_not_utf_8_close_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let block = version.block(&[]);
        let bad = packet::binary(&[b'a', 0xC3, 0x28]);
        let id = text("strings");
        let will = [&block[..], &text("will"), &text("gone")].concat();
        let bad_will = [&block[..], &bad, &text("gone")].concat();
        for (flags, parts) in [
            (0x02, vec![&bad]),
            (0x06, vec![&id, &bad_will]),
            (0x86, vec![&id, &will, &bad]),
            (0x82, vec![&id, &bad]),
        ] {
            let payload: Vec<u8> = parts.into_iter().flatten().copied().collect();
            let rest = [&[0, 0], &block[..], &payload].concat();
            let answer = broker.refusal(version, &connect("MQTT", version.level(), flags, &rest));
            assert_eq!(answer, version.code(0x81), "{flags:#04x}");
        }
    }
}

/// v5: 3.1.3-5, 4.2-1; v3: 3.1.3-5, 7.0.0-2, 7.1.1-1
#[test]
fn client_identifiers_of_1_to_23_letters_and_digits_are_taken() {
    let broker = Broker::start();
    let all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for version in BOTH {
        for id in ["0", "Z", &all[..23], &all[23..46], &all[39..]] {
            broker.client(version, id).disconnect();
        }
        // Nothing forbids more, and clients use it.
        broker.client(version, &"long-identifier/".repeat(16)).disconnect();
    }
}

/// v5: 3.1.3-6, 3.1.3-7, 3.2.2-16
#[test]
fn a_client_without_an_identifier_is_given_a_new_one_and_told() {
    let broker = Broker::start();
    let assigned = |hello: &Hello| {
        let client = broker.connect(hello);
        assert!(!client.present);
        let id = client.props.iter().find_map(|prop| match prop {
            prop::Prop::Text(prop::ASSIGNED_CLIENT_IDENTIFIER, id) => Some(id.clone()),
            _ => None,
        });
        (client, id.expect("no Assigned Client Identifier"))
    };
    let clean = Hello::new(Version::V5, "");
    let (_first, one) = assigned(&clean);
    let (_second, two) = assigned(&clean);
    let (third, three) = assigned(&Hello::resume(Version::V5, "", 60));
    assert!(!one.is_empty() && one != two && two != three && one != three);
    // The session belongs to the identifier that was assigned.
    third.disconnect();
    assert!(broker.connect(&Hello::resume(Version::V5, &three, 60)).present);
    // Who brings an identifier is not assigned another.
    assert_eq!(broker.client(Version::V5, "own").props.iter().find(|prop| prop.id() == 0x12), None);
}

/// v3: 3.1.3-6
#[test]
fn clean_clients_of_3_1_1_without_an_identifier_do_not_take_over_each_other() {
    let broker = Broker::start();
    let mut clients: Vec<_> = (0..3).map(|_| broker.client(Version::V311, "")).collect();
    clients.iter_mut().for_each(crate::harness::Client::ping);
}

/// v3: 3.1.3-7, 3.1.3-8, 3.1.3-9, 3.2.2-4, 3.2.2-5
#[test]
fn a_session_of_3_1_1_without_an_identifier_is_refused_with_return_code_2() {
    let broker = Broker::start();
    let hello = Hello::new(Version::V311, "").not_clean();
    assert_eq!(broker.refusal(Version::V311, &hello.bytes()), Some(2));
}

/// v5: 3.1.4-6; v3: 3.1.4-5
#[test]
fn what_follows_a_refused_connect_is_not_processed() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("#", 0);
        let bad = match version {
            Version::V311 => Hello::new(version, "").not_clean().bytes(),
            Version::V5 => {
                Hello::new(version, "x").with(prop::authentication_method("unknown")).bytes()
            }
        };
        let all = [bad, Outgoing::new("a", "b", 0).bytes(version, 0)].concat();
        assert!(broker.refusal(version, &all).is_some());
        watcher.hears_nothing();
    }
}

/// v5: 3.2.0-1; v3: 3.2.0-1
#[test]
fn packets_sent_right_behind_connect_are_served_after_connack() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.open(version);
        let all = [
            Hello::new(version, "eager").bytes(),
            packet::subscribe(version, 7, &[("eager", 0)], &[]),
            Outgoing::new("eager", "x", 0).bytes(version, 0),
            packet::PINGREQ.to_vec(),
        ]
        .concat();
        client.send(&all);
        assert_eq!(client.conn_ack(), 0);
        assert!(matches!(client.next_other(), Packet::SubAck { id: 7, .. }));
        assert_eq!(client.next_other(), Packet::PingResp);
        assert_eq!(client.message().text(), "x");
    }
}

#[test]
fn a_client_of_3_1_is_let_in_and_told_nothing_of_its_session() {
    let broker = Broker::start();
    for _ in 0..2 {
        let mut client = broker.open(Version::V311);
        let body = Hello::new(Version::V311, "MQIsdp").body();
        client.send(&connect("MQIsdp", 3, 0, &body));
        // The first byte is reserved there.
        assert_eq!(client.try_receive_bytes(), Some(vec![0x20, 2, 0, 0]));
        client.say("a", "x", 2);
        client.disconnect();
    }
}

/// v5: 3.1.3-8
#[test]
fn an_identifier_that_belongs_to_another_name_is_refused_and_closed() {
    let broker = Broker::start();
    for version in BOTH {
        let id = format!("owned {version:?}");
        let hello = |name| Hello::resume(version, &id, 60).login(Some(name), Some(b"x"));
        let mut owner = broker.connect(&hello("owner"));
        let code = if version == Version::V5 { 0x87 } else { 5 };
        assert_eq!(broker.refusal(version, &hello("thief").bytes()), Some(code));
        owner.ping();
    }
}

#[test]
fn a_client_may_publish_and_leave_without_waiting_for_an_answer() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("burst", 2);
        for n in 0..20 {
            let mut client = broker.open(version);
            let all = [
                Hello::new(version, "burst").bytes(),
                Outgoing::new("burst", format!("{n}"), 0).bytes(version, 0),
                packet::DISCONNECT.to_vec(),
            ];
            client.send(&all.concat());
            if n % 2 == 0 {
                client.vanish();
            } else {
                assert_eq!(client.conn_ack(), 0);
                assert_eq!(client.end(), None);
            }
            assert_eq!(watcher.message().text(), format!("{n}"));
        }
    }
}

#[test]
fn a_connect_that_comes_byte_by_byte_is_taken() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.open(version);
        for byte in Hello::new(version, "slow").login(Some("user"), Some(b"x")).bytes() {
            client.send(&[byte]);
        }
        assert_eq!(client.conn_ack(), 0);
    }
}

/// v5: 3.1.4-1, 2.1.3-1; v3: 3.1.4-1, 2.2.2-1, 2.2.2-2
#[test]
fn reserved_flags_in_the_fixed_header_of_connect_close_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let good = Hello::new(version, "flags").bytes();
        for flags in 1..16 {
            let bytes = frame(0x10 | flags, &[&good[2..]]);
            let answer = broker.refusal(version, &bytes);
            assert!(answer.is_none() || answer == version.code(0x81), "{flags}: {answer:?}");
        }
    }
}
