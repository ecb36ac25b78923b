//! A tunnel for load tools that speak plain TCP only: takes their connections and opens one to the server for each, by
//! TLS or WebSocket. What is read at once goes out as one TLS write or one frame.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional_with_sizes};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

/// Bytes that are read at once.
const BUFFER: usize = 64 * 1024;
/// What the certificate of the server must say.
pub const NAME: &str = "localhost";

/// How the tunnel reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// As it came
    Tcp,
    /// TLS 1.3
    Tls,
    /// Binary frames of a WebSocket
    Ws,
}

/// Where the tunnel leads.
#[derive(Clone, Debug, clap::Args)]
pub struct Tunnel {
    /// Where it begins
    #[arg(long)]
    pub listen: SocketAddr,
    /// The server
    #[arg(long)]
    pub address: SocketAddr,
    /// How it is reached
    #[arg(long)]
    pub way: Way,
    /// The certificate of the server, or of who vouches for it: PEM
    #[arg(long)]
    pub ca: Option<PathBuf>,
}

/// Carries bytes until the process ends.
///
/// # Errors
/// When it cannot listen, or the certificate is none.
pub fn run(tunnel: &Tunnel) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(tunnel.listen).await?;
        serve(tunnel, listener).await
    })
}

async fn serve(tunnel: &Tunnel, listener: TcpListener) -> Result<()> {
    let tls = match (tunnel.way, &tunnel.ca) {
        (Way::Tls, Some(path)) => Some(connector(path)?),
        (Way::Tls, None) => bail!("TLS needs a certificate to trust: --ca FILE"),
        _ => None,
    };
    // Each connection has a task of its own, all on this thread.
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            loop {
                let (near, _) = listener.accept().await?;
                let (way, address, tls) = (tunnel.way, tunnel.address, tls.clone());
                tokio::task::spawn_local(said(async move {
                    near.set_nodelay(true)?;
                    let far = TcpStream::connect(address).await.context("no server")?;
                    far.set_nodelay(true)?;
                    match (way, tls) {
                        (Way::Tls, Some(tls)) => secured(near, far, tls).await,
                        (Way::Ws, _) => framed(near, far, address).await,
                        _ => plain(near, far).await,
                    }
                }));
            }
        })
        .await
}

/// A connection that breaks breaks the load tool's, which says more about it; the reason is here.
async fn said(connection: impl Future<Output = Result<()>>) {
    if let Err(error) = connection.await {
        eprintln!("tunnel: {error:#}");
    }
}

fn connector(ca: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).context("no certificate to trust")? {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn plain(mut near: TcpStream, mut far: TcpStream) -> Result<()> {
    carry(&mut near, &mut far).await
}

async fn secured(mut near: TcpStream, far: TcpStream, tls: TlsConnector) -> Result<()> {
    let mut far = tls.connect(ServerName::try_from(NAME)?, far).await.context("no TLS")?;
    carry(&mut near, &mut far).await
}

async fn carry<S>(near: &mut TcpStream, far: &mut S) -> Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    // Either side may just go: that is how load tools end.
    let _ = copy_bidirectional_with_sizes(near, far, BUFFER, BUFFER).await;
    Ok(())
}

async fn framed(near: TcpStream, far: TcpStream, address: SocketAddr) -> Result<()> {
    let mut request = format!("ws://{address}/mqtt").into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    let (far, _) =
        client_async(request, far).await.map_err(|error| anyhow!("no WebSocket: {error}"))?;
    let (mut out, mut back) = far.split();
    let (mut near_in, mut near_out) = near.into_split();
    let there = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = near_in.read(&mut buffer).await?;
            if length == 0 {
                return out.close().await.map_err(anyhow::Error::from);
            }
            out.send(Message::binary(buffer[..length].to_vec())).await?;
        }
    };
    let here = async {
        while let Some(message) = back.next().await {
            if let Message::Binary(bytes) = message? {
                near_out.write_all(&bytes).await?;
            }
        }
        anyhow::Ok(())
    };
    // As above: whoever goes first ends it.
    tokio::select! { _ = there => {}, _ = here => {} }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::time::timeout;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Sends a lot through the tunnel while reading what comes back, and compares.
    async fn echoed(listen: SocketAddr) {
        let sent: Vec<u8> = (0..1_000_000u32).map(|i| i.to_le_bytes()[0]).collect();
        let (mut read, mut write) = TcpStream::connect(listen).await.unwrap().into_split();
        let mut came = vec![0; sent.len()];
        let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut came));
        wrote.unwrap();
        got.unwrap();
        assert!(sent == came);
    }

    async fn through(
        way: Way,
        ca: Option<PathBuf>,
        server: impl Future<Output = ()>,
        at: SocketAddr,
    ) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let tunnel = Tunnel { listen, address: at, way, ca };
        let all = async {
            tokio::select! {
                ended = serve(&tunnel, listener) => panic!("the tunnel ended: {ended:?}"),
                () = async { tokio::join!(server, echoed(listen)); } => {}
            }
        };
        timeout(PATIENCE, all).await.unwrap();
    }

    #[tokio::test]
    async fn plain_bytes_come_through() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let echo = async {
            let (mut read, mut write) = server.accept().await.unwrap().0.into_split();
            tokio::io::copy(&mut read, &mut write).await.unwrap();
        };
        through(Way::Tcp, None, echo, at).await;
    }

    #[tokio::test]
    async fn bytes_come_through_tls() {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, certificate.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let echo = async {
            let near = server.accept().await.unwrap().0;
            let near = TlsAcceptor::from(Arc::new(config)).accept(near).await.unwrap();
            let (mut read, mut write) = tokio::io::split(near);
            // The tunnel goes without goodbye.
            let _ = tokio::io::copy(&mut read, &mut write).await;
        };
        through(Way::Tls, Some(ca), echo, at).await;
    }

    #[tokio::test]
    #[expect(clippy::result_large_err, reason = "what tungstenite wants back")]
    async fn bytes_come_through_a_websocket() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let echo = async {
            let near = server.accept().await.unwrap().0;
            let near = tokio_tungstenite::accept_hdr_async(
                near,
                |_: &_, mut response: tokio_tungstenite::tungstenite::http::Response<()>| {
                    let mqtt = HeaderValue::from_static("mqtt");
                    response.headers_mut().insert("Sec-WebSocket-Protocol", mqtt);
                    Ok(response)
                },
            )
            .await
            .unwrap();
            let (mut out, mut back) = near.split();
            while let Some(Ok(message)) = back.next().await {
                if message.is_binary() && out.send(message).await.is_err() {
                    break;
                }
            }
        };
        through(Way::Ws, None, echo, at).await;
    }
}
