//! What a reload changes, what it leaves, and that it says so.

use super::{
    super::{Effect, diff, reload},
    *,
};

const OLD: &str = "\
[[listener]]\nname = \"a\"\nbind = \"127.0.0.1:1\"\nauthorize = [\"acl\"]\n\
[[listener]]\nname = \"b\"\nbind = \"127.0.0.1:2\"\nauthorize = [\"acl\"]\ntransform = [\"move\"]\n\
[[plugin]]\nname = \"acl\"\npath = \"acl.wasm\"\n\
[[plugin]]\nname = \"move\"\npath = \"move.wasm\"\n";

/// The paths that change when `from` becomes `to` in the text, and whether a reload applies them.
fn changed(text: &str, from: &str, to: &str) -> Vec<(String, Effect)> {
    assert!(text.contains(from), "{from}");
    let (old, new) = (good(text), good(&text.replacen(from, to, 1)));
    diff(&old, &new).changes.into_iter().map(|change| (change.path, change.effect)).collect()
}

#[test]
fn every_change_is_named_with_its_path_and_its_effect() {
    use Effect::{Live, Restart};
    let text = super::super::print(&good(OLD));
    for (from, to, path, effect) in [
        ("workers = 0", "workers = 1", "broker.workers", Restart),
        ("\"data\"", "\"date\"", "broker.data_dir", Restart),
        ("\"round-robin\"", "\"sticky\"", "broker.shared_strategy", Restart),
        (
            "\"round-robin\"\n",
            "\"round-robin\"\nshare_groups.g = \"local\"\n",
            "broker.share_groups",
            Restart,
        ),
        ("sys_interval = \"10s\"", "sys_interval = 0", "broker.sys_interval", Restart),
        ("observe = []", "observe = [\"acl\"]", "broker.observe", Live),
        (
            "\"tcp\"\nbind = \"127.0.0.1:1\"",
            "\"tcp\"\nbind = \"127.0.0.1:9\"",
            "listener.a.bind",
            Live,
        ),
        ("anonymous = false", "anonymous = true", "listener.a.anonymous", Live),
        ("authenticate = []", "authenticate = [\"acl\"]", "listener.a.authenticate", Live),
        ("authorize = [\"acl\"]", "authorize = []", "listener.a.authorize", Live),
        ("transform = []", "transform = [\"move\"]", "listener.a.transform", Live),
        ("\"deny\"", "\"allow\"", "listener.a.default", Live),
        ("\"acknowledge\"", "\"disconnect\"", "listener.a.on_denied_publish", Live),
        (
            "\"acknowledge\"\n",
            "\"acknowledge\"\nlimits.max_inflight = 7\n",
            "listener.a.limits.max_inflight",
            Live,
        ),
        (
            "\"acknowledge\"\n",
            "\"acknowledge\"\nlimits.queue.messages = 7\n",
            "listener.a.limits.queue.messages",
            Live,
        ),
        ("\"acl.wasm\"", "\"acl2.wasm\"", "plugin.acl.path", Live),
        ("sha256 = \"\"", &format!("sha256 = \"{}\"", "0".repeat(64)), "plugin.acl.sha256", Live),
        ("\"closed\"", "\"open\"", "plugin.acl.on_failure", Live),
        ("reauthorize = false", "reauthorize = true", "plugin.acl.reauthorize", Live),
        (
            "limits.host_call_bytes = \"64MiB\"",
            "limits.host_call_bytes = \"1MiB\"",
            "plugin.acl.limits",
            Live,
        ),
        ("limits.call = \"5ms\"", "limits.call = \"6ms\"", "plugin.acl.limits", Live),
        ("grants.topics = []", "grants.topics = [\"a\"]", "plugin.acl.grants", Live),
        ("grants.revocation = false", "grants.revocation = true", "plugin.acl.grants", Live),
        ("grants.metrics = false", "grants.metrics = true", "plugin.acl.grants", Live),
        ("grants.kv = false", "grants.kv = true", "plugin.acl.grants", Live),
        ("grants.http = []", "grants.http = [\"http://a\"]", "plugin.acl.grants", Live),
        ("limits.kv = \"1MiB\"", "limits.kv = \"2MiB\"", "plugin.acl.limits", Live),
        ("grants.topics = []", "grants.topics = []\nconfig.a = 1", "plugin.acl.config", Live),
        ("\"info\"", "\"warn\"", "log.level", Live),
        ("\"text\"", "\"json\"", "log.format", Restart),
        ("[log]", "[admin]\n[log]", "admin", Restart),
    ] {
        assert_eq!(changed(&text, from, to), [(path.to_owned(), effect)], "{to}");
    }
}

