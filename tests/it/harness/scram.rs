//! A client's side of SCRAM-SHA-256 (RFC 5802), and the user of the example of RFC 7677. Must not know MQTT.

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(crate) const METHOD: &str = "SCRAM-SHA-256";
pub(crate) const PASSWORD: &str = "pencil";
/// A line of `[plugin.config.users]`.
pub(crate) const USER: &str = "user = \"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
    WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\"\n";

const BARE: &str = "n=user,r=nonce";

/// The client's first message.
pub(crate) fn first() -> Vec<u8> {
    format!("n,,{BARE}").into_bytes()
}

/// The client's last message, and what the server has to answer.
pub(crate) fn last(password: &str, server_first: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let server_first = std::str::from_utf8(server_first).unwrap();
    let part = |name: &str| {
        server_first.split(',').find_map(|part| part.strip_prefix(name)).expect("an attribute")
    };
    let salt = Base64::decode_vec(part("s=")).unwrap();
    let iterations = part("i=").parse().unwrap();
    let salted: [u8; 32] =
        pbkdf2::pbkdf2_array::<Hmac<Sha256>, 32>(password.as_bytes(), &salt, iterations).unwrap();
    let client_key = hmac(&salted, b"Client Key");
    let without_proof = format!("c=biws,r={}", part("r="));
    let auth_message = format!("{BARE},{server_first},{without_proof}");
    let mut proof = hmac(&Sha256::digest(client_key), auth_message.as_bytes());
    proof.iter_mut().zip(client_key).for_each(|(byte, key)| *byte ^= key);
    let signature = hmac(&hmac(&salted, b"Server Key"), auth_message.as_bytes());
    let last = format!("{without_proof},p={}", Base64::encode_string(&proof));
    (last.into_bytes(), format!("v={}", Base64::encode_string(&signature)).into_bytes())
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}
