//! Authentication: user names and Argon2id hashes from the broker's configuration. `wasmqtt passwd` makes
//! the hashes.
//!
//! ```toml
//! [plugin.config.users]
//! alice = "$argon2id$v=19$m=7168,t=5,p=1$..."
//! ```
//!
//! A client without a username is left to the next plugin. An unknown user costs as much time as a wrong
//! password and gets the same answer; hash all passwords with the same parameters, or the time tells a
//! user with cheap ones from the others.

mod hash;

use std::collections::{BTreeMap, HashMap};

use hash::{Hash, Memory};
use serde::Deserialize;
use wasmqtt_plugin::{
    Authentication, Connect, Failure, Identity, Outcome, Plugin, Refusal, Registration, export,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Name and Argon2id hash in PHC form.
    users: BTreeMap<String, String>,
}

struct PasswordFile {
    users: HashMap<String, Hash>,
    /// Verified in place of the hash of a user who does not exist, and its answer ignored: the costliest
    /// there is.
    decoy: Hash,
    memory: Memory,
}

impl Plugin for PasswordFile {
    type Config = Config;

    fn init(config: Config) -> Result<(Self, Registration), String> {
        let mut users = HashMap::with_capacity(config.users.len());
        let mut decoy: Option<Hash> = None;
        let mut largest: Option<(String, Hash)> = None;
        for (name, phc) in config.users {
            if name.is_empty() {
                return Err("users: a name is empty; give the user a name".to_owned());
            }
            let hash = Hash::parse(&phc).map_err(|error| {
                format!("user {name:?}: {error}; make a new hash with `wasmqtt passwd`")
            })?;
            if largest.as_ref().is_none_or(|(_, largest)| hash.kib() > largest.kib()) {
                largest = Some((name.clone(), hash.clone()));
            }
            if decoy.as_ref().is_none_or(|decoy| hash.cost() > decoy.cost()) {
                decoy = Some(hash.clone());
            }
            users.insert(name, hash);
        }
        let (Some(decoy), Some((name, largest))) = (decoy, largest) else {
            return Err("users: is empty, so nobody could log in; add a user, as in \
                 alice = \"$argon2id$...\" from `wasmqtt passwd`"
                .to_owned());
        };
        let memory =
            Memory::for_hash(&largest).map_err(|error| format!("user {name:?}: {error}"))?;
        Ok((Self { users, decoy, memory }, Registration::new()))
    }
}

impl Authentication for PasswordFile {
    fn authenticate(&mut self, connect: &Connect) -> Result<Outcome, Failure> {
        let Some(username) = &connect.username else {
            return Ok(Outcome::Abstain);
        };
        let (hash, exists) = match self.users.get(username) {
            Some(hash) => (hash, true),
            None => (&self.decoy, false),
        };
        let password = connect.password.as_deref().unwrap_or_default();
        let matches = hash.verify(password, &mut self.memory).map_err(Failure::permanent)?;
        if matches && exists && connect.password.is_some() {
            Ok(Outcome::accept(Identity::named(username)))
        } else {
            Ok(Outcome::refuse(Refusal::bad_user_name_or_password()))
        }
    }
}

export!(PasswordFile: authentication);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use wasmqtt_plugin::test;

    /// `wonderland`, `builder`; cheap ones, so that the tests are quick.
    const ALICE: &str = "$argon2id$v=19$m=1024,t=2,p=1$P5VXkhafPuwlYzTaG5Pe0g$u98hMP+t0jnNh8petthnp2xi4iWsxjxE054i6rgOPs0";
    const BOB: &str = "$argon2id$v=19$m=1024,t=2,p=1$8T9i969p9QFftXug2FXx5Q$GcfsEYxW2+1/It92J0j5ieb8Wl1MgIIkSa8GfZ1okwI";

    fn plugin() -> PasswordFile {
        let config = format!(r#"{{"users": {{"alice": "{ALICE}", "bob": "{BOB}"}}}}"#);
        test::init(&config).unwrap().0
    }

    fn error(config: &str) -> String {
        test::init::<PasswordFile>(config).map(|_| ()).unwrap_err()
    }

    fn log_in(plugin: &mut PasswordFile, username: &str, password: &[u8]) -> Outcome {
        plugin.authenticate(&Connect::new("c").with_password(username, password)).unwrap()
    }

    fn refused() -> Outcome {
        Outcome::refuse(Refusal::new(0x86))
    }

    #[test]
    fn the_right_password_is_accepted_under_the_users_name() {
        let mut plugin = plugin();
        let alice = Outcome::accept(Identity::named("alice"));
        assert_eq!(log_in(&mut plugin, "alice", b"wonderland"), alice);
        let bob = Outcome::accept(Identity::named("bob"));
        assert_eq!(log_in(&mut plugin, "bob", b"builder"), bob);
    }

    #[test]
    fn a_wrong_password_an_unknown_user_and_no_password_get_the_same_answer() {
        let mut plugin = plugin();
        for (username, password) in
            [("alice", "builder"), ("alice", ""), ("eve", "wonderland"), ("Alice", "wonderland")]
        {
            assert_eq!(log_in(&mut plugin, username, password.as_bytes()), refused(), "{username}");
        }
        let mut connect = Connect::new("c");
        connect.username = Some("alice".to_owned());
        assert_eq!(plugin.authenticate(&connect), Ok(refused()));
    }

    #[test]
    fn an_unknown_user_takes_as_long_as_a_wrong_password() {
        let mut plugin = plugin();
        let mut fastest = |username| {
            (0..15).fold(Duration::MAX, |least, _| {
                let start = Instant::now();
                assert_eq!(log_in(&mut plugin, username, b"wrong"), refused());
                least.min(start.elapsed())
            })
        };
        let (known, unknown) = (fastest("alice"), fastest("eve"));
        assert!(unknown > known / 2 && unknown < known * 2, "{known:?} {unknown:?}");
    }

    #[test]
    fn a_client_without_a_username_is_left_to_the_next_plugin() {
        assert_eq!(plugin().authenticate(&Connect::new("c")), Ok(Outcome::Abstain));
    }

    #[test]
    fn a_bad_configuration_names_the_user_and_what_to_do() {
        let user = |phc: &str| error(&format!(r#"{{"users": {{"bob": "{phc}"}}}}"#));
        let salt_and_hash = ALICE.rsplit_once("p=1").unwrap().1;
        for (phc, part) in [
            ("secret".to_owned(), "not an Argon2id hash"),
            (String::new(), "not an Argon2id hash"),
            (ALICE.replace("argon2id", "argon2i"), "is argon2i"),
            (ALICE.replace("$v=19", ""), "v=19"),
            (ALICE.replace("v=19", "v=16"), "v=19"),
            (ALICE.replace("t=2", "t=0"), "not an Argon2id hash"),
            (ALICE.replace("t=2", "x=2"), "not an Argon2id hash"),
            (ALICE.rsplit_once('$').unwrap().0.to_owned(), "holds no hash"),
            (format!("$argon2id$v=19$m=4294967295,t=1,p=1{salt_and_hash}"), "memory"),
        ] {
            let error = user(&phc);
            assert!(error.starts_with("user \"bob\": ") && error.contains(part), "{phc}: {error}");
        }
        assert!(error(r#"{"users": {}}"#).contains("users: is empty"));
        assert!(error("{}").contains("missing field `users`"));
        assert!(error(r#"{"users": {"": "x"}}"#).contains("a name is empty"));
        assert!(error(r#"{"users": {}, "user": {}}"#).contains("unknown field `user`"));
        assert!(error(r#"{"users": {"bob": 7}}"#).contains("users.bob: invalid type"));
    }
}
