//! Routes with what serves them.

use std::sync::Arc;

use aurora_config::{Diagnostic, Loaded, RouteTable};
use aurora_sdk::{BuildError, Filter};

use super::built::{Built, Order, Workshop};
use super::prepare::{Material, REFUSED};
use super::{Route, Share};
use crate::plugins::{Generation, Named, Plugins, Surroundings};

type Routes = (RouteTable<Arc<Route>>, Vec<Arc<Route>>);

/// Loaded plugins that could not be built, and why.
pub(super) type Culprits = Vec<(Arc<Generation>, String)>;

/// Where routes are put together.
pub(super) struct Floor<'a> {
    loaded: &'a Loaded,
    plugins: &'a Plugins,
    around: &'a Arc<Surroundings>,
    previous: Option<&'a Workshop>,
    /// What has been built.
    workshop: Workshop,
    culprits: Culprits,
}

/// Why a route cannot be built.
struct Refusal {
    plugin: String,
    what: What,
}

enum What {
    Plugin(BuildError),
    NeedsUpstream,
}

impl<'a> Floor<'a> {
    pub(super) fn new(
        loaded: &'a Loaded,
        material: &Material<'a>,
        previous: Option<&'a Workshop>,
    ) -> Self {
        Self {
            loaded,
            plugins: material.plugins,
            around: material.surroundings,
            previous,
            workshop: Workshop::default(),
            culprits: Vec::new(),
        }
    }

    /// The routes of the config, by path and in the order written, and what plugins built for them.
    pub(super) fn build(
        mut self,
        problems: &mut Vec<Diagnostic>,
    ) -> (RouteTable<Arc<Route>>, Vec<Arc<Route>>, Workshop, Culprits) {
        let (table, list) = self.routes(problems);
        (table, list, self.workshop, self.culprits)
    }

    fn routes(&mut self, problems: &mut Vec<Diagnostic>) -> Routes {
        let mut table = RouteTable::new();
        let mut list = Vec::new();
        for (index, settings) in self.loaded.config.routes.iter().enumerate() {
            let at = index.to_string();
            let route = match self.route(settings) {
                Ok(route) => Arc::new(route),
                Err(refusal) => {
                    problems.push(refusal.diagnose(self.loaded, settings, &at));
                    continue;
                }
            };
            let methods = (!route.methods.is_empty()).then_some(route.methods.as_slice());
            if let Err(conflict) = table.insert(&settings.path, methods, Arc::clone(&route)) {
                let key = ["routes", at.as_str(), "path"];
                problems.push(
                    self.loaded
                        .diagnose(&key, REFUSED, &conflict.to_string(), None),
                );
            }
            list.push(route);
        }
        (table, list)
    }

    fn route(&mut self, settings: &aurora_config::Route) -> Result<Route, Refusal> {
        let (mut handlers, mut weights) = (Vec::new(), 0_u32);
        for share in &settings.plugins {
            let named = self.named(&share.name)?;
            if named.manifest.needs_upstream && settings.upstreams.is_empty() {
                return Err(Refusal {
                    plugin: share.name.clone(),
                    what: What::NeedsUpstream,
                });
            }
            let mut options = self.loaded.config.plugins.options(&share.name);
            options.extend(settings.options.clone());
            let previous = self.previous;
            let built = self.workshop.handler(
                &order(self.loaded, self.around, (&share.name, &named), options),
                previous,
            );
            let built = built.map_err(|error| self.blame(&share.name, &named, error))?;
            weights = weights.saturating_add(share.weight);
            handlers.push(Share {
                built,
                weight: share.weight,
            });
        }
        let filters: Result<Vec<_>, _> = settings
            .filters
            .iter()
            .map(|name| self.filter(name))
            .collect();
        let main = self.named(settings.plugin())?;
        Ok(Route {
            path: settings.path.as_str().into(),
            settings: settings.clone(),
            methods: settings
                .methods
                .clone()
                .unwrap_or_else(|| main.manifest.methods.clone()),
            handlers,
            weights,
            filters: filters?,
        })
    }

    fn filter(&mut self, name: &str) -> Result<Arc<Built<dyn Filter>>, Refusal> {
        let named = self.named(name)?;
        let options = self.loaded.config.plugins.options(name);
        let previous = self.previous;
        let built = self.workshop.filter(
            &order(self.loaded, self.around, (name, &named), options),
            previous,
        );
        built.map_err(|error| self.blame(name, &named, error))
    }

    fn named(&self, name: &str) -> Result<Named, Refusal> {
        self.plugins.get(name).cloned().ok_or_else(|| Refusal {
            plugin: name.to_owned(),
            what: What::Plugin(BuildError::new("", "it is not there")),
        })
    }

    fn blame(&mut self, name: &str, named: &Named, error: BuildError) -> Refusal {
        if let Some(generation) = &named.generation {
            self.culprits
                .push((Arc::clone(generation), error.message.clone()));
        }
        Refusal {
            plugin: name.to_owned(),
            what: What::Plugin(error),
        }
    }
}

fn order<'a>(
    loaded: &Loaded,
    around: &'a Arc<Surroundings>,
    (name, named): (&'a str, &'a Named),
    options: serde_json::Map<String, serde_json::Value>,
) -> Order<'a> {
    Order {
        name,
        named,
        options,
        grant: loaded.config.plugins.grant(name),
        around,
    }
}

impl Refusal {
    fn diagnose(&self, loaded: &Loaded, settings: &aurora_config::Route, at: &str) -> Diagnostic {
        let plugin = self.plugin.as_str();
        match &self.what {
            What::NeedsUpstream => {
                let message = format!(
                    "route `{}` has no upstream, which plugin `{plugin}` needs",
                    settings.path
                );
                let hint = Some("add `upstream = \"NAME\"`, with a name from [upstreams.NAME]");
                loaded.diagnose(&["routes", at, "plugin"], REFUSED, &message, hint)
            }
            What::Plugin(error) => {
                let message = format!("plugin `{plugin}`: {}", error.message);
                let place: Vec<&str> = error
                    .option
                    .split('/')
                    .filter(|part| !part.is_empty())
                    .collect();
                let is_routes = place
                    .first()
                    .is_some_and(|option| settings.options.contains_key(*option));
                let key: Vec<&str> = if is_routes {
                    ["routes", at, "options"].into_iter().chain(place).collect()
                } else {
                    ["plugins", plugin].into_iter().chain(place).collect()
                };
                loaded.diagnose(&key, REFUSED, &message, error.hint.as_deref())
            }
        }
    }
}
