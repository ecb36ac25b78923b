//! WASI with nothing behind it: a runtime that needs it starts, and finds an empty world.

use super::*;
use crate::testing::{LIFECYCLE, component, spec};

/// Of WASI what the modules below import, at two versions.
const WIT: &str = "}
    package wasi:io@0.2.3 {
        interface error { resource error; }
        interface streams {
            use error.{error};
            variant stream-error { last-operation-failed(error), closed }
            resource output-stream {
                blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            }
        }
    }
    package wasi:cli@0.2.3 {
        interface environment { get-environment: func() -> list<tuple<string, string>>; }
        interface stderr { use wasi:io/streams@0.2.3.{output-stream}; get-stderr: func() -> output-stream; }
        interface exit { exit: func(status: result); }
    }
    package wasi:random@0.2.0 {
        interface random {
            get-random-bytes: func(len: u64) -> list<u8>;
            get-random-u64: func() -> u64;
        }
    }
    package wasi:clocks@0.2.0 {
        interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    }
    package wasi:filesystem@0.2.3 {
        interface types { resource descriptor { sync-data: func(); } }
        interface preopens {
            use types.{descriptor};
            get-directories: func() -> list<tuple<descriptor, string>>;
        }
    }
    package wasi:sockets@0.2.3 {
        interface network { enum error-code { unknown, access-denied } enum ip-address-family { ipv4, ipv6 } }
        interface tcp { resource tcp-socket; }
        interface tcp-create-socket {
            use network.{error-code, ip-address-family};
            use tcp.{tcp-socket};
            create-tcp-socket: func(family: ip-address-family) -> result<tcp-socket, error-code>;
        }";

const IMPORTS: &str = r#"
    (import "wasi:cli/environment@0.2.3" "get-environment" (func $environment (param i32)))
    (import "wasi:cli/stderr@0.2.3" "get-stderr" (func $stderr (result i32)))
    (import "wasi:cli/exit@0.2.3" "exit" (func $exit (param i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush"
      (func $write (param i32 i32 i32 i32)))
    (import "wasi:random/random@0.2.0" "get-random-bytes" (func $bytes (param i64 i32)))
    (import "wasi:random/random@0.2.0" "get-random-u64" (func $random (result i64)))
    (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param i32)))
    (import "wasi:filesystem/preopens@0.2.3" "get-directories" (func $directories (param i32)))
    (import "wasi:filesystem/types@0.2.3" "[method]descriptor.sync-data" (func $sync (param i32)))
    (import "wasi:sockets/tcp-create-socket@0.2.3" "create-tcp-socket" (func $socket (param i32 i32)))
    (memory (export "memory") 4)
    (global $heap (mut i32) (i32.const 8192))
    (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
      (global.get $heap)
      (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $size)) (i32.const 7)) (i32.const -8))))
    (data (i32.const 100) "Traceback: no\nmodule")
    (func $require (param i32) (if (i32.eqz (local.get 0)) (then (unreachable))))
"#;

/// A plugin whose `init` does this and registers for nothing.
fn plugin(init: &str) -> Vec<u8> {
    let imports = "import wasi:cli/environment@0.2.3; import wasi:cli/stderr@0.2.3;
        import wasi:cli/exit@0.2.3; import wasi:io/streams@0.2.3; import wasi:random/random@0.2.0;
        import wasi:clocks/wall-clock@0.2.0; import wasi:filesystem/preopens@0.2.3;
        import wasi:filesystem/types@0.2.3; import wasi:sockets/tcp-create-socket@0.2.3;";
    let module = format!(
        r#"(module {IMPORTS}
        (func (export "wasmqtt:plugin/lifecycle@0.1.0#init") (param i32 i32) (result i32)
          {init} (i32.const 1024)))"#
    );
    component(&format!("{imports} {LIFECYCLE} {WIT}"), &module)
}

fn load(init: &str) -> Result<(), String> {
    let (spec, _file) = spec("x", &plugin(init));
    sandbox().prepare(&[spec], &[]).map(|_| ()).map_err(|errors| errors[0].to_string())
}

#[test]
fn a_runtime_finds_no_environment_no_directories_and_no_sockets_but_time_and_chance() {
    let init = r#"
        (call $environment (i32.const 200))
        (call $require (i32.eqz (i32.load (i32.const 204))))
        (call $directories (i32.const 200))
        (call $require (i32.eqz (i32.load (i32.const 204))))
        (call $socket (i32.const 0) (i32.const 208))
        (call $require (i32.eq (i32.load8_u (i32.const 208)) (i32.const 1)))
        (call $require (i32.eq (i32.load8_u (i32.const 212)) (i32.const 1)))
        (call $require (i64.ne (call $random) (call $random)))
        (call $bytes (i64.const 16) (i32.const 216))
        (call $require (i32.eq (i32.load (i32.const 220)) (i32.const 16)))
        (call $now (i32.const 224))
        (call $require (i64.gt_u (i64.load (i32.const 224)) (i64.const 1600000000)))"#;
    assert_eq!(load(init), Ok(()));
}

#[test]
fn what_it_writes_to_standard_error_is_told_when_it_gives_up() {
    let init = r#"
        (call $write (call $stderr) (i32.const 100) (i32.const 14) (i32.const 300))
        (call $require (i32.eqz (i32.load8_u (i32.const 300))))
        (call $exit (i32.const 1))"#;
    let error = load(init).unwrap_err();
    assert!(error.contains("it called `wasi:cli/exit@0.2.3#exit`"), "{error}");
    assert!(error.contains("it said: Traceback: no"), "{error}");
}

#[test]
fn handles_writes_and_chance_are_bounded() {
    let handles = "(loop $more (drop (call $stderr)) (br $more))";
    assert!(load(handles).unwrap_err().contains("it holds 1024 handles"));
    let write = "(call $write (call $stderr) (i32.const 100) (i32.const 4097) (i32.const 300))";
    assert!(load(write).unwrap_err().contains("4096 are permitted"));
    let bytes = "(call $bytes (i64.const 65537) (i32.const 200))";
    assert!(load(bytes).unwrap_err().contains("65536 are the most"));
    let sync = "(call $sync (i32.const 1))";
    assert!(load(sync).is_err(), "no handle of a file is ever given out");
}
