//! Small components for tests, written as core modules and wrapped the way toolchains do, and the
//! clients and messages to ask them about.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmqtt_codec::{MessagePropertiesBuf, QoS, Version};
use wasmqtt_core::client::{Client, ListenerId, Transport};
use wasmqtt_core::judge::{Action, Connecting, Permissions, Request};
use wasmqtt_core::message::{Message, Origin, Parts};
use wasmqtt_core::time::Moment;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::options::{ChainSpec, Options, PluginLimits, PluginSpec};
use crate::sandbox::Sandbox;

pub(crate) const LIFECYCLE: &str = "export wasmqtt:plugin/lifecycle@0.1.0;";
pub(crate) const AUTHENTICATION: &str = "export wasmqtt:plugin/authentication@0.1.0;";
pub(crate) const AUTHORIZATION: &str = "export wasmqtt:plugin/authorization@0.1.0;";
pub(crate) const TRANSFORMATION: &str = "export wasmqtt:plugin/transformation@0.1.0;";

/// Wraps a core module, in text, as a component of a world with these imports and exports.
pub(crate) fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit")).unwrap();
    let source = format!("package test:guest; world guest {{ {world} }}");
    let package = resolve.push_source("guest.wit", &source).unwrap();
    let world = resolve.select_world(&[package], Some("guest")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap()
}

/// A plugin that does as it is told: by the first letter of a client id (authenticate) or of a topic
/// (everything else).
///
/// `n` abstain or forward · `a` accept, allow, forward · `d` refuse, deny, reject · `u` allow up to QoS 0 ·
/// `x` discard · `f` failure · `t` trap, with last words · `l` loop · `m` takes memory until it traps ·
/// `c` refuses with a success code · `s` moves to what follows the second byte · `y` does so and then
/// traps, `z` discards · `w` moves to a topic with a wildcard · `q` QoS 2 and retain · `p` replaces the
/// payload, the content type, the expiry and a user property · `g` allows or forwards what it was
/// asked before, else abstains or rejects (it counts its calls) · `h` allows if it is told the
/// client's attribute `tenant`, and nothing of another client · `k` keeps the handle of the message.
pub(crate) struct Puppet {
    /// Bits of `actions` it wants to authorize.
    pub(crate) actions: u8,
    pub(crate) on_publish: bool,
    pub(crate) on_deliver: bool,
    /// Only messages with this many bytes of payload.
    pub(crate) min_payload: u32,
    /// Milliseconds.
    pub(crate) tick_every: u32,
    /// The one topic filter of its selectors; empty for none.
    pub(crate) filter: &'static str,
    /// Instructions at the start of `init`, which has the configuration in `$ptr` and `$len`.
    pub(crate) init: &'static str,
    /// More of the module's own.
    pub(crate) globals: String,
    /// Pages of 64 KiB.
    pub(crate) memory: u32,
    pub(crate) table: u32,
    pub(crate) exports: &'static [&'static str],
}

impl Default for Puppet {
    fn default() -> Self {
        Self {
            actions: 0b111,
            on_publish: true,
            on_deliver: true,
            min_payload: 0,
            tick_every: 0,
            filter: "",
            init: "",
            globals: String::new(),
            memory: 16,
            table: 1,
            exports: &[LIFECYCLE, AUTHENTICATION, AUTHORIZATION, TRANSFORMATION],
        }
    }
}

fn bytes(value: u32) -> String {
    value.to_le_bytes().iter().map(|byte| format!("\\{byte:02x}")).collect()
}

