//! What one worker remembers of the answers that authorizers gave, by client and request: for as long as the plugin
//! said, never longer because it is used, and for a moment where a client insists on what it was denied. Void with the
//! generation, with the identity of the client, and when it is revoked. Must not know wasm or chains.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use wasmqtt_codec::QoS;
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Action, Decision, Refusal, Request, Subject};
use wasmqtt_core::time::Moment;

/// Requests that a worker remembers, of one client and of all; beyond either it starts over with that client, or with
/// all. What fills it costs a guest call each, so that starting over adds little.
const CLIENT_REQUESTS: usize = 1024;
const REQUESTS: usize = 65_536;
/// Bytes of them, likewise. What is larger than the first alone is not remembered.
const CLIENT_BYTES: usize = 512 << 10;
const BYTES: usize = 32 << 20;

/// Denials of one request that are asked for one after the other before the next one is held.
const DENIALS_ASKED: u32 = 4;
/// How long a denial is held at first; twice as long each time, up to the second.
const HOLD_MIN: Duration = Duration::from_millis(100);
const HOLD_MAX: Duration = Duration::from_secs(1);
/// A client that let go of a request for so long is asked about as if it had never insisted.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answers that one worker remembers.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    /// By the client's key.
    clients: HashMap<u64, Shelf, RandomState>,
    hasher: RandomState,
    requests: usize,
    bytes: usize,
}

/// What is remembered about one client.
#[derive(Debug)]
struct Shelf {
    /// A client that comes back under the same key has a new identity. Weak: the memory stays taken, so that no other
    /// client can lie at its address.
    client: Weak<Client>,
    /// By hash.
    requests: HashMap<u64, Entry, RandomState>,
    bytes: usize,
}

/// What is remembered about one request.
#[derive(Debug)]
struct Entry {
    action: Action,
    topic: Box<str>,
    share: Option<Box<str>>,
    qos: QoS,
    retain: bool,
    /// Of plugins that said how long their answer may be reused.
    answers: Vec<Answer>,
    /// Denials in a row that had to be asked for, and the last of them.
    denials: u32,
    denied_at: Moment,
    /// What a client that insists is told, unasked.
    held: Option<(Option<usize>, Refusal, Moment)>,
}

/// What one plugin answered; no decision: it abstained.
#[derive(Debug)]
struct Answer {
    /// Position in the generation.
    place: usize,
    decision: Option<Decision>,
    until: Moment,
}

/// What is known before anybody is asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Recalled {
    /// The answer, and the plugin that gave it; none: all abstained.
    Answer(Option<usize>, Decision),
    /// The plugin at this position of the chain has to be asked.
    Ask(usize),
    /// Every plugin abstains.
    Abstained,
}

impl Decisions {
    /// What plugins `places` of a chain, from position `from` on, are known to answer. `asks` answers whether a plugin
    /// wants to be asked at all.
    #[inline]
    pub(crate) fn recall(
        &self,
        now: Moment,
        client: &Arc<Client>,
        request: &Request<'_>,
        places: &[usize],
        from: usize,
        asks: impl Fn(usize) -> bool,
    ) -> Recalled {
        if places.is_empty() {
            return Recalled::Abstained;
        }
        let entry = self.find(client, request);
        if let Some((place, refusal, _)) = entry.and_then(|entry| entry.held_at(now)) {
            return Recalled::Answer(*place, Decision::Deny(refusal.clone()));
        }
        for (step, place) in places.iter().enumerate().skip(from) {
            if !asks(*place) {
                continue;
            }
            match entry.and_then(|entry| entry.answer_at(now, *place)) {
                None => return Recalled::Ask(step),
                Some(None) => {}
                Some(Some(decision)) => return Recalled::Answer(Some(*place), decision.clone()),
            }
        }
        Recalled::Abstained
    }

