//! A plugin's answer in the words of the vectors, so that it can be compared and shown. Must not know
//! how it was asked.

use std::sync::Arc;

use wasmqtt_core::judge::{Decision, Identity, Request, Step};
use wasmqtt_core::message::{Changes, Message};
use wasmqtt_sandbox::{Admission, Probe, Treatment};

use super::rounds::Rounds;
use super::vectors::{Accepted, Asked, Changed, Expected, NOW, Question, unhex};

/// Asks a plugin. `load` loads it afresh with another configuration.
pub(super) fn ask(
    probe: &mut Probe,
    question: &Question,
    load: &dyn Fn(&toml::Table) -> anyhow::Result<Probe>,
) -> Expected {
    match question {
        Question::Init(config) => match load(config) {
            Ok(_) => Expected::Loaded,
            Err(error) => Expected::InitError(format!("{error:#}")),
        },
        Question::Authenticate(_) if !probe.hooks().authenticate => Expected::NotAsked,
        Question::Authenticate(connecting) => {
            probe.authenticate(connecting).map_or_else(Expected::Failure, admission)
        }
        Question::Exchange(rounds) => exchange(probe, rounds),
        Question::Events(events) => {
            if !events.iter().all(|event| probe.observes(event.kind)) {
                return Expected::NotAsked;
            }
            let told = probe.on_events(events);
            told.map_or_else(Expected::Failure, |()| {
                Expected::Observed(probe.metrics().into_iter().collect())
            })
        }
        Question::Authorize(client, asked) => {
            let request = asked.as_request();
            if !probe.judges(&request) {
                return Expected::NotAsked;
            }
            probe.authorize(client, &request).map_or_else(Expected::Failure, decision)
        }
        Question::Publish(message) => {
            if !probe.wants_publish(message) {
                return Expected::NotAsked;
            }
            let answer = probe.on_publish(NOW, message.clone());
            answer.map_or_else(Expected::Failure, |answer| treatment(probe, message, answer))
        }
        Question::Deliver(subscriber, message) => {
            if !probe.wants_deliver(message) {
                return Expected::NotAsked;
            }
            let answer = probe.on_deliver(NOW, subscriber, &Arc::clone(message));
            answer.map_or_else(Expected::Failure, |answer| treatment(probe, message, answer))
        }
    }
}

impl Asked {
    pub(super) fn as_request(&self) -> Request<'_> {
        Request {
            action: self.action,
            topic: &self.topic,
            share: self.share_group.as_deref(),
            qos: self.qos,
            retain: self.retain,
        }
    }
}

/// Sends the client's data round by round; what counts is the answer to the last of it, or the first that is no challenge.
fn exchange(probe: &mut Probe, rounds: &Rounds) -> Expected {
    let Rounds { connecting, method, data } = rounds;
    if !probe.speaks(method) {
        return Expected::NotAsked;
    }
    let mut progress = None;
    let mut answer = Expected::NotAsked;
    for data in data {
        answer = match probe.exchange(connecting, method, data, progress.as_ref()) {
            Err(error) => return Expected::Failure(error),
            Ok(Err(refusal)) => return Expected::Refuse(refusal.code as u8),
            Ok(Ok(Step::Accept(success))) => return accepted(success.identity),
            Ok(Ok(Step::Challenge { data, progress: next })) => {
                progress = Some(next);
                Expected::Challenge(String::from_utf8_lossy(&data).into_owned())
            }
        };
    }
    answer
}

fn accepted(identity: Identity) -> Expected {
    Expected::Accept(Accepted {
        name: identity.name,
        attributes: Some(identity.attributes.into_iter().collect()),
        expires_in: identity.expires_in,
    })
}

fn admission(admission: Admission) -> Expected {
    match admission {
        Admission::Accept(identity) => accepted(identity),
        Admission::Refuse(refusal) => Expected::Refuse(refusal.code as u8),
        Admission::Abstain => Expected::Abstain,
    }
}

