//! Who is connected, as routing and judgement see it.

use wasmqtt_codec::Version;

use crate::judge::Permissions;

/// Position of a listener in the order of the configuration; stable for the life of the process.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash, Default)]
pub struct ListenerId(pub u16);

impl ListenerId {
    /// Where a publisher inside the broker comes in: no listener of the configuration.
    pub const INTERNAL: Self = Self(u16::MAX);
}

/// What carried the packets here.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket.
    WebSocket,
    /// WebSocket over TLS.
    WebSocketTls,
    /// A Unix domain socket.
    Unix,
    /// Nothing: a publisher inside the broker.
    Internal,
}

/// One admitted client. Immutable: what may change lives in its session.
#[derive(Clone, Debug)]
pub struct Client {
    /// Unique on this node for the life of the session.
    pub key: u64,
    /// The client identifier, as sent or as assigned.
    pub id: Box<str>,
    /// The authentication name: what the authenticator answered, else the username sent.
    pub name: Option<Box<str>>,
    /// Where it came in.
    pub listener: ListenerId,
    /// What it speaks.
    pub version: Version,
    /// What carries its packets.
    pub transport: Transport,
    /// Address and port of the other end.
    pub peer: Box<str>,
    /// Set by whichever plugin authenticated the client.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
    /// Evaluated before any authorizer is asked.
    pub permissions: Permissions,
    /// Longest life of its messages, in seconds, whatever a plugin makes of them; 0 = no bound.
    pub message_expiry_max: u32,
    /// Whether it gets retained messages only from those who may still publish them.
    pub check_retained_source: bool,
}

impl Client {
    /// The first attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }
}
