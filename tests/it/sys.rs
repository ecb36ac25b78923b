//! `$SYS`: what the broker says of itself.

use wasmqtt_codec::{QoS, Version};

use crate::harness::config::{OPEN, open_listener};
use crate::harness::{Broker, Client, Outgoing};

const OFTEN: &str = "[broker]\nworkers = 2\nsys_interval = \"1s\"\n";

/// Reads until the broker says this.
fn wait_for(reader: &mut Client, topic: &str, value: &str) {
    let topic = format!("$SYS/broker/{topic}");
    let mut said = Vec::new();
    for _ in 0..2000 {
        let message = reader.message();
        if message.topic == topic {
            if message.text() == value {
                return;
            }
            said.push(message.text().to_owned());
        }
    }
    panic!("{topic} was never {value:?} but {said:?}");
}

#[test]
fn what_the_broker_says_of_itself_is_true() {
    let broker = Broker::start(&format!("{OPEN}{OFTEN}"));
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("$SYS/broker/#", QoS::AtMostOnce);
    wait_for(&mut reader, "version", concat!("wasmqtt ", env!("CARGO_PKG_VERSION")));
    wait_for(&mut reader, "clients/connected", "1");
    let mut others: Vec<Client> = (0..3)
        .map(|number| Client::enter(broker.addr(), Version::V311, &format!("c{number}")))
        .collect();
    wait_for(&mut reader, "clients/connected", "4");
    for other in &mut others {
        for number in 0..5 {
            other.publish(&Outgoing::new(&format!("kept/{number}"), "x").retained());
        }
    }
    wait_for(&mut reader, "publish/messages/received", "15");
    others.into_iter().for_each(Client::disconnect);
    wait_for(&mut reader, "clients/connected", "1");
    wait_for(&mut reader, "clients/maximum", "4");
}

#[test]
fn a_subscription_to_everything_does_not_show_it() {
    let broker = Broker::start(&format!("{OPEN}{OFTEN}"));
    let mut everything =
        Client::enter(broker.addr(), Version::V5, "everything").subscribed("#", QoS::AtMostOnce);
    let mut reader = Client::enter(broker.addr(), Version::V5, "reader")
        .subscribed("$SYS/broker/uptime", QoS::AtMostOnce);
    // Said at least twice since both are there.
    reader.message();
    reader.message();
    reader.publish(&Outgoing::new("marker", "marker"));
    assert_eq!(everything.message().topic, "marker", "and nothing before");
}

#[test]
fn who_may_not_subscribe_to_it_does_not_see_it() {
    let listener = open_listener("mqtt", "").replace("\"allow\"", "\"deny\"");
    let broker = Broker::start(&format!("{listener}{OFTEN}"));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.subscribe("$SYS/#", QoS::AtMostOnce), 0x87);
}
