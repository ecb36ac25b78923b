//! `wasmqtt passwd`: a line for the users of the password-file plugin, or of the scram plugin.

mod file;

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context as _, bail, ensure};
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// OWASP's choice for 7 MiB: fits into the 16 MiB that a plugin gets by default.
const MEMORY_KIB: u32 = 7168;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// OWASP's choice for PBKDF2 with HMAC-SHA-256.
pub const ITERATIONS: u32 = 600_000;
/// Bytes of a SCRAM salt.
const SALT: usize = 16;

/// What is made of a password.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// For the password-file plugin.
    Argon2id,
    /// For the scram plugin: SCRAM-SHA-256 with so many iterations, 4096 at least, which each login costs the client.
    Scram(u32),
}

pub use file::{Change, delete, set};

/// Asks for a password, as [`hash_of`] does. Answers the line for the configuration.
///
/// # Errors
/// As there.
pub fn line(name: &str, form: Form) -> anyhow::Result<String> {
    Ok(format!("{} = \"{}\"", key(name), hash_of(name, form)?))
}

/// Asks for a password, as [`hash_of`] does. Answers the line for a password file.
///
/// # Errors
/// As there, and a name that such a file cannot hold.
pub fn plain(name: &str) -> anyhow::Result<String> {
    file::check_name(name)?;
    Ok(format!("{name}:{}", hash_of(name, Form::Argon2id)?))
}

/// Asks for a password, twice on a terminal, else reads the first line of standard input.
///
/// # Errors
/// Passwords that are empty or differ, a name that no user can have, and what the system refuses.
pub fn hash_of(name: &str, form: Form) -> anyhow::Result<String> {
    ensure!(!name.is_empty() && !name.chars().any(char::is_control), "this is no user name");
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password(format!("Password for {name}: "))?;
        if password != rpassword::prompt_password("Again: ")? {
            bail!("the passwords differ");
        }
        password
    } else {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).context("cannot read the password")?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    ensure!(!password.is_empty(), "an empty password lets everybody in; nothing was made");
    match form {
        Form::Argon2id => hash(password.as_bytes()),
        Form::Scram(iterations) => {
            let mut salt = [0; SALT];
            getrandom::fill(&mut salt).context("the system has no randomness")?;
            scram(&password, &salt, iterations)
        }
    }
}

/// The form of RFC 5803 that PostgreSQL uses, too: `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`.
fn scram(password: &str, salt: &[u8], iterations: u32) -> anyhow::Result<String> {
    let password = stringprep::saslprep(password)
        .context("the password holds what SASLprep (RFC 4013) does not allow")?;
    let salted: [u8; 32] =
        pbkdf2::pbkdf2_array::<Hmac<Sha256>, 32>(password.as_bytes(), salt, iterations)
            .map_err(|error| anyhow::anyhow!("cannot make a key: {error}"))?;
    let sign = |what: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&salted)
            .map_err(|error| anyhow::anyhow!("cannot make a key: {error}"))?;
        mac.update(what);
        anyhow::Ok(mac.finalize().into_bytes())
    };
    let stored_key = Base64::encode_string(&Sha256::digest(sign(b"Client Key")?));
    let server_key = Base64::encode_string(&sign(b"Server Key")?);
    let salt = Base64::encode_string(salt);
    Ok(format!("SCRAM-SHA-256${iterations}:{salt}${stored_key}:{server_key}"))
}

fn hash(password: &[u8]) -> anyhow::Result<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)
        .map_err(|error| anyhow::anyhow!("argon2 parameters: {error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: argon2::password_hash::phc::PasswordHash = argon2
        .hash_password(password)
        .map_err(|error| anyhow::anyhow!("cannot hash the password: {error}"))?;
    Ok(hash.to_string())
}

/// A name as a TOML key, quoted where it has to be.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.chars().all(bare) { name.to_owned() } else { toml::Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[test]
    fn a_hash_verifies_its_password_and_no_other_and_is_salted() {
        let text = hash(b"secret").unwrap();
        assert!(text.starts_with("$argon2id$v=19$m=7168,t=5,p=1$"), "{text}");
        let parsed = PasswordHash::new(&text).unwrap();
        assert!(Argon2::default().verify_password(b"secret", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"Secret", &parsed).is_err());
        assert_ne!(hash(b"secret").unwrap(), text);
    }

    #[test]
    fn scram_credentials_are_those_of_the_rfc_and_the_password_is_prepared() {
        // RFC 7677 gives salt, iterations and signatures; these keys verify them.
        let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(scram("pencil", &salt, 4096).unwrap(), expected);
        assert_eq!(scram("pen\u{ad}cil", &salt, 4096).unwrap(), expected);
        assert_ne!(scram("Pencil", &salt, 4096).unwrap(), expected);
        assert!(scram("a\u{7}", &salt, 4096).is_err());
    }

    #[test]
    fn names_that_are_no_bare_keys_are_quoted() {
        assert_eq!(key("alice-2"), "alice-2");
        assert_eq!(key("a b"), "\"a b\"");
    }
}
