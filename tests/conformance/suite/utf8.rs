//! Strings: what is well-formed, what is not, and what must not be changed.

use crate::harness::{BOTH, Broker, Outgoing, frame, packet};

/// Not well-formed.
const BAD: [&[u8]; 12] = [
    &[0x80],
    &[0xFF],
    &[b'a', 0xC3],
    &[0xC3, 0x28],
    // Longer than needed: U+002F in two and in three bytes, U+0000 in two.
    &[0xC0, 0xAF],
    &[0xE0, 0x80, 0xAF],
    &[0xC0, 0x80],
    // Surrogates, alone and as a pair.
    &[0xED, 0xA0, 0x80],
    &[0xED, 0xBF, 0xBF],
    &[0xED, 0xA0, 0x80, 0xED, 0xB0, 0x80],
    // Beyond U+10FFFF.
    &[0xF4, 0x90, 0x80, 0x80],
    &[0xF8, 0x88, 0x80, 0x80, 0x80],
];

/// v5: 1.5.4-1, 3.3.2-1; v3: 1.5.3-1, 3.3.2-1
#[test]
fn ill_formed_utf_8_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let block = version.block(&[]);
        for bad in BAD {
            let bad = packet::binary(bad);
            for bytes in [
                frame(0x30, &[&bad, &block]),
                frame(0x82, &[&[0, 1], &block, &bad, &[0]]),
                frame(0xA2, &[&[0, 1], &block, &bad]),
            ] {
                broker.client(version, "bad").fault(&bytes, 0x81);
            }
        }
    }
}

/// v5: 1.5.4-2; v3: 1.5.3-2
#[test]
fn the_null_character_closes_the_connection() {
    let broker = Broker::start();
    for version in BOTH {
        let block = version.block(&[]);
        let null = packet::binary(&[b'a', 0, b'b']);
        for bytes in [
            frame(0x30, &[&null, &block]),
            frame(0x82, &[&[0, 1], &block, &null, &[0]]),
            frame(0xA2, &[&[0, 1], &block, &null]),
        ] {
            broker.client(version, "null").fault(&bytes, 0x81);
        }
    }
}

/// v5: 1.5.4-3; v3: 1.5.3-3
#[test]
fn a_byte_order_mark_is_a_character_like_any_other() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "mark");
        client.sub("\u{feff}a/\u{feff}", 0);
        client.sub("a/", 0);
        client.say("\u{feff}a/\u{feff}", "x", 0);
        assert_eq!(client.message().topic.as_bytes(), b"\xEF\xBB\xBFa/\xEF\xBB\xBF");
        client.hears_nothing();
    }
}

#[test]
fn every_other_character_may_stand_in_a_topic() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "all");
        client.sub("all/#", 1);
        // Control characters and non-characters should not be there; a server may take them, and this one does.
        for text in
            ["\u{1}", "\u{7f}", "\u{80}", "\u{d7ff}", "\u{e000}", "\u{fffe}", "\u{10ffff}", "a b"]
        {
            let topic = format!("all/{text}");
            client.publish(&Outgoing::new(&topic, "x", 1));
            assert_eq!(client.message().topic, topic);
        }
    }
}
