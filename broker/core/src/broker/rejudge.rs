//! Rights change: what a session holds is judged again, when it resumes, when whoever judges was replaced, and when
//! rights are revoked.

use std::sync::Arc;

use wasmqtt_codec::{Filter, topic};

use super::{Broker, Granted, Lane};
use crate::client::Client;
use crate::judge::{self, Subject};
use crate::observe::{Event, Kind};
use crate::session::Session;
use crate::time::Moment;

impl Broker {
    /// The rights of these clients no longer hold: what their identity allowed ends now, and each connection has its
    /// subscriptions judged again, in its own turn. Stored sessions are judged when they resume, publications and wills
    /// when they are published. Returns how many sessions that is about.
    ///
    /// To be called once whoever judges has forgotten what it answered before.
    pub fn revoke(&self, subject: &Subject) -> usize {
        let sessions = match subject {
            Subject::ClientId(id) => self.sessions.get(id).into_iter().collect(),
            Subject::Everyone | Subject::Username(_) => self.sessions.all(),
        };
        let mut count = 0;
        for session in sessions {
            let client = session.state.lock().client.clone();
            if let Some(client) = client.filter(|client| subject.concerns(client)) {
                client.permissions.withdraw();
                session.mailbox.ask_rejudge();
                count += 1;
            }
        }
        count
    }

    /// Asks every connection to have its subscriptions judged again, in its own turn. Stored sessions are judged when
    /// they resume.
    pub fn ask_rejudge(&self) {
        for session in self.sessions.all() {
            session.mailbox.ask_rejudge();
        }
    }

    /// Judges every subscription of a session as if it were asked for now. What is denied is taken away, with the
    /// messages that wait because of it; what is granted less is granted less. MQTT has no word to tell the client.
    /// Returns the filters that were taken away.
    pub fn rejudge(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
    ) -> Vec<Box<str>> {
        lane.judge.begin();
        self.rejudge_as(lane, now, client, session, None)
    }

    /// The same with answers from [elsewhere](Self::put_held_aside); what came since was judged as it came.
    pub fn rejudge_as(
        &self,
        lane: &mut Lane,
        now: Moment,
        client: &Arc<Client>,
        session: &Session,
        granted: Option<&Granted>,
    ) -> Vec<Box<str>> {
        let held: Vec<_> = {
            let state = session.state.lock();
            let held = state.subscriptions.shared();
            held.map(|(filter, options)| (Arc::clone(filter), *options)).collect()
        };
        let mut denied = Vec::new();
        for (name, options) in held {
            let filter = Filter::from_trusted(&name);
            let qos = options.qos;
            let judged = match granted {
                None => judge::authorize_subscribe(&mut *lane.judge, now, client, filter, qos),
                Some(granted) => match granted.of(filter, qos) {
                    Some(judged) => judged.clone(),
                    None => continue,
                },
            };
            let mut state = session.state.lock();
            // Only what was judged is touched: the client may have changed it meanwhile.
            if state.subscriptions.get(&name) != Some(&options) {
                continue;
            }
            match judged {
                Ok(most) if most >= options.qos => continue,
                Ok(most) => {
                    if let Some(options) = state.subscriptions.get_mut(&name) {
                        options.qos = most;
                    }
                }
                Err(_) => {
                    state.subscriptions.remove(&name);
                }
            }
            drop(state);
            self.align(filter, session);
            if let Err(refusal) = judged {
                session.mailbox.end_replay(&name);
                self.pass_on(now, filter, session);
                lane.events.note(Kind::Unsubscribed, || {
                    Event::of(Kind::Unsubscribed, client).on(&name).refused(&refusal)
                });
                denied.push((&*name).into());
            }
        }
        if !denied.is_empty() {
            let left: Vec<Arc<str>> = {
                let state = session.state.lock();
                state.subscriptions.shared().map(|(filter, _)| Arc::clone(filter)).collect()
            };
            let patterns: Vec<&str> =
                left.iter().map(|filter| Filter::from_trusted(filter).pattern()).collect();
            session.mailbox.retain(|delivery| {
                patterns.iter().any(|pattern| topic::matches(pattern, delivery.message.topic()))
            });
        }
        denied
    }
}
