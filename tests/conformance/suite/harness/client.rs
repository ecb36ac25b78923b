//! A connection to the broker that answers nothing by itself.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use super::packet::{self, Outgoing, PINGREQ, Version};
use super::prop::Prop;
use super::read::{Ack, Message, Packet, measure, read};
use super::{Broker, Hello, PATIENCE};

/// A client.
pub(crate) struct Client {
    stream: TcpStream,
    version: Version,
    buffer: Vec<u8>,
    inbox: VecDeque<Message>,
    last_id: u16,
    /// Of CONNACK.
    pub(crate) props: Vec<Prop>,
    pub(crate) present: bool,
}

impl Broker {
    /// A connection without CONNECT.
    pub(crate) fn open(&self, version: Version) -> Client {
        let stream = TcpStream::connect(self.addr()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Client {
            stream,
            version,
            buffer: Vec::new(),
            inbox: VecDeque::new(),
            last_id: 0,
            props: Vec::new(),
            present: false,
        }
    }

    /// A client that must be let in.
    pub(crate) fn connect(&self, hello: &Hello) -> Client {
        let mut client = self.open(hello.version);
        client.send(&hello.bytes());
        assert_eq!(client.conn_ack(), 0, "{hello:?}");
        client
    }

    /// A clean one.
    pub(crate) fn client(&self, version: Version, id: &str) -> Client {
        self.connect(&Hello::new(version, id))
    }

    /// The code with which a CONNECT is answered; the connection must be closed then. None when it is closed without
    /// an answer.
    pub(crate) fn refusal(&self, version: Version, bytes: &[u8]) -> Option<u8> {
        let mut client = self.open(version);
        client.send(bytes);
        let code = match client.try_receive() {
            None => return None,
            Some(Packet::ConnAck { code, .. }) => code,
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(client.try_receive(), None);
        Some(code)
    }

    /// Whether it still serves others.
    pub(crate) fn serves(&mut self) {
        assert!(self.is_running(), "the broker is gone");
        self.client(Version::V5, "somebody else").ping();
    }
}

impl Client {
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends what may be too much for the broker's patience: it may hang up in the middle.
    pub(crate) fn send_until_cut(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next packet, of what kind it may be; none when the broker has closed the connection.
    pub(crate) fn try_receive(&mut self) -> Option<Packet> {
        let bytes = self.try_receive_bytes()?;
        let (_, head) = measure(&bytes).unwrap();
        Some(read(self.version, &bytes, head))
    }

    /// As it came.
    pub(crate) fn try_receive_bytes(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((size, _)) = measure(&self.buffer) {
                return Some(self.buffer.drain(..size).collect());
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

    pub(crate) fn receive(&mut self) -> Packet {
        self.try_receive().expect("the broker closed the connection")
    }

    /// Waits for CONNACK; answers its code.
    pub(crate) fn conn_ack(&mut self) -> u8 {
        match self.receive() {
            Packet::ConnAck { present, code, props } => {
                (self.present, self.props) = (present, props);
                code
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits until the broker closes the connection; answers the code of its DISCONNECT, if there is one. Nothing may
    /// come behind that.
    pub(crate) fn end(&mut self) -> Option<u8> {
        let mut code = None;
        while let Some(packet) = self.try_receive() {
            assert_eq!(code, None, "{packet:?} behind DISCONNECT");
            if let Packet::Disconnect { code: told, .. } = packet {
                code = Some(told);
            }
        }
        code
    }

    /// Sends what is wrong: the broker must close, and tell a client of 5.0 why.
    pub(crate) fn fault(&mut self, bytes: &[u8], code: u8) {
        self.send(bytes);
        assert_eq!(self.end(), self.version.code(code), "{:02x?}", &bytes[..bytes.len().min(64)]);
    }

    pub(crate) fn next_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Subscribes; answers the codes.
    pub(crate) fn subscribe(&mut self, filters: &[(&str, u8)], props: &[Prop]) -> Vec<u8> {
        let id = self.next_id();
        self.send(&packet::subscribe(self.version, id, filters, props));
        match self.next_other() {
            Packet::SubAck { id: answered, codes, .. } if answered == id => codes,
            other => panic!("{other:?}"),
        }
    }

    /// Subscribes to one filter with these options, and must be allowed to.
    pub(crate) fn sub(&mut self, filter: &str, options: u8) {
        assert_eq!(self.subscribe(&[(filter, options)], &[]), [options & 3], "{filter}");
    }

    /// Unsubscribes; answers the codes, of which 3.1.1 has none.
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.next_id();
        self.send(&packet::unsubscribe(self.version, id, filters));
        match self.next_other() {
            Packet::UnsubAck { id: answered, codes, .. } if answered == id => codes,
            other => panic!("{other:?}"),
        }
    }

    /// Publishes and waits until the broker has taken it; answers the code.
    pub(crate) fn publish(&mut self, message: &Outgoing) -> u8 {
        let id = self.next_id();
        self.send(&message.bytes(self.version, id));
        match message.qos {
            // The answer to what comes behind it.
            0 => {
                self.ping();
                0
            }
            1 => self.pub_ack(id).code,
            _ => {
                let code = self.pub_rec(id).code;
                if code < 0x80 {
                    self.send(&packet::pubrel(id));
                    assert_eq!(self.pub_comp(id).code, 0);
                }
                code
            }
        }
    }

    /// Publishes text.
    pub(crate) fn say(&mut self, topic: &str, payload: &str, qos: u8) {
        let code = self.publish(&Outgoing::new(topic, payload, qos));
        assert!(code < 0x80, "{topic}: {code:#04x}");
    }

    pub(crate) fn pub_ack(&mut self, id: u16) -> Ack {
        match self.next_other() {
            Packet::PubAck(ack) if ack.id == id => ack,
            other => panic!("PUBACK {id}: {other:?}"),
        }
    }

    pub(crate) fn pub_rec(&mut self, id: u16) -> Ack {
        match self.next_other() {
            Packet::PubRec(ack) if ack.id == id => ack,
            other => panic!("PUBREC {id}: {other:?}"),
        }
    }

    pub(crate) fn pub_rel(&mut self, id: u16) -> Ack {
        match self.next_other() {
            Packet::PubRel(ack) if ack.id == id => ack,
            other => panic!("PUBREL {id}: {other:?}"),
        }
    }

    pub(crate) fn pub_comp(&mut self, id: u16) -> Ack {
        match self.next_other() {
            Packet::PubComp(ack) if ack.id == id => ack,
            other => panic!("PUBCOMP {id}: {other:?}"),
        }
    }

    /// The next message, not acknowledged.
    pub(crate) fn unacknowledged(&mut self) -> Message {
        if let Some(message) = self.inbox.pop_front() {
            return message;
        }
        match self.receive() {
            Packet::Publish(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The next message, with everything its QoS asks for.
    pub(crate) fn message(&mut self) -> Message {
        let message = self.unacknowledged();
        match message.qos {
            0 => {}
            1 => self.send(&packet::puback(message.id)),
            _ => {
                self.send(&packet::pubrec(message.id));
                assert_eq!(self.pub_rel(message.id).code, 0);
                self.send(&packet::pubcomp(message.id));
            }
        }
        message
    }

    /// The payloads of the next messages.
    pub(crate) fn texts(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.message().text().to_owned()).collect()
    }

    /// The next packet that is no message; messages before it are kept.
    pub(crate) fn next_other(&mut self) -> Packet {
        loop {
            match self.receive() {
                Packet::Publish(message) => self.inbox.push_back(message),
                other => return other,
            }
        }
    }

    pub(crate) fn ping(&mut self) {
        self.send(&PINGREQ);
        assert_eq!(self.next_other(), Packet::PingResp);
    }

    /// Nothing has come, and nothing that the broker has in hand is on its way.
    pub(crate) fn hears_nothing(&mut self) {
        // What waits goes out in the turn of the first at the latest, and so before the answer to the second.
        self.ping();
        self.ping();
        assert!(self.inbox.is_empty(), "{:?}", self.inbox);
    }

    /// Nothing comes for so long.
    pub(crate) fn hears_nothing_for(&mut self, time: Duration) {
        std::thread::sleep(time);
        self.hears_nothing();
    }

    /// Leaves as 3.1.1 and 5.0 want it; the broker closes the connection.
    pub(crate) fn disconnect(mut self) {
        self.send(&packet::DISCONNECT);
        assert_eq!(self.end(), None);
    }

    /// Leaves with a reason code; 5.0 only.
    pub(crate) fn disconnect_with(mut self, code: u8, props: &[Prop]) {
        self.send(&packet::disconnect(code, props));
        assert_eq!(self.end(), None);
    }

    /// Sends nothing more, and reads with `next` until the broker has closed.
    pub(crate) fn finish_with(&mut self, next: impl Fn(&mut Self) -> bool) {
        // The broker may have been first.
        let _ = self.stream.shutdown(Shutdown::Write);
        while next(self) {}
    }

    /// Leaves without a word.
    pub(crate) fn vanish(self) {
        self.stream.shutdown(Shutdown::Both).unwrap();
    }
}
