//! Several files are one configuration.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{
        Severity,
        file::{MAX_DEPTH, MAX_FILES},
        load,
    },
    *,
};

/// Files in a directory of their own; the first is the one to load.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> (Config, Vec<Problem>) {
        load(&self.path("main.toml")).unwrap_or_else(|report| panic!("{report}"))
    }

    /// Each error as `file:line message (help)`, without the directory.
    fn errors(&self) -> Vec<String> {
        let report = load(&self.path("main.toml")).expect_err("an error");
        let directory = format!("{}/", self.0.path().display());
        let line = |problem: &Problem| {
            let file = problem.file.strip_prefix(self.0.path()).unwrap().display();
            let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
            format!("{file}:{} {}{help}", problem.line, problem.message).replace(&directory, "")
        };
        report.errors.iter().map(line).collect()
    }
}

fn listener(name: &str, port: u16) -> String {
    format!(
        "[[listener]]\nname = \"{name}\"\nbind = \"127.0.0.1:{port}\"\nanonymous = true\ndefault = \"allow\"\n"
    )
}

#[test]
fn included_listeners_and_plugins_are_appended_in_the_order_of_their_names() {
    let files = Files::new(&[
        ("main.toml", &format!("include = [\"conf.d/*.toml\"]\n{}", listener("one", 1))),
        ("conf.d/20-b.toml", &listener("three", 3)),
        ("conf.d/10-a.toml", &format!("{}transform = [\"p\"]", listener("two", 2))),
        ("conf.d/30-p.toml", "[[plugin]]\nname = \"p\"\npath = \"x\"\n[log]\nlevel = \"warn\""),
        ("conf.d/.hidden.toml", "nonsense"),
        ("conf.d/backup.toml~", "nonsense"),
        ("conf.d/directory.toml/x", "nonsense"),
    ]);
    let (config, warnings) = files.load();
    let names: Vec<_> = config.listeners.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!(
        config.plugins[0].location.to_string(),
        format!("{}:1", files.path("conf.d/30-p.toml").display())
    );
    assert_eq!(config.log.level.as_str(), "warn");
    assert_eq!(warnings, []);
    let sources = ["main.toml", "conf.d/10-a.toml", "conf.d/20-b.toml", "conf.d/30-p.toml"];
    assert_eq!(config.sources, sources.map(|name| files.path(name)));
    assert_eq!(config.include_directories, [files.path("conf.d")]);
}

#[test]
fn an_include_is_relative_to_the_file_it_stands_in() {
    let files = Files::new(&[
        ("main.toml", "include = [\"a/one.toml\"]"),
        ("a/one.toml", "include = [\"b/two.toml\", \"../three.toml\"]"),
        ("a/b/two.toml", &listener("two", 2)),
        ("three.toml", "[log]\nlevel = \"error\""),
    ]);
    let (config, _) = files.load();
    assert_eq!((config.listeners.len(), config.log.level.as_str()), (1, "error"));
    assert_eq!(config.sources.len(), 4);
}

#[test]
fn tables_of_several_files_unite() {
    let files = Files::new(&[
        (
            "main.toml",
            &format!(
                "include = [\"l.toml\"]\n[limits]\nqueue.messages = 5\n{}",
                listener("one", 1)
            ),
        ),
        ("l.toml", "[limits]\nmax_inflight = 6\nqueue = { bytes = \"2KiB\" }"),
    ]);
    let limits = files.load().0.limits;
    assert_eq!((limits.queue.messages, limits.max_inflight, limits.queue.bytes), (5, 6, 2048));
}

#[test]
fn a_key_that_is_set_in_two_files_is_an_error_that_names_both_places() {
    let files = Files::new(&[
        (
            "main.toml",
            &format!("include = [\"a.toml\"]\n[log]\nlevel = \"info\"\n{}", listener("one", 1)),
        ),
        ("a.toml", "[log]\nformat = \"text\"\nlevel = \"info\"\n"),
    ]);
    assert_eq!(files.errors(), ["a.toml:3 `log.level` is set twice (already set at main.toml:3)"]);
}

#[test]
fn mistakes_are_reported_in_the_file_they_are_in() {
    let files = Files::new(&[
        ("main.toml", "include = [\"a.toml\", \"b.toml\"]\n[log]\nlevle = 1\n"),
        ("a.toml", "\n[[listener]]\nname = \"one\"\nbind = 1\n"),
        (
            "b.toml",
            "\n\n[[listener]]\nname = \"one\"\nbind = \"127.0.0.1:1\"\n[[plugin]]\npath = \"p\"\nname = \"${NO_SUCH_NAME_HERE}\"",
        ),
    ]);
    let errors = files.errors();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    assert!(errors[0].starts_with("main.toml:3 unknown key `levle`"));
    assert!(errors[1].starts_with("a.toml:4 `listener.bind` must be a string"));
    assert_eq!(errors[2], "b.toml:4 the name `one` is taken (already used at a.toml:3)");
    assert!(
        errors[3].starts_with("b.toml:8 the environment variable `NO_SUCH_NAME_HERE` is not set")
    );
}

