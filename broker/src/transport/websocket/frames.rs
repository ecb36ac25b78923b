//! Frames without a socket. Payloads are taken out of the buffer they were read into, in place and as far as they are
//! there: MQTT has its own idea of where a packet ends, so neither frames nor messages are put together.

use std::fmt;
use std::io::{self, Cursor};

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Bytes of the longest header of a frame from a client.
const HEADER: usize = 14;
/// Bytes of the longest header of a frame to a client, which is not masked.
const OWN_HEADER: usize = 10;
/// Most bytes in a control frame (RFC 6455, 5.5).
const CONTROL: u64 = 125;

/// Both directions of one connection.
#[derive(Debug)]
pub(crate) struct Frames {
    /// Bytes that one message may have, whether in one frame or in several.
    max_message: u64,
    /// The beginning of a header that is not here yet.
    header: [u8; HEADER],
    header_len: u8,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// Bytes of the message whose last frame has not come.
    message: Option<u64>,
    /// Payload of the control frame that is being read.
    control: Vec<u8>,
    /// The other side has said that it closes.
    ended: bool,
    /// This side has.
    closed: bool,
    /// What it says then.
    code: CloseCode,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: OpCode,
    mask: [u8; 4],
    /// Of the payload.
    len: u64,
    read: u64,
}

/// What ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// MQTT travels in binary frames only [MQTT-6.0.0-1].
    Text,
    /// More than the listener takes in one message.
    TooLong,
    /// Against RFC 6455.
    Protocol(&'static str),
}

impl Violation {
    fn code(self) -> CloseCode {
        match self {
            Violation::Text => CloseCode::Unsupported,
            Violation::TooLong => CloseCode::Size,
            Violation::Protocol(_) => CloseCode::Protocol,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::Text => f.write_str("a WebSocket frame with text"),
            Violation::TooLong => f.write_str("a WebSocket message beyond max_message_size"),
            Violation::Protocol(what) => write!(f, "not WebSocket: {what}"),
        }
    }
}

impl std::error::Error for Violation {}

impl From<Violation> for io::Error {
    fn from(violation: Violation) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }
}

impl Frames {
    /// For messages of at most `max_message` bytes.
    pub(crate) fn new(max_message: u64) -> Self {
        Self {
            max_message,
            header: [0; HEADER],
            header_len: 0,
            frame: None,
            message: None,
            control: Vec::new(),
            ended: false,
            closed: false,
            code: CloseCode::Normal,
        }
    }

    /// Whether the other side has said that it closes.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Moves the payloads in `bytes`, as they came from the socket, to its beginning, and answers how many bytes they
    /// are. What control frames are answered with goes behind `answers`. Whatever follows a Close is dropped.
    ///
    /// # Errors
    /// What the client did wrong. Payloads before it are lost with the connection.
    pub(crate) fn receive(
        &mut self,
        bytes: &mut [u8],
        answers: &mut Vec<u8>,
    ) -> Result<usize, Violation> {
        let received = self.take(bytes, answers);
        if let Err(violation) = received {
            self.code = violation.code();
            self.ended = true;
        }
        received
    }

    fn take(&mut self, bytes: &mut [u8], answers: &mut Vec<u8>) -> Result<usize, Violation> {
        let (mut read, mut taken) = (0, 0);
        while !self.ended {
            let Some(frame) = self.frame else {
                let Some(used) = self.begin(bytes.get(read..).unwrap_or_default())? else { break };
                read += used;
                continue;
            };
            let left = usize::try_from(frame.len - frame.read).unwrap_or(usize::MAX);
            let here = left.min(bytes.len() - read);
            if here == 0 && left > 0 {
                break;
            }
            let phase = frame.read;
            self.frame = Some(Frame { read: frame.read + here as u64, ..frame });
            match frame.opcode {
                OpCode::Data(_) => {
                    bytes.copy_within(read..read + here, taken);
                    unmask(bytes.get_mut(taken..taken + here).unwrap_or_default(), &frame, phase);
                    taken += here;
                }
                OpCode::Control(_) => {
                    let part = bytes.get_mut(read..read + here).unwrap_or_default();
                    unmask(part, &frame, phase);
                    self.control.extend_from_slice(part);
                }
            }
            read += here;
            if here == left {
                self.end(frame.opcode, answers);
            }
        }
        Ok(taken)
    }

