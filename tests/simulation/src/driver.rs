//! Stands in for the shell: reads, hands frames to the core, does what they ask, pulls, screens, pumps, writes, and
//! says good-bye, in the order in which the shell does it. A turn may be held between any two verbs, as if the
//! thread had to wait while others go on. Must not know what the packets mean.

use std::cell::RefCell;
use std::mem::take;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use wasmqtt_codec::{
    Frame, Next, Packet, PacketId, PacketType, QoS, ReasonCode, Version, decode, frame,
};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::handshake::{self, Hello};
use wasmqtt_core::connection::{Connection, Departure, Inbound};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Identity, Refusal};
use wasmqtt_core::limits::Limits;
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_core::message::Parts;
use wasmqtt_core::time::Moment;

use crate::auditor::Auditor;
use crate::publication::Publication;
use crate::random::Random;
use crate::saboteur::{Sabotage, Saboteur};
use crate::wire::{Read, Wire};

/// Turns in a row before others get theirs.
const TURNS: usize = 4;

/// What a turn takes place in.
pub(crate) struct Room<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) lane: &'a mut Lane,
    pub(crate) auditor: &'a Rc<RefCell<Auditor>>,
    pub(crate) saboteur: &'a mut Saboteur,
    pub(crate) random: &'a mut Random,
    pub(crate) up: &'a mut Wire,
    pub(crate) down: &'a mut Wire,
    pub(crate) listener: &'a Limits,
    pub(crate) now: Moment,
    /// Percent of the places where a turn may be held at which it is.
    pub(crate) holds: u64,
    /// What the authenticator says to whoever comes now, and how long it takes.
    pub(crate) identity: Result<Identity, Refusal>,
    pub(crate) patience: u64,
}

/// What became of a poll.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Polled {
    /// Nothing more to do for now.
    Waiting,
    /// In the middle of a turn: the lane can do nothing else before it goes on.
    Held,
    /// Over.
    Gone,
}

/// Set by whatever wakes the connection.
#[derive(Debug)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Ended {
    Disconnected(Departure),
    Fault(Fault, Departure),
    Lost,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Ended::Fault(fault, Departure::LOST)
    }
}

/// Where a held turn goes on.
#[derive(Default)]
enum Stage {
    #[default]
    Start,
    Publish(Publication),
    Acknowledge(Publication, Result<ReasonCode, Refusal>),
    Frames,
    Pulled(Vec<Delivery>),
}

enum State {
    /// Reads until CONNECT is whole.
    Listening,
    /// Waits for an authenticator.
    Asking(Box<Hello>, Vec<u8>, Moment, Box<Result<Identity, Refusal>>),
    Steady(Box<Connection>),
    Gone,
}

/// One connection on the side of the broker.
pub(crate) struct Driver {
    id: u32,
    pub(crate) lane: usize,
    state: State,
    stage: Stage,
    bell: Arc<Bell>,
    partial: Vec<u8>,
    pending: Vec<u8>,
    out: Vec<u8>,
    /// For a saboteur: the CONNECT as it came.
    connect: Vec<u8>,
}

impl Driver {
    pub(crate) fn new(id: u32, lane: usize) -> Self {
        Self {
            id,
            lane,
            state: State::Listening,
            stage: Stage::Start,
            bell: Arc::new(Bell(AtomicBool::new(true))),
            partial: Vec::new(),
            pending: Vec::new(),
            out: Vec::new(),
            connect: Vec::new(),
        }
    }

    /// Whether anything would make a runtime poll it.
    pub(crate) fn is_runnable(&self, now: Moment, up: &Wire, down: &Wire) -> bool {
        if !matches!(self.stage, Stage::Start) || self.bell.0.load(Ordering::Relaxed) {
            return true;
        }
        match &self.state {
            State::Listening => up.is_readable(now.0),
            State::Asking(_, _, until, _) => *until <= now,
            State::Steady(connection) => {
                let alarm = connection.deadline().is_some_and(|at| at <= now);
                alarm
                    || match self.pending.is_empty() {
                        true => up.is_readable(now.0),
                        false => down.has_place(),
                    }
            }
            State::Gone => false,
        }
    }

