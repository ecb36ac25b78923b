//! Properties that travel with a message, and properties that are not as they must be.

use crate::harness::{Broker, Hello, Outgoing, Prop, Version, frame, packet, prop, text};

const V5: Version = Version::V5;

/// v5: 3.3.2-4, 3.3.2-15, 3.3.2-16, 3.3.2-17, 3.3.2-18, 3.3.2-20
#[test]
fn subscribers_get_every_property_unaltered() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("props", 2);
    let props = vec![
        prop::user("b", "1"),
        prop::payload_format(1),
        prop::content_type("application/json; ü"),
        prop::user("a", "2"),
        prop::response_topic("answers/🦀"),
        prop::correlation_data(&[0, 255, 1]),
        prop::user("b", ""),
        prop::user("", "empty name"),
    ];
    for qos in 0..=2 {
        client.publish(&Outgoing { props: props.clone(), ..Outgoing::new("props", "x", qos) });
        let message = client.message();
        assert_eq!(message.props.len(), props.len());
        let users = |props: &[Prop]| -> Vec<Prop> {
            props.iter().filter(|prop| prop.id() == prop::USER_PROPERTY).cloned().collect()
        };
        assert_eq!(users(&message.props), users(&props));
        assert!(props.iter().all(|prop| message.props.contains(prop)), "{:?}", message.props);
    }
}

/// v5: 3.3.2-4
#[test]
fn a_payload_format_is_passed_on_even_when_it_is_zero() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("format", 0);
    for props in [vec![], vec![prop::payload_format(0)], vec![prop::payload_format(1)]] {
        client.publish(&Outgoing { props: props.clone(), ..Outgoing::new("format", "x", 0) });
        assert_eq!(client.message().props, props);
    }
}

/// v5: 3.3.2-5, 3.3.2-6
#[test]
fn a_message_that_waits_loses_life_and_is_deleted_when_none_is_left() {
    let broker = Broker::start();
    let hello = Hello::resume(V5, "away", 60);
    let mut client = broker.connect(&hello);
    client.sub("expiry", 1);
    client.disconnect();
    let mut publisher = broker.client(V5, "publisher");
    for (text, seconds) in [("short", Some(1)), ("long", Some(60)), ("ever", None)] {
        let mut message = Outgoing::new("expiry", text, 1);
        message.props.extend(seconds.map(prop::message_expiry));
        publisher.publish(&message);
    }
    std::thread::sleep(std::time::Duration::from_millis(2100));
    let mut client = broker.connect(&hello);
    let message = client.message();
    let left = prop::four(&message.props, prop::MESSAGE_EXPIRY).unwrap();
    assert_eq!(message.text(), "long");
    assert!((1..=58).contains(&left), "{left}");
    let message = client.message();
    assert_eq!((message.text(), message.props.len()), ("ever", 0));
    client.hears_nothing();
}

#[test]
fn the_longest_and_the_shortest_expiry_do_no_harm() {
    let broker = Broker::start();
    let mut client = broker.client(V5, "client");
    client.sub("expiry", 1);
    let message = |seconds| Outgoing::new("expiry", "x", 1).with(prop::message_expiry(seconds));
    client.publish(&message(u32::MAX));
    let left = prop::four(&client.message().props, prop::MESSAGE_EXPIRY).unwrap();
    assert!(left >= u32::MAX - 5);
    assert!(client.publish(&message(0)) < 0x80);
    client.publish(&message(10).retained());
    client.message();
}

/// v5: 3.3.2-14, 3.3.2-13
#[test]
fn a_response_topic_with_a_wildcard_or_bad_utf_8_closes_the_connection() {
    let broker = Broker::start();
    for topic in ["a/#", "+/b", "#"] {
        let message = Outgoing::new("a", "x", 1).with(prop::response_topic(topic));
        broker.client(V5, "client").fault(&message.bytes(V5, 1), 0x82);
    }
    let bad = [vec![prop::RESPONSE_TOPIC], packet::binary(&[0xFF])].concat();
    let bytes = frame(0x30, &[&text("a"), &prop::raw_block(&bad)]);
    broker.client(V5, "client").fault(&bytes, 0x81);
}

