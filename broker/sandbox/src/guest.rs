//! One instance of a plugin: its store, limits and deadlines. The only file that calls wasm. Must not
//! know chains, policies or what a lost instance leads to.

mod enhanced;

use std::sync::Arc;
use std::time::Duration;

use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Connecting, Decision, Request};
use wasmqtt_core::message::Changes;
use wasmqtt_core::time::Moment;
use wasmtime::component::{InstancePre, Resource};
use wasmtime::{Error, Store, Trap, WasmBacktrace};

use crate::bindings::exports::wasmqtt::plugin::{
    authentication, authorization, enhanced_authentication, lifecycle, observation, transformation,
};
use crate::budget;
use crate::convert::{self, Entrance, Verdict};
use crate::error::{CallError, LoadCause};
use crate::host::messages::{Original, Staged};
use crate::host::{Host, Surroundings, log};
use crate::linker::Blueprint;
use crate::observe::Observed;
use crate::options::PluginLimits;
use crate::registration::Registration;
use crate::ticker::{Pulse, Ticker};

pub(crate) use enhanced::Round;

/// Where a component's exports are, looked up once.
pub(crate) struct Shape {
    lifecycle: lifecycle::GuestIndices,
    authentication: Option<authentication::GuestIndices>,
    enhanced: Option<enhanced_authentication::GuestIndices>,
    authorization: Option<authorization::GuestIndices>,
    transformation: Option<transformation::GuestIndices>,
    observation: Option<observation::GuestIndices>,
}

impl Shape {
    pub(crate) fn of(pre: &InstancePre<Host>) -> wasmtime::Result<Self> {
        let exports = |interface: &str| {
            let name = format!("wasmqtt:plugin/{interface}@0.1.0");
            pre.component().get_export_index(None, &name).is_some()
        };
        let authentication = exports("authentication")
            .then(|| authentication::GuestIndices::new(pre))
            .transpose()?;
        let enhanced = exports("enhanced-authentication")
            .then(|| enhanced_authentication::GuestIndices::new(pre))
            .transpose()?;
        let authorization =
            exports("authorization").then(|| authorization::GuestIndices::new(pre)).transpose()?;
        let transformation = exports("transformation")
            .then(|| transformation::GuestIndices::new(pre))
            .transpose()?;
        let observation =
            exports("observation").then(|| observation::GuestIndices::new(pre)).transpose()?;
        let lifecycle = lifecycle::GuestIndices::new(pre)?;
        Ok(Self { lifecycle, authentication, enhanced, authorization, transformation, observation })
    }

    pub(crate) fn authenticates(&self) -> bool {
        self.authentication.is_some()
    }

    pub(crate) fn exchanges(&self) -> bool {
        self.enhanced.is_some()
    }

    pub(crate) fn authorizes(&self) -> bool {
        self.authorization.is_some()
    }

    pub(crate) fn transforms(&self) -> bool {
        self.transformation.is_some()
    }

    pub(crate) fn observes(&self) -> bool {
        self.observation.is_some()
    }
}

/// What an instance is made from, besides its component.
pub(crate) struct Start<'a> {
    pub(crate) surroundings: &'a Arc<Surroundings>,
    pub(crate) limits: &'a PluginLimits,
    pub(crate) ticker: &'a Arc<Ticker>,
    /// JSON for `init`.
    pub(crate) config: &'a str,
    /// For instantiation and `init` together.
    pub(crate) deadline: Duration,
}

/// What a component exports besides its life cycle.
struct Hooks {
    authentication: Option<authentication::Guest>,
    enhanced: Option<enhanced_authentication::Guest>,
    authorization: Option<authorization::Guest>,
    transformation: Option<transformation::Guest>,
    observation: Option<observation::Guest>,
}

/// What an instance says of itself.
struct Said {
    registration: Result<lifecycle::Registration, String>,
    methods: Vec<String>,
}

/// One instance. Not to be called again after an error that
/// [loses it](CallError::loses_instance).
pub(crate) struct Guest {
    store: Store<Host>,
    hooks: Hooks,
    pulse: Arc<Pulse>,
    ticker: Arc<Ticker>,
}

