//! Whatever a file holds, the answer is a configuration or a report; bounds hold.

use std::fs;

use super::{
    super::{file::MAX_BYTES, load, print, problem::MAX_PROBLEMS},
    *,
};

fn load_bytes(bytes: &[u8]) -> Result<(Config, Vec<Problem>), Report> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    load(file.path())
}

#[test]
fn a_duplicate_key_is_an_error_in_its_line() {
    let found = errors(&format!("{LISTENER}[log]\nlevel = \"info\"\nlevel = \"warn\"\n"));
    assert_eq!(found, ["8:1 duplicate key"]);
    let found = errors(&format!("{LISTENER}[log]\n[log]\n"));
    assert_eq!(found, ["7:2 duplicate key"]);
}

#[test]
fn an_unclosed_table_or_string_is_an_error_in_its_line() {
    for text in [
        "[log",
        "[[log]",
        "[log]\nlevel = \"info",
        "[log]\nlevel = [",
        "[log]\nlevel = {",
        "log = '''",
    ] {
        let found = errors(&format!("{LISTENER}{text}"));
        assert!(
            found.iter().any(|line| line.starts_with("6:") || line.starts_with("7:")),
            "{text} {found:?}"
        );
    }
}

#[test]
fn brackets_in_brackets_without_end_are_an_error_in_their_line() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        let deep = format!("a = {}1{}", open.repeat(500), close.repeat(500));
        for (text, lines) in
            [(format!("{deep}\n[log]\n"), 6..=6), (format!("\n\n{deep}\n{deep}"), 8..=9)]
        {
            let found = errors(&format!("{LISTENER}{text}"));
            let in_line =
                |error: &String| lines.clone().any(|line| error.starts_with(&format!("{line}:")));
            assert!(!found.is_empty() && found.iter().all(in_line), "{found:?}");
        }
    }
    // The keys of a table are one level each as well.
    let found = errors(&format!("{LISTENER}\n[{}]\n", vec!["a"; 500].join(".")));
    assert!(!found.is_empty() && found.iter().all(|error| error.starts_with("7:")), "{found:?}");
}

#[test]
fn a_file_that_is_not_utf_8_is_refused_with_the_line() {
    let report = load_bytes(b"[log]\n\nlevel = \"\xff\"\n").unwrap_err();
    assert_eq!(report.errors.len(), 1);
    assert!(report.errors[0].message.ends_with("is not UTF-8: see line 3"), "{report}");
}

#[test]
fn an_empty_file_has_no_listener() {
    assert!(load_bytes(b"").unwrap_err().errors[0].message.starts_with("there is no listener"));
}

#[test]
fn a_file_beyond_the_bound_is_refused() {
    let mut text = format!("{LISTENER}#").into_bytes();
    text.resize(usize::try_from(MAX_BYTES).unwrap(), b'#');
    assert!(load_bytes(&text).is_ok());
    text.push(b'#');
    let report = load_bytes(&text).unwrap_err();
    assert!(
        report.errors[0].message.contains("is too long: a configuration may be 16 MiB"),
        "{report}"
    );
}

#[test]
fn all_files_together_keep_to_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let half = "#".repeat(usize::try_from(MAX_BYTES / 2).unwrap());
    fs::write(dir.path().join("a.toml"), &half).unwrap();
    fs::write(dir.path().join("b.toml"), &half).unwrap();
    fs::write(dir.path().join("main.toml"), "include = [\"a.toml\", \"b.toml\"]").unwrap();
    let report = load(&dir.path().join("main.toml")).unwrap_err();
    assert_eq!(report.errors.len(), 1);
    assert!(report.errors[0].message.contains("b.toml` is too long"), "{report}");
}

#[test]
fn a_report_is_bounded_and_counts_what_it_leaves_out() {
    let keys: String = (0..MAX_PROBLEMS + 7).map(|n| format!("key{n:03} = 1\n")).collect();
    let report = report(&format!("{keys}{LISTENER}"));
    assert_eq!((report.errors.len(), report.hidden), (MAX_PROBLEMS, 7));
    assert!(report.to_string().ends_with("100 errors; 7 more not shown"));
}

