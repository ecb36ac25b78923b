//! The contract as Rust types, generated from `wit/`, and nothing else.

// The generated code calls functions whose types it has checked before.
#![allow(unsafe_code, missing_docs, unreachable_pub, unused_doc_comments, dead_code)]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package wasmqtt:host;

        world everything {
            import wasmqtt:plugin/log@0.1.0;
            import wasmqtt:plugin/clock@0.1.0;
            import wasmqtt:plugin/random@0.1.0;
            import wasmqtt:plugin/clients@0.1.0;
            import wasmqtt:plugin/messages@0.1.0;
            import wasmqtt:plugin/revocation@0.1.0;
            import wasmqtt:plugin/kv@0.1.0;
            import wasmqtt:plugin/publisher@0.1.0;
            import wasmqtt:plugin/metrics@0.1.0;
            import wasmqtt:plugin/http@0.1.0;
            export wasmqtt:plugin/lifecycle@0.1.0;
            export wasmqtt:plugin/authentication@0.1.0;
            export wasmqtt:plugin/enhanced-authentication@0.1.0;
            export wasmqtt:plugin/authorization@0.1.0;
            export wasmqtt:plugin/transformation@0.1.0;
            export wasmqtt:plugin/observation@0.1.0;
        }
    ",
    world: "wasmqtt:host/everything",
    // What goes to a plugin is lent to it: no string is cloned for a call.
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: {
        "wasmqtt:plugin/messages": trappable,
        "wasmqtt:plugin/metrics": trappable,
        "wasmqtt:plugin/random": trappable,
    },
    with: {
        "wasmqtt:plugin/messages.message": crate::host::messages::Staged,
        "wasmqtt:plugin/metrics.counter": crate::host::metrics::Counter,
        "wasmqtt:plugin/metrics.gauge": crate::host::metrics::Gauge,
    },
});
