//! Enhanced authentication: SCRAM-SHA-256 (RFC 5802, RFC 7677) by MQTT 5's AUTH packets. The password never travels,
//! what the broker keeps is no use to whoever steals it, and the client learns that the broker knows its keys.
//!
//! ```toml
//! [plugin.config]
//! expires_in = 3600            # seconds until a client must authenticate again; without it: never
//! secret = "${env:SCRAM_SECRET}"   # optional, see below
//!
//! [plugin.config.users]        # lines of `wasmqtt passwd --scram NAME`
//! alice = "SCRAM-SHA-256$600000:SALT$STOREDKEY:SERVERKEY"
//! ```
//!
//! A user who does not exist is asked for a proof like any other, and fails like one with a wrong password. The salt that
//! is made up for the name follows from `secret`; without it, from all users' keys, so that made-up salts change when
//! users do and somebody who asks twice may tell them from true ones.
//!
//! Channel binding is not offered. Names are prepared with SASLprep (RFC 4013) on both sides.

mod credentials;
mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde::Deserialize;
use wasmqtt_plugin::{
    Connect, EnhancedAuthentication, Failure, Identity, Plugin, Refusal, Registration, Step,
    export, random,
};

use credentials::{Credentials, KEY, hmac};
use message::{BINDINGS_DIFFER, ClientFinal, ClientFirst, Fault, INVALID_ENCODING, OTHER};

const METHOD: &str = "SCRAM-SHA-256";
/// Bytes of randomness in the broker's part of the nonce.
const NONCE: usize = 24;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Name and credentials.
    users: BTreeMap<String, String>,
    /// Seconds.
    #[serde(default)]
    expires_in: Option<u32>,
    /// What salts of unknown users are made from.
    #[serde(default)]
    secret: Option<String>,
}

struct Scram {
    users: BTreeMap<String, Credentials>,
    /// What unknown users are made from.
    secret: [u8; KEY],
    expires_in: Option<Duration>,
}

impl Plugin for Scram {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let mut users = BTreeMap::new();
        for (name, text) in config.users {
            let prepared = stringprep::saslprep(&name)
                .map_err(|error| format!("user {name:?}: no name that SASLprep allows: {error}"))?;
            if prepared.is_empty() {
                return Err("users: a name is empty; give the user a name".to_owned());
            }
            let credentials = Credentials::parse(&text).map_err(|error| {
                format!("user {name:?}: {error}; make a line with `wasmqtt passwd --scram`")
            })?;
            if users.insert(prepared.clone().into_owned(), credentials).is_some() {
                return Err(format!(
                    "user {name:?}: SASLprep makes {prepared:?} of it, which is there"
                ));
            }
        }
        if users.is_empty() {
            return Err("users: is empty, so nobody could log in; add a user, as in \
                 alice = \"SCRAM-SHA-256$...\" from `wasmqtt passwd --scram alice`"
                .to_owned());
        }
        if config.expires_in == Some(0) {
            return Err("expires_in: is 0; leave it out, or give clients some seconds".to_owned());
        }
        let secret = match config.secret {
            Some(secret) if secret.len() < 16 => {
                return Err("secret: is shorter than 16 bytes, so it could be guessed".to_owned());
            }
            Some(secret) => hmac(b"secret", &[secret.as_bytes()]),
            None => {
                let keys: Vec<&[u8]> = users.values().map(|user| &user.server_key[..]).collect();
                hmac(b"users", &keys)
            }
        };
        let expires_in = config.expires_in.map(|seconds| Duration::from_secs(seconds.into()));
        Ok((Self { users, secret, expires_in }, Registration::new()))
    }
}

impl EnhancedAuthentication for Scram {
    fn methods(&self) -> Vec<String> {
        vec![METHOD.to_owned()]
    }

    fn begin(&mut self, _: &Connect, _: &str, data: &[u8]) -> Result<Step, Failure> {
        if data.is_empty() {
            // The client waits to be asked for its first message.
            return Ok(Step::challenge([], []));
        }
        Ok(self.first(data).unwrap_or_else(refuse))
    }

    fn proceed(
        &mut self,
        _: &Connect,
        _: &str,
        data: &[u8],
        state: &[u8],
    ) -> Result<Step, Failure> {
        let step = if state.is_empty() { self.first(data) } else { self.last(data, state) };
        Ok(step.unwrap_or_else(refuse))
    }
}

impl Scram {
    /// client-first-message -> server-first-message.
    fn first(&self, data: &[u8]) -> Result<Step, Fault> {
        let first = ClientFirst::parse(data)?;
        let username = stringprep::saslprep(&first.username).map_err(|_| INVALID_ENCODING)?;
        // Made up in any case: the time must not tell who exists.
        let made_up = self.made_up(&username);
        let credentials = self.users.get(&*username).unwrap_or(&made_up);
        let nonce = Base64::encode_string(&random::bytes::<NONCE>());
        let salt = Base64::encode_string(&credentials.salt);
        let nonce = format!("{}{nonce}", first.nonce);
        let server_first = format!("r={nonce},s={salt},i={}", credentials.iterations);
        let state = [first.gs2_header, &username, &nonce, first.bare, &server_first].join("\0");
        Ok(Step::challenge(server_first, state))
    }

    /// client-final-message -> server-final-message. `state` is of [`first`](Self::first).
    fn last(&self, data: &[u8], state: &[u8]) -> Result<Step, Fault> {
        let state = str::from_utf8(state).map_err(|_| OTHER)?;
        let parts: Vec<&str> = state.split('\0').collect();
        let [gs2_header, username, nonce, client_first, server_first] = parts[..] else {
            return Err(OTHER);
        };
        let last = ClientFinal::parse(data)?;
        if last.binding != gs2_header.as_bytes() {
            return Err(BINDINGS_DIFFER);
        }
        if last.nonce != nonce {
            return Err(OTHER);
        }
        let auth_message = format!("{client_first},{server_first},{}", last.without_proof);
        let auth_message = auth_message.as_bytes();
        let made_up = self.made_up(username);
        let known = self.users.get(username);
        let (exists, credentials) = (known.is_some(), known.unwrap_or(&made_up));
        let proved = credentials.prove(auth_message, &last.proof);
        let signature = credentials.sign(auth_message);
        if !(proved & exists) {
            return Ok(Step::refuse(Refusal::bad_user_name_or_password()));
        }
        let identity = Identity::named(username);
        let identity = match self.expires_in {
            Some(time) => identity.expires_in(time),
            None => identity,
        };
        let verifier = Base64::encode_string(&signature);
        Ok(Step::accept_with(identity, format!("v={verifier}")))
    }

    /// Credentials of a user who does not exist: the same each time, with the cost of one who does, and a proof that
    /// nobody can give.
    fn made_up(&self, username: &str) -> Credentials {
        let derive = |what: &[u8]| hmac(&self.secret, &[what, username.as_bytes()]);
        let [a, b, c, d, ..] = derive(b"like");
        let place = u32::from_le_bytes([a, b, c, d]) as usize % self.users.len().max(1);
        let like = self.users.values().nth(place);
        let (iterations, salt) = like.map_or((4096, 16), |user| (user.iterations, user.salt.len()));
        let salt = [derive(b"salt"), derive(b"more")].concat().into_iter().take(salt).collect();
        let (stored_key, server_key) = (derive(b"stored"), derive(b"server"));
        Credentials { iterations, salt, stored_key, server_key }
    }
}

/// A message that is none: the client is told what the RFC has words for.
fn refuse(fault: Fault) -> Step {
    Step::refuse(Refusal::not_authorized().reason(fault))
}

export!(Scram: enhanced_authentication);
