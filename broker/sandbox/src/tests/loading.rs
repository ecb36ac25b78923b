//! What is refused before it runs, and what the operator is told.

use std::io::Write;

use super::*;
use crate::error::{LoadCause, LoadError};
use crate::options::PluginLimits;
use crate::testing::{
    AUTHORIZATION, INIT_ERROR, INIT_LOOP, INIT_TRAP, INIT_UNSTABLE, LIFECYCLE, TRANSFORMATION,
    component, spec,
};

fn refusals(specs: &[PluginSpec], chains: &[ChainSpec]) -> Vec<LoadError> {
    sandbox().prepare(specs, chains).err().unwrap_or_default()
}

/// The one thing that is wrong with a component on its own.
fn refusal(bytes: &[u8]) -> LoadError {
    let (spec, _file) = spec("x", bytes);
    let mut errors = refusals(&[spec], &[]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

fn refused_puppet(puppet: &Puppet) -> LoadError {
    refusal(&puppet.component())
}

#[test]
fn p10_a_component_without_lifecycle_is_refused() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
        (func (export "wasmqtt:plugin/authorization@0.1.0#authorize")
          (param i64 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) (i32.const 0)))"#;
    let error = refusal(&component(AUTHORIZATION, module));
    assert!(matches!(error.cause(), LoadCause::NoLifecycle), "{error}");
    assert!(error.to_string().starts_with("wasmqtt.toml:12: plugin `x`: "), "{error}");
}

#[test]
fn p14_an_import_that_nobody_grants_is_named_with_what_to_do() {
    let cases = [
        ("wasi:http/outgoing-handler@0.2.0", "of WASI plugins get no more"),
        ("wasi:cli/environment@0.3.0", "of WASI plugins get no more"),
        ("acme:db/query@1.0.0", "nothing grants"),
        ("wasmqtt:plugin/sockets@0.1.0", "a capability that this broker does not have"),
        (
            "wasmqtt:plugin/kv@0.1.0",
            "is not granted; if it may have it, add `grants = { kv = true }`",
        ),
        ("wasmqtt:plugin/log@0.9.0", "another version of the contract"),
    ];
    for (import, why) in cases {
        let text = format!(r#"(component (import "{import}" (instance (export "f" (func)))))"#);
        let error = refusal(&wat::parse_str(&text).unwrap());
        let cause = error.cause();
        assert!(matches!(cause, LoadCause::Import { import: named, .. } if named == import));
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn an_import_of_types_alone_asks_for_nothing() {
    let text = r#"(component (import "acme:db/types@1.0.0" (instance
        (type $row (record (field "id" u32)))
        (export "row" (type (eq $row))))))"#;
    let error = refusal(&wat::parse_str(text).unwrap());
    assert!(matches!(error.cause(), LoadCause::NoLifecycle), "{error}");
}

#[test]
fn p10_an_import_of_the_wrong_type_does_not_fit_the_contract() {
    let text = r#"(component
        (import "wasmqtt:plugin/clock@0.1.0" (instance (export "now" (func (result string)))))
        (instance $l) (export "wasmqtt:plugin/lifecycle@0.1.0" (instance $l)))"#;
    let error = refusal(&wat::parse_str(text).unwrap());
    assert!(matches!(error.cause(), LoadCause::Contract(_)), "{error}");
}

