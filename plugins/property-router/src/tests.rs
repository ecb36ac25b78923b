//! What the rules do, from the operator's configuration to the message.

use wasmqtt_plugin::{Client, Origin, Publication, Qos, test};

use super::*;
use crate::template::MAX_TOPIC;

fn router(config: &str) -> (PropertyRouter, Registration) {
    test::init(config).unwrap()
}

fn refused(config: &str) -> String {
    test::init::<PropertyRouter>(config).map(|_| ()).unwrap_err()
}

const DEMO: &str = r#"{"property": "region", "topic": "routed/${value}/${topic}"}"#;

#[test]
fn a_message_moves_to_the_topic_made_from_its_property() {
    let (mut router, _) = router(DEMO);
    for value in ["eu", "north pole", "${topic}"] {
        let message = test::Message::new("sensors/7", "21").with_user_property("region", value);
        assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
        let expected = test::Changes {
            topic: Some(format!("routed/{value}/sensors/7")),
            ..test::Changes::default()
        };
        assert_eq!(message.changes(), expected);
    }
}

#[test]
fn only_messages_with_the_property_are_asked_for() {
    let (mut router, registration) = router(DEMO);
    assert_eq!(
        registration,
        Registration::new().on_publish(Selector::all().user_property("region"))
    );
    let message = test::Message::new("sensors/7", "21").with_user_property("other", "eu");
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    assert_eq!(message.changes(), test::Changes::default());
}

