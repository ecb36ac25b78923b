//! One publication: who asked what, who must get it, and which member of a group did.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode, Version, topic};
use wasmqtt_core::broker::Published;
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Decision, Refusal, Request, Transformed};
use wasmqtt_core::message::{Message, Parts};

use super::session::{Entry, Held, Letter, Pushed, Session};
use super::{Auditor, Doing};

/// A message for one member of a group: which one shows when it is pulled.
#[derive(Debug)]
pub(crate) struct Float {
    pub(super) filter: Rc<str>,
    pub(super) letter: Letter,
}

impl Auditor {
    /// A client's publication goes into the core.
    pub(crate) fn publishing(&mut self, client: &Arc<Client>, parts: &Parts<'_>) {
        let letter = Letter {
            topic: parts.topic.into(),
            payload: parts.payload.into(),
            qos: parts.qos,
            retain: parts.retain,
            expires_at: parts.expires_at,
            publisher: (Rc::from(&*client.id), client.key),
            is_moved: false,
        };
        *self.handed.entry(parts.payload.to_vec()).or_default() += 1;
        self.outcome = Some(ReasonCode::NotAuthorized);
        self.is_answered = parts.qos != QoS::AtMostOnce && client.version == Version::V5;
        self.doing = Doing::Publish(letter);
    }

    /// It is done with; the answer must be the right one.
    pub(crate) fn published(&mut self, result: &Result<Published, Refusal>) {
        self.done();
        let code = match result {
            Ok(published) => published.reason(),
            Err(refusal) => refusal.code,
        };
        let expected = self.outcome.take().unwrap_or_default();
        self.check(code == expected, || format!("published with {code} instead of {expected}"));
    }

    /// The judge takes up a new matter.
    pub(crate) fn begun(&mut self) {
        if self.inquiry.take().is_some() {
            self.fail("a new generation was let in between authorize and transform");
        }
    }

    pub(crate) fn asked_subscribe(&mut self, decision: &Decision) {
        self.grants.push_back(match decision {
            Decision::Allow => Ok(QoS::ExactlyOnce),
            Decision::AllowUpTo(most) => Ok(*most),
            Decision::Deny(refusal) => Err(refusal.code),
        });
    }

    pub(crate) fn asked_publish(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
        decision: &Decision,
        generation: u64,
        transforms: bool,
    ) {
        let permitted = match decision {
            Decision::Allow => true,
            Decision::AllowUpTo(most) => request.qos <= *most,
            Decision::Deny(_) => false,
        };
        if let Some(at) = self.screening {
            return self.asked_source(at, client, request, permitted);
        }
        let is_will = request.action == Action::Will;
        self.note(format_args!("judge g{generation} {} {}: {permitted}", client.id, request.topic));
        if is_will && self.is_asked_at_the_door(permitted) {
            return;
        }
        if is_will {
            self.catch_up();
        }
        self.settle();
        let letter = match (is_will, &self.doing) {
            (true, _) => self.take_due(&client.id),
            (false, Doing::Publish(letter)) => Some(letter.clone()),
            _ => None,
        };
        let Some(letter) = letter else {
            return self
                .fail(format!("{} publishes {}, which nobody sent", client.id, request.topic));
        };
        let as_sent = *letter.topic == *request.topic
            && (letter.qos, letter.retain) == (request.qos, request.retain);
        self.check(as_sent, || format!("judged {request:?} instead of {letter:?}"));
        let letter = Letter { publisher: (Rc::from(&*client.id), client.key), ..letter };
        match (permitted, transforms) {
            (false, _) => {}
            (true, true) => self.inquiry = Some((letter, generation, is_will)),
            (true, false) => self.route(&letter, is_will),
        }
    }

    pub(crate) fn transformed(
        &mut self,
        generation: u64,
        message: &Message,
        transformed: &Transformed,
    ) {
        let Some((letter, permitted_by, is_will)) = self.inquiry.take() else {
            return self.fail("transformed without having been authorized");
        };
        self.check(permitted_by == generation, || {
            format!("authorized by generation {permitted_by}, transformed by {generation}")
        });
        let same = *message.payload() == *letter.payload && *message.topic() == *letter.topic;
        self.check(same, || format!("{letter:?} came to the transformer as {message:?}"));
        match transformed {
            Transformed::Forward(message) => {
                let letter = Letter {
                    topic: message.topic().into(),
                    payload: message.payload().into(),
                    qos: message.qos(),
                    retain: message.retain(),
                    expires_at: message.expires_at(),
                    publisher: letter.publisher,
                    is_moved: message.is_moved(),
                };
                self.route(&letter, is_will);
            }
            Transformed::Discard if !is_will => self.outcome = Some(ReasonCode::Success),
            Transformed::Reject(refusal) if !is_will => self.outcome = Some(refusal.code),
            _ => {}
        }
    }

