//! The client behind the plugins' `http` capability. Which URLs a plugin may ask for has been looked at before.

mod names;

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::CertificateError;
use ureq::config::RedirectAuthHeaders;
use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Error, Timeout};
use wasmqtt_sandbox::{HttpClient, HttpRequest, HttpResponse};

use self::names::Names;

/// Bytes of the headers of one reply.
const HEADERS: usize = 32 << 10;
/// Connections that are kept open for the next request, of all servers and of one.
const IDLE: usize = 64;
const IDLE_PER_HOST: usize = 16;
/// For how long. Servers close theirs after a minute or so, and a request into a closed one is lost.
const IDLE_AGE: Duration = Duration::from_secs(15);

/// Sends the plugins' requests, and keeps connections open between them.
pub(crate) struct Client {
    names: Names,
    public: Agent,
    /// One for each plugin with CAs of its own: a connection that one of them trusts is none for the others. Those of
    /// plugins that are gone make room.
    private: Mutex<Vec<Private>>,
}

/// Whoever trusts certain CAs only.
struct Private {
    /// Weak: the memory stays taken, so that no others can lie at its address.
    authorities: Weak<[Vec<u8>]>,
    agent: Agent,
}

impl Client {
    pub(crate) fn new() -> Self {
        let names = Names::new();
        let public = agent(RootCerts::WebPki, &names);
        Self { names, public, private: Mutex::default() }
    }

    /// Whoever trusts these CAs, and only them.
    fn agent(&self, authorities: Option<&Arc<[Vec<u8>]>>) -> Agent {
        let Some(authorities) = authorities else { return self.public.clone() };
        let mut private = self.private.lock();
        let is_theirs = |known: &&Private| {
            std::ptr::addr_eq(known.authorities.as_ptr(), Arc::as_ptr(authorities))
        };
        if let Some(known) = private.iter().find(is_theirs) {
            return known.agent.clone();
        }
        private.retain(|known| known.authorities.strong_count() > 0);
        let roots: Vec<_> =
            authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let agent = agent(RootCerts::new_with_certs(&roots), &self.names);
        private.push(Private { authorities: Arc::downgrade(authorities), agent: agent.clone() });
        agent
    }
}

fn agent(roots: RootCerts, names: &Names) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // Where a redirect leads is for the plugin and its grants to say.
        .max_redirects(0)
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        // Only what the operator wrote for this plugin counts.
        .proxy(None)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .user_agent(concat!("wasmqtt/", env!("CARGO_PKG_VERSION")))
        .max_response_header_size(HEADERS)
        .max_idle_connections(IDLE)
        .max_idle_connections_per_host(IDLE_PER_HOST)
        .max_idle_age(IDLE_AGE)
        .build();
    Agent::with_parts(config, DefaultConnector::default(), names.clone())
}

impl HttpClient for Client {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, String> {
        let mut builder = Request::builder().method(&*request.method).uri(&*request.url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let bodied = matches!(&*request.method, "POST" | "PUT" | "PATCH");
        let words = |error| words(error, request);
        let (timeout, agent) = (Some(request.timeout), self.agent(request.authorities.as_ref()));
        let answered = if bodied || !request.body.is_empty() {
            let ready = builder.body(&*request.body).map_err(|error| error.to_string())?;
            let ready = agent.configure_request(ready).timeout_global(timeout);
            agent.run(ready.allow_non_standard_methods(true).build())
        } else {
            let ready = builder.body(()).map_err(|error| error.to_string())?;
            agent.run(agent.configure_request(ready).timeout_global(timeout).build())
        };
        let mut answered = answered.map_err(words)?;
        let headers = answered
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().into(), value.to_str().ok()?.into())))
            .collect();
        let body = read(answered.body_mut(), request.reply_limit).map_err(words)?;
        Ok(HttpResponse { status: answered.status().as_u16(), headers, body })
    }
}

/// One byte more than may come is read, to see that it did.
fn read(body: &mut Body, limit: u64) -> Result<Vec<u8>, Error> {
    let body = body.with_config().limit(limit.saturating_add(1)).read_to_vec()?;
    match body.len() as u64 > limit {
        true => Err(Error::BodyExceedsLimit(limit)),
        false => Ok(body),
    }
}

/// What is wrong with what the server showed.
fn certificate_fault(error: &Error) -> Option<&CertificateError> {
    let error = match error {
        Error::Rustls(error) => error,
        Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    match error {
        rustls::Error::InvalidCertificate(fault) => Some(fault),
        _ => None,
    }
}

/// What went wrong, for the operator.
fn words(error: Error, request: &HttpRequest) -> String {
    if let Some(fault) = certificate_fault(&error) {
        let instead = match (fault, &request.authorities) {
            (CertificateError::UnknownIssuer, Some(_)) => {
                "; none of the CAs in `grants.http_ca` vouches for it"
            }
            (CertificateError::UnknownIssuer, None) => {
                "; no public CA vouches for it: name the file of a private one in `grants.http_ca`"
            }
            _ => "",
        };
        return format!("its certificate is not accepted ({fault}){instead}");
    }
    match error {
        Error::Timeout(Timeout::Resolve) => "its host name was not found in time".into(),
        Error::Timeout(Timeout::Connect) => "no connection in time".into(),
        Error::Timeout(_) => format!("no reply within {:?}", request.timeout),
        Error::HostNotFound => "its host name is not known".into(),
        Error::BodyExceedsLimit(_) => {
            let limit = request.reply_limit;
            format!(
                "the reply is larger than {limit} bytes; if it may be, raise `limits.http_reply`"
            )
        }
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            "connection refused: nobody listens there".into()
        }
        Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => {
            format!("no reply within {:?}", request.timeout)
        }
        Error::Other(why) => why.to_string(),
        error => error.to_string(),
    }
}
