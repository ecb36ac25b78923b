//! Plugins that ask web services: within their grants and limits, and without anybody else waiting.

use std::time::Duration;

use wasmqtt_codec::{
    Connect, Filter, MessageProperties, Packet, QoS, Subscribe, Subscription, Version, Will,
};

use crate::harness::broker::refuse_to_start;
use crate::harness::client::connect_packet;
use crate::harness::config::{hostile, open_listener, plugin};
use crate::harness::web::{Barrier, Reply, Web};
use crate::harness::{Broker, Client, Outgoing};

/// The guest that asks `web`, as the plugin `caller`.
pub(crate) fn caller(web: &Web, keys: &str, config: &str) -> String {
    let url = web.url();
    let grants = match keys.contains("grants") {
        true => String::new(),
        false => format!("grants = {{ http = [\"{url}/x/\"] }}\n"),
    };
    let config = format!("{grants}{keys}\n[plugin.config]\nurl = \"{url}/x\"\n{config}");
    plugin("caller", "caller", &config)
}

/// A broker where the guest lets clients in, and one client after the other asks.
fn entrance(web: &Web, keys: &str, config: &str) -> Broker {
    let listener = open_listener("mqtt", "authenticate = [\"caller\"]");
    Broker::start(&format!("{listener}{}", caller(web, keys, config)))
}

fn enter(broker: &Broker, id: &str) -> u8 {
    Client::connect(broker.addr(), &Connect::new(Version::V5, id)).1.code
}

#[test]
fn an_authenticator_asks_a_web_service_and_does_what_it_says() {
    let web = Web::serve(|asked| match &*asked.path {
        "/x/authenticate/good/-" => Reply::new(200),
        "/x/authenticate/bad/-" => Reply::text(403, "not today"),
        _ => Reply::new(204),
    });
    let config = "method = \"POST\"\nbody = 3\nheaders = { X-Key = \"secret\" }";
    let broker = entrance(&web, "", config);
    assert_eq!(enter(&broker, "good"), 0);
    let mark = broker.mark();
    assert_eq!(enter(&broker, "bad"), 0x87);
    assert_eq!(broker.wait_for(mark, "client refused").field("reason"), "not today");
    assert_eq!(enter(&broker, "other"), 0, "it abstained, and the listener takes anybody");
    let asked = &web.asked()[0];
    assert_eq!((&*asked.method, asked.text()), ("POST", "xxx"));
    assert_eq!(asked.header("x-key"), Some("secret"));
    assert_eq!(asked.header("host"), Some(&web.url()["http://".len()..]));
}

#[test]
fn a_web_service_that_does_not_answer_lets_nobody_in_and_the_log_says_why() {
    let web = Web::serve(|_| Reply::new(200));
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{gone}");
    for (keys, config, why) in [
        (
            format!("grants = {{ http = [\"{url}\"] }}\n"),
            format!("url = \"{url}/x\""),
            "nobody listens there",
        ),
        (
            "grants = { http = [\"http://nowhere.invalid\"] }\n".to_owned(),
            "url = \"http://nowhere.invalid/x\"".to_owned(),
            "http://nowhere.invalid/x/authenticate/c/-: ",
        ),
        (
            format!("grants = {{ http = [\"{}/y\"] }}\n", web.url()),
            format!("url = \"{}/x\"", web.url()),
            "outside of its grants; the operator may add a prefix that covers it to `grants.http`",
        ),
    ] {
        let listener = open_listener("mqtt", "authenticate = [\"caller\"]");
        let caller = plugin("caller", "caller", &format!("{keys}[plugin.config]\n{config}"));
        let broker = Broker::start(&format!("{listener}{caller}"));
        let mark = broker.mark();
        assert_eq!(enter(&broker, "c"), 0x88, "{why}");
        let line = broker.wait_for(mark, "gave no answer");
        assert!(line.holds(why), "{}", line.text());
    }
    assert_eq!(web.asked().len(), 0);
}

