//! What plugins publish, on its way to the worker that routes it. A plugin leaves a message and goes on: nothing is
//! routed on its own stack. Must not know wasm, nor what becomes of a message.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use wasmqtt_codec::{Version, topic};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{Actions, Effect, Permission, Permissions};
use wasmqtt_core::message::Message;

/// How many plugins may publish in reaction to each other: a message beyond it is refused, so that a plugin that
/// publishes into what it reacts to comes to an end.
pub(crate) const HOPS_MAX: u8 = 4;
/// Bytes of topics, properties and payloads that may wait, of one plugin.
pub(crate) const BYTES_MAX: usize = 16 << 20;

/// Messages of plugins that wait to be published, in their order. What one plugin may leave here is bounded.
#[derive(Debug, Default)]
pub struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Waiting>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Waiting {
    from: Arc<Publisher>,
    message: Message,
}

/// A message that a plugin wants published.
#[derive(Debug)]
pub struct Publication {
    /// The plugin, with the permissions that its grants are.
    pub publisher: Arc<Client>,
    /// What it publishes.
    pub message: Message,
}

impl Outbox {
    /// Takes up to `most` messages; else the caller is woken when there is one. For one caller at a time.
    pub fn poll_take(
        &self,
        cx: &mut Context<'_>,
        most: usize,
        into: &mut Vec<Publication>,
    ) -> Poll<()> {
        let mut state = self.state.lock();
        let count = state.queue.len().min(most);
        if count == 0 {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for Waiting { from, message } in state.queue.drain(..count) {
            from.messages.fetch_sub(1, Ordering::Relaxed);
            from.bytes.fetch_sub(message.size(), Ordering::Relaxed);
            into.push(Publication { publisher: Arc::clone(&from.client), message });
        }
        Poll::Ready(())
    }

    fn put(&self, waiting: Waiting) {
        let mut state = self.state.lock();
        state.queue.push_back(waiting);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// One plugin's way to publish, for all its instances.
#[derive(Debug)]
pub(crate) struct Publisher {
    client: Arc<Client>,
    filters: Box<[String]>,
    most: usize,
    messages: AtomicUsize,
    bytes: AtomicUsize,
    outbox: Arc<Outbox>,
}

impl Publisher {
    /// Of the plugin called `name`, to the topics that match its `filters`, with at most `most` messages that wait.
    pub(crate) fn new(name: &str, filters: &[String], most: usize, outbox: &Arc<Outbox>) -> Self {
        let permission = |filter: &String| Permission {
            effect: Effect::Allow,
            filter: filter.clone(),
            actions: Actions { publish: true, ..Actions::default() },
            max_qos: None,
            retain: None,
        };
        let permissions: Vec<Permission> = filters.iter().map(permission).collect();
        let client = Client {
            key: 0,
            id: name.into(),
            name: None,
            listener: ListenerId::INTERNAL,
            version: Version::V5,
            transport: Transport::Internal,
            peer: Box::default(),
            attributes: Box::default(),
            permissions: Permissions::resolve(&permissions, |_| None),
            message_expiry_max: 0,
            check_retained_source: false,
        };
        Self {
            client: Arc::new(client),
            filters: filters.into(),
            most,
            messages: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            outbox: Arc::clone(outbox),
        }
    }

    /// Whether the plugin's grants reach this topic.
    pub(crate) fn may(&self, topic: &str) -> bool {
        self.filters.iter().any(|filter| topic::matches(filter, topic))
    }

    /// Leaves a message to be published; an error is for the plugin to read.
    pub(crate) fn publish(self: &Arc<Self>, message: Message) -> Result<(), String> {
        let size = message.size();
        if self.messages.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.messages.fetch_sub(1, Ordering::Relaxed);
            return Err(format!(
                "{} of its publications wait already, the most that may (`queued_publications`)",
                self.most
            ));
        }
        if self.bytes.fetch_add(size, Ordering::Relaxed).saturating_add(size) > BYTES_MAX {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.messages.fetch_sub(1, Ordering::Relaxed);
            return Err(format!("more than {BYTES_MAX} bytes of its publications would wait"));
        }
        self.outbox.put(Waiting { from: Arc::clone(self), message });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;
    use crate::testing::message;

    #[derive(Default)]
    struct Bell(AtomicBool);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn publisher(most: usize) -> (Arc<Outbox>, Arc<Publisher>) {
        let outbox = Arc::new(Outbox::default());
        let publisher = Publisher::new("p", &["a/#".into()], most, &outbox);
        (outbox, Arc::new(publisher))
    }

    fn take(outbox: &Outbox, most: usize) -> (bool, Vec<String>) {
        let waker = Waker::noop();
        let mut taken = Vec::new();
        let ready = outbox.poll_take(&mut Context::from_waker(waker), most, &mut taken).is_ready();
        (ready, taken.iter().map(|it| it.message.topic().to_owned()).collect())
    }

    #[test]
    fn messages_come_out_in_their_order_and_make_room() {
        let (outbox, publisher) = publisher(2);
        publisher.publish(message("a/1", b"")).unwrap();
        publisher.publish(message("a/2", b"")).unwrap();
        let error = publisher.publish(message("a/3", b"")).unwrap_err();
        assert!(error.contains("2 of its publications"), "{error}");
        assert_eq!(take(&outbox, 1), (true, vec!["a/1".into()]));
        publisher.publish(message("a/4", b"")).unwrap();
        assert_eq!(take(&outbox, 9), (true, vec!["a/2".into(), "a/4".into()]));
        assert_eq!(take(&outbox, 9), (false, vec![]));
    }

    #[test]
    fn bytes_that_wait_are_bounded_and_given_back() {
        let (outbox, publisher) = publisher(100);
        let half = vec![0; BYTES_MAX / 2 - 100];
        publisher.publish(message("a", &half)).unwrap();
        publisher.publish(message("a", &half)).unwrap();
        assert!(publisher.publish(message("a", &[0; 1000])).unwrap_err().contains("bytes"));
        assert_eq!(take(&outbox, 1).1.len(), 1);
        publisher.publish(message("a", &[0; 1000])).unwrap();
    }

    #[test]
    fn who_waits_for_a_message_is_woken() {
        let (outbox, publisher) = publisher(2);
        let bell = Arc::<Bell>::default();
        let waker = Waker::from(Arc::clone(&bell));
        let mut taken = Vec::new();
        assert!(outbox.poll_take(&mut Context::from_waker(&waker), 1, &mut taken).is_pending());
        publisher.publish(message("a", b"")).unwrap();
        assert!(bell.0.load(Ordering::Relaxed));
    }

    #[test]
    fn a_grant_is_a_permission_to_publish_and_to_nothing_else() {
        let (_, publisher) = publisher(1);
        assert!(publisher.may("a/b") && !publisher.may("b"));
        let decide = |action, topic| {
            let request = wasmqtt_core::judge::Request {
                action,
                topic,
                share: None,
                qos: wasmqtt_codec::QoS::ExactlyOnce,
                retain: true,
            };
            publisher.client.permissions.decide(&request)
        };
        use wasmqtt_core::judge::{Action, Decision};
        assert_eq!(decide(Action::Publish, "a/b"), Some(Decision::Allow));
        assert_eq!(decide(Action::Publish, "b"), None);
        assert_eq!(decide(Action::Subscribe, "a/b"), None);
    }
}
