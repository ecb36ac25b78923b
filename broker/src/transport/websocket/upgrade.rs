//! The HTTP request that becomes a WebSocket: who may, and what it is answered.

use std::net::{IpAddr, SocketAddr};

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse as _;
use tokio_tungstenite::tungstenite::handshake::server::{
    Request, Response, create_response, write_response,
};
use tokio_tungstenite::tungstenite::http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN};
use tokio_tungstenite::tungstenite::http::header::{SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use tokio_tungstenite::tungstenite::http::{StatusCode, Uri};

use crate::config::Network;

/// Bytes of a request; what is in it beyond the upgrade is of no use to a broker.
pub(super) const MAX_REQUEST: usize = 16 << 10;
/// What MQTT is called here, the preferred name first [MQTT-6.0.0-4]. MQTT 3.1 had the second.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who may upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Where, without a query.
    pub(crate) path: String,
    /// Pages that browsers may connect from; none = all.
    pub(crate) origins: Vec<String>,
    /// Whose `X-Forwarded-For` counts.
    pub(crate) trusted: Vec<Network>,
    /// Bytes of one message.
    pub(crate) max_message: u64,
}

/// What a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Frames follow.
    Upgrade {
        /// To be sent.
        response: Vec<u8>,
        /// Whom a trusted proxy speaks for; port 0 where it does not say.
        forwarded: Option<SocketAddr>,
    },
    /// The connection is over.
    Refuse {
        /// To be sent.
        response: Vec<u8>,
        /// For the log.
        why: String,
    },
}

/// Answers the request in `bytes`; none while it is not whole.
pub(crate) fn answer(bytes: &[u8], policy: &Policy, peer: Option<IpAddr>) -> Option<Answer> {
    let (len, request) = match Request::try_parse(bytes) {
        Ok(Some(whole)) => whole,
        Ok(None) if bytes.len() < MAX_REQUEST => return None,
        Ok(None) => {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Some(refuse(status, "the request is too large"));
        }
        Err(error) => return Some(refuse(StatusCode::BAD_REQUEST, &error.to_string())),
    };
    Some(match accept(&request, policy) {
        _ if len > MAX_REQUEST => {
            refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request is too large")
        }
        _ if len < bytes.len() => {
            refuse(StatusCode::BAD_REQUEST, "frames were sent before the upgrade was answered")
        }
        Ok(response) => {
            let forwarded = forwarded(request.headers(), &policy.trusted, peer);
            Answer::Upgrade { response, forwarded }
        }
        Err((status, why)) => refuse(status, &why),
    })
}

fn accept(request: &Request, policy: &Policy) -> Result<Vec<u8>, (StatusCode, String)> {
    let no = |status, why: String| Err((status, why));
    if request.uri().path() != policy.path {
        return no(StatusCode::NOT_FOUND, format!("there is nothing at {}", shown(request.uri())));
    }
    let origins = request.headers().get_all(ORIGIN);
    for origin in origins {
        let known = |allowed: &String| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes());
        if !policy.origins.is_empty() && !policy.origins.iter().any(known) {
            return no(
                StatusCode::FORBIDDEN,
                format!("pages of {origin:?} may not connect: `origins` does not name them"),
            );
        }
    }
    let mut response = create_response(request).map_err(|error| match error {
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        ) => (StatusCode::UPGRADE_REQUIRED, error.to_string()),
        error => (StatusCode::BAD_REQUEST, error.to_string()),
    })?;
    let Some(subprotocol) = subprotocol(request.headers()) else {
        let why = "the client does not offer the subprotocol mqtt or mqttv3.1";
        return no(StatusCode::BAD_REQUEST, why.to_owned());
    };
    let name = HeaderValue::from_static(subprotocol);
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
    let mut bytes = Vec::new();
    write_response(&mut bytes, &response)
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(bytes)
}

/// The first of ours that is among those offered.
fn subprotocol(headers: &HeaderMap) -> Option<&'static str> {
    let offered = || {
        let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
        lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
    };
    SUBPROTOCOLS.into_iter().find(|ours| offered().any(|name| name == *ours))
}

/// The last address in `X-Forwarded-For` that is not a trusted proxy's own; what stands before it may be invented.
fn forwarded(headers: &HeaderMap, trusted: &[Network], peer: Option<IpAddr>) -> Option<SocketAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !peer.is_some_and(is_trusted) {
        return None;
    }
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("")).collect();
    let mut client = None;
    for hop in lines.iter().flat_map(|line| line.split(',')).rev() {
        // What is behind it is the best that is known.
        let Some(address) = address(hop.trim()) else { break };
        client = Some(address);
        if !is_trusted(address.ip()) {
            break;
        }
    }
    client
}

fn address(hop: &str) -> Option<SocketAddr> {
    let plain = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let ip = || plain.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, 0));
    hop.parse().ok().or_else(ip)
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    let body = format!("{why}\n");
    let mut refusal = Response::new(());
    *refusal.status_mut() = status;
    let headers = refusal.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("content-length", HeaderValue::from(body.len()));
    headers.insert("connection", HeaderValue::from_static("close"));
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert("sec-websocket-version", HeaderValue::from_static("13"));
    }
    let mut response = Vec::new();
    // Nothing in it is from the client but the body.
    let _ = write_response(&mut response, &refusal);
    response.extend_from_slice(body.as_bytes());
    Answer::Refuse { response, why: why.to_owned() }
}

/// A path that is fit for a log.
fn shown(uri: &Uri) -> String {
    uri.path().chars().take(100).collect()
}

#[cfg(test)]
mod tests;
