//! One plugin by itself, without listeners, chains or failure policies, for those who write one: every
//! answer is told as the component gave it. Must not know what it is compared with.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wasmqtt_core::client::Client;
use wasmqtt_core::judge::{Connecting, Decision, Identity, Progress, Refusal, Request, Step};
use wasmqtt_core::message::{Changes, Message};
use wasmqtt_core::observe::{Event, Kind};
use wasmqtt_core::time::Moment;

use crate::convert::Verdict;
use crate::error::{CallError, LoadError};
use crate::guest::{Guest, Round};
use crate::host::messages::Original;
use crate::loader::{self, Loaded};
use crate::observe::Observed;
use crate::options::PluginSpec;
use crate::plugin::{Plugin, Slot};
use crate::sandbox::Sandbox;
use crate::selection::{Memo, Selection};

/// What an authenticator answered.
#[derive(Clone, Debug)]
pub enum Admission {
    /// The client is who it says, or somebody else that the plugin knows.
    Accept(Identity),
    /// It may not enter.
    Refuse(Refusal),
    /// The next plugin is to be asked.
    Abstain,
}

/// What a transformer answered.
#[derive(Clone, Debug)]
pub enum Treatment {
    /// Go on, with these changes.
    Forward(Changes),
    /// Acknowledge, and route to nobody.
    Discard,
    /// Refuse.
    Reject(Refusal),
}

/// Which hooks a plugin has asked for: its exports, and what it answered at `init`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Hooks {
    /// It authenticates.
    pub authenticate: bool,
    /// It judges at least one kind of request.
    pub authorize: bool,
    /// It wants at least some publications.
    pub on_publish: bool,
    /// It wants at least some deliveries.
    pub on_deliver: bool,
}

/// The bytes of a component, read as a broker reads them: once, bounded, and held against the magic
/// number.
#[derive(Debug)]
pub struct ComponentFile {
    /// All of them.
    pub bytes: Vec<u8>,
    /// 64 lower-case hexadecimal digits, as `sha256` in the configuration takes them.
    pub sha256: String,
}

impl ComponentFile {
    /// Reads the component at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is too large, or is no component.
    pub fn read(path: &Path) -> Result<Self, LoadError> {
        let name = path.to_string_lossy();
        let Loaded { bytes, digest } =
            loader::load(path, None).map_err(|cause| LoadError::plugin("", &name, cause))?;
        Ok(Self { bytes, sha256: digest.hex() })
    }
}

/// A loaded plugin, to be asked one question at a time.
pub struct Probe {
    plugin: Plugin,
    guest: Option<Guest>,
    publish: Selection,
    deliver: Selection,
    memo: Memo,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("plugin", &self.plugin.spec.name).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Loads one plugin as a broker would: limits, grants and `init` included.
    ///
    /// # Errors
    /// Why a broker would refuse it.
    pub fn probe(&self, spec: &PluginSpec) -> Result<Probe, LoadError> {
        let (plugin, guest) = self.preparation().single(spec)?;
        let registration = &plugin.registration;
        let publish = Selection::new(0, std::iter::once((0, &registration.on_publish)));
        let deliver = Selection::new(1, std::iter::once((0, &registration.on_deliver)));
        Ok(Probe { plugin, guest: Some(guest), publish, deliver, memo: Memo::default() })
    }
}

impl Probe {
    /// What it is asked at all.
    pub fn hooks(&self) -> Hooks {
        let registration = &self.plugin.registration;
        let actions = registration.authorize;
        Hooks {
            authenticate: self.plugin.blueprint.shape.authenticates(),
            authorize: actions.publish || actions.subscribe || actions.receive,
            on_publish: !registration.on_publish.is_empty(),
            on_deliver: !registration.on_deliver.is_empty(),
        }
    }

    /// Whether a broker would ask it about this request.
    pub fn judges(&self, request: &Request<'_>) -> bool {
        self.plugin.registration.authorize.contain(request.action)
    }

    /// Whether a broker would show it this publication.
    pub fn wants_publish(&mut self, message: &Message) -> bool {
        self.publish.next(&mut self.memo, message, 0).is_some()
    }

    /// Whether a broker would show it this delivery.
    pub fn wants_deliver(&mut self, message: &Message) -> bool {
        self.deliver.next(&mut self.memo, message, 0).is_some()
    }

