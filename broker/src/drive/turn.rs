//! The steady state of a connection: one turn after another, each with one read, one look into the mailbox and one
//! write.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;
use wasmqtt_codec::{Frame, PacketId, QoS, ReasonCode, Version};
use wasmqtt_core::broker::{Attempt, Lane, Published};
use wasmqtt_core::client::Client;
use wasmqtt_core::connection::{Connection, Departure, Inbound};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Refusal, Step};
use wasmqtt_core::limits::Limits;
use wasmqtt_core::session::Session;
use wasmqtt_core::time::Moment;

use super::ask::Asking;
use super::close::close;
use super::line::{Part, Ticket};
use super::park::{Parked, Waits, ask_publish, ask_subscribe};
use super::renew::ask;
use super::wire::{Taken, Wire};
use crate::listen::Listener;
use crate::worker::{Local, Shared, with_local};

/// Turns in a row before other connections of the worker get theirs.
const TURNS: usize = 4;

/// Why a connection is over.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client said good-bye.
    Disconnected(Departure),
    /// Somebody did something wrong, or the broker wants it so.
    Fault(Fault, Departure),
    /// The stream ended, or broke.
    Lost(Option<io::Error>),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Ended::Fault(fault, Departure::LOST)
    }
}

impl From<wasmqtt_codec::DecodeError> for Ended {
    fn from(error: wasmqtt_codec::DecodeError) -> Self {
        Fault::from(error).into()
    }
}

/// A connection and its wire.
pub(super) struct Driver {
    pub(super) wire: Wire,
    pub(super) connection: Connection,
    // The same three as the connection's, which is borrowed while a packet is handed on.
    pub(super) client: Arc<Client>,
    pub(super) session: Arc<Session>,
    pub(super) limits: Arc<Limits>,
    pub(super) shared: Shared,
    /// An authentication that goes on beside everything else.
    pub(super) asking: Option<Asking<Step>>,
    /// Rings at the connection's deadline, or at one it had before.
    pub(super) alarm: Option<Pin<Box<Sleep>>>,
    pub(super) disconnect_on_denied: bool,
    pub(super) listener: Arc<Listener>,
    /// What was read ahead has not been looked at yet.
    pub(super) has_ahead: bool,
    pub(super) waits: Waits,
    /// It has done its part, and others come first.
    in_line: Option<Ticket>,
}

impl Driver {
    pub(super) fn new(
        wire: Wire,
        connection: Connection,
        listener: &Arc<Listener>,
        shared: Shared,
    ) -> Self {
        let alarm = connection
            .deadline()
            .map(|at| Box::pin(tokio::time::sleep_until(shared.clock.instant(at))));
        let mut driver = Self {
            client: Arc::clone(connection.client()),
            session: Arc::clone(connection.session()),
            limits: Arc::clone(connection.limits()),
            has_ahead: !wire.kept().is_empty(),
            disconnect_on_denied: listener.settings.load().disconnect_on_denied,
            listener: Arc::clone(listener),
            wire,
            connection,
            shared,
            asking: None,
            alarm,
            waits: Waits::default(),
            in_line: None,
        };
        // It may have been too fast before.
        driver.rest(driver.shared.clock.now());
        driver
    }

    /// Reads nothing for as long as the client is to wait because it publishes too fast.
    fn rest(&mut self, now: Moment) {
        if let Some(until) = self.connection.paused(now) {
            self.connection.stop_reading(now);
            let until = self.shared.clock.instant(until);
            self.waits.pause = Some(Box::pin(tokio::time::sleep_until(until)));
        }
    }

