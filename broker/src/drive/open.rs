//! What lies below MQTT is opened, from the first byte to where the first packet may begin: who the proxy speaks for,
//! TLS, the upgrade to a WebSocket.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use wasmqtt_core::client::Certificate;

use super::enter::{Stopped, read_more};
use super::wire::Wire;
use crate::config::ProxyProtocol;
use crate::listen::{Accepted, Settings};
use crate::transport::proxy::{self, Header};
use crate::transport::tls::{self, Identified};
use crate::transport::websocket::{self, Answer, Frames, Looks, Policy};
use crate::transport::{Peer, Stream};
use crate::worker::with_local;

/// Who is at the other end, as far as it is known before CONNECT.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Of the client, or of what speaks for it.
    pub(super) peer: Peer,
    /// What it showed, after it was verified.
    pub(super) certificate: Option<Arc<Certificate>>,
    /// The authentication name that the listener takes from it.
    pub(super) name: Option<String>,
}

impl Caller {
    pub(super) fn new(peer: Peer) -> Self {
        Self { peer, certificate: None, name: None }
    }

    fn identify(&mut self, identified: Identified) {
        self.certificate = Some(Arc::new(identified.certificate));
        // What the listener takes from certificates goes before what a proxy says.
        if identified.name.is_some() {
            self.name = identified.name;
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)
    }
}

/// Makes of what was accepted what the listener speaks. `wire` is there as soon as anything can be said on it. `place` is
/// taken as soon as it is known whose it is: shaking hands costs more than a look at the address.
pub(super) async fn open(
    accepted: Accepted,
    wire: &mut Option<Wire>,
    caller: &mut Caller,
    settings: &Settings,
    place: &mut impl FnMut(&Peer) -> Result<(), Stopped>,
) -> Result<(), Stopped> {
    let mut identified = Ok(());
    let stream = match accepted {
        Accepted::Unix(stream) => Stream::Unix(stream),
        Accepted::Tcp(mut stream) => {
            hear_proxy(&mut stream, caller, settings).await?;
            // One that speaks for others still may say for whom in the upgrade to a WebSocket.
            if !settings.trusts(&caller.peer) {
                place(&caller.peer)?;
            }
            match &settings.tls {
                None => Stream::Tcp(stream),
                Some(tls) => {
                    first_byte(&stream).await?;
                    let stream = seal(stream, tls, wire).await?;
                    identified = identify(&stream, tls, caller);
                    Stream::Tls(Box::new(stream))
                }
            }
        }
    };
    let wire = wire.insert(Wire::new(stream));
    identified?;
    match &settings.websocket {
        Some(policy) => upgrade(wire, caller, policy).await,
        None => Ok(()),
    }
}

/// Waits for the first byte. Who leaves without one, such as a health check, has asked for nothing.
async fn first_byte(stream: &TcpStream) -> Result<u8, Stopped> {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(len) if len > 0 => Ok(first[0]),
        _ => Err(Stopped::Gone),
    }
}

fn unopened(why: impl Into<String>) -> Stopped {
    Stopped::Unopened(Vec::new(), why.into())
}

/// Reads the header of a trusted proxy. From anybody else there must be none.
async fn hear_proxy(
    stream: &mut TcpStream,
    caller: &mut Caller,
    settings: &Settings,
) -> Result<(), Stopped> {
    if settings.proxy_protocol == ProxyProtocol::None {
        return Ok(());
    }
    let first = first_byte(stream).await?;
    if !settings.trusts(&caller.peer) {
        return match proxy::begins(first) {
            true => Err(unopened("a PROXY header from an address that is not in trusted_proxies")),
            false => Ok(()),
        };
    }
    let Header { source, common_name } = proxy::read(stream).await.map_err(unopened)?;
    if let Some(source) = source {
        caller.peer = Peer::Network(source);
    }
    if let Some(common_name) = common_name {
        if settings.proxy_protocol == ProxyProtocol::Name {
            caller.name = Some(common_name.clone());
        }
        let subject = format!("CN={common_name}");
        let certificate = Certificate {
            common_name: Some(common_name),
            subject,
            dns_names: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            sha256: None,
        };
        caller.certificate = Some(Arc::new(certificate));
    }
    Ok(())
}

/// Shakes hands. Where that fails, rustls has written why, and `wire` is what remains.
async fn seal(
    stream: TcpStream,
    tls: &tls::Server,
    wire: &mut Option<Wire>,
) -> Result<TlsStream<TcpStream>, Stopped> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    let accept = acceptor
        .accept_with(stream, |session| session.set_buffer_limit(Some(tls::BUFFER)))
        .into_fallible();
    // Boxed: a handshake is large, and soon over.
    let accept = Box::pin(accept);
    let accepted = match with_local(|local| local.handshakes.clone()) {
        Some(turns) => turns.take(accept).await,
        None => accept.await,
    };
    accepted.map_err(|(error, stream)| {
        *wire = Some(Wire::new(Stream::Tcp(stream)));
        unopened(tls::reason(&error))
    })
}

fn identify(
    stream: &TlsStream<TcpStream>,
    tls: &tls::Server,
    caller: &mut Caller,
) -> Result<(), Stopped> {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    if let Some(certificate) = shown {
        caller.identify(tls::identify(certificate, &tls.settings).map_err(unopened)?);
    }
    Ok(())
}

async fn upgrade(wire: &mut Wire, caller: &mut Caller, policy: &Policy) -> Result<(), Stopped> {
    let mut looks = Looks::default();
    let answer = loop {
        if looks.is_due(wire.kept())
            && let Some(answer) = websocket::answer(wire.kept(), policy, caller.peer.ip())
        {
            break answer;
        }
        read_more(wire).await?;
    };
    match answer {
        Answer::Refuse { response, why } => Err(Stopped::Unopened(response, why)),
        Answer::Upgrade { mut response, forwarded } => {
            wire.forget(wire.kept().len());
            wire.append(&mut response);
            wire.flush().await.map_err(|_| Stopped::Gone)?;
            wire.upgrade(Frames::new(policy.max_message));
            if let Some(forwarded) = forwarded {
                caller.peer = Peer::Network(forwarded);
            }
            Ok(())
        }
    }
}