#[test]
fn a_long_line_is_shown_in_part_and_marked_where_the_problem_is() {
    let long =
        format!("[limits]\nqueue = {{ messages {}= 1, bytez = 1 }}\n{LISTENER}", " ".repeat(5000));
    let report = report(&long);
    let problem = &report.errors[0];
    let (before, marked) = problem.mark;
    let shown: String = problem.excerpt.chars().skip(before).take(marked).collect();
    assert_eq!((shown.as_str(), problem.column > 5000), ("bytez", true));
    assert!(problem.excerpt.chars().count() <= 120);
}

#[test]
fn a_file_does_not_speak_to_the_terminal() {
    let escape = '\u{1b}';
    let raw = report(&format!(
        "{LISTENER}a = \"{escape}[2J\"\n\"\\u001b[2J\" = 1\n'{}' = 1",
        "x".repeat(900)
    ));
    let rendered = raw.to_string();
    assert!(!rendered.contains(escape));
    assert!(rendered.contains("unknown key `\u{fffd}[2J`"), "{rendered}");
    assert!(rendered.lines().all(|line| line.chars().count() < 300), "{rendered}");
}

/// A generator with a seed, so that a failure can be repeated.
fn random(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    usize::try_from(*seed >> 33).unwrap()
}

#[test]
fn a_mebibyte_of_garbage_is_refused() {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let bytes: Vec<u8> = (0..1 << 20).map(|_| random(&mut seed) as u8).collect();
    assert!(load_bytes(&bytes).is_err());
    for alphabet in ["[", "{=", "\"\n", "a.", "[[a]]\n", "a=[", "=\n]", "é'", "\"\"\"\\u"] {
        let text = alphabet.repeat((1 << 20) / alphabet.len());
        let report = load_bytes(text.as_bytes()).unwrap_err();
        assert!(report.errors.len() <= MAX_PROBLEMS && report.to_string().len() < 100_000);
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in [
        format!("{LISTENER}x = {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        format!("{LISTENER}x{} = 1", ".x".repeat(10_000)),
        format!("{LISTENER}[x{}]", ".x".repeat(70)),
        format!(
            "{LISTENER}[x{}]\nx{} = {}{}",
            ".x".repeat(70),
            ".x".repeat(70),
            "[".repeat(70),
            "]".repeat(70)
        ),
        format!("{LISTENER}x = {}1{}", "{ a.b.c.d = ".repeat(60), "}".repeat(60)),
    ] {
        assert!(check(&text).is_err());
    }
    let found = errors(&format!(
        "{LISTENER}transform = [\"p\"]\n[[plugin]]\nname = \"p\"\npath = \"p\"\nconfig = {{ x = {}{} }}",
        "[".repeat(70),
        "]".repeat(70)
    ));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("10:") && found[0].contains("nested more than 64 deep"),
        "{found:?}"
    );
}

#[test]
fn a_mutated_configuration_is_refused_with_a_reason_or_printed_as_it_was_read() {
    let texts = [include_str!("../../../broker.toml"), include_str!("../../../demo.toml")];
    let pieces = [
        "[", "]", "\"", "=", "{", "}", "\n", "#", "'", "$", "\\", ".", ",", "é", "-1", "\0",
        "[[x]]", "${",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d;
    let mut accepted = 0;
    for round in 0..600 {
        let mut text: Vec<char> = texts[round % 2].chars().collect();
        for _ in 0..=random(&mut seed) % 6 {
            let at = random(&mut seed) % text.len();
            let end = (at + random(&mut seed) % 20).min(text.len());
            match random(&mut seed) % 3 {
                0 => drop(text.drain(at..end)),
                1 => drop(text.splice(at..at, pieces[random(&mut seed) % pieces.len()].chars())),
                _ => {
                    let copy: Vec<char> = text[at..end].to_vec();
                    let to = random(&mut seed) % text.len();
                    drop(text.splice(to..to, copy));
                }
            }
        }
        let text: String = text.into_iter().collect();
        match check(&text) {
            Ok((config, _)) => {
                accepted += 1;
                let (again, _) = check(&print(&config)).unwrap_or_else(|report| panic!("{report}"));
                assert_eq!(anonymous_origin(again), anonymous_origin(config), "{text}");
            }
            Err(report) => {
                assert!(!report.errors.is_empty());
                assert!(!report.to_string().is_empty());
            }
        }
    }
    assert!(accepted > 0 && accepted < 600);
}
