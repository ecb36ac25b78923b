//! A Rust toolchain for wasm32-unknown-unknown, found or installed at run time: rustup's where there is
//! one, else Debian's compiler with the standard library built from its source.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::{apt, step, tree};

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_STD: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// How the guests are compiled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The toolchain in use has the target's standard library.
    Installed,
    /// Debian's compiler, which has not; the linker is named because Debian's has none for wasm either.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// Finds a toolchain, and installs one where that is possible.
    ///
    /// # Errors
    /// What to install by hand.
    pub(crate) fn find() -> Result<Self> {
        let sysroot = sysroot();
        if sysroot.as_deref().is_some_and(has_target) {
            return Ok(Self::Installed);
        }
        // What is there is not fetched again: where rustup could not add it, it may take minutes to say so.
        if !debian_is_complete() && add_with_rustup() {
            return Ok(Self::Installed);
        }
        if let Some(debian) = debian(sysroot.as_deref())? {
            return Ok(debian);
        }
        bail!(
            "plugins are compiled for {TARGET}, and this machine has no compiler for it. Run \
             `rustup target add {TARGET}`; where there is no rustup, install your distribution's \
             package of the {TARGET} standard library (Debian: `apt-get install rustc-web \
             rust-web-src lld` as root; Fedora: `dnf install rust-std-static-{TARGET}`)"
        )
    }

    /// `cargo build` for the target, in the plugins' workspace.
    pub(crate) fn build(&self) -> Command {
        let mut command = cargo();
        // Flags that are meant for the broker would be wrong, or rebuild everything.
        command.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        command.env("CARGO_ENCODED_RUSTFLAGS", flags());
        command.args(["build", "--release", "--target", TARGET]);
        command.envs(self.environment());
        command
    }

    /// What cargo needs in its environment to build for the target as [`build`](Self::build) does.
    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Installed => Vec::new(),
            Self::Debian { linker } => vec![
                ("RUSTC", DEBIAN_RUSTC.into()),
                // Building the standard library is not stable; Debian ships no other for this target.
                ("RUSTC_BOOTSTRAP", "1".into()),
                ("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort".into()),
                ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker.into()),
            ],
        }
    }
}

/// The messages of panics name source files, in the broker's log as well: without the directories of the
/// machine that built them.
fn flags() -> String {
    let mut flags = vec![format!("--remap-path-prefix={}=.", tree::root().display())];
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")));
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    flags.join("\x1f")
}

/// The cargo that runs this program, in the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(tree::root());
    command
}

fn sysroot() -> Option<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "sysroot"]).current_dir(tree::root());
    step::answer(&mut command, Duration::from_secs(60)).map(PathBuf::from)
}

fn has_target(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir()
}

fn add_with_rustup() -> bool {
    if !step::exists("rustup") {
        return false;
    }
    step::say(format!("wasm: adding {TARGET} with rustup, since plugins are compiled for it"));
    let mut command = Command::new("rustup");
    command.args(["target", "add", TARGET]).current_dir(tree::root());
    match step::run_quietly(&mut command, Duration::from_secs(180)) {
        Ok(()) => sysroot().as_deref().is_some_and(has_target),
        Err(_) => {
            step::say("wasm: rustup could not add it; trying the distribution's packages");
            false
        }
    }
}

fn debian_is_complete() -> bool {
    Path::new(DEBIAN_RUSTC).exists() && Path::new(DEBIAN_STD).exists()
}

fn debian(sysroot: Option<&Path>) -> Result<Option<Toolchain>> {
    if !debian_is_complete() {
        let packages = ["rustc-web", "rust-web-src"];
        let why = format!("a Rust compiler with the source of the standard library, for {TARGET}");
        if !apt::install(&packages, &why)? || !debian_is_complete() {
            return Ok(None);
        }
    }
    let linker = rust_lld(sysroot).or_else(debian_lld);
    if linker.is_none() {
        apt::install(&["lld"], &format!("a linker for {TARGET}"))?;
    }
    let linker = linker.or_else(debian_lld);
    Ok(linker.map(|linker| Toolchain::Debian { linker }))
}

/// The linker that comes with rustup's toolchains.
fn rust_lld(sysroot: Option<&Path>) -> Option<PathBuf> {
    let hosts = std::fs::read_dir(sysroot?.join("lib/rustlib")).ok()?;
    hosts.flatten().map(|host| host.path().join("bin/rust-lld")).find(|linker| linker.exists())
}

fn debian_lld() -> Option<PathBuf> {
    Some(PathBuf::from("/usr/bin/wasm-ld")).filter(|linker| linker.exists())
}
