//! The port through which plugins reach web services, and which of them each may reach. Must not know sockets: whoever
//! assembles the broker brings a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use crate::options::{Grants, PluginLimits};

/// Sends requests for plugins.
pub trait HttpClient: Send + Sync {
    /// Sends one request and waits for the whole reply. Follows no redirect, and uses no proxy and no credentials that
    /// the request does not name. Called from any thread, by several at once.
    ///
    /// # Errors
    /// Why there is no reply, in words for the operator.
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, String>;
}

/// What a plugin asks for, within its grants and limits.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// One of seven, in capitals.
    pub method: String,
    /// Absolute, `http` or `https`.
    pub url: String,
    /// None that says where the request goes or how long it is.
    pub headers: Vec<(String, String)>,
    /// Empty = none.
    pub body: Vec<u8>,
    /// For everything from the look-up of the host to the last byte of the reply.
    pub timeout: Duration,
    /// Most bytes of the reply's body.
    pub reply_limit: u64,
    /// Certificates of CAs in DER: a server is trusted if one of them vouches for it. None = the public ones. The same
    /// value for all requests of one plugin.
    pub authorities: Option<Arc<[Vec<u8>]>>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct HttpResponse {
    /// As it was sent.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

/// A client, where there is one.
#[derive(Clone, Default)]
pub struct HttpPort(Option<Arc<dyn HttpClient>>);

impl HttpPort {
    /// A port behind which is this client.
    pub fn new(client: impl HttpClient + 'static) -> Self {
        Self(Some(Arc::new(client)))
    }

    pub(crate) fn send(&self, request: &HttpRequest) -> Result<HttpResponse, String> {
        match &self.0 {
            Some(client) => client.send(request),
            None => Err("there is no network here".into()),
        }
    }
}

impl fmt::Debug for HttpPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpPort").field(&self.0.is_some()).finish()
    }
}

/// Bounds of one plugin's requests.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct HttpLimits {
    /// For all requests of one call of a hook together; 1 ms to 60 s.
    pub time: Duration,
    /// For everything that one packet, or one session whose subscriptions are judged again, has the plugin wait for: a
    /// SUBSCRIBE is one call for each of its filters; 1 ms to 10 min. What is asked later is a failure.
    pub packet_time: Duration,
    /// Bytes of one request, its body, URL and headers together; at most [`BYTES_MAX`](Self::BYTES_MAX).
    pub request: u64,
    /// Bytes of the body of one reply; at most [`BYTES_MAX`](Self::BYTES_MAX).
    pub reply: u64,
    /// Calls of the plugin's hooks that may be under way at once, and so its requests; 1 to
    /// [`AT_ONCE_MAX`](Self::AT_ONCE_MAX). Each has an instance of its own.
    pub at_once: u32,
}

impl HttpLimits {
    /// 16 MiB.
    pub const BYTES_MAX: u64 = 16 << 20;
    /// 10 minutes.
    pub const PACKET_TIME_MAX: Duration = Duration::from_secs(600);
    /// 64.
    pub const AT_ONCE_MAX: u32 = 64;

    /// The first bound that cannot be had, in words.
    pub(crate) fn fault(&self) -> Option<String> {
        let times = Duration::from_millis(1)..=PluginLimits::TIME_MAX;
        if !times.contains(&self.time) {
            return Some("`http_time` must be between 1 ms and 60 s".into());
        }
        if !(Duration::from_millis(1)..=Self::PACKET_TIME_MAX).contains(&self.packet_time) {
            return Some("`http_packet_time` must be between 1 ms and 10 min".into());
        }
        if self.request.max(self.reply) > Self::BYTES_MAX {
            return Some("`http_request` and `http_reply` must be at most 16 MiB".into());
        }
        if !(1..=Self::AT_ONCE_MAX).contains(&self.at_once) {
            return Some("`http_at_once` must be between 1 and 64".into());
        }
        None
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(5),
            packet_time: Duration::from_secs(30),
            request: 64 << 10,
            reply: 64 << 10,
            at_once: 16,
        }
    }
}

