//! The plugins of one listener in their order, and what their answers add up to: the first answer that
//! is not `abstain` is final. The only place that applies failure policies and grants of topics. Must
//! not know instances, generations or wasm.

mod exchange;
mod explain;
mod passage;
mod session;

use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode};
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{
    Action, Connecting, Decision, Identity, Refusal, Request, Screened, Transformed,
};
use wasmqtt_core::message::{Changes, Message};

pub use self::explain::{Answer, Decider, Reasons};
pub use self::passage::{Deed, Passage, Treated};
use crate::convert::Verdict;
use crate::decisions::Recalled;
use crate::error::CallError;
use crate::host::messages::Original;
use crate::options::Fallback;
use crate::plugin::Plugin;
use crate::selection::Selection;
use crate::tally::Hook;

pub(crate) use session::{Instances, Memory, Seat, Session, Spent};

/// Most bytes of a topic, properties and payload together: what any packet can carry.
const MESSAGE_MAX: usize = 268_435_455 - 16;

/// Positions of plugins in their generation.
pub(crate) type Places = Box<[usize]>;

/// The chains of one listener.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    pub(crate) anonymous: bool,
    pub(crate) default: Fallback,
    pub(crate) authenticate: Places,
    pub(crate) authorize: Places,
    /// Those of `authorize` that want to be asked at delivery.
    pub(crate) receive: Places,
    /// Which transformers want which publications.
    pub(crate) publish: Selection,
    /// Which transformers want which deliveries.
    pub(crate) deliver: Selection,
    pub(crate) waits: Waits,
}

/// What in a chain may wait for somebody outside of the broker.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// An authorizer.
    pub(crate) authorize: bool,
    /// Transformers of publications, those among them that have an authorizer asked that waits.
    pub(crate) publish: Places,
}

impl Chain {
    /// Who is this? Blocks.
    pub(crate) fn authenticate(
        &self,
        plugins: &[Plugin],
        connecting: &Connecting,
    ) -> Result<Identity, Refusal> {
        for plugin in self.authenticate.iter().filter_map(|place| plugins.get(*place)) {
            // One that speaks AUTH alone has nothing to say here.
            if !plugin.blueprint.shape.authenticates() {
                continue;
            }
            match plugin.authenticate(connecting) {
                Ok(Some(Ok(identity))) => return Ok(identity),
                Ok(Some(Err(refusal))) => return Err(refusal),
                Ok(None) => {}
                Err(error) => {
                    plugin.complain("authenticate", &error);
                    if !plugin.fails_open() {
                        return Err(Refusal::new(ReasonCode::ServerUnavailable));
                    }
                }
            }
        }
        self.unasked(connecting)
    }

    /// The same, where no plugin has anything to say about it; none = one has to be asked.
    pub(crate) fn authenticate_at_once(
        &self,
        plugins: &[Plugin],
        connecting: &Connecting,
    ) -> Option<Result<Identity, Refusal>> {
        let mut authenticators = self.authenticate.iter().filter_map(|place| plugins.get(*place));
        let asks = authenticators.any(|plugin| plugin.blueprint.shape.authenticates());
        (!asks).then(|| self.unasked(connecting))
    }

    /// What becomes of those about whom no plugin has said anything.
    fn unasked(&self, connecting: &Connecting) -> Result<Identity, Refusal> {
        // Whom nobody refused, whoever issued the certificate has vouched for.
        if connecting.is_certified {
            return Ok(Identity::default());
        }
        // A name that nobody vouched for is not let in where somebody was there to vouch for names.
        let named = connecting.username.is_some();
        if self.anonymous && (!named || self.authenticate.is_empty()) {
            return Ok(Identity::default());
        }
        Err(Refusal::new(match named || connecting.password.is_some() {
            true => ReasonCode::BadUserNameOrPassword,
            false => ReasonCode::NotAuthorized,
        }))
    }

