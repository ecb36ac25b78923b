//! What a client sends, as the core gets it: which answers it owes, and when it may close the connection.

use wasmqtt_codec::{Packet, QoS, ReasonCode, Subscribe, Unsubscribe, topic};
use wasmqtt_core::fault::Fault;
use wasmqtt_core::time::Moment;

use super::Auditor;
use super::routing::shared;
use super::session::{Held, Open};

/// An answer that must be the next one of its kind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owed {
    PubAck(u16),
    PubRec(u16),
    PubRel(u16),
    PubComp(u16),
    SubAck(u16),
    UnsubAck(u16),
    PingResp,
}

impl Auditor {
    /// A whole packet goes into the core.
    pub(crate) fn receiving(&mut self, at: u32, packet: &Packet<'_>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&at) else { return self.fail("nobody sent this") };
        link.heard_at = now;
        link.may_route = true;
        let id = link.client_id.clone();
        let session = self.sessions.get_mut(&id).filter(|session| session.holder == Some(at));
        let owed = match packet {
            Packet::Publish(publish) => {
                link.is_too_fast |=
                    link.pace.as_ref().is_some_and(|pace| pace.borrow_mut().count(now));
                let number = publish.packet_id.map_or(0, |id| id.get());
                if link.is_too_fast {
                    return;
                }
                match (publish.qos, session) {
                    (QoS::AtMostOnce, _) => return,
                    (QoS::AtLeastOnce, _) => Owed::PubAck(number),
                    (QoS::ExactlyOnce, None) => return,
                    (QoS::ExactlyOnce, Some(session)) => {
                        let most = usize::from(link.limits.receive_maximum);
                        let is_known = session.received.contains_key(&number);
                        link.may_route = !is_known;
                        link.is_over_quota |= !is_known && session.received.len() >= most;
                        if !link.is_over_quota {
                            session.received.insert(number, at);
                        }
                        Owed::PubRec(number)
                    }
                }
            }
            Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubComp(ack) => {
                let Some(session) = session else { return };
                let number = ack.packet_id.get();
                let is_pubrec = matches!(packet, Packet::PubRec(_));
                let slot = session.open.iter_mut().find(|(open, _)| *open == number);
                match slot {
                    Some((_, open @ Open::Published(_))) if is_pubrec => *open = Open::Released,
                    Some(_) if !is_pubrec => {
                        session.open.retain(|(open, _)| *open != number);
                        link.unacknowledged.remove(&number);
                    }
                    _ => {}
                }
                if !is_pubrec {
                    return;
                }
                Owed::PubRel(number)
            }
            Packet::PubRel(ack) => {
                let Some(session) = session else { return };
                session.received.remove(&ack.packet_id.get());
                Owed::PubComp(ack.packet_id.get())
            }
            Packet::Subscribe(subscribe) => Owed::SubAck(subscribe.packet_id.get()),
            Packet::Unsubscribe(unsubscribe) => Owed::UnsubAck(unsubscribe.packet_id.get()),
            Packet::PingReq => Owed::PingResp,
            _ => return,
        };
        link.owed.push_back(owed);
    }

    /// The core wants the publication routed: not when it had it before.
    pub(crate) fn may_route(&mut self, at: u32) {
        let may = self.links.get(&at).is_some_and(|link| link.may_route);
        self.check(may, || "a QoS 2 message that was received before is routed again".into());
    }

    /// A refused QoS 2 publication of an MQTT 5 client is done with, whether its PUBREC can still be sent or not.
    pub(crate) fn refused(&mut self, at: u32, packet_id: u16) {
        let Some(link) = self.links.get(&at) else { return };
        let Some(session) = self.sessions.get_mut(&link.client_id) else { return };
        if session.received.get(&packet_id) == Some(&at) {
            session.received.remove(&packet_id);
        }
    }

