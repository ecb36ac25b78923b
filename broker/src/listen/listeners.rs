//! Every listener that is open, and how a reload opens and closes them. Whatever can fail has been done before anything
//! changes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::broker::Broker;
use wasmqtt_core::client::ListenerId;
use wasmqtt_core::mailbox::Notice;

use super::{Listener, Settings, Socket, accept};
use crate::clock::Clock;
use crate::config::{self, Bind, Config};
use crate::worker::Workers;
use crate::{assemble, leave};

/// Names of listeners in the life of one process. Each keeps its number: what came in there is judged by it later, such as
/// a will.
const NAMES: usize = 4096;
/// How long clients of a listener that is closed have to be gone, before others judge them.
const DRAIN: Duration = Duration::from_secs(5);
/// Time between two looks at who is still there, at first and at last.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Every listener that is open, and how many are connected through all of them.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<State>, Arc<AtomicUsize>);

#[derive(Debug, Default)]
struct State {
    names: Vec<Box<str>>,
    /// In the order of the configuration.
    open: Vec<Arc<Open>>,
}

/// A listener and its socket.
#[derive(Debug)]
struct Open {
    listener: Arc<Listener>,
    /// As it is configured.
    config: config::Listener,
    socket: Arc<Socket>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

/// What becomes of the listeners.
#[derive(Debug)]
pub(crate) struct Plan {
    names: Vec<Box<str>>,
    /// In the order of the configuration.
    next: Vec<Next>,
    /// Those that are gone, are elsewhere, or speak something else.
    closed: Vec<Arc<Open>>,
}

#[derive(Debug)]
enum Next {
    Stays {
        open: Arc<Open>,
        config: config::Listener,
        settings: Box<Settings>,
    },
    /// With a socket as soon as it is bound, or with that of one that is closed.
    Opens {
        listener: Arc<Listener>,
        config: config::Listener,
        socket: Option<Arc<Socket>>,
    },
}

impl Listeners {
    /// What is to be done to have these.
    ///
    /// # Errors
    /// What cannot be made of a listener's certificates, although each of them has been looked at, or too many names.
    pub(crate) fn plan(&self, config: &Config) -> anyhow::Result<Plan> {
        let state = self.0.lock();
        let mut plan = Plan { names: state.names.clone(), next: Vec::new(), closed: Vec::new() };
        let stays = |open: &Open| config.listeners.iter().any(|it| open.is_for(it));
        plan.closed.extend(state.open.iter().filter(|open| !stays(open)).cloned());
        for config_of in &config.listeners {
            let open = state.open.iter().find(|open| open.is_for(config_of));
            let before = open.map(|open| open.listener.settings.load_full());
            let settings = assemble::settings(&config.broker, config_of, before.as_deref())?;
            let config = config_of.clone();
            let next = match open {
                Some(open) => {
                    Next::Stays { open: Arc::clone(open), config, settings: Box::new(settings) }
                }
                None => {
                    let id = plan.number(&config.name)?;
                    let listener = Arc::new(Listener::new(
                        id,
                        config.name.clone(),
                        settings,
                        Arc::clone(&self.1),
                    ));
                    let socket =
                        plan.closed.iter().find(|closed| closed.has_the_socket_of(&config));
                    let socket = socket.map(|closed| Arc::clone(&closed.socket));
                    Next::Opens { listener, config, socket }
                }
            };
            plan.next.push(next);
        }
        Ok(plan)
    }

    /// Stops listening where the plan does, and waits for a while until the clients from there are gone. Nobody enters there
    /// any more.
    pub(crate) async fn close(&self, plan: &Plan, broker: &Broker) {
        for open in &plan.closed {
            open.stop().await;
            let told = say_goodbye(broker, open.listener.id);
            let (listener, addr) = (&*open.listener.name, open.address());
            tracing::info!(listener, addr, clients = told, "no longer listening");
        }
        let (end, mut pause) = (Instant::now() + DRAIN, LOOK.0);
        for open in &plan.closed {
            // Who was let in meanwhile is told, too.
            while say_goodbye(broker, open.listener.id) > 0 {
                if Instant::now() >= end {
                    let listener = &*open.listener.name;
                    tracing::warn!(listener, "not everybody took the hint; going on");
                    break;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LOOK.1);
            }
        }
    }

