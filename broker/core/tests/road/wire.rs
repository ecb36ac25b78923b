//! Stands in for the shell: a broker, its one worker, and clients whose bytes go straight into the core. Follows
//! the law of use of `connection` to the letter; must not look into the core for what a client could see.

use std::collections::VecDeque;
use std::sync::Arc;

use wasmqtt_codec::{
    ConnAck, Connect, Disconnect, Next, Packet, PacketId, Publish, QoS, ReasonCode, Subscribe,
    Subscription, Unsubscribe, UserProperties, Version, frame,
};
use wasmqtt_core::broker::{Broker, Lane};
use wasmqtt_core::client::{ListenerId, Transport};
use wasmqtt_core::connection::handshake::Hello;
use wasmqtt_core::connection::{Connection, Departure, Inbound, handshake};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::{Identity, Question};
use wasmqtt_core::limits::{BrokerLimits, Limits};
use wasmqtt_core::time::Moment;

use crate::judge::{Script, Scripted};
use crate::packets::answer;
pub(crate) use crate::packets::{
    clean, message, messages, numbered, payloads, puback, pubcomp, pubrec, pubrec_with, pubrel,
    stored, will,
};

pub(crate) const VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];
pub(crate) const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];
pub(crate) const Q0: QoS = QoS::AtMostOnce;
pub(crate) const Q1: QoS = QoS::AtLeastOnce;
pub(crate) const Q2: QoS = QoS::ExactlyOnce;

/// An application message as a client got it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Got {
    pub(crate) topic: String,
    pub(crate) payload: String,
    pub(crate) qos: QoS,
    pub(crate) id: Option<u16>,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
    pub(crate) expiry: Option<u32>,
    pub(crate) subscriptions: Vec<u32>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// A packet as a client got it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    Publish(Got),
    PubAck(u16, ReasonCode),
    PubRec(u16, ReasonCode),
    PubRel(u16, ReasonCode),
    PubComp(u16, ReasonCode),
    SubAck(Vec<ReasonCode>),
    UnsubAck(Vec<ReasonCode>),
    PingResp,
    Disconnect(ReasonCode),
    Auth(Told),
}

/// What AUTH said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    pub(crate) reason: ReasonCode,
    pub(crate) method: Option<String>,
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) reason_string: Option<String>,
    pub(crate) user_properties: Vec<(String, String)>,
}

/// What CONNACK said.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Welcome {
    pub(crate) session_present: bool,
    pub(crate) session_expiry: Option<u32>,
    pub(crate) receive_maximum: Option<u16>,
    pub(crate) maximum_packet_size: Option<u32>,
    pub(crate) topic_alias_maximum: u16,
    pub(crate) assigned: Option<String>,
    pub(crate) keep_alive: Option<u16>,
    pub(crate) response_information: Option<String>,
    pub(crate) user_properties: Vec<(String, String)>,
    pub(crate) offers: Offers,
    pub(crate) method: Option<String>,
    pub(crate) data: Option<Vec<u8>>,
}

/// What CONNACK said is offered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Offers {
    pub(crate) max_qos: u8,
    pub(crate) retain: bool,
    pub(crate) wildcards: bool,
    pub(crate) identifiers: bool,
    pub(crate) shared: bool,
}

/// A CONNACK that refuses.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refused {
    pub(crate) code: ReasonCode,
    pub(crate) reason: Option<String>,
}

/// The client's end of a connection.
pub(crate) struct Client {
    pub(crate) version: Version,
    pub(crate) connection: Connection,
    pub(crate) welcome: Welcome,
    /// Why the broker closed it.
    pub(crate) closed: Option<Fault>,
    /// Reason string and number of user properties of the last acknowledgement or DISCONNECT.
    pub(crate) told: (Option<String>, usize),
    inbox: VecDeque<Sent>,
    next_id: u16,
}

impl Client {
    pub(crate) fn id(&self) -> String {
        self.connection.client().id.to_string()
    }