/// v5: 3.3.2-19, 1.5.7-1, 1.5.4-1, 1.5.4-2
#[test]
fn strings_in_properties_that_are_not_utf_8_close_the_connection() {
    let broker = Broker::start();
    for bad in [&[0xFF][..], &[0], &[0xC0, 0x80], &[0xED, 0xA0, 0x80]] {
        let bad = packet::binary(bad);
        for props in [
            [vec![prop::CONTENT_TYPE], bad.clone()].concat(),
            [vec![prop::USER_PROPERTY], bad.clone(), text("value")].concat(),
            [vec![prop::USER_PROPERTY], text("name"), bad].concat(),
        ] {
            let bytes = frame(0x30, &[&text("a"), &prop::raw_block(&props)]);
            broker.client(V5, "client").fault(&bytes, 0x81);
        }
    }
}

#[test]
fn a_property_of_publish_that_occurs_twice_is_a_protocol_error() {
    let broker = Broker::start();
    for prop in [
        prop::payload_format(1),
        prop::message_expiry(1),
        prop::topic_alias(1),
        prop::response_topic("a"),
        prop::correlation_data(b"x"),
        prop::content_type("x"),
    ] {
        let message = Outgoing::new("a", "x", 0).with(prop.clone()).with(prop);
        broker.client(V5, "client").fault(&message.bytes(V5, 0), 0x82);
    }
}

#[test]
fn a_property_of_connect_that_occurs_twice_is_a_protocol_error() {
    let broker = Broker::start();
    for prop in [
        prop::session_expiry(1),
        prop::receive_maximum(1),
        prop::maximum_packet_size(100),
        prop::topic_alias_maximum(1),
        prop::request_response_information(0),
        prop::request_problem_information(1),
        prop::authentication_method("x"),
    ] {
        let hello = Hello::new(V5, "client").with(prop.clone()).with(prop);
        assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x82), "{hello:?}");
    }
    // User properties may occur as often as they like, names too.
    let hello = Hello::new(V5, "client").with(prop::user("a", "b")).with(prop::user("a", "b"));
    broker.connect(&hello).ping();
}

#[test]
fn values_out_of_range_are_protocol_errors() {
    let broker = Broker::start();
    for prop in [
        prop::receive_maximum(0),
        prop::maximum_packet_size(0),
        prop::request_response_information(2),
        prop::request_problem_information(255),
        Prop::Binary(prop::AUTHENTICATION_DATA, vec![1]),
    ] {
        let hello = Hello::new(V5, "client").with(prop);
        assert_eq!(broker.refusal(V5, &hello.bytes()), Some(0x82), "{hello:?}");
    }
    let message = Outgoing::new("a", "x", 0).with(prop::payload_format(2)).bytes(V5, 0);
    broker.client(V5, "client").fault(&message, 0x82);
}

/// Every property, with some value.
fn all() -> Vec<Prop> {
    vec![
        prop::payload_format(0),
        prop::message_expiry(1),
        prop::content_type("x"),
        prop::response_topic("x"),
        prop::correlation_data(b"x"),
        prop::subscription_identifier(1),
        prop::session_expiry(0),
        Prop::Text(prop::ASSIGNED_CLIENT_IDENTIFIER, "x".to_owned()),
        Prop::Two(prop::SERVER_KEEP_ALIVE, 1),
        prop::authentication_method("x"),
        Prop::Binary(prop::AUTHENTICATION_DATA, vec![1]),
        prop::request_problem_information(1),
        prop::will_delay(1),
        prop::request_response_information(1),
        Prop::Text(prop::RESPONSE_INFORMATION, "x".to_owned()),
        Prop::Text(0x1C, "x".to_owned()),
        prop::reason_string("x"),
        prop::receive_maximum(1),
        prop::topic_alias_maximum(1),
        prop::topic_alias(1),
        Prop::Byte(0x24, 1),
        Prop::Byte(0x25, 1),
        prop::user("x", "y"),
        prop::maximum_packet_size(1000),
        Prop::Byte(0x28, 1),
        Prop::Byte(0x29, 1),
        Prop::Byte(0x2A, 1),
    ]
}