    /// May this client do this? Its own permissions have been looked at before.
    pub(crate) fn authorize(
        &self,
        session: &mut Session<'_>,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Decision {
        let receives = request.action == Action::Receive;
        let places = if receives { &self.receive } else { &self.authorize };
        if places.is_empty() {
            return self.by_default(receives);
        }
        let (mut step, mut asked) = (0, false);
        let (from, decision) = loop {
            match session.recall(client, request, places, step) {
                Recalled::Answer(place, decision) => {
                    session.count_reused(place, &decision);
                    break (place, decision);
                }
                Recalled::Abstained => break (None, self.by_default(receives)),
                Recalled::Ask(at) => step = at,
            }
            let Some(place) = places.get(step).copied() else { continue };
            step += 1;
            match session.ask(place, client, request) {
                Ok(answered) => {
                    asked = true;
                    if let Some(decision) = answered {
                        break (Some(place), decision);
                    }
                }
                // Neither an answer nor reused: the breaker is there for plugins that fail again and again.
                Err(true) => return Decision::Deny(failed()),
                Err(false) => {}
            }
        };
        session.conclude(client, request, from, &decision, asked);
        decision
    }

    /// Whether anything here may wait.
    #[inline]
    pub(crate) fn waits(&self) -> bool {
        self.waits.authorize || !self.waits.publish.is_empty()
    }

    /// Whether an authorizer that may wait might have to be asked.
    pub(crate) fn waits_to_authorize(
        &self,
        session: &mut Session<'_>,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> bool {
        self.waits.authorize
            && match session.recall_for_later(client, request, &self.authorize) {
                Recalled::Answer(..) | Recalled::Abstained => false,
                Recalled::Ask(from) => {
                    let later = self.authorize.get(from..).unwrap_or_default();
                    later.iter().any(|place| session.waits_for(*place, request.action))
                }
            }
    }

    /// Whether a transformer that may wait might have to be asked: what one makes of the message decides whether the
    /// next one wants it.
    pub(crate) fn waits_to_transform(&self, memory: &mut Memory, message: &Message) -> bool {
        !self.waits.publish.is_empty()
            && self.publish.next(&mut memory.selections, message, 0).is_some_and(|(step, _)| {
                let waits = |place: &usize| self.waits.publish.contains(place);
                self.publish.places_from(step).iter().any(waits)
            })
    }

    fn by_default(&self, receives: bool) -> Decision {
        match self.default {
            _ if receives => Decision::Allow,
            Fallback::Allow => Decision::Allow,
            Fallback::Deny => Decision::Deny(Refusal::new(ReasonCode::NotAuthorized)),
        }
    }

    /// What should this publication become?
    pub(crate) fn transform(
        &self,
        session: &mut Session<'_>,
        client: &Arc<Client>,
        mut message: Message,
    ) -> Transformed {
        let mut from = 0;
        while let Some((step, place)) =
            self.publish.next(&mut session.memory.selections, &message, from)
        {
            let now = session.now;
            from = step + 1;
            let Some((plugin, slot)) = session.at(Hook::OnPublish, place) else { continue };
            let (original, result) = plugin.on_publish(slot, now, Original::Owned(message));
            let Some(Original::Owned(original)) = original else {
                return Transformed::Reject(failed());
            };
            message = original;
            match result {
                Ok((Verdict::Forward, changes)) if changes.is_empty() => {}
                Ok((Verdict::Forward, changes)) => {
                    let asking = |session: &mut Session<'_>, request: &Request<'_>| {
                        self.permits(session, client, request)
                    };
                    match commit(session, place, &message, &changes, Action::Publish, asking) {
                        Ok(changed) => message = changed,
                        Err(error) if error.is_breach() => {
                            return Transformed::Reject(Refusal::new(ReasonCode::NotAuthorized));
                        }
                        Err(_) if session.fails_open(place) => {}
                        Err(_) => return Transformed::Reject(failed()),
                    }
                }
                Ok((Verdict::Discard, _)) => return Transformed::Discard,
                Ok((Verdict::Reject(refusal), _)) => return Transformed::Reject(refusal),
                Err(error) => {
                    plugin.complain("on-publish", &error);
                    if !plugin.fails_open() {
                        return Transformed::Reject(failed());
                    }
                }
            }
        }
        Transformed::Forward(message)
    }

