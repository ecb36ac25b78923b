//! One loaded plugin: its component, its bounds, and what keeps it from doing harm. Asks one question
//! at a time; must not know chains.

mod answer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmqtt_codec::topic;
use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Connecting, Decision, Request};
use wasmqtt_core::message::Changes;
use wasmqtt_core::time::Moment;
use wasmtime::component::Component;

use self::answer::Answer;
use crate::breaker::{Breaker, Lost, Pass};
use crate::convert::{self, Entrance, Verdict};
use crate::error::{CallError, LoadCause};
use crate::guest::{Guest, Round, Start};
use crate::host::Surroundings;
use crate::host::log::{Leave, LineBudget};
use crate::host::messages::Original;
use crate::http::{HttpPort, Web};
use crate::kv::Store;
use crate::linker::Blueprint;
use crate::loader::Digest;
use crate::metrics::Registry;
use crate::observe::Observed;
use crate::options::{Clock, OnFailure, PluginSpec};
use crate::outbox::{Outbox, Publisher};
use crate::pool::{Lease, Pool};
use crate::registration::Registration;
use crate::revocation::Revocations;
use crate::tally::{Hook, Outcome, Tallies};
use crate::ticker::Ticker;

/// For instantiation and `init` while a generation is prepared.
pub(crate) const INIT_DEADLINE: Duration = Duration::from_secs(5);
/// A restart on the data path may take this much more than the slowest start that was proved.
const RESTART_SLACK: Duration = Duration::from_millis(20);
const RESTART_MAX: Duration = Duration::from_secs(1);
/// Complaints about one plugin.
const COMPLAINTS_PER_SECOND: u32 = 2;

/// One plugin of one generation.
pub(crate) struct Plugin {
    pub(crate) spec: PluginSpec,
    pub(crate) digest: Digest,
    pub(crate) component: Component,
    pub(crate) blueprint: Blueprint,
    pub(crate) registration: Registration,
    pub(crate) tallies: Arc<Tallies>,
    pub(crate) breaker: Breaker,
    pub(crate) surroundings: Arc<Surroundings>,
    ticker: Arc<Ticker>,
    restart: Duration,
    complaints: LineBudget,
    pool: Pool<Guest>,
}

/// How long one packet has waited for a plugin.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waited {
    /// For its answers.
    asked: Duration,
    /// For an instance to ask.
    queued: Duration,
}

/// How often as long as for answers a packet may wait for instances: more are not asked about at once than so many times the
/// instances that there are by default.
const QUEUE: u32 = 4;

/// The instance that answers one call.
pub(crate) enum Slot<'a> {
    /// That of the worker of this number.
    Own(&'a mut Option<Guest>, usize),
    /// One that is nobody's own, and what is to be told how long it waited.
    Lent(Box<Lease<'a, Guest>>, &'a mut Duration),
    /// Nobody's, of whoever tries a plugin out.
    Probed(&'a mut Option<Guest>),
    /// There is none.
    None(CallError),
}

/// What a plugin is made of, before it is proved.
pub(crate) struct Parts {
    pub(crate) spec: PluginSpec,
    pub(crate) digest: Digest,
    pub(crate) component: Component,
    pub(crate) blueprint: Blueprint,
    pub(crate) tallies: Arc<Tallies>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) kv: Arc<Store>,
    pub(crate) metrics: Arc<Registry>,
    pub(crate) clock: Clock,
    pub(crate) listeners: Arc<[Box<str>]>,
    pub(crate) ticker: Arc<Ticker>,
    pub(crate) authentication_instances: usize,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) http: HttpPort,
}