    /// Reads the header of the next frame. Answers how many bytes of it were here, none when it is not whole.
    fn begin(&mut self, bytes: &[u8]) -> Result<Option<usize>, Violation> {
        let before = usize::from(self.header_len);
        let most = bytes.len().min(HEADER - before);
        for (to, from) in self.header.iter_mut().skip(before).zip(bytes) {
            *to = *from;
        }
        let here = self.header.get(..before + most).unwrap_or_default();
        let mut cursor = Cursor::new(here);
        let parsed = FrameHeader::parse(&mut cursor);
        let parsed = parsed.map_err(|_| Violation::Protocol("an unknown kind of frame"))?;
        let Some((header, len)) = parsed else {
            self.header_len = u8::try_from(before + most).unwrap_or(0);
            return Ok(None);
        };
        let used = usize::try_from(cursor.position()).unwrap_or(0);
        self.header_len = 0;
        self.frame = Some(self.check(&header, len)?);
        Ok(Some(used.saturating_sub(before)))
    }

    /// What RFC 6455 demands of a frame from a client.
    fn check(&mut self, header: &FrameHeader, len: u64) -> Result<Frame, Violation> {
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Violation::Protocol("a reserved bit is set"));
        }
        let mask = header.mask.ok_or(Violation::Protocol("a frame is not masked"))?;
        match header.opcode {
            OpCode::Control(_) if !header.is_final => {
                return Err(Violation::Protocol("a control frame in several parts"));
            }
            OpCode::Control(_) if len > CONTROL => {
                return Err(Violation::Protocol("a control frame is too long"));
            }
            OpCode::Control(_) => {}
            OpCode::Data(Data::Text) => return Err(Violation::Text),
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Violation::Protocol("a continuation of nothing"));
            }
            OpCode::Data(Data::Binary) if self.message.is_some() => {
                return Err(Violation::Protocol("a message within a message"));
            }
            OpCode::Data(_) => {
                let whole = self.message.unwrap_or(0).saturating_add(len);
                if whole > self.max_message {
                    return Err(Violation::TooLong);
                }
                self.message = (!header.is_final).then_some(whole);
            }
        }
        Ok(Frame { opcode: header.opcode, mask, len, read: 0 })
    }

    /// The payload of a frame is complete.
    fn end(&mut self, opcode: OpCode, answers: &mut Vec<u8>) {
        self.frame = None;
        match opcode {
            OpCode::Control(Control::Ping) if !self.closed => {
                put_header(OpCode::Control(Control::Pong), self.control.len(), answers);
                answers.extend_from_slice(&self.control);
            }
            // It is answered when everything else has been said.
            OpCode::Control(Control::Close) => self.ended = true,
            _ => {}
        }
        self.control = Vec::new();
    }

    /// Makes one binary frame of `packets`.
    pub(crate) fn wrap(&self, packets: &mut Vec<u8>) {
        if packets.is_empty() {
            return;
        }
        let (mut header, mut rest) = ([0; OWN_HEADER], 0);
        let mut left = &mut header[..];
        if of(OpCode::Data(Data::Binary)).format(packets.len() as u64, &mut left).is_ok() {
            rest = left.len();
        }
        let header = header.get(..OWN_HEADER - rest).unwrap_or_default();
        packets.splice(0..0, header.iter().copied());
    }

    /// Says that this side closes, unless it has. Nothing may follow.
    pub(crate) fn close(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        put_header(OpCode::Control(Control::Close), 2, out);
        out.extend_from_slice(&u16::from(self.code).to_be_bytes());
    }
}

fn of(opcode: OpCode) -> FrameHeader {
    FrameHeader { opcode, ..FrameHeader::default() }
}

fn put_header(opcode: OpCode, len: usize, out: &mut Vec<u8>) {
    // Writing to a vector does not fail.
    let _ = of(opcode).format(len as u64, out);
}

/// `phase` is the place of the first of these bytes in the payload.
fn unmask(bytes: &mut [u8], frame: &Frame, phase: u64) {
    let mut mask = frame.mask;
    mask.rotate_left((phase % 4) as usize);
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(eight) = <[u8; 8]>::try_from(&*chunk) {
            chunk.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests;
