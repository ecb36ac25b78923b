//! Every attack, in small: the well-behaved lose nothing, and the broker takes no more memory than its bounds say.
//! Figures are for `cargo xtask attack`; nothing here depends on time.

// Clippy takes only the test functions themselves for tests.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::Duration;

use wasmqtt_attacks::attack::ATTACKS;
use wasmqtt_attacks::run::{Scale, allow_files, run};

/// MiB that the broker may take beyond what it had before.
fn growth(name: &str) -> f64 {
    match name {
        // The queues of twenty subscribers, 16 MiB each.
        "deaf-qos0" | "deaf-qos1" => 20.0 * 16.0 + 128.0,
        // What may be retained, and a thousand filters of 64 KiB, in the session and in the tree.
        "deep-topics-allowed" => 256.0 + 128.0 + 128.0,
        _ => 128.0,
    }
}

/// The broker's program: next to this one.
fn broker() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.ancestors().nth(2).unwrap().join("wasmqtt");
    assert!(path.is_file(), "{} is missing; run `cargo build --workspace --bins`", path.display());
    path
}

fn is_held(name: &str) {
    allow_files().unwrap();
    let scale = Scale { time: Duration::from_secs(2), clients: 100, rate: 200.0, connections: 500 };
    let attack = ATTACKS.iter().find(|attack| attack.name == name).unwrap();
    let outcome = run(attack, &broker(), &scale).unwrap();
    assert!(outcome.is_held(), "{outcome:?}");
    let grown = (outcome.peak - outcome.before) / 1024.0;
    assert!(grown < growth(name), "{grown} MiB: {outcome:?}");
    if name != "none" {
        let effort = outcome.effort.as_ref();
        assert!(effort.is_none_or(|effort| effort.connections() > 0), "{outcome:?}");
    }
}

/// One test for each attack, and one that there is one.
macro_rules! attacks {
    ($($test:ident: $name:literal;)*) => {
        $(#[test]
        fn $test() {
            is_held($name);
        })*

        #[test]
        fn every_attack_has_a_test() {
            let names: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

attacks! {
    nothing_is_lost_without_an_attack: "none";
    half_open_tcp_connections_are_held: "half-open-tcp";
    half_open_tls_handshakes_are_held: "half-open-tls";
    one_byte_a_second_is_held: "trickle";
    readers_that_never_read_are_held_with_qos_0: "deaf-qos0";
    readers_that_never_read_are_held_with_qos_1: "deaf-qos1";
    a_flood_of_connects_is_held: "connect-flood";
    packets_that_are_too_large_are_held: "large-packets";
    frames_that_are_too_large_are_held: "large-frames";
    headers_that_are_too_large_are_held: "large-headers";
    proxy_headers_of_strangers_are_held: "proxy-header";
    renegotiation_is_held: "renegotiation";
    early_data_and_floods_of_keys_are_held: "early-data";
    publications_that_are_never_released_are_held: "qos2-ids";
    all_identifiers_of_many_sessions_are_held: "qos2-ids-allowed";
    topics_of_sixty_thousand_levels_are_held: "deep-topics";
    topics_of_sixty_thousand_levels_are_held_where_they_are_allowed: "deep-topics-allowed";
}
