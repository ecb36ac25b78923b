//! The proof that somebody was asked.

use std::sync::Arc;

use wasmqtt_codec::{QoS, ReasonCode};

use super::{Action, Decision, Judge, Refusal, Request, Screened};
use crate::client::Client;
use crate::message::Message;
use crate::time::Moment;

/// Proof that a publication was judged. Cannot be made outside this module, is used up by routing.
#[derive(Debug)]
pub struct Permit(());

/// The client's own permissions first, then the chain of its listener.
pub fn decide(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    request: &Request<'_>,
) -> Decision {
    match client.permissions.decide(request) {
        Some(decision) => decision,
        None => judge.authorize(now, client, request),
    }
}

/// Whether the answer of [`decide`] would have to be waited for.
pub(crate) fn waits(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    request: &Request<'_>,
) -> bool {
    client.permissions.decide(request).is_none() && judge.waits_to_authorize(now, client, request)
}

fn permit(decision: Decision, qos: QoS) -> Result<Permit, Refusal> {
    match decision {
        Decision::Allow => Ok(Permit(())),
        Decision::AllowUpTo(max) if qos <= max => Ok(Permit(())),
        Decision::AllowUpTo(_) => Err(Refusal::new(ReasonCode::NotAuthorized)),
        Decision::Deny(refusal) => Err(refusal),
    }
}

/// Asks whether a client may send this message.
pub(crate) fn authorize_publish(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    topic: &str,
    qos: QoS,
    retain: bool,
) -> Result<Permit, Refusal> {
    let request = Request { action: Action::Publish, topic, share: None, qos, retain };
    permit(decide(judge, now, client, &request), qos)
}

/// The broker may speak of itself, and of nothing else.
pub(crate) fn permit_own(topic: &str) -> Option<Permit> {
    topic.starts_with("$SYS/").then_some(Permit(()))
}

/// Asks whether a client may leave this will, or whether it may be published now.
pub(crate) fn authorize_will(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    will: &Message,
) -> Result<Permit, Refusal> {
    let request = Request {
        action: Action::Will,
        topic: will.topic(),
        share: None,
        qos: will.qos(),
        retain: will.retain(),
    };
    permit(decide(judge, now, client, &request), will.qos())
}

/// Asks whether a client may hold this subscription, and up to which QoS.
pub(crate) fn authorize_subscribe(
    judge: &mut dyn Judge,
    now: Moment,
    client: &Arc<Client>,
    filter: wasmqtt_codec::Filter<'_>,
    qos: QoS,
) -> Result<QoS, Refusal> {
    let request = Request {
        action: Action::Subscribe,
        topic: filter.pattern(),
        share: filter.share(),
        qos,
        retain: false,
    };
    match decide(judge, now, client, &request) {
        Decision::Allow => Ok(QoS::ExactlyOnce),
        Decision::AllowUpTo(max) => Ok(max),
        Decision::Deny(refusal) => Err(refusal),
    }
}

/// Asks whether whoever published a retained message may still do so. Nobody is asked about what no client published,
/// nor about what a transformer moved: it lies where the operator's grants put it, not where its publisher may write.
pub(crate) fn authorize_source(judge: &mut dyn Judge, now: Moment, message: &Message) -> bool {
    let Some(publisher) = message.publisher().filter(|_| !message.is_moved()) else { return true };
    let request = Request {
        action: Action::Publish,
        topic: message.topic(),
        share: None,
        qos: message.qos(),
        retain: true,
    };
    permit(decide(judge, now, publisher, &request), message.qos()).is_ok()
}

/// Asks for one delivery: the subscriber's own permissions first, then whoever wants to judge deliveries.
pub(crate) fn screen(
    judge: &mut dyn Judge,
    now: Moment,
    subscriber: &Arc<Client>,
    qos: QoS,
    message: &Arc<Message>,
) -> Screened {
    let request = Request {
        action: Action::Receive,
        topic: message.topic(),
        share: None,
        qos,
        retain: message.retain(),
    };
    if let Some(Decision::Deny(_)) = subscriber.permissions.decide(&request) {
        return Screened::Skip;
    }
    if judge.screens(subscriber.listener) {
        judge.screen(now, subscriber, message)
    } else {
        Screened::Deliver
    }
}