#[test]
fn requests_and_replies_are_bounded_in_size_number_and_time() {
    let never = Barrier::default();
    let held = never.clone();
    let web = Web::serve(move |asked| match &*asked.path {
        "/x/authenticate/large/-" => Reply(200, Vec::new(), vec![b'x'; 1025]),
        "/x/authenticate/fits/-" => Reply(200, Vec::new(), vec![b'x'; 1024]),
        "/x/authenticate/slow/-" => {
            held.pass();
            Reply::new(200)
        }
        _ => Reply::new(200),
    });
    let limits = "limits = { call = \"1s\", authenticate = \"20s\", http_reply = \"1KiB\", \
                  http_request = \"1KiB\", http_time = \"600ms\" }";
    for (config, id, why) in [
        ("", "large", "larger than 1024 bytes"),
        ("", "slow", "no reply within"),
        ("timeout_ms = 50", "slow", "no reply within 50ms"),
        ("method = \"POST\"\nbody = 1000", "c", "raise `limits.http_request` from 1024"),
        ("method = \"CONNECT\"", "c", "the method is none of GET"),
        ("headers = { Host = \"evil.example\" }", "c", "the header Host is the broker's"),
        ("headers = { \"a b\" = \"x\" }", "c", "header"),
        ("headers = { a = \"x\\r\\ny: z\" }", "c", "header"),
    ] {
        let broker = entrance(&web, limits, config);
        let mark = broker.mark();
        assert_eq!(enter(&broker, id), 0x88, "{config} {id}");
        let line = broker.wait_for(mark, "gave no answer");
        assert!(line.holds(why), "{config} {id}: {}", line.text());
    }
    // Whichever request it is that the time is over for.
    let broker = entrance(&web, limits, "times = 1000000");
    let mark = broker.mark();
    assert_eq!(enter(&broker, "c"), 0x88);
    let line = broker.wait_for(mark, "gave no answer");
    let together = "the requests of this call have taken 600ms together";
    assert!(line.holds(together) || line.holds("no reply within"), "{}", line.text());
    assert!(web.count("/x/authenticate/c/-") > 1);
    let broker = entrance(&web, limits, "");
    assert_eq!(enter(&broker, "fits"), 0);
    never.open();
}

#[test]
fn redirects_are_not_followed_and_the_plugin_sees_them() {
    let elsewhere = Web::serve(|_| Reply::new(200));
    let to = format!("{}/y", elsewhere.url());
    let web = Web::serve(move |_| Reply::text(307, "moved").header("Location", &to));
    let broker = entrance(&web, "", "");
    let mark = broker.mark();
    assert_eq!(enter(&broker, "c"), 0x87);
    assert_eq!(broker.wait_for(mark, "client refused").field("reason"), "moved");
    assert_eq!((web.asked().len(), elsewhere.asked().len()), (1, 0));
}

#[test]
fn a_component_that_wants_http_is_not_loaded_without_the_grant_nor_may_it_ask_in_init() {
    let web = Web::serve(|_| Reply::new(200));
    let listener = open_listener("mqtt", "authenticate = [\"caller\"]");
    let config = caller(&web, "grants = { kv = true }", "");
    let error = refuse_to_start(&format!("{listener}{config}"));
    assert!(error.contains("imports `wasmqtt:plugin/http@0.1.0`, which is not granted"), "{error}");
    assert!(error.contains("grants = { http = [\"https://HOST/PATH\"] }"), "{error}");
    let error = refuse_to_start(&format!("{listener}{}", caller(&web, "", "in_init = true")));
    assert!(error.contains("init cannot ask"), "{error}");
    assert_eq!(web.asked().len(), 0);
}

