//! How a client is told no.

use wasmqtt_codec::{
    Connect, ConnectProperties, Frame, Packet, ReasonCode, UserPropertiesBuf, Version,
};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::handshake;
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Action, Decision, Refusal, Screened, Transformed};
use wasmqtt_core::message::Message;

use crate::wire::{Q0, Q1, Q2, QOS, Sent, VERSIONS, Wire, clean, numbered, pubrel};

fn quiet(id: &str) -> Connect<'_> {
    let properties =
        ConnectProperties { request_problem_information: false, ..ConnectProperties::default() };
    Connect { properties, ..clean(Version::V5, id) }
}

fn refusal() -> Refusal {
    let mut user_properties = UserPropertiesBuf::new();
    user_properties.push("hint", "ask").unwrap();
    Refusal { user_properties, ..Refusal::new(ReasonCode::QuotaExceeded).because("too much") }
}

#[test]
fn a_refused_publication_is_told_why_only_to_who_wants_to_know() {
    for (connect, told) in
        [(clean(Version::V5, "c"), (Some("too much".to_owned()), 1)), (quiet("c"), (None, 0))]
    {
        let mut wire = Wire::new();
        wire.script().answer(Action::Publish, "a", Decision::Deny(refusal()));
        let mut client = wire.connect(&connect);
        for qos in [Q1, Q2] {
            assert_eq!(wire.publish(&mut client, "a", qos, "x"), ReasonCode::QuotaExceeded);
            assert_eq!(client.told, told);
        }
        assert_eq!(wire.publish(&mut client, "a", Q0, "x"), ReasonCode::Success, "no answer");
        assert_eq!(client.closed, None);
    }
}

#[test]
fn a_refused_publication_of_a_3x_client_goes_through_all_steps_and_nowhere_else() {
    for version in [Version::V31, Version::V311] {
        let mut wire = Wire::new();
        wire.script().deny(Action::Publish, "a");
        let mut client = wire.connect(&clean(version, "c"));
        wire.subscribe(&mut client, "#", Q2);
        for qos in QOS {
            assert_eq!(wire.publish(&mut client, "a", qos, "x"), ReasonCode::Success);
        }
        assert!(wire.take(&mut client).is_empty());
        assert_eq!(wire.lane.counters.refused, 3);
    }
}

#[test]
fn a_refused_qos_2_publication_leaves_no_identifier_behind() {
    let mut wire = Wire::new();
    wire.limits.receive_maximum = 1;
    wire.script().deny(Action::Publish, "no");
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "#", Q2);
    for _ in 0..3 {
        let answers = wire.send(&mut client, &numbered("no", Q2, 5, "x"));
        assert_eq!(answers, [Sent::PubRec(5, ReasonCode::NotAuthorized)]);
    }
    let not_found = Sent::PubComp(5, ReasonCode::PacketIdentifierNotFound);
    assert_eq!(wire.send(&mut client, &pubrel(5)), [not_found]);
    let answers = wire.send(&mut client, &numbered("yes", Q2, 5, "y"));
    assert_eq!(answers, [Sent::PubRec(5, ReasonCode::Success)]);
    assert_eq!(wire.take_payloads(&mut client), ["y"]);
}

#[test]
fn a_publication_above_the_allowed_qos_is_refused() {
    let mut wire = Wire::new();
    wire.script().answer(Action::Publish, "a", Decision::AllowUpTo(Q1));
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "a", Q2);
    assert_eq!(wire.publish(&mut client, "a", Q1, "x"), ReasonCode::Success);
    assert_eq!(wire.publish(&mut client, "a", Q2, "x"), ReasonCode::NotAuthorized);
}

#[test]
fn the_brokers_own_topics_take_no_publication_and_nobody_is_asked() {
    for version in VERSIONS {
        for topic in ["$SYS", "$SYS/x", "$SYS/broker/uptime"] {
            let mut wire = Wire::new();
            let mut client = wire.connect(&clean(version, "c"));
            wire.subscribe(&mut client, "$SYS/#", Q2);
            wire.script().asked.clear();
            let code = wire.publish(&mut client, topic, Q1, "x");
            let expected = match version {
                Version::V5 => ReasonCode::NotAuthorized,
                _ => ReasonCode::Success,
            };
            assert_eq!(code, expected);
            assert!(wire.take(&mut client).is_empty());
            assert!(wire.script().asked.is_empty());
            assert_eq!(client.closed, None);
        }
        let mut wire = Wire::new();
        let mut client = wire.connect(&clean(version, "c"));
        wire.subscribe(&mut client, "$SYSTEM/x", Q1);
        wire.publish(&mut client, "$SYSTEM/x", Q1, "x");
        assert_eq!(wire.take(&mut client).len(), 1, "another tree");
    }
}

#[test]
fn a_code_that_the_packet_cannot_carry_is_replaced() {
    let mut wire = Wire::new();
    let odd = Refusal::new(ReasonCode::KeepAliveTimeout).because("odd");
    wire.script().answer(Action::Publish, "a", Decision::Deny(odd.clone()));
    wire.script().answer(Action::Will, "w", Decision::Deny(odd));
    let mut client = wire.connect(&clean(Version::V5, "c"));
    for qos in [Q1, Q2] {
        assert_eq!(wire.publish(&mut client, "a", qos, "x"), ReasonCode::UnspecifiedError);
    }
    let will = Some(crate::wire::will("w", "x"));
    let refused = wire.try_connect(&Connect { will, ..clean(Version::V5, "d") }).err().unwrap();
    assert_eq!(refused.code, ReasonCode::NotAuthorized);
}

