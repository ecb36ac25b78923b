//! A token in its compact form (RFC 7515, section 7.1), and its claims about time, issuer and audience.

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::keys::Key;

/// Longer ones are refused unread, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

pub(crate) type Claims = Map<String, Value>;

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood. None is.
    crit: Option<Value>,
}

/// What a token must say.
pub(crate) struct Demands {
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// Seconds by which clocks may differ.
    pub(crate) leeway: u64,
    pub(crate) expiry: bool,
}

/// Whether the text could be a token at all.
pub(crate) fn looks_like_one(text: &str) -> bool {
    let mut parts = text.split('.');
    let plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let (header, payload, signature) = (parts.next(), parts.next(), parts.next());
    header.is_some_and(|header| header.starts_with("eyJ") && plain(header))
        && payload.is_some_and(|payload| !payload.is_empty() && plain(payload))
        && signature.is_some_and(plain)
        && parts.next().is_none()
}

/// The claims of a token that one of the keys has signed.
///
/// # Errors
/// Why it is not trusted.
pub(crate) fn verify(token: &str, keys: &[Key]) -> Result<Claims, &'static str> {
    const FORM: &str = "it is not a signed token in its compact form";
    if token.len() > MAX_TOKEN {
        return Err("it is longer than 16 KiB");
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(FORM)?;
    let (header, payload) = signed.split_once('.').ok_or(FORM)?;
    let decode = |part| Base64UrlUnpadded::decode_vec(part).map_err(|_| FORM);
    let signature = decode(signature)?;
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| FORM)?;
    if header.crit.is_some() {
        return Err("it demands an extension that is not known here");
    }
    let kid = header.kid.as_deref();
    let mut fitting = keys.iter().filter(|key| key.is_for(&header.alg, kid)).peekable();
    if fitting.peek().is_none() {
        return Err("no key is for its algorithm and key id");
    }
    if !fitting.any(|key| key.verifies(signed.as_bytes(), &signature)) {
        return Err("its signature is wrong");
    }
    serde_json::from_slice(&decode(payload)?).map_err(|_| FORM)
}

impl Demands {
    /// Seconds until it expires, at least 1; none when it does not.
    ///
    /// # Errors
    /// What of it is not as demanded.
    pub(crate) fn check(&self, claims: &Claims, now: u64) -> Result<Option<u64>, &'static str> {
        let expiry = time(claims, "exp").map_err(|()| "its `exp` is not a time")?;
        let expires_in = match expiry {
            None if self.expiry => return Err("it never expires"),
            None => None,
            Some(expiry) => match expiry.saturating_add(self.leeway).checked_sub(now) {
                None | Some(0) => return Err("it has expired"),
                left => left,
            },
        };
        let not_before = time(claims, "nbf").map_err(|()| "its `nbf` is not a time")?;
        if not_before.is_some_and(|begin| begin > now.saturating_add(self.leeway)) {
            return Err("it is not valid yet");
        }
        if !self.issuers.is_empty() {
            let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
            if !self.issuers.iter().any(|wanted| wanted == issuer) {
                return Err("it is from another issuer");
            }
        }
        if !self.audiences.is_empty() {
            let wanted = |audience: &Value| {
                audience.as_str().is_some_and(|one| self.audiences.iter().any(|own| own == one))
            };
            let named = match claims.get("aud") {
                Some(Value::Array(audiences)) => audiences.iter().any(wanted),
                Some(audience) => wanted(audience),
                None => false,
            };
            if !named {
                return Err("it is for another audience");
            }
        }
        Ok(expires_in)
    }
}

/// A NumericDate, cut to seconds.
fn time(claims: &Claims, name: &str) -> Result<Option<u64>, ()> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    if let Some(seconds) = value.as_u64() {
        return Ok(Some(seconds));
    }
    match value.as_f64() {
        // In range for certain: 2^53 seconds are further than any clock goes.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Some(seconds) if (0.0..9e15).contains(&seconds) => Ok(Some(seconds as u64)),
        _ => Err(()),
    }
}

/// The claim at a dotted path.
pub(crate) fn claim<'a>(claims: &'a Claims, path: &str) -> Option<&'a Value> {
    // Names of claims may hold dots themselves (they are often URLs): those come first.
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
}

/// A claim as text: strings as they are, everything else as JSON; none for null.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
