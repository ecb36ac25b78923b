//! An immutable set of plugins and chains. Prepared and proved beside the running one, then put in its
//! place as a whole; lives as long as anybody still asks it. Must not know the data path.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmqtt_codec::Filter;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::observe::{Event, Kind, Kinds, Subject};
use wasmtime::component::{Component, Linker};

use crate::chain::{Chain, Places, Seat, Waits};
use crate::elsewhere::SharedDecisions;
use crate::engine::Machine;
use crate::error::{LoadCause, LoadError};
use crate::guest::Guest;
use crate::host::Host;
use crate::http::HttpPort;
use crate::linker::{self, Blueprint};
use crate::loader::{self, Digest};
use crate::metrics::Registry;
use crate::options::{ChainSpec, Clock, PluginSpec};
use crate::outbox::Outbox;
use crate::plugin::{INIT_DEADLINE, Parts, Plugin};
use crate::registration::{Registration, Selectors};
use crate::revocation::Revocations;
use crate::selection::Selection;
use crate::status::PluginStatus;
use crate::tally::Tallies;

/// The instance of an observer, until its thread takes it.
type Stand = Mutex<Option<Guest>>;

/// Plugins, their chains, and one set of fresh instances per worker.
pub struct Generation {
    pub(crate) number: u64,
    pub(crate) plugins: Box<[Plugin]>,
    /// By listener.
    chains: Box<[Option<Chain>]>,
    /// Of what comes in through no listener.
    internal: Chain,
    seats: Box<[Mutex<Option<Seat>>]>,
    /// By plugin: the instance of one that observes.
    observers: Box<[Option<Stand>]>,
    /// Whether any chain has a plugin that may wait on the data path.
    pub(crate) waits: bool,
    /// What is remembered of chains that have.
    pub(crate) shared: SharedDecisions,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Generation {
    /// No plugin and no chain: every question is answered with no.
    pub(crate) fn empty() -> Self {
        Self {
            number: 0,
            plugins: [].into(),
            chains: [].into(),
            internal: Chain::default(),
            seats: [].into(),
            observers: [].into(),
            waits: false,
            shared: SharedDecisions::default(),
        }
    }

    /// How many were put in place before it, it included; 0 = not yet.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Every plugin, in the order of the configuration.
    pub fn plugins(&self) -> impl Iterator<Item = PluginStatus> + '_ {
        self.plugins.iter().map(PluginStatus::of)
    }

    pub(crate) fn chain(&self, listener: ListenerId) -> Option<&Chain> {
        match self.chains.get(usize::from(listener.0)) {
            Some(chain) => chain.as_ref(),
            None => (listener == ListenerId::INTERNAL).then_some(&self.internal),
        }
    }

    /// Who is told what happens, by the place of the plugin.
    pub(crate) fn observers(&self) -> impl Iterator<Item = (usize, Observer<'_>)> {
        let places = self.plugins.iter().zip(&self.observers).enumerate();
        places.filter_map(|(place, (plugin, instance))| {
            instance.as_ref()?;
            let observer = Observer {
                name: &plugin.spec.name,
                wanted: plugin.registration.events,
                most: plugin.spec.limits.queued_events as usize,
            };
            Some((place, observer))
        })
    }

    /// The instance that was proved for the observer at this place, once.
    pub(crate) fn take_observer(&self, place: usize) -> Option<Guest> {
        self.observers.get(place)?.as_ref()?.lock().take()
    }

    /// An event for each plugin that is not what it was before.
    pub(crate) fn reloaded(&self, before: &Self) -> Vec<Event> {
        let same = |plugin: &&Plugin, old: &Plugin| {
            let PluginSpec { location, observe, .. } = old.spec.clone();
            old.digest == plugin.digest
                && old.spec == PluginSpec { location, observe, ..plugin.spec.clone() }
        };
        let changed = self
            .plugins
            .iter()
            .filter(|plugin| !before.plugins.iter().any(|old| same(plugin, old)));
        let event = |plugin: &Plugin| {
            Event::new(Kind::PluginReloaded, Subject::Plugin(plugin.spec.name.as_str().into()))
        };
        changed.map(event).collect()
    }

    /// The worker's instances. Who asks again, or is no worker that was planned for, makes its own as
    /// it needs them.
    pub(crate) fn take_seat(&self, worker: usize) -> Seat {
        let planned = self.seats.get(worker).and_then(|seat| seat.lock().take());
        planned
            .unwrap_or_else(|| Seat { worker, guests: self.plugins.iter().map(|_| None).collect() })
    }
}

/// A plugin that is told what happens.
pub(crate) struct Observer<'a> {
    pub(crate) name: &'a str,
    pub(crate) wanted: Kinds,
    /// Events that may wait for it.
    pub(crate) most: usize,
}

