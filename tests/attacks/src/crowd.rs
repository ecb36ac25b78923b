//! Well-behaved clients: pairs that exchange messages of every QoS at a modest rate. Must not know what is done to the
//! broker meanwhile.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};
use wasmqtt_load::client::{Clients, Publication};

/// How long what is under way at the end may take to arrive.
const DRAIN: Duration = Duration::from_secs(120);
const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
/// Bytes of a message.
const SIZE: usize = 64;
/// The longest pause that they make up for.
const BEHIND: Duration = Duration::from_millis(200);
/// How long they sleep at most between two looks at the time.
const PACE: Duration = Duration::from_millis(1);

/// Pairs that are connected and subscribed.
#[derive(Debug)]
pub struct Crowd {
    clients: Clients,
    publishers: Vec<usize>,
    topics: Vec<String>,
    next: usize,
}

/// What they noticed.
#[derive(Clone, Debug, Default)]
pub struct Noticed {
    /// Messages that were published.
    pub sent: u64,
    /// Messages that arrived.
    pub received: u64,
    /// Connections that the broker closed.
    pub closed: u64,
    /// Nanoseconds that each message was under way, sorted.
    pub latencies: Vec<u64>,
}

impl Noticed {
    /// What did not arrive.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Milliseconds that this part of all messages, from 0 to 1, was not under way for longer.
    #[must_use]
    pub fn quantile(&self, part: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * part).ceil() as usize;
        self.latencies.get(at).map_or(0.0, |nanoseconds| *nanoseconds as f64 / 1e6)
    }
}

impl Crowd {
    /// Connects them, half of them as subscribers; a third of the pairs with each QoS.
    ///
    /// # Errors
    /// When the broker does not let them in.
    pub fn enter(address: SocketAddr, count: usize) -> Result<Self> {
        let mut clients = Clients::new()?;
        let pairs = (count / 2).max(1);
        let topics: Vec<String> = (0..pairs).map(|pair| format!("crowd/{pair}")).collect();
        let version =
            |pair: usize| if pair.is_multiple_of(2) { Version::V5 } else { Version::V311 };
        for (pair, topic) in topics.iter().enumerate() {
            let number = clients.connect(address, version(pair), &format!("crowd-sub-{pair}"))?;
            clients.subscribe(number, [topic.as_str()], QoS::ExactlyOnce)?;
        }
        let publishers = (0..pairs)
            .map(|pair| clients.connect(address, version(pair), &format!("crowd-pub-{pair}")))
            .collect::<Result<_>>()?;
        let all = pairs as u64;
        clients.until("CONNACK and SUBACK", |counts| {
            counts.connected == 2 * all && counts.subscribed == all
        })?;
        clients.latencies = Some(Vec::new());
        Ok(Self { clients, publishers, topics, next: 0 })
    }

    /// Exchanges so many messages in a second until it is told to stop, and then waits for those that are under way.
    ///
    /// # Errors
    /// When a connection fails in another way than by being closed.
    pub fn exchange(mut self, rate: f64, stop: &AtomicBool) -> Result<Noticed> {
        let mut due = 0.0;
        let mut last = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            // Who was kept from its work for long, by this machine, does not make up for it all at once.
            due += last.elapsed().min(BEHIND).as_secs_f64() * rate;
            last = Instant::now();
            while (self.clients.counts.published as f64) < due {
                self.publish()?;
            }
            self.clients.turn(PACE)?;
        }
        let end = Instant::now() + DRAIN;
        while self.is_under_way() && Instant::now() < end {
            self.clients.turn(Duration::from_millis(5))?;
        }
        let counts = self.clients.counts;
        let mut latencies = self.clients.latencies.take().unwrap_or_default();
        latencies.sort_unstable();
        let (sent, received, closed) = (counts.published, counts.delivered, counts.closed);
        Ok(Noticed { sent, received, closed, latencies })
    }

    fn is_under_way(&self) -> bool {
        let counts = self.clients.counts;
        // Those that are cut off would be waited for in vain.
        counts.delivered < counts.published && counts.closed == 0
    }

    fn publish(&mut self) -> Result<()> {
        let pair = self.next % self.publishers.len();
        self.next += 1;
        let mut payload = [b'a'; SIZE];
        if let Some(head) = payload.first_chunk_mut() {
            *head = self.clients.now().to_be_bytes();
        }
        let publication = Publication {
            topic: &self.topics[pair],
            properties: &MessagePropertiesBuf::new(),
            payload: &payload,
            qos: QOS[pair % QOS.len()],
            retain: false,
        };
        self.clients.publish(self.publishers[pair], &publication)?;
        self.clients.flush(self.publishers[pair])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noticed_is_told_in_milliseconds() {
        let latencies = (1..=100).map(|number| number * 1_000_000).collect();
        let noticed = Noticed { sent: 101, received: 100, closed: 0, latencies };
        assert_eq!(
            (noticed.quantile(0.0), noticed.quantile(0.5), noticed.quantile(1.0)),
            (1.0, 51.0, 100.0)
        );
        assert_eq!(noticed.lost(), 1);
        assert_eq!(Noticed::default().quantile(0.99), 0.0);
    }
}
