//! One connection after the other, and the messages that come on them.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::time::Duration;

use tokio::time::timeout;
use wasmqtt_codec::{
    Packet, PacketId, Publish, PublishProperties, QoS, ReasonCode, SubAck, Subscribe, Subscription,
    UnsubAck, Unsubscribe, topic,
};

use super::Subscriber;
use crate::enter::{Plan, dismissal};
use crate::failure::{Failure, words};
use crate::format::{Delivery, Format};
use crate::link::{Event, Link};
use crate::message::{Aliases, Incoming};
use crate::publish::unknown_method;

/// How long the broker may take for what is still open at the end.
const FAREWELL: Duration = Duration::from_secs(10);
const SUBSCRIBE: PacketId = PacketId::MIN;
const UNSUBSCRIBE: PacketId = SUBSCRIBE.saturating_add(1);

/// How it ends well.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it was asked.
    Done,
    /// The broker granted nothing, with this code.
    Refused(u8),
}

/// What one invocation does.
pub(super) struct Flow<'a> {
    subscriber: &'a Subscriber,
    filters: Vec<String>,
    format: Format,
    plan: &'a Plan,
    out: BufWriter<Stdout>,
    /// Messages that are still wanted.
    left: Option<u64>,
    link: Option<Link>,
    /// A broker has let it in.
    entered: bool,
    /// Something came since this was asked.
    progress: bool,
    /// Answers that are waited for: of SUBSCRIBE, of UNSUBSCRIBE.
    asked: [bool; 2],
    incoming: Incoming,
    aliases: Aliases,
}

impl<'a> Flow<'a> {
    pub(super) fn new(
        subscriber: &'a Subscriber,
        filters: Vec<String>,
        format: Format,
        plan: &'a Plan,
    ) -> Self {
        Self {
            subscriber,
            filters,
            format,
            plan,
            out: BufWriter::new(io::stdout()),
            left: subscriber.wanted.count,
            link: None,
            entered: false,
            progress: false,
            asked: [false; 2],
            incoming: Incoming::default(),
            aliases: Aliases::default(),
        }
    }

