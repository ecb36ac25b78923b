//! A component that exports `transformation` and lacks `lifecycle`, which every plugin must export. The
//! broker must refuse to load it.

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "package guests:bare; world bare { export wasmqtt:plugin/transformation@0.1.0; }",
        generate_all,
    });
}

#[cfg(target_family = "wasm")]
mod component {
    use super::bindings::exports::wasmqtt::plugin::transformation::{
        Client, Failure, Guest, Message, Verdict,
    };

    struct Bare;

    impl Guest for Bare {
        fn on_publish(_: &Message) -> Result<Verdict, Failure> {
            Ok(Verdict::Forward)
        }

        fn on_deliver(_: Client, _: &Message) -> Result<Verdict, Failure> {
            Ok(Verdict::Forward)
        }
    }

    #[allow(unsafe_code)]
    mod exported {
        super::super::bindings::export!(Bare with_types_in super::super::bindings);
        use super::Bare;
    }
}