#[test]
fn a_transformer_may_let_a_message_vanish_or_refuse_it() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.subscribe(&mut client, "#", Q2);
    wire.script().transform = Some(Box::new(|message, _| match message.topic() {
        "vanish" => Transformed::Discard,
        "refuse" => Transformed::Reject(refusal()),
        _ => Transformed::Forward(message),
    }));
    for qos in [Q1, Q2] {
        assert_eq!(wire.publish(&mut client, "vanish", qos, "x"), ReasonCode::Success);
        assert_eq!(wire.publish(&mut client, "refuse", qos, "x"), ReasonCode::QuotaExceeded);
        assert_eq!(wire.publish(&mut client, "pass", qos, "x"), ReasonCode::Success);
    }
    let topics: Vec<_> = wire.take(&mut client).into_iter().map(|got| got.topic).collect();
    assert_eq!(topics, ["pass", "pass"]);
}

#[test]
fn what_is_not_authorized_is_never_shown_to_a_transformer() {
    let mut wire = Wire::new();
    let mut client = wire.connect(&clean(Version::V5, "c"));
    wire.script().deny(Action::Publish, "a");
    wire.script().transform =
        Some(Box::new(|message: Message, _| panic!("{} was shown", message.topic())));
    assert_eq!(wire.publish(&mut client, "a", Q1, "x"), ReasonCode::NotAuthorized);
}

#[test]
fn a_delivery_may_be_kept_from_one_subscriber_and_replaced_for_another() {
    let mut wire = Wire::new();
    let [mut a, mut b, mut c] = ["a", "b", "c"].map(|id| wire.connect(&clean(Version::V5, id)));
    for client in [&mut a, &mut b, &mut c] {
        wire.subscribe(client, "t", Q2);
    }
    wire.script().screen = Some(Box::new(|client, message| match &*client.id {
        "a" => Screened::Skip,
        "b" => {
            let changes = wasmqtt_core::message::Changes {
                payload: Some(b"masked".to_vec()),
                qos: Some(Q0),
                ..Default::default()
            };
            Screened::Replace(message.with(&changes, Default::default()).into())
        }
        _ => Screened::Deliver,
    }));
    for _ in 0..3 {
        wire.publish(&mut c, "t", Q2, "open");
    }
    assert!(wire.take(&mut a).is_empty());
    let masked = wire.take(&mut b);
    assert_eq!(masked.len(), 3);
    assert!(masked.iter().all(|got| (got.payload.as_str(), got.qos) == ("masked", Q0)));
    assert_eq!(wire.take_payloads(&mut c), ["open", "open", "open"]);
    wire.script().screen = None;
    wire.publish(&mut c, "t", Q2, "now");
    assert_eq!(wire.take_payloads(&mut a), ["now"], "what was skipped holds no place");
}

#[test]
fn the_first_packet_must_be_a_connect_and_a_stranger_is_not_answered() {
    let frame = Frame { first: 0xC0, body: &[] };
    let fault = handshake::receive(frame, ListenerId(0), Transport::Tcp, "here").unwrap_err();
    assert!(matches!(fault, Fault::ConnectExpected(_)));
    let mut out = Vec::new();
    handshake::reject(&fault, Some(frame), &mut out);
    handshake::reject(&fault, None, &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_connect_that_cannot_be_served_is_answered_in_the_language_of_the_client() {
    let connect = |version: Version, properties| {
        let mut bytes = Vec::new();
        let connect = Connect { properties, ..Connect::new(version, "c") };
        connect.encode(version, &mut bytes).unwrap();
        bytes
    };
    let level = |level: u8| {
        let mut bytes = connect(Version::V5, ConnectProperties::default());
        bytes[8] = level;
        bytes
    };
    let old = |level: u8| {
        let mut bytes = connect(Version::V311, ConnectProperties::default());
        bytes[8] = level;
        bytes
    };
    let mut reserved = connect(Version::V5, ConnectProperties::default());
    reserved[9] |= 1;
    // What is newer reads 5.0; what is older, or a bridge that marks its level, or has the form of 3.1.1, reads that.
    let unsupported = ReasonCode::UnsupportedProtocolVersion;
    for (bytes, version, code) in [
        (reserved, Version::V5, ReasonCode::MalformedPacket),
        (level(0), Version::V311, unsupported),
        (level(3), Version::V311, unsupported),
        (level(6), Version::V5, unsupported),
        (level(9), Version::V5, unsupported),
        (level(127), Version::V5, unsupported),
        (level(0x83), Version::V311, unsupported),
        (level(0x84), Version::V311, unsupported),
        (level(0x85), Version::V5, unsupported),
        (level(255), Version::V5, unsupported),
        (old(6), Version::V311, unsupported),
        (old(99), Version::V311, unsupported),
    ] {
        let frame = Frame { first: bytes[0], body: &bytes[2..] };
        let fault = handshake::receive(frame, ListenerId(0), Transport::Tcp, "here").unwrap_err();
        let mut out = Vec::new();
        handshake::reject(&fault, Some(frame), &mut out);
        let answer = Frame { first: out[0], body: &out[2..] };
        match wasmqtt_codec::decode(version, answer).unwrap() {
            Packet::ConnAck(connack) => assert_eq!(connack.reason, code),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_password_never_shows_in_what_is_logged_of_a_connect() {
    let connect =
        Connect { username: Some("u"), password: Some(b"hunter2"), ..clean(Version::V5, "c") };
    let mut bytes = Vec::new();
    connect.encode(Version::V5, &mut bytes).unwrap();
    let frame = Frame { first: bytes[0], body: &bytes[2..] };
    let hello = handshake::receive(frame, ListenerId(0), Transport::Tcp, "here").unwrap();
    let shown = format!("{hello:?}");
    assert!(shown.contains("\"c\""));
    assert!(!shown.contains("hunter2") && !shown.contains(&format!("{:?}", b"hunter2")));
}
