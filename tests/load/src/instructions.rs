//! Instructions of the pieces of a message's road, counted by callgrind: they do not depend on the machine's mood, so
//! that two versions can be compared by a few percent. The counts that were accepted last are in the repository.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Each, and the function below which it is counted.
const PIECES: &[(&str, &str)] = &[
    ("decode", "decode"),
    ("decode-properties", "decode"),
    ("encode", "encode"),
    ("encode-properties", "encode"),
    ("route-memo", "publish"),
    ("route-trie", "publish"),
    ("route-many", "publish"),
    ("route-qos1", "publish"),
    ("pump", "pump"),
    ("pump-qos1", "pump"),
    ("pump-properties", "pump"),
];
/// How often each is done.
const TIMES: u32 = 2_000;
/// A rise by more than this part is one to be accepted.
const RISE: f64 = 0.03;

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub struct Instructions {
    /// The program that runs the pieces
    #[arg(long, value_name = "PATH")]
    pieces: PathBuf,
    /// The counts that were accepted last
    #[arg(long, value_name = "FILE")]
    baseline: PathBuf,
    /// Writes what is counted as the new counts
    #[arg(long)]
    accept: bool,
}

/// By piece.
type Counts = BTreeMap<String, f64>;

/// Counts all pieces and compares.
///
/// # Errors
/// When there is no valgrind, or a count has risen.
pub fn instructions(what: &Instructions) -> Result<()> {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    if !valgrind.status().is_ok_and(|status| status.success()) {
        bail!("instructions are counted by valgrind, and there is none (Debian: valgrind)");
    }
    let mut counts = Counts::new();
    for (piece, function) in PIECES {
        eprintln!("counting {piece}");
        counts.insert((*piece).to_owned(), count(&what.pieces, piece, function)?);
    }
    let accepted = match fs::read_to_string(&what.baseline) {
        Ok(text) => read(&text)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Counts::new(),
        Err(error) => {
            return Err(error).context(format!("cannot read {}", what.baseline.display()));
        }
    };
    let (table, risen) = compare(&accepted, &counts);
    print!("{table}");
    if what.accept {
        return fs::write(&what.baseline, written(&counts))
            .with_context(|| format!("cannot write {}", what.baseline.display()));
    }
    if !risen.is_empty() {
        bail!(
            "more instructions than were accepted: {}; make it fewer again, or accept it with --accept",
            risen.join(", ")
        );
    }
    Ok(())
}

fn count(pieces: &Path, piece: &str, function: &str) -> Result<f64> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("callgrind");
    let mut command = Command::new("valgrind");
    command.arg("--tool=callgrind").arg(format!("--toggle-collect=*counted_{function}*"));
    command.arg(format!("--callgrind-out-file={}", file.display()));
    command.arg(pieces).args([piece, &TIMES.to_string()]);
    let output = command.output().context("cannot start valgrind")?;
    if !output.status.success() {
        bail!("{piece}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let text = fs::read_to_string(&file).context("callgrind has written nothing")?;
    let all = total(&text).filter(|all| *all > 0.0);
    let all = all.with_context(|| format!("nothing was counted below counted_{function}"))?;
    Ok(all / f64::from(TIMES))
}

fn total(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

/// A table, and the pieces that have risen or are new.
fn compare(accepted: &Counts, counts: &Counts) -> (String, Vec<String>) {
    let mut table = format!("{:<20}{:>10}{:>10}{:>9}\n", "instructions", "accepted", "now", "");
    let mut risen = Vec::new();
    for (piece, now) in counts {
        let old = accepted.get(piece);
        let change = old.map(|old| now / old - 1.0);
        let mark = match change {
            None => " new",
            Some(change) if change > RISE => " RISEN",
            Some(change) if change < -RISE => " less: accept it, so that it stays so",
            Some(_) => "",
        };
        if change.is_none_or(|change| change > RISE) {
            risen.push(piece.clone());
        }
        let old = old.map_or_else(|| "-".to_owned(), |old| format!("{old:.0}"));
        let change = change.map_or_else(String::new, |change| format!("{:+.1} %", change * 100.0));
        let _ = writeln!(table, "{piece:<20}{old:>10}{now:>10.0}{change:>9}{mark}");
    }
    (table, risen)
}

const HEAD: &str = "\
# Instructions of one message in each piece of its road, as callgrind counts them. `cargo xtask bench instructions`
# compares with them, and `--accept` writes what it counts here.
";

fn written(counts: &Counts) -> String {
    let lines = counts.iter().map(|(piece, count)| format!("{piece} = {count:.0}\n"));
    format!("{HEAD}{}", lines.collect::<String>())
}

fn read(text: &str) -> Result<Counts> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let pair = line.split_once('=').and_then(|(piece, count)| {
                Some((piece.trim().to_owned(), count.trim().parse().ok()?))
            });
            pair.with_context(|| format!("line {} is no `PIECE = COUNT`: {line}", index + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, f64)]) -> Counts {
        pairs.iter().map(|(piece, count)| ((*piece).to_owned(), *count)).collect()
    }

    #[test]
    fn more_than_three_percent_is_a_rise_and_a_new_piece_is_one() {
        let old = counts(&[("decode", 100.0), ("encode", 100.0), ("pump", 100.0)]);
        let now = counts(&[("decode", 102.9), ("encode", 104.0), ("pump", 50.0), ("route", 9.0)]);
        let (table, risen) = compare(&old, &now);
        assert_eq!(risen, ["encode", "route"]);
        assert!(table.contains("+4.0 % RISEN") && table.contains("-50.0 % less"), "{table}");
    }

    #[test]
    fn what_is_accepted_is_read_again() {
        let all = counts(&[("decode", 120.0), ("route-memo", 7.0)]);
        assert_eq!(read(&written(&all)).unwrap(), all);
        let error = read("# x\ndecode: 7\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn callgrind_says_what_it_counted_in_all() {
        assert_eq!(total("events: Ir\nfn=(1) a\n1 2\ntotals: 4711\n"), Some(4711.0));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn the_counts_in_the_repository_are_of_all_pieces() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.toml");
        let accepted = read(&fs::read_to_string(path).unwrap()).unwrap();
        let names: Vec<&str> = PIECES.iter().map(|(piece, _)| *piece).collect();
        for name in &names {
            assert!(accepted.contains_key(*name), "{name}");
        }
        assert_eq!(accepted.len(), names.len());
    }
}
