//! What is written becomes what is meant, and is printed as that again.

use std::{path::PathBuf, time::Duration};

use serde_json::json;

use super::{
    super::{
        Admin, DefaultAnswer, Features, LogFormat, LogLevel, OnDeniedPublish, OnDuplicate,
        OnFailure, Overflow, Protocol, SharedStrategy, Version, print,
    },
    *,
};

const EVERYTHING: &str = r#"
[broker]
workers = 3
data_dir = "/var/lib/wasmqtt"
sys_interval = "1m30s"
observe = ["file"]
shared_strategy = "ordered"
share_groups = { jobs = "sticky", "a b.c" = "random" }

[limits]
max_packet_size = "64KiB"
receive_maximum = 10
topic_alias_maximum = 0
max_inflight = 20
session_expiry_max = "7d"
queue = { messages = 30, bytes = "10KB", overflow = "end-session", qos0 = true }
max_connections = 40
connect_timeout = "1500ms"
max_handshakes = 41
max_connections_per_address = 42
connection_rate_per_address = 43
keep_alive_max = "1h"
max_subscriptions = 50
max_topic_levels = 6
max_topic_length = 70
max_filters_per_subscribe = 71
max_user_properties = 72
message_expiry_max = "73s"
message_expiry_default = "70s"
max_user_properties_bytes = "91KiB"
max_payload_size = "92KiB"
max_content_type = 93
max_response_topic = 94
max_correlation_data = "95B"
will_delay_max = "96s"
subscribe_rate = 97
max_connections_total = 98
connection_time_max = "76s"
publish_rate = 77
publish_bytes_rate = "78KiB"
on_publish_rate = "disconnect"
connect_rate = 78
keep_alive_min = "79s"
max_sessions_per_name = 74
flapping = { connects = 75, within = "76s", ban = "30d" }
failed_logins = { per_address = 3, per_name = 4, within = "5s", ban = "6s" }
auth = { rounds = 77, data = "78B", timeout = "79s", reauthentications = 81, within = "82s" }
max_authentications = 79
max_sessions = 80
max_retained_messages = 90
max_retained_bytes = 2048
retained_expiry_max = "82s"

[[listener]]
name = "open"
protocol = "ws"
websocket = { path = "/w%20s", origins = ["https://app.example.org:8443", "null"], max_message_size = "2KiB" }
trusted_proxies = ["10.0.0.0/8", "::1"]
bind = "${WASMQTT_BIND}"
anonymous = true
default = "allow"
on_denied_publish = "disconnect"
protocols = ["5.0", "3.1.1"]
max_qos = 1
retain = false
wildcard_subscriptions = false
subscription_identifiers = false
shared_subscriptions = false
validate_payload_format = false
on_duplicate_client_id = "refuse"
unsafe_client_ids = false
check_retained_source = false
redirect = { to = "b.example:1883 [::1]:2", permanent = true, move_within = "1m" }

[[listener]]
name = "closed"
bind = "[::1]:1883"
authenticate = ["file", "other"]
authorize = ["other"]
transform = ["other", "file"]
[listener.limits]
max_packet_size = 100
queue.messages = 5
queue.overflow = "disconnect"
queue.qos0 = false
max_sessions_per_name = 7

[[plugin]]
name = "file"
path = "no/such/file.wasm"
sha256 = "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff"
on_failure = "open"
reauthorize = true
limits = { memory = "1MiB", call = "1ms", authenticate = "60s", observe = "1m", queued_events = 1, queued_publications = 2, log_lines_per_second = 0, host_call_bytes = "1KiB", kv = "2MiB", http_time = "1s", http_packet_time = "2m", http_request = "1KiB", http_reply = "2KiB", http_at_once = 3 }
grants = { topics = ["routed/#", "$${odd}/+"], publish = ["own/#"], revocation = true, kv = true, metrics = true, http = ["https://idp.example/mqtt"] }
[plugin.config]
topic = "routed/${value}/${topic}"
secret = "${env:WASMQTT_SECRET}"
literal = "$${env:WASMQTT_SECRET} $${x}"
number = -5
hex = 0xff
float = 0.5
whole = 2.0
flag = true
date = 1979-05-27T07:32:00Z
time = 07:32:00
empty = {}
list = [1, "two", { three = 3 }, []]
"quoted key.with \"dots\"" = "multi\nline\t\u0000"
rules = [ { effect = "allow", filter = "devices/${username}/#" }, { effect = "deny" } ]
[plugin.config.users.nested.deep]
alice = "$argon2id$v=19$m=7168,t=5,p=1$abc$def"

