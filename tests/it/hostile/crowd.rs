//! A hundred clients that publish without a pause, and one that reads it all. Must not know what is done to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use wasmqtt_codec::{QoS, Version};

use crate::harness::stream::{Audit, Publisher};
use crate::harness::{Broker, Client, Outgoing, PATIENCE};

/// Clients of the listener `mqtt`, and of the listener `calm`.
const ASKED: usize = 80;
const CALM: usize = 20;
/// How much more memory the broker may have at the end.
const GROWTH: u64 = 128 << 20;

pub(super) struct Crowd {
    publishers: Vec<Publisher>,
    reader: JoinHandle<u64>,
    read: Arc<AtomicU64>,
    /// Tells the reader that all is sent.
    teller: Client,
    memory: u64,
}

impl Crowd {
    pub(super) fn enter(broker: &Broker) -> Self {
        let (mqtt, calm) = (broker.addr_of("mqtt"), broker.addr_of("calm"));
        let mut reader = Client::enter(calm, Version::V5, "reader")
            .subscribed("good/#", QoS::AtLeastOnce)
            .subscribed("end", QoS::AtLeastOnce);
        let read = Arc::<AtomicU64>::default();
        let count = Arc::clone(&read);
        let mut audit = Audit::default();
        let lead = audit.lead().clone();
        let reader = std::thread::spawn(move || {
            let mut expected = None;
            while expected != Some(audit.total()) {
                let message = reader.message();
                if message.topic == "end" {
                    expected = Some(message.text().parse().unwrap());
                } else {
                    audit.take(&message);
                    count.store(audit.total(), Ordering::Relaxed);
                }
            }
            audit.total()
        });
        let publishers = (0..ASKED + CALM)
            .map(|number| {
                let name = format!("p{number}");
                let addr = if number < ASKED { mqtt } else { calm };
                let client = Client::enter(addr, Version::V5, &name);
                let topic = format!("good/{name}");
                Publisher::start(client, &name, &topic, None, u64::MAX, &lead)
            })
            .collect();
        let teller = Client::enter(calm, Version::V5, "teller");
        let mut crowd = Self { publishers, reader, read, teller, memory: 0 };
        crowd.goes_on();
        crowd.memory = broker.memory();
        crowd
    }

    /// Waits for messages that arrive from now on.
    pub(super) fn goes_on(&mut self) {
        let (before, start) = (self.read.load(Ordering::Relaxed), Instant::now());
        while self.read.load(Ordering::Relaxed) < before + 200 {
            assert!(start.elapsed() < PATIENCE, "the others' messages do not arrive");
            assert!(!self.reader.is_finished(), "the reader failed");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that was sent has arrived, once and in order, and the broker is not much larger than before.
    pub(super) fn has_lost_nothing(mut self, broker: &Broker) {
        let sent: u64 = self.publishers.into_iter().map(|publisher| publisher.stop().1).sum();
        assert_eq!(self.teller.publish(&Outgoing::new("end", sent.to_string())), 0);
        assert_eq!(self.reader.join().expect("the reader failed"), sent);
        let grown = broker.memory().saturating_sub(self.memory);
        assert!(grown < GROWTH, "the broker took {} MiB", grown >> 20);
    }
}
