//! Against the example of RFC 7677, and against a client written from RFC 5802.

use std::collections::BTreeSet;

use wasmqtt_plugin::test;

use super::*;
use crate::message::{EXTENSIONS, NO_CHANNEL_BINDING};

/// PBKDF2 with one block: what a client makes of its password.
fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; KEY] {
    let mut block = hmac(password.as_bytes(), &[salt, &1u32.to_be_bytes()]);
    let mut sum = block;
    for _ in 1..iterations {
        block = hmac(password.as_bytes(), &[&block]);
        sum.iter_mut().zip(block).for_each(|(sum, byte)| *sum ^= byte);
    }
    sum
}

fn sha256(bytes: &[u8]) -> [u8; KEY] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

fn line(password: &str, salt: &[u8], iterations: u32) -> String {
    let salted = salted(password, salt, iterations);
    let stored = sha256(&hmac(&salted, &[b"Client Key"]));
    let server = hmac(&salted, &[b"Server Key"]);
    let [salt, stored, server] = [salt, &stored, &server].map(Base64::encode_string);
    format!("SCRAM-SHA-256${iterations}:{salt}${stored}:{server}")
}

fn plugin_with(keys: &str) -> Scram {
    let alice = line("secret", b"0123456789abcdef", 4096);
    let comma = line("geheim", b"fedcba9876543210", 5000);
    let config = format!("{{{keys} \"users\": {{\"alice\": {alice:?}, \"a,b=c\": {comma:?}}}}}");
    test::init(&config).unwrap().0
}

fn plugin() -> Scram {
    plugin_with("")
}

fn challenge(step: Step) -> (String, Vec<u8>) {
    match step {
        Step::Challenge(challenge) => (String::from_utf8(challenge.data).unwrap(), challenge.state),
        other => panic!("{other:?}"),
    }
}

fn begin(plugin: &mut Scram, data: &str) -> Step {
    plugin.begin(&Connect::new("c"), METHOD, data.as_bytes()).unwrap()
}

fn proceed(plugin: &mut Scram, data: &str, state: &[u8]) -> Step {
    plugin.proceed(&Connect::new("c"), METHOD, data.as_bytes(), state).unwrap()
}

/// What a server's first message holds: nonce, salt and iterations.
fn read(server_first: &str) -> (String, Vec<u8>, u32) {
    let parts: Vec<&str> = server_first.split(',').collect();
    let value = |place: usize, name: &str| parts[place].strip_prefix(name).unwrap();
    let salt = Base64::decode_vec(value(1, "s=")).unwrap();
    (value(0, "r=").to_owned(), salt, value(2, "i=").parse().unwrap())
}

/// The client's final message, and the server's signature that it expects.
fn final_message(password: &str, header: &str, bare: &str, server_first: &str) -> (String, String) {
    let (nonce, salt, iterations) = read(server_first);
    let salted = salted(password, &salt, iterations);
    let client_key = hmac(&salted, &[b"Client Key"]);
    let without_proof = format!("c={},r={nonce}", Base64::encode_string(header.as_bytes()));
    let auth_message = format!("{bare},{server_first},{without_proof}");
    let mut proof = hmac(&sha256(&client_key), &[auth_message.as_bytes()]);
    proof.iter_mut().zip(client_key).for_each(|(byte, key)| *byte ^= key);
    let signature = hmac(&hmac(&salted, &[b"Server Key"]), &[auth_message.as_bytes()]);
    let proof = Base64::encode_string(&proof);
    (format!("{without_proof},p={proof}"), format!("v={}", Base64::encode_string(&signature)))
}

/// A whole exchange of a user with its name as it is sent.
fn log_in(plugin: &mut Scram, header: &str, name: &str, password: &str) -> (Step, String) {
    let bare = format!("n={name},r=clientnonce");
    let (server_first, state) = challenge(begin(plugin, &format!("{header}{bare}")));
    let (last, expected) = final_message(password, header, &bare, &server_first);
    (proceed(plugin, &last, &state), expected)
}

fn accepted(name: &str, data: String) -> Step {
    Step::accept_with(Identity::named(name), data)
}

fn wrong() -> Step {
    Step::refuse(Refusal::new(0x86))
}

fn malformed(why: &str) -> Step {
    Step::refuse(Refusal::new(0x87).reason(why))
}

