//! Clients that come and go at once, again and again, each with an identifier of its own.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use wasmqtt_codec::Version;

use super::Clients;

/// Clients that may wait for their CONNACK; beyond it the storm is slower than asked for.
const WAITING: usize = 5_000;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Storm {
    /// The server
    #[arg(long)]
    pub address: SocketAddr,
    /// Its process
    #[arg(long)]
    pub process: u32,
    /// Connections in a second
    #[arg(long, default_value_t = 1_000.0)]
    pub rate: f64,
    /// How long
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
}

/// Runs it to its end. Answers how many came in and went again.
///
/// # Errors
/// When the server refuses one.
pub fn run(storm: &Storm) -> Result<u64> {
    let mut clients = Clients::new()?;
    let mut waiting = VecDeque::new();
    let (start, mut begun) = (Instant::now(), 0u64);
    let all = (storm.seconds * storm.rate) as u64;
    while begun < all || !waiting.is_empty() {
        let due = all.min((start.elapsed().as_secs_f64() * storm.rate) as u64);
        while begun < due && waiting.len() < WAITING {
            let id = format!("storm{}-{begun}", std::process::id());
            waiting.push_back(clients.connect(storm.address, Version::V311, &id)?);
            begun += 1;
        }
        clients.turn(Duration::from_millis(1))?;
        while let Some(number) = waiting.front().copied().filter(|n| clients.is_connected(*n)) {
            waiting.pop_front();
            clients.close(number)?;
        }
        if clients.counts.closed > 0 {
            bail!("the server refused or closed a connection of the storm");
        }
        if start.elapsed().as_secs_f64() > storm.seconds + 60.0 {
            bail!("{} clients of the storm wait for their CONNACK", waiting.len());
        }
    }
    Ok(begun)
}
