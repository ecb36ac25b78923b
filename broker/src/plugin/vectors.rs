//! Test vectors: questions to a plugin with the answers that are expected, as a TOML file says them.
//! Must not know how a plugin is asked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use wasmqtt_codec::{Filter, MessagePropertiesBuf, QoS, Topic, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{Action, Connecting, Permissions};
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::observe::Event;
use wasmqtt_core::time::Moment;

use super::rounds::{Exchange, Happened, Rounds};

/// When every question is asked.
pub(super) const NOW: Moment = Moment(0);

/// One file of vectors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Vectors {
    /// What a `[[plugin]]` table of the configuration would say, name and path aside.
    #[serde(default)]
    pub(super) plugin: toml::Table,
    #[serde(rename = "case")]
    pub(super) cases: Vec<Case>,
}

/// One question, and the answer to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    init: Option<toml::Table>,
    authenticate: Option<Connect>,
    exchange: Option<Exchange>,
    authorize: Option<Request>,
    publish: Option<Publication>,
    deliver: Option<Delivery>,
    events: Option<Vec<Happened>>,
    pub(super) expect: Expected,
}

/// What is asked.
pub(super) enum Question {
    /// Load it with this configuration.
    Init(toml::Table),
    Authenticate(Box<Connecting>),
    Exchange(Box<Rounds>),
    Authorize(Arc<Client>, Asked),
    Publish(Message),
    Deliver(Arc<Client>, Arc<Message>),
    Events(Vec<Event>),
}

/// A request that owns its words.
pub(super) struct Asked {
    pub(super) action: Action,
    pub(super) topic: String,
    pub(super) share_group: Option<String>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
}

/// What is expected: one word, or a table with one key.
#[derive(Debug, Deserialize, Clone, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expected {
    /// It loads.
    Loaded,
    /// It refuses its configuration with a text that contains this.
    InitError(String),
    Abstain,
    Accept(Accepted),
    Refuse(u8),
    /// The client has to answer this, as text.
    Challenge(String),
    Allow,
    AllowUpTo(u8),
    Deny(u8),
    /// With these changes; `{}` for none.
    Forward(Box<Changed>),
    Discard,
    Reject(u8),
    /// It gives no answer, with a text that contains this.
    Failure(String),
    /// It was told, and its metrics stand at these values; those that are not named are not looked at.
    Observed(BTreeMap<String, f64>),
    /// Its registration does not ask for this.
    NotAsked,
}

/// What is looked at of an identity.
#[derive(Debug, Default, Deserialize, Clone, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Accepted {
    pub(super) name: Option<String>,
    pub(super) attributes: Option<BTreeMap<String, String>>,
    pub(super) expires_in: Option<u32>,
}

/// Every change of a message; what is not named must not have changed.
#[derive(Debug, Default, Deserialize, Clone, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Changed {
    pub(super) topic: Option<String>,
    pub(super) payload: Option<String>,
    /// Hexadecimal, for what is no text.
    pub(super) payload_hex: Option<String>,
    pub(super) qos: Option<u8>,
    pub(super) retain: Option<bool>,
    /// Seconds; 0 = never.
    pub(super) expiry: Option<u32>,
    /// Empty = none.
    pub(super) content_type: Option<String>,
    /// All of them, in order.
    pub(super) user_properties: Option<Vec<(String, String)>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Connect {
    client_id: String,
    username: Option<String>,
    password: Option<String>,
    protocol: String,
    peer: String,
    clean_start: bool,
    keep_alive: u16,
    will_topic: Option<String>,
    user_properties: Vec<(String, String)>,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            client_id: String::new(),
            username: None,
            password: None,
            protocol: protocol(),
            peer: peer(),
            clean_start: false,
            keep_alive: 0,
            will_topic: None,
            user_properties: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    #[serde(default)]
    id: String,
    username: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default = "protocol")]
    protocol: String,
    #[serde(default = "peer")]
    peer: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    client: Who,
    action: String,
    topic: String,
    share_group: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    topic: String,
    payload: Option<String>,
    payload_hex: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retain: bool,
    expiry: Option<u32>,
    content_type: Option<String>,
    response_topic: Option<String>,
    correlation_data: Option<String>,
    #[serde(default)]
    user_properties: Vec<(String, String)>,
    /// None for what no client sent.
    client: Option<Who>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    subscriber: Who,
    message: Publication,
}

