//! Connections that take a place and never get anywhere.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::Stage;
use crate::wire::{connect, is_closed, open, push};

/// Between two looks at who was closed.
const ROUND: Duration = Duration::from_millis(250);

pub(super) fn tcp(stage: &Stage<'_>) -> Result<bool> {
    hold(stage, stage.target.tcp, &[]);
    Ok(true)
}

pub(super) fn tls(stage: &Stage<'_>) -> Result<bool> {
    let config = stage.target.dialler(rustls::ALL_VERSIONS)?;
    let mut session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
    let mut hello = Vec::new();
    session.write_tls(&mut hello)?;
    hold(stage, stage.target.tls, &hello);
    Ok(true)
}

/// Keeps so many connections open, each of which has sent this.
fn hold(stage: &Stage<'_>, address: SocketAddr, first: &[u8]) {
    let mut held: Vec<TcpStream> = Vec::new();
    while stage.goes_on() {
        let start = Instant::now();
        while held.len() < stage.scale.connections && stage.goes_on() {
            // The broker, or this machine, has no place at the moment.
            let Ok(mut stream) = open(address) else { break };
            stage.effort.connected();
            stage.effort.sent(push(&mut stream, first).0);
            held.push(stream);
        }
        held.retain_mut(|stream| !is_closed(stream));
        thread::sleep(ROUND.saturating_sub(start.elapsed()));
    }
}

/// Each is as long in CONNECT as the broker lets it.
pub(super) fn trickle(stage: &Stage<'_>) -> Result<bool> {
    let packet = connect(&"x".repeat(200), 0);
    let mut held: Vec<(TcpStream, usize)> = Vec::new();
    while stage.goes_on() {
        let start = Instant::now();
        while held.len() < stage.scale.connections && stage.goes_on() {
            let Ok(stream) = open(stage.target.tcp) else { break };
            stage.effort.connected();
            held.push((stream, 0));
        }
        held.retain_mut(|(stream, at)| {
            let byte = packet.get(*at..=*at).unwrap_or_default();
            let (sent, there) = push(stream, byte);
            stage.effort.sent(sent);
            *at += sent;
            there && !is_closed(stream)
        });
        while start.elapsed() < Duration::from_secs(1) && stage.goes_on() {
            thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(true)
}