fn decision(decision: Option<Decision>) -> Expected {
    match decision {
        Some(Decision::Allow) => Expected::Allow,
        Some(Decision::AllowUpTo(qos)) => Expected::AllowUpTo(qos as u8),
        Some(Decision::Deny(refusal)) => Expected::Deny(refusal.code as u8),
        None => Expected::Abstain,
    }
}

fn treatment(probe: &Probe, message: &Message, treatment: Treatment) -> Expected {
    match treatment {
        Treatment::Forward(changes) => {
            let outside = changes.topic.as_deref().filter(|topic| *topic != message.topic());
            if let Some(topic) = outside.filter(|topic| !probe.may_write(topic)) {
                return Expected::Failure(format!(
                    "it moved the message to `{topic}`, outside its grants; add a filter that \
                     matches to plugin.grants.topics"
                ));
            }
            Expected::Forward(Box::new(changed(message, &changes)))
        }
        Treatment::Discard => Expected::Discard,
        Treatment::Reject(refusal) => Expected::Reject(refusal.code as u8),
    }
}

/// What is different after `changes`. A setter that set what was there already changed nothing.
fn changed(before: &Message, changes: &Changes) -> Changed {
    let after = before.with(changes, NOW);
    let mut changed = Changed::default();
    if after.topic() != before.topic() {
        changed.topic = Some(after.topic().into());
    }
    if after.payload() != before.payload() {
        match std::str::from_utf8(after.payload()) {
            Ok(text) => changed.payload = Some(text.into()),
            Err(_) => changed.payload_hex = Some(hex(after.payload())),
        }
    }
    changed.qos = Some(after.qos()).filter(|qos| *qos != before.qos()).map(|qos| qos as u8);
    changed.retain = Some(after.retain()).filter(|retain| *retain != before.retain());
    if after.expires_at() != before.expires_at() {
        changed.expiry = Some(after.expires_at().and_then(|at| at.seconds_left(NOW)).unwrap_or(0));
    }
    let (old, new) = (before.properties(), after.properties());
    if new.content_type() != old.content_type() {
        changed.content_type = Some(new.content_type().unwrap_or_default().into());
    }
    if new.user_properties() != old.user_properties() {
        let all = new.user_properties().iter().map(|(name, value)| (name.into(), value.into()));
        changed.user_properties = Some(all.collect());
    }
    changed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether an answer is the one that was expected.
pub(super) fn fits(expected: &Expected, answer: &Expected) -> bool {
    match (expected, answer) {
        (Expected::InitError(part), Expected::InitError(text))
        | (Expected::Failure(part), Expected::Failure(text)) => text.contains(part.as_str()),
        (Expected::Accept(wanted), Expected::Accept(found)) => {
            (wanted.name.is_none() || wanted.name == found.name)
                && (wanted.attributes.is_none() || wanted.attributes == found.attributes)
                && (wanted.expires_in.is_none() || wanted.expires_in == found.expires_in)
        }
        (Expected::Observed(wanted), Expected::Observed(found)) => {
            wanted.iter().all(|(name, value)| found.get(name) == Some(value))
        }
        (Expected::Forward(wanted), Expected::Forward(found)) => {
            let hex = wanted.payload_hex.as_deref().and_then(|hex| unhex(hex).ok());
            let bytes = found.payload_hex.as_deref().and_then(|hex| unhex(hex).ok());
            let rest = |changed: &Changed| Changed { payload_hex: None, ..changed.clone() };
            hex == bytes && rest(wanted) == rest(found)
        }
        _ => expected == answer,
    }
}

/// An answer as one would write it into the vectors.
pub(super) fn words(answer: &Expected) -> String {
    let pairs = |pairs: Vec<(&str, Option<String>)>| {
        let said = pairs.into_iter().filter_map(|(key, value)| Some(format!("{key} = {}", value?)));
        let said: Vec<String> = said.collect();
        if said.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", said.join(", ")) }
    };
    let text = |value: &Option<String>| value.as_ref().map(|value| format!("{value:?}"));
    match answer {
        Expected::Loaded => "loaded".into(),
        Expected::InitError(error) => format!("init_error = {error:?}"),
        Expected::Abstain => "abstain".into(),
        Expected::Accept(it) => {
            let attributes = it.attributes.as_ref().map(|all| {
                pairs(all.iter().map(|(k, v)| (k.as_str(), Some(format!("{v:?}")))).collect())
            });
            let expires = it.expires_in.map(|seconds| seconds.to_string());
            let known =
                vec![("name", text(&it.name)), ("attributes", attributes), ("expires_in", expires)];
            format!("accept = {}", pairs(known))
        }
        Expected::Refuse(code) => format!("refuse = {code:#04x}"),
        Expected::Challenge(data) => format!("challenge = {data:?}"),
        Expected::Observed(metrics) => {
            let known =
                metrics.iter().map(|(name, value)| (name.as_str(), Some(value.to_string())));
            format!("observed = {}", pairs(known.collect()))
        }
        Expected::Allow => "allow".into(),
        Expected::AllowUpTo(qos) => format!("allow_up_to = {qos}"),
        Expected::Deny(code) => format!("deny = {code:#04x}"),
        Expected::Forward(it) => {
            let properties = it.user_properties.as_ref().map(|all| {
                let all: Vec<_> = all.iter().map(|(k, v)| format!("[{k:?}, {v:?}]")).collect();
                format!("[{}]", all.join(", "))
            });
            let known = vec![
                ("topic", text(&it.topic)),
                ("payload", text(&it.payload)),
                ("payload_hex", text(&it.payload_hex)),
                ("qos", it.qos.map(|qos| qos.to_string())),
                ("retain", it.retain.map(|retain| retain.to_string())),
                ("expiry", it.expiry.map(|seconds| seconds.to_string())),
                ("content_type", text(&it.content_type)),
                ("user_properties", properties),
            ];
            format!("forward = {}", pairs(known))
        }
        Expected::Discard => "discard".into(),
        Expected::Reject(code) => format!("reject = {code:#04x}"),
        Expected::Failure(error) => format!("failure = {error:?}"),
        Expected::NotAsked => "not_asked".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_of_an_identity_is_compared() {
        let found = Accepted {
            name: Some("alice".into()),
            attributes: Some([("role".into(), "x".into())].into()),
            expires_in: None,
        };
        let answer = Expected::Accept(found);
        assert!(fits(&Expected::Accept(Accepted::default()), &answer));
        let bob = Accepted { name: Some("bob".into()), ..Accepted::default() };
        assert!(!fits(&Expected::Accept(bob), &answer));
        let none = Accepted { attributes: Some([].into()), ..Accepted::default() };
        assert!(!fits(&Expected::Accept(none), &answer));
        assert_eq!(words(&answer), r#"accept = { name = "alice", attributes = { role = "x" } }"#);
    }

    #[test]
    fn a_change_that_was_not_expected_is_a_difference() {
        let topic = Changed { topic: Some("a".into()), ..Changed::default() };
        let answer = Expected::Forward(Box::new(topic.clone()));
        assert!(!fits(&Expected::Forward(Box::default()), &answer));
        assert!(fits(&Expected::Forward(Box::new(topic.clone())), &answer));
        let hex = |hex: &str| Changed { payload_hex: Some(hex.into()), ..Changed::default() };
        let found = Expected::Forward(Box::new(hex("00ff")));
        assert!(fits(&Expected::Forward(Box::new(hex("00 FF"))), &found));
        assert!(!fits(&Expected::Forward(Box::new(hex("00"))), &found));
        assert_eq!(words(&answer), r#"forward = { topic = "a" }"#);
    }

    #[test]
    fn an_error_is_expected_by_a_part_of_its_text() {
        let answer = Expected::InitError("init refused its configuration: no users".into());
        assert!(fits(&Expected::InitError("no users".into()), &answer));
        assert!(!fits(&Expected::InitError("no rules".into()), &answer));
        assert!(!fits(&Expected::Loaded, &answer));
    }
}
