//! Tells when a watched file may have changed. The one door to notify.
//!
//! Folders are watched, not files: editors and `ConfigMap`s replace the file, so a watch on the inode dies at the first
//! change. A look at size, time and inode every two seconds is the net under it, for file systems that tell nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::event::EventKind;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::plugins::is_library;

/// A burst of changes is over after this much quiet.
const SETTLE: Duration = Duration::from_millis(250);

/// But it is looked at after this long in any case.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// How often the files are looked at without being told.
const POLL: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Watcher {
    watched: Arc<Mutex<Watched>>,
    folders: BTreeSet<PathBuf>,
    notifier: Option<RecommendedWatcher>,
    events: mpsc::Receiver<()>,
    /// Keeps the channel open where there is no notifier.
    _sender: mpsc::Sender<()>,
    seen: Vec<Option<Stamp>>,
}

/// What is watched.
#[derive(Default)]
struct Watched {
    files: BTreeSet<PathBuf>,
    /// Every library in it is watched, also those that are not there yet.
    plugin_dir: Option<PathBuf>,
}

/// What a change of a file changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Watcher {
    /// Watches `config` and the files beside it.
    pub(super) fn new(config: &Path, files: &[PathBuf], plugin_dir: Option<&Path>) -> Self {
        // One waiting word is enough: it says "look", not what to look at.
        let (sender, events) = mpsc::channel(1);
        let watched: Arc<Mutex<Watched>> = Arc::default();
        let notifier = notifier(sender.clone(), Arc::clone(&watched));
        let mut watcher = Self {
            watched,
            folders: BTreeSet::new(),
            notifier,
            events,
            _sender: sender,
            seen: Vec::new(),
        };
        watcher.follow(config, files, plugin_dir);
        watcher.seen = watcher.stamps();
        watcher
    }

    /// Watches these files from now on.
    pub(super) fn follow(&mut self, config: &Path, files: &[PathBuf], plugin_dir: Option<&Path>) {
        let files: BTreeSet<PathBuf> = files.iter().cloned().chain([config.to_owned()]).collect();
        let real = files.iter().filter_map(|file| file.canonicalize().ok());
        let folders: BTreeSet<PathBuf> = files
            .iter()
            .cloned()
            .chain(real)
            .filter_map(|file| file.parent().map(Path::to_owned))
            .chain(
                plugin_dir
                    .filter(|folder| folder.is_dir())
                    .map(Path::to_owned),
            )
            .collect();
        if let Some(notifier) = &mut self.notifier {
            for gone in self.folders.difference(&folders) {
                // It may not exist any more.
                notifier.unwatch(gone).unwrap_or_default();
            }
            for new in folders.difference(&self.folders) {
                if let Err(error) = notifier.watch(new, RecursiveMode::NonRecursive) {
                    tracing::debug!(folder = %new.display(), %error, "folder is only polled");
                }
            }
        }
        self.folders = folders;
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.files = files;
        // Where the config cannot be read, the folder is the one of before.
        if let Some(folder) = plugin_dir {
            watched.plugin_dir = Some(folder.to_owned());
        }
    }

    /// What happens from here on is a change. To be called before the files are read.
    pub(super) fn mark(&mut self) {
        self.seen = self.stamps();
    }

    /// Waits until something may have changed and has come to rest. Cancel safe: a change that was noticed but not
    /// reported is noticed again by its stamp.
    pub(super) async fn changed(&mut self) {
        loop {
            let told = timeout(POLL, self.events.recv()).await.is_ok();
            if told || self.stamps() != self.seen {
                break;
            }
        }
        let deadline = Instant::now() + SETTLE_MAX;
        while Instant::now() < deadline && timeout(SETTLE, self.events.recv()).await.is_ok() {
            // A full channel would make every wait return at once.
            sleep(SETTLE / 10).await;
        }
    }

    /// Stats of a handful of files: microseconds, not worth another thread.
    fn stamps(&self) -> Vec<Option<Stamp>> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let files = watched.files.iter().map(|file| stamp(file));
        let libraries = watched
            .plugin_dir
            .iter()
            .flat_map(|folder| stamps_in(folder));
        files.chain(libraries).collect()
    }
}

/// The folder itself, which changes when names in it do, and its libraries.
fn stamps_in(folder: &Path) -> Vec<Option<Stamp>> {
    let mut libraries: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_library(path))
        .collect();
    libraries.sort();
    std::iter::once(stamp(folder))
        .chain(libraries.iter().map(|library| stamp(library)))
        .collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = file.metadata().ok()?;
    Some(Stamp {
        modified: metadata.modified().ok(),
        length: metadata.len(),
        inode: metadata.ino(),
    })
}

fn notifier(sender: mpsc::Sender<()>, watched: Arc<Mutex<Watched>>) -> Option<RecommendedWatcher> {
    let on_event = move |event: notify::Result<notify::Event>| {
        let matters = match event {
            Ok(event) => {
                !matches!(event.kind, EventKind::Access(_))
                    && event.paths.iter().any(|path| matters(path, &watched))
            }
            // Events were lost: look.
            Err(_) => true,
        };
        if matters {
            // Full means that a look is due already.
            sender.try_send(()).unwrap_or_default();
        }
    };
    match notify::recommended_watcher(on_event) {
        Ok(notifier) => Some(notifier),
        Err(error) => {
            tracing::warn!(%error, "file changes are found by polling alone");
            None
        }
    }
}

/// Whether a change at `path` can change what the watched files say: it is one of them, or a link or folder on the way
/// to one (a `ConfigMap` swaps a link beside the file). Other plain files, such as our own state, cannot.
fn matters(path: &Path, watched: &Mutex<Watched>) -> bool {
    let watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
    let is_plugins = watched
        .plugin_dir
        .as_deref()
        .is_some_and(|folder| path.parent() == Some(folder));
    if watched.files.contains(path) || (is_plugins && (is_library(path) || is_signature(path))) {
        return true;
    }
    drop(watched);
    path.symlink_metadata()
        .is_ok_and(|metadata| !metadata.is_file())
}

fn is_signature(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "minisig")
}
