//! Other servers that clients are sent to.

use std::time::Duration;

use super::{
    super::{model::Redirect, problem::quote},
    fields::{Fields, Reporter},
};

/// Bytes of a server reference. Every client that is sent away gets it.
const MAX_REFERENCE: usize = 1024;

/// `listener.redirect`.
pub(super) fn redirect(listener: &mut Fields<'_>, reporter: &Reporter<'_>) -> Option<Redirect> {
    let is_set = listener.has("redirect");
    let mut fields = listener.table("redirect");
    if is_set {
        fields.required("to", "\"broker-2.example.org:1883\"");
    }
    let to = reference(&mut fields, "to", reporter);
    let permanent = fields.flag("permanent").unwrap_or(false);
    let move_within = fields
        .seconds("move_within", Duration::ZERO..=Duration::from_hours(24))
        .unwrap_or_default();
    fields.finish();
    Some(Redirect { to: to?, permanent, move_within })
}

/// Names or addresses, each with or without a port, with a space between them (MQTT 5.0, 4.11).
pub(super) fn reference(
    fields: &mut Fields<'_>,
    key: &'static str,
    reporter: &Reporter<'_>,
) -> Option<String> {
    let text = fields.text(key)?;
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_host = |host: &str| {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match literal {
            Some(literal) => literal.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.chars().all(plain),
        }
    };
    let is_server = |server: &str| match server.rsplit_once(':') {
        Some((host, port)) if !server.ends_with(']') => is_host(host) && is_port(port),
        _ => is_host(server),
    };
    let valid = text.text.len() <= MAX_REFERENCE && text.text.split(' ').all(is_server);
    if !valid {
        let message = format!("`{key}`: {} names no server", quote(text.text));
        let help = "write a name or an address with or without a port, as in \"broker-2:1883\"";
        reporter.error(text.place, message, Some(help.into()));
    }
    valid.then(|| text.text.to_owned())
}
