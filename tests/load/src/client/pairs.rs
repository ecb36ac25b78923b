//! Publishers and subscribers in pairs, in a closed loop: what the load tool does, with as many properties as wanted.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};

use super::{Clients, Publication};
use crate::process::Cpu;

/// How long what is under way at the end may take to arrive.
const DRAIN: Duration = Duration::from_secs(20);
/// Bytes that may wait in front of a socket before its publisher pauses.
const CROWDED: usize = 64 * 1024;
/// What a message of MQTT 5 carries.
const PROPERTIES: [(&str, &str); 3] =
    [("region", "eu"), ("unit", "celsius"), ("sensor", "hall-7/a")];

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Pairs {
    /// The server
    #[arg(long)]
    pub address: SocketAddr,
    /// Its process
    #[arg(long)]
    pub process: u32,
    /// Pairs
    #[arg(long, default_value_t = 50)]
    pub pairs: usize,
    /// Messages of each pair that may be under way
    #[arg(long, default_value_t = 100)]
    pub window: u64,
    /// How long
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Bytes of a payload
    #[arg(long, default_value_t = 64)]
    pub size: usize,
    /// MQTT 5 instead of 3.1.1
    #[arg(long)]
    pub v5: bool,
    /// User properties of each message, at most three, with MQTT 5
    #[arg(long, default_value_t = 0)]
    pub properties: usize,
    /// What stands before the topics that are subscribed to: where a plugin moves messages
    #[arg(long, default_value = "")]
    pub subscribe_below: String,
    /// Messages in a second of all pairs, evenly, with their latency; 0 = in a closed loop
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
}

/// What came of it, printed as the load tool prints it.
#[derive(Clone, Debug)]
pub struct Came {
    wall: f64,
    cpu: f64,
    published: u64,
    delivered: u64,
    latencies: Vec<u64>,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wall, cpu, published, delivered, latencies } = self;
        let lost = published.saturating_sub(*delivered);
        let each = cpu * 1e6 / (*delivered).max(1) as f64;
        let rate = *delivered as f64 / wall;
        write!(
            f,
            "wall={wall:.2} published={published} delivered={delivered} lost={lost} msg_s={rate:.0} \
             broker_cpu_s={cpu:.2} broker_us_per_delivered={each:.3}"
        )?;
        if latencies.is_empty() {
            return Ok(());
        }
        let mut sorted = latencies.clone();
        sorted.sort_unstable();
        let at = |part: f64| quantile(&sorted, part) as f64 / 1e3;
        write!(
            f,
            " p50={:.0} p99={:.0} p999={:.0} max={:.0}",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        )
    }
}

/// The value that this part of all is not above.
fn quantile(sorted: &[u64], part: f64) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).ceil() as usize).copied().unwrap_or_default()
}

/// Pairs that are connected and subscribed.
#[derive(Debug)]
pub struct Connected {
    clients: Clients,
    topics: Vec<String>,
    publishers: Vec<usize>,
    properties: MessagePropertiesBuf,
    payload: Vec<u8>,
    next: usize,
}

/// Runs it to its end.
///
/// # Errors
/// When the server refuses or closes a connection.
pub fn run(pairs: &Pairs) -> Result<Came> {
    let mut connected = Connected::new(pairs)?;
    let (cpu, start) = (Cpu::of(pairs.process)?, Instant::now());
    while start.elapsed().as_secs_f64() < pairs.seconds {
        if pairs.rate > 0.0 {
            let due = (start.elapsed().as_secs_f64() * pairs.rate) as u64;
            connected.catch_up(due)?;
            connected.clients.turn(Duration::from_micros(100))?;
        } else {
            connected.top_up(pairs.window)?;
            connected.clients.turn(Duration::from_millis(1))?;
        }
    }
    if pairs.rate > 0.0 {
        connected.catch_up((pairs.seconds * pairs.rate) as u64)?;
    }
    connected.drain()?;
    let wall = start.elapsed().as_secs_f64();
    let cpu = Cpu::of(pairs.process)?.since(&cpu);
    let counts = connected.clients.counts;
    let latencies = connected.clients.latencies.unwrap_or_default();
    Ok(Came { wall, cpu, published: counts.published, delivered: counts.delivered, latencies })
}

