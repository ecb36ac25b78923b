//! Property views and their builders.

use std::num::NonZeroU32;

use proptest::prelude::*;
use wasmqtt_codec::*;

use super::{block, decode, field, generate, join};

/// Every property of a PUBLISH, those of the hop between those that travel.
fn mixed_block() -> Vec<u8> {
    join([
        &[38, 0, 1, b'a', 0, 1, b'1'],
        &[2, 0, 0, 0, 9],
        &[3, 0, 4, b't', b'e', b'x', b't'],
        &[11, 0x80, 0x01],
        &[38, 0, 1, b'b', 0, 1, b'2'],
        &[35, 0, 7],
        &[1, 1],
        &[8, 0, 1, b'r'],
        &[11, 5],
        &[9, 0, 2, 0, 255],
        &[38, 0, 1, b'a', 0, 1, b'3'],
    ])
}

fn check_travelling(view: MessageProperties<'_>) {
    assert_eq!(view.payload_format_indicator(), Some(true));
    assert_eq!(view.content_type(), Some("text"));
    assert_eq!(view.response_topic(), Some("r"));
    assert_eq!(view.correlation_data(), Some(&[0, 255][..]));
    let pairs: Vec<_> = view.user_properties().iter().collect();
    assert_eq!(pairs, [("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(view.user_properties().get("a"), Some("1"));
    assert_eq!(view.user_properties().get("c"), None);
    assert!(!view.is_empty());
}

#[test]
fn only_travelling_properties_are_seen_and_copied() {
    let body = join([&field("t"), &block(&mixed_block()), b"payload"]);
    let Ok(Packet::Publish(publish)) = decode(Version::V5, 0x30, &body) else { panic!() };
    let properties = publish.properties;
    assert_eq!(properties.message_expiry_interval, Some(9));
    assert_eq!(properties.topic_alias, Some(super::id(7)));
    let ids: Vec<_> = properties.subscription_identifiers.iter().map(NonZeroU32::get).collect();
    assert_eq!(ids, [128, 5]);
    check_travelling(properties.message);

    let mut pure = Vec::new();
    properties.message.copy_to(&mut pure);
    assert_eq!(pure.len(), properties.message.encoded_len());
    assert_eq!(pure.len(), mixed_block().len() - 5 - 3 - 3 - 2);
    check_travelling(MessageProperties::from_pure(&pure).unwrap());
    assert_eq!(MessageProperties::from_pure(&pure), Ok(properties.message));
    assert_eq!(MessageProperties::from_pure_trusted(&pure), properties.message);
}

#[test]
fn a_forwarded_message_keeps_its_properties_and_loses_those_of_the_hop() {
    let body = join([&field("t"), &block(&mixed_block()), b"payload"]);
    let Ok(Packet::Publish(mut publish)) = decode(Version::V5, 0x30, &body) else { panic!() };
    let ids = [NonZeroU32::new(3).unwrap()];
    let message = publish.properties.message;
    publish.properties = PublishProperties {
        subscription_identifiers: SubscriptionIdentifiers::from_list(&ids),
        message,
        ..PublishProperties::default()
    };
    let mut out = Vec::new();
    publish.encode(Version::V5, &mut out).unwrap();
    let Ok(Packet::Publish(forwarded)) = decode(Version::V5, 0x30, &out[2..]) else { panic!() };
    assert_eq!(forwarded, publish);
    assert_eq!(forwarded.properties.topic_alias, None);
}

#[test]
fn a_pure_block_holds_only_what_travels() {
    let alias = MessageProperties::from_pure(&[35, 0, 1]);
    assert_eq!(alias, Err(DecodeError::PropertyNotAllowed(Property::TopicAlias)));
    let twice = MessageProperties::from_pure(&[1, 0, 1, 0]);
    assert_eq!(twice, Err(DecodeError::PropertyRepeated(Property::PayloadFormatIndicator)));
    assert_eq!(MessageProperties::from_pure(&[3, 0, 9]), Err(DecodeError::Truncated));
    assert_eq!(MessageProperties::from_pure(&[]), Ok(MessageProperties::EMPTY));
}

#[test]
fn empty_views_are_empty() {
    assert!(UserProperties::default().is_empty());
    assert_eq!(UserProperties::default().encoded_len(), 0);
    assert!(MessageProperties::default().is_empty());
    assert_eq!(MessageProperties::default().payload_format_indicator(), None);
    assert!(SubscriptionIdentifiers::default().is_empty());
    // A block with other properties only is empty, too.
    let body = join([&field("t"), &block(&[35, 0, 7])]);
    let Ok(Packet::Publish(publish)) = decode(Version::V5, 0x30, &body) else { panic!() };
    assert!(publish.properties.message.is_empty());
    assert!(publish.properties.subscription_identifiers.is_empty());
    assert_eq!(publish.properties.message.encoded_len(), 0);
}

#[test]
fn user_properties_of_a_mixed_block_are_copied_alone() {
    let properties = join([&[38, 0, 1, b'a', 0, 1, b'1'], &[31, 0, 1, b'r'], &[38, 0, 0, 0, 0]]);
    let body = join([&[0, 1, 0x87], &block(&properties)]);
    let Ok(Packet::PubAck(ack)) = decode(Version::V5, 0x40, &body) else { panic!() };
    let mut expected = UserPropertiesBuf::new();
    expected.push("a", "1").unwrap();
    expected.push("", "").unwrap();
    assert_eq!(UserPropertiesBuf::from(ack.user_properties), expected);
    assert_eq!(ack.user_properties, expected.as_view());
    assert_eq!(ack.user_properties.encoded_len(), 12);
    assert_eq!(ack.reason_string, Some("r"));
}

#[test]
fn what_does_not_fit_a_builder_changes_nothing() {
    let long = "x".repeat(65_536);
    let mut buf = MessagePropertiesBuf::new();
    buf.set_content_type(Some("a")).unwrap();
    buf.set_response_topic(Some("b")).unwrap();
    buf.set_correlation_data(Some(b"c")).unwrap();
    buf.add_user_property("n", "v").unwrap();
    let before = buf.clone();
    let too_long = Err(EncodeError::StringTooLong);
    let nul = Err(EncodeError::StringContainsNul);
    let no_topic = Err(EncodeError::ResponseTopicInvalid);
    assert_eq!(buf.set_content_type(Some(&long)), too_long);
    assert_eq!(buf.set_content_type(Some("\0")), nul);
    assert_eq!(buf.set_response_topic(Some(&long)), too_long);
    assert_eq!(buf.set_response_topic(Some("\0")), nul);
    assert_eq!(buf.set_response_topic(Some("")), no_topic);
    assert_eq!(buf.set_response_topic(Some("a/#")), no_topic);
    assert_eq!(buf.set_correlation_data(Some(long.as_bytes())), too_long);
    for (name, value, error) in
        [(&*long, "v", too_long), ("n", &*long, too_long), ("\0", "v", nul), ("n", "\0", nul)]
    {
        assert_eq!(buf.add_user_property(name, value), error);
        assert_eq!(buf.set_user_property(name, value), error);
        let mut user = UserPropertiesBuf::new();
        assert_eq!(user.push(name, value), error);
        assert!(user.as_view().is_empty());
    }
    assert_eq!(buf.as_bytes(), before.as_bytes());
    // The longest strings do fit.
    let longest = &long[1..];
    buf.set_content_type(Some(longest)).unwrap();
    buf.set_response_topic(Some(longest)).unwrap();
    buf.set_correlation_data(Some(longest.as_bytes())).unwrap();
    buf.add_user_property(longest, longest).unwrap();
    assert_eq!(buf.as_view().user_properties().get(longest), Some(longest));
    assert_eq!(MessageProperties::from_pure(buf.as_bytes()), Ok(buf.as_view()));
}

#[test]
fn user_properties_are_bounded_by_what_a_packet_can_carry() {
    let long = "x".repeat(65_535);
    let mut buf = UserPropertiesBuf::new();
    let entry = 5 + 2 * long.len();
    for _ in 0..268_435_455 / entry {
        buf.push(&long, &long).unwrap();
    }
    let before = buf.as_view().encoded_len();
    assert_eq!(buf.push(&long, &long), Err(EncodeError::PacketTooLarge));
    assert_eq!(buf.as_view().encoded_len(), before);
}

#[test]
fn clearing_a_builder_leaves_no_properties() {
    let mut buf = UserPropertiesBuf::new();
    buf.push("a", "b").unwrap();
    buf.clear();
    assert!(buf.as_view().is_empty());
}

/// What the builder should do, on a list.
fn model_set(pairs: &mut Vec<(String, String)>, name: &str, value: &str) {
    let at = pairs.iter().position(|pair| pair.0 == name);
    match at {
        Some(at) => {
            pairs[at].1 = value.to_owned();
            let mut index = 0;
            pairs.retain(|pair| {
                index += 1;
                index - 1 <= at || pair.0 != name
            });
        }
        None => pairs.push((name.to_owned(), value.to_owned())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn user_properties_are_edited_as_a_list(
        steps in proptest::collection::vec((0u8..4, "[abc]", "[xyz]{0,2}"), 0..20),
    ) {
        let mut buf = MessagePropertiesBuf::new();
        let mut model: Vec<(String, String)> = Vec::new();
        for (step, name, value) in steps {
            match step {
                0 => {
                    buf.add_user_property(&name, &value).unwrap();
                    model.push((name, value));
                }
                1 => {
                    buf.set_user_property(&name, &value).unwrap();
                    model_set(&mut model, &name, &value);
                }
                2 => {
                    let had = model.iter().any(|pair| pair.0 == name);
                    prop_assert_eq!(buf.remove_user_property(&name), had);
                    model.retain(|pair| pair.0 != name);
                }
                _ => buf.set_content_type(Some(&value)).unwrap(),
            }
            let view = buf.as_view();
            let model: Vec<_> = model.iter().map(|(n, v)| (&**n, &**v)).collect();
            prop_assert_eq!(view.user_properties().iter().collect::<Vec<_>>(), model);
        }
    }

    #[test]
    fn setters_replace_and_remove_only_their_own(
        mut buf in generate::message_properties_buf(),
        pairs in generate::pairs(),
    ) {
        let before = buf.clone();
        for (name, value) in &pairs {
            buf.add_user_property(name, value).unwrap();
        }
        buf.set_payload_format_indicator(Some(false));
        buf.set_content_type(Some("type")).unwrap();
        buf.set_response_topic(Some("topic")).unwrap();
        buf.set_correlation_data(Some(b"data")).unwrap();
        let view = buf.as_view();
        prop_assert_eq!(view.payload_format_indicator(), Some(false));
        prop_assert_eq!(view.content_type(), Some("type"));
        prop_assert_eq!(view.response_topic(), Some("topic"));
        prop_assert_eq!(view.correlation_data(), Some(&b"data"[..]));
        let expected: Vec<_> =
            before.as_view().user_properties().iter().chain(pairs.iter().copied()).collect();
        prop_assert_eq!(view.user_properties().iter().collect::<Vec<_>>(), expected.clone());
        prop_assert_eq!(MessageProperties::from_pure(buf.as_bytes()), Ok(view));

        buf.set_payload_format_indicator(None);
        buf.set_content_type(None).unwrap();
        buf.set_response_topic(None).unwrap();
        buf.set_correlation_data(None).unwrap();
        let view = buf.as_view();
        prop_assert_eq!(view.content_type(), None);
        let only_user = MessagePropertiesBuf::from(view.user_properties());
        prop_assert_eq!(only_user.as_bytes(), buf.as_bytes());
        prop_assert_eq!(view.user_properties().iter().collect::<Vec<_>>(), expected);
    }
}
