//! A browser without a window. Must not know what its pages do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::PATIENCE;
use super::program::installed;

/// Nothing that a browser does by itself: no sandbox, which root cannot have, no updates, no traffic of its own.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--password-store=basic",
    // Without a desktop it has much to complain about.
    "--log-level=3",
];

/// One that shows a page; killed when dropped, with all that it has written.
pub(crate) struct Browser {
    child: Child,
    profile: TempDir,
}

impl Browser {
    /// Opens the page. Of certificates that nobody in its store has issued, it trusts those with this key.
    pub(crate) fn open(url: &str, pin: Option<&str>) -> Self {
        let profile = TempDir::new().unwrap();
        let mut command = Command::new(installed("WASMQTT_CHROMIUM"));
        command.args(ARGUMENTS).arg(format!("--user-data-dir={}", profile.path().display()));
        if let Some(pin) = pin {
            command.arg(format!("--ignore-certificate-errors-spki-list={pin}"));
        }
        // It leaves files in more places than it is told about.
        command.env("HOME", profile.path()).env("TMPDIR", profile.path());
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        Self { child: command.spawn().unwrap(), profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Its other processes end when they notice, and write until then.
        let start = Instant::now();
        while remains(self.profile.path()) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn remains(directory: &Path) -> bool {
    let _ = std::fs::remove_dir_all(directory);
    directory.exists()
}
