//! From the first packet to CONNACK: read CONNECT, ask who it is, give it its session.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use wasmqtt_codec::{DecodeError, Frame, Next, PacketType, ReasonCode, frame};
use wasmqtt_core::broker::Applicant;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::connection::Connection;
use wasmqtt_core::connection::handshake::{self, Hello};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Connecting, Gate, Identity, Question, Refusal};
use wasmqtt_core::observe::{Event, Kind, Subject};

use super::ask::Asking;
use super::close::close;
use super::open::{Caller, open};
use super::wire::Wire;
use crate::listen::{Accepted, Seat, Settings, network};
use crate::transport::Peer;
use crate::worker::{Shared, with_local};

/// Bytes a client may send behind its CONNECT before it knows the answer.
const AHEAD: usize = 64 << 10;
/// The largest packet of somebody who is not let in yet, in bytes: identifier, user name and password as long as they can
/// be, and a will. Strangers are many, and what they have sent is kept until it is whole.
const STRANGER: u32 = 512 << 10;

/// Why nobody entered.
pub(super) enum Stopped {
    /// The stream ended, or broke, or the listener or the whole broker is closed.
    Gone,
    /// No CONNECT in time.
    Late,
    /// Not even MQTT was spoken: what is to be answered, and why, for the log.
    Unopened(Vec<u8>, String),
    Fault(Fault),
    Refused(Box<Hello>, Refusal),
}

/// Lets a client in, or tells it why not. None when the connection is over.
pub(super) async fn enter(
    accepted: Accepted,
    peer: Peer,
    seat: &mut Seat,
    shared: Shared,
) -> Option<(Wire, Connection)> {
    let listener = Arc::clone(seat.listener());
    let settings = listener.settings.load_full();
    let mut stopping = shared.stopping.clone();
    let (mut wire, mut peer) = (None, Caller::new(peer));
    let entered = tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Err(Stopped::Gone),
        () = listener.closed() => Err(Stopped::Gone),
        entered = try_enter(accepted, &mut wire, &mut peer, seat, &settings, &shared) => entered,
    };
    let stopped = match entered {
        Ok(connection) => return wire.map(|wire| (wire, connection)),
        Err(stopped) => stopped,
    };
    tell(&stopped, &peer);
    let mut out = Vec::new();
    match stopped {
        Stopped::Gone => tracing::debug!(%peer, "gone before CONNECT was answered"),
        Stopped::Late => tracing::info!(%peer, listener = listener.name, "no CONNECT in time"),
        Stopped::Unopened(answer, why) => {
            tracing::info!(%peer, listener = listener.name, reason = why, "connection refused");
            out = answer;
        }
        Stopped::Fault(fault) => {
            tracing::info!(%peer, listener = listener.name, %fault, "handshake failed");
            let kept = wire.as_ref().map(Wire::kept).unwrap_or_default();
            let first = first_frame(kept, largest(&settings)).ok().flatten();
            handshake::reject(&fault, first.map(|(frame, _)| frame), &mut out);
        }
        Stopped::Refused(hello, refusal) => {
            tracing::info!(
                client_id = hello.connecting.client_id,
                %peer,
                listener = listener.name,
                username = hello.connecting.username,
                code = %refusal.code,
                reason = refusal.reason.as_deref(),
                "client refused"
            );
            handshake::refuse(&hello, &referring(refusal, &settings), &mut out);
        }
    }
    // Before there was anything to speak on, nothing can be said.
    let mut wire = wire?;
    wire.append(&mut out);
    close(&mut wire).await;
    None
}

/// Counts who was sent away, and tells observers.
fn tell(stopped: &Stopped, peer: &Caller) {
    let (id, name) = match stopped {
        Stopped::Gone | Stopped::Late => return,
        Stopped::Unopened(..) | Stopped::Fault(_) => (None, None),
        Stopped::Refused(hello, _) => {
            let Connecting { client_id, username, .. } = &hello.connecting;
            (Some(client_id.as_str().into()), username.as_deref().map(Into::into))
        }
    };
    let stranger = || Subject::Stranger { id, name, peer: peer.to_string().into() };
    let event = || {
        let event = Event::new(Kind::ClientRefused, stranger());
        match stopped {
            Stopped::Refused(_, refusal) => event.refused(refusal),
            Stopped::Fault(fault) => {
                Event { reason: Some(fault.to_string().into()), ..event.coded(fault.reason()) }
            }
            Stopped::Unopened(_, why) => {
                let reason = Some(why.as_str().into());
                Event { reason, ..event.coded(ReasonCode::ProtocolError) }
            }
            Stopped::Gone | Stopped::Late => event,
        }
    };
    let code = match stopped {
        Stopped::Refused(_, refusal) => refusal.code,
        Stopped::Fault(fault) => fault.reason(),
        Stopped::Unopened(..) => ReasonCode::ProtocolError,
        Stopped::Gone | Stopped::Late => return,
    };
    with_local(|local| {
        local.counters.refused(code);
        local.lane.events.note(Kind::ClientRefused, event);
    });
}

