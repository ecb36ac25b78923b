//! Bounds of what waits for a web service: by packet, and while a client authenticates again.

use std::time::{Duration, Instant};

use wasmqtt_codec::{Packet, QoS, Subscribe, Subscription, UserProperties, Version};

use crate::harness::config::open_listener;
use crate::harness::web::{Barrier, Reply, Web};
use crate::harness::{Broker, Client, PATIENCE};
use crate::http::caller;

#[test]
fn the_time_that_a_packet_may_take_begins_when_it_is_asked_about() {
    let never = Barrier::default();
    let held = never.clone();
    let (arrived, arrival) = std::sync::mpsc::channel();
    let web = Web::serve(move |asked| {
        if asked.path.contains("slow") {
            arrived.send(()).unwrap();
            held.pass();
        }
        Reply::new(200)
    });
    let listener = open_listener("mqtt", "authorize = [\"caller\"]");
    // Two take all the time there is for one packet, one after the other, and a third waits for them.
    let limits = "limits = { authenticate = \"20s\", http_time = \"4s\", http_packet_time = \"4s\", \
                  http_at_once = 1 }";
    let caller = caller(&web, limits, "authorize = [\"subscribe\"]");
    let broker = Broker::start(&format!("[broker]\nworkers = 1\n{listener}{caller}"));
    let mut slow: Vec<Client> = ["a", "b"]
        .map(|id| {
            let mut client = Client::enter(broker.addr(), Version::V5, id);
            client.send(&Packet::Subscribe(Subscribe {
                packet_id: 1.try_into().unwrap(),
                subscription_identifier: None,
                user_properties: UserProperties::EMPTY,
                subscriptions: vec![Subscription::new("slow", QoS::AtLeastOnce)],
            }));
            client
        })
        .into();
    arrival.recv_timeout(PATIENCE).unwrap();
    let mut last = Client::enter(broker.addr(), Version::V5, "c");
    let start = Instant::now();
    assert_eq!(last.subscribe("quick", QoS::AtLeastOnce), 1);
    assert!(start.elapsed() > Duration::from_secs(4), "it had to wait for both");
    for client in &mut slow {
        let raw = client.receive();
        let Packet::SubAck(answer) = raw.packet() else { panic!("{:?}", raw.packet()) };
        assert!(answer.reasons.iter().all(|code| code.is_error()), "nobody answered");
    }
    never.open();
}

#[test]
fn the_filters_of_one_subscribe_share_the_time_that_a_packet_may_take_and_on_failure_answers_then()
{
    let never = Barrier::default();
    let held = never.clone();
    let web = Web::serve(move |asked| {
        if asked.path.contains("slow") {
            held.pass();
        }
        Reply::new(200)
    });
    let listener = open_listener("mqtt", "authorize = [\"caller\"]");
    let limits = "limits = { http_time = \"1s\", http_packet_time = \"1s\" }";
    let caller = caller(&web, limits, "authorize = [\"subscribe\"]");
    let broker = Broker::start(&format!("[broker]\nworkers = 1\n{listener}{caller}"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let mark = broker.mark();
    let filters = ["first", "slow", "a", "b", "c", "d", "e", "f"];
    let mut expected = [0x83; 8];
    expected[0] = 1;
    assert_eq!(client.subscribe_all(&filters, QoS::AtLeastOnce), expected);
    // Those behind the one that took all the time were not asked about.
    assert_eq!(web.count("/x/subscribe/c/"), 2);
    broker.wait_for(mark, "no reply within");
    let line = broker.wait_for(mark, "because of one packet");
    assert!(line.holds("raise `limits.http_packet_time`"), "{}", line.text());
    // The next packet has its own.
    assert_eq!(client.subscribe_all(&["a", "b"], QoS::AtLeastOnce), [1, 1]);
    never.open();
}
