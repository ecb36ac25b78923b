//! A client enters: which session it gets, and what becomes of whoever had it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmqtt_codec::{ReasonCode, Topic, Version};

use super::depart::note_take_over;
use super::greet::banned;
use super::publish::is_reserved;
use super::{Broker, Lane, Timer, aside};
use crate::client::Client;
use crate::connection::handshake::{Admission, Hello, Terms, WillRequest};
use crate::judge::{self, Action, Connecting, Identity, IdentityLimits, Refusal};
use crate::limits::Limits;
use crate::message::{Message, Origin, Parts};
use crate::observe::{Event, Events, Kind};
use crate::session::registry::Full;
use crate::session::will::Will;
use crate::session::{Session, State};
use crate::spread::mix;
use crate::time::Moment;

/// As long as an assigned client identifier.
pub(super) const ASSIGNED: &str = "auto-0123456789abcdef0123456789abcdef";

/// A will that is to be published because its session, or the connection before, is over.
type LeftBehind = (Arc<Client>, Message);

/// What a client brings.
struct Entrant<'a> {
    /// Under the key of the session it found, or a fresh one.
    client: Arc<Client>,
    is_fresh: bool,
    clean_start: bool,
    /// Seconds, as granted.
    expiry: u32,
    will: Option<Box<Will>>,
    limits: &'a Limits,
    /// Number of its worker.
    lane: u32,
}

/// The place a client gets.
struct Place {
    session: Arc<Session>,
    attachment: u64,
    present: bool,
    client: Arc<Client>,
}

impl Broker {
    /// Gives an authenticated client its session: the stored one, one taken from another connection, or a new one.
    ///
    /// `limits` are the listener's; what the identity says may only tighten them. A refusal changes nothing for
    /// whoever has the session now.
    pub fn admit(
        &self,
        lane: &mut Lane,
        now: Moment,
        hello: &Hello,
        identity: Identity,
        limits: &Limits,
    ) -> Result<Admission, Refusal> {
        let connecting = &hello.connecting;
        self.greet(now, hello, limits)?;
        if hello.is_unproved() {
            // Nobody gets around the method it named.
            return Err(Refusal::new(ReasonCode::BadAuthenticationMethod));
        }
        let (client_id, assigned) = self.client_id(hello)?;
        let limits = identity.limits.tighten(limits);
        let keep_alive = keep_alive(connecting, &limits);
        if keep_alive != connecting.keep_alive && connecting.version != Version::V5 {
            // 3.x has no Server Keep Alive: a client that cannot be told is not let in.
            return Err(Refusal::new(ReasonCode::ClientIdentifierNotValid)
                .because("keep alive longer than this listener allows"));
        }
        let expiry = hello.session_expiry.unwrap_or(0).min(limits.session_expiry_max);
        hello.check_connack(&Terms {
            limits: &limits,
            session_expiry: expiry,
            keep_alive,
            assigned: assigned.then_some(&*client_id),
        })?;
        let session = self.sessions.get(&client_id);
        let found = session.as_ref().filter(|_| !connecting.clean_start);
        let is_fresh = found.is_none();
        let key = found.map_or_else(|| self.next_key(), |session| session.key);
        let client = Arc::new(Client::admitted(connecting, &identity, &client_id, key, &limits));
        if let Some(session) = session {
            check_free(&session, &session.state.lock(), client.name.as_deref(), &limits)?;
        }
        if !assigned {
            // Not before: who may not have this identifier must not get it banned.
            self.count_connect(now, &client_id, client.name.as_deref(), &limits)?;
        }
        let will = match &hello.will {
            // Judged before anybody loses anything.
            Some(request) => Some(judge_will(lane, now, &client, request, &limits)?),
            None => None,
        };
        let clean_start = connecting.clean_start;
        let number = lane.remembered.homes.lane();
        let entrant =
            Entrant { client, is_fresh, clean_start, expiry, will, limits: &limits, lane: number };
        let mut left_behind = Vec::new();
        let place = self.take_place(&mut lane.events, now, entrant, &mut left_behind);
        // Whoever made way is gone, even if somebody else then took the place.
        for (client, will) in left_behind {
            // Nobody is there to be told of a refusal.
            let _ = self.publish_will(lane, now, &client, will);
        }
        let place = place?;
        note_entry(&mut lane.events, &place);
        if place.present {
            // Rights may have changed while the client was away.
            if lane.judge.waits(place.client.listener) {
                // By its connection, before anything is delivered.
                place.session.mailbox.ask_rejudge();
            } else {
                self.rejudge(lane, now, &place.client, &place.session);
            }
        }
        let name = place.client.name.as_deref();
        Ok(Admission {
            pace: self.rates.of(now, &client_id, name, &limits),
            client: Arc::clone(&place.client),
            session: place.session,
            attachment: place.attachment,
            session_present: place.present,
            session_expiry: expiry,
            assigned,
            keep_alive,
            expires_at: identity.expires_in.map(|seconds| now.after_secs(seconds)),
            connack_properties: identity.connack_properties,
            response_information: identity
                .response_information
                .filter(|_| hello.request_response_information),
            own: Some(identity.limits)
                .filter(|own| *own != IdentityLimits::default())
                .map(Box::new),
            limits: lane.share(limits),
        })
    }

