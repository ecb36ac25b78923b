//! Who is connected, as routing and judgement see it.

use wasmqtt_codec::Version;

use crate::judge::{Connecting, Identity, Permissions};
use crate::limits::Limits;

/// The number of a listener, or rather of its name: stable for the life of the process, also when there is none of that
/// name for a while.
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

/// What a client's certificate says, after somebody has verified it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    /// Of the subject.
    pub common_name: Option<String>,
    /// The whole subject, as in `O=Example, CN=device-1`.
    pub subject: String,
    /// Alternative names that are hosts.
    pub dns_names: Vec<String>,
    /// Alternative names that are URIs.
    pub uris: Vec<String>,
    /// Alternative names that are addresses of electronic mail.
    pub emails: Vec<String>,
    /// Of the whole certificate; none when only a proxy has seen it.
    pub sha256: Option<[u8; 32]>,
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
    /// The client that connects like this and turned out to be this.
    pub fn admitted(
        connecting: &Connecting,
        identity: &Identity,
        client_id: &str,
        key: u64,
        limits: &Limits,
    ) -> Self {
        let name = Self::name_of(connecting, identity);
        let permissions = Permissions::resolve(&identity.permissions, |variable| match variable {
            "client_id" => Some(client_id),
            "username" => name,
            other => {
                let attribute = other.strip_prefix("attribute.")?;
                let (_, value) = identity.attributes.iter().find(|(key, _)| key == attribute)?;
                Some(value)
            }
        });
        Self {
            key,
            id: client_id.into(),
            name: name.map(Into::into),
            listener: connecting.listener,
            version: connecting.version,
            transport: connecting.transport,
            peer: connecting.peer.as_str().into(),
            attributes: identity
                .attributes
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
                .collect(),
            permissions,
            message_expiry_max: limits.message_expiry_max,
            check_retained_source: limits.features.check_retained_source,
        }
    }

    /// The name that owns its session.
    pub(crate) fn name_of<'a>(
        connecting: &'a Connecting,
        identity: &'a Identity,
    ) -> Option<&'a str> {
        identity.name.as_deref().or(connecting.username.as_deref())
    }

    /// The first attribute with this name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }
}
