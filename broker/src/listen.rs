//! Listening sockets: accepts, admits by number, and hands each connection to the worker with the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::limits::Limits;
use wasmqtt_core::redirect::Redirect;
use wasmqtt_core::time::Moment;

use crate::clock::Clock;
use crate::config::{Network, ProxyProtocol};
use crate::transport::websocket::Policy;
use crate::transport::{Peer, tls};
use crate::worker::Workers;

mod address;
mod listeners;
mod socket;
mod turned_away;

pub(crate) use address::network;
use address::{Addresses, Place, TooMany};
pub(crate) use listeners::{Listeners, Plan};
pub(crate) use socket::{Accepted, Detached, Socket};
use turned_away::TurnedAway;

/// How long accepting rests after an error that will not go away by itself, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// One listener, for as long as anybody is connected who came in there.
#[derive(Debug)]
pub(crate) struct Listener {
    /// The number of its name.
    pub(crate) id: ListenerId,
    /// Its name there.
    pub(crate) name: String,
    /// What a reload may change.
    pub(crate) settings: ArcSwap<Settings>,
    connections: AtomicUsize,
    /// Of all listeners.
    total: Arc<AtomicUsize>,
    /// Connections that were closed at once, by the limit that was reached.
    turned_away: [AtomicU64; Full::ALL.len()],
    /// Those of them that have not been let in yet.
    handshakes: AtomicUsize,
    addresses: Arc<Addresses>,
    /// CONNECTs in the current second.
    connects: Mutex<(u64, u32)>,
    /// Becomes true when nobody enters here any more.
    closed: watch::Sender<bool>,
}

/// What a reload may change; new connections get it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How hands are shaken, where they are.
    pub(crate) tls: Option<tls::Server>,
    /// What those in `trusted_proxies` say before anything else.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// Who may say for whom it speaks.
    pub(crate) trusted_proxies: Vec<Network>,
    /// Who may have a WebSocket, where packets travel in one.
    pub(crate) websocket: Option<Policy>,
    /// What a client may use.
    pub(crate) limits: Limits,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// Connections at once, of all listeners.
    pub(crate) max_connections_total: usize,
    /// Time until CONNECT must be complete.
    pub(crate) connect_timeout: Duration,
    /// Connections at once whose CONNECT is not answered yet.
    pub(crate) max_handshakes: usize,
    /// Connections of one address at once; 0 = no bound.
    pub(crate) max_connections_per_address: u32,
    /// Connections of one address in a second; 0 = no bound.
    pub(crate) connection_rate_per_address: u32,
    /// Where newcomers are sent instead.
    pub(crate) redirect: Option<Arc<Redirect>>,
    /// How soon those who are connected are sent there, too; zero = not at all.
    pub(crate) move_within: Duration,
    /// Where plugins that send clients elsewhere send them.
    pub(crate) server_reference: Option<Box<str>>,
    /// CONNECTs in a second; 0 = no bound.
    pub(crate) connect_rate: u32,
    /// Whether a refused publication ends a 3.x connection, instead of being acknowledged.
    pub(crate) disconnect_on_denied: bool,
}

impl Settings {
    /// Whether it may say for whom it speaks.
    pub(crate) fn trusts(&self, peer: &Peer) -> bool {
        let trusted = |ip| self.trusted_proxies.iter().any(|network| network.contains(ip));
        peer.ip().is_some_and(trusted)
    }
}

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Seat {
    listener: Arc<Listener>,
    /// That of its address; none as long as that is not known.
    place: Option<Box<Place>>,
    is_shaking_hands: bool,
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    Total,
    Connections,
    Handshakes,
    Address(TooMany),
}

impl Full {
    const ALL: [Self; 5] = [
        Full::Total,
        Full::Connections,
        Full::Handshakes,
        Full::Address(TooMany::Connections),
        Full::Address(TooMany::AtOnce),
    ];

    /// The limit that is reached.
    fn limit(self) -> &'static str {
        match self {
            Full::Total => "max_connections_total",
            Full::Connections => "max_connections",
            Full::Handshakes => "max_handshakes",
            Full::Address(TooMany::Connections) => "max_connections_per_address",
            Full::Address(TooMany::AtOnce) => "connection_rate_per_address",
        }
    }
}

