//! A great many retained messages, and one client that asks for all of them.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};

use super::{Clients, Publication};
use crate::process::{Cpu, resident};

/// Messages that are not acknowledged at a time.
const WINDOW: u64 = 500;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Retained {
    /// The server
    #[arg(long)]
    pub address: SocketAddr,
    /// Its process
    #[arg(long)]
    pub process: u32,
    /// Messages, each with a topic of its own
    #[arg(long, default_value_t = 100_000)]
    pub messages: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Came {
    messages: f64,
    kib: f64,
    seconds: f64,
    cpu: f64,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, kib, seconds, cpu } = self;
        write!(
            f,
            "bytes_per_retained={:.1} read_s={seconds:.3} delivered={messages} broker_us_per_delivered={:.3}",
            kib * 1024.0 / messages,
            cpu * 1e6 / messages
        )
    }
}

/// Runs it to its end.
///
/// # Errors
/// When the server refuses something, or not all messages come.
pub fn run(what: &Retained) -> Result<Came> {
    let mut clients = Clients::new()?;
    let publisher = clients.connect(what.address, Version::V311, "publisher")?;
    clients.until("CONNACK", |counts| counts.connected == 1)?;
    let memory = resident(what.process)?;
    let none = MessagePropertiesBuf::new();
    while clients.counts.acknowledged < what.messages {
        while clients.counts.published < what.messages && clients.in_flight(publisher) < WINDOW {
            let number = clients.counts.published;
            let publication = Publication {
                topic: &format!("fleet/{}/device/{number}/state", number % 1_000),
                properties: &none,
                payload: &[b'a'; 64],
                qos: QoS::AtLeastOnce,
                retain: true,
            };
            clients.publish(publisher, &publication)?;
        }
        clients.flush(publisher)?;
        clients.turn(Duration::from_millis(5))?;
    }
    let kib = resident(what.process)? - memory;
    let reader = clients.connect(what.address, Version::V311, "reader")?;
    clients.until("CONNACK", |counts| counts.connected == 2)?;
    let (cpu, start) = (Cpu::of(what.process)?, Instant::now());
    clients.subscribe(reader, ["#"], QoS::AtMostOnce)?;
    let all = what.messages;
    clients.until("all retained messages", |counts| counts.delivered >= all)?;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), Cpu::of(what.process)?.since(&cpu));
    Ok(Came { messages: all as f64, kib, seconds, cpu })
}
