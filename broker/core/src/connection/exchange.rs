//! Enhanced authentication: the AUTH packets before CONNACK, and those of a client that authenticates again while its
//! other packets go on. Must not know any method.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmqtt_codec::{
    Auth, Frame, Packet, PacketType, ReasonCode, UserPropertiesBuf, Version, decode,
};

use super::{Connection, Inbound};
use crate::client::Client;
use crate::connection::handshake::Hello;
use crate::fault::Fault;
use crate::judge::{Connecting, Identity, Progress, Question, Refusal, Step, Success};
use crate::limits::AuthLimits;
use crate::time::Moment;

/// Authentication data, which may be a secret: not for a log.
pub(super) struct Data(pub(super) Vec<u8>);

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// One exchange, from the packet that begins it to its end.
#[derive(Debug)]
struct Exchange {
    deadline: Moment,
    rounds: u16,
    /// Of authentication data, by the client.
    bytes: u32,
    /// What the authenticator left for the client's next packet; none while it is asked.
    progress: Option<Progress>,
}

/// How a client authenticates that named a method in CONNECT.
#[derive(Debug)]
pub(crate) struct Authentication {
    method: Arc<str>,
    bounds: AuthLimits,
    /// Without the password once the client is in.
    connecting: Arc<Connecting>,
    exchange: Option<Exchange>,
    /// What CONNACK has to say beside the method.
    data: Option<Data>,
    is_done: bool,
    /// Re-authentications since.
    count: u32,
    since: Moment,
}

impl Authentication {
    fn begin(&mut self, now: Moment, data: &[u8]) -> Result<Question, Fault> {
        let exchange = Exchange {
            deadline: now.after_secs(self.bounds.timeout),
            rounds: 0,
            bytes: 0,
            progress: None,
        };
        self.exchange = Some(exchange);
        self.question(data, None)
    }

    /// The client answers a challenge.
    fn proceed(&mut self, auth: &Auth<'_>) -> Result<Question, Fault> {
        self.check_method(auth)?;
        let progress = self.exchange.as_mut().and_then(|exchange| exchange.progress.take());
        match progress.filter(|_| auth.reason == ReasonCode::ContinueAuthentication) {
            Some(progress) => self.question(auth.data.unwrap_or_default(), Some(progress)),
            None => Err(Fault::UnexpectedPacket(PacketType::Auth)),
        }
    }

    fn check_method(&self, auth: &Auth<'_>) -> Result<(), Fault> {
        match auth.method {
            Some(method) if *method == *self.method => Ok(()),
            Some(_) => Err(Fault::AuthenticationMethodChanged),
            // The short form says success, which is for a server to say.
            None => Err(Fault::UnexpectedPacket(PacketType::Auth)),
        }
    }

    fn question(&mut self, data: &[u8], progress: Option<Progress>) -> Result<Question, Fault> {
        if let Some(exchange) = &mut self.exchange {
            exchange.rounds = exchange.rounds.saturating_add(1);
            let more = u32::try_from(data.len()).unwrap_or(u32::MAX);
            exchange.bytes = exchange.bytes.saturating_add(more);
            if exchange.rounds > self.bounds.rounds || exchange.bytes > self.bounds.data {
                return Err(Fault::AuthenticationTooLong);
            }
        }
        Ok(Question {
            connecting: Arc::clone(&self.connecting),
            method: Arc::clone(&self.method),
            data: data.to_vec(),
            progress,
        })
    }

