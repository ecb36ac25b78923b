//! What differs between two configurations, and what of it a running broker can take over.

use std::fmt;

use super::model::{Broker, Config, Limits, Listener, Log, Plugin};

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// With the reload; what CONNACK told a client stands for it, everything else holds from its next turn on. A listener that is
    /// elsewhere, or speaks something else, is closed and opened.
    Live,
    /// When the broker is started again.
    Restart,
}

/// One value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its dotted path, as in `listener.mqtt.authorize`; a listener or plugin that came or went is named
    /// alone.
    pub path: String,
    /// When it takes effect.
    pub effect: Effect,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Everything that differs between two configurations. Values are not told: they may be secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// In the order of the configuration.
    pub changes: Vec<Change>,
}

impl Diff {
    /// Whether both configurations say the same. Where they were read from does not matter.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The paths of what a reload applies.
    pub fn live(&self) -> impl Iterator<Item = &str> {
        self.with(Effect::Live)
    }

    /// The paths of what a reload reports and leaves as it was.
    pub fn restart(&self) -> impl Iterator<Item = &str> {
        self.with(Effect::Restart)
    }

    fn with(&self, effect: Effect) -> impl Iterator<Item = &str> {
        let changes = self.changes.iter().filter(move |change| change.effect == effect);
        changes.map(|change| change.path.as_str())
    }

    fn compare<T: PartialEq>(&mut self, path: impl Into<String>, old: T, new: T, effect: Effect) {
        if old != new {
            self.changes.push(Change { path: path.into(), effect });
        }
    }
}

/// What changes when `new` takes the place of `old`.
pub fn diff(old: &Config, new: &Config) -> Diff {
    let mut diff = Diff::default();
    broker(&mut diff, &old.broker, &new.broker);
    for ((name, old), (_, new)) in old.limits.entries().into_iter().zip(new.limits.entries()) {
        diff.compare(format!("limits.{name}"), old, new, Effect::Live);
    }
    for listener in &old.listeners {
        match named(&new.listeners, &listener.name) {
            Some(other) => {
                compare_listener(&mut diff, listener, other, (&old.limits, &new.limits));
            }
            None => diff.compare(path("listener", &listener.name), true, false, Effect::Live),
        }
    }
    for listener in &new.listeners {
        let known = named(&old.listeners, &listener.name).is_some();
        diff.compare(path("listener", &listener.name), known, true, Effect::Live);
    }
    for plugin in &old.plugins {
        match new.plugins.iter().find(|other| other.name == plugin.name) {
            Some(other) => compare_plugin(&mut diff, plugin, other),
            None => diff.compare(path("plugin", &plugin.name), true, false, Effect::Live),
        }
    }
    for plugin in &new.plugins {
        let known = old.plugins.iter().any(|other| other.name == plugin.name);
        diff.compare(path("plugin", &plugin.name), known, true, Effect::Live);
    }
    let Log { level, format } = &old.log;
    diff.compare("log.level", *level, new.log.level, Effect::Live);
    diff.compare("log.format", *format, new.log.format, Effect::Restart);
    diff.compare("admin", &old.admin, &new.admin, Effect::Restart);
    diff
}

/// What a running broker has after a reload: `new`, with everything that needs a restart as it is in `old`.
pub fn reload(old: &Config, new: &Config) -> Config {
    Config {
        broker: Broker {
            observe: new.broker.observe.clone(),
            server_reference: new.broker.server_reference.clone(),
            ..old.broker.clone()
        },
        log: Log { level: new.log.level, format: old.log.format },
        admin: old.admin.clone(),
        ..new.clone()
    }
}

fn named<'a>(listeners: &'a [Listener], name: &str) -> Option<&'a Listener> {
    listeners.iter().find(|listener| listener.name == name)
}

fn path(kind: &str, name: &str) -> String {
    format!("{kind}.{name}")
}

