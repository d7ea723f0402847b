//! The command line as a layer.

use std::path::PathBuf;

use crate::document::{Node, Place, Value};

/// What command-line flags say; `None` and empty where a flag was not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--listen`, over `server.listen`.
    pub listen: Vec<String>,
    /// `--admin-listen`, over `admin.listen`; turns the admin listener on.
    pub admin_listen: Option<String>,
    /// `--data-dir`, over `server.data_dir`; the caller makes it absolute.
    pub data_dir: Option<PathBuf>,
    /// `--plugin-dir`, over `plugins.dir`; the caller makes it absolute.
    pub plugin_dir: Option<PathBuf>,
}

pub(crate) fn layer(overrides: &Overrides) -> Node {
    let mut root = Node::empty(Place::Nowhere);
    let text = |text: &str, flag| Node::new(Value::Text(text.to_owned()), Place::Flag(flag));
    if !overrides.listen.is_empty() {
        let addresses = overrides
            .listen
            .iter()
            .map(|address| text(address, "--listen"))
            .collect();
        let list = Node::new(Value::List(addresses), Place::Flag("--listen"));
        root.insert(&["server", "listen"], list);
    }
    if let Some(address) = &overrides.admin_listen {
        root.insert(&["admin", "listen"], text(address, "--admin-listen"));
    }
    if let Some(path) = &overrides.data_dir {
        root.insert(
            &["server", "data_dir"],
            text(&path.to_string_lossy(), "--data-dir"),
        );
    }
    if let Some(path) = &overrides.plugin_dir {
        root.insert(
            &["plugins", "dir"],
            text(&path.to_string_lossy(), "--plugin-dir"),
        );
    }
    root
}
