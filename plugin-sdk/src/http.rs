//! Requests to web services. The operator grants URL prefixes: `grants = { http = ["https://auth.example.com/mqtt/"] }`;
//! a plugin that uses this without the grant is not loaded.
//!
//! The call blocks until the reply is there. The broker parks the client that the plugin is asked about, and nobody else
//! waits; in return such a plugin cannot judge deliveries ([`Actions::RECEIVE`](crate::Actions::RECEIVE),
//! [`Registration::on_deliver`](crate::Registration::on_deliver)). Answer with a `reuse` time, or with permissions at
//! login, and a client is not parked for every message.
//!
//! ```
//! use wasmqtt_plugin::http::{self, Request, Response};
//! use wasmqtt_plugin::test;
//!
//! test::set_http(|request| match request.url.ends_with("/alice") {
//!     true => Ok(Response::new(200).with_body("yes")),
//!     false => Err("connection refused".to_owned()),
//! });
//! let reply = http::send(&Request::get("https://auth.example.com/mqtt/alice")).unwrap();
//! assert_eq!((reply.status, reply.text()), (200, Some("yes")));
//! assert!(http::send(&Request::get("https://auth.example.com/mqtt/bob")).is_err());
//! ```

use std::time::Duration;

pub use crate::bindings::imports::wasmqtt::plugin::http::{Request, Response};

/// Sends a request and waits for the reply; a call into the broker. Redirects are not followed.
///
/// # Errors
/// Why there is no reply: the URL is outside of the grants, the request or the reply is larger than `limits.http_request`
/// or `limits.http_reply`, time ran out, the server cannot be reached, or it was called in `init`. A status that means an
/// error is no error here.
pub fn send(request: &Request) -> Result<Response, String> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::imports::wasmqtt::plugin::http::send(request);
    #[cfg(not(target_family = "wasm"))]
    return fake::send(request);
}

impl Request {
    /// A request without headers and body. The method is GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout_ms: None,
        }
    }

    /// A GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST of these bytes.
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..Self::new("POST", url) }
    }

    /// The same with one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same, given up after this time (whole milliseconds); without it, after `limits.http_time`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }
}

impl Response {
    /// A reply without headers and body, for tests.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The same with a body.
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Whether the status is one of success, 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// The body, if it is UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok()
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) mod fake {
    //! The web as tests want it.

    use std::cell::RefCell;

    use super::{Request, Response};

    type Web = Box<dyn FnMut(&Request) -> Result<Response, String>>;

    thread_local! {
        static WEB: RefCell<Option<Web>> = const { RefCell::new(None) };
    }

    /// What answers the requests of this thread from now on; without it nobody can be reached. It must not send any
    /// itself.
    pub fn set_http(answer: impl FnMut(&Request) -> Result<Response, String> + 'static) {
        WEB.set(Some(Box::new(answer)));
    }

    pub(super) fn send(request: &Request) -> Result<Response, String> {
        WEB.with_borrow_mut(|web| match web {
            Some(answer) => answer(request),
            None => Err(format!(
                "{} {}: nobody answers; see test::set_http",
                request.method, request.url
            )),
        })
    }
}
