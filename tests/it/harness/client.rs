//! A client that shows every packet as it is, in all three versions. Acknowledges what it receives and does nothing
//! else by itself.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use wasmqtt_codec::frame::{self, MAX_PACKET_SIZE, Next};
use wasmqtt_codec::{
    Ack, Connect, Disconnect, Frame, MessagePropertiesBuf, Packet, PacketId, Publish,
    PublishProperties, QoS, ReasonCode, Subscribe, Subscription, UserProperties, Version, decode,
};

use super::PATIENCE;

/// A connection to a broker.
pub(crate) struct Client {
    stream: TcpStream,
    version: Version,
    buffer: Vec<u8>,
    used: usize,
    last_id: u16,
    inbox: VecDeque<Message>,
}

/// One whole packet.
pub(crate) struct Raw {
    version: Version,
    bytes: Vec<u8>,
}

impl Raw {
    pub(crate) fn packet(&self) -> Packet<'_> {
        match decode(self.version, self.frame()) {
            Ok(packet) => packet,
            Err(error) => panic!("{error}: {:02x?}", self.bytes),
        }
    }

    /// Everything behind the fixed header.
    pub(crate) fn body(&self) -> &[u8] {
        self.frame().body
    }

    fn frame(&self) -> Frame<'_> {
        match frame::next(&self.bytes, MAX_PACKET_SIZE) {
            Ok(Next::Whole { frame, .. }) => frame,
            other => panic!("{other:?}"),
        }
    }
}

/// What CONNECT was answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// As it is on the wire.
    pub(crate) code: u8,
    pub(crate) session_present: bool,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) properties: Vec<(String, String)>,
}

impl Message {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Topic and payload: what most tests ask for.
    pub(crate) fn parts(&self) -> (&str, &str) {
        (&self.topic, self.text())
    }
}

/// A message to publish.
pub(crate) struct Outgoing {
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
    retain: bool,
    properties: MessagePropertiesBuf,
}

impl Outgoing {
    /// With QoS 1.
    pub(crate) fn new(topic: &str, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.into(),
            qos: QoS::AtLeastOnce,
            retain: false,
            properties: MessagePropertiesBuf::new(),
        }
    }

    pub(crate) fn qos(self, qos: QoS) -> Self {
        Self { qos, ..self }
    }

    pub(crate) fn retained(self) -> Self {
        Self { retain: true, ..self }
    }

    pub(crate) fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.add_user_property(name, value).unwrap();
        self
    }
}

