//! The `clients` capability: more about the clients of the call in progress, and about no other.

use wasmqtt_core::client::Client;

use super::Host;
use crate::bindings::wasmqtt::plugin::clients;
use crate::bindings::wasmqtt::plugin::types::Protocol;
use crate::convert;

impl Host {
    fn known(&self, key: u64) -> Option<&Client> {
        let publisher = || self.message.as_ref().and_then(|message| message.publisher());
        self.client
            .as_deref()
            .filter(|client| client.key == key)
            .or_else(|| publisher().filter(|client| client.key == key))
    }
}

impl clients::Host for Host {
    fn listener_of(&mut self, client: u64) -> Option<String> {
        let listener = self.known(client)?.listener;
        let name = self.surroundings.listeners.get(usize::from(listener.0))?;
        Some(name.to_string())
    }

    fn protocol_of(&mut self, client: u64) -> Option<Protocol> {
        self.known(client).map(|client| convert::protocol(client.version))
    }

    fn peer_of(&mut self, client: u64) -> Option<String> {
        self.known(client).map(|client| client.peer.to_string())
    }

    fn attribute_of(&mut self, client: u64, name: String) -> Option<String> {
        self.known(client)?.attribute(&name).map(str::to_owned)
    }
}
