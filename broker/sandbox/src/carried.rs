//! Answers that were looked up to see whether somebody would have to be waited for, kept until they are used for the same
//! packet: what is forgotten for everybody in between is not asked for where nobody can wait. Must not know who answered.

use std::sync::Arc;

use wasmqtt_codec::QoS;
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Request};

use crate::decisions::Recalled;

/// Of one packet: no more than it has questions.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    notes: Vec<Note>,
    /// Where the next question is likely to be found: they are asked in the order in which they were looked up.
    next: usize,
}

#[derive(Debug)]
struct Note {
    client: u64,
    action: Action,
    topic: Box<str>,
    share: Option<Box<str>>,
    qos: QoS,
    retain: bool,
    recalled: Recalled,
}

impl Note {
    fn is_about(&self, client: &Client, request: &Request<'_>) -> bool {
        self.client == client.key
            && *self.topic == *request.topic
            && self.action == request.action
            && self.share.as_deref() == request.share
            && (self.qos, self.retain) == (request.qos, request.retain)
    }
}

impl Carried {
    /// Another packet.
    #[inline]
    pub(crate) fn clear(&mut self) {
        if !self.notes.is_empty() {
            *self = Self::default();
        }
    }

    /// Keeps what was looked up.
    pub(crate) fn keep(&mut self, client: &Arc<Client>, request: &Request<'_>, found: &Recalled) {
        self.notes.push(Note {
            client: client.key,
            action: request.action,
            topic: request.topic.into(),
            share: request.share.map(Into::into),
            qos: request.qos,
            retain: request.retain,
            recalled: found.clone(),
        });
    }

    /// What was found about this request.
    #[inline]
    pub(crate) fn find(&mut self, client: &Arc<Client>, request: &Request<'_>) -> Option<Recalled> {
        if self.notes.is_empty() {
            return None;
        }
        let (before, after) = self.notes.split_at(self.next.min(self.notes.len()));
        let later = after.iter().chain(before).position(|note| note.is_about(client, request))?;
        let place = (self.next + later) % self.notes.len();
        self.next = place + 1;
        self.notes.get(place).map(|note| note.recalled.clone())
    }
}

#[cfg(test)]
mod tests {
    use wasmqtt_core::judge::{Decision, Permissions};

    use super::*;
    use crate::testing::{client, publish};

    #[test]
    fn each_question_finds_what_was_found_about_it_in_whatever_order() {
        let (client, mut carried) = (client(Permissions::default()), Carried::default());
        assert_eq!(carried.find(&client, &publish("a")), None);
        let of = |n: usize| Recalled::Answer(Some(n), Decision::Allow);
        for (n, topic) in ["a", "b", "c"].iter().enumerate() {
            carried.keep(&client, &publish(topic), &of(n));
        }
        for (n, topic) in [(0, "a"), (1, "b"), (2, "c"), (0, "a"), (2, "c"), (1, "b"), (1, "b")] {
            assert_eq!(carried.find(&client, &publish(topic)), Some(of(n)), "{topic}");
        }
        assert_eq!(carried.find(&client, &publish("d")), None);
        let retained = Request { retain: true, ..publish("a") };
        assert_eq!(carried.find(&client, &retained), None);
        carried.clear();
        assert_eq!(carried.find(&client, &publish("a")), None);
    }
}
