//! What a question to a plugin costs, in nanoseconds: `cargo xtask plugins`, then
//! `cargo run --release -p wasmqtt-sandbox --example cost [DIRECTORY WITH PLUGINS]`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{
    Action, Actions, Decision, Effect, Judge, Permission, Permissions, Request, Transformed, decide,
};
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::time::Moment;
use wasmqtt_sandbox::{ChainSpec, Grants, Options, PluginSpec, Sandbox, WorkerJudge};

const ROUNDS: usize = 7;
const CALLS: u32 = 200_000;
const NOW: Moment = Moment(1_000);

/// The second rule allows what is asked.
const RULES: &str = r#""rules": [
    {"effect": "deny", "filter": "secret/#"},
    {"effect": "allow", "filter": "devices/${username}/#"}
]"#;

fn main() -> Result<(), Box<dyn Error>> {
    let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins");
    let directory = std::env::args().nth(1).unwrap_or_else(|| target.to_owned());
    let mut judge = judge(Path::new(&directory))?;
    let (plain, acl, router) = (client(0), client(1), client(2));
    let (reused, selected, native) = (client(3), client(4), permitted(1));
    let wanted = message("sensors/1/temperature", true)?;
    let unwanted = message("sensors/1/temperature", false)?;

    println!(
        "{:>8} {:>8}  nanoseconds per call: median of {ROUNDS} rounds, best",
        "median", "best"
    );
    report("begin, nothing replaced", || {
        judge.begin();
        0
    });
    report("transforms, empty chain", || u64::from(judge.transforms(ListenerId(0), &wanted)));
    report("authorize, empty chain", || ask(&mut judge, &plain));
    report("authorize, native permission, the second of two", || ask(&mut judge, &native));
    report("authorize, topic-acl, remembered", || ask(&mut judge, &reused));
    report("authorize, topic-acl, asked", || ask(&mut judge, &acl));
    report("copy of a message, to be subtracted below", || wanted.clone().size() as u64);
    report("transform, empty chain", || transform(&mut judge, &plain, &wanted));
    report("on-publish, selector with a user property, not wanted", || {
        transform(&mut judge, &router, &unwanted)
    });
    report("on-publish, selector with a filter, not wanted", || {
        transform(&mut judge, &selected, &unwanted)
    });
    let (mut all, mut next) = (Vec::new(), 0);
    for number in 0..1000 {
        all.push(message(&format!("sensors/{number}/temperature"), false)?);
    }
    report("the same with 1000 topics in turn", || {
        next = (next + 1) % all.len();
        all.get(next).map_or(0, |message| transform(&mut judge, &selected, message))
    });
    report("copy of these, to be subtracted", || {
        next = (next + 1) % all.len();
        all.get(next).map_or(0, |message| message.clone().size() as u64)
    });
    report("on-publish, property-router, moved", || transform(&mut judge, &router, &wanted));
    Ok(())
}

fn report(what: &str, mut call: impl FnMut() -> u64) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begin = Instant::now();
            let mut sum = 0u64;
            for _ in 0..CALLS {
                sum = sum.wrapping_add(std::hint::black_box(call()));
            }
            std::hint::black_box(sum);
            begin.elapsed().as_nanos() as f64 / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let at = |place: usize| rounds.get(place).copied().unwrap_or_default();
    println!("{:8.1} {:8.1}  {what}", at(ROUNDS / 2), at(0));
}

fn ask(judge: &mut WorkerJudge, client: &Arc<Client>) -> u64 {
    let request = Request {
        action: Action::Publish,
        topic: "devices/alice/temperature",
        share: None,
        qos: QoS::AtLeastOnce,
        retain: false,
    };
    u64::from(decide(judge, NOW, client, &request) == Decision::Allow)
}

fn transform(judge: &mut WorkerJudge, client: &Arc<Client>, message: &Message) -> u64 {
    match judge.transform(NOW, client, message.clone()) {
        Transformed::Forward(message) => message.topic().len() as u64,
        _ => 0,
    }
}

fn judge(directory: &Path) -> Result<WorkerJudge, Box<dyn Error>> {
    let spec = |name: &str, config: &str| PluginSpec {
        name: name.into(),
        path: PathBuf::from(directory).join(format!("{name}.wasm")),
        grants: Grants { topics: vec!["routed/#".into()], ..Grants::default() },
        config: config.into(),
        ..PluginSpec::default()
    };
    let guest = PluginSpec {
        path: PathBuf::from(directory).join("../guests/warden.wasm"),
        grants: Grants { revocation: true, ..Grants::default() },
        ..spec("warden", "{}")
    };
    let reused = format!("{{{RULES}}}");
    let asked = PluginSpec {
        name: "asked".into(),
        ..spec("topic_acl", &format!("{{\"reuse_ms\": 0, {RULES}}}"))
    };
    let plugins = [
        guest,
        asked,
        spec("topic_acl", &reused),
        spec("property_router", r#"{"property": "region", "topic": "routed/${value}/${topic}"}"#),
    ];
    let chain = |number, authorize: &[&str], transform: &[&str]| ChainSpec {
        listener: ListenerId(number),
        name: format!("listener {number}"),
        default: wasmqtt_sandbox::Fallback::Allow,
        authorize: authorize.iter().map(|name| (*name).to_owned()).collect(),
        transform: transform.iter().map(|name| (*name).to_owned()).collect(),
        ..ChainSpec::default()
    };
    let chains = [
        chain(0, &[], &[]),
        chain(1, &["asked"], &[]),
        chain(2, &[], &["property_router"]),
        chain(3, &["topic_acl"], &[]),
        chain(4, &[], &["warden"]),
    ];
    let sandbox = Sandbox::new(Options::default())?;
    let generation = sandbox.prepare(&plugins, &chains).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        format!("{}; run `cargo xtask plugins` first", errors.join("; "))
    })?;
    sandbox.swap(generation);
    Ok(sandbox.judge(0))
}

fn client(listener: u16) -> Arc<Client> {
    Arc::new(Client {
        key: 1,
        id: "client-1".into(),
        name: Some("alice".into()),
        listener: ListenerId(listener),
        version: Version::V5,
        transport: Transport::Tcp,
        peer: "192.0.2.1:51000".into(),
        attributes: [].into(),
        permissions: Permissions::default(),
        message_expiry_max: 0,
        check_retained_source: false,
    })
}

/// A client whose identity allows what is asked by its second permission.
fn permitted(listener: u16) -> Arc<Client> {
    let permission = |effect, filter: &str| Permission {
        effect,
        filter: filter.into(),
        actions: Actions::ALL,
        max_qos: None,
        retain: None,
    };
    let rules =
        [permission(Effect::Deny, "secret/#"), permission(Effect::Allow, "devices/${username}/#")];
    let permissions = Permissions::resolve(&rules, |_| Some("alice"));
    Arc::new(Client { permissions, ..(*client(listener)).clone() })
}

fn message(topic: &str, region: bool) -> Result<Message, Box<dyn Error>> {
    let mut properties = MessagePropertiesBuf::default();
    if region {
        properties.add_user_property("region", "eu-central")?;
    }
    let parts = Parts {
        topic,
        properties: properties.as_view(),
        payload: &[b'x'; 64],
        qos: QoS::AtLeastOnce,
        retain: false,
        origin: Origin::Client,
        expires_at: None,
    };
    Ok(Message::new(parts, Some(client(2))))
}
