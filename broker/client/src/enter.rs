//! CONNECT and what it is answered.

use std::time::Duration;

use tokio::time::timeout;
use wasmqtt_codec::frame::MAX_PACKET_SIZE;
use wasmqtt_codec::{
    ConnAck, Connect, ConnectProperties, Disconnect, Packet, QoS, ReasonCode, Version, Will,
};

use crate::dial::Way;
use crate::failure::{Failure, words};
use crate::link::{Event, Link};
use crate::property::{Message, Properties};

/// How long everything until CONNACK may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The will of a client.
#[derive(Clone, Debug)]
pub(crate) struct LastWill {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
}

/// Everything that a connection begins with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) way: Way,
    pub(crate) version: Version,
    pub(crate) client_id: String,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    pub(crate) will: Option<LastWill>,
    pub(crate) properties: Properties,
    pub(crate) verbose: bool,
}

/// What the broker has said about itself.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) session_present: bool,
    pub(crate) receive_maximum: u16,
    maximum_packet_size: u32,
    maximum_qos: QoS,
    retain_available: bool,
}

impl Terms {
    fn new(connack: &ConnAck<'_>) -> Self {
        let properties = &connack.properties;
        Self {
            session_present: connack.session_present,
            receive_maximum: properties.receive_maximum.map_or(u16::MAX, Into::into),
            maximum_packet_size: properties.maximum_packet_size.map_or(MAX_PACKET_SIZE, Into::into),
            maximum_qos: properties.maximum_qos,
            retain_available: properties.retain_available,
        }
    }

    /// Whether the broker takes messages like this; saves it the trouble to close the connection.
    pub(crate) fn allow(&self, qos: QoS, retain: bool, packet: usize) -> Result<(), Failure> {
        let most = self.maximum_packet_size;
        if qos > self.maximum_qos {
            let most = self.maximum_qos as u8;
            return Err(Failure::error(format!("the broker takes QoS {most} at most")));
        }
        if retain && !self.retain_available {
            return Err(Failure::error("the broker keeps no retained messages"));
        }
        if packet > most as usize {
            let told = format!("{packet} bytes are too large a packet: the broker takes {most}");
            return Err(Failure::error(told));
        }
        Ok(())
    }
}

impl Plan {
    /// Connects, and is let in.
    pub(crate) async fn enter(&self) -> Result<(Link, Terms), Failure> {
        let entering = async {
            let stream = self.way.dial().await?;
            let mut link = Link::new(stream, self.version, self.verbose);
            link.send(&Packet::Connect(Box::new(self.connect())))?;
            let terms = self.answer(&mut link).await?;
            Ok((link, terms))
        };
        match timeout(PATIENCE, entering).await {
            Ok(entered) => entered,
            Err(_) => {
                let name = self.way.name();
                Err(Failure::lost(format!("{name} does not answer; is it an MQTT broker?")))
            }
        }
    }

    async fn answer(&self, link: &mut Link) -> Result<Terms, Failure> {
        loop {
            let raw = match link.turn().await {
                Ok(Event::Packet(raw)) => raw,
                Ok(Event::Sent) => continue,
                // What cannot be read is nobody's answer to CONNECT.
                Err(failure) => return Err(self.without_answer(&failure)),
            };
            let packet = raw.packet()?;
            let Packet::ConnAck(connack) = &packet else {
                let told = format!("the broker answers CONNECT with {}", packet.kind());
                return Err(Failure::error(told));
            };
            if connack.reason != ReasonCode::Success {
                return Err(self.refusal(connack));
            }
            let asked = connack.properties.server_keep_alive;
            link.keep_alive(asked.unwrap_or(self.keep_alive));
            return Ok(Terms::new(connack));
        }
    }

    fn without_answer(&self, failure: &Failure) -> Failure {
        let hint = match (&self.way.tls, &self.way.websocket) {
            (None, None) => "; does it want TLS (--tls, --cafile) or WebSocket (--ws) there?",
            (Some(tls), _) if tls.shows => {
                "; it may have refused the certificate, and say why in its log"
            }
            (Some(_), _) => "; does it want a certificate (--cert, --key)?",
            _ => "",
        };
        Failure::lost(format!("{} does not answer CONNECT: {failure}{hint}", self.way.name()))
    }

    fn refusal(&self, connack: &ConnAck<'_>) -> Failure {
        let mut said = connack.properties.reason_string.map(str::to_owned);
        if let Some(other) = connack.properties.server_reference {
            said = Some([said.as_deref().unwrap_or("see"), other].join(" "));
        }
        if connack.reason == ReasonCode::UnsupportedProtocolVersion {
            said = Some(format!("try another version than {} with -V", self.version));
        }
        let what = "the broker refuses the connection";
        Failure::refused(what, self.version, connack.reason, said.as_deref())
    }

    fn connect(&self) -> Connect<'_> {
        let properties = &self.properties.connect;
        let asked = ConnectProperties {
            session_expiry_interval: properties.session_expiry,
            receive_maximum: properties.receive_maximum,
            maximum_packet_size: properties.maximum_packet_size,
            topic_alias_maximum: properties.topic_alias_maximum,
            request_response_information: properties.request_response_information,
            request_problem_information: !properties.no_problem_information,
            user_properties: properties.user.as_view(),
            authentication_method: properties.authentication_method.as_deref(),
            authentication_data: properties.authentication_data.as_deref(),
        };
        Connect {
            version: self.version,
            clean_start: self.clean,
            keep_alive: self.keep_alive,
            client_id: &self.client_id,
            username: self.username.as_deref(),
            password: self.password.as_deref(),
            will: self.will.as_ref().map(|will| will.packet(&self.properties.will)),
            properties: asked,
        }
    }

    /// The packet that ends a connection well.
    pub(crate) fn farewell(&self) -> Packet<'_> {
        let disconnect = &self.properties.disconnect;
        Packet::Disconnect(Disconnect {
            session_expiry_interval: disconnect.session_expiry,
            user_properties: disconnect.user.as_view(),
            ..Disconnect::new(ReasonCode::NORMAL_DISCONNECTION)
        })
    }
}

impl LastWill {
    fn packet<'a>(&'a self, properties: &'a Message) -> Will<'a> {
        Will {
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            payload: &self.payload,
            delay_interval: properties.delay,
            message_expiry_interval: properties.expiry,
            properties: properties.travelling.as_view(),
        }
    }
}

/// What a broker says when it closes the connection.
pub(crate) fn dismissal(disconnect: &Disconnect<'_>) -> Failure {
    let mut said = disconnect.reason_string.map(str::to_owned);
    if let Some(other) = disconnect.server_reference {
        said = Some([said.as_deref().unwrap_or("see"), other].join(" "));
    }
    let told = words(disconnect.reason, said.as_deref());
    let told = format!("the broker closes the connection: {told}");
    let passing = matches!(
        disconnect.reason,
        ReasonCode::ServerShuttingDown | ReasonCode::ServerBusy | ReasonCode::MaximumConnectTime
    );
    if passing {
        return Failure::lost(told);
    }
    let refused = "the broker closes the connection";
    Failure::refused(refused, Version::V5, disconnect.reason, said.as_deref())
}
