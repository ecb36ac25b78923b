//! Who a client is, before and after it was let in.

use crate::UserProperty;
#[cfg(target_family = "wasm")]
use crate::bindings::imports::wasmqtt::plugin::clients;
pub use crate::bindings::imports::wasmqtt::plugin::clients::{Certificate, Client, Connect};
pub use crate::bindings::imports::wasmqtt::plugin::types::{Protocol, Transport};

impl Client {
    /// An attribute that the plugin which authenticated this client gave it. Known only while this
    /// client's own call is in progress; a call into the broker.
    pub fn attribute(&self, name: &str) -> Option<String> {
        #[cfg(target_family = "wasm")]
        return clients::attribute_of(self.key, name);
        #[cfg(not(target_family = "wasm"))]
        return crate::test::client(self.key)?.attributes.remove(name);
    }

    /// The name of the listener the client came in through; a call into the broker.
    pub fn listener(&self) -> Option<String> {
        #[cfg(target_family = "wasm")]
        return clients::listener_of(self.key);
        #[cfg(not(target_family = "wasm"))]
        return crate::test::client(self.key)?.listener;
    }

    /// The client's MQTT version; a call into the broker.
    pub fn protocol(&self) -> Option<Protocol> {
        #[cfg(target_family = "wasm")]
        return clients::protocol_of(self.key);
        #[cfg(not(target_family = "wasm"))]
        return crate::test::client(self.key)?.protocol;
    }

    /// The client's address and port, as in "192.0.2.1:51000", or "unix:uid=1000" at a Unix socket; a call into the broker.
    pub fn peer(&self) -> Option<String> {
        #[cfg(target_family = "wasm")]
        return clients::peer_of(self.key);
        #[cfg(not(target_family = "wasm"))]
        return crate::test::client(self.key)?.peer;
    }
}

impl Connect {
    /// The first user property with this name.
    pub fn user_property(&self, name: &str) -> Option<&str> {
        first(&self.user_properties, name)
    }

    /// The password as text; none when there is none or when it is not UTF-8.
    pub fn password_text(&self) -> Option<&str> {
        std::str::from_utf8(self.password.as_deref()?).ok()
    }
}

fn first<'a>(properties: &'a [UserProperty], name: &str) -> Option<&'a str> {
    properties.iter().find(|property| property.name == name).map(|property| property.value.as_str())
}
