//! A client leaves, or what it left behind is due.

use std::sync::Arc;

use parking_lot::MutexGuard;
use wasmqtt_codec::{Filter, ReasonCode};

use super::{Broker, Lane, Timer};
use crate::client::Client;
use crate::connection::Departure;
use crate::message::Message;
use crate::observe::{Event, Events, Kind, Subject};
use crate::session::{Due, Session, State};
use crate::time::Moment;

/// Sessions looked at in one call of [`Broker::expire`], so that a storm of ends does not hold up a worker.
const DUE_AT_ONCE: usize = 1024;

impl Broker {
    /// A connection is over. Does nothing when another one has the session by now.
    pub fn depart(
        &self,
        lane: &mut Lane,
        now: Moment,
        session: &Arc<Session>,
        attachment: u64,
        how: Departure,
    ) {
        let mut state = session.state.lock();
        if state.attachment != attachment || state.ended {
            return;
        }
        if let Some(expiry) = how.session_expiry {
            state.expiry = expiry;
        }
        if !how.with_will {
            // A proper good-bye takes the will away [MQTT-3.14.4-3].
            state.will = None;
        }
        state.attachment = 0;
        lane.events.note(Kind::ClientDisconnected, || {
            of_session(Kind::ClientDisconnected, session, state.client.as_ref()).coded(how.code)
        });
        if how.end_session || state.expiry == 0 {
            lane.counters.expired_sessions += u64::from(!state.ended);
            if let Some((client, will)) = self.end(&mut lane.events, session, state, now) {
                let _ = self.publish_will(lane, now, &client, will);
            }
            return;
        }
        let ends_at = now.after_secs(state.expiry);
        state.ends_at = Some(ends_at);
        let due_now = state.will.take_if(|will| will.delay == 0);
        state.will_due = state.will.as_ref().map(|will| now.after_secs(will.delay).min(ends_at));
        let client = state.client.clone();
        let timer = Timer::of(&mut state, attachment);
        drop(state);
        self.schedule(session, timer);
        session.mailbox.detach(attachment);
        if let (Some(client), Some(will)) = (client, due_now) {
            let _ = self.publish_will(lane, now, &client, will.message(&client, now));
        }
    }

    /// Does what is due: delayed wills are published, sessions end, retained messages are forgotten. Called now and
    /// then by one worker.
    pub fn expire(&self, lane: &mut Lane, now: Moment) {
        for _ in 0..DUE_AT_ONCE {
            let mut timers = self.timers.lock();
            let Some(first) = timers.first_entry().filter(|entry| entry.key().0 <= now) else {
                break;
            };
            let (due, client_id) = first.remove_entry();
            drop(timers);
            if let Some(session) = self.sessions.get(&client_id) {
                self.expire_session(lane, now, due, &session);
            }
        }
    }

    /// Forgets retained messages whose time is over: a walk of the whole store, for seldom calls.
    pub fn expire_retained(&self, now: Moment) {
        self.router.expire(now);
    }

    fn expire_session(&self, lane: &mut Lane, now: Moment, due: Due, session: &Arc<Session>) {
        let mut state = session.state.lock();
        if state.scheduled != Some(due) {
            // What it was set for is no more: the client was here meanwhile.
            return;
        }
        state.scheduled = None;
        if state.ends_at.is_some_and(|end| end <= now) {
            if let Some((client, will)) = self.end(&mut lane.events, session, state, now) {
                let _ = self.publish_will(lane, now, &client, will);
            }
            return;
        }
        let is_due = state.will_due.take_if(|at| *at <= now).is_some();
        let will = state.will.take_if(|_| is_due);
        let client = state.client.clone();
        let timer = Timer::of(&mut state, due.1);
        drop(state);
        self.schedule(session, timer);
        if let (Some(client), Some(will)) = (client, will) {
            let _ = self.publish_will(lane, now, &client, will.message(&client, now));
        }
    }

    /// Ends a stored session whose queue is full and whose policy is to end it. Answers the will that is now due.
    pub(super) fn end_overflowed(
        &self,
        events: &mut Events,
        now: Moment,
        client_id: &str,
    ) -> Option<(Arc<Client>, Message)> {
        let session = self.sessions.get(client_id)?;
        let state = session.state.lock();
        if state.attachment != 0 || state.ended {
            // It was taken up again meanwhile; its connection finds the full queue itself.
            return None;
        }
        self.end(events, &session, state, now)
    }

    /// Ends a session: what came through share groups goes to other members, nothing else of it is left, and a
    /// connection that has it finds out. Answers the will that is now due [MQTT-3.1.2-8]. Takes the state locked, as the
    /// caller found reason to end it.
    pub(super) fn end(
        &self,
        events: &mut Events,
        session: &Arc<Session>,
        mut state: MutexGuard<'_, State>,
        now: Moment,
    ) -> Option<(Arc<Client>, Message)> {
        let is_first = !std::mem::replace(&mut state.ended, true);
        let was_connected = std::mem::take(&mut state.attachment) != 0;
        (state.will_due, state.ends_at) = (None, None);
        let subscriptions = std::mem::take(&mut state.subscriptions);
        let mut left = std::mem::take(&mut state.inflight).into_shared();
        state.received.clear();
        let timer = Timer::of(&mut state, 0);
        let will = state.will.take();
        let client = state.client.take();
        drop(state);
        if was_connected {
            note_take_over(events, session, client.as_ref());
        }
        if is_first {
            events.note(Kind::SessionEnded, || {
                of_session(Kind::SessionEnded, session, client.as_ref())
            });
        }
        for filter in subscriptions.filters() {
            self.router.unsubscribe(Filter::from_trusted(filter), session.key);
        }
        self.schedule(session, timer);
        left.extend(session.mailbox.close());
        // What no other member has room for goes with the session.
        drop(self.router.redispatch(now, left));
        if is_first {
            self.sessions.leave(session.owner.as_deref());
        }
        self.sessions.remove(session);
        let (client, will) = client.zip(will)?;
        let message = will.message(&client, now);
        Some((client, message))
    }
}

/// An event of a session and of the client that had it last.
pub(super) fn of_session(kind: Kind, session: &Session, client: Option<&Arc<Client>>) -> Event {
    let of_owner =
        || Subject::Session { id: Arc::clone(&session.client_id), name: session.owner.clone() };
    Event::new(kind, client.map_or_else(of_owner, |client| Subject::Client(Arc::clone(client))))
}

/// A connection loses its session to another: by the time it finds out, the other one has it.
pub(super) fn note_take_over(events: &mut Events, session: &Session, client: Option<&Arc<Client>>) {
    events.note(Kind::ClientDisconnected, || {
        of_session(Kind::ClientDisconnected, session, client).coded(ReasonCode::SessionTakenOver)
    });
}
