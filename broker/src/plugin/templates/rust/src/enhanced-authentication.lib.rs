//! Lets those in who know their PIN, by MQTT 5's AUTH packets: the client names itself in CONNECT, is asked for its PIN,
//! and answers with it.

use std::collections::HashMap;

use serde::Deserialize;
use wasmqtt_plugin::*;

/// The authentication method that clients name.
const METHOD: &str = "PIN";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// By name. For real use take a method where no secret travels, as the plugin scram does.
    pins: HashMap<String, String>,
}

struct Pins(HashMap<String, String>);

impl Plugin for Pins {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        if config.pins.is_empty() {
            return Err("pins: is empty; name at least one user and PIN".to_owned());
        }
        Ok((Self(config.pins), Registration::new()))
    }
}

impl EnhancedAuthentication for Pins {
    fn methods(&self) -> Vec<String> {
        vec![METHOD.to_owned()]
    }

    fn begin(&mut self, _: &Connect, _: &str, data: &[u8]) -> Result<Step, Failure> {
        // The broker keeps the name until the client answers: the next round may come to another instance.
        Ok(Step::challenge("PIN?", data))
    }

    fn proceed(
        &mut self,
        _: &Connect,
        _: &str,
        data: &[u8],
        state: &[u8],
    ) -> Result<Step, Failure> {
        let name = std::str::from_utf8(state).unwrap_or_default();
        // Whoever does not exist is asked like everybody else, and fails like one with a wrong PIN.
        let pin = self.0.get(name).filter(|pin| equal(pin.as_bytes(), data));
        Ok(match pin {
            Some(_) => Step::accept_with(Identity::named(name), "welcome"),
            None => Step::refuse(Refusal::not_authorized()),
        })
    }
}

/// Takes equally long wherever the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

export!(Pins: enhanced_authentication);