#[test]
fn a_web_service_that_hangs_delays_nobody_whose_listener_does_not_ask_it() {
    let hanging = Barrier::default();
    let held = hanging.clone();
    let web = Web::serve(move |_| {
        held.pass();
        Reply::new(200)
    });
    let listeners = [
        open_listener("mqtt", "authenticate = [\"caller\"]"),
        open_listener("other", "authenticate = [\"hostile\"]"),
    ];
    let limits = "limits = { call = \"1s\", http_time = \"60s\", http_at_once = 64 }";
    let computing = plugin(
        "hostile",
        "hostile",
        "[plugin.config]\non = \"authenticate\"\ndo = \"loop\"\nwhen = \"x\"",
    );
    let broker =
        Broker::start(&format!("{}{}{computing}", listeners.concat(), caller(&web, limits, "")));
    // More than there are threads for questions that compute, and than one listener's questions may block.
    let waiting: Vec<Client> = (0..80)
        .map(|number| {
            let mut client = Client::open(broker.addr(), Version::V5);
            client.send(&connect_packet(&Connect::new(Version::V5, &format!("w{number}"))));
            client
        })
        .collect();
    web.wait_for("/x/authenticate/w", 64);
    let other = Client::connect(broker.addr_of("other"), &Connect::new(Version::V5, "o")).1;
    assert_eq!(other.code, 0);
    hanging.open();
    for mut client in waiting {
        assert_eq!(client.answer().code, 0);
        assert_eq!(client.publish(&Outgoing::new("a", "").qos(QoS::AtLeastOnce)), 0x10);
    }
    assert_eq!(web.count("/x/authenticate/w"), 80);
}

/// A broker with one worker where the guest judges and changes what clients do.
pub(crate) fn judged(web: &Web, config: &str) -> Broker {
    let chains = "authorize = [\"caller\"]\ntransform = [\"caller\"]";
    let listeners = [open_listener("mqtt", chains), open_listener("free", "")];
    // Nobody could go on elsewhere.
    Broker::start(&format!(
        "[broker]\nworkers = 1\n{}{}",
        listeners.concat(),
        caller(web, "", config)
    ))
}

/// Through the listener where nobody is asked.
pub(crate) fn free(broker: &Broker, id: &str, filter: &str) -> Client {
    Client::connect(broker.addr_of("free"), &Connect::new(Version::V5, id))
        .0
        .subscribed(filter, QoS::ExactlyOnce)
}

/// Answers 204, but first holds those whose path holds `slow`.
pub(crate) fn slowly() -> (Web, Barrier) {
    let barrier = Barrier::default();
    let held = barrier.clone();
    let web = Web::serve(move |asked| {
        if asked.path.contains("slow") {
            held.pass();
        }
        Reply::new(204)
    });
    (web, barrier)
}

#[test]
fn behaviour_19_order_within_one_client_is_kept_while_an_asynchronous_plugin_thinks() {
    for hook in ["authorize = [\"publish\", \"subscribe\"]", "filters = [\"in/#\"]"] {
        let (web, barrier) = slowly();
        let broker = judged(&web, hook);
        let mut reader = free(&broker, "reader", "in/#");
        let mut other = Client::enter(broker.addr(), Version::V5, "other");
        let mut slow = Client::enter(broker.addr(), Version::V5, "slow");
        let mut ids = Vec::new();
        for number in 0..20 {
            let qos = [QoS::AtLeastOnce, QoS::AtMostOnce, QoS::ExactlyOnce][number % 3];
            let message = Outgoing::new(&format!("in/{number}"), number.to_string()).qos(qos);
            ids.push(slow.send_publish(&message));
        }
        slow.send(&Packet::PingReq);
        web.wait_for(
            if hook.starts_with('a') { "/x/publish/slow" } else { "/x/transform/slow" },
            1,
        );

        // On the same worker, with the same plugin.
        for number in 0..20 {
            let message = Outgoing::new("in/other", number.to_string()).qos(QoS::AtLeastOnce);
            assert_eq!(other.publish(&message), 0);
            assert_eq!(reader.message().parts(), ("in/other", &*number.to_string()));
        }
        other.ping();
        assert!(!slow.has_heard(), "{hook}: its packets wait");
        assert_eq!(web.count("/x/publish/slow") + web.count("/x/transform/slow"), 1, "one by one");

        barrier.open();
        for number in 0..20 {
            let message = reader.message();
            let expected = (format!("in/{number}"), number.to_string());
            assert_eq!((message.topic.clone(), message.text().to_owned()), expected, "{hook}");
        }
        // Answers come in the order of what they answer, the last to the PINGREQ.
        for id in ids.into_iter().flatten() {
            let raw = slow.receive();
            let answered = match raw.packet() {
                Packet::PubAck(ack) | Packet::PubRec(ack) => ack.packet_id,
                other => panic!("{hook}: {other:?}"),
            };
            assert_eq!(answered, id, "{hook}");
        }
        assert!(matches!(slow.receive().packet(), Packet::PingResp), "{hook}");
    }
}

