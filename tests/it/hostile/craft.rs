//! Components that no toolchain makes. Must not know what becomes of them.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::harness::root;

/// An authorizer that answers, by the first letter of the topic: `p` from beyond its memory · `l` with a reason of
/// 2 GiB · `u` with one that is not UTF-8 · `h` with a list of 268 million properties · `v` an answer that there is none
/// · `m` with one that is cut off by the end of its memory · allow to any other.
const LIAR: &str = r#"(module
    (memory (export "memory") 1)
    (global $heap (mut i32) (i32.const 8192))
    (data (i32.const 1028) "\01")
    (data (i32.const 4004) "\02\00\00\00\87\00\00\00\01\00\00\00\64\00\00\00\00\00\00\80")
    (data (i32.const 4104) "\02\00\00\00\87\00\00\00\01\00\00\00\88\13\00\00\02\00\00\00")
    (data (i32.const 4204) "\02\00\00\00\87\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\64\00\00\00\00\00\00\10")
    (data (i32.const 4304) "\09")
    (data (i32.const 5000) "\ff\fe")
    (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (global.get $heap)
      (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8)))
      (if (i32.gt_u (global.get $heap) (i32.const 60000)) (then (global.set $heap (i32.const 8192)))))
    (func (export "wasmqtt:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
    (func $when (param $letter i32) (param $is i32) (param $at i32) (param $else i32) (result i32)
      (select (local.get $at) (local.get $else) (i32.eq (local.get $letter) (local.get $is))))
    (func (export "wasmqtt:plugin/authorization@0.1.0#authorize")
      (param i64 i32 i32 i32 i32 i32) (param $action i32) (param $topic i32) (param $length i32)
      (param i32 i32 i32 i32 i32) (result i32)
      (local $letter i32)
      (local.set $letter (i32.load8_u (local.get $topic)))
      (call $when (local.get $letter) (i32.const 0x70) (i32.const 0x7ffffff0)
      (call $when (local.get $letter) (i32.const 0x6c) (i32.const 4000)
      (call $when (local.get $letter) (i32.const 0x75) (i32.const 4100)
      (call $when (local.get $letter) (i32.const 0x68) (i32.const 4200)
      (call $when (local.get $letter) (i32.const 0x76) (i32.const 4300)
      (call $when (local.get $letter) (i32.const 0x6d) (i32.const 65532)
        (i32.const 3000)))))))))"#;

/// Never comes to its `init`.
pub(super) const ENDLESS_START: &str = "(func $f (loop $l (br $l))) (start $f)";

/// Grows its table until it may not, and then traps.
pub(super) const GROWING_TABLE: &str = "(table $t 1 funcref)
    (func $f (loop $l
      (br_if $l (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))
      (unreachable))
    (start $f)";

pub(super) fn liar() -> Vec<u8> {
    encode(
        "export wasmqtt:plugin/lifecycle@0.1.0; export wasmqtt:plugin/authorization@0.1.0;",
        LIAR,
    )
}

/// A plugin with this in its module, which exports no hook.
pub(super) fn module(more: &str) -> Vec<u8> {
    module_with("(memory (export \"memory\") 1)", more)
}

pub(super) fn module_with(memory: &str, more: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {memory}
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
        (func (export "wasmqtt:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32) (i32.const 1024))
        {more})"#
    );
    encode("export wasmqtt:plugin/lifecycle@0.1.0;", &text)
}

/// Whatever this text says.
pub(super) fn text(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// Wraps a core module, in text, as a component of a world with these imports and exports.
fn encode(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).unwrap();
    let source = format!("package test:guest; world guest {{ {world} }}");
    let package = resolve.push_source("guest.wit", &source).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}
