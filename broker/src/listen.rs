//! Listening sockets: accepts, admits by number, and hands each connection to the worker with the fewest.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::limits::Limits;
use wasmqtt_core::redirect::Redirect;
use wasmqtt_core::time::Moment;

use crate::transport::websocket::Policy;
use crate::worker::Workers;

/// How long accepting rests after an error that will not go away by itself, such as too many open files.
const REST: Duration = Duration::from_millis(100);

/// One listener, for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its place in the configuration.
    pub(crate) id: ListenerId,
    /// Its name there.
    pub(crate) name: String,
    /// What a reload may change.
    pub(crate) settings: ArcSwap<Settings>,
    connections: AtomicUsize,
    /// CONNECTs in the current second.
    connects: Mutex<(u64, u32)>,
}

/// What a reload may change; new connections get it.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Who may have a WebSocket, where packets travel in one.
    pub(crate) websocket: Option<Policy>,
    /// What a client may use.
    pub(crate) limits: Limits,
    /// Connections at once.
    pub(crate) max_connections: usize,
    /// Time until CONNECT must be complete.
    pub(crate) connect_timeout: Duration,
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

/// Counts one connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Listener>);

impl Listener {
    /// A listener without connections.
    pub(crate) fn new(id: ListenerId, name: String, settings: Settings) -> Self {
        Self {
            id,
            name,
            settings: ArcSwap::from_pointee(settings),
            connections: AtomicUsize::new(0),
            connects: Mutex::default(),
        }
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

    /// A place for one more connection; none when the listener is full.
    fn seat(self: &Arc<Self>) -> Option<Seat> {
        let most = self.settings.load().max_connections;
        if self.connections.fetch_add(1, Ordering::Relaxed) >= most {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Seat(Arc::clone(self)))
    }
}

impl Seat {
    /// Where the connection came in.
    pub(crate) fn listener(&self) -> &Arc<Listener> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens the socket.
pub(crate) async fn bind(name: &str, addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(addr).await?;
    tracing::info!(listener = name, addr = %socket.local_addr()?, "listening");
    Ok(socket)
}

/// Accepts for ever.
pub(crate) async fn accept(socket: TcpListener, listener: Arc<Listener>, workers: Arc<Workers>) {
    let mut turned_away = 0u64;
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
        let Some(seat) = listener.seat() else {
            turned_away += 1;
            if turned_away.is_power_of_two() {
                tracing::warn!(
                    listener = listener.name,
                    turned_away,
                    "max_connections reached; connections are closed at once"
                );
            }
            continue;
        };
        // The worker registers it with its own reactor.
        match stream.set_nodelay(true).and_then(|()| stream.into_std()) {
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