#[test]
fn a_subscription_waits_for_its_authorizer_and_what_follows_waits_with_it() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "authorize = [\"subscribe\"]");
    let mut other = Client::enter(broker.addr(), Version::V5, "other");
    assert_eq!(other.publish(&Outgoing::new("a", "stored").retained()), 0);
    let mut slow = Client::enter(broker.addr(), Version::V5, "slow");
    slow.send(&subscribe(&["a", "b"]));
    slow.send_publish(&Outgoing::new("a", "own").qos(QoS::AtMostOnce));
    web.wait_for("/x/subscribe/slow", 1);
    other.ping();
    assert!(!slow.has_heard());
    barrier.open();
    assert!(matches!(slow.receive().packet(), Packet::SubAck(ack) if ack.reasons.len() == 2));
    let payloads = [slow.message().text().to_owned(), slow.message().text().to_owned()];
    assert_eq!(payloads, ["stored", "own"]);
    assert_eq!(web.count("/x/subscribe/slow"), 2, "each filter once");
}

fn subscribe<'a>(filters: &[&'a str]) -> Packet<'a> {
    let subscription = |filter: &&'a str| {
        assert!(Filter::parse(filter).is_ok());
        Subscription {
            filter,
            qos: QoS::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: wasmqtt_codec::RetainHandling::SendAtSubscribe,
        }
    };
    Packet::Subscribe(Subscribe {
        packet_id: 77.try_into().unwrap(),
        subscription_identifier: None,
        user_properties: Default::default(),
        subscriptions: filters.iter().map(subscription).collect(),
    })
}

#[test]
fn what_a_web_service_says_is_done_to_publications_and_subscriptions() {
    let web = Web::serve(|asked| match &*asked.path {
        "/x/publish/c/no" => Reply::text(403, "not there"),
        "/x/subscribe/c/no%2f%23" => Reply::text(403, "nor there"),
        "/x/transform/c/in%2fa" => Reply::text(200, "changed"),
        "/x/transform/c/in%2fbad" => Reply::text(422, "bad"),
        _ => Reply::new(204),
    });
    let broker = judged(&web, "authorize = [\"publish\", \"subscribe\"]\nfilters = [\"in/#\"]");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    assert_eq!(client.subscribe_all(&["no/#", "in/#"], QoS::AtLeastOnce), [0x87, 1]);
    assert_eq!(client.publish(&Outgoing::new("no", "x").qos(QoS::AtLeastOnce)), 0x87);
    assert_eq!(client.publish(&Outgoing::new("no", "x").qos(QoS::ExactlyOnce)), 0x87);
    assert_eq!(client.publish(&Outgoing::new("in/bad", "x").qos(QoS::AtLeastOnce)), 0x87);
    assert_eq!(client.publish(&Outgoing::new("in/a", "x").qos(QoS::ExactlyOnce)), 0);
    assert_eq!(client.message().parts(), ("in/a", "changed"));
}

