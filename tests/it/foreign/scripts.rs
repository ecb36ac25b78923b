//! paho-mqtt and MQTT.js show feature after feature, in every version that has it.

use std::process::Command;

use super::{is_ok, mqtt_js, open, paho};
use crate::harness::config::OPEN;
use crate::harness::gateway::Gateway;
use crate::harness::program::{Running, run};
use crate::harness::{Broker, PATIENCE};

const ALL: [&str; 3] = ["3.1", "3.1.1", "5.0"];
const NEWEST: [&str; 1] = ["5.0"];

/// Bounds that a client meets soon; the scripts know them.
fn tight() -> Broker {
    Broker::start(&format!(
        "{OPEN}[limits]\nkeep_alive_max = \"77s\"\nreceive_maximum = 5\nmax_packet_size = \"4KiB\"\n\
         topic_alias_maximum = 3\nmax_subscriptions = 3\nsession_expiry_max = \"100s\"\n"
    ))
}

fn shows(command: &mut Command, broker: &Broker, scenario: &str, versions: &[&str]) {
    let port = broker.addr().port().to_string();
    is_ok(&run(command.args([scenario, &port]).args(versions)));
}

/// One test for each client and scenario.
macro_rules! features {
    ($($name:ident: $client:ident $script:literal $scenario:literal $broker:ident $versions:ident;)*) => {
        $(#[test]
        fn $name() {
            shows(&mut $client($script), &$broker(), $scenario, &$versions);
        })*
    };
}

features! {
    paho_gets_the_lower_qos: paho "paho_features.py" "qos" open ALL;
    paho_sets_gets_and_clears_what_is_retained: paho "paho_features.py" "retained" open ALL;
    paho_leaves_a_will_only_when_it_is_lost: paho "paho_features.py" "will" open ALL;
    paho_finds_what_came_while_it_was_away: paho "paho_features.py" "session" open ALL;
    paho_gets_one_copy_through_overlapping_filters: paho "paho_features.py" "filters" open ALL;
    paho_shares_a_subscription: paho "paho_features.py" "shared" open ALL;
    paho_sends_and_gets_a_megabyte: paho "paho_features.py" "large" open ALL;
    paho_gets_many_messages_in_order: paho "paho_features.py" "many" open ALL;
    paho_gives_way_to_who_takes_its_session: paho "paho_features.py" "taken" open ALL;
    paho_subscribes_with_every_option: paho "paho_features.py" "options" open NEWEST;
    paho_gets_its_subscription_identifiers: paho "paho_features.py" "identifiers" open NEWEST;
    paho_gets_every_property_of_a_message: paho "paho_features.py" "content" open NEWEST;
    paho_asks_and_answers: paho "paho_features.py" "request" open NEWEST;
    paho_does_not_get_what_has_expired: paho "paho_features.py" "expiry" open NEWEST;
    paho_loses_its_session_when_it_has_expired: paho "paho_features.py" "session_expiry" open NEWEST;
    paho_leaves_a_will_that_waits: paho "paho_features.py" "will_delay" open NEWEST;
    paho_uses_aliases_in_both_directions: paho "paho_features.py" "aliases" open NEWEST;
    paho_is_told_what_the_broker_allows: paho "paho_features.py" "limits" tight NEWEST;
    paho_gets_no_more_than_it_allows: paho "paho_features.py" "own_limits" open NEWEST;
    paho_is_told_reasons_when_it_wants_them: paho "paho_features.py" "problem_information" open NEWEST;
    paho_sees_reason_codes: paho "paho_features.py" "codes" open NEWEST;
    mqtt_js_gets_the_lower_qos: mqtt_js "mqtt_js_features.mjs" "qos" open ALL;
    mqtt_js_sets_gets_and_clears_what_is_retained: mqtt_js "mqtt_js_features.mjs" "retained" open ALL;
    mqtt_js_leaves_a_will_only_when_it_is_lost: mqtt_js "mqtt_js_features.mjs" "will" open ALL;
    mqtt_js_finds_what_came_while_it_was_away: mqtt_js "mqtt_js_features.mjs" "session" open ALL;
    mqtt_js_gets_one_copy_through_overlapping_filters: mqtt_js "mqtt_js_features.mjs" "filters" open ALL;
    mqtt_js_shares_a_subscription: mqtt_js "mqtt_js_features.mjs" "shared" open ALL;
    mqtt_js_sends_and_gets_a_megabyte: mqtt_js "mqtt_js_features.mjs" "large" open ALL;
    mqtt_js_gets_many_messages_in_order: mqtt_js "mqtt_js_features.mjs" "many" open ALL;
    mqtt_js_is_told_that_its_session_was_taken: mqtt_js "mqtt_js_features.mjs" "taken" open ALL;
    mqtt_js_subscribes_with_every_option: mqtt_js "mqtt_js_features.mjs" "options" open NEWEST;
    mqtt_js_gets_its_subscription_identifiers: mqtt_js "mqtt_js_features.mjs" "identifiers" open NEWEST;
    mqtt_js_gets_every_property_of_a_message: mqtt_js "mqtt_js_features.mjs" "content" open NEWEST;
    mqtt_js_asks_and_answers: mqtt_js "mqtt_js_features.mjs" "request" open NEWEST;
    mqtt_js_does_not_get_what_has_expired: mqtt_js "mqtt_js_features.mjs" "expiry" open NEWEST;
    mqtt_js_loses_its_session_when_it_has_expired: mqtt_js "mqtt_js_features.mjs" "sessionExpiry" open NEWEST;
    mqtt_js_leaves_a_will_that_waits: mqtt_js "mqtt_js_features.mjs" "willDelay" open NEWEST;
    mqtt_js_uses_aliases_in_both_directions: mqtt_js "mqtt_js_features.mjs" "aliases" open NEWEST;
    mqtt_js_is_told_what_the_broker_allows: mqtt_js "mqtt_js_features.mjs" "limits" tight NEWEST;
    mqtt_js_gets_no_more_than_it_allows: mqtt_js "mqtt_js_features.mjs" "ownLimits" open NEWEST;
    mqtt_js_is_told_reasons_when_it_wants_them: mqtt_js "mqtt_js_features.mjs" "problemInformation" open NEWEST;
    mqtt_js_sees_reason_codes: mqtt_js "mqtt_js_features.mjs" "codes" open NEWEST;
}

/// Starts the broker again under a client, in one version after the other; the client says when it is ready.
fn comes_back(command: &mut Command) {
    let mut broker = open();
    let gateway = Gateway::open(broker.addr());
    let port = gateway.addr().port().to_string();
    let mut client = Running::start(command.args(["reconnect", &port]).args(ALL));
    for version in ALL {
        client.wait_for(&format!("ready {version}"));
        gateway.close();
        broker = broker.restart();
        gateway.lead_to(broker.addr());
    }
    client.wait_for_within("ok", 2 * PATIENCE);
}

#[test]
fn paho_comes_back_by_itself_when_the_broker_was_away() {
    comes_back(&mut paho("paho_features.py"));
}

#[test]
fn mqtt_js_comes_back_by_itself_when_the_broker_was_away() {
    comes_back(&mut mqtt_js("mqtt_js_features.mjs"));
}
