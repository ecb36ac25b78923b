//! The codec: any bytes, in any version, cut anywhere.

use wasmqtt_codec::frame::{self, Next};
use wasmqtt_codec::{Connect, Frame, Packet, Version, decode};

use super::VERSIONS;

/// The first byte chooses version and maximum packet size, the second where packets are cut; then comes a stream.
pub fn run(data: &[u8]) {
    let [choice, cut, stream @ ..] = data else { return };
    let version = VERSIONS[usize::from(*choice) % VERSIONS.len()];
    let max = if choice & 0x80 == 0 { frame::MAX_PACKET_SIZE } else { 64 };
    let mut rest = stream;
    loop {
        let next = frame::next(rest, max);
        check_cut(rest, max, next, usize::from(*cut));
        let Ok(Next::Whole { frame, len }) = next else { return };
        assert!(len <= rest.len() && len <= max as usize);
        check(version, frame);
        rest = &rest[len..];
    }
}

/// Of which the beginning is here, it must not be said to be anything but a beginning of that very packet.
fn check_cut(
    bytes: &[u8],
    max: u32,
    whole: Result<Next<'_>, wasmqtt_codec::DecodeError>,
    at: usize,
) {
    let ends = [0, 1, 2, 3, 4, 5, at, bytes.len().saturating_sub(1)];
    for end in ends.into_iter().filter(|end| *end < bytes.len()) {
        match (frame::next(&bytes[..end], max), whole) {
            (Ok(Next::Partial { total: None }), _) => {}
            (Ok(Next::Partial { total: Some(total) }), Ok(Next::Whole { len, .. })) => {
                assert!(total == len && end < len);
            }
            (Ok(Next::Partial { total }), Ok(Next::Partial { total: of_more })) => {
                assert_eq!(total, of_more);
            }
            (Ok(Next::Whole { frame, len }), whole) => {
                assert_eq!(whole, Ok(Next::Whole { frame, len }));
                assert!(len <= end);
            }
            (Err(error), whole) => assert_eq!(whole, Err(error)),
            (part, whole) => panic!("{part:?} is the beginning of {whole:?}"),
        }
    }
}

/// What can be decoded can be encoded, and is then the same packet.
fn check(version: Version, frame: Frame<'_>) {
    let Ok(packet) = decode(version, frame) else { return };
    // CONNECT says itself which version it speaks.
    let version = match &packet {
        Packet::Connect(connect) => {
            assert_eq!(Connect::peek_version(frame.body), Ok(connect.version));
            connect.version
        }
        _ => version,
    };
    let encoded = encode(version, &packet);
    let Ok(Next::Whole { frame: again, len }) = frame::next(&encoded, frame::MAX_PACKET_SIZE)
    else {
        panic!("{packet:?} is encoded as something else");
    };
    assert_eq!(len, encoded.len(), "{packet:?}");
    let back = decode(version, again);
    assert_eq!(back.as_ref(), Ok(&packet));
    assert_eq!(encode(version, &packet), encoded);
    if let Packet::Publish(publish) = &packet {
        assert_eq!(publish.encoded_len(version), encoded.len());
        let mut parts = Vec::new();
        publish.encode_head(version, &mut parts).unwrap();
        parts.extend_from_slice(publish.payload);
        assert_eq!(parts, encoded);
    }
}

fn encode(version: Version, packet: &Packet<'_>) -> Vec<u8> {
    // What was there before stays.
    let mut out = vec![0xA5];
    if let Err(error) = packet.encode(version, &mut out) {
        panic!("{error:?} when {packet:?} is encoded");
    }
    assert_eq!(out.remove(0), 0xA5);
    out
}
