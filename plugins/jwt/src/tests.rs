//! What tokens are taken, and what their bearers become.

use base64ct::{Base64UrlUnpadded, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use wasmqtt_plugin::test;

use super::*;

const RSA: &str = include_str!("../tests/rsa.pem");
const RSA_PKCS1: &str = include_str!("../tests/rsa-pkcs1.pem");
const RSA_1024: &str = include_str!("../tests/rsa1024.pem");
const EC: &str = include_str!("../tests/ec.pem");
const JWKS: &str = include_str!("../tests/jwks.json");
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// In the life of every token here.
const NOW: u64 = 1_800_000_000;

/// A token that another implementation made; see `tests/tokens.json`.
fn foreign(name: &str) -> String {
    let tokens: Value = serde_json::from_str(include_str!("../tests/tokens.json")).unwrap();
    tokens[name].as_str().unwrap().to_owned()
}

fn encode(value: &Value) -> String {
    Base64UrlUnpadded::encode_string(value.to_string().as_bytes())
}

fn signed(header: &Value, claims: &Value, secret: &str) -> String {
    let text = format!("{}.{}", encode(header), encode(claims));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signature = mac.chain_update(text.as_bytes()).finalize().into_bytes();
    format!("{text}.{}", Base64UrlUnpadded::encode_string(&signature))
}

fn hs256(claims: &Value) -> String {
    signed(&json!({"alg": "HS256"}), claims, SECRET)
}

fn plugin(config: &Value) -> Jwt {
    test::set_clock(Duration::from_secs(NOW));
    test::init(&config.to_string()).unwrap().0
}

fn with_secret(more: Value) -> Jwt {
    let mut config = json!({ "keys": [{ "secret": SECRET }] });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    plugin(&config)
}

fn log_in(jwt: &mut Jwt, token: &str) -> Outcome {
    jwt.authenticate(&Connect::new("c7").with_password("device-7", token)).unwrap()
}

fn identity(jwt: &mut Jwt, token: &str) -> Identity {
    match log_in(jwt, token) {
        Outcome::Accept(identity) => identity,
        other => panic!("{other:?}"),
    }
}

fn reason(jwt: &mut Jwt, token: &str) -> String {
    match log_in(jwt, token) {
        Outcome::Refuse(Refusal { code: 0x86, reason, .. }) => reason.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn error(config: &Value) -> String {
    test::init::<Jwt>(&config.to_string()).map(|_| ()).unwrap_err()
}

#[test]
fn tokens_of_another_implementation_are_verified_with_keys_in_each_form() {
    for (keys, good, bad) in [
        (json!([{ "pem": RSA }]), vec!["rs256", "rs256-no-kid"], vec!["es256"]),
        (json!([{ "pem": RSA_PKCS1 }]), vec!["rs256"], vec!["es256"]),
        (json!([{ "pem": RSA, "kid": "rsa-1" }]), vec!["rs256", "rs256-no-kid"], vec![]),
        (json!([{ "pem": RSA, "kid": "rsa-2" }]), vec!["rs256-no-kid"], vec!["rs256"]),
        (json!([{ "pem": EC }]), vec!["es256"], vec!["rs256", "es256-der"]),
        (
            json!([{ "jwks": { "file": "jwks.json", "content": JWKS } }]),
            vec!["rs256", "rs256-no-kid", "es256"],
            vec!["es256-der", "hs256-with-the-public-key"],
        ),
    ] {
        let mut jwt = plugin(&json!({ "keys": keys }));
        for name in good {
            assert_eq!(
                identity(&mut jwt, &foreign(name)).name.as_deref(),
                Some("device-7"),
                "{name}"
            );
        }
        for name in bad {
            reason(&mut jwt, &foreign(name));
        }
    }
}

#[test]
fn a_token_without_signature_or_signed_with_a_public_key_is_refused() {
    let mut jwt = plugin(&json!({ "keys": [{ "pem": RSA }, { "pem": EC }] }));
    let none = "no key is for its algorithm and key id";
    assert!(reason(&mut jwt, &foreign("hs256-with-the-public-key")).contains(none));
    let claims = json!({"sub": "device-7", "exp": NOW + 60});
    for alg in ["none", "None", "NONE", "", "HS384", "RS512", "hs256"] {
        let header = json!({ "alg": alg });
        let unsigned = format!("{}.{}.", encode(&header), encode(&claims));
        assert!(reason(&mut jwt, &unsigned).contains(none), "{alg}");
        for secret in [RSA, EC] {
            assert!(reason(&mut jwt, &signed(&header, &claims, secret)).contains(none), "{alg}");
        }
    }
    // The algorithm of the key under the signature of another.
    for name in ["rs256", "es256"] {
        let token = foreign(name);
        let (text, _) = token.rsplit_once('.').unwrap();
        assert!(reason(&mut jwt, &format!("{text}.")).contains("signature is wrong"));
        assert!(reason(&mut jwt, &format!("{text}.AAAA")).contains("signature is wrong"));
    }
    let mut es = foreign("es256").into_bytes();
    let zeros = Base64UrlUnpadded::encode_string(&[0; 64]);
    let start = es.len() - zeros.len();
    es[start..].copy_from_slice(zeros.as_bytes());
    assert!(reason(&mut jwt, std::str::from_utf8(&es).unwrap()).contains("signature is wrong"));
}

#[test]
fn a_changed_payload_or_another_secret_is_refused() {
    let mut jwt = with_secret(json!({}));
    let claims = json!({"sub": "device-7", "exp": NOW + 60});
    let token = hs256(&claims);
    let parts: Vec<&str> = token.split('.').collect();
    let other = encode(&json!({"sub": "admin", "exp": NOW + 60}));
    let forged = format!("{}.{other}.{}", parts[0], parts[2]);
    assert!(reason(&mut jwt, &forged).contains("signature is wrong"));
    let header = json!({"alg": "HS256"});
    let stranger = signed(&header, &claims, "another secret of thirty-two bytes");
    assert!(reason(&mut jwt, &stranger).contains("signature is wrong"));
    let critical = signed(&json!({"alg": "HS256", "crit": ["exp"]}), &claims, SECRET);
    assert!(reason(&mut jwt, &critical).contains("extension"));
}

#[test]
fn times_are_judged_with_the_leeway_and_end_the_identity() {
    let mut jwt = with_secret(json!({ "leeway": 10 }));
    for (claims, outcome) in [
        (json!({"exp": NOW + 60}), Ok(70)),
        (json!({"exp": NOW - 9}), Ok(1)),
        (json!({"exp": NOW - 10}), Err("has expired")),
        (json!({"exp": 1}), Err("has expired")),
        (json!({"exp": (NOW + 60) as f64 + 0.5}), Ok(70)),
        (json!({"exp": u64::MAX}), Ok(u32::MAX)),
        (json!({"exp": "soon"}), Err("`exp` is not a time")),
        (json!({"exp": -5}), Err("`exp` is not a time")),
        (json!({}), Err("never expires")),
        (json!({"exp": NOW + 60, "nbf": NOW + 10}), Ok(70)),
        (json!({"exp": NOW + 60, "nbf": NOW + 11}), Err("not valid yet")),
        (json!({"exp": NOW + 60, "nbf": "x"}), Err("`nbf` is not a time")),
    ] {
        let mut claims = claims;
        claims["sub"] = "device-7".into();
        let token = hs256(&claims);
        match outcome {
            Ok(seconds) => {
                assert_eq!(identity(&mut jwt, &token).expires_in, Some(seconds), "{claims}")
            }
            Err(part) => assert!(reason(&mut jwt, &token).contains(part), "{claims}"),
        }
    }
    let mut jwt = with_secret(json!({ "require_expiry": false }));
    assert_eq!(identity(&mut jwt, &hs256(&json!({"sub": "d"}))).expires_in, None);
}

#[test]
fn issuer_audience_name_and_client_id_must_be_as_demanded() {
    let mut jwt = with_secret(json!({
        "issuer": ["https://a/", "https://b/"], "audience": "mqtt", "match_username": true, "client_id": "cid",
    }));
    let good = json!({"exp": NOW + 9, "iss": "https://b/", "aud": ["x", "mqtt"], "sub": "device-7", "cid": "c7"});
    assert_eq!(identity(&mut jwt, &hs256(&good)).name.as_deref(), Some("device-7"));
    for (key, value, part) in [
        ("iss", json!("https://c/"), "another issuer"),
        ("iss", Value::Null, "another issuer"),
        ("aud", json!("mqtt2"), "another audience"),
        ("aud", json!(["x"]), "another audience"),
        ("aud", Value::Null, "another audience"),
        ("sub", json!(""), "does not say the client's name"),
        ("sub", json!(7), "does not say the client's name"),
        ("sub", json!("a\u{0}b"), "does not say the client's name"),
        ("sub", json!("device-8"), "of another user"),
        ("cid", json!("c8"), "another client identifier"),
        ("cid", Value::Null, "another client identifier"),
    ] {
        let mut claims = good.clone();
        claims[key] = value;
        assert!(reason(&mut jwt, &hs256(&claims)).contains(part), "{key}: {claims}");
    }
}

#[test]
fn claims_become_attributes_and_permissions() {
    let mut jwt = plugin(&json!({
        "keys": [{ "jwks": JWKS }],
        "attributes": { "site": "site", "floor": "dev.floor", "roles": "roles", "none": "dev.none" },
        "permissions": [
            { "effect": "deny", "filter": "site/${attribute.site}/secret", "actions": ["subscribe"] },
            { "effect": "allow", "filter": "site/${attribute.site}/#", "actions": ["publish", "subscribe"], "max_qos": 1 },
            { "effect": "allow", "claim": "roles", "actions": ["receive"] },
            { "effect": "allow", "claim": "sub", "actions": ["publish"], "retain": false },
            { "effect": "allow", "claim": "missing", "actions": ["publish"] },
        ],
    }));
    let identity = identity(&mut jwt, &foreign("es256"));
    let attribute = |name: &str| {
        identity.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    };
    assert_eq!((attribute("site"), attribute("floor")), (Some("north"), Some("7")));
    assert_eq!((attribute("roles"), attribute("none")), (Some(r#"["sensor","meter"]"#), None));
    let both = Actions::PUBLISH | Actions::SUBSCRIBE;
    assert_eq!(
        identity.permissions,
        [
            Permission::deny("site/${attribute.site}/secret", Actions::SUBSCRIBE),
            Permission::allow("site/${attribute.site}/#", both).max_qos(Qos::AtLeastOnce),
            Permission::allow("sensor", Actions::RECEIVE),
            Permission::allow("meter", Actions::RECEIVE),
            Permission::allow("device-7", Actions::PUBLISH).retain(false),
        ]
    );
}

#[test]
fn permissions_of_a_token_are_bounded_and_must_be_filters() {
    let mut jwt = with_secret(json!({
        "permissions": [{ "effect": "deny", "claim": "no", "actions": ["publish"] }],
    }));
    let token = |no: Value| hs256(&json!({"exp": NOW + 9, "sub": "d", "no": no}));
    assert_eq!(identity(&mut jwt, &token(json!(vec!["a"; 256]))).permissions.len(), 256);
    assert!(reason(&mut jwt, &token(json!(vec!["a"; 257]))).contains("more than 256"));
    for wrong in [json!(7), json!(["a", 7]), json!({"a": 1})] {
        assert!(reason(&mut jwt, &token(wrong)).contains("holds no filters"));
    }
}

#[test]
fn what_is_no_token_is_left_to_the_next_plugin_and_a_long_one_is_refused() {
    let mut jwt = with_secret(json!({}));
    for password in ["secret", "", "a.b.c", "eyJ.b", "eyJ.b.c.d", "eyJ..", "eyJ.ö.x"] {
        assert_eq!(log_in(&mut jwt, password), Outcome::Abstain, "{password}");
    }
    assert_eq!(jwt.authenticate(&Connect::new("c")), Ok(Outcome::Abstain));
    let long = format!("eyJ{}.a.b", "a".repeat(16 * 1024));
    assert!(reason(&mut jwt, &long).contains("longer than 16 KiB"));
    assert!(reason(&mut jwt, "eyJ.a.b").contains("compact form"));
    let mut jwt = with_secret(json!({ "password": false, "methods": ["JWT"] }));
    let token = hs256(&json!({"exp": NOW + 9, "sub": "d"}));
    assert_eq!(log_in(&mut jwt, &token), Outcome::Abstain);
}

#[test]
fn a_token_comes_as_authentication_data_as_well() {
    let mut jwt = with_secret(json!({ "methods": ["OAUTH2-JWT"] }));
    assert_eq!(jwt.methods(), ["OAUTH2-JWT"]);
    let token = hs256(&json!({"exp": NOW + 9, "sub": "d"}));
    let connect = Connect::new("c7");
    let step = jwt.begin(&connect, "OAUTH2-JWT", token.as_bytes()).unwrap();
    let expected = Identity::named("d").expires_in(Duration::from_secs(69));
    assert_eq!(step, Step::accept(expected));
    for data in [&b""[..], b"\xff", b"secret"] {
        let step = jwt.begin(&connect, "OAUTH2-JWT", data).unwrap();
        assert!(matches!(step, Step::Refuse(Refusal { code: 0x87, .. })), "{step:?}");
    }
    let step = jwt.proceed(&connect, "OAUTH2-JWT", token.as_bytes(), b"").unwrap();
    assert!(matches!(step, Step::Refuse(_)));
}

#[test]
fn a_bad_configuration_names_the_key_and_what_is_wrong() {
    for (key, part) in [
        (json!({ "pem": RSA_1024 }), "pem: RSA keys have at least 2048 bits"),
        (json!({ "pem": "hello" }), "pem: it is no RSA or P-256 public key"),
        (json!({ "pem": "-----BEGIN PRIVATE KEY-----\nx" }), "it is a private key"),
        (json!({ "secret": "short" }), "secret: it has 5 bytes"),
        (json!({ "secret": RSA }), "secret: it is a key in PEM"),
        (json!({}), "write one of pem, secret and jwks"),
        (json!({ "pem": RSA, "secret": SECRET }), "write one of pem, secret and jwks"),
        (
            json!({ "jwks": { "file": "k.json", "content": "{\n\"keys\": 7}" } }),
            "jwks: k.json:2: not a JWK set",
        ),
        (json!({ "jwks": "{\"keys\": []}" }), "jwks: it holds no key"),
        (
            json!({ "jwks": "{\"keys\": [{\"kty\": \"RSA\", \"n\": \"AQ\"}]}" }),
            "jwks: key 1: it lacks `e`",
        ),
        (
            json!({ "jwks": "{\"keys\": [{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}" }),
            "no point of P-256",
        ),
        (json!({ "pen": RSA }), "unknown field `pen`"),
    ] {
        let error = error(&json!({ "keys": [{ "pem": EC }, key] }));
        assert!(error.starts_with("keys[1]: ") && error.contains(part), "{key}: {error}");
    }
    let secret = json!([{ "secret": SECRET }]);
    for (config, part) in [
        (json!({ "keys": [] }), "keys: is empty"),
        (json!({ "keys": secret, "audience": [] }), "audience: is empty"),
        (json!({ "keys": secret, "password": false }), "methods: name one"),
        (
            json!({ "keys": secret, "permissions": [{ "effect": "allow", "actions": ["publish"] }] }),
            "permissions[0]: write either",
        ),
        (
            json!({ "keys": secret, "permissions": [{ "effect": "allow", "filter": "a", "actions": [] }] }),
            "actions: is empty",
        ),
        (json!({ "keys": secret, "issuers": "x" }), "unknown field `issuers`"),
    ] {
        let error = error(&config);
        assert!(error.contains(part), "{config}: {error}");
    }
}