async fn try_enter(
    accepted: Accepted,
    wire: &mut Option<Wire>,
    peer: &mut Caller,
    seat: &mut Seat,
    settings: &Settings,
    shared: &Shared,
) -> Result<Connection, Stopped> {
    let max = largest(settings);
    let (caller, taken) = (&mut *peer, &mut *seat);
    let first = async move {
        let mut place = |peer: &Peer| {
            let placed = taken.place(peer, shared.clock.now());
            placed.map_err(|limit| Stopped::Unopened(Vec::new(), format!("{limit} reached")))
        };
        open(accepted, wire, caller, settings, &mut place).await?;
        place(&caller.peer)?;
        match wire {
            Some(wire) => read_connect(wire, max).await.map(|len| (wire, len)),
            None => Err(Stopped::Gone),
        }
    };
    let first = tokio::time::timeout(settings.connect_timeout, first);
    let (wire, len) = first.await.map_err(|_| Stopped::Late)??;
    let listener = seat.listener();
    let mut hello = match first_frame(wire.kept(), max)? {
        Some((frame, _)) => {
            handshake::receive(frame, listener.id, wire.transport(), &peer.to_string())
                .map_err(Stopped::Fault)?
        }
        None => return Err(Stopped::Gone),
    };
    let connecting = &mut hello.connecting;
    connecting.certificate.clone_from(&peer.certificate);
    if let Some(name) = &peer.name {
        connecting.username = Some(name.clone());
        connecting.is_certified = true;
    }
    if let Some(to) = &settings.redirect {
        return Err(Stopped::Refused(hello, Refusal::redirect(to)));
    }
    if !listener.may_connect(shared.clock.now(), settings.connect_rate) {
        let refusal = Refusal::new(ReasonCode::ConnectionRateExceeded);
        return Err(Stopped::Refused(hello, refusal));
    }
    if let Err(refusal) = shared.broker.greet(shared.clock.now(), &hello, &settings.limits) {
        return Err(Stopped::Refused(hello, refusal));
    }
    let identity = match log_in(wire, len, &mut hello, peer, settings, shared).await? {
        Ok(identity) => identity,
        Err(refusal) => return Err(Stopped::Refused(hello, refusal)),
    };
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
    wire.append(&mut out);
    tracing::info!(
        client_id = &*connection.client().id,
        peer = &*connection.client().peer,
        listener = listener.name,
        username = connection.client().name.as_deref(),
        version = ?connection.client().version,
        "client connected"
    );
    with_local(|local| local.counters.entered(connection.client().version));
    Ok(connection)
}

/// A plugin that sends clients elsewhere need not know where that is.
fn referring(refusal: Refusal, settings: &Settings) -> Refusal {
    let elsewhere = matches!(refusal.code, ReasonCode::UseAnotherServer | ReasonCode::ServerMoved);
    match elsewhere && refusal.server_reference.is_none() {
        true => Refusal { server_reference: settings.server_reference.clone(), ..refusal },
        false => refusal,
    }
}

fn first_frame(kept: &[u8], max: u32) -> Result<Option<(Frame<'_>, usize)>, Stopped> {
    match frame::next(kept, max).map_err(|error| Stopped::Fault(error.into()))? {
        Next::Whole { frame, len } => Ok(Some((frame, len))),
        Next::Partial { .. } => Ok(None),
    }
}

/// The largest packet of this listener's clients before they are let in.
fn largest(settings: &Settings) -> u32 {
    settings.limits.max_packet_size.min(STRANGER)
}

/// As [`read_first`], but of what is no CONNECT nothing more is read than shows it [MQTT-3.1.0-1].
async fn read_connect(wire: &mut Wire, max: u32) -> Result<usize, Stopped> {
    if wire.kept().is_empty() {
        read_more(wire).await?;
    }
    match wire.kept().first().and_then(|first| PacketType::of(*first)) {
        Some(PacketType::Connect) => read_first(wire, max).await,
        Some(other) => Err(Stopped::Fault(Fault::ConnectExpected(other))),
        None => Err(Stopped::Fault(DecodeError::PacketTypeReserved.into())),
    }
}

/// Reads until the first packet is whole; answers its length. It stays where it is.
async fn read_first(wire: &mut Wire, max: u32) -> Result<usize, Stopped> {
    loop {
        if let Some((_, len)) = first_frame(wire.kept(), max)? {
            return Ok(len);
        }
        read_more(wire).await?;
    }
}

