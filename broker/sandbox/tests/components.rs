//! The plugin host with real components in it: those we ship, and those that were made to do harm.
//! `cargo xtask plugins` builds them.

#![allow(clippy::unwrap_used, clippy::panic)] // The functions around the tests belong to them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmqtt_codec::{MessagePropertiesBuf, QoS, ReasonCode, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{
    Action, Connecting, Decision, Identity, Judge, Permissions, Request, Screened, Transformed,
};
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::time::Moment;
use wasmqtt_sandbox::{
    ChainSpec, Generation, Grants, HttpClient, HttpPort, HttpRequest, HttpResponse, LoadCause,
    LoadError, OnFailure, Options, PluginSpec, Sandbox, WorkerJudge,
};

const NOW: Moment = Moment(1_000);
/// Argon2id of [`SECRET`], cheap.
const ALICE: &str = "$argon2id$v=19$m=1024,t=2,p=1$P5VXkhafPuwlYzTaG5Pe0g$\
    u98hMP+t0jnNh8petthnp2xi4iWsxjxE054i6rgOPs0";
const SECRET: &str = "wonderland";
const FAILED: ReasonCode = ReasonCode::ImplementationSpecificError;

/// A component that `cargo xtask plugins` built.
fn built(variable: &str, directory: &str, name: &str) -> PathBuf {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let directory =
        std::env::var_os(variable).map_or_else(|| workspace.join(directory), PathBuf::from);
    let path = directory.join(format!("{name}.wasm"));
    assert!(path.exists(), "{} is missing; run cargo xtask plugins", path.display());
    path
}

fn plugin(name: &str, config: &str) -> PluginSpec {
    let path = built("WASMQTT_PLUGINS", "plugins", name);
    PluginSpec { name: name.into(), path, config: config.into(), ..PluginSpec::default() }
}

fn guest(name: &str, config: &str) -> PluginSpec {
    let path = built("WASMQTT_GUESTS", "guests", name);
    PluginSpec { name: name.into(), path, config: config.into(), ..PluginSpec::default() }
}

/// Compiled code is kept between runs: one plugin brings a JavaScript engine along.
fn sandbox() -> Sandbox {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Sandbox::new(Options { workers: 1, cache_dir: Some(cache), ..Options::default() }).unwrap()
}

fn prepare(sandbox: &Sandbox, spec: &PluginSpec, chain: &str) -> Result<Generation, LoadError> {
    let names = |wanted: &str| {
        if chain.contains(wanted) { vec![spec.name.clone()] } else { Vec::new() }
    };
    let chain = ChainSpec {
        name: "mqtt".into(),
        authenticate: names("authenticate"),
        authorize: names("authorize"),
        transform: names("transform"),
        ..ChainSpec::default()
    };
    sandbox.prepare(std::slice::from_ref(spec), &[chain]).map_err(|mut errors| errors.remove(0))
}

struct Bench {
    sandbox: Sandbox,
    judge: WorkerJudge,
    client: Arc<Client>,
}

impl Bench {
    fn new(spec: &PluginSpec, chain: &str) -> Self {
        let sandbox = sandbox();
        let generation = prepare(&sandbox, spec, chain).unwrap_or_else(|error| panic!("{error}"));
        sandbox.swap(generation);
        let judge = sandbox.judge(0);
        Self { sandbox, judge, client: client() }
    }

