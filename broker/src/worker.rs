//! The data plane: one OS thread per worker, each with a runtime of its own and the connections pinned to it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use wasmqtt_codec::ReasonCode;
use wasmqtt_core::broker::{Attempt, Broker, Lane, PublicationAside};
use wasmqtt_core::judge::{Gate, Judge, Refusal};
use wasmqtt_core::mailbox::Delivery;
use wasmqtt_sandbox::{Outbox, Outlet, Publication};

use crate::bell::Bells;
use crate::clock::Clock;
use crate::count::Counters;
use crate::drive::{self, Life, Line, Part, Turns};
use crate::listen::{Detached, Seat};
use crate::patience::Patience;
use crate::transport::Peer;

/// Publications of plugins that are routed in one go.
const PUBLICATIONS: usize = 64;
/// New connections and orders that wait for one worker. Accepting waits when it is full.
const QUEUE: usize = 1024;
/// What one read takes at most, in bytes.
const SCRATCH: usize = 64 << 10;
/// How often sessions and wills that are due are looked for.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// How often the store is searched for expired retained messages, in turns of housekeeping.
const RETAINED_EVERY: u32 = 300;

thread_local! {
    static LOCAL: RefCell<Option<Local>> = const { RefCell::new(None) };
}

/// What a worker's connections share: never touched by another thread.
pub(crate) struct Local {
    /// Judge, memo and counters.
    pub(crate) lane: Lane,
    /// What a read goes into; a connection keeps only what is left of an incomplete packet.
    pub(crate) scratch: Box<[u8]>,
    /// What a turn writes; a connection keeps only what the socket did not take.
    pub(crate) out: Vec<u8>,
    /// What a turn takes from a mailbox.
    pub(crate) deliveries: Vec<Delivery>,
    /// What was counted since the worker began.
    pub(crate) counters: Counters,
    /// Whose TLS handshake may take a step.
    pub(crate) handshakes: Turns,
    /// Who has more to do than is its part.
    pub(crate) line: Line,
    /// What is left of the part of whoever has its turn.
    pub(crate) part: Part,
    /// Where events go at the end of a turn.
    outlet: Outlet,
    shared: Shared,
    number: u32,
    /// Of this worker.
    connections: Arc<AtomicUsize>,
}

impl Local {
    /// Wakes whom messages were left for.
    pub(crate) fn wake(&mut self) {
        if !self.lane.wakes.is_empty() {
            self.shared.bells.ring(self.number, &mut self.lane.wakes);
        }
    }

    /// Has wills judged that became due and would have this worker wait. The worker has as many connections more until
    /// they are published.
    #[cold]
    fn see_wills_through(&mut self) {
        for aside in self.lane.take_aside() {
            let client = Arc::clone(aside.client());
            let client_id = &*client.id;
            let Ok(runtime) = Handle::try_current() else {
                tracing::warn!(client_id, "a will is lost: the broker stops");
                continue;
            };
            self.connections.fetch_add(1, Ordering::Relaxed);
            let (shared, count) = (self.shared.clone(), Count(Arc::clone(&self.connections)));
            let topic = aside.topic().to_owned();
            runtime.spawn(async move {
                if let Err(refusal) = drive::see_through(&shared, aside).await {
                    let (client_id, code) = (&*client.id, refusal.code);
                    let reason = refusal.reason.as_deref();
                    match code {
                        ReasonCode::QuotaExceeded => {
                            tracing::warn!(client_id, topic, reason, "a will is lost");
                        }
                        _ => tracing::info!(client_id, topic, %code, reason, "will refused"),
                    }
                }
                drop(count);
            });
        }
    }
}

/// What all workers share; every connection holds it.
pub(crate) type Shared = Arc<Common>;

/// See [`Shared`].
pub(crate) struct Common {
    /// Sessions and routing.
    pub(crate) broker: Arc<Broker>,
    /// Who may enter.
    pub(crate) gate: Arc<dyn Gate>,
    /// Makes judges for questions that may take their time.
    pub(crate) patient_judge: Arc<dyn Fn() -> Box<dyn Judge + Send> + Send + Sync>,
    /// Where calls go that may take their time.
    pub(crate) control: Handle,
    /// How many of them, and whose turn it is.
    pub(crate) patience: Patience,
    /// How workers wake each other's connections.
    pub(crate) bells: Bells,
    /// The one clock.
    pub(crate) clock: Clock,
    /// What plugins publish.
    pub(crate) outbox: Arc<Outbox>,
    /// Becomes true when the broker shuts down: nobody enters any more.
    pub(crate) stopping: watch::Receiver<bool>,
}

