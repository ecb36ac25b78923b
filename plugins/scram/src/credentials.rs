//! What the broker knows of a user: nothing that anybody could log in with.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of a key, a signature and a proof.
pub(crate) const KEY: usize = 32;
/// RFC 7677 wants at least so many.
const ITERATIONS_MIN: u32 = 4096;
/// Bytes of a salt: less is guessed, more is no use.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;

/// `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, the three last in Base64: the form of RFC 5803 that PostgreSQL
/// uses, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) stored_key: [u8; KEY],
    pub(crate) server_key: [u8; KEY],
}

impl Credentials {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("SCRAM-SHA-256$")
            .ok_or("does not begin with SCRAM-SHA-256$".to_owned())?;
        let parts = rest.split_once('$').and_then(|(cost, keys)| {
            let (iterations, salt) = cost.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            Some((iterations, salt, stored, server))
        });
        let Some((iterations, salt, stored, server)) = parts else {
            return Err("is not ITERATIONS:SALT$STOREDKEY:SERVERKEY".to_owned());
        };
        let iterations = iterations
            .parse()
            .ok()
            .filter(|iterations| *iterations >= ITERATIONS_MIN)
            .ok_or(format!("has {iterations:?} iterations, not {ITERATIONS_MIN} or more"))?;
        let salt = Base64::decode_vec(salt)
            .ok()
            .filter(|salt| SALT.contains(&salt.len()))
            .ok_or("has a salt that is not 8 to 64 bytes in Base64")?;
        let key = |text: &str, what: &str| {
            let key = Base64::decode_vec(text).ok().and_then(|key| key.try_into().ok());
            key.ok_or(format!("has a {what} key that is not {KEY} bytes in Base64"))
        };
        let (stored_key, server_key) = (key(stored, "stored")?, key(server, "server")?);
        Ok(Self { iterations, salt, stored_key, server_key })
    }

    /// Whether the proof could only be made with the password. Takes the same time whatever is wrong.
    pub(crate) fn prove(&self, auth_message: &[u8], proof: &[u8; KEY]) -> bool {
        let signature = hmac(&self.stored_key, &[auth_message]);
        let mut client_key = *proof;
        client_key.iter_mut().zip(signature).for_each(|(byte, mask)| *byte ^= mask);
        let stored_key: [u8; KEY] = Sha256::digest(client_key).into();
        stored_key.ct_eq(&self.stored_key).into()
    }

    /// What shows the client that it talks to somebody who knows its keys.
    pub(crate) fn sign(&self, auth_message: &[u8]) -> [u8; KEY] {
        hmac(&self.server_key, &[auth_message])
    }
}

/// HMAC-SHA-256 of the parts, one behind the other.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY] {
    // Keys of every length are taken; the other case cannot be.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; KEY] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}
