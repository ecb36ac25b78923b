//! Packets and their bytes, written down by hand from the figures of the specifications.

use std::num::{NonZeroU16, NonZeroU32};

use wasmqtt_codec::frame::{self, Next};
use wasmqtt_codec::*;

use super::{VERSIONS, id};

/// `packet` is written as `bytes`, and `bytes` are read as `packet`.
fn same(version: Version, packet: Packet<'_>, bytes: &[u8]) {
    let mut out = Vec::new();
    packet.encode(version, &mut out).unwrap();
    assert_eq!(out, bytes, "{packet:?}");
    let Ok(Next::Whole { frame, .. }) = frame::next(bytes, 1024) else { panic!("{packet:?}") };
    assert_eq!(decode(version, frame), Ok(packet));
}

fn full_connect(version: Version) -> Packet<'static> {
    Packet::Connect(Box::new(Connect {
        version,
        clean_start: true,
        keep_alive: 10,
        client_id: "c",
        username: Some("u"),
        password: Some(b"p"),
        will: Some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic: "w",
            payload: b"bye",
            delay_interval: 0,
            message_expiry_interval: None,
            properties: MessageProperties::EMPTY,
        }),
        properties: ConnectProperties::default(),
    }))
}

#[test]
fn connect_is_the_example_of_the_specification() {
    same(
        Version::V31,
        full_connect(Version::V31),
        b"\x10\x1d\0\x06MQIsdp\x03\xce\0\x0a\0\x01c\0\x01w\0\x03bye\0\x01u\0\x01p",
    );
    same(
        Version::V311,
        full_connect(Version::V311),
        b"\x10\x1b\0\x04MQTT\x04\xce\0\x0a\0\x01c\0\x01w\0\x03bye\0\x01u\0\x01p",
    );
    // Figure 3-6 has a session expiry interval of ten seconds.
    let Packet::Connect(mut connect) = full_connect(Version::V5) else { panic!() };
    connect.properties.session_expiry_interval = Some(10);
    same(
        Version::V5,
        Packet::Connect(connect),
        b"\x10\x22\0\x04MQTT\x05\xce\0\x0a\x05\x11\0\0\0\x0a\0\x01c\0\0\x01w\0\x03bye\0\x01u\0\x01p",
    );
}

#[test]
fn connect_ignores_the_version_it_is_asked_for() {
    let mut out = Vec::new();
    full_connect(Version::V311).encode(Version::V5, &mut out).unwrap();
    let Ok(Next::Whole { frame, .. }) = frame::next(&out, 1024) else { panic!() };
    assert_eq!(decode(Version::V31, frame), Ok(full_connect(Version::V311)));
}

#[test]
fn connack_has_a_return_code_or_properties() {
    let accepted = || Packet::ConnAck(Box::new(ConnAck::new(true, ReasonCode::Success)));
    same(Version::V311, accepted(), b"\x20\x02\x01\0");
    same(Version::V5, accepted(), b"\x20\x03\x01\0\0");
    let refused = || Packet::ConnAck(Box::new(ConnAck::new(false, ReasonCode::NotAuthorized)));
    same(Version::V31, refused(), b"\x20\x02\0\x05");
    same(Version::V5, refused(), b"\x20\x03\0\x87\0");
    // 3.1 has no session present flag.
    let mut out = Vec::new();
    accepted().encode(Version::V31, &mut out).unwrap();
    assert_eq!(out, b"\x20\x02\0\0");

    let mut connack = ConnAck::new(false, ReasonCode::Success);
    connack.properties.receive_maximum = NonZeroU16::new(20);
    connack.properties.maximum_qos = QoS::AtLeastOnce;
    connack.properties.retain_available = false;
    connack.properties.assigned_client_identifier = Some("x");
    same(
        Version::V5,
        Packet::ConnAck(Box::new(connack)),
        b"\x20\x0e\0\0\x0b\x21\0\x14\x24\x01\x25\0\x12\0\x01x",
    );
}

#[test]
fn publish_is_the_example_of_the_specification() {
    let publish = |qos, packet_id| {
        Packet::Publish(Publish {
            dup: false,
            qos,
            retain: false,
            topic: "a/b",
            packet_id,
            properties: PublishProperties::default(),
            payload: b"hi",
        })
    };
    let one = || publish(QoS::AtLeastOnce, Some(id(10)));
    for version in [Version::V31, Version::V311] {
        same(version, one(), b"\x32\x09\0\x03a/b\0\x0ahi");
        same(version, publish(QoS::AtMostOnce, None), b"\x30\x07\0\x03a/bhi");
    }
    same(Version::V5, one(), b"\x32\x0a\0\x03a/b\0\x0a\0hi");
    let Packet::Publish(mut publish) = publish(QoS::ExactlyOnce, Some(id(0x0102))) else {
        panic!()
    };
    let ids = [NonZeroU32::new(200).unwrap()];
    publish.dup = true;
    publish.retain = true;
    publish.properties.message_expiry_interval = Some(1);
    publish.properties.topic_alias = Some(id(2));
    publish.properties.subscription_identifiers = SubscriptionIdentifiers::from_list(&ids);
    same(
        Version::V5,
        Packet::Publish(publish),
        b"\x3d\x15\0\x03a/b\x01\x02\x0b\x02\0\0\0\x01\x23\0\x02\x0b\xc8\x01hi",
    );
}

