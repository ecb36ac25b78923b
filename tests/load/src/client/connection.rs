//! One client's socket: what waits to be sent, what has come of a packet, and the answers that MQTT wants.

use std::io::{ErrorKind, Read, Write};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Interest, Poll, Token};
use wasmqtt_codec::frame::{self, Frame, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{
    Ack, Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, Version, decode,
};

use super::{Counts, Publication};

#[derive(Debug)]
pub(super) struct Connection {
    /// None once it is closed.
    stream: Option<TcpStream>,
    version: Version,
    out: Vec<u8>,
    sent: usize,
    /// The beginning of a packet.
    rest: Vec<u8>,
    waits_to_write: bool,
    last_id: u16,
    pub(super) in_flight: u64,
    pub(super) connected: bool,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, version: Version) -> Self {
        Self {
            stream: Some(stream),
            version,
            out: Vec::new(),
            sent: 0,
            rest: Vec::new(),
            waits_to_write: false,
            last_id: 0,
            in_flight: 0,
            connected: false,
        }
    }

    pub(super) fn register(&mut self, poll: &Poll, token: Token) -> Result<()> {
        if let Some(stream) = &mut self.stream {
            poll.registry().register(stream, token, Interest::READABLE)?;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, poll: &Poll) -> Result<()> {
        if let Some(mut stream) = self.stream.take() {
            poll.registry().deregister(&mut stream)?;
        }
        // Thousands of them are kept.
        (self.out, self.rest) = (Vec::new(), Vec::new());
        Ok(())
    }

    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.sent
    }

    pub(super) fn put(&mut self, packet: &Packet<'_>) -> Result<()> {
        Ok(packet.encode(self.version, &mut self.out)?)
    }

    pub(super) fn publish(&mut self, publication: &Publication<'_>) -> Result<()> {
        let &Publication { topic, properties, payload, qos, retain } = publication;
        let packet_id = (qos != QoS::AtMostOnce).then(|| self.next_id());
        let message = properties.as_view();
        let properties = PublishProperties { message, ..PublishProperties::default() };
        let publish = Publish { dup: false, qos, retain, topic, packet_id, properties, payload };
        publish.encode(self.version, &mut self.out)?;
        self.in_flight += u64::from(packet_id.is_some());
        Ok(())
    }

    fn next_id(&mut self) -> PacketId {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        PacketId::new(self.last_id).unwrap_or(PacketId::MIN)
    }

    /// Writes until nothing waits or the socket is full; then it is told when there is room.
    pub(super) fn flush(&mut self, poll: &Poll, token: Token) -> Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        while self.sent < self.out.len() {
            match stream.write(&self.out[self.sent..]) {
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        let waits = !self.out.is_empty();
        if waits != self.waits_to_write {
            self.waits_to_write = waits;
            let interest =
                if waits { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            poll.registry().reregister(stream, token, interest)?;
        }
        Ok(())
    }

    /// Reads until nothing is there, and handles every whole packet.
    pub(super) fn read(
        &mut self,
        scratch: &mut [u8],
        counts: &mut Counts,
        now: u64,
        mut latencies: Option<&mut Vec<u64>>,
    ) -> Result<()> {
        while let Some(stream) = &mut self.stream {
            let length = match stream.read(scratch) {
                Ok(0) => {
                    counts.closed += 1;
                    self.stream = None;
                    break;
                }
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            };
            if self.rest.is_empty() {
                let used =
                    self.packets(&scratch[..length], counts, now, latencies.as_deref_mut())?;
                self.rest.extend_from_slice(&scratch[used..length]);
            } else {
                let mut input = std::mem::take(&mut self.rest);
                input.extend_from_slice(&scratch[..length]);
                let used = self.packets(&input, counts, now, latencies.as_deref_mut())?;
                input.drain(..used);
                self.rest = input;
            }
            if length < scratch.len() {
                break;
            }
        }
        Ok(())
    }

    /// Answers how many bytes were whole packets.
    fn packets(
        &mut self,
        input: &[u8],
        counts: &mut Counts,
        now: u64,
        mut latencies: Option<&mut Vec<u64>>,
    ) -> Result<usize> {
        let mut used = 0;
        while let Next::Whole { frame, len } = frame::next(&input[used..], MAX_PACKET_SIZE)? {
            self.packet(frame, counts, now, latencies.as_deref_mut())?;
            used += len;
        }
        Ok(used)
    }

    fn packet(
        &mut self,
        frame: Frame<'_>,
        counts: &mut Counts,
        now: u64,
        latencies: Option<&mut Vec<u64>>,
    ) -> Result<()> {
        let success = |id| Ack::new(id, ReasonCode::Success);
        match decode(self.version, frame)? {
            Packet::ConnAck(connack) if connack.reason == ReasonCode::Success => {
                counts.connected += 1;
                self.connected = true;
            }
            Packet::ConnAck(_) | Packet::Disconnect(_) => counts.closed += 1,
            Packet::SubAck(suback) => {
                let granted = suback.reasons.iter().filter(|reason| **reason as u8 <= 2);
                counts.subscribed += granted.count() as u64;
            }
            Packet::Publish(publish) => {
                counts.delivered += 1;
                let head = publish.payload.first_chunk::<8>();
                if let (Some(latencies), Some(sent)) = (latencies, head) {
                    latencies.push(now.saturating_sub(u64::from_be_bytes(*sent)));
                }
                match (publish.qos, publish.packet_id) {
                    (QoS::AtLeastOnce, Some(id)) => self.put(&Packet::PubAck(success(id)))?,
                    (QoS::ExactlyOnce, Some(id)) => self.put(&Packet::PubRec(success(id)))?,
                    _ => {}
                }
            }
            Packet::PubAck(_) | Packet::PubComp(_) => {
                counts.acknowledged += 1;
                self.in_flight = self.in_flight.saturating_sub(1);
            }
            Packet::PubRec(ack) => self.put(&Packet::PubRel(success(ack.packet_id)))?,
            Packet::PubRel(ack) => self.put(&Packet::PubComp(success(ack.packet_id)))?,
            Packet::PingResp => {}
            other => bail!("the server sent {}", other.kind()),
        }
        Ok(())
    }
}
