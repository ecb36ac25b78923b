//! Components that mean harm, beside a hundred clients whose messages all arrive.
//!
//! Numbered as in the catalogue of faults: P1 to P18.

mod craft;
mod crowd;

use wasmqtt_codec::{QoS, Version};

use self::crowd::Crowd;
use crate::harness::config::{LOSSLESS, hostile, open_listener, plugin_at};
use crate::harness::{Broker, Client, Outgoing, component};

/// More and the plugin would be suspended: there is another test for that.
const ATTACKS: usize = 4;
/// A deadline that a busy machine keeps, and that is over soon.
const KEYS: &str = "limits = { call = \"200ms\", authenticate = \"500ms\" }";

/// A listener `mqtt` that asks the plugin `hostile`, and a listener `calm` that does not.
fn listeners(chain: &str, plugin: &str) -> String {
    let mqtt = open_listener("mqtt", &format!("{chain} = [\"hostile\"]"));
    format!("{mqtt}{}{LOSSLESS}{plugin}", open_listener("calm", ""))
}

/// A broker with a guest that does this with messages below `bad`, and the crowd.
fn misbehaving(chain: &str, on: &str, deed: &str) -> (Broker, Crowd) {
    let config = format!("on = \"{on}\"\ndo = \"{deed}\"\nwhen = \"bad\"");
    let broker = Broker::start(&listeners(chain, &hostile(KEYS, &config)));
    let crowd = Crowd::enter(&broker);
    (broker, crowd)
}

fn attacker(broker: &Broker) -> Client {
    Client::enter(broker.addr_of("mqtt"), Version::V5, "attacker")
}

/// Has messages judged by a guest that does this, each of which is refused.
fn attack(deed: &str, cause: &str) {
    let (broker, mut crowd) = misbehaving("transform", "publish", deed);
    let mark = broker.mark();
    let mut attacker = attacker(&broker);
    for _ in 0..ATTACKS {
        assert_eq!(attacker.publish(&Outgoing::new("bad/x", "attack")), 0x83, "{deed}");
        crowd.goes_on();
    }
    let line = broker.wait_for(mark, "gave no answer");
    assert_eq!((line.field("plugin"), line.field("hook")), ("hostile".into(), "on-publish".into()));
    assert!(line.message().contains(cause), "{cause:?} is not in {}", line.message());
    crowd.has_lost_nothing(&broker);
    attacker.ping();
}

/// A broker with a guest that does no harm, and the crowd. What would replace the guest is refused for this reason.
fn refused(cases: &[(&str, Vec<u8>, &str)]) {
    let good = listeners("transform", &hostile(KEYS, ""));
    let broker = Broker::start(&good);
    let mut crowd = Crowd::enter(&broker);
    for (what, bytes, why) in cases {
        broker.replace("bad.wasm", bytes);
        let bad = plugin_at("hostile", &broker.dir().join("bad.wasm"), KEYS);
        let told = broker.refuse_reload(&listeners("transform", &bad)).message();
        assert!(told.contains("plugin `hostile`"), "{what}: {told}");
        assert!(told.contains(why), "{what}: {why:?} is not in {told}");
        crowd.goes_on();
    }
    crowd.has_lost_nothing(&broker);
}

#[test]
fn behaviour_13_p01_an_endless_loop_is_stopped_at_its_deadline() {
    attack("loop", "it did not answer within 200ms");
}

#[test]
fn behaviour_13_p02_a_memory_bomb_ends_at_its_limit() {
    attack("allocate", "its memory limit of 16777216 bytes was reached");
}

#[test]
fn p03_a_trap_costs_the_instance_alone() {
    attack("trap", "its instance is lost");
}

#[test]
fn behaviour_13_p04_deep_recursion_is_a_trap() {
    attack("recurse", "call stack exhausted");
}