    /// Puts the plan in force. What it closes has been [closed](Self::close).
    pub(crate) fn open(
        &self,
        plan: Plan,
        broker: &Arc<Broker>,
        workers: &Arc<Workers>,
        clock: Clock,
    ) {
        let mut open = Vec::with_capacity(plan.next.len());
        for next in plan.next {
            match next {
                Next::Stays { open: before, config, settings } => {
                    open.push(before.go_on(config, *settings, broker));
                }
                Next::Opens { listener, config, socket: Some(socket) } => {
                    let workers = Arc::clone(workers);
                    let opened = Open { listener, config, socket, accepting: Mutex::default() };
                    let addr = opened.address();
                    tracing::info!(listener = opened.listener.name, addr, "listening");
                    opened.set_mode();
                    let (socket, listener) =
                        (Arc::clone(&opened.socket), Arc::clone(&opened.listener));
                    let accepting = tokio::spawn(accept(socket, listener, workers, clock));
                    *opened.accepting.lock() = Some(accepting);
                    open.push(Arc::new(opened));
                }
                Next::Opens { socket: None, .. } => {}
            }
        }
        *self.0.lock() = State { names: plan.names, open };
    }

    /// Stops accepting anywhere.
    pub(crate) async fn stop(&self) {
        let open = std::mem::take(&mut self.0.lock().open);
        for open in open {
            open.stop_accepting().await;
        }
    }

    /// Those that are open, in the order of the configuration.
    pub(crate) fn all(&self) -> Vec<Arc<Listener>> {
        self.0.lock().open.iter().map(|open| Arc::clone(&open.listener)).collect()
    }

    /// The addresses that are listened on, in the order of the configuration.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.0.lock().open.iter().filter_map(|open| open.socket.address()).collect()
    }

    /// What a listener is called, or was.
    pub(crate) fn name(&self, id: ListenerId) -> Option<String> {
        self.0.lock().names.get(usize::from(id.0)).map(|name| (**name).to_owned())
    }
}

/// Tells the clients of a listener that there is none any more. Answers how many there are.
fn say_goodbye(broker: &Broker, listener: ListenerId) -> usize {
    let connected = broker.connected_through(listener);
    let notice = Notice::Disconnect(ReasonCode::AdministrativeAction);
    connected.iter().for_each(|session| session.mailbox.notify(notice.clone()));
    connected.len()
}

impl Open {
    /// Whether it is what is configured there, as far as those who come in are concerned.
    fn is_for(&self, config: &config::Listener) -> bool {
        let config::Listener { name, protocol, bind, .. } = config;
        (name, protocol, bind) == (&self.config.name, &self.config.protocol, &self.config.bind)
    }

    fn has_the_socket_of(&self, config: &config::Listener) -> bool {
        match config.bind {
            // The system chose a port for each name.
            Bind::Network(address) if address.port() == 0 => {
                (&self.config.name, &self.config.bind) == (&config.name, &config.bind)
            }
            Bind::Network(address) => self.socket.address() == Some(address),
            Bind::Path(_) => self.config.bind == config.bind,
        }
    }

    fn address(&self) -> String {
        let address = self.socket.address();
        address.map_or_else(|| self.config.bind.to_string(), |address| address.to_string())
    }

    /// Nobody enters any more.
    async fn stop(&self) {
        self.listener.close();
        self.stop_accepting().await;
    }

