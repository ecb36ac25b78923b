//! A web service of the operator's says who clients are: what it is asked, and what it brings.

use wasmqtt_codec::{Connect, Packet, QoS, Version};

use crate::harness::client::{connect_packet, login};
use crate::harness::config::plugin;
use crate::harness::web::{Barrier, Reply, Web};
use crate::harness::{Broker, Client, Outgoing};

const LISTENER: &str =
    "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"http-auth\"]\n";

/// `more` are keys of the plugin's configuration.
fn broker(web: &Web, keys: &str, more: &str) -> Broker {
    let url = web.url();
    let limits = match keys.contains("limits") {
        true => "",
        false => "limits = { call = \"1s\", authenticate = \"20s\" }\n",
    };
    let config = format!(
        "grants = {{ http = [\"{url}/\"] }}\n{limits}{keys}\n[plugin.config]\nurl = \"{url}/login\"\n{more}\n"
    );
    Broker::start(&format!("{LISTENER}{}", plugin("http-auth", "http_auth", &config)))
}

/// Lets in who comes as alice with the password `secret`, and says no to all others.
fn users() -> Web {
    Web::serve(|asked| match asked.text().contains(r#""userName":"alice","password":"c2VjcmV0""#) {
        true => Reply::json(r#"{"decision": "allow", "clientAuthenticationName": "alice"}"#),
        false => {
            Reply(400, Vec::new(), br#"{"decision": "deny", "errorReason": "who is that?"}"#.into())
        }
    })
}

#[test]
fn who_may_enter_is_for_the_web_service_to_say() {
    let web = users();
    let broker = broker(&web, "", "headers = { X-Api-Key = \"key\" }");
    for version in [Version::V31, Version::V311, Version::V5] {
        let (_, answer) = Client::connect(broker.addr(), &login(version, "alice", "secret"));
        assert_eq!(answer.code, 0, "{version:?}");
    }
    let mark = broker.mark();
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V5, "alice", "wrong"));
    assert_eq!(answer.code, 0x87);
    assert_eq!(broker.wait_for(mark, "client refused").field("reason"), "who is that?");
    let (_, answer) = Client::connect(broker.addr(), &login(Version::V311, "bob", "secret"));
    assert_eq!(answer.code, 5);
    let asked = &web.asked()[0];
    assert_eq!((&*asked.method, &*asked.path), ("POST", "/login"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("x-api-key"), Some("key"));
}

#[test]
fn attributes_and_permissions_of_the_reply_are_the_clients_rights() {
    let web = Web::serve(|_| {
        Reply::json(
            r#"{"decision": "allow", "clientAuthenticationName": "dev", "attributes": {"site": "north", "floor": 7},
                "permissions": [
                  {"effect": "deny", "filter": "site/north/secret", "actions": ["publish"]},
                  {"effect": "allow", "filter": "site/${attribute.site}/#", "actions": ["publish", "subscribe"]},
                  {"effect": "allow", "filter": "floor/${attribute.floor}", "actions": ["publish"], "maxQos": 1}],
                "userProperties": [{"name": "hello", "value": "there"}]}"#,
        )
    });
    let broker = broker(&web, "", "");
    let mut client = Client::open(broker.addr(), Version::V5);
    client.send(&connect_packet(&Connect::new(Version::V5, "c")));
    let raw = client.receive();
    match raw.packet() {
        Packet::ConnAck(ack) => {
            let properties: Vec<_> = ack.properties.user_properties.iter().collect();
            assert_eq!(properties, [("hello", "there")]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(client.subscribe("site/north/#", QoS::AtLeastOnce), 1);
    assert_eq!(client.subscribe("site/south/#", QoS::AtLeastOnce), 0x87);
    for (topic, qos, code) in [
        ("site/north/a", QoS::AtLeastOnce, 0),
        ("site/north/secret", QoS::AtLeastOnce, 0x87),
        ("site/south/a", QoS::AtLeastOnce, 0x87),
        ("floor/7", QoS::AtLeastOnce, 0x10),
        ("floor/7", QoS::ExactlyOnce, 0x87),
    ] {
        assert_eq!(client.publish(&Outgoing::new(topic, "x").qos(qos)), code, "{topic}");
    }
}

#[test]
fn a_web_service_that_is_down_slow_or_talks_nonsense_lets_nobody_in_and_the_log_says_why() {
    let never = Barrier::default();
    let held = never.clone();
    let web = Web::serve(move |asked| {
        let text = asked.text();
        if text.contains("slow") {
            held.pass();
        }
        match text {
            text if text.contains("nonsense") => Reply::json("<html>"),
            text if text.contains("broken") => Reply::text(500, r#"{"decision": "allow"}"#),
            text if text.contains("elsewhere") => Reply::text(302, "").header("Location", "/other"),
            _ => Reply::json(r#"{"decision": "allow"}"#),
        }
    });
    let broker = broker(
        &web,
        "limits = { call = \"1s\", authenticate = \"20s\", http_time = \"400ms\" }",
        "",
    );
    for (id, why) in [
        ("nonsense", "not as it should"),
        ("broken", "answered with status 500"),
        ("elsewhere", "answered with status 302"),
        ("slow", "no reply within"),
    ] {
        let mark = broker.mark();
        let (_, answer) = Client::connect(broker.addr(), &Connect::new(Version::V5, id));
        assert_eq!(answer.code, 0x88, "{id}");
        let line = broker.wait_for(mark, "client refused");
        assert_eq!(
            (line.field("client_id"), line.field("code")),
            (id.to_owned(), "Server unavailable".to_owned())
        );
        // Complaints about one plugin are bounded in rate, and one in four says what the others would.
        let said = broker.lines(mark).into_iter().find(|line| line.holds("gave no answer"));
        if let Some(line) = said {
            assert!(line.holds(why), "{id}: {}", line.text());
        }
    }
    assert!(web.asked().iter().all(|asked| asked.path == "/login"), "no redirect was followed");
    let (_, answer) = Client::connect(broker.addr(), &Connect::new(Version::V5, "good"));
    assert_eq!(answer.code, 0, "one that failed does not keep others out");
    never.open();
}

#[test]
fn where_the_operator_says_so_a_service_that_is_down_leaves_the_answer_to_the_next_plugin() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = LISTENER.replace("[\"http-auth\"]", "[\"http-auth\", \"hostile\"]");
    let keys = format!(
        "on_failure = \"open\"\ngrants = {{ http = [\"http://{gone}\"] }}\n[plugin.config]\nurl = \"http://{gone}/\""
    );
    let plugins = [plugin("http-auth", "http_auth", &keys), plugin("hostile", "hostile", "")];
    let broker = Broker::start(&format!("{listener}{}", plugins.concat()));
    let mark = broker.mark();
    assert_eq!(Client::connect(broker.addr(), &Connect::new(Version::V5, "c")).1.code, 0);
    assert!(broker.wait_for(mark, "gave no answer").holds("nobody listens there"));
}

#[test]
fn a_decision_to_ignore_hands_the_question_on_and_a_time_that_is_over_is_a_no() {
    let web = Web::serve(|asked| match asked.text().contains("\"late\"") {
        true => Reply::json(r#"{"decision": "allow", "expiration": 1}"#),
        false => Reply::json(r#"{"decision": "ignore"}"#),
    });
    let listener = LISTENER.replace("[\"http-auth\"]\n", "[\"http-auth\"]\nanonymous = true\n");
    let url = web.url();
    let keys = format!("grants = {{ http = [\"{url}\"] }}\n[plugin.config]\nurl = \"{url}/\"");
    let broker = Broker::start(&format!("{listener}{}", plugin("http-auth", "http_auth", &keys)));
    assert_eq!(Client::connect(broker.addr(), &Connect::new(Version::V5, "c")).1.code, 0);
    let mark = broker.mark();
    assert_eq!(Client::connect(broker.addr(), &Connect::new(Version::V5, "late")).1.code, 0x87);
    assert!(broker.wait_for(mark, "client refused").holds("has expired"));
}

#[test]
fn an_authentication_method_is_asked_about_with_its_data() {
    let web = Web::serve(|asked| {
        let shown = r#""authenticationMethod":"CUSTOM","authenticationData":"dG9rZW4=""#;
        match asked.text().contains(shown) {
            true => Reply::json(r#"{"decision": "allow"}"#),
            false => Reply::json(r#"{"decision": "deny"}"#),
        }
    });
    let broker = broker(&web, "", "methods = [\"CUSTOM\"]");
    for (data, code) in [(&b"token"[..], 0), (&b"other"[..], 0x87)] {
        let mut connect = Connect::new(Version::V5, "c");
        connect.properties.authentication_method = Some("CUSTOM");
        connect.properties.authentication_data = Some(data);
        assert_eq!(Client::connect(broker.addr(), &connect).1.code, code);
    }
}