#[test]
fn the_example_of_rfc_7677_is_answered_as_it_says() {
    let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let user = Credentials::parse(&line("pencil", &salt, 4096)).unwrap();
    let auth_message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
        r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
        c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let proof = Base64::decode_vec("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
    let mut proof: [u8; KEY] = proof.try_into().unwrap();
    assert!(user.prove(auth_message, &proof));
    let signature = Base64::encode_string(&user.sign(auth_message));
    assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    proof[31] ^= 1;
    assert!(!user.prove(auth_message, &proof));
}

#[test]
fn the_right_password_is_accepted_and_the_client_sees_that_the_broker_knows_its_keys() {
    let mut plugin = plugin();
    for header in ["n,,", "y,,", "n,a=alice,"] {
        let (step, expected) = log_in(&mut plugin, header, "alice", "secret");
        assert_eq!(step, accepted("alice", expected));
    }
    let (step, expected) = log_in(&mut plugin, "n,,", "a=2Cb=3Dc", "geheim");
    assert_eq!(step, accepted("a,b=c", expected));
}

#[test]
fn a_name_is_prepared_before_it_is_looked_up() {
    let mut plugin = plugin();
    // A soft hyphen and a letter of full width.
    let (step, expected) = log_in(&mut plugin, "n,,", "\u{ad}\u{ff41}lice", "secret");
    assert_eq!(step, accepted("alice", expected));
    assert_eq!(begin(&mut plugin, "n,,n=a\u{7}b,r=x"), malformed(INVALID_ENCODING));
}

#[test]
fn a_client_that_sends_nothing_first_is_asked_for_its_first_message() {
    let mut plugin = plugin();
    let (nothing, state) = challenge(begin(&mut plugin, ""));
    assert_eq!((nothing.as_str(), state.len()), ("", 0));
    let (server_first, state) = challenge(proceed(&mut plugin, "n,,n=alice,r=abc", &state));
    let (last, expected) = final_message("secret", "n,,", "n=alice,r=abc", &server_first);
    assert_eq!(proceed(&mut plugin, &last, &state), accepted("alice", expected));
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_told_the_same() {
    let mut plugin = plugin();
    for (name, password) in [("alice", "Secret"), ("alice", ""), ("eve", "secret"), ("eve", "")] {
        assert_eq!(log_in(&mut plugin, "n,,", name, password).0, wrong(), "{name}");
    }
}

#[test]
fn an_unknown_user_has_a_salt_that_stays_and_a_cost_that_others_have() {
    let other = line("x", b"0123456789abcdef", 4096);
    let more = format!("{{\"secret\": \"0123456789abcdef\", \"users\": {{\"new\": {other:?}}}}}");
    let secret = "\"secret\": \"0123456789abcdef\",";
    let mut seen = BTreeSet::new();
    for name in ["eve", "mallory", "eve "] {
        let first = format!("n,,n={name},r=x");
        let salt = |plugin: &mut Scram| read(&challenge(begin(plugin, &first)).0);
        let (_, made_up, iterations) = salt(&mut plugin_with(secret));
        assert!([4096, 5000].contains(&iterations));
        assert_eq!(made_up.len(), 16);
        assert_eq!(salt(&mut plugin_with(secret)).1, made_up, "in every instance");
        let mut changed = test::init::<Scram>(&more).unwrap().0;
        assert_eq!(salt(&mut changed).1, made_up, "whoever else there is");
        assert!(seen.insert(made_up), "another name, another salt");
    }
}

#[test]
fn every_exchange_has_a_nonce_of_its_own_and_a_proof_is_good_for_one() {
    let mut plugin = plugin();
    let bare = "n=alice,r=same";
    let mut nonces = BTreeSet::new();
    let mut old = None;
    for _ in 0..50 {
        let (server_first, state) = challenge(begin(&mut plugin, &format!("n,,{bare}")));
        let (nonce, ..) = read(&server_first);
        assert!(nonce.strip_prefix("same").is_some_and(|own| own.len() == 32));
        assert!(nonces.insert(nonce));
        let (last, _) = final_message("secret", "n,,", bare, &server_first);
        if let Some(old) = old.replace(last) {
            assert_eq!(proceed(&mut plugin, &old, &state), malformed(OTHER));
        }
    }
}

#[test]
fn a_nonce_or_a_binding_that_is_not_the_first_ones_is_refused() {
    let mut plugin = plugin();
    let bare = "n=alice,r=abc";
    let (server_first, state) = challenge(begin(&mut plugin, &format!("y,,{bare}")));
    let (last, _) = final_message("secret", "n,,", bare, &server_first);
    assert_eq!(proceed(&mut plugin, &last, &state), malformed(BINDINGS_DIFFER));
    let (last, _) = final_message("secret", "y,,", bare, &server_first);
    let other = last.replacen("r=abc", "r=abd", 1);
    assert_eq!(proceed(&mut plugin, &other, &state), malformed(OTHER));
}

#[test]
fn what_is_no_message_of_scram_is_refused_in_the_words_of_the_rfc() {
    let mut plugin = plugin();
    let long = format!("n,,n=a,r={}", "x".repeat(257));
    for (first, why) in [
        ("n", INVALID_ENCODING),
        ("n,,", INVALID_ENCODING),
        ("x,,n=a,r=b", INVALID_ENCODING),
        ("n,b=x,n=a,r=b", INVALID_ENCODING),
        ("n,,n=,r=b", INVALID_ENCODING),
        ("n,,n=a=41,r=b", INVALID_ENCODING),
        ("n,,n=a,r=", INVALID_ENCODING),
        ("n,,n=a,r=\u{e9}", INVALID_ENCODING),
        ("n,,r=b,n=a", INVALID_ENCODING),
        (&long, INVALID_ENCODING),
        ("p=tls-unique,,n=a,r=b", NO_CHANNEL_BINDING),
        ("n,,m=x,n=a,r=b", EXTENSIONS),
        ("n,a=bob,n=alice,r=b", OTHER),
    ] {
        assert_eq!(begin(&mut plugin, first), malformed(why), "{first}");
    }
    let refused = plugin.begin(&Connect::new("c"), METHOD, &[0xff]).unwrap();
    assert_eq!(refused, malformed(INVALID_ENCODING));
    let (_, state) = challenge(begin(&mut plugin, "n,,n=alice,r=abc"));
    for last in ["", "c=biws", "c=biws,r=abc", "c=biws,r=abc,p=AAAA", "c=!,r=abc,p=x", "r=x,p=x"] {
        assert_eq!(proceed(&mut plugin, last, &state), malformed(INVALID_ENCODING), "{last}");
    }
    let state = "not of this plugin".as_bytes();
    assert_eq!(proceed(&mut plugin, "c=biws,r=abc,p=x", state), malformed(OTHER));
}

#[test]
fn an_identity_may_expire() {
    let mut plugin = plugin_with("\"expires_in\": 90,");
    match log_in(&mut plugin, "n,,", "alice", "secret").0 {
        Step::Accept(success) => assert_eq!(success.identity.expires_in, Some(90)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bad_configuration_names_the_user_and_what_to_do() {
    let error = |config: &str| test::init::<Scram>(config).map(|_| ()).unwrap_err();
    let user = |text: &str| error(&format!("{{\"users\": {{\"bob\": {text:?}}}}}"));
    let good = line("x", b"0123456789abcdef", 4096);
    for (text, part) in [
        ("secret".to_owned(), "does not begin with SCRAM-SHA-256$"),
        ("SCRAM-SHA-256$4096".to_owned(), "is not ITERATIONS:SALT$STOREDKEY:SERVERKEY"),
        (good.replace("4096", "4095"), "not 4096 or more"),
        (good.replace("4096:", "4096:?"), "salt"),
        (line("x", b"short", 4096), "salt"),
        (good.rsplit_once(':').unwrap().0.to_owned() + ":AAAA", "server key"),
    ] {
        let error = user(&text);
        assert!(error.starts_with("user \"bob\": ") && error.contains(part), "{text}: {error}");
        assert!(error.contains("wasmqtt passwd --scram"), "{error}");
    }
    let with = |keys: &str| error(&format!("{{{keys}, \"users\": {{\"bob\": {good:?}}}}}"));
    assert!(with("\"secret\": \"short\"").contains("secret: is shorter than 16 bytes"));
    assert!(with("\"expires_in\": 0").contains("expires_in: is 0"));
    assert!(with("\"user\": {}").contains("unknown field `user`"));
    assert!(error("{\"users\": {}}").contains("users: is empty"));
    let twice = format!("{{\"users\": {{\"bob\": {good:?}, \"bo\u{ad}b\": {good:?}}}}}");
    assert!(error(&twice).contains("SASLprep"), "{}", error(&twice));
}