    pub(crate) fn fresh_id(&mut self) -> PacketId {
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        PacketId::new(self.next_id).unwrap()
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) {
        for packet in packets(bytes) {
            let packet = wasmqtt_codec::decode(self.version, packet).unwrap();
            if let Packet::SubAck(answer) = &packet {
                let properties = answer.user_properties.iter().count();
                self.told = (answer.reason_string.map(str::to_owned), properties);
            }
            if let Packet::PubAck(ack) | Packet::PubRec(ack) = &packet {
                let properties = ack.user_properties.iter().count();
                self.told = (ack.reason_string.map(str::to_owned), properties);
            }
            if let Packet::Disconnect(disconnect) = &packet {
                self.told = (disconnect.reason_string.map(str::to_owned), 0);
            }
            self.inbox.push_back(sent(&packet));
        }
    }

    /// Everything that came since the last look.
    pub(crate) fn inbox(&mut self) -> Vec<Sent> {
        self.inbox.drain(..).collect()
    }
}

pub(crate) fn packets(mut bytes: &[u8]) -> Vec<wasmqtt_codec::Frame<'_>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        match frame::next(bytes, frame::MAX_PACKET_SIZE).unwrap() {
            Next::Whole { frame, len } => {
                found.push(frame);
                bytes = &bytes[len..];
            }
            Next::Partial { .. } => panic!("half a packet written"),
        }
    }
    found
}