[[plugin]]
name = "other"
path = "other.wasm"

[log]
level = "debug"
format = "json"

[admin]
bind = "127.0.0.1:28083"
"#;

#[test]
fn every_key_is_read() {
    let config = good(EVERYTHING);
    assert_eq!((config.broker.workers, config.broker.sys_interval.as_secs()), (3, 90));
    assert_eq!(config.broker.shared_strategy, SharedStrategy::Ordered);
    let groups = [("a b.c", SharedStrategy::Random), ("jobs", SharedStrategy::Sticky)];
    assert_eq!(config.broker.share_groups, groups.map(|(name, way)| (name.to_owned(), way)).into());
    assert_eq!(config.broker.data_dir, PathBuf::from("/var/lib/wasmqtt"));
    let limits = &config.limits;
    assert_eq!((limits.max_packet_size, limits.receive_maximum), (65_536, 10));
    assert_eq!((limits.topic_alias_maximum, limits.max_inflight), (0, 20));
    assert_eq!(limits.session_expiry_max, Duration::from_hours(7 * 24));
    assert_eq!((limits.queue.messages, limits.queue.bytes), (30, 10_000));
    assert_eq!(limits.queue.overflow, Overflow::EndSession);
    assert_eq!((limits.max_connections, limits.max_subscriptions), (40, 50));
    assert_eq!(limits.connect_timeout, Duration::from_millis(1500));
    assert_eq!(limits.keep_alive_max, Duration::from_hours(1));
    assert_eq!((limits.max_topic_levels, limits.max_topic_length), (6, 70));
    assert_eq!((limits.max_filters_per_subscribe, limits.max_user_properties), (71, 72));
    assert_eq!((limits.message_expiry_max.as_secs(), limits.max_sessions_per_name), (73, 74));
    let seconds =
        [limits.message_expiry_default, limits.connection_time_max, limits.keep_alive_min];
    assert_eq!(seconds.map(|time| time.as_secs()), [70, 76, 79]);
    let sizes = [limits.max_content_type, limits.max_response_topic, limits.max_correlation_data];
    assert_eq!(sizes, [93, 94, 95]);
    assert_eq!((limits.max_user_properties_bytes, limits.max_payload_size), (91 << 10, 92 << 10));
    assert_eq!(limits.will_delay_max, Duration::from_secs(96));
    assert_eq!((limits.subscribe_rate, limits.max_connections_total), (97, 98));
    assert_eq!((limits.publish_rate, limits.connect_rate), (77, 78));
    let logins = &limits.failed_logins;
    assert_eq!((logins.per_address, logins.per_name), (3, 4));
    assert_eq!((logins.within, logins.ban), (Duration::from_secs(5), Duration::from_secs(6)));
    let rate = (limits.publish_bytes_rate, limits.on_publish_rate);
    assert_eq!(rate, (78 << 10, super::super::OnPublishRate::Disconnect));
    assert_eq!(config.limits.retained_expiry_max.as_secs(), 82);
    assert!(limits.queue.qos0);
    assert_eq!((limits.flapping.connects, limits.flapping.within.as_secs()), (75, 76));
    assert_eq!(limits.flapping.ban, Duration::from_hours(30 * 24));
    assert_eq!((limits.auth.rounds, limits.auth.data, limits.auth.reauthentications), (77, 78, 81));
    assert_eq!((limits.auth.timeout.as_secs(), limits.auth.within.as_secs()), (79, 82));
    assert_eq!((limits.max_authentications, limits.max_sessions), (79, 80));
    assert_eq!(limits.max_retained_messages, 90);
    assert_eq!(limits.max_retained_bytes, 2048);
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(config.admin, Some(Admin { bind: "127.0.0.1:28083".parse().unwrap() }));
    assert_eq!(config.sources, [PathBuf::from("wasmqtt.toml")]);
}

