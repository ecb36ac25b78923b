//! What lies between a socket and MQTT. Must not know packets.

mod peer;
pub(crate) mod proxy;
mod stream;
pub(crate) mod tls;
pub(crate) mod websocket;

pub(crate) use peer::Peer;
pub(crate) use stream::Stream;
