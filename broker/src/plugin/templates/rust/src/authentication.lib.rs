//! Lets those in who know their token. The next plugin is asked about names that have none.

use std::collections::HashMap;

use serde::Deserialize;
use wasmqtt_plugin::*;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// By username. For real use keep hashes, as the plugin password-file does.
    tokens: HashMap<String, String>,
}

struct Tokens(HashMap<String, String>);

impl Plugin for Tokens {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        if config.tokens.is_empty() {
            return Err("tokens: is empty; name at least one user and token".to_owned());
        }
        Ok((Self(config.tokens), Registration::new()))
    }
}

impl Authentication for Tokens {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let token = connect.username.as_ref().and_then(|name| Some((name, self.0.get(name)?)));
        let Some((name, token)) = token else { return Ok(Outcome::Abstain) };
        if !equal(token.as_bytes(), connect.password.as_deref().unwrap_or_default()) {
            return Ok(Outcome::refuse(Refusal::bad_user_name_or_password()));
        }
        Ok(Outcome::accept(Identity::named(name).attribute("by", "{{name}}")))
    }
}

/// Takes equally long wherever the first difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (a, b)| different | (a ^ b)) == 0
}

export!(Tokens: authentication);
