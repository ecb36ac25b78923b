//! A load client for what the load tool lacks: one thread, readiness events, MQTT 3.1.1 or 5. It prints what the load
//! tool prints, so that both are read the same way.

mod connection;
pub mod pairs;
pub mod retained;
pub mod storm;
pub mod subscriptions;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use connection::Connection;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use wasmqtt_codec::{
    Connect, MessagePropertiesBuf, Packet, PacketId, QoS, Subscribe, Subscription, UserProperties,
    Version,
};

/// Bytes read at once.
const SCRATCH: usize = 128 * 1024;
/// How long anything that must come may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Topics in one SUBSCRIBE.
const FILTERS: usize = 1_000;

/// What has happened on all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// CONNACKs that let in.
    pub connected: u64,
    /// Filters that were granted.
    pub subscribed: u64,
    /// PUBLISH packets written.
    pub published: u64,
    /// PUBLISH packets read.
    pub delivered: u64,
    /// Publications with QoS 1 or 2 that are through.
    pub acknowledged: u64,
    /// Connections that the server closed, or refused.
    pub closed: u64,
}

/// A message to be published.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Topic name.
    pub topic: &'a str,
    /// Of MQTT 5.
    pub properties: &'a MessagePropertiesBuf,
    /// Bytes.
    pub payload: &'a [u8],
    /// Quality of service.
    pub qos: QoS,
    /// Whether it is retained.
    pub retain: bool,
}

/// Many clients on one thread.
#[derive(Debug)]
pub struct Clients {
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
    connections: Vec<Connection>,
    started: Instant,
    /// What has happened so far.
    pub counts: Counts,
    /// Nanoseconds under way of each message, where it begins with the time it was sent at; none = not looked at.
    pub latencies: Option<Vec<u64>>,
}

impl Clients {
    /// # Errors
    /// What the system says.
    pub fn new() -> Result<Self> {
        Ok(Self {
            poll: Poll::new().context("no epoll")?,
            events: Events::with_capacity(4_096),
            scratch: vec![0; SCRATCH],
            connections: Vec::new(),
            started: Instant::now(),
            counts: Counts::default(),
            latencies: None,
        })
    }

    /// Nanoseconds since these clients are there: what stands at the head of a payload whose latency is wanted.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Opens a connection and sends CONNECT. Answers the number of the client.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&mut self, address: SocketAddr, version: Version, id: &str) -> Result<usize> {
        let socket = std::net::TcpStream::connect(address)
            .with_context(|| format!("cannot connect to {address}"))?;
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let number = self.connections.len();
        let connection = Connection::new(TcpStream::from_std(socket), version);
        self.connections.push(connection);
        let connection = &mut self.connections[number];
        connection.register(&self.poll, Token(number))?;
        let mut connect = Connect::new(version, id);
        connect.keep_alive = 600;
        connection.put(&Packet::Connect(Box::new(connect)))?;
        connection.flush(&self.poll, Token(number))?;
        Ok(number)
    }

    /// Asks for all of these filters, in as many packets as it takes.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn subscribe<'a>(
        &mut self,
        number: usize,
        filters: impl IntoIterator<Item = &'a str>,
        qos: QoS,
    ) -> Result<()> {
        let connection = &mut self.connections[number];
        let all: Vec<_> =
            filters.into_iter().map(|filter| Subscription::new(filter, qos)).collect();
        for some in all.chunks(FILTERS) {
            connection.put(&Packet::Subscribe(Subscribe {
                packet_id: PacketId::MIN,
                subscription_identifier: None,
                user_properties: UserProperties::EMPTY,
                subscriptions: some.to_vec(),
            }))?;
        }
        connection.flush(&self.poll, Token(number))
    }

    /// Writes a message behind what waits to be sent already.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn publish(&mut self, number: usize, publication: &Publication<'_>) -> Result<()> {
        self.connections[number].publish(publication)?;
        self.counts.published += 1;
        Ok(())
    }

    /// Sends what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// When the connection fails.
    pub fn flush(&mut self, number: usize) -> Result<()> {
        self.connections[number].flush(&self.poll, Token(number))
    }

    /// Bytes that the socket did not take yet.
    #[must_use]
    pub fn waiting(&self, number: usize) -> usize {
        self.connections[number].waiting()
    }

    /// Publications with QoS 1 or 2 that are not through.
    #[must_use]
    pub fn in_flight(&self, number: usize) -> u64 {
        self.connections[number].in_flight
    }

    /// Whether the server let it in.
    #[must_use]
    pub fn is_connected(&self, number: usize) -> bool {
        self.connections[number].connected
    }

    /// Says goodbye and closes the connection.
    ///
    /// # Errors
    /// When it has failed before.
    pub fn close(&mut self, number: usize) -> Result<()> {
        let connection = &mut self.connections[number];
        connection.put(&Packet::Disconnect(wasmqtt_codec::Disconnect::default()))?;
        connection.flush(&self.poll, Token(number))?;
        connection.close(&self.poll)
    }

    /// Waits for something to happen, and handles everything that has.
    ///
    /// # Errors
    /// When a connection breaks, or a packet is none.
    pub fn turn(&mut self, wait: Duration) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.into());
            }
            _ => {}
        }
        let now = if self.latencies.is_some() { self.now() } else { 0 };
        for event in &self.events {
            let token = event.token();
            let Some(connection) = self.connections.get_mut(token.0) else { continue };
            if event.is_writable() {
                connection.flush(&self.poll, token)?;
            }
            if event.is_readable() || event.is_read_closed() {
                let latencies = self.latencies.as_mut();
                connection.read(&mut self.scratch, &mut self.counts, now, latencies)?;
                connection.flush(&self.poll, token)?;
            }
        }
        Ok(())
    }

    /// Turns until this is so.
    ///
    /// # Errors
    /// When it takes longer than two minutes, or the server closes a connection.
    pub fn until(&mut self, what: &str, done: impl Fn(&Counts) -> bool) -> Result<()> {
        let start = Instant::now();
        while !done(&self.counts) {
            self.turn(Duration::from_millis(20))?;
            if self.counts.closed > 0 {
                bail!("waiting for {what}: the server refused or closed a connection");
            }
            if start.elapsed() > PATIENCE {
                bail!("waiting for {what}: nothing after {PATIENCE:?}, {:?}", self.counts);
            }
        }
        Ok(())
    }
}
