//! `$SYS`: what the broker says of itself, under the names mosquitto gave them, so that dashboards and exporters made
//! for it work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmqtt_core::broker::Broker;
use wasmqtt_sandbox::{OutcomeStatus, PluginStatus, Sandbox};

use crate::count::Counters;
use crate::reload::{History, Past};
use crate::worker::Workers;

/// Windows of the load averages.
const WINDOWS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// Publishes every `interval`, for ever; zero = never.
pub(crate) async fn publish(
    broker: Arc<Broker>,
    sandbox: Arc<Sandbox>,
    workers: Arc<Workers>,
    reloads: Arc<History>,
    interval: Duration,
) {
    if interval.is_zero() {
        return;
    }
    let mut tree = Tree::new();
    let census = workers.census();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let gauges = Gauges {
            connected: workers.connections(),
            sessions: broker.sessions(),
            subscriptions: broker.subscriptions(),
            shared: broker.shared_subscriptions(),
            retained: broker.retained(),
            retained_bytes: broker.retained_bytes(),
        };
        let counted = census.counters().await.unwrap_or_default();
        let mut topics = tree.topics(Instant::now(), &counted, &gauges);
        topics.extend(plugins(sandbox.current().plugins()));
        topics.extend(reload(&reloads.past()));
        workers.publish_own(topics).await;
    }
}

/// What came of the reloads. Clients may read this, so it does not say what is wrong with a configuration: that quotes it.
fn reload(past: &Past) -> Vec<(String, String)> {
    let Some(last) = &past.last else { return Vec::new() };
    let counts = past.counts().map(|(outcome, count)| (outcome, count.to_string()));
    let last = [("outcome", last.outcome.to_owned()), ("time", last.time.clone())];
    let topics = last.into_iter().chain(counts);
    topics.map(|(name, value)| (format!("$SYS/broker/reload/{name}"), value)).collect()
}

/// What became of the plugins: what has not happened yet is not said.
fn plugins(plugins: impl Iterator<Item = PluginStatus>) -> Vec<(String, String)> {
    let mut topics = Vec::new();
    for plugin in plugins {
        let mut say = |name: &str, value: String| {
            topics.push((format!("$SYS/broker/plugins/{}/{name}", plugin.name), value));
        };
        say("suspended", u8::from(plugin.suspended).to_string());
        for OutcomeStatus { hook, outcome, count, .. } in &plugin.outcomes {
            say(&format!("{hook}/{outcome}"), count.to_string());
        }
    }
    topics
}

/// What is, rather than what was counted.
#[derive(Default)]
struct Gauges {
    connected: usize,
    sessions: usize,
    subscriptions: usize,
    /// Those of them that are shared.
    shared: usize,
    retained: usize,
    retained_bytes: usize,
}

/// Messages per minute and the like, as moving averages.
#[derive(Default)]
struct Load([f64; WINDOWS.len()]);

impl Load {
    /// Takes in `count` more events within `elapsed` seconds.
    fn add(&mut self, count: u64, elapsed: f64) {
        let per_minute = count as f64 / elapsed * 60.0;
        for (average, (_, window)) in self.0.iter_mut().zip(WINDOWS) {
            *average = per_minute + (*average - per_minute) * (-elapsed / window).exp();
        }
    }
}

struct Tree {
    started: Instant,
    updated: Instant,
    before: Counters,
    loads: [Load; 9],
    most_connected: usize,
}

