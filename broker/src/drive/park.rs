//! A client whose packet is judged elsewhere waits, and nobody else does: nothing more of it is read until the answer is
//! there, so that its packets keep their order.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use wasmqtt_codec::{PacketId, QoS, ReasonCode, Version};
use wasmqtt_core::broker::{
    Granted, JudgedPublication, PublicationAside, Published, SubscriptionsAside,
};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::judge::Refusal;
use wasmqtt_core::time::Moment;

use super::ask::Elsewhere;
use super::turn::{Driver, Ended};
use crate::patience::Queued;
use crate::worker::{Local, Shared, with_local};

/// How long a will, or what a plugin publishes, waits for a place among the packets that wait to be judged.
const PLACE: Duration = Duration::from_secs(60);

/// What a client waits for.
pub(super) enum Parked {
    /// Its publication, which was taken from the wire.
    Publish { packet_id: Option<PacketId>, qos: QoS, answer: Elsewhere<JudgedPublication> },
    /// Its SUBSCRIBE, which was not.
    Subscribe(Elsewhere<Granted>),
}

/// What is waited for beside what the client sends.
#[derive(Default)]
pub(super) struct Waits {
    pub(super) parked: Option<Box<Parked>>,
    /// Rights have changed since its SUBSCRIBE was asked about.
    pub(super) is_stale: bool,
    /// For the SUBSCRIBE that comes next.
    pub(super) granted: Option<Box<Granted>>,
    /// What its connection before left is not routed yet: until it is, nothing is read.
    pub(super) is_behind: bool,
    /// Its subscriptions are judged again: until then nothing is delivered.
    pub(super) rejudging: Option<Box<Elsewhere<Granted>>>,
    /// It publishes too fast: until then nothing is read.
    pub(super) pause: Option<Pin<Box<Sleep>>>,
}

impl Waits {
    /// Whether nothing that the client sends is read.
    pub(super) fn is_deaf(&self) -> bool {
        self.parked.is_some() || self.is_behind || self.pause.is_some()
    }
}

/// Has a publication judged elsewhere. Where too much waits already it is judged at once: refused.
pub(super) fn ask_publish(
    shared: &Shared,
    aside: PublicationAside,
) -> Result<Elsewhere<JudgedPublication>, Box<JudgedPublication>> {
    match shared.patience.queue(aside.listener()) {
        Some(place) => Ok(ask_in(shared, aside, place)),
        None => Err(Box::new(aside.refuse(crowded()))),
    }
}

/// The same, of one that has its place in the queue.
fn ask_in(shared: &Shared, aside: PublicationAside, place: Queued) -> Elsewhere<JudgedPublication> {
    let (judge, clock, listener) = (shared.patient_judge.clone(), shared.clock, aside.listener());
    // Its listener may be gone by the time it is asked about. Then whoever judges now judges for the last time.
    let last = judge();
    let in_turn = async move {
        // What the same client left before goes first.
        poll_fn(|cx| aside.poll_first(cx)).await;
        move || {
            let next = judge();
            let mut judge = if next.knows(listener) { next } else { last };
            aside.ask(&mut *judge, clock.now())
        }
    };
    Elsewhere::start_after(shared, listener, Some(place), in_turn)
}

/// Has the subscriptions of a packet judged elsewhere, likewise.
pub(super) fn ask_subscribe(
    shared: &Shared,
    aside: SubscriptionsAside,
) -> Result<Elsewhere<Granted>, Granted> {
    match shared.patience.queue(aside.listener()) {
        Some(place) => Ok(ask_subscriptions(shared, aside, Some(place))),
        None => Err(aside.refuse(&crowded())),
    }
}

/// Has what a session holds judged again. There is one such question per connection, and it needs no place: refusing it
/// would take away what the client has.
fn ask_again(shared: &Shared, aside: SubscriptionsAside) -> Elsewhere<Granted> {
    ask_subscriptions(shared, aside, None)
}

fn ask_subscriptions(
    shared: &Shared,
    aside: SubscriptionsAside,
    place: Option<Queued>,
) -> Elsewhere<Granted> {
    let (judge, clock) = (shared.patient_judge.clone(), shared.clock);
    // Thousands of questions, of a client that may be gone after the first.
    let whoever = Arc::new(());
    let waiting = Arc::downgrade(&whoever);
    let listener = aside.listener();
    let ask = move || aside.ask(&mut *judge(), clock.now(), || waiting.strong_count() > 0);
    Elsewhere::start_after(shared, listener, place, std::future::ready(ask)).while_held(whoever)
}

/// What the client is told then. It may try again.
fn crowded() -> Refusal {
    Refusal::new(ReasonCode::QuotaExceeded).because("too many packets wait to be judged")
}

/// Nobody said yes, and it cannot be told packet by packet.
fn broken() -> Ended {
    Fault::Ordered(ReasonCode::ImplementationSpecificError).into()
}

impl Driver {
    /// Looks for what the client waits for; true when it was there.
    pub(super) fn poll_parked(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Local,
        now: Moment,
    ) -> Result<bool, Ended> {
        let Some(parked) = &mut self.waits.parked else { return Ok(false) };
        match &mut **parked {
            Parked::Publish { packet_id, qos, answer } => {
                let Poll::Ready(judged) = Pin::new(answer).poll(cx) else { return Ok(false) };
                let (packet_id, qos) = (*packet_id, *qos);
                self.go_on(now);
                let Some(judged) = judged else {
                    self.connection.give_up(packet_id);
                    return Err(broken());
                };
                let (broker, connection) = (&self.shared.broker, &self.connection);
                // Another connection may have the session, and wait for this.
                let refused = || {
                    // Who cannot be told goes through all the steps.
                    if connection.client().version == Version::V5 {
                        connection.give_up(packet_id);
                    }
                };
                let published = broker.publish_judged(&mut local.lane, now, judged, refused);
                self.acknowledge(local, packet_id, qos, published)?;
            }
            Parked::Subscribe(answer) => {
                let Poll::Ready(granted) = Pin::new(answer).poll(cx) else { return Ok(false) };
                self.go_on(now);
                let granted = granted.ok_or_else(broken)?;
                if !std::mem::take(&mut self.waits.is_stale) {
                    self.waits.granted = Some(Box::new(granted));
                }
            }
        }
        Ok(true)
    }

