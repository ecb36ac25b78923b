//! `wasmqtt pub` and `wasmqtt sub`: every way to the broker, in every version, and what they say and how they end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::config::{LOSSLESS, OPEN, demo, open_listener};
use crate::harness::gateway::Gateway;
use crate::harness::program::{Ended, Running, run};
use crate::harness::tls::Authority;
use crate::harness::{Broker, PATIENCE, wasmqtt};

const VERSIONS: [&str; 3] = ["3.1", "3.1.1", "5"];
const SERVER: &str = "tls = { certificate = \"server.pem\", key = \"server.key\"";

/// One of the two commands, as a user types it.
fn command(name: &str, way: &[&str], arguments: &str) -> Command {
    let mut command = Command::new(wasmqtt());
    command.arg(name).args(way).env_remove("WASMQTT_PASSWORD");
    for word in arguments.split_whitespace() {
        command.arg(word.trim_matches('\''));
    }
    command
}

/// How to get to the first listener.
fn plain(broker: &Broker) -> Vec<String> {
    ["-h", "127.0.0.1", "-p", &broker.addr().port().to_string()].map(str::to_owned).into()
}

fn words(way: &[String]) -> Vec<&str> {
    way.iter().map(String::as_str).collect()
}

/// Runs it to its end.
fn ended(broker: &Broker, name: &str, arguments: &str) -> Ended {
    run(&mut command(name, &words(&plain(broker)), arguments))
}

fn published(broker: &Broker, arguments: &str) {
    let ended = ended(broker, "pub", arguments);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{arguments}");
}

fn started(broker: &Broker, arguments: &str) -> Running {
    Running::start(&mut command("sub", &words(&plain(broker)), arguments))
}

fn open() -> Broker {
    Broker::start(&format!("{OPEN}{LOSSLESS}"))
}

/// Every QoS, something retained, something large and a will, in every version.
fn shows(way: &[&str]) {
    let dir = TempDir::new().unwrap();
    let large = dir.path().join("large");
    std::fs::write(&large, "x".repeat(300_000)).unwrap();
    let published = |arguments: &str| {
        let ended = run(&mut command("pub", way, arguments));
        assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{way:?} {arguments}");
    };
    for version in VERSIONS {
        published(&format!("-V {version} -q 2 -r -t ways/kept -m kept-{version}"));
        let sub = format!("-V {version} -q 2 -t ways/# -F %t|%.0t%l|%p|%q|%r");
        let mut sub = Running::start(&mut command("sub", way, &sub));
        // What is retained says that it is subscribed.
        let kept = format!("kept-{version}");
        assert_eq!(sub.wait_for("kept"), format!("ways/kept|{}|{kept}|2|1", kept.len()));
        for qos in [0, 1, 2] {
            published(&format!("-V {version} -q {qos} -t ways/a -m hello-{qos}"));
            assert_eq!(sub.wait_for("hello"), format!("ways/a|7|hello-{qos}|{qos}|0"));
            published(&format!("-V {version} -q {qos} -t ways/b -f {}", large.display()));
            assert_eq!(sub.wait_for("xxx").len(), 300_000 + "ways/b|300000||0|0".len());
        }
        let will = "--will-topic ways/will --will-payload gone --will-qos 1";
        let dying = format!("-V {version} -t ways/kept -F %p {will}");
        let mut dying = Running::start(&mut command("sub", way, &dying));
        dying.wait_for("kept");
        // Killed, so that it cannot say good-bye.
        drop(dying);
        assert_eq!(sub.wait_for("gone"), "ways/will|4|gone|1|0");
        published(&format!("-V {version} -q 1 -r -n -t ways/kept"));
        assert_eq!(sub.wait_for("ways/kept"), "ways/kept|0||1|0");
    }
}

/// A broker with certificates in its directory, whose TLS has these further keys.
fn certified(protocol: &str, more: &str) -> Broker {
    let authority = Authority::new("ours");
    let dir = TempDir::new().unwrap();
    authority.server("x").write(dir.path(), "server");
    authority.client("device-1").write(dir.path(), "client");
    std::fs::write(dir.path().join("ca.pem"), &authority.certificate).unwrap();
    let keys = format!("protocol = \"{protocol}\"\n{SERVER}{more} }}");
    Broker::start_in(dir, &format!("{}{LOSSLESS}", open_listener("way", &keys)))
}

