//! The demo configuration, as the clients of others see it.

use std::process::Command;
use std::time::{Duration, Instant};

use wasmqtt_codec::Version;

use super::{is_ok, mosquitto, mqtt_js, paho, published};
use crate::harness::client::login;
use crate::harness::config::demo;
use crate::harness::program::{Ended, Running, run};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

fn mosquitto_pub(broker: &Broker, arguments: &str) -> Ended {
    run(&mut mosquitto(broker.addr(), "mosquitto_pub", arguments))
}

/// Starts mosquitto_sub, which says nothing until something comes, and waits until it wants what alice publishes:
/// the broker says so when she does.
fn mosquitto_sub(broker: &Broker, arguments: &str) -> Running {
    let mut sub = Running::start(&mut mosquitto(broker.addr(), "mosquitto_sub", arguments));
    let mut connect = login(Version::V5, "alice", "secret");
    connect.client_id = "probe";
    let (mut alice, answer) = Client::connect(broker.addr(), &connect);
    assert_eq!(answer.code, 0);
    let mut probe = Outgoing::new("devices/alice/probe", "probe");
    if arguments.contains("routed/#") {
        probe = probe.property("region", "eu");
    }
    let start = Instant::now();
    while alice.publish(&probe) != 0 {
        assert!(start.elapsed() < PATIENCE, "mosquitto_sub {arguments} did not subscribe");
        std::thread::sleep(Duration::from_millis(10));
    }
    alice.disconnect();
    sub.wait_for("probe");
    sub
}

#[test]
fn the_two_commands_of_the_readme_do_what_it_says() {
    let broker = Broker::start(&demo());
    let mut sub = mosquitto_sub(&broker, "-V 5 -u bob -P secret -t 'routed/#' -v");
    published(
        &broker,
        "-V 5 -u alice -P secret -t devices/alice/temp -m 21.5 -D publish user-property region eu",
    );
    assert_eq!(sub.wait_for("21.5"), "routed/eu/devices/alice/temp 21.5");
}

#[test]
fn mosquitto_speaks_every_version_with_every_qos() {
    let broker = Broker::start(&demo());
    for version in ["mqttv5", "mqttv311", "mqttv31"] {
        for qos in [0, 1, 2] {
            let sub =
                format!("-V {version} -u alice -P secret -t devices/alice/# -q {qos} -F %t|%p|%q");
            let mut sub = mosquitto_sub(&broker, &sub);
            let message = format!("m-{version}-{qos}");
            published(
                &broker,
                &format!(
                    "-V {version} -u alice -P secret -t devices/alice/temp -q {qos} -m {message}"
                ),
            );
            let line = sub.wait_for(&message);
            assert_eq!(line, format!("devices/alice/temp|{message}|{qos}"));
        }
    }
}

#[test]
fn mosquitto_gets_what_was_retained_and_sees_that_it_was() {
    let broker = Broker::start(&demo());
    for version in ["5", "311", "31"] {
        let message = format!("kept-{version}");
        published(
            &broker,
            &format!("-V {version} -u alice -P secret -t devices/alice/state -r -q 1 -m {message}"),
        );
        let sub =
            format!("-V {version} -u alice -P secret -t devices/alice/# -C 1 -W 20 -F %r|%t|%p");
        let ended = run(&mut mosquitto(broker.addr(), "mosquitto_sub", &sub));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stdout.trim(), format!("1|devices/alice/state|{message}"));
    }
}

#[test]
fn mosquitto_is_told_that_the_password_is_wrong() {
    let broker = Broker::start(&demo());
    for (version, code) in [("5", 134), ("311", 4), ("31", 4)] {
        let connect = format!("-V {version} -u alice -P wrong -t devices/alice/temp");
        let ended = mosquitto_pub(&broker, &format!("{connect} -m x"));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.to_lowercase().contains("bad user name or password"), "{ended:?}");
        let ended =
            run(&mut mosquitto(broker.addr(), "mosquitto_sub", &format!("{connect} -W 20")));
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}

