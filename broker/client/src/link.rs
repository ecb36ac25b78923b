//! One connection to a broker: packets in both directions at once, and the keep alive. Must not know what they mean.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::time::{Instant, sleep_until, timeout};
use wasmqtt_codec::frame::{self, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{Packet, PacketType, Version, decode};

use crate::dial::Stream;
use crate::failure::Failure;

/// How long a broker may take to close a connection that is over.
const FAREWELL: Duration = Duration::from_secs(10);
/// What is read at once.
const CHUNK: usize = 64 << 10;

/// Bytes that are sent and may still lie before those that are not.
const SENT: usize = 1 << 20;

/// One whole packet as it came.
#[derive(Debug)]
pub(crate) struct Raw {
    version: Version,
    bytes: Vec<u8>,
}

impl Raw {
    /// What it says.
    pub(crate) fn packet(&self) -> Result<Packet<'_>, Failure> {
        let broken =
            |error| Failure::error(format!("the broker sent what cannot be read: {error}"));
        match frame::next(&self.bytes, MAX_PACKET_SIZE).map_err(broken)? {
            Next::Whole { frame, .. } => decode(self.version, frame).map_err(broken),
            Next::Partial { .. } => Err(Failure::error("the broker sent half a packet")),
        }
    }
}

/// What happens on a connection.
#[derive(Debug)]
pub(crate) enum Event {
    /// A packet has come.
    Packet(Raw),
    /// Everything is sent.
    Sent,
}

/// A connection.
pub(crate) struct Link {
    read: ReadHalf<Box<dyn Stream>>,
    write: WriteHalf<Box<dyn Stream>>,
    version: Version,
    input: Vec<u8>,
    /// Bytes of `input` that are done with.
    used: usize,
    output: Vec<u8>,
    /// Bytes of `output` that are sent.
    written: usize,
    /// Something is written and not flushed.
    dirty: bool,
    /// Nothing can be written any more; what the broker has said before may still be read.
    broken: bool,
    keep_alive: Option<Duration>,
    sent_at: Instant,
    pinged_at: Option<Instant>,
    /// Says on standard error what comes and goes.
    verbose: bool,
}

impl Link {
    pub(crate) fn new(stream: Box<dyn Stream>, version: Version, verbose: bool) -> Self {
        let (read, write) = split(stream);
        Self {
            read,
            write,
            version,
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            written: 0,
            dirty: false,
            broken: false,
            keep_alive: None,
            sent_at: Instant::now(),
            pinged_at: None,
            verbose,
        }
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Pings when nothing was sent for so long; 0 is never.
    pub(crate) fn keep_alive(&mut self, seconds: u16) {
        self.keep_alive = Some(Duration::from_secs(seconds.into())).filter(|time| !time.is_zero());
    }

    /// Puts a packet behind those that are to be sent.
    pub(crate) fn send(&mut self, packet: &Packet<'_>) -> Result<(), Failure> {
        if self.written >= SENT {
            self.output.drain(..self.written);
            self.written = 0;
        }
        packet
            .encode(self.version, &mut self.output)
            .map_err(|error| Failure::error(format!("this cannot be sent: {error}")))?;
        if self.verbose {
            eprintln!("-> {}", shown(packet));
        }
        self.sent_at = Instant::now();
        Ok(())
    }

    /// Bytes that are not sent.
    pub(crate) fn unsent(&self) -> usize {
        self.output.len().saturating_sub(self.written)
    }

    /// Whether the next packet is here already.
    pub(crate) fn is_ready(&self) -> bool {
        let input = self.input.get(self.used..).unwrap_or_default();
        !matches!(frame::next(input, MAX_PACKET_SIZE), Ok(Next::Partial { .. }))
    }

    /// Reads and writes until something happens. May be dropped and called again at any time.
    pub(crate) async fn turn(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(raw) = self.take()? {
                return Ok(Event::Packet(raw));
            }
            let wake = self.wake();
            let Self { read, write, input, output, written, .. } = self;
            let unsent = output.get(*written..).unwrap_or_default();
            let busy = !self.broken && (!unsent.is_empty() || self.dirty);
            let sending = async {
                match unsent.is_empty() {
                    true => write.flush().await.map(|()| 0),
                    false => write.write(unsent).await,
                }
            };
            input.reserve(CHUNK);
            tokio::select! {
                came = read.read_buf(input) => match came {
                    Ok(0) => return Err(Failure::lost("the broker closed the connection")),
                    Ok(_) => {}
                    Err(error) => return Err(lost(&error)),
                },
                sent = sending, if busy => match sent {
                    Ok(0) if self.unsent() == 0 => {
                        (self.dirty, self.written) = (false, 0);
                        self.output.clear();
                        return Ok(Event::Sent);
                    }
                    Ok(len) => {
                        self.written += len;
                        self.dirty = true;
                    }
                    // Why, the broker may have said already.
                    Err(_) => self.broken = true,
                },
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => self.wait()?,
            }
        }
    }