fn sealed(broker: &Broker, more: &[&str]) -> Vec<String> {
    let file = |name: &str| broker.dir().join(name).display().to_string();
    let mut way = plain(broker);
    way.extend(["--cafile".to_owned(), file("ca.pem")]);
    let more = more.iter().map(|word| word.to_string());
    way.extend(more.map(|word| if word.starts_with("client.") { file(&word) } else { word }));
    way
}

#[test]
fn they_come_by_tcp() {
    shows(&words(&plain(&open())));
}

#[test]
fn they_come_by_tls_1_2_and_1_3_and_with_a_certificate() {
    let broker = certified("tls", "");
    shows(&words(&sealed(&broker, &["--tls-version", "tlsv1.2", "--tls-alpn", "mqtt"])));
    shows(&words(&sealed(&broker, &["--tls-version", "tlsv1.3"])));
    let keys =
        ", client_certificate = \"required\", client_ca = [\"ca.pem\"], client_name = [\"cn\"]";
    let broker = certified("tls", keys);
    let mark = broker.mark();
    shows(&words(&sealed(&broker, &["--cert", "client.pem", "--key", "client.key"])));
    assert_eq!(broker.wait_for(mark, "client connected").field("username"), "device-1");
}

#[test]
fn they_come_by_websocket_in_the_clear_and_sealed() {
    let broker = Broker::start(&format!("{}{LOSSLESS}", open_listener("way", "protocol = \"ws\"")));
    let url = format!("ws://127.0.0.1:{}/mqtt", broker.addr().port());
    shows(&["-L", &url]);
    shows(&words(&sealed(&certified("wss", ""), &["--ws"])));
}

#[test]
fn they_come_by_unix_socket() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mqtt.sock").display().to_string();
    let listener = open_listener("way", "protocol = \"unix\"").replace("127.0.0.1:0", &path);
    let _broker = Broker::start(&format!("{listener}{LOSSLESS}"));
    shows(&["--unix", &path]);
}

#[test]
fn they_and_mosquittos_programs_understand_each_other() {
    let broker = open();
    let way = plain(&broker);
    let theirs = |program: &str, arguments: &str| {
        let mut command = Command::new(program);
        command.args(&way).args(arguments.split_whitespace());
        command
    };
    let format = "%t|%p|%q|%r|%l|%C|%P|%R|%-20t|%05l|%x";
    for version in ["31", "311", "5"] {
        let properties = match version {
            "5" => {
                "-D publish content-type text -D publish user-property a b -D publish response-topic c"
            }
            _ => "",
        };
        for qos in [0, 1, 2] {
            let topic = format!("both/{version}/{qos}");
            let sub = format!("-V {version} -q {qos} -t {topic} -C 2 -F {format} -W 100");
            let kept = format!("-V {version} -r -t {topic} -m kept");
            published(&broker, &kept);
            let mut ours = started(&broker, &sub);
            let mut other = Running::start(&mut theirs("mosquitto_sub", &sub));
            assert_eq!(ours.wait_for("kept"), other.wait_for("kept"));
            let message = format!("-V {version} -q {qos} -t {topic} -m hello {properties}");
            if qos == 1 {
                published(&broker, &message);
            } else {
                assert_eq!(run(&mut theirs("mosquitto_pub", &message)).code, Some(0));
            }
            assert_eq!(ours.wait_for("hello"), other.wait_for("hello"), "{topic}");
        }
    }
}

#[test]
fn every_property_of_a_message_arrives_and_json_has_it() {
    let broker = open();
    published(
        &broker,
        "-t p -r -m {} -D publish content-type text/plain -D publish response-topic answers \
         -D publish correlation-data id -D publish payload-format-indicator 1 -D PUBLISH message-expiry-interval 3600 \
         -D publish user-property a 1 -D publish user-property a -2",
    );
    let sub = "-t p -C 1 --json -D subscribe subscription-identifier 7";
    let value: Value = serde_json::from_str(&ended(&broker, "sub", sub).stdout).unwrap();
    let mut properties = value["properties"].clone();
    let expiry = properties["message-expiry-interval"].take().as_u64().unwrap();
    assert!((1..=3600).contains(&expiry), "{expiry}");
    let expected = json!({
        "content-type": "text/plain", "response-topic": "answers", "correlation-data": "id",
        "payload-format-indicator": 1, "message-expiry-interval": null, "subscription-identifier": 7,
        "user-properties": { "a": ["1", "-2"] },
    });
    assert_eq!(properties, expected);
    assert_eq!(
        (&value["topic"], &value["retain"], &value["payload"]),
        (&"p".into(), &1.into(), &"{}".into())
    );
    let bare = ended(&broker, "sub", "-t p -C 1 -F %J");
    assert_eq!(serde_json::from_str::<Value>(&bare.stdout).unwrap()["payload"], json!({}));
}