impl Tree {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            updated: now,
            before: Counters::default(),
            loads: Default::default(),
            most_connected: 0,
        }
    }

    fn topics(&mut self, now: Instant, count: &Counters, gauges: &Gauges) -> Vec<(String, String)> {
        self.most_connected = self.most_connected.max(gauges.connected);
        let uptime = now.duration_since(self.started).as_secs();
        let disconnected = gauges.sessions.saturating_sub(gauges.connected);
        let mut topics: Vec<(String, String)> = [
            ("version", concat!("wasmqtt ", env!("CARGO_PKG_VERSION")).to_owned()),
            ("uptime", format!("{uptime} seconds")),
            ("clients/connected", gauges.connected.to_string()),
            ("clients/active", gauges.connected.to_string()),
            ("clients/disconnected", disconnected.to_string()),
            ("clients/inactive", disconnected.to_string()),
            ("clients/maximum", self.most_connected.to_string()),
            ("clients/total", gauges.sessions.to_string()),
            ("clients/expired", count.sessions_expired.to_string()),
            ("connections/socket/count", count.connections.to_string()),
            ("bytes/received", count.bytes_received.to_string()),
            ("bytes/sent", count.bytes_sent.to_string()),
            ("messages/received", count.packets().to_string()),
            ("messages/sent", count.packets_sent().to_string()),
            ("messages/stored", gauges.retained.to_string()),
            ("publish/bytes/received", count.publish_bytes_received.to_string()),
            ("publish/bytes/sent", count.publish_bytes_sent.to_string()),
            ("publish/messages/received", count.publish_received.to_string()),
            ("publish/messages/sent", count.publish_sent.to_string()),
            ("publish/messages/dropped", count.lost().to_string()),
            ("retained messages/count", gauges.retained.to_string()),
            ("shared_subscriptions/count", gauges.shared.to_string()),
            ("store/messages/bytes", gauges.retained_bytes.to_string()),
            ("store/messages/count", gauges.retained.to_string()),
            ("subscriptions/count", gauges.subscriptions.to_string()),
        ]
        .map(|(name, value)| (format!("$SYS/broker/{name}"), value))
        .into();
        self.add_loads(now, count, &mut topics);
        topics
    }

    fn add_loads(&mut self, now: Instant, count: &Counters, topics: &mut Vec<(String, String)>) {
        let elapsed = now.duration_since(self.updated).as_secs_f64();
        let before = std::mem::replace(&mut self.before, count.clone());
        self.updated = now;
        let events = [
            ("connections", count.connects().saturating_sub(before.connects())),
            ("sockets", count.connections.saturating_sub(before.connections)),
            ("bytes/received", count.bytes_received.saturating_sub(before.bytes_received)),
            ("bytes/sent", count.bytes_sent.saturating_sub(before.bytes_sent)),
            ("messages/received", count.packets().saturating_sub(before.packets())),
            ("messages/sent", count.packets_sent().saturating_sub(before.packets_sent())),
            ("publish/received", count.publish_received.saturating_sub(before.publish_received)),
            ("publish/sent", count.publish_sent.saturating_sub(before.publish_sent)),
            ("publish/dropped", count.lost().saturating_sub(before.lost())),
        ];
        for (load, (name, more)) in self.loads.iter_mut().zip(events) {
            if elapsed > 0.0 {
                load.add(more, elapsed);
            }
            for (average, (window, _)) in load.0.iter().zip(WINDOWS) {
                topics.push((format!("$SYS/broker/load/{name}/{window}"), format!("{average:.2}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(topics: &'a [(String, String)], name: &str) -> &'a str {
        let topic = format!("$SYS/broker/{name}");
        &topics.iter().find(|(found, _)| *found == topic).unwrap().1
    }

    #[test]
    fn loads_follow_the_rate_and_counts_are_what_was_counted() {
        let mut tree = Tree::new();
        let gauges = Gauges {
            connected: 3,
            sessions: 5,
            subscriptions: 7,
            shared: 2,
            retained: 1,
            retained_bytes: 99,
        };
        let mut count = Counters::default();
        let mut topics = Vec::new();
        for step in 1..=360u64 {
            count.publish_received += 100;
            count.connections += 4;
            count.entered(wasmqtt_codec::Version::V5);
            count.packet(0xc0, 0);
            topics = tree.topics(tree.started + Duration::from_secs(step * 10), &count, &gauges);
        }
        assert_eq!(value(&topics, "publish/messages/received"), "36000");
        assert_eq!(value(&topics, "load/publish/received/1min"), "600.00");
        let slow: f64 = value(&topics, "load/publish/received/15min").parse().unwrap();
        assert!((580.0..600.0).contains(&slow), "{slow}");
        assert_eq!(value(&topics, "uptime"), "3600 seconds");
        assert_eq!(value(&topics, "clients/disconnected"), "2");
        assert_eq!(value(&topics, "load/connections/1min"), "6.00");
        assert_eq!(value(&topics, "load/sockets/1min"), "24.00");
        assert_eq!(value(&topics, "load/messages/sent/1min"), "12.00");
        assert_eq!(value(&topics, "messages/sent"), "720");
        assert_eq!(value(&topics, "shared_subscriptions/count"), "2");
        assert_eq!(value(&topics, "retained messages/count"), "1");
        assert_eq!(value(&topics, "store/messages/count"), "1");
        assert_eq!(value(&topics, "store/messages/bytes"), "99");
    }

    #[test]
    fn the_maximum_stays_when_clients_go() {
        let mut tree = Tree::new();
        let (now, count) = (Instant::now(), Counters::default());
        let gauges = |connected| Gauges { connected, sessions: 9, ..Gauges::default() };
        tree.topics(now, &count, &gauges(9));
        let topics = tree.topics(now, &count, &gauges(2));
        assert_eq!(value(&topics, "clients/maximum"), "9");
        assert_eq!(value(&topics, "clients/connected"), "2");
    }
}
