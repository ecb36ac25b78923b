//! What the web service is told, and what is made of what it says.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};
use wasmqtt_plugin::http::Response;
use wasmqtt_plugin::{
    Actions, Authentication, Certificate, Connect, EnhancedAuthentication, Failure, Identity,
    Outcome, Permission, Qos, Refusal, Step, UserProperty, test,
};

use super::HttpAuth;

const URL: &str = r#"{"url": "https://auth.example/mqtt"}"#;

fn plugin(config: &str) -> HttpAuth {
    test::init::<HttpAuth>(config).unwrap().0
}

/// What a service that answers like this makes of a client.
fn answered(status: u16, body: &str) -> Result<Outcome, Failure> {
    let body = body.to_owned();
    test::set_http(move |_| Ok(Response::new(status).with_body(&*body)));
    plugin(URL).authenticate(&Connect::new("c"))
}

fn accepted(body: &str) -> Identity {
    match answered(200, body) {
        Ok(Outcome::Accept(identity)) => identity,
        other => panic!("{body}: {other:?}"),
    }
}

/// What the service is told.
fn told(
    connect: &Connect,
    enhanced: Option<(&str, &[u8])>,
    config: &str,
) -> (Value, Vec<(String, String)>) {
    let seen = Rc::new(RefCell::new(None));
    let see = Rc::clone(&seen);
    test::set_http(move |request| {
        assert_eq!((&*request.method, &*request.url), ("POST", "https://auth.example/mqtt"));
        let body = serde_json::from_slice(&request.body).unwrap();
        see.replace(Some((body, request.headers.clone())));
        Ok(Response::new(200).with_body(r#"{"decision": "allow"}"#))
    });
    let mut plugin = plugin(config);
    match enhanced {
        None => assert!(matches!(plugin.authenticate(connect), Ok(Outcome::Accept(_)))),
        Some((method, data)) => {
            assert!(matches!(plugin.begin(connect, method, data), Ok(Step::Accept(_))));
        }
    }
    seen.take().unwrap()
}

#[test]
fn the_service_is_told_what_the_client_showed() {
    let mut connect = Connect::new("c1").with_password("alice", [0xff, 0]);
    connect.user_properties = vec![UserProperty { name: "a".into(), value: "b".into() }];
    connect.certificate = Some(Certificate {
        common_name: Some("c1".into()),
        subject: "CN=c1".into(),
        dns_names: vec!["c1.example".into()],
        uris: vec![],
        emails: vec![],
        sha256: vec![0xab, 1],
    });
    let config =
        r#"{"url": "https://auth.example/mqtt", "headers": {"Authorization": "Bearer x\n"}}"#;
    let (body, headers) = told(&connect, None, config);
    assert_eq!(
        body,
        json!({
            "clientId": "c1", "userName": "alice", "password": "/wA=",
            "clientCertificateFields": {
                "commonName": "c1", "subject": "CN=c1", "dnsNames": ["c1.example"], "uris": [],
                "emails": [], "sha256": "ab01",
            },
            "userProperties": [{ "name": "a", "value": "b" }],
        })
    );
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected =
        [header("Content-Type", "application/json"), header("Authorization", "Bearer x")];
    assert_eq!(headers, expected);

    let config = r#"{"url": "https://auth.example/mqtt", "methods": ["CUSTOM"]}"#;
    let (body, _) = told(&Connect::new("c2"), Some(("CUSTOM", b"token")), config);
    let expected = json!({
        "clientId": "c2", "authenticationMethod": "CUSTOM", "authenticationData": "dG9rZW4=",
        "userProperties": [],
    });
    assert_eq!(body, expected);
}

#[test]
fn a_yes_brings_a_name_attributes_permissions_and_an_end() {
    test::set_clock(std::time::Duration::from_secs(1_000));
    assert_eq!(accepted(r#"{"decision": "allow"}"#), Identity::new());
    let identity = accepted(
        r#"{"decision": "allow", "clientAuthenticationName": "device-1", "expiration": 1060,
            "attributes": {"floor": 7, "site": "north", "tags": ["a", "b"], "none": null},
            "permissions": [
              {"effect": "allow", "filter": "d/${client_id}/#", "actions": ["publish", "subscribe"], "maxQos": 1},
              {"effect": "deny", "filter": "\u0023", "actions": ["receive"], "retain": true}],
            "userProperties": [{"name": "hello", "value": "there"}], "whatever": {}}"#,
    );
    let expected = Identity::named("device-1")
        .attribute("floor", "7")
        .attribute("site", "north")
        .attribute("tags", r#"["a","b"]"#)
        .permission(
            Permission::allow("d/${client_id}/#", Actions::PUBLISH | Actions::SUBSCRIBE)
                .max_qos(Qos::AtLeastOnce),
        )
        .permission(Permission::deny("#", Actions::RECEIVE).retain(true))
        .connack_property("hello", "there")
        .expires_in(std::time::Duration::from_secs(60));
    assert_eq!(identity, expected);
    let text = accepted(r#"{"decision": "allow", "expiration": "1060"}"#);
    assert_eq!(text.expires_in, Some(60));
}

#[test]
fn a_no_is_a_no_with_either_status_and_what_has_expired_is_one() {
    test::set_clock(std::time::Duration::from_secs(1_000));
    let refused = |reason: &str| Ok(Outcome::refuse(Refusal::not_authorized().reason(reason)));
    for status in [200, 400] {
        assert_eq!(
            answered(status, r#"{"decision": "deny", "errorReason": "who?"}"#),
            refused("who?")
        );
        let bare = Ok(Outcome::refuse(Refusal::not_authorized()));
        assert_eq!(answered(status, r#"{"decision": "deny"}"#), bare);
    }
    let expired = r#"{"decision": "allow", "expiration": 1000}"#;
    assert_eq!(answered(200, expired), refused("what it shows has expired"));
    assert_eq!(answered(200, r#"{"decision": "ignore"}"#), Ok(Outcome::Abstain));
}

#[test]
fn what_is_neither_yes_nor_no_is_a_failure() {
    for (status, body, why) in [
        (500, r#"{"decision": "allow"}"#, "status 500"),
        (204, "", "status 204"),
        (302, "", "status 302"),
        (401, r#"{"decision": "deny"}"#, "status 401"),
        (400, r#"{"decision": "allow"}"#, "status 400, but allows"),
        (200, "<html>", "not as it should: expected value at line 1 column 1, in \"<html>\""),
        (200, "{}", "missing field `decision`"),
        (200, r#"{"decision": "maybe"}"#, "unknown variant `maybe`"),
        (200, r#"{"decision": "allow", "expiration": "soon"}"#, "expiration is no time"),
        (200, r#"{"decision": "allow", "expiration": -1}"#, "expiration is no time"),
        (200, r#"{"decision": "allow", "clientAuthenticationName": ""}"#, "is empty"),
        (
            200,
            r#"{"decision": "allow", "permissions": [{"effect": "allow", "filter": "a", "actions": []}]}"#,
            "no actions",
        ),
        (
            200,
            r#"{"decision": "allow", "permissions":
                [{"effect": "allow", "filter": "a", "actions": ["publish"], "maxQos": 3}]}"#,
            "maxQos 3",
        ),
        (
            200,
            r#"{"decision": "allow", "permissions":
                [{"effect": "allow", "filter": "a", "actions": ["publish"], "max_qos": 1}]}"#,
            "unknown field `max_qos`",
        ),
    ] {
        match answered(status, body) {
            Err(Failure::Transient(text)) => assert!(text.contains(why), "{body}: {text}"),
            other => panic!("{body}: {other:?}"),
        }
    }
    let many = vec![json!({ "effect": "allow", "filter": "a", "actions": ["publish"] }); 257];
    let body = json!({ "decision": "allow", "permissions": many }).to_string();
    assert!(matches!(answered(200, &body), Err(Failure::Transient(text)) if text.contains("256")));
    test::set_http(|_| Err("connection refused".to_owned()));
    let failed = plugin(URL).authenticate(&Connect::new("c"));
    assert_eq!(failed, Err(Failure::transient("connection refused")));
}

#[test]
fn a_configuration_that_could_not_work_is_refused() {
    for (config, why) in [
        ("{}", "url"),
        (r#"{"url": "auth.example"}"#, "must begin with http"),
        (r#"{"url": "https://a", "password": false}"#, "methods: name one"),
        (r#"{"url": "https://a", "timeout_ms": 0}"#, "timeout_ms"),
        (r#"{"url": "https://a", "method": "GET"}"#, "unknown field `method`"),
    ] {
        let error = test::init::<HttpAuth>(config).err().unwrap();
        assert!(error.contains(why), "{config}: {error}");
    }
    let mut quiet = plugin(r#"{"url": "https://a", "password": false, "methods": ["M"]}"#);
    assert_eq!(quiet.authenticate(&Connect::new("c")), Ok(Outcome::Abstain));
    assert_eq!(quiet.methods(), ["M"]);
}