    /// The identifier the client sent, or a fresh one [MQTT-3.1.3-6]. Before MQTT 5 only a clean session may leave
    /// it out [MQTT-3.1.3-8 of 3.1.1], and 3.1 knows no such thing.
    fn client_id(&self, hello: &Hello) -> Result<(String, bool), Refusal> {
        let connecting = &hello.connecting;
        if !connecting.client_id.is_empty() {
            return Ok((connecting.client_id.clone(), false));
        }
        match connecting.version {
            Version::V5 => {}
            Version::V311 if connecting.clean_start => {}
            _ => return Err(Refusal::new(ReasonCode::ClientIdentifierNotValid)),
        }
        loop {
            let number = self.keys.fetch_add(1, Ordering::Relaxed);
            let id = format!(
                "auto-{:016x}{:016x}",
                mix(self.seed ^ number),
                mix(!self.seed ^ number.rotate_left(32))
            );
            if self.sessions.get(&id).is_none() {
                return Ok((id, true));
            }
        }
    }

    /// By name, too: who comes under another name must not get somebody else's identifier banned.
    fn count_connect(
        &self,
        now: Moment,
        client_id: &str,
        name: Option<&str>,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let until = self.jail.count(now, &(client_id, name), &limits.flapping);
        until.map_or(Ok(()), |until| Err(banned(now, until)))
    }

    /// Finds or makes the session, and attaches a new connection to it. `left_behind` gets the wills of whoever had to
    /// go, whatever comes of it.
    fn take_place(
        &self,
        events: &mut Events,
        now: Moment,
        entrant: Entrant<'_>,
        left_behind: &mut Vec<LeftBehind>,
    ) -> Result<Place, Refusal> {
        let Entrant { client, is_fresh, clean_start, expiry, mut will, limits, lane } = entrant;
        let name = client.name.as_deref();
        // A key is never used twice: what is left of the session before could take it for its own.
        let mut key = is_fresh.then_some(client.key);
        loop {
            let make = || {
                let key = key.take().unwrap_or_else(|| self.next_key());
                Arc::new(Session::new(key, &client.id, name, limits.queue))
            };
            let most = limits.max_sessions_per_name;
            let (session, is_new) =
                self.sessions.get_or_insert(&client.id, name, most, make).map_err(no_place)?;
            let mut state = session.state.lock();
            check_free(&session, &state, name, limits)?;
            // A session without expiry ends with the connection that is about to lose it. A new one may have been
            // found, and ended, by another connection already.
            if state.ended || !is_new && (clean_start || state.expiry == 0) {
                left_behind.extend(self.end(events, &session, state, now));
                continue;
            }
            // Taken under the lock, so that numbers rise in the order in which connections got the session.
            let attachment = self.attachments.fetch_add(1, Ordering::Relaxed);
            let client = if session.key == client.key {
                client
            } else {
                Arc::new(Client { key: session.key, ..(*client).clone() })
            };
            let old_client = state.client.replace(Arc::clone(&client));
            let old_will = std::mem::replace(&mut state.will, will.take());
            let was_connected = std::mem::replace(&mut state.attachment, attachment) != 0;
            (state.will_due, state.ends_at, state.expiry) = (None, None, expiry);
            let timer = Timer::of(&mut state, attachment);
            drop(state);
            if was_connected {
                note_take_over(events, &session, old_client.as_ref());
            }
            self.schedule(&session, timer);
            session.mailbox.attach(attachment, limits.queue, lane);
            // A will with a delay is not published, because the session goes on in time [MQTT-3.1.3-9].
            let due = old_will.filter(|will| was_connected && will.delay == 0);
            left_behind.extend(old_client.zip(due).map(|(client, will)| {
                let message = will.message(&client, now);
                (client, message)
            }));
            return Ok(Place { session, attachment, present: !is_new, client });
        }
    }
}

