//! Lines of a password file: one `NAME:HASH` each, with comments between them. Everything else stays as it is.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// What became of a file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The name was not in it.
    Added,
    /// The name was in it.
    Replaced,
    /// The name is gone, others are there.
    Deleted,
    /// The name is gone, and it was the last: a broker refuses such a file, and keeps what it had.
    Emptied,
}

/// Gives a user this hash, in a file that is made where there is none, for its owner alone.
///
/// # Errors
/// A name that the file cannot hold, and what the system refuses. The file is what it was then.
pub fn set(path: &Path, name: &str, hash: &str) -> anyhow::Result<Change> {
    check_name(name)?;
    edit(path, |text| Ok(with(text.unwrap_or_default(), name, hash)))
}

/// Takes a user out of the file.
///
/// # Errors
/// No such user or file, and what the system refuses. The file is what it was then.
pub fn delete(path: &Path, name: &str) -> anyhow::Result<Change> {
    edit(path, |text| {
        let text = text.with_context(|| format!("there is no file {}", path.display()))?;
        let (kept, found) = without(text, name);
        ensure!(found > 0, "there is no user {name:?} in {}", path.display());
        let change = match kept.lines().any(|line| user(line).is_some()) {
            true => Change::Deleted,
            false => Change::Emptied,
        };
        Ok((kept, change))
    })
}

pub(super) fn check_name(name: &str) -> anyhow::Result<()> {
    ensure!(!name.is_empty() && !name.chars().any(char::is_control), "this is no user name");
    ensure!(
        !name.contains(':') && !name.starts_with('#'),
        "a password file cannot hold the name {name:?}: a colon would end it, and # begins a comment"
    );
    Ok(())
}

/// Whose line it is; none of comments and the like.
fn user(line: &str) -> Option<&str> {
    let line = line.trim_start_matches('\u{feff}');
    if line.starts_with('#') { None } else { line.split_once(':').map(|(name, _)| name) }
}

fn with(text: &str, name: &str, hash: &str) -> (String, Change) {
    let mut out = String::with_capacity(text.len() + name.len() + hash.len() + 2);
    let mut change = Change::Added;
    for line in text.split_inclusive('\n') {
        if user(line) != Some(name) {
            out.push_str(line);
        } else if change == Change::Added {
            // What is there twice, no plugin takes.
            change = Change::Replaced;
            let mark = if line.starts_with('\u{feff}') { "\u{feff}" } else { "" };
            let end = line.trim_end_matches(['\r', '\n']).len();
            let end = line.get(end..).filter(|end| !end.is_empty()).unwrap_or("\n");
            out.push_str(&format!("{mark}{name}:{hash}{end}"));
        }
    }
    if change == Change::Added {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&format!("{name}:{hash}\n"));
    }
    (out, change)
}

fn without(text: &str, name: &str) -> (String, usize) {
    let lines = text.split_inclusive('\n');
    let (gone, kept): (Vec<&str>, Vec<&str>) = lines.partition(|line| user(line) == Some(name));
    (kept.concat(), gone.len())
}

/// Replaces the file by what `change` makes of it: whoever reads it meanwhile reads the one or the other.
fn edit(
    path: &Path,
    change: impl FnOnce(Option<&str>) -> anyhow::Result<(String, Change)>,
) -> anyhow::Result<Change> {
    // A link stays one.
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == ErrorKind::NotFound => std::path::absolute(path)?,
        Err(error) => return Err(error).with_context(|| format!("cannot use {}", path.display())),
    };
    let (Some(directory), Some(file)) = (path.parent(), path.file_name()) else {
        bail!("{} is no file", path.display());
    };
    let cannot = |what: &str| format!("cannot {what} {}", path.display());
    let open = File::open(directory);
    let directory_handle = open.with_context(|| format!("cannot open {}", directory.display()))?;
    // Of two that change it at once, the second sees what the first has done.
    directory_handle.lock().with_context(|| cannot("lock the directory of"))?;
    let mut text = String::new();
    let before = match File::open(&path) {
        Ok(mut file) => {
            let metadata = file.metadata().with_context(|| cannot("read"))?;
            ensure!(metadata.is_file(), "{} is no file", path.display());
            file.read_to_string(&mut text).with_context(|| cannot("read"))?;
            Some(metadata)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| cannot("read")),
    };
    let (text, changed) = change(before.is_some().then_some(text.as_str()))?;
    let mut name = std::ffi::OsString::from(".");
    name.push(file);
    name.push(format!(".{}", std::process::id()));
    let new = Fresh(directory.join(name));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new.0);
    let mut made = made.with_context(|| format!("cannot write {}", new.0.display()))?;
    if let Some(before) = before {
        let now = made.metadata().with_context(|| cannot("write"))?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(&made, Some(before.uid()), Some(before.gid()))
                .with_context(|| cannot("keep the owner of"))?;
        }
        let mode = std::fs::Permissions::from_mode(before.mode() & 0o7777);
        made.set_permissions(mode).with_context(|| cannot("keep the permissions of"))?;
    }
    made.write_all(text.as_bytes()).with_context(|| cannot("write"))?;
    made.sync_all().with_context(|| cannot("write"))?;
    std::fs::rename(&new.0, &path).with_context(|| cannot("replace"))?;
    directory_handle.sync_all().with_context(|| cannot("write"))?;
    Ok(changed)
}

/// A file that is gone when its owner is, unless it has another name by then.
struct Fresh(PathBuf);

impl Drop for Fresh {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn users_are_added_changed_and_deleted_and_everything_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        let text = || std::fs::read_to_string(&path).unwrap();
        assert_eq!(set(&path, "alice", "one").unwrap(), Change::Added);
        assert_eq!((text().as_str(), mode(&path)), ("alice:one\n", 0o600));
        std::fs::write(&path, "\u{feff}alice:one\r\n# alice:no\n\nbob:two\nalice:twice\n# end")
            .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(set(&path, "alice", "new").unwrap(), Change::Replaced);
        assert_eq!(text(), "\u{feff}alice:new\r\n# alice:no\n\nbob:two\n# end");
        assert_eq!(set(&path, "a", "x").unwrap(), Change::Added);
        assert_eq!(text(), "\u{feff}alice:new\r\n# alice:no\n\nbob:two\n# end\na:x\n");
        assert_eq!(mode(&path), 0o640);
        assert_eq!(delete(&path, "alice").unwrap(), Change::Deleted);
        assert_eq!(text(), "# alice:no\n\nbob:two\n# end\na:x\n");
        assert_eq!(delete(&path, "bob").unwrap(), Change::Deleted);
        assert_eq!(delete(&path, "a").unwrap(), Change::Emptied);
        assert_eq!(text(), "# alice:no\n\n# end\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_done_leaves_the_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passwd");
        assert!(delete(&path, "alice").unwrap_err().to_string().contains("there is no file"));
        for name in ["", "a:b", "#a", "a\nb"] {
            assert!(set(&path, name, "x").is_err(), "{name:?}");
        }
        assert!(!path.exists());
        std::fs::write(&path, "bob:two\n").unwrap();
        let error = delete(&path, "alice").unwrap_err().to_string();
        assert!(error.starts_with("there is no user \"alice\""), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "bob:two\n");
        assert!(set(dir.path(), "bob", "x").is_err());
    }

    #[test]
    fn a_link_stays_one_and_of_many_at_once_none_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("passwd"), dir.path().join("link"));
        std::fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let link = &link;
                scope.spawn(move || set(link, &format!("user{number}"), "x").unwrap());
            }
        });
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 8);
    }
}
