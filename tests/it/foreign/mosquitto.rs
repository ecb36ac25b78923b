//! mosquitto's programs show what every version has.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use wasmqtt_codec::Version;

use super::{mosquitto, open, published, received};
use crate::harness::gateway::Gateway;
use crate::harness::program::{Running, run};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// As the programs want them.
pub(super) const VERSIONS: [&str; 3] = ["31", "311", "5"];

/// Starts mosquitto_sub, which says nothing until something comes, and waits until it is subscribed: the broker tells
/// who publishes whether there is anybody. Every message must be shown with its payload or topic.
pub(super) fn listening(broker: &Broker, arguments: &str) -> Running {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let probe = format!("probe/{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let arguments = format!("{arguments} -t {probe}");
    let mut sub = Running::start(&mut mosquitto(broker.addr(), "mosquitto_sub", &arguments));
    probed(broker, &mut sub, &probe);
    sub
}

fn probed(broker: &Broker, sub: &mut Running, probe: &str) {
    let mut client = Client::enter(broker.addr(), Version::V5, "prober");
    let start = Instant::now();
    while client.publish(&Outgoing::new(probe, probe)) != 0 {
        assert!(start.elapsed() < PATIENCE, "nobody subscribed to {probe}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    client.disconnect();
    sub.wait_for(probe);
}

#[test]
fn mosquitto_gets_the_lower_qos() {
    let broker = open();
    for version in VERSIONS {
        for granted in 0..3 {
            let mut sub = listening(
                &broker,
                &format!("-V {version} -q {granted} -t qos/{granted} -F '%t|%p|%q'"),
            );
            for sent in 0..3 {
                published(&broker, &format!("-V {version} -q {sent} -t qos/{granted} -m m{sent}"));
                let line = sub.wait_for(&format!("m{sent}"));
                assert_eq!(line, format!("qos/{granted}|m{sent}|{}", granted.min(sent)));
            }
        }
    }
}

#[test]
fn mosquitto_sets_gets_and_clears_what_is_retained() {
    let broker = open();
    for version in VERSIONS {
        let publish = |rest: &str| published(&broker, &format!("-V {version} -q 1 -r {rest}"));
        let first = |count: u32| {
            received(&broker, &format!("-V {version} -t kept/# -C {count} -W 30 -F '%r|%t|%p'"))
        };
        publish("-t kept/z -m last");
        publish("-t kept/a -m one");
        publish("-t kept/a -m two");
        assert_eq!(first(2), ["1|kept/a|two", "1|kept/z|last"], "{version}");
        publish("-t kept/a -n");
        assert_eq!(first(1), ["1|kept/z|last"], "{version}");
    }
}

#[test]
fn mosquitto_leaves_a_will_only_when_it_is_lost() {
    let broker = open();
    for version in VERSIONS {
        let mut watcher =
            listening(&broker, &format!("-V {version} -q 2 -t will -F '%t|%p|%q|%r'"));
        let will = format!("-V {version} -i client --will-topic will --will-qos 1 --will-retain");
        let polite = format!("{will} --will-payload polite -t $SYS/broker/version -C 1 -W 30");
        let mark = broker.mark();
        received(&broker, &polite);
        let left = |line: &crate::harness::broker::Line| {
            line.holds("client disconnected") && line.field("client_id") == "client"
        };
        broker.wait_until(mark, left, "the good-bye of mosquitto_sub");
        // Killed, so that it cannot say good-bye.
        drop(listening(&broker, &format!("{will} --will-payload lost -t nothing")));
        assert_eq!(watcher.wait_for("will|"), "will|lost|1|0", "{version}: and nothing before");
        let kept = received(&broker, &format!("-V {version} -t will -C 1 -W 30 -F '%p|%r'"));
        assert_eq!(kept, ["lost|1"], "{version}");
        published(&broker, &format!("-V {version} -t will -r -n"));
    }
}

#[test]
fn mosquitto_finds_what_came_while_it_was_away() {
    let broker = open();
    for version in VERSIONS {
        let stays = format!("-V {version} -i stays-{version} -c -q 2 -F '%t|%p|%q'");
        assert!(received(&broker, &format!("{stays} -t news/# -E")).is_empty());
        for number in 0..3 {
            published(&broker, &format!("-V {version} -q {number} -t news/a -m n{number}"));
        }
        // With QoS 0 nothing waits.
        let arrived = received(&broker, &format!("{stays} -t news/# -C 2 -W 30"));
        assert_eq!(arrived, ["news/a|n1|1", "news/a|n2|2"], "{version}");
        // A clean start, and nothing is left.
        published(&broker, &format!("-V {version} -q 1 -t news/a -m forgotten"));
        let clean = format!("-V {version} -i stays-{version} -q 2 -F '%t|%p|%q'");
        received(&broker, &format!("{clean} -t news/# -E"));
        published(&broker, &format!("-V {version} -q 1 -r -t news/z -m marker"));
        let arrived = received(&broker, &format!("{clean} -t news/# -C 1 -W 30"));
        assert_eq!(arrived, ["news/z|marker|1"], "{version}");
        published(&broker, &format!("-V {version} -r -t news/z -n"));
    }
}

#[test]
fn mosquitto_gets_one_copy_through_overlapping_filters() {
    let broker = open();
    for version in VERSIONS {
        let mut sub = listening(
            &broker,
            &format!("-V {version} -q 1 -t a/+/c -t a/# -t +/b/+ -t end -F '%t|%p|%q'"),
        );
        for topic in ["a/b/c", "a/x", "a", "x/b/y", "x/y/b", "a/b/c/d"] {
            published(&broker, &format!("-V {version} -q 2 -t {topic} -m x"));
        }
        published(&broker, &format!("-V {version} -q 1 -t end -m x"));
        sub.wait_for("end|");
        let seen = sub.seen()[1..].to_vec();
        let expected = ["a/b/c", "a/x", "a", "x/b/y", "a/b/c/d", "end"].map(|t| format!("{t}|x|1"));
        assert_eq!(seen, expected, "{version}");
    }
}

#[test]
fn mosquitto_unsubscribes() {
    let broker = open();
    for version in VERSIONS {
        let stays = format!("-V {version} -i leaves-{version} -c -q 1 -F '%t|%p'");
        received(&broker, &format!("{stays} -t out/a -t out/b -E"));
        received(&broker, &format!("{stays} -U out/a -t out/c -E"));
        for topic in ["a", "b", "c"] {
            published(&broker, &format!("-V {version} -q 1 -t out/{topic} -m x"));
        }
        let arrived = received(&broker, &format!("{stays} -t out/c -C 2 -W 30"));
        assert_eq!(arrived, ["out/b|x", "out/c|x"], "{version}");
    }
}

#[test]
fn mosquitto_shares_a_subscription() {
    let broker = open();
    for version in VERSIONS {
        let member = || {
            let arguments = format!("-V {version} -q 1 -t $share/group/jobs -t end -F '%t|%p'");
            listening(&broker, &arguments)
        };
        let mut members = [member(), member()];
        for number in 0..10 {
            published(&broker, &format!("-V {version} -q 1 -t jobs -m j{number}"));
        }
        published(&broker, &format!("-V {version} -q 1 -t end -m x"));
        let mut all = Vec::new();
        for member in &mut members {
            member.wait_for("end|");
            let own: Vec<_> =
                member.seen().iter().filter(|line| line.starts_with("jobs|")).cloned().collect();
            assert!(!own.is_empty(), "everybody takes part");
            all.extend(own);
        }
        all.sort();
        assert_eq!(all, (0..10).map(|number| format!("jobs|j{number}")).collect::<Vec<_>>());
    }
}

#[test]
fn mosquitto_sends_and_gets_a_megabyte() {
    let broker = open();
    let text = "0123456789".repeat(100_000);
    std::fs::write(broker.dir().join("large"), &text).unwrap();
    let file = broker.dir().join("large").display().to_string();
    for version in VERSIONS {
        let mut sub = listening(&broker, &format!("-V {version} -q 2 -t large -F '%l|%p'"));
        for qos in 0..3 {
            published(&broker, &format!("-V {version} -q {qos} -t large -f {file}"));
            assert_eq!(sub.wait_for("0123456789"), format!("1000000|{text}"));
        }
    }
}

#[test]
fn mosquitto_comes_back_by_itself_when_the_broker_has_crashed() {
    let mut broker = open();
    let gateway = Gateway::open(broker.addr());
    let mut subs = VERSIONS.map(|version| {
        let arguments = format!("-V {version} -q 1 -t back/{version} -F '%t|%p'");
        Running::start(&mut mosquitto(gateway.addr(), "mosquitto_sub", &arguments))
    });
    for _ in 0..2 {
        for (version, sub) in VERSIONS.iter().zip(&mut subs) {
            probed(&broker, sub, &format!("back/{version}"));
        }
        gateway.close();
        // Told that the broker shuts down, mosquitto_sub would go with it in 5.0.
        broker = broker.crash();
        gateway.lead_to(broker.addr());
    }
    let command = "-V 5 -q 1 -t back/5 -m once-more";
    for (version, sub) in VERSIONS.iter().zip(&mut subs) {
        probed(&broker, sub, &format!("back/{version}"));
    }
    let ended = run(&mut mosquitto(gateway.addr(), "mosquitto_pub", command));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(subs[2].wait_for("once-more"), "back/5|once-more");
}

#[test]
fn mosquitto_rr_gets_an_answer() {
    let broker = open();
    for version in VERSIONS {
        let mut responder = listening(&broker, &format!("-V {version} -q 1 -t ask -F '%t|%p'"));
        let ask = format!("-V {version} -q 1 -t ask -e answers -m question -W 30");
        let mut asking = Running::start(&mut mosquitto(broker.addr(), "mosquitto_rr", &ask));
        responder.wait_for("ask|question");
        published(&broker, &format!("-V {version} -q 1 -t answers -m answer"));
        assert_eq!(asking.wait_for("answer"), "answer");
    }
}