    /// SUBSCRIBE was carried out; the codes must be the right ones.
    pub(crate) fn subscribed(&mut self, at: u32, subscribe: &Subscribe<'_>, codes: &[ReasonCode]) {
        let Some(link) = self.links.get(&at) else { return };
        let (id, limits) = (link.client_id.clone(), link.limits);
        let (restricted, key) = (link.is_restricted, link.key);
        let identifier = subscribe.subscription_identifier.map(|id| id.get());
        let mut expected = Vec::new();
        for wanted in &subscribe.subscriptions {
            if wasmqtt_codec::Filter::parse(wanted.filter).is_err() {
                expected.push(ReasonCode::TopicFilterInvalid);
                continue;
            }
            let pattern = shared(wanted.filter).map_or(wanted.filter, |(_, pattern)| pattern);
            let grant = match restricted && topic::overlaps("secret/#", pattern) {
                true => Err(ReasonCode::NotAuthorized),
                false => self.grants.pop_front().unwrap_or(Err(ReasonCode::UnspecifiedError)),
            };
            let grant = match grant {
                Ok(grant) => grant,
                Err(code) => {
                    expected.push(code);
                    continue;
                }
            };
            let session = self.sessions.get_mut(&id).filter(|session| session.key == key);
            let Some(session) = session else {
                expected.push(ReasonCode::QuotaExceeded);
                continue;
            };
            let is_new = !session.held.contains_key(wanted.filter);
            if is_new && session.held.len() >= limits.max_subscriptions as usize {
                expected.push(ReasonCode::QuotaExceeded);
                continue;
            }
            let held = Held {
                qos: wanted.qos.min(grant),
                no_local: wanted.no_local,
                retain_as_published: wanted.retain_as_published,
                identifier,
            };
            session.hold(wanted.filter, &held);
            let replays = match wanted.retain_handling {
                wasmqtt_codec::RetainHandling::SendAtSubscribe => true,
                wasmqtt_codec::RetainHandling::SendIfNew => is_new,
                wasmqtt_codec::RetainHandling::DoNotSend => false,
            };
            if replays && shared(wanted.filter).is_none() {
                self.replay(&id, wanted.filter, &held);
            }
            expected.push(ReasonCode::try_from(held.qos as u8).unwrap_or_default());
        }
        self.check(codes == expected, || format!("granted {codes:?} instead of {expected:?}"));
        self.grants.clear();
        self.expect_codes(at, expected);
    }

    /// What a session holds was judged again: in the order of the filters, as if they were asked for now.
    pub(crate) fn rejudged(&mut self, at: u32) {
        let Some(link) = self.links.get(&at) else { return };
        let (restricted, key) = (link.is_restricted, link.key);
        let mut grants = std::mem::take(&mut self.grants);
        let session = self.sessions.get_mut(&link.client_id);
        let Some(session) = session.filter(|session| session.key == key) else { return };
        let before = session.held.len();
        session.held.retain(|filter, held| {
            let pattern = shared(filter).map_or(filter.as_str(), |(_, pattern)| pattern);
            let forbidden = restricted && topic::overlaps("secret/#", pattern);
            let grant = if forbidden { None } else { grants.pop_front().and_then(Result::ok) };
            held.qos = grant.unwrap_or(QoS::AtMostOnce).min(held.qos);
            grant.is_some()
        });
        let granted: Vec<(String, Held)> =
            session.held.iter().map(|(filter, held)| (filter.clone(), held.clone())).collect();
        granted.iter().for_each(|(filter, held)| session.hold(filter, held));
        self.is_loose = true;
        if session.held.len() < before {
            let held = &session.held;
            let wanted = |topic: &str| {
                let mut filters =
                    held.keys().map(|filter| shared(filter).map_or(&**filter, |s| s.1));
                filters.any(|pattern| topic::matches(pattern, topic))
            };
            session.queue.retain(|entry| wanted(&entry.letter.topic));
        }
    }

    /// UNSUBSCRIBE was carried out.
    pub(crate) fn unsubscribed(
        &mut self,
        at: u32,
        unsubscribe: &Unsubscribe<'_>,
        codes: &[ReasonCode],
    ) {
        let Some(link) = self.links.get(&at) else { return };
        self.is_loose = true;
        let (id, key) = (link.client_id.clone(), link.key);
        let mut session = self.sessions.get_mut(&id).filter(|session| session.key == key);
        let mut remove =
            |filter: &&str| match session.as_mut().and_then(|session| session.held.remove(*filter))
            {
                Some(_) => ReasonCode::Success,
                None => ReasonCode::NoSubscriptionExisted,
            };
        let expected: Vec<ReasonCode> = unsubscribe.filters.iter().map(&mut remove).collect();
        self.passed_on(&id, &unsubscribe.filters);
        self.check(codes == expected, || format!("unsubscribed {codes:?} not {expected:?}"));
        self.expect_codes(at, expected);
    }

