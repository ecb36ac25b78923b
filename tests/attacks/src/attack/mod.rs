//! The attacks. Each goes on until it is over, and puts up with whatever the broker does to it.

mod flood;
mod half_open;
mod load;
mod tls;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::Result;

use crate::run::Scale;
use crate::target::Target;

/// One of them.
#[derive(Debug)]
pub struct Attack {
    /// For the command line and the table.
    pub name: &'static str,
    /// For people.
    pub what: &'static str,
    /// Attacks until it is over. False where this machine lacks what it needs.
    pub begin: fn(&Stage<'_>) -> Result<bool>,
}

/// What an attack works with.
#[derive(Debug)]
pub struct Stage<'a> {
    /// Whom to attack.
    pub target: &'a Target,
    /// Set when it is over.
    pub over: &'a AtomicBool,
    /// Where to note what was done.
    pub effort: &'a Effort,
    /// How much to do.
    pub scale: &'a Scale,
}

impl Stage<'_> {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// What an attack has done.
#[derive(Debug, Default)]
pub struct Effort {
    connections: AtomicU64,
    bytes: AtomicU64,
}

impl Effort {
    /// Connections that were opened.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Bytes that the broker's side took.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// All of them, the first of which is none: what the well-behaved notice then is what the others are compared with.
pub const ATTACKS: &[Attack] = &[
    Attack { name: "none", what: "nothing, for comparison", begin: none },
    Attack {
        name: "half-open-tcp",
        what: "connections that say nothing, each opened again when it is closed",
        begin: half_open::tcp,
    },
    Attack {
        name: "half-open-tls",
        what: "connections that say the first word of a TLS handshake and then nothing",
        begin: half_open::tls,
    },
    Attack {
        name: "trickle",
        what: "connections that send CONNECT one byte a second",
        begin: half_open::trickle,
    },
    Attack {
        name: "deaf-qos0",
        what: "twenty subscribers that never read, and a publisher who has much for them, with QoS 0",
        begin: load::deaf_qos0,
    },
    Attack {
        name: "deaf-qos1",
        what: "the same with QoS 1, which they never acknowledge",
        begin: load::deaf_qos1,
    },
    Attack {
        name: "connect-flood",
        what: "four attackers that connect and leave as fast as they can",
        begin: flood::connects,
    },
    Attack {
        name: "large-packets",
        what: "packets that announce 256 MiB and send them, in CONNECT's place and behind it",
        begin: flood::packets,
    },
    Attack {
        name: "large-frames",
        what: "WebSocket frames that announce 2^62 bytes, messages without an end, and pings without a reader",
        begin: flood::frames,
    },
    Attack {
        name: "large-headers",
        what: "HTTP requests whose headers do not end",
        begin: flood::headers,
    },
    Attack {
        name: "proxy-header",
        what: "headers of the PROXY protocol from an address that is no trusted proxy",
        begin: flood::proxy_headers,
    },
    Attack {
        name: "renegotiation",
        what: "clients that shake hands again and again within a connection of TLS 1.2 (needs node)",
        begin: tls::renegotiation,
    },
    Attack {
        name: "early-data",
        what: "data before the handshake is done, handshakes that are resumed without end, and floods of new keys",
        begin: tls::early_data,
    },
    Attack {
        name: "qos2-ids",
        what: "publications with QoS 2 that are never released, until the broker refuses, again and again",
        begin: load::open_ids,
    },
    Attack {
        name: "qos2-ids-allowed",
        what: "65,535 open publications with QoS 2 in each of eight sessions, where the listener allows them",
        begin: load::open_ids_allowed,
    },
    Attack {
        name: "deep-topics",
        what: "topics and filters with 60,000 levels",
        begin: load::deep_topics,
    },
    Attack {
        name: "deep-topics-allowed",
        what: "the same where the listener allows them: subscribed, retained and matched",
        begin: load::deep_topics_allowed,
    },
];

#[allow(clippy::unnecessary_wraps)]
fn none(_: &Stage<'_>) -> Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut names: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ATTACKS.len());
    }
}