    /// Takes turns until there is nothing to do; ready when the connection is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let turned = with_local(|local| {
            if local.line.keeps(&mut self.in_line) {
                return Ok(false);
            }
            local.part = Part::whole();
            for _ in 0..TURNS {
                match self.turn(cx, local) {
                    Ok(true) => {}
                    Ok(false) => return Ok(false),
                    Err(ended) => {
                        // What was answered before goes out before the connection does.
                        self.wire.append(&mut local.out);
                        return Err(ended);
                    }
                }
                if local.part.is_done() {
                    self.in_line = Some(local.line.join(cx));
                    return Ok(false);
                }
            }
            Ok(true)
        });
        match turned {
            Some(Ok(false)) => self.poll_alarm(cx),
            Some(Ok(true)) => {
                cx.waker().wake_by_ref();
                // Also of a client that never pauses, time runs out.
                self.poll_alarm(cx)
            }
            Some(Err(ended)) => Poll::Ready(ended),
            None => Poll::Ready(Ended::Lost(None)),
        }
    }

    /// One turn; true when there may be more to do.
    fn turn(&mut self, cx: &mut Context<'_>, local: &mut Local) -> Result<bool, Ended> {
        let owner = self.connection.attachment();
        let mailbox = Arc::clone(&self.session.mailbox);
        if self.wire.is_blocked() {
            match self.wire.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(Ended::Lost(Some(error))),
                // A reader that does not read is not read from; it can still be told to go.
                Poll::Pending => {
                    let noticed = mailbox.poll_notice(owner, cx).is_ready();
                    if noticed {
                        self.heed(local)?;
                    }
                    // What was asked about it is heeded in time, too: a permit is for now.
                    let now = self.shared.clock.now();
                    let answered = self.poll_parked(cx, local, now)?;
                    // And what else it waits for ends, or its keep alive would never run out.
                    if self.waits.parked.is_none() {
                        let _ = self.poll_behind(cx, now) || self.poll_pause(cx, now);
                    }
                    local.counters.bytes_sent += local.out.len() as u64;
                    self.wire.append(&mut local.out);
                    return Ok(noticed || answered);
                }
            }
        }
        let now = self.shared.clock.now();
        let mut more = self.poll_parked(cx, local, now)?;
        let waits = self.waits.parked.is_some() || self.poll_behind(cx, now);
        if !waits && !self.poll_pause(cx, now) {
            more |= self.read(cx, local, now)?;
            // Whoever answers has to know whom to wake.
            more |= self.poll_parked(cx, local, now)?;
        }
        if self.asking.is_some() {
            more |= self.poll_authentication(cx, local, now)?;
        }
        let mut mail = mailbox.poll_ready(owner, self.connection.room(), cx).is_ready();
        if mail {
            self.heed(local)?;
        }
        if self.poll_rejudging(cx, local, now)?.is_break() {
            // Messages wait; who has to go is told all the same.
            more |= mail && mailbox.poll_notice(owner, cx).is_ready();
            mail = false;
        } else if mail {
            self.pump(local, now)?;
        }
        local.wake();
        if !local.out.is_empty() {
            local.counters.bytes_sent += local.out.len() as u64;
            local.part.moved(local.out.len());
            self.wire.write(cx, &mut local.out).map_err(|error| Ended::Lost(Some(error)))?;
        }
        Ok(more || mail)
    }

    /// Does what the mailbox asks for ahead of its messages: what is no longer allowed must not be among them.
    fn heed(&mut self, local: &mut Local) -> Result<(), Ended> {
        let (owner, mailbox) = (self.connection.attachment(), &self.session.mailbox);
        if let Some(notice) = mailbox.take_notice(owner) {
            let (fault, departure) = self.connection.noticed(notice);
            return Err(Ended::Fault(fault, departure));
        }
        if mailbox.take_rejudge(owner) {
            self.relimit(local);
            self.rejudge(local);
        }
        Ok(())
    }

    /// Reads once and deals with every whole packet; true when something came.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Local,
        now: Moment,
    ) -> Result<bool, Ended> {
        let Local { lane, scratch, out, counters, part, .. } = local;
        let len = if std::mem::take(&mut self.has_ahead) {
            0
        } else {
            match self.wire.poll_read(cx, scratch) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(0)) => return Err(Ended::Lost(None)),
                Poll::Ready(Ok(len)) => len,
                Poll::Ready(Err(error)) => return Err(Ended::Lost(Some(error))),
            }
        };
        counters.bytes_received += len as u64;
        part.moved(len);
        let Self { wire, connection, client, session, limits, shared, asking, waits, .. } = self;
        let strict = self.disconnect_on_denied;
        let mut hand =
            Hand { connection, client, session, limits, shared, asking, waits, lane, now, strict };
        let max = limits.max_packet_size;
        let fresh = scratch.get(..len).unwrap_or_default();
        wire.frames(fresh, max, |frame| {
            let (first, length) = (frame.first, frame.body.len());
            let handed = hand.lane.counters.handed;
            let taken = hand.receive(frame, out);
            // One that is put aside comes again; DISCONNECT ends the connection, and counts.
            if !matches!(taken, Ok(Taken::Not)) {
                counters.packet(first, length);
            }
            part.received(hand.lane.counters.handed - handed);
            match taken {
                Ok(Taken::Whole) if part.is_done() => Ok(Taken::Last),
                taken => taken,
            }
        })?;
        self.has_ahead = part.is_done() && !self.wire.kept().is_empty();
        self.rest(now);
        Ok(true)
    }

    fn pump(&mut self, local: &mut Local, now: Moment) -> Result<(), Ended> {
        let Local { lane, out, deliveries, counters, part, .. } = local;
        let (owner, room) = (self.connection.attachment(), self.connection.room());
        let broker = &self.shared.broker;
        if broker.pull(lane, now, &self.session, owner, room, deliveries) {
            part.end();
        }
        self.shared.broker.screen(lane, now, &self.client, deliveries);
        let before = out.len();
        let pumped = self.connection.pump(now, deliveries, out);
        counters.publish_bytes_sent += (out.len() - before) as u64;
        if pumped.is_err() {
            self.shared.broker.give_back(now, &self.session, deliveries);
        }
        let left_out = self.connection.take_left_out();
        counters.publish_expired += u64::from(left_out.expired);
        counters.publish_too_large += u64::from(left_out.too_large);
        let sent = pumped?;
        counters.publish_sent += sent as u64;
        part.delivered(sent);
        Ok(())
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        while let Some(alarm) = &mut self.alarm {
            ready!(alarm.as_mut().poll(cx));
            let now = self.shared.clock.now();
            if self.waits.is_deaf() {
                self.connection.excuse(now);
            }
            if let Some(fault) = self.connection.overdue(now) {
                return Poll::Ready(fault.into());
            }
            // Packets came meanwhile and moved the deadline.
            match self.connection.deadline() {
                Some(at) => {
                    let at = self
                        .shared
                        .clock
                        .instant(at)
                        .max(tokio::time::Instant::now() + Duration::from_millis(1));
                    alarm.as_mut().reset(at);
                }
                None => self.alarm = None,
            }
        }
        Poll::Pending
    }

    /// Answers a publication that was judged elsewhere.
    pub(super) fn acknowledge(
        &mut self,
        local: &mut Local,
        packet_id: Option<PacketId>,
        qos: QoS,
        published: Result<Published, Refusal>,
    ) -> Result<(), Ended> {
        let (connection, client, strict) =
            (&mut self.connection, &self.client, self.disconnect_on_denied);
        acknowledge(connection, client, strict, (packet_id, qos), published, &mut local.out)
    }

    /// Writes the DISCONNECT that tells the client why, where there is one to write.
    pub(super) fn say_goodbye(&mut self, ended: &Ended) {
        if let Ended::Fault(fault, _) = ended {
            let mut out = Vec::new();
            self.connection.close(fault, &mut out);
            self.wire.append(&mut out);
        }
    }

    pub(super) fn depart(&self, lane: &mut Lane, how: Departure) {
        let now = self.shared.clock.now();
        let attachment = self.connection.attachment();
        self.shared.broker.depart(lane, now, &self.session, attachment, how);
    }

    pub(super) async fn close(mut self) {
        close(&mut self.wire).await;
    }
}

