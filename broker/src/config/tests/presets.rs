//! Presets: what they fill in, and what stands against them.

use std::time::Duration;

use super::{
    super::{
        Bind, DefaultAnswer, Features, Limits, Listener, OnDeniedPublish, Overflow, Version, print,
    },
    *,
};

fn listener(preset: &str, keys: &str, rest: &str) -> Listener {
    let text = format!(
        "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\npreset = \"{preset}\"\n{keys}\n{rest}"
    );
    good(&text).listeners.remove(0)
}

#[test]
fn open_lets_everybody_in_and_changes_nothing_else() {
    let open = listener("open", "", "");
    let expected = Listener {
        name: "l".into(),
        bind: Bind::Network("127.0.0.1:1".parse().unwrap()),
        anonymous: true,
        default: DefaultAnswer::Allow,
        location: open.location.clone(),
        ..Listener::default()
    };
    assert_eq!(open, expected);
    let text = "[[listener]]\nname = \"l\"\nbind = \"0.0.0.0:1\"\npreset = \"open\"\n";
    assert!(warnings(text)[0].contains("open to everybody who can reach 0.0.0.0:1"));
}

#[test]
fn event_grid_has_the_limits_of_the_service() {
    let listener = listener("event-grid", "", "");
    assert_eq!((listener.anonymous, listener.default), (false, DefaultAnswer::Deny));
    let features = Features {
        protocols: vec![Version::V311, Version::V5],
        max_qos: 1,
        subscription_identifiers: false,
        shared_subscriptions: false,
        ..Features::default()
    };
    assert_eq!(listener.features, features);
    assert_eq!(listener.on_denied_publish, OnDeniedPublish::Disconnect);
    let mut limits = Limits::default();
    (limits.max_packet_size, limits.topic_alias_maximum) = (524_288, 10);
    (limits.publish_rate, limits.publish_bytes_rate) = (1000, 1 << 20);
    (limits.connect_rate, limits.subscribe_rate) = (200, 5);
    (limits.receive_maximum, limits.auth.data) = (1000, 8 << 10);
    limits.max_user_properties_bytes = 32 << 10;
    (limits.max_content_type, limits.max_response_topic) = (256, 256);
    (limits.max_correlation_data, limits.will_delay_max) = (256, Duration::from_secs(300));
    (limits.max_topic_levels, limits.max_topic_length) = (8, 256);
    (limits.max_filters_per_subscribe, limits.max_subscriptions) = (10, 50);
    limits.session_expiry_max = Duration::from_hours(8);
    limits.keep_alive_max = Duration::from_secs(1160);
    (limits.queue.messages, limits.queue.overflow) = (100, Overflow::EndSession);
    limits.queue.bytes = 1 << 20;
    assert_eq!(listener.limits, limits);
}

#[test]
fn iot_core_has_the_limits_of_the_service() {
    let listener = listener("iot-core", "", "");
    let features = Features {
        protocols: vec![Version::V311, Version::V5],
        max_qos: 1,
        subscription_identifiers: false,
        ..Features::default()
    };
    assert_eq!(listener.features, features);
    assert_eq!(listener.on_denied_publish, OnDeniedPublish::Disconnect);
    let mut limits = Limits::default();
    (limits.queue.overflow, limits.publish_rate) = (Overflow::DropNewest, 100);
    limits.max_user_properties_bytes = 8 << 10;
    (limits.max_packet_size, limits.topic_alias_maximum) = (131_072, 8);
    (limits.receive_maximum, limits.max_inflight) = (100, 100);
    (limits.max_topic_levels, limits.max_topic_length) = (8, 256);
    (limits.max_filters_per_subscribe, limits.max_subscriptions) = (8, 50);
    limits.session_expiry_max = Duration::from_hours(7 * 24);
    limits.message_expiry_max = Duration::from_hours(7 * 24);
    limits.keep_alive_max = Duration::from_secs(1200);
    assert_eq!(listener.limits, limits);
}