fn owned(properties: UserProperties<'_>) -> Vec<(String, String)> {
    properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn sent(packet: &Packet<'_>) -> Sent {
    match packet {
        Packet::Publish(publish) => Sent::Publish(got(publish)),
        Packet::PubAck(ack) => Sent::PubAck(ack.packet_id.get(), ack.reason),
        Packet::PubRec(ack) => Sent::PubRec(ack.packet_id.get(), ack.reason),
        Packet::PubRel(ack) => Sent::PubRel(ack.packet_id.get(), ack.reason),
        Packet::PubComp(ack) => Sent::PubComp(ack.packet_id.get(), ack.reason),
        Packet::SubAck(suback) => Sent::SubAck(suback.reasons.to_vec()),
        Packet::UnsubAck(unsuback) => Sent::UnsubAck(unsuback.reasons.to_vec()),
        Packet::PingResp => Sent::PingResp,
        Packet::Disconnect(disconnect) => Sent::Disconnect(disconnect.reason),
        Packet::Auth(auth) => Sent::Auth(Told {
            reason: auth.reason,
            method: auth.method.map(str::to_owned),
            data: auth.data.map(<[u8]>::to_vec),
            reason_string: auth.reason_string.map(str::to_owned),
            user_properties: owned(auth.user_properties),
        }),
        other => panic!("a server never sends {:?}", other.kind()),
    }
}

fn got(publish: &Publish<'_>) -> Got {
    let properties = &publish.properties;
    Got {
        topic: publish.topic.into(),
        payload: String::from_utf8(publish.payload.to_vec()).unwrap(),
        qos: publish.qos,
        id: publish.packet_id.map(PacketId::get),
        dup: publish.dup,
        retain: publish.retain,
        expiry: properties.message_expiry_interval,
        subscriptions: properties.subscription_identifiers.iter().map(|id| id.get()).collect(),
        user_properties: owned(properties.message.user_properties()),
    }
}

/// A broker, one worker, and the time.
pub(crate) struct Wire {
    pub(crate) broker: Arc<Broker>,
    pub(crate) lane: Lane,
    pub(crate) now: Moment,
    /// Of the listener that everybody comes through.
    pub(crate) limits: Limits,
    /// What the authenticator answers to the next CONNECT.
    pub(crate) identity: Identity,
    pub(crate) judge: Scripted,
    /// What a client wants to be asked for it.
    pub(crate) asked: Option<Question>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self::bounded(BrokerLimits::default())
    }

    pub(crate) fn bounded(limits: BrokerLimits) -> Self {
        Self::on(Arc::new(Broker::new(limits, 7)))
    }

    /// One more worker of a broker.
    pub(crate) fn on(broker: Arc<Broker>) -> Self {
        let judge = Scripted::default();
        Self {
            broker,
            lane: Lane::new(Box::new(judge.clone())),
            now: Moment(1_000_000),
            limits: Limits::default(),
            identity: Identity::default(),
            judge,
            asked: None,
        }
    }

    pub(crate) fn script(&self) -> std::cell::RefMut<'_, Script> {
        self.judge.0.borrow_mut()
    }

    /// Lets time pass, and the broker do what is due.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now.0 += milliseconds;
        self.broker.expire(&mut self.lane, self.now);
    }

    pub(crate) fn connect(&mut self, connect: &Connect<'_>) -> Client {
        self.try_connect(connect).expect("refused")
    }

    pub(crate) fn try_connect(&mut self, connect: &Connect<'_>) -> Result<Client, Refused> {
        let version = connect.version;
        let mut bytes = Vec::new();
        connect.encode(version, &mut bytes).unwrap();
        let frame = packets(&bytes)[0];
        let hello = handshake::receive(frame, ListenerId(0), Transport::Tcp, "here:1").unwrap();
        self.admit(&hello, self.identity.clone())
    }

    /// Lets a client in that has proved who it is.
    pub(crate) fn admit(&mut self, hello: &Hello, identity: Identity) -> Result<Client, Refused> {
        let version = hello.connecting.version;
        let mut out = Vec::new();
        let Self { broker, lane, limits, now, .. } = self;
        let greeted = broker.greet(*now, hello, limits);
        let admitted = greeted.and_then(|()| broker.admit(lane, *now, hello, identity, limits));
        let admission = match admitted {
            Ok(admission) => admission,
            Err(refusal) => {
                handshake::refuse(hello, &refusal, &mut out);
                let connack = connack(version, &out);
                let reason = connack.properties.reason_string.map(str::to_owned);
                return Err(Refused { code: connack.reason, reason });
            }
        };
        let connection = handshake::open(self.now, hello, admission, &mut out);
        let connack = connack(version, &out);
        assert_eq!(connack.reason, ReasonCode::Success);
        let len = out.len() - packets(&out)[1..].iter().map(|f| frame_len(f)).sum::<usize>();
        let mut client = Client {
            version,
            connection,
            welcome: welcome(&connack),
            closed: None,
            told: (None, 0),
            inbox: VecDeque::new(),
            next_id: 0,
        };
        client.read(&out[len..]);
        Ok(client)
    }

    /// Hands a packet of the client to the broker, and the answers to the client. A fault closes the connection.
    pub(crate) fn send(&mut self, client: &mut Client, packet: &Packet<'_>) -> Vec<Sent> {
        let mut bytes = Vec::new();
        packet.encode(client.version, &mut bytes).unwrap();
        self.send_bytes(client, &bytes)
    }

    pub(crate) fn send_bytes(&mut self, client: &mut Client, bytes: &[u8]) -> Vec<Sent> {
        assert!(client.closed.is_none(), "closed: {:?}", client.closed);
        let mut out = Vec::new();
        let max = client.connection.limits().max_packet_size;
        let ended = match frame::next(bytes, max) {
            Ok(Next::Whole { frame, .. }) => self.receive(client, frame, &mut out),
            // The rest of it never comes.
            Ok(Next::Partial { .. }) => Ok(()),
            Err(error) => Err((Fault::from(error), Departure::LOST)),
        };
        client.read(&out);
        if let Err((fault, departure)) = ended {
            self.close(client, fault, departure);
        }
        client.inbox()
    }

    fn receive(
        &mut self,
        client: &mut Client,
        frame: wasmqtt_codec::Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), (Fault, Departure)> {
        let lost = |fault| (fault, Departure::LOST);
        let Self { broker, lane, now, .. } = self;
        let who = Arc::clone(client.connection.client());
        let session = Arc::clone(client.connection.session());
        let limits = Arc::clone(client.connection.limits());
        match client.connection.receive(*now, frame, out).map_err(lost)? {
            Inbound::Settled => {}
            Inbound::Refused => lane.counters.refused += 1,
            Inbound::Publish(publication) => {
                let (id, qos) = (publication.packet_id, publication.parts.qos);
                let published = broker.publish(lane, *now, &who, publication.parts);
                let outcome = published.as_ref().map(|published| published.reason());
                client.connection.acknowledge(id, qos, outcome, out).map_err(lost)?;
            }
            Inbound::Subscribe(subscribe) => {
                let id = subscribe.packet_id;
                let answer = broker.subscribe(lane, *now, &who, &session, &limits, &subscribe);
                client.connection.subscribed(id, &answer, out);
            }
            Inbound::Unsubscribe(unsubscribe) => {
                let id = unsubscribe.packet_id;
                let codes = broker.unsubscribe(lane, *now, &who, &session, &unsubscribe);
                client.connection.unsubscribed(id, &codes, out);
            }
            Inbound::Authenticate(question) => self.asked = Some(question),
            Inbound::Disconnect(departure) => {
                let attachment = client.connection.attachment();
                broker.depart(lane, *now, &session, attachment, departure);
                client.closed = Some(Fault::Ordered(ReasonCode::NORMAL_DISCONNECTION));
            }
        }
        Ok(())
    }

    pub(crate) fn close(&mut self, client: &mut Client, fault: Fault, departure: Departure) {
        let mut out = Vec::new();
        client.connection.close(&fault, &mut out);
        client.read(&out);
        let (session, attachment) = (client.connection.session(), client.connection.attachment());
        self.broker.depart(&mut self.lane, self.now, session, attachment, departure);
        client.closed = Some(fault);
    }

    /// Takes one turn at the mailbox: what the broker writes now.
    pub(crate) fn pump(&mut self, client: &mut Client) -> Vec<Sent> {
        assert!(client.closed.is_none(), "closed: {:?}", client.closed);
        if let Some(fault) = client.connection.overdue(self.now) {
            self.close(client, fault, Departure::LOST);
            return client.inbox();
        }
        let session = Arc::clone(client.connection.session());
        let (owner, room) = (client.connection.attachment(), client.connection.room());
        if let Some(notice) = session.mailbox.take_notice(owner) {
            let (fault, departure) = client.connection.noticed(notice);
            self.close(client, fault, departure);
            return client.inbox();
        }
        let (mut deliveries, mut out) = (Vec::new(), Vec::new());
        self.broker.pull(&mut self.lane, self.now, &session, owner, room, &mut deliveries);
        let who = Arc::clone(client.connection.client());
        self.broker.screen(&mut self.lane, self.now, &who, &mut deliveries);
        match client.connection.pump(self.now, &mut deliveries, &mut out) {
            Ok(_) => client.read(&out),
            Err(fault) => {
                self.broker.give_back(self.now, &session, &mut deliveries);
                client.read(&out);
                self.close(client, fault, Departure::LOST);
            }
        }
        client.inbox()
    }

    /// Takes turns until nothing comes any more, acknowledging everything: the messages, in order.
    pub(crate) fn take(&mut self, client: &mut Client) -> Vec<Got> {
        let mut taken = Vec::new();
        let mut packets = VecDeque::from(client.inbox());
        loop {
            if packets.is_empty() && client.closed.is_none() {
                packets.extend(self.pump(client));
            }
            let Some(packet) = packets.pop_front() else { return taken };
            if let Some(ack) = answer(&packet) {
                packets.extend(self.send(client, &ack));
            }
            if let Sent::Publish(message) = packet {
                taken.push(message);
            }
        }
    }

    pub(crate) fn take_payloads(&mut self, client: &mut Client) -> Vec<String> {
        self.take(client).into_iter().map(|message| message.payload).collect()
    }

    /// The stream breaks.
    pub(crate) fn lose(&mut self, client: Client) {
        self.depart(&client, Departure::LOST);
    }

    pub(crate) fn depart(&mut self, client: &Client, how: Departure) {
        let (session, attachment) = (client.connection.session(), client.connection.attachment());
        self.broker.depart(&mut self.lane, self.now, session, attachment, how);
    }

    /// The client says good-bye.
    pub(crate) fn leave(&mut self, mut client: Client) {
        self.send(&mut client, &Packet::Disconnect(Disconnect::default()));
        assert!(client.closed.is_some());
    }

    pub(crate) fn subscribe(&mut self, client: &mut Client, filter: &str, qos: QoS) -> ReasonCode {
        self.subscribe_with(client, Subscription::new(filter, qos), None)
    }

    pub(crate) fn subscribe_with(
        &mut self,
        client: &mut Client,
        subscription: Subscription<'_>,
        identifier: Option<u32>,
    ) -> ReasonCode {
        let packet = Packet::Subscribe(Subscribe {
            packet_id: client.fresh_id(),
            subscription_identifier: identifier.map(|id| id.try_into().unwrap()),
            user_properties: UserProperties::EMPTY,
            subscriptions: vec![subscription],
        });
        match self.send(client, &packet).as_slice() {
            [Sent::SubAck(codes)] => codes[0],
            other => panic!("SUBACK expected: {other:?}"),
        }
    }

    /// The codes of UNSUBACK: empty in 3.x.
    pub(crate) fn unsubscribe(&mut self, client: &mut Client, filters: &[&str]) -> Vec<ReasonCode> {
        let packet = Packet::Unsubscribe(Unsubscribe {
            packet_id: client.fresh_id(),
            user_properties: UserProperties::EMPTY,
            filters: filters.to_vec(),
        });
        match self.send(client, &packet).as_slice() {
            [Sent::UnsubAck(codes)] => codes.clone(),
            other => panic!("UNSUBACK expected: {other:?}"),
        }
    }

    /// Publishes and goes through all steps. The code of PUBACK or PUBREC; success with QoS 0.
    pub(crate) fn publish(
        &mut self,
        client: &mut Client,
        topic: &str,
        qos: QoS,
        payload: &str,
    ) -> ReasonCode {
        self.publish_with(client, Publish { qos, ..message(topic, payload) })
    }

    pub(crate) fn retain(&mut self, client: &mut Client, topic: &str, payload: &str) {
        let code =
            self.publish_with(client, Publish { retain: true, qos: Q1, ..message(topic, payload) });
        assert!(!code.is_error(), "{code}");
    }

    pub(crate) fn publish_with(&mut self, client: &mut Client, publish: Publish<'_>) -> ReasonCode {
        let packet_id = (publish.qos != Q0).then(|| client.fresh_id());
        let answers = self.send(client, &Packet::Publish(Publish { packet_id, ..publish }));
        match (publish.qos, answers.as_slice(), packet_id) {
            (Q0, [], None) => ReasonCode::Success,
            (Q1, [Sent::PubAck(id, code)], Some(at)) if *id == at.get() => *code,
            (Q2, [Sent::PubRec(id, code)], Some(at)) if *id == at.get() => {
                if !code.is_error() {
                    let released = self.send(client, &pubrel(*id));
                    assert_eq!(released, [Sent::PubComp(*id, ReasonCode::Success)]);
                }
                *code
            }
            other => panic!("{other:?}"),
        }
    }
}