/// Hands on what one packet asks for.
struct Hand<'a> {
    connection: &'a mut Connection,
    client: &'a Arc<Client>,
    session: &'a Arc<Session>,
    limits: &'a Limits,
    shared: &'a Shared,
    asking: &'a mut Option<Asking<Step>>,
    waits: &'a mut Waits,
    lane: &'a mut Lane,
    now: Moment,
    /// A refused publication of a 3.x client ends its connection.
    strict: bool,
}

impl Hand<'_> {
    fn receive(&mut self, frame: Frame<'_>, out: &mut Vec<u8>) -> Result<Taken, Ended> {
        let broker = &self.shared.broker;
        match self.connection.receive(self.now, frame, out)? {
            Inbound::Settled => {}
            Inbound::Refused => self.lane.counters.refused += 1,
            Inbound::Publish(publication) => {
                let (packet_id, qos) = (publication.packet_id, publication.parts.qos);
                match broker.try_publish(self.lane, self.now, self.client, publication.parts) {
                    Attempt::Done(published) => {
                        self.acknowledge(packet_id, qos, published, out)?;
                    }
                    Attempt::Aside(aside) => match ask_publish(self.shared, aside) {
                        Ok(answer) => {
                            self.park(Parked::Publish { packet_id, qos, answer });
                            return Ok(Taken::Last);
                        }
                        Err(judged) => {
                            let published =
                                broker.publish_judged(self.lane, self.now, *judged, || {});
                            if self.client.version != Version::V5 {
                                // Who knows no reason codes must not take it for published, and forget it.
                                self.connection.give_up(packet_id);
                                return Err(Fault::PublishRefused(ReasonCode::QuotaExceeded).into());
                            }
                            self.acknowledge(packet_id, qos, published, out)?;
                        }
                    },
                }
            }
            Inbound::Subscribe(subscribe) => {
                let Self { lane, client, limits, shared, now, .. } = self;
                let mut granted = self.waits.granted.take();
                if granted.is_none() {
                    let most = limits.max_filters_per_subscribe;
                    let aside = broker.put_subscribe_aside(lane, *now, client, most, &subscribe);
                    match aside.map(|aside| ask_subscribe(shared, aside)) {
                        None => {}
                        Some(Ok(answer)) => {
                            self.connection.postpone_subscribe();
                            self.park(Parked::Subscribe(answer));
                            return Ok(Taken::Not);
                        }
                        Some(Err(refused)) => granted = Some(Box::new(refused)),
                    }
                }
                let Self { lane, client, session, limits, now, .. } = self;
                let (granted, id) = (granted.as_deref(), subscribe.packet_id);
                let answer =
                    broker.subscribe_as(lane, *now, client, session, limits, &subscribe, granted);
                self.connection.subscribed(id, &answer, out);
            }
            Inbound::Unsubscribe(unsubscribe) => {
                let id = unsubscribe.packet_id;
                let Self { lane, client, session, .. } = self;
                let codes = broker.unsubscribe(lane, self.now, client, session, &unsubscribe);
                self.connection.unsubscribed(id, &codes, out);
            }
            Inbound::Authenticate(question) => {
                *self.asking = Some(ask(self.shared, self.client.listener, question)?);
            }
            Inbound::Disconnect(departure) => return Err(Ended::Disconnected(departure)),
        }
        match self.connection.paused(self.now) {
            None => Ok(Taken::Whole),
            Some(_) => Ok(Taken::Last),
        }
    }

    /// Nothing more is read until the answer is there.
    fn park(&mut self, parked: Parked) {
        self.connection.stop_reading(self.now);
        self.waits.parked = Some(Box::new(parked));
    }

    fn acknowledge(
        &mut self,
        packet_id: Option<PacketId>,
        qos: QoS,
        published: Result<Published, Refusal>,
        out: &mut Vec<u8>,
    ) -> Result<(), Ended> {
        acknowledge(self.connection, self.client, self.strict, (packet_id, qos), published, out)
    }
}

fn acknowledge(
    connection: &mut Connection,
    client: &Client,
    strict: bool,
    (packet_id, qos): (Option<PacketId>, QoS),
    published: Result<Published, Refusal>,
    out: &mut Vec<u8>,
) -> Result<(), Ended> {
    let outcome = match &published {
        Ok(published) => Ok(published.reason()),
        Err(refusal) => {
            tracing::debug!(
                client_id = &*client.id,
                code = %refusal.code,
                reason = refusal.reason.as_deref(),
                "publication refused"
            );
            if strict && client.version != Version::V5 {
                connection.give_up(packet_id);
                return Err(Fault::PublishRefused(refusal.code).into());
            }
            Err(refusal)
        }
    };
    Ok(connection.acknowledge(packet_id, qos, outcome, out)?)
}
