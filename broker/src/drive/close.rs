//! The end of a connection: its last words are written, and the other side has time to read them. Must not know why it
//! ends.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::line::{Line, Ticket};
use super::wire::Wire;
use crate::worker::with_local;

/// How long the last bytes may take.
const CLOSING: Duration = Duration::from_secs(2);
/// What is read of a connection that is over, in bytes: about as much as is under way when its client hears of it.
const LAST: usize = 1 << 20;

/// Writes what is pending and ends the stream, within a bound. Then reads on until the other side has closed too: a
/// socket that is dropped with unread bytes resets the connection, and the last words would be lost. Who sends without end,
/// or is one of very many, is reset all the same.
pub(super) async fn close(wire: &mut Wire) {
    wire.finish();
    wire.forget(wire.kept().len());
    let mut rest = Rest { left: LAST, in_line: None };
    let closing = poll_fn(|cx| {
        let _ = ready!(wire.poll_flush(cx));
        let _ = ready!(wire.poll_shutdown(cx));
        let read = with_local(|local| rest.poll(cx, wire, &mut local.line, &mut local.scratch));
        read.unwrap_or(Poll::Ready(()))
    });
    let _ = tokio::time::timeout(CLOSING, closing).await;
}

/// What the other side still sends.
struct Rest {
    /// Bytes that may come.
    left: usize,
    in_line: Option<Ticket>,
}

impl Rest {
    /// Reads once, and then others come first: it is in no hurry. Ready when it was enough.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut Wire,
        line: &mut Line,
        scratch: &mut [u8],
    ) -> Poll<()> {
        if line.keeps(&mut self.in_line) {
            return Poll::Pending;
        }
        match ready!(wire.poll_read_bytes(cx, scratch)) {
            Ok(len) if len > 0 && len < self.left && !line.is_long() => {
                self.left -= len;
                self.in_line = Some(line.join(cx));
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    use super::*;
    use crate::transport::Stream;

    fn ended() -> Rest {
        Rest { left: LAST, in_line: None }
    }

    #[tokio::test]
    async fn who_never_stops_is_read_in_line_and_up_to_a_bound() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut wire, mut line) = (Wire::new(Stream::Unix(ours)), Line::default());
        let mut scratch = vec![0; 4096];
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            while let Ok(len) = theirs.write(&[b'x'; 4096]).await {
                sent += len;
            }
            sent
        });
        let mut rest = ended();
        poll_fn(|cx| {
            let polled = rest.poll(cx, &mut wire, &mut line, &mut scratch);
            assert!(
                rest.in_line.is_none()
                    || rest.poll(cx, &mut wire, &mut line, &mut scratch).is_pending()
            );
            // One read, and it waits to be called.
            let _ = line.poll_call(cx);
            polled
        })
        .await;
        drop(wire);
        let sent = sending.await.unwrap();
        // What the socket holds comes on top.
        assert!((LAST..2 * LAST).contains(&sent), "{sent}");
    }

    #[tokio::test]
    async fn where_very_many_wait_in_line_nobody_is_heard_out_and_who_sends_nothing_is_waited_for()
    {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (mut wire, mut line) = (Wire::new(Stream::Unix(ours)), Line::default());
        let mut cx = Context::from_waker(Waker::noop());
        while !line.is_long() {
            line.join(&cx);
        }
        let mut rest = ended();
        assert!(rest.poll(&mut cx, &mut wire, &mut line, &mut [0; 10]).is_pending());
        assert!(rest.in_line.is_none());
        theirs.write_all(b"x").await.unwrap();
        poll_fn(|cx| rest.poll(cx, &mut wire, &mut line, &mut [0; 10])).await;
        assert_eq!(rest.left, LAST);
    }
}
