//! mosquitto's programs show what only MQTT 5.0 has.

use std::time::{Duration, Instant};

use super::mosquitto::listening;
use super::{mosquitto, open, published, received};
use crate::harness::Broker;
use crate::harness::config::OPEN;
use crate::harness::program::{Running, run};

#[test]
fn mosquitto_gets_every_property_of_a_message() {
    let broker = open();
    let mut sub = listening(&broker, "-V 5 -q 1 -t content -F '%p|%C|%D|%F|%R|%P|%E'");
    published(
        &broker,
        "-V 5 -q 1 -t content -m text -D publish content-type text/plain -D publish correlation-data c-1 \
         -D publish payload-format-indicator 1 -D publish response-topic answers/here \
         -D publish user-property a 1 -D publish user-property a 2 -D publish message-expiry-interval 1000",
    );
    let line = sub.wait_for("text|");
    let (properties, expiry) = line.rsplit_once('|').unwrap();
    assert_eq!(properties, "text|text/plain|c-1|1|answers/here|a:1 a:2");
    assert!((900..=1000).contains(&expiry.parse::<u32>().unwrap()), "{line}");
}

#[test]
fn mosquitto_rr_gets_the_answer_to_its_question() {
    let broker = open();
    let mut responder = listening(&broker, "-V 5 -q 1 -t ask -F '%p|%R|%D'");
    let ask = |number: u32| {
        let ask = format!(
            "-V 5 -q 1 -t ask -e answers/{number} -m question{number} -W 30 -D publish correlation-data c-{number}"
        );
        Running::start(&mut mosquitto(broker.addr(), "mosquitto_rr", &ask))
    };
    let mut asking = [ask(0), ask(1)];
    let mut questions: Vec<String> = (0..2).map(|_| responder.wait_for("question")).collect();
    questions.sort();
    assert_eq!(questions, ["question0|answers/0|c-0", "question1|answers/1|c-1"]);
    for number in [1, 0] {
        published(
            &broker,
            &format!(
                "-V 5 -q 1 -t answers/{number} -m answer{number} -D publish correlation-data c-{number}"
            ),
        );
    }
    for (number, asking) in asking.iter_mut().enumerate() {
        assert_eq!(asking.wait_for("answer"), format!("answer{number}"));
    }
}

#[test]
fn mosquitto_gets_its_subscription_identifier() {
    let broker = open();
    let identified = "-D subscribe subscription-identifier 268435455";
    let mut sub = listening(&broker, &format!("-V 5 -q 1 -t identified/# {identified} -F '%t|%S'"));
    published(&broker, "-V 5 -q 1 -t identified/a -m x");
    assert_eq!(sub.wait_for("identified/a"), "identified/a|268435455");
}

#[test]
fn mosquitto_sees_the_retain_flag_as_published_when_it_wants_to() {
    let broker = open();
    for (option, flag) in [("", 0), ("--retain-as-published", 1)] {
        let mut sub = listening(&broker, &format!("-V 5 -q 1 -t flag {option} -F '%t|%p|%r'"));
        published(&broker, "-V 5 -q 1 -t flag -r -m live");
        assert_eq!(sub.wait_for("flag|live"), format!("flag|live|{flag}"));
        published(&broker, "-V 5 -q 1 -t flag -r -n");
    }
}

#[test]
fn mosquitto_does_not_get_what_has_expired() {
    let broker = open();
    let stays = "-V 5 -i stays -c -x 300 -q 1 -t expiry -F '%p|%E'";
    received(&broker, &format!("{stays} -E"));
    for (text, seconds) in [("short", 1), ("long", 100)] {
        let expiry = format!("-D publish message-expiry-interval {seconds}");
        published(&broker, &format!("-V 5 -q 1 -t expiry -m {text} {expiry}"));
    }
    // The wait is what is tested.
    std::thread::sleep(Duration::from_millis(2100));
    let arrived = received(&broker, &format!("{stays} -C 1 -W 30"));
    let left = arrived[0].strip_prefix("long|").unwrap().parse::<u32>().unwrap();
    assert!((1..=98).contains(&left), "{arrived:?}");
}

#[test]
fn mosquitto_uses_an_alias_for_its_topic() {
    let broker = open();
    let mut sub = listening(&broker, "-V 5 -q 1 -t alias/# -t end -F '%t|%p'");
    published(&broker, "-V 5 -q 1 -t alias/a -m x --repeat 3 -D publish topic-alias 1");
    published(&broker, "-V 5 -q 1 -t end -m x");
    sub.wait_for("end|x");
    assert_eq!(sub.seen()[1..], ["alias/a|x", "alias/a|x", "alias/a|x", "end|x"]);
}

