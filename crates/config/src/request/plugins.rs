//! `[plugins]` alone: what must be known to load plugins, and so before the rest of the file can be checked.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::{Checked, Request, layered};
use crate::diagnostic::{Problem, Severity};
use crate::document::text::Text;
use crate::document::{self, Members, Node, Place};
use crate::layers;
use crate::raw::Raw;
use crate::resolve::Resolver;
use crate::schema::check::Checker;
use crate::schema::keys::ROOT;
use crate::schema::nearest;
use crate::settings::plugins::{Plugins, Trust};
use crate::sources::Sources;

/// What `[plugins]` says, whatever is wrong elsewhere; [`crate::load`] says what is wrong.
///
/// What cannot be read is the default, but for trust: where anything in `[plugins]` is misspelt or wrong, or the file is not
/// TOML, it is [`Trust::Unreadable`], because the default might let in what was to be kept out. `plugins` and `refused` of
/// the request are not looked at, nor is any file read. Beside it, the absolute `data_dir`, where copies of libraries are kept.
pub fn plugins_of(request: &Request<'_>, sources: &dyn Sources) -> (Plugins, PathBuf) {
    let parsed = document::parse(request.text);
    let is_toml = parsed.is_ok();
    let file = parsed.unwrap_or_else(|_| Node::empty(Place::Nowhere));
    let Checked {
        places,
        mut layers,
        is_sound,
        ..
    } = layered(file, request, sources);
    let raw = layers::merge(&mut layers)
        .extract()
        .unwrap_or_else(|_| defaults());
    let mut resolver = Resolver {
        request,
        text: &Text::new(request.display, request.text, Vec::new()),
        sources,
        places: &places,
        plugins_are_sound: is_sound,
        problems: Vec::new(),
        files: BTreeSet::new(),
    };
    let mut plugins = resolver.plugins(&raw);
    if !(is_toml && is_sound) {
        plugins.trust = Trust::Unreadable;
    }
    let data_dir = resolver.absolute(&raw.server.data_dir);
    (plugins, data_dir)
}

#[expect(
    clippy::expect_used,
    reason = "the defaults are constants, and a test reads them"
)]
fn defaults() -> Raw {
    let defaults = layers::merge(&mut []).extract();
    defaults.expect("the defaults are complete")
}

/// Whether nothing about plugins is wrong in `layers`, as written, or among the `problems` of the environment.
pub(super) fn are_sound(layers: &[&Node], problems: &[Problem]) -> bool {
    let in_environment = |problem: &Problem| {
        problem.severity() == Severity::Error
            && matches!(problem.place(), Place::Variable(name) if name.starts_with("AURORA_PLUGINS"))
    };
    layers.iter().all(|layer| is_sound(layer)) && !problems.iter().any(in_environment)
}

fn is_sound(layer: &Node) -> bool {
    // `[plugin]` was most likely meant to be `[plugins]`.
    let is_meant = |name: &str| ROOT.key(name).is_none() && nearest(name, ["plugins"]).is_some();
    let members = layer.as_table().into_iter().flatten();
    let mut about_plugins: Members = members
        .filter(|(name, _)| *name == "plugins" || is_meant(name))
        .map(|(name, node)| (name.clone(), node.clone()))
        .collect();
    let mut checker = Checker::default();
    checker.section(&mut about_plugins, &ROOT, &mut Vec::new());
    checker.problems.is_empty()
}
