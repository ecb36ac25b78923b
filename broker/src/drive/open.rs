//! What lies below MQTT is opened: from the first byte to where the first packet may begin.

use std::net::SocketAddr;

use super::enter::{Stopped, read_more};
use super::wire::Wire;
use crate::listen::Settings;
use crate::transport::websocket::{self, Answer, Frames, Policy};

/// Makes of the stream what the listener speaks. `peer` becomes whom a trusted proxy speaks for.
pub(super) async fn open(
    wire: &mut Wire,
    peer: &mut SocketAddr,
    settings: &Settings,
) -> Result<(), Stopped> {
    if let Some(policy) = &settings.websocket {
        upgrade(wire, peer, policy).await?;
    }
    Ok(())
}

async fn upgrade(wire: &mut Wire, peer: &mut SocketAddr, policy: &Policy) -> Result<(), Stopped> {
    let answer = loop {
        match websocket::answer(wire.kept(), policy, peer.ip()) {
            Some(answer) => break answer,
            None => read_more(wire).await?,
        }
    };
    match answer {
        Answer::Refuse { response, why } => Err(Stopped::Unopened(response, why)),
        Answer::Upgrade { mut response, forwarded } => {
            wire.forget(wire.kept().len());
            wire.append(&mut response);
            wire.flush().await.map_err(|_| Stopped::Gone)?;
            wire.upgrade(Frames::new(policy.max_message));
            *peer = forwarded.unwrap_or(*peer);
            Ok(())
        }
    }
}