impl Puppet {
    pub(crate) fn component(&self) -> Vec<u8> {
        let imports = "import wasmqtt:plugin/log@0.1.0; import wasmqtt:plugin/clock@0.1.0;
            import wasmqtt:plugin/clients@0.1.0; import wasmqtt:plugin/messages@0.1.0;";
        let hooks: String = [
            (AUTHENTICATION, AUTHENTICATE),
            (AUTHORIZATION, AUTHORIZE),
            (TRANSFORMATION, TRANSFORM),
        ]
        .iter()
        .filter(|(export, _)| self.exports.contains(export))
        .map(|(_, hook)| *hook)
        .collect();
        let list =
            |wanted: bool| if wanted { bytes(1100) + &bytes(1) } else { bytes(0) + &bytes(0) };
        let filter = match self.filter {
            "" => bytes(0) + &bytes(0),
            _ => bytes(1140) + &bytes(1),
        };
        let module = format!(
            r#"(module {IMPORTS}
            (memory (export "memory") {memory})
            (table {table} funcref)
            (global $heap (mut i32) (i32.const 8192))
            (global $asked (mut i32) (i32.const 0))
            (data (i32.const 1028) "\{actions:02x}")
            (data (i32.const 1032) "{on_publish}{on_deliver}")
            (data (i32.const 1056) "{tick}")
            (data (i32.const 1100) "{filter}")
            (data (i32.const 1120) "{min_payload}")
            (data (i32.const 1140) "{filter_ptr}{filter_len}{text}")
            {ANSWERS} {globals}
            (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
              (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
              (global.get $heap)
              (global.set $heap (i32.add (global.get $heap) (local.get $size))))
            (func (export "wasmqtt:plugin/lifecycle@0.1.0#init") (param $ptr i32) (param $len i32) (result i32)
              (local $until i64)
              {init}
              (i32.const 1024))
            {ACT} {hooks})"#,
            memory = self.memory,
            table = self.table,
            actions = self.actions,
            on_publish = list(self.on_publish),
            on_deliver = list(self.on_deliver),
            tick = bytes(self.tick_every),
            min_payload = bytes(self.min_payload),
            filter_ptr = bytes(1148),
            filter_len = bytes(self.filter.len() as u32),
            text = self.filter,
            init = self.init,
            globals = self.globals,
        );
        component(&(imports.to_owned() + &self.exports.concat()), &module)
    }

    pub(crate) fn spec(&self, name: &str) -> (PluginSpec, tempfile::TempPath) {
        spec(name, &self.component())
    }
}

