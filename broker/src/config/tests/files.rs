//! `{ file = "PATH" }` in `[plugin.config]`.

use std::fs;

use serde_json::json;

use super::super::{check::MAX_HANDED_BYTES, load, print};
use super::*;

/// A directory with a configuration whose plugin `p` has this table.
fn directory(config: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{LISTENER}authorize = [\"p\"]\n[[plugin]]\nname = \"p\"\npath = \"p.wasm\"\n[plugin.config]\n{config}\n"
    );
    fs::write(dir.path().join("main.toml"), text).unwrap();
    dir
}

fn read(dir: &tempfile::TempDir) -> Config {
    load(&dir.path().join("main.toml")).unwrap_or_else(|report| panic!("{report}")).0
}

fn errors_in(dir: &tempfile::TempDir) -> Vec<String> {
    let report = load(&dir.path().join("main.toml")).expect_err("an error");
    let directory = format!("{}/", dir.path().display());
    report.errors.iter().map(|problem| line(problem).replace(&directory, "")).collect()
}

#[test]
fn a_plugin_is_handed_the_content_of_the_files_it_names_at_any_depth() {
    let dir = directory(
        "users = { file = \"passwd\" }\nkeys = [\"k\", { file = \"keys/a.pem\" }]\nother = { file = \"passwd\", x = 1 }",
    );
    fs::create_dir(dir.path().join("keys")).unwrap();
    fs::write(dir.path().join("passwd"), "alice:x\n").unwrap();
    fs::write(dir.path().join("keys/a.pem"), "").unwrap();
    let plugin = read(&dir).plugins.remove(0);
    assert_eq!(
        plugin.config_with_contents(),
        json!({
            "users": { "file": "passwd", "content": "alice:x\n" },
            "keys": ["k", { "file": "keys/a.pem", "content": "" }],
            "other": { "file": "passwd", "x": 1 },
        })
    );
    let paths: Vec<_> = plugin.files.values().map(|file| file.path.clone()).collect();
    assert_eq!(paths, ["keys/a.pem", "passwd"].map(|name| dir.path().join(name)));
    assert!(!format!("{plugin:?}").contains("alice"));
}

#[test]
fn a_file_that_cannot_be_handed_over_is_an_error_where_it_is_named() {
    let named = |content: Option<&[u8]>| {
        let dir = directory("users = { file = \"passwd\" }");
        if let Some(content) = content {
            fs::write(dir.path().join("passwd"), content).unwrap();
        }
        errors_in(&dir)
    };
    assert_eq!(named(None).len(), 1);
    assert!(named(None)[0].starts_with("11:18 cannot read `passwd`: No such file"));
    assert_eq!(
        named(Some(b"alice\nb\xffb")),
        ["11:18 `passwd` is not UTF-8: see line 2 (save it as UTF-8)"]
    );
    let most = usize::try_from(MAX_HANDED_BYTES).unwrap();
    assert_eq!(
        named(Some(&vec![b'a'; most + 1])),
        ["11:18 `passwd` is too long: the files of one plugin may have 16 MiB together"]
    );
    let dir = directory("users = { file = \".\" }");
    assert!(errors_in(&dir)[0].ends_with("it is not a regular file"), "{:?}", errors_in(&dir));
}

#[test]
fn the_files_of_one_plugin_share_a_bound_and_one_named_twice_counts_once() {
    let dir = directory("a = { file = \"a\" }\nb = { file = \"a\" }\nc = { file = \"c\" }");
    let most = usize::try_from(MAX_HANDED_BYTES).unwrap();
    fs::write(dir.path().join("a"), vec![b'a'; most - 1]).unwrap();
    fs::write(dir.path().join("c"), "c").unwrap();
    assert_eq!(read(&dir).plugins[0].files.len(), 2);
    fs::write(dir.path().join("c"), "cc").unwrap();
    assert_eq!(
        errors_in(&dir),
        ["13:14 `c` is too long: the files of one plugin may have 16 MiB together"]
    );
}

#[test]
fn a_changed_content_is_a_changed_configuration_that_does_not_tell_it() {
    let dir = directory("users = { file = \"passwd\" }");
    fs::write(dir.path().join("passwd"), "one").unwrap();
    let old = read(&dir);
    assert!(super::super::diff(&old, &read(&dir)).is_empty());
    fs::write(dir.path().join("passwd"), "two").unwrap();
    let diff = super::super::diff(&old, &read(&dir));
    assert_eq!(diff.live().collect::<Vec<_>>(), ["plugin.p.config"]);
}

#[test]
fn a_printed_configuration_names_the_file_and_not_its_content() {
    let dir = directory("users = { file = \"passwd\" }");
    fs::write(dir.path().join("passwd"), "s3cret").unwrap();
    let printed = print(&read(&dir));
    assert!(printed.contains("file = \"passwd\"") && !printed.contains("s3cret"), "{printed}");
}