/// Runs `work` with what this worker's connections share; none outside of a worker. What happened goes to whoever
/// observes.
pub(crate) fn with_local<R>(work: impl FnOnce(&mut Local) -> R) -> Option<R> {
    LOCAL.with(|local| {
        let mut local = local.try_borrow_mut().ok()?;
        let local = local.as_mut()?;
        let result = work(local);
        local.wake();
        if !local.lane.events.is_empty() {
            local.outlet.send(&local.lane.events.take());
        }
        if local.lane.has_aside() {
            local.see_wills_through();
        }
        if local.lane.has_orphans() {
            warn_of_orphans(&mut local.lane);
        }
        Some(result)
    })
}

/// Says which wills became due when nobody could judge them any more.
#[cold]
fn warn_of_orphans(lane: &mut Lane) {
    for (client, topic) in lane.take_orphans() {
        let client_id = &*client.id;
        tracing::warn!(
            client_id,
            %topic,
            "a will is not published: the listener that its client came in by is gone, and nobody can say whether it may be"
        );
    }
}

enum Order {
    Connection(Detached, Peer, Seat, Count),
    /// Plugins were replaced: let go of the old ones even when no packet comes.
    Refresh,
    /// Say what was counted.
    Count(oneshot::Sender<Counters>),
    /// Publish below `$SYS`.
    PublishOwn(Vec<(String, String)>),
    Stop,
}

struct Worker {
    orders: mpsc::Sender<Order>,
    connections: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

/// All workers.
pub(crate) struct Workers(Vec<Worker>);

impl Workers {
    /// Starts one thread per judge.
    pub(crate) fn start(
        judges: Vec<(impl Judge + Send + 'static, Outlet)>,
        shared: &Shared,
    ) -> io::Result<Self> {
        let start = |(number, (judge, mut outlet)): (usize, (_, Outlet))| {
            let (orders, inbox) = mpsc::channel(QUEUE);
            let connections = Arc::new(AtomicUsize::new(0));
            let (shared, count) = (shared.clone(), Arc::clone(&connections));
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
            let thread =
                std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                    let number_too = u32::try_from(number).unwrap_or(u32::MAX);
                    let mut lane = Lane::new(Box::new(judge)).on_worker(number_too);
                    lane.events.want(outlet.wanted());
                    let (theirs, connections) = (shared.clone(), count);
                    LOCAL.set(Some(Local {
                        lane,
                        scratch: vec![0; SCRATCH].into_boxed_slice(),
                        out: Vec::new(),
                        deliveries: Vec::new(),
                        counters: Counters::default(),
                        handshakes: Turns::new(),
                        line: Line::default(),
                        part: Part::whole(),
                        outlet,
                        shared: theirs,
                        number: number_too,
                        connections,
                    }));
                    runtime.block_on(work(number, shared, inbox));
                    // Connections go while the judge that is asked about their wills is still there.
                    drop(runtime);
                    LOCAL.set(None);
                })?;
            Ok(Worker { orders, connections, thread })
        };
        judges.into_iter().enumerate().map(start).collect::<io::Result<_>>().map(Self)
    }

    /// Hands a connection to the worker that has the fewest.
    pub(crate) async fn place(&self, stream: Detached, peer: Peer, seat: Seat) {
        let fewest = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed));
        let Some(worker) = fewest else { return };
        worker.connections.fetch_add(1, Ordering::Relaxed);
        // Counted down, too, where nobody waits for the worker to take it any more.
        let count = Count(Arc::clone(&worker.connections));
        let _ = worker.orders.send(Order::Connection(stream, peer, seat, count)).await;
    }

    /// Makes workers let go of replaced plugins.
    pub(crate) async fn refresh(&self) {
        for worker in &self.0 {
            let _ = worker.orders.send(Order::Refresh).await;
        }
    }

    /// Whom to ask what was counted.
    pub(crate) fn census(&self) -> Census {
        let parts = |worker: &Worker| (worker.orders.downgrade(), Arc::clone(&worker.connections));
        Census(self.0.iter().map(parts).collect())
    }

    /// Publishes for the broker itself, through the first worker.
    pub(crate) async fn publish_own(&self, topics: Vec<(String, String)>) {
        if let Some(worker) = self.0.first() {
            let _ = worker.orders.send(Order::PublishOwn(topics)).await;
        }
    }

    /// Connections of all workers.
    pub(crate) fn connections(&self) -> usize {
        self.0.iter().map(|worker| worker.connections.load(Ordering::Relaxed)).sum()
    }

    /// Ends every worker, with whatever connections are left.
    pub(crate) fn stop(self) {
        for worker in &self.0 {
            // A full inbox means the worker is stuck; dropping the sender ends it as well.
            let _ = worker.orders.try_send(Order::Stop);
        }
        for worker in self.0 {
            drop(worker.orders);
            let _ = worker.thread.join();
        }
    }
}

/// Asks all workers what they counted, and keeps none of them from ending.
#[derive(Clone)]
pub(crate) struct Census(Arc<[(mpsc::WeakSender<Order>, Arc<AtomicUsize>)]>);