#[test]
fn an_answer_that_may_be_reused_costs_no_further_request_on_any_worker() {
    let web = Web::serve(|asked| match asked.path.contains("no") {
        true => Reply::new(403),
        false => Reply::new(200),
    });
    let config = "authorize = [\"publish\"]\nreuse_ms = 600000";
    let listener = open_listener("mqtt", "authorize = [\"caller\"]");
    let broker = Broker::start(&format!("{listener}{}", caller(&web, "", config)));
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    for _ in 0..50 {
        assert_eq!(client.publish(&Outgoing::new("yes", "").qos(QoS::AtLeastOnce)), 0x10);
        assert_eq!(client.publish(&Outgoing::new("no", "").qos(QoS::AtLeastOnce)), 0x87);
    }
    assert_eq!((web.count("/x/publish/c/yes"), web.count("/x/publish/c/no")), (1, 1));
}

#[test]
fn a_client_that_insists_on_what_it_is_denied_costs_few_requests() {
    let web = Web::serve(|_| Reply::new(403));
    let broker = judged(&web, "authorize = [\"publish\"]");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    let begin = std::time::Instant::now();
    for _ in 0..500 {
        assert_eq!(client.publish(&Outgoing::new("no", "").qos(QoS::AtLeastOnce)), 0x87);
    }
    // Four at once, then ten in the first second and one in each that follows.
    let most = 14 + usize::try_from(begin.elapsed().as_secs()).unwrap();
    assert!(web.asked().len() <= most, "{} requests", web.asked().len());
}

#[test]
fn a_client_that_is_taken_over_while_it_waits_loses_no_publication_and_gets_none_twice() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "filters = [\"in/#\"]");
    let mut reader = free(&broker, "reader", "in/#");
    let mut connect = Connect::new(Version::V5, "slow");
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(600);
    let mut first = Client::connect(broker.addr(), &connect).0;
    let id = first.send_publish(&Outgoing::new("in/a", "x").qos(QoS::ExactlyOnce)).unwrap();
    web.wait_for("/x/transform/slow", 1);
    let (mut second, answer) = Client::connect(broker.addr(), &connect);
    assert!(answer.session_present, "it does not wait for the first");
    second.send(&Packet::Publish(wasmqtt_codec::Publish {
        dup: true,
        qos: QoS::ExactlyOnce,
        retain: false,
        topic: "in/a",
        packet_id: Some(id),
        properties: Default::default(),
        payload: b"x",
    }));
    assert!(matches!(first.receive().packet(), Packet::Disconnect(_)), "it is told why at once");
    barrier.open();
    let raw = second.receive();
    assert!(
        matches!(raw.packet(), Packet::PubRec(ack) if ack.packet_id == id),
        "{:?}",
        raw.packet()
    );
    assert_eq!(reader.message().parts(), ("in/a", "x"));
    assert_eq!(reader.publish(&Outgoing::new("in/end", "")), 0);
    assert_eq!(reader.message().topic, "in/end", "and nothing twice");
}

#[test]
fn a_client_that_says_nothing_while_the_broker_does_not_listen_is_not_given_up() {
    let (web, barrier) = slowly();
    let broker = judged(&web, "filters = [\"in/#\"]");
    let mut connect = Connect::new(Version::V5, "slow");
    connect.keep_alive = 1;
    let mut slow = Client::connect(broker.addr(), &connect).0;
    slow.send_publish(&Outgoing::new("in/a", "").qos(QoS::AtLeastOnce));
    web.wait_for("/x/transform/slow", 1);
    std::thread::sleep(Duration::from_secs(3));
    barrier.open();
    assert_eq!(slow.puback().1, 0x10);
    slow.ping();
}

