//! Watches configuration files and components, and says when they have settled after a change.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::reload::Watched;

/// How long files must be quiet: editors and compilers write in several steps.
const SETTLE: Duration = Duration::from_millis(300);

/// A change that matters has been seen; more of them say the same.
const SIGNALS: usize = 1;

/// Watches directories, because files are replaced by renaming; only what is [`Watched`] counts.
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    seen: mpsc::Receiver<()>,
    names: std::sync::Arc<parking_lot::Mutex<Names>>,
    directories: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Names {
    files: BTreeSet<OsString>,
    directories: Vec<PathBuf>,
}

impl Names {
    fn matter(&self, path: &Path) -> bool {
        // By name: the watcher may report another spelling of the directory than the configuration has.
        path.file_name().is_some_and(|name| self.files.contains(name))
            || path.parent().is_some_and(|parent| self.directories.iter().any(|dir| dir == parent))
    }
}

impl Watch {
    /// Begins to watch. Where the system does not let it, there is a warning, and SIGHUP remains.
    pub(crate) fn start(watched: &Watched) -> Self {
        let (signal, seen) = mpsc::channel(SIGNALS);
        let names = std::sync::Arc::<parking_lot::Mutex<Names>>::default();
        let known = std::sync::Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let matters = !matches!(event.kind, EventKind::Access(_))
                && event.paths.iter().any(|path| known.lock().matter(path));
            if matters {
                // A full channel already says it.
                let _ = signal.try_send(());
            }
        });
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "cannot watch files; send SIGHUP to reload");
        });
        let mut watch = Self { watcher: watcher.ok(), seen, names, directories: BTreeSet::new() };
        watch.follow(watched);
        watch
    }

    /// Watches what the configuration now names.
    pub(crate) fn follow(&mut self, watched: &Watched) {
        let absolute =
            |path: &PathBuf| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let included: Vec<PathBuf> = watched.directories.iter().map(absolute).collect();
        let mut wanted: BTreeSet<PathBuf> = included.iter().cloned().collect();
        let files = &watched.files;
        let files: Vec<PathBuf> =
            files.iter().cloned().chain(files.iter().flat_map(|file| links(file))).collect();
        for file in &files {
            let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
            wanted.insert(absolute(&parent.unwrap_or(Path::new(".")).to_path_buf()));
        }
        *self.names.lock() = Names {
            files: files.iter().filter_map(|file| file.file_name()).map(Into::into).collect(),
            directories: included,
        };
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.directories.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        for new in wanted.difference(&self.directories) {
            if let Err(error) = watcher.watch(new, RecursiveMode::NonRecursive) {
                let directory = new.display();
                tracing::warn!(%directory, %error, "cannot watch a directory; send SIGHUP to reload");
            }
        }
        self.directories = wanted;
    }

    /// Ready when something changed and has been quiet for a while. Never ready when nothing can be watched.
    pub(crate) async fn settled(&mut self) {
        if self.watcher.is_none() || self.seen.recv().await.is_none() {
            return std::future::pending().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(SETTLE, self.seen.recv()).await {}
    }
}

/// Every symbolic link on the way to a file: who replaces one of them replaces the file. Kubernetes does.
fn links(file: &Path) -> Vec<PathBuf> {
    /// As many as operating systems follow.
    const MOST: usize = 40;
    let mut found = Vec::new();
    let mut path = file.to_path_buf();
    while found.len() < MOST {
        let Some(link) = path.ancestors().filter(|path| path.is_symlink()).last() else { break };
        let Ok(target) = std::fs::read_link(link) else { break };
        let mut resolved = link.parent().unwrap_or(Path::new("")).join(target);
        resolved.extend(path.strip_prefix(link).unwrap_or(Path::new("")).components());
        found.push(link.to_path_buf());
        path = resolved;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_on_the_way_to_a_file_is_found_and_a_ring_of_them_ends() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, dir.join(name)).unwrap();
            dir.join(name)
        };
        std::fs::create_dir(dir.join("first")).unwrap();
        std::fs::write(dir.join("first/file"), "").unwrap();
        let data = link("first", "data");
        let file = link("data/file", "file");
        assert_eq!(links(&file), [file, data]);
        assert_eq!(links(&dir.join("first/file")), [] as [PathBuf; 0]);
        let (ring, _) = (link("b", "a"), link("a", "b"));
        assert_eq!(links(&ring).len(), 40);
    }
}
