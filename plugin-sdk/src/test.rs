//! Test doubles for the host: a message whose staged changes can be asserted, a connecting client, a
//! clock that stands still, the log. Not part of a component.

pub(crate) mod kv;
pub(crate) mod metrics;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, SystemTime};

pub use crate::http::fake::set_http;
use crate::log::Level;
pub use crate::publisher::fake::{set_publisher_room, take_published};
use crate::revocation::Subject;
use crate::{
    Client, Connect, Origin, Plugin, Protocol, Qos, Registration, Transport, UserProperty,
};

pub use kv::set_kv_limit;
pub use metrics::metric;

/// Lines kept for [`take_log`]; the oldest go first.
const LOG_LINES: usize = 1_000;
/// Revocations kept for [`take_revoked`].
const REVOKED_MAX: usize = 1_000;

thread_local! {
    static CLOCK: Cell<Option<Duration>> = const { Cell::new(None) };
    static CLIENTS: RefCell<HashMap<u64, ClientDetails>> = RefCell::new(HashMap::new());
    static REVOKED: RefCell<VecDeque<Subject>> = const { RefCell::new(VecDeque::new()) };
    static CONNECTED: RefCell<HashSet<String>> = RefCell::new(HashSet::new());
    static DISCONNECTED: RefCell<Vec<(String, u8, Option<String>)>> = const { RefCell::new(Vec::new()) };
    static LOG: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Makes a plugin from a configuration in JSON, as the broker does.
///
/// # Errors
/// The text the operator would read.
pub fn init<P: Plugin>(config: &str) -> Result<(P, Registration), String> {
    crate::init::init(config)
}

/// Stops the clock of this thread at a time since the Unix epoch.
pub fn set_clock(now: Duration) {
    CLOCK.set(Some(now));
}

pub(crate) fn clock() -> Duration {
    CLOCK.get().unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
    })
}

pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(())
}

/// The lines that this thread has logged since the last call, as in "warn: no such user"; the last
/// 1,000 of them.
pub fn take_log() -> Vec<String> {
    LOG.take().into()
}

pub(crate) fn log(level: Level, message: &str) {
    LOG.with_borrow_mut(|lines| {
        if lines.len() == LOG_LINES {
            lines.pop_front();
        }
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        lines.push_back(format!("{level}: {message}"));
    });
}

/// What this thread has revoked since the last call; the last 1,000 of it.
pub fn take_revoked() -> Vec<Subject> {
    REVOKED.take().into()
}

pub(crate) fn revoke(subject: Subject) {
    REVOKED.with_borrow_mut(|revoked| {
        if revoked.len() == REVOKED_MAX {
            revoked.pop_front();
        }
        revoked.push_back(subject);
    });
}

/// The clients that are connected, for [`revocation::disconnect`](crate::revocation::disconnect) on this thread.
pub fn set_connected<'a>(clients: impl IntoIterator<Item = &'a str>) {
    CONNECTED.set(clients.into_iter().map(str::to_owned).collect());
}

/// The clients that this thread has disconnected since the last call: identifier, reason code and reason.
pub fn take_disconnected() -> Vec<(String, u8, Option<String>)> {
    DISCONNECTED.take()
}

pub(crate) fn disconnect(client_id: &str, code: u8, reason: Option<&str>) -> bool {
    let connected = CONNECTED.with_borrow_mut(|connected| connected.remove(client_id));
    if connected {
        let told = (client_id.to_owned(), code, reason.map(str::to_owned));
        DISCONNECTED.with_borrow_mut(|disconnected| disconnected.push(told));
    }
    connected
}

/// What the broker answers about a client on demand.
#[derive(Debug, Clone, Default)]
pub struct ClientDetails {
    /// What the authenticator gave it.
    pub attributes: HashMap<String, String>,
    /// The name of the listener.
    pub listener: Option<String>,
    /// The MQTT version.
    pub protocol: Option<Protocol>,
    /// Address and port.
    pub peer: Option<String>,
}

/// What the methods of [`Client`] answer on this thread for the client with this key.
pub fn set_client(key: u64, details: ClientDetails) {
    CLIENTS.with_borrow_mut(|clients| clients.insert(key, details));
}

pub(crate) fn client(key: u64) -> Option<ClientDetails> {
    CLIENTS.with_borrow(|clients| clients.get(&key).cloned())
}

impl Client {
    /// A client for tests.
    pub fn new(key: u64, id: impl Into<String>, username: Option<&str>) -> Self {
        Self { key, id: id.into(), username: username.map(str::to_owned) }
    }
}

impl Connect {
    /// An MQTT 5 CONNECT over TCP, without username, for tests.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            username: None,
            password: None,
            listener: "mqtt".to_owned(),
            protocol: Protocol::V5,
            transport: Transport::Tcp,
            peer: "192.0.2.1:51000".to_owned(),
            clean_start: true,
            keep_alive: 60,
            will_topic: None,
            user_properties: Vec::new(),
            certificate: None,
        }
    }

    /// The same with a username and a password.
    pub fn with_password(mut self, username: &str, password: impl Into<Vec<u8>>) -> Self {
        self.username = Some(username.to_owned());
        self.password = Some(password.into());
        self
    }
}

