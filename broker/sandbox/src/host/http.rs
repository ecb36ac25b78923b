//! The `http` capability: requests to granted web services, bounded in size and time. Nothing is sent here.

use std::time::{Duration, Instant};

use super::Host;
use crate::bindings::wasmqtt::plugin::http;
use crate::bindings::wasmqtt::plugin::http::{Request, Response};
use crate::budget::processor_time;
use crate::http::{HttpRequest, check_url};

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers of one request; their bytes count with its body.
const HEADERS_MAX: usize = 64;
/// What decides where a request goes, how long it is, and what becomes of its connection.
const OWN_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

impl http::Host for Host {
    fn send(&mut self, request: Request) -> Result<Response, String> {
        let (method, url) = (request.method.clone(), request.url.clone());
        self.ask(request).map_err(|error| {
            let url = url.get(..url.floor_char_boundary(256)).unwrap_or_default();
            format!("{method} {url}: {error}")
        })
    }
}

impl Host {
    /// For another request of the call in progress.
    fn time_left(&self) -> Result<Duration, String> {
        let (limits, waited) = (&self.surroundings.http.limits, self.budget.waited());
        let over = |of: &str, most: Duration, key: &str| {
            Err(format!(
                "the requests of {of} have taken {most:?} together; if they need longer, raise \
                 `limits.{key}`"
            ))
        };
        let (call, packet) =
            (limits.time.saturating_sub(waited), self.patience.saturating_sub(waited));
        match (call.is_zero(), packet.is_zero()) {
            (true, _) => over("this call", limits.time, "http_time"),
            (_, true) => over("this packet", limits.packet_time, "http_packet_time"),
            _ => Ok(call.min(packet)),
        }
    }

    fn ask(&mut self, request: Request) -> Result<Response, String> {
        if self.cause.is_none() {
            return Err("init cannot ask: the plugin may never be put in place".into());
        }
        let around = &self.surroundings;
        check_url(&around.http.granted, &request.url)?;
        check(&request, around.http.limits.request)?;
        let left = self.time_left()?;
        let asked = request.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let request = HttpRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
            timeout: asked.map_or(left, |asked| asked.min(left)).max(Duration::from_millis(1)),
            reply_limit: around.http.limits.reply,
            authorities: around.http.authorities.clone(),
        };
        let (begin, processor) = (Instant::now(), processor_time());
        let answer = around.http.port.send(&request);
        // Encrypting is not the plugin's own work.
        self.budget.waited_for(begin.elapsed(), processor);
        let answer = answer?;
        if answer.body.len() as u64 > around.http.limits.reply {
            return Err(format!("the reply is larger than {} bytes", around.http.limits.reply));
        }
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body })
    }
}

fn check(request: &Request, limit: u64) -> Result<(), String> {
    if !METHODS.contains(&&*request.method) {
        return Err(format!("the method is none of {}", METHODS.join(", ")));
    }
    if request.headers.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    let own = |(name, _): &&(String, String)| {
        OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name))
    };
    if let Some((name, _)) = request.headers.iter().find(own) {
        return Err(format!("the header {name} is the broker's to write"));
    }
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = request.url.len() + headers + request.body.len();
    if bytes as u64 > limit {
        return Err(format!(
            "the request has {bytes} bytes; if it needs as many, raise `limits.http_request` from \
             {limit}"
        ));
    }
    Ok(())
}
