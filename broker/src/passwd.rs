//! `wasmqtt passwd`: a line for the users of the password-file plugin.

use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context as _, bail, ensure};
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};

/// OWASP's choice for 7 MiB: fits into the 16 MiB that a plugin gets by default.
const MEMORY_KIB: u32 = 7168;
const PASSES: u32 = 5;
const LANES: u32 = 1;

/// Asks for a password, twice on a terminal, else reads the first line of standard input. Answers the line for the
/// configuration.
///
/// # Errors
/// Passwords that are empty or differ, a name that the configuration cannot hold, and what the system refuses.
pub fn line(name: &str) -> anyhow::Result<String> {
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
    Ok(format!("{} = \"{}\"", key(name), hash(password.as_bytes())?))
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
    fn names_that_are_no_bare_keys_are_quoted() {
        assert_eq!(key("alice-2"), "alice-2");
        assert_eq!(key("a b"), "\"a b\"");
    }
}