#[test]
fn a_will_has_its_properties() {
    let broker = open();
    published(&broker, "-t wills/ready -r -m ready");
    let mut sub = started(&broker, "-t wills/# -F %t|%p|%C|%P");
    sub.wait_for("ready");
    let will = "--will-topic wills/w --will-payload -gone -D will content-type c -D will user-property a b";
    let mut dying = started(&broker, &format!("-t wills/ready {will}"));
    dying.wait_for("ready");
    drop(dying);
    assert_eq!(sub.wait_for("gone"), "wills/w|-gone|c|a:b");
}

#[test]
fn lines_of_standard_input_are_messages_in_their_order() {
    let broker = open();
    for qos in [0, 1, 2] {
        let topic = format!("lines/{qos}");
        published(&broker, &format!("-t {topic} -r -m ready"));
        let mut sub = started(&broker, &format!("-q 2 -t {topic} -C 5001"));
        sub.wait_for("ready");
        let way = plain(&broker).join(" ");
        let script =
            format!("seq 1 5000 | {} pub {way} -q {qos} -t {topic} -l", wasmqtt().display());
        let ended = run(Command::new("sh").args(["-c", &script]));
        assert_eq!(
            (ended.code, &*ended.stderr),
            (Some(0), ""),
            "nobody looks, so nothing is shown"
        );
        sub.wait_for("5000");
        let numbers = sub.seen()[1..].iter().map(|line| line.parse::<u32>().unwrap());
        assert!(numbers.eq(1..=5000), "{topic}");
    }
}

#[test]
fn a_message_may_be_repeated_or_be_all_of_standard_input() {
    let broker = open();
    published(&broker, "-t r -r -m ready");
    let mut sub = started(&broker, "-t r -C 5");
    sub.wait_for("ready");
    published(&broker, "-t r -m -1 --repeat 3 --repeat-delay 0.01 -q 1");
    let way = plain(&broker).join(" ");
    let script = format!("printf 'a\\nb' | {} pub {way} -t r -s", wasmqtt().display());
    assert_eq!(run(Command::new("sh").args(["-c", &script])).code, Some(0));
    sub.wait_for("b");
    assert_eq!(sub.seen(), ["ready", "-1", "-1", "-1", "a", "b"]);
}

#[test]
fn a_session_that_is_kept_has_what_came_in_the_meantime() {
    let broker = open();
    for version in VERSIONS {
        let session = format!("-V {version} -c -i keeper-{version} -q 2");
        assert_eq!(ended(&broker, "sub", &format!("{session} -t kept/# -E")).code, Some(0));
        for qos in [1, 2] {
            published(&broker, &format!("-t kept/{version} -q {qos} -m while-away-{qos}"));
        }
        let came = ended(&broker, "sub", &format!("{session} -t kept/# -C 2 -F %p|%q"));
        assert_eq!(came.stdout, "while-away-1|1\nwhile-away-2|2\n");
        // It was all, and is acknowledged; and then it is not wanted any more.
        let gone = ended(&broker, "sub", &format!("{session} -U kept/# -E"));
        assert_eq!((gone.code, &*gone.stdout), (Some(0), ""));
        published(&broker, &format!("-t kept/{version} -q 1 -m unwanted"));
        published(&broker, &format!("-t other/{version} -r -m other"));
        let came = ended(&broker, "sub", &format!("{session} -t other/{version} -C 1"));
        assert_eq!(came.stdout, "other\n");
    }
    let nameless = ended(&broker, "sub", "-c -t a");
    assert!(nameless.code == Some(1) && nameless.stderr.contains("-i"), "{nameless:?}");
}

#[test]
fn sub_ends_when_it_was_told_to_and_leaves_out_what_nobody_wants() {
    let broker = open();
    for topic in ["some/a", "some/b", "some/c"] {
        published(&broker, &format!("-t {topic} -r -m {topic}-kept"));
    }
    let some = |arguments: &str| {
        let ended = ended(&broker, "sub", arguments);
        let mut lines: Vec<_> = ended.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        (ended.code, lines.join(" "), ended.stderr)
    };
    assert_eq!(some("-t some/+ -E"), (Some(0), String::new(), String::new()));
    let timeout = some("-t some/+ -T some/b -W 2");
    assert_eq!(timeout, (Some(27), "some/a-kept some/c-kept".into(), "time is over\n".into()));
    assert_eq!(some("-t some/+ -R -W 1 --quiet"), (Some(27), String::new(), String::new()));
    assert_eq!(some("-t some/+ --retain-handling never -W 1 --quiet").1, "");
    assert_eq!(some("-t some/a -C 1 -v").1, "some/a some/a-kept");
    // The first that is not retained ends it.
    let mut sub = started(&broker, "-t some/+ -t ready --retained-only");
    sub.wait_for("some/c-kept");
    published(&broker, "-t some/d -m new");
    sub.wait_for_end();
    assert_eq!(sub.seen().len(), 3);
    assert_eq!(some("-t some/+ --remove-retained -T some/b -C 2").1, "some/a-kept some/c-kept");
    assert_eq!(some("-t some/+ -C 1").1, "some/b-kept");
}