#[test]
fn a_cycle_of_includes_is_an_error() {
    let files = Files::new(&[
        ("main.toml", &format!("include = [\"a.toml\"]\n{}", listener("one", 1))),
        ("a.toml", "include = [\n\"./main.toml\"]"),
    ]);
    assert_eq!(files.errors(), ["a.toml:2 `./main.toml` includes itself (an include cycle)"]);
    let files = Files::new(&[("main.toml", "include = [\"*.toml\"]")]);
    assert_eq!(files.errors(), ["main.toml:1 `main.toml` includes itself (an include cycle)"]);
}

#[test]
fn a_file_is_included_once() {
    let files = Files::new(&[
        ("main.toml", &format!("include = [\"a.toml\", \"a*.toml\"]\n{}", listener("one", 1))),
        ("a.toml", ""),
    ]);
    assert_eq!(
        files.errors(),
        ["main.toml:1 `a.toml` is included twice (already read as `a.toml`)"]
    );
}

#[test]
fn a_file_that_is_named_must_exist_and_a_pattern_may_match_nothing() {
    let files = Files::new(&[
        (
            "main.toml",
            &format!("include = [\"conf.d/a.toml\", \"*.nothing\"]\n{}", listener("one", 1)),
        ),
        ("conf.d/b.toml", ""),
    ]);
    let errors = files.errors();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("main.toml:1 cannot read `conf.d/a.toml`: No such file"),
        "{errors:?}"
    );

    let files = Files::new(&[(
        "main.toml",
        &format!("include = [\"conf.d/*.toml\", \"*.nothing\"]\n{}", listener("one", 1)),
    )]);
    let (config, warnings) = files.load();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].message.starts_with("there is no directory"));
    assert_eq!((warnings[0].severity, warnings[0].line), (Severity::Warning, 1));
    assert_eq!(config.include_directories.len(), 2);
}

#[test]
fn a_star_stands_in_the_last_component_only() {
    let files = Files::new(&[("main.toml", "include = [\"*/a.toml\"]")]);
    assert_eq!(files.errors(), ["main.toml:1 `*` may only stand in the last component of a path"]);
}

#[test]
fn an_include_is_a_list_of_strings_above_the_first_table() {
    for include in ["include = \"a.toml\"", "include = [1]"] {
        let files = Files::new(&[("main.toml", include)]);
        assert!(files.errors()[0].starts_with("main.toml:1 `include` must be an array of strings"));
    }
    let files = Files::new(&[("main.toml", &format!("{}include = [\"a\"]", listener("one", 1)))]);
    assert!(files.errors()[0].starts_with("main.toml:6 unknown key `include`"));
}

#[test]
fn files_are_included_eight_deep() {
    let chain = |length: usize| {
        let mut files: Vec<(String, String)> = (0..length)
            .map(|n| (format!("{n}.toml"), format!("include = [\"{}.toml\"]", n + 1)))
            .collect();
        files.push((format!("{length}.toml"), listener("last", 1)));
        files[0].0 = "main.toml".into();
        let files: Vec<_> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
        Files::new(&files)
    };
    assert_eq!(chain(MAX_DEPTH).load().0.listeners.len(), 1);
    let errors = chain(MAX_DEPTH + 1).errors();
    assert_eq!(errors, ["8.toml:1 `9.toml` is included more than 8 files deep"]);
}

#[test]
fn a_configuration_has_a_bounded_number_of_files() {
    let names: Vec<String> = (1..MAX_FILES).map(|n| format!("c/{n:03}.toml")).collect();
    let main = format!("include = [\"c/*.toml\"]\n{}", listener("one", 1));
    let mut files = vec![("main.toml", main.as_str())];
    files.extend(names.iter().map(|name| (name.as_str(), "")));
    let files = Files::new(&files);
    assert_eq!(files.load().0.sources.len(), MAX_FILES);
    fs::write(files.path("c/one-more.toml"), "").unwrap();
    assert_eq!(files.errors(), ["main.toml:1 a configuration may have 256 files"]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let report = load(Path::new("/no/such/directory/wasmqtt.toml")).unwrap_err();
    assert_eq!(report.errors.len(), 1);
    assert!(
        report.errors[0]
            .message
            .starts_with("cannot read `/no/such/directory/wasmqtt.toml`: No such")
    );
    let directory = tempfile::tempdir().unwrap();
    assert!(load(directory.path()).unwrap_err().errors[0].message.contains("cannot read"));
}
