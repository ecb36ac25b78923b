//! What a client publishes, between the verb that took it from its packet and the one that routes it.

use wasmqtt_codec::{MessagePropertiesBuf, PacketId, QoS};
use wasmqtt_core::message::{Origin, Parts};
use wasmqtt_core::time::Moment;

/// A publication in the driver's own memory, for as long as its turn is held.
pub(crate) struct Publication {
    pub(crate) packet_id: Option<PacketId>,
    topic: String,
    properties: MessagePropertiesBuf,
    payload: Vec<u8>,
    pub(crate) qos: QoS,
    retain: bool,
    origin: Origin,
    expires_at: Option<Moment>,
}

impl Publication {
    pub(crate) fn of(publication: &wasmqtt_core::connection::Publication<'_>) -> Self {
        let parts = &publication.parts;
        Self {
            packet_id: publication.packet_id,
            topic: parts.topic.to_owned(),
            properties: parts.properties.into(),
            payload: parts.payload.to_vec(),
            qos: parts.qos,
            retain: parts.retain,
            origin: parts.origin,
            expires_at: parts.expires_at,
        }
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            topic: &self.topic,
            properties: self.properties.as_view(),
            payload: &self.payload,
            qos: self.qos,
            retain: self.retain,
            origin: self.origin,
            expires_at: self.expires_at,
        }
    }
}
