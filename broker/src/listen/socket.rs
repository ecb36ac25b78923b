//! Listening sockets of both kinds.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, SockRef, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::config::Bind;
use crate::transport::Peer;

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

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
    Unix { file: SocketFile, socket: UnixListener },
}

impl Socket {
    /// Opens it. `mode` are the permissions of a socket that is a file. With `shared`, next to another of this process that
    /// is [shared](Self::share), too, and about to be closed.
    pub(crate) fn bind(bind: &Bind, mode: u32, shared: bool) -> io::Result<Self> {
        match bind {
            Bind::Network(address) => {
                let socket = bind_address(*address, shared)?;
                socket.listen(BACKLOG)?;
                socket.set_reuse_port(false)?;
                TcpListener::from_std(socket.into()).map(Socket::Tcp)
            }
            Bind::Path(path) => {
                let (socket, fresh) = bind_path(path, mode)?;
                socket.listen(BACKLOG)?;
                let socket = UnixListener::from_std(socket.into())?;
                std::fs::rename(fresh.path(), path)?;
                fresh.forget();
                Ok(Socket::Unix { socket, file: SocketFile(path.clone()) })
            }
        }
    }

    /// Whether it could be opened. Nothing is, and nobody can connect meanwhile.
    pub(crate) fn probe(bind: &Bind, mode: u32, shared: bool) -> io::Result<()> {
        match bind {
            Bind::Network(address) => bind_address(*address, shared).map(|_| ()),
            Bind::Path(path) => bind_path(path, mode).map(|_| ()),
        }
    }

    /// Lets another socket of this process be bound to a part of the same addresses, or to more than these; or no longer.
    pub(crate) fn share(&self, shared: bool) -> io::Result<()> {
        match self {
            Socket::Tcp(socket) => SockRef::from(socket).set_reuse_port(shared),
            Socket::Unix { .. } => Ok(()),
        }
    }

    /// Changes who may connect to a file.
    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        match self {
            Socket::Tcp(_) => Ok(()),
            Socket::Unix { file, .. } => std::fs::set_permissions(file.path(), permissions(mode)),
        }
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

impl SocketFile {
    fn path(&self) -> &Path {
        &self.0
    }

    /// It has another name now.
    fn forget(mut self) {
        self.0 = PathBuf::new();
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn permissions(mode: u32) -> std::fs::Permissions {
    std::fs::Permissions::from_mode(mode)
}

/// A socket with an address, where nobody listens yet.
fn bind_address(address: SocketAddr, shared: bool) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // What was closed a moment ago is no reason to wait.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A socket beside a path, where there is nothing or a socket that nobody listens on any more. What is to be put in its place
/// has its permissions before anybody can connect: as long as nobody listens, nobody can.
fn bind_path(path: &Path, mode: u32) -> io::Result<(socket2::Socket, SocketFile)> {
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
    let name = PathBuf::from(name);
    let _ = std::fs::remove_file(&name);
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(&name)?)?;
    let fresh = SocketFile(name);
    std::fs::set_permissions(fresh.path(), permissions(mode))?;
    Ok((socket, fresh))
}
