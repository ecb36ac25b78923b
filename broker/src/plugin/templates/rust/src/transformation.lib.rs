//! Greets messages below `hall/`, and rejects spam.

use serde::Deserialize;
use wasmqtt_plugin::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "hello")]
    greeting: String,
}

fn hello() -> String {
    "hello".to_owned()
}

struct Greeter {
    greeting: String,
}

impl Plugin for Greeter {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let registration = Registration::new().on_publish(Selector::filter("hall/#"));
        Ok((Self { greeting: config.greeting }, registration))
    }
}

impl Transformation for Greeter {
    fn on_publish(&mut self, message: &impl Message) -> Result<Verdict, Failure> {
        if message.payload().windows(4).any(|word| word == b"spam") {
            let refusal = Refusal::payload_format_invalid().reason("no spam here");
            return Ok(Verdict::Reject(refusal));
        }
        message.set_user_property("greeting", &self.greeting);
        Ok(Verdict::Forward)
    }
}

export!(Greeter: transformation);