impl Plugin {
    /// Starts a first instance and takes its registration. The instance comes with it.
    pub(crate) fn prove(parts: Parts) -> Result<(Self, Guest), LoadCause> {
        let Parts { spec, digest, component, blueprint, tallies, listeners, ticker, .. } = parts;
        let instances = match blueprint.waits {
            true => spec.limits.http.at_once as usize,
            false => parts.authentication_instances,
        };
        let surroundings = Arc::new(Surroundings {
            name: spec.name.as_str().into(),
            listeners,
            lines: LineBudget::new(spec.limits.log_lines_per_second),
            revocations: parts.revocations,
            clock: parts.clock,
            kv: parts.kv,
            metrics: parts.metrics,
            kv_limit: usize::try_from(spec.limits.kv).unwrap_or(usize::MAX),
            publisher: publisher(&spec, &parts.outbox),
            http: Web::new(parts.http, &spec.grants, spec.limits.http)
                .map_err(|(filter, why)| LoadCause::Grant { grant: "http", filter, why })?,
        });
        let begin = Instant::now();
        let start = Start {
            surroundings: &surroundings,
            limits: &spec.limits,
            ticker: &ticker,
            config: &spec.config,
            deadline: INIT_DEADLINE,
        };
        let (guest, registration) = Guest::start(&blueprint, &start)?;
        let restart = (begin.elapsed() * 4 + RESTART_SLACK).min(RESTART_MAX);
        check(&registration, &blueprint).map_err(LoadCause::Registration)?;
        let plugin = Self {
            spec,
            digest,
            component,
            blueprint,
            registration,
            tallies,
            breaker: Breaker::default(),
            surroundings,
            ticker,
            restart,
            complaints: LineBudget::new(COMPLAINTS_PER_SECOND),
            pool: Pool::new(instances),
        };
        Ok((plugin, guest))
    }

    /// Starts another instance; its registration must be that of the first.
    pub(crate) fn start(&self, deadline: Duration) -> Result<Guest, LoadCause> {
        let start = Start {
            surroundings: &self.surroundings,
            limits: &self.spec.limits,
            ticker: &self.ticker,
            config: &self.spec.config,
            deadline,
        };
        let (guest, registration) = Guest::start(&self.blueprint, &start)?;
        if registration != self.registration {
            return Err(LoadCause::Unstable);
        }
        Ok(guest)
    }

    /// Whether a call may wait for somebody outside of the broker.
    pub(crate) fn waits(&self) -> bool {
        self.blueprint.waits
    }

    /// Gives the plugin an instance that answers wherever there is time.
    pub(crate) fn keep(&self, guest: Guest) {
        self.pool.add(guest);
    }

    /// Whether the failure policy is to go on as if the plugin had not been asked.
    pub(crate) fn fails_open(&self) -> bool {
        self.spec.on_failure == OnFailure::Open
    }

    /// Whether the plugin may move a message to this topic.
    pub(crate) fn may_write(&self, topic: &str) -> bool {
        self.spec.grants.topics.iter().any(|filter| topic::matches(filter, topic))
    }

    /// Asks who a connecting client is, from any thread.
    pub(crate) fn authenticate(&self, connecting: &Connecting) -> Result<Entrance, CallError> {
        self.ask_pooled(Hook::Authenticate, connecting, |guest, deadline, listener| {
            guest.authenticate(deadline, connecting, listener)
        })
    }

    /// Asks for one round of an AUTH exchange, from any thread.
    pub(crate) fn exchange(&self, round: Round<'_>) -> Result<convert::Round, CallError> {
        self.ask_pooled(Hook::Exchange, round.connecting, |guest, deadline, listener| {
            guest.exchange(deadline, round, listener)
        })
    }

    /// Puts a question about a client at the door to an instance that is no worker's own, when one is free.
    fn ask_pooled<R: Answer>(
        &self,
        hook: Hook,
        connecting: &Connecting,
        question: impl FnOnce(&mut Guest, Duration, &str) -> Result<R, CallError>,
    ) -> Result<R, CallError> {
        let deadline = self.spec.limits.authenticate;
        let mut lease = self.lease(hook, Duration::MAX)?;
        let listeners = &self.surroundings.listeners;
        let listener = listeners.get(usize::from(connecting.listener.0)).map_or("", |name| name);
        self.ask(hook, &mut lease.slot, None, |guest| {
            guest.wait_at_most(Duration::MAX);
            question(guest, deadline, listener)
        })
    }

    /// An instance for one call, off the data path. Blocks. `waited`: how long it has because of the same packet.
    pub(crate) fn pooled<'a>(&'a self, hook: Hook, waited: &'a mut Waited) -> Slot<'a> {
        let most = self.spec.limits.http.packet_time;
        if self.waits() && waited.asked >= most {
            self.tallies.count(None, hook, Outcome::Failure);
            return Slot::None(CallError::Late(most));
        }
        // Others' questions are not this packet's: where many are asked at once, the last would have no time left.
        let (begin, left) = (Instant::now(), (most * QUEUE).saturating_sub(waited.queued));
        let lease = self.lease(hook, left);
        waited.queued += begin.elapsed();
        lease.map_or_else(Slot::None, |lease| Slot::Lent(Box::new(lease), &mut waited.asked))
    }

