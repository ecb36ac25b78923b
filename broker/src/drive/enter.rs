//! From the first byte to CONNACK: read CONNECT, ask who it is, give it its session.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::task::JoinHandle;
use wasmqtt_codec::{Frame, Next, ReasonCode, frame};
use wasmqtt_core::client::Transport;
use wasmqtt_core::connection::Connection;
use wasmqtt_core::connection::handshake::{self, Hello};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Identity, Refusal};

use super::wire::Wire;
use crate::listen::{Listener, Settings};
use crate::worker::{Shared, with_local};

/// Bytes a client may send behind its CONNECT before it knows the answer.
const AHEAD: usize = 64 << 10;
/// Clients that may wait for an authenticator at once. Beyond, they are told that the server is busy: waiting longer
/// than a client's patience helps nobody.
const AUTHENTICATIONS: usize = 1024;

/// Why nobody entered.
enum Stopped {
    /// The stream ended, or broke, or the broker shuts down.
    Gone,
    /// No CONNECT in time.
    Late,
    Fault(Fault),
    Refused(Box<Hello>, Refusal),
}

/// Lets a client in, or tells it why not. None when the connection is over.
pub(super) async fn enter(
    mut wire: Wire,
    peer: SocketAddr,
    listener: Arc<Listener>,
    shared: Shared,
) -> Option<(Wire, Connection)> {
    let settings = listener.settings.load_full();
    let mut stopping = shared.stopping.clone();
    let entered = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Err(Stopped::Gone),
        entered = try_enter(&mut wire, peer, &listener, &settings, &shared) => entered,
    };
    let stopped = match entered {
        Ok(connection) => return Some((wire, connection)),
        Err(stopped) => stopped,
    };
    let mut out = Vec::new();
    match stopped {
        Stopped::Gone => tracing::debug!(%peer, "gone before CONNECT was answered"),
        Stopped::Late => tracing::info!(%peer, listener = listener.name, "no CONNECT in time"),
        Stopped::Fault(fault) => {
            tracing::info!(%peer, listener = listener.name, %fault, "handshake failed");
            let first = first_frame(&wire, settings.limits.max_packet_size).ok().flatten();
            handshake::reject(&fault, first.map(|(frame, _)| frame), &mut out);
        }
        Stopped::Refused(hello, refusal) => {
            tracing::info!(
                %peer,
                listener = listener.name,
                client_id = hello.connecting.client_id,
                username = hello.connecting.username,
                code = %refusal.code,
                reason = refusal.reason.as_deref(),
                "client refused"
            );
            handshake::refuse(&hello, &refusal, &mut out);
        }
    }
    wire.append(&out);
    super::turn::close(&mut wire).await;
    None
}

async fn try_enter(
    wire: &mut Wire,
    peer: SocketAddr,
    listener: &Listener,
    settings: &Settings,
    shared: &Shared,
) -> Result<Connection, Stopped> {
    let max = settings.limits.max_packet_size;
    let first = tokio::time::timeout(settings.connect_timeout, read_first(wire, max));
    let len = first.await.map_err(|_| Stopped::Late)??;
    let hello = match first_frame(wire, max)? {
        Some((frame, _)) => {
            handshake::receive(frame, listener.id, Transport::Tcp, &peer.to_string())
                .map_err(Stopped::Fault)?
        }
        None => return Err(Stopped::Gone),
    };
    if let Err(refusal) = shared.broker.greet(shared.clock.now(), &hello, &settings.limits) {
        return Err(Stopped::Refused(hello, refusal));
    }
    let identity = match authenticate(wire, len, &hello, shared).await? {
        Ok(identity) => identity,
        Err(refusal) => return Err(Stopped::Refused(hello, refusal)),
    };
    wire.forget(len);
    let now = shared.clock.now();
    let admitted = with_local(|local| {
        shared.broker.admit(&mut local.lane, now, &hello, identity, &settings.limits)
    });
    let mut out = Vec::new();
    let connection = match admitted {
        Some(Ok(admission)) => handshake::open(now, &hello, admission, &mut out),
        Some(Err(refusal)) => return Err(Stopped::Refused(hello, refusal)),
        None => return Err(Stopped::Gone),
    };
    tracing::info!(
        %peer,
        listener = listener.name,
        client_id = %connection.client().id,
        username = connection.client().name.as_deref(),
        version = ?connection.client().version,
        "client connected"
    );
    wire.append(&out);
    Ok(connection)
}

fn first_frame(wire: &Wire, max: u32) -> Result<Option<(Frame<'_>, usize)>, Stopped> {
    match frame::next(wire.kept(), max).map_err(|error| Stopped::Fault(error.into()))? {
        Next::Whole { frame, len } => Ok(Some((frame, len))),
        Next::Partial { .. } => Ok(None),
    }
}

/// Reads until the first packet is whole; answers its length. It stays where it is.
async fn read_first(wire: &mut Wire, max: u32) -> Result<usize, Stopped> {
    loop {
        if let Some((_, len)) = first_frame(wire, max)? {
            return Ok(len);
        }
        read_more(wire).await?;
    }
}

async fn read_more(wire: &mut Wire) -> Result<(), Stopped> {
    poll_fn(|cx| {
        let read = with_local(|local| {
            let polled = wire.poll_read(cx, &mut local.scratch);
            if let Poll::Ready(Ok(len)) = &polled {
                wire.keep(local.scratch.get(..*len).unwrap_or_default());
            }
            polled
        });
        match read {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(Ok(len))) if len > 0 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Stopped::Gone)),
        }
    })
    .await
}

/// Asks the authenticators, off the data path. Nobody else waits meanwhile. A client that goes away is not asked
/// about any more, unless it has left packets behind its CONNECT, which is `len` bytes long: a client need not wait
/// for CONNACK to publish, nor stay.
async fn authenticate(
    wire: &mut Wire,
    len: usize,
    hello: &Hello,
    shared: &Shared,
) -> Result<Result<Identity, Refusal>, Stopped> {
    let Some(_place) = Waiting::enter(&shared.authentications) else {
        return Ok(Err(Refusal::new(ReasonCode::ServerBusy)));
    };
    let (gate, connecting) = (Arc::clone(&shared.gate), hello.connecting.clone());
    let call = shared.control.spawn_blocking(move || gate.authenticate(&connecting));
    let mut call = pin!(Cancelled(call));
    let mut ended = false;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = call.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer.unwrap_or_else(|_| {
                // The call itself broke: nobody said yes.
                Err(Refusal::new(ReasonCode::ServerUnavailable))
            })));
        }
        while !ended && wire.kept().len() < AHEAD {
            let more = pin!(read_more(wire)).poll(cx);
            match more {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) if wire.kept().len() > len => ended = true,
                Poll::Ready(Err(stopped)) => return Poll::Ready(Err(stopped)),
                Poll::Ready(Ok(())) => {}
            }
        }
        Poll::Pending
    })
    .await
}

/// A blocking call that is taken out of the queue when nobody waits for it any more.
struct Cancelled<T>(JoinHandle<T>);

impl<T> Future for Cancelled<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for Cancelled<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A place among those that wait for an authenticator.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let place = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < AUTHENTICATIONS).then_some(place)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
