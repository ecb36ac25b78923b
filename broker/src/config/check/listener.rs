//! `[[listener]]`: addresses, chains, and whether what is written lets in nobody or everybody.

use std::net::SocketAddr;

use super::{
    super::{
        model::{Bind, DefaultAnswer, Listener, Location, OnDeniedPublish, Preset, Protocol},
        problem::{Place, quote},
    },
    features,
    fields::{Fields, Reporter, Text, suggestion},
    limits::Global,
    name, preset, tls, transport,
};

/// Listeners of one configuration.
const MAX_LISTENERS: usize = 64;

/// A listener that could be read, with the places other listeners' problems refer to.
struct Found {
    listener: Listener,
    bind: Option<Place>,
}

/// `plugins` are the names that are declared, whether or not the rest of their declaration is right.
pub(super) fn listeners(
    root: &mut Fields<'_>,
    global: Option<&Global>,
    plugins: &[Text<'_>],
    reporter: &Reporter<'_>,
) -> Vec<Listener> {
    let mut found: Vec<Found> = Vec::new();
    let mut names: Vec<Text<'_>> = Vec::new();
    for mut fields in root.tables("listener", MAX_LISTENERS) {
        let place = fields.place;
        let before = reporter.errors();
        let own_name = name(&mut fields, &mut names, reporter);
        let protocol = protocol(&mut fields, reporter);
        let bind = bind(&mut fields, protocol, reporter);
        let listener = Listener {
            name: own_name,
            websocket: transport::websocket(&mut fields, protocol, reporter),
            trusted_proxies: transport::trusted_proxies(&mut fields, reporter),
            protocol: protocol.unwrap_or(Listener::default().protocol),
            bind: bind.clone().map_or(Listener::default().bind, |(bind, _)| bind),
            socket_mode: socket_mode(&mut fields, protocol, reporter),
            tls: tls::tls(&mut fields, protocol, reporter),
            proxy_protocol: transport::proxy_protocol(&mut fields, protocol, reporter),
            location: Location {
                file: reporter.sources.path(place).to_owned(),
                line: reporter.sources.line(bind.as_ref().map_or(place, |(_, bind)| *bind)),
            },
            ..listener(fields, global, plugins, reporter)
        };
        if let Some((bind, place)) = &bind {
            taken(bind, *place, &found, reporter);
        }
        if reporter.errors() == before {
            warn(&listener, place, reporter);
        }
        found.push(Found { listener, bind: bind.map(|(_, place)| place) });
    }
    found.into_iter().map(|found| found.listener).collect()
}

fn listener(
    mut fields: Fields<'_>,
    global: Option<&Global>,
    plugins: &[Text<'_>],
    reporter: &Reporter<'_>,
) -> Listener {
    let preset = fields.word("preset", Preset::WORDS);
    let base = preset::listener(preset);
    let mut chain = |key| chain(&mut fields, "listener", key, plugins, reporter);
    let listener = Listener {
        authenticate: chain("authenticate"),
        authorize: chain("authorize"),
        transform: chain("transform"),
        protocol: base.protocol,
        websocket: base.websocket,
        socket_mode: base.socket_mode,
        tls: base.tls,
        proxy_protocol: base.proxy_protocol,
        trusted_proxies: base.trusted_proxies,
        anonymous: fields.flag("anonymous").unwrap_or(base.anonymous),
        default: fields.word("default", DefaultAnswer::WORDS).unwrap_or(base.default),
        on_denied_publish: fields
            .word("on_denied_publish", OnDeniedPublish::WORDS)
            .unwrap_or(base.on_denied_publish),
        redirect: super::redirect::redirect(&mut fields, reporter),
        features: features::features(&mut fields, base.features, reporter),
        limits: super::limits::listener(fields.table("limits"), preset, global, reporter),
        name: base.name,
        bind: base.bind,
        location: base.location,
    };
    fields.finish();
    listener
}

/// What is spoken below MQTT; none when what is written is no protocol.
fn protocol(fields: &mut Fields<'_>, reporter: &Reporter<'_>) -> Option<Protocol> {
    let Some(Text { text, place }) = fields.text("protocol") else {
        return Some(Listener::default().protocol);
    };
    let found = Protocol::WORDS.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let help = suggestion(text, Protocol::WORDS.iter().map(|(word, _)| *word));
        reporter.error(place, format!("protocol {} does not exist", quote(text)), help);
    }
    found.map(|(_, protocol)| *protocol)
}

/// The address, or the path. That of an unknown protocol may be anything.
fn bind(
    fields: &mut Fields<'_>,
    protocol: Option<Protocol>,
    reporter: &Reporter<'_>,
) -> Option<(Bind, Place)> {
    let Some(protocol) = protocol else {
        fields.entry("bind");
        return None;
    };
    let unix = protocol == Protocol::Unix;
    let example = if unix { "\"/run/wasmqtt/mqtt.sock\"" } else { "\"127.0.0.1:1883\"" };
    let text = fields.required("bind", example)?;
    if !unix {
        let address = address(text, "listener.bind", 1883, reporter)?;
        return Some((Bind::Network(address), text.place));
    }
    // What the system has room for, with its end and the `~` that it has until it listens.
    if !(1..107).contains(&text.text.len()) || text.text.contains('\0') {
        let message =
            format!("`listener.bind`: {} cannot be the path of a socket", quote(text.text));
        reporter.error(text.place, message, Some("write a path of at most 106 bytes".into()));
        return None;
    }
    Some((Bind::Path(text.text.into()), text.place))
}

/// `socket_mode`: permissions of the file.
fn socket_mode(
    fields: &mut Fields<'_>,
    protocol: Option<Protocol>,
    reporter: &Reporter<'_>,
) -> u32 {
    if let Some(protocol) = protocol
        && protocol != Protocol::Unix
        && let Some(entry) = fields.entry("socket_mode")
    {
        let message = format!("`listener.socket_mode` means nothing with protocol \"{protocol}\"");
        reporter.error(entry.key, message, Some("remove it, or use protocol = \"unix\"".into()));
    }
    fields.count("socket_mode", 0..=0o777).unwrap_or(Listener::default().socket_mode)
}

/// An IP address and a port, which is usually this one.
pub(super) fn address(
    text: Text<'_>,
    key: &str,
    port: u16,
    reporter: &Reporter<'_>,
) -> Option<SocketAddr> {
    let address = text.text.parse().ok();
    if address.is_none() {
        let guess = match text.text.rsplit_once(':') {
            Some(("localhost", port)) => format!("127.0.0.1:{port}"),
            Some(("" | "*", port)) => format!("0.0.0.0:{port}"),
            _ if text.text.parse::<std::net::Ipv4Addr>().is_ok() => format!("{}:{port}", text.text),
            _ if text.text.parse::<std::net::Ipv6Addr>().is_ok() => {
                format!("[{}]:{port}", text.text)
            }
            _ => String::new(),
        };
        let usual = SocketAddr::from(([127, 0, 0, 1], port));
        let guess = guess.parse().unwrap_or(usual);
        let message = format!("`{key}`: {} is not an address and a port", quote(text.text));
        reporter.error(text.place, message, Some(format!("write \"{guess}\"")));
    }
    address
}

/// Reports an address that the system would refuse because an earlier listener has it.
fn taken(bind: &Bind, place: Place, earlier: &[Found], reporter: &Reporter<'_>) {
    let same = |other: &Bind| match (bind, other) {
        (Bind::Path(path), Bind::Path(other)) => path == other,
        (Bind::Network(address), Bind::Network(other)) => clash(*address, *other),
        _ => false,
    };
    for found in earlier {
        if let Some(first) = found.bind
            && same(&found.listener.bind)
        {
            let message = format!(
                "{bind} is taken: listener {} is bound to {}",
                quote(&found.listener.name),
                found.listener.bind
            );
            reporter.error(place, message, Some(format!("see {}", reporter.sources.name(first))));
            return;
        }
    }
}

/// Whether one socket keeps the other from being opened.
pub(super) fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// A name no plugin has is an error, never an open door.
pub(super) fn chain(
    fields: &mut Fields<'_>,
    table: &str,
    key: &'static str,
    plugins: &[Text<'_>],
    reporter: &Reporter<'_>,
) -> Vec<String> {
    let texts = fields.texts(key).unwrap_or_default();
    let mut chain: Vec<String> = Vec::with_capacity(texts.len().min(plugins.len()));
    for Text { text, place } in texts {
        let declared = plugins.iter().any(|plugin| plugin.text == text);
        if chain.iter().any(|name| name == text) {
            let message = format!("`{table}.{key}` names plugin {} twice", quote(text));
            reporter.error(place, message, Some("a chain asks each plugin once".into()));
        } else if !declared && !reporter.incomplete {
            let message = format!("`{table}.{key}`: there is no plugin {}", quote(text));
            let help = suggestion(text, plugins.iter().map(|plugin| plugin.text));
            reporter.error(place, message, help.or(Some("add it as a [[plugin]]".into())));
        } else {
            chain.push(text.to_owned());
        }
    }
    chain
}

fn warn(listener: &Listener, place: Place, reporter: &Reporter<'_>) {
    let name = quote(&listener.name);
    let denies = listener.default == DefaultAnswer::Deny;
    if listener.authenticate.is_empty() && !listener.anonymous {
        reporter.warning(
            place,
            format!("listener {name} lets nobody in: it has no authenticator"),
            Some("name one in `authenticate`, or set anonymous = true".into()),
        );
    }
    if listener.authorize.is_empty() && denies {
        reporter.warning(
            place,
            format!("listener {name} lets nobody do anything: it has no authorizer"),
            Some(
                "name one in `authorize`, let the authenticator give permissions, or set \
                 default = \"allow\""
                    .into(),
            ),
        );
    }
    if listener.anonymous && !denies && !listener.bind.is_local() {
        reporter.warning(
            place,
            format!("listener {name} is open to everybody who can reach {}", listener.bind),
            Some(
                "anonymous = true with default = \"allow\" is meant for a loopback address".into(),
            ),
        );
    }
}
