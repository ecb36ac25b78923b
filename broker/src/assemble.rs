//! From configuration words to the words of the rooms it configures.

use std::sync::Arc;
use std::time::Duration;

use wasmqtt_codec::QoS;
use wasmqtt_core::broker::Broker;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::features::{Features, Versions};
use wasmqtt_core::limits::{
    AuthLimits, BrokerLimits, FailedLogins, Flapping, Limits, OnPublishRate, Overflow, Queue,
};
use wasmqtt_core::redirect::Redirect;
use wasmqtt_core::subscription::SharedStrategy;
use wasmqtt_sandbox::{
    ChainSpec, Fallback, Grants, HttpLimits, OnFailure, PluginLimits, PluginSpec,
};

use crate::config::{self, Config, pem};
use crate::listen::Settings;
use crate::transport::tls;
use crate::transport::websocket::Policy;

/// What a listener lets its clients do. What it did `before` about TLS goes on where nothing of it has changed: clients
/// can resume.
///
/// # Errors
/// What cannot be made of its certificates, although each of them has been looked at.
pub(crate) fn settings(
    broker: &config::Broker,
    listener: &config::Listener,
    before: Option<&Settings>,
) -> anyhow::Result<Settings> {
    let redirect = listener.redirect.as_ref();
    let old = before.and_then(|before| before.tls.clone());
    let tls = match (&listener.tls, old) {
        (None, _) => None,
        (Some(tls), Some(old)) if *old.settings == *tls => Some(old),
        (Some(tls), _) => Some(tls::Server::new(tls).map_err(|why| {
            anyhow::anyhow!("listener `{}` cannot speak TLS: {why}", listener.name)
        })?),
    };
    Ok(Settings {
        tls,
        proxy_protocol: listener.proxy_protocol,
        trusted_proxies: listener.trusted_proxies.clone(),
        websocket: listener.protocol.is_websocket().then(|| websocket(listener)),
        redirect: redirect.map(|redirect| {
            let config::Redirect { to, permanent, .. } = redirect;
            Arc::new(Redirect { to: to.as_str().into(), permanent: *permanent })
        }),
        move_within: redirect.map(|redirect| redirect.move_within).unwrap_or_default(),
        server_reference: broker.server_reference.as_deref().map(Into::into),
        connect_rate: listener.limits.connect_rate,
        limits: limits(&listener.limits, features(&listener.features)),
        max_connections: listener.limits.max_connections as usize,
        max_connections_total: bound(listener.limits.max_connections_total) as usize,
        connect_timeout: listener.limits.connect_timeout,
        max_handshakes: listener.limits.max_handshakes as usize,
        max_connections_per_address: listener.limits.max_connections_per_address,
        connection_rate_per_address: listener.limits.connection_rate_per_address,
        disconnect_on_denied: matches!(
            listener.on_denied_publish,
            config::OnDeniedPublish::Disconnect
        ),
    })
}

fn websocket(listener: &config::Listener) -> Policy {
    let config::WebSocket { path, origins, max_message_size } = listener.websocket.clone();
    let trusted = listener.trusted_proxies.clone();
    Policy { path, origins, trusted, max_message: max_message_size }
}