impl Listener {
    /// A listener without connections.
    pub(crate) fn new(
        id: ListenerId,
        name: String,
        settings: Settings,
        total: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            id,
            name,
            settings: ArcSwap::from_pointee(settings),
            connections: AtomicUsize::new(0),
            total,
            turned_away: Default::default(),
            handshakes: AtomicUsize::new(0),
            addresses: Arc::default(),
            connects: Mutex::default(),
            closed: watch::Sender::default(),
        }
    }

    /// Nobody enters here any more, not even who is about to.
    fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Whether it is closed.
    pub(crate) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Ready once it is.
    pub(crate) async fn closed(&self) {
        // It is not dropped while somebody asks.
        let _ = self.closed.subscribe().wait_for(|closed| *closed).await;
    }

    /// Counts a CONNECT; false when it is one too many in this second.
    pub(crate) fn may_connect(&self, now: Moment, rate: u32) -> bool {
        if rate == 0 {
            return true;
        }
        let mut connects = self.connects.lock();
        let second = now.0 / 1000;
        if connects.0 != second {
            *connects = (second, 0);
        }
        connects.1 = connects.1.saturating_add(1);
        connects.1 <= rate
    }

    /// Connections now.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that were closed at once, by the limit that was reached.
    pub(crate) fn turned_away(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.turned_away.iter().map(|count| count.load(Ordering::Relaxed));
        Full::ALL.into_iter().map(Full::limit).zip(counts)
    }

    fn turn_away(&self, full: Full) {
        let counts = Full::ALL.iter().zip(&self.turned_away);
        counts.filter(|(limit, _)| **limit == full).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// A seat for one more connection. Who speaks for others counts when it has said for whom.
    fn seat(self: &Arc<Self>, peer: &Peer, now: Moment) -> Result<Seat, Full> {
        let settings = self.settings.load();
        let mut seat = Seat { listener: Arc::clone(self), place: None, is_shaking_hands: true };
        let connections = self.connections.fetch_add(1, Ordering::Relaxed);
        let handshakes = self.handshakes.fetch_add(1, Ordering::Relaxed);
        if self.total.fetch_add(1, Ordering::Relaxed) >= settings.max_connections_total {
            return Err(Full::Total);
        }
        if connections >= settings.max_connections {
            return Err(Full::Connections);
        }
        if handshakes >= settings.max_handshakes {
            return Err(Full::Handshakes);
        }
        if !settings.trusts(peer) {
            seat.sit(peer, now)?;
        }
        Ok(seat)
    }
}

impl Seat {
    /// Where the connection came in.
    pub(crate) fn listener(&self) -> &Arc<Listener> {
        &self.listener
    }

    /// Takes the place of an address, which may be another than at first.
    ///
    /// # Errors
    /// The limit that the address has reached.
    pub(crate) fn place(&mut self, peer: &Peer, now: Moment) -> Result<(), &'static str> {
        match self.place {
            Some(_) => Ok(()),
            None => self.sit(peer, now).map_err(|full| {
                self.listener.turn_away(full);
                full.limit()
            }),
        }
    }

    fn sit(&mut self, peer: &Peer, now: Moment) -> Result<(), Full> {
        let settings = self.listener.settings.load();
        let (most, rate) =
            (settings.max_connections_per_address, settings.connection_rate_per_address);
        if let Some(address) = peer.ip().filter(|_| most > 0 || rate > 0) {
            let place = self.listener.addresses.enter(address, now, most, rate);
            self.place = Some(Box::new(place.map_err(Full::Address)?));
        }
        Ok(())
    }

    /// The client is in, or it is not.
    pub(crate) fn end_handshake(&mut self) {
        if std::mem::take(&mut self.is_shaking_hands) {
            self.listener.handshakes.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end_handshake();
        self.listener.connections.fetch_sub(1, Ordering::Relaxed);
        self.listener.total.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts for ever.
async fn accept(socket: Arc<Socket>, listener: Arc<Listener>, workers: Arc<Workers>, clock: Clock) {
    let mut turned_away = TurnedAway::default();
    loop {
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                tracing::error!(listener = listener.name, %error, "cannot accept; trying again");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let seat = match listener.seat(&peer, clock.now()) {
            Ok(seat) => seat,
            Err(full) => {
                listener.turn_away(full);
                if let Some(count) = turned_away.count(full.limit(), Instant::now()) {
                    let (listener, limit) = (&*listener.name, full.limit());
                    tracing::warn!(
                        listener,
                        turned_away = count,
                        limit,
                        last = %peer,
                        "{limit} reached; connections are closed at once"
                    );
                }
                continue;
            }
        };
        // The worker registers it with its own reactor.
        match stream.detach() {
            Ok(stream) => workers.place(stream, peer, seat).await,
            Err(error) => tracing::debug!(%peer, %error, "connection lost at once"),
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}
