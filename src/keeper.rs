//! Looks after what must not wait for a request: tokens that expire, files of ours that are too old, what keys have used.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::limits::Now;
use crate::shared::Shared;
use crate::spool;

/// How often upstreams are tended.
const ROUND: Duration = Duration::from_secs(15);

/// How often what is kept on disk is looked through.
const SWEEP: Duration = Duration::from_mins(10);

/// Files of ours in a folder that may hold others, which are never touched.
#[derive(Debug)]
pub(crate) struct Leftovers {
    /// The folder; it need not be there.
    pub(crate) folder: PathBuf,
    /// Whether a file of that name is ours.
    pub(crate) is_ours: fn(&str) -> bool,
    /// How long a file stays.
    pub(crate) keep: Duration,
    /// Whether who needs a file holds its lock, so that one without was left by a process that died.
    pub(crate) is_locked: bool,
    /// All of them together, bytes; the oldest go first.
    pub(crate) max_total: u64,
}

/// Runs until the gateway drains.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept: Option<Instant> = None;
    loop {
        tokio::select! {
            () = shared.draining.cancelled() => return,
            _ = rounds.tick() => {}
        }
        shared.limits.save(Now::read()).await;
        let snapshot = shared.cell.load();
        for upstream in snapshot.upstreams.values() {
            upstream.provider.tend().await;
        }
        if swept.is_none_or(|at| at.elapsed() >= SWEEP) {
            swept = Some(Instant::now());
            let data_dir = &snapshot.config().server.data_dir;
            let all = [snapshot.gallery.leftovers(), spool::leftovers(data_dir)];
            let sweeping = tokio::task::spawn_blocking(move || {
                for leftovers in all {
                    leftovers.sweep(SystemTime::now());
                }
            });
            if let Err(error) = sweeping.await {
                tracing::warn!(%error, "old files could not be looked through");
            }
        }
    }
}

impl Leftovers {
    /// Removes what is too old or too much.
    fn sweep(&self, now: SystemTime) {
        // No folder: nothing was ever kept.
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let is_ours = entry.file_name().to_str().is_some_and(self.is_ours);
                let metadata = entry
                    .metadata()
                    .ok()
                    .filter(|found| is_ours && found.is_file())?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort_by_key(|(modified, _, _)| std::cmp::Reverse(*modified));
        let mut total = 0_u64;
        for (modified, length, path) in files {
            total = total.saturating_add(length);
            // Where the clock was put back, a file is from the future, and would never be too old: as far away counts as old.
            let age = now
                .duration_since(modified)
                .unwrap_or_else(|error| error.duration());
            let is_orphan = || {
                let file = std::fs::File::open(&path);
                self.is_locked && file.is_ok_and(|file| file.try_lock().is_ok())
            };
            if (age > self.keep || total > self.max_total || is_orphan())
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), %error, "an old file stays");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(keep: Duration, max_total: u64) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("ours-old", 2),
            ("theirs-old", 2),
            ("ours-new", 0),
            ("ours-newer", 0),
        ];
        for (number, (name, days)) in files.into_iter().enumerate() {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(10).unwrap();
            let age = Duration::from_hours(24 * days) + Duration::from_secs(60 - number as u64);
            file.set_modified(SystemTime::now() - age).unwrap();
        }
        std::fs::create_dir(folder.path().join("ours-folder")).unwrap();
        let leftovers = Leftovers {
            folder: folder.path().to_owned(),
            is_ours: |name| name.starts_with("ours-"),
            keep,
            is_locked: false,
            max_total,
        };
        leftovers.sweep(SystemTime::now());
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn old_files_of_ours_go_and_nothing_else() {
        let names = left(Duration::from_hours(24), u64::MAX);
        assert_eq!(
            names,
            ["ours-folder", "ours-new", "ours-newer", "theirs-old"]
        );
    }

    #[test]
    fn what_a_dead_process_left_goes_at_once_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let create = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
        let (used, _orphan) = (create("ours-used"), create("ours-orphan"));
        used.try_lock().unwrap();
        let leftovers = Leftovers {
            folder: folder.path().to_owned(),
            is_ours: |name| name.starts_with("ours-"),
            keep: Duration::MAX,
            is_locked: true,
            max_total: u64::MAX,
        };

        leftovers.sweep(SystemTime::now());

        assert!(folder.path().join("ours-used").exists());
        assert!(!folder.path().join("ours-orphan").exists());
    }

    #[test]
    fn a_clock_that_jumps_keeps_no_file_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ours-1");
        std::fs::File::create(&path).unwrap();
        let leftovers = Leftovers {
            folder: folder.path().to_owned(),
            is_ours: |name| name.starts_with("ours-"),
            keep: Duration::from_hours(24),
            is_locked: false,
            max_total: u64::MAX,
        };

        leftovers.sweep(SystemTime::now() - Duration::from_hours(12));
        assert!(path.exists());
        leftovers.sweep(SystemTime::now() - Duration::from_hours(240));
        assert!(!path.exists());
    }

    #[test]
    fn the_oldest_go_first_where_there_is_too_much() {
        let names = left(Duration::MAX, 15);
        assert_eq!(names, ["ours-folder", "ours-newer", "theirs-old"]);
    }
}
