//! Where the other end of a connection is.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// An address, or a user of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Somewhere in the network. Port 0 where a proxy does not say.
    Network(SocketAddr),
    /// At the other end of a Unix domain socket.
    Local {
        /// User id of the process that connected.
        uid: u32,
    },
}

impl Peer {
    /// Where there is one.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Network(address) => Some(address.ip()),
            Peer::Local { .. } => None,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Network(address) => address.fmt(f),
            Peer::Local { uid } => write!(f, "unix:uid={uid}"),
        }
    }
}
