//! What observing plugins are told, and that nobody waits for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wasmqtt_codec::{Connect, QoS, Version};

use crate::harness::config::{LOSSLESS, OPEN, plugin};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};
use crate::publisher::herald;

/// Publishes every event to `told`, as in `subscribed ID FILTER 0x01`.
const TELLS: &str = "on = [\"events\"]\ntopic = \"told\"\nqos = 1\n";

fn observed(keys: &str, config: &str) -> String {
    let broker = "[broker]\nworkers = 2\nobserve = [\"herald\"]\n";
    [broker, LOSSLESS, OPEN, &herald("herald", keys, config)].concat()
}

fn reader(broker: &Broker) -> Client {
    Client::enter(broker.addr(), Version::V5, "reader").subscribed("told", QoS::AtLeastOnce)
}

/// What is told, without what is told of the reader itself.
fn told(reader: &mut Client) -> String {
    loop {
        let text = reader.message().text().trim_end().to_owned();
        if !text.contains(" reader") {
            return text;
        }
    }
}

#[test]
fn each_event_of_a_client_is_told_once_and_in_its_order() {
    let broker = Broker::start(&observed("", TELLS));
    let mut reader = reader(&broker);
    let addr = broker.addr();
    std::thread::scope(|scope| {
        for number in 0..20 {
            scope.spawn(move || {
                let id = format!("c{number}");
                let mut client = Client::enter(addr, Version::V5, &id);
                assert_eq!(client.subscribe("a/+", QoS::AtLeastOnce), 1);
                assert_eq!(client.publish(&Outgoing::new("$SYS/mine", "")), 0x87);
                assert_eq!(client.publish(&Outgoing::new("fine", "")), 0x10);
                client.disconnect();
            });
        }
    });
    let mut of_each: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut ended = 0;
    while ended < 20 {
        let text = told(&mut reader);
        let (kind, rest) = text.split_once(' ').unwrap();
        let (id, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        ended += usize::from(kind == "session-ended");
        of_each.entry(id.to_owned()).or_default().push(format!("{kind} {rest}").trim().to_owned());
    }
    assert_eq!(of_each.len(), 20);
    for (id, events) in of_each {
        let expected = [
            "client-connected",
            "session-created",
            "subscribed a/+ 0x01",
            "publish-refused $SYS/mine 0x87",
            "client-disconnected  0x00",
            "session-ended",
        ];
        assert_eq!(events, expected, "{id}");
    }
}

#[test]
fn who_is_refused_what_is_dropped_and_which_plugin_was_reloaded_is_told() {
    let config = observed("", TELLS)
        .replace("default = \"allow\"", "default = \"allow\"\nprotocols = [\"3.1.1\", \"5.0\"]");
    let broker = Broker::start(&config);
    let mut reader = reader(&broker);

    let connect = Connect::new(Version::V31, "old");
    assert_eq!(Client::connect(broker.addr(), &connect).1.code, 1);
    assert_eq!(told(&mut reader), "client-refused old  0x84");

    let connect = Connect { clean_start: false, ..Connect::new(Version::V311, "away") };
    let (away, _) = Client::connect(broker.addr(), &connect);
    away.subscribed("drop/#", QoS::AtLeastOnce).hang_up();
    for event in [
        "client-connected away",
        "session-created away",
        "subscribed away drop/# 0x01",
        "client-disconnected away",
    ] {
        assert_eq!(told(&mut reader), event);
    }
    // QoS 0 does not wait for a client that is away.
    reader.send_publish(&Outgoing::new("drop/x", "").qos(QoS::AtMostOnce));
    assert_eq!(told(&mut reader), "message-dropped away drop/x 0x97");

    let tagger = |tag: u8| plugin("tagger", "tagger", &format!("[plugin.config]\ntag = \"{tag}\""));
    broker.reload(&(config.clone() + &tagger(1)));
    assert_eq!(told(&mut reader), "plugin-reloaded  tagger");
    broker.reload(&(config.clone() + &tagger(2)));
    assert_eq!(told(&mut reader), "plugin-reloaded  tagger");
    broker.reload(&config);
    Client::enter(broker.addr(), Version::V5, "last").hang_up();
    assert_eq!(told(&mut reader), "client-connected last", "what is gone is not reloaded");
}

#[test]
fn a_plugin_that_is_no_longer_named_is_told_no_more_and_one_that_is_again_is() {
    let config = observed("", TELLS);
    let broker = Broker::start(&config);
    let mut reader = reader(&broker);
    broker.reload(&config.replace("[\"herald\"]", "[]"));
    Client::enter(broker.addr(), Version::V5, "unseen").disconnect();
    broker.reload(&config);
    Client::enter(broker.addr(), Version::V5, "seen").disconnect();
    assert_eq!(told(&mut reader), "client-connected seen", "and nothing before");
}

#[test]
fn events_beyond_the_queue_are_counted_as_lost() {
    let keys = "limits = { queued_events = 10, observe = \"2s\" }";
    let broker = Broker::start(&observed(keys, &format!("{TELLS}loop = \"bad\"")));
    let mut reader = reader(&broker);
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(told(&mut reader), "client-connected c");
    assert_eq!(told(&mut reader), "session-created c");
    let mark = broker.mark();
    // Told of this, it loops for two seconds, and both events go with the instance.
    let _bad = Client::enter(broker.addr(), Version::V5, "bad");
    let mut happened = 2;
    for _ in 0..200 {
        assert_eq!(client.publish(&Outgoing::new("$SYS/mine", "")), 0x87);
        happened += 1;
    }
    let (mut seen, mut lost, start) = (0, 0, Instant::now());
    // The broker itself counts each loss once.
    let total = || {
        let lines = broker.lines(mark);
        let last = lines.iter().rev().find(|line| line.holds("events lost"));
        last.map_or(0, |line| line.field("total").parse::<usize>().unwrap())
    };
    while seen + total() < happened || lost < total() {
        assert!(start.elapsed() < PATIENCE, "{seen} told and {lost} lost of {happened}");
        // What is lost is told with the next event that is not.
        while !reader.has_heard() && start.elapsed() < PATIENCE {
            assert_eq!(client.publish(&Outgoing::new("$SYS/mine", "")), 0x87);
            happened += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        let text = told(&mut reader);
        match text.strip_prefix("lost ") {
            Some(count) => lost += count.parse::<usize>().unwrap(),
            None => {
                assert_eq!(text, "publish-refused c $SYS/mine 0x87");
                seen += 1;
            }
        }
    }
    // Of the batch that it never finished it may have told some: two workers' events may come in either order.
    assert!((happened..happened + 10).contains(&(seen + total())), "{seen} told of {happened}");
    let line = broker.wait_for(mark, "events lost");
    assert_eq!(line.field("plugin"), "herald");
}

#[test]
fn an_observer_that_traps_loses_what_it_was_told_and_hears_how_much() {
    let broker = Broker::start(&observed("", &format!("{TELLS}trap = \"bad\"")));
    let mut reader = reader(&broker);
    let mark = broker.mark();
    Client::enter(broker.addr(), Version::V5, "good").subscribed("a", QoS::AtLeastOnce).hang_up();
    for event in [
        "client-connected good",
        "session-created good",
        "subscribed good a 0x01",
        "client-disconnected good",
        "session-ended good",
    ] {
        assert_eq!(told(&mut reader), event);
    }
    let _bad = Client::enter(broker.addr(), Version::V5, "bad");
    let line = broker.wait_for(mark, "events lost");
    assert_eq!((line.field("plugin"), line.field("events")), ("herald".into(), "2".into()));
    let _after = Client::enter(broker.addr(), Version::V5, "after");
    assert_eq!(told(&mut reader), "lost 2");
    assert_eq!(told(&mut reader), "client-connected after");
}

#[test]
fn an_observer_in_an_endless_loop_delays_no_client() {
    let keys = "limits = { observe = \"60s\" }";
    let broker = Broker::start(&observed(keys, &format!("{TELLS}loop = \"\"")));
    let mut sink =
        Client::enter(broker.addr(), Version::V5, "sink").subscribed("in/#", QoS::AtLeastOnce);
    let addr = broker.addr();
    std::thread::scope(|scope| {
        for number in 0..100 {
            scope.spawn(move || {
                let mut client = Client::enter(addr, Version::V5, &format!("c{number}"));
                for count in 0..10 {
                    let message = Outgoing::new(&format!("in/{number}"), format!("{count}"));
                    assert_eq!(client.publish(&message), 0);
                }
            });
        }
        let mut next = BTreeMap::<String, u32>::new();
        for _ in 0..1000 {
            let message = sink.message();
            let expected = next.entry(message.topic.clone()).or_default();
            assert_eq!(message.text(), expected.to_string(), "{}", message.topic);
            *expected += 1;
        }
        assert_eq!(next.len(), 100);
    });
    // It is still in there, with the reason to end the broker in its queue.
    let mut broker = broker;
    broker.terminate();
    broker.ends_at_once();
}

#[test]
fn a_tick_goes_on_across_a_reload() {
    let ticks = |topic: &str| {
        observed("", &format!("on = [\"tick\"]\ntick = 20\nqos = 1\ntopic = \"{topic}\""))
    };
    let broker = Broker::start(&ticks("told/1"));
    let mut reader =
        Client::enter(broker.addr(), Version::V5, "reader").subscribed("told/#", QoS::AtLeastOnce);
    let first = reader.message();
    assert!(first.text().starts_with("tick "), "{first:?}");
    for generation in 2..5 {
        let topic = format!("told/{generation}");
        broker.reload(&ticks(&topic));
        let mut count = 0;
        while count < 3 {
            let message = reader.message();
            if message.topic == topic {
                count += 1;
                assert_eq!(message.text(), format!("tick {count}"), "of the new instance");
            } else {
                assert_eq!(count, 0, "the old instance ticks no more: {message:?}");
            }
        }
    }
}
