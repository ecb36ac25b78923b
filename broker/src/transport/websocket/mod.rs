//! MQTT over WebSocket: one upgraded HTTP request, then frames.

mod frames;
mod upgrade;

pub(crate) use frames::Frames;
pub(crate) use upgrade::{Answer, Policy, answer};