    pub(crate) fn poll(&mut self, room: &mut Room<'_>) -> Polled {
        self.bell.0.store(false, Ordering::Relaxed);
        let polled = match take_state(&mut self.state) {
            State::Listening => self.listen(room),
            State::Asking(hello, connect, until, identity) => {
                if until > room.now {
                    self.state = State::Asking(hello, connect, until, identity);
                    return Polled::Waiting;
                }
                self.enter(room, &hello, &connect, *identity)
            }
            State::Steady(mut connection) => {
                let polled = self.serve(room, &mut connection);
                if polled != Polled::Gone {
                    self.state = State::Steady(connection);
                }
                polled
            }
            State::Gone => Polled::Gone,
        };
        if polled == Polled::Gone {
            let rest = take(&mut self.pending);
            room.down.force(room.now.0, &rest, room.random);
            room.down.end();
            room.up.abandon();
        }
        polled
    }

    fn listen(&mut self, room: &mut Room<'_>) -> Polled {
        match room.up.read(room.now.0, room.random) {
            Read::Nothing => {}
            Read::End => return Polled::Gone,
            Read::Bytes(bytes) => self.partial.extend(bytes),
        }
        self.state = State::Listening;
        let connect = match frame::next(&self.partial, room.listener.max_packet_size) {
            Ok(Next::Whole { len, .. }) => self.partial.drain(..len).collect::<Vec<u8>>(),
            Ok(Next::Partial { .. }) => return Polled::Waiting,
            Err(error) => {
                room.auditor.borrow_mut().fail(format!("CONNECT refused: {error}"));
                return Polled::Gone;
            }
        };
        let hello = handshake::receive(whole(&connect), ListenerId(0), Transport::Tcp, "sim:1");
        match hello {
            Ok(hello) => {
                let until = Moment(room.now.0 + room.patience);
                let identity = std::mem::replace(&mut room.identity, Ok(Identity::default()));
                self.state = State::Asking(hello, connect, until, Box::new(identity));
                self.bell.0.store(true, Ordering::Relaxed);
                Polled::Waiting
            }
            Err(fault) => {
                room.auditor.borrow_mut().fail(format!("CONNECT refused: {fault}"));
                Polled::Gone
            }
        }
    }

    fn enter(
        &mut self,
        room: &mut Room<'_>,
        hello: &Hello,
        connect: &[u8],
        identity: Result<Identity, Refusal>,
    ) -> Polled {
        let Ok(Packet::Connect(packet)) = decode(Version::V5, whole(connect)) else {
            return Polled::Gone;
        };
        let admitted = identity.and_then(|identity| {
            let mut auditor = room.auditor.borrow_mut();
            auditor.admitting(self.id, &packet, &identity, room.listener);
            drop(auditor);
            let admitted = room.broker.admit(room.lane, room.now, hello, identity, room.listener);
            room.auditor.borrow_mut().admitted(&packet, admitted.as_ref());
            admitted
        });
        self.connect = connect.to_vec();
        match admitted {
            Ok(admission) => {
                let connection = handshake::open(room.now, hello, admission, &mut self.out);
                let _ = self.write(room, hello.connecting.version);
                room.auditor.borrow_mut().resent(self.id);
                self.state = State::Steady(Box::new(connection));
                self.bell.0.store(true, Ordering::Relaxed);
                Polled::Waiting
            }
            Err(refusal) => {
                handshake::refuse(hello, &refusal, &mut self.pending);
                Polled::Gone
            }
        }
    }

    fn serve(&mut self, room: &mut Room<'_>, connection: &mut Connection) -> Polled {
        let mut turned = Ok(true);
        for _ in 0..TURNS {
            turned = self.turn(room, connection);
            if !matches!(self.stage, Stage::Start) && turned.is_ok() {
                return Polled::Held;
            }
            if !matches!(turned, Ok(true)) {
                break;
            }
        }
        let ended = match turned {
            Ok(goes_on) => {
                if goes_on {
                    self.bell.0.store(true, Ordering::Relaxed);
                }
                // Also of a client that never pauses, time runs out.
                connection.overdue(room.now).map(Ended::from)
            }
            Err(ended) => Some(ended),
        };
        match ended {
            Some(ended) => {
                self.end(room, connection, ended);
                Polled::Gone
            }
            None => {
                room.auditor.borrow_mut().goes_on(self.id);
                Polled::Waiting
            }
        }
    }

