//! `wasmqtt explain`: which rule or component decides what a client may do. Against a configuration, which is loaded for
//! this, or about a client of a running broker, which is asked over `[admin]`.

mod message;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use wasmqtt_codec::{Filter, QoS, Topic, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{
    Action as CoreAction, Actions, Connecting, Decision, Effect, Identity, Permission, Refusal,
    Request,
};
use wasmqtt_sandbox::{Answer, Decider, Options, Sandbox};

use crate::ask::ask;
use crate::assemble;
use crate::config::{Config, Listener};
use crate::reload::Refused;

pub use self::message::{Content, Outcome, Passed, Routed};
pub use self::told::Coloured;

/// What a client wants to do.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Send a message.
    Publish,
    /// Hold a subscription.
    Subscribe,
    /// Be handed a message.
    Receive,
    /// Leave a will.
    Will,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Publish => "publish to",
            Self::Subscribe => "subscribe to",
            Self::Receive => "receive from",
            Self::Will => "leave a will for",
        }
    }
}

/// What is to be explained.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The client identifier.
    pub client_id: String,
    /// What it wants to do.
    pub action: Action,
    /// A topic name; to subscribe, a filter.
    pub topic: String,
    /// Of the publication, or asked for by the subscription: 0 to 2.
    #[serde(default)]
    pub qos: u8,
    /// Of the publication.
    #[serde(default)]
    pub retain: bool,
    /// What the publication carries; none = nothing.
    #[serde(default)]
    pub message: Option<Content>,
}

/// Who the client is, where no broker knows it.
#[derive(Clone, Debug, Default)]
pub struct Who {
    /// The name of the listener; none = the first one.
    pub listener: Option<String>,
    /// As in CONNECT.
    pub username: Option<String>,
    /// As in CONNECT. With one the authenticators are asked; without it the client is taken for who it says.
    pub password: Option<Vec<u8>>,
    /// As an authenticator would set them.
    pub attributes: Vec<(String, String)>,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// The broker's own rules.
    Broker,
    /// The authenticators: the client is not let in.
    Authentication,
    /// This permission, which came with the identity.
    Permission(String),
    /// The answer of this plugin.
    Plugin(String),
    /// `on_failure` of this plugin, which gave no answer.
    OnFailure(String),
    /// `default` of this listener: nobody had an answer.
    Default(String),
}

/// What somebody who was asked said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// A plugin, or the permissions of the identity.
    pub who: String,
    /// In words.
    pub answer: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The client identifier.
    pub client_id: String,
    /// Its authentication name.
    pub name: Option<String>,
    /// Where it came in.
    pub listener: String,
    /// As in the question.
    pub action: Action,
    /// As in the question.
    pub topic: String,
    /// Whether it may.
    pub allowed: bool,
    /// Up to which QoS, where that is bounded.
    pub max_qos: Option<u8>,
    /// Why not, as the client is told.
    pub reason_code: Option<u8>,
    /// Likewise.
    pub reason: Option<String>,
    /// Who decided.
    pub decided_by: DecidedBy,
    /// Everybody who was asked, in that order.
    pub asked: Vec<Said>,
    /// What transformers make of a publication that is allowed, where there are any.
    #[serde(default)]
    pub passed: Option<Passed>,
}

