//! A WebSocket client that sends and shows frames as they are. Must not know MQTT.

use std::io::{ErrorKind, Read, Write};

/// The first bytes of frames that are a whole message, and of the first of several.
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const BEGIN: u8 = 0x02;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const END: u8 = 0x80;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;

const MASK: [u8; 4] = [0xa5, 0x5a, 0x0f, 0xf0];

/// A request for an upgrade, with further header lines.
pub(crate) fn request(path: &str, headers: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

/// An upgraded connection.
pub(crate) struct WebSocket<S> {
    pub(crate) stream: S,
    /// The answer to the request.
    pub(crate) answer: String,
}

impl<S: Read + Write> WebSocket<S> {
    /// Asks for an upgrade of `/mqtt` and offers the subprotocol.
    pub(crate) fn open(stream: S, subprotocol: &str) -> Self {
        let offer = format!("Sec-WebSocket-Protocol: {subprotocol}\r\n");
        let opened = Self::ask(stream, &request("/mqtt", &offer));
        assert!(opened.answer.starts_with("HTTP/1.1 101 "), "{}", opened.answer);
        // What the RFC has as its example.
        let proof = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        assert!(opened.answer.contains(proof), "{}", opened.answer);
        opened
    }

    /// Sends a request, and reads the head of what it is answered; nothing when the connection is closed.
    pub(crate) fn ask(mut stream: S, request: &str) -> Self {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            answer.push(byte[0]);
        }
        Self { stream, answer: String::from_utf8(answer).unwrap() }
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, first: u8, payload: &[u8]) {
        self.stream.write_all(&frame(first, payload)).unwrap();
    }

    /// The next frame; none when the broker has closed the connection.
    pub(crate) fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        match self.stream.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if is_end(error.kind()) => return None,
            Err(error) => panic!("nothing came from the broker: {error}"),
        }
        let len = match head[1] {
            len @ 0..126 => u64::from(len),
            126 => u16::from_be_bytes(self.bytes()).into(),
            127 => u64::from_be_bytes(self.bytes()),
            _ => panic!("a frame from the broker is masked"),
        };
        let mut payload = vec![0; usize::try_from(len).unwrap()];
        self.stream.read_exact(&mut payload).unwrap();
        Some((head[0], payload))
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The code with which the broker closes; everything before it is dropped. None when it just closes.
    pub(crate) fn end(&mut self) -> Option<u16> {
        let mut code = None;
        while let Some((first, payload)) = self.receive() {
            assert_eq!(code, None, "a frame behind a close");
            if first == CLOSE {
                code = Some(u16::from_be_bytes(payload[..2].try_into().unwrap()));
            }
        }
        code
    }
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset)
}

/// One frame as a client sends it.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
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