#[test]
fn every_switch_of_a_listener_is_compared_and_named_once() {
    let text = super::super::print(&good(OLD));
    let (_, switches) = text.split_once("\non_denied_publish = ").unwrap();
    let (switches, _) = switches.split_once("\n\n").unwrap();
    let switches: Vec<&str> = switches.lines().skip(1).collect();
    assert_eq!(switches.len(), 10);
    for line in switches {
        let (key, old) = line.split_once(" = ").unwrap();
        let new = match (key, old) {
            ("protocols", _) => "[\"5.0\"]",
            ("max_qos", _) => "1",
            ("on_duplicate_client_id", _) => "\"refuse\"",
            (_, "true") => "false",
            _ => panic!("{line}"),
        };
        let found = changed(&text, &format!("\n{line}"), &format!("\n{key} = {new}"));
        assert_eq!(found, [(format!("listener.a.{key}"), Effect::Live)]);
    }
}

#[test]
fn every_limit_is_compared_and_named_once() {
    let text = super::super::print(&good(OLD));
    let (_, limits) = text.split_once("[limits]\n").unwrap();
    let (limits, _) = limits.split_once("\n\n").unwrap();
    assert_eq!(limits.lines().count(), super::super::model::Limits::default().entries().len());
    for line in limits.lines() {
        let (key, old) = line.split_once(" = ").unwrap();
        let new = match key {
            "queue.overflow" | "on_publish_rate" => "\"disconnect\"".to_owned(),
            _ if old == "false" => "true".to_owned(),
            _ if old.contains('B') => "\"2KiB\"".to_owned(),
            _ if old.contains('"') => "\"7s\"".to_owned(),
            _ => "77".to_owned(),
        };
        let found = changed(&text, line, &format!("{key} = {new}"));
        assert_eq!(found, [(format!("limits.{key}"), Effect::Live)]);
    }
}

#[test]
fn nothing_differs_when_only_the_place_does() {
    let (old, new) = (good(OLD), good(&format!("# moved\n\n{OLD}")));
    assert_ne!(old, new);
    assert!(diff(&old, &new).is_empty());
}

#[test]
fn what_comes_and_goes_is_named_alone() {
    let (two, one) = (
        good(OLD),
        good(&OLD.replace("name = \"b\"", "name = \"c\"").replace("\"move\"", "\"m2\"")),
    );
    let diff = diff(&two, &one);
    let live: Vec<_> = diff.live().collect();
    assert_eq!(live, ["listener.b", "listener.c", "plugin.move", "plugin.m2"]);
    assert_eq!(diff.restart().next(), None);
    assert_eq!(reload(&two, &one).listeners, one.listeners);
}

#[test]
fn a_reload_applies_what_is_live_and_nothing_else() {
    let old = good(OLD);
    let new = good(&format!(
        "{}\n[broker]\nworkers = 3\ndata_dir = \"x\"\n[log]\nlevel = \"warn\"\nformat = \"json\"\n[admin]\n\
         [limits]\nmax_inflight = 5\n",
        OLD.replace("127.0.0.1:1", "127.0.0.1:9").replace("acl.wasm", "acl2.wasm")
    ));
    let running = reload(&old, &new);
    let left: Vec<String> = diff(&running, &new).changes.into_iter().map(|c| c.path).collect();
    let restart: Vec<String> = diff(&old, &new).restart().map(str::to_owned).collect();
    assert_eq!(left, restart);
    let applied: Vec<String> = diff(&old, &running).changes.into_iter().map(|c| c.path).collect();
    assert_eq!(applied, ["limits.max_inflight", "listener.a.bind", "plugin.acl.path", "log.level"]);
    assert_eq!(running.listeners[0].limits.max_inflight, 5);
}

#[test]
fn what_a_protocol_needs_changes_with_it() {
    let ws = OLD.replacen("bind", "protocol = \"ws\"\nwebsocket.path = \"/a\"\nbind", 1);
    let (old, moved) = (good(&ws), good(&ws.replace("/a\"", "/b\"")));
    assert_eq!(diff(&old, &moved).live().collect::<Vec<_>>(), ["listener.a.websocket"]);
    assert_eq!(reload(&old, &moved).listeners[0].websocket.path, "/b");
    let tcp = good(OLD);
    let live: Vec<_> = diff(&old, &tcp).live().map(str::to_owned).collect();
    assert_eq!(live, ["listener.a.protocol", "listener.a.websocket"]);
    assert_eq!(reload(&old, &tcp).listeners, tcp.listeners);
}