/// What one plugin has of the network.
#[derive(Debug)]
pub(crate) struct Web {
    pub(crate) port: HttpPort,
    pub(crate) granted: Vec<Prefix>,
    pub(crate) authorities: Option<Arc<[Vec<u8>]>>,
    pub(crate) limits: HttpLimits,
}

impl Web {
    /// With these grants; else the first that cannot be granted, and why.
    pub(crate) fn new(
        port: HttpPort,
        grants: &Grants,
        limits: HttpLimits,
    ) -> Result<Self, (String, String)> {
        let parse = |text: &String| Prefix::parse(text).map_err(|why| (text.clone(), why));
        let granted = grants.http.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { port, granted, authorities: grants.http_ca.clone(), limits })
    }
}

/// URLs that a plugin may ask for: those of one server whose path begins like this.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Prefix {
    server: Server,
    /// Begins with `/`.
    path: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Server {
    is_https: bool,
    /// In lower case.
    host: String,
    port: u16,
}

impl Prefix {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let uri = parse(text)?;
        if uri.query().is_some() {
            return Err("a prefix has no query; what is asked is the plugin's affair".into());
        }
        Ok(Self { server: Server::of(&uri)?, path: path(&uri)?.to_owned() })
    }

    fn covers(&self, server: &Server, path: &str) -> bool {
        let rest = path.strip_prefix(&*self.path);
        // "/mqtt" is no prefix of "/mqtt-admin".
        let at_boundary = |rest: &str| {
            self.path.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?'])
        };
        self.server == *server && rest.is_some_and(at_boundary)
    }
}

impl Server {
    fn of(uri: &Uri) -> Result<Self, String> {
        let is_https = uri.scheme_str() == Some("https");
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("credentials do not belong into a URL".into());
        }
        let host = authority.host();
        if host.is_empty() {
            return Err("it names no host".into());
        }
        let named = authority.as_str().len() > host.len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if named => return Err("its port is no number from 0 to 65535".into()),
            None if is_https => 443,
            None => 80,
        };
        Ok(Self { is_https, host: host.to_ascii_lowercase(), port })
    }
}

/// Whether one of these prefixes covers a URL; else why not, in words for the plugin's author and the operator.
pub(crate) fn check_url(granted: &[Prefix], url: &str) -> Result<(), String> {
    let uri = parse(url)?;
    let (server, path) = (Server::of(&uri)?, path(&uri)?);
    match granted.iter().any(|prefix| prefix.covers(&server, path)) {
        true => Ok(()),
        false => Err("outside of its grants; the operator may add a prefix that covers it to \
                      `grants.http`"
            .into()),
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    if text.contains('#') {
        return Err("a fragment (#) is never sent".into());
    }
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err("it must begin with http:// or https://".into());
    }
    text.parse::<Uri>().map_err(|error| error.to_string())
}

/// How often a path may be encoded at most: more is nothing that anybody means.
const DECODED: usize = 5;

/// The path, if every server reads it the same way.
fn path(uri: &Uri) -> Result<&str, String> {
    let path = match uri.path() {
        "" => "/",
        path => path,
    };
    // Servers decode, and some take a backslash for a slash, before they look for the parent directory.
    let plain = decode(path).ok_or("its path is encoded too often")?;
    if plain.iter().any(u8::is_ascii_control) {
        return Err("control characters do not belong into its path".into());
    }
    let mut segments = plain.split(|byte| matches!(byte, b'/' | b'\\'));
    // Some forget what is behind a semicolon first.
    let mut names = segments.by_ref().map(|segment| segment.split(|byte| *byte == b';').next());
    if names.any(|name| matches!(name, Some(b"." | b".."))) {
        return Err("`.` and `..` do not belong into its path".into());
    }
    Ok(path)
}