    /// An instance that is no worker's own. Waits for one, no longer than a call may take.
    fn lease(&self, hook: Hook, left: Duration) -> Result<Lease<'_, Guest>, CallError> {
        let limits = &self.spec.limits;
        let patience = match self.waits() {
            true => left.min(limits.authenticate + limits.http.time),
            false => limits.authenticate,
        };
        self.pool.lease(Instant::now() + patience).ok_or_else(|| {
            self.tallies.count(None, hook, Outcome::Failure);
            let limit = if self.waits() {
                "`limits.http_at_once`"
            } else {
                "the number of authentication instances"
            };
            CallError::Busy { instances: self.pool.max(), waited: patience, limit }
        })
    }

    /// Asks whether a client may do something, none = it abstains, and for how many milliseconds that may be reused.
    pub(crate) fn authorize(
        &self,
        slot: Slot<'_>,
        hops: u8,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Result<(Option<Decision>, u32), CallError> {
        self.ask_in(Hook::Authorize, slot, |guest| {
            guest.authorize(self.spec.limits.call, hops, client, request)
        })
    }

    /// Asks what should become of a publication. The message comes back as it was.
    pub(crate) fn on_publish(
        &self,
        slot: Slot<'_>,
        now: Moment,
        message: Original,
    ) -> (Option<Original>, Result<(Verdict, Changes), CallError>) {
        let mut kept = Some(message);
        let result = self.ask_in(Hook::OnPublish, slot, |guest| {
            let Some(message) = kept.take() else { return Err(CallError::Suspended) };
            let (original, result) = guest.on_publish(self.spec.limits.call, now, message);
            kept = original;
            result
        });
        (kept, result)
    }

    /// Asks what should become of one delivery.
    pub(crate) fn on_deliver(
        &self,
        slot: Slot<'_>,
        now: Moment,
        subscriber: &Arc<Client>,
        message: Original,
    ) -> Result<(Verdict, Changes), CallError> {
        self.ask_in(Hook::OnDeliver, slot, |guest| {
            guest.on_deliver(self.spec.limits.call, now, subscriber, message).1
        })
    }

    fn ask_in<T: Answer>(
        &self,
        hook: Hook,
        slot: Slot<'_>,
        question: impl FnOnce(&mut Guest) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        match slot {
            Slot::Own(slot, worker) => self.ask(hook, slot, Some(worker), question),
            Slot::Lent(mut lease, spent) => {
                let left = self.spec.limits.http.packet_time.saturating_sub(*spent);
                let begin = Instant::now();
                let result = self.ask(hook, &mut lease.slot, None, |guest| {
                    guest.wait_at_most(left);
                    question(guest)
                });
                let waited = lease.slot.as_ref().map(Guest::waited);
                *spent += waited.unwrap_or_else(|| begin.elapsed());
                result
            }
            Slot::Probed(slot) => self.ask(hook, slot, None, question),
            Slot::None(error) => Err(error),
        }
    }

    /// Tells what happened.
    pub(crate) fn on_events(
        &self,
        slot: &mut Option<Guest>,
        hops: u8,
        events: &[Observed],
        lost: u64,
    ) -> Result<(), CallError> {
        let deadline = self.spec.limits.observe;
        self.ask(Hook::OnEvents, slot, None, |guest| guest.on_events(deadline, hops, events, lost))
    }

    /// Tells that time has passed.
    pub(crate) fn tick(&self, slot: &mut Option<Guest>) -> Result<(), CallError> {
        self.ask(Hook::Tick, slot, None, |guest| guest.tick(self.spec.limits.observe))
    }

    /// Counts events that the plugin was not told, and tells the operator, not more often than is readable.
    pub(crate) fn lose(&self, events: u64, why: &str) {
        self.tallies.events_lost(events);
        if let Leave::Granted { dropped } = self.complaints.take() {
            let (plugin, total) = (&*self.spec.name, self.tallies.sum_events_lost());
            tracing::warn!(
                plugin,
                hook = "on-events",
                events,
                total,
                dropped,
                "events lost: {why}"
            );
        }
    }

    /// Calls the instance in `slot`, a fresh one where there is none, and throws it away if the call
    /// cost it.
    fn ask<T: Answer>(
        &self,
        hook: Hook,
        slot: &mut Option<Guest>,
        worker: Option<usize>,
        question: impl FnOnce(&mut Guest) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let Some(pass) = self.breaker.pass() else {
            self.tallies.count(worker, hook, Outcome::Suspended);
            return Err(CallError::Suspended);
        };
        let asked = self.tallies.begin(worker, hook);
        let result = match slot {
            Some(guest) => question(guest),
            None => self.restart(worker).and_then(|mut guest| {
                guest.sit(worker.unwrap_or(usize::MAX));
                question(slot.insert(guest))
            }),
        };
        asked.end(match &result {
            Ok(answer) => answer.outcome(),
            Err(CallError::Trap(_) | CallError::Restart(_)) => Outcome::Trap,
            Err(CallError::Deadline(_)) => Outcome::Deadline,
            Err(_) => Outcome::Failure,
        });
        match &result {
            Err(error) if error.loses_instance() => {
                *slot = None;
                self.mourn(pass);
            }
            _ => {
                self.breaker.proved(pass);
                if pass == Pass::Probe {
                    tracing::info!(plugin = &*self.spec.name, "answers again");
                }
            }
        }
        result
    }

    /// Off the data path a start may take as long as the call it is for.
    fn restart(&self, worker: Option<usize>) -> Result<Guest, CallError> {
        let patience = match worker {
            Some(_) => self.restart,
            None => self.restart.max(self.spec.limits.authenticate),
        };
        self.start(patience).map_err(|cause| CallError::Restart(cause.to_string()))
    }

    fn mourn(&self, pass: Pass) {
        if let Lost::Opened(pause) = self.breaker.lost(pass) {
            let plugin = &*self.spec.name;
            tracing::error!(
                plugin,
                ?pause,
                on_failure = ?self.spec.on_failure,
                "lost too many instances; on_failure answers in its place until one call succeeds"
            );
        }
    }

    /// Tells the operator that the failure policy answered, not more often than is readable.
    pub(crate) fn complain(&self, hook: &'static str, error: &CallError) {
        if let Leave::Granted { dropped } = self.complaints.take() {
            let plugin = &*self.spec.name;
            let on_failure = self.spec.on_failure;
            tracing::warn!(plugin, hook, ?on_failure, dropped, "gave no answer: {error}");
        }
    }
}

