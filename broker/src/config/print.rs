//! The effective configuration as TOML that `check` reads back as the same configuration.
//!
//! It holds what environment variables brought, so it may hold secrets.

use std::fmt::{self, Write as _};

use serde_json::Value as Json;

use super::{
    env,
    model::{
        Admin, Bound, Broker, Config, Entries, Grants, Listener, Log, PemFile, Plugin,
        PluginLimits, Protocol, Redirect, Switch, Tls, WebSocket,
    },
    unit,
};

/// The configuration as one file without includes. Every key is there, set or not; a listener's limits
/// only where they are tighter. Where a preset makes one looser than the default, `[limits]` has that, and the others say
/// what they have.
pub fn print(config: &Config) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, config);
    out
}

fn write(out: &mut String, config: &Config) -> fmt::Result {
    let Broker {
        workers,
        data_dir,
        shared_strategy,
        share_groups,
        sys_interval,
        observe,
        server_reference,
    } = &config.broker;
    writeln!(out, "[broker]")?;
    writeln!(out, "workers = {workers}")?;
    writeln!(out, "data_dir = {}", text(&data_dir.to_string_lossy()))?;
    writeln!(out, "shared_strategy = \"{shared_strategy}\"")?;
    for (name, strategy) in share_groups {
        writeln!(out, "share_groups.{} = \"{strategy}\"", text(name))?;
    }
    writeln!(out, "sys_interval = {}", text(&unit::duration(*sys_interval)))?;
    writeln!(out, "observe = {}", list(observe))?;
    if let Some(reference) = server_reference {
        writeln!(out, "server_reference = {}", text(reference))?;
    }
    writeln!(out, "\n[limits]")?;
    let global = loosest(config);
    limits(out, &global, None)?;
    for listener in &config.listeners {
        write_listener(out, listener, &global)?;
    }
    for plugin in &config.plugins {
        write_plugin(out, plugin)?;
    }
    let Log { level, format } = &config.log;
    writeln!(out, "\n[log]\nlevel = \"{level}\"\nformat = \"{format}\"")?;
    if let Some(Admin { bind }) = &config.admin {
        writeln!(out, "\n[admin]\nbind = \"{bind}\"")?;
    }
    Ok(())
}

/// The limits that no listener's are looser than: a preset may have made them looser than the default.
fn loosest(config: &Config) -> Entries {
    let mut global = config.limits.entries();
    for listener in &config.listeners {
        for ((_, bound), (_, own)) in global.iter_mut().zip(listener.limits.entries()) {
            if own.is_looser_than(*bound) {
                *bound = own;
            }
        }
    }
    global
}

/// Those that differ from `global`, or all. Dotted keys make one table of the queue.
fn limits(out: &mut String, limits: &Entries, global: Option<&Entries>) -> fmt::Result {
    for (at, (name, bound)) in limits.iter().enumerate() {
        let same = global.and_then(|entries| entries.get(at)).map(|(_, bound)| *bound);
        if same != Some(*bound) {
            let written = bound.to_string();
            let plain = matches!(bound, Bound::Count(_) | Bound::CountOrNone(_) | Bound::Flag(_));
            let written = if plain { written } else { text(&written) };
            writeln!(out, "{name} = {written}")?;
        }
    }
    Ok(())
}

