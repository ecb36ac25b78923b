//! `[limits]` and `[listener.limits]`: ranges, and that a listener only tightens.

use std::time::Duration;

use super::{
    super::model::{Auth, FailedLogins, Flapping, Limits, OnPublishRate, Overflow, Preset, Queue},
    fields::{Fields, Reporter},
    preset,
};

const GIB: u64 = 1 << 30;
/// In seconds.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// `[limits]`.
pub(super) fn global(mut fields: Fields<'_>) -> Limits {
    let limits = read(&mut fields, &Limits::default());
    fields.finish();
    limits
}

/// `[listener.limits]`. `global` is None when that could not be read; then nothing is compared to it.
pub(super) fn listener(
    mut fields: Fields<'_>,
    preset: Option<Preset>,
    global: Option<&Limits>,
    reporter: &Reporter<'_>,
) -> Limits {
    let base = global.cloned().unwrap_or_default();
    for key in Limits::BROKER_WIDE {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` holds for the whole broker, not for one listener");
            reporter.error(entry.key, message, Some("set it in [limits]".into()));
        }
    }
    let limits = read(&mut fields, &preset::limits(preset, &base));
    for ((name, own), (_, bound)) in limits.entries().into_iter().zip(base.entries()) {
        let broker_wide = Limits::BROKER_WIDE.contains(&name);
        if global.is_some() && !broker_wide && own.is_looser_than(bound) {
            let message = format!("`listener.limits.{name}` is looser than `limits.{name}`");
            let help = format!("at most {bound} here, or raise it in [limits]");
            reporter.error(fields.place_of(name), message, Some(help));
        }
    }
    fields.finish();
    limits
}

/// What is not set is as in `base`.
fn read(fields: &mut Fields<'_>, base: &Limits) -> Limits {
    let seconds = |least, most| Duration::from_secs(least)..=Duration::from_secs(most);
    Limits {
        max_packet_size: fields
            .size("max_packet_size", 64..=268_435_455)
            .unwrap_or(base.max_packet_size),
        receive_maximum: fields
            .count("receive_maximum", 1..=u16::MAX)
            .unwrap_or(base.receive_maximum),
        topic_alias_maximum: fields
            .count("topic_alias_maximum", 0..=u16::MAX)
            .unwrap_or(base.topic_alias_maximum),
        max_inflight: fields.count("max_inflight", 1..=u16::MAX).unwrap_or(base.max_inflight),
        session_expiry_max: fields
            .seconds("session_expiry_max", seconds(0, u64::from(u32::MAX) - 1))
            .unwrap_or(base.session_expiry_max),
        queue: queue(fields.table("queue"), &base.queue),
        max_connections: fields
            .count("max_connections", 1..=10_000_000)
            .unwrap_or(base.max_connections),
        connect_timeout: fields
            .time("connect_timeout", Duration::from_millis(100)..=Duration::from_mins(5))
            .unwrap_or(base.connect_timeout),
        max_handshakes: fields
            .count("max_handshakes", 1..=10_000_000)
            .unwrap_or(base.max_handshakes),
        max_connections_per_address: fields
            .count("max_connections_per_address", 0..=10_000_000)
            .unwrap_or(base.max_connections_per_address),
        connection_rate_per_address: fields
            .count("connection_rate_per_address", 0..=10_000_000)
            .unwrap_or(base.connection_rate_per_address),
        keep_alive_max: fields
            .seconds("keep_alive_max", seconds(0, u16::MAX.into()))
            .unwrap_or(base.keep_alive_max),
        keep_alive_min: fields
            .seconds("keep_alive_min", seconds(0, u16::MAX.into()))
            .unwrap_or(base.keep_alive_min),
        max_subscriptions: fields
            .count("max_subscriptions", 1..=1_000_000)
            .unwrap_or(base.max_subscriptions),
        max_topic_levels: fields
            .count("max_topic_levels", 1..=u16::MAX)
            .unwrap_or(base.max_topic_levels),
        max_topic_length: fields
            .size("max_topic_length", 1..=u16::MAX)
            .unwrap_or(base.max_topic_length),
        max_filters_per_subscribe: fields
            .count("max_filters_per_subscribe", 1..=65_535)
            .unwrap_or(base.max_filters_per_subscribe),
        max_user_properties: fields
            .count("max_user_properties", 0..=u16::MAX)
            .unwrap_or(base.max_user_properties),
        message_expiry_max: fields
            .seconds("message_expiry_max", seconds(0, u32::MAX.into()))
            .unwrap_or(base.message_expiry_max),
        message_expiry_default: fields
            .seconds("message_expiry_default", seconds(0, u32::MAX.into()))
            .unwrap_or(base.message_expiry_default),
        connection_time_max: fields
            .seconds("connection_time_max", seconds(0, YEAR))
            .unwrap_or(base.connection_time_max),
        publish_rate: fields.count("publish_rate", 0..=10_000_000).unwrap_or(base.publish_rate),
        publish_bytes_rate: fields
            .size("publish_bytes_rate", 0..=1 << 30)
            .unwrap_or(base.publish_bytes_rate),
        on_publish_rate: fields
            .word("on_publish_rate", OnPublishRate::WORDS)
            .unwrap_or(base.on_publish_rate),
        connect_rate: fields.count("connect_rate", 0..=10_000_000).unwrap_or(base.connect_rate),
        max_sessions_per_name: fields
            .count("max_sessions_per_name", 0..=1_000_000)
            .unwrap_or(base.max_sessions_per_name),
        flapping: flapping(fields.table("flapping"), &base.flapping),
        failed_logins: failed_logins(fields.table("failed_logins"), &base.failed_logins),
        auth: auth(fields.table("auth"), &base.auth),
        max_authentications: fields
            .count("max_authentications", 1..=1_000_000)
            .unwrap_or(base.max_authentications),
        max_sessions: fields.count("max_sessions", 1..=100_000_000).unwrap_or(base.max_sessions),
        max_retained_messages: fields
            .count("max_retained_messages", 1..=100_000_000)
            .unwrap_or(base.max_retained_messages),
        max_retained_bytes: fields
            .size("max_retained_bytes", 1024..=1024 * GIB)
            .unwrap_or(base.max_retained_bytes),
        retained_expiry_max: fields
            .seconds("retained_expiry_max", seconds(0, u32::MAX.into()))
            .unwrap_or(base.retained_expiry_max),
    }
}

fn flapping(mut fields: Fields<'_>, base: &Flapping) -> Flapping {
    let second = Duration::from_secs(1);
    let flapping = Flapping {
        connects: fields.count("connects", 0..=1_000_000).unwrap_or(base.connects),
        within: fields.seconds("within", second..=Duration::from_hours(24)).unwrap_or(base.within),
        ban: fields.seconds("ban", second..=Duration::from_hours(30 * 24)).unwrap_or(base.ban),
    };
    fields.finish();
    flapping
}

fn failed_logins(mut fields: Fields<'_>, base: &FailedLogins) -> FailedLogins {
    let second = Duration::from_secs(1);
    let logins = FailedLogins {
        per_address: fields.count("per_address", 0..=1_000_000).unwrap_or(base.per_address),
        per_name: fields.count("per_name", 0..=1_000_000).unwrap_or(base.per_name),
        within: fields.seconds("within", second..=Duration::from_hours(24)).unwrap_or(base.within),
        ban: fields.seconds("ban", second..=Duration::from_hours(30 * 24)).unwrap_or(base.ban),
    };
    fields.finish();
    logins
}

fn auth(mut fields: Fields<'_>, base: &Auth) -> Auth {
    let second = Duration::from_secs(1);
    let auth = Auth {
        rounds: fields.count("rounds", 1..=100).unwrap_or(base.rounds),
        data: fields.size("data", 16..=1 << 20).unwrap_or(base.data),
        timeout: fields.seconds("timeout", second..=Duration::from_mins(5)).unwrap_or(base.timeout),
        reauthentications: fields
            .count("reauthentications", 0..=1_000_000)
            .unwrap_or(base.reauthentications),
        within: fields.seconds("within", second..=Duration::from_hours(24)).unwrap_or(base.within),
    };
    fields.finish();
    auth
}

fn queue(mut fields: Fields<'_>, base: &Queue) -> Queue {
    let queue = Queue {
        messages: fields.count("messages", 1..=10_000_000).unwrap_or(base.messages),
        bytes: fields.size("bytes", 1024..=64 * GIB).unwrap_or(base.bytes),
        overflow: fields.word("overflow", Overflow::WORDS).unwrap_or(base.overflow),
        qos0: fields.flag("qos0").unwrap_or(base.qos0),
        age: fields.seconds("age", Duration::ZERO..=Duration::from_secs(YEAR)).unwrap_or(base.age),
    };
    fields.finish();
    queue
}
