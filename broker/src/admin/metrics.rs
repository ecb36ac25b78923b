//! The broker's numbers in Prometheus' text format, version 0.0.4. Numbers are made when somebody asks: nothing here
//! costs a message anything. Must not know where they come from.

mod plugin;

use std::collections::HashSet;
use std::fmt::{Display, Write};
use std::time::Duration;

use wasmqtt_codec::{QoS, ReasonCode};

use crate::count::{Counters, Ending, PACKETS};
use crate::reload::Past;

pub(super) use plugin::plugins;

/// What is, rather than what was counted.
pub(super) struct Gauges<'a> {
    pub(super) uptime: Duration,
    pub(super) connected: usize,
    /// By listener.
    pub(super) listeners: Vec<(&'a str, usize)>,
    /// Connections that were closed at once, by listener and limit.
    pub(super) turned_away: Vec<(&'a str, &'static str, u64)>,
    pub(super) sessions: usize,
    pub(super) subscriptions: usize,
    pub(super) retained: usize,
}

/// What is exported.
#[derive(Default)]
pub(super) struct Text {
    out: String,
    families: HashSet<String>,
    /// Those of them whose samples have other names.
    histograms: HashSet<String>,
}

/// Labels with their values.
type Labels<'a> = &'a [(&'a str, &'a str)];

