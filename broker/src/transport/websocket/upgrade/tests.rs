//! Requests as clients, browsers, proxies and scanners send them.

use super::*;

const KEY: &str = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";

fn policy() -> Policy {
    Policy {
        path: "/mqtt".into(),
        origins: Vec::new(),
        trusted: vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()],
        max_message: 1000,
    }
}

fn request(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\n{KEY}{more}\r\n")
}

fn from(peer: &str, request: &str) -> Answer {
    answer(request.as_bytes(), &policy(), peer.parse().ok()).expect("an answer")
}

fn text(answer: &Answer) -> &str {
    match answer {
        Answer::Upgrade { response, .. } | Answer::Refuse { response, .. } => {
            std::str::from_utf8(response).unwrap()
        }
    }
}

/// The status of an answer, which must be a refusal.
fn refused(request: &str) -> u16 {
    let answer = from("192.0.2.1", request);
    assert!(matches!(answer, Answer::Refuse { .. }), "{answer:?}");
    text(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_answer_proves_that_the_request_was_read_and_names_the_subprotocol() {
    let answer = from("192.0.2.1", &request("/mqtt", MQTT));
    let response = text(&answer).to_ascii_lowercase();
    assert!(response.starts_with("http/1.1 101 switching protocols\r\n"), "{response}");
    assert!(response.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"));
    assert!(response.contains("sec-websocket-protocol: mqtt\r\n"));
    assert!(response.ends_with("\r\n\r\n"));
}

#[test]
fn mqtt_is_chosen_before_mqttv3_1_and_both_before_what_nobody_knows() {
    for (offered, chosen) in [
        ("mqtt", "mqtt"),
        ("mqttv3.1", "mqttv3.1"),
        ("mqttv3.1, mqtt", "mqtt"),
        ("chat , mqttv3.1", "mqttv3.1"),
        ("chat\r\nSec-WebSocket-Protocol: mqtt", "mqtt"),
    ] {
        let offer = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let answer = from("192.0.2.1", &request("/mqtt", &offer));
        let expected = format!("sec-websocket-protocol: {chosen}\r\n");
        assert!(text(&answer).contains(&expected), "{offered}: {answer:?}");
    }
    for offered in ["", "Sec-WebSocket-Protocol: chat, MQTT, mqttv5\r\n"] {
        assert_eq!(refused(&request("/mqtt", offered)), 400, "{offered}");
    }
}

#[test]
fn only_the_path_counts_and_not_the_query() {
    assert_eq!(refused(&request("/", MQTT)), 404);
    assert_eq!(refused(&request("/mqtt/", MQTT)), 404);
    let answer = from("192.0.2.1", &request("/mqtt?token=1", MQTT));
    assert!(matches!(answer, Answer::Upgrade { .. }), "{answer:?}");
}

#[test]
fn a_request_that_is_no_upgrade_is_told_what_to_do() {
    let plain = "GET /mqtt HTTP/1.1\r\nHost: here\r\n\r\n";
    assert_eq!(refused(plain), 426);
    assert!(text(&from("192.0.2.1", plain)).contains("upgrade: websocket\r\n"));
    assert_eq!(refused(&request("/mqtt", MQTT).replace(": 13", ": 8")), 426);
    assert_eq!(refused(&request("/mqtt", MQTT).replace("dGhl", "")), 400);
    assert_eq!(refused(&request("/mqtt", MQTT).replace("GET", "POST")), 400);
    assert_eq!(refused("\x16\x03\x01\x02\r\n\r\n"), 400);
    assert_eq!(refused(&request("/mqtt", MQTT).replace("HTTP/1.1", "HTTP/1.0")), 400);
}

#[test]
fn frames_before_the_answer_are_refused() {
    assert_eq!(refused(&format!("{}x", request("/mqtt", MQTT))), 400);
}

#[test]
fn a_request_is_read_until_it_is_whole_and_no_further_than_its_bound() {
    let whole = request("/mqtt", MQTT);
    let peer = "192.0.2.1".parse().ok();
    for len in 0..whole.len() {
        assert_eq!(answer(&whole.as_bytes()[..len], &policy(), peer), None, "{len}");
    }
    let padded = |len: usize| {
        let base = request("/mqtt", &format!("{MQTT}X: \r\n")).len();
        request("/mqtt", &format!("{MQTT}X: {}\r\n", "x".repeat(len - base)))
    };
    let answer = from("192.0.2.1", &padded(MAX_REQUEST));
    assert!(matches!(answer, Answer::Upgrade { .. }), "{answer:?}");
    assert_eq!(refused(&padded(MAX_REQUEST + 1)), 431);
    assert_eq!(refused(&padded(MAX_REQUEST + 9)[..MAX_REQUEST]), 431);
    let many = "X: y\r\n".repeat(200);
    assert_eq!(refused(&request("/mqtt", &many)), 400);
}

#[test]
fn pages_of_other_origins_are_refused_and_programs_are_not() {
    let policy = Policy { origins: vec!["https://app.example.org".into()], ..policy() };
    let ask = |origin: &str| {
        let request = request("/mqtt", &format!("{MQTT}{origin}"));
        answer(request.as_bytes(), &policy, "192.0.2.1".parse().ok()).unwrap()
    };
    for good in ["", "Origin: https://app.example.org\r\n", "Origin: HTTPS://APP.example.org\r\n"] {
        assert!(matches!(ask(good), Answer::Upgrade { .. }), "{good}");
    }
    for bad in [
        "Origin: https://app.example.org.evil\r\n",
        "Origin: http://app.example.org\r\n",
        "Origin: null\r\n",
        "Origin: https://app.example.org\r\nOrigin: https://evil\r\n",
    ] {
        let answer = ask(bad);
        assert!(text(&answer).starts_with("HTTP/1.1 403 "), "{bad}: {answer:?}");
    }
}

#[test]
fn only_trusted_proxies_say_whom_they_speak_for() {
    let told = |peer: &str, forwarded: &str| match from(
        peer,
        &request("/mqtt", &format!("{MQTT}{forwarded}")),
    ) {
        Answer::Upgrade { forwarded, .. } => forwarded.map(|address| address.to_string()),
        refused => panic!("{refused:?}"),
    };
    let one = "X-Forwarded-For: 198.51.100.7\r\n";
    assert_eq!(told("192.0.2.1", one), None);
    assert_eq!(told("10.1.2.3", one).as_deref(), Some("198.51.100.7:0"));
    assert_eq!(told("::1", one).as_deref(), Some("198.51.100.7:0"));
    assert_eq!(told("10.1.2.3", ""), None);
    for (line, client) in [
        ("1.1.1.1, 198.51.100.7, 10.9.9.9", "198.51.100.7:0"),
        ("1.1.1.1\r\nX-Forwarded-For: 198.51.100.7:55555,10.9.9.9", "198.51.100.7:55555"),
        ("10.0.0.1, 10.0.0.2", "10.0.0.1:0"),
        ("[2001:db8::1]:7, 10.0.0.2", "[2001:db8::1]:7"),
        ("[2001:db8::1]", "[2001:db8::1]:0"),
        ("2001:db8::1", "[2001:db8::1]:0"),
        ("198.51.100.7, nonsense, 10.0.0.2", "10.0.0.2:0"),
    ] {
        let found = told("10.1.2.3", &format!("X-Forwarded-For: {line}\r\n"));
        assert_eq!(found.as_deref(), Some(client), "{line}");
    }
    assert_eq!(told("10.1.2.3", "X-Forwarded-For: unknown\r\n"), None);
}
