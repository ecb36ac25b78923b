//! What outlives a connection, and for how long.

use std::time::{Duration, Instant};

use crate::harness::{BOTH, Broker, Hello, Outgoing, Version, Will, prop};

/// v5: 3.1.2-5, 3.1.2-23, 4.1.0-1, 4.5.0-1; v3: 3.1.2-4, 4.1.0-1, 4.1.0-2
#[test]
fn a_session_keeps_subscriptions_and_messages_while_its_client_is_away() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "away", 60);
        let mut client = broker.connect(&hello);
        client.sub("offline/#", 2);
        client.disconnect();
        let mut publisher = broker.client(version, "publisher");
        for qos in [1, 2, 1] {
            publisher.say(&format!("offline/{qos}"), &qos.to_string(), qos);
        }
        let mut client = broker.connect(&hello);
        assert!(client.present);
        for qos in [1, 2, 1] {
            let message = client.message();
            assert_eq!((message.text(), message.qos, message.dup), (&*qos.to_string(), qos, false));
        }
        publisher.say("offline/live", "live", 0);
        assert_eq!(client.message().text(), "live");
        broker.client(version, "away").disconnect();
    }
}

/// v5: 3.1.2-6, 3.1.2-4; v3: 3.1.2-6
#[test]
fn a_clean_start_discards_subscriptions_and_messages() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "clean", 60);
        let mut client = broker.connect(&hello);
        client.sub("clean", 2);
        let mut publisher = broker.client(version, "publisher");
        publisher.say("clean", "open", 2);
        client.unacknowledged();
        client.vanish();
        publisher.say("clean", "waiting", 1);
        let mut client = broker.connect(&hello.clone().clean());
        assert!(!client.present);
        publisher.say("clean", "new", 1);
        client.hears_nothing();
        client.disconnect();
        let mut client = broker.connect(&hello);
        client.hears_nothing();
        client.disconnect();
        broker.client(version, "clean").disconnect();
    }
}

/// v3: 3.1.2-6
#[test]
fn a_clean_session_of_3_1_1_leaves_nothing_behind() {
    let broker = Broker::start();
    let mut client = broker.client(Version::V311, "clean");
    client.sub("a", 1);
    client.vanish();
    std::thread::sleep(Duration::from_millis(100));
    let mut client = broker.connect(&Hello::new(Version::V311, "clean").not_clean());
    assert!(!client.present);
    client.say("a", "x", 1);
    client.hears_nothing();
}

/// v5: 4.1.0-2
#[test]
fn without_an_expiry_the_session_ends_with_the_connection() {
    let broker = Broker::start();
    let absent = Hello::new(Version::V5, "zero").not_clean();
    for hello in [absent.clone(), absent.with(prop::session_expiry(0))] {
        let mut client = broker.connect(&hello);
        client.sub("a", 1);
        client.disconnect();
        assert!(!broker.connect(&hello).present);
    }
}

/// v5: 4.1.0-2, 3.1.2-23
#[test]
fn a_session_ends_when_its_expiry_has_passed_and_not_before() {
    let broker = Broker::start();
    let mut watcher = broker.client(Version::V5, "watcher");
    watcher.sub("will", 0);
    // A will that waits longer than the session comes at its end.
    let will = Will::new("will", "over", 0).with(prop::will_delay(100));
    let hello = Hello::resume(Version::V5, "expiry", 2);
    let start = Instant::now();
    broker.connect(&hello.clone().will(will)).vanish();
    assert_eq!(watcher.message().text(), "over");
    assert!(start.elapsed() >= Duration::from_millis(1990), "{:?}", start.elapsed());
    assert!(!broker.connect(&hello).present);

    let patient = Hello::resume(Version::V5, "patient", 60);
    broker.connect(&patient).vanish();
    std::thread::sleep(Duration::from_millis(700));
    assert!(broker.connect(&patient).present);
}

