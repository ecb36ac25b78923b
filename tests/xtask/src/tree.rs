//! Where things are in the repository, and writing files that others may be reading.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    // tests/xtask
    here.ancestors().nth(2).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// A path below the repository's `target`, whatever CARGO_TARGET_DIR says: tests and configurations name
/// the components there.
pub(crate) fn target(below: &str) -> PathBuf {
    root().join("target").join(below)
}

/// Replaces the file at once, and only when its content changes. Answers whether it did.
pub(crate) fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    let said = || format!("cannot write {}", path.display());
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(said)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, content).with_context(said)?;
    fs::rename(&new, path).with_context(said)?;
    Ok(true)
}

/// A path as the user would write it, from the root of the repository.
pub(crate) fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_only_when_its_content_changes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b.wasm");
        assert!(write_if_changed(&path, b"1").unwrap());
        assert!(!write_if_changed(&path, b"1").unwrap());
        assert!(write_if_changed(&path, b"2").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(directory.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn the_root_is_where_the_contract_is() {
        assert!(root().join("wit/worlds.wit").is_file());
    }
}
