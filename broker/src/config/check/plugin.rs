//! `[[plugin]]`: where a component is, and what it may take and reach.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use super::{
    super::{
        file,
        model::{Grants, Location, OnFailure, Plugin, PluginLimits},
        problem::quote,
        tree::Value,
    },
    fields::{Fields, Reporter, Text},
    name, plugin_config, tls, topic,
};

/// Plugins of one configuration.
const MAX_PLUGINS: usize = 256;
/// Bytes of keys and values.
const KV: RangeInclusive<u64> = 1 << 10..=1 << 30;
/// Bytes of an HTTP request, or of a reply.
const HTTP: RangeInclusive<u64> = 1 << 10..=16 << 20;
/// For all calls that one packet needs.
const PACKET_TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(600);
/// The plugins, and every name that is declared.
pub(super) fn plugins<'a>(
    root: &mut Fields<'a>,
    reporter: &'a Reporter<'a>,
) -> (Vec<Plugin>, Vec<Text<'a>>) {
    let mut plugins = Vec::new();
    let mut names = Vec::new();
    for mut fields in root.tables("plugin", MAX_PLUGINS) {
        let name = name(&mut fields, &mut names, reporter);
        plugins.push(plugin(name, fields, reporter));
    }
    (plugins, names)
}

fn plugin(name: String, mut fields: Fields<'_>, reporter: &Reporter<'_>) -> Plugin {
    let file = reporter.sources.path(fields.place).to_owned();
    let line = reporter.sources.line(fields.place);
    let path = fields.required("path", "\"target/plugins/example.wasm\"");
    if let Some(Text { text: "", place }) = path {
        reporter.error(place, "`plugin.path` is empty", None);
    }
    let mut limits = limits(fields.table("limits"));
    let grants = grants(fields.table("grants"), &mut limits, reporter);
    let (config, files) = plugin_config::read(fields.entry("config"), &file, reporter);
    let plugin = Plugin {
        name,
        path: file::resolve(Path::new(path.map_or("", |path| path.text)), &file),
        sha256: fields.text("sha256").and_then(|text| digest(text, reporter)),
        on_failure: fields.word("on_failure", OnFailure::WORDS).unwrap_or(OnFailure::Closed),
        reauthorize: fields.flag("reauthorize").unwrap_or(false),
        limits,
        grants,
        config,
        files,
        location: Location { file, line },
    };
    fields.finish();
    plugin
}

/// Empty is as good as absent.
fn digest(text: Text<'_>, reporter: &Reporter<'_>) -> Option<[u8; 32]> {
    if text.text.is_empty() {
        return None;
    }
    let digest = hex(text.text);
    if digest.is_none() {
        let message = format!("`plugin.sha256`: {} is not a SHA-256", quote(text.text));
        reporter.error(text.place, message, Some("write 64 hexadecimal digits".into()));
    }
    digest
}

pub(super) fn hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != digest.len() {
        return None;
    }
    for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(digest)
}

fn limits(mut fields: Fields<'_>) -> PluginLimits {
    let base = PluginLimits::default();
    let deadline = || Duration::from_millis(1)..=Duration::from_secs(60);
    let limits = PluginLimits {
        memory: fields.size("memory", 64 << 10..=1 << 30).unwrap_or(base.memory),
        call: fields.time("call", deadline()).unwrap_or(base.call),
        authenticate: fields.time("authenticate", deadline()).unwrap_or(base.authenticate),
        observe: fields.time("observe", deadline()).unwrap_or(base.observe),
        queued_events: fields.count("queued_events", 1..=1_000_000).unwrap_or(base.queued_events),
        queued_publications: fields
            .count("queued_publications", 1..=100_000)
            .unwrap_or(base.queued_publications),
        log_lines_per_second: fields
            .count("log_lines_per_second", 0..=100_000)
            .unwrap_or(base.log_lines_per_second),
        host_call_bytes: fields
            .size("host_call_bytes", 1 << 10..=64 << 20)
            .unwrap_or(base.host_call_bytes),
        kv: fields.size("kv", KV).unwrap_or(base.kv),
        http_time: fields.time("http_time", deadline()).unwrap_or(base.http_time),
        http_packet_time: fields
            .time("http_packet_time", PACKET_TIME)
            .unwrap_or(base.http_packet_time),
        http_request: fields.size("http_request", HTTP).unwrap_or(base.http_request),
        http_reply: fields.size("http_reply", HTTP).unwrap_or(base.http_reply),
        http_at_once: fields.count("http_at_once", 1..=64).unwrap_or(base.http_at_once),
    };
    fields.finish();
    limits
}

