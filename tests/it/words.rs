//! What the command line says of itself, and how it keeps password files.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use wasmqtt_codec::Version;

use crate::harness::client::login;
use crate::harness::config::plugin;
use crate::harness::program::{Ended, run};
use crate::harness::{Broker, Client, wasmqtt};

fn words(arguments: &[&str]) -> Ended {
    run(Command::new(wasmqtt()).args(arguments))
}

#[test]
fn every_command_has_a_manual_page_and_the_pages_name_only_each_other() {
    let main = words(&["man"]);
    assert!(main.code == Some(0) && main.stdout.contains(".TH wasmqtt 1"), "{main:?}");
    let deep = words(&["man", "plugin", "test"]);
    assert!(deep.stdout.contains(".TH wasmqtt-plugin-test 1"), "{}", deep.stdout);
    assert!(deep.stdout.contains("vectors"), "{}", deep.stdout);
    let unknown = words(&["man", "plugin", "tast"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("has no command `tast` (it has: new, build"), "{unknown:?}");

    let dir = tempfile::tempdir().unwrap();
    let pages = dir.path().join("man/man1");
    assert_eq!(words(&["man", "--all", pages.to_str().unwrap()]).code, Some(0));
    let names: Vec<String> = std::fs::read_dir(&pages)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in ["wasmqtt.1", "wasmqtt-check.1", "wasmqtt-plugin.1", "wasmqtt-plugin-new.1"] {
        assert!(names.iter().any(|found| found == name), "{name} is not in {names:?}");
    }
    for name in &names {
        let text = std::fs::read_to_string(pages.join(name)).unwrap().replace('\\', "");
        for (before, _) in text.match_indices("(1)") {
            let start = text[..before].rfind(|c: char| c.is_whitespace()).map_or(0, |at| at + 1);
            let page = format!("{}.1", &text[start..before]);
            assert!(names.contains(&page), "{name} names {page}");
        }
    }
}

#[test]
fn there_are_completions_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = words(&["completions", shell]);
        assert_eq!(ended.code, Some(0), "{shell}: {}", ended.stderr);
        for word in ["print-config", "passwd"] {
            assert!(ended.stdout.contains(word), "{shell} does not complete {word}");
        }
    }
}

#[test]
fn a_mistake_behind_a_command_is_answered_with_how_that_command_is_used() {
    let mistakes: [(&str, &[&str]); 2] = [
        ("pub", &["-t", "a", "-m", "x", "-D", "publish", "nonsense", "x"]),
        ("sub", &["-t", "a", "-D", "subscribe", "nonsense", "x"]),
    ];
    for (command, flags) in mistakes {
        let ended = words(&[&[command], flags].concat());
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("nonsense"), "{ended:?}");
        assert!(ended.stderr.contains(&format!("Usage: wasmqtt {command}")), "{ended:?}");
    }
}

#[test]
fn a_component_that_cannot_be_read_is_told_once() {
    let ended = words(&["plugin", "inspect", "nope.wasm"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.stderr.matches("No such file").count(), 1, "{ended:?}");
}

/// `wasmqtt passwd` with a password behind a pipe.
fn passwd(dir: &Path, password: &str, arguments: &[&str]) -> Ended {
    let mut child = Command::new(wasmqtt())
        .arg("passwd")
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What is deleted needs none.
    let _ = writeln!(child.stdin.take().unwrap(), "{password}");
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn code(broker: &Broker, username: &str, password: &str) -> u8 {
    Client::connect(broker.addr(), &login(Version::V5, username, password)).1.code
}

#[test]
fn users_of_a_password_file_come_change_and_go_while_the_broker_runs() {
    let dir = tempfile::tempdir().unwrap();
    let made = passwd(dir.path(), "first", &["alice", "--file", "passwd"]);
    assert_eq!(
        (made.code, made.stdout.as_str()),
        (Some(0), "alice is added to passwd\n"),
        "{made:?}"
    );
    let plain = passwd(dir.path(), "plain", &["bob", "--plain"]);
    assert!(plain.stdout.starts_with("bob:$argon2id$"), "{plain:?}");
    let path = dir.path().join("passwd");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("# people\n{}{text}", plain.stdout)).unwrap();
    let keys =
        "limits = { authenticate = \"20s\" }\n[plugin.config]\npasswords = { file = \"passwd\" }";
    let config = format!(
        "[[listener]]\nname = \"mqtt\"\nbind = \"127.0.0.1:0\"\nauthenticate = [\"password-file\"]\n{}",
        plugin("password-file", "password_file", keys)
    );
    let broker = Broker::start_in(dir, &config);
    assert_eq!((code(&broker, "alice", "first"), code(&broker, "bob", "plain")), (0, 0));

    let change = |password, arguments: &[&str], said: &str| {
        let mark = broker.mark();
        let ended = passwd(broker.dir(), password, arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), said), "{ended:?}");
        broker.wait_for(mark, "reload applied");
    };
    change("second", &["alice", "-f", "passwd"], "alice has another password in passwd\n");
    assert_eq!((code(&broker, "alice", "first"), code(&broker, "alice", "second")), (0x86, 0));
    change("", &["bob", "-f", "passwd", "--delete"], "bob is deleted from passwd\n");
    assert_eq!((code(&broker, "bob", "plain"), code(&broker, "alice", "second")), (0x86, 0));
    let text = std::fs::read_to_string(broker.dir().join("passwd")).unwrap();
    assert!(text.starts_with("# people\nalice:$argon2id$"), "{text}");
    let missing = passwd(broker.dir(), "", &["bob", "-f", "passwd", "--delete"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.stderr.contains("there is no user \"bob\" in passwd"), "{missing:?}");
    let emptied = passwd(broker.dir(), "", &["alice", "-f", "passwd", "--delete"]);
    assert!(emptied.stderr.contains("has no user any more"), "{emptied:?}");
}
