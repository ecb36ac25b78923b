//! What the SDK itself promises: errors for the operator, and test doubles that behave as the broker does.

use std::time::Duration;

use serde::Deserialize;
use wasmqtt_plugin::{
    Actions, Client, Connect, Decision, Failure, Identity, Message, NoConfig, Plugin, Protocol,
    Refusal, Registration, Text, Transformation, Verdict, clock, test,
};

struct Anything;

impl Plugin for Anything {
    type Config = NoConfig;
    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new()))
    }
}

impl Transformation for Anything {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    limits: Limits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    sizes: Vec<u32>,
}

struct Configured(Vec<u32>);

impl Plugin for Configured {
    type Config = Config;
    fn init(config: Config) -> Result<(Self, Registration), String> {
        Ok((Self(config.limits.sizes), Registration::new().authorize(Actions::PUBLISH)))
    }
}

fn error<P: Plugin>(config: &str) -> String {
    test::init::<P>(config).err().unwrap_or_default()
}

#[test]
fn a_configuration_error_names_the_key_and_no_line_of_json() {
    let (configured, _) = test::init::<Configured>(r#"{"limits": {"sizes": [1, 2]}}"#).unwrap();
    assert_eq!(configured.0, [1, 2]);
    let wrong = error::<Configured>(r#"{"limits": {"sizes": [1, "2"]}}"#);
    assert_eq!(wrong, "limits.sizes[1]: invalid type: string \"2\", expected u32");
    let unknown = error::<Configured>(r#"{"limits": {"size": [1]}}"#);
    assert!(unknown.starts_with("limits.size: unknown field `size`"), "{unknown}");
    let missing = error::<Configured>("{}");
    assert_eq!(missing, "missing field `limits`");
    assert!(!error::<Configured>("{").contains("column"));
}

#[test]
fn a_plugin_without_configuration_takes_an_empty_table_and_nothing_else() {
    for config in ["", " ", "{}"] {
        assert!(test::init::<Anything>(config).is_ok(), "{config:?}");
    }
    for config in [r#"{"a": 1}"#, "null", "7", "{} {}"] {
        assert!(test::init::<Anything>(config).is_err(), "{config:?}");
    }
}

#[test]
fn a_hook_that_is_not_written_forwards_the_message_untouched() {
    let message = test::Message::new("a", "b");
    assert_eq!(Anything.on_publish(&message), Ok(Verdict::Forward));
    assert_eq!(Anything.on_deliver(&Client::new(1, "c", None), &message), Ok(Verdict::Forward));
    assert_eq!(message.changes(), test::Changes::default());
}

#[test]
fn getters_answer_what_was_set_before() {
    let mut message = test::Message::new("a", "0123456789").with_user_property("n", "1");
    message.expiry = Some(7);
    assert_eq!(message.payload_range(8, 5), b"89");
    assert_eq!(message.payload_range(10, 5), b"");
    message.set_topic("b");
    message.set_payload(b"xyz");
    message.set_expiry(None);
    message.set_content_type(Some("text/plain"));
    assert_eq!(Message::topic(&message), "b");
    assert_eq!(message.payload_size(), 3);
    assert_eq!(Message::expiry(&message), None);
    assert_eq!(Message::content_type(&message).as_deref(), Some("text/plain"));
    assert_eq!(message.changes().expiry, Some(None));
    assert_eq!(message.changes().qos, None);
}

#[test]
fn setting_a_user_property_replaces_every_one_of_that_name() {
    let message = test::Message::new("a", "")
        .with_user_property("x", "1")
        .with_user_property("y", "2")
        .with_user_property("x", "3");
    assert_eq!(message.user_property("x").as_deref(), Some("1"));
    message.set_user_property("x", "4");
    message.add_user_property("y", "5");
    message.set_user_property("z", "6");
    let expected = [("x", "4"), ("y", "2"), ("y", "5"), ("z", "6")];
    let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    assert_eq!(message.changes().user_properties, Some(expected));
    message.remove_user_property("y");
    assert_eq!(message.user_property("y"), None);
    assert_eq!(Message::user_properties(&message).len(), 2);
}

#[test]
fn the_clock_and_what_the_broker_knows_of_a_client_can_be_set() {
    test::set_clock(Duration::from_secs(5));
    assert_eq!(clock::now(), Duration::from_secs(5));
    let client = Client::new(7, "c", Some("ann"));
    assert_eq!(client.attribute("role"), None);
    let details = test::ClientDetails {
        attributes: [("role".to_owned(), "nurse".to_owned())].into(),
        protocol: Some(Protocol::V5),
        ..test::ClientDetails::default()
    };
    test::set_client(7, details);
    assert_eq!(client.attribute("role").as_deref(), Some("nurse"));
    assert_eq!(client.protocol(), Some(Protocol::V5));
    assert_eq!(client.peer(), None);
}

#[test]
fn the_log_of_a_test_is_bounded() {
    for line in 0..1_001 {
        wasmqtt_plugin::warn!("{line}");
    }
    let lines = test::take_log();
    assert_eq!(lines.len(), 1_000);
    assert_eq!(lines.first().unwrap(), "warn: 1");
    assert!(test::take_log().is_empty());
}

#[test]
fn times_beyond_what_the_contract_can_say_are_cut() {
    assert_eq!(Decision::allow().reuse_for(Duration::MAX).reuse_ms, u32::MAX);
    assert_eq!(Decision::allow().reuse_for(Duration::from_micros(999)).reuse_ms, 0);
    assert_eq!(Identity::new().expires_in(Duration::MAX).expires_in, Some(u32::MAX));
    assert_eq!(Identity::new().expires_in(Duration::ZERO).expires_in, Some(1));
}

#[test]
fn words_of_the_contract_are_built_from_plain_values() {
    let refusal = Refusal::not_authorized().reason("why").user_property("hint", "ask");
    assert_eq!((refusal.code, refusal.reason.as_deref()), (0x87, Some("why")));
    assert_eq!(refusal.user_properties.len(), 1);
    let connect = Connect::new("c").with_password("ann", "secret");
    assert_eq!(connect.password_text(), Some("secret"));
    assert_eq!(connect.user_property("x"), None);
    assert_eq!(Failure::transient("busy"), Failure::Transient("busy".to_owned()));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    rules: Text,
}

struct Ruled(Text);

impl Plugin for Ruled {
    type Config = Rules;
    fn init(config: Rules) -> Result<(Self, Registration), String> {
        Ok((Self(config.rules), Registration::new()))
    }
}

#[test]
fn a_text_is_written_in_the_configuration_or_comes_from_a_file() {
    let text = |config: &str| test::init::<Ruled>(config).unwrap().0.0;
    let written = text(r#"{"rules": "one\ntwo"}"#);
    assert_eq!(written.lines().collect::<Vec<_>>(), [(1, "one"), (2, "two")]);
    assert_eq!((written.as_str(), written.file()), ("one\ntwo", None));
    assert_eq!(written.error(2, "is wrong"), "line 2: is wrong");
    let file = text(r#"{"rules": {"file": "etc/r.acl", "content": "\ufeffone\r\n\r\nthree\r\n"}}"#);
    assert_eq!(file.lines().collect::<Vec<_>>(), [(1, "one"), (2, ""), (3, "three")]);
    assert_eq!(
        (file.file(), file.error(3, "is wrong")),
        (Some("etc/r.acl"), "etc/r.acl:3: is wrong".into())
    );
    assert!(!format!("{file:?}").contains("three"));
}

#[test]
fn a_text_that_is_empty_or_no_text_is_an_error_that_names_the_key_and_the_file() {
    for (rules, expected) in [
        (r#""""#, "rules: the text is empty"),
        (r#"" \n\t""#, "rules: the text is empty"),
        (r#"{"file": "r.acl", "content": "\ufeff\n"}"#, "rules: r.acl is empty"),
        ("7", "rules: invalid type: integer `7`, expected a string or { file = \"PATH\" }"),
        (r#"{"file": "r.acl"}"#, "rules: missing field `content`"),
    ] {
        assert_eq!(error::<Ruled>(&format!(r#"{{"rules": {rules}}}"#)), expected, "{rules}");
    }
}

#[test]
fn metrics_of_the_fake_are_bounded_as_the_broker_bounds_them() {
    use wasmqtt_plugin::metrics::{Counter, Gauge};
    for name in ["", "1a", "a-b", &"a".repeat(101)] {
        Counter::new(name, "").add(1);
        assert_eq!(test::metric(name), None, "{name}");
    }
    Counter::new("seen", "").add(3);
    Counter::new("seen", "").add(4);
    Gauge::new("seen", "").set(1.0);
    assert_eq!(test::metric("seen"), Some(7.0), "a metric is of one kind");
    for n in 0..100 {
        Gauge::new(&format!("n{n}"), "").set(0.5);
    }
    assert_eq!((test::metric("n98"), test::metric("n99")), (Some(0.5), None));
}
