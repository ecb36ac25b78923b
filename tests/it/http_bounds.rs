//! Bounds of what waits for a web service: by packet, and while a client authenticates again.

use wasmqtt_codec::{QoS, Version};

use crate::harness::config::open_listener;
use crate::harness::web::{Barrier, Reply, Web};
use crate::harness::{Broker, Client};
use crate::http::caller;

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
