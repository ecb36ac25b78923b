//! Where messages come from.

use std::fs::File;
use std::io::{self, BufRead as _, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep_until};
use wasmqtt_codec::frame::MAX_PACKET_SIZE;

use crate::failure::Failure;

/// Lines that are read before they can be sent.
const AHEAD: usize = 64;
/// Bytes of one message; more does not fit in a packet.
const MOST: u64 = MAX_PACKET_SIZE as u64;

/// What is to be published.
#[derive(Debug)]
pub(super) enum Content {
    Message(Vec<u8>),
    File(PathBuf),
    Stdin,
    Lines,
}

/// Messages, one after the other.
pub(super) enum Source {
    /// The same one some more times.
    Same {
        payload: Arc<Vec<u8>>,
        left: u64,
        delay: Duration,
        not_before: Instant,
    },
    Lines(Receiver<io::Result<Vec<u8>>>),
}

impl Source {
    /// Reads what is one message; lines are read when they are needed.
    pub(super) fn open(content: Content, repeat: u64, delay: Duration) -> Result<Self, Failure> {
        let payload = match content {
            Content::Message(payload) => payload,
            Content::File(path) => {
                let cannot =
                    |error| Failure::error(format!("cannot read {}: {error}", path.display()));
                let file = File::open(&path).map_err(cannot)?;
                whole(file, &path.display().to_string())?
            }
            Content::Stdin => whole(io::stdin().lock(), "standard input")?,
            Content::Lines => return Ok(Self::Lines(lines())),
        };
        let payload = Arc::new(payload);
        Ok(Self::Same { payload, left: repeat, delay, not_before: Instant::now() })
    }

    /// The next message; none at the end. May be dropped and called again at any time.
    pub(super) async fn next(&mut self) -> Result<Option<Arc<Vec<u8>>>, Failure> {
        match self {
            Self::Same { left: 0, .. } => Ok(None),
            Self::Same { payload, left, delay, not_before } => {
                sleep_until(*not_before).await;
                *not_before += *delay;
                *left -= 1;
                Ok(Some(Arc::clone(payload)))
            }
            Self::Lines(lines) => match lines.recv().await {
                None => Ok(None),
                Some(Ok(line)) => Ok(Some(Arc::new(line))),
                Some(Err(error)) => {
                    Err(Failure::error(format!("cannot read standard input: {error}")))
                }
            },
        }
    }
}

fn whole(from: impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut payload = Vec::new();
    let read = from.take(MOST + 1).read_to_end(&mut payload);
    read.map_err(|error| Failure::error(format!("cannot read {name}: {error}")))?;
    match payload.len() as u64 > MOST {
        true => Err(Failure::error(format!("{name} does not fit in one message: 256 MiB at most"))),
        false => Ok(payload),
    }
}

/// On a thread of their own, because nobody can wait for standard input otherwise.
fn lines() -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = channel(AHEAD);
    std::thread::spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let line = line(&mut input);
            let last = matches!(line, None | Some(Err(_)));
            if line.is_some_and(|line| sender.blocking_send(line).is_err()) || last {
                return;
            }
        }
    });
    receiver
}

/// The next line, without its end; none when there is none.
fn line(input: &mut impl io::BufRead) -> Option<io::Result<Vec<u8>>> {
    let mut line = Vec::new();
    match input.take(MOST + 1).read_until(b'\n', &mut line) {
        Ok(0) => None,
        Ok(len) if len as u64 > MOST => {
            Some(Err(io::Error::other("a line is longer than 256 MiB")))
        }
        Ok(_) => {
            if line.ends_with(b"\n") {
                line.pop();
            }
            Some(Ok(line))
        }
        Err(error) => Some(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_be_empty_and_the_last_needs_no_end() {
        let mut input = &b"one\n\ntwo\r\nlast"[..];
        let lines: Vec<_> = std::iter::from_fn(|| line(&mut input)).map(Result::unwrap).collect();
        assert_eq!(lines, [&b"one"[..], b"", b"two\r", b"last"]);
    }
}
