//! A stream with what is left over on both sides: the beginning of a packet that is not here yet, and bytes that
//! the socket did not take yet.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;
use wasmqtt_codec::{DecodeError, Frame, Next, frame};
use wasmqtt_core::client::Transport;

use crate::transport::Stream;
use crate::transport::websocket::Frames;

/// Reads without a payload before other connections get their turn.
const READS: usize = 4;
/// Leftover capacity that an idle connection may keep, in bytes.
const KEEP: usize = 1024;

/// What became of a packet.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is done with.
    Whole,
    /// It is done with, and those behind it have to wait.
    Last,
    /// It has to wait itself.
    Not,
}

/// One connection's bytes.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    partial: Vec<u8>,
    /// Bytes of it that are done with.
    done: usize,
    pending: Vec<u8>,
    written: usize,
    /// What was written is sealed, and not with the system yet.
    unflushed: bool,
    /// When packets are in the frames of a WebSocket. Seldom, so it takes no room where they are not.
    websocket: Option<Box<Frames>>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            partial: Vec::new(),
            done: 0,
            pending: Vec::new(),
            written: 0,
            unflushed: false,
            websocket: None,
        }
    }

    /// What carries the packets.
    pub(super) fn transport(&self) -> Transport {
        match (&self.stream, &self.websocket) {
            (Stream::Tcp(_), None) => Transport::Tcp,
            (Stream::Tls(_), None) => Transport::Tls,
            (Stream::Unix(_), None) => Transport::Unix,
            (Stream::Tls(_), Some(_)) => Transport::WebSocketTls,
            (_, Some(_)) => Transport::WebSocket,
        }
    }

    /// From here on packets are in frames, both ways.
    pub(super) fn upgrade(&mut self, frames: Frames) {
        self.websocket = Some(Box::new(frames));
    }

    /// Reads once, at most `scratch`. Answers the number of bytes; 0 is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.websocket {
            None => self.poll_read_bytes(cx, scratch),
            Some(_) => self.poll_read_frames(cx, scratch),
        }
    }

    /// Reads until there is a payload. What control frames are answered with is written at once.
    fn poll_read_frames(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        for _ in 0..READS {
            // What is pending is an answer to what was read before: nothing more is read until it is gone.
            if self.is_blocked() {
                ready!(self.poll_flush(cx))?;
            }
            if self.websocket.as_ref().is_none_or(|frames| frames.has_ended()) {
                return Poll::Ready(Ok(0));
            }
            let len = ready!(self.poll_read_bytes(cx, scratch))?;
            let Self { websocket: Some(frames), pending, .. } = self else { continue };
            if len == 0 {
                return Poll::Ready(Ok(0));
            }
            let len = frames.receive(scratch.get_mut(..len).unwrap_or_default(), pending)?;
            // Who asks without listening to the answers is not read from.
            let flushed = self.poll_flush(cx);
            // It was read, whatever becomes of the other direction.
            if len > 0 {
                return Poll::Ready(Ok(len));
            }
            ready!(flushed)?;
        }
        // Frames without a payload are no reason to keep others waiting.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once, without looking at what it is.
    pub(super) fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(self.stream.poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Keeps bytes for later without looking at them.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        // Not before: what is taken packet by packet would be moved as often.
        self.partial.drain(..std::mem::take(&mut self.done).min(self.partial.len()));
        self.partial.extend_from_slice(bytes);
    }

    /// Bytes that were kept.
    pub(super) fn kept(&self) -> &[u8] {
        self.partial.get(self.done..).unwrap_or_default()
    }

    /// Takes away the first `len` of the kept bytes.
    pub(super) fn forget(&mut self, len: usize) {
        self.done += len;
        if self.done < self.partial.len() {
            return;
        }
        self.done = 0;
        self.partial.clear();
        if self.partial.capacity() > KEEP {
            self.partial = Vec::new();
        }
    }

    /// Calls `each` for every whole packet in what was kept and in `fresh`, until one has to wait, and keeps the rest.
    pub(super) fn frames<E: From<DecodeError>>(
        &mut self,
        fresh: &[u8],
        max: u32,
        mut each: impl FnMut(Frame<'_>) -> Result<Taken, E>,
    ) -> Result<(), E> {
        if self.kept().is_empty() {
            let used = split(fresh, max, &mut each)?;
            self.keep(fresh.get(used..).unwrap_or_default());
            return Ok(());
        }
        if !fresh.is_empty() {
            self.keep(fresh);
        }
        let used = split(self.kept(), max, &mut each)?;
        self.forget(used);
        Ok(())
    }

    /// Whether the socket has not taken everything yet.
    pub(super) fn is_blocked(&self) -> bool {
        !self.pending.is_empty() || self.unflushed
    }

    /// Writes what is pending. Ready when nothing is left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(self.stream.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.written = 0;
        self.pending = Vec::new();
        self.unflushed = true;
        ready!(self.stream.poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// As [`poll_flush`](Self::poll_flush).
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Writes `out`, which is empty afterwards: what the socket does not take is pending. In a WebSocket it is one frame.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if let Some(frames) = &self.websocket {
            frames.wrap(out);
        }
        if self.is_blocked() {
            self.pending.append(out);
            return Ok(());
        }
        let mut written = 0;
        while let Some(rest) = out.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => written += count,
                Poll::Ready(Err(error)) => {
                    out.clear();
                    return Err(error);
                }
                Poll::Pending => {
                    self.pending.extend_from_slice(rest);
                    break;
                }
            }
        }
        out.clear();
        self.unflushed = self.stream.poll_flush(cx)?.is_pending();
        Ok(())
    }

    /// Leaves `bytes` to be written by [`poll_flush`](Self::poll_flush); empties them.
    pub(super) fn append(&mut self, bytes: &mut Vec<u8>) {
        if let Some(frames) = &self.websocket {
            frames.wrap(bytes);
        }
        self.pending.append(bytes);
    }

    /// Nothing is appended any more: what has a word for that says it.
    pub(super) fn finish(&mut self) {
        if let Some(frames) = &mut self.websocket {
            frames.close(&mut self.pending);
        }
    }

    /// Tells the other side that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }
}