fn protocol() -> String {
    "5".into()
}

fn peer() -> String {
    "192.0.2.1:1883".into()
}

impl Vectors {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the vectors in {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("the vectors in {}", path.display()))
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let vectors: Self = toml::from_str(text)?;
        // A mistake in the last case is told before the first is run.
        for case in &vectors.cases {
            case.question().with_context(|| format!("case `{}`", case.name))?;
        }
        Ok(vectors)
    }
}

impl Case {
    /// What this case asks.
    pub(super) fn question(&self) -> anyhow::Result<Question> {
        let mut questions = Vec::new();
        questions.extend(self.init.clone().map(|config| Ok(Question::Init(config))));
        questions.extend(
            self.authenticate
                .as_ref()
                .map(|it| Ok(Question::Authenticate(Box::new(it.connecting()?)))),
        );
        questions.extend(self.exchange.as_ref().map(Exchange::question));
        questions.extend(self.events.as_ref().map(|all| {
            Ok(Question::Events(all.iter().map(Happened::event).collect::<Result<_, _>>()?))
        }));
        questions.extend(self.authorize.as_ref().map(Request::question));
        questions.extend(self.publish.as_ref().map(|it| Ok(Question::Publish(it.message()?))));
        questions.extend(self.deliver.as_ref().map(|it| {
            Ok(Question::Deliver(it.subscriber.client()?, Arc::new(it.message.message()?)))
        }));
        match (questions.pop(), questions.is_empty()) {
            (Some(question), true) => question,
            _ => bail!(
                "name one of init, authenticate, exchange, authorize, publish, deliver and events"
            ),
        }
    }
}

impl Connect {
    pub(super) fn connecting(&self) -> anyhow::Result<Connecting> {
        Ok(Connecting {
            client_id: self.client_id.clone(),
            username: self.username.clone(),
            password: self.password.clone().map(String::into_bytes),
            listener: ListenerId::default(),
            version: version(&self.protocol)?,
            transport: Transport::Tcp,
            peer: self.peer.clone(),
            clean_start: self.clean_start,
            keep_alive: self.keep_alive,
            will_topic: self.will_topic.clone(),
            user_properties: self.user_properties.clone(),
            certificate: None,
            is_certified: false,
        })
    }
}

impl Who {
    fn client(&self) -> anyhow::Result<Arc<Client>> {
        let attributes = self.attributes.iter();
        Ok(Arc::new(Client {
            key: 1,
            id: self.id.as_str().into(),
            name: self.username.as_deref().map(Into::into),
            listener: ListenerId::default(),
            version: version(&self.protocol)?,
            transport: Transport::Tcp,
            peer: self.peer.as_str().into(),
            attributes: attributes.map(|(k, v)| (k.as_str().into(), v.as_str().into())).collect(),
            permissions: Permissions::default(),
            message_expiry_max: 0,
            check_retained_source: false,
        }))
    }
}

impl Request {
    fn question(&self) -> anyhow::Result<Question> {
        let action = match self.action.as_str() {
            "publish" => Action::Publish,
            "subscribe" => Action::Subscribe,
            "receive" => Action::Receive,
            "will" => Action::Will,
            other => bail!("`{other}` is no action; say publish, subscribe, receive or will"),
        };
        if action == Action::Subscribe {
            Filter::parse(&self.topic).with_context(|| format!("`{}`", self.topic))?;
        } else {
            Topic::parse(&self.topic).with_context(|| format!("`{}`", self.topic))?;
        }
        let asked = Asked {
            action,
            topic: self.topic.clone(),
            share_group: self.share_group.clone(),
            qos: qos(self.qos)?,
            retain: self.retain,
        };
        Ok(Question::Authorize(self.client.client()?, asked))
    }
}

