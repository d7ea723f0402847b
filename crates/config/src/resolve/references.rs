//! References to upstreams and plugins: that what is named exists, and is of the right kind.

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::request::{PluginInfo, RefusedPlugin};
use crate::schema::nearest;

/// What a plugin is named for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Handler,
    Filter,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Self::Handler => "plugin",
            Self::Filter => "filter",
        }
    }

    fn fits(self, plugin: &PluginInfo) -> bool {
        match self {
            Self::Handler => plugin.is_handler,
            Self::Filter => plugin.is_filter,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn upstream_exists(
        &mut self,
        name: &str,
        who: &str,
        code: &'static str,
        place: Place,
    ) {
        let names = self.places.names(&["upstreams"]);
        if !names.contains(&name) {
            let message = format!("{who} refers to upstream `{name}`, which is not defined");
            let problem = Problem::error(code, place, message)
                .label(format!("no section [upstreams.{name}]"))
                .suggest(nearest(name, names.iter().copied()));
            self.problems.push(problem);
        }
    }

    /// The filters that are listed at `key`, each once.
    pub(super) fn filters(&mut self, names: &[String], key: &[&str]) -> Vec<String> {
        let who = match key {
            ["plugins", ..] => "[plugins]",
            _ => "route",
        };
        let mut filters: Vec<String> = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let index = index.to_string();
            let key: Vec<&str> = key.iter().copied().chain([index.as_str()]).collect();
            let place = self.places.value(&key);
            if filters.contains(name) {
                let message = format!("filter `{name}` is listed twice");
                self.problems
                    .push(Problem::error("AUR0306", place, message).label("again here"));
                continue;
            }
            self.plugin_exists(name, Role::Filter, who, place);
            filters.push(name.clone());
        }
        filters
    }

    pub(super) fn plugin_exists(&mut self, name: &str, role: Role, who: &str, place: Place) {
        let known = self.request.plugins;
        let refused = self.request.refused;
        let problem = if let Some(plugin) = known.iter().find(|plugin| plugin.name == name) {
            if role.fits(plugin) {
                return;
            }
            misfit(name, role, place)
        } else if !self.plugins_are_sound {
            return;
        } else if refused.iter().any(|library| library.name == name) {
            let word = role.word();
            let message = format!("{who} refers to {word} `{name}`, whose library is refused");
            let problem = Problem::error("AUR0209", place, message).label("refused");
            with_reasons(problem, refused, name)
        } else {
            with_reasons(self.absent(name, role, who, place), refused, "")
        };
        self.problems.push(problem);
    }

    fn absent(&self, name: &str, role: Role, who: &str, place: Place) -> Problem {
        let word = role.word();
        let plugins = self.request.plugins.iter();
        let known: Vec<&str> = plugins
            .filter(|plugin| role.fits(plugin))
            .map(|plugin| plugin.name.as_str())
            .collect();
        let message = format!("{who} refers to {word} `{name}`, which does not exist");
        let problem = Problem::error("AUR0202", place, message)
            .label("neither built in nor loaded")
            .suggest(nearest(name, known.iter().copied()));
        problem.help(if known.is_empty() {
            format!("there are no {word}s")
        } else {
            format!("known {word}s: {}", known.join(", "))
        })
    }
}

fn misfit(name: &str, role: Role, place: Place) -> Problem {
    let (message, label, help) = match role {
        Role::Handler => (
            format!("plugin `{name}` is a filter and serves no routes"),
            "a filter",
            format!("name it in `filters`: `filters = [\"{name}\"]`"),
        ),
        Role::Filter => (
            format!("plugin `{name}` serves routes and is no filter"),
            "not a filter",
            format!("name it in `plugin`: `plugin = \"{name}\"`"),
        ),
    };
    Problem::error("AUR0207", place, message)
        .label(label)
        .help(help)
}

fn with_reasons(problem: Problem, refused: &[RefusedPlugin], name: &str) -> Problem {
    refused
        .iter()
        .filter(|library| library.name == name)
        .fold(problem, |problem, library| {
            let RefusedPlugin { file, reason, .. } = library;
            problem.help(format!("`{file}` was refused: {reason}"))
        })
}
