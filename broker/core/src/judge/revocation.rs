//! Rights that no longer hold: whose.

use crate::client::Client;

/// Whom a revocation is about.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// Every client, connected or away.
    Everyone,
    /// The client with this identifier.
    ClientId(Box<str>),
    /// Every client with this authentication name.
    Username(Box<str>),
}

impl Subject {
    /// Whether it is about this client.
    pub fn concerns(&self, client: &Client) -> bool {
        match self {
            Subject::Everyone => true,
            Subject::ClientId(id) => *id == client.id,
            Subject::Username(name) => client.name.as_ref() == Some(name),
        }
    }
}
