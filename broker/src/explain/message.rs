//! What the transformers of a listener make of a message, in words for people and scripts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmqtt_codec::{MessagePropertiesBuf, QoS};
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::Transformed;
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::time::Moment;
use wasmqtt_sandbox::{Decider, Deed, Sandbox, Treated};

use super::{Action, DecidedBy, Explanation, Question, Said};

/// What a message carries beside its topic. Everything has a default.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// Text.
    pub payload: String,
    /// None, or text.
    pub content_type: Option<String>,
    /// In order.
    pub user_properties: Vec<(String, String)>,
}

impl Content {
    /// The properties of the message.
    ///
    /// # Errors
    /// What is wrong with one.
    pub(super) fn properties(&self) -> anyhow::Result<MessagePropertiesBuf> {
        let mut properties = MessagePropertiesBuf::default();
        properties.set_content_type(self.content_type.as_deref())?;
        for (name, value) in &self.user_properties {
            properties.add_user_property(name, value)?;
        }
        Ok(properties)
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// Whether it is routed.
    pub outcome: Outcome,
    /// Every transformer up to the one that ended it, in the order they are asked.
    pub asked: Vec<Said>,
    /// As it is routed.
    pub message: Option<Routed>,
}

/// What became of it in the end.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is routed.
    Forwarded,
    /// Its publisher is told that all is well, and nobody gets it.
    Discarded,
    /// It is refused.
    Rejected,
}

/// A message as it is routed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routed {
    /// Where to.
    pub topic: String,
    /// 0 to 2.
    pub qos: u8,
    /// The flag.
    pub retain: bool,
    /// Seconds; none = for ever.
    pub expiry: Option<u32>,
    /// Where it is text.
    pub payload: Option<String>,
    /// In hexadecimal digits, where it is none.
    pub payload_hex: Option<String>,
    /// None, or text.
    pub content_type: Option<String>,
    /// In order.
    pub user_properties: Vec<(String, String)>,
}

impl Explanation {
    /// The same with what becomes of the message that may be published.
    pub(super) fn passed(
        self,
        sandbox: &Sandbox,
        client: &Arc<Client>,
        question: &Question,
    ) -> anyhow::Result<Self> {
        let publishes = matches!(self.action, Action::Publish | Action::Will);
        if !self.allowed || !publishes {
            return Ok(self);
        }
        let before = message(client, question)?;
        let passage = sandbox.explain_message(client, before.clone());
        if passage.treatments.is_empty() {
            return Ok(self);
        }
        let asked = told(&before, &passage.treatments);
        let decided_by = match passage.decider {
            Some(Decider::Plugin(name)) => DecidedBy::Plugin(name),
            Some(Decider::OnFailure(name)) => DecidedBy::OnFailure(name),
            Some(Decider::Default) | None => self.decided_by.clone(),
        };
        let passed = |outcome, message| Some(Passed { outcome, asked, message });
        Ok(match passage.outcome {
            Transformed::Forward(message) => {
                let message = Some(Routed::of(&message));
                Self { passed: passed(Outcome::Forwarded, message), ..self }
            }
            Transformed::Discard => {
                Self { passed: passed(Outcome::Discarded, None), decided_by, ..self }
            }
            Transformed::Reject(refusal) => {
                let passed = passed(Outcome::Rejected, None);
                Self { passed, decided_by, ..self.denied(&refusal) }
            }
        })
    }
}

fn message(client: &Arc<Client>, question: &Question) -> anyhow::Result<Message> {
    let content = question.message.clone().unwrap_or_default();
    let properties = content.properties()?;
    let origin = match question.action {
        Action::Will => Origin::Will,
        _ => Origin::Client,
    };
    let parts = Parts {
        topic: &question.topic,
        properties: properties.as_view(),
        payload: content.payload.as_bytes(),
        qos: QoS::try_from(question.qos).unwrap_or(QoS::AtMostOnce),
        retain: question.retain,
        origin,
        expires_at: None,
    };
    Ok(Message::new(parts, Some(Arc::clone(client))))
}

/// What each did to what the one before left.
fn told(message: &Message, treatments: &[(String, Treated)]) -> Vec<Said> {
    let mut before = message;
    let mut all = Vec::new();
    for (plugin, Treated { wants, deed }) in treatments {
        let did = match deed {
            Deed::NotAsked => "is not asked: no selector of it wants this message".into(),
            Deed::Kept => "changes nothing".into(),
            Deed::Changed(after) => {
                let text = Routed::of(before).differences(&Routed::of(after));
                before = after;
                text
            }
            Deed::Discarded => "discards it".into(),
            Deed::Rejected(refusal) => match &refusal.reason {
                Some(reason) => format!("rejects it with {}: {reason}", refusal.code),
                None => format!("rejects it with {}", refusal.code),
            },
            Deed::Breached(why) => format!("is refused what it wants: {why}"),
            Deed::Failed(why) => format!("gives no answer: {why}"),
        };
        let answer = match wants {
            Some(wants) => format!("{did} (it wants {wants})"),
            None => did,
        };
        all.push(Said { who: format!("plugin {plugin}"), answer });
    }
    all
}

impl Routed {
    fn of(message: &Message) -> Self {
        let properties = message.properties();
        let text = std::str::from_utf8(message.payload()).ok();
        let hex = || message.payload().iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            topic: message.topic().to_owned(),
            qos: message.qos() as u8,
            retain: message.retain(),
            expiry: message.expires_at().and_then(|at| at.seconds_left(Moment(0))),
            payload: text.map(str::to_owned),
            payload_hex: text.is_none().then(hex),
            content_type: properties.content_type().map(str::to_owned),
            user_properties: properties
                .user_properties()
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// What `after` has instead, in words.
    fn differences(&self, after: &Self) -> String {
        let mut words = Vec::new();
        let mut differs = |what: &str, is: bool, before: String, after: String| {
            if is {
                words.push(format!("{what} {before} -> {after}"));
            }
        };
        differs("topic", self.topic != after.topic, self.topic.clone(), after.topic.clone());
        let payload = |of: &Self| match (&of.payload, &of.payload_hex) {
            (Some(text), _) => format!("{text:?}"),
            (None, hex) => hex.clone().unwrap_or_default(),
        };
        differs("payload", payload(self) != payload(after), payload(self), payload(after));
        differs("QoS", self.qos != after.qos, self.qos.to_string(), after.qos.to_string());
        let retain = |of: &Self| of.retain.to_string();
        differs("retain", self.retain != after.retain, retain(self), retain(after));
        let expiry = |of: &Self| of.expiry.map_or("never".into(), |seconds| format!("{seconds}s"));
        differs("expiry", self.expiry != after.expiry, expiry(self), expiry(after));
        let kind = |of: &Self| of.content_type.clone().unwrap_or("none".into());
        differs("content type", kind(self) != kind(after), kind(self), kind(after));
        let (before, after) = (&self.user_properties, &after.user_properties);
        let pair = |sign: &str, (name, value): &(String, String)| format!("{sign}{name}={value}");
        let gone = before.iter().filter(|it| !after.contains(it)).map(|it| pair("-", it));
        let come = after.iter().filter(|it| !before.contains(it)).map(|it| pair("+", it));
        let properties: Vec<_> = gone.chain(come).collect();
        if !properties.is_empty() {
            words.push(format!("user properties {}", properties.join(" ")));
        } else if before != after {
            words.push("the order of user properties".into());
        }
        match words.is_empty() {
            true => "changes nothing".into(),
            false => format!("changes {}", words.join(", ")),
        }
    }
}
