//! What the plugin answers, and what it tells the operator. Nothing here knows how hashes are computed.

use super::hash::Scheme;
use super::*;
use wasmqtt_plugin::test;

/// `wonderland`, `builder`; cheap ones, so that the tests are quick.
const ALICE: &str = "$argon2id$v=19$m=1024,t=2,p=1$P5VXkhafPuwlYzTaG5Pe0g$u98hMP+t0jnNh8petthnp2xi4iWsxjxE054i6rgOPs0";
const BOB: &str = "$argon2id$v=19$m=1024,t=2,p=1$8T9i969p9QFftXug2FXx5Q$GcfsEYxW2+1/It92J0j5ieb8Wl1MgIIkSa8GfZ1okwI";
/// What mosquitto_passwd 2.0.11 wrote.
const MOSQUITTO: &str = include_str!("../tests/mosquitto.passwd");

fn plugin() -> PasswordFile {
    let config = format!(r#"{{"users": {{"alice": "{ALICE}", "bob": "{BOB}"}}}}"#);
    test::init(&config).unwrap().0
}

/// The plugin as the broker configures it with `passwords = { file = "passwd" }`.
fn with_file(content: &str) -> Result<PasswordFile, String> {
    let config = Config { users: BTreeMap::new(), passwords: Some(content.into()) };
    PasswordFile::init(config).map(|(plugin, _)| plugin)
}

fn error(config: &str) -> String {
    test::init::<PasswordFile>(config).map(|_| ()).unwrap_err()
}

fn log_in(plugin: &mut PasswordFile, username: &str, password: &[u8]) -> Outcome {
    plugin.authenticate(&Connect::new("c").with_password(username, password)).unwrap()
}

fn accepted(username: &str) -> Outcome {
    Outcome::accept(Identity::named(username))
}

fn refused() -> Outcome {
    Outcome::refuse(Refusal::new(0x86))
}

#[test]
fn the_right_password_is_accepted_under_the_users_name() {
    let mut plugin = plugin();
    assert_eq!(log_in(&mut plugin, "alice", b"wonderland"), accepted("alice"));
    assert_eq!(log_in(&mut plugin, "bob", b"builder"), accepted("bob"));
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
fn the_file_of_mosquitto_passwd_is_read_in_each_of_its_formats() {
    let mut plugin = with_file(MOSQUITTO).unwrap();
    for (username, password) in [
        ("alice", "wonderland"),
        ("bob", "p:ss wörd"),
        ("carol", "builder"),
        // As mosquitto 2.1 writes it.
        ("dave", "wonderland"),
    ] {
        let right = log_in(&mut plugin, username, password.as_bytes());
        assert_eq!(right, accepted(username), "{username}");
        for wrong in ["", "secret", &password[1..]] {
            let answer = log_in(&mut plugin, username, wrong.as_bytes());
            assert_eq!(answer, refused(), "{username} {wrong}");
        }
    }
    assert_eq!(log_in(&mut plugin, "eve", b"wonderland"), refused());
}

#[test]
fn users_of_the_configuration_and_of_a_file_are_users_together() {
    let config = serde_json::json!({
        "users": { "ann": ALICE },
        "passwords": { "file": "passwd", "content": MOSQUITTO },
    });
    let mut plugin = test::init::<PasswordFile>(&config.to_string()).unwrap().0;
    assert_eq!(log_in(&mut plugin, "ann", b"wonderland"), accepted("ann"));
    assert_eq!(log_in(&mut plugin, "carol", b"builder"), accepted("carol"));
}

/// Which schemes a login computes, and whether it is accepted when every hash fits.
fn computed(plugin: &mut PasswordFile, username: &str) -> (Vec<Scheme>, bool) {
    let mut schemes = Vec::new();
    let matches = plugin.matches(username, |hash, _| {
        schemes.push(hash.scheme.clone());
        Ok(true)
    });
    (schemes, matches.unwrap())
}

#[test]
fn an_unknown_user_costs_the_same_as_a_wrong_password_whatever_the_users_hash() {
    // A cheap hash and a dear one in the same file.
    let salt_and_hash = MOSQUITTO.lines().find_map(|line| line.strip_prefix("alice:$7$101$"));
    let dear = format!("dear:$7$20000${}\ncheap:{}\n", salt_and_hash.unwrap(), {
        let carol = MOSQUITTO.lines().find_map(|line| line.strip_prefix("carol:"));
        carol.unwrap()
    });
    let mut plugin = with_file(&dear).unwrap();
    let (unknown, matches) = computed(&mut plugin, "eve");
    assert!(unknown.contains(&Scheme::Pbkdf2Sha512(20_000)) && unknown.contains(&Scheme::Sha512));
    assert!(unknown.len() == 2 && !matches, "somebody else's hash let her in");
    for username in ["dear", "cheap"] {
        assert_eq!(computed(&mut plugin, username), (unknown.clone(), true), "{username}");
    }
}

#[test]
fn a_client_without_a_username_is_left_to_the_next_plugin() {
    assert_eq!(plugin().authenticate(&Connect::new("c")), Ok(Outcome::Abstain));
}

#[test]
fn a_password_of_the_greatest_length_is_hashed_and_refused() {
    let mut plugin = with_file(MOSQUITTO).unwrap();
    assert_eq!(log_in(&mut plugin, "alice", &[0x41; 65_535]), refused());
}

#[test]
fn comments_blank_lines_and_windows_line_ends_are_as_in_mosquitto() {
    let carol = MOSQUITTO.lines().find(|line| line.starts_with("carol:")).unwrap();
    let mut plugin = with_file(&format!("\u{feff}# users\r\n\r\n{carol}\r\n#x\n")).unwrap();
    assert_eq!(log_in(&mut plugin, "carol", b"builder"), accepted("carol"));
    assert_eq!(log_in(&mut plugin, "#x", b""), refused());
}

#[test]
fn a_garbled_file_is_an_error_that_names_the_file_and_the_line() {
    let carol = MOSQUITTO.lines().find(|line| line.starts_with("carol:")).unwrap();
    let dollar = carol.rsplit_once('$').unwrap().0;
    for (line, part) in [
        ("alice", "is not of the form NAME:HASH"),
        (" # comment", "is not of the form NAME:HASH"),
        ("alice:", "user \"alice\": neither an Argon2id hash"),
        ("alice:secret", "neither an Argon2id hash"),
        (":$6$AQ==$AQ==", "a name is empty"),
        ("carol:$6$AQ==$AQ==", "user \"carol\" is in line 2 already"),
        ("al\u{1}ice:x", "control character"),
        ("alice:$6$AQ==$AQ==", "its hash has 1 bytes, not 64"),
        (&dollar.replace("carol", "alice"), "it lacks its salt or its hash"),
        (&carol.replace("carol", "alice").replace("$6$", "$6$!"), "its salt is not Base64"),
        (&carol.replace("carol:$6$", "alice:$7$"), "its iterations are not a number"),
        (&carol.replace("carol:$6$", "alice:$7$0$"), "its iterations are not a number"),
        (&carol.replace("carol:$6$", "alice:$7$+9$"), "its iterations are not a number"),
        (&carol.replace("carol:$6$", "alice:$7$10000001$"), "its iterations are not a number"),
        (&carol.replace("carol:$6$", "alice:$5$"), "neither an Argon2id hash"),
    ] {
        let content = format!("# one\n{carol}\n{line}\n");
        let config = serde_json::json!({ "passwords": { "file": "passwd", "content": content } });
        let error = error(&config.to_string());
        assert!(
            error.starts_with("passwords: passwd:3: ") && error.contains(part),
            "{line}: {error}"
        );
    }
    let error = error(r#"{"passwords": {"file": "passwd", "content": ""}}"#);
    assert_eq!(error, "passwords: passwd is empty");
    let nobody = with_file("# nobody\n").err().unwrap();
    assert!(nobody.contains("nobody could log in"), "{nobody}");
}

#[test]
fn a_login_computes_a_bounded_number_of_hashes() {
    let (_, salt_and_hash) =
        MOSQUITTO.lines().find_map(|line| line.split_once("alice:$7$101$")).unwrap();
    let file = |count: u32| {
        let line = |n| format!("user{n}:$7${n}${salt_and_hash}\n");
        with_file(&(1..=count).map(line).collect::<String>())
    };
    assert!(file(8).is_ok());
    assert!(file(9).err().unwrap().contains("more than 8 kinds"));
}

#[test]
fn a_bad_configuration_names_the_user_and_what_to_do() {
    let user = |phc: &str| error(&format!(r#"{{"users": {{"bob": "{phc}"}}}}"#));
    let salt_and_hash = ALICE.rsplit_once("p=1").unwrap().1;
    for (phc, part) in [
        ("secret".to_owned(), "neither an Argon2id hash"),
        (String::new(), "neither an Argon2id hash"),
        (ALICE.replace("argon2id", "argon2i"), "only argon2id"),
        (ALICE.replace("$v=19", ""), "v=19"),
        (ALICE.replace("v=19", "v=16"), "v=19"),
        (ALICE.replace("t=2", "t=0"), "its costs or its hash are refused"),
        (ALICE.replace("t=2", "x=2"), "are not of the form m="),
        (ALICE.replace("p=1", "p=1,x=1"), "are not of the form m="),
        (ALICE.replace("P5VXkhafPuwlYzTaG5Pe0g", "P5VX"), "less than 8 bytes"),
        (ALICE.replace("p=1$", "p=1$!"), "its salt is not Base64"),
        (ALICE.rsplit_once('$').unwrap().0.to_owned(), "not of the form"),
        (format!("{ALICE}$x"), "not of the form"),
    ] {
        let error = user(&phc);
        assert!(error.starts_with("user \"bob\": ") && error.contains(part), "{phc}: {error}");
    }
    let huge = user(&format!("$argon2id$v=19$m=4294967295,t=1,p=1{salt_and_hash}"));
    assert!(huge.contains("raise the plugin's limits.memory"), "{huge}");
    assert!(error(r#"{"users": {}}"#).contains("there is no user"));
    assert!(error("{}").contains("there is no user"));
    assert!(error(r#"{"users": {"": "x"}}"#).contains("a name is empty"));
    assert!(error(r#"{"users": {}, "user": {}}"#).contains("unknown field `user`"));
    assert!(error(r#"{"users": {"bob": 7}}"#).contains("users.bob: invalid type"));
}