fn note_entry(events: &mut Events, place: &Place) {
    let session = if place.present { Kind::SessionResumed } else { Kind::SessionCreated };
    for kind in [Kind::ClientConnected, session] {
        events.note(kind, || Event::of(kind, &place.client));
    }
}

fn judge_will(
    lane: &mut Lane,
    now: Moment,
    client: &Arc<Client>,
    request: &WillRequest,
    limits: &Limits,
) -> Result<Box<Will>, Refusal> {
    let levels = request.topic.bytes().filter(|byte| *byte == b'/').count() + 1;
    let valid = Topic::parse(&request.topic).is_ok()
        && levels <= usize::from(limits.max_topic_levels)
        && request.topic.len() <= usize::from(limits.max_topic_length);
    if !valid {
        return Err(Refusal::new(ReasonCode::TopicNameInvalid).because("will topic is not valid"));
    }
    if is_reserved(&request.topic) {
        return Err(Refusal::new(ReasonCode::NotAuthorized).because("$SYS is the broker's own"));
    }
    let message = Message::new(
        Parts {
            topic: &request.topic,
            properties: request.properties.as_view(),
            payload: &request.payload,
            qos: request.qos,
            retain: request.retain,
            origin: Origin::Will,
            expires_at: None,
        },
        None,
    );
    lane.judge.begin();
    // What would have to be waited for is asked when it is published: in any case it is judged then.
    if !lane.judge.waits(client.listener)
        || !aside::waits_to_permit(lane, now, client, Action::Will, &message)
    {
        judge::authorize_will(&mut *lane.judge, now, client, &message)?;
    }
    let expiry = limits.expiry(request.expiry);
    Ok(Box::new(Will { message, expiry, delay: limits.will_delay(request.delay) }))
}

/// Whether this client may have a session that is there.
fn check_free(
    session: &Session,
    state: &State,
    name: Option<&str>,
    limits: &Limits,
) -> Result<(), Refusal> {
    if session.owner.as_deref() != name {
        return Err(Refusal::new(ReasonCode::NotAuthorized)
            .because("this client identifier belongs to another name"));
    }
    if !limits.features.take_over && state.attachment != 0 {
        // Of the codes that a 3.x client can be told as well, the one about the identifier.
        return Err(Refusal::new(ReasonCode::ClientIdentifierNotValid)
            .because("a client with this identifier is connected"));
    }
    Ok(())
}

fn no_place(full: Full) -> Refusal {
    let reason = match full {
        Full::Sessions => "no more sessions",
        Full::Name => "no more sessions for this name",
    };
    Refusal::new(ReasonCode::QuotaExceeded).because(reason)
}

/// What holds, in seconds, instead of what the client asked for; 0 = none.
pub(super) fn keep_alive(connecting: &Connecting, limits: &Limits) -> u16 {
    let asked = match (connecting.keep_alive, limits.keep_alive_max) {
        (asked, 0) => asked,
        (0, max) => max,
        (asked, max) => asked.min(max),
    };
    match (asked, connecting.version) {
        (1.., Version::V5) => asked.max(limits.keep_alive_min),
        _ => asked,
    }
}