fn write_listener(out: &mut String, listener: &Listener, global: &Entries) -> fmt::Result {
    writeln!(out, "\n[[listener]]")?;
    writeln!(out, "name = {}", text(&listener.name))?;
    writeln!(out, "protocol = \"{}\"", listener.protocol)?;
    writeln!(out, "bind = {}", text(&listener.bind.to_string()))?;
    if listener.protocol == Protocol::Unix {
        writeln!(out, "socket_mode = 0o{:o}", listener.socket_mode)?;
    }
    if let Some(tls) = &listener.tls {
        write_tls(out, tls)?;
    }
    if listener.protocol.is_websocket() {
        let WebSocket { path, origins, max_message_size } = &listener.websocket;
        writeln!(out, "websocket.path = {}", text(path))?;
        writeln!(out, "websocket.origins = {}", list(origins))?;
        writeln!(out, "websocket.max_message_size = {}", text(&unit::size(*max_message_size)))?;
    }
    writeln!(out, "proxy_protocol = \"{}\"", listener.proxy_protocol)?;
    let proxies: Vec<String> = listener.trusted_proxies.iter().map(ToString::to_string).collect();
    writeln!(out, "trusted_proxies = {}", list(&proxies))?;
    writeln!(out, "anonymous = {}", listener.anonymous)?;
    for (key, chain) in listener.chains() {
        writeln!(out, "{key} = {}", list(chain))?;
    }
    writeln!(out, "default = \"{}\"", listener.default)?;
    writeln!(out, "on_denied_publish = \"{}\"", listener.on_denied_publish)?;
    if let Some(Redirect { to, permanent, move_within }) = &listener.redirect {
        let within = text(&unit::duration(*move_within));
        writeln!(
            out,
            "redirect = {{ to = {}, permanent = {permanent}, move_within = {within} }}",
            text(to)
        )?;
    }
    for (key, switch) in listener.features.entries() {
        match switch {
            Switch::Flag(flag) => writeln!(out, "{key} = {flag}")?,
            Switch::Number(number) => writeln!(out, "{key} = {number}")?,
            Switch::Word(word) => writeln!(out, "{key} = \"{word}\"")?,
            Switch::Words(words) => writeln!(out, "{key} = {}", list(&words))?,
        }
    }
    let own = listener.limits.entries();
    if own != *global {
        writeln!(out, "[listener.limits]")?;
        limits(out, &own, Some(global))?;
    }
    Ok(())
}

/// What is in them is nobody's affair.
fn names(files: &[PemFile]) -> Vec<String> {
    files.iter().map(|file| file.written.clone()).collect()
}

/// Files by their names.
fn write_tls(out: &mut String, tls: &Tls) -> fmt::Result {
    let (own, more) = match &tls.certificates[..] {
        [own, more @ ..] => (Some(own), more),
        [] => (None, &[][..]),
    };
    if let Some(own) = own {
        writeln!(out, "tls.certificate = {}", text(&own.certificate.written))?;
        writeln!(out, "tls.key = {}", text(&own.key.written))?;
    }
    let more: Vec<String> = more
        .iter()
        .map(|pair| {
            let (certificate, key) = (text(&pair.certificate.written), text(&pair.key.written));
            format!("{{ certificate = {certificate}, key = {key} }}")
        })
        .collect();
    writeln!(out, "tls.sni = [{}]", more.join(", "))?;
    writeln!(out, "tls.unknown_server_name = \"{}\"", tls.unknown_server_name)?;
    let versions: Vec<&str> = tls.versions.iter().map(|version| version.as_str()).collect();
    writeln!(out, "tls.versions = {}", list(&versions))?;
    writeln!(out, "tls.alpn = {}", list(&tls.alpn))?;
    writeln!(out, "tls.client_certificate = \"{}\"", tls.client_certificate)?;
    if !tls.client_ca.is_empty() {
        writeln!(out, "tls.client_ca = {}", list(&names(&tls.client_ca)))?;
    }
    if !tls.client_crl.is_empty() {
        writeln!(out, "tls.client_crl = {}", list(&names(&tls.client_crl)))?;
    }
    if !tls.client_fingerprints.is_empty() {
        let pins = tls.client_fingerprints.iter();
        let pins: Vec<String> =
            pins.map(|pin| pin.iter().map(|byte| format!("{byte:02x}")).collect()).collect();
        writeln!(out, "tls.client_fingerprints = {}", list(&pins))?;
    }
    if !tls.client_name.is_empty() {
        let sources: Vec<&str> = tls.client_name.iter().map(|source| source.as_str()).collect();
        writeln!(out, "tls.client_name = {}", list(&sources))?;
    }
    Ok(())
}