/// Explains against a configuration: loads its plugins, asks them, and ends them.
///
/// # Errors
/// A question that is none, or why the configuration cannot be used.
pub fn configured(config: &Config, who: &Who, question: &Question) -> anyhow::Result<Explanation> {
    let (number, listener) = listener(config, who.listener.as_deref())?;
    check(question)?;
    let options = Options { cache_dir: crate::cache_dir(), ..Options::default() };
    let sandbox = Sandbox::new(options)?;
    let place = |name: &str| {
        let place = config.listeners.iter().position(|listener| listener.name == name)?;
        Some(ListenerId(u16::try_from(place).ok()?))
    };
    let (plugins, chains) = (assemble::plugins(config), assemble::chains(config, place));
    let prepared = sandbox.prepare(&plugins, &chains);
    let generation =
        prepared.map_err(|errors| anyhow::anyhow!(Refused::Plugins(errors).to_string()))?;
    sandbox.swap(generation);
    let connecting = Connecting {
        client_id: question.client_id.clone(),
        username: who.username.clone(),
        password: who.password.clone(),
        listener: ListenerId(number),
        version: Version::V5,
        transport: Transport::Tcp,
        peer: "127.0.0.1:0".into(),
        clean_start: true,
        keep_alive: 0,
        will_topic: None,
        user_properties: Vec::new(),
        certificate: None,
        is_certified: false,
    };
    let identity = match &who.password {
        Some(_) => sandbox.gate().authenticate(&connecting),
        None => Ok(Identity { attributes: who.attributes.clone(), ..Identity::default() }),
    };
    let limits = assemble::settings(&config.broker, listener, None)?.limits;
    match identity {
        Ok(identity) => {
            let id = &question.client_id;
            let client = Client::admitted(&connecting, &identity, id, 1, &limits);
            explain(&sandbox, &Arc::new(client), &listener.name, question)
        }
        Err(refusal) => {
            let outline = Explanation::outline(question, who.username.clone(), &listener.name);
            Ok(Explanation { decided_by: DecidedBy::Authentication, ..outline.denied(&refusal) })
        }
    }
}

fn listener<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<(u16, &'a Listener)> {
    let mut listeners = (0..).zip(&config.listeners);
    let found = listeners.find(|(_, listener)| name.is_none_or(|name| listener.name == name));
    let names = || -> Vec<&str> { config.listeners.iter().map(|it| it.name.as_str()).collect() };
    found.with_context(|| match name {
        Some(name) => format!("there is no listener `{name}` (there are: {})", names().join(", ")),
        None => "there is no listener".into(),
    })
}

/// Whether the question is one.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(question: &Question) -> anyhow::Result<()> {
    if question.qos > 2 {
        bail!("the QoS is {}: it must be 0 to 2", question.qos);
    }
    if let Some(message) = &question.message {
        message.properties().context("the properties of the message")?;
    }
    let wrong = match question.action {
        Action::Subscribe => Filter::parse(&question.topic).err(),
        _ => Topic::parse(&question.topic).err(),
    };
    wrong.map_or(Ok(()), |error| Err(anyhow::anyhow!("the topic `{}`: {error}", question.topic)))
}

/// Explains what this client may do. Blocks.
///
/// # Errors
/// A question that is none.
pub(crate) fn explain(
    sandbox: &Sandbox,
    client: &Arc<Client>,
    listener: &str,
    question: &Question,
) -> anyhow::Result<Explanation> {
    check(question)?;
    let name = client.name.as_deref().map(str::to_owned);
    let outline = Explanation::outline(question, name, listener);
    let share = match question.action {
        Action::Subscribe => Some(Filter::parse(&question.topic)?),
        _ => None,
    };
    let qos = QoS::try_from(question.qos).unwrap_or(QoS::AtMostOnce);
    let request = Request {
        action: match question.action {
            Action::Publish => CoreAction::Publish,
            Action::Subscribe => CoreAction::Subscribe,
            Action::Receive => CoreAction::Receive,
            Action::Will => CoreAction::Will,
        },
        topic: share.map_or(question.topic.as_str(), |filter| filter.pattern()),
        share: share.and_then(|filter| filter.share()),
        qos,
        retain: question.retain,
    };
    if matches!(question.action, Action::Publish | Action::Will) && is_reserved(&question.topic) {
        let refusal = Refusal::new(wasmqtt_codec::ReasonCode::NotAuthorized);
        let refusal = refusal.because("$SYS is the broker's own");
        return Ok(Explanation { decided_by: DecidedBy::Broker, ..outline.denied(&refusal) });
    }
    let mut asked = Vec::new();
    let (decision, decided_by) = match client.permissions.deciding(&request) {
        Some(permission) => {
            let text = told(permission);
            asked.push(Said { who: "permissions".into(), answer: text.clone() });
            let decision = client.permissions.decide(&request);
            let denied = || Decision::Deny(Refusal::new(wasmqtt_codec::ReasonCode::NotAuthorized));
            (decision.unwrap_or_else(denied), DecidedBy::Permission(text))
        }
        None => {
            asked.push(Said { who: "permissions".into(), answer: "none matches".into() });
            let reasons = sandbox.explain(client, &request);
            let answers = reasons.answers.iter();
            asked.extend(answers.map(|(plugin, answer)| Said {
                who: format!("plugin {plugin}"),
                answer: answered(answer),
            }));
            let decided_by = match reasons.decider {
                Decider::Plugin(plugin) => DecidedBy::Plugin(plugin),
                Decider::OnFailure(plugin) => DecidedBy::OnFailure(plugin),
                Decider::Default => DecidedBy::Default(listener.to_owned()),
            };
            (reasons.decision, decided_by)
        }
    };
    let decided = Explanation { decided_by, asked, ..outline.decided(&decision, qos) };
    decided.passed(sandbox, client, question)
}

