//! What became of each plugin, and what it exports itself.

use std::collections::BTreeMap;

use wasmqtt_sandbox::{MetricKind, OutcomeStatus, PluginStatus};

use super::Text;

/// Of all plugins.
pub(in crate::admin) fn plugins(text: &mut Text, plugins: &[PluginStatus]) {
    text.family("wasmqtt_plugin_info", "gauge", "The component that runs.");
    for plugin in plugins {
        let labels = [("plugin", plugin.name.as_str()), ("sha256", plugin.digest.as_str())];
        text.sample("wasmqtt_plugin_info", &labels, 1);
    }
    type Value = fn(&PluginStatus) -> u64;
    let single: [(&str, &str, &str, Value); 3] = [
        (
            "wasmqtt_plugin_suspended",
            "gauge",
            "1: it lost too many instances and is not asked for now.",
            |plugin| plugin.suspended.into(),
        ),
        ("wasmqtt_plugin_kv_bytes", "gauge", "What it keeps in kv.", |plugin| {
            plugin.kv_bytes as u64
        }),
        (
            "wasmqtt_plugin_events_lost_total",
            "counter",
            "Events that it was not told: its queue was full, or a call failed.",
            |plugin| plugin.events_lost,
        ),
    ];
    for (name, kind, help, value) in single {
        text.family(name, kind, help);
        for plugin in plugins {
            text.sample(name, &[("plugin", &plugin.name)], value(plugin));
        }
    }
    calls(text, plugins);
    own(text, plugins);
}

fn calls(text: &mut Text, plugins: &[PluginStatus]) {
    let all = || {
        plugins.iter().flat_map(|plugin| {
            plugin.outcomes.iter().map(|status| (labels(&plugin.name, status), status))
        })
    };
    let name = "wasmqtt_plugin_calls_total";
    text.family(
        name,
        "counter",
        "What came of the questions for a plugin; deny-reused and suspended were answered without it.",
    );
    for (labels, status) in all() {
        text.sample(name, &labels, status.count);
    }
    let name = "wasmqtt_plugin_call_seconds";
    text.family(
        name,
        "histogram",
        "How long a call took; of those of a worker one in 16 is timed.",
    );
    for (labels, status) in all().filter(|(_, status)| status.latency.count() > 0) {
        let [plugin, hook, outcome] = labels;
        let mut sum = 0;
        for (bound, count) in &status.latency.buckets {
            sum += count;
            let bound = bound.map_or("+Inf".into(), |bound| bound.as_secs_f64().to_string());
            let labels = [plugin, hook, outcome, ("le", bound.as_str())];
            text.sample(&format!("{name}_bucket"), &labels, sum);
        }
        text.sample(&format!("{name}_sum"), &labels, status.latency.sum.as_secs_f64());
        text.sample(&format!("{name}_count"), &labels, sum);
    }
}

fn labels<'a>(plugin: &'a str, status: &OutcomeStatus) -> [(&'a str, &'a str); 3] {
    [("plugin", plugin), ("hook", status.hook), ("outcome", status.outcome)]
}

/// One plugin's own metric, by the name that is exported.
struct Own<'a> {
    kind: &'static str,
    help: &'a str,
    values: Vec<(&'a str, f64)>,
}

/// Two plugins of nearly the same name may have a metric in common; one that is of another kind, or goes by a name of
/// the broker's, is left out, and a comment says so.
fn own(text: &mut Text, plugins: &[PluginStatus]) {
    let mut families: BTreeMap<String, Own<'_>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for plugin in plugins {
        for metric in &plugin.metrics {
            let mut name =
                format!("wasmqtt_plugin_{}_{}", plugin.name.replace('-', "_"), metric.name);
            let kind = match metric.kind {
                MetricKind::Gauge => "gauge",
                MetricKind::Counter => "counter",
            };
            if kind == "counter" && !name.ends_with("_total") {
                name.push_str("_total");
            }
            let taken = text.families.contains(&name) || is_part(text, &name);
            let family = families.entry(name.clone()).or_insert_with(|| Own {
                kind,
                help: &metric.help,
                values: Vec::new(),
            });
            if taken || family.kind != kind || family.values.iter().any(|it| it.0 == plugin.name) {
                left_out.push(format!(
                    "{name} of the plugin {} is left out: something else goes by that name",
                    plugin.name
                ));
            } else {
                family.values.push((&plugin.name, metric.value));
            }
        }
    }
    for (name, family) in families.iter().filter(|(_, family)| !family.values.is_empty()) {
        text.family(name, family.kind, family.help);
        for (plugin, value) in &family.values {
            text.sample(name, &[("plugin", plugin)], number(*value));
        }
    }
    for words in left_out {
        text.comment(&words);
    }
}

/// Whether a histogram of the broker's has samples of this name.
fn is_part(text: &Text, name: &str) -> bool {
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
        .any(|family| text.histograms.contains(family))
}

