//! Listening sockets of both kinds.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Bind;
use crate::transport::Peer;

/// One connection, registered with the reactor it will be served by.
#[derive(Debug)]
pub(crate) enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// One connection on its way to a worker, whose reactor it will be registered with.
#[derive(Debug)]
pub(crate) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(net::UnixStream),
}

impl Detached {
    /// Registers it with the reactor of this thread.
    pub(crate) fn attach(self) -> io::Result<Accepted> {
        match self {
            Detached::Tcp(stream) => TcpStream::from_std(stream).map(Accepted::Tcp),
            Detached::Unix(stream) => UnixStream::from_std(stream).map(Accepted::Unix),
        }
    }
}

/// What is listened on.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpListener),
    // The file goes first: whoever starts meanwhile makes its own.
    Unix { _file: SocketFile, socket: UnixListener },
}

impl Socket {
    /// Opens it. `mode` are the permissions of a socket that is a file.
    pub(crate) async fn bind(name: &str, bind: &Bind, mode: u32) -> io::Result<Self> {
        let (socket, addr) = match bind {
            Bind::Network(address) => {
                let socket = TcpListener::bind(address).await?;
                let addr = socket.local_addr()?.to_string();
                (Socket::Tcp(socket), addr)
            }
            Bind::Path(path) => {
                let socket = bind_path(path, mode)?;
                let addr = path.display().to_string();
                (Socket::Unix { socket, _file: SocketFile(path.clone()) }, addr)
            }
        };
        tracing::info!(listener = name, addr, "listening");
        Ok(socket)
    }

    /// Where it is, in a network.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Socket::Tcp(socket) => socket.local_addr().ok(),
            Socket::Unix { .. } => None,
        }
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<(Accepted, Peer)> {
        match self {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                Ok((Accepted::Tcp(stream), Peer::Network(peer)))
            }
            Socket::Unix { socket, .. } => {
                let (stream, _) = socket.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Accepted::Unix(stream), Peer::Local { uid }))
            }
        }
    }
}

impl Accepted {
    /// Takes it from this thread's reactor.
    pub(crate) fn detach(self) -> io::Result<Detached> {
        match self {
            Accepted::Tcp(stream) => {
                stream.set_nodelay(true)?;
                stream.into_std().map(Detached::Tcp)
            }
            Accepted::Unix(stream) => stream.into_std().map(Detached::Unix),
        }
    }
}

/// Removes the file when nobody listens any more.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens at a path, in the place of a socket that nobody listens on any more. It appears with its permissions.
fn bind_path(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is another file"));
        }
        Ok(_) if net::UnixStream::connect(path).is_ok() => {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        _ => {}
    }
    let mut name = path.as_os_str().to_owned();
    name.push("~");
    let fresh = PathBuf::from(name);
    let _ = std::fs::remove_file(&fresh);
    let socket = UnixListener::bind(&fresh)?;
    let placed = std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))
        .and_then(|()| std::fs::rename(&fresh, path));
    if let Err(error) = placed {
        let _ = std::fs::remove_file(&fresh);
        return Err(error);
    }
    Ok(socket)
}