    /// One turn; true when there may be more to do. It is held when it leaves a stage behind.
    fn turn(&mut self, room: &mut Room<'_>, connection: &mut Connection) -> Result<bool, Ended> {
        let mut came = true;
        match take(&mut self.stage) {
            Stage::Start => {
                if !self.pending.is_empty() && !self.flush(room)? {
                    let waker = Waker::from(Arc::clone(&self.bell));
                    let mut context = Context::from_waker(&waker);
                    let mailbox = &connection.session().mailbox;
                    let noticed =
                        mailbox.poll_notice(connection.attachment(), &mut context).is_ready();
                    if noticed {
                        self.heed(room, connection)?;
                    }
                    return Ok(noticed);
                }
                came = self.read(room)?;
            }
            Stage::Publish(publication) => self.publish(room, connection, publication)?,
            Stage::Acknowledge(publication, outcome) => {
                self.acknowledge(room, connection, &publication, &outcome)?;
            }
            Stage::Frames => {}
            Stage::Pulled(deliveries) => {
                self.pump(room, connection, deliveries)?;
                return self.write(room, connection.client().version).map(|()| true);
            }
        }
        while matches!(self.stage, Stage::Start)
            && let Some(frame) = self.next_frame(connection)?
        {
            self.receive(room, connection, &frame)?;
        }
        if !matches!(self.stage, Stage::Start) {
            return Ok(true);
        }
        let mail = self.look(room, connection)?;
        if matches!(self.stage, Stage::Start) {
            self.write(room, connection.client().version)?;
        }
        Ok(came || mail)
    }

    fn holds(&self, room: &mut Room<'_>) -> bool {
        room.holds > 0 && room.random.chance(room.holds)
    }

    fn read(&mut self, room: &mut Room<'_>) -> Result<bool, Ended> {
        match room.up.read(room.now.0, room.random) {
            Read::Nothing => Ok(false),
            Read::End => Err(Ended::Lost),
            Read::Bytes(bytes) => {
                self.partial.extend(bytes);
                Ok(true)
            }
        }
    }

    fn next_frame(&mut self, connection: &Connection) -> Result<Option<Vec<u8>>, Ended> {
        match frame::next(&self.partial, connection.limits().max_packet_size) {
            Ok(Next::Whole { len, .. }) => Ok(Some(self.partial.drain(..len).collect())),
            Ok(Next::Partial { .. }) => Ok(None),
            Err(error) => Err(Fault::from(error).into()),
        }
    }

    fn receive(
        &mut self,
        room: &mut Room<'_>,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), Ended> {
        let frame = whole(bytes);
        let packet = decode(connection.client().version, frame).ok();
        if let Some(packet) = &packet {
            let mut auditor = room.auditor.borrow_mut();
            let id = self.id;
            auditor.note(format_args!("#{id} -> {}", packet.kind()));
            auditor.receiving(id, packet);
        }
        let (client, session) = (Arc::clone(connection.client()), Arc::clone(connection.session()));
        let limits = Arc::clone(connection.limits());
        match connection.receive(room.now, frame, &mut self.out)? {
            Inbound::Settled | Inbound::Refused => {
                if let Some(Packet::Publish(again)) = packet
                    && !again.topic.is_empty()
                    && room.saboteur.commits(Sabotage::DuplicateRouted)
                {
                    room.auditor.borrow_mut().may_route(self.id);
                }
            }
            Inbound::Publish(publication) => {
                self.stage = Stage::Publish(Publication::of(&publication));
                room.auditor.borrow_mut().may_route(self.id);
                if !self.holds(room)
                    && let Stage::Publish(publication) = take(&mut self.stage)
                {
                    self.publish(room, connection, publication)?;
                }
            }
            Inbound::Subscribe(subscribe) => {
                let answer = room
                    .broker
                    .subscribe(room.lane, room.now, &client, &session, &limits, &subscribe);
                room.auditor.borrow_mut().subscribed(self.id, &subscribe, &answer.codes);
                let id = subscribe.packet_id;
                connection.subscribed(id, &answer, &mut self.out);
            }
            Inbound::Unsubscribe(unsubscribe) => {
                let codes =
                    room.broker.unsubscribe(room.lane, room.now, &client, &session, &unsubscribe);
                room.auditor.borrow_mut().unsubscribed(self.id, &unsubscribe, &codes);
                let id = unsubscribe.packet_id;
                connection.unsubscribed(id, &codes, &mut self.out);
            }
            // No client of the workload names a method.
            Inbound::Authenticate(_) => {
                return Err(Fault::UnexpectedPacket(PacketType::Auth).into());
            }
            Inbound::Disconnect(departure) => return Err(Ended::Disconnected(departure)),
        }
        if matches!(self.stage, Stage::Start) && self.holds(room) {
            self.stage = Stage::Frames;
        }
        Ok(())
    }