/// As the format writes what is no number.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::time::Duration;
    use wasmqtt_sandbox::{Latency, MetricStatus};

    fn metric(name: &str, kind: MetricKind, value: f64) -> MetricStatus {
        MetricStatus { name: name.into(), help: "a \\ b".into(), kind, value }
    }

    fn status(name: &str, metrics: Vec<MetricStatus>) -> PluginStatus {
        let none = |count| {
            vec![(Some(Duration::from_micros(1)), count), (Some(Duration::from_millis(1)), 0)]
        };
        let outcome = |outcome, count, latency| OutcomeStatus {
            hook: "authorize",
            outcome,
            count,
            latency: Latency { buckets: latency, sum: Duration::from_micros(2_500) },
        };
        let allow = vec![
            (Some(Duration::from_micros(1)), 3),
            (Some(Duration::from_millis(1)), 2),
            (None, 1),
        ];
        PluginStatus {
            name: name.into(),
            digest: "00ff".into(),
            calls: 91,
            traps: 1,
            deadline_misses: 0,
            failures: 0,
            denied: 0,
            discarded: 0,
            kv_bytes: 7,
            events_lost: 8,
            suspended: true,
            outcomes: vec![outcome("allow", 90, allow), outcome("suspended", 1, none(0))],
            metrics,
        }
    }

    /// Every family is said once and before its samples, which stand together.
    pub(in crate::admin::metrics) fn check_format(text: &str) {
        let mut families = HashSet::new();
        let mut current = String::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split(' ').next().unwrap().to_owned();
                assert!(families.insert(current.clone()), "{current} is said twice:\n{text}");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                let rest = name.strip_prefix(current.as_str());
                let fits = matches!(rest, Some("" | "_bucket" | "_sum" | "_count"));
                assert!(fits, "{line} is not of {current}:\n{text}");
            }
        }
    }

    #[test]
    fn the_buckets_of_a_histogram_count_what_is_within_them_and_all_before() {
        let mut text = Text::default();
        plugins(&mut text, &[status("acl", Vec::new())]);
        let text = text.finish();
        let labels = "plugin=\"acl\",hook=\"authorize\",outcome=\"allow\"";
        for line in [
            format!("wasmqtt_plugin_calls_total{{{labels}}} 90"),
            format!("wasmqtt_plugin_call_seconds_bucket{{{labels},le=\"0.000001\"}} 3"),
            format!("wasmqtt_plugin_call_seconds_bucket{{{labels},le=\"0.001\"}} 5"),
            format!("wasmqtt_plugin_call_seconds_bucket{{{labels},le=\"+Inf\"}} 6"),
            format!("wasmqtt_plugin_call_seconds_sum{{{labels}}} 0.0025"),
            format!("wasmqtt_plugin_call_seconds_count{{{labels}}} 6"),
            "wasmqtt_plugin_suspended{plugin=\"acl\"} 1".into(),
            "wasmqtt_plugin_kv_bytes{plugin=\"acl\"} 7".into(),
            "wasmqtt_plugin_events_lost_total{plugin=\"acl\"} 8".into(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        super::super::tests::check_documented(&text);
        assert!(!text.contains("outcome=\"suspended\",le="), "nothing of it was timed:\n{text}");
        check_format(&text);
    }

    #[test]
    fn metrics_of_plugins_go_by_the_plugin_s_name_and_a_taken_name_stays_with_the_first() {
        let mut text = Text::default();
        let first = vec![
            metric("users", MetricKind::Gauge, 2.5),
            metric("logins", MetricKind::Counter, 4.0),
            metric("load", MetricKind::Gauge, f64::INFINITY),
        ];
        let second = vec![
            metric("users", MetricKind::Gauge, 9.0),
            metric("logins_total", MetricKind::Gauge, 8.0),
        ];
        let calls = vec![metric("total", MetricKind::Counter, 7.0)];
        let call = ["seconds_count", "seconds_sum", "seconds_bucket", "seconds"];
        let call = call.map(|name| metric(name, MetricKind::Gauge, 6.0)).to_vec();
        let all = [
            status("my-auth", first),
            status("my_auth", second),
            status("calls", calls),
            status("call", call),
        ];
        plugins(&mut text, &all);
        let text = text.finish();
        assert!(text.contains(
            "# HELP wasmqtt_plugin_my_auth_users a \\\\ b\n# TYPE wasmqtt_plugin_my_auth_users gauge\n\
             wasmqtt_plugin_my_auth_users{plugin=\"my-auth\"} 2.5\n\
             wasmqtt_plugin_my_auth_users{plugin=\"my_auth\"} 9\n"
        ));
        assert!(text.contains("wasmqtt_plugin_my_auth_logins_total{plugin=\"my-auth\"} 4\n"));
        assert!(text.contains("wasmqtt_plugin_my_auth_load{plugin=\"my-auth\"} +Inf\n"));
        for left_out in [
            "my_auth_logins_total of the plugin my_auth",
            "calls_total of the plugin calls",
            "call_seconds_count of the plugin call",
            "call_seconds_sum of the plugin call",
            "call_seconds_bucket of the plugin call",
            "call_seconds of the plugin call",
        ] {
            assert!(text.contains(&format!("# wasmqtt_plugin_{left_out} is left out")), "{text}");
        }
        check_format(&text);
    }
}
