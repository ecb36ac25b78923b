//! Who comes, who goes, and what they leave behind: sessions, their ends, and wills.

use std::rc::Rc;

use wasmqtt_codec::{Connect, QoS, ReasonCode, Version};
use wasmqtt_core::connection::Departure;
use wasmqtt_core::connection::handshake::Admission;
use wasmqtt_core::judge::{Identity, Refusal};
use wasmqtt_core::limits::Limits;

use super::routing::Float;
use super::session::{Entry, Letter, Open, Session, Testament};
use super::{Auditor, Doing, Due, Link};

/// What a client brings.
#[derive(Debug)]
pub(crate) struct Entrant {
    link: u32,
    /// Empty when the broker is to choose.
    client_id: Rc<str>,
    version: Version,
    clean_start: bool,
    expiry: u32,
    keep_alive: u16,
    will: Option<Testament>,
    /// What the judge said about the will; none while it was not asked.
    permitted: Option<bool>,
    limits: Limits,
    is_restricted: bool,
    expires_in: Option<u32>,
    largest: usize,
    window: usize,
    aliases: u16,
    applied: Option<bool>,
}

impl Auditor {
    /// A CONNECT that an authenticator let pass goes into the core.
    pub(crate) fn admitting(
        &mut self,
        link: u32,
        connect: &Connect<'_>,
        identity: &Identity,
        listener: &Limits,
    ) {
        let limits = tighten(listener, identity);
        let properties = &connect.properties;
        let v5 = connect.version == Version::V5;
        let asked = match (v5, connect.clean_start) {
            (true, _) => properties.session_expiry_interval.unwrap_or(0),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        let will = connect.will.map(|will| Testament {
            letter: Letter {
                topic: will.topic.into(),
                payload: will.payload.into(),
                qos: will.qos,
                retain: will.retain,
                expires_at: None,
                publisher: (connect.client_id.into(), 0),
                is_moved: false,
            },
            delay: will.delay_interval,
            expiry: will.message_expiry_interval,
        });
        let asked_window = properties.receive_maximum.map_or(u16::MAX, |maximum| maximum.get());
        let most = limits.keep_alive_max;
        self.doing = Doing::Admit(Box::new(Entrant {
            link,
            client_id: connect.client_id.into(),
            version: connect.version,
            clean_start: connect.clean_start,
            expiry: asked.min(limits.session_expiry_max),
            keep_alive: match (connect.keep_alive, most) {
                (asked, 0) => asked,
                (0, most) => most,
                (asked, most) => asked.min(most),
            },
            will,
            permitted: None,
            limits,
            is_restricted: !identity.permissions.is_empty(),
            expires_in: identity.expires_in,
            largest: properties.maximum_packet_size.map_or(usize::MAX, |size| size.get() as usize),
            window: usize::from(asked_window.min(limits.max_inflight)),
            aliases: properties.topic_alias_maximum,
            applied: None,
        }));
    }

    /// The core let the client in, or did not.
    pub(crate) fn admitted(&mut self, connect: &Connect<'_>, result: Result<&Admission, &Refusal>) {
        let Doing::Admit(entrant) = &self.doing else { return self.fail("admitted nobody") };
        let expected = self.expected_refusal(entrant, connect.keep_alive);
        let admission = match (result, expected) {
            (Err(refusal), Some(code)) if refusal.code == code => return self.done(),
            (Err(refusal), expected) => {
                let code = refusal.code;
                return self.fail(format!("refused with {code} instead of {expected:?}"));
            }
            (Ok(_), Some(code)) => return self.fail(format!("let in instead of {code}")),
            (Ok(admission), None) => admission,
        };
        let id: Rc<str> = Rc::from(&*admission.client.id);
        if let Doing::Admit(entrant) = &mut self.doing {
            let kept = entrant.client_id.is_empty() || entrant.client_id == id;
            let assigned = entrant.client_id.is_empty();
            entrant.client_id = Rc::clone(&id);
            self.check(kept && admission.assigned == assigned, || format!("became {id}"));
        }
        let present = self.take_place();
        let Doing::Admit(entrant) = std::mem::replace(&mut self.doing, Doing::Nothing) else {
            return;
        };
        let (real, granted) = (admission.session_present, admission.session_expiry);
        self.check(real == present, || format!("session present {real} instead of {present}"));
        let (expiry, keep_alive) = (entrant.expiry, entrant.keep_alive);
        self.check(granted == expiry, || format!("expiry {granted} instead of {expiry}"));
        let real = admission.keep_alive;
        self.check(real == keep_alive, || format!("keep alive {real} instead of {keep_alive}"));
        let Some(session) = self.sessions.get_mut(&id) else { return self.done() };
        let same = !present || session.key == admission.session.key;
        session.key = admission.session.key;
        let mut link = Link::new(&entrant.describe(), session, self.now);
        link.pace = link.limits.publish_rate.map(|most| {
            let pace = self.paces.entry(Rc::clone(&id)).or_default();
            let mut used = pace.borrow_mut();
            // By the rate that it was used under, then by the one that holds.
            used.look(self.now);
            used.most = most;
            used.look(self.now);
            Rc::clone(pace)
        });
        self.links.insert(entrant.link, link);
        self.keys.insert(entrant.link, admission.session.key);
        self.check(same, || format!("{id} resumed another session"));
        if present {
            self.rejudged(entrant.link);
        }
        self.done();
    }

    fn expected_refusal(&self, entrant: &Entrant, asked_keep_alive: u16) -> Option<ReasonCode> {
        let v5 = entrant.version == Version::V5;
        if !v5 && entrant.keep_alive != asked_keep_alive {
            return Some(ReasonCode::ClientIdentifierNotValid);
        }
        if entrant.permitted == Some(false) {
            return Some(ReasonCode::NotAuthorized);
        }
        let is_known = self.sessions.contains_key(&entrant.client_id);
        let is_full = self.sessions.len() >= self.limits.max_sessions;
        (entrant.applied.is_none() && !is_known && is_full).then_some(ReasonCode::QuotaExceeded)
    }

    /// The first question about a will, while its client is let in, is whether it may be left.
    pub(super) fn is_asked_at_the_door(&mut self, permitted: bool) -> bool {
        match &mut self.doing {
            Doing::Admit(entrant) if entrant.will.is_some() && entrant.permitted.is_none() => {
                entrant.permitted = Some(permitted);
                true
            }
            _ => false,
        }
    }

    /// The client gets its session; answers whether it was there before. Happens once, before any will that this
    /// causes is published.
    fn take_place(&mut self) -> bool {
        let Doing::Admit(entrant) = &mut self.doing else { return false };
        if let Some(present) = entrant.applied {
            return present;
        }
        let (id, clean_start) = (Rc::clone(&entrant.client_id), entrant.clean_start);
        let (link, expiry, bound) = (entrant.link, entrant.expiry, entrant.limits.queue);
        let will = entrant.will.clone();
        if self.sessions.get(&id).is_some_and(|session| clean_start || session.expiry == 0) {
            self.end(&id);
        }
        let present = self.sessions.contains_key(&id);
        self.order += 1;
        let fresh = || Session::new(bound);
        let session = self.sessions.entry(Rc::clone(&id)).or_insert_with(fresh);
        let old_will = std::mem::replace(&mut session.will, will);
        let was_held = session.holder.replace(link).is_some();
        (session.order, session.expiry, session.bound) = (self.order, expiry, bound);
        (session.will_due, session.ends_at, session.is_told) = (None, None, false);
        // A will with a delay is not published when the session goes on in time.
        if let Some(will) = old_will.filter(|will| was_held && will.delay == 0) {
            self.bequeath(&id, will);
        }
        if let Doing::Admit(entrant) = &mut self.doing {
            entrant.applied = Some(present);
        }
        present
    }

    /// The session is over; its will is due.
    pub(super) fn end(&mut self, id: &Rc<str>) {
        let Some(session) = self.sessions.remove(id) else { return };
        self.note(format_args!("session of {id} ends"));
        self.is_loose = true;
        for (_, open) in session.open {
            // What came through a group with QoS 1 may go to another member.
            if let Open::Published(Entry { letter, share: Some(filter), qos, .. }) = open
                && qos == QoS::AtLeastOnce
            {
                self.floats.push(Float { filter, letter });
            }
        }
        if let Some(will) = session.will {
            self.bequeath(id, will);
        }
    }

    fn bequeath(&mut self, id: &Rc<str>, will: Testament) {
        let (client_id, expiry) = (Rc::clone(id), will.expiry);
        self.due.push_back(Due { client_id, letter: will.letter, expiry });
    }

    /// Before the core publishes a will it has done everything that made it due.
    pub(super) fn catch_up(&mut self) {
        self.take_place();
        self.advance();
    }

    /// The will that the core publishes now for this client; none when there is none to publish.
    pub(super) fn take_due(&mut self, client_id: &str) -> Option<Letter> {
        let at = self.due.iter().position(|due| *due.client_id == *client_id)?;
        let due = self.due.remove(at)?;
        let expires_at = due.expiry.map(|seconds| self.now.after_secs(seconds));
        Some(Letter { expires_at, ..due.letter })
    }

    /// A connection leaves the core.
    pub(crate) fn departing(&mut self, link: u32, how: Departure) {
        let now = self.now;
        let Some(left) = self.links.remove(&link) else { return };
        let Some(session) = self.sessions.get_mut(&left.client_id) else { return };
        if session.holder != Some(link) {
            return;
        }
        session.expiry = how.session_expiry.unwrap_or(session.expiry);
        if !how.with_will {
            session.will = None;
        }
        session.detach();
        self.is_loose = true;
        if how.end_session || session.expiry == 0 {
            return self.end(&left.client_id);
        }
        let ends_at = now.after_secs(session.expiry);
        session.ends_at = Some(ends_at);
        let due_now = session.will.take_if(|will| will.delay == 0);
        let later = session.will.as_ref().map(|will| now.after_secs(will.delay).min(ends_at));
        session.will_due = later;
        if let Some(will) = due_now {
            self.bequeath(&left.client_id, will);
        }
    }

    /// The core does what is due.
    pub(crate) fn expiring(&mut self) {
        self.doing = Doing::Expire;
    }

    /// It has done it all.
    pub(crate) fn expired(&mut self) {
        self.advance();
        self.done();
        let now = self.now;
        let late = self.sessions.values().any(|s| s.next_due().is_some_and(|due| due <= now));
        self.check(!late, || "something due was not done".into());
    }

    /// What is due happens in the order of time, up to the next will.
    fn advance(&mut self) {
        let now = self.now;
        while matches!(self.doing, Doing::Expire) && self.due.is_empty() {
            let next = self
                .sessions
                .iter()
                .filter_map(|(id, session)| Some((session.next_due()?, session.order, id)))
                .filter(|(due, ..)| *due <= now)
                .min()
                .map(|(.., id)| Rc::clone(id));
            let Some(id) = next else { return };
            let Some(session) = self.sessions.get_mut(&id) else { return };
            if session.ends_at.is_some_and(|end| end <= now) {
                self.end(&id);
                continue;
            }
            session.will_due = None;
            if let Some(will) = session.will.take() {
                self.bequeath(&id, will);
            }
        }
    }
}

/// What the links have to know of an entrant.
pub(super) struct Newcomer {
    pub(super) client_id: Rc<str>,
    pub(super) version: Version,
    pub(super) limits: Limits,
    pub(super) is_restricted: bool,
    pub(super) expires_in: Option<u32>,
    pub(super) keep_alive: u16,
    pub(super) largest: usize,
    pub(super) window: usize,
    pub(super) aliases: u16,
}

impl Entrant {
    fn describe(&self) -> Newcomer {
        Newcomer {
            client_id: Rc::clone(&self.client_id),
            version: self.version,
            limits: self.limits,
            is_restricted: self.is_restricted,
            expires_in: self.expires_in,
            keep_alive: self.keep_alive,
            largest: self.largest,
            window: self.window,
            aliases: self.aliases,
        }
    }
}

/// An identity only ever narrows what the listener allows.
fn tighten(listener: &Limits, identity: &Identity) -> Limits {
    let own = &identity.limits;
    let narrow = |bound: u32, own: Option<u32>| own.map_or(bound, |own| own.min(bound));
    let mut limits = *listener;
    limits.max_packet_size = narrow(limits.max_packet_size, own.maximum_packet_size);
    limits.session_expiry_max = narrow(limits.session_expiry_max, own.session_expiry);
    limits.queue.messages = narrow(limits.queue.messages, own.queued_messages);
    limits.max_subscriptions = narrow(limits.max_subscriptions, own.subscriptions);
    let receive_maximum = own.receive_maximum.unwrap_or(u16::MAX);
    limits.receive_maximum = limits.receive_maximum.min(receive_maximum);
    limits.publish_rate = own.publish_rate.or(limits.publish_rate);
    limits
}