    /// Takes an answer: writes the challenge, or gives up the success.
    fn answered(
        &mut self,
        step: Step,
        largest: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<Success>, Fault> {
        match step {
            Step::Challenge { data, progress } => {
                let auth = Auth {
                    reason: ReasonCode::ContinueAuthentication,
                    method: Some(&self.method),
                    data: Some(&*data).filter(|data| !data.is_empty()),
                    ..Auth::default()
                };
                write(&auth, largest, out)?;
                if let Some(exchange) = &mut self.exchange {
                    exchange.progress = Some(progress);
                }
                Ok(None)
            }
            Step::Accept(success) => {
                self.exchange = None;
                Ok(Some(success))
            }
        }
    }

    /// Gives the exchange so much longer.
    pub(super) fn postpone(&mut self, by: Duration) {
        if let Some(exchange) = &mut self.exchange {
            exchange.deadline = exchange.deadline.after(by);
        }
    }

    fn deadline(&self) -> Option<Moment> {
        self.exchange.as_ref().map(|exchange| exchange.deadline)
    }
}

fn write(auth: &Auth<'_>, largest: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
    let start = out.len();
    if auth.encode(Version::V5, out).is_err() || out.len() - start > largest {
        out.truncate(start);
        return Err(Fault::Ordered(ReasonCode::PacketTooLarge));
    }
    Ok(())
}

/// Before CONNACK. The law of use: [`Hello::begin`]; ask; [`Hello::answered`]; where that says nothing, write what is in
/// `out`, read a packet, [`Hello::proceed`], and ask again.
impl Hello {
    /// The first question, for a client that named an authentication method.
    pub fn begin(&mut self, now: Moment, bounds: &AuthLimits) -> Option<Result<Question, Fault>> {
        let (method, data) = self.method.take()?;
        let mut authentication = Authentication {
            method,
            bounds: *bounds,
            connecting: Arc::new(self.connecting.clone()),
            exchange: None,
            data: None,
            is_done: false,
            count: 0,
            since: now,
        };
        let question = authentication.begin(now, &data.0);
        self.authentication = Some(Box::new(authentication));
        Some(question)
    }

    /// When an exchange has to be at its end.
    pub fn deadline(&self) -> Option<Moment> {
        self.authentication.as_ref()?.deadline()
    }

    /// Takes the answer to a question. None when the client has to be asked on: `out` says what.
    pub fn answered(&mut self, step: Step, out: &mut Vec<u8>) -> Result<Option<Identity>, Fault> {
        let largest = self.largest();
        let Some(authentication) = &mut self.authentication else {
            return Err(Fault::UnexpectedPacket(PacketType::Auth));
        };
        let Some(success) = authentication.answered(step, largest, out)? else { return Ok(None) };
        authentication.is_done = true;
        authentication.data = success.data.map(Data);
        Ok(Some(success.identity))
    }

    /// Takes the client's next packet: the next question, or none when it says good-bye. Anything else is a fault
    /// [MQTT-3.1.2-30].
    pub fn proceed(&mut self, frame: Frame<'_>) -> Result<Option<Question>, Fault> {
        match (decode(self.connecting.version, frame)?, &mut self.authentication) {
            (Packet::Auth(auth), Some(authentication)) => authentication.proceed(&auth).map(Some),
            (Packet::Disconnect(_), _) => Ok(None),
            (Packet::Connect(_), _) => Err(Fault::SecondConnect),
            (other, _) => Err(Fault::UnexpectedPacket(other.kind())),
        }
    }

    /// Looks at what came before CONNACK was written, by its first byte: of a client that named a method only
    /// DISCONNECT may [MQTT-3.1.2-30].
    pub fn check_ahead(&self, first: u8) -> Result<(), Fault> {
        match PacketType::of(first) {
            Some(kind) if self.authentication.is_some() && kind != PacketType::Disconnect => {
                Err(Fault::UnexpectedPacket(kind))
            }
            _ => Ok(()),
        }
    }

    /// Whether a method was named and not seen through.
    pub(crate) fn is_unproved(&self) -> bool {
        self.method.is_some()
            || self.authentication.as_ref().is_some_and(|authentication| !authentication.is_done)
    }

    /// For CONNACK: method and data [MQTT-4.12.0-5].
    pub(super) fn proof(&self) -> (Option<&str>, Option<&[u8]>) {
        match &self.authentication {
            Some(authentication) => {
                (Some(&*authentication.method), authentication.data.as_ref().map(|data| &*data.0))
            }
            None => (self.method.as_ref().map(|(method, _)| &**method), None),
        }
    }

