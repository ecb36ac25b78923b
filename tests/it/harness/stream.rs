//! Streams of numbered messages, and the audit of what came of them. Must not know why they should survive.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmqtt_codec::PacketId;

use super::client::{Client, Message, Outgoing};

/// Unacknowledged messages of one publisher.
const WINDOW: usize = 10;
/// Messages that have not arrived when publishers wait for the reader: publishing is faster than reading, and far more
/// would be more than any queue holds.
const AHEAD: u64 = 100_000;

/// How many messages were sent and have not been audited yet, of all publishers of one audit.
#[derive(Clone, Default)]
pub(crate) struct Lead(Arc<AtomicU64>);

impl Lead {
    fn is_too_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= AHEAD
    }
}

/// Publishes numbered messages with QoS 1 as fast as they are acknowledged, in a thread of its own.
pub(crate) struct Publisher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Client, u64)>,
}

impl Publisher {
    /// The payload of each message is `name` and its number. Ends by itself after `most` messages. Waits while it has
    /// too much of a lead.
    pub(crate) fn start(
        mut client: Client,
        name: &str,
        topic: &str,
        property: Option<(&'static str, &'static str)>,
        most: u64,
        lead: &Lead,
    ) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let (name, topic, lead) = (name.to_owned(), topic.to_owned(), lead.clone());
        let thread = std::thread::spawn(move || {
            let mut sent = 0;
            let mut open = std::collections::VecDeque::<PacketId>::new();
            loop {
                let more = sent < most && !stopped.load(Ordering::Relaxed);
                if more && open.len() < WINDOW && !lead.is_too_long() {
                    lead.0.fetch_add(1, Ordering::Relaxed);
                    let mut message = Outgoing::new(&topic, format!("{name} {sent}"));
                    if let Some((key, value)) = property {
                        message = message.property(key, value);
                    }
                    open.extend(client.send_publish(&message));
                    sent += 1;
                    continue;
                }
                let Some(oldest) = open.pop_front() else {
                    if !more {
                        return (client, sent);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                let (packet_id, code) = client.puback();
                assert_eq!(packet_id, oldest, "{name}: acknowledgements out of order");
                assert!(code < 0x80, "{name}: message {sent} was refused with {code:#x}");
            }
        });
        Self { stop, thread }
    }

    /// Waits until it has sent everything; answers how many messages it was.
    pub(crate) fn join(self) -> (Client, u64) {
        self.thread.join().expect("a publisher failed")
    }

    /// Makes it stop, and waits until everything is acknowledged.
    pub(crate) fn stop(self) -> (Client, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.join()
    }
}

/// What arrived, by publisher: each message once, in order, none missing.
#[derive(Default)]
pub(crate) struct Audit {
    next: HashMap<String, u64>,
    total: u64,
    lead: Lead,
}

impl Audit {
    /// Checks the number of a message; answers its publisher.
    pub(crate) fn take(&mut self, message: &Message) -> String {
        let (name, number) = message.text().rsplit_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        let next = self.next.entry(name.to_owned()).or_default();
        assert_eq!(number, *next, "{name}: lost, doubled or out of order");
        *next += 1;
        self.total += 1;
        // Publishers that nobody gave this audit's lead have none.
        let _ = self
            .lead
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |lead| lead.checked_sub(1));
        name.to_owned()
    }

    /// For the publishers of what it audits.
    pub(crate) fn lead(&self) -> &Lead {
        &self.lead
    }

    /// How many messages have arrived.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmqtt_codec::QoS;

    fn take(numbers: &[u64]) {
        let mut audit = Audit::default();
        for number in numbers {
            let payload = format!("p {number}").into_bytes();
            let topic = "t".to_owned();
            let (qos, retain, properties) = (QoS::AtLeastOnce, false, Vec::new());
            audit.take(&Message { topic, payload, qos, retain, properties });
        }
        assert_eq!(audit.total(), numbers.len() as u64);
    }

    #[test]
    fn a_whole_stream_passes_the_audit() {
        take(&[0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "lost, doubled or out of order")]
    fn a_lost_message_is_noticed() {
        take(&[0, 2]);
    }

    #[test]
    #[should_panic(expected = "lost, doubled or out of order")]
    fn a_doubled_message_is_noticed() {
        take(&[0, 1, 1]);
    }
}