fn broker(diff: &mut Diff, old: &Broker, new: &Broker) {
    let Broker {
        workers,
        data_dir,
        shared_strategy,
        share_groups,
        sys_interval,
        observe,
        server_reference,
    } = old;
    diff.compare("broker.workers", *workers, new.workers, Effect::Restart);
    diff.compare("broker.data_dir", data_dir, &new.data_dir, Effect::Restart);
    let (strategy, new_strategy) = (*shared_strategy, new.shared_strategy);
    diff.compare("broker.shared_strategy", strategy, new_strategy, Effect::Restart);
    diff.compare("broker.share_groups", share_groups, &new.share_groups, Effect::Restart);
    diff.compare("broker.sys_interval", *sys_interval, new.sys_interval, Effect::Restart);
    diff.compare("broker.observe", observe, &new.observe, Effect::Live);
    let reference = "broker.server_reference";
    diff.compare(reference, server_reference, &new.server_reference, Effect::Live);
}

/// `global` are the limits of the two configurations: what only follows from them is not told again.
fn compare_listener(diff: &mut Diff, old: &Listener, new: &Listener, global: (&Limits, &Limits)) {
    // No `..`: a new field that is not compared does not compile.
    let Listener {
        name,
        protocol,
        bind,
        socket_mode,
        websocket,
        tls,
        proxy_protocol,
        trusted_proxies,
        anonymous,
        authenticate,
        authorize,
        transform,
        default,
        on_denied_publish,
        redirect,
        features,
        limits,
        location: _, // the same listener on another line
    } = old;
    let of = |key: &str| format!("listener.{name}.{key}");
    diff.compare(of("protocol"), *protocol, new.protocol, Effect::Live);
    diff.compare(of("bind"), bind, &new.bind, Effect::Live);
    diff.compare(of("socket_mode"), *socket_mode, new.socket_mode, Effect::Live);
    diff.compare(of("websocket"), websocket, &new.websocket, Effect::Live);
    diff.compare(of("tls"), tls, &new.tls, Effect::Live);
    diff.compare(of("proxy_protocol"), *proxy_protocol, new.proxy_protocol, Effect::Live);
    diff.compare(of("trusted_proxies"), trusted_proxies, &new.trusted_proxies, Effect::Live);
    diff.compare(of("anonymous"), *anonymous, new.anonymous, Effect::Live);
    diff.compare(of("authenticate"), authenticate, &new.authenticate, Effect::Live);
    diff.compare(of("authorize"), authorize, &new.authorize, Effect::Live);
    diff.compare(of("transform"), transform, &new.transform, Effect::Live);
    diff.compare(of("default"), *default, new.default, Effect::Live);
    diff.compare(of("on_denied_publish"), *on_denied_publish, new.on_denied_publish, Effect::Live);
    diff.compare(of("redirect"), redirect, &new.redirect, Effect::Live);
    for ((key, old), (_, new)) in features.entries().into_iter().zip(new.features.entries()) {
        diff.compare(of(key), old, new, Effect::Live);
    }
    let own = limits.entries().into_iter().zip(new.limits.entries());
    let globals = global.0.entries().into_iter().zip(global.1.entries());
    for (((key, old), (_, new)), ((_, old_global), (_, new_global))) in own.zip(globals) {
        if (old, new) != (old_global, new_global) {
            diff.compare(of(&format!("limits.{key}")), old, new, Effect::Live);
        }
    }
}

fn compare_plugin(diff: &mut Diff, old: &Plugin, new: &Plugin) {
    let Plugin {
        name,
        path,
        sha256,
        on_failure,
        reauthorize,
        limits,
        grants,
        config,
        files,
        location: _, // the same plugin on another line
    } = old;
    let of = |key: &str| format!("plugin.{name}.{key}");
    diff.compare(of("path"), path, &new.path, Effect::Live);
    diff.compare(of("sha256"), sha256, &new.sha256, Effect::Live);
    diff.compare(of("on_failure"), *on_failure, new.on_failure, Effect::Live);
    diff.compare(of("reauthorize"), *reauthorize, new.reauthorize, Effect::Live);
    diff.compare(of("limits"), limits, &new.limits, Effect::Live);
    diff.compare(of("grants"), grants, &new.grants, Effect::Live);
    diff.compare(of("config"), (config, files), (&new.config, &new.files), Effect::Live);
}
