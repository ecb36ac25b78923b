//! `preset`: what a listener has where nothing else is written, so that it takes and refuses what a known service does.
//!
//! Numbers only tighten: where `[limits]` is tighter than the preset, that stands.

use std::time::Duration;

use super::super::model::{
    DefaultAnswer, Features, Limits, Listener, Overflow, Preset, Queue, Version,
};

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
        Some(Preset::EventGrid) => {
            Listener { features: Features { shared_subscriptions: false, ..service }, ..base }
        }
        Some(Preset::IotCore) => Listener { features: service, ..base },
    }
}

/// The limits of a listener with this preset, below these global ones.
pub(super) fn limits(preset: Option<Preset>, global: &Limits) -> Limits {
    let bounds = match preset {
        None | Some(Preset::Open) => return global.clone(),
        Some(Preset::EventGrid) => event_grid(global),
        Some(Preset::IotCore) => iot_core(global),
    };
    let time = |own: Duration, global: Duration| match global {
        Duration::ZERO => own,
        global if own.is_zero() => global,
        global => own.min(global),
    };
    Limits {
        max_packet_size: bounds.max_packet_size.min(global.max_packet_size),
        receive_maximum: bounds.receive_maximum.min(global.receive_maximum),
        topic_alias_maximum: bounds.topic_alias_maximum.min(global.topic_alias_maximum),
        max_inflight: bounds.max_inflight.min(global.max_inflight),
        session_expiry_max: bounds.session_expiry_max.min(global.session_expiry_max),
        queue: Queue {
            messages: bounds.queue.messages.min(global.queue.messages),
            bytes: bounds.queue.bytes.min(global.queue.bytes),
            ..bounds.queue
        },
        keep_alive_max: time(bounds.keep_alive_max, global.keep_alive_max),
        max_subscriptions: bounds.max_subscriptions.min(global.max_subscriptions),
        max_topic_levels: bounds.max_topic_levels.min(global.max_topic_levels),
        max_topic_length: bounds.max_topic_length.min(global.max_topic_length),
        max_filters_per_subscribe: bounds
            .max_filters_per_subscribe
            .min(global.max_filters_per_subscribe),
        message_expiry_max: time(bounds.message_expiry_max, global.message_expiry_max),
        ..bounds
    }
}

/// The MQTT broker of Azure Event Grid namespaces.
fn event_grid(global: &Limits) -> Limits {
    Limits {
        max_packet_size: 512 << 10,
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
        keep_alive_max: Duration::from_secs(1200),
        max_subscriptions: 50,
        // Seven slashes.
        max_topic_levels: 8,
        max_topic_length: 256,
        max_filters_per_subscribe: 8,
        message_expiry_max: week,
        ..global.clone()
    }
}
