//! The contract in `wit/`, as wit-bindgen spells it in Rust. What both sides import is generated once;
//! each exported interface is a world of its own, so that a component exports exactly the hooks that
//! its plugin implements. Nothing is written here by hand, and nothing here knows the friendly types.

/// What the broker offers, and the types of both sides.
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-imports; world sdk-imports {
            import wasmqtt:plugin/types@0.1.0;
            import wasmqtt:plugin/clients@0.1.0;
            import wasmqtt:plugin/identities@0.1.0;
            import wasmqtt:plugin/messages@0.1.0;
            import wasmqtt:plugin/log@0.1.0;
            import wasmqtt:plugin/clock@0.1.0;
            import wasmqtt:plugin/random@0.1.0;
            import wasmqtt:plugin/revocation@0.1.0;
            import wasmqtt:plugin/kv@0.1.0;
            import wasmqtt:plugin/publisher@0.1.0;
            import wasmqtt:plugin/metrics@0.1.0;
            import wasmqtt:plugin/http@0.1.0;
        }",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
    });
}

/// Every plugin exports this.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-lifecycle; world sdk-lifecycle {
            export wasmqtt:plugin/lifecycle@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
    });
}

/// Who are you?
pub mod authentication {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-authentication; world sdk-authentication {
            export wasmqtt:plugin/authentication@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
            "wasmqtt:plugin/clients@0.1.0": crate::bindings::imports::wasmqtt::plugin::clients,
            "wasmqtt:plugin/identities@0.1.0":
                crate::bindings::imports::wasmqtt::plugin::identities,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_authentication",
    });
}

/// Who are you, in rounds?
pub mod enhanced_authentication {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-enhanced-authentication; world sdk-enhanced-authentication {
            export wasmqtt:plugin/enhanced-authentication@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
            "wasmqtt:plugin/clients@0.1.0": crate::bindings::imports::wasmqtt::plugin::clients,
            "wasmqtt:plugin/identities@0.1.0":
                crate::bindings::imports::wasmqtt::plugin::identities,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_enhanced_authentication",
    });
}

/// May you?
pub mod authorization {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-authorization; world sdk-authorization {
            export wasmqtt:plugin/authorization@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
            "wasmqtt:plugin/clients@0.1.0": crate::bindings::imports::wasmqtt::plugin::clients,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_authorization",
    });
}

/// What should this message become?
pub mod transformation {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-transformation; world sdk-transformation {
            export wasmqtt:plugin/transformation@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
            "wasmqtt:plugin/clients@0.1.0": crate::bindings::imports::wasmqtt::plugin::clients,
            "wasmqtt:plugin/messages@0.1.0": crate::bindings::imports::wasmqtt::plugin::messages,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_transformation",
    });
}

/// What happened?
pub mod observation {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package wasmqtt:sdk-observation; world sdk-observation {
            export wasmqtt:plugin/observation@0.1.0;
        }",
        with: {
            "wasmqtt:plugin/types@0.1.0": crate::bindings::imports::wasmqtt::plugin::types,
        },
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
        export_macro_name: "export_observation",
    });
}
