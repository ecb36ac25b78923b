//! A judge whose answers follow from its generation, and which tells the auditor each of them. Generations are
//! replaced at any moment, also in the middle of a call.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::{Client, ListenerId};
use wasmqtt_core::judge::{Action, Decision, Judge, Refusal, Request, Screened, Transformed};
use wasmqtt_core::message::{Changes, Message};
use wasmqtt_core::time::Moment;

use crate::auditor::Auditor;
use crate::random::hash;

/// Which generation answers from now on; shared by all lanes.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) current: u64,
    seed: u64,
    /// Generation 0 lets everything pass; so does every one of a run without judges.
    is_judged: bool,
    /// Calls in which the generation changes under way.
    flips: u64,
}

impl Bench {
    pub(crate) fn new(seed: u64, is_judged: bool) -> Self {
        Self { current: u64::from(is_judged), seed, is_judged, flips: 0 }
    }

    /// A new generation.
    pub(crate) fn reload(&mut self) {
        if self.is_judged {
            self.current += 1;
        }
    }

    /// A generation that lets everything pass.
    pub(crate) fn open(&mut self) {
        self.is_judged = false;
        self.current = 0;
    }

    fn flip(&mut self) {
        self.flips += 1;
        if self.is_judged && self.flips.is_multiple_of(7) {
            self.current += 1;
        }
    }
}

/// One lane's judge.
pub(crate) struct Scripted {
    bench: Rc<RefCell<Bench>>,
    auditor: Rc<RefCell<Auditor>>,
    generation: u64,
    seed: u64,
}

impl Scripted {
    pub(crate) fn new(bench: Rc<RefCell<Bench>>, auditor: Rc<RefCell<Auditor>>) -> Self {
        let (generation, seed) = (bench.borrow().current, bench.borrow().seed);
        Self { bench, auditor, generation, seed }
    }

    /// Less than `bound`, and the same for the same words in the same generation; zero lets pass.
    fn roll(&self, bound: u64, words: &[&str]) -> u64 {
        match self.generation {
            0 => 0,
            generation => hash(self.seed ^ generation << 32, words) % bound,
        }
    }

    fn is_transforming(&self) -> bool {
        self.generation % 3 == 1
    }
}

impl Judge for Scripted {
    fn begin(&mut self) {
        self.generation = self.bench.borrow().current;
        self.auditor.borrow_mut().begun();
    }

    fn authorize(&mut self, _: Moment, client: &Arc<Client>, request: &Request<'_>) -> Decision {
        let refused = Decision::Deny(Refusal::new(ReasonCode::NotAuthorized));
        let decision = match (request.action, self.roll(10, &[&client.id, request.topic])) {
            (Action::Subscribe, 1) => Decision::AllowUpTo(QoS::AtMostOnce),
            (Action::Subscribe, 2) => Decision::AllowUpTo(QoS::AtLeastOnce),
            (Action::Publish, 1) => Decision::AllowUpTo(QoS::AtLeastOnce),
            (_, 3) => refused,
            _ => Decision::Allow,
        };
        let mut auditor = self.auditor.borrow_mut();
        match request.action {
            Action::Subscribe => auditor.asked_subscribe(&decision),
            Action::Publish | Action::Will => {
                let transforms = self.is_transforming();
                auditor.asked_publish(client, request, &decision, self.generation, transforms);
            }
            Action::Receive => {}
        }
        drop(auditor);
        self.bench.borrow_mut().flip();
        decision
    }

    fn transforms(&self, _: ListenerId, _: &Message) -> bool {
        self.is_transforming()
    }

    fn transform(&mut self, now: Moment, client: &Arc<Client>, message: Message) -> Transformed {
        let mut changes = Changes::default();
        let text = String::from_utf8_lossy(message.payload()).into_owned();
        let roll = self.roll(12, &[&client.id, &text, "transform"]);
        if !text.is_empty() && roll > 0 {
            changes.payload = Some(format!("{text}~g{}", self.generation).into_bytes());
        }
        match roll {
            1 => changes.topic = Some("t/moved".into()),
            2 => changes.qos = Some(QoS::AtLeastOnce),
            3 => changes.expiry = Some(Some(3)),
            4 => changes.retain = Some(false),
            _ => {}
        }
        let transformed = match roll {
            5 => Transformed::Discard,
            6 => Transformed::Reject(Refusal::new(ReasonCode::PayloadFormatInvalid)),
            _ => Transformed::Forward(message.with(&changes, now)),
        };
        let mut auditor = self.auditor.borrow_mut();
        auditor.transformed(self.generation, &message, &transformed);
        drop(auditor);
        self.bench.borrow_mut().flip();
        transformed
    }

    fn screens(&self, _: ListenerId) -> bool {
        self.generation % 4 == 2
    }

    fn screen(
        &mut self,
        now: Moment,
        subscriber: &Arc<Client>,
        message: &Arc<Message>,
    ) -> Screened {
        let text = String::from_utf8_lossy(message.payload()).into_owned();
        let screened = match self.roll(10, &[&subscriber.id, &text, "screen"]) {
            1 => Screened::Skip,
            2 | 3 if !text.is_empty() => {
                let payload = Some(format!("{text}~s{}", self.generation).into_bytes());
                let changes = Changes { payload, ..Changes::default() };
                Screened::Replace(Arc::new(message.with(&changes, now)))
            }
            _ => Screened::Deliver,
        };
        let mut auditor = self.auditor.borrow_mut();
        auditor.screened(&subscriber.id, self.generation, message, &screened);
        drop(auditor);
        self.bench.borrow_mut().flip();
        screened
    }
}