    fn hostile(on: &str, deed: &str, on_failure: OnFailure) -> Self {
        let config = format!(r#"{{"on": "{on}", "do": "{deed}", "when": "bad"}}"#);
        let spec = PluginSpec { on_failure, ..guest("hostile", &config) };
        Self::new(&spec, "authenticate authorize transform")
    }

    fn authorize(&mut self, action: Action, topic: &str) -> Result<(), ReasonCode> {
        let qos = QoS::AtLeastOnce;
        let request = Request { action, topic, share: None, qos, retain: false };
        match self.judge.authorize(NOW, &self.client, &request) {
            Decision::Allow => Ok(()),
            Decision::Deny(refusal) => Err(refusal.code),
            Decision::AllowUpTo(qos) => panic!("up to {qos:?}"),
        }
    }

    fn publish(&mut self, topic: &str) -> Result<(), ReasonCode> {
        self.authorize(Action::Publish, topic)
    }

    fn transform(&mut self, message: Message) -> Result<Message, ReasonCode> {
        match self.judge.transform(NOW, &self.client, message) {
            Transformed::Forward(message) => Ok(message),
            Transformed::Discard => Err(ReasonCode::Success),
            Transformed::Reject(refusal) => Err(refusal.code),
        }
    }

    fn authenticate(&self, id: &str, name: &str, word: &str) -> Result<Identity, ReasonCode> {
        let connecting = Connecting {
            client_id: id.into(),
            username: Some(name.into()),
            password: Some(word.into()),
            listener: ListenerId(0),
            version: Version::V5,
            transport: Transport::Tcp,
            peer: "192.0.2.1:51000".into(),
            clean_start: true,
            keep_alive: 60,
            will_topic: None,
            user_properties: Vec::new(),
            certificate: None,
            is_certified: false,
        };
        self.sandbox.gate().authenticate(&connecting).map_err(|refusal| refusal.code)
    }
}

fn client() -> Arc<Client> {
    Arc::new(Client {
        key: 1,
        id: "client".into(),
        name: Some("alice".into()),
        listener: ListenerId(0),
        version: Version::V5,
        transport: Transport::Tcp,
        peer: "192.0.2.1:51000".into(),
        attributes: [].into(),
        permissions: Permissions::default(),
        message_expiry_max: 0,
        check_retained_source: false,
    })
}

fn message(topic: &str, payload: &str) -> Message {
    let mut properties = MessagePropertiesBuf::default();
    properties.add_user_property("region", "eu").unwrap();
    let parts = Parts {
        topic,
        properties: properties.as_view(),
        payload: payload.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: false,
        origin: Origin::Client,
        expires_at: None,
    };
    Message::new(parts, Some(client()))
}

#[test]
fn the_topic_acl_answers_by_its_rules() {
    let rules = r#"{"rules": [
        {"effect": "deny", "filter": "secret/#"},
        {"effect": "allow", "filter": "devices/${username}/#"}
    ]}"#;
    let mut bench = Bench::new(&plugin("topic_acl", rules), "authorize");
    assert_eq!(bench.publish("devices/alice/x"), Ok(()));
    assert_eq!(bench.publish("devices/bob/x"), Err(ReasonCode::NotAuthorized));
    assert_eq!(bench.authorize(Action::Subscribe, "devices/alice/#"), Ok(()));
    assert_eq!(bench.authorize(Action::Subscribe, "#"), Err(ReasonCode::NotAuthorized));
}

#[test]
fn the_property_router_moves_messages_within_its_grant_alone() {
    let config = r#"{"property": "region", "topic": "routed/${value}/${topic}"}"#;
    let mut spec = plugin("property_router", config);
    spec.grants.topics = vec!["routed/#".into()];
    let mut bench = Bench::new(&spec, "transform");
    let moved = bench.transform(message("a/b", "21.5")).unwrap();
    assert_eq!((moved.topic(), moved.payload()), ("routed/eu/a/b", &b"21.5"[..]));
    spec.grants.topics = vec!["elsewhere/#".into()];
    let mut bench = Bench::new(&spec, "transform");
    assert_eq!(bench.transform(message("a/b", "21.5")).unwrap_err(), ReasonCode::NotAuthorized);
}