/// What a plugin has set on a message; none where it has set nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// The new topic.
    pub topic: Option<String>,
    /// The new QoS.
    pub qos: Option<Qos>,
    /// The new retain flag.
    pub retain: Option<bool>,
    /// The new payload.
    pub payload: Option<Vec<u8>>,
    /// The new content type; the inner none removes it.
    pub content_type: Option<Option<String>>,
    /// The new expiry in seconds; the inner none removes it.
    pub expiry: Option<Option<u32>>,
    /// All user properties after the changes, as pairs of name and value.
    pub user_properties: Option<Vec<(String, String)>>,
}

/// A message without a broker. Build it with the public fields, hand it to a hook, and assert on
/// [`Message::changes`].
#[derive(Debug, Clone)]
pub struct Message {
    /// The topic it was published to.
    pub topic: String,
    /// The QoS it was published at.
    pub qos: Qos,
    /// The retain flag it came with.
    pub retain: bool,
    /// Where it came from.
    pub origin: Origin,
    /// Who sent it.
    pub publisher: Option<Client>,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its content type.
    pub content_type: Option<String>,
    /// Its response topic.
    pub response_topic: Option<String>,
    /// Its correlation data.
    pub correlation_data: Option<Vec<u8>>,
    /// Seconds left.
    pub expiry: Option<u32>,
    /// Its user properties, as pairs of name and value.
    pub user_properties: Vec<(String, String)>,
    staged: RefCell<Changes>,
}

impl Message {
    /// A QoS 0 message of a client, without properties.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            topic: topic.into(),
            qos: Qos::AtMostOnce,
            retain: false,
            origin: Origin::Client,
            publisher: Some(Client::new(1, "publisher", None)),
            payload: payload.into(),
            content_type: None,
            response_topic: None,
            correlation_data: None,
            expiry: None,
            user_properties: Vec::new(),
            staged: RefCell::default(),
        }
    }

    /// The same with one more user property.
    pub fn with_user_property(mut self, name: &str, value: &str) -> Self {
        self.user_properties.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What was set so far.
    pub fn changes(&self) -> Changes {
        self.staged.borrow().clone()
    }

    fn change_properties(&self, change: impl FnOnce(&mut Vec<(String, String)>)) {
        let mut staged = self.staged.borrow_mut();
        change(staged.user_properties.get_or_insert_with(|| self.user_properties.clone()));
    }

    fn properties<R>(&self, read: impl FnOnce(&[(String, String)]) -> R) -> R {
        read(self.staged.borrow().user_properties.as_ref().unwrap_or(&self.user_properties))
    }
}

impl crate::Message for Message {
    fn topic(&self) -> String {
        self.staged.borrow().topic.clone().unwrap_or_else(|| self.topic.clone())
    }

    fn qos(&self) -> Qos {
        self.staged.borrow().qos.unwrap_or(self.qos)
    }

    fn retain(&self) -> bool {
        self.staged.borrow().retain.unwrap_or(self.retain)
    }

    fn origin(&self) -> Origin {
        self.origin
    }

    fn publisher(&self) -> Option<Client> {
        self.publisher.clone()
    }

    fn payload_size(&self) -> u32 {
        u32::try_from(self.payload().len()).unwrap_or(u32::MAX)
    }

    fn payload(&self) -> Vec<u8> {
        self.staged.borrow().payload.clone().unwrap_or_else(|| self.payload.clone())
    }

    fn payload_range(&self, offset: u32, length: u32) -> Vec<u8> {
        self.payload().into_iter().skip(offset as usize).take(length as usize).collect()
    }

    fn content_type(&self) -> Option<String> {
        self.staged.borrow().content_type.clone().unwrap_or_else(|| self.content_type.clone())
    }

    fn response_topic(&self) -> Option<String> {
        self.response_topic.clone()
    }

    fn correlation_data(&self) -> Option<Vec<u8>> {
        self.correlation_data.clone()
    }

    fn expiry(&self) -> Option<u32> {
        self.staged.borrow().expiry.unwrap_or(self.expiry)
    }

    fn user_property(&self, name: &str) -> Option<String> {
        self.properties(|all| all.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()))
    }

    fn user_properties(&self) -> Vec<UserProperty> {
        let property = |(name, value): &(String, String)| UserProperty {
            name: name.clone(),
            value: value.clone(),
        };
        self.properties(|all| all.iter().map(property).collect())
    }

    fn set_topic(&self, topic: &str) {
        self.staged.borrow_mut().topic = Some(topic.to_owned());
    }

    fn set_qos(&self, qos: Qos) {
        self.staged.borrow_mut().qos = Some(qos);
    }

    fn set_retain(&self, retain: bool) {
        self.staged.borrow_mut().retain = Some(retain);
    }

    fn set_payload(&self, payload: &[u8]) {
        self.staged.borrow_mut().payload = Some(payload.to_owned());
    }

    fn set_content_type(&self, value: Option<&str>) {
        self.staged.borrow_mut().content_type = Some(value.map(str::to_owned));
    }

    fn set_expiry(&self, seconds: Option<u32>) {
        self.staged.borrow_mut().expiry = Some(seconds);
    }

    fn set_user_property(&self, name: &str, value: &str) {
        self.change_properties(|all| {
            let at = all.iter().position(|(n, _)| n == name).unwrap_or(all.len());
            all.retain(|(n, _)| n != name);
            all.insert(at, (name.to_owned(), value.to_owned()));
        });
    }

    fn add_user_property(&self, name: &str, value: &str) {
        self.change_properties(|all| all.push((name.to_owned(), value.to_owned())));
    }

    fn remove_user_property(&self, name: &str) {
        self.change_properties(|all| all.retain(|(n, _)| n != name));
    }
}