    /// Keeps what a plugin answered now for as long as it said.
    pub(crate) fn keep(
        &mut self,
        now: Moment,
        client: &Arc<Client>,
        request: &Request<'_>,
        place: usize,
        decision: Option<&Decision>,
        reuse_ms: u32,
    ) {
        if reuse_ms == 0 {
            return;
        }
        let until = now.after(Duration::from_millis(reuse_ms.into()));
        self.edit(client, request, |entry| {
            entry.answers.retain(|answer| answer.place != place && answer.until > now);
            entry.answers.push(Answer { place, decision: decision.cloned(), until });
        });
    }

    /// Somebody had to be asked, and the answer was no: a client that insists is told so for a moment without asking.
    pub(crate) fn denied(
        &mut self,
        now: Moment,
        client: &Arc<Client>,
        request: &Request<'_>,
        place: Option<usize>,
        refusal: &Refusal,
    ) {
        self.edit(client, request, |entry| {
            if entry.denied_at.after(PATIENCE) < now {
                entry.denials = 0;
            }
            (entry.denials, entry.denied_at) = (entry.denials.saturating_add(1), now);
            entry.held = entry.denials.checked_sub(DENIALS_ASKED).map(|beyond| {
                let hold = (HOLD_MIN * (1 << beyond.min(8))).min(HOLD_MAX);
                (place, refusal.clone(), now.after(hold))
            });
        });
    }

    /// Somebody had to be asked, and the answer was yes.
    pub(crate) fn allowed(&mut self, client: &Arc<Client>, request: &Request<'_>) {
        if self.find(client, request).is_some_and(|entry| entry.denials > 0) {
            self.edit(client, request, |entry| (entry.denials, entry.held) = (0, None));
        }
    }