/// The answers of a liar to topics that begin with these letters fail, and the next one counts.
fn lies(letters: &[&str]) {
    let broker = {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("liar.wasm");
        std::fs::write(&path, craft::liar()).unwrap();
        Broker::start_in(dir, &listeners("authorize", &plugin_at("hostile", &path, KEYS)))
    };
    let mut crowd = Crowd::enter(&broker);
    let mark = broker.mark();
    let mut attacker = attacker(&broker);
    for letter in letters {
        let topic = format!("{letter}/x");
        assert_eq!(attacker.publish(&Outgoing::new(&topic, "")), 0x83, "{letter}");
        assert_eq!(attacker.publish(&Outgoing::new("a/x", "")), 0x10, "after {letter}");
        crowd.goes_on();
    }
    assert_eq!(broker.wait_for(mark, "gave no answer").field("hook"), "authorize");
    crowd.has_lost_nothing(&broker);
}

#[test]
fn p05_an_answer_outside_of_memory_or_of_two_gigabytes_is_a_failure() {
    lies(&["p", "l", "h", "m"]);
}

#[test]
fn p06_an_answer_that_is_not_utf_8_or_not_of_the_contract_is_a_failure() {
    lies(&["u", "v"]);
}

#[test]
fn p06_a_topic_with_a_wildcard_or_of_70000_bytes_is_refused_before_it_is_routed() {
    for deed in ["invalid-topic", "long-topic"] {
        attack(deed, "its answer is invalid: set-topic");
    }
}

#[test]
fn behaviour_13_p07_a_host_call_flood_is_stopped_at_its_deadline() {
    attack("host-call-flood", "it did not answer within 200ms");
}

#[test]
fn behaviour_13_p08_a_log_flood_writes_no_more_than_its_share() {
    let (broker, mut crowd) = misbehaving("transform", "publish", "log-flood");
    let mut attacker = attacker(&broker);
    let (mark, start) = (broker.mark(), std::time::Instant::now());
    for _ in 0..ATTACKS {
        // A million lines take longer than the deadline on any machine, or not; the share is the same.
        let code = attacker.publish(&Outgoing::new("bad/x", "attack"));
        assert!(code == 0x83 || code == 0x10, "{code:#x}");
        crowd.goes_on();
    }
    let written = broker.lines(mark).iter().filter(|line| line.holds("hostile line")).count();
    let share = 100 * (start.elapsed().as_secs() as usize + 2);
    assert!((1..=share).contains(&written), "{written} lines, and {share} are allowed");
    // The lines say whose they are.
    assert_eq!(broker.wait_for(mark, "hostile line").field("plugin"), "hostile");
    crowd.has_lost_nothing(&broker);
}

#[test]
fn p09_a_start_that_loops_and_a_module_that_is_too_much_are_not_loaded() {
    refused(&[
        ("start", craft::module(craft::ENDLESS_START), "its start and init took longer than 5s"),
        ("memory", craft::module_with("(memory (export \"memory\") 512)", ""), "16777216 bytes"),
        ("2 GiB", craft::module_with("(memory (export \"memory\") 32768)", ""), "2147483648"),
        ("functions", craft::module(&"(func)".repeat(300_000)), "300002 functions"),
        ("file", vec![0; (64 << 20) + 1], "67108864 bytes"),
    ]);
}

#[test]
fn p10_a_component_of_another_shape_or_contract_is_not_loaded_and_told_why() {
    let contract = |text: &str| craft::text(text);
    refused(&[
        ("nothing", contract("(component)"), "lifecycle"),
        (
            "version",
            contract(
                "(component (instance $i) (export \"wasmqtt:plugin/lifecycle@2.0.0\" (instance $i)))",
            ),
            "wasmqtt:plugin/lifecycle@2.0.0",
        ),
        (
            "signature",
            contract(
                "(component (import \"wasmqtt:plugin/clock@0.1.0\" (instance (export \"now\" \
                 (func (result string))))) (instance $l) \
                 (export \"wasmqtt:plugin/lifecycle@0.1.0\" (instance $l)))",
            ),
            "does not fit the contract",
        ),
        ("export", craft::module(""), "does not export wasmqtt:plugin/transformation@0.1.0"),
        ("module", contract("(module)"), "wasm-tools component new"),
    ]);
}

#[test]
fn p11_a_file_that_is_cut_short_or_no_wasm_is_not_loaded() {
    let whole = std::fs::read(component("hostile")).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2..][..64].fill(0xff);
    refused(&[
        ("half", whole[..whole.len() / 2].to_vec(), "is not a valid component"),
        ("flipped", flipped, "is not a valid component"),
        ("empty", Vec::new(), "bad.wasm"),
        ("script", b"#!/bin/sh\necho no\n".to_vec(), "bad.wasm"),
    ]);
}

