//! The plugins that routes can name: built in, or loaded from a folder.

mod builtin;
mod dynamic;
mod file;
mod generation;
mod ground;
mod health;
mod inspect;
mod loader;
mod metrics;
mod note;
mod reaper;
mod schema;
mod trust;

pub(crate) use file::{hex, is_library};
pub(crate) use generation::Generation;
pub(crate) use ground::{Ground, Surroundings};
pub(crate) use inspect::{Inspected, inspect};
pub(crate) use loader::{Loader, SlotStatus};
pub(crate) use metrics::Metrics;
pub(crate) use schema::check as check_options;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aurora_config::{PluginInfo, RefusedPlugin};
use aurora_sdk::{Kind, Manifest, Plugin};

/// A plugin under the name that routes use.
#[derive(Clone)]
pub(crate) struct Named {
    /// Builds handlers and filters.
    pub(crate) plugin: Arc<dyn Plugin>,
    /// What it says of itself.
    pub(crate) manifest: Arc<Manifest>,
    /// The library that it comes from; `None`: it is built in.
    pub(crate) generation: Option<Arc<Generation>>,
}

impl Named {
    fn builtin(plugin: Arc<dyn Plugin>) -> Self {
        Self {
            manifest: Arc::new(plugin.manifest()),
            plugin,
            generation: None,
        }
    }
}

/// Plugins by name, as one snapshot has them.
#[derive(Clone, Default)]
pub(crate) struct Plugins {
    by_name: BTreeMap<String, Named>,
    refused: Vec<RefusedPlugin>,
}

impl Plugins {
    /// Those that are linked into the binary.
    pub(crate) fn builtin() -> Self {
        let by_name = builtin::all()
            .into_iter()
            .map(Named::builtin)
            .map(|named| (named.manifest.name.clone(), named))
            .collect();
        Self {
            by_name,
            refused: Vec::new(),
        }
    }

    /// Puts `named` in the place of what has its name.
    fn insert(&mut self, name: &str, named: Named) {
        self.by_name.insert(name.to_owned(), named);
    }

    /// The plugin called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Named> {
        self.by_name.get(name)
    }

    /// All of them, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.by_name
            .iter()
            .map(|(name, named)| (name.as_str(), named))
    }

    /// Those that are loaded, by name.
    pub(crate) fn generations(&self) -> impl Iterator<Item = (&str, &Arc<Generation>)> {
        self.by_name
            .iter()
            .filter_map(|(name, named)| Some((name.as_str(), named.generation.as_ref()?)))
    }

    /// Libraries that cannot be used.
    pub(crate) fn refused(&self) -> &[RefusedPlugin] {
        &self.refused
    }

    /// What the config's checks need to know of them.
    pub(crate) fn infos(&self) -> Vec<PluginInfo> {
        self.by_name
            .iter()
            .map(|(name, named)| PluginInfo {
                name: name.clone(),
                methods: named.manifest.methods.clone(),
                is_handler: named.manifest.is_kind(Kind::Handler),
                is_filter: named.manifest.is_kind(Kind::Filter),
            })
            .collect()
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