/// v5: 4.13.1-1
#[test]
fn a_property_in_a_packet_it_does_not_belong_to_closes_the_connection() {
    let broker = Broker::start();
    let wrong = |allowed: &[u8]| -> Vec<Prop> {
        all().into_iter().filter(|prop| !allowed.contains(&prop.id())).collect()
    };
    let closes = |bytes: &[u8]| {
        let mut client = broker.client(V5, "client");
        client.send(bytes);
        let code = client.end();
        assert!(matches!(code, Some(0x81 | 0x82)), "{code:?} {bytes:02x?}");
    };
    for prop in wrong(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]) {
        let code = broker.refusal(V5, &Hello::new(V5, "client").with(prop).bytes());
        assert!(matches!(code, Some(0x81 | 0x82)), "{code:?}");
    }
    for prop in wrong(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26]) {
        closes(&Outgoing::new("a", "x", 1).with(prop).bytes(V5, 1));
    }
    for prop in wrong(&[0x1F, 0x26]) {
        for first in [0x40, 0x50, 0x62, 0x70] {
            closes(&frame(first, &[&[0, 1, 0], &prop::block(std::slice::from_ref(&prop))]));
        }
    }
    for prop in wrong(&[0x0B, 0x26]) {
        closes(&packet::subscribe(V5, 1, &[("a", 0)], &[prop]));
    }
    for prop in wrong(&[0x26]) {
        closes(&frame(0xA2, &[&[0, 1], &prop::block(&[prop]), &text("a")]));
    }
    for prop in wrong(&[0x11, 0x1C, 0x1F, 0x26]) {
        closes(&packet::disconnect(0, &[prop]));
    }
}

#[test]
fn an_unknown_property_is_malformed() {
    let broker = Broker::start();
    for id in [0x00, 0x04, 0x0A, 0x10, 0x14, 0x1B, 0x20, 0x2B, 0x7F] {
        let bytes = frame(0x30, &[&text("a"), &prop::raw_block(&[id, 0])]);
        broker.client(V5, "client").fault(&bytes, 0x81);
    }
    // An identifier is a variable byte integer: longer than needed is malformed too.
    let bytes = frame(0x30, &[&text("a"), &prop::raw_block(&[0x81, 0x00, 0])]);
    broker.client(V5, "client").fault(&bytes, 0x81);
}

#[test]
fn a_property_length_that_is_wrong_is_malformed() {
    let broker = Broker::start();
    let alias = prop::topic_alias(1).bytes();
    for length in [1, 2, 4, 100, 127] {
        let bytes = frame(0x30, &[&text("a"), &[length], &alias]);
        broker.client(V5, "client").fault(&bytes, 0x81);
    }
    let subscribe = frame(0x82, &[&[0, 1, 200, 1], &text("a"), &[0]]);
    broker.client(V5, "client").fault(&subscribe, 0x81);
}

#[test]
fn request_and_response_work_as_the_specification_tells() {
    let broker = Broker::start();
    let mut requester = broker.client(V5, "requester");
    let mut responder = broker.client(V5, "responder");
    responder.sub("request", 2);
    requester.sub("answer/1", 2);
    let question = Outgoing::new("request", "?", 2)
        .with(prop::response_topic("answer/1"))
        .with(prop::correlation_data(b"42"));
    requester.publish(&question);
    let asked = responder.message();
    assert!(asked.props.contains(&prop::response_topic("answer/1")));
    responder.publish(&Outgoing::new("answer/1", "!", 2).with(prop::correlation_data(b"42")));
    let answer = requester.message();
    assert_eq!((answer.text(), &answer.props[..]), ("!", &[prop::correlation_data(b"42")][..]));
}