/// v5: 4.1.0-2, 4.1.0-1
#[test]
fn a_disconnect_may_change_the_expiry() {
    let broker = Broker::start();
    let hello = |seconds| Hello::resume(Version::V5, "change", seconds);
    broker.connect(&hello(60)).disconnect_with(0, &[prop::session_expiry(0)]);
    let client = broker.connect(&hello(1));
    assert!(!client.present);
    client.disconnect_with(0, &[prop::session_expiry(60)]);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(broker.connect(&hello(60)).present);
}

/// v5: 4.1.0-1; v3: 4.1.0-2
#[test]
fn a_session_lasts_as_long_as_its_connection() {
    let broker = Broker::start();
    let mut client = broker.connect(&Hello::resume(Version::V5, "lasting", 1));
    client.sub("a", 1);
    std::thread::sleep(Duration::from_millis(2500));
    client.say("a", "x", 1);
    assert_eq!(client.message().text(), "x");
}

/// v5: 3.1.2-23, 4.1.0-2
#[test]
fn the_longest_expiry_lasts() {
    let broker = Broker::start();
    let hello = Hello::resume(Version::V5, "longest", u32::MAX);
    broker.connect(&hello).disconnect();
    std::thread::sleep(Duration::from_millis(300));
    assert!(broker.connect(&hello).present);
}

/// v5: 3.1.2-5; v3: 3.1.2-4
#[test]
fn a_takeover_goes_on_with_the_session() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "moving", 60);
        let mut old = broker.connect(&hello);
        old.sub("moving", 1);
        let mut publisher = broker.client(version, "publisher");
        publisher.say("moving", "open", 1);
        let before = old.unacknowledged();
        let mut new = broker.connect(&hello);
        assert!(new.present);
        assert_eq!(old.end(), version.code(0x8E));
        let again = new.message();
        assert_eq!((again.id, again.dup), (before.id, true));
        publisher.say("moving", "next", 1);
        assert_eq!(new.message().text(), "next");
        new.disconnect();
        broker.client(version, "moving").disconnect();
    }
}

/// v5: 3.1.2-5; v3: 3.1.2-4
#[test]
fn a_session_can_be_resumed_in_another_version() {
    let broker = Broker::start();
    let mut client = broker.connect(&Hello::resume(Version::V311, "both", 60));
    client.sub("a", 1);
    client.disconnect();
    let client = broker.connect(&Hello::resume(Version::V5, "both", 60));
    assert!(client.present);
    client.disconnect();
    let mut client = broker.connect(&Hello::resume(Version::V311, "both", 60));
    assert!(client.present);
    client.say("a", "x", 1);
    assert_eq!(client.message().text(), "x");
}

#[test]
fn messages_with_qos_0_do_not_wait_for_a_client_that_is_away() {
    let broker = Broker::start();
    for version in BOTH {
        let hello = Hello::resume(version, "zero", 60);
        let mut client = broker.connect(&hello);
        client.sub("zero", 2);
        client.disconnect();
        let mut publisher = broker.client(version, "publisher");
        publisher.say("zero", "0", 0);
        publisher.publish(&Outgoing::new("zero", "1", 1));
        let mut client = broker.connect(&hello);
        assert_eq!(client.message().text(), "1");
        client.hears_nothing();
        client.disconnect();
        broker.client(version, "zero").disconnect();
    }
}

/// v5: 3.1.3-2; v3: 3.1.3-2
#[test]
fn sessions_of_two_identifiers_are_two() {
    let broker = Broker::start();
    for version in BOTH {
        let mut one = broker.connect(&Hello::resume(version, "one", 60));
        one.sub("a", 1);
        one.disconnect();
        let mut two = broker.connect(&Hello::resume(version, "One", 60));
        assert!(!two.present);
        two.say("a", "x", 1);
        two.hears_nothing();
        broker.client(version, "one").disconnect();
        broker.client(version, "One").disconnect();
    }
}
