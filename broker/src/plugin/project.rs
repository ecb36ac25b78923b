//! A plugin's source directory, and what its plugin.toml says of it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// In the root of every project.
const FILE: &str = "plugin.toml";

/// What a plugin is written in.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Needs cargo and the target wasm32-unknown-unknown.
    Rust,
    /// JavaScript: needs Node.js 20 and npm.
    Js,
    /// Needs Python 3.10 with venv.
    Python,
    /// Needs zig, the WASI SDK, or clang with wasm-ld and wasi-libc.
    C,
}

/// Which question a plugin answers, or what it is told.
#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// Who is this client?
    Authentication,
    /// The same, by AUTH packets.
    EnhancedAuthentication,
    /// May it do this?
    Authorization,
    /// What should this message become?
    Transformation,
    /// This happened.
    Observation,
}

impl Hook {
    /// The world of the contract that exports it.
    pub(super) fn world(self) -> &'static str {
        match self {
            Hook::Authentication => "authenticator",
            Hook::EnhancedAuthentication => "enhanced-authenticator",
            Hook::Authorization => "authorizer",
            Hook::Transformation => "transformer",
            Hook::Observation => "observer",
        }
    }

    /// The chain of a listener that it belongs into, if any.
    pub(super) fn chain(self) -> Option<&'static str> {
        match self {
            Hook::Authentication | Hook::EnhancedAuthentication => Some("authenticate"),
            Hook::Authorization => Some("authorize"),
            Hook::Transformation => Some("transform"),
            Hook::Observation => None,
        }
    }
}

/// plugin.toml.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    name: String,
    language: Language,
    /// A world of wit/.
    world: String,
}

/// A plugin's source directory.
#[derive(Debug)]
pub(super) struct Project {
    pub(super) directory: PathBuf,
    pub(super) name: String,
    pub(super) language: Language,
    pub(super) world: String,
}

impl Project {
    pub(super) fn read(directory: &Path) -> anyhow::Result<Self> {
        let path = directory.join(FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!("{} is not a plugin's directory: cannot read {FILE}", directory.display())
        })?;
        let Said { name, language, world } =
            toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        check_name(&name).with_context(|| format!("in {}", path.display()))?;
        let directory = std::path::absolute(directory)?;
        Ok(Self { directory, name, language, world })
    }

    /// Where its component is built to.
    pub(super) fn component(&self) -> PathBuf {
        self.directory.join(format!("{}.wasm", self.name))
    }
}

/// The text of plugin.toml.
pub(super) fn text(name: &str, language: Language, hook: Hook) -> anyhow::Result<String> {
    let said = Said { name: name.into(), language, world: hook.world().into() };
    Ok(format!("# What `wasmqtt plugin build` makes a component of.\n{}", toml::to_string(&said)?))
}

/// A name is good for a directory, a file, a crate, and the configuration.
pub(super) fn check_name(name: &str) -> anyhow::Result<()> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.ends_with('-')
        && name.len() <= 64;
    if good {
        return Ok(());
    }
    anyhow::bail!(
        "`{name}` is no good name for a plugin: 1 to 64 lower-case letters, digits and dashes, a \
         letter first"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let text = text("my-plugin", Language::Js, Hook::Authorization).unwrap();
        std::fs::write(directory.path().join(FILE), text).unwrap();
        let project = Project::read(directory.path()).unwrap();
        assert_eq!((&*project.name, &*project.world), ("my-plugin", "authorizer"));
        assert_eq!(project.language, Language::Js);
        assert!(project.component().ends_with("my-plugin.wasm"));
    }

    #[test]
    fn a_name_that_would_be_trouble_somewhere_is_refused() {
        for name in ["", "A", "1st", "a/b", "a b", "a_b", "-a", "a-", "..", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert!(check_name("a-1").is_ok());
    }
}
