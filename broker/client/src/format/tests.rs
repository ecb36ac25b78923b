//! What formats make of a message.

use std::num::NonZeroU16;

use jiff::civil::date;
use jiff::tz::TimeZone;
use wasmqtt_codec::{
    MessagePropertiesBuf, PacketId, PublishProperties, QoS, SubscriptionIdentifiers,
};

use super::*;

fn properties() -> MessagePropertiesBuf {
    let mut properties = MessagePropertiesBuf::new();
    properties.set_payload_format_indicator(Some(true));
    properties.set_content_type(Some("text/plain")).unwrap();
    properties.set_response_topic(Some("answers")).unwrap();
    properties.set_correlation_data(Some(b"id")).unwrap();
    properties.add_user_property("a", "1").unwrap();
    properties.add_user_property("b", "2").unwrap();
    properties.add_user_property("a", "3").unwrap();
    properties
}

fn said(payload: &[u8], with_properties: bool, check: impl FnOnce(&Delivery<'_>)) {
    let travelling = properties();
    let mut publish = Publish {
        dup: false,
        qos: QoS::AtLeastOnce,
        retain: true,
        topic: "a/b",
        packet_id: PacketId::new(7),
        properties: PublishProperties::default(),
        payload,
    };
    if with_properties {
        publish.properties = PublishProperties {
            message_expiry_interval: Some(60),
            topic_alias: NonZeroU16::new(3),
            subscription_identifiers: SubscriptionIdentifiers::default(),
            message: travelling.as_view(),
        };
    }
    let at = date(2026, 3, 4).at(5, 6, 7, 80_000_009).to_zoned(TimeZone::UTC).unwrap();
    check(&Delivery { topic: "a/b", publish: &publish, at });
}

fn written(format: &str, payload: &[u8], with_properties: bool) -> String {
    let mut out = Vec::new();
    said(payload, with_properties, |delivery| {
        Format::parse(format).unwrap().write(delivery, false, &mut out).unwrap();
    });
    String::from_utf8(out).unwrap()
}

#[test]
fn letters_stand_for_what_mosquitto_sub_means_by_them() {
    for (format, expected) in [
        ("%t %p", "a/b hello"),
        ("%l|%m|%q|%r", "5|7|1|1"),
        ("%x %X", "68656c6c6f 68656C6C6F"),
        ("%A|%C|%D|%E|%F|%R|%S", "3|text/plain|id|60|1|answers|"),
        ("%P", "a:1 b:2 a:3"),
        ("%%t @@H \\\\", "%t @H \\"),
        ("\\0\\a\\e\\n\\r\\t\\v", "\0\x07\x1b\n\r\t\x0b"),
        ("@Y-@m-@d @H:@M:@S.@N", "2026-03-04 05:06:07.080000009"),
        ("%I %U", "2026-03-04T05:06:07+0000 1772600767.080000009"),
        (
            "[%5t][%-5t][%.1t][%5.2t][%05l][%-05l][%3q]",
            "[  a/b][a/b  ][a][   a/][00005][5    ][  1]",
        ),
        ("[%7p]", "[  hello]"),
        ("", ""),
        ("ü", "ü"),
    ] {
        assert_eq!(written(format, b"hello", true), expected, "{format}");
    }
    assert_eq!(written("%A|%C|%D|%E|%F|%P|%R|%S", b"", false), "|||||||");
}

#[test]
fn what_a_format_cannot_mean_is_told_before_anything_comes() {
    for (format, told) in [
        ("%", "behind the last %"),
        ("%5", "behind the last %"),
        ("%y", "%y stands for nothing"),
        ("%99999t", "too many"),
        ("@", "behind the last @"),
        ("@!", "strftime"),
        ("\\q", "\\q stands for nothing"),
        ("\\", "behind the last \\"),
    ] {
        let error = Format::parse(format).unwrap_err();
        assert!(error.contains(told), "{format}: {error}");
    }
}

#[test]
fn json_has_the_names_of_mosquitto_sub_and_repeated_properties_are_lists() {
    let text = written("%j", b"say \"hi\"", true);
    assert!(
        text.starts_with("{\"tst\":\"2026-03-04T05:06:07.080000+0000\",\"topic\":\"a/b\","),
        "{text}"
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "tst": "2026-03-04T05:06:07.080000+0000", "topic": "a/b", "qos": 1, "retain": 1, "payloadlen": 8, "mid": 7,
        "properties": {
            "topic-alias": 3, "message-expiry-interval": 60, "payload-format-indicator": 1,
            "content-type": "text/plain", "response-topic": "answers", "correlation-data": "id",
            "user-properties": { "a": ["1", "3"], "b": "2" },
        },
        "payload": "say \"hi\"",
    });
    assert_eq!(value, expected);
    let pretty = |format: &str, payload: &[u8]| {
        let mut out = Vec::new();
        said(payload, true, |delivery| {
            Format::parse(format).unwrap().write(delivery, true, &mut out).unwrap();
        });
        assert!(out.contains(&b'\n'));
        serde_json::from_slice::<serde_json::Value>(&out).unwrap()
    };
    assert_eq!(pretty("%j", b"say \"hi\""), expected);
    assert_eq!(pretty("%J", b"{\"a\": 1}")["payload"]["a"], 1);
    assert!(!written("%j", b"x", false).contains("properties"));
}

#[test]
fn bytes_that_are_no_text_are_not_lost_in_json() {
    let value: serde_json::Value = serde_json::from_str(&written("%j", b"\xff\0", false)).unwrap();
    assert_eq!((&value["payload_base64"], value.get("payload")), (&"/wA=".into(), None));
}

#[test]
fn a_payload_that_is_json_is_written_as_it_is_and_no_other() {
    let text = written("%J", b"{\"big\": 123456789012345678901234567890}", false);
    assert!(text.ends_with(",\"payload\":{\"big\": 123456789012345678901234567890}}"), "{text}");
    said(b"{no", false, |delivery| {
        let mut out = Vec::new();
        let told = Format::parse("%J").unwrap().write(delivery, false, &mut out).unwrap_err();
        assert!(told.contains("a/b is no JSON"), "{told}");
    });
}

#[test]
fn an_empty_message_is_seen_where_topics_are() {
    let mut out = Vec::new();
    said(b"", false, |delivery| Format::verbose().write(delivery, false, &mut out).unwrap());
    assert_eq!(out, b"a/b (null)");
}