    /// The next packet that is here.
    fn take(&mut self) -> Result<Option<Raw>, Failure> {
        loop {
            let input = self.input.get(self.used..).unwrap_or_default();
            let next = frame::next(input, MAX_PACKET_SIZE);
            let next = next.map_err(|error| Failure::error(format!("this is no MQTT: {error}")))?;
            let Next::Whole { len, .. } = next else {
                self.input.drain(..self.used);
                self.used = 0;
                return Ok(None);
            };
            let bytes = input.get(..len).unwrap_or_default().to_vec();
            self.used += len;
            let raw = Raw { version: self.version, bytes };
            let packet = raw.packet()?;
            if self.verbose {
                eprintln!("<- {}", shown(&packet));
            }
            if packet.kind() != PacketType::PingResp {
                return Ok(Some(raw));
            }
            self.pinged_at = None;
        }
    }

    /// When the keep alive has something to do.
    fn wake(&self) -> Option<Instant> {
        let keep_alive = self.keep_alive?;
        Some(self.pinged_at.unwrap_or(self.sent_at) + keep_alive)
    }

    fn wait(&mut self) -> Result<(), Failure> {
        match self.pinged_at {
            Some(_) => Err(Failure::lost("the broker does not answer any more")),
            None => {
                self.pinged_at = Some(Instant::now());
                self.send(&Packet::PingReq)
            }
        }
    }

    /// Sends what is left, and waits until the broker closes; answers the last packet that it sent. Whatever goes wrong
    /// now is no matter any more, unless something could not be sent.
    pub(crate) async fn close(mut self) -> Result<Option<Raw>, Failure> {
        let mut last = None;
        let closing = async {
            while self.unsent() > 0 || self.dirty {
                if let Event::Packet(raw) = self.turn().await? {
                    last = Some(raw);
                }
                if self.broken {
                    return Err(Failure::lost("the broker closed the connection"));
                }
            }
            let _ = self.write.shutdown().await;
            loop {
                while let Some(raw) = self.take()? {
                    last = Some(raw);
                }
                if matches!(self.read.read_buf(&mut self.input).await, Ok(0) | Err(_)) {
                    return Ok(());
                }
            }
        };
        match timeout(FAREWELL, closing).await {
            Ok(closed) => closed?,
            Err(_) if self.unsent() > 0 => {
                return Err(Failure::lost("the broker takes nothing any more"));
            }
            Err(_) => {}
        }
        Ok(last)
    }
}

fn lost(error: &io::Error) -> Failure {
    Failure::lost(format!("the connection was lost: {error}"))
}

/// One line, without payloads.
fn shown(packet: &Packet<'_>) -> String {
    match packet {
        Packet::Publish(publish) => format!(
            "PUBLISH {} QoS {}{}{} ({} bytes)",
            publish.topic,
            publish.qos as u8,
            if publish.retain { " retained" } else { "" },
            publish.packet_id.map(|id| format!(" #{id}")).unwrap_or_default(),
            publish.payload.len()
        ),
        Packet::Connect(connect) => format!(
            "CONNECT {:?} as {:?}, MQTT {}",
            connect.client_id,
            connect.username.unwrap_or_default(),
            connect.version
        ),
        Packet::ConnAck(connack) => format!(
            "CONNACK {}{}",
            connack.reason,
            if connack.session_present { ", with the old session" } else { "" }
        ),
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!("{} #{} {}", packet.kind(), ack.packet_id, ack.reason)
        }
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.subscriptions.iter();
            let filters: Vec<_> = filters.map(|one| (one.filter, one.qos as u8)).collect();
            format!("SUBSCRIBE #{} {filters:?}", subscribe.packet_id)
        }
        Packet::SubAck(suback) => format!("SUBACK #{} {:?}", suback.packet_id, suback.reasons),
        Packet::Disconnect(disconnect) => format!("DISCONNECT {}", disconnect.reason),
        other => other.kind().to_string(),
    }
}
