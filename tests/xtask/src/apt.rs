//! Debian's packages, where there are Debian's tools and the right to use them.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::step;

/// Installs Debian packages where this user may. Answers false where apt is missing or needs root.
///
/// # Errors
/// What apt says.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<bool> {
    let root = step::answer(Command::new("id").arg("-u"), Duration::from_secs(10));
    if root.as_deref() != Some("0") || !step::exists("apt-get") {
        return Ok(false);
    }
    step::say(format!("apt: installing {} ({why})", packages.join(", ")));
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-o", "Acquire::http::Timeout=60", "-o", "Acquire::Retries=2"]);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    step::run_quietly(&mut apt(&["update", "-q"]), step::NETWORK)?;
    let mut install = apt(&["install", "-q", "-y", "--no-install-recommends"]);
    step::run_quietly(install.args(packages), step::NETWORK)?;
    Ok(true)
}