/// Until nothing is left to decode: what is encoded twice may be decoded twice. None when that takes too long.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..DECODED {
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some((first, more)) = rest.split_first() {
            let digit = |at: usize| more.get(at).and_then(|byte| char::from(*byte).to_digit(16));
            match (first, digit(0), digit(1)) {
                (b'%', Some(high), Some(low)) => {
                    decoded.push(u8::try_from(high << 4 | low).unwrap_or(b'%'));
                    rest = more.get(2..).unwrap_or_default();
                }
                _ => {
                    decoded.push(*first);
                    rest = more;
                }
            }
        }
        if decoded.len() == bytes.len() {
            return Some(decoded);
        }
        bytes = decoded;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(prefix: &str, url: &str) -> bool {
        check_url(&[Prefix::parse(prefix).unwrap()], url).is_ok()
    }

    #[test]
    fn a_prefix_covers_one_server_and_what_is_below_its_path() {
        for (prefix, url) in [
            ("https://auth.example/", "https://auth.example/any/thing?x=1"),
            ("https://auth.example", "https://auth.example"),
            ("https://auth.example", "https://AUTH.example:443/x"),
            ("http://auth.example", "http://auth.example:80/x"),
            ("http://127.0.0.1:8080/mqtt", "http://127.0.0.1:8080/mqtt"),
            ("http://127.0.0.1:8080/mqtt", "http://127.0.0.1:8080/mqtt?user=a"),
            ("http://127.0.0.1:8080/mqtt", "http://127.0.0.1:8080/mqtt/auth"),
            ("http://[::1]:8080/mqtt/", "http://[::1]:8080/mqtt/auth"),
            ("http://h/a.b/", "http://h/a.b/..c/%2e%2e%2e"),
        ] {
            assert!(covers(prefix, url), "{prefix} {url}");
        }
        for (prefix, url) in [
            ("https://auth.example/", "http://auth.example/"),
            ("https://auth.example/", "https://auth.example:8443/"),
            ("https://auth.example", "https://auth.example.evil.example/"),
            ("https://auth.example", "https://evil.example/auth.example"),
            ("http://h/mqtt", "http://h/mqtt-admin"),
            ("http://h/mqtt/", "http://h/mqtt"),
            ("http://h/mqtt", "http://h/MQTT"),
            ("http://h/mqtt", "http://h/"),
            ("http://h:8080/", "http://h:80800/"),
        ] {
            assert!(!covers(prefix, url), "{prefix} {url}");
        }
    }

    #[test]
    fn a_url_that_another_reader_could_take_for_another_place_is_refused() {
        for url in [
            "http://h/mqtt/../admin",
            "http://h/mqtt/%2e%2E/admin",
            "http://h/mqtt/..%2fadmin",
            "http://h/mqtt/%252e%252e/admin",
            "http://h/mqtt/..%5cadmin",
            "http://h/mqtt/./x",
            "http://h/mqtt/..;/admin",
            "http://h/mqtt/..%3bx/admin",
            "http://h/mqtt/..%00/admin",
            "http://h/mqtt/%25252525252525252e",
            "http://evil@h/mqtt/x",
            "http://h:@evil/mqtt/x",
            "http://h/mqtt/x#y",
            "http://h /mqtt/x",
            "http://h/mqtt/ x",
            "http://h/mqtt/\r\nHost: evil",
            "//h/mqtt/x",
            "/mqtt/x",
            "ftp://h/mqtt/x",
            "",
        ] {
            assert!(!covers("http://h/mqtt", url), "{url}");
        }
    }

    #[test]
    fn a_prefix_that_is_none_says_why() {
        for (prefix, why) in [
            ("auth.example/mqtt", "must begin with http"),
            ("ftp://auth.example/", "must begin with http"),
            ("https://auth.example/?key=1", "no query"),
            ("https://user:pass@auth.example/", "credentials"),
            ("https://auth.example/a/../b", "`..`"),
            ("https://auth.example:99999/", "port"),
            ("https://auth.example/#a", "fragment"),
        ] {
            let fault = Prefix::parse(prefix).unwrap_err();
            assert!(fault.contains(why), "{prefix}: {fault}");
        }
    }
}