    /// Forgets what is known about these clients.
    pub(crate) fn forget(&mut self, subject: &Subject) {
        if *subject == Subject::Everyone {
            self.clear();
            return;
        }
        self.clients.retain(|_, shelf| {
            let keep = shelf.client.upgrade().is_some_and(|client| !subject.concerns(&client));
            if !keep {
                self.requests -= shelf.requests.len();
                self.bytes -= shelf.bytes;
            }
            keep
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.clients.clear();
        (self.requests, self.bytes) = (0, 0);
    }

    fn hash(&self, request: &Request<'_>) -> u64 {
        let Request { action, topic, share, qos, retain } = *request;
        self.hasher.hash_one((topic, share, action as u8, qos as u8, retain))
    }

    #[inline]
    fn find(&self, client: &Arc<Client>, request: &Request<'_>) -> Option<&Entry> {
        if self.clients.is_empty() {
            return None;
        }
        let shelf = self.clients.get(&client.key).filter(|shelf| shelf.is_of(client))?;
        shelf.requests.get(&self.hash(request)).filter(|entry| entry.is_about(request))
    }

    /// Changes what is known about a request, within the bounds.
    fn edit(&mut self, client: &Arc<Client>, request: &Request<'_>, edit: impl FnOnce(&mut Entry)) {
        let hash = self.hash(request);
        let known = self.take(client, hash).filter(|entry| entry.is_about(request));
        let mut entry = known.unwrap_or_else(|| Entry::new(request));
        edit(&mut entry);
        let bytes = entry.bytes();
        if bytes > CLIENT_BYTES {
            return;
        }
        if self.requests >= REQUESTS || self.bytes + bytes > BYTES {
            self.clear();
        }
        let shelf = self.clients.entry(client.key).or_insert_with(|| Shelf::new(client));
        let full = shelf.requests.len() >= CLIENT_REQUESTS || shelf.bytes + bytes > CLIENT_BYTES;
        if full || !shelf.is_of(client) {
            self.requests -= shelf.requests.len();
            self.bytes -= shelf.bytes;
            *shelf = Shelf::new(client);
        }
        shelf.requests.insert(hash, entry);
        shelf.bytes += bytes;
        (self.requests, self.bytes) = (self.requests + 1, self.bytes + bytes);
    }

    fn take(&mut self, client: &Arc<Client>, hash: u64) -> Option<Entry> {
        let shelf = self.clients.get_mut(&client.key)?;
        let entry = shelf.requests.remove(&hash)?;
        let bytes = entry.bytes();
        shelf.bytes -= bytes;
        (self.requests, self.bytes) = (self.requests - 1, self.bytes - bytes);
        Some(entry).filter(|_| shelf.is_of(client))
    }
}

impl Shelf {
    fn new(client: &Arc<Client>) -> Self {
        Self { client: Arc::downgrade(client), requests: HashMap::default(), bytes: 0 }
    }

    fn is_of(&self, client: &Arc<Client>) -> bool {
        std::ptr::eq(self.client.as_ptr(), Arc::as_ptr(client))
    }
}

impl Entry {
    fn new(request: &Request<'_>) -> Self {
        Self {
            action: request.action,
            topic: request.topic.into(),
            share: request.share.map(Into::into),
            qos: request.qos,
            retain: request.retain,
            answers: Vec::new(),
            denials: 0,
            denied_at: Moment::default(),
            held: None,
        }
    }

    /// Whether it is about this very request, and not about another one of the same hash.
    fn is_about(&self, request: &Request<'_>) -> bool {
        *self.topic == *request.topic
            && self.action == request.action
            && self.share.as_deref() == request.share
            && (self.qos, self.retain) == (request.qos, request.retain)
    }

    fn held_at(&self, now: Moment) -> Option<&(Option<usize>, Refusal, Moment)> {
        self.held.as_ref().filter(|(_, _, until)| *until > now)
    }

    fn answer_at(&self, now: Moment, place: usize) -> Option<Option<&Decision>> {
        let mut answers = self.answers.iter();
        let answer = answers.find(|answer| answer.place == place && answer.until > now)?;
        Some(answer.decision.as_ref())
    }

    /// What it takes, roughly.
    fn bytes(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |(_, refusal, _)| bytes(refusal));
        let answers = self.answers.iter().map(|answer| match &answer.decision {
            Some(Decision::Deny(refusal)) => size_of::<Answer>() + bytes(refusal),
            _ => size_of::<Answer>(),
        });
        let names = self.topic.len() + self.share.as_ref().map_or(0, |share| share.len());
        size_of::<Self>() + names + held + answers.sum::<usize>()
    }
}

fn bytes(refusal: &Refusal) -> usize {
    let properties = refusal.user_properties.as_view().iter();
    refusal.reason.as_ref().map_or(0, |reason| reason.len())
        + properties.map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use wasmqtt_codec::ReasonCode;
    use wasmqtt_core::judge::Permissions;

    use super::*;
    use crate::testing::{client, publish, request};

    const PLACES: &[usize] = &[3, 5];

    fn at(ms: u64) -> Moment {
        Moment(1_000_000 + ms)
    }

    fn no() -> Refusal {
        Refusal::new(ReasonCode::NotAuthorized)
    }

    /// The cache, and a client that asks it.
    struct Bench(Decisions, Arc<Client>);

    impl Bench {
        fn new() -> Self {
            Self(Decisions::default(), client(Permissions::default()))
        }

        fn recall(&self, ms: u64, request: &Request<'_>) -> Recalled {
            self.0.recall(at(ms), &self.1, request, PLACES, 0, |_| true)
        }

        fn keep(&mut self, ms: u64, topic: &str, decision: &Decision, reuse_ms: u32) {
            self.0.keep(at(ms), &self.1, &publish(topic), 3, Some(decision), reuse_ms);
        }

        /// Guest calls that a client costs which publishes to `topic` every millisecond and is denied by a plugin that
        /// wants to be asked every time.
        fn insist(&mut self, topic: &str, time: std::ops::Range<u64>) -> usize {
            let request = publish(topic);
            let mut calls = 0;
            for ms in time {
                match self.recall(ms, &request) {
                    Recalled::Ask(0) => {
                        calls += 1;
                        self.0.denied(at(ms), &self.1, &request, Some(3), &no());
                    }
                    other => assert_eq!(other, Recalled::Answer(Some(3), Decision::Deny(no()))),
                }
            }
            calls
        }

        fn check_counts(&self) {
            let shelves = || self.0.clients.values();
            assert_eq!(self.0.requests, shelves().map(|shelf| shelf.requests.len()).sum::<usize>());
            assert_eq!(self.0.bytes, shelves().map(|shelf| shelf.bytes).sum::<usize>());
            for shelf in shelves() {
                let bytes: usize = shelf.requests.values().map(Entry::bytes).sum();
                assert_eq!(shelf.bytes, bytes);
                assert!(shelf.requests.len() <= CLIENT_REQUESTS && shelf.bytes <= CLIENT_BYTES);
            }
            assert!(self.0.requests <= REQUESTS && self.0.bytes <= BYTES);
        }
    }

    #[test]
    fn an_answer_is_reused_for_its_time_and_not_longer_because_it_is_used() {
        let mut bench = Bench::new();
        bench.keep(0, "a", &Decision::Allow, 50);
        for ms in 0..50 {
            assert_eq!(bench.recall(ms, &publish("a")), Recalled::Answer(Some(3), Decision::Allow));
        }
        assert_eq!(bench.recall(50, &publish("a")), Recalled::Ask(0));
    }

    #[test]
    fn an_answer_that_is_not_to_be_reused_is_not() {
        let mut bench = Bench::new();
        bench.keep(0, "a", &Decision::Allow, 0);
        assert_eq!(bench.recall(0, &publish("a")), Recalled::Ask(0));
        assert_eq!(bench.0.requests, 0);
    }

    #[test]
    fn only_the_very_same_request_of_the_same_client_is_answered() {
        let mut bench = Bench::new();
        bench.keep(0, "a", &Decision::Allow, 50);
        for other in [
            publish("b"),
            request(Action::Subscribe, "a"),
            Request { share: Some("g"), ..publish("a") },
            Request { qos: QoS::ExactlyOnce, ..publish("a") },
            Request { retain: true, ..publish("a") },
        ] {
            assert_eq!(bench.recall(0, &other), Recalled::Ask(0), "{other:?}");
        }
        let stranger = Arc::new(Client { key: 8, ..(*bench.1).clone() });
        let recalled = bench.0.recall(at(0), &stranger, &publish("a"), PLACES, 0, |_| true);
        assert_eq!(recalled, Recalled::Ask(0));
    }

    #[test]
    fn a_new_identity_of_the_same_session_is_asked_about_anew() {
        let mut bench = Bench::new();
        bench.keep(0, "a", &Decision::Allow, 50);
        bench.1 = Arc::new((*bench.1).clone());
        assert_eq!(bench.recall(0, &publish("a")), Recalled::Ask(0));
        bench.keep(0, "b", &Decision::Allow, 50);
        bench.check_counts();
        assert_eq!(bench.0.requests, 1, "what was known about the old one is gone");
    }

    #[test]
    fn plugins_that_abstain_for_a_while_are_passed_over() {
        let mut bench = Bench::new();
        let (client, request) = (Arc::clone(&bench.1), publish("a"));
        bench.0.keep(at(0), &client, &request, 3, None, 50);
        assert_eq!(bench.recall(0, &request), Recalled::Ask(1));
        bench.0.keep(at(0), &client, &request, 5, Some(&Decision::Allow), 20);
        assert_eq!(bench.recall(0, &request), Recalled::Answer(Some(5), Decision::Allow));
        assert_eq!(bench.recall(20, &request), Recalled::Ask(1));
        bench.0.keep(at(20), &client, &request, 5, None, 20);
        assert_eq!(bench.recall(20, &request), Recalled::Abstained);
        let recalled = bench.0.recall(at(60), &client, &request, PLACES, 0, |place| place == 5);
        assert_eq!(recalled, Recalled::Ask(1), "who does not want to be asked is not");
        bench.check_counts();
    }

    #[test]
    fn a_denied_client_that_insists_costs_few_calls_and_one_that_does_not_is_asked_about() {
        let mut bench = Bench::new();
        let calls = bench.insist("a", 0..10_000);
        assert!((10..=20).contains(&calls), "{calls} calls in ten seconds");
        // Whoever asks four times, or comes back after a while, is asked about.
        assert_eq!(bench.insist("b", 0..4), 4);
        let later = 20_000;
        assert_eq!(bench.insist("a", later..later + 4), 4);
        bench.check_counts();
    }

    #[test]
    fn a_client_that_insists_is_let_through_within_a_second_of_the_change() {
        let mut bench = Bench::new();
        bench.insist("a", 0..10_000);
        let asked =
            (10_000..12_000).find(|ms| bench.recall(*ms, &publish("a")) == Recalled::Ask(0));
        assert!(asked.unwrap() <= 11_000);
        let client = Arc::clone(&bench.1);
        bench.0.allowed(&client, &publish("a"));
        assert_eq!(bench.insist("a", 11_000..11_004), 4, "and is no suspect any more");
    }

    #[test]
    fn a_revocation_voids_what_is_known_about_whom_it_names() {
        let named = |subject| {
            let mut bench = Bench::new();
            bench.keep(0, "a", &Decision::Allow, 50);
            bench.0.forget(&subject);
            bench.check_counts();
            bench.recall(0, &publish("a")) == Recalled::Ask(0)
        };
        assert!(named(Subject::Everyone));
        assert!(named(Subject::ClientId("client".into())));
        assert!(named(Subject::Username("alice".into())));
        assert!(!named(Subject::ClientId("alice".into())));
        assert!(!named(Subject::Username("client".into())));
    }

    #[test]
    fn what_is_remembered_about_one_client_is_bounded_in_requests_and_bytes() {
        let mut bench = Bench::new();
        for number in 0..CLIENT_REQUESTS {
            bench.keep(0, &number.to_string(), &Decision::Allow, 50);
        }
        assert_eq!(bench.recall(0, &publish("0")), Recalled::Answer(Some(3), Decision::Allow));
        bench.keep(0, "one more", &Decision::Allow, 50);
        bench.check_counts();
        assert_eq!(bench.0.requests, 1, "it starts over at the bound");
        let long = "x".repeat(60_000);
        for number in 0..100 {
            bench.keep(0, &format!("{number}{long}"), &Decision::Allow, 50);
            bench.check_counts();
        }
        let long = Decision::Deny(no().because("x".repeat(CLIENT_BYTES)));
        bench.keep(0, "long", &long, 50);
        assert_eq!(bench.recall(0, &publish("long")), Recalled::Ask(0));
        bench.check_counts();
    }

    #[test]
    fn what_is_remembered_about_all_clients_is_bounded() {
        let mut bench = Bench::new();
        let clients = 0..(REQUESTS / CLIENT_REQUESTS) as u64 + 1;
        for key in clients {
            bench.1 = Arc::new(Client { key, ..(*bench.1).clone() });
            for number in 0..CLIENT_REQUESTS {
                bench.keep(0, &number.to_string(), &Decision::Allow, 50);
            }
        }
        bench.check_counts();
        assert_eq!(bench.0.clients.len(), 1, "it starts over at the bound");
        let long = "x".repeat(60_000);
        for key in 0..100 {
            bench.1 = Arc::new(Client { key, ..(*bench.1).clone() });
            for number in 0..8 {
                bench.keep(0, &format!("{number}{long}"), &Decision::Allow, 50);
            }
            bench.check_counts();
        }
    }
}
