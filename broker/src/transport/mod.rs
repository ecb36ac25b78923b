//! What lies between a socket and MQTT. Must not know packets.

pub(crate) mod websocket;
