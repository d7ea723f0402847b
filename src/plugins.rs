//! The plugins that routes can name.

mod builtin;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aurora_config::PluginInfo;
use aurora_sdk::Plugin;

/// Plugins by name.
#[derive(Clone)]
pub(crate) struct Plugins {
    by_name: BTreeMap<String, Arc<dyn Plugin>>,
}

impl Plugins {
    /// Those that are linked into the binary.
    pub(crate) fn builtin() -> Self {
        let by_name = builtin::all()
            .into_iter()
            .map(|plugin| (plugin.name().to_owned(), plugin))
            .collect();
        Self { by_name }
    }

    /// The plugin called `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Plugin>> {
        self.by_name.get(name)
    }

    /// What the config's checks need to know of them.
    pub(crate) fn infos(&self) -> Vec<PluginInfo> {
        self.by_name
            .iter()
            .map(|(name, plugin)| PluginInfo {
                name: name.clone(),
                methods: plugin
                    .methods()
                    .iter()
                    .map(|method| (*method).to_owned())
                    .collect(),
            })
            .collect()
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