    fn publish(
        &mut self,
        room: &mut Room<'_>,
        connection: &mut Connection,
        publication: Publication,
    ) -> Result<(), Ended> {
        let client = Arc::clone(connection.client());
        let parts = publication.parts();
        room.auditor.borrow_mut().publishing(&client, &parts);
        let published = room.broker.publish(room.lane, room.now, &client, parts);
        room.auditor.borrow_mut().published(&published);
        let outcome = published.map(|published| published.reason());
        if self.holds(room) {
            self.stage = Stage::Acknowledge(publication, outcome);
            return Ok(());
        }
        self.acknowledge(room, connection, &publication, &outcome)
    }

    fn acknowledge(
        &mut self,
        room: &mut Room<'_>,
        connection: &mut Connection,
        publication: &Publication,
        outcome: &Result<ReasonCode, Refusal>,
    ) -> Result<(), Ended> {
        let (packet_id, qos) = (publication.packet_id, publication.qos);
        let outcome = outcome.as_ref().map(|code| *code);
        let acknowledged = connection.acknowledge(packet_id, qos, outcome, &mut self.out);
        let mut auditor = room.auditor.borrow_mut();
        let Some(number) = packet_id.map(PacketId::get) else { return Ok(acknowledged?) };
        let v5 = connection.client().version == Version::V5;
        if qos == QoS::ExactlyOnce && v5 && outcome.is_err() {
            auditor.refused(self.id, number);
        }
        acknowledged?;
        let code = outcome.unwrap_or_else(|refusal| refusal.code);
        auditor.acknowledging(self.id, number, code);
        Ok(())
    }

    /// Does what the mailbox asks for ahead of its messages.
    fn heed(&self, room: &mut Room<'_>, connection: &Connection) -> Result<(), Ended> {
        let (owner, session) = (connection.attachment(), connection.session());
        if let Some(notice) = session.mailbox.take_notice(owner) {
            let (fault, departure) = connection.noticed(notice);
            return Err(Ended::Fault(fault, departure));
        }
        if session.mailbox.take_rejudge(owner) {
            room.broker.rejudge(room.lane, room.now, connection.client(), session);
            room.auditor.borrow_mut().rejudged(self.id);
        }
        Ok(())
    }

    /// Looks into the mailbox; true when there was something.
    fn look(&mut self, room: &mut Room<'_>, connection: &mut Connection) -> Result<bool, Ended> {
        let waker = Waker::from(Arc::clone(&self.bell));
        let mut context = Context::from_waker(&waker);
        let owner = connection.attachment();
        let mailbox = Arc::clone(&connection.session().mailbox);
        if mailbox.poll_ready(owner, connection.room(), &mut context).is_pending() {
            return Ok(false);
        }
        self.heed(room, connection)?;
        let mut deliveries = Vec::new();
        let session = Arc::clone(connection.session());
        let window = connection.room();
        room.broker.pull(room.lane, room.now, &session, owner, window, &mut deliveries);
        room.saboteur.pulled(&connection.client().id, &deliveries);
        room.auditor.borrow_mut().pulled(self.id, &deliveries);
        if self.holds(room) {
            self.stage = Stage::Pulled(deliveries);
            return Ok(true);
        }
        self.pump(room, connection, deliveries)?;
        Ok(true)
    }

