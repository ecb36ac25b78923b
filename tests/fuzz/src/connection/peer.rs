//! One peer and the broker's end of its connection: stands in for the shell, and follows the law of use of the core's
//! `connection` to the letter.

use std::sync::Arc;

use wasmqtt_codec::frame::{self, Frame, Next};
use wasmqtt_codec::{Packet, Version, decode};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::{Connection, Departure, Inbound, handshake};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::Identity;
use wasmqtt_core::limits::TURN_BYTES;

use super::watcher::Watcher;
use super::{UNSAID, World};

/// Where a connection is.
#[derive(Default)]
enum State {
    /// CONNECT has not come yet.
    #[default]
    Fresh,
    Steady(Box<Connection>),
    Over,
}

#[derive(Default)]
pub(super) struct Peer {
    /// The beginning of a packet.
    partial: Vec<u8>,
    state: State,
    watcher: Option<Watcher>,
    /// What the peer was sent since it last sent something.
    said: Vec<u8>,
}

type Ended = (Option<Fault>, Departure);

impl Peer {
    pub(super) fn version(&self) -> Version {
        self.watcher.as_ref().map_or(UNSAID, |watcher| watcher.version)
    }

    pub(super) fn said(&self) -> &[u8] {
        &self.said
    }

    /// Whether the connection is still open.
    pub(super) fn is_there(&self) -> bool {
        !matches!(self.state, State::Over)
    }

    /// Sends bytes, and has the broker deal with every whole packet.
    pub(super) fn send(&mut self, world: &mut World, bytes: &[u8]) {
        if matches!(self.state, State::Over) {
            *self = Self::default();
        }
        self.said.clear();
        self.partial.extend_from_slice(bytes);
        let stream = std::mem::take(&mut self.partial);
        let mut rest = &stream[..];
        while !rest.is_empty() && !matches!(self.state, State::Over) {
            match frame::next(rest, world.limits.max_packet_size) {
                Ok(Next::Whole { frame, len }) => {
                    self.frame(world, frame);
                    rest = &rest[len..];
                }
                Ok(Next::Partial { .. }) => break,
                Err(error) => return self.close(world, Fault::from(error), None),
            }
        }
        if !matches!(self.state, State::Over) {
            assert!(rest.len() < world.limits.max_packet_size as usize);
            self.partial = rest.to_vec();
        }
    }

    /// Sends what it owes.
    pub(super) fn answer(&mut self, world: &mut World) {
        let next = self.watcher.as_mut().and_then(|watcher| watcher.answers.pop_front());
        if let Some(answer) = next
            && self.partial.is_empty()
            && matches!(self.state, State::Steady(_))
        {
            self.send(world, &answer);
        }
    }

    fn frame(&mut self, world: &mut World, frame: Frame<'_>) {
        match std::mem::take(&mut self.state) {
            State::Fresh => self.enter(world, frame),
            State::Steady(mut connection) => {
                if let (Ok(packet), Some(watcher)) =
                    (decode(connection.client().version, frame), &mut self.watcher)
                {
                    watcher.sends(&packet);
                }
                let mut out = Vec::new();
                let ended = receive(world, &mut connection, frame, &mut out);
                self.reads(world, &connection, &out);
                self.state = State::Steady(connection);
                if let Err((fault, departure)) = ended {
                    self.depart(world, fault, departure);
                }
            }
            State::Over => {}
        }
    }

    fn enter(&mut self, world: &mut World, frame: Frame<'_>) {
        let hello = match handshake::receive(frame, ListenerId(0), Transport::Tcp, "here:1") {
            Ok(hello) => hello,
            Err(fault) => return self.close(world, fault, Some(frame)),
        };
        let Ok(Packet::Connect(connect)) = decode(Version::V5, frame) else {
            panic!("a greeting that is no CONNECT");
        };
        let mut watcher = Watcher::new(&connect);
        let mut out = Vec::new();
        let World { broker, lane, now, limits, .. } = world;
        let admitted = broker
            .greet(*now, &hello, limits)
            .and_then(|()| broker.admit(lane, *now, &hello, Identity::default(), limits));
        match admitted {
            Ok(admission) => {
                let connection = handshake::open(*now, &hello, admission, &mut out);
                self.state = State::Steady(Box::new(connection));
            }
            Err(refusal) => {
                handshake::refuse(&hello, &refusal, &mut out);
                self.state = State::Over;
            }
        }
        watcher.reads(&out);
        self.said.extend_from_slice(&out);
        self.watcher = Some(watcher);
    }

