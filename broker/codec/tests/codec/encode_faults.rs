//! Everything that cannot be written: the exact error, and an output that stays as it was.

use std::borrow::Cow;
use std::num::NonZeroU32;

use wasmqtt_codec::*;

use super::id;

fn publish(topic: &str) -> Publish<'_> {
    Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: false,
        topic,
        packet_id: None,
        properties: PublishProperties::default(),
        payload: b"payload",
    }
}

fn refused(version: Version, packet: &Packet<'_>) -> EncodeError {
    let mut out = vec![7, 7];
    let error = packet.encode(version, &mut out).unwrap_err();
    assert_eq!(out, [7, 7], "{packet:?}");
    assert!(!error.to_string().is_empty());
    error
}

fn connect(version: Version, change: impl FnOnce(&mut Connect<'_>)) -> EncodeError {
    let mut connect = Connect::new(version, "id");
    change(&mut connect);
    refused(version, &Packet::Connect(Box::new(connect)))
}

#[test]
fn publish_is_refused_when_it_contradicts_itself() {
    let refused = |packet| refused(Version::V5, &Packet::Publish(packet));
    let a = publish("a");
    assert_eq!(refused(Publish { qos: QoS::AtLeastOnce, ..a }), EncodeError::PacketIdMissing);
    assert_eq!(refused(Publish { packet_id: Some(id(1)), ..a }), EncodeError::PacketIdWithQos0);
    assert_eq!(refused(Publish { dup: true, ..a }), EncodeError::DupWithQos0);
    assert_eq!(refused(publish("")), EncodeError::TopicEmpty);
    assert_eq!(refused(publish("a/#")), EncodeError::TopicWildcard);
    assert_eq!(refused(publish("a\0")), EncodeError::StringContainsNul);
    assert_eq!(refused(publish(&"a".repeat(65_536))), EncodeError::StringTooLong);
}

#[test]
fn a_topic_alias_stands_for_a_topic_in_v5_only() {
    let mut aliased = publish("");
    aliased.properties.topic_alias = Some(id(1));
    let mut out = Vec::new();
    assert_eq!(aliased.encode(Version::V5, &mut out), Ok(()));
    assert_eq!(refused(Version::V311, &Packet::Publish(aliased)), EncodeError::TopicEmpty);
}

#[test]
fn subscription_identifiers_have_28_bits() {
    for (value, expected) in [
        (268_435_455, Ok(())),
        (268_435_456, Err(EncodeError::SubscriptionIdentifierTooLarge)),
        (u32::MAX, Err(EncodeError::SubscriptionIdentifierTooLarge)),
    ] {
        let list = [NonZeroU32::MIN, NonZeroU32::new(value).unwrap()];
        for list in [&list[..], &list[1..]] {
            let mut packet = publish("a");
            packet.properties.subscription_identifiers = SubscriptionIdentifiers::from_list(list);
            let mut out = vec![7];
            assert_eq!(packet.encode(Version::V5, &mut out), expected);
            let size = packet.encoded_len(Version::V5);
            assert_eq!(out.len(), if expected.is_ok() { 1 + size } else { 1 });
            assert_eq!(size == usize::MAX, expected.is_err());
        }

        let subscribe = Subscribe {
            packet_id: id(1),
            subscription_identifier: NonZeroU32::new(value),
            user_properties: UserProperties::EMPTY,
            subscriptions: vec![Subscription::new("a", QoS::AtMostOnce)],
        };
        assert_eq!(subscribe.encode(Version::V5, &mut Vec::new()), expected);
    }
}

#[test]
fn the_largest_packet_can_be_written_and_no_larger_one() {
    let payload = vec![0; frame::MAX_REMAINING_LENGTH as usize - 3];
    let mut packet = Publish { payload: &payload, ..publish("a") };
    let mut out = Vec::new();
    assert_eq!(packet.encode_head(Version::V311, &mut out), Ok(()));
    assert_eq!(out, [0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b'a']);
    assert_eq!(packet.encoded_len(Version::V311), frame::MAX_PACKET_SIZE as usize);
    // 5.0 needs one more byte for its empty property block.
    assert_eq!(packet.encode(Version::V5, &mut out), Err(EncodeError::PacketTooLarge));
    assert_eq!(out.len(), 8);
    packet.topic = "ab";
    assert_eq!(packet.encode_head(Version::V311, &mut out), Err(EncodeError::PacketTooLarge));

    // Few bytes of memory, many on the wire: 4097 times 65 535.
    let filter = "a".repeat(65_535);
    let filters = vec![&*filter; 4097];
    let packet = Unsubscribe { packet_id: id(1), user_properties: UserProperties::EMPTY, filters };
    let error = refused(Version::V311, &Packet::Unsubscribe(packet));
    assert_eq!(error, EncodeError::PacketTooLarge);
}

#[test]
fn connect_is_refused_when_its_version_forbids_it() {
    use Version::{V5, V31, V311};
    let password = Some(&b"p"[..]);
    for version in [V31, V311] {
        assert_eq!(
            connect(version, |c| c.password = password),
            EncodeError::PasswordWithoutUserName
        );
    }
    assert_eq!(connect(V31, |c| c.client_id = ""), EncodeError::ClientIdEmpty);
    let kept = |c: &mut Connect<'_>| (c.client_id, c.clean_start) = ("", false);
    assert_eq!(connect(V311, kept), EncodeError::ClientIdEmpty);
    assert_eq!(
        connect(V5, |c| c.properties.authentication_data = Some(b"x")),
        EncodeError::AuthenticationDataWithoutMethod
    );
    assert_eq!(connect(V5, |c| c.username = Some("\0")), EncodeError::StringContainsNul);
    let long = "x".repeat(65_536);
    let mut packet = Connect::new(V5, &long);
    assert_eq!(packet.encode(V5, &mut Vec::new()), Err(EncodeError::StringTooLong));
    packet.client_id = "id";
    packet.username = Some("u");
    packet.password = Some(long.as_bytes());
    assert_eq!(packet.encode(V5, &mut Vec::new()), Err(EncodeError::StringTooLong));
}

#[test]
fn a_will_needs_a_topic_name() {
    for (topic, error) in [
        ("", EncodeError::TopicEmpty),
        ("a/+", EncodeError::TopicWildcard),
        ("\0", EncodeError::StringContainsNul),
    ] {
        let will = Will {
            qos: QoS::AtMostOnce,
            retain: false,
            topic,
            payload: b"",
            delay_interval: 0,
            message_expiry_interval: None,
            properties: MessageProperties::EMPTY,
        };
        assert_eq!(connect(Version::V5, |connect| connect.will = Some(will)), error);
    }
}

#[test]
fn reason_codes_stay_in_their_packets() {
    use ReasonCode::{GrantedQoS1, NoSubscriptionExisted, PacketIdentifierNotFound, ServerBusy};
    let refused = |packet| refused(Version::V5, &packet);
    let wrong = EncodeError::ReasonCodeNotAllowed;
    let not_found = Ack::new(id(1), PacketIdentifierNotFound);
    assert_eq!(refused(Packet::PubAck(not_found)), wrong(PacketIdentifierNotFound));
    assert_eq!(refused(Packet::PubRec(not_found)), wrong(PacketIdentifierNotFound));
    let busy = Ack::new(id(1), ServerBusy);
    assert_eq!(refused(Packet::PubRel(busy)), wrong(ServerBusy));
    assert_eq!(refused(Packet::PubComp(busy)), wrong(ServerBusy));
    assert_eq!(
        refused(Packet::ConnAck(Box::new(ConnAck::new(false, GrantedQoS1)))),
        wrong(GrantedQoS1)
    );
    assert_eq!(refused(Packet::Disconnect(Disconnect::new(GrantedQoS1))), wrong(GrantedQoS1));
    assert_eq!(
        refused(Packet::Auth(Auth { reason: ServerBusy, ..Auth::default() })),
        wrong(ServerBusy)
    );
    let reasons = Cow::Borrowed(&[NoSubscriptionExisted][..]);
    let user_properties = UserProperties::EMPTY;
    let suback = SubAck { packet_id: id(1), reasons, reason_string: None, user_properties };
    assert_eq!(refused(Packet::SubAck(suback)), wrong(NoSubscriptionExisted));
    let reasons = Cow::Borrowed(&[GrantedQoS1][..]);
    let unsuback = UnsubAck { packet_id: id(1), reasons, reason_string: None, user_properties };
    assert_eq!(refused(Packet::UnsubAck(unsuback)), wrong(GrantedQoS1));
}

#[test]
fn a_refusal_cannot_have_a_session() {
    for version in super::VERSIONS {
        let packet = ConnAck::new(true, ReasonCode::NotAuthorized);
        let error = refused(version, &Packet::ConnAck(Box::new(packet)));
        assert_eq!(error, EncodeError::SessionPresentWithError);
    }
}

#[test]
fn lists_have_an_entry_and_filters_a_character() {
    let user_properties = UserProperties::EMPTY;
    let packet_id = id(1);
    let subscribe = |subscriptions| {
        Packet::Subscribe(Subscribe {
            packet_id,
            subscription_identifier: None,
            user_properties,
            subscriptions,
        })
    };
    let unsubscribe =
        |filters| Packet::Unsubscribe(Unsubscribe { packet_id, user_properties, filters });
    let reasons = Cow::Borrowed(&[][..]);
    let suback = Packet::SubAck(SubAck {
        packet_id,
        reasons: reasons.clone(),
        reason_string: None,
        user_properties,
    });
    let unsuback =
        Packet::UnsubAck(UnsubAck { packet_id, reasons, reason_string: None, user_properties });
    for version in super::VERSIONS {
        let refused = |packet| refused(version, &packet);
        let empty = EncodeError::PayloadEmpty;
        assert_eq!(refused(subscribe(vec![])), empty(PacketType::Subscribe));
        assert_eq!(refused(unsubscribe(vec![])), empty(PacketType::Unsubscribe));
        assert_eq!(refused(suback.clone()), empty(PacketType::SubAck));
        let nameless = vec![Subscription::new("", QoS::AtMostOnce)];
        assert_eq!(refused(subscribe(nameless)), EncodeError::FilterEmpty);
        assert_eq!(refused(unsubscribe(vec![""])), EncodeError::FilterEmpty);
    }
    assert_eq!(refused(Version::V5, &unsuback), EncodeError::PayloadEmpty(PacketType::UnsubAck));
    let shared =
        Subscription { no_local: true, ..Subscription::new("$share/g/a", QoS::AtMostOnce) };
    assert_eq!(refused(Version::V5, &subscribe(vec![shared])), EncodeError::NoLocalOnShared);
}

#[test]
fn auth_exists_in_v5_and_names_its_method() {
    let auth = Auth { reason: ReasonCode::ContinueAuthentication, ..Auth::default() };
    assert_eq!(refused(Version::V5, &Packet::Auth(auth)), EncodeError::AuthenticationMethodMissing);
    let auth = Auth { method: Some("m"), ..auth };
    for version in [Version::V31, Version::V311] {
        assert_eq!(
            refused(version, &Packet::Auth(auth)),
            EncodeError::PacketNotInVersion(PacketType::Auth)
        );
    }
}