impl Connected {
    fn new(pairs: &Pairs) -> Result<Self> {
        let mut clients = Clients::new()?;
        let version = if pairs.v5 { Version::V5 } else { Version::V311 };
        let tag = std::process::id();
        let topics: Vec<String> =
            (0..pairs.pairs).map(|i| format!("bench/{i}/telemetry")).collect();
        for (i, topic) in topics.iter().enumerate() {
            let number = clients.connect(pairs.address, version, &format!("s{tag}-{i}"))?;
            let filter = format!("{}{topic}", pairs.subscribe_below);
            clients.subscribe(number, [filter.as_str()], QoS::AtMostOnce)?;
        }
        let publishers = (0..pairs.pairs)
            .map(|i| clients.connect(pairs.address, version, &format!("p{tag}-{i}")))
            .collect::<Result<Vec<_>>>()?;
        let all = pairs.pairs as u64;
        clients.until("CONNACK and SUBACK", |counts| {
            counts.connected == 2 * all && counts.subscribed == all
        })?;
        let mut properties = MessagePropertiesBuf::new();
        for (name, value) in PROPERTIES.iter().take(pairs.properties) {
            properties.add_user_property(name, value)?;
        }
        clients.latencies = (pairs.rate > 0.0).then(Vec::new);
        let payload = vec![b'a'; pairs.size];
        Ok(Self { clients, topics, publishers, properties, payload, next: 0 })
    }

    fn publish(&mut self, index: usize) -> Result<()> {
        let now = self.clients.now().to_be_bytes();
        if let Some(head) = self.payload.first_chunk_mut() {
            *head = now;
        }
        let publication = Publication {
            topic: &self.topics[index],
            properties: &self.properties,
            payload: &self.payload,
            qos: QoS::AtMostOnce,
            retain: false,
        };
        self.clients.publish(self.publishers[index], &publication)
    }

    /// As many as there should have been by now.
    fn catch_up(&mut self, due: u64) -> Result<()> {
        while self.clients.counts.published < due {
            let index = self.next % self.publishers.len();
            self.next += 1;
            self.publish(index)?;
            self.clients.flush(self.publishers[index])?;
        }
        Ok(())
    }

    /// As many as the windows of all pairs together have room for, one publisher after the other.
    fn top_up(&mut self, window: u64) -> Result<()> {
        let all = self.publishers.len() as u64;
        let under_way = self.clients.counts.published - self.clients.counts.delivered;
        let mut left = (window * all).saturating_sub(under_way);
        let each = left.div_ceil(all).clamp(1, window);
        for _ in 0..self.publishers.len() {
            let index = self.next % self.publishers.len();
            if left == 0 {
                break;
            }
            self.next += 1;
            if self.clients.waiting(self.publishers[index]) > CROWDED {
                continue;
            }
            let now = each.min(left);
            for _ in 0..now {
                self.publish(index)?;
            }
            left -= now;
            self.clients.flush(self.publishers[index])?;
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        let end = Instant::now() + DRAIN;
        while self.clients.counts.delivered < self.clients.counts.published && Instant::now() < end
        {
            self.clients.turn(Duration::from_millis(5))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Outcome;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sorted: Vec<u64> = (1..=100).collect();
        assert_eq!(quantile(&sorted, 0.5), 51);
        assert_eq!(quantile(&sorted, 0.99), 100);
        assert_eq!(quantile(&sorted, 0.0), 1);
        assert_eq!(quantile(&[7], 0.99), 7);
        assert_eq!(quantile(&[], 0.5), 0);
    }

    #[test]
    fn what_came_is_read_as_the_load_tools_is() {
        let latencies = vec![3_000, 1_000, 2_000];
        let came = Came { wall: 2.0, cpu: 0.5, published: 100, delivered: 50, latencies };
        let outcome = Outcome::read(&came.to_string());
        assert_eq!(outcome.get("broker_us_per_delivered").unwrap(), 10_000.0);
        assert_eq!(outcome.get("msg_s").unwrap(), 25.0);
        assert_eq!(outcome.get("p50").unwrap(), 2.0);
        assert_eq!(outcome.lost(), 0.5);
    }
}