fn write_plugin(out: &mut String, plugin: &Plugin) -> fmt::Result {
    writeln!(out, "\n[[plugin]]")?;
    writeln!(out, "name = {}", text(&plugin.name))?;
    writeln!(out, "path = {}", text(&plugin.path.to_string_lossy()))?;
    let digest: String = plugin.sha256.iter().flatten().map(|byte| format!("{byte:02x}")).collect();
    writeln!(out, "sha256 = \"{digest}\"")?;
    writeln!(out, "on_failure = \"{}\"", plugin.on_failure)?;
    writeln!(out, "reauthorize = {}", plugin.reauthorize)?;
    let PluginLimits {
        memory,
        call,
        authenticate,
        observe,
        queued_events,
        queued_publications,
        log_lines_per_second,
        host_call_bytes,
        kv,
        http_time,
        http_packet_time,
        http_request,
        http_reply,
        http_at_once,
    } = &plugin.limits;
    writeln!(out, "limits.memory = {}", text(&unit::size(*memory)))?;
    writeln!(out, "limits.call = {}", text(&unit::duration(*call)))?;
    writeln!(out, "limits.authenticate = {}", text(&unit::duration(*authenticate)))?;
    writeln!(out, "limits.observe = {}", text(&unit::duration(*observe)))?;
    writeln!(out, "limits.queued_events = {queued_events}")?;
    writeln!(out, "limits.queued_publications = {queued_publications}")?;
    writeln!(out, "limits.log_lines_per_second = {log_lines_per_second}")?;
    writeln!(out, "limits.host_call_bytes = {}", text(&unit::size(*host_call_bytes)))?;
    writeln!(out, "limits.kv = {}", text(&unit::size(*kv)))?;
    writeln!(out, "limits.http_time = {}", text(&unit::duration(*http_time)))?;
    writeln!(out, "limits.http_packet_time = {}", text(&unit::duration(*http_packet_time)))?;
    writeln!(out, "limits.http_request = {}", text(&unit::size(*http_request)))?;
    writeln!(out, "limits.http_reply = {}", text(&unit::size(*http_reply)))?;
    writeln!(out, "limits.http_at_once = {http_at_once}")?;
    let Grants { topics, publish, revocation, kv, metrics, http, http_ca } = &plugin.grants;
    writeln!(out, "grants.topics = {}", list(topics))?;
    writeln!(out, "grants.publish = {}", list(publish))?;
    writeln!(out, "grants.revocation = {revocation}")?;
    writeln!(out, "grants.kv = {kv}")?;
    writeln!(out, "grants.metrics = {metrics}")?;
    writeln!(out, "grants.http = {}", list(http))?;
    if !http_ca.is_empty() {
        writeln!(out, "grants.http_ca = {}", list(&names(http_ca)))?;
    }
    if let Json::Object(config) = &plugin.config
        && !config.is_empty()
    {
        let config = toml::Table::from_iter([("config".to_owned(), toml(&plugin.config))]);
        let plugin = toml::Table::from_iter([("plugin".to_owned(), config.into())]);
        // Everything `toml` makes can be written.
        write!(out, "{}", toml::to_string(&plugin).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

/// What the value was before `check` made JSON of it. TOML has no null, nor does `check` make one.
fn toml(json: &Json) -> toml::Value {
    match json {
        Json::Null => toml::Value::String(String::new()),
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Json::String(text) => env::PLUGIN.escape(text).into(),
        Json::Array(values) => values.iter().map(toml).collect::<Vec<_>>().into(),
        Json::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), toml(value)))
            .collect::<toml::Table>()
            .into(),
    }
}

fn text(text: &str) -> String {
    toml::Value::String(env::BROKER.escape(text)).to_string()
}

fn list(texts: &[impl AsRef<str>]) -> String {
    let texts: Vec<String> = texts.iter().map(|one| text(one.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}