#[test]
fn wills_are_judged_when_they_are_published_and_nobody_waits_for_that() {
    let (web, barrier) = slowly();
    let denying = Web::serve(|asked| match asked.path.contains("in%2fno") {
        true => Reply::new(403),
        false => Reply::new(204),
    });
    let leave = |broker: &Broker, id: &str, topic: &str| {
        let mut connect = Connect::new(Version::V5, id);
        connect.will = Some(Will {
            qos: QoS::AtLeastOnce,
            retain: false,
            topic,
            payload: b"gone",
            delay_interval: 0,
            message_expiry_interval: None,
            properties: MessageProperties::EMPTY,
        });
        Client::connect(broker.addr(), &connect).0.hang_up();
    };
    let config = "authorize = [\"publish\"]\nfilters = [\"in/#\"]";
    let broker = judged(&web, config);
    let mut reader = free(&broker, "reader", "in/#");
    leave(&broker, "slow", "in/slow");
    web.wait_for("/x/will/slow", 1);
    leave(&broker, "other", "in/other");
    assert_eq!(reader.message().topic, "in/other");
    barrier.open();
    assert_eq!(reader.message().topic, "in/slow");

    let broker = judged(&denying, config);
    let mut reader = free(&broker, "reader", "in/#");
    leave(&broker, "c", "in/no");
    denying.wait_for("/x/will/c/in%2fno", 1);
    leave(&broker, "c", "in/yes");
    assert_eq!(reader.message().topic, "in/yes", "and not the other");
}

#[test]
fn a_reload_has_subscriptions_judged_again_elsewhere_and_nothing_is_delivered_before() {
    let (barrier, strict) = (Barrier::default(), std::sync::Arc::new(std::sync::Mutex::new(false)));
    let (held, is_strict) = (barrier.clone(), std::sync::Arc::clone(&strict));
    let web = Web::serve(move |asked| {
        if *is_strict.lock().unwrap() && asked.path == "/x/subscribe/c/in%2fa" {
            held.pass();
            return Reply::new(403);
        }
        Reply::new(200)
    });
    let broker = judged(&web, "authorize = [\"subscribe\"]");
    let mut client = Client::enter(broker.addr(), Version::V5, "c")
        .subscribed("in/a", QoS::AtLeastOnce)
        .subscribed("in/b", QoS::AtLeastOnce);
    let mut sender = free(&broker, "sender", "none");
    *strict.lock().unwrap() = true;
    let mark = broker.mark();
    let text = std::fs::read_to_string(broker.config_path()).unwrap();
    broker.write_config(
        &text.replace("authorize = [\"subscribe\"]", "authorize = [\"subscribe\"]\nreuse_ms = 1"),
    );
    broker.hang_up();
    broker.wait_for(mark, "reload applied");
    web.wait_for("/x/subscribe/c/in%2fa", 2);
    for topic in ["in/a", "in/b"] {
        assert_eq!(sender.publish(&Outgoing::new(topic, "x").qos(QoS::AtLeastOnce)), 0);
    }
    client.ping();
    barrier.open();
    assert_eq!(client.message().topic, "in/b", "what it may not have any more was taken away");
    broker.wait_for(mark, "subscription is no longer allowed");
}

#[test]
fn a_stored_session_that_resumes_is_judged_before_anything_is_delivered() {
    let denied = std::sync::Arc::new(std::sync::Mutex::new(false));
    let is_denied = std::sync::Arc::clone(&denied);
    let web = Web::serve(move |asked| {
        Reply::new(match *is_denied.lock().unwrap() && asked.path.ends_with("in%2fa") {
            true => 403,
            false => 200,
        })
    });
    let broker = judged(&web, "authorize = [\"subscribe\"]");
    let mut connect = Connect::new(Version::V5, "c");
    connect.clean_start = false;
    connect.properties.session_expiry_interval = Some(600);
    let client = Client::connect(broker.addr(), &connect).0;
    client.subscribed("in/a", QoS::AtLeastOnce).subscribed("in/b", QoS::AtLeastOnce).disconnect();
    let mut sender = free(&broker, "sender", "none");
    for topic in ["in/a", "in/b"] {
        sender.publish(&Outgoing::new(topic, "x").qos(QoS::AtLeastOnce));
    }
    *denied.lock().unwrap() = true;
    let (mut client, answer) = Client::connect(broker.addr(), &connect);
    assert!(answer.session_present);
    assert_eq!(client.message().topic, "in/b");
}