fn publisher(spec: &PluginSpec, outbox: &Arc<Outbox>) -> Option<Arc<Publisher>> {
    let filters = &spec.grants.publish;
    let most = spec.limits.queued_publications as usize;
    let publisher = || Arc::new(Publisher::new(&spec.name, filters, most, outbox));
    (!filters.is_empty()).then(publisher)
}

/// Holds what the plugin wants against what it exports.
fn check(registration: &Registration, blueprint: &Blueprint) -> Result<(), String> {
    let shape = &blueprint.shape;
    if registration.observes() && !shape.observes() {
        return Err("it wants events or ticks, but does not export \
                    wasmqtt:plugin/observation@0.1.0"
            .into());
    }
    let transforms = !registration.on_publish.is_empty() || !registration.on_deliver.is_empty();
    if transforms && !shape.transforms() {
        return Err("it wants messages (on-publish or on-deliver), but does not export \
                    wasmqtt:plugin/transformation@0.1.0"
            .into());
    }
    let actions = registration.authorize;
    if blueprint.waits && (actions.receive || !registration.on_deliver.is_empty()) {
        return Err("it wants to judge deliveries (receive or on-deliver), but it imports \
                    wasmqtt:plugin/http@0.1.0, and a delivery cannot wait for a web service; let it judge \
                    subscriptions and publications instead, or do without http"
            .into());
    }
    if (actions.publish || actions.subscribe || actions.receive) && !shape.authorizes() {
        return Err("it wants to authorize, but does not export \
                    wasmqtt:plugin/authorization@0.1.0"
            .into());
    }
    Ok(())
}
