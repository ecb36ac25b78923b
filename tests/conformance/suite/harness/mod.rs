//! What the tests drive: the broker's own program, and clients that send and show bytes as they are. Speaks MQTT by
//! itself: what the broker's codec gets wrong in both directions must not go unseen.

pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod hello;
pub(crate) mod packet;
pub(crate) mod prop;
pub(crate) mod read;
#[path = "../../../it/harness/scram.rs"]
pub(crate) mod scram;
#[path = "../../../it/harness/websocket.rs"]
pub(crate) mod websocket;

use std::time::Duration;

pub(crate) use broker::Broker;
pub(crate) use client::Client;
pub(crate) use hello::{Hello, Will, connect_like};
pub(crate) use packet::{Outgoing, Version, frame, text};
pub(crate) use prop::Prop;
pub(crate) use read::Packet;

/// Both versions, for what they have in common.
pub(crate) const BOTH: [Version; 2] = [Version::V311, Version::V5];

/// How long anything that must happen may take, on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
