//! The files that come with the broker say what they claim to say.

use super::{super::OnFailure, *};

const DEFAULT: &str = include_str!("../../../broker.toml");
const DEMO: &str = include_str!("../../../demo.toml");

#[test]
fn the_annotated_file_is_the_default_configuration() {
    let (config, warnings) = check(DEFAULT).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(anonymous_origin(config), Config::default());
    // It is safe: nobody is let in, and it says so.
    let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "listener `mqtt` lets nobody in: it has no authenticator",
            "listener `mqtt` lets nobody do anything: it has no authorizer",
        ]
    );
}

#[test]
fn the_annotated_file_sets_every_key() {
    let printed = super::super::print(&Config::default());
    for line in printed.lines().filter(|line| line.contains('=')) {
        let (key, _) = line.split_once(" = ").unwrap();
        let key = key.split_once('.').map_or(key, |(table, _)| table);
        assert!(DEFAULT.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
    }
}

#[test]
fn the_examples_in_the_annotated_file_can_be_used() {
    let is_example = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic() || c == '['))
    };
    let text: Vec<&str> = DEFAULT
        .lines()
        .filter(|line| !line.starts_with("#include"))
        .map(|line| if is_example(line) { &line[1..] } else { line })
        .collect();
    let text = text.join("\n").replace("transform = []", "transform = [\"property-router\"]");
    let files = super::tls::Files::new();
    files.write("wasmqtt.toml", text.as_bytes());
    let loaded = super::super::load(&files.path("wasmqtt.toml"));
    let (config, _) = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(config.plugins[0].on_failure, OnFailure::Closed);
    assert_eq!(config.plugins[0].limits, super::super::PluginLimits::default());
    assert_eq!(config.plugins[0].config["topic"], "routed/${value}/${topic}");
    assert_eq!(config.listeners[0].limits.max_packet_size, 65_536);
    assert_eq!(config.admin, Some(super::super::Admin::default()));
}

#[test]
fn the_demonstration_has_a_plugin_in_each_chain_and_no_warning() {
    let (config, warnings) = check(DEMO).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(warnings, []);
    let [listener] = &config.listeners[..] else { panic!("one listener") };
    assert_eq!(listener.bind.to_string(), "127.0.0.1:1883");
    assert_eq!(listener.authenticate, ["password-file"]);
    assert_eq!(listener.authorize, ["topic-acl"]);
    assert_eq!(listener.transform, ["property-router"]);
    let [password, acl, router] = &config.plugins[..] else { panic!("three plugins") };
    for user in ["alice", "bob"] {
        let hash = password.config["users"][user].as_str().unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"));
    }
    assert_ne!(password.config["users"]["alice"], password.config["users"]["bob"]);
    assert_eq!(acl.config["rules"][0]["filter"], "devices/${username}/#");
    assert_eq!(acl.config["rules"][1]["users"][0], "bob");
    assert_eq!(router.config["topic"], "routed/${value}/${topic}");
    assert_eq!(router.grants.topics, ["routed/#"]);
}