#[test]
fn what_is_written_stands_against_the_preset_even_if_it_is_looser() {
    let keys = "protocols = [\"3.1\"]\nmax_qos = 2\nshared_subscriptions = true\n\
                limits = { max_packet_size = \"1MiB\", queue.messages = 1000, keep_alive_max = 0 }";
    let Listener { features, limits, .. } = listener("event-grid", keys, "");
    assert_eq!(features.protocols, [Version::V31]);
    assert_eq!((features.max_qos, features.shared_subscriptions), (2, true));
    assert!(!features.subscription_identifiers);
    assert_eq!((limits.max_packet_size, limits.queue.messages), (1 << 20, 1000));
    assert_eq!((limits.keep_alive_max, limits.max_topic_levels), (Duration::ZERO, 8));
    let closed = listener("open", "anonymous = false\ndefault = \"deny\"", "");
    assert_eq!((closed.anonymous, closed.default), (false, DefaultAnswer::Deny));
}

#[test]
fn a_preset_is_looser_than_a_default_that_nobody_wrote_and_not_than_what_somebody_wrote() {
    let week = Duration::from_hours(7 * 24);
    let day = Duration::from_hours(24);
    assert_eq!(listener("iot-core", "", "").limits.session_expiry_max, week);
    let written = "[limits]\nsession_expiry_max = \"24h\"\n";
    assert_eq!(listener("iot-core", "", written).limits.session_expiry_max, day);
    let own = "limits.session_expiry_max = \"3d\"";
    assert_eq!(listener("iot-core", own, "").limits.session_expiry_max, day * 3);
    let text = format!("{LISTENER}preset = \"iot-core\"\nlimits.session_expiry_max = \"8d\"\n");
    assert_eq!(
        errors(&text),
        ["7:29 `listener.limits.session_expiry_max` is looser than `limits.session_expiry_max` \
          (at most 168h here, or raise it in [limits])"]
    );
}

#[test]
fn a_tighter_global_limit_stands_against_the_preset() {
    let rest = "[limits]\nmax_packet_size = 1000\nsession_expiry_max = \"1h\"\nqueue.messages = 7\n\
                keep_alive_max = \"60s\"\nmessage_expiry_max = \"1d\"\nmax_topic_levels = 3\n";
    for preset in ["event-grid", "iot-core"] {
        let limits = listener(preset, "", rest).limits;
        assert_eq!((limits.max_packet_size, limits.queue.messages), (1000, 7));
        assert_eq!(limits.session_expiry_max, Duration::from_hours(1));
        assert_eq!(limits.keep_alive_max, Duration::from_mins(1));
        assert_eq!(limits.message_expiry_max, Duration::from_hours(24));
        assert_eq!((limits.max_topic_levels, limits.max_subscriptions), (3, 50));
    }
}

#[test]
fn what_a_preset_filled_in_is_printed_and_the_preset_is_not() {
    for preset in ["open", "event-grid", "iot-core"] {
        let text = format!(
            "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\npreset = \"{preset}\"\n\
             limits.max_packet_size = \"1MiB\"\n"
        );
        let config = good(&text);
        let printed = print(&config);
        assert!(!printed.contains("preset"));
        assert_eq!(listeners(&good(&printed)), listeners(&config));
    }
    let listener = "[[listener]]\nname = \"l\"\nbind = \"127.0.0.1:1\"\npreset = \"iot-core\"\n";
    let printed = print(&good(listener));
    for line in ["max_qos = 1", "max_topic_length = \"256B\"", "keep_alive_max = \"20m\""] {
        assert!(printed.lines().any(|printed| printed == line), "{line}\n{printed}");
    }
}

#[test]
fn a_preset_that_does_not_exist_is_refused() {
    assert_eq!(
        errors(&format!("{LISTENER}preset = \"eventgrid\"")),
        ["6:10 `listener.preset` cannot be `eventgrid` (did you mean `event-grid`?)"]
    );
}
