//! SIGTERM: everybody is told, nobody holds it up.

use wasmqtt_codec::{Connect, Packet, QoS, ReasonCode, Version};

use crate::harness::client::connect_packet;
use crate::harness::config::{OPEN, hostile, slow_authenticator};
use crate::harness::{Broker, Client, Outgoing};

#[test]
fn sigterm_tells_every_client_and_ends_the_process_in_time() {
    let mut broker = Broker::start(OPEN);
    let mut clients: Vec<Client> = (0..20)
        .map(|number| {
            let version = [Version::V5, Version::V311, Version::V31][number % 3];
            Client::enter(broker.addr(), version, &format!("c{number}"))
        })
        .collect();
    broker.terminate();
    for (number, client) in clients.iter_mut().enumerate() {
        let told = if number % 3 == 0 { Some(0x8B) } else { None };
        assert_eq!(client.end(), told, "{number}");
    }
    broker.ends_at_once();
}

#[test]
fn sigterm_tells_clients_which_server_to_use_instead_when_the_operator_has_named_one() {
    let reference = "[broker]\nserver_reference = \"b.example:1883 [::1]:2\"\n";
    let mut broker = Broker::start(&format!("{OPEN}{reference}"));
    let mut clients = ["a", "b"].map(|id| Client::enter(broker.addr(), Version::V5, id));
    let mut older = Client::enter(broker.addr(), Version::V311, "c");
    broker.terminate();
    for client in &mut clients {
        let raw = client.receive();
        let Packet::Disconnect(told) = raw.packet() else { panic!("{:?}", raw.packet()) };
        assert_eq!(told.reason, ReasonCode::UseAnotherServer);
        assert_eq!(told.server_reference, Some("b.example:1883 [::1]:2"));
        assert_eq!(client.end(), None);
    }
    assert_eq!(older.end(), None);
    broker.ends_at_once();
}

#[test]
fn sigterm_ends_the_process_in_time_although_a_client_does_not_read() {
    let mut broker = Broker::start(OPEN);
    let _stuck =
        Client::enter(broker.addr(), Version::V5, "stuck").subscribed("#", QoS::AtMostOnce);
    let mut publisher = Client::enter(broker.addr(), Version::V5, "publisher");
    for _ in 0..200 {
        publisher.publish(&Outgoing::new("a", vec![0; 64 << 10]));
    }
    // It is told, and given up long before the others' time is over.
    broker.terminate();
    broker.ends_at_once();
}

#[test]
fn sigterm_ends_the_process_in_time_although_an_authenticator_thinks() {
    let mut broker = Broker::start(&slow_authenticator("50s", ""));
    let mut client = Client::open(broker.addr(), Version::V5);
    let mark = broker.mark();
    client.send(&connect_packet(&Connect::new(Version::V5, "slow")));
    // Somebody who came later is through: the slow one is being asked.
    Client::log_in(broker.addr(), Version::V5, "alice").disconnect();
    broker.wait_for(mark, "client disconnected");
    broker.terminate();
    broker.ends_at_once();
    assert_eq!(client.end(), None);
}

#[test]
fn sigterm_does_not_wait_for_who_never_said_who_it_is() {
    let mut broker = Broker::start(OPEN);
    let mut silent = Client::open(broker.addr(), Version::V5);
    let mut half = Client::open(broker.addr(), Version::V5);
    half.send_bytes(&[0x10, 20, 0, 4]);
    // Whoever came before has a worker.
    Client::enter(broker.addr(), Version::V5, "c").disconnect();
    broker.terminate();
    broker.ends_at_once();
    assert_eq!((silent.end(), half.end()), (None, None));
}

#[test]
fn a_broker_that_is_still_starting_survives_sighup_and_obeys_sigterm() {
    // Whose init takes all the time that it has, 5 s.
    let plugin = hostile("", "on = \"init\"\ndo = \"loop\"");
    let mut broker = Broker::start_slowly(&format!("{OPEN}{plugin}"));
    broker.hang_up();
    broker.terminate();
    broker.ends_at_once();
}