#[test]
fn mosquitto_is_told_that_a_topic_is_not_its_own() {
    let broker = Broker::start(&demo());
    for version in ["5", "311", "31"] {
        let sub = format!("-V {version} -u alice -P secret -t devices/bob/# -W 20");
        let ended = run(&mut mosquitto(broker.addr(), "mosquitto_sub", &sub));
        assert!(ended.stderr.contains("All subscription requests were denied"), "{ended:?}");
    }
    let foreign = "-u alice -P secret -t devices/bob/temp -q 1 -m x";
    let ended = mosquitto_pub(&broker, &format!("-V 5 {foreign}"));
    assert!(ended.stderr.contains("Not authorized"), "{ended:?}");
    // 3.1.1 has no word for it.
    published(&broker, &format!("-V 311 {foreign}"));
}

#[test]
fn a_will_that_mosquitto_leaves_is_routed() {
    let broker = Broker::start(&demo());
    let mut bob = mosquitto_sub(&broker, "-V 5 -u bob -P secret -t routed/# -v");
    let alice = "-V 5 -u alice -P secret -t devices/alice/# --will-topic devices/alice/status \
                 --will-payload gone --will-qos 1 -D will user-property region eu";
    // Killed, so that it cannot say good-bye.
    drop(mosquitto_sub(&broker, alice));
    assert_eq!(bob.wait_for("devices/alice/status gone"), "routed/eu/devices/alice/status gone");
    assert!(!bob.seen().iter().any(|line| line.starts_with("devices/")), "{:?}", bob.seen());
}

/// Runs one scenario of a script.
fn drive(command: &mut Command, scenario: &str, version: &str) {
    let broker = Broker::start(&demo());
    let port = broker.addr().port().to_string();
    is_ok(&run(command.args([scenario, version, &port])));
}

/// One test for each script, scenario and version.
macro_rules! scenarios {
    ($($name:ident: $client:ident $script:literal $scenario:literal $version:literal;)*) => {
        $(#[test]
        fn $name() {
            drive(&mut $client($script), $scenario, $version);
        })*
    };
}

scenarios! {
    paho_5_messages_are_routed_with_every_qos: paho "paho_demo.py" "routing" "5";
    paho_3_1_1_messages_arrive_with_every_qos: paho "paho_demo.py" "routing" "3";
    paho_5_sees_the_reason_of_every_refusal: paho "paho_demo.py" "refusals" "5";
    paho_3_1_1_sees_refusals_as_far_as_it_has_words: paho "paho_demo.py" "refusals" "3";
    paho_5_gets_what_was_retained_where_it_was_moved: paho "paho_demo.py" "retained" "5";
    paho_3_1_1_gets_what_was_retained: paho "paho_demo.py" "retained" "3";
    paho_5_leaves_a_will_that_is_routed: paho "paho_demo.py" "will" "5";
    paho_3_1_1_leaves_a_will: paho "paho_demo.py" "will" "3";
    paho_5_loses_none_of_many: paho "paho_demo.py" "many" "5";
    paho_3_1_1_loses_none_of_many: paho "paho_demo.py" "many" "3";
    mqtt_js_5_messages_are_routed_with_every_qos: mqtt_js "mqtt_js_demo.mjs" "routing" "5";
    mqtt_js_3_1_1_messages_arrive_with_every_qos: mqtt_js "mqtt_js_demo.mjs" "routing" "3";
    mqtt_js_5_sees_the_reason_of_every_refusal: mqtt_js "mqtt_js_demo.mjs" "refusals" "5";
    mqtt_js_3_1_1_sees_refusals_as_far_as_it_has_words: mqtt_js "mqtt_js_demo.mjs" "refusals" "3";
    mqtt_js_5_gets_what_was_retained_where_it_was_moved: mqtt_js "mqtt_js_demo.mjs" "retained" "5";
    mqtt_js_3_1_1_gets_what_was_retained: mqtt_js "mqtt_js_demo.mjs" "retained" "3";
    mqtt_js_5_leaves_a_will_that_is_routed: mqtt_js "mqtt_js_demo.mjs" "will" "5";
    mqtt_js_3_1_1_leaves_a_will: mqtt_js "mqtt_js_demo.mjs" "will" "3";
    mqtt_js_5_loses_none_of_many: mqtt_js "mqtt_js_demo.mjs" "many" "5";
    mqtt_js_3_1_1_loses_none_of_many: mqtt_js "mqtt_js_demo.mjs" "many" "3";
}
