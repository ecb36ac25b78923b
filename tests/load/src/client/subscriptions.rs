//! A great many subscriptions: how long it takes to make them, what they take of memory, and what a publish costs then.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};

use super::{Clients, Publication};
use crate::process::{Cpu, resident};

/// Messages under way at a time.
const WINDOW: u64 = 1_000;
/// Filters that a client asks for before the next one asks.
const SHARE: usize = 5_000;
/// One in so many filters has a wildcard.
const WILDCARDS: usize = 10;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Subscriptions {
    /// The server
    #[arg(long)]
    pub address: SocketAddr,
    /// Its process
    #[arg(long)]
    pub process: u32,
    /// Clients that subscribe
    #[arg(long, default_value_t = 100)]
    pub clients: usize,
    /// Subscriptions of all of them together
    #[arg(long, default_value_t = 1_000_000)]
    pub subscriptions: usize,
    /// Messages, each to another topic
    #[arg(long, default_value_t = 200_000)]
    pub messages: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Came {
    subscriptions: f64,
    seconds: f64,
    cpu: f64,
    kib: f64,
    published: u64,
    delivered: u64,
    publishing: f64,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subscriptions, seconds, cpu, kib, published, delivered, publishing } = self;
        write!(
            f,
            "subscribe_s={seconds:.3} us_per_subscription={:.3} bytes_per_subscription={:.1} published={published} \
             delivered={delivered} lost={} broker_us_per_delivered={:.3}",
            cpu * 1e6 / subscriptions,
            kib * 1024.0 / subscriptions,
            published.saturating_sub(*delivered),
            publishing * 1e6 / (*delivered).max(1) as f64,
        )
    }
}

/// Of one device of a fleet, and the topic that it is meant for.
fn filter(number: usize) -> (String, String) {
    let topic = format!("fleet/{}/device/{number}/telemetry", number % 1_000);
    if number.is_multiple_of(WILDCARDS) {
        return (format!("fleet/{}/+/{number}/telemetry", number % 1_000), topic);
    }
    (topic.clone(), topic)
}

/// Runs it to its end.
///
/// # Errors
/// When the server refuses a subscription or a connection.
pub fn run(what: &Subscriptions) -> Result<Came> {
    let mut clients = Clients::new()?;
    for number in 0..=what.clients {
        clients.connect(what.address, Version::V311, &format!("c{number}"))?;
    }
    let all = what.clients as u64 + 1;
    clients.until("CONNACK", |counts| counts.connected == all)?;
    let (memory, cpu) = (resident(what.process)?, Cpu::of(what.process)?);
    let start = Instant::now();
    let numbers: Vec<usize> = (0..what.subscriptions).collect();
    for (turn, some) in numbers.chunks(SHARE).enumerate() {
        let filters: Vec<String> = some.iter().map(|number| filter(*number).0).collect();
        clients.subscribe(
            turn % what.clients,
            filters.iter().map(String::as_str),
            QoS::AtMostOnce,
        )?;
        let asked = ((turn * SHARE) + some.len()) as u64;
        clients.until("SUBACK", |counts| counts.subscribed == asked)?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let used = Cpu::of(what.process)?.since(&cpu);
    let kib = resident(what.process)? - memory;
    let before = Cpu::of(what.process)?;
    publish(&mut clients, what)?;
    let publishing = Cpu::of(what.process)?.since(&before);
    let counts = clients.counts;
    Ok(Came {
        subscriptions: what.subscriptions as f64,
        seconds,
        cpu: used,
        kib,
        published: counts.published,
        delivered: counts.delivered,
        publishing,
    })
}

/// To topics that lie far from each other.
fn publish(clients: &mut Clients, what: &Subscriptions) -> Result<()> {
    let none = MessagePropertiesBuf::new();
    let (publisher, mut number) = (what.clients, 0usize);
    while clients.counts.published < what.messages {
        while clients.counts.published < what.messages
            && clients.counts.published - clients.counts.delivered < WINDOW
        {
            number = (number + 611_953) % what.subscriptions;
            let publication = Publication {
                topic: &filter(number).1,
                properties: &none,
                payload: &[b'a'; 64],
                qos: QoS::AtMostOnce,
                retain: false,
            };
            clients.publish(publisher, &publication)?;
        }
        clients.flush(publisher)?;
        clients.turn(Duration::from_millis(1))?;
    }
    let all = what.messages;
    clients.until("all messages", |counts| counts.delivered >= all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Outcome;

    #[test]
    fn one_filter_in_ten_has_a_wildcard_and_matches_its_topic_only() {
        assert_eq!(
            filter(7),
            ("fleet/7/device/7/telemetry".into(), "fleet/7/device/7/telemetry".into())
        );
        let (wild, topic) = filter(1_020);
        assert_eq!(wild, "fleet/20/+/1020/telemetry");
        assert_eq!(topic, "fleet/20/device/1020/telemetry");
    }

    #[test]
    fn what_came_is_of_each_subscription() {
        let came = Came {
            subscriptions: 1_000.0,
            seconds: 2.0,
            cpu: 0.5,
            kib: 500.0,
            published: 20,
            delivered: 10,
            publishing: 0.001,
        };
        let outcome = Outcome::read(&came.to_string());
        assert_eq!(outcome.get("us_per_subscription").unwrap(), 500.0);
        assert_eq!(outcome.get("bytes_per_subscription").unwrap(), 512.0);
        assert_eq!(outcome.get("broker_us_per_delivered").unwrap(), 100.0);
        assert_eq!(outcome.lost(), 0.5);
    }
}
