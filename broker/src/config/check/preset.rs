//! `preset`: what a listener has where nothing else is written, so that it takes and refuses what a known service does.
//!
//! What is written in `[limits]` is not loosened: where that is tighter than the preset, it stands.

use std::cmp::min;
use std::time::Duration;

use super::super::model::{
    Auth, DefaultAnswer, Features, Limits, Listener, OnDeniedPublish, Overflow, Preset, Queue,
    Version,
};
use super::limits::Global;

/// The switches and answers of a listener with this preset.
pub(super) fn listener(preset: Option<Preset>) -> Listener {
    let base = Listener::default();
    let service = Features {
        protocols: vec![Version::V311, Version::V5],
        max_qos: 1,
        subscription_identifiers: false,
        ..Features::default()
    };
    match preset {
        None => base,
        Some(Preset::Open) => Listener { anonymous: true, default: DefaultAnswer::Allow, ..base },
        Some(Preset::EventGrid) => Listener {
            features: Features { shared_subscriptions: false, ..service },
            on_denied_publish: OnDeniedPublish::Disconnect,
            ..base
        },
        Some(Preset::IotCore) => {
            Listener { features: service, on_denied_publish: OnDeniedPublish::Disconnect, ..base }
        }
    }
}

/// The limits of a listener with this preset. What is written in `[limits]` and is tighter stands; what has its default
/// there does not.
pub(super) fn limits(preset: Option<Preset>, global: &Global) -> Limits {
    let (base, has) = (&global.limits, |name| global.has(name));
    let own = match preset {
        None | Some(Preset::Open) => return base.clone(),
        Some(Preset::EventGrid) => event_grid(base),
        Some(Preset::IotCore) => iot_core(base),
    };
    macro_rules! least {
        ($how:ident: $($key:ident).+) => {{
            let name = concat!($(".", stringify!($key)),+).trim_start_matches('.');
            if has(name) { $how(own.$($key).+, base.$($key).+) } else { own.$($key).+ }
        }};
    }
    Limits {
        max_packet_size: least!(min: max_packet_size),
        receive_maximum: least!(min: receive_maximum),
        topic_alias_maximum: least!(min: topic_alias_maximum),
        max_inflight: least!(min: max_inflight),
        session_expiry_max: least!(min: session_expiry_max),
        queue: Queue {
            messages: least!(min: queue.messages),
            bytes: least!(min: queue.bytes),
            ..own.queue
        },
        keep_alive_max: least!(min_or_none: keep_alive_max),
        max_subscriptions: least!(min: max_subscriptions),
        max_topic_levels: least!(min: max_topic_levels),
        max_topic_length: least!(min: max_topic_length),
        max_filters_per_subscribe: least!(min: max_filters_per_subscribe),
        max_user_properties_bytes: least!(min_or_none: max_user_properties_bytes),
        max_payload_size: least!(min_or_none: max_payload_size),
        max_content_type: least!(min: max_content_type),
        max_response_topic: least!(min: max_response_topic),
        max_correlation_data: least!(min: max_correlation_data),
        will_delay_max: least!(min_or_none: will_delay_max),
        message_expiry_max: least!(min_or_none: message_expiry_max),
        publish_rate: least!(min_or_none: publish_rate),
        publish_bytes_rate: least!(min_or_none: publish_bytes_rate),
        subscribe_rate: least!(min_or_none: subscribe_rate),
        connect_rate: least!(min_or_none: connect_rate),
        auth: Auth { data: least!(min: auth.data), ..own.auth },
        ..own
    }
}

/// The lesser of two bounds of which zero is none.
fn min_or_none<T: Ord + Default>(one: T, other: T) -> T {
    match (one > T::default(), other > T::default()) {
        (true, true) => one.min(other),
        _ => one.max(other),
    }
}

/// The MQTT broker of Azure Event Grid namespaces.
fn event_grid(global: &Limits) -> Limits {
    Limits {
        max_packet_size: 512 << 10,
        receive_maximum: 1000,
        topic_alias_maximum: 10,
        session_expiry_max: Duration::from_hours(8),
        queue: Queue {
            messages: 100,
            bytes: 1 << 20,
            overflow: Overflow::EndSession,
            ..global.queue.clone()
        },
        keep_alive_max: Duration::from_secs(1160),
        max_subscriptions: 50,
        max_topic_levels: 8,
        max_topic_length: 256,
        max_filters_per_subscribe: 10,
        max_user_properties_bytes: 32 << 10,
        max_content_type: 256,
        max_response_topic: 256,
        max_correlation_data: 256,
        will_delay_max: Duration::from_secs(300),
        publish_rate: 1000,
        publish_bytes_rate: 1 << 20,
        subscribe_rate: 5,
        connect_rate: 200,
        auth: Auth { data: 8 << 10, ..global.auth.clone() },
        ..global.clone()
    }
}

/// The message broker of AWS IoT Core.
fn iot_core(global: &Limits) -> Limits {
    let week = Duration::from_hours(7 * 24);
    Limits {
        max_packet_size: 128 << 10,
        receive_maximum: 100,
        topic_alias_maximum: 8,
        max_inflight: 100,
        session_expiry_max: week,
        queue: Queue { overflow: Overflow::DropNewest, ..global.queue.clone() },
        keep_alive_max: Duration::from_secs(1200),
        max_subscriptions: 50,
        // Seven slashes.
        max_topic_levels: 8,
        max_topic_length: 256,
        max_filters_per_subscribe: 8,
        max_user_properties_bytes: 8 << 10,
        message_expiry_max: week,
        publish_rate: 100,
        ..global.clone()
    }
}
