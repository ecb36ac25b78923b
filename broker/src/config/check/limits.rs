//! `[limits]` and `[listener.limits]`: ranges, that a listener only tightens, and that none makes another vain.

use std::time::Duration;

use super::{
    super::{
        model::{Auth, FailedLogins, Flapping, Limits, OnPublishRate, Overflow, Preset, Queue},
        unit,
    },
    fields::{Fields, Reporter},
    preset,
};

const GIB: u64 = 1 << 30;
/// In seconds.
const YEAR: u64 = 365 * 24 * 60 * 60;

/// `[limits]`, and what of it is written there.
#[derive(Default)]
pub(super) struct Global {
    pub(super) limits: Limits,
    written: Vec<&'static str>,
}

impl Global {
    /// Whether somebody wrote this limit, or it has its default.
    pub(super) fn has(&self, name: &str) -> bool {
        self.written.contains(&name)
    }
}

/// `[limits]`.
pub(super) fn global(mut fields: Fields<'_>, reporter: &Reporter<'_>) -> Global {
    let limits = read(&mut fields, &Limits::default());
    contradictions(&fields, &limits, "limits", reporter);
    let names = limits.entries().map(|(name, _)| name);
    let written = names.into_iter().filter(|name| fields.holds(name)).collect();
    fields.finish();
    Global { limits, written }
}

/// `[listener.limits]`. `global` is None when that could not be read; then nothing is compared to it.
pub(super) fn listener(
    mut fields: Fields<'_>,
    preset: Option<Preset>,
    global: Option<&Global>,
    reporter: &Reporter<'_>,
) -> Limits {
    for key in Limits::BROKER_WIDE {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` holds for the whole broker, not for one listener");
            reporter.error(entry.key, message, Some("set it in [limits]".into()));
        }
    }
    let default = Global::default();
    let base = preset::limits(preset, global.unwrap_or(&default));
    let limits = read(&mut fields, &base);
    let bounds = global.unwrap_or(&default).limits.entries();
    let all = limits.entries().into_iter().zip(base.entries()).zip(bounds);
    for (((name, own), (_, base)), (_, bound)) in all {
        let broker_wide = Limits::BROKER_WIDE.contains(&name);
        // A preset may be looser than what nobody wrote.
        let bound = if base.is_looser_than(bound) { base } else { bound };
        if global.is_some() && !broker_wide && own.is_looser_than(bound) {
            let message = format!("`listener.limits.{name}` is looser than `limits.{name}`");
            let help = format!("at most {bound} here, or raise it in [limits]");
            reporter.error(fields.place_of(name), message, Some(help));
        }
    }
    if global.is_some_and(|global| !contradicts(&global.limits)) {
        contradictions(&fields, &limits, "listener.limits", reporter);
    }
    fields.finish();
    limits
}

/// Pairs of a bound, zero meaning none, and what must not be above it.
fn pairs(limits: &Limits) -> [(&'static str, Duration, &'static str, Duration); 2] {
    let Limits { keep_alive_min, keep_alive_max, .. } = *limits;
    let Limits { message_expiry_default, message_expiry_max, .. } = *limits;
    [
        ("keep_alive_min", keep_alive_min, "keep_alive_max", keep_alive_max),
        (
            "message_expiry_default",
            message_expiry_default,
            "message_expiry_max",
            message_expiry_max,
        ),
    ]
}

fn contradicts(limits: &Limits) -> bool {
    pairs(limits).into_iter().any(|(_, own, _, most)| !most.is_zero() && own > most)
}

/// Reports limits of which one could never be had because of another.
fn contradictions(fields: &Fields<'_>, limits: &Limits, table: &str, reporter: &Reporter<'_>) {
    for (name, own, bound, most) in pairs(limits) {
        if most.is_zero() || own <= most {
            continue;
        }
        let (own, most) = (unit::duration(own), unit::duration(most));
        let message = format!("`{table}.{name}` ({own}) is above `{table}.{bound}` ({most})");
        let place = if fields.holds(name) { name } else { bound };
        let help = format!("lower `{name}`, or raise `{bound}`");
        reporter.error(fields.place_of(place), message, Some(help));
    }
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
        max_user_properties_bytes: fields
            .size("max_user_properties_bytes", 0..=268_435_455)
            .unwrap_or(base.max_user_properties_bytes),
        max_payload_size: fields
            .size("max_payload_size", 0..=268_435_455)
            .unwrap_or(base.max_payload_size),
        max_content_type: fields
            .size("max_content_type", 0..=u16::MAX)
            .unwrap_or(base.max_content_type),
        max_response_topic: fields
            .size("max_response_topic", 0..=u16::MAX)
            .unwrap_or(base.max_response_topic),
        max_correlation_data: fields
            .size("max_correlation_data", 0..=u16::MAX)
            .unwrap_or(base.max_correlation_data),
        will_delay_max: fields
            .seconds("will_delay_max", seconds(0, u32::MAX.into()))
            .unwrap_or(base.will_delay_max),
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
        subscribe_rate: fields
            .count("subscribe_rate", 0..=10_000_000)
            .unwrap_or(base.subscribe_rate),
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
        max_connections_total: fields
            .count("max_connections_total", 0..=100_000_000)
            .unwrap_or(base.max_connections_total),
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