    /// Whether it speaks this authentication method.
    pub fn speaks(&self, method: &str) -> bool {
        self.plugin.registration.methods.iter().any(|spoken| spoken == method)
    }

    /// Whether a broker would tell it of such events, if the operator named it.
    pub fn observes(&self, kind: Kind) -> bool {
        self.plugin.registration.events.contain(kind)
    }

    /// What its own metrics stand at.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let all = self.plugin.surroundings.metrics.all();
        all.iter().map(|series| (series.name.to_string(), series.value())).collect()
    }

    /// Whether its grants let it move a message to this topic.
    pub fn may_write(&self, topic: &str) -> bool {
        self.plugin.may_write(topic)
    }

    /// Bytes of linear memory that its instance has now; none when the last call cost the instance.
    pub fn memory(&self) -> Option<usize> {
        self.guest.as_ref().map(Guest::memory)
    }

    /// Asks who a connecting client is.
    ///
    /// # Errors
    /// A failure, a trap or an invalid answer, in words for the author.
    pub fn authenticate(&mut self, connecting: &Connecting) -> Result<Admission, String> {
        match self.plugin.authenticate(connecting).map_err(words)? {
            Some(Ok(identity)) => Ok(Admission::Accept(identity)),
            Some(Err(refusal)) => Ok(Admission::Refuse(refusal)),
            None => Ok(Admission::Abstain),
        }
    }

    /// Asks for one round of an exchange: the first, or the one after `progress`.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn exchange(
        &mut self,
        connecting: &Connecting,
        method: &str,
        data: &[u8],
        progress: Option<&Progress>,
    ) -> Result<Result<Step, Refusal>, String> {
        let state = progress.map(|progress| &*progress.state);
        self.plugin.exchange(Round { connecting, method, data, state }).map_err(words)
    }

    /// Tells it of events that happened at the Unix epoch, in one batch.
    ///
    /// # Errors
    /// A trap, or a call that took too long, in words for the author.
    pub fn on_events(&mut self, events: &[Event]) -> Result<(), String> {
        let events: Vec<_> =
            events.iter().map(|event| Observed { at: 0, event: event.clone() }).collect();
        self.plugin.on_events(&mut self.guest, 0, &events, 0).map_err(words)
    }

    /// Asks whether a client may do something; none = it abstains.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn authorize(
        &mut self,
        client: &Arc<Client>,
        request: &Request<'_>,
    ) -> Result<Option<Decision>, String> {
        let answer = self.plugin.authorize(Slot::Probed(&mut self.guest), 0, client, request);
        answer.map(|(decision, _)| decision).map_err(words)
    }

    /// Asks what should become of a publication.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn on_publish(&mut self, now: Moment, message: Message) -> Result<Treatment, String> {
        let original = Original::Owned(message);
        self.plugin
            .on_publish(Slot::Probed(&mut self.guest), now, original)
            .1
            .map(treatment)
            .map_err(words)
    }

    /// Asks what should become of one delivery.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub fn on_deliver(
        &mut self,
        now: Moment,
        subscriber: &Arc<Client>,
        message: &Arc<Message>,
    ) -> Result<Treatment, String> {
        let original = Original::Shared(Arc::clone(message));
        self.plugin
            .on_deliver(Slot::Probed(&mut self.guest), now, subscriber, original)
            .map(treatment)
            .map_err(words)
    }

    /// Starts one more instance and throws it away; answers how long that took.
    ///
    /// # Errors
    /// As for a load.
    pub fn start(&self) -> Result<Duration, LoadError> {
        let begin = std::time::Instant::now();
        let spec = &self.plugin.spec;
        self.plugin
            .start(crate::plugin::INIT_DEADLINE)
            .map_err(|cause| LoadError::plugin(&spec.location, &spec.name, cause))?;
        Ok(begin.elapsed())
    }
}

fn treatment((verdict, changes): (Verdict, Changes)) -> Treatment {
    match verdict {
        Verdict::Forward => Treatment::Forward(changes),
        Verdict::Discard => Treatment::Discard,
        Verdict::Reject(refusal) => Treatment::Reject(refusal),
    }
}

fn words(error: CallError) -> String {
    error.to_string()
}