fn limits(limits: &config::Limits, features: Features) -> Limits {
    Limits {
        max_packet_size: limits.max_packet_size,
        receive_maximum: limits.receive_maximum,
        topic_alias_maximum: limits.topic_alias_maximum,
        max_inflight: limits.max_inflight,
        session_expiry_max: seconds(limits.session_expiry_max),
        queue: Queue {
            messages: limits.queue.messages,
            bytes: limits.queue.bytes,
            overflow: match limits.queue.overflow {
                config::Overflow::DropNewest => Overflow::DropNewest,
                config::Overflow::DropOldest => Overflow::DropOldest,
                config::Overflow::EndSession => Overflow::EndSession,
                config::Overflow::Disconnect => Overflow::Disconnect,
            },
            qos0: limits.queue.qos0,
            age: seconds(limits.queue.age),
        },
        max_subscriptions: limits.max_subscriptions,
        max_topic_levels: limits.max_topic_levels,
        max_topic_length: limits.max_topic_length,
        keep_alive_max: u16::try_from(seconds(limits.keep_alive_max)).unwrap_or(u16::MAX),
        keep_alive_min: u16::try_from(seconds(limits.keep_alive_min)).unwrap_or(u16::MAX),
        publish_rate: Some(limits.publish_rate).filter(|rate| *rate > 0),
        publish_bytes_rate: Some(limits.publish_bytes_rate).filter(|rate| *rate > 0),
        on_publish_rate: match limits.on_publish_rate {
            config::OnPublishRate::Throttle => OnPublishRate::Throttle,
            config::OnPublishRate::Disconnect => OnPublishRate::Disconnect,
        },
        message_expiry_default: seconds(limits.message_expiry_default),
        connection_time_max: seconds(limits.connection_time_max),
        message_expiry_max: seconds(limits.message_expiry_max),
        max_sessions_per_name: limits.max_sessions_per_name,
        flapping: Flapping {
            connects: limits.flapping.connects,
            within: seconds(limits.flapping.within),
            ban: seconds(limits.flapping.ban),
        },
        failed_logins: FailedLogins {
            per_address: limits.failed_logins.per_address,
            per_name: limits.failed_logins.per_name,
            within: seconds(limits.failed_logins.within),
            ban: seconds(limits.failed_logins.ban),
        },
        auth: AuthLimits {
            rounds: limits.auth.rounds,
            data: limits.auth.data,
            timeout: seconds(limits.auth.timeout),
            reauthentications: limits.auth.reauthentications,
            within: seconds(limits.auth.within),
        },
        max_user_properties: limits.max_user_properties,
        max_user_properties_bytes: bound(limits.max_user_properties_bytes),
        max_payload_size: bound(limits.max_payload_size),
        max_content_type: limits.max_content_type,
        max_response_topic: limits.max_response_topic,
        max_correlation_data: limits.max_correlation_data,
        will_delay_max: seconds(limits.will_delay_max),
        subscribe_rate: Some(limits.subscribe_rate).filter(|rate| *rate > 0),
        max_filters_per_subscribe: limits.max_filters_per_subscribe,
        features,
    }
}

fn features(features: &config::Features) -> Features {
    let takes = |version| features.protocols.contains(&version);
    Features {
        versions: Versions {
            v31: takes(config::Version::V31),
            v311: takes(config::Version::V311),
            v5: takes(config::Version::V5),
        },
        max_qos: match features.max_qos {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        },
        retain: features.retain,
        wildcard_subscriptions: features.wildcard_subscriptions,
        subscription_identifiers: features.subscription_identifiers,
        shared_subscriptions: features.shared_subscriptions,
        validate_payload_format: features.validate_payload_format,
        take_over: features.on_duplicate_client_id == config::OnDuplicate::TakeOver,
        unsafe_client_ids: features.unsafe_client_ids,
        check_retained_source: features.check_retained_source,
    }
}

/// A bound of which zero is none.
fn bound(bound: u32) -> u32 {
    if bound == 0 { u32::MAX } else { bound }
}

/// What the whole broker may hold.
pub(crate) fn broker_limits(config: &Config) -> BrokerLimits {
    let whole = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    BrokerLimits {
        max_sessions: config.limits.max_sessions as usize,
        max_retained_messages: config.limits.max_retained_messages as usize,
        max_retained_bytes: whole(config.limits.max_retained_bytes),
        retained_expiry_max: seconds(config.limits.retained_expiry_max),
    }
}

/// The broker, with share groups that choose as the configuration says.
pub(crate) fn broker(config: &Config, seed: u64) -> Broker {
    let groups = &config.broker.share_groups;
    let broker = Broker::new(broker_limits(config), seed);
    let broker = broker.sharing(strategy(config.broker.shared_strategy));
    groups.iter().fold(broker, |broker, (name, group)| broker.sharing_in(name, strategy(*group)))
}