#[test]
fn mosquitto_leaves_a_will_that_waits() {
    let broker = open();
    let mut watcher = listening(&broker, "-V 5 -q 1 -t will/# -F '%t|%p|%C'");
    let will = |name: &str, seconds: u32| {
        format!(
            "-V 5 -i {name} -x 300 -t nothing --will-topic will/{name} --will-payload gone \
             -D will will-delay-interval {seconds} -D will content-type text/plain"
        )
    };
    let start = Instant::now();
    drop(listening(&broker, &will("late", 2)));
    // This one is back in time, and says good-bye.
    drop(listening(&broker, &will("back", 1000)));
    received(&broker, "-V 5 -i back -c -x 300 -t nothing -E");
    assert_eq!(watcher.wait_for("will/"), "will/late|gone|text/plain", "and nothing before");
    assert!(start.elapsed() >= Duration::from_millis(1990), "{:?}", start.elapsed());
}

#[test]
fn mosquitto_loses_its_session_when_it_has_expired() {
    let broker = open();
    let mut watcher = listening(&broker, "-V 5 -q 1 -t over -F '%t|%p'");
    let start = Instant::now();
    // The will waits for the end of the session.
    drop(listening(
        &broker,
        "-V 5 -i short -c -x 2 -q 1 -t news --will-topic over --will-payload x -D will will-delay-interval 1000",
    ));
    watcher.wait_for("over|x");
    assert!(start.elapsed() >= Duration::from_millis(1990), "{:?}", start.elapsed());
    published(&broker, "-V 5 -q 1 -t news -m late");
    published(&broker, "-V 5 -q 1 -t news/kept -r -m marker");
    let arrived = received(&broker, "-V 5 -i short -c -x 2 -q 1 -t news/kept -C 1 -W 30 -F %p");
    assert_eq!(arrived, ["marker"]);
}

#[test]
fn mosquitto_gets_no_more_than_it_allows() {
    let broker = open();
    let allows = "-D connect receive-maximum 1 -D connect maximum-packet-size 100";
    let mut sub = listening(&broker, &format!("-V 5 -q 2 -t flow {allows} -F '%t|%p'"));
    published(&broker, "-V 5 -q 2 -t flow -m x --repeat 50");
    published(&broker, &format!("-V 5 -q 2 -t flow -m {}", "y".repeat(200)));
    published(&broker, "-V 5 -q 2 -t flow -m end");
    sub.wait_for("flow|end");
    let seen = sub.seen()[1..].to_vec();
    assert_eq!(seen.len(), 51, "{seen:?}");
    assert!(seen[..50].iter().all(|line| line == "flow|x"), "{seen:?}");
}

#[test]
fn mosquitto_keeps_to_what_the_broker_allows() {
    let broker = Broker::start(&format!(
        "{OPEN}[limits]\nreceive_maximum = 1\nmax_packet_size = \"1KiB\"\nkeep_alive_max = \"77s\"\n"
    ));
    let mark = broker.mark();
    let mut sub = listening(&broker, "-V 5 -q 2 -k 600 -t limits -F '%t|%p'");
    published(&broker, "-V 5 -q 2 -t limits -m x --repeat 20");
    // Too large to be sent; it says nothing.
    let large = format!("-V 5 -q 1 -t limits -m {}", "y".repeat(1100));
    run(&mut mosquitto(broker.addr(), "mosquitto_pub", &large));
    published(&broker, "-V 5 -q 2 -t limits -m end");
    sub.wait_for("limits|end");
    assert_eq!(sub.seen().len(), 1 + 20 + 1);
    // Nobody was closed for doing too much, and each got a name of its own.
    let lines = broker.lines(mark);
    assert!(!lines.iter().any(|line| line.holds("connection closed")), "{lines:?}");
    let named = |line: &&crate::harness::broker::Line| line.field("client_id").starts_with("auto-");
    let mut names: Vec<String> = lines
        .iter()
        .filter(|line| line.holds("client connected"))
        .filter(named)
        .map(|line| line.field("client_id"))
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "names given twice");
}

#[test]
fn mosquitto_is_told_reasons() {
    let broker = open();
    for wanted in [0, 1] {
        let asks = format!("-D connect request-problem-information {wanted}");
        let own = format!("-V 5 -q 1 -t $SYS/mine -m x {asks}");
        let ended = run(&mut mosquitto(broker.addr(), "mosquitto_pub", &own));
        assert!(ended.stderr.contains("Not authorized"), "{ended:?}");
    }
    let will = "-V 5 -t a -m x --will-topic $SYS/mine";
    let ended = run(&mut mosquitto(broker.addr(), "mosquitto_pub", will));
    assert_eq!(ended.code, Some(0x87), "{ended:?}");
    // What it must not ask for, and asks for all the same.
    let share = "-V 5 -t $share/group/ -W 30";
    let ended = run(&mut mosquitto(broker.addr(), "mosquitto_sub", share));
    assert!(ended.stderr.contains("All subscription requests were denied"), "{ended:?}");
}
