//! A plugin that imports an interface which the broker has not got and nobody can grant. The broker must
//! refuse to load it, and name the import.

use wasmqtt_plugin::{
    Failure, Message, NoConfig, Plugin, Registration, Selector, Transformation, Verdict, export,
};

#[allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package guests:greedy;
            world greedy { import wasmqtt:plugin/sockets@0.1.0; }

            package wasmqtt:plugin@0.1.0 {
                interface sockets { send: func(address: string, bytes: list<u8>) -> bool; }
            }
        ",
        generate_all,
    });
}

struct Greedy;

impl Plugin for Greedy {
    type Config = NoConfig;

    fn init(_: NoConfig) -> Result<(Self, Registration), String> {
        Ok((Self, Registration::new().on_publish(Selector::all())))
    }
}

impl Transformation for Greedy {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        let payload = message.payload();
        if bindings::wasmqtt::plugin::sockets::send("192.0.2.1:80", &payload) {
            Ok(Verdict::Forward)
        } else {
            Ok(Verdict::Discard)
        }
    }
}

export!(Greedy: transformation);