    /// What the connection needs to authenticate again. `client_id` is the one it has by now.
    pub(super) fn standing(&self, now: Moment, client_id: &str) -> Option<Box<Authentication>> {
        let authentication = self.authentication.as_ref()?;
        let connecting = Connecting {
            client_id: client_id.to_owned(),
            password: None,
            ..self.connecting.clone()
        };
        Some(Box::new(Authentication {
            method: Arc::clone(&authentication.method),
            bounds: authentication.bounds,
            connecting: Arc::new(connecting),
            exchange: None,
            data: None,
            is_done: true,
            count: 0,
            since: now,
        }))
    }
}

/// On a live connection. The law of use: ask what [`Inbound::Authenticate`] brings, elsewhere, and hand the answer to
/// [`Connection::answered`]; what that gives to [`Broker::renew`](crate::broker::Broker::renew), and what comes of it
/// to [`Connection::renewed`].
impl Connection {
    pub(super) fn authenticate(
        &mut self,
        now: Moment,
        auth: &Auth<'_>,
    ) -> Result<Inbound<'static>, Fault> {
        let unexpected = Fault::UnexpectedPacket(PacketType::Auth);
        // An exchange is for CONNECT to begin [MQTT-4.12.0-7].
        let Some(authentication) = &mut self.authentication else { return Err(unexpected) };
        if auth.reason != ReasonCode::ReAuthenticate {
            return authentication.proceed(auth).map(Inbound::Authenticate);
        }
        authentication.check_method(auth)?;
        if authentication.exchange.is_some() {
            return Err(unexpected);
        }
        let bounds = authentication.bounds;
        if now >= authentication.since.after_secs(bounds.within) {
            (authentication.since, authentication.count) = (now, 0);
        }
        authentication.count += 1;
        if authentication.count > bounds.reauthentications {
            return Err(Fault::TooManyAuthentications);
        }
        authentication.begin(now, auth.data.unwrap_or_default()).map(Inbound::Authenticate)
    }

    /// Takes the answer to a question. None when the client has to be asked on.
    pub fn answered(
        &mut self,
        answer: Result<Step, Refusal>,
        out: &mut Vec<u8>,
    ) -> Result<Option<Success>, Fault> {
        let step = answer.map_err(|refusal| Fault::AuthenticationRefused(refusal.code))?;
        match &mut self.authentication {
            Some(authentication) => authentication.answered(step, self.largest, out),
            None => Err(Fault::UnexpectedPacket(PacketType::Auth)),
        }
    }

    /// CONNECT as it was sent, without the password, of a client that may authenticate again.
    pub fn connecting(&self) -> Option<&Arc<Connecting>> {
        self.authentication.as_ref().map(|authentication| &authentication.connecting)
    }

    /// The client has proved again who it is: tells it so.
    pub fn renewed(
        &mut self,
        client: Arc<Client>,
        expires_at: Option<Moment>,
        data: Option<&[u8]>,
        properties: &UserPropertiesBuf,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(authentication) = &self.authentication else {
            return Err(Fault::UnexpectedPacket(PacketType::Auth));
        };
        let plain = Auth {
            reason: ReasonCode::Success,
            method: Some(&authentication.method),
            data,
            ..Auth::default()
        };
        let full = Auth { user_properties: properties.as_view(), ..plain };
        // Who does not want them, or cannot take them, gets no user properties [MQTT-3.1.2-29], [MQTT-3.15.2-3].
        let told = self.problem_information && write(&full, self.largest, out).is_ok();
        if !told {
            write(&plain, self.largest, out)?;
        }
        self.client = client;
        self.expires_at = expires_at;
        Ok(())
    }

    pub(super) fn exchange_deadline(&self) -> Option<Moment> {
        self.authentication.as_ref()?.deadline()
    }
}
