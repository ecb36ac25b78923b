//! Components that no toolchain makes: modules that are too much, proposals that are off. The numbers are those
//! of the catalogue of faults; `tests/it/hostile.rs` has all of them, beside clients.

use super::*;
use crate::error::LoadCause;
use crate::options::PluginLimits;
use crate::testing::{LIFECYCLE, component, spec};

fn refusal(bytes: &[u8]) -> crate::error::LoadError {
    let (spec, _file) = spec("x", bytes);
    sandbox().prepare(&[spec], &[]).unwrap_err().remove(0)
}

/// A plugin of this module, which exports no hook.
fn module(more: &str, memory: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {memory}
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "wasmqtt:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
        {more})"#
    );
    component(LIFECYCLE, &text)
}

const SMALL: &str = "(memory (export \"memory\") 1)";

#[test]
fn p09_a_start_function_that_loops_ends_at_the_deadline_of_the_start() {
    let error = refusal(&module("(func $f (loop $l (br $l))) (start $f)", SMALL));
    assert!(matches!(error.cause(), LoadCause::SlowStart(_)), "{error}");
}

#[test]
fn p09_a_module_with_more_memory_than_its_limit_is_refused_and_told_so() {
    let error = refusal(&module("", "(memory (export \"memory\") 512)"));
    assert!(error.to_string().contains("its memory limit of 16777216 bytes"), "{error}");
}

#[test]
fn p09_a_module_of_300000_functions_is_refused_before_it_is_compiled() {
    let functions = "(func)".repeat(300_000);
    let error = refusal(&module(&functions, SMALL));
    assert!(matches!(error.cause(), LoadCause::TooMuch { .. }), "{error}");
    assert!(error.to_string().contains("300002 functions"), "{error}");
}

#[test]
fn p15_more_instances_than_there_is_room_for_are_refused_and_what_runs_goes_on() {
    let (one, _file) = Puppet::default().spec("x");
    let sandbox = sandbox();
    sandbox.swap(sandbox.prepare(std::slice::from_ref(&one), &[chain(&["x"])]).unwrap());
    let many: Vec<PluginSpec> =
        (0..1000).map(|n| PluginSpec { name: format!("x{n}"), ..one.clone() }).collect();
    let names: Vec<&str> = many.iter().map(|spec| spec.name.as_str()).collect();
    let errors = sandbox.prepare(&many, &[chain(&names)]).unwrap_err();
    assert!(errors[0].to_string().contains("limit of 1024"), "{}", errors[0]);
    let (mut judge, client) = (sandbox.judge(0), client(Permissions::default()));
    assert_eq!(judge.authorize(NOW, &client, &publish("a")), Decision::Allow);
    sandbox.swap(sandbox.prepare(&[one], &[chain(&["x"])]).unwrap());
    judge.begin();
    assert_eq!(
        judge.authorize(NOW, &client, &publish("a")),
        Decision::Allow,
        "all places are free"
    );
}

#[test]
fn p18_proposals_that_a_plugin_does_not_need_are_off() {
    for (what, text) in [
        ("two memories", "(memory 1) (memory 1)"),
        ("shared memory", "(memory 1 1 shared)"),
        ("64-bit memory", "(memory i64 1)"),
    ] {
        let text = format!("(component (core module {text}))");
        let error = refusal(&wat::parse_str(&text).unwrap());
        assert!(matches!(error.cause(), LoadCause::Corrupt { .. }), "{what}: {error}");
    }
}

#[test]
fn p18_a_table_that_grows_ends_at_its_limit() {
    let grow = "(table $t 1 funcref)
        (func $f (loop $l
          (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
          (unreachable))
        (start $f)";
    let error = refusal(&module(grow, SMALL));
    let limit = PluginLimits::default().table_elements;
    assert!(error.to_string().contains(&format!("its limit of {limit} table elements")), "{error}");
}
