//! What reloads have come to, for status, readiness and the log.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct ReloadStatus(Mutex<Facts>);

/// What is known about reloads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Snapshots published, the first one included.
    pub(crate) published: u64,
    /// Configs refused.
    pub(crate) refused: u64,
    /// When the inputs were last read.
    pub(crate) last_checked: Option<SystemTime>,
    /// When a snapshot was last published.
    pub(crate) last_published: Option<SystemTime>,
    /// The config on disk cannot be used; `None` where it is what serves.
    pub(crate) error: Option<RefusedReload>,
}

/// A config that was refused while an older one serves.
#[derive(Debug, Clone)]
pub(crate) struct RefusedReload {
    /// When.
    pub(crate) at: SystemTime,
    /// The diagnostics, as `aurora check` prints them.
    pub(crate) text: String,
}

impl ReloadStatus {
    /// Held for nanoseconds and never across an await.
    fn facts_mut(&self) -> MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known.
    pub(crate) fn facts(&self) -> Facts {
        self.facts_mut().clone()
    }

    /// The inputs were read.
    pub(crate) fn checked(&self) {
        self.facts_mut().last_checked = Some(SystemTime::now());
    }

    /// A snapshot serves that came from what is on disk.
    pub(crate) fn published(&self) {
        let mut facts = self.facts_mut();
        facts.published += 1;
        facts.last_published = Some(SystemTime::now());
        facts.error = None;
    }

    /// What is on disk is again what serves.
    pub(crate) fn recovered(&self) {
        self.facts_mut().error = None;
    }

    /// What is on disk cannot be used.
    pub(crate) fn refused(&self, text: String) -> RefusedReload {
        let refused = RefusedReload {
            at: SystemTime::now(),
            text,
        };
        let mut facts = self.facts_mut();
        facts.refused += 1;
        facts.error = Some(refused.clone());
        refused
    }
}