#[test]
fn every_key_of_a_listener_is_read() {
    let [open, closed] = &good(EVERYTHING).listeners[..] else { panic!("two listeners") };
    assert_eq!((open.name.as_str(), open.protocol, open.anonymous), ("open", Protocol::Ws, true));
    assert_eq!(open.bind.to_string(), "127.0.0.1:2883");
    assert_eq!(open.default, DefaultAnswer::Allow);
    assert_eq!(open.on_denied_publish, OnDeniedPublish::Disconnect);
    let features = Features {
        protocols: vec![Version::V311, Version::V5],
        max_qos: 1,
        retain: false,
        wildcard_subscriptions: false,
        subscription_identifiers: false,
        shared_subscriptions: false,
        validate_payload_format: false,
        on_duplicate_client_id: OnDuplicate::Refuse,
        unsafe_client_ids: false,
        check_retained_source: false,
    };
    assert_eq!((&open.features, &closed.features), (&features, &Features::default()));
    assert!(open.chains().iter().all(|(_, chain)| chain.is_empty()));
    assert_eq!(closed.authenticate, ["file", "other"]);
    assert_eq!(closed.authorize, ["other"]);
    assert_eq!(closed.transform, ["other", "file"]);
    assert_eq!((closed.anonymous, closed.default), (false, DefaultAnswer::Deny));
    assert_eq!(closed.on_denied_publish, OnDeniedPublish::Acknowledge);
}

#[test]
fn a_listener_has_the_limits_it_does_not_tighten() {
    let config = good(EVERYTHING);
    assert_eq!(config.listeners[0].limits, config.limits);
    let mut limits = config.limits.clone();
    limits.max_packet_size = 100;
    limits.queue.messages = 5;
    limits.queue.overflow = Overflow::Disconnect;
    limits.queue.qos0 = false;
    limits.max_sessions_per_name = 7;
    assert_eq!(config.listeners[1].limits, limits);
}

#[test]
fn every_key_of_a_plugin_is_read() {
    let [plugin, other] = &good(EVERYTHING).plugins[..] else { panic!("two plugins") };
    assert_eq!(
        (plugin.name.as_str(), plugin.path.to_str().unwrap()),
        ("file", "no/such/file.wasm")
    );
    assert_eq!(plugin.sha256.unwrap()[14..18], [0xee, 0xff, 0x00, 0x11]);
    assert_eq!((plugin.on_failure, plugin.reauthorize), (OnFailure::Open, true));
    assert_eq!((plugin.limits.memory, plugin.limits.log_lines_per_second), (1 << 20, 0));
    assert_eq!(plugin.limits.call, Duration::from_millis(1));
    assert_eq!((plugin.limits.host_call_bytes, other.limits.host_call_bytes), (1 << 10, 64 << 20));
    assert_eq!(plugin.limits.authenticate, Duration::from_mins(1));
    assert_eq!(plugin.limits.observe, Duration::from_mins(1));
    assert_eq!((plugin.limits.queued_events, plugin.limits.queued_publications), (1, 2));
    assert_eq!(plugin.grants.topics, ["routed/#", "${odd}/+"]);
    assert_eq!(plugin.grants.publish, ["own/#"]);
    assert_eq!(good(EVERYTHING).broker.observe, ["file"]);
    assert!(plugin.grants.revocation);
    assert_eq!((plugin.grants.kv, plugin.grants.metrics, plugin.limits.kv), (true, true, 2 << 20));
    assert_eq!(plugin.grants.http, ["https://idp.example/mqtt"]);
    assert_eq!(plugin.limits.http_time, Duration::from_secs(1));
    assert_eq!(plugin.limits.http_packet_time, Duration::from_secs(120));
    assert_eq!((plugin.limits.http_request, plugin.limits.http_reply), (1 << 10, 2 << 10));
    assert_eq!(plugin.limits.http_at_once, 3);
    assert_eq!(plugin.location.to_string(), "wasmqtt.toml:88");
    let text: Vec<_> = EVERYTHING.lines().collect();
    let location = &good(EVERYTHING).listeners[0].location;
    assert!(text[location.line as usize - 1].starts_with("bind"), "where it would not be opened");
    assert_eq!(
        (other.sha256, other.on_failure, other.reauthorize),
        (None, OnFailure::Closed, false)
    );
    assert_eq!(other.limits, super::super::PluginLimits::default());
    assert_eq!((&other.config, other.grants.topics.len()), (&json!({}), 0));
}

#[test]
fn the_configuration_of_a_plugin_becomes_json() {
    assert_eq!(
        good(EVERYTHING).plugins[0].config,
        json!({
            "topic": "routed/${value}/${topic}",
            "secret": "s3cr\"et ${value}",
            "literal": "${env:WASMQTT_SECRET} $${x}",
            "number": -5, "hex": 255, "float": 0.5, "whole": 2.0, "flag": true,
            "date": "1979-05-27T07:32:00Z", "time": "07:32:00",
            "empty": {}, "list": [1, "two", { "three": 3 }, []],
            "quoted key.with \"dots\"": "multi\nline\t\u{0}",
            "rules": [{ "effect": "allow", "filter": "devices/${username}/#" }, { "effect": "deny" }],
            "users": { "nested": { "deep": { "alice": "$argon2id$v=19$m=7168,t=5,p=1$abc$def" } } },
        })
    );
}

