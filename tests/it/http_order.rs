//! Order within one client beyond its connection: what comes next waits for what a web service has not judged yet.

use std::time::Duration;

use wasmqtt_codec::{Connect, MessageProperties, QoS, Version, Will};

use crate::harness::config::open_listener;
use crate::harness::web::{Barrier, Reply, Web};
use crate::harness::{Broker, Client, Outgoing};
use crate::http::{caller, free, judged, slowly};

fn connect(id: &str) -> Connect<'_> {
    Connect::new(Version::V5, id)
}

fn with_will<'a>(id: &'a str, topic: &'a str) -> Connect<'a> {
    let mut connect = connect(id);
    connect.will = Some(Will {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic,
        payload: b"gone",
        delay_interval: 0,
        message_expiry_interval: None,
        properties: MessageProperties::EMPTY,
    });
    connect
}

/// Somebody else's message, on the same worker, goes through; `behind` has heard nothing.
fn pass_by(broker: &Broker, reader: &mut Client, behind: &mut Client) {
    let mut other = Client::connect(broker.addr(), &connect("other")).0;
    assert_eq!(other.publish(&Outgoing::new("in/other", "").qos(QoS::AtLeastOnce)), 0);
    assert_eq!(reader.message().topic, "in/other");
    other.ping();
    assert!(!behind.has_heard());
}

#[test]
fn after_a_takeover_the_new_connection_is_let_in_at_once_and_its_packets_wait_for_the_old_ones() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "filters = [\"in/waits\"]");
    let mut reader = free(&broker, "reader", "in/#");
    let mut stored = connect("slow");
    stored.clean_start = false;
    stored.keep_alive = 1;
    stored.properties.session_expiry_interval = Some(600);
    let mut first = Client::connect(broker.addr(), &stored).0;
    first.send_publish(&Outgoing::new("in/waits", "").qos(QoS::AtLeastOnce));
    web.wait_for("/x/transform/slow", 1);

    let (mut second, answer) = Client::connect(broker.addr(), &stored);
    assert!(answer.session_present);
    // Nobody has to be waited for because of these.
    let ids = [QoS::AtLeastOnce, QoS::ExactlyOnce]
        .map(|qos| second.send_publish(&Outgoing::new("in/next", "").qos(qos)).unwrap());
    pass_by(&broker, &mut reader, &mut second);
    // Longer than its keep alive: that nothing is heard of it is not its fault.
    std::thread::sleep(Duration::from_secs(3));
    assert!(!second.has_heard());
    barrier.open();
    let topics: Vec<_> = (0..3).map(|_| reader.message().topic).collect();
    assert_eq!(topics, ["in/waits", "in/next", "in/next"]);
    assert_eq!(second.puback(), (ids[0], 0));
    second.receive();
    second.ping();
}

#[test]
fn a_will_does_not_overtake_what_its_client_published_and_is_not_overtaken_by_what_it_does_next() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "filters = [\"in/waits\"]");
    let mut reader = free(&broker, "reader", "in/#");
    let mut first = Client::connect(broker.addr(), &with_will("slow", "in/gone")).0;
    first.send_publish(&Outgoing::new("in/waits", "").qos(QoS::AtMostOnce));
    web.wait_for("/x/transform/slow", 1);
    first.hang_up();
    let mut second = Client::connect(broker.addr(), &connect("slow")).0;
    second.send_publish(&Outgoing::new("in/next", "").qos(QoS::AtLeastOnce));
    pass_by(&broker, &mut reader, &mut second);
    barrier.open();
    let topics: Vec<_> = (0..3).map(|_| reader.message().topic).collect();
    assert_eq!(topics, ["in/waits", "in/gone", "in/next"]);
    assert_eq!(second.puback().1, 0);
}

#[test]
fn what_a_client_does_next_waits_for_its_will_also_at_a_listener_where_nobody_is_asked() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "authorize = [\"publish\"]");
    let mut reader = free(&broker, "reader", "in/#");
    Client::connect(broker.addr(), &with_will("slow", "in/gone")).0.hang_up();
    web.wait_for("/x/will/slow", 1);
    let mut second = Client::connect(broker.addr_of("free"), &connect("slow")).0;
    second.send_publish(&Outgoing::new("in/next", "").qos(QoS::AtLeastOnce));
    pass_by(&broker, &mut reader, &mut second);
    barrier.open();
    assert_eq!([reader.message().topic, reader.message().topic], ["in/gone", "in/next"]);
    assert_eq!(second.puback().1, 0);
}

#[test]
fn wills_that_wait_when_their_listener_goes_are_judged_by_the_rules_it_had() {
    const CLIENTS: usize = 80;
    let held = Barrier::default();
    let pass = held.clone();
    let web = Web::serve(move |asked| {
        if asked.path.starts_with("/x/will/") {
            pass.pass();
        }
        Reply::new(200)
    });
    let stays = open_listener("stays", "");
    let limits = "limits = { http_time = \"60s\", http_packet_time = \"60s\", http_at_once = 64 }";
    let caller = caller(&web, limits, "authorize = [\"publish\"]");
    let goes = open_listener("goes", "authorize = [\"caller\"]");
    let broker = Broker::start(&format!("{stays}{goes}{caller}"));
    let mut reader = Client::enter(broker.addr_of("stays"), Version::V5, "reader")
        .subscribed("in/#", QoS::AtLeastOnce);
    for number in 0..CLIENTS {
        let id = format!("c{number}");
        let topic = format!("in/{number}");
        Client::connect(broker.addr_of("goes"), &with_will(&id, &topic)).0.hang_up();
    }
    // As many as are asked about at once; the others wait.
    web.wait_for("/x/will/", 64);
    let mark = broker.mark();
    broker.reload(&format!("{stays}{caller}"));
    broker.wait_for(mark, "no longer listening");
    held.open();
    let mut topics: Vec<String> = (0..CLIENTS).map(|_| reader.message().topic).collect();
    topics.sort_unstable();
    topics.dedup();
    assert_eq!(topics.len(), CLIENTS);
}