/// Topics that no client publishes to.
fn is_reserved(topic: &str) -> bool {
    topic.strip_prefix("$SYS").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn told(permission: &Permission) -> String {
    let Permission { effect, filter, actions, max_qos, retain } = permission;
    let effect = match effect {
        Effect::Allow => "allow",
        Effect::Deny => "deny",
    };
    let Actions { publish, subscribe, receive } = *actions;
    let words = [(publish, "publish"), (subscribe, "subscribe"), (receive, "receive")];
    let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
    let mut text = format!("{effect} {} {filter}", words.join(" and "));
    if let Some(max) = max_qos {
        text.push_str(&format!(" up to QoS {}", *max as u8));
    }
    if let Some(retain) = retain {
        text.push_str(if *retain { " retained" } else { " not retained" });
    }
    text
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::NotAsked => "does not judge this".into(),
        Answer::Abstained => "abstains".into(),
        Answer::Decided(Decision::Allow) => "allows".into(),
        Answer::Decided(Decision::AllowUpTo(max)) => format!("allows up to QoS {}", *max as u8),
        Answer::Decided(Decision::Deny(refusal)) => match &refusal.reason {
            Some(reason) => format!("denies with {}: {reason}", refusal.code),
            None => format!("denies with {}", refusal.code),
        },
        Answer::Failed(why) => format!("gives no answer: {why}"),
    }
}

impl Explanation {
    fn outline(question: &Question, name: Option<String>, listener: &str) -> Self {
        Self {
            client_id: question.client_id.clone(),
            name,
            listener: listener.to_owned(),
            action: question.action,
            topic: question.topic.clone(),
            allowed: true,
            max_qos: None,
            reason_code: None,
            reason: None,
            decided_by: DecidedBy::Broker,
            asked: Vec::new(),
            passed: None,
        }
    }

    fn denied(self, refusal: &Refusal) -> Self {
        Self {
            allowed: false,
            reason_code: Some(refusal.code as u8),
            reason: refusal.reason.as_deref().map(str::to_owned),
            ..self
        }
    }

    /// A subscription or a delivery goes on with a lower QoS, a publication does not.
    fn decided(self, decision: &Decision, qos: QoS) -> Self {
        match decision {
            Decision::Allow => self,
            Decision::Deny(refusal) => self.denied(refusal),
            Decision::AllowUpTo(max) => {
                let lowers = matches!(self.action, Action::Subscribe | Action::Receive);
                let answer = Self { max_qos: Some(*max as u8), ..self };
                match lowers || qos <= *max {
                    true => answer,
                    false => answer.denied(&Refusal::new(wasmqtt_codec::ReasonCode::NotAuthorized)),
                }
            }
        }
    }
}

/// Asks the running broker about one of its clients.
///
/// # Errors
/// When it does not answer, or says why not.
pub fn running(admin: SocketAddr, question: &Question) -> anyhow::Result<Explanation> {
    ask(admin, "/explain", question)
}