/// Which member of a share group gets a message.
fn strategy(strategy: config::SharedStrategy) -> SharedStrategy {
    match strategy {
        config::SharedStrategy::RoundRobin => SharedStrategy::RoundRobin,
        config::SharedStrategy::RoundRobinPerGroup => SharedStrategy::RoundRobinPerGroup,
        config::SharedStrategy::Random => SharedStrategy::Random,
        config::SharedStrategy::Local => SharedStrategy::Local,
        config::SharedStrategy::Sticky => SharedStrategy::Sticky,
        config::SharedStrategy::HashClientId => SharedStrategy::HashClientId,
        config::SharedStrategy::HashTopic => SharedStrategy::HashTopic,
        config::SharedStrategy::Ordered => SharedStrategy::Ordered,
    }
}

/// Rounded up, so that a part of a second is never none.
fn seconds(duration: Duration) -> u32 {
    let whole = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// The plugins to load.
pub(crate) fn plugins(config: &Config) -> Vec<PluginSpec> {
    let spec = |plugin: &config::Plugin| PluginSpec {
        name: plugin.name.clone(),
        path: plugin.path.clone(),
        sha256: plugin.sha256,
        on_failure: match plugin.on_failure {
            config::OnFailure::Closed => OnFailure::Closed,
            config::OnFailure::Open => OnFailure::Open,
        },
        reauthorize: plugin.reauthorize,
        limits: PluginLimits {
            memory: plugin.limits.memory,
            call: plugin.limits.call,
            authenticate: plugin.limits.authenticate,
            observe: plugin.limits.observe,
            queued_events: plugin.limits.queued_events,
            queued_publications: plugin.limits.queued_publications,
            log_lines_per_second: plugin.limits.log_lines_per_second,
            host_call_bytes: plugin.limits.host_call_bytes,
            kv: plugin.limits.kv,
            http: HttpLimits {
                time: plugin.limits.http_time,
                packet_time: plugin.limits.http_packet_time,
                request: plugin.limits.http_request,
                reply: plugin.limits.http_reply,
                at_once: plugin.limits.http_at_once,
            },
            ..PluginLimits::default()
        },
        observe: config.broker.observe.contains(&plugin.name),
        grants: Grants {
            topics: plugin.grants.topics.clone(),
            publish: plugin.grants.publish.clone(),
            revocation: plugin.grants.revocation,
            kv: plugin.grants.kv,
            metrics: plugin.grants.metrics,
            http: plugin.grants.http.clone(),
            http_ca: authorities(&plugin.grants.http_ca),
        },
        config: plugin.config_with_contents().to_string(),
        location: plugin.location.to_string(),
    };
    config.plugins.iter().map(spec).collect()
}

/// What is in these files, which have been looked at before; none without a file.
fn authorities(files: &[config::PemFile]) -> Option<Arc<[Vec<u8>]>> {
    let found = files.iter().flat_map(|file| pem::authorities(&file.content));
    (!files.is_empty()).then(|| found.map(|certificate| certificate.to_vec()).collect())
}

/// The chains of each listener. `id` answers the place a listener has had since the start.
pub(crate) fn chains(config: &Config, id: impl Fn(&str) -> Option<ListenerId>) -> Vec<ChainSpec> {
    let spec = |listener: &config::Listener| {
        Some(ChainSpec {
            listener: id(&listener.name)?,
            name: listener.name.clone(),
            anonymous: listener.anonymous,
            default: match listener.default {
                config::DefaultAnswer::Deny => Fallback::Deny,
                config::DefaultAnswer::Allow => Fallback::Allow,
            },
            authenticate: listener.authenticate.clone(),
            authorize: listener.authorize.clone(),
            transform: listener.transform.clone(),
        })
    };
    config.listeners.iter().filter_map(spec).collect()
}