    /// May this subscriber have this message, and what should its copy become?
    pub(crate) fn screen(
        &self,
        session: &mut Session<'_>,
        subscriber: &Arc<Client>,
        message: &Arc<Message>,
    ) -> Screened {
        let request = Request {
            action: Action::Receive,
            topic: message.topic(),
            share: None,
            qos: message.qos(),
            retain: message.retain(),
        };
        let mut replacement = match self.decide(session, subscriber, &request) {
            Decision::Allow => None,
            Decision::AllowUpTo(max) if message.qos() <= max => None,
            Decision::AllowUpTo(max) => {
                let lowered = Changes { qos: Some(max), ..Changes::default() };
                Some(Arc::new(message.with(&lowered, session.now)))
            }
            Decision::Deny(_) => return Screened::Skip,
        };
        let mut from = 0;
        loop {
            let current = replacement.as_ref().unwrap_or(message);
            let wanting = self.deliver.next(&mut session.memory.selections, current, from);
            let Some((step, place)) = wanting else { break };
            let now = session.now;
            from = step + 1;
            let Some((plugin, slot)) = session.at(Hook::OnDeliver, place) else { continue };
            let original = Original::Shared(Arc::clone(current));
            match plugin.on_deliver(slot, now, subscriber, original) {
                Ok((Verdict::Forward, changes)) if changes.is_empty() => {}
                Ok((Verdict::Forward, changes)) => {
                    let asking = |session: &mut Session<'_>, request: &Request<'_>| {
                        self.permits(session, subscriber, request)
                    };
                    match commit(session, place, current, &changes, Action::Subscribe, asking) {
                        Ok(changed) => replacement = Some(Arc::new(changed)),
                        Err(error) if error.is_breach() => return Screened::Skip,
                        Err(_) if session.fails_open(place) => {}
                        Err(_) => return Screened::Skip,
                    }
                }
                Ok((Verdict::Discard | Verdict::Reject(_), _)) => return Screened::Skip,
                Err(error) => {
                    plugin.complain("on-deliver", &error);
                    if !plugin.fails_open() {
                        return Screened::Skip;
                    }
                }
            }
        }
        replacement.map_or(Screened::Deliver, Screened::Replace)
    }

    /// The client's own permissions first, then the chain.
    fn decide(
        &self,
        session: &mut Session<'_>,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Decision {
        match client.permissions.decide(request) {
            Some(decision) => decision,
            None => self.authorize(session, client, request),
        }
    }

    fn permits(
        &self,
        session: &mut Session<'_>,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> bool {
        match self.decide(session, client, request) {
            Decision::Allow => true,
            Decision::AllowUpTo(max) => request.qos <= max,
            Decision::Deny(_) => false,
        }
    }
}

/// Applies what a transformer set, all of it or, with an error that was complained about, nothing.
fn commit(
    session: &mut Session<'_>,
    place: usize,
    message: &Message,
    changes: &Changes,
    asking: Action,
    permits: impl Fn(&mut Session<'_>, &Request<'_>) -> bool,
) -> Result<Message, CallError> {
    let Some(plugin) = session.plugins.get(place) else { return Err(CallError::Suspended) };
    // Who is asked about a changed delivery is the subscriber.
    let hook = if asking == Action::Publish { "on-publish" } else { "on-deliver" };
    let moved = changes.topic.as_deref().filter(|topic| topic.as_bytes() != message.topic_bytes());
    let outside = moved.filter(|topic| !plugin.may_write(topic));
    if plugin.spec.reauthorize && (outside.is_some() || is_louder(message, changes)) {
        let topic = moved.unwrap_or_else(|| message.topic());
        let qos = changes.qos.unwrap_or(message.qos());
        let retain = changes.retain.unwrap_or(message.retain());
        let request = Request { action: asking, topic, share: None, qos, retain };
        if !permits(session, &request) {
            let breach = CallError::Rights { topic: topic.into(), qos: qos as u8, retain };
            return Err(complained(plugin, hook, breach));
        }
    } else if let Some(topic) = outside {
        return Err(complained(plugin, hook, CallError::Grant { topic: topic.into() }));
    }
    let changed = message.with(changes, session.now);
    if changed.size() > MESSAGE_MAX {
        let why = "the message it made is larger than any packet".into();
        return Err(complained(plugin, hook, CallError::Invalid(why)));
    }
    Ok(changed)
}

/// Whether a client needs more rights for the changed message than for its own, the topic aside.
fn is_louder(message: &Message, changes: &Changes) -> bool {
    changes.qos.is_some_and(|qos: QoS| qos > message.qos())
        || (changes.retain == Some(true) && !message.retain())
}

fn complained(plugin: &Plugin, hook: &'static str, error: CallError) -> CallError {
    plugin.complain(hook, &error);
    error
}

/// What a client is told when a plugin fails closed.
fn failed() -> Refusal {
    Refusal::new(ReasonCode::ImplementationSpecificError)
}
