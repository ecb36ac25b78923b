//! MQTT over WebSocket: one upgraded HTTP request, then frames.

mod frames;
mod looks;
mod upgrade;

pub(crate) use frames::Frames;
pub(crate) use looks::Looks;
pub(crate) use upgrade::{Answer, Policy, answer};
