//! Watches for clients that are refused: counts them for monitoring, and writes a line for each that is refused again and
//! again.

use std::collections::HashMap;

use serde::Deserialize;
use wasmqtt_plugin::*;

/// Addresses that are remembered; beyond them it starts over.
const ADDRESSES: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Refusals of one address between two ticks that are worth a line.
    #[serde(default = "often")]
    often: u32,
}

fn often() -> u32 {
    3
}

struct Watch {
    often: u32,
    /// By address, since the last tick.
    refused: HashMap<String, u32>,
    total: metrics::Counter,
    lost: metrics::Counter,
}

impl Plugin for Watch {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        if config.often == 0 {
            return Err("often: is 0; write at least 1".to_owned());
        }
        let watch = Self {
            often: config.often,
            refused: HashMap::new(),
            total: metrics::Counter::new("refused", "Clients that were refused."),
            lost: metrics::Counter::new("lost", "Events that this plugin was not told."),
        };
        let wanted = Registration::new()
            .events([EventKind::ClientRefused])
            .tick_every(std::time::Duration::from_secs(60));
        Ok((watch, wanted))
    }
}

impl Observation for Watch {
    fn on_events(&mut self, events: &[Event], lost: u64) {
        self.lost.add(lost);
        self.total.add(events.len() as u64);
        for event in events {
            // Without the port, which is another one each time.
            let peer = event.peer.as_deref().unwrap_or("nobody knows where");
            let address = peer.rsplit_once(':').map_or(peer, |(address, _)| address);
            if self.refused.len() >= ADDRESSES {
                self.refused.clear();
            }
            let count = self.refused.entry(address.to_owned()).or_default();
            *count += 1;
            if *count == self.often {
                warn!("{address} was refused {count} times within a minute");
            }
        }
    }

    fn tick(&mut self) {
        self.refused.clear();
    }
}

export!(Watch: observation);
