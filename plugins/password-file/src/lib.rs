//! Authentication by user name and password, with the hashes of `wasmqtt passwd` or of `mosquitto_passwd`.
//! What an operator can configure is in `README.md`.
//!
//! An unknown user gets the same answer as a wrong password and costs the same time: every login computes
//! one hash of each scheme that is in use, with the user's own salt where it is the user's scheme.

mod hash;

use std::collections::{BTreeMap, HashMap};

use hash::{Hash, Memory};
use serde::Deserialize;
use wasmqtt_plugin::{
    Authentication, Connect, Failure, Identity, Outcome, Plugin, Refusal, Registration, Text,
    export,
};

/// Schemes (with their costs) that may be in use at the same time; every login pays for each.
const MAX_SCHEMES: usize = 8;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Name and hash.
    #[serde(default)]
    users: BTreeMap<String, String>,
    /// Lines of `NAME:HASH`.
    passwords: Option<Text>,
}

struct PasswordFile {
    users: HashMap<String, Hash>,
    /// One hash of each scheme in use; the answer to it is ignored.
    decoys: Vec<Hash>,
    memory: Memory,
}

impl Plugin for PasswordFile {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let mut users = HashMap::with_capacity(config.users.len());
        for (name, hash) in config.users {
            check_name(&name).map_err(|error| format!("users: {error}"))?;
            let hash = parse(&name, &hash)?;
            users.insert(name, hash);
        }
        if let Some(passwords) = &config.passwords {
            read(passwords, &mut users).map_err(|error| format!("passwords: {error}"))?;
        }
        if users.is_empty() {
            return Err("there is no user, so nobody could log in; add one to users, as in \
                 alice = \"$argon2id$...\" from `wasmqtt passwd`, or name a password file, as in \
                 passwords = { file = \"passwd\" }"
                .to_owned());
        }
        let decoys = decoys(users.values())?;
        let memory = Memory::for_schemes(decoys.iter().map(|decoy| &decoy.scheme))?;
        Ok((Self { users, decoys, memory }, Registration::new()))
    }
}

/// Reads the lines of a password file into `users`.
fn read(passwords: &Text, users: &mut HashMap<String, Hash>) -> Result<(), String> {
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for (number, line) in passwords.lines() {
        // As mosquitto, which takes a comment only at the beginning of a line.
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let entry = || {
            let (name, hash) = line
                .split_once(':')
                .ok_or("is not of the form NAME:HASH; is this a password file?".to_owned())?;
            check_name(name)?;
            if let Some(first) = lines.get(name) {
                return Err(format!("user {name:?} is in line {first} already"));
            }
            if users.contains_key(name) {
                return Err(format!("user {name:?} is among `users` already"));
            }
            Ok((name, parse(name, hash.trim())?))
        };
        let (name, hash) = entry().map_err(|error| passwords.error(number, error))?;
        lines.insert(name, number);
        users.insert(name.to_owned(), hash);
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("a name is empty; give the user a name".to_owned());
    }
    if name.contains(char::is_control) {
        return Err(format!("the name {name:?} holds a control character"));
    }
    Ok(())
}

fn parse(name: &str, hash: &str) -> Result<Hash, String> {
    Hash::parse(hash)
        .map_err(|error| format!("user {name:?}: {error}; make a new hash with `wasmqtt passwd`"))
}

fn decoys<'a>(hashes: impl Iterator<Item = &'a Hash>) -> Result<Vec<Hash>, String> {
    let mut decoys: Vec<Hash> = Vec::new();
    for hash in hashes {
        if decoys.iter().all(|decoy| decoy.scheme != hash.scheme) {
            decoys.push(hash.clone());
        }
        if decoys.len() > MAX_SCHEMES {
            return Err(format!(
                "the hashes are of more than {MAX_SCHEMES} kinds (algorithm and costs), and every login \
                 computes one of each so that its time tells nothing; make new hashes of the same kind"
            ));
        }
    }
    Ok(decoys)
}

impl PasswordFile {
    /// Whether what `verify` compares is this user's. It is called once for each scheme in use, whoever the user is.
    fn matches(
        &mut self,
        username: &str,
        mut verify: impl FnMut(&Hash, &mut Memory) -> Result<bool, String>,
    ) -> Result<bool, String> {
        let user = self.users.get(username);
        let mut matches = false;
        for decoy in &self.decoys {
            let own = user.filter(|user| user.scheme == decoy.scheme);
            let computed = verify(own.unwrap_or(decoy), &mut self.memory)?;
            matches |= computed && own.is_some();
        }
        Ok(matches)
    }
}

impl Authentication for PasswordFile {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let Some(username) = &connect.username else {
            return Ok(Outcome::Abstain);
        };
        let password = connect.password.as_deref().unwrap_or_default();
        let matches = self
            .matches(username, |hash, memory| hash.verify(password, memory))
            .map_err(Failure::permanent)?;
        if matches && connect.password.is_some() {
            Ok(Outcome::accept(Identity::named(username)))
        } else {
            Ok(Outcome::refuse(Refusal::bad_user_name_or_password()))
        }
    }
}

export!(PasswordFile: authentication);

#[cfg(test)]
mod tests;
