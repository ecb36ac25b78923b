//! Handshakes that are no honest ones.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::Stage;
use crate::wire::{connect, open, push};

/// Programs, or threads, at a time.
const ATTACKERS: usize = 4;
/// How long a program has to be let do it.
const ATTEMPT: Duration = Duration::from_secs(1);
/// New keys on one connection.
const KEYS: usize = 1000;

/// Only OpenSSL still does it, so that it takes a program of others.
pub(super) fn renegotiation(stage: &Stage<'_>) -> Result<bool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../it/clients/tls_renegotiate.mjs");
    let node = || {
        let mut command = Command::new("node");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if !node().arg("--version").status().is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    let port = stage.target.tls.port().to_string();
    thread::scope(|scope| {
        for _ in 0..ATTACKERS {
            scope.spawn(|| {
                while stage.goes_on() {
                    let mut command = node();
                    command.arg(&script).arg(&port).arg(stage.target.certificate()).arg("1000");
                    let Ok(mut child) = command.spawn() else { return };
                    stage.effort.connected();
                    let start = Instant::now();
                    // A broker that ignores it has it wait for nothing.
                    while stage.goes_on()
                        && start.elapsed() < ATTEMPT
                        && matches!(child.try_wait(), Ok(None))
                    {
                        thread::sleep(Duration::from_millis(10));
                    }
                    let _ = child.kill();
                    let _ = child.wait();
                }
            });
        }
    });
    Ok(true)
}

pub(super) fn early_data(stage: &Stage<'_>) -> Result<bool> {
    let mut config = stage.target.dialler(&[&rustls::version::TLS13])?;
    config.enable_early_data = true;
    let config = Arc::new(config);
    thread::scope(|scope| {
        for number in 0..ATTACKERS {
            let config = &config;
            scope.spawn(move || {
                while stage.goes_on() {
                    // What goes wrong is what is wanted.
                    let _ = junk_before_the_handshake(stage, config);
                    let _ = resumed(stage, config, number);
                }
            });
        }
    });
    Ok(true)
}

fn session(stage: &Stage<'_>, config: &Arc<ClientConfig>) -> Result<(ClientConnection, TcpStream)> {
    let session = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
    let stream = open(stage.target.tls)?;
    stage.effort.connected();
    Ok((session, stream))
}

/// Records of data right behind the first word, as if there were keys for them already.
fn junk_before_the_handshake(stage: &Stage<'_>, config: &Arc<ClientConfig>) -> Result<()> {
    let (mut session, mut stream) = session(stage, config)?;
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes)?;
    let record = [&[0x17, 3, 3, 0x40, 0][..], &[b'x'; 0x4000]].concat();
    bytes.extend(record.repeat(4));
    let mut there = true;
    while there && stage.goes_on() {
        let (sent, still) = push(&mut stream, &bytes);
        stage.effort.sent(sent);
        there = still && sent > 0;
        bytes.clone_from(&record);
    }
    Ok(())
}

/// A handshake with the ticket of the one before, CONNECT, and then new keys without end.
fn resumed(stage: &Stage<'_>, config: &Arc<ClientConfig>, number: usize) -> Result<()> {
    let (session, stream) = session(stage, config)?;
    let mut sealed = StreamOwned::new(session, stream);
    let packet = connect(&format!("keys-{number}"), 0);
    sealed.write_all(&packet)?;
    stage.effort.sent(packet.len());
    // The ticket comes with the answer.
    let _ = sealed.read(&mut [0; 64])?;
    for _ in 0..KEYS {
        sealed.conn.refresh_traffic_keys()?;
        stage.effort.sent(sealed.conn.write_tls(&mut sealed.sock)?);
    }
    Ok(())
}