#[test]
fn what_plugins_publish_waits_for_a_web_service_in_its_order() {
    let (web, barrier) = slowly();
    let listener = open_listener("mqtt", "transform = [\"herald\", \"caller\"]");
    let herald = crate::publisher::herald(
        "herald",
        "",
        "on = [\"publish\"]\nfilters = [\"in/#\"]\ntopic = \"out/slow\"",
    );
    let config = format!("[broker]\nworkers = 1\n{listener}{herald}");
    let broker = Broker::start(&format!("{config}{}", caller(&web, "", "filters = [\"out/#\"]")));
    let mut client =
        Client::enter(broker.addr(), Version::V5, "c").subscribed("out/#", QoS::AtLeastOnce);
    for number in 0..10 {
        client.publish(&Outgoing::new(&format!("in/{number}"), "").qos(QoS::AtLeastOnce));
    }
    web.wait_for("/x/transform", 1);
    client.ping();
    barrier.open();
    for number in 0..10 {
        assert_eq!(client.message().parts(), ("out/slow", &*format!("publish in/{number}")));
    }
}

#[test]
fn a_plugin_that_may_wait_cannot_judge_deliveries() {
    let web = Web::serve(|_| Reply::new(200));
    for config in ["authorize = [\"receive\"]", "deliver = [\"#\"]"] {
        let listener = open_listener("mqtt", "authorize = [\"caller\"]");
        let error = refuse_to_start(&format!("{listener}{}", caller(&web, "", config)));
        assert!(error.contains("a delivery cannot wait for a web service"), "{error}");
    }
    let listener = open_listener("mqtt", "authorize = [\"caller\"]\ntransform = [\"hostile\"]");
    let hostile = hostile("reauthorize = true", "on = \"deliver\"\ndo = \"trap\"");
    let caller = caller(&web, "", "authorize = [\"publish\"]");
    let error = refuse_to_start(&format!("{listener}{hostile}{caller}"));
    assert!(
        error.contains("listener `mqtt`: its transform chain names plugin `hostile`"),
        "{error}"
    );
}

#[test]
fn a_subscription_that_waits_while_rights_change_is_asked_about_again() {
    let (barrier, strict) = (Barrier::default(), std::sync::Arc::new(std::sync::Mutex::new(false)));
    let (held, is_strict) = (barrier.clone(), std::sync::Arc::clone(&strict));
    let web = Web::serve(move |_| {
        // As it was when it was asked.
        let reply = Reply::new(if *is_strict.lock().unwrap() { 403 } else { 200 });
        held.pass();
        reply
    });
    let broker = judged(&web, "authorize = [\"subscribe\"]");
    let mut client = Client::enter(broker.addr(), Version::V5, "c");
    client.send(&subscribe(&["in/a"]));
    web.wait_for("/x/subscribe/c", 1);
    *strict.lock().unwrap() = true;
    let text = std::fs::read_to_string(broker.config_path()).unwrap();
    broker.reload(&text.replace("\"subscribe\"]", "\"subscribe\"]\nreuse_ms = 1"));
    // It has been heard of by now.
    client.send(&Packet::PingReq);
    let mut other = Client::enter(broker.addr(), Version::V5, "other");
    other.ping();
    barrier.open();
    let raw = client.receive();
    assert_eq!(raw.body()[raw.body().len() - 1], 0x87, "{:?}", raw.packet());
    assert_eq!(web.count("/x/subscribe/c"), 2);
}
