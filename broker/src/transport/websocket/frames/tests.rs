//! Frames as they are cut by networks, clients and enemies.

use super::*;

const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
const FIN: u8 = 0x80;
const BINARY: u8 = 2;
const CONTINUE: u8 = 0;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// One frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(0x80 | len as u8),
        len @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn numbers(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 % 251) as u8).collect()
}

/// What comes of bytes that arrive in pieces of `piece`, and what they are answered.
fn receive(
    frames: &mut Frames,
    bytes: &[u8],
    piece: usize,
) -> Result<(Vec<u8>, Vec<u8>), Violation> {
    let (mut payload, mut answers) = (Vec::new(), Vec::new());
    for part in bytes.chunks(piece) {
        let mut part = part.to_vec();
        let len = frames.receive(&mut part, &mut answers)?;
        payload.extend_from_slice(&part[..len]);
    }
    Ok((payload, answers))
}

fn violation(bytes: &[u8]) -> Violation {
    receive(&mut Frames::new(1000), bytes, usize::MAX).unwrap_err()
}

#[test]
fn payloads_come_out_whole_however_the_stream_is_cut() {
    let (short, medium, long) = (numbers(3), numbers(300), numbers(70_000));
    let mut bytes = Vec::new();
    for payload in [&short, &medium, &long] {
        bytes.extend(frame(FIN | BINARY, payload));
    }
    bytes.extend(frame(FIN | BINARY, b""));
    bytes.extend(frame(BINARY, &short));
    bytes.extend(frame(FIN | PING, b"between"));
    bytes.extend(frame(CONTINUE, &medium));
    bytes.extend(frame(FIN | CONTINUE, &short));
    let expected = [&short[..], &medium, &long, &short, &medium, &short].concat();
    for piece in [1, 2, 3, 7, 13, 14, 15, 127, 4096, usize::MAX] {
        let mut frames = Frames::new(70_000);
        let (payload, answers) = receive(&mut frames, &bytes, piece).unwrap();
        assert_eq!(payload, expected, "{piece}");
        assert_eq!(answers, b"\x8a\x07between", "{piece}");
        assert!(!frames.has_ended());
    }
}

#[test]
fn text_is_refused_at_its_first_bytes() {
    assert_eq!(violation(&frame(FIN | 1, b"hello")), Violation::Text);
    assert_eq!(violation(&frame(1, b"")), Violation::Text);
    let mut frames = Frames::new(1000);
    assert_eq!(receive(&mut frames, &frame(FIN | 1, b"x"), 1).unwrap_err(), Violation::Text);
    let mut out = Vec::new();
    frames.close(&mut out);
    assert_eq!(out, [0x88, 2, 0x03, 0xeb], "1003: unsupported data");
}

#[test]
fn a_message_has_a_bound_in_one_frame_and_in_many() {
    let fits = numbers(1000);
    let mut frames = Frames::new(1000);
    assert_eq!(receive(&mut frames, &frame(FIN | BINARY, &fits), 100).unwrap().0, fits);
    let halves = [frame(BINARY, &fits[..500]), frame(FIN | CONTINUE, &fits[500..])].concat();
    assert_eq!(receive(&mut frames, &halves, 100).unwrap().0, fits);
    assert_eq!(violation(&frame(FIN | BINARY, &numbers(1001))), Violation::TooLong);
    let parts = [frame(BINARY, &numbers(600)), frame(CONTINUE, &numbers(401))].concat();
    assert_eq!(violation(&parts), Violation::TooLong);
    // At once, without waiting for what will never come.
    let endless = [&[FIN | BINARY, 0x80 | 127][..], &[0xff; 8], &MASK].concat();
    assert_eq!(violation(&endless), Violation::TooLong);
}

#[test]
fn what_no_client_may_send_ends_the_connection() {
    let protocol = |bytes: &[u8]| match violation(bytes) {
        Violation::Protocol(what) => what,
        other => panic!("{other:?}"),
    };
    let mut unmasked = frame(FIN | BINARY, b"");
    unmasked[1] = 0;
    assert_eq!(protocol(&unmasked), "a frame is not masked");
    for reserved in [0x40, 0x20, 0x10] {
        assert_eq!(protocol(&frame(FIN | reserved | BINARY, b"")), "a reserved bit is set");
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_eq!(protocol(&frame(FIN | opcode, b"")), "an unknown kind of frame");
    }
    assert_eq!(protocol(&frame(PING, b"")), "a control frame in several parts");
    assert_eq!(protocol(&frame(FIN | PING, &numbers(126))), "a control frame is too long");
    assert_eq!(protocol(&frame(FIN | CONTINUE, b"x")), "a continuation of nothing");
    let within = [frame(BINARY, b"x"), frame(FIN | BINARY, b"y")].concat();
    assert_eq!(protocol(&within), "a message within a message");
}

#[test]
fn a_ping_is_answered_with_what_it_carried_and_a_pong_with_nothing() {
    for piece in [1, usize::MAX] {
        let longest = numbers(125);
        let mut frames = Frames::new(1000);
        let (payload, answers) = receive(&mut frames, &frame(FIN | PING, &longest), piece).unwrap();
        assert_eq!(
            (payload.len(), &answers[..2], &answers[2..]),
            (0, &[0x8a, 125][..], &longest[..])
        );
        let (payload, answers) = receive(&mut frames, &frame(FIN | 10, b"pong"), piece).unwrap();
        assert!(payload.is_empty() && answers.is_empty());
    }
}

#[test]
fn a_close_is_answered_once_at_last_and_nothing_counts_behind_it() {
    let mut frames = Frames::new(1000);
    let bytes = [
        frame(FIN | BINARY, b"last"),
        frame(FIN | CLOSE, &[0x03, 0xe8]),
        frame(FIN | BINARY, b"late"),
    ];
    let (payload, mut answers) = receive(&mut frames, &bytes.concat(), usize::MAX).unwrap();
    assert_eq!((&payload[..], answers.len()), (&b"last"[..], 0), "there may be more to say");
    assert!(frames.has_ended());
    frames.close(&mut answers);
    frames.close(&mut answers);
    assert_eq!(answers, [0x88, 2, 0x03, 0xe8]);
}

#[test]
fn what_goes_out_is_one_frame() {
    let frames = Frames::new(1000);
    for (len, header) in [
        (1, &[0x82, 1][..]),
        (125, &[0x82, 125]),
        (126, &[0x82, 126, 0, 126]),
        (65535, &[0x82, 126, 0xff, 0xff]),
        (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut packets = numbers(len);
        frames.wrap(&mut packets);
        assert_eq!(packets[..header.len()], *header);
        assert_eq!(packets[header.len()..], numbers(len));
    }
    let mut nothing = Vec::new();
    frames.wrap(&mut nothing);
    assert!(nothing.is_empty());
}