/// `kv` may be granted with its limit in one word.
fn kv(fields: &mut Fields<'_>, limit: &mut u64) -> bool {
    match fields.entry("kv").map(|entry| &entry.node.value) {
        None => false,
        Some(Value::Text(_) | Value::Integer(_)) => {
            *limit = fields.size("kv", KV).unwrap_or(*limit);
            true
        }
        Some(_) => fields.flag("kv").unwrap_or(false),
    }
}

fn grants(mut fields: Fields<'_>, limits: &mut PluginLimits, reporter: &Reporter<'_>) -> Grants {
    let topics = filters(&mut fields, "topics", reporter);
    let publish = filters(&mut fields, "publish", reporter);
    let http = prefixes(&mut fields, reporter);
    let http_ca = tls::cas(&mut fields, ("plugin.grants", "http_ca"), reporter);
    if fields.has("http_ca") && !http.iter().any(|prefix| prefix.starts_with("https://")) {
        let message =
            "`plugin.grants.http_ca` means nothing: no URL in `http` begins with https://";
        let help = "remove it, or grant a prefix as in http = [\"https://auth.example.com/mqtt/\"]";
        reporter.error(fields.place_of("http_ca"), message, Some(help.into()));
    }
    let revocation = fields.flag("revocation").unwrap_or(false);
    let kv = kv(&mut fields, &mut limits.kv);
    let metrics = fields.flag("metrics").unwrap_or(false);
    fields.finish();
    Grants { topics, publish, revocation, kv, metrics, http, http_ca }
}

fn filters(fields: &mut Fields<'_>, key: &'static str, reporter: &Reporter<'_>) -> Vec<String> {
    let mut filters = Vec::new();
    for Text { text, place } in fields.texts(key).unwrap_or_default() {
        match topic::fault(text) {
            None => filters.push(text.to_owned()),
            Some(fault) => {
                let message = format!("`plugin.grants.{key}`: {} {fault}", quote(text));
                reporter.error(place, message, None);
            }
        }
    }
    filters
}

fn prefixes(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Vec<String> {
    let mut prefixes = Vec::new();
    for Text { text, place } in fields.texts("http").unwrap_or_default() {
        match prefix_fault(text) {
            None => prefixes.push(text.to_owned()),
            Some(fault) => {
                let message = format!("`plugin.grants.http`: {}: {fault}", quote(text));
                let help = "write a prefix of URLs, as in \"https://auth.example.com/mqtt/\"";
                reporter.error(place, message, Some(help.into()));
            }
        }
    }
    prefixes
}

/// What is plainly no prefix of URLs; the plugin host looks closer.
fn prefix_fault(text: &str) -> Option<&'static str> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        None => Some("it must begin with http:// or https://"),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Some("it names no host"),
        Some(rest) if rest.contains(['?', '#']) => Some("a prefix has neither query nor fragment"),
        Some(rest) if rest.contains('@') => Some("credentials do not belong into a URL"),
        Some(rest) if rest.contains(char::is_whitespace) => Some("a URL has no blanks"),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let text = "00ff".repeat(15) + "AbCd";
        let digest = hex(&text).unwrap();
        assert_eq!(digest[..4], [0, 0xff, 0, 0xff]);
        assert_eq!(digest[30..], [0xab, 0xcd]);
        for text in
            [text[1..].to_owned(), text[2..].to_owned(), format!("{text}00"), "zz".repeat(32)]
        {
            assert_eq!(hex(&text), None);
        }
    }
}