impl Publication {
    fn message(&self) -> anyhow::Result<Message> {
        Topic::parse(&self.topic).with_context(|| format!("`{}`", self.topic))?;
        let payload = match (&self.payload, &self.payload_hex) {
            (Some(_), Some(_)) => bail!("payload and payload_hex at once"),
            (_, Some(hex)) => unhex(hex)?,
            (text, None) => text.clone().unwrap_or_default().into_bytes(),
        };
        let mut properties = MessagePropertiesBuf::default();
        properties.set_content_type(self.content_type.as_deref())?;
        properties.set_response_topic(self.response_topic.as_deref())?;
        properties.set_correlation_data(self.correlation_data.as_deref().map(str::as_bytes))?;
        for (name, value) in &self.user_properties {
            properties.add_user_property(name, value)?;
        }
        let publisher = self.client.as_ref().map(Who::client).transpose()?;
        let parts = Parts {
            topic: &self.topic,
            properties: properties.as_view(),
            payload: &payload,
            qos: qos(self.qos)?,
            retain: self.retain,
            origin: if publisher.is_some() { Origin::Client } else { Origin::Plugin },
            expires_at: self.expiry.map(|seconds| NOW.after_secs(seconds)),
        };
        Ok(Message::new(parts, publisher))
    }
}

fn version(protocol: &str) -> anyhow::Result<Version> {
    Ok(match protocol {
        "3.1" => Version::V31,
        "3.1.1" => Version::V311,
        "5" | "5.0" => Version::V5,
        other => bail!("`{other}` is no protocol version; say 3.1, 3.1.1 or 5"),
    })
}

fn qos(qos: u8) -> anyhow::Result<QoS> {
    QoS::try_from(qos).map_err(|_| anyhow::anyhow!("QoS {qos}; say 0, 1 or 2"))
}

/// Bytes from hexadecimal digits; white space between them is not looked at.
pub(super) fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.with_context(|| format!("`{text}` is not hexadecimal"))?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        bail!("`{text}` has an odd number of digits");
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(case: &str) -> String {
        format!("{:#}", Vectors::parse(&format!("[[case]]\nname = \"x\"\n{case}")).unwrap_err())
    }

    #[test]
    fn a_vector_says_everything_that_a_plugin_can_be_asked() {
        let text = r#"
            plugin.grants.topics = ["routed/#"]
            [[case]]
            name = "a message"
            publish = { topic = "a", payload_hex = "00 ff", user_properties = [["k", "v"]], client = { id = "c" } }
            expect.forward = { topic = "routed/a" }
            [[case]]
            name = "a client"
            authenticate = { username = "alice", password = "secret", protocol = "3.1.1" }
            expect = "abstain"
            [[case]]
            name = "a request"
            authorize = { client = { id = "c", attributes = { role = "x" } }, action = "subscribe", topic = "a/#" }
            expect.deny = 0x87
        "#;
        let vectors = Vectors::parse(text).unwrap();
        let [message, client, request] = &vectors.cases[..] else { panic!("{vectors:?}") };
        let Question::Publish(message) = message.question().unwrap() else { panic!() };
        assert_eq!(message.payload(), [0, 255]);
        assert_eq!(message.properties().user_properties().get("k"), Some("v"));
        assert_eq!(message.publisher().map(|client| &*client.id), Some("c"));
        let Question::Authenticate(connecting) = client.question().unwrap() else { panic!() };
        assert_eq!(connecting.password.as_deref(), Some(&b"secret"[..]));
        let Question::Authorize(client, asked) = request.question().unwrap() else { panic!() };
        assert_eq!(client.attribute("role"), Some("x"));
        assert_eq!((asked.action, &*asked.topic), (Action::Subscribe, "a/#"));
        assert_eq!(request.expect, Expected::Deny(0x87));
    }

    #[test]
    fn a_mistake_is_told_with_its_case() {
        let allow = "expect = \"allow\"";
        assert!(refused(allow).contains("case `x`: name one of init"));
        let wildcard = "authorize = { client = {}, action = \"publish\", topic = \"a/#\" }\n";
        assert!(refused(&format!("{wildcard}{allow}")).contains("`a/#`"));
        let action = "authorize = { client = {}, action = \"read\", topic = \"a\" }\n";
        assert!(refused(&format!("{action}{allow}")).contains("`read` is no action"));
        let unknown = "publish = { topic = \"a\", colour = 1 }\n";
        assert!(refused(&format!("{unknown}{allow}")).contains("colour"));
        let hex = "publish = { topic = \"a\", payload_hex = \"0\" }\n";
        assert!(refused(&format!("{hex}{allow}")).contains("odd number"));
        let kind = "events = [{ kind = \"client-danced\" }]\n";
        assert!(refused(&format!("{kind}{allow}")).contains("`client-danced` is no kind of event"));
        let silent = "exchange = { method = \"X\", data = [] }\n";
        assert!(refused(&format!("{silent}{allow}")).contains("at least one round"));
    }
}