#[test]
fn filters_become_part_of_the_selector() {
    let (_, registration) =
        router(r#"{"property": "region", "topic": "x/${value}", "filters": ["a/#", "b"]}"#);
    assert_eq!(registration.on_publish, [Selector::filters(["a/#", "b"]).user_property("region")]);
}

#[test]
fn a_value_that_could_widen_the_topic_is_rejected_with_0x90() {
    let (mut router, _) = router(DEMO);
    for value in ["", "+", "#", "eu/de", "eu\0", "/", "a#"] {
        let message = test::Message::new("sensors/7", "21").with_user_property("region", value);
        let Ok(Verdict::Reject(refusal)) = router.on_publish(&message) else {
            panic!("{value:?} was not rejected");
        };
        assert_eq!(refusal.code, 0x90);
        assert!(refusal.reason.unwrap().contains("\"region\""));
        assert_eq!(message.changes(), test::Changes::default());
    }
}

#[test]
fn a_value_never_makes_a_topic_of_the_broker() {
    let (mut router, _) = router(r#"{"property": "p", "topic": "${value}/x"}"#);
    let message = test::Message::new("t", "").with_user_property("p", "$SYS");
    assert!(matches!(router.on_publish(&message), Ok(Verdict::Reject(_))));
    let message = test::Message::new("t", "").with_user_property("p", "SYS$");
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
}

#[test]
fn a_topic_is_as_long_as_mqtt_allows_and_no_longer() {
    let (mut router, _) = router(r#"{"property": "p", "topic": "x/${value}"}"#);
    for (length, fits) in [(MAX_TOPIC - 2, true), (MAX_TOPIC - 1, false)] {
        let message = test::Message::new("t", "").with_user_property("p", &"v".repeat(length));
        let verdict = router.on_publish(&message).unwrap();
        assert_eq!(verdict == Verdict::Forward, fits);
        assert_eq!(message.changes().topic.is_some(), fits);
    }
}

#[test]
fn a_bad_configuration_says_what_is_wrong() {
    for (config, part) in [
        (r#"{"property": "", "topic": "x"}"#, "property: name the user property"),
        (r#"{"property": "p", "topic": ""}"#, "topic: is empty"),
        (r#"{"property": "p", "topic": "a/#"}"#, "holds +, # or NUL"),
        (r#"{"property": "p", "topic": "a/${valeu}"}"#, "${valeu} is unknown"),
        (r#"{"property": "p", "topic": "a/${value"}"#, "lacks its closing brace"),
        (r#"{"property": "p", "topic": "a", "filters": []}"#, "filters: matches no topic"),
        (r#"{"property": "p", "topic": "a", "filter": "b"}"#, "unknown field `filter`"),
        (r#"{"property": "p", "topic": 7}"#, "topic: invalid type"),
        ("{}", "write either rules"),
        (r#"{"property": "p"}"#, "write either rules"),
        (r#"{"property": "p", "topic": "x", "rules": []}"#, "write either rules"),
        (r#"{"rules": []}"#, "rules: is empty"),
    ] {
        let error = refused(config);
        assert!(error.contains(part), "{config}: {error}");
    }
}

/// One rule, as JSON.
fn rule(rule: &str) -> PropertyRouter {
    router(&format!(r#"{{"rules": [{rule}]}}"#)).0
}

/// Where the message goes; none when it stays.
fn moved(router: &mut PropertyRouter, message: &test::Message) -> Option<String> {
    assert_eq!(router.on_publish(message), Ok(Verdict::Forward));
    message.changes().topic
}

#[test]
fn the_first_rule_that_applies_decides() {
    let mut router = router(
        r#"{"rules": [
            {"when": {"properties": {"class": "internal"}}, "keep": true},
            {"when": {"properties": {"class": ["a", "b"]}}, "topic": "ab/${topic}"},
            {"when": {"properties": {"class": {"prefix": "x-"}}}, "topic": "x/${property.class}"},
            {"when": {"properties": {"class": {"present": true}, "debug": {"present": false}}},
             "drop": true},
            {"when": {"filter": "plain/#"}, "topic": "rest/${1}"}
        ]}"#,
    )
    .0;
    let message = |class| test::Message::new("plain/t", "").with_user_property("class", class);
    assert_eq!(moved(&mut router, &message("internal")), None);
    assert_eq!(moved(&mut router, &message("b")).as_deref(), Some("ab/plain/t"));
    assert_eq!(moved(&mut router, &message("x-1")).as_deref(), Some("x/x-1"));
    assert_eq!(router.on_publish(&message("other")), Ok(Verdict::Discard));
    let debug = message("other").with_user_property("debug", "");
    assert_eq!(moved(&mut router, &debug).as_deref(), Some("rest/t"));
    let plain = test::Message::new("plain/t/u", "");
    assert_eq!(moved(&mut router, &plain).as_deref(), Some("rest/t/u"));
    assert_eq!(moved(&mut router, &test::Message::new("other", "")), None);
}

#[test]
fn any_of_several_values_of_a_property_may_be_the_one() {
    let mut router =
        rule(r#"{"when": {"properties": {"to": {"prefix": "eu-"}}}, "topic": "${property.to}"}"#);
    let message = test::Message::new("t", "")
        .with_user_property("to", "us-1")
        .with_user_property("to", "eu-2")
        .with_user_property("to", "eu-3");
    assert_eq!(moved(&mut router, &message).as_deref(), Some("eu-2"));
}

#[test]
fn templates_take_captures_properties_and_who_sent_it() {
    let mut router = rule(
        r#"{"when": {"filter": "site/+/#"}, "topic": "by/${username}/${client_id}/${1}/${property.p}/${2}"}"#,
    );
    let mut message = test::Message::new("site/7/a/b", "").with_user_property("p", "v");
    assert_eq!(moved(&mut router, &message), None, "nobody's name is known");
    message.publisher = Some(Client::new(1, "c7", Some("ann")));
    assert_eq!(moved(&mut router, &message).as_deref(), Some("by/ann/c7/7/v/a/b"));
    let mut without = test::Message::new("site/7/a/b", "");
    without.publisher.clone_from(&message.publisher);
    assert_eq!(moved(&mut router, &without), None, "the property is not there");
    for id in ["a/b", "+", "#", ""] {
        let mut message = test::Message::new("site/7/a/b", "").with_user_property("p", "v");
        message.publisher = Some(Client::new(1, id, Some("ann")));
        assert!(matches!(router.on_publish(&message), Ok(Verdict::Reject(_))), "{id}");
    }
    let mut first = rule(r#"{"when": {"filter": "a/+"}, "topic": "${1}/x"}"#);
    let message = test::Message::new("a/$SYS", "");
    assert!(matches!(first.on_publish(&message), Ok(Verdict::Reject(_))));
}

#[test]
fn everything_about_a_message_can_be_set() {
    let mut router = rule(
        r#"{"set": {"via": "router", "from": "${topic}"}, "add": {"tag": "x/${property.a}"}, "remove": ["a"],
            "content_type": "text/plain", "qos": 2, "retain": true, "expiry": 60}"#,
    );
    let message = test::Message::new("t/u", "")
        .with_user_property("a", "1")
        .with_user_property("tag", "0")
        .with_user_property("via", "other");
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    let changes = message.changes();
    let properties = [("tag", "0"), ("via", "router"), ("from", "t/u"), ("tag", "x/1")];
    let mut expected: Vec<_> = properties.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    let mut found = changes.user_properties.unwrap();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(changes.content_type, Some(Some("text/plain".to_owned())));
    assert_eq!((changes.qos, changes.retain), (Some(Qos::ExactlyOnce), Some(true)));
    assert_eq!(changes.expiry, Some(Some(60)));
    assert_eq!(changes.topic, None);

    let mut router = rule(r#"{"expiry": "never", "retain": false, "qos": 0}"#);
    let message = test::Message::new("t", "");
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    assert_eq!(message.changes().expiry, Some(None));
}

#[test]
fn a_rule_that_continues_shows_the_next_one_what_it_made() {
    let mut router = router(
        r#"{"rules": [
            {"set": {"seen": "1"}, "topic": "in/${topic}", "continue": true},
            {"when": {"filter": "in/+", "properties": {"seen": "1"}}, "topic": "out/${1}"}
        ]}"#,
    )
    .0;
    let message = test::Message::new("a", "");
    assert_eq!(moved(&mut router, &message).as_deref(), Some("out/a"));
    let deep = test::Message::new("a/b", "");
    assert_eq!(moved(&mut router, &deep).as_deref(), Some("in/a/b"));
}

#[test]
fn a_content_type_is_a_condition() {
    let mut router = rule(r#"{"when": {"content_type": {"prefix": "text/"}}, "topic": "text"}"#);
    let mut message = test::Message::new("t", "");
    assert_eq!(moved(&mut router, &message), None);
    message.content_type = Some("text/plain".to_owned());
    assert_eq!(moved(&mut router, &message).as_deref(), Some("text"));
    let mut router = rule(r#"{"when": {"content_type": {"present": false}}, "drop": true}"#);
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    assert_eq!(router.on_publish(&test::Message::new("t", "")), Ok(Verdict::Discard));
}

#[test]
fn the_broker_calls_for_what_a_rule_could_be_about_and_no_more() {
    let selectors = router(
        r#"{"rules": [
            {"when": {"filter": "a/+", "properties": {"p": "x"}}, "drop": true},
            {"when": {"filter": "b/#", "properties": {"q": {"present": false}}}, "drop": true},
            {"topic": "x/${property.r}"}
        ]}"#,
    )
    .1;
    assert_eq!(
        selectors.on_publish,
        [
            Selector::filter("a/+").user_property("p"),
            Selector::filter("b/#"),
            Selector::all().user_property("r"),
        ]
    );
}

#[test]
fn a_bad_rule_is_named_with_what_is_wrong() {
    let good = r#"{"drop": true}"#;
    for (rule, part) in [
        ("{}", "has no action"),
        (r#"{"when": {}}"#, "has no action"),
        (r#"{"drop": true, "qos": 1}"#, "drop = true leaves nothing"),
        (r#"{"drop": true, "continue": true}"#, "drop = true leaves nothing"),
        (r#"{"keep": true, "topic": "x"}"#, "keep = true leaves"),
        (r#"{"qos": 3}"#, "qos: 3 is no QoS"),
        (r#"{"expiry": 0}"#, "expiry: 0 seconds"),
        (r#"{"expiry": "soon"}"#, "a number of seconds or \"never\""),
        (r#"{"topic": "a/${value}"}"#, "topic: ${value} is unknown"),
        (r#"{"topic": "a/${1}"}"#, "${1}: when.filter has 0 wildcards"),
        (r#"{"when": {"filter": "+"}, "topic": "a/${2}"}"#, "${2}: when.filter has 1 wildcards"),
        (r#"{"when": {"filter": "a/#/b"}, "drop": true}"#, "when.filter: \"a/#/b\""),
        (r#"{"when": {"properties": {"p": []}}, "drop": true}"#, "without a text never applies"),
        (r#"{"when": {"properties": {"p": 1}}, "drop": true}"#, "expected a text, a list"),
        (
            r#"{"when": {"properties": {"p": {"present": false}}}, "set": {"a": "${property.p}"}}"#,
            "never there",
        ),
        (r#"{"set": {"a": "${x}"}}"#, "set.a: ${x} is unknown"),
        (r#"{"move": "x"}"#, "unknown field `move`"),
    ] {
        let error = refused(&format!(r#"{{"rules": [{good}, {rule}]}}"#));
        assert!(error.starts_with("rule 2: ") && error.contains(part), "{rule}: {error}");
    }
}

#[test]
fn a_copy_is_published_beside_the_message_with_what_the_rule_set() {
    let config = r#"{"rules": [
        {"when": {"filter": "sensors/+/alarm"}, "copy": "archive/${1}", "set": {"archived": "yes"},
         "topic": "alarms/${1}", "continue": true},
        {"when": {"properties": {"debug": {"present": true}}},
         "copy": {"topic": "debug/${property.debug}", "qos": 0, "retain": true}}]}"#;
    let (mut router, registration) = router(config);
    assert_eq!(registration.on_publish[0], Selector::filter("sensors/+/alarm"));
    let mut message =
        test::Message::new("sensors/7/alarm", "fire").with_user_property("debug", "x");
    message.qos = Qos::AtLeastOnce;
    message.content_type = Some("text/plain".into());
    assert_eq!(router.on_publish(&message), Ok(Verdict::Forward));
    let first = Publication::new("archive/7", "fire")
        .qos(Qos::AtLeastOnce)
        .content_type("text/plain")
        .user_property("debug", "x")
        .user_property("archived", "yes");
    let second =
        Publication { topic: "debug/x".into(), ..first.clone() }.qos(Qos::AtMostOnce).retained();
    assert_eq!(test::take_published(), [first, second]);
    assert_eq!(message.changes().topic.as_deref(), Some("alarms/7"));
    assert_eq!(router.on_publish(&test::Message::new("sensors/7", "")), Ok(Verdict::Forward));
    assert_eq!(test::take_published(), []);
}

#[test]
fn a_message_that_is_dropped_is_copied_and_one_that_is_rejected_or_a_plugins_own_is_not() {
    let config = r#"{"rules": [
        {"copy": "archive/${topic}", "continue": true},
        {"when": {"filter": "drop/#"}, "drop": true},
        {"when": {"properties": {"p": {"present": true}}}, "topic": "x/${property.p}"}]}"#;
    let (mut router, _) = router(config);
    assert_eq!(router.on_publish(&test::Message::new("drop/a", "x")), Ok(Verdict::Discard));
    assert_eq!(test::take_published(), [Publication::new("archive/drop/a", "x")]);
    let wild = test::Message::new("a", "x").with_user_property("p", "#");
    assert!(matches!(router.on_publish(&wild), Ok(Verdict::Reject(_))));
    assert_eq!(test::take_published(), []);
    let mut own = test::Message::new("a", "x");
    own.origin = Origin::Plugin;
    assert_eq!(router.on_publish(&own), Ok(Verdict::Forward));
    assert_eq!(test::take_published(), []);
}

#[test]
fn a_copy_that_cannot_be_published_is_a_failure_and_one_whose_topic_a_value_would_widen_is_rejected()
 {
    let (mut router, _) = router(r#"{"rules": [{"copy": "archive/${client_id}"}]}"#);
    test::set_publisher_room(0);
    let message = test::Message::new("a", "x");
    let failed = router.on_publish(&message);
    assert!(
        matches!(&failed, Err(Failure::Transient(text)) if text.starts_with("copy: ")),
        "{failed:?}"
    );
    test::set_publisher_room(10);
    let mut wild = test::Message::new("a", "x");
    wild.publisher = Some(Client::new(1, "a/+", None));
    assert!(
        matches!(router.on_publish(&wild), Ok(Verdict::Reject(refusal)) if refusal.code == 0x90)
    );
    assert_eq!(test::take_published(), [], "and nothing of the one that failed is left");
    for (config, why) in [
        (r#"{"rules": [{"copy": "a/#"}]}"#, "rule 1: copy: "),
        (r#"{"rules": [{"copy": ""}]}"#, "rule 1: copy: is empty"),
        (r#"{"rules": [{"copy": {"topic": "a", "qos": 3}}]}"#, "copy: qos: 3 is no QoS"),
        (r#"{"rules": [{"copy": {"topic": "a", "qoz": 3}}]}"#, "expected a topic or"),
        (r#"{"rules": [{"copy": "a", "drop": true}]}"#, "drop = true leaves nothing"),
        (r#"{"rules": [{"copy": "${9}"}]}"#, "copy: ${9}: when.filter has 0 wildcards"),
    ] {
        let error = refused(config);
        assert!(error.contains(why), "{config}: {error}");
    }
}