impl Text {
    /// Begins what goes by one name; false where that has been said already.
    fn family(&mut self, name: &str, kind: &str, help: &str) -> bool {
        if !self.families.insert(name.to_owned()) {
            return false;
        }
        if kind == "histogram" {
            self.histograms.insert(name.to_owned());
        }
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a string cannot fail.
        let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        true
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.out.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if at == 0 { '{' } else { ',' };
            let _ = write!(self.out, "{before}{label}=\"{value}\"");
        }
        if !labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// For people: no metric.
    fn comment(&mut self, words: &str) {
        let _ = writeln!(self.out, "# {words}");
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

/// What `$SYS` says, too, and more.
pub(super) fn broker(text: &mut Text, count: &Counters, gauges: &Gauges<'_>) {
    text.family("wasmqtt_build_info", "gauge", "The version that runs.");
    text.sample("wasmqtt_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    let single = [
        ("wasmqtt_uptime_seconds", gauges.uptime.as_secs(), "Since the start of the broker."),
        ("wasmqtt_connections", gauges.connected as u64, "Connections that are open."),
        ("wasmqtt_sessions", gauges.sessions as u64, "Sessions, connected or not."),
        ("wasmqtt_subscriptions", gauges.subscriptions as u64, "Subscriptions of all sessions."),
        ("wasmqtt_retained_messages", gauges.retained as u64, "Messages that are retained."),
    ];
    for (name, value, help) in single {
        text.single(name, "gauge", help, value);
    }
    let name = "wasmqtt_listener_connections";
    text.family(name, "gauge", "Connections that are open, by listener.");
    for (listener, connections) in &gauges.listeners {
        text.sample(name, &[("listener", listener)], connections);
    }
    let name = "wasmqtt_connections_turned_away_total";
    text.family(name, "counter", "Connections that were closed at once, by the limit reached.");
    for (listener, limit, turned_away) in &gauges.turned_away {
        text.sample(name, &[("listener", listener), ("limit", limit)], turned_away);
    }
    traffic(text, count);
    clients(text, count);
}

/// What came of the reloads.
pub(super) fn reloads(text: &mut Text, past: &Past) {
    let name = "wasmqtt_reloads_total";
    text.family(name, "counter", "Reloads that were tried, by what came of them.");
    for (outcome, count) in past.counts() {
        text.sample(name, &[("outcome", outcome)], count);
    }
    let name = "wasmqtt_last_reload_successful";
    text.single(name, "gauge", "0: the last reload was refused.", u8::from(past.is_well()));
    let name = "wasmqtt_last_successful_reload_timestamp_seconds";
    let help = "When the configuration was last put in force, or found to be in force.";
    text.single(name, "gauge", help, past.success);
}

fn traffic(text: &mut Text, count: &Counters) {
    let counters = [
        ("wasmqtt_received_bytes_total", count.bytes_received, "Bytes from clients."),
        ("wasmqtt_sent_bytes_total", count.bytes_sent, "Bytes to clients."),
        ("wasmqtt_messages_received_total", count.publish_received, "Publications routed."),
        ("wasmqtt_messages_refused_total", count.publish_refused, "Publications refused."),
        (
            "wasmqtt_messages_not_retained_total",
            count.publish_not_retained,
            "Publications delivered but not retained, because the store was full.",
        ),
        ("wasmqtt_messages_sent_total", count.publish_sent, "Messages sent to subscribers."),
    ];
    for (name, value, help) in counters {
        text.single(name, "counter", help, value);
    }
    let name = "wasmqtt_packets_received_total";
    text.family(name, "counter", "Packets from clients after CONNECT, by type.");
    for (kind, label) in PACKETS {
        text.sample(name, &[("type", label)], count.packets_of(kind));
    }
    let name = "wasmqtt_publish_packets_received_total";
    text.family(name, "counter", "PUBLISH packets from clients, by QoS.");
    for (qos, label) in [(QoS::AtMostOnce, "0"), (QoS::AtLeastOnce, "1"), (QoS::ExactlyOnce, "2")] {
        text.sample(name, &[("qos", label)], count.publish_packets(qos));
    }
    let name = "wasmqtt_messages_dropped_total";
    text.family(name, "counter", "Messages for a subscriber that it will not get.");
    text.sample(name, &[("reason", "queue-full")], count.publish_dropped);
    text.sample(name, &[("reason", "too-old")], count.publish_too_old);
    text.sample(name, &[("reason", "expired")], count.publish_expired);
    text.sample(name, &[("reason", "too-large")], count.publish_too_large);
}

fn clients(text: &mut Text, count: &Counters) {
    let help = "Connections that were accepted.";
    text.single("wasmqtt_connections_accepted_total", "counter", help, count.connections);
    let name = "wasmqtt_clients_connected_total";
    text.family(name, "counter", "Clients that entered, by version of the protocol.");
    for (version, entered) in ["3.1", "3.1.1", "5.0"].into_iter().zip(count.entered) {
        text.sample(name, &[("version", version)], entered);
    }
    let name = "wasmqtt_clients_refused_total";
    text.family(name, "counter", "Clients that were not let in, by reason code.");
    for (code, refused) in &count.refused {
        text.sample(name, &[("reason", reason(*code))], refused);
    }
    let name = "wasmqtt_clients_disconnected_total";
    text.family(name, "counter", "Clients that went, by who ended it and the reason code said.");
    for ((ending, code), left) in &count.left {
        let labels = match ending {
            Ending::Client => [("by", "client"), ("reason", reason(*code))],
            Ending::Broker => [("by", "broker"), ("reason", reason(*code))],
            Ending::Lost => [("by", "network"), ("reason", "")],
        };
        text.sample(name, &labels, left);
    }
}

fn reason(code: u8) -> &'static str {
    match code {
        // What the specification calls 0x00 in DISCONNECT.
        0 => "Normal disconnection",
        code => ReasonCode::try_from(code).map_or("", ReasonCode::name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_codec::Version;

    #[test]
    fn what_the_broker_counted_is_told_with_bounded_labels() {
        let mut count = Counters {
            publish_refused: 3,
            publish_dropped: 8,
            publish_too_old: 9,
            publish_expired: 10,
            publish_too_large: 11,
            ..Counters::default()
        };
        count.packet(0x32, 5);
        count.entered(Version::V311);
        count.refused(ReasonCode::NotAuthorized);
        count.left(Ending::Broker, ReasonCode::KeepAliveTimeout);
        count.left(Ending::Client, ReasonCode::Success);
        count.left(Ending::Lost, ReasonCode::Success);
        let gauges = Gauges {
            uptime: Duration::from_millis(2_900),
            connected: 4,
            listeners: vec![("a", 1), ("b", 3)],
            turned_away: vec![("a", "max_connections", 12)],
            sessions: 5,
            subscriptions: 6,
            retained: 7,
        };
        let mut text = Text::default();
        broker(&mut text, &count, &gauges);
        let text = text.finish();
        for line in [
            "wasmqtt_uptime_seconds 2",
            "wasmqtt_connections 4",
            "wasmqtt_listener_connections{listener=\"b\"} 3",
            "wasmqtt_connections_turned_away_total{listener=\"a\",limit=\"max_connections\"} 12",
            "wasmqtt_messages_refused_total 3",
            "wasmqtt_packets_received_total{type=\"publish\"} 1",
            "wasmqtt_packets_received_total{type=\"pingreq\"} 0",
            "wasmqtt_publish_packets_received_total{qos=\"1\"} 1",
            "wasmqtt_messages_dropped_total{reason=\"queue-full\"} 8",
            "wasmqtt_messages_dropped_total{reason=\"too-old\"} 9",
            "wasmqtt_messages_dropped_total{reason=\"expired\"} 10",
            "wasmqtt_messages_dropped_total{reason=\"too-large\"} 11",
            "wasmqtt_clients_connected_total{version=\"3.1.1\"} 1",
            "wasmqtt_clients_refused_total{reason=\"Not authorized\"} 1",
            "wasmqtt_clients_disconnected_total{by=\"broker\",reason=\"Keep Alive timeout\"} 1",
            "wasmqtt_clients_disconnected_total{by=\"client\",reason=\"Normal disconnection\"} 1",
            "wasmqtt_clients_disconnected_total{by=\"network\",reason=\"\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        plugin::tests::check_format(&text);
        check_documented(&text);
    }

    /// Every family is in the list of all metrics.
    pub(super) fn check_documented(text: &str) {
        let list = include_str!("../../metrics.md");
        let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        for family in families.filter_map(|line| line.split(' ').next()) {
            assert!(list.contains(&format!("| `{family}` |")), "{family} is not in metrics.md");
        }
    }

    #[test]
    fn labels_and_help_are_escaped() {
        let mut text = Text::default();
        text.family("x", "gauge", "a \\ b\nc \"d\"");
        text.sample("x", &[("l", "a\\b\"c\nd")], 1);
        assert_eq!(
            text.finish(),
            "# HELP x a \\\\ b\\nc \"d\"\n# TYPE x gauge\nx{l=\"a\\\\b\\\"c\\nd\"} 1\n"
        );
    }
}