    /// Takes one turn at the mailbox.
    pub(super) fn pump(&mut self, world: &mut World) {
        let State::Steady(connection) = &mut self.state else { return };
        if let Some(fault) = connection.overdue(world.now) {
            return self.depart(world, Some(fault), Departure::LOST);
        }
        let World { broker, lane, now, .. } = world;
        let (client, session) = (Arc::clone(connection.client()), Arc::clone(connection.session()));
        let owner = connection.attachment();
        if let Some(notice) = session.mailbox.take_notice(owner) {
            let (fault, departure) = connection.noticed(notice);
            return self.depart(world, Some(fault), departure);
        }
        if session.mailbox.take_rejudge(owner) {
            broker.rejudge(lane, *now, &client, &session);
        }
        let (mut deliveries, mut out) = (Vec::new(), Vec::new());
        broker.pull(lane, *now, &session, owner, connection.room(), &mut deliveries);
        broker.screen(lane, *now, &client, &mut deliveries);
        let pumped = connection.pump(*now, &mut deliveries, &mut out);
        if pumped.is_err() {
            broker.give_back(*now, &session, &mut deliveries);
        }
        let State::Steady(connection) = std::mem::take(&mut self.state) else { return };
        self.reads(world, &connection, &out);
        self.state = State::Steady(connection);
        if let Err(fault) = pumped {
            self.depart(world, Some(fault), Departure::LOST);
        }
    }

    fn reads(&mut self, world: &World, connection: &Connection, out: &[u8]) {
        // A turn at the mailbox and one message more; or everything that was open, again.
        let again = usize::from(world.limits.max_inflight) * world.limits.max_packet_size as usize;
        assert!(out.len() <= 2 * TURN_BYTES.max(again), "{} bytes", out.len());
        assert_eq!(connection.client().version, self.version());
        self.said.extend_from_slice(out);
        if let Some(watcher) = &mut self.watcher {
            watcher.reads(out);
        }
    }

    /// Closes a connection that is not a client's yet, or whose stream is out of step.
    fn close(&mut self, world: &mut World, fault: Fault, frame: Option<Frame<'_>>) {
        if let State::Steady(_) = self.state {
            return self.depart(world, Some(fault), Departure::LOST);
        }
        let mut out = Vec::new();
        handshake::reject(&fault, frame, &mut out);
        if !out.is_empty() {
            let answer = frame::next(&out, frame::MAX_PACKET_SIZE);
            let Ok(Next::Whole { frame, len }) = answer else { panic!("{out:02x?}") };
            assert_eq!(len, out.len());
            let versions = [Version::V5, Version::V311].map(|version| decode(version, frame));
            assert!(versions.iter().any(|read| matches!(read, Ok(Packet::ConnAck(_)))));
        }
        self.said.extend_from_slice(&out);
        self.state = State::Over;
    }

    /// The connection is gone without a word.
    pub(super) fn lose(&mut self, world: &mut World) {
        if matches!(self.state, State::Steady(_)) {
            self.depart(world, None, Departure::LOST);
        }
    }

    fn depart(&mut self, world: &mut World, fault: Option<Fault>, departure: Departure) {
        let State::Steady(connection) = std::mem::replace(&mut self.state, State::Over) else {
            return;
        };
        let mut out = Vec::new();
        if let Some(fault) = fault {
            connection.close(&fault, &mut out);
            assert!(!fault.to_string().is_empty());
            assert_eq!(out.is_empty(), connection.client().version != Version::V5);
        }
        self.reads(world, &connection, &out);
        let (session, attachment) = (connection.session(), connection.attachment());
        world.broker.depart(&mut world.lane, world.now, session, attachment, departure);
    }
}

/// Hands one packet to the core, and does what it asks for.
fn receive(
    world: &mut World,
    connection: &mut Connection,
    frame: Frame<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Ended> {
    let lost = |fault| (Some(fault), Departure::LOST);
    let World { broker, lane, now, .. } = world;
    let client = Arc::clone(connection.client());
    let session = Arc::clone(connection.session());
    let limits = Arc::clone(connection.limits());
    match connection.receive(*now, frame, out).map_err(lost)? {
        Inbound::Settled | Inbound::Refused => {}
        Inbound::Publish(publication) => {
            let (id, qos) = (publication.packet_id, publication.parts.qos);
            let published = broker.publish(lane, *now, &client, publication.parts);
            let outcome = published.as_ref().map(|published| published.reason());
            connection.acknowledge(id, qos, outcome, out).map_err(lost)?;
        }
        Inbound::Subscribe(subscribe) => {
            let (id, filters) = (subscribe.packet_id, subscribe.subscriptions.len());
            let answer = broker.subscribe(lane, *now, &client, &session, &limits, &subscribe);
            assert_eq!(answer.codes.len(), filters);
            connection.subscribed(id, &answer, out);
        }
        Inbound::Unsubscribe(unsubscribe) => {
            let (id, filters) = (unsubscribe.packet_id, unsubscribe.filters.len());
            let codes = broker.unsubscribe(lane, *now, &client, &session, &unsubscribe);
            assert_eq!(codes.len(), filters);
            connection.unsubscribed(id, &codes, out);
        }
        // Nobody is let in who would have to be asked.
        Inbound::Authenticate(question) => panic!("{question:?}"),
        Inbound::Disconnect(departure) => return Err((None, departure)),
    }
    Ok(())
}