    pub(super) const fn has_entered(&self) -> bool {
        self.entered
    }

    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progress)
    }

    /// Lets go of a connection that is lost.
    pub(super) fn hang_up(&mut self) {
        self.link = None;
    }

    fn link(&mut self) -> Result<&mut Link, Failure> {
        self.link.as_mut().ok_or_else(|| Failure::lost("there is no connection"))
    }

    /// Connects and subscribes, and takes what comes until there is a reason to end.
    pub(super) async fn run(&mut self) -> Result<End, Failure> {
        self.link = None;
        self.aliases = Aliases::default();
        let (link, terms) = self.plan.enter().await?;
        self.link = Some(link);
        if !terms.session_present {
            self.incoming = Incoming::default();
        }
        // The subscriptions of a session that goes on do so, too.
        if !(std::mem::replace(&mut self.entered, true) && terms.session_present) {
            self.ask()?;
        }
        loop {
            let Event::Packet(raw) = self.link()?.turn().await? else { continue };
            let packet = raw.packet()?;
            let end = self.take(&packet)?;
            if end.is_some() || !self.link()?.is_ready() {
                match self.out.flush() {
                    // Who reads has had enough.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(End::Done);
                    }
                    flushed => flushed.map_err(|error| cannot_write(&error))?,
                }
            }
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn ask(&mut self) -> Result<(), Failure> {
        let (plan, subscriber) = (self.plan, self.subscriber);
        self.asked = [!self.filters.is_empty(), !subscriber.unsubscribe.is_empty()];
        if self.asked[1] {
            let filters = subscriber.unsubscribe.iter().map(String::as_str).collect();
            let user_properties = plan.properties.unsubscribe.as_view();
            self.link()?.send(&Packet::Unsubscribe(Unsubscribe {
                packet_id: UNSUBSCRIBE,
                user_properties,
                filters,
            }))?;
        }
        if self.asked[0] {
            let filters = std::mem::take(&mut self.filters);
            let subscriptions = filters.iter().map(|filter| Subscription {
                no_local: subscriber.no_local,
                retain_as_published: subscriber.retain_as_published,
                retain_handling: subscriber.retain_handling,
                ..Subscription::new(filter, subscriber.qos)
            });
            let subscriptions = subscriptions.collect();
            let sent = self.link()?.send(&Packet::Subscribe(Subscribe {
                packet_id: SUBSCRIBE,
                subscription_identifier: plan.properties.subscribe.identifier,
                user_properties: plan.properties.subscribe.user.as_view(),
                subscriptions,
            }));
            self.filters = filters;
            sent?;
        }
        Ok(())
    }

    fn take(&mut self, packet: &Packet<'_>) -> Result<Option<End>, Failure> {
        match packet {
            Packet::Publish(publish) => return self.receive(publish),
            Packet::PubRel(ack) => {
                let answer = self.incoming.release(ack.packet_id);
                self.link()?.send(&answer)?;
            }
            Packet::SubAck(suback) => return Ok(self.subscribed(suback)),
            Packet::UnsubAck(unsuback) => return Ok(self.unsubscribed(unsuback)),
            Packet::Disconnect(disconnect) => return Err(dismissal(disconnect)),
            Packet::Auth(_) => return Err(unknown_method()),
            _ => {}
        }
        Ok(None)
    }

    fn subscribed(&mut self, suback: &SubAck<'_>) -> Option<End> {
        self.asked[0] = false;
        let refused = |(_, reason): &(&String, &ReasonCode)| reason.is_error();
        let pairs = self.filters.iter().zip(suback.reasons.iter());
        for (filter, reason) in pairs.filter(refused) {
            let told = words(*reason, suback.reason_string);
            self.subscriber.tell(&format_args!("the broker refuses {filter}: {told}"));
        }
        match suback.reasons.iter().all(|reason| reason.is_error()) {
            true => suback.reasons.last().map(|reason| End::Refused(*reason as u8)),
            false => self.settled(),
        }
    }

    fn unsubscribed(&mut self, unsuback: &UnsubAck<'_>) -> Option<End> {
        self.asked[1] = false;
        let refused = |(_, reason): &(&String, &ReasonCode)| reason.is_error();
        let pairs = self.subscriber.unsubscribe.iter().zip(unsuback.reasons.iter());
        for (filter, reason) in pairs.filter(refused) {
            let told = words(*reason, unsuback.reason_string);
            self.subscriber.tell(&format_args!("the broker keeps {filter}: {told}"));
        }
        self.settled()
    }

    /// With -E, this was all.
    fn settled(&self) -> Option<End> {
        let done = self.subscriber.wanted.subscribe_only && self.asked == [false; 2];
        done.then_some(End::Done)
    }

    fn receive(&mut self, publish: &Publish<'_>) -> Result<Option<End>, Failure> {
        let wanted = &self.subscriber.wanted;
        self.progress = true;
        if wanted.retained_only && !publish.retain {
            // Not acknowledged: the next one may want it.
            return Ok(Some(End::Done));
        }
        let most = self.plan.properties.connect.topic_alias_maximum;
        let topic = self.aliases.topic(publish, most)?;
        let mut end = None;
        let excluded = wanted.filter_out.iter().any(|filter| topic::matches(filter, topic))
            || (wanted.no_retained && publish.retain);
        if self.incoming.is_new(publish) && !excluded {
            if wanted.remove_retained && publish.retain {
                let link = self.link.as_mut();
                link.map(|link| link.send(&removal(topic))).transpose()?;
            }
            if chance(wanted.random_filter)? {
                let delivery = Delivery::new(topic, publish);
                let output = &self.subscriber.output;
                let mut bytes = Vec::new();
                match self.format.write(&delivery, output.pretty, &mut bytes) {
                    Ok(()) if !output.no_eol => bytes.push(b'\n'),
                    Ok(()) => {}
                    Err(told) => self.subscriber.tell(&told),
                }
                match self.out.write_all(&bytes) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        return Ok(Some(End::Done));
                    }
                    written => written.map_err(|error| cannot_write(&error))?,
                }
                self.left = self.left.map(|left| left.saturating_sub(1));
                end = (self.left == Some(0)).then_some(End::Done);
            }
        }
        if let Some(answer) = self.incoming.acknowledge(publish) {
            self.link()?.send(&answer)?;
        }
        Ok(end)
    }

    /// Ends the connection, if there is one, when what is open with the broker is closed.
    pub(super) async fn leave(&mut self) -> Result<(), Failure> {
        let Some(mut link) = self.link.take() else { return Ok(()) };
        let incoming = &mut self.incoming;
        let settling = async {
            while !incoming.is_settled() {
                let Event::Packet(raw) = link.turn().await? else { continue };
                if let Packet::PubRel(ack) = raw.packet()? {
                    link.send(&incoming.release(ack.packet_id))?;
                }
            }
            Ok::<_, Failure>(())
        };
        // Whatever is not closed then, the broker will send again.
        if let Ok(settled) = timeout(FAREWELL, settling).await {
            settled?;
        }
        link.send(&self.plan.farewell())?;
        link.close().await.map(drop)
    }
}

/// An empty message takes the place of the one that is retained.
fn removal(topic: &str) -> Packet<'_> {
    Packet::Publish(Publish {
        dup: false,
        qos: QoS::AtMostOnce,
        retain: true,
        topic,
        packet_id: None,
        properties: PublishProperties::default(),
        payload: b"",
    })
}

/// True in so many of a hundred cases.
fn chance(percent: f64) -> Result<bool, Failure> {
    if percent >= 100.0 {
        return Ok(true);
    }
    let random = getrandom::u32()
        .map_err(|error| Failure::error(format!("the system has no randomness: {error}")))?;
    Ok(f64::from(random) < percent / 100.0 * f64::from(u32::MAX))
}

fn cannot_write(error: &io::Error) -> Failure {
    Failure::error(format!("cannot write to standard output: {error}"))
}
