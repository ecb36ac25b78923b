//! Wills.

use std::time::{Duration, Instant};

use crate::harness::{BOTH, Broker, Client, Hello, Outgoing, Version, Will, packet, prop};

fn watcher(broker: &Broker, version: Version) -> Client {
    let mut watcher = broker.client(version, "watcher");
    watcher.sub("will", 2);
    watcher
}

/// v5: 3.1.2-7, 3.1.2-8, 3.1.2-10; v3: 3.1.2-8, 3.1.2-10
#[test]
fn the_will_is_published_once_when_the_connection_is_lost() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = watcher(&broker, version);
        let hello = Hello::resume(version, "client", 60).will(Will::new("will", "gone", 1));
        let client = broker.connect(&hello);
        watcher.hears_nothing();
        client.vanish();
        assert_eq!(watcher.message().text(), "gone");
        // The session goes on without it.
        broker.connect(&Hello::resume(version, "client", 60)).vanish();
        watcher.hears_nothing_for(Duration::from_millis(300));
    }
}

/// v5: 3.1.2-8; v3: 3.1.2-8
#[test]
fn the_will_is_published_when_the_broker_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = watcher(&broker, version);
        let hello = |text| Hello::new(version, "client").will(Will::new("will", text, 0));
        broker.connect(&hello("fault")).fault(&[0xC1, 0], 0x81);
        assert_eq!(watcher.message().text(), "fault");
        let mut late = broker.connect(&hello("late").keep_alive(1));
        assert_eq!(late.end(), version.code(0x8D));
        assert_eq!(watcher.message().text(), "late");
        let mut old = broker.connect(&hello("taken over"));
        let mut new = broker.client(version, "client");
        assert_eq!(old.end(), version.code(0x8E));
        assert_eq!(watcher.message().text(), "taken over");
        new.ping();
    }
}

/// v5: 3.1.2-14, 3.1.2-15; v3: 3.1.2-16, 3.1.2-17
#[test]
fn the_will_is_retained_when_it_says_so_and_has_its_qos() {
    let broker = Broker::start();
    for version in BOTH {
        for qos in 0..=2 {
            for retain in [false, true] {
                let mut watcher = watcher(&broker, version);
                let will = Will::new("will", "x", qos);
                let will = if retain { will.retained() } else { will };
                broker.connect(&Hello::new(version, "client").will(will)).vanish();
                let message = watcher.message();
                assert_eq!((message.qos, message.retain), (qos, false));
                let mut late = broker.client(version, "late");
                late.sub("will", 2);
                if retain {
                    let message = late.message();
                    assert_eq!((message.qos, message.retain), (qos, true));
                }
                late.hears_nothing();
                late.publish(&Outgoing::new("will", "", 1).retained());
            }
        }
    }
}

/// v3: 3.1.2-12
#[test]
fn without_a_will_nothing_is_published() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = broker.client(version, "watcher");
        watcher.sub("#", 0);
        broker.client(version, "client").vanish();
        watcher.hears_nothing_for(Duration::from_millis(200));
    }
}

#[test]
fn a_will_may_be_empty() {
    let broker = Broker::start();
    for version in BOTH {
        let mut watcher = watcher(&broker, version);
        broker.connect(&Hello::new(version, "client").will(Will::new("will", "", 2))).vanish();
        assert_eq!(watcher.message().text(), "");
    }
}

/// v5: 3.1.2-8
#[test]
fn a_delayed_will_waits() {
    let broker = Broker::start();
    let mut watcher = watcher(&broker, Version::V5);
    let will = Will::new("will", "late", 0).with(prop::will_delay(2));
    let start = Instant::now();
    broker.connect(&Hello::resume(Version::V5, "client", 60).will(will)).vanish();
    assert_eq!(watcher.message().text(), "late");
    assert!(start.elapsed() >= Duration::from_millis(1990), "{:?}", start.elapsed());
}

/// v5: 3.1.2-8
#[test]
fn the_end_of_the_session_cuts_the_delay_short() {
    let broker = Broker::start();
    let mut watcher = watcher(&broker, Version::V5);
    let will = |text| Will::new("will", text, 0).with(prop::will_delay(100));
    // No session expiry: it ends at once.
    broker.connect(&Hello::new(Version::V5, "client").will(will("at once"))).vanish();
    assert_eq!(watcher.message().text(), "at once");
    // One second.
    broker.connect(&Hello::resume(Version::V5, "client", 1).will(will("soon"))).vanish();
    assert_eq!(watcher.message().text(), "soon");
    // A clean start ends it.
    broker.connect(&Hello::resume(Version::V5, "client", 60).will(will("ended"))).vanish();
    watcher.hears_nothing_for(Duration::from_millis(200));
    let mut client = broker.client(Version::V5, "client");
    assert_eq!(watcher.message().text(), "ended");
    client.ping();
}