#[test]
fn a_plugin_in_javascript_changes_payloads() {
    let mut spec = plugin("redact", r#"{"fields": ["password"]}"#);
    spec.limits.memory = 64 << 20;
    spec.limits.call = Duration::from_secs(1);
    let mut bench = Bench::new(&spec, "transform");
    let redacted = bench.transform(message("a", r#"{"user":"a","password":"b"}"#)).unwrap();
    assert_eq!(redacted.payload(), br#"{"user":"a"}"#);
    assert_eq!(bench.transform(message("a", "{")).unwrap_err(), ReasonCode::PayloadFormatInvalid);
}

#[test]
fn a_password_file_that_makes_no_sense_is_refused_in_its_own_words() {
    let error = prepare(&sandbox(), &plugin("password_file", r#"{"users": {}}"#), "authenticate");
    let error = error.unwrap_err();
    assert!(matches!(error.cause(), LoadCause::Init(text) if text.contains("users")), "{error}");
}

#[test]
fn a_password_is_checked_within_the_time_for_authentications() {
    let config = format!(r#"{{"users": {{"alice": "{ALICE}"}}}}"#);
    let bench = Bench::new(&plugin("password_file", &config), "authenticate");
    assert_eq!(bench.authenticate("c", "alice", SECRET).unwrap().name.as_deref(), Some("alice"));
    for (name, word) in [("alice", "wrong"), ("mallory", SECRET)] {
        let refused = bench.authenticate("c", name, word).unwrap_err();
        assert_eq!(refused, ReasonCode::BadUserNameOrPassword, "{name}");
    }
}

#[test]
fn a_component_without_lifecycle_and_one_that_asks_for_too_much_are_refused() {
    let error = prepare(&sandbox(), &guest("bare", "{}"), "").unwrap_err();
    assert!(matches!(error.cause(), LoadCause::NoLifecycle), "{error}");
    let error = prepare(&sandbox(), &guest("greedy", "{}"), "transform").unwrap_err();
    assert!(
        matches!(error.cause(), LoadCause::Import { import, .. }
            if import == "wasmqtt:plugin/sockets@0.1.0"),
        "{error}"
    );
}

#[test]
fn whatever_init_does_the_load_ends_and_is_refused() {
    for deed in ["trap", "loop", "allocate", "recurse", "fail"] {
        let config = format!(r#"{{"on": "init", "do": "{deed}"}}"#);
        let error = prepare(&sandbox(), &guest("hostile", &config), "authorize").unwrap_err();
        assert!(
            matches!(
                error.cause(),
                LoadCause::Start(_) | LoadCause::SlowStart(_) | LoadCause::Init(_)
            ),
            "{deed}: {error}"
        );
    }
    for deed in ["garbage-registration", "huge-registration"] {
        let config = format!(r#"{{"on": "init", "do": "{deed}"}}"#);
        let error = prepare(&sandbox(), &guest("hostile", &config), "authorize").unwrap_err();
        assert!(matches!(error.cause(), LoadCause::Registration(_)), "{deed}: {error}");
    }
}

#[test]
fn an_error_of_init_is_cut_to_what_can_be_read() {
    let config = r#"{"on": "init", "do": "long-error"}"#;
    let error = prepare(&sandbox(), &guest("hostile", config), "authorize").unwrap_err();
    assert!(error.to_string().len() < 5_000);
}

#[test]
fn a_trap_carries_the_words_of_the_panic() {
    let config = r#"{"on": "init", "do": "trap"}"#;
    let error = prepare(&sandbox(), &guest("hostile", config), "authorize").unwrap_err();
    assert!(error.to_string().contains("hostile: told to trap"), "{error}");
}

#[test]
fn a_hostile_authorizer_costs_its_own_answers_and_no_more() {
    let deeds = ["trap", "loop", "allocate", "recurse", "host-call-flood", "log-flood", "fail"];
    for deed in deeds.into_iter().chain(["fail-forever", "refuse-with-success"]) {
        let mut bench = Bench::hostile("authorize", deed, OnFailure::Closed);
        assert_eq!(bench.publish("bad/x"), Err(FAILED), "{deed}");
        assert_eq!(bench.publish("good/x"), Ok(()), "{deed}");
    }
}

#[test]
fn a_hostile_authenticator_refuses_with_server_unavailable() {
    for deed in ["trap", "loop", "allocate", "recurse", "fail", "refuse-with-success"] {
        let bench = Bench::hostile("authenticate", deed, OnFailure::Closed);
        let refused = bench.authenticate("bad", "alice", "x").unwrap_err();
        assert_eq!(refused, ReasonCode::ServerUnavailable, "{deed}");
        assert!(bench.authenticate("good", "alice", "x").is_ok(), "{deed}");
    }
}

#[test]
fn a_hostile_transformer_changes_nothing() {
    let lost = ["trap", "loop", "allocate", "recurse", "set-then-trap", "host-call-flood"];
    for deed in lost.into_iter().chain(["fail", "invalid-topic", "huge-properties"]) {
        let mut bench = Bench::hostile("publish", deed, OnFailure::Closed);
        assert_eq!(bench.transform(message("bad", "1")).unwrap_err(), FAILED, "{deed}");
        assert!(bench.transform(message("good", "1")).is_ok(), "{deed}");
        let mut bench = Bench::hostile("publish", deed, OnFailure::Open);
        let same = bench.transform(message("bad", "1")).unwrap();
        assert_eq!((same.topic(), same.size(), same.retain()), ("bad", 17, false), "{deed}");
        assert_eq!(same.payload(), b"1", "{deed}");
        assert_eq!(same.properties().user_properties().get("hostile"), None, "{deed}");
    }
    for on_failure in [OnFailure::Closed, OnFailure::Open] {
        for deed in ["foreign-topic", "set-then-reject"] {
            let mut bench = Bench::hostile("publish", deed, on_failure);
            let refused = bench.transform(message("bad", "1")).unwrap_err();
            assert_eq!(refused, ReasonCode::NotAuthorized, "{deed}");
        }
    }
}

#[test]
fn a_payload_that_a_transformer_makes_is_bounded_by_its_memory() {
    let mut bench = Bench::hostile("publish", "huge-payload", OnFailure::Closed);
    let memory = guest("hostile", "{}").limits.memory as usize;
    match bench.transform(message("bad", "1")) {
        Ok(message) => assert!((1..memory).contains(&message.payload().len())),
        // It was not quick enough for its deadline.
        Err(code) => assert_eq!(code, FAILED),
    }
    assert!(bench.transform(message("good", "1")).is_ok());
}

#[test]
fn a_hostile_transformer_skips_one_delivery() {
    for deed in ["trap", "loop", "foreign-topic", "discard", "reject", "fail"] {
        let mut bench = Bench::hostile("deliver", deed, OnFailure::Closed);
        let (bad, good) = (Arc::new(message("bad", "1")), Arc::new(message("good", "1")));
        let client = Arc::clone(&bench.client);
        assert!(matches!(bench.judge.screen(NOW, &client, &bad), Screened::Skip), "{deed}");
        assert!(matches!(bench.judge.screen(NOW, &client, &good), Screened::Deliver), "{deed}");
    }
}

#[test]
fn a_reload_is_one_cut_and_what_is_refused_changes_nothing() {
    let tagger = |tag: &str| guest("tagger", &format!(r#"{{"tag": "{tag}"}}"#));
    let mut bench = Bench::new(&tagger("1"), "transform");
    let tag = |bench: &mut Bench| {
        let tagged = bench.transform(message("a", "1")).unwrap();
        tagged.properties().user_properties().get("generation").unwrap().to_owned()
    };
    assert_eq!(tag(&mut bench), "1");
    let next = prepare(&bench.sandbox, &tagger("2"), "transform").unwrap();
    bench.sandbox.swap(next);
    assert_eq!(tag(&mut bench), "1", "within one packet nothing changes");
    bench.judge.begin();
    assert_eq!(tag(&mut bench), "2");
    let mut wrong = tagger("3");
    wrong.config = r#"{"tags": "3"}"#.into();
    assert!(prepare(&bench.sandbox, &wrong, "transform").is_err());
    bench.judge.begin();
    assert_eq!(tag(&mut bench), "2");
}

/// A web service that says yes to everything.
struct Agreeing;

impl HttpClient for Agreeing {
    fn send(&self, _: &HttpRequest) -> Result<HttpResponse, String> {
        Ok(HttpResponse { status: 200, ..HttpResponse::default() })
    }
}

#[test]
fn an_answer_that_is_forgotten_after_it_was_found_counts_for_the_packet_it_was_found_for() {
    let cache = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let http = HttpPort::new(Agreeing);
    let options = Options { workers: 1, cache_dir: Some(cache), http, ..Options::default() };
    let (sandbox, client) = (Sandbox::new(options).unwrap(), client());
    let config = r#"{"url": "http://h/x", "authorize": ["publish"], "reuse_ms": 600000}"#;
    let grants = Grants { http: vec!["http://h/".into()], ..Grants::default() };
    let spec = PluginSpec { grants, ..guest("caller", config) };
    sandbox.swap(prepare(&sandbox, &spec, "authorize").unwrap_or_else(|error| panic!("{error}")));
    let (mut worker, elsewhere) = (sandbox.judge(0), sandbox.patient_judges());
    fn publish(topic: &str) -> Request<'_> {
        let (action, qos) = (Action::Publish, QoS::AtLeastOnce);
        Request { action, topic, share: None, qos, retain: false }
    }
    let ask = |topic: &str| elsewhere().authorize(NOW, &client, &publish(topic));
    assert_eq!(ask("kept"), Decision::Allow);
    worker.begin();
    assert!(!worker.waits_to_authorize(NOW, &client, &publish("kept")));
    // As many as are remembered of one client.
    for number in 0..1024 {
        assert_eq!(ask(&number.to_string()), Decision::Allow);
    }
    assert_eq!(worker.authorize(NOW, &client, &publish("kept")), Decision::Allow);
    worker.begin();
    assert!(worker.waits_to_authorize(NOW, &client, &publish("kept")), "it was forgotten");
}