    /// Whether its packets have to wait for what a connection before it left. Its CONNACK has not waited: that says
    /// nothing about any message, and clients give up on servers that are silent.
    #[inline]
    pub(super) fn poll_behind(&mut self, cx: &Context<'_>, now: Moment) -> bool {
        let clear = self.shared.broker.poll_clear(&self.client.id, cx).is_ready();
        if clear && std::mem::take(&mut self.waits.is_behind) {
            self.hear(now);
        }
        if !clear {
            self.connection.stop_reading(now);
            self.waits.is_behind = true;
        }
        !clear
    }

    /// Whether a client that publishes too fast has to wait still.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>, now: Moment) -> bool {
        let Some(pause) = &mut self.waits.pause else { return false };
        if pause.as_mut().poll(cx).is_pending() {
            return true;
        }
        self.waits.pause = None;
        self.has_ahead = true;
        self.hear(now);
        false
    }

    /// Reads on, beginning with what was read ahead.
    fn go_on(&mut self, now: Moment) {
        self.waits.parked = None;
        self.has_ahead = true;
        self.hear(now);
    }

    /// One thing less that the client waits for.
    fn hear(&mut self, now: Moment) {
        self.connection.read_on(now);
        if self.waits.is_deaf() {
            self.connection.stop_reading(now);
        }
    }

    /// Starts judging the client's subscriptions again, elsewhere where that may take its time.
    pub(super) fn rejudge(&mut self, local: &mut Local) {
        // What is asked now, or was answered just now, is not among what is judged again.
        let asked = self.waits.parked.as_deref();
        self.waits.is_stale = matches!(asked, Some(Parked::Subscribe(_)));
        self.waits.granted = None;
        // An older answer is about older rights.
        self.waits.rejudging = None;
        let (now, broker) = (self.shared.clock.now(), &self.shared.broker);
        let (client, session) = (&self.client, &self.session);
        match broker.put_held_aside(&mut local.lane, now, client, session) {
            Some(aside) => {
                self.waits.rejudging = Some(Box::new(ask_again(&self.shared, aside)));
            }
            None => {
                // What was found out just now holds.
                let lane = &mut local.lane;
                self.tell_denied(&broker.rejudge_as(lane, now, client, session, None));
            }
        }
    }

    /// Whether nothing may be delivered, because the client's subscriptions are being judged again.
    pub(super) fn poll_rejudging(
        &mut self,
        cx: &mut Context<'_>,
        local: &mut Local,
        now: Moment,
    ) -> Result<ControlFlow<()>, Ended> {
        let Some(rejudging) = &mut self.waits.rejudging else {
            return Ok(ControlFlow::Continue(()));
        };
        let Poll::Ready(granted) = Pin::new(&mut **rejudging).poll(cx) else {
            return Ok(ControlFlow::Break(()));
        };
        self.waits.rejudging = None;
        let granted = granted.ok_or_else(broken)?;
        let (broker, lane) = (&self.shared.broker, &mut local.lane);
        let denied = broker.rejudge_as(lane, now, &self.client, &self.session, Some(&granted));
        self.tell_denied(&denied);
        Ok(ControlFlow::Continue(()))
    }

    fn tell_denied(&self, denied: &[Box<str>]) {
        for filter in denied {
            let client_id = &*self.client.id;
            tracing::info!(client_id, filter = &**filter, "subscription is no longer allowed");
        }
    }

    /// What was taken from the wire is seen through, even if its client is gone: it may not send it again.
    pub(super) async fn see_through(&mut self) {
        let parked = self.waits.parked.take().map(|parked| *parked);
        if let Some(Parked::Publish { answer, packet_id, .. }) = parked {
            // What it is told need not wait.
            poll_fn(|cx| {
                let _ = self.wire.poll_flush(cx);
                Poll::Ready(())
            })
            .await;
            // What was not published may be sent again, and is then no repetition.
            let connection = &self.connection;
            let refused = || connection.give_up(packet_id);
            if route(&self.shared, answer, refused).await.is_none() {
                connection.give_up(packet_id);
            }
        }
    }
}

/// Waits for the answer, and routes.
async fn route(
    shared: &Shared,
    answer: Elsewhere<JudgedPublication>,
    refused: impl FnOnce(),
) -> Option<Result<Published, Refusal>> {
    let judged = answer.await?;
    let now = shared.clock.now();
    with_local(|local| shared.broker.publish_judged(&mut local.lane, now, judged, refused))
}

/// Sees a publication through that nobody waits for: a plugin's own, or a will. It waits for a place, but not for ever.
pub(crate) async fn see_through(shared: &Shared, aside: PublicationAside) -> Result<(), Refusal> {
    let published = match shared.patience.queue_within(aside.listener(), PLACE).await {
        Some(place) => route(shared, ask_in(shared, aside, place), || {}).await,
        None => {
            let (now, refused) = (shared.clock.now(), aside.refuse(crowded()));
            with_local(|local| shared.broker.publish_judged(&mut local.lane, now, refused, || {}))
        }
    };
    let broken = || Err(Refusal::new(ReasonCode::ImplementationSpecificError));
    published.unwrap_or_else(broken).map(|_| ())
}
