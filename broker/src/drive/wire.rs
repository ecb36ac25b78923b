//! A stream with what is left over on both sides: the beginning of a packet that is not here yet, and bytes that
//! the socket did not take yet.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use wasmqtt_codec::{DecodeError, Frame, Next, frame};

/// Leftover capacity that an idle connection may keep, in bytes.
const KEEP: usize = 1024;

/// One connection's bytes.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    partial: Vec<u8>,
    pending: Vec<u8>,
    written: usize,
}

impl Wire {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, partial: Vec::new(), pending: Vec::new(), written: 0 }
    }

    /// Reads once, at most `scratch`. Answers the number of bytes; 0 is the end of the stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Keeps bytes for later without looking at them.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
    }

    /// Bytes that were kept.
    pub(super) fn kept(&self) -> &[u8] {
        &self.partial
    }

    /// Takes away the first `len` of the kept bytes.
    pub(super) fn forget(&mut self, len: usize) {
        self.partial.drain(..len.min(self.partial.len()));
        if self.partial.is_empty() && self.partial.capacity() > KEEP {
            self.partial = Vec::new();
        }
    }

    /// Calls `each` for every whole packet in what was kept and in `fresh`, and keeps the rest.
    pub(super) fn frames<E: From<DecodeError>>(
        &mut self,
        fresh: &[u8],
        max: u32,
        mut each: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.partial.is_empty() {
            let used = split(fresh, max, &mut each)?;
            self.keep(fresh.get(used..).unwrap_or_default());
            return Ok(());
        }
        self.partial.extend_from_slice(fresh);
        let used = split(&self.partial, max, &mut each)?;
        self.forget(used);
        Ok(())
    }

    /// Whether the socket has not taken everything yet.
    pub(super) fn is_blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Writes what is pending. Ready when nothing is left.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.pending.get(self.written..).filter(|rest| !rest.is_empty()) {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        self.written = 0;
        self.pending = Vec::new();
        Poll::Ready(Ok(()))
    }

    /// Writes `out`, which is empty afterwards: what the socket does not take is pending.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        if self.is_blocked() {
            self.pending.append(out);
            return Ok(());
        }
        let mut written = 0;
        while let Some(rest) = out.get(written..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut self.stream).poll_write(cx, rest) {
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
        Ok(())
    }

    /// Leaves `bytes` to be written by [`poll_flush`](Self::poll_flush).
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Tells the other side that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn split<E: From<DecodeError>>(
    bytes: &[u8],
    max: u32,
    each: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<usize, E> {
    let mut used = 0;
    while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
        match frame::next(rest, max)? {
            Next::Whole { frame, len } => {
                each(frame)?;
                used += len;
            }
            Next::Partial { .. } => break,
        }
    }
    Ok(used)
}
