//! From an address to a stream of MQTT's bytes: TCP or a Unix socket, perhaps TLS, perhaps frames.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream, UnixStream, lookup_host};

use crate::failure::Failure;
use crate::tls::Tls;
use crate::websocket;

/// A connection, whatever it is made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Where a broker is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp {
        host: String,
        port: u16,
        /// The address of this machine to come from.
        from: Option<IpAddr>,
    },
    Unix(PathBuf),
}

/// How to get there.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) place: Place,
    pub(crate) tls: Option<Tls>,
    /// The path of a WebSocket.
    pub(crate) websocket: Option<String>,
}

impl Way {
    /// For messages.
    pub(crate) fn name(&self) -> String {
        match &self.place {
            Place::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
            Place::Unix(path) => path.display().to_string(),
        }
    }

    fn host(&self) -> &str {
        match &self.place {
            Place::Tcp { host, .. } => host,
            Place::Unix(_) => "localhost",
        }
    }

    /// Connects.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Stream>, Failure> {
        let stream: Box<dyn Stream> = match &self.place {
            Place::Tcp { host, port, from } => {
                Box::new(tcp(host, *port, *from).await.map_err(|error| self.cannot(&error))?)
            }
            Place::Unix(path) => {
                Box::new(UnixStream::connect(path).await.map_err(|error| self.cannot(&error))?)
            }
        };
        let stream = match &self.tls {
            Some(tls) => tls.shake_hands(stream, self.host()).await?,
            None => stream,
        };
        match &self.websocket {
            Some(path) => {
                let authority = match &self.place {
                    Place::Tcp { .. } => self.name(),
                    Place::Unix(_) => self.host().to_owned(),
                };
                websocket::upgrade(stream, &authority, path, self.tls.is_some()).await
            }
            None => Ok(stream),
        }
    }

    fn cannot(&self, error: &io::Error) -> Failure {
        let name = self.name();
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => ": nobody listens there; does the broker run?",
            io::ErrorKind::NotFound => ": there is no such socket; does the broker run?",
            io::ErrorKind::PermissionDenied => ": this user may not",
            _ => return Failure::lost(format!("cannot connect to {name}: {error}")),
        };
        Failure::lost(format!("cannot connect to {name}{hint}"))
    }
}

/// Tries one address of the host after the other.
async fn tcp(host: &str, port: u16, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let found = lookup_host((host, port)).await;
    let found = found.map_err(|_| io::Error::other(format!("the host {host} is not known")))?;
    for addr in found.filter(|addr| from.is_none_or(|from| from.is_ipv4() == addr.is_ipv4())) {
        match connect(addr, from).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect(addr: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    socket.connect(addr).await
}