    /// What waits through the groups that a session has just left waits because no other member has room for it.
    fn passed_on(&mut self, id: &str, left: &[&str]) {
        self.settle();
        let Some(session) = self.sessions.get(id) else { return };
        let others = || self.sessions.iter().filter(|(other, _)| &***other != id);
        let has_room = |filter: &str| {
            others().any(|(_, other)| other.held.contains_key(filter) && other.is_ready(1))
        };
        let groups = || session.shares.keys().map(String::as_str);
        let waits = session.shared;
        let right =
            waits == 0 || !groups().all(|filter| left.contains(&filter) && has_room(filter));
        self.check(right, || {
            format!("{waits} messages still wait for {id}, which left its groups")
        });
    }

    fn expect_codes(&mut self, at: u32, codes: Vec<ReasonCode>) {
        if let Some(link) = self.links.get_mut(&at) {
            link.codes.push_back(codes);
        }
    }

    /// A client is about to break a rule: whatever closes its connection is right.
    pub(crate) fn rude(&mut self, at: u32) {
        if let Some(link) = self.links.get_mut(&at) {
            link.is_rude = true;
        }
    }

    /// The world has told the broker to close this connection.
    pub(crate) fn ordered(&mut self, client_id: &str) {
        let holder = self.sessions.get(client_id).and_then(|session| session.holder);
        if let Some(link) = holder.and_then(|at| self.links.get_mut(&at)) {
            link.is_ordered = true;
        }
    }

    /// The core wants the connection closed: there must be a reason.
    pub(crate) fn faulted(&mut self, at: u32, fault: &Fault) {
        let now = self.now;
        let Some(link) = self.links.get(&at) else { return };
        let session = self.sessions.get(&link.client_id);
        let holds = session.is_some_and(|session| session.holder == Some(at));
        let told = session.is_some_and(|session| session.is_told);
        let is_right = link.is_rude
            || match fault {
                Fault::TakenOver => !holds,
                Fault::KeepAliveTimeout => {
                    let silence = now.since(link.heard_at).as_millis() as u64;
                    link.keep_alive > 0 && silence >= u64::from(link.keep_alive) * 1500
                }
                Fault::IdentityExpired => link.expires_at.is_some_and(|at| at <= now),
                Fault::ReceiveMaximumExceeded => link.is_over_quota,
                Fault::MessageRateTooHigh => link.is_too_fast,
                Fault::Ordered(ReasonCode::QuotaExceeded) => told,
                Fault::Ordered(ReasonCode::AdministrativeAction) => link.is_ordered,
                _ => false,
            };
        self.check(is_right, || format!("closed without a reason: {fault}"));
    }

    /// The connection goes on: there must be no reason to close it.
    pub(crate) fn goes_on(&mut self, at: u32) {
        let now = self.now;
        let Some(link) = self.links.get(&at) else { return };
        let silent = Moment(link.heard_at.0 + u64::from(link.keep_alive) * 1500);
        let overdue = link.keep_alive > 0 && silent <= now
            || link.expires_at.is_some_and(|at| at <= now)
            || link.is_over_quota
            || link.is_too_fast;
        self.check(!overdue, || "a connection goes on beyond its time or its quota".into());
    }

    /// The connection is about to end: the packet that it ends with needs no answer.
    pub(crate) fn leaving(&mut self, at: u32) {
        if let Some(link) = self.links.get_mut(&at) {
            link.is_leaving = true;
        }
    }

    /// A turn is over: every packet was answered.
    pub(crate) fn answered(&mut self, at: u32) {
        let link = self.links.get(&at).filter(|link| !link.is_leaving);
        let owed = link.and_then(|link| link.owed.front().cloned());
        self.check(owed.is_none(), || format!("{owed:?} was never sent"));
    }
}