impl Guest {
    /// Instantiates and initializes.
    pub(crate) fn start(
        blueprint: &Blueprint,
        start: &Start<'_>,
    ) -> Result<(Self, Registration), LoadCause> {
        let Start { limits, ticker, deadline, .. } = *start;
        let host = Host::new(Arc::clone(start.surroundings), limits);
        let mut store = Store::new(blueprint.pre.engine(), host);
        store.limiter(|host| &mut host.limiter);
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes).unwrap_or(usize::MAX));
        budget::watch(&mut store);
        budget::grant(&mut store, deadline);
        let pulse = ticker.pulse();
        let running = ticker.run(&pulse);
        let started = Self::init(&mut store, blueprint, start.config);
        drop(running);
        let (hooks, said) = match started {
            Ok(started) => started,
            Err(error) => {
                return Err(match lost(&mut store, &error, deadline) {
                    CallError::Deadline(deadline) => LoadCause::SlowStart(deadline),
                    CallError::Trap(why) => LoadCause::Start(why),
                    other => LoadCause::Start(other.to_string()),
                });
            }
        };
        let registered = said.registration.map_err(|text| LoadCause::Init(excerpt(&text)))?;
        let registration =
            convert::registration(registered, said.methods).map_err(LoadCause::Registration)?;
        let (ticker, pulse) = (Arc::clone(ticker), pulse);
        // From here on it may publish; whoever is asked because of a message says so.
        store.data_mut().cause = Some(0);
        Ok((Self { store, hooks, pulse, ticker }, registration))
    }

    fn init(
        store: &mut Store<Host>,
        Blueprint { pre, shape, .. }: &Blueprint,
        config: &str,
    ) -> wasmtime::Result<(Hooks, Said)> {
        let instance = pre.instantiate(&mut *store)?;
        let lifecycle = shape.lifecycle.load(&mut *store, &instance)?;
        let authentication =
            shape.authentication.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?;
        let enhanced =
            shape.enhanced.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?;
        let authorization =
            shape.authorization.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?;
        let transformation =
            shape.transformation.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?;
        let observation =
            shape.observation.as_ref().map(|it| it.load(&mut *store, &instance)).transpose()?;
        let registration = lifecycle.call_init(&mut *store, config)?;
        let methods = match &enhanced {
            // Who refuses its configuration is not asked anything else.
            Some(hook) if registration.is_ok() => hook.call_methods(&mut *store)?,
            _ => Vec::new(),
        };
        let hooks = Hooks { authentication, enhanced, authorization, transformation, observation };
        Ok((hooks, Said { registration, methods }))
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.store.data().limiter.memory()
    }

    /// Says how long the next call may wait for web services.
    pub(crate) fn wait_at_most(&mut self, patience: Duration) {
        self.store.data_mut().patience = patience;
    }

    /// How long the last call waited for them.
    pub(crate) fn waited(&self) -> Duration {
        self.store.data().budget.waited()
    }

    /// Says whose it is: what it counts is counted as this worker's.
    pub(crate) fn sit(&mut self, worker: usize) {
        self.store.data_mut().worker = worker;
    }

    /// Asks who a connecting client is.
    pub(crate) fn authenticate(
        &mut self,
        deadline: Duration,
        connecting: &Connecting,
        listener: &str,
    ) -> Result<Entrance, CallError> {
        let hook = self.hooks.authentication.as_ref().ok_or_else(missing)?;
        let properties = convert::user_property_params(&connecting.user_properties);
        let names = convert::certificate_names(connecting);
        let connect = convert::connect(connecting, listener, &properties, &names);
        budget::grant(&mut self.store, deadline);
        let running = self.ticker.run(&self.pulse);
        let result = hook.call_authenticate(&mut self.store, connect);
        drop(running);
        let result = result.map_err(|error| lost(&mut self.store, &error, deadline));
        self.store.data_mut().last_words = None;
        convert::entrance(result?)
    }

    /// Asks whether a client may do something, none = it abstains, and for how many milliseconds that may be reused.
    pub(crate) fn authorize(
        &mut self,
        deadline: Duration,
        hops: u8,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Result<(Option<Decision>, u32), CallError> {
        let hook = self.hooks.authorization.as_ref().ok_or_else(missing)?;
        self.store.data_mut().client = Some(Arc::clone(client));
        self.store.data_mut().cause = Some(hops);
        budget::grant(&mut self.store, deadline);
        let running = self.ticker.run(&self.pulse);
        let result = hook.call_authorize(
            &mut self.store,
            convert::client(client),
            convert::request(request),
        );
        drop(running);
        let result = result.map_err(|error| lost(&mut self.store, &error, deadline));
        let host = self.store.data_mut();
        host.client = None;
        host.last_words = None;
        convert::decision(result?)
    }

    /// Asks what should become of a publication. The message comes back as it was, with what is to be
    /// changed beside it.
    pub(crate) fn on_publish(
        &mut self,
        deadline: Duration,
        now: Moment,
        message: Original,
    ) -> (Option<Original>, Result<(Verdict, Changes), CallError>) {
        self.transform(deadline, now, message, |hook, store, message| {
            hook.call_on_publish(store, message)
        })
    }

    /// Asks what should become of one delivery; likewise.
    pub(crate) fn on_deliver(
        &mut self,
        deadline: Duration,
        now: Moment,
        subscriber: &Arc<Client>,
        message: Original,
    ) -> (Option<Original>, Result<(Verdict, Changes), CallError>) {
        self.store.data_mut().client = Some(Arc::clone(subscriber));
        self.transform(deadline, now, message, |hook, store, message| {
            hook.call_on_deliver(store, convert::client(subscriber), message)
        })
    }

    /// Tells what happened, to messages of so many `hops`.
    pub(crate) fn on_events(
        &mut self,
        deadline: Duration,
        hops: u8,
        events: &[Observed],
        lost: u64,
    ) -> Result<(), CallError> {
        let events: Vec<observation::Event<'_>> = events.iter().map(convert::event).collect();
        self.observe(deadline, hops, |hook, store| hook.call_on_events(store, &events, lost))
    }

    /// Tells that time has passed.
    pub(crate) fn tick(&mut self, deadline: Duration) -> Result<(), CallError> {
        self.observe(deadline, 0, |hook, store| hook.call_tick(store))
    }

    fn observe(
        &mut self,
        deadline: Duration,
        hops: u8,
        call: impl FnOnce(&observation::Guest, &mut Store<Host>) -> wasmtime::Result<()>,
    ) -> Result<(), CallError> {
        let hook = self.hooks.observation.as_ref().ok_or_else(missing)?;
        self.store.data_mut().cause = Some(hops);
        budget::grant(&mut self.store, deadline);
        let running = self.ticker.run(&self.pulse);
        let result = call(hook, &mut self.store);
        drop(running);
        let result = result.map_err(|error| lost(&mut self.store, &error, deadline));
        self.store.data_mut().last_words = None;
        result
    }

    fn transform(
        &mut self,
        deadline: Duration,
        now: Moment,
        message: Original,
        call: impl FnOnce(
            &transformation::Guest,
            &mut Store<Host>,
            Resource<Staged>,
        ) -> wasmtime::Result<
            Result<transformation::Verdict, crate::bindings::wasmqtt::plugin::types::Failure>,
        >,
    ) -> (Option<Original>, Result<(Verdict, Changes), CallError>) {
        let Some(hook) = &self.hooks.transformation else { return (Some(message), Err(missing())) };
        self.store.data_mut().cause = Some(message.hops());
        self.store.data_mut().message = Some(Staged::new(message, now));
        budget::grant(&mut self.store, deadline);
        let running = self.ticker.run(&self.pulse);
        // The message is the one of the call in progress; its handle needs no number.
        let result = call(hook, &mut self.store, Resource::new_borrow(0));
        drop(running);
        let result = result.map_err(|error| lost(&mut self.store, &error, deadline));
        let host = self.store.data_mut();
        host.client = None;
        host.last_words = None;
        let Some(staged) = host.message.take() else { return (None, Err(missing())) };
        let (original, changes, fault) = staged.into_parts();
        let verdict = result.and_then(convert::verdict).and_then(|verdict| match fault {
            Some(fault) if verdict == Verdict::Forward => Err(CallError::Invalid(fault)),
            _ => Ok((verdict, changes)),
        });
        (Some(original), verdict)
    }
}

/// Enough of what a plugin said for one line.
fn excerpt(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(log::LINE_MAX)).unwrap_or_default();
    log::printable(text).into_owned()
}

/// Chains are checked against exports before anything is called.
fn missing() -> CallError {
    CallError::Invalid("it does not export this hook".into())
}

/// Why an instance ended, in words for the operator.
fn lost(store: &mut Store<Host>, error: &Error, deadline: Duration) -> CallError {
    let most = store.hostcall_fuel();
    let host = store.data_mut();
    let (refused, last_words) = (host.limiter.take_refused(), host.last_words.take());
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return CallError::Deadline(deadline);
    }
    let mut text = error.root_cause().to_string();
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    let function =
        backtrace.and_then(|trace| trace.frames().iter().find_map(|frame| frame.func_name()));
    if let Some(function) = function {
        text.push_str(&format!(" in {function:#}"));
    }
    // Wasmtime has no public type for it.
    if text.contains("fuel allocated for hostcalls has been exhausted") {
        text.push_str(&format!("; its limit of {most} host call bytes was reached"));
    }
    for more in [refused, last_words.map(|words| format!("it said: {words}"))].into_iter().flatten()
    {
        text.push_str("; ");
        text.push_str(&more);
    }
    CallError::Trap(text)
}
