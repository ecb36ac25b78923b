//! What a listener needs below MQTT.

use super::{
    super::{
        model::{Network, Protocol, ProxyProtocol, WebSocket},
        problem::quote,
    },
    fields::{Fields, Reporter, Text},
};

/// Origins, and proxies, of one listener.
const MOST: usize = 64;

/// `listener.websocket`. `protocol` is none when that could not be read.
pub(super) fn websocket(
    listener: &mut Fields<'_>,
    protocol: Option<Protocol>,
    reporter: &Reporter<'_>,
) -> WebSocket {
    if let Some(protocol) = protocol
        && !protocol.is_websocket()
        && let Some(entry) = listener.entry("websocket")
    {
        let message = format!("`listener.websocket` means nothing with protocol \"{protocol}\"");
        reporter.error(entry.key, message, Some("remove it, or use protocol = \"ws\"".into()));
    }
    let base = WebSocket::default();
    let mut fields = listener.table("websocket");
    let path = fields.text("path");
    if let Some(Text { text, place }) = path
        && !is_path(text)
    {
        let message = format!("`listener.websocket.path`: {} is not a path", quote(text));
        let help = "write \"/mqtt\": a path without a query, percent-encoded where it must be";
        reporter.error(place, message, Some(help.into()));
    }
    let websocket = WebSocket {
        path: path.map_or(base.path, |path| path.text.to_owned()),
        origins: some(&mut fields, "origins", reporter, |text| origin(text, reporter)),
        max_message_size: fields
            .size("max_message_size", 1024..=1 << 30)
            .unwrap_or(base.max_message_size),
    };
    fields.finish();
    websocket
}

/// `listener.trusted_proxies`.
pub(super) fn trusted_proxies(listener: &mut Fields<'_>, reporter: &Reporter<'_>) -> Vec<Network> {
    some(listener, "trusted_proxies", reporter, |Text { text, place }| {
        let network = text.parse().ok();
        if network.is_none() {
            let message = format!("`listener.trusted_proxies`: {} is no network", quote(text));
            let help = "write an address with or without the number of bits that count, as in \"10.0.0.0/8\"";
            reporter.error(place, message, Some(help.into()));
        }
        network
    })
}

/// `listener.proxy_protocol`, which says nothing where nobody is trusted.
pub(super) fn proxy_protocol(
    listener: &mut Fields<'_>,
    protocol: Option<Protocol>,
    reporter: &Reporter<'_>,
) -> ProxyProtocol {
    let word = listener.word("proxy_protocol", ProxyProtocol::WORDS).unwrap_or(ProxyProtocol::None);
    let problem = if word == ProxyProtocol::None {
        None
    } else if protocol == Some(Protocol::Unix) {
        Some(("`listener.proxy_protocol` means nothing with protocol \"unix\"", "remove it"))
    } else if !listener.has("trusted_proxies") {
        let message = "`listener.proxy_protocol` is set, and no proxy is trusted";
        Some((message, "add trusted_proxies = [\"10.0.0.0/8\"]"))
    } else {
        None
    };
    if let Some((message, help)) = problem {
        reporter.error(listener.place_of("proxy_protocol"), message, Some(help.into()));
    }
    word
}

/// What can be read of a list, which is not too long.
fn some<T>(
    fields: &mut Fields<'_>,
    key: &'static str,
    reporter: &Reporter<'_>,
    read: impl Fn(Text<'_>) -> Option<T>,
) -> Vec<T> {
    let texts = fields.texts(key).unwrap_or_default();
    if let Some(beyond) = texts.get(MOST) {
        let message = format!("`{key}` has {} entries: {MOST} is the most", texts.len());
        reporter.error(beyond.place, message, None);
    }
    texts.into_iter().take(MOST).filter_map(read).collect()
}

/// As browsers send it: scheme, name and, unless it is the scheme's own, port.
fn origin(Text { text, place }: Text<'_>, reporter: &Reporter<'_>) -> Option<String> {
    let name = |rest: &str| {
        let plain =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
        !rest.is_empty() && rest.chars().all(plain)
    };
    let valid = text == "null"
        || text.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty()
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                && name(rest)
        });
    if !valid {
        let message = format!("`listener.websocket.origins`: {} is no origin", quote(text));
        let help = "write scheme, name and port as browsers do, as in \"https://app.example.org\"";
        reporter.error(place, message, Some(help.into()));
    }
    valid.then(|| text.to_owned())
}

/// As a request line has it.
fn is_path(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#');
    text.starts_with('/') && text.len() <= 1024 && text.chars().all(plain)
}