const IMPORTS: &str = r#"
    (import "wasmqtt:plugin/log@0.1.0" "write" (func $write (param i32 i32 i32)))
    (import "wasmqtt:plugin/clock@0.1.0" "now" (func $now (result i64)))
    (import "wasmqtt:plugin/clients@0.1.0" "attribute-of" (func $attribute (param i64 i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.topic" (func $topic (param i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-topic" (func $set_topic (param i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-qos" (func $set_qos (param i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-retain" (func $set_retain (param i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-payload" (func $set_payload (param i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-content-type" (func $set_content_type (param i32 i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-expiry" (func $set_expiry (param i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[method]message.set-user-property" (func $set_user_property (param i32 i32 i32 i32 i32)))
    (import "wasmqtt:plugin/messages@0.1.0" "[resource-drop]message" (func $drop (param i32)))
"#;

/// Results, laid out by the canonical ABI. 3000: all zero, which is accept, allow and forward. The
/// second word tells abstain and the like from it.
const ANSWERS: &str = r#"
    (data (i32.const 1600) "a/#")
    (data (i32.const 1610) "so long")
    (data (i32.const 1620) "region")
    (data (i32.const 1630) "text")
    (data (i32.const 1640) "tenant")
    (data (i32.const 1716) "\01\00\00\00\4a\06\00\00\07\00\00\00")
    (data (i32.const 2004) "\03")
    (data (i32.const 2044) "\02\00\00\00\87")
    (data (i32.const 2084) "\01\00\00\00\00")
    (data (i32.const 2120) "\01\00\00\00\00\00\00\00\4a\06\00\00\07\00\00\00")
    (data (i32.const 2164) "\02\00\00\00\00")
    (data (i32.const 2204) "\01\00\00\00\86")
    (data (i32.const 2324) "\02")
    (data (i32.const 2444) "\01\00\00\00\00")
"#;

/// What every hook does the same way; 0 where it is the hook's own business.
const ACT: &str = r#"
    (func $act (param $letter i32) (result i32)
      (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
      (if (i32.eq (local.get $letter) (i32.const 0x61)) (then (return (i32.const 3000))))
      (if (i32.eq (local.get $letter) (i32.const 0x66)) (then (return (i32.const 2120))))
      (if (i32.eq (local.get $letter) (i32.const 0x74))
        (then (call $write (i32.const 4) (i32.const 1610) (i32.const 7)) (unreachable)))
      (if (i32.eq (local.get $letter) (i32.const 0x6c)) (then (loop $forever (br $forever))))
      (if (i32.eq (local.get $letter) (i32.const 0x6d))
        (then (loop $more
          (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (unreachable)))
      (if (i32.and (i32.eq (local.get $letter) (i32.const 0x67)) (i32.gt_s (global.get $asked) (i32.const 1)))
        (then (return (i32.const 3000))))
      (i32.const 0))
"#;

const AUTHENTICATE: &str = r#"
    (func (export "wasmqtt:plugin/authentication@0.1.0#authenticate") (param $connect i32) (result i32)
      (local $letter i32) (local $answer i32)
      (local.set $letter (i32.load8_u (i32.load (local.get $connect))))
      (local.set $answer (call $act (local.get $letter)))
      (if (local.get $answer) (then (return (local.get $answer))))
      (if (i32.eq (local.get $letter) (i32.const 0x64)) (then (return (i32.const 2200))))
      (if (i32.eq (local.get $letter) (i32.const 0x63)) (then (return (i32.const 2440))))
      (i32.const 2320))
"#;

const AUTHORIZE: &str = r#"
    (func (export "wasmqtt:plugin/authorization@0.1.0#authorize")
      (param $key i64) (param i32 i32 i32 i32 i32) (param $action i32) (param $topic i32) (param $length i32)
      (param i32 i32 i32 i32 i32) (result i32)
      (local $letter i32) (local $answer i32)
      (local.set $letter (i32.load8_u (local.get $topic)))
      (local.set $answer (call $act (local.get $letter)))
      (if (local.get $answer) (then (return (local.get $answer))))
      (if (i32.eq (local.get $letter) (i32.const 0x64)) (then (return (i32.const 2040))))
      (if (i32.eq (local.get $letter) (i32.const 0x75)) (then (return (i32.const 2080))))
      (if (i32.eq (local.get $letter) (i32.const 0x63)) (then (return (i32.const 2160))))
      (if (i32.eq (local.get $letter) (i32.const 0x68)) (then
        (call $attribute (local.get $key) (i32.const 1640) (i32.const 6) (i32.const 1520))
        (call $attribute (i64.add (local.get $key) (i64.const 1)) (i32.const 1640) (i32.const 6) (i32.const 1540))
        (return (select (i32.const 3000) (i32.const 2040)
          (i32.gt_u (i32.load8_u (i32.const 1520)) (i32.load8_u (i32.const 1540)))))))
      (i32.const 2000))
"#;

const TRANSFORM: &str = r#"
    (func $change (param $message i32) (result i32)
      (local $letter i32) (local $answer i32) (local $ptr i32) (local $len i32)
      (call $topic (local.get $message) (i32.const 1500))
      (local.set $ptr (i32.load (i32.const 1500)))
      (local.set $len (i32.load (i32.const 1504)))
      (local.set $letter (i32.load8_u (local.get $ptr)))
      (local.set $answer (call $act (local.get $letter)))
      (if (local.get $answer) (then (return (local.get $answer))))
      (if (i32.eq (local.get $letter) (i32.const 0x64)) (then (return (i32.const 2040))))
      (if (i32.eq (local.get $letter) (i32.const 0x67)) (then (return (i32.const 2040))))
      (if (i32.eq (local.get $letter) (i32.const 0x78)) (then (return (i32.const 2080))))
      (if (i32.eq (local.get $letter) (i32.const 0x63)) (then (return (i32.const 2160))))
      (if (i32.eq (local.get $letter) (i32.const 0x77)) (then
        (call $set_topic (local.get $message) (i32.const 1600) (i32.const 3))))
      (if (i32.or (i32.eq (local.get $letter) (i32.const 0x73)) (i32.or
          (i32.eq (local.get $letter) (i32.const 0x79)) (i32.eq (local.get $letter) (i32.const 0x7a)))) (then
        (call $set_topic (local.get $message) (i32.add (local.get $ptr) (i32.const 2)) (i32.sub (local.get $len) (i32.const 2)))))
      (if (i32.eq (local.get $letter) (i32.const 0x79)) (then (unreachable)))
      (if (i32.eq (local.get $letter) (i32.const 0x7a)) (then (return (i32.const 2080))))
      (if (i32.eq (local.get $letter) (i32.const 0x71)) (then
        (call $set_qos (local.get $message) (i32.const 2)) (call $set_retain (local.get $message) (i32.const 1))))
      (if (i32.eq (local.get $letter) (i32.const 0x70)) (then
        (call $set_payload (local.get $message) (i32.const 1610) (i32.const 7))
        (call $set_content_type (local.get $message) (i32.const 1) (i32.const 1630) (i32.const 4))
        (call $set_expiry (local.get $message) (i32.const 1) (i32.const 7))
        (call $set_user_property (local.get $message) (i32.const 1620) (i32.const 6) (i32.const 1630) (i32.const 4))))
      (i32.const 3000))
    (func (export "wasmqtt:plugin/transformation@0.1.0#on-publish") (param $message i32) (result i32)
      (local $answer i32)
      (local.set $answer (call $change (local.get $message)))
      (if (i32.ne (i32.load8_u (i32.load (i32.const 1500))) (i32.const 0x6b))
        (then (call $drop (local.get $message))))
      (local.get $answer))
    (func (export "wasmqtt:plugin/transformation@0.1.0#on-deliver")
      (param $key i64) (param i32 i32 i32 i32 i32) (param $message i32) (result i32)
      (local $answer i32)
      (local.set $answer (call $change (local.get $message)))
      (call $drop (local.get $message))
      (local.get $answer))
"#;

/// `init` answers an error that says "so long".
pub(crate) const INIT_ERROR: &str = "(return (i32.const 1716))";
pub(crate) const INIT_LOOP: &str = "(loop $forever (br $forever))";
pub(crate) const INIT_TRAP: &str = "(unreachable)";
/// `init` registers the time, which has always gone on since the last instance.
pub(crate) const INIT_UNSTABLE: &str = "
    (local.set $until (i64.add (call $now) (i64.const 3)))
    (loop $wait (br_if $wait (i64.lt_u (call $now) (local.get $until))))
    (i32.store (i32.const 1120) (i32.wrap_i64 (call $now)))";
/// `init` traps where the configuration begins with `t`.
pub(crate) const INIT_TRAP_IF_TOLD: &str =
    "(if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 0x74)) (then (unreachable)))";

/// A plugin of the configuration, and the file that holds it.
pub(crate) fn spec(name: &str, bytes: &[u8]) -> (PluginSpec, tempfile::TempPath) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let path = file.into_temp_path();
    let limits =
        PluginLimits { authenticate: Duration::from_millis(400), ..PluginLimits::default() };
    let spec = PluginSpec {
        name: name.into(),
        path: PathBuf::from(&*path),
        limits,
        config: "{}".into(),
        location: "wasmqtt.toml:12".into(),
        ..PluginSpec::default()
    };
    (spec, path)
}

/// Listener 0 with these plugins in every chain.
pub(crate) fn chain(names: &[&str]) -> ChainSpec {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    ChainSpec {
        listener: ListenerId(0),
        name: "mqtt".into(),
        authenticate: names.clone(),
        authorize: names.clone(),
        transform: names,
        ..ChainSpec::default()
    }
}

pub(crate) fn sandbox() -> Sandbox {
    let options = Options { workers: 2, authentication_instances: 2, ..Options::default() };
    Sandbox::new(options).unwrap()
}

pub(crate) fn client(permissions: Permissions) -> Arc<Client> {
    Arc::new(Client {
        key: 7,
        id: "client".into(),
        name: Some("alice".into()),
        listener: ListenerId(0),
        version: Version::V5,
        transport: Transport::Tcp,
        peer: "192.0.2.1:51000".into(),
        attributes: [("tenant".into(), "t1".into())].into(),
        permissions,
        message_expiry_max: 0,
        check_retained_source: false,
    })
}

pub(crate) fn connecting(client_id: &str, username: Option<&str>) -> Connecting {
    Connecting {
        client_id: client_id.into(),
        username: username.map(str::to_owned),
        password: None,
        listener: ListenerId(0),
        version: Version::V5,
        transport: Transport::Tcp,
        peer: "192.0.2.1:51000".into(),
        clean_start: true,
        keep_alive: 60,
        will_topic: None,
        user_properties: vec![("a".into(), "b".into())],
        certificate: None,
        is_certified: false,
    }
}

/// With QoS 1 and the user property `region`.
pub(crate) fn message(topic: &str, payload: &[u8]) -> Message {
    let mut properties = MessagePropertiesBuf::default();
    properties.add_user_property("region", "eu").unwrap();
    let parts = Parts {
        topic,
        properties: properties.as_view(),
        payload,
        qos: QoS::AtLeastOnce,
        retain: false,
        origin: Origin::Client,
        expires_at: Some(Moment(9_000)),
    };
    Message::new(parts, Some(client(Permissions::default())))
}

pub(crate) fn publish(topic: &str) -> Request<'_> {
    request(Action::Publish, topic)
}

pub(crate) fn request(action: Action, topic: &str) -> Request<'_> {
    Request { action, topic, share: None, qos: QoS::AtLeastOnce, retain: false }
}
