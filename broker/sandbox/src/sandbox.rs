//! The plugin host: prepares generations, puts them in place, and answers the two ports of the core,
//! [`Gate`] and [`Judge`]. Must not know wasm.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::client::{Client, ListenerId};
use wasmqtt_core::judge::{
    Connecting, Decision, Gate, Identity, Judge, Progress, Refusal, Request, Screened, Step,
    Subject, Transformed,
};
use wasmqtt_core::message::Message;
use wasmqtt_core::time::Moment;
use wasmtime::component::Linker;

use crate::chain::{Chain, Instances, Memory, Seat, Session};
use crate::elsewhere::PatientJudge;
use crate::engine::Machine;
use crate::error::{LoadCause, LoadError};
use crate::generation::{Generation, Preparation};
use crate::guest::Round;
use crate::host::Host;
use crate::linker;
use crate::observe::{Audience, Outlet};
use crate::options::{ChainSpec, Options, PluginSpec};
use crate::outbox::Outbox;
use crate::plugin::Plugin;
use crate::revocation::{Missed, Revocations};

/// The plugin host of a broker.
pub struct Sandbox {
    options: Options,
    machine: Machine,
    linker: Linker<Host>,
    hub: Arc<Hub>,
    revocations: Arc<Revocations>,
}

/// What runs now.
pub(crate) struct Hub {
    /// Of `current`; what workers compare. Written after it.
    number: AtomicU64,
    current: ArcSwap<Generation>,
    /// One swap at a time.
    swapping: Mutex<()>,
    /// Who is told what happens.
    pub(crate) audience: Audience,
    /// What plugins publish; of all generations, so that a reload loses nothing.
    outbox: Arc<Outbox>,
}

impl Hub {
    pub(crate) fn current(&self) -> Arc<Generation> {
        self.current.load_full()
    }
}

impl Sandbox {
    /// Starts the engine. Until the first [`swap`](Self::swap) every question is answered with no.
    ///
    /// # Errors
    /// When the engine cannot start or the cache directory cannot be used.
    pub fn new(options: Options) -> Result<Self, LoadError> {
        let machine = Machine::start(options.cache_dir.as_deref()).map_err(LoadError::host)?;
        let linker = linker::linker(machine.engine())
            .map_err(|error| LoadError::host(LoadCause::Engine(format!("{error:#}"))))?;
        let hub = Hub {
            number: AtomicU64::new(0),
            current: ArcSwap::from_pointee(Generation::empty()),
            swapping: Mutex::new(()),
            audience: Audience::default(),
            outbox: Arc::default(),
        };
        Ok(Self { options, machine, linker, hub: Arc::new(hub), revocations: Arc::default() })
    }

    /// Makes the next generation beside the running one: reads each file once, compiles what is new,
    /// links, checks, and starts every instance that will be needed. Takes seconds; the running
    /// generation does not notice.
    ///
    /// # Errors
    /// Everything that is wrong, at once. Nothing has changed then.
    pub fn prepare(
        &self,
        plugins: &[PluginSpec],
        chains: &[ChainSpec],
    ) -> Result<Generation, Vec<LoadError>> {
        self.preparation().run(plugins, chains)
    }

