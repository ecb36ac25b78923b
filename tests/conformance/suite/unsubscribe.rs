//! UNSUBSCRIBE and UNSUBACK.

use crate::harness::{BOTH, Broker, Version, frame, packet};

/// v5: 3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 2.2.1-6; v3: 3.10.4-1, 3.10.4-2, 3.10.4-4, 3.10.4-5, 2.3.1-7
#[test]
fn an_unsubscribed_filter_gets_nothing_more_and_others_stay() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("a/+", 1);
        client.sub("a/b", 1);
        // Compared character by character: none of these is a filter that is held.
        let unknown = ["a/#", "A/b", "a/b/", "/a/b", "a/c", "+/+"];
        let codes = client.unsubscribe(&unknown);
        assert_eq!(codes, if version == Version::V5 { vec![0x11; 6] } else { vec![] });
        client.say("a/b", "1", 1);
        assert_eq!(client.message().text(), "1");
        client.unsubscribe(&["a/b"]);
        client.say("a/b", "2", 1);
        assert_eq!(client.message().text(), "2");
        client.unsubscribe(&["a/+"]);
        client.say("a/b", "3", 1);
        client.hears_nothing();
    }
}

/// v5: 3.10.4-6, 3.11.3-1, 3.11.3-2; v3: 3.10.4-6
#[test]
fn each_filter_of_an_unsubscribe_has_its_code_in_order() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("a", 0);
        client.sub("c", 0);
        let codes = client.unsubscribe(&["a", "b", "c", "a"]);
        assert_eq!(codes, if version == Version::V5 { vec![0, 0x11, 0, 0x11] } else { vec![] });
        for topic in ["a", "c"] {
            client.say(topic, "x", 1);
        }
        client.hears_nothing();
    }
}

/// v5: 3.10.4-3; v3: 3.10.4-3
#[test]
fn a_delivery_that_has_begun_is_completed_after_unsubscribe() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "client");
        client.sub("a", 2);
        client.say("a", "one", 1);
        client.say("a", "two", 2);
        let (one, two) = (client.unacknowledged(), client.unacknowledged());
        client.unsubscribe(&["a"]);
        client.send(&packet::puback(one.id));
        client.send(&packet::pubrec(two.id));
        assert_eq!(client.pub_rel(two.id).code, 0);
        client.send(&packet::pubcomp(two.id));
        client.hears_nothing();
    }
}

/// v5: 3.10.1-1, 2.1.3-1; v3: 3.10.1-1, 2.2.2-1, 2.2.2-2
#[test]
fn reserved_flags_of_unsubscribe_are_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let good = packet::unsubscribe(version, 1, &["a"]);
        for flags in (0..16).filter(|flags| *flags != 2) {
            let bytes = [&[0xA0 | flags], &good[1..]].concat();
            broker.client(version, "flags").fault(&bytes, 0x81);
        }
    }
}

/// v5: 3.10.3-2; v3: 3.10.3-2
#[test]
fn an_unsubscribe_without_a_filter_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let bytes = packet::unsubscribe(version, 1, &[]);
        broker.client(version, "empty").fault(&bytes, 0x82);
    }
}

/// v5: 3.10.3-1; v3: 3.10.3-1
#[test]
fn a_filter_of_unsubscribe_that_is_not_utf_8_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        for bytes in [&[0xFF][..], &[0], &[0xED, 0xBF, 0xBF]] {
            let block = version.block(&[]);
            let bytes = frame(0xA2, &[&[0, 1], &block, &packet::binary(bytes)]);
            broker.client(version, "filter").fault(&bytes, 0x81);
        }
    }
}

#[test]
fn an_unsubscribe_that_is_cut_off_is_malformed() {
    let broker = Broker::start();
    for version in BOTH {
        let good = packet::unsubscribe(version, 1, &["abc"]);
        let body = &good[2..];
        let head = 2 + version.block(&[]).len();
        for len in (0..body.len()).filter(|len| *len != head) {
            broker.client(version, "cut").fault(&frame(0xA2, &[&body[..len]]), 0x81);
        }
    }
}
