//! Vectors of what is no single question: the rounds of an AUTH exchange, and batches of events. Must not know how a plugin
//! is asked.

use anyhow::{Context as _, bail};
use serde::Deserialize;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::judge::Connecting;
use wasmqtt_core::observe::{Event, Kind, Subject};

use super::vectors::{Connect, Question};

/// As the contract writes them.
const KINDS: [(&str, Kind); 12] = [
    ("client-connected", Kind::ClientConnected),
    ("client-refused", Kind::ClientRefused),
    ("client-disconnected", Kind::ClientDisconnected),
    ("session-created", Kind::SessionCreated),
    ("session-resumed", Kind::SessionResumed),
    ("session-ended", Kind::SessionEnded),
    ("subscribed", Kind::Subscribed),
    ("subscribe-refused", Kind::SubscribeRefused),
    ("unsubscribed", Kind::Unsubscribed),
    ("publish-refused", Kind::PublishRefused),
    ("message-dropped", Kind::MessageDropped),
    ("plugin-reloaded", Kind::PluginReloaded),
];

/// An AUTH exchange, as far as the client takes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    method: String,
    /// Authentication data of the client, round by round, as text.
    data: Vec<String>,
    #[serde(default)]
    connect: Connect,
}

/// The same, as it is asked.
pub(super) struct Rounds {
    pub(super) connecting: Connecting,
    pub(super) method: String,
    pub(super) data: Vec<Vec<u8>>,
}

/// Something that happened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Happened {
    kind: String,
    client_id: Option<String>,
    username: Option<String>,
    peer: Option<String>,
    topic: Option<String>,
    code: Option<u8>,
    reason: Option<String>,
    plugin: Option<String>,
}

impl Exchange {
    pub(super) fn question(&self) -> anyhow::Result<Question> {
        if self.data.is_empty() {
            bail!("an exchange has at least one round: data = [\"\"] for a client that sends none");
        }
        Ok(Question::Exchange(Box::new(Rounds {
            connecting: self.connect.connecting()?,
            method: self.method.clone(),
            data: self.data.iter().map(|text| text.clone().into_bytes()).collect(),
        })))
    }
}

impl Happened {
    pub(super) fn event(&self) -> anyhow::Result<Event> {
        let known = KINDS.iter().find(|(name, _)| *name == self.kind);
        let (_, kind) = known.with_context(|| {
            let names: Vec<_> = KINDS.iter().map(|(name, _)| *name).collect();
            format!("`{}` is no kind of event; say one of {}", self.kind, names.join(", "))
        })?;
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        let subject = match &self.plugin {
            Some(plugin) => Subject::Plugin(plugin.as_str().into()),
            None => Subject::Stranger {
                id: text(&self.client_id),
                name: text(&self.username),
                peer: self.peer.as_deref().unwrap_or("192.0.2.1:1883").into(),
            },
        };
        let code = self.code.map(ReasonCode::try_from).transpose();
        let code = code.map_err(|_| anyhow::anyhow!("{:?} is no reason code", self.code))?;
        Ok(Event {
            topic: text(&self.topic),
            code,
            reason: text(&self.reason),
            ..Event::new(*kind, subject)
        })
    }
}
