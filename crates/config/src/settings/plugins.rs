//! `[plugins]`: which libraries are loaded, and what plugins may do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugins {
    /// `dir`, absolute: where loadable plugins are looked for. Default `plugins` beside the file; need not exist.
    pub dir: PathBuf,
    /// `trust`, with the list that it needs.
    pub trust: Trust,
    /// `filters` of all routes, each once; they are part of every [`crate::Route::filters`] already.
    pub filters: Vec<String>,
    /// `unload`.
    pub unload: Unload,
    /// `max_generations`: versions of one plugin that may stay mapped. Default 64.
    pub max_generations: usize,
    /// `drain`: how long requests of a replaced version may go on. Default 10 min.
    pub drain: Duration,
    /// `on_panic`, with `panics` and `panic_window`.
    pub on_panic: OnPanic,
    /// `[plugins.NAME]`, by name.
    pub named: BTreeMap<String, PluginSettings>,
}

/// `trust`: which libraries may be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// `"owner-check"` (default): those that only root and Aurora's user can change.
    OwnerCheck,
    /// `"allow-list"`: those with one of these SHA-256 digests (`allow`).
    AllowList(Vec<[u8; 32]>),
    /// `"signature"`: those signed with one of these minisign keys (`public_keys`), as written; their shape was checked.
    Signature(Vec<String>),
    /// What `[plugins]` says cannot be read, so no library may be loaded; those that serve already are not concerned.
    ///
    /// Only from [`crate::plugins_of`], never in a [`crate::Config`].
    Unreadable,
}

/// `unload`: what becomes of the code of a version that serves no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unload {
    /// `"never"`: it stays mapped.
    #[default]
    Never,
    /// `"if-safe"`: it is unmapped where the plugin says that it can be.
    IfSafe,
}

/// `on_panic`: what becomes of a new version that panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnPanic {
    /// `"rollback"` (default): so many panics in so short a time bring back the version before it.
    Rollback {
        /// `panics`. Default 5.
        panics: u32,
        /// `panic_window`. Default 60 s.
        window: Duration,
    },
    /// `"keep"`: it goes on serving.
    Keep,
}

/// `[plugins.NAME]`: settings of one plugin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PluginSettings {
    /// Its own options: everything but `file` and `grant`.
    pub options: Map<String, Value>,
    /// `file`: the library in [`Plugins::dir`] that serves under this name, a name without a folder. `None`: the one that
    /// calls itself so.
    pub file: Option<String>,
    /// `grant`.
    pub grant: Grant,
}

/// `grant`: what a plugin may use beside its routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// `upstreams`: which it may call by name. Default none.
    pub upstreams: Vec<String>,
    /// `max_concurrency`: blocking calls at once. Default 64.
    pub max_concurrency: usize,
}

impl Default for Grant {
    fn default() -> Self {
        Self {
            upstreams: Vec::new(),
            max_concurrency: 64,
        }
    }
}

impl Plugins {
    /// The options of the plugin called `name`; empty where it has no section.
    pub fn options(&self, name: &str) -> Map<String, Value> {
        self.named
            .get(name)
            .map(|plugin| plugin.options.clone())
            .unwrap_or_default()
    }

    /// What the plugin called `name` may use; the default where it has no section.
    pub fn grant(&self, name: &str) -> Grant {
        self.named
            .get(name)
            .map(|plugin| plugin.grant.clone())
            .unwrap_or_default()
    }
}