    fn pump(
        &mut self,
        room: &mut Room<'_>,
        connection: &mut Connection,
        mut deliveries: Vec<Delivery>,
    ) -> Result<(), Ended> {
        let client = Arc::clone(connection.client());
        room.auditor.borrow_mut().screening(self.id);
        room.broker.screen(room.lane, room.now, &client, &mut deliveries);
        // What may still be taken back is not worth a fault.
        room.saboteur.meddle(room.broker, room.now, &client.id, &mut deliveries);
        room.auditor.borrow_mut().pumping(self.id);
        let pumped = connection.pump(room.now, &mut deliveries, &mut self.out);
        if let Err(fault) = pumped {
            room.broker.give_back(room.now, connection.session(), &mut deliveries);
            room.auditor.borrow_mut().gave_back(self.id);
            return Err(fault.into());
        }
        self.write(room, client.version)?;
        room.auditor.borrow_mut().pumped(self.id);
        Ok(())
    }

    /// Everything that the core has to say goes out, past the saboteur and the auditor.
    fn write(&mut self, room: &mut Room<'_>, version: Version) -> Result<(), Ended> {
        self.show(room, version);
        self.flush(room).map(|_| ())
    }

    fn show(&mut self, room: &mut Room<'_>, version: Version) {
        let in_use = room.auditor.borrow().oldest_open(self.id);
        room.saboteur.tamper(version, in_use, &mut self.out);
        let mut auditor = room.auditor.borrow_mut();
        auditor.written(self.id, &self.out);
        auditor.answered(self.id);
        drop(auditor);
        self.pending.append(&mut self.out);
    }

    /// True when nothing is left.
    fn flush(&mut self, room: &mut Room<'_>) -> Result<bool, Ended> {
        if self.pending.is_empty() {
            return Ok(true);
        }
        match room.down.write(room.now.0, &self.pending, room.random) {
            None => Err(Ended::Lost),
            Some(len) => {
                self.pending.drain(..len);
                Ok(self.pending.is_empty())
            }
        }
    }

    fn end(&mut self, room: &mut Room<'_>, connection: &Connection, ended: Ended) {
        let version = connection.client().version;
        let id = self.id;
        room.auditor.borrow_mut().note(format_args!("#{id} ends: {ended:?}"));
        let how = match &ended {
            Ended::Disconnected(departure) => *departure,
            Ended::Fault(fault, departure) => {
                room.auditor.borrow_mut().faulted(self.id, fault);
                *departure
            }
            Ended::Lost => Departure::LOST,
        };
        if let Ended::Fault(fault, _) = &ended {
            connection.close(fault, &mut self.out);
        }
        room.auditor.borrow_mut().leaving(self.id);
        self.show(room, version);
        let (session, attachment) = (connection.session(), connection.attachment());
        let had_will = session.state.lock().will.is_some();
        room.auditor.borrow_mut().departing(self.id, how);
        room.broker.depart(room.lane, room.now, session, attachment, how);
        if had_will && how.with_will && session.state.lock().will.is_none() {
            self.publish_will_again(room, connection);
        }
        room.auditor.borrow_mut().done();
    }

    fn publish_will_again(&self, room: &mut Room<'_>, connection: &Connection) {
        let Ok(Packet::Connect(connect)) = decode(Version::V5, whole(&self.connect)) else {
            return;
        };
        let Some(will) = connect.will else { return };
        if room.saboteur.commits(Sabotage::WillTwice) {
            let parts = Parts {
                topic: will.topic,
                properties: Default::default(),
                payload: will.payload,
                qos: will.qos,
                retain: will.retain,
                origin: wasmqtt_core::message::Origin::Will,
                expires_at: None,
            };
            let _ = room.broker.publish(room.lane, room.now, connection.client(), parts);
        }
    }
}

fn take_state(state: &mut State) -> State {
    std::mem::replace(state, State::Gone)
}

/// The frame of bytes that are known to be one.
fn whole(bytes: &[u8]) -> Frame<'_> {
    match frame::next(bytes, frame::MAX_PACKET_SIZE) {
        Ok(Next::Whole { frame, .. }) => frame,
        _ => Frame { first: 0, body: &[] },
    }
}
