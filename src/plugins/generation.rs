//! One version of a plugin: a library that was loaded under a name.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use aurora_config::Unload;
use aurora_sdk::abi::import::Imported;
use aurora_sdk::{Manifest, Plugin as _};

use super::Named;
use super::dynamic::Mapped;
use super::file::Hash;
use super::health::{Counts, Health};

/// See the module. Requests under way hold the one that they began with.
pub(crate) struct Generation {
    /// Counts the versions of a plugin from 1.
    pub(crate) number: u64,
    /// Where it came from.
    pub(crate) origin: Origin,
    /// When it was loaded.
    pub(crate) loaded_at: SystemTime,
    pub(crate) manifest: Arc<Manifest>,
    plugin: Arc<Imported>,
    pub(super) health: Arc<Health>,
    pub(super) mapped: Arc<Mapped>,
}

/// A library file by its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Where it was read.
    pub(crate) file: PathBuf,
    /// The SHA-256 of its content.
    pub(crate) hash: Hash,
}

impl Generation {
    pub(super) fn new(
        number: u64,
        origin: Origin,
        plugin: Imported,
        health: Arc<Health>,
        mapped: Arc<Mapped>,
    ) -> Self {
        Self {
            number,
            origin,
            loaded_at: SystemTime::now(),
            manifest: Arc::new(plugin.manifest()),
            plugin: Arc::new(plugin),
            health,
            mapped,
        }
    }

    /// As a snapshot has it.
    pub(super) fn named(self: &Arc<Self>) -> Named {
        Named {
            plugin: Arc::clone(&self.plugin) as _,
            manifest: Arc::clone(&self.manifest),
            generation: Some(Arc::clone(self)),
        }
    }

    /// What it did wrong so far.
    pub(crate) fn counts(&self) -> Counts {
        self.health.counts()
    }

    /// Lets its code be unmapped when nobody uses it any more, where author and operator both say that it can be.
    pub(super) fn retire(&self, unload: Unload) {
        if unload == Unload::IfSafe && self.plugin.is_unloadable() {
            self.mapped.allow_unmapping();
        }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generation")
            .field("number", &self.number)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
