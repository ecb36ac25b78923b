//! The JavaScript plugin in the broker: fields are gone before anyone sees them.

use std::fs::File;

use wasmqtt_codec::{QoS, Version};

use crate::harness::config::{LOSSLESS, open_listener, plugin};
use crate::harness::{Broker, Client, Outgoing, cache};

fn broker(config: &str) -> Broker {
    // A JavaScript engine wants more memory and time than the defaults.
    let keys =
        format!("limits = {{ memory = \"64MiB\", call = \"1s\" }}\n[plugin.config]\n{config}");
    let listener = open_listener("mqtt", "transform = [\"redact\"]");
    // It takes longest to compile: where it is not in the cache yet one test compiles it, and the others wait.
    let turn = File::create(cache().join("redact.lock")).unwrap();
    turn.lock().unwrap();
    Broker::start(&format!("{listener}{LOSSLESS}{}", plugin("redact", "redact", &keys)))
}

fn client(broker: &Broker) -> Client {
    Client::enter(broker.addr(), Version::V5, "c").subscribed("#", QoS::AtLeastOnce)
}

#[test]
fn named_fields_are_removed_and_everything_else_arrives_as_it_was_sent() {
    let broker = broker("fields = [\"password\", \"location.lat\"]");
    let mut client = client(&broker);
    for (sent, arrives) in [
        (r#"{"user":"alice","password":"x"}"#, r#"{"user":"alice"}"#),
        (
            r#"{"location":{"lat":1.5,"lon":2},"id":9007199254740993}"#,
            r#"{"location":{"lon":2},"id":9007199254740993}"#,
        ),
        (r#"[{"password":1},{"a" : 2}]"#, r#"[{},{"a" : 2}]"#),
        ("42", "42"),
    ] {
        assert_eq!(client.publish(&Outgoing::new("sensors/a", sent)), 0, "{sent}");
        assert_eq!(client.message().parts(), ("sensors/a", arrives));
    }
}

#[test]
fn what_is_not_json_is_rejected_with_the_code_for_it_and_reaches_nobody() {
    let broker = broker("fields = [\"password\"]");
    let mut client = client(&broker);
    for payload in [&b"{\"password\":"[..], b"\xff\xfe", b"password=x"] {
        assert_eq!(client.publish(&Outgoing::new("a", payload)), 0x99);
    }
    assert_eq!(client.publish(&Outgoing::new("a", "{}")), 0);
    assert_eq!(client.message().parts(), ("a", "{}"), "and nothing before");
}

#[test]
fn only_the_topics_it_is_for_are_redacted_and_a_retained_message_is_stored_without_the_field() {
    let broker =
        broker("fields = [\"password\"]\nfilters = [\"sensors/#\"]\nreplace_with = \"***\"");
    let mut early = client(&broker);
    let secret = r#"{"password":"x"}"#;
    early.publish(&Outgoing::new("open/a", secret));
    assert_eq!(early.message().text(), secret);
    early.publish(&Outgoing::new("sensors/a", secret).retained());
    assert_eq!(early.message().text(), r#"{"password":"***"}"#);
    let mut late = Client::enter(broker.addr(), Version::V311, "late")
        .subscribed("sensors/#", QoS::AtMostOnce);
    assert_eq!(late.message().text(), r#"{"password":"***"}"#);
}

#[test]
fn hundreds_of_messages_in_a_row_are_redacted() {
    let broker = broker("fields = [\"password\"]");
    let mut client = client(&broker);
    for number in 0..500 {
        let sent = format!(r#"{{"n":{number},"password":"{}"}}"#, "x".repeat(1000));
        assert_eq!(client.publish(&Outgoing::new("a", sent)), 0);
        assert_eq!(client.message().text(), format!(r#"{{"n":{number}}}"#));
    }
}