#[test]
fn p12_a_plugin_that_blocks_is_stopped_at_its_deadline() {
    attack("block", "it did not answer within 200ms");
}

#[test]
fn p13_plugins_are_swapped_ten_times_under_load() {
    let config = |policy| {
        listeners("transform", &hostile(&format!("on_failure = \"{policy}\"\n{KEYS}"), ""))
    };
    let broker = Broker::start(&config("closed"));
    let mut crowd = Crowd::enter(&broker);
    for n in 0..10 {
        broker.reload(&config(if n % 2 == 0 { "open" } else { "closed" }));
        crowd.goes_on();
    }
    crowd.has_lost_nothing(&broker);
}

#[test]
fn p14_what_is_not_granted_is_not_linked() {
    let guest = |name| std::fs::read(component(name)).unwrap();
    let wasi = |import: &str| {
        let text = format!(
            "(component (import \"{import}\" (instance (export \"f\" (func)))) (instance $l) \
             (export \"wasmqtt:plugin/lifecycle@0.1.0\" (instance $l)))"
        );
        craft::text(&text)
    };
    refused(&[
        ("network", guest("greedy"), "sockets"),
        ("keys", guest("keeper"), "is not granted"),
        ("http", wasi("wasi:http/outgoing-handler@0.2.0"), "wasi:http/outgoing-handler@0.2.0"),
        ("anything", wasi("acme:db/store@1.0.0"), "acme:db/store@1.0.0"),
    ]);
}

#[test]
fn p15_more_instances_than_there_is_room_for_are_refused_and_what_runs_goes_on() {
    let config = |many: usize| {
        let names: Vec<String> = (0..many).map(|n| format!("\"x{n}\"")).collect();
        let path = component("hostile");
        let plugins: String = (0..many).map(|n| plugin_at(&format!("x{n}"), &path, KEYS)).collect();
        let workers = "[broker]\nworkers = 8\n";
        let mqtt = open_listener("mqtt", &format!("transform = [{}]", names.join(", ")));
        format!("{workers}{mqtt}{}{LOSSLESS}{plugins}", open_listener("calm", ""))
    };
    let broker = Broker::start(&config(1));
    let mut crowd = Crowd::enter(&broker);
    for _ in 0..2 {
        let told = broker.refuse_reload(&config(200)).message();
        assert!(told.contains("limit of 1024"), "{told}");
        crowd.goes_on();
    }
    broker.reload(&config(10));
    crowd.goes_on();
    crowd.has_lost_nothing(&broker);
}

#[test]
fn p16_answers_that_are_never_the_same_hurt_nobody() {
    let (broker, mut crowd) = misbehaving("authorize", "authorize", "fickle");
    let mut attacker = attacker(&broker);
    let codes: Vec<u8> =
        (0..20).map(|n| attacker.publish(&Outgoing::new(&format!("bad/{n}"), ""))).collect();
    assert!(codes.contains(&0x10) && codes.contains(&0x87), "{codes:x?}");
    let granted: Vec<u8> =
        (0..20).map(|n| attacker.subscribe(&format!("bad/{n}/#"), QoS::AtLeastOnce)).collect();
    assert!(granted.contains(&1) && granted.contains(&0x87), "{granted:x?}");
    crowd.goes_on();
    crowd.has_lost_nothing(&broker);
}

/// There are no native plugins: what panics is a component.
#[test]
fn p17_a_panic_is_a_trap_and_its_words_are_told() {
    attack("trap", "hostile: told to trap");
}

#[test]
fn p18_proposals_that_no_plugin_needs_are_off_and_tables_end_at_their_limit() {
    let module = |text: &str| craft::text(&format!("(component (core module {text}))"));
    refused(&[
        ("two memories", module("(memory 1) (memory 1)"), "is not a valid component"),
        ("threads", module("(memory 1 1 shared)"), "is not a valid component"),
        ("64-bit memory", module("(memory i64 1)"), "is not a valid component"),
        ("table.grow", craft::module(craft::GROWING_TABLE), "20000 table elements"),
    ]);
}