#[test]
fn acks_leave_out_what_goes_without_saying() {
    let success = Ack::new(id(0x1234), ReasonCode::Success);
    for version in VERSIONS {
        same(version, Packet::PubAck(success), b"\x40\x02\x12\x34");
        same(version, Packet::PubRec(success), b"\x50\x02\x12\x34");
        same(version, Packet::PubRel(success), b"\x62\x02\x12\x34");
        same(version, Packet::PubComp(success), b"\x70\x02\x12\x34");
    }
    let failed = Ack::new(id(1), ReasonCode::NotAuthorized);
    same(Version::V5, Packet::PubAck(failed), b"\x40\x03\0\x01\x87");
    let explained = Ack { reason_string: Some("no"), ..failed };
    same(Version::V5, Packet::PubRec(explained), b"\x50\x09\0\x01\x87\x05\x1f\0\x02no");
    // An explicit success without properties is read as well.
    let explicit = Frame { first: 0x40, body: &[0x12, 0x34, 0, 0] };
    assert_eq!(decode(Version::V5, explicit), Ok(Packet::PubAck(success)));
    // 3.x cannot say that it failed.
    let mut out = Vec::new();
    explained.encode_puback(Version::V311, &mut out).unwrap();
    assert_eq!(out, b"\x40\x02\0\x01");
}

#[test]
fn subscribe_and_its_answer() {
    let subscribe = |subscription_identifier, subscriptions| {
        Packet::Subscribe(Subscribe {
            packet_id: id(10),
            subscription_identifier,
            user_properties: UserProperties::EMPTY,
            subscriptions,
        })
    };
    let two = vec![
        Subscription::new("a/b", QoS::AtLeastOnce),
        Subscription::new("c/d", QoS::ExactlyOnce),
    ];
    for version in [Version::V31, Version::V311] {
        same(version, subscribe(None, two.clone()), b"\x82\x0e\0\x0a\0\x03a/b\x01\0\x03c/d\x02");
    }
    let options = Subscription {
        no_local: true,
        retain_as_published: true,
        retain_handling: RetainHandling::DoNotSend,
        ..Subscription::new("#", QoS::AtLeastOnce)
    };
    same(
        Version::V5,
        subscribe(NonZeroU32::new(128), vec![options]),
        b"\x82\x0a\0\x0a\x03\x0b\x80\x01\0\x01#\x2d",
    );
    let suback = |reasons: &'static [ReasonCode]| {
        Packet::SubAck(SubAck {
            packet_id: id(10),
            reasons: reasons.into(),
            reason_string: None,
            user_properties: UserProperties::EMPTY,
        })
    };
    let reasons = &[ReasonCode::GrantedQoS2, ReasonCode::UnspecifiedError];
    same(Version::V311, suback(reasons), b"\x90\x04\0\x0a\x02\x80");
    same(Version::V5, suback(reasons), b"\x90\x05\0\x0a\0\x02\x80");
    let mut out = Vec::new();
    suback(&[ReasonCode::QuotaExceeded]).encode(Version::V311, &mut out).unwrap();
    assert_eq!(out, b"\x90\x03\0\x0a\x80");
}

#[test]
fn unsubscribe_and_its_answer() {
    let unsubscribe = || {
        Packet::Unsubscribe(Unsubscribe {
            packet_id: id(10),
            user_properties: UserProperties::EMPTY,
            filters: vec!["a/b", "#"],
        })
    };
    same(Version::V311, unsubscribe(), b"\xa2\x0a\0\x0a\0\x03a/b\0\x01#");
    same(Version::V5, unsubscribe(), b"\xa2\x0b\0\x0a\0\0\x03a/b\0\x01#");
    let unsuback = |reasons: &'static [ReasonCode]| {
        Packet::UnsubAck(UnsubAck {
            packet_id: id(10),
            reasons: reasons.into(),
            reason_string: None,
            user_properties: UserProperties::EMPTY,
        })
    };
    same(Version::V311, unsuback(&[]), b"\xb0\x02\0\x0a");
    let reasons = &[ReasonCode::Success, ReasonCode::NoSubscriptionExisted];
    same(Version::V5, unsuback(reasons), b"\xb0\x05\0\x0a\0\0\x11");
    let mut out = Vec::new();
    unsuback(reasons).encode(Version::V31, &mut out).unwrap();
    assert_eq!(out, b"\xb0\x02\0\x0a");
}

#[test]
fn the_packets_without_a_body() {
    for version in VERSIONS {
        same(version, Packet::PingReq, b"\xc0\0");
        same(version, Packet::PingResp, b"\xd0\0");
        same(version, Packet::Disconnect(Disconnect::default()), b"\xe0\0");
    }
    same(Version::V5, Packet::Auth(Auth::default()), b"\xf0\0");
}

#[test]
fn disconnect_and_auth_say_why() {
    let reason = ReasonCode::DisconnectWithWill;
    same(Version::V5, Packet::Disconnect(Disconnect::new(reason)), b"\xe0\x01\x04");
    let normal = Disconnect { session_expiry_interval: Some(2), ..Disconnect::default() };
    same(Version::V5, Packet::Disconnect(normal), b"\xe0\x07\0\x05\x11\0\0\0\x02");
    let auth = Auth {
        reason: ReasonCode::ContinueAuthentication,
        method: Some("m"),
        data: Some(b"d"),
        ..Auth::default()
    };
    same(Version::V5, Packet::Auth(auth), b"\xf0\x0a\x18\x08\x15\0\x01m\x16\0\x01d");
    let mut out = Vec::new();
    Disconnect::new(reason).encode(Version::V311, &mut out).unwrap();
    assert_eq!(out, b"\xe0\0");
}