impl Client {
    /// A connection without CONNECT.
    pub(crate) fn open(addr: SocketAddr, version: Version) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, version, buffer: Vec::new(), used: 0, last_id: 0, inbox: VecDeque::new() }
    }

    /// Sends CONNECT and waits for the answer.
    pub(crate) fn connect(addr: SocketAddr, connect: &Connect<'_>) -> (Self, Answer) {
        let mut client = Self::open(addr, connect.version);
        client.send(&connect_packet(connect));
        let answer = client.answer();
        (client, answer)
    }

    /// Connects without a name, and must be let in.
    pub(crate) fn enter(addr: SocketAddr, version: Version, id: &str) -> Self {
        let (client, answer) = Self::connect(addr, &Connect::new(version, id));
        assert_eq!(answer, Answer { code: 0, session_present: false }, "{id}");
        client
    }

    /// Connects with the password that the users of the demo configuration have, and must be let in.
    pub(crate) fn log_in(addr: SocketAddr, version: Version, username: &str) -> Self {
        let (client, answer) = Self::connect(addr, &login(version, username, "secret"));
        assert_eq!(answer.code, 0, "{username}");
        client
    }

    pub(crate) fn send(&mut self, packet: &Packet<'_>) {
        self.send_bytes(&bytes(self.version, std::slice::from_ref(packet)));
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what the broker takes before it closes the connection.
    pub(crate) fn send_as_far_as_possible(&mut self, bytes: &[u8]) {
        // Closing is what is waited for.
        let _ = self.stream.write_all(bytes);
    }

    /// Whether anything has come that was not received yet, or the broker has closed the connection.
    pub(crate) fn has_heard(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        self.used < self.buffer.len()
            || peeked.map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |_| true)
    }

    /// The next packet; none when the broker has closed the connection.
    pub(crate) fn try_receive(&mut self) -> Option<Raw> {
        loop {
            match frame::next(&self.buffer[self.used..], MAX_PACKET_SIZE).unwrap() {
                Next::Whole { len, .. } => {
                    let bytes = self.buffer[self.used..self.used + len].to_vec();
                    self.used += len;
                    return Some(Raw { version: self.version, bytes });
                }
                Next::Partial { .. } => {
                    self.buffer.drain(..self.used);
                    self.used = 0;
                }
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    assert!(self.buffer.is_empty(), "cut off: {:02x?}", self.buffer);
                    return None;
                }
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing came from the broker: {error}"),
            }
        }
    }

    pub(crate) fn receive(&mut self) -> Raw {
        self.try_receive().expect("the broker closed the connection")
    }

    /// The answer to CONNECT.
    pub(crate) fn answer(&mut self) -> Answer {
        let raw = self.receive();
        match raw.packet() {
            Packet::ConnAck(connack) => {
                Answer { code: raw.body()[1], session_present: connack.session_present }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes, and answers the code as it is on the wire.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: QoS) -> u8 {
        self.subscribe_all(&[filter], qos)[0]
    }

    /// Subscribes to several filters in one packet.
    pub(crate) fn subscribe_all(&mut self, filters: &[&str], qos: QoS) -> Vec<u8> {
        let packet_id = self.next_id();
        self.send(&Packet::Subscribe(Subscribe {
            packet_id,
            subscription_identifier: None,
            user_properties: UserProperties::EMPTY,
            subscriptions: filters.iter().map(|filter| Subscription::new(filter, qos)).collect(),
        }));
        let raw = self.next_other();
        match raw.packet() {
            Packet::SubAck(suback) => {
                assert_eq!(suback.packet_id, packet_id);
                raw.body()[raw.body().len() - filters.len()..].to_vec()
            }
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes, and must be allowed to.
    pub(crate) fn subscribed(mut self, filter: &str, qos: QoS) -> Self {
        assert_eq!(self.subscribe(filter, qos), qos as u8, "{filter}");
        self
    }

    /// Publishes, waits until the broker has it, and answers the reason code; 0 where there is none.
    pub(crate) fn publish(&mut self, message: &Outgoing) -> u8 {
        let sent = self.send_publish(message);
        match message.qos {
            QoS::AtMostOnce => 0,
            QoS::AtLeastOnce => {
                let (packet_id, code) = self.puback();
                assert_eq!(Some(packet_id), sent);
                code
            }
            QoS::ExactlyOnce => self.complete(sent.unwrap()),
        }
    }

    /// Publishes, and does not wait for anything.
    pub(crate) fn send_publish(&mut self, message: &Outgoing) -> Option<PacketId> {
        let packet_id = (message.qos != QoS::AtMostOnce).then(|| self.next_id());
        let properties = PublishProperties {
            message: message.properties.as_view(),
            ..PublishProperties::default()
        };
        self.send(&Packet::Publish(Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: &message.topic,
            packet_id,
            properties,
            payload: &message.payload,
        }));
        packet_id
    }

    /// Waits for a PUBACK.
    pub(crate) fn puback(&mut self) -> (PacketId, u8) {
        let raw = self.next_other();
        match raw.packet() {
            Packet::PubAck(ack) => (ack.packet_id, ack.reason as u8),
            other => panic!("{other:?}"),
        }
    }

    fn complete(&mut self, packet_id: PacketId) -> u8 {
        let raw = self.next_other();
        let code = match raw.packet() {
            Packet::PubRec(ack) if ack.packet_id == packet_id => ack.reason as u8,
            other => panic!("{other:?}"),
        };
        if code >= 0x80 {
            return code;
        }
        self.send(&Packet::PubRel(Ack::new(packet_id, ReasonCode::Success)));
        let raw = self.next_other();
        match raw.packet() {
            Packet::PubComp(ack) if ack.packet_id == packet_id => code,
            other => panic!("{other:?}"),
        }
    }

    /// The next message; it is acknowledged.
    pub(crate) fn message(&mut self) -> Message {
        while self.inbox.is_empty() {
            let raw = self.receive();
            assert!(self.deal_with(&raw), "{:?}", raw.packet());
        }
        self.inbox.pop_front().unwrap()
    }

    /// The next packet that is about no message for this client; messages are kept.
    fn next_other(&mut self) -> Raw {
        loop {
            let raw = self.receive();
            if !self.deal_with(&raw) {
                return raw;
            }
        }
    }

    /// Keeps and acknowledges messages; false when the packet is about something else.
    fn deal_with(&mut self, raw: &Raw) -> bool {
        match raw.packet() {
            Packet::Publish(publish) => {
                self.inbox.push_back(Message {
                    topic: publish.topic.to_owned(),
                    payload: publish.payload.to_vec(),
                    qos: publish.qos,
                    retain: publish.retain,
                    properties: publish
                        .properties
                        .message
                        .user_properties()
                        .iter()
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                        .collect(),
                });
                let ack = publish.packet_id.map(|id| Ack::new(id, ReasonCode::Success));
                match (publish.qos, ack) {
                    (QoS::AtLeastOnce, Some(ack)) => self.send(&Packet::PubAck(ack)),
                    (QoS::ExactlyOnce, Some(ack)) => self.send(&Packet::PubRec(ack)),
                    _ => {}
                }
                true
            }
            Packet::PubRel(ack) => {
                self.send(&Packet::PubComp(Ack::new(ack.packet_id, ReasonCode::Success)));
                true
            }
            _ => false,
        }
    }

    /// Asks whether the broker is there.
    pub(crate) fn ping(&mut self) {
        self.send(&Packet::PingReq);
        let raw = self.next_other();
        assert_eq!(raw.packet(), Packet::PingResp);
    }

    /// Leaves properly.
    pub(crate) fn disconnect(mut self) {
        self.send(&Packet::Disconnect(Disconnect::default()));
        assert_eq!(self.end(), None);
    }

    /// Says that nothing more comes from here, and stays to listen.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Leaves without a word.
    pub(crate) fn hang_up(self) {
        // The connection may be lost already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Waits until the broker closes the connection; answers the code of its DISCONNECT, when there was one. What is
    /// about messages and comes before is dropped.
    pub(crate) fn end(&mut self) -> Option<u8> {
        let mut code = None;
        while let Some(raw) = self.try_receive() {
            match raw.packet() {
                Packet::Publish(_) | Packet::PubRel(_) if code.is_none() => {}
                Packet::Disconnect(disconnect) if code.is_none() => {
                    code = Some(disconnect.reason as u8);
                }
                other => panic!("{other:?}"),
            }
        }
        code
    }

    fn next_id(&mut self) -> PacketId {
        self.last_id = if self.last_id == u16::MAX { 1 } else { self.last_id + 1 };
        PacketId::new(self.last_id).unwrap()
    }
}

/// CONNECT with a name and a password; the client identifier is the name.
pub(crate) fn login<'a>(version: Version, username: &'a str, password: &'a str) -> Connect<'a> {
    let mut connect = Connect::new(version, username);
    connect.username = Some(username);
    connect.password = Some(password.as_bytes());
    connect
}

/// The packets one behind the other.
pub(crate) fn bytes(version: Version, packets: &[Packet<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for packet in packets {
        packet.encode(version, &mut bytes).unwrap();
    }
    bytes
}

pub(crate) fn connect_packet<'a>(connect: &Connect<'a>) -> Packet<'a> {
    Packet::Connect(Box::new(connect.clone()))
}
