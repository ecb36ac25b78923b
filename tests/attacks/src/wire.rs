//! What attacks send, and sockets that never wait for long.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wasmqtt_codec::{
    Connect, ConnectProperties, Packet, PacketId, Publish, PublishProperties, QoS, Subscribe,
    Subscription, UserProperties, Version,
};

/// How long an attacker waits for anything, so that it notices when it is over.
pub(crate) const SHORT: Duration = Duration::from_millis(200);

/// A connection whose reads and writes do not wait for longer than [`SHORT`].
pub(crate) fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, 10 * SHORT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SHORT))?;
    stream.set_write_timeout(Some(SHORT))?;
    Ok(stream)
}

/// Whether the broker has closed it, or reset it; reads what is there.
pub(crate) fn is_closed(stream: &mut TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let mut bytes = [0; 4096];
    let closed = loop {
        match stream.read(&mut bytes) {
            Ok(0) => break true,
            Ok(_) => {}
            Err(error) => break error.kind() != ErrorKind::WouldBlock,
        }
    };
    closed || stream.set_nonblocking(false).is_err()
}

/// Sends as much as the broker takes in [`SHORT`]; answers how much, and whether it is still there.
pub(crate) fn push(stream: &mut impl Write, bytes: &[u8]) -> (usize, bool) {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match stream.write(rest) {
            Ok(0) => return (sent, false),
            Ok(len) => sent += len,
            Err(error) if is_late(&error) => return (sent, true),
            Err(_) => return (sent, false),
        }
    }
    (sent, true)
}

/// Whether only the time was over.
pub(crate) fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What cannot be encoded is not sent, which its test below would notice.
    let _ = packet.encode(Version::V5, &mut bytes);
    bytes
}

/// CONNECT, with a session that is kept for so many seconds.
pub(crate) fn connect(id: &str, session: u32) -> Vec<u8> {
    let properties = ConnectProperties {
        session_expiry_interval: Some(session),
        ..ConnectProperties::default()
    };
    let connect = Connect { clean_start: false, properties, ..Connect::new(Version::V5, id) };
    encoded(&Packet::Connect(Box::new(connect)))
}

pub(crate) fn publish(topic: &str, id: u16, qos: QoS, retain: bool, payload: &[u8]) -> Vec<u8> {
    let packet_id = if qos == QoS::AtMostOnce { None } else { PacketId::new(id) };
    let properties = PublishProperties::default();
    let publish = Publish { dup: false, qos, retain, topic, packet_id, properties, payload };
    encoded(&Packet::Publish(publish))
}

pub(crate) fn subscribe(filter: &str, qos: QoS) -> Vec<u8> {
    encoded(&Packet::Subscribe(Subscribe {
        packet_id: PacketId::MIN,
        subscription_identifier: None,
        user_properties: UserProperties::EMPTY,
        subscriptions: vec![Subscription::new(filter, qos)],
    }))
}

/// A request to upgrade to a WebSocket.
pub(crate) const UPGRADE: &str = "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: mqtt\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_can_be_encoded() {
        let levels = "a/".repeat(30_000);
        for bytes in [
            connect("c", u32::MAX),
            publish(&levels, 7, QoS::ExactlyOnce, true, b"x"),
            publish("a", 0, QoS::AtMostOnce, false, b""),
            subscribe(&levels.replace('a', "+"), QoS::AtLeastOnce),
        ] {
            assert!(bytes.len() > 4);
        }
    }
}