    /// Everybody who must get it gets it in the model, and the store keeps it.
    fn route(&mut self, letter: &Letter, is_will: bool) {
        let mut code = ReasonCode::NoMatchingSubscribers;
        if letter.retain {
            // What a full store refuses, nobody gets, unless there is nobody to tell.
            if !self.keep(letter) && self.is_answered && !is_will {
                self.outcome = Some(ReasonCode::QuotaExceeded);
                return;
            }
            code = ReasonCode::Success;
        }
        let batch = self.next_batch();
        let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
        let mut direct = Vec::new();
        for (id, session) in &self.sessions {
            let own = session.key == letter.publisher.1;
            direct.extend(merged(session, letter, own, batch).map(|entry| (Rc::clone(id), entry)));
            for filter in session.held.keys() {
                if shared(filter).is_some_and(|(_, pattern)| topic::matches(pattern, &letter.topic))
                {
                    *groups.entry(filter).or_default() |= session.is_ready(1 + session.held.len());
                }
            }
        }
        if !(direct.is_empty() && groups.is_empty()) {
            code = ReasonCode::Success;
        }
        // Those that have nobody who is there and has room may lose it.
        self.excused += groups.values().filter(|any_ready| !**any_ready).count();
        self.floating += groups.len();
        self.offered = groups.len();
        let float = |filter: &&str| Float { filter: Rc::from(*filter), letter: letter.clone() };
        self.floats.extend(groups.keys().map(float));
        for (id, entry) in direct {
            let pushed = self.sessions.get_mut(&id).map(|session| session.push(entry));
            if pushed == Some(Pushed::Ends) {
                self.end(&id);
            }
        }
        if let (false, Doing::Publish(sent)) = (is_will, &self.doing) {
            *self.routed.entry(sent.payload.to_vec()).or_default() += 1;
            self.outcome = Some(code);
        }
    }

    /// What waits in every mailbox is what the model has there, and what groups have put there: no more in all than were
    /// routed, and no less unless something happened that may cost some.
    pub(super) fn settle(&mut self) {
        let offered = std::mem::take(&mut self.offered);
        let ids: Vec<Rc<str>> = self.sessions.keys().cloned().collect();
        for id in &ids {
            let Some(session) = self.sessions.get(id) else { continue };
            let key = session.key;
            let is_there = self.broker.session(id).is_some_and(|real| real.key == key);
            // A message of a group was too much for it.
            if !is_there && key > 0 && session.may_end(offered) {
                self.end(id);
            }
        }
        let mut sum = 0;
        let mut wrong = None;
        for (id, session) in &mut self.sessions {
            let Some(real) = self.broker.session(id).filter(|real| real.key == session.key) else {
                continue;
            };
            let (len, least) = (real.mailbox.len(), session.queue.len());
            if len < least {
                wrong = Some(format!("{len} messages wait for {id} instead of {least}"));
            }
            if !session.held.keys().chain(session.shares.keys()).any(|f| shared(f).is_some())
                && len > least
            {
                wrong = Some(format!("{len} messages wait for {id} instead of {least}"));
            }
            session.shared = len.saturating_sub(least);
            session.is_told |= session.holder.is_some() && session.is_full();
            sum += session.shared;
        }
        if let Some(wrong) = wrong {
            self.fail(wrong);
        }
        let (most, floats) = (self.floating, self.floats.len());
        let least = if self.is_loose { 0 } else { most.saturating_sub(self.excused) };
        let right = (least..=floats.max(most)).contains(&sum) && sum <= floats;
        self.check(right, || format!("{sum} messages wait in groups, of {least} to {most}"));
        (self.floating, self.excused, self.is_loose) = (sum, 0, false);
    }

    /// The model of the retained store. False when it is full.
    fn keep(&mut self, letter: &Letter) -> bool {
        if letter.payload.is_empty() {
            self.retained.remove(&letter.topic);
            return true;
        }
        let size = |letter: &Letter| letter.topic.len() + letter.payload.len();
        let others = || self.retained.values().filter(|kept| kept.topic != letter.topic);
        let bytes = others().map(size).sum::<usize>() + size(letter);
        if others().count() + 1 > self.limits.max_retained_messages
            || bytes > self.limits.max_retained_bytes
        {
            return false;
        }
        self.retained.insert(Rc::clone(&letter.topic), letter.clone());
        true
    }

    /// Retained messages whose time is over are forgotten.
    pub(crate) fn retained_expired(&mut self) {
        let now = self.now;
        self.retained.retain(|_, letter| letter.expires_at.is_none_or(|at| at > now));
    }

    /// Retained messages for a new subscription.
    pub(super) fn replay(&mut self, id: &str, pattern: &str, held: &Held) {
        let batch = self.next_batch();
        let now = self.now;
        let found: Vec<Entry> = self
            .retained
            .values()
            .filter(|letter| topic::matches(pattern, &letter.topic))
            .filter(|letter| letter.expires_at.is_none_or(|at| at > now))
            .filter(|letter| !(held.no_local && *letter.publisher.0 == *id))
            .map(|letter| {
                let replayed = entry(letter, [held].into_iter(), batch);
                Entry { stored: true, retain: true, ..replayed }
            })
            .collect();
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.queue.extend(found);
    }
}

/// Name and pattern of a shared subscription.
pub(super) fn shared(filter: &str) -> Option<(&str, &str)> {
    filter.strip_prefix("$share/")?.split_once('/')
}

/// What one session's own subscriptions come to.
fn merged(session: &Session, letter: &Letter, own: bool, batch: u64) -> Option<Entry> {
    let held: Vec<&Held> = session
        .held
        .iter()
        .filter(|(filter, _)| shared(filter).is_none())
        .filter(|(filter, _)| topic::matches(filter, &letter.topic))
        .map(|(_, held)| held)
        .filter(|held| !(own && held.no_local))
        .collect();
    (!held.is_empty()).then(|| entry(letter, held.into_iter(), batch))
}

fn entry<'a>(letter: &Letter, held: impl Iterator<Item = &'a Held> + Clone, batch: u64) -> Entry {
    let granted = held.clone().map(|held| held.qos).max().unwrap_or(QoS::AtMostOnce);
    let as_published = held.clone().any(|held| held.retain_as_published);
    let mut identifiers: Vec<u32> = held.filter_map(|held| held.identifier).collect();
    identifiers.sort_unstable();
    Entry {
        letter: letter.clone(),
        qos: letter.qos.min(granted),
        retain: as_published && letter.retain,
        stored: false,
        identifiers,
        batch,
        share: None,
    }
}