    pub(crate) fn preparation(&self) -> Preparation<'_> {
        Preparation {
            machine: &self.machine,
            linker: &self.linker,
            workers: self.options.workers,
            authentication_instances: self.options.authentication_instances,
            revocations: &self.revocations,
            clock: &self.options.clock,
            http: &self.options.http,
            running: self.hub.current.load_full(),
            outbox: &self.hub.outbox,
        }
    }

    /// Puts a generation in place and answers its number. Workers take it up with their next
    /// [`begin`](Judge::begin), authentications with the next CONNECT; calls under way end where they
    /// began.
    pub fn swap(&self, mut generation: Generation) -> u64 {
        let _swapping = self.hub.swapping.lock();
        let number = self.hub.number.load(Ordering::Relaxed) + 1;
        generation.number = number;
        let generation = Arc::new(generation);
        let before = self.hub.current.swap(Arc::clone(&generation));
        self.hub.number.store(number, Ordering::Release);
        self.hub.audience.gather(&self.hub, &generation);
        if before.number > 0 {
            self.hub.audience.tell(&generation.reloaded(&before));
        }
        number
    }

    /// What runs now.
    pub fn current(&self) -> Arc<Generation> {
        self.hub.current.load_full()
    }

    /// Where a worker leaves what happens.
    pub fn outlet(&self) -> Outlet {
        Outlet::new(&self.hub)
    }

    /// What plugins want published, for one worker to route.
    pub fn outbox(&self) -> Arc<Outbox> {
        Arc::clone(&self.hub.outbox)
    }

    /// Ends observing: tells what was left in outlets until now, for two seconds at most. Blocks.
    pub fn dismiss_observers(&self) {
        self.hub.audience.dismiss();
    }

    /// Asks authenticators; blocks, so it wants a thread that may.
    pub fn gate(&self) -> Arc<dyn Gate> {
        Arc::new(SandboxGate { hub: Arc::clone(&self.hub) })
    }

    /// Asks authorizers and transformers, for the worker of this number (from 0).
    pub fn judge(&self, worker: usize) -> WorkerJudge {
        let generation = self.current();
        let seat = generation.take_seat(worker);
        let (hub, revocations) = (Arc::clone(&self.hub), Arc::clone(&self.revocations));
        let (revoked, memory) = (revocations.count(), Memory::default());
        WorkerJudge { hub, generation, seat, memory, revocations, revoked }
    }

    /// Makes judges for questions that would have a worker wait, each for one packet and on a thread that may block.
    pub fn patient_judges(&self) -> impl Fn() -> PatientJudge + Send + Sync + 'static {
        let hub = Arc::clone(&self.hub);
        move || PatientJudge::new(hub.current())
    }

    /// Ready once plugins have revoked rights: with the clients whose sessions are to be judged again. Workers have
    /// been told to forget what they remember about them. For one caller.
    pub fn poll_revocations(&self, cx: &mut Context<'_>) -> Poll<Vec<Subject>> {
        self.revocations.poll_waiting(cx)
    }

    #[cfg(test)]
    pub(crate) fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// Says how a plugin that may closes the connection of a client, with a code and a sentence that may be empty; false
    /// when the client has none. Called from any thread, while a plugin is asked. The first stands; without it no
    /// client is connected.
    pub fn dismiss_with(
        &self,
        dismiss: impl Fn(&str, ReasonCode, &str) -> bool + Send + Sync + 'static,
    ) {
        self.revocations.dismiss_with(Box::new(dismiss));
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("options", &self.options).finish_non_exhaustive()
    }
}

struct SandboxGate {
    hub: Arc<Hub>,
}

impl Gate for SandboxGate {
    fn authenticate(&self, connecting: &Connecting) -> Result<Identity, Refusal> {
        let generation = self.hub.current.load_full();
        match generation.chain(connecting.listener) {
            Some(chain) => chain.authenticate(&generation.plugins, connecting),
            None => Err(Refusal::new(ReasonCode::NotAuthorized)),
        }
    }

    fn authenticate_at_once(&self, connecting: &Connecting) -> Option<Result<Identity, Refusal>> {
        // One load: between two a reload might bring somebody who is to be asked.
        let generation = self.hub.current.load();
        match generation.chain(connecting.listener) {
            Some(chain) => chain.authenticate_at_once(&generation.plugins, connecting),
            None => Some(Err(Refusal::new(ReasonCode::NotAuthorized))),
        }
    }

    fn waits(&self, listener: ListenerId) -> bool {
        let generation = self.hub.current.load();
        let waits = |place: &usize| generation.plugins.get(*place).is_some_and(Plugin::waits);
        generation.chain(listener).is_some_and(|chain| chain.authenticate.iter().any(waits))
    }

    fn begin(&self, connecting: &Connecting, method: &str, data: &[u8]) -> Result<Step, Refusal> {
        self.exchange(Round { connecting, method, data, state: None }, None)
    }

    fn proceed(
        &self,
        connecting: &Connecting,
        method: &str,
        data: &[u8],
        progress: &Progress,
    ) -> Result<Step, Refusal> {
        let round = Round { connecting, method, data, state: Some(&progress.state) };
        self.exchange(round, Some(&progress.authenticator))
    }
}

impl SandboxGate {
    /// Asks for one round: `authenticator`, or whoever speaks the method.
    fn exchange(&self, round: Round<'_>, authenticator: Option<&str>) -> Result<Step, Refusal> {
        let generation = self.hub.current.load_full();
        match generation.chain(round.connecting.listener) {
            Some(chain) => chain.exchange(&generation.plugins, round, authenticator),
            None => Err(Refusal::new(ReasonCode::NotAuthorized)),
        }
    }
}

/// One worker's say: its own instances of the generation it last [began](Judge::begin) with.
pub struct WorkerJudge {
    hub: Arc<Hub>,
    generation: Arc<Generation>,
    seat: Seat,
    /// Of this generation.
    memory: Memory,
    revocations: Arc<Revocations>,
    /// Of these, how many it has seen.
    revoked: u64,
}