impl Census {
    /// What all workers counted; none when one of them has ended. Waits for as long as one of them is busy.
    pub(crate) async fn counters(&self) -> Option<Counters> {
        let mut sum = Counters::default();
        for (orders, _) in self.0.iter() {
            let (answer, counted) = oneshot::channel();
            orders.upgrade()?.send(Order::Count(answer)).await.ok()?;
            sum += counted.await.ok()?;
        }
        Some(sum)
    }

    /// Connections of all workers.
    pub(crate) fn connections(&self) -> usize {
        self.0.iter().map(|(_, connections)| connections.load(Ordering::Relaxed)).sum()
    }
}

async fn work(number: usize, shared: Shared, mut inbox: mpsc::Receiver<Order>) {
    if number == 0 {
        tokio::spawn(keep_house(shared.clone()));
        tokio::spawn(publish_for_plugins(shared.clone()));
    }
    tokio::spawn(wake_for_others(shared.clone(), number));
    tokio::spawn(drive::call());
    while let Some(order) = inbox.recv().await {
        match order {
            Order::Connection(stream, peer, seat, count) => {
                with_local(|local| local.counters.connections += 1);
                match stream.attach() {
                    Ok(stream) => {
                        let shared = Shared::clone(&shared);
                        tokio::spawn(Life::new(stream, peer, seat, count, shared));
                    }
                    Err(error) => tracing::error!(%peer, %error, "cannot register a connection"),
                }
            }
            Order::Refresh => {
                with_local(|local| {
                    local.lane.judge().begin();
                    local.lane.events.want(local.outlet.wanted());
                });
            }
            Order::Count(answer) => {
                let counted = with_local(|local| Counters {
                    publish_received: local.lane.counters.published,
                    publish_refused: local.lane.counters.refused,
                    publish_not_retained: local.lane.counters.not_retained,
                    publish_dropped: local.lane.counters.dropped,
                    publish_too_old: local.lane.counters.too_old,
                    sessions_expired: local.lane.counters.expired_sessions,
                    ..local.counters.clone()
                });
                let _ = answer.send(counted.unwrap_or_default());
            }
            Order::PublishOwn(topics) => {
                let now = shared.clock.now();
                with_local(|local| {
                    for (topic, payload) in &topics {
                        let payload = payload.as_bytes();
                        shared.broker.publish_own(&mut local.lane, now, topic, payload);
                    }
                });
            }
            Order::Stop => break,
        }
    }
}

/// Counts a connection of a worker down when it is over.
pub(crate) struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Routes what plugins publish, a few at a time: clients of this worker get their turns in between.
async fn publish_for_plugins(shared: Shared) {
    let mut taken = Vec::new();
    loop {
        poll_fn(|cx| shared.outbox.poll_take(cx, PUBLICATIONS, &mut taken)).await;
        let mut publications = taken.drain(..);
        // One that would have this worker wait is seen through before the next: plugins' messages keep their order.
        while let Some(aside) = publish_until_aside(&shared, &mut publications) {
            let (plugin, topic) = (Arc::clone(aside.client()), aside.topic().to_owned());
            if let Err(refusal) = drive::see_through(&shared, aside).await {
                log_refused(&plugin.id, &topic, &refusal);
            }
        }
        drop(publications);
        tokio::task::yield_now().await;
    }
}

fn publish_until_aside(
    shared: &Shared,
    publications: &mut impl Iterator<Item = Publication>,
) -> Option<PublicationAside> {
    let now = shared.clock.now();
    with_local(|local| {
        for Publication { publisher, message } in publications {
            let (lane, topic) = (&mut local.lane, message.topic().to_owned());
            match shared.broker.try_publish_internal(lane, now, &publisher, message) {
                Attempt::Aside(aside) => return Some(aside),
                Attempt::Done(Err(refusal)) => log_refused(&publisher.id, &topic, &refusal),
                Attempt::Done(Ok(_)) => {}
            }
        }
        None
    })?
}

fn log_refused(plugin: &str, topic: &str, refusal: &Refusal) {
    let (code, reason) = (refusal.code, refusal.reason.as_deref());
    tracing::debug!(plugin, topic, %code, reason, "publication refused");
}

async fn wake_for_others(shared: Shared, number: usize) {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut spare = Vec::new();
    poll_fn(|cx| shared.bells.poll_rung(number, cx, &mut spare)).await;
}

async fn keep_house(shared: Shared) {
    let mut turn = 0u32;
    loop {
        tokio::time::sleep(HOUSEKEEPING).await;
        let now = shared.clock.now();
        with_local(|local| shared.broker.expire(&mut local.lane, now));
        turn = turn.wrapping_add(1);
        if turn.is_multiple_of(RETAINED_EVERY) {
            shared.broker.expire_retained(now);
        }
    }
}
