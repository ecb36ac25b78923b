//! PINGREQ and keep alive.

use std::time::{Duration, Instant};

use crate::harness::{BOTH, Broker, Hello, Outgoing, Packet, packet};

/// v5: 3.12.4-1; v3: 3.12.4-1
#[test]
fn a_ping_is_answered() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "ping");
        for _ in 0..3 {
            client.send(&packet::PINGREQ);
            assert_eq!(client.receive(), Packet::PingResp);
        }
    }
}

/// v5: 3.1.2-22; v3: 3.1.2-24
#[test]
fn any_packet_keeps_the_connection_alive() {
    let broker = Broker::start();
    // Silence is allowed for 4.5 s: more than any pause between two packets, less than all of them together.
    let mut clients = BOTH.map(|version| {
        broker.connect(&Hello::new(version, &format!("alive {version:?}")).keep_alive(3))
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        for client in &mut clients {
            std::thread::sleep(Duration::from_millis(50));
            client.ping();
            std::thread::sleep(Duration::from_millis(50));
            assert!(client.publish(&Outgoing::new("a", "b", 1)) < 0x80);
        }
    }
}

/// v5: 3.1.2-22; v3: 3.1.2-24
#[test]
fn a_packet_that_never_gets_whole_does_not_keep_the_connection_alive() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.connect(&Hello::new(version, "trickle").keep_alive(1));
        let publish = Outgoing::new("topic", [b'x'; 100], 0).bytes(version, 0);
        for byte in &publish[..6] {
            client.send_until_cut(&[*byte]);
            std::thread::sleep(Duration::from_millis(400));
        }
        assert_eq!(client.end(), version.code(0x8D));
    }
}

#[test]
fn a_client_without_keep_alive_may_be_silent() {
    let broker = Broker::start();
    for version in BOTH {
        let mut client = broker.client(version, "silent");
        std::thread::sleep(Duration::from_millis(2500));
        client.ping();
    }
}