fn split<E: From<DecodeError>>(
    bytes: &[u8],
    max: u32,
    each: &mut impl FnMut(Frame<'_>) -> Result<Taken, E>,
) -> Result<usize, E> {
    let mut used = 0;
    while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
        match frame::next(rest, max)? {
            Next::Whole { frame, len } => {
                let taken = each(frame)?;
                if taken == Taken::Not {
                    break;
                }
                used += len;
                if taken == Taken::Last {
                    break;
                }
            }
            Next::Partial { .. } => break,
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    const PING: &[u8] = &[0xC0, 0];

    fn wire() -> (Wire, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Wire::new(Stream::Unix(ours)), theirs)
    }

    /// Takes so many packets; answers how many there were.
    fn take(wire: &mut Wire, fresh: &[u8], most: usize) -> usize {
        let mut count = 0;
        let taken = wire.frames(fresh, 100, |frame| {
            assert_eq!((frame.first, frame.body), (0xC0, &[][..]));
            count += 1;
            Ok::<_, DecodeError>(if count == most { Taken::Last } else { Taken::Whole })
        });
        taken.unwrap();
        count
    }

    #[tokio::test]
    async fn what_is_taken_a_few_at_a_time_is_kept_in_order_and_not_moved() {
        let (mut wire, _theirs) = wire();
        let read = [&PING.repeat(1000), &PING[..1]].concat();
        assert_eq!(take(&mut wire, &read, 10), 10);
        let place = wire.partial.as_ptr();
        for taken in 2..=100 {
            assert_eq!(take(&mut wire, &[], 10), 10);
            assert_eq!(wire.kept().len(), read.len() - taken * 20);
        }
        assert_eq!(wire.partial.as_ptr(), place);
        assert_eq!(take(&mut wire, &[], 10), 0, "half a packet");
        assert_eq!(take(&mut wire, &[0, 0xC0], 10), 1);
        assert_eq!((wire.kept(), wire.done), (&PING[..1], 2));
        assert_eq!(take(&mut wire, &[0], 10), 1);
        assert!(
            wire.kept().is_empty() && wire.partial.capacity() <= KEEP,
            "the room is given back"
        );
    }

    #[tokio::test]
    async fn a_packet_that_waits_comes_again() {
        let (mut wire, _theirs) = wire();
        let mut waits = true;
        for expected in [1, 2] {
            let mut seen = 0;
            let fresh = if waits { PING.repeat(2) } else { Vec::new() };
            let taken = wire.frames(&fresh, 100, |_| {
                seen += 1;
                Ok::<_, DecodeError>(if waits { Taken::Not } else { Taken::Whole })
            });
            taken.unwrap();
            assert_eq!(seen, expected);
            waits = false;
        }
        assert!(wire.kept().is_empty());
    }
}