#[test]
fn who_reads_no_more_ends_sub() {
    let broker = open();
    published(&broker, "-t pipe -r -m first");
    let way = plain(&broker).join(" ");
    let script = format!("{} sub {way} -t pipe | head -n 1", wasmqtt().display());
    let mut pipe = Running::start(Command::new("sh").args(["-c", &script]));
    pipe.wait_for("first");
    let start = std::time::Instant::now();
    // It notices when it writes.
    while !pipe.has_ended() {
        assert!(start.elapsed() < PATIENCE, "it goes on");
        published(&broker, "-t pipe -m more");
    }
}

#[test]
fn a_refusal_says_why_and_ends_with_the_code_of_the_broker() {
    let broker = Broker::start(&demo());
    for (version, code) in [("5", 134), ("311", 4), ("31", 4)] {
        let user = format!("-V {version} -u alice -P wrong -t devices/alice/x");
        for ended in [ended(&broker, "pub", &format!("{user} -m x")), ended(&broker, "sub", &user)]
        {
            assert_eq!(ended.code, Some(code), "{ended:?}");
            assert!(ended.stderr.contains("bad user name or password (0x86)"), "{ended:?}");
        }
    }
    let alice = "-u alice -P secret";
    let foreign = ended(&broker, "pub", &format!("{alice} -t devices/bob/x -q 1 -m x"));
    assert_eq!(foreign.code, Some(135));
    assert!(
        foreign.stderr.contains("the broker refuses the message: not authorized (0x87)"),
        "{foreign:?}"
    );
    for (version, code, told) in
        [("5", 135, "not authorized (0x87)"), ("311", 128, "unspecified error (0x80)")]
    {
        let sub = format!("{alice} -V {version} -t devices/bob/#");
        let ended = ended(&broker, "sub", &sub);
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stderr.contains(&format!("devices/bob/#: {told}")), "{ended:?}");
    }
    // One of two is enough to stay for.
    let sub = format!("{alice} -t devices/bob/# -t devices/alice/# -W 1");
    let both = ended(&broker, "sub", &sub);
    assert!(both.code == Some(27) && both.stderr.contains("devices/bob/#"), "{both:?}");
}