#[test]
fn p10_an_export_of_another_contract_is_named() {
    for export in ["wasmqtt:plugin/lifecycle@2.0.0", "wasmqtt:plugin/telepathy@0.1.0"] {
        let text = format!(r#"(component (instance $i) (export "{export}" (instance $i)))"#);
        let error = refusal(&wat::parse_str(&text).unwrap());
        let cause = error.cause();
        assert!(matches!(cause, LoadCause::UnknownExport(named) if named == export), "{error}");
    }
}

#[test]
fn p11_what_is_no_whole_component_is_refused() {
    let error = refusal(b"\0asm\x01\0\0\0");
    assert!(error.to_string().contains("wasm-tools component new"), "{error}");
    let whole = Puppet::default().component();
    let error = refusal(&whole[..whole.len() / 2]);
    assert!(matches!(error.cause(), LoadCause::Corrupt { .. }), "{error}");
}

#[test]
fn what_init_says_is_passed_on_and_what_it_does_is_bounded() {
    let error = refused_puppet(&Puppet { init: INIT_ERROR, ..Puppet::default() });
    assert!(matches!(error.cause(), LoadCause::Init(text) if text == "so long"), "{error}");
    let error = refused_puppet(&Puppet { init: INIT_TRAP, ..Puppet::default() });
    assert!(matches!(error.cause(), LoadCause::Start(_)), "{error}");
    let error = refused_puppet(&Puppet { init: INIT_LOOP, ..Puppet::default() });
    assert!(matches!(error.cause(), LoadCause::SlowStart(_)), "{error}");
}

#[test]
fn a_component_that_needs_more_than_its_limits_is_told_which() {
    let error = refused_puppet(&Puppet { memory: 257, ..Puppet::default() });
    assert!(error.to_string().contains("its memory limit of 16777216 bytes"), "{error}");
    let error = refused_puppet(&Puppet { table: 20_001, ..Puppet::default() });
    assert!(error.to_string().contains("its limit of 20000 table elements"), "{error}");
}

#[test]
fn a_registration_without_the_export_it_needs_is_refused() {
    let error = refused_puppet(&Puppet {
        on_publish: false,
        exports: &[LIFECYCLE, AUTHORIZATION],
        ..Puppet::default()
    });
    assert!(error.to_string().contains("transformation@0.1.0"), "{error}");
    let error = refused_puppet(&Puppet {
        actions: 0b001,
        exports: &[LIFECYCLE, TRANSFORMATION],
        ..Puppet::default()
    });
    assert!(error.to_string().contains("authorization@0.1.0"), "{error}");
    let error = refused_puppet(&Puppet { tick_every: 10, ..Puppet::default() });
    assert!(error.to_string().contains("events or ticks"), "{error}");
}

#[test]
fn a_registration_with_a_bad_filter_is_refused() {
    let error = refused_puppet(&Puppet { filter: "a/#/b", ..Puppet::default() });
    assert!(matches!(error.cause(), LoadCause::Registration(_)), "{error}");
    assert!(error.to_string().contains("`a/#/b` in a selector of on-publish"), "{error}");
}

#[test]
fn instances_that_register_different_things_are_refused() {
    let error = refused_puppet(&Puppet { init: INIT_UNSTABLE, ..Puppet::default() });
    assert!(matches!(error.cause(), LoadCause::Unstable), "{error}");
}

#[test]
fn a_chain_that_names_what_is_not_there_or_cannot_do_it_is_refused() {
    let authorizer = Puppet {
        on_publish: false,
        on_deliver: false,
        exports: &[LIFECYCLE, AUTHORIZATION],
        ..Puppet::default()
    };
    let (spec, _file) = authorizer.spec("x");
    let chain = ChainSpec { authorize: vec!["x".into(), "y".into(), "x".into()], ..chain(&["x"]) };
    let texts: Vec<String> = refusals(&[spec], &[chain]).iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 4, "{texts:#?}");
    assert!(texts[0].starts_with("listener `mqtt`: plugin `x` is in its authenticate chain but"));
    assert!(texts[1].contains("there is no plugin `y`") && texts[1].contains("configured are: x"));
    assert!(texts[2].contains("names plugin `x` twice"));
    assert!(texts[3].contains("does not export wasmqtt:plugin/transformation@0.1.0"));
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let (good, _file) = Puppet::default().spec("good");
    let mut missing = good.clone();
    missing.name = "missing".into();
    missing.path = "/no/such.wasm".into();
    let mut pinned = good.clone();
    pinned.name = "pinned".into();
    pinned.sha256 = Some([0; 32]);
    let mut greedy = good.clone();
    greedy.name = "greedy".into();
    greedy.limits.memory = PluginLimits::MEMORY_MAX + 1;
    let mut lost = good.clone();
    lost.name = "lost".into();
    lost.grants.topics = vec!["a/#/b".into()];
    let specs = [good.clone(), missing, pinned, greedy, lost, good];
    let errors = refusals(&specs, &[chain(&["nobody", "missing"])]);
    let kinds: Vec<&LoadCause> = errors.iter().map(LoadError::cause).collect();
    assert!(
        matches!(
            kinds[..],
            [
                LoadCause::Duplicate,
                LoadCause::Unreadable { .. },
                LoadCause::Digest { .. },
                LoadCause::Limits(_),
                LoadCause::Grant { .. },
                LoadCause::NoSuchPlugin { chain: "authenticate", .. },
                LoadCause::NoSuchPlugin { chain: "authorize", .. },
                LoadCause::NoSuchPlugin { chain: "transform", .. },
            ]
        ),
        "{errors:#?}"
    );
}

#[test]
fn overwriting_the_file_changes_nothing_until_the_next_load() {
    let puppet = Puppet { on_publish: false, ..Puppet::default() };
    let (spec, file) = puppet.spec("x");
    let sandbox = sandbox();
    sandbox.swap(sandbox.prepare(std::slice::from_ref(&spec), &[chain(&["x"])]).unwrap());
    std::fs::File::create(&file).unwrap().write_all(b"garbage").unwrap();
    let mut judge = sandbox.judge(0);
    let client = client(Permissions::default());
    // Even the fresh instance after a trap is of the bytes that were read.
    assert!(matches!(judge.authorize(NOW, &client, &publish("t")), Decision::Deny(_)));
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), Decision::Allow);
    let errors = sandbox.prepare(&[spec], &[]).unwrap_err();
    assert!(matches!(errors[0].cause(), LoadCause::NotWasm { .. }));
}
