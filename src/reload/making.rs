//! Everything that may fail: a snapshot, complete and tested, but not yet serving.

use std::path::Path;
use std::sync::Arc;

use aurora_config::{Loaded, Style};

use crate::limits::Ledger;
use crate::plugins::{Generation, Plugins, Surroundings};
use crate::snapshot::{Material, Snapshot, prepare};
use crate::store::Store;

/// A snapshot that could serve.
pub(super) type Made = Snapshot;

/// What a snapshot is made of, beside its config.
pub(super) struct Making<'a> {
    pub(super) config_path: &'a Path,
    pub(super) plugins: &'a Plugins,
    pub(super) surroundings: &'a Arc<Surroundings>,
    pub(super) store: &'a Store,
    pub(super) limits: &'a Arc<Ledger>,
}

/// Why there is none, and the loaded plugins that are at fault.
pub(super) struct Stopped {
    pub(super) text: String,
    pub(super) culprits: Vec<(Arc<Generation>, String)>,
}

impl From<String> for Stopped {
    fn from(text: String) -> Self {
        Self {
            text,
            culprits: Vec::new(),
        }
    }
}

impl Making<'_> {
    /// Makes it, off the async threads: plugins may take their time.
    pub(super) async fn snapshot(
        &self,
        loaded: Box<Loaded>,
        previous: Option<&Arc<Snapshot>>,
    ) -> Result<Made, Stopped> {
        let before = previous.map(Arc::clone);
        let (config_path, plugins) = (self.config_path.to_owned(), self.plugins.clone());
        let (surroundings, store) = (Arc::clone(self.surroundings), self.store.clone());
        let limits = Arc::clone(self.limits);
        let preparing = tokio::task::spawn_blocking(move || {
            let material = Material {
                config_path: &config_path,
                plugins: &plugins,
                surroundings: &surroundings,
                store: &store,
                limits: &limits,
            };
            prepare(*loaded, &material, before.as_deref())
        });
        let prepared = preparing.await.map_err(|error| error.to_string())?;
        let made = prepared.map_err(|unprepared| Stopped {
            text: unprepared.error.report.render(Style::Plain),
            culprits: unprepared.culprits,
        })?;
        let before = previous.map(|previous| &previous.workshop);
        made.workshop
            .probe(before)
            .await
            .map_err(|failed| Stopped {
                text: format!(
                    "error: plugin `{}`: {}",
                    failed.generation.manifest.name, failed.reason
                ),
                culprits: vec![(failed.generation, failed.reason)],
            })?;
        Ok(made)
    }
}