pub(super) async fn read_more(wire: &mut Wire) -> Result<(), Stopped> {
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
/// about any more, unless it has left packets behind the one that is `len` bytes long and is the reason to ask: a client
/// need not wait for CONNACK to publish, nor stay.
async fn ask<T: Send + 'static>(
    wire: &mut Wire,
    len: usize,
    shared: &Shared,
    listener: ListenerId,
    question: impl FnOnce(&dyn Gate) -> Result<T, Refusal> + Send + 'static,
) -> Result<Result<T, Refusal>, Stopped> {
    let mut asking = match Asking::start(shared, listener, question) {
        Ok(asking) => pin!(asking),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut ended = false;
    poll_fn(|cx| {
        if let Poll::Ready(answer) = asking.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
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

/// Asks and passes on what is said, round by round, until it is clear who the client is. `len` is the length of CONNECT.
async fn exchange(
    wire: &mut Wire,
    mut len: usize,
    hello: &mut Hello,
    begun: Result<Question, Fault>,
    max: u32,
    shared: &Shared,
) -> Result<Result<Identity, Refusal>, Stopped> {
    let mut question = begun.map_err(Stopped::Fault)?;
    loop {
        let listener = hello.connecting.listener;
        let step = match ask(wire, len, shared, listener, move |gate| question.ask(gate)).await? {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        wire.forget(len);
        let mut out = Vec::new();
        if let Some(identity) = hello.answered(step, &mut out).map_err(Stopped::Fault)? {
            // CONNACK is not written yet, so nothing of this can be an answer to it.
            let ahead = wire.kept().first().map_or(Ok(()), |first| hello.check_ahead(*first));
            return ahead.map(|()| Ok(identity)).map_err(Stopped::Fault);
        }
        wire.append(&mut out);
        wire.flush().await.map_err(|_| Stopped::Gone)?;
        len = read_first(wire, max).await?;
        let Some((frame, _)) = first_frame(wire.kept(), max)? else { return Err(Stopped::Gone) };
        let next = hello.proceed(frame).map_err(Stopped::Fault)?;
        question = next.ok_or(Stopped::Gone)?;
    }
}

/// Has the client show who it is, unless it, or others from where it is, have failed to too often.
async fn log_in(
    wire: &mut Wire,
    len: usize,
    hello: &mut Hello,
    caller: &Caller,
    settings: &Settings,
    shared: &Shared,
) -> Result<Result<Identity, Refusal>, Stopped> {
    let limits = &settings.limits.failed_logins;
    if (limits.per_address, limits.per_name) == (0, 0) {
        return authenticate(wire, len, hello, settings, shared).await;
    }
    let address = caller.peer.ip().map(|ip| network(ip).to_string());
    let name = hello.connecting.username.clone();
    let who = Applicant { address: address.as_deref(), name: name.as_deref() };
    let may = || shared.broker.may_log_in(shared.clock.now(), who, limits);
    if let Err(refusal) = may() {
        return Ok(Err(refusal));
    }
    let answer = authenticate(wire, len, hello, settings, shared).await?;
    // Who is too slow has not failed.
    let is_late = |hello: &Hello| hello.deadline().is_some_and(|at| at <= shared.clock.now());
    match &answer {
        Ok(_) => {}
        Err(Refusal {
            code: ReasonCode::BadUserNameOrPassword | ReasonCode::NotAuthorized,
            ..
        }) if !is_late(hello) => {
            let banned = shared.broker.login_failed(shared.clock.now(), who, limits);
            if banned.address {
                tracing::warn!(address, "too many failed logins from there; refused for a while");
            }
            if banned.name {
                tracing::warn!(username = name, "too many failed logins; refused for a while");
            }
            return Ok(answer);
        }
        Err(_) => return Ok(answer),
    }
    // Others may have failed meanwhile, and all of them may be one.
    Ok(may().and(answer))
}

/// Who the client is, whichever way it shows it. CONNECT, `len` bytes long, is done with afterwards.
async fn authenticate(
    wire: &mut Wire,
    len: usize,
    hello: &mut Hello,
    settings: &Settings,
    shared: &Shared,
) -> Result<Result<Identity, Refusal>, Stopped> {
    let Some(begun) = hello.begin(shared.clock.now(), &settings.limits.auth) else {
        // Who need not be asked about neither waits nor takes the place of one who has to.
        if let Some(answer) = shared.gate.authenticate_at_once(&hello.connecting) {
            wire.forget(len);
            return Ok(answer);
        }
        let connecting = hello.connecting.clone();
        let listener = connecting.listener;
        let answer =
            ask(wire, len, shared, listener, move |gate| gate.authenticate(&connecting)).await?;
        wire.forget(len);
        return Ok(answer);
    };
    let until = hello.deadline().map(|at| shared.clock.instant(at));
    let exchanged = exchange(wire, len, hello, begun, largest(settings), shared);
    let exchanged = match until {
        Some(until) => tokio::time::timeout_at(until, exchanged)
            .await
            .unwrap_or(Err(Stopped::Fault(Fault::AuthenticationTimeout))),
        None => exchanged.await,
    };
    match exchanged {
        // By now it can be told what is wrong.
        Err(Stopped::Fault(fault)) => {
            Ok(Err(Refusal::new(fault.reason()).because(fault.to_string())))
        }
        other => other,
    }
}
