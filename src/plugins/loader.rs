//! Looks at the plugin folder, loads what is new, and remembers what serves, what served before, and what was refused.
//!
//! Nothing is decided here: a snapshot with the new versions is prepared like any other, and only when it is published do they
//! take the place of the old ones.

mod slot;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aurora_config::{RefusedPlugin, Trust};
use aurora_sdk::Manifest;
use tokio::sync::Notify;

pub(crate) use slot::SlotStatus;

use super::Plugins;
use super::dynamic::Copies;
use super::file::{self, Hash};
use super::generation::Generation;
use super::health::Telling;
use super::metrics::Metrics;
use super::reaper::Reaper;
use slot::{Slot, stem};

/// See the module.
pub(crate) struct Loader {
    /// By file.
    slots: BTreeMap<PathBuf, Slot>,
    copies: Option<Copies>,
    telling: Telling,
}

/// Settings that a look at the folder needs.
pub(crate) type Settings = aurora_config::Plugins;

/// What files are looked at with.
struct Look<'a> {
    settings: &'a Settings,
    copies: &'a Copies,
    telling: &'a Telling,
    /// Fingerprint of the config: what one could not use, another may.
    config: Hash,
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("files", &self.slots.keys())
            .finish_non_exhaustive()
    }
}

impl Loader {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            slots: BTreeMap::new(),
            copies: None,
            telling: Telling {
                metrics,
                reaper: Arc::new(Reaper::new()),
                troubled: Arc::new(Notify::new()),
            },
        }
    }

    /// Looks at the folder and loads what is new in it; blocks.
    pub(crate) fn scan(&mut self, settings: &Settings, data_dir: &Path, config: Hash) {
        let found = file::libraries(&settings.dir);
        if found.is_empty() && self.slots.is_empty() {
            return;
        }
        let copies = self.copies.get_or_insert_with(|| Copies::new(data_dir));
        for slot in self.slots.values_mut() {
            slot.is_missing = !found.contains(&slot.path);
        }
        if settings.trust == Trust::Unreadable {
            return;
        }
        for path in found {
            let slot = self
                .slots
                .entry(path.clone())
                .or_insert_with(|| Slot::new(path));
            slot.look(&Look {
                settings,
                copies,
                telling: &self.telling,
                config,
            });
        }
    }

    /// Does with one file all that is done before options matter; blocks.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn verify(
        &mut self,
        path: &Path,
        settings: &Settings,
        data_dir: &Path,
    ) -> Result<Arc<Manifest>, String> {
        let copies = Copies::new(data_dir);
        let mut slot = Slot::new(path.to_owned());
        slot.look(&Look {
            settings,
            copies: &copies,
            telling: &self.telling,
            config: Hash::default(),
        });
        if let Some(reason) = slot.refusal() {
            return Err(reason.to_owned());
        }
        let generation = slot.best().ok_or("it was not loaded")?;
        Ok(Arc::clone(&generation.manifest))
    }

    /// What a snapshot may be made of: new versions where there are any, else those that serve.
    pub(crate) fn plugins(&self, settings: &Settings) -> Plugins {
        let mut plugins = Plugins::builtin();
        let mut taken: BTreeMap<String, &Path> = BTreeMap::new();
        for slot in self.slots.values() {
            if let Some(reason) = slot.refusal() {
                plugins.refused.push(RefusedPlugin {
                    name: slot.name(settings).unwrap_or_else(|| stem(&slot.path)),
                    file: slot.path.display().to_string(),
                    reason: reason.to_owned(),
                });
            }
            let (Some(generation), Some(name)) = (slot.best(), slot.name(settings)) else {
                continue;
            };
            if let Some(other) = taken.get(&name) {
                let reason = format!(
                    "{} has a plugin `{name}` already; to have both, give this one another name: `file` in [plugins.NAME]",
                    other.display()
                );
                plugins.refused.push(RefusedPlugin {
                    name: String::new(),
                    file: slot.path.display().to_string(),
                    reason,
                });
                continue;
            }
            taken.insert(name.clone(), &slot.path);
            plugins.insert(&name, generation.named());
        }
        plugins
    }

    /// Fingerprints of what [`Loader::plugins`] gives, which decide whether anything has changed.
    pub(crate) fn hashes(&self) -> Vec<(PathBuf, Option<Hash>)> {
        let hash = |slot: &Slot| slot.best().map(|generation| generation.origin.hash);
        self.slots
            .iter()
            .map(|(path, slot)| (path.clone(), hash(slot)))
            .collect()
    }

    /// Whether `generation` is new: it has not served yet, and something else would serve in its place.
    pub(crate) fn is_replaceable(&self, generation: &Arc<Generation>) -> bool {
        let slot = self.slots.get(&generation.origin.file);
        slot.is_some_and(|slot| slot.is_replaceable(generation))
    }

    /// The config with that fingerprint cannot use a new version; what served before serves on.
    pub(crate) fn reject(&mut self, generation: &Arc<Generation>, reason: &str, config: Hash) {
        if let Some(slot) = self.slots.get_mut(&generation.origin.file) {
            slot.reject(generation, reason, config, &self.telling);
        }
    }

    /// What `plugins` has serves now.
    pub(crate) fn commit(&mut self, plugins: &Plugins, settings: &Settings) {
        for (name, generation) in plugins.generations() {
            if let Some(slot) = self.slots.get_mut(&generation.origin.file) {
                slot.commit(name, generation, settings);
            }
        }
    }

    /// Goes back to the version of `name` that served before; the one that serves now is refused from here on.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub(crate) fn roll_back(&mut self, name: &str, why: &str) -> Result<u64, String> {
        let slot = self.slots.values_mut().find(|slot| slot.serves_as(name));
        let slot = slot.ok_or_else(|| format!("no loaded plugin is called `{name}`"))?;
        slot.roll_back(why, &self.telling)
    }

    /// Names of plugins that panicked too often.
    pub(crate) fn failing(&self) -> Vec<String> {
        self.slots.values().filter_map(Slot::failing).collect()
    }

    /// Woken when a plugin panicked too often.
    pub(crate) fn troubled(&self) -> Arc<Notify> {
        Arc::clone(&self.telling.troubled)
    }

    /// For status.
    pub(crate) fn status(&self) -> Vec<SlotStatus> {
        self.slots.values().map(Slot::status).collect()
    }

    /// Waits until plugins that nobody uses any more are destroyed, for `time` at the most.
    pub(crate) fn finish(&self, time: std::time::Duration) -> bool {
        self.telling.reaper.finish(time)
    }
}