#[test]
fn a_password_need_not_stand_among_the_arguments() {
    let broker = Broker::start(&demo());
    let file = broker.dir().join("password");
    std::fs::write(&file, "secret\nanything else\n").unwrap();
    let publish = "-u alice -q 1 -t devices/alice/x -m x";
    published(&broker, &format!("{publish} --password-file {}", file.display()));
    let way = plain(&broker);
    let environment = |password: &str| {
        run(command("pub", &words(&way), publish).env("WASMQTT_PASSWORD", password)).code
    };
    assert_eq!((environment("secret"), environment("other")), (Some(0), Some(134)));
    let asked = format!(
        "echo secret | {} pub {} {publish} --ask-password",
        wasmqtt().display(),
        way.join(" ")
    );
    assert_eq!(run(Command::new("sh").args(["-c", &asked])).code, Some(0));
    let url = format!("mqtt://alice:secret@127.0.0.1:{}/devices/alice/x", broker.addr().port());
    let ended = run(&mut command("pub", &["-L", &url], "-q 1 -m x"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_certificate_that_does_not_hold_is_refused_unless_only_the_name_is_wrong() {
    let broker = certified("tls", "");
    let port = broker.addr().port().to_string();
    let publish = |arguments: &[&str]| {
        run(&mut command("pub", &[&["-p", &port][..], arguments].concat(), "-t t -m x"))
    };
    let ca = broker.dir().join("ca.pem").display().to_string();
    let unknown = publish(&["-h", "127.0.0.1", "--tls"]);
    assert!(unknown.code == Some(1) && unknown.stderr.contains("--cafile"), "{unknown:?}");
    let insecure = publish(&["-h", "127.0.0.1", "--insecure"]);
    assert!(insecure.code == Some(1) && insecure.stderr.contains("--cafile"), "{insecure:?}");
    // It is for localhost and 127.0.0.1.
    let other = publish(&["-h", "127.0.0.2", "--cafile", &ca]);
    assert_eq!(other.code, Some(1), "{other:?}");
    let missing = publish(&["-h", "127.0.0.1", "--cafile", "no/such/file"]);
    assert!(missing.code == Some(1) && missing.stderr.contains("no/such/file"), "{missing:?}");
    let clear = publish(&["-h", "127.0.0.1"]);
    assert!(clear.code == Some(1) && clear.stderr.contains("does it want TLS"), "{clear:?}");
    let ca_path = broker.dir().display().to_string();
    assert_eq!(publish(&["-h", "localhost", "--capath", &ca_path, "-V", "311"]).code, Some(0));
}

#[test]
fn what_the_broker_does_not_take_is_told_before_it_is_sent() {
    let limits = "[limits]\nmax_packet_size = \"4KiB\"\n";
    let broker = Broker::start(&format!("{OPEN}{limits}"));
    let file = broker.dir().join("large");
    std::fs::write(&file, "x".repeat(5000)).unwrap();
    let large = ended(&broker, "pub", &format!("-t t -f {}", file.display()));
    assert!(large.code == Some(1) && large.stderr.contains("the broker takes 4096"), "{large:?}");
    let old = ended(&broker, "pub", "-V 311 -t t -m x -D publish content-type c");
    assert!(old.code == Some(1) && old.stderr.contains("-V 5"), "{old:?}");
}

#[test]
fn a_broker_that_closes_the_connection_behind_the_last_message_is_heard() {
    let broker = Broker::start(&format!(
        "{OPEN}[limits]\npublish_rate = 1\non_publish_rate = \"disconnect\"\n"
    ));
    let many = ended(&broker, "pub", "-t t -m x --repeat 100");
    assert_eq!(many.code, Some(0x96), "{many:?}");
    assert!(many.stderr.contains("message rate too high (0x96)"), "{many:?}");
}

#[test]
fn sub_comes_back_when_the_broker_was_away_and_ends_when_somebody_has_its_session() {
    let mut broker = open();
    let gateway = Gateway::open(broker.addr());
    let port = gateway.addr().port().to_string();
    let way = ["-h", "127.0.0.1", "-p", &port, "-i", "one"];
    published(&broker, "-t back -r -m before");
    let mut sub = Running::start(&mut command("sub", &way, "-t back"));
    sub.wait_for("before");
    gateway.close();
    broker = broker.restart();
    published(&broker, "-t back -r -m after");
    gateway.lead_to(broker.addr());
    sub.wait_for("after");
    let mut other = Running::start(&mut command("sub", &way, "-t back"));
    other.wait_for("after");
    assert_eq!(sub.wait_for_end(), Some(0x8E));
    // Who does not want that, is told.
    let mut stay = started(&broker, "-t back --no-reconnect");
    stay.wait_for("after");
    broker.terminate();
    assert_eq!(stay.wait_for_end(), Some(1));
}

#[test]
fn a_broker_that_does_not_answer_any_more_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let way = ["-h", "127.0.0.1", "-p", &port, "-V", "311"];
    let mut sub = Running::start(&mut command("sub", &way, "-t t -k 1 --no-reconnect"));
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&[0x20, 2, 0, 0]).unwrap();
    // CONNECT, SUBSCRIBE, and then its signs of life.
    let mut came = Vec::new();
    while !came.ends_with(&[0xC0, 0]) {
        let mut chunk = [0; 256];
        let len = stream.read(&mut chunk).unwrap();
        assert!(len > 0, "{came:02x?}");
        came.extend(&chunk[..len]);
    }
    assert_eq!(sub.wait_for_end(), Some(1));
}

#[test]
fn a_signal_ends_sub_with_a_farewell() {
    let broker = open();
    published(&broker, "-t s -r -m ready");
    let mark = broker.mark();
    for signal in ["TERM", "INT"] {
        let will = "--will-topic w --will-payload never --will-retain";
        let mut sub = started(&broker, &format!("-t s {will}"));
        sub.wait_for("ready");
        sub.signal(signal);
        assert_eq!(sub.wait_for_end(), Some(0));
    }
    let none = ended(&broker, "sub", "-t w -W 1");
    assert_eq!((none.code, &*none.stdout), (Some(27), ""));
    assert!(!broker.lines(mark).iter().any(|line| line.message() == "connection lost"));
}
