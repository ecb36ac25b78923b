//! Properties that hold for every packet and every sequence of bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use wasmqtt_codec::frame::{self, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{Frame, MessageProperties, Packet, Version};

use super::generate::{packet, publish, version, version_and_packet};

fn encode(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    packet.encode(version, &mut bytes).unwrap();
    bytes
}

fn whole(bytes: &[u8]) -> Frame<'_> {
    match frame::next(bytes, MAX_PACKET_SIZE).unwrap() {
        Next::Whole { frame, len } if len == bytes.len() => frame,
        other => panic!("{other:?}"),
    }
}

/// What decodes can be encoded, and is the same packet when it is decoded again.
fn check_any_bytes(version: Version, frame: Frame<'_>) -> Result<(), TestCaseError> {
    let Ok(packet) = wasmqtt_codec::decode(version, frame) else { return Ok(()) };
    let version = match &packet {
        Packet::Connect(connect) => connect.version,
        _ => version,
    };
    let bytes = encode(version, &packet);
    prop_assert_eq!(wasmqtt_codec::decode(version, whole(&bytes)), Ok(packet));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn what_is_encoded_decodes_to_the_same_packet((version, packet) in version_and_packet()) {
        let bytes = encode(version, &packet);
        let frame = whole(&bytes);
        prop_assert_eq!(frame.kind(), Some(packet.kind()));
        prop_assert_eq!(wasmqtt_codec::decode(version, frame), Ok(packet));
    }

    #[test]
    fn decoded_packets_encode_to_the_bytes_they_came_from((version, packet) in version_and_packet()) {
        let bytes = encode(version, &packet);
        let decoded = wasmqtt_codec::decode(version, whole(&bytes)).unwrap();
        prop_assert_eq!(encode(version, &decoded), bytes);
    }

    #[test]
    fn encoding_appends_and_touches_nothing_else((version, packet) in version_and_packet()) {
        let mut bytes = vec![1, 2, 3];
        packet.encode(version, &mut bytes).unwrap();
        prop_assert_eq!(&bytes[..3], [1, 2, 3]);
        prop_assert_eq!(&bytes[3..], encode(version, &packet));
    }

    #[test]
    fn publish_knows_its_size_and_its_head(
        (version, publish) in version().prop_flat_map(|version| (Just(version), publish(version))),
    ) {
        let bytes = encode(version, &Packet::Publish(publish));
        prop_assert_eq!(publish.encoded_len(version), bytes.len());
        let mut head = Vec::new();
        publish.encode_head(version, &mut head).unwrap();
        head.extend_from_slice(publish.payload);
        prop_assert_eq!(head, bytes);
    }

    #[test]
    fn a_v5_message_can_be_sent_to_every_older_client(mut publish in publish(Version::V5)) {
        if publish.topic.is_empty() {
            publish.topic = "a";
        }
        for version in [Version::V31, Version::V311] {
            let bytes = encode(version, &Packet::Publish(publish));
            let decoded = wasmqtt_codec::decode(version, whole(&bytes)).unwrap();
            let mut plain = publish;
            plain.properties = Default::default();
            prop_assert_eq!(decoded, Packet::Publish(plain));
        }
    }

    #[test]
    fn any_split_of_a_stream_gives_the_same_packets(
        (version, packets) in version().prop_flat_map(|v| (Just(v), vec(packet(v), 1..6))),
        cuts in vec(1usize..40, 1..50),
    ) {
        let stream: Vec<u8> = packets.iter().flat_map(|packet| encode(version, packet)).collect();
        let mut cuts = cuts.into_iter().cycle();
        let mut rest = &stream[..];
        let mut buffer = Vec::new();
        let mut seen = 0;
        while !rest.is_empty() {
            let (chunk, tail) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = tail;
            buffer.extend_from_slice(chunk);
            let mut used = 0;
            let announced = loop {
                match frame::next(&buffer[used..], MAX_PACKET_SIZE).unwrap() {
                    Next::Whole { frame, len } => {
                        let decoded = wasmqtt_codec::decode(version, frame);
                        prop_assert_eq!(decoded.as_ref(), Ok(&packets[seen]));
                        seen += 1;
                        used += len;
                    }
                    Next::Partial { total } => break total,
                }
            };
            buffer.drain(..used);
            if let Some(total) = announced {
                prop_assert_eq!(total, encode(version, &packets[seen]).len());
                prop_assert!(total > buffer.len());
            } else {
                prop_assert!(buffer.len() < 5);
            }
        }
        prop_assert_eq!(seen, packets.len());
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn a_packet_is_too_large_one_byte_below_its_size((version, packet) in version_and_packet()) {
        let bytes = encode(version, &packet);
        let size = bytes.len() as u32;
        let accepted = matches!(frame::next(&bytes, size), Ok(Next::Whole { .. }));
        prop_assert!(accepted);
        let max = size - 1;
        let refused = Err(wasmqtt_codec::DecodeError::PacketTooLarge { size, max });
        prop_assert_eq!(frame::next(&bytes, max), refused);
    }

    #[test]
    fn any_bytes_are_refused_or_understood(
        version in version(),
        first: u8,
        body in vec(any::<u8>(), 0..64),
    ) {
        check_any_bytes(version, Frame { first, body: &body })?;
        let _ = frame::next(&body, u32::from(first));
    }

    #[test]
    fn mutated_packets_are_refused_or_understood(
        (version, packet) in version_and_packet(),
        (read_as, other_first) in (version(), proptest::option::weighted(0.1, any::<u8>())),
        edits in vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..4),
    ) {
        let bytes = encode(version, &packet);
        let frame = whole(&bytes);
        let mut body = frame.body.to_vec();
        for (index, byte, edit) in edits {
            let at = index.index(body.len() + 1);
            match edit {
                0 => body.insert(at, byte),
                1 => body.truncate(at),
                _ if at == body.len() => {}
                2 => body[at] = byte,
                _ => body[at] ^= 1 << (byte % 8),
            }
        }
        let first = other_first.unwrap_or(frame.first);
        check_any_bytes(read_as, Frame { first, body: &body })?;
    }

    #[test]
    fn views_over_any_bytes_stop_at_what_they_cannot_read(bytes in vec(
        prop_oneof![any::<u8>(), proptest::sample::select(&[0u8, 1, 2, 3, 8, 9, 11, 38][..])],
        0..48,
    )) {
        let view = MessageProperties::from_pure_trusted(&bytes);
        let _ = format!("{view:?} {} {}", view.is_empty(), view.user_properties().get("a").is_some());
        let mut copy = Vec::new();
        view.copy_to(&mut copy);
        prop_assert_eq!(copy.len(), view.encoded_len());
        let mut buf = wasmqtt_codec::MessagePropertiesBuf::from(view);
        buf.set_user_property("name", "value").unwrap();
        prop_assert_eq!(buf.as_view().user_properties().get("name"), Some("value"));
        if let Ok(view) = MessageProperties::from_pure(&bytes) {
            let mut copy = Vec::new();
            view.copy_to(&mut copy);
            prop_assert_eq!(&copy, &bytes);
        }
    }
}