fn session<'a>(
    generation: &'a Generation,
    chain: &Chain,
    (seat, memory, revoked): (&'a mut Seat, &'a mut Memory, u64),
    now: Moment,
    hops: u8,
) -> Session<'a> {
    let (plugins, instances) = (&*generation.plugins, Instances::Seat(seat));
    let shared = chain.waits.authorize.then_some(&generation.shared);
    Session { plugins, instances, memory, shared, revoked, now, hops }
}

impl WorkerJudge {
    fn take_up(&mut self) {
        let current = self.hub.current.load_full();
        // The swap may be half way: the generation in place, its number not yet.
        if current.number != self.generation.number {
            self.seat = current.take_seat(self.seat.worker);
            self.generation = current;
            self.memory = Memory::default();
        }
    }

    #[cold]
    fn forget(&mut self) {
        let (count, missed) = self.revocations.since(self.revoked);
        self.revoked = count;
        let decisions = &mut self.memory.decisions;
        match missed {
            Missed::Subjects(subjects) => {
                subjects.iter().for_each(|subject| decisions.forget(subject));
            }
            Missed::TooMany => decisions.clear(),
        }
    }
}

impl std::fmt::Debug for WorkerJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerJudge")
            .field("worker", &self.seat.worker)
            .field("generation", &self.generation.number)
            .finish_non_exhaustive()
    }
}

impl Judge for WorkerJudge {
    #[inline]
    fn begin(&mut self) {
        if self.hub.number.load(Ordering::Acquire) != self.generation.number {
            self.take_up();
        }
        if self.revocations.count() != self.revoked {
            self.forget();
        }
        self.memory.carried.clear();
    }

    fn knows(&self, listener: ListenerId) -> bool {
        self.generation.chain(listener).is_some()
    }

    fn authorize(&mut self, now: Moment, client: &Arc<Client>, request: &Request<'_>) -> Decision {
        let Some(chain) = self.generation.chain(client.listener) else {
            return Decision::Deny(Refusal::new(ReasonCode::NotAuthorized));
        };
        let own = (&mut self.seat, &mut self.memory, self.revoked);
        let mut session = session(&self.generation, chain, own, now, 0);
        chain.authorize(&mut session, client, request)
    }

    #[inline]
    fn transforms(&self, listener: ListenerId, message: &Message) -> bool {
        // Where the listener is gone, nobody can say what its transformers would have made of it: it is rejected.
        self.generation.chain(listener).is_none_or(|chain| chain.publish.may_want(message))
    }

    fn transform(&mut self, now: Moment, client: &Arc<Client>, message: Message) -> Transformed {
        let Some(chain) = self.generation.chain(client.listener) else {
            return Transformed::Reject(Refusal::new(ReasonCode::NotAuthorized));
        };
        let hops = message.hops();
        let own = (&mut self.seat, &mut self.memory, self.revoked);
        let mut session = session(&self.generation, chain, own, now, hops);
        chain.transform(&mut session, client, message)
    }

    #[inline]
    fn waits(&self, listener: ListenerId) -> bool {
        self.generation.waits && self.generation.chain(listener).is_some_and(Chain::waits)
    }

    fn waits_to_authorize(
        &mut self,
        now: Moment,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> bool {
        let Some(chain) = self.generation.chain(client.listener) else { return false };
        let own = (&mut self.seat, &mut self.memory, self.revoked);
        let mut session = session(&self.generation, chain, own, now, 0);
        chain.waits_to_authorize(&mut session, client, request)
    }

    fn waits_to_transform(&mut self, listener: ListenerId, message: &Message) -> bool {
        let chain = self.generation.chain(listener);
        chain.is_some_and(|chain| chain.waits_to_transform(&mut self.memory, message))
    }

    #[inline]
    fn screens(&self, listener: ListenerId) -> bool {
        self.generation
            .chain(listener)
            .is_some_and(|chain| !chain.receive.is_empty() || !chain.deliver.is_empty())
    }

    fn screen(
        &mut self,
        now: Moment,
        subscriber: &Arc<Client>,
        message: &Arc<Message>,
    ) -> Screened {
        let Some(chain) = self.generation.chain(subscriber.listener) else {
            return Screened::Skip;
        };
        let hops = message.hops();
        let own = (&mut self.seat, &mut self.memory, self.revoked);
        let mut session = session(&self.generation, chain, own, now, hops);
        chain.screen(&mut session, subscriber, message)
    }
}
