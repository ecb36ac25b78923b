//! Builds the JavaScript plugin with npm and componentize-js, when what goes into it has changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{plugins, step, tree};

/// Builds target/plugins/redact.wasm.
pub(crate) fn build_redact() -> Result<()> {
    let sources = plugins::redact_sources();
    let output = tree::target("plugins/redact.wasm");
    let stamp = tree::target("wasm/redact.inputs");
    let inputs = fingerprint(&[
        sources.join("src"),
        sources.join("build.js"),
        sources.join("package-lock.json"),
        tree::root().join("wit"),
    ])?;
    if output.exists() && fs::read_to_string(&stamp).is_ok_and(|old| old == inputs) {
        return Ok(());
    }
    need_node()?;
    install_packages(&sources, &sources.join("node_modules"), "to compile JavaScript to wasm")?;
    step::say("plugins: building redact, with a JavaScript engine inside");
    let built = tree::target("wasm/redact.wasm");
    fs::create_dir_all(tree::target("wasm")).context("cannot create target/wasm")?;
    let mut node = Command::new("node");
    node.arg("build.js").arg(&built).current_dir(&sources);
    step::run_quietly(&mut node, Duration::from_secs(600))?;
    let component = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    plugins::install("redact", &component, &output)?;
    tree::write_if_changed(&stamp, inputs.as_bytes())?;
    Ok(())
}

/// The tests of the JavaScript plugin, without wasm.
pub(crate) fn test_redact() -> Result<()> {
    need_node()?;
    let mut node = Command::new("node");
    node.arg("--test").current_dir(plugins::redact_sources());
    step::run_quietly(&mut node, Duration::from_secs(300))
}

/// `npm ci` where the lock file or the packages are not those of the last time.
pub(crate) fn install_packages(directory: &Path, modules: &Path, why: &str) -> Result<()> {
    let stamp = modules.join(".installed");
    let lock = fingerprint(&[directory.join("package-lock.json")])?;
    if fs::read_to_string(&stamp).is_ok_and(|old| old == lock) {
        return Ok(());
    }
    step::say(format!("npm: installing {} ({why})", tree::short(&directory.join("package.json"))));
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(directory);
    step::run_quietly(&mut npm, step::NETWORK)?;
    tree::write_if_changed(&stamp, lock.as_bytes())?;
    Ok(())
}

/// # Errors
/// How to get Node.js.
pub(crate) fn need_node() -> Result<()> {
    let version = step::answer(Command::new("node").arg("--version"), Duration::from_secs(30));
    let major = version.as_deref().and_then(major);
    if major.is_none_or(|major| major < 20) || !step::exists("npm") {
        let found = version.map_or_else(String::new, |version| format!(" (found {version})"));
        bail!(
            "Node.js 20 or newer with npm is needed{found}; get it from https://nodejs.org or your \
             distribution (Debian: `apt-get install nodejs npm`)"
        );
    }
    Ok(())
}

fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// Changes when a file, or a file in a directory, does. Not for more than noticing that.
pub(crate) fn fingerprint(paths: &[PathBuf]) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    let mut waiting = paths.to_vec();
    while let Some(path) = waiting.pop() {
        let said = || format!("cannot read {}", path.display());
        tree::short(&path).hash(&mut hasher);
        if path.is_dir() {
            let mut entries = Vec::new();
            for entry in fs::read_dir(&path).with_context(said)? {
                entries.push(entry.with_context(said)?.path());
            }
            entries.sort_unstable();
            waiting.extend(entries);
        } else {
            fs::read(&path).with_context(said)?.hash(&mut hasher);
        }
    }
    Ok(format!("{:016x}", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_changes_with_any_file_below() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().to_path_buf()];
        fs::create_dir(directory.path().join("inner")).unwrap();
        let file = directory.path().join("inner/a.js");
        fs::write(&file, "1").unwrap();
        let before = fingerprint(&paths).unwrap();
        assert_eq!(fingerprint(&paths).unwrap(), before);
        fs::write(&file, "2").unwrap();
        let changed = fingerprint(&paths).unwrap();
        fs::write(directory.path().join("b.js"), "").unwrap();
        assert!(changed != before && fingerprint(&paths).unwrap() != changed);
        assert!(fingerprint(&[directory.path().join("missing")]).is_err());
    }

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(major("v20.20.2"), Some(20));
        assert_eq!(major("twenty"), None);
    }
}