#[test]
fn what_is_printed_is_read_back_as_the_same_configuration() {
    for config in [good(EVERYTHING), good(LISTENER), Config::default()] {
        let printed = print(&config);
        let (again, _) = check(&printed).unwrap_or_else(|report| panic!("{printed}\n{report}"));
        assert_eq!(anonymous_origin(again), anonymous_origin(config), "{printed}");
    }
}

#[test]
fn a_listener_is_printed_with_the_limits_it_tightens_and_no_others() {
    let printed = print(&good(EVERYTHING));
    let (_, own) = printed.split_once("[listener.limits]\n").unwrap();
    let (own, _) = own.split_once("\n\n").unwrap();
    assert_eq!(
        own,
        "max_packet_size = \"100B\"\nqueue.messages = 5\nqueue.overflow = \"disconnect\"\nqueue.qos0 = false\n\
         max_sessions_per_name = 7"
    );
}

#[test]
fn a_file_saved_on_windows_reads_the_same() {
    let text = format!("\u{feff}{}", EVERYTHING.replace('\n', "\r\n"));
    assert_eq!(good(&text), good(EVERYTHING));
}

#[test]
fn keys_may_be_dotted_or_inline() {
    let tables = good(&format!("{LISTENER}[limits.queue]\nmessages = 7"));
    let inline = good(&format!("{LISTENER}[limits]\nqueue = {{ messages = 7 }}"));
    let dotted = good(&format!("limits.queue.messages = 7\n{LISTENER}"));
    let [tables, inline, dotted] = [tables, inline, dotted].map(anonymous_origin);
    assert_eq!((&tables, &inline), (&inline, &dotted));
    assert_eq!(tables.limits.queue.messages, 7);
}

#[test]
fn a_plugin_is_looked_for_beside_the_file_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wasmqtt.toml");
    std::fs::write(dir.path().join("here.wasm"), b"").unwrap();
    let text = |path: &str| {
        format!("{LISTENER}transform = [\"p\"]\n[[plugin]]\nname = \"p\"\npath = \"{path}\"\n")
    };
    for (path, resolved) in [
        ("here.wasm", dir.path().join("here.wasm")),
        ("nowhere.wasm", "nowhere.wasm".into()),
        ("/nowhere.wasm", "/nowhere.wasm".into()),
    ] {
        let (config, _) = parse(&file, text(path), &env).unwrap();
        assert_eq!(config.plugins[0].path, resolved);
    }
    // Where both exist, the working directory is first.
    std::fs::create_dir(dir.path().join("src")).unwrap();
    let (config, _) = parse(&file, text("src"), &env).unwrap();
    assert_eq!(config.plugins[0].path, PathBuf::from("src"));
}

#[test]
fn a_limit_that_makes_another_vain_is_refused_where_it_is_written() {
    let text = "[limits]\nkeep_alive_max = \"60s\"\nkeep_alive_min = \"61s\"\n\
                message_expiry_max = \"1h\"\nmessage_expiry_default = \"2h\"\n";
    assert_eq!(
        errors(&format!("{LISTENER}{text}")),
        [
            "8:18 `limits.keep_alive_min` (1m1s) is above `limits.keep_alive_max` (1m) (lower \
             `keep_alive_min`, or raise `keep_alive_max`)",
            "10:26 `limits.message_expiry_default` (2h) is above `limits.message_expiry_max` (1h) (lower \
             `message_expiry_default`, or raise `message_expiry_max`)",
        ]
    );
    let text = "limits.keep_alive_max = \"60s\"\n[limits]\nkeep_alive_min = \"61s\"\n";
    assert_eq!(
        errors(&format!("{LISTENER}{text}")),
        [
            "6:25 `listener.limits.keep_alive_min` (1m1s) is above `listener.limits.keep_alive_max` (1m) (lower \
          `keep_alive_min`, or raise `keep_alive_max`)"
        ]
    );
    // The same is no contradiction, nor is a minimum without a maximum.
    good(&format!("{LISTENER}[limits]\nkeep_alive_max = \"1m\"\nkeep_alive_min = \"60s\"\n"));
    good(&format!(
        "{LISTENER}[limits]\nkeep_alive_min = \"60s\"\nmessage_expiry_default = \"1d\"\n"
    ));
}