fn frame_len(frame: &wasmqtt_codec::Frame<'_>) -> usize {
    let mut out = Vec::new();
    // The shortest length that says as much.
    let mut left = frame.body.len();
    loop {
        out.push(left % 128);
        left /= 128;
        if left == 0 {
            return 1 + out.len() + frame.body.len();
        }
    }
}

fn connack(version: Version, bytes: &[u8]) -> ConnAck<'_> {
    match wasmqtt_codec::decode(version, packets(bytes)[0]).unwrap() {
        Packet::ConnAck(connack) => *connack,
        other => panic!("CONNACK expected: {other:?}"),
    }
}

fn welcome(connack: &ConnAck<'_>) -> Welcome {
    let properties = &connack.properties;
    Welcome {
        session_present: connack.session_present,
        session_expiry: properties.session_expiry_interval,
        receive_maximum: properties.receive_maximum.map(|maximum| maximum.get()),
        maximum_packet_size: properties.maximum_packet_size.map(|size| size.get()),
        topic_alias_maximum: properties.topic_alias_maximum,
        assigned: properties.assigned_client_identifier.map(str::to_owned),
        keep_alive: properties.server_keep_alive,
        response_information: properties.response_information.map(str::to_owned),
        user_properties: owned(properties.user_properties),
        method: properties.authentication_method.map(str::to_owned),
        data: properties.authentication_data.map(<[u8]>::to_vec),
        offers: Offers {
            max_qos: properties.maximum_qos as u8,
            retain: properties.retain_available,
            wildcards: properties.wildcard_subscription_available,
            identifiers: properties.subscription_identifiers_available,
            shared: properties.shared_subscription_available,
        },
    }
}
