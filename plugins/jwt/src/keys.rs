//! Keys, each for one algorithm. A key never verifies with another algorithm than its own, whatever a token says:
//! that is what `alg: none` and public keys used as HMAC secrets come to nothing by.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use serde::Deserialize;
use sha2::Sha256;
use wasmqtt_plugin::Text;

/// RFC 7518, section 3.2: as long as the hash.
const MIN_SECRET: usize = 32;
/// RFC 7518, section 3.3. In bytes.
const MIN_MODULUS: usize = 256;
/// Verifying with a longer one takes too long. In bits.
const MAX_MODULUS: usize = 8192;

enum Verifier {
    Hs256(Hmac<Sha256>),
    Rs256(rsa::pkcs1v15::VerifyingKey<rsa::sha2::Sha256>),
    Es256(p256::ecdsa::VerifyingKey),
}

pub(crate) struct Key {
    kid: Option<String>,
    verifier: Verifier,
}

/// One of the configuration's `keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyConfig {
    pem: Option<Text>,
    jwks: Option<Text>,
    secret: Option<Text>,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

/// # Errors
/// What is wrong, for the operator.
pub(crate) fn read(config: KeyConfig, keys: &mut Vec<Key>) -> Result<(), String> {
    match config {
        KeyConfig { pem: Some(pem), jwks: None, secret: None, kid } => {
            let verifier = from_pem(pem.as_str()).map_err(|error| format!("pem: {error}"))?;
            keys.push(Key { kid, verifier });
        }
        KeyConfig { pem: None, jwks: None, secret: Some(secret), kid } => {
            let text = secret.as_str().trim_end_matches(['\r', '\n']);
            let verifier =
                from_secret(text.as_bytes()).map_err(|error| format!("secret: {error}"))?;
            keys.push(Key { kid, verifier });
        }
        KeyConfig { pem: None, jwks: Some(set), secret: None, kid: None } => {
            from_set(&set, keys).map_err(|error| format!("jwks: {error}"))?;
        }
        _ => {
            return Err("write one of pem, secret and jwks; kid goes with pem or secret".to_owned());
        }
    }
    Ok(())
}

fn from_pem(pem: &str) -> Result<Verifier, String> {
    let pem = pem.trim();
    if pem.contains("PRIVATE KEY-----") {
        return Err(
            "it is a private key, which does not belong here; give the public one".to_owned()
        );
    }
    if let Ok(key) = RsaPublicKey::from_public_key_pem(pem).or(RsaPublicKey::from_pkcs1_pem(pem)) {
        return from_rsa(key);
    }
    match p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
        Ok(key) => Ok(Verifier::Es256(key)),
        Err(_) => Err("it is no RSA or P-256 public key in PEM (BEGIN PUBLIC KEY or BEGIN RSA \
             PUBLIC KEY)"
            .to_owned()),
    }
}

fn from_rsa(key: RsaPublicKey) -> Result<Verifier, String> {
    if key.size() < MIN_MODULUS {
        return Err(format!("RSA keys have at least {} bits", MIN_MODULUS * 8));
    }
    Ok(Verifier::Rs256(rsa::pkcs1v15::VerifyingKey::new(key)))
}

fn from_secret(secret: &[u8]) -> Result<Verifier, String> {
    if secret.starts_with(b"-----BEGIN") {
        return Err("it is a key in PEM; write pem = ... for it".to_owned());
    }
    if secret.len() < MIN_SECRET {
        return Err(format!("it has {} bytes; HS256 wants at least {MIN_SECRET}", secret.len()));
    }
    Hmac::new_from_slice(secret).map(Verifier::Hs256).map_err(|error| error.to_string())
}

fn from_set(set: &Text, keys: &mut Vec<Key>) -> Result<(), String> {
    let parsed: JwkSet = serde_json::from_str(set.as_str())
        .map_err(|error| set.error(error.line(), format!("not a JWK set: {error}")))?;
    let before = keys.len();
    for (index, jwk) in parsed.keys.into_iter().enumerate() {
        let at = |error: String| format!("key {}: {error}", index + 1);
        // Keys for something else may stand in the same set (RFC 7517, section 5).
        if jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
            && let Some(verifier) = from_jwk(&jwk).map_err(at)?
        {
            keys.push(Key { kid: jwk.kid, verifier });
        }
    }
    if keys.len() == before {
        return Err("it holds no key for RS256, ES256 or HS256".to_owned());
    }
    Ok(())
}

/// None for a key of another algorithm.
fn from_jwk(jwk: &Jwk) -> Result<Option<Verifier>, String> {
    let field = |name: &str, value: &Option<String>| {
        let text = value.as_deref().ok_or_else(|| format!("it lacks `{name}`"))?;
        Base64UrlUnpadded::decode_vec(text).map_err(|_| format!("its `{name}` is not Base64url"))
    };
    let wanted = |alg: &str| jwk.alg.as_deref().is_none_or(|own| own == alg);
    Ok(Some(match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) if wanted("RS256") => {
            let (n, e) = (field("n", &jwk.n)?, field("e", &jwk.e)?);
            let (n, e) = (BigUint::from_bytes_be(&n), BigUint::from_bytes_be(&e));
            let key = RsaPublicKey::new_with_max_size(n, e, MAX_MODULUS)
                .map_err(|error| format!("it is no RSA key: {error}"))?;
            from_rsa(key)?
        }
        ("EC", Some("P-256")) if wanted("ES256") => {
            let (x, y) = (field("x", &jwk.x)?, field("y", &jwk.y)?);
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                .map_err(|_| "it is no point of P-256".to_owned())?;
            Verifier::Es256(key)
        }
        ("oct", _) if wanted("HS256") => from_secret(&field("k", &jwk.k)?)?,
        _ => return Ok(None),
    }))
}

impl Key {
    /// Whether a token with this header may be signed with it.
    pub(crate) fn is_for(&self, alg: &str, kid: Option<&str>) -> bool {
        let own = match self.verifier {
            Verifier::Hs256(_) => "HS256",
            Verifier::Rs256(_) => "RS256",
            Verifier::Es256(_) => "ES256",
        };
        let named = match (&self.kid, kid) {
            (Some(own), Some(kid)) => own == kid,
            _ => true,
        };
        own == alg && named
    }

    pub(crate) fn verifies(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Hs256(mac) => {
                mac.clone().chain_update(signed).verify_slice(signature).is_ok()
            }
            Verifier::Rs256(key) => rsa::pkcs1v15::Signature::try_from(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            Verifier::Es256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
        }
    }
}