/// What preparing needs to know about the process.
pub(crate) struct Preparation<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) linker: &'a Linker<Host>,
    pub(crate) workers: usize,
    pub(crate) authentication_instances: usize,
    pub(crate) revocations: &'a Arc<Revocations>,
    pub(crate) clock: &'a Clock,
    pub(crate) http: &'a HttpPort,
    /// What runs now: its compiled components and counts are taken over.
    pub(crate) running: Arc<Generation>,
    /// Where plugins publish.
    pub(crate) outbox: &'a Arc<Outbox>,
}

/// A component that is compiled and linked, before it runs for the first time.
struct Linked {
    digest: Digest,
    component: Component,
    blueprint: Blueprint,
}

impl Preparation<'_> {
    /// Reads, compiles, links, checks and proves everything, and collects every error.
    pub(crate) fn run(
        &self,
        specs: &[PluginSpec],
        chains: &[ChainSpec],
    ) -> Result<Generation, Vec<LoadError>> {
        let mut errors = duplicates(specs);
        let mut compiled = HashMap::new();
        let linked: Vec<Option<Linked>> = specs
            .iter()
            .map(|spec| match self.link(spec, &mut compiled) {
                Ok(linked) => Some(linked),
                Err(cause) => {
                    errors.push(LoadError::plugin(&spec.location, &spec.name, cause));
                    None
                }
            })
            .collect();
        for chain in chains {
            check_chain(chain, specs, &linked, &mut errors);
        }
        let listeners = listener_names(chains);
        let mut seats: Vec<Vec<Option<Guest>>> = (0..self.workers).map(|_| Vec::new()).collect();
        let mut plugins = Vec::with_capacity(specs.len());
        let mut observers = Vec::with_capacity(specs.len());
        for (spec, linked) in specs.iter().zip(linked) {
            let Some(linked) = linked else { continue };
            let name = &spec.name;
            let judges = chains
                .iter()
                .any(|chain| chain.authorize.contains(name) || chain.transform.contains(name));
            let waits = linked.blueprint.waits;
            let wanted = if judges && !waits { seats.as_mut_slice() } else { &mut [] };
            match self.prove(spec, linked, &listeners, wanted) {
                Ok((plugin, observer)) => {
                    check_observation(&plugin);
                    plugins.push(plugin);
                    observers.push(observer);
                }
                Err(cause) => errors.push(LoadError::plugin(&spec.location, name, cause)),
            }
            // An instance lies where its plugin does.
            for seat in &mut seats {
                seat.resize_with(plugins.len(), || None);
            }
        }
        for chain in chains {
            check_deliveries(chain, &plugins, &mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let seats = seats.into_iter().enumerate();
        let seats = seats
            .map(|(worker, guests)| Mutex::new(Some(Seat { worker, guests: guests.into() })))
            .collect();
        let (chains, internal) = (lay_out(chains, &plugins), internal(chains, &plugins));
        let waits = chains.iter().flatten().chain([&internal]).any(Chain::waits);
        Ok(Generation {
            number: 0,
            chains,
            internal,
            waits,
            shared: SharedDecisions::new(self.revocations),
            observers: observers.into(),
            plugins: plugins.into(),
            seats,
        })
    }

    /// One plugin without chains, and a first instance of it.
    pub(crate) fn single(&self, spec: &PluginSpec) -> Result<(Plugin, Guest), LoadError> {
        let told = |cause| LoadError::plugin(&spec.location, &spec.name, cause);
        let linked = self.link(spec, &mut HashMap::new()).map_err(told)?;
        let mut seat = [Vec::new()];
        let (plugin, _) =
            self.prove(spec, linked, &listener_names(&[]), &mut seat).map_err(told)?;
        let first = seat.into_iter().flatten().flatten().next();
        match first {
            Some(guest) => Ok((plugin, guest)),
            None => Err(told(LoadCause::Start("it has no instance".into()))),
        }
    }

    fn link(
        &self,
        spec: &PluginSpec,
        compiled: &mut HashMap<Digest, Component>,
    ) -> Result<Linked, LoadCause> {
        if let Some(fault) = spec.limits.fault() {
            return Err(LoadCause::Limits(fault));
        }
        let topics = spec.grants.topics.iter().map(|filter| ("topics", filter));
        let publish = spec.grants.publish.iter().map(|filter| ("publish", filter));
        for (grant, filter) in topics.chain(publish) {
            Filter::parse(filter).map_err(|error| LoadCause::Grant {
                grant,
                filter: filter.clone(),
                why: error.to_string(),
            })?;
        }
        let loaded = loader::load(&spec.path, spec.sha256)?;
        let running = self.running.plugins.iter().find(|plugin| plugin.digest == loaded.digest);
        let known =
            running.map(|plugin| &plugin.component).or_else(|| compiled.get(&loaded.digest));
        let component = match known {
            Some(component) => component.clone(),
            None => self.machine.compile(&spec.path, &loaded.bytes)?,
        };
        compiled.insert(loaded.digest, component.clone());
        let blueprint = linker::link(self.linker, &component, &spec.grants)?;
        if spec.observe && !blueprint.shape.observes() {
            return Err(LoadCause::NoObservation);
        }
        Ok(Linked { digest: loaded.digest, component, blueprint })
    }

    /// Starts as many instances as will be needed at once, one per seat, and one that observes.
    fn prove(
        &self,
        spec: &PluginSpec,
        linked: Linked,
        listeners: &Arc<[Box<str>]>,
        seats: &mut [Vec<Option<Guest>>],
    ) -> Result<(Plugin, Option<Stand>), LoadCause> {
        let running = self.running.plugins.iter().find(|plugin| plugin.spec.name == spec.name);
        let tallies = running.map(|plugin| Arc::clone(&plugin.tallies));
        let shape = &linked.blueprint.shape;
        let off_path = shape.authenticates() || shape.exchanges() || linked.blueprint.waits;
        let (plugin, first) = Plugin::prove(Parts {
            spec: spec.clone(),
            digest: linked.digest,
            component: linked.component,
            blueprint: linked.blueprint,
            tallies: tallies.unwrap_or_else(|| Arc::new(Tallies::new(self.workers))),
            revocations: Arc::clone(self.revocations),
            kv: running.map_or_else(Arc::default, |plugin| Arc::clone(&plugin.surroundings.kv)),
            metrics: running.map_or_else(
                || Arc::new(Registry::new(self.workers)),
                |plugin| Arc::clone(&plugin.surroundings.metrics),
            ),
            clock: self.clock.clone(),
            listeners: Arc::clone(listeners),
            ticker: Arc::clone(self.machine.ticker()),
            authentication_instances: self.authentication_instances,
            outbox: Arc::clone(self.outbox),
            http: self.http.clone(),
        })?;
        if off_path {
            plugin.keep(first);
        }
        // A second one always: an instance that registers something else than the last is found here
        // and not under load.
        let mut second = Some(plugin.start(INIT_DEADLINE)?);
        for (worker, seat) in seats.iter_mut().enumerate() {
            let mut guest = second.take().map_or_else(|| plugin.start(INIT_DEADLINE), Ok)?;
            guest.sit(worker);
            seat.push(Some(guest));
        }
        let observer = match (spec.observe, plugin.registration.observes()) {
            (true, true) => {
                let guest = second.take().map_or_else(|| plugin.start(INIT_DEADLINE), Ok)?;
                Some(Mutex::new(Some(guest)))
            }
            _ => None,
        };
        Ok((plugin, observer))
    }
}

/// What the operator should know of a plugin that is to be told what happens, or wants to be.
fn check_observation(plugin: &Plugin) {
    let name = &*plugin.spec.name;
    match (plugin.spec.observe, plugin.registration.observes()) {
        (true, false) => {
            tracing::warn!(plugin = name, "`broker.observe` names it, but it asks for nothing");
        }
        (false, true) => {
            tracing::warn!(plugin = name, "asks for events or ticks; name it in `broker.observe`");
        }
        _ => {}
    }
}

fn duplicates(specs: &[PluginSpec]) -> Vec<LoadError> {
    let twice = specs
        .iter()
        .enumerate()
        .filter(|(place, spec)| specs.iter().take(*place).any(|earlier| earlier.name == spec.name));
    twice
        .map(|(_, spec)| LoadError::plugin(&spec.location, &spec.name, LoadCause::Duplicate))
        .collect()
}

/// Holds the names of one listener's chains against what there is, and what it exports.
fn check_chain(
    chain: &ChainSpec,
    specs: &[PluginSpec],
    linked: &[Option<Linked>],
    errors: &mut Vec<LoadError>,
) {
    let mut refuse = |cause| errors.push(LoadError::listener(&chain.name, cause));
    let kinds = [
        ("authenticate", "authentication", &chain.authenticate),
        ("authorize", "authorization", &chain.authorize),
        ("transform", "transformation", &chain.transform),
    ];
    for (kind, export, names) in kinds {
        for (place, name) in names.iter().enumerate() {
            let plugin = name.clone();
            let Some(found) = specs.iter().position(|spec| spec.name == *name) else {
                let known = specs.iter().map(|spec| spec.name.clone()).collect();
                refuse(LoadCause::NoSuchPlugin { plugin, chain: kind, known });
                continue;
            };
            if names.iter().take(place).any(|earlier| earlier == name) {
                refuse(LoadCause::ChainedTwice { plugin, chain: kind });
                continue;
            }
            // One that could not be loaded is reported already.
            let Some(Some(linked)) = linked.get(found) else { continue };
            let shape = &linked.blueprint.shape;
            let exported = match kind {
                "authenticate" => shape.authenticates() || shape.exchanges(),
                "authorize" => shape.authorizes(),
                _ => shape.transforms(),
            };
            if !exported {
                refuse(LoadCause::MissingExport { plugin, chain: kind, export });
            }
        }
    }
}

/// Refuses what would have deliveries wait: a transformer that has an authorizer asked which may.
fn check_deliveries(chain: &ChainSpec, plugins: &[Plugin], errors: &mut Vec<LoadError>) {
    let find = |name: &&String| plugins.iter().find(|plugin| plugin.spec.name == **name);
    let Some(authorizer) =
        chain.authorize.iter().filter_map(|name| find(&name)).find(|it| it.waits())
    else {
        return;
    };
    for plugin in chain.transform.iter().filter_map(|name| find(&name)) {
        if plugin.spec.reauthorize && !plugin.registration.on_deliver.is_empty() {
            let cause = LoadCause::DeliveryWaits {
                plugin: plugin.spec.name.clone(),
                authorizer: authorizer.spec.name.clone(),
            };
            errors.push(LoadError::listener(&chain.name, cause));
        }
    }
}

fn listener_names(chains: &[ChainSpec]) -> Arc<[Box<str>]> {
    let mut names: Vec<Box<str>> = Vec::new();
    for chain in chains {
        let place = usize::from(chain.listener.0);
        if names.len() <= place {
            names.resize(place + 1, Box::default());
        }
        if let Some(name) = names.get_mut(place) {
            *name = chain.name.as_str().into();
        }
    }
    names.into()
}

/// The chain of what comes in through no listener: it passes the transformers of all listeners, each once, in the order
/// of the configuration. Whatever a listener's messages go through, nothing goes around it.
fn internal(specs: &[ChainSpec], plugins: &[Plugin]) -> Chain {
    let mut names: Vec<&String> = Vec::new();
    for name in specs.iter().flat_map(|spec| &spec.transform) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let wanted = names.into_iter().filter_map(|name| {
        let place = plugins.iter().position(|plugin| plugin.spec.name == *name)?;
        Some((place, &plugins.get(place)?.registration.on_publish))
    });
    // The numbers before it are those of the listeners.
    let publish = Selection::new(specs.len() * 2, wanted);
    let waits = Waits { authorize: false, publish: waiting(&publish, plugins, false) };
    Chain { publish, waits, ..Chain::default() }
}

/// Those of a chain's transformers that may wait, or have an authorizer asked that may.
fn waiting(publish: &Selection, plugins: &[Plugin], authorize: bool) -> Places {
    let waits = |place: &usize| {
        let plugin = plugins.get(*place);
        plugin.is_some_and(|plugin| plugin.waits() || authorize && plugin.spec.reauthorize)
    };
    publish.places_from(0).iter().copied().filter(waits).collect()
}

/// Names become positions, and what nobody wants is left out.
fn lay_out(specs: &[ChainSpec], plugins: &[Plugin]) -> Box<[Option<Chain>]> {
    let mut chains = Vec::new();
    for (number, spec) in specs.iter().enumerate() {
        let selection = |hook: usize, wants: fn(&Registration) -> &Selectors| {
            let names = spec.transform.iter();
            let find = |name: &String| plugins.iter().position(|plugin| plugin.spec.name == *name);
            let places = names.filter_map(find);
            let wanted =
                places.filter_map(|place| Some((place, wants(&plugins.get(place)?.registration))));
            Selection::new(number * 2 + hook, wanted)
        };
        let places = |names: &[String], wanted: &dyn Fn(&Plugin) -> bool| -> Places {
            let find = |name: &String| plugins.iter().position(|plugin| plugin.spec.name == *name);
            let wanted = |place: &usize| plugins.get(*place).is_some_and(wanted);
            names.iter().filter_map(find).filter(wanted).collect()
        };
        let (authorize, publish) = (
            places(&spec.authorize, &|_| true),
            selection(0, |registration| &registration.on_publish),
        );
        let judged = |place: &usize| plugins.get(*place).is_some_and(Plugin::waits);
        let waits = authorize.iter().any(judged);
        let waits = Waits { authorize: waits, publish: waiting(&publish, plugins, waits) };
        let chain = Chain {
            anonymous: spec.anonymous,
            default: spec.default,
            authenticate: places(&spec.authenticate, &|_| true),
            authorize,
            receive: places(&spec.authorize, &|plugin| plugin.registration.authorize.receive),
            publish,
            waits,
            deliver: selection(1, |registration| &registration.on_deliver),
        };
        let place = usize::from(spec.listener.0);
        if chains.len() <= place {
            chains.resize_with(place + 1, || None);
        }
        if let Some(slot) = chains.get_mut(place) {
            *slot = Some(chain);
        }
    }
    chains.into_boxed_slice()
}