    async fn stop_accepting(&self) {
        let accepting = self.accepting.lock().take();
        if let Some(accepting) = accepting {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// The same listener under what is configured now.
    fn go_on(
        &self,
        config: config::Listener,
        settings: Settings,
        broker: &Arc<Broker>,
    ) -> Arc<Self> {
        let changed = config.socket_mode != self.config.socket_mode;
        let open = Self {
            listener: Arc::clone(&self.listener),
            config,
            socket: Arc::clone(&self.socket),
            accepting: Mutex::new(self.accepting.lock().take()),
        };
        if changed {
            open.set_mode();
        }
        let before = open.listener.settings.swap(Arc::new(settings));
        leave::begin(broker, &open.listener, &before);
        Arc::new(open)
    }

    fn set_mode(&self) {
        if let Err(error) = self.socket.set_mode(self.config.socket_mode) {
            let (listener, path) = (&*self.listener.name, self.address());
            tracing::error!(listener, path, %error, "cannot change the permissions of the socket");
        }
    }
}

impl Plan {
    /// The number of this name.
    fn number(&mut self, name: &str) -> anyhow::Result<ListenerId> {
        let known = self.names.iter().position(|known| **known == *name);
        let position = known.unwrap_or(self.names.len());
        anyhow::ensure!(
            position < NAMES,
            "listeners have had {NAMES} names since the start: restart the broker to use another one"
        );
        if known.is_none() {
            self.names.push(name.into());
        }
        Ok(ListenerId(u16::try_from(position)?))
    }

    /// The number of a listener that there will be.
    pub(crate) fn id(&self, name: &str) -> Option<ListenerId> {
        self.next.iter().map(Next::listener).find(|it| it.name == name).map(|it| it.id)
    }

    /// Opens the sockets; whoever connects waits until the plan is in force. Where one cannot be had, none is opened.
    ///
    /// # Errors
    /// What is to be said of each of them.
    pub(crate) fn bind(&mut self) -> Result<(), Vec<String>> {
        let mut errors = Vec::new();
        for next in &mut self.next {
            let Next::Opens { config, socket: socket @ None, .. } = next else { continue };
            match attempt(&self.closed, &config.bind, |shared| {
                Socket::bind(&config.bind, config.socket_mode, shared)
            }) {
                Ok(bound) => *socket = Some(Arc::new(bound)),
                Err(error) => errors.push(unbound(config, &error)),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Whether [`bind`](Self::bind) would do. Opens nothing.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn probe(&self) -> Result<(), Vec<String>> {
        let opens = self.next.iter().filter_map(|next| match next {
            Next::Opens { config, socket: None, .. } => Some(config),
            _ => None,
        });
        let errors: Vec<String> = opens
            .filter_map(|config| {
                let probe = |shared| Socket::probe(&config.bind, config.socket_mode, shared);
                let error = attempt(&self.closed, &config.bind, probe).err()?;
                Some(unbound(config, &error))
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// What is opened, and where.
    pub(crate) fn opened(&self) -> Vec<String> {
        let opens = self.next.iter().filter_map(|next| match next {
            Next::Opens { config, .. } => Some(describe(config)),
            Next::Stays { .. } => None,
        });
        opens.collect()
    }

    /// What is closed, and where.
    pub(crate) fn closed(&self) -> Vec<String> {
        self.closed.iter().map(|open| describe(&open.config)).collect()
    }
}

impl Next {
    fn listener(&self) -> &Listener {
        match self {
            Next::Stays { open, .. } => &open.listener,
            Next::Opens { listener, .. } => listener,
        }
    }
}

fn describe(config: &config::Listener) -> String {
    format!("{} ({} {})", config.name, config.protocol, config.bind)
}

/// Does it and, where only a socket is in the way that is about to be closed, once more beside that: from `127.0.0.1` to
/// `0.0.0.0` on the same port, for example.
fn attempt<T>(
    closed: &[Arc<Open>],
    bind: &Bind,
    open: impl Fn(bool) -> io::Result<T>,
) -> io::Result<T> {
    let error = match open(false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => error,
        other => return other,
    };
    let Bind::Network(wanted) = bind else { return Err(error) };
    let sockets = closed.iter().map(|open| &open.socket);
    let in_the_way: Vec<&Arc<Socket>> = sockets
        .filter(|it| it.address().is_some_and(|address| address.port() == wanted.port()))
        .collect();
    if in_the_way.is_empty() {
        return Err(error);
    }
    let share = |shared| in_the_way.iter().try_for_each(|socket| socket.share(shared));
    let opened = share(true).and_then(|()| open(true));
    share(false)?;
    opened
}

fn unbound(config: &config::Listener, error: &io::Error) -> String {
    let config::Listener { name, bind, location, .. } = config;
    format!(
        "cannot listen on {bind} (listener `{name}`): {error}; is another broker running there, or may this user not \
         use it?\n  --> {location}"
    )
}