/// v5: 3.1.3-9, 3.1.2-8
#[test]
fn a_client_that_is_back_in_time_has_no_will_published() {
    let broker = Broker::start();
    let mut watcher = watcher(&broker, Version::V5);
    // Also a slow machine is back in time.
    let will = Will::new("will", "never", 0).with(prop::will_delay(5));
    let hello = Hello::resume(Version::V5, "client", 60);
    broker.connect(&hello.clone().will(will)).vanish();
    let mut client = broker.connect(&hello);
    watcher.hears_nothing_for(Duration::from_millis(5500));
    client.ping();
}

/// v5: 3.1.2-10, 3.14.4-3
#[test]
fn a_disconnect_with_will_and_a_new_session_expiry_is_obeyed() {
    let broker = Broker::start();
    let mut watcher = watcher(&broker, Version::V5);
    let will = Will::new("will", "x", 0).with(prop::will_delay(100));
    let hello = Hello::resume(Version::V5, "client", 60).will(will);
    broker.connect(&hello).disconnect_with(0x04, &[prop::session_expiry(0)]);
    assert_eq!(watcher.message().text(), "x");
    assert!(!broker.connect(&Hello::resume(Version::V5, "client", 60)).present);
}

/// v5: 3.1.3-10, 3.3.2-18
#[test]
fn a_will_carries_its_properties() {
    let broker = Broker::start();
    let mut watcher = watcher(&broker, Version::V5);
    let props = [
        prop::payload_format(1),
        prop::content_type("text/plain"),
        prop::response_topic("answer"),
        prop::correlation_data(&[0, 1, 255]),
        prop::user("k", "2"),
        prop::user("a", "0"),
        prop::user("k", "1"),
    ];
    let will = Will { props: props.to_vec(), ..Will::new("will", "x", 1) };
    let will = will.with(prop::message_expiry(50));
    broker.connect(&Hello::new(Version::V5, "client").will(will)).vanish();
    let message = watcher.message();
    assert!(props.iter().all(|prop| message.props.contains(prop)), "{:?}", message.props);
    let users = message.props.iter().filter(|prop| prop.id() == prop::USER_PROPERTY);
    assert!(users.eq(&props[4..]), "{:?}", message.props);
    let left = prop::four(&message.props, prop::MESSAGE_EXPIRY).unwrap();
    assert!((45..=50).contains(&left), "{left}");
}

/// v5: 3.1.3-11, 3.3.2-2; v3: 3.1.3-10
#[test]
fn a_will_with_an_impossible_topic_is_refused() {
    let broker = Broker::start();
    for version in BOTH {
        for topic in ["", "a/#", "+", "a\0"] {
            let hello = Hello::new(version, "client").will(Will::new(topic, "x", 0));
            let answer = broker.refusal(version, &hello.bytes());
            match version {
                Version::V311 => assert!(answer.is_none(), "{answer:?}"),
                Version::V5 => {
                    assert!(matches!(answer, Some(0x81 | 0x82 | 0x90)), "{topic:?}: {answer:?}");
                }
            }
        }
    }
}

#[test]
fn properties_of_a_will_are_checked() {
    let broker = Broker::start();
    for (props, code) in [
        (vec![prop::will_delay(1), prop::will_delay(1)], 0x82),
        (vec![prop::payload_format(2)], 0x82),
        (vec![prop::topic_alias(1)], 0x81),
        (vec![prop::session_expiry(1)], 0x81),
        (vec![prop::response_topic("a/+")], 0x82),
    ] {
        let will = Will { props, ..Will::new("will", "x", 0) };
        let hello = Hello::new(Version::V5, "client").will(will);
        assert_eq!(broker.refusal(Version::V5, &hello.bytes()), Some(code));
    }
    // Will Delay belongs into the will, not into CONNECT.
    let hello = Hello::new(Version::V5, "client").with(prop::will_delay(1));
    assert_eq!(broker.refusal(Version::V5, &hello.bytes()), Some(0x81));
    broker.client(Version::V5, "client").send(&packet::DISCONNECT);
}
