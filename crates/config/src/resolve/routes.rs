//! `[[routes]]`.

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw::{self, Raw};
use crate::routes::{RouteConflict, RouteTable};
use crate::schema::nearest;
use crate::settings::{Retry, RetryOn, Route, Target};

/// Routes with the table that finds them; its values are positions in `list`.
pub(super) struct Routes {
    pub(super) list: Vec<Route>,
    pub(super) table: RouteTable<usize>,
    /// Positions in the file, which has more when some could not be read.
    pub(super) written: Vec<usize>,
    /// Whether all routes of the file are here.
    pub(super) complete: bool,
}

impl Resolver<'_> {
    pub(super) fn routes(&mut self, raw: &Raw) -> Routes {
        let mut routes = Routes {
            list: Vec::new(),
            table: RouteTable::new(),
            written: Vec::new(),
            complete: true,
        };
        for (index, route) in raw.routes.iter().enumerate() {
            let resolved = self.route(route, index);
            let Some(resolved) = resolved else {
                routes.complete = false;
                continue;
            };
            let methods = self.methods(&resolved);
            let position = routes.list.len();
            let added = routes
                .table
                .insert(&resolved.path, methods.as_deref(), position);
            routes.list.push(resolved);
            routes.written.push(index);
            if let Err(conflict) = added {
                self.conflict(&conflict, index, &routes);
            }
        }
        if raw.routes.is_empty() && !self.places.node(&["routes"]).is_some_and(has_items) {
            let place = self.places.key(&["routes"]);
            let problem = Problem::warning(
                "AUR0905",
                place,
                "there are no routes: every request is answered 404",
            );
            self.problems.push(
                problem
                    .help("a route is written `[[routes]]` with `path`, `plugin` and `upstream`"),
            );
        }
        routes
    }

    fn methods(&self, route: &Route) -> Option<Vec<String>> {
        route.methods.clone().or_else(|| {
            let plugin = self
                .request
                .plugins
                .iter()
                .find(|plugin| plugin.name == route.plugin)?;
            (!plugin.methods.is_empty()).then(|| plugin.methods.clone())
        })
    }

    fn route(&mut self, raw: &raw::Route, index: usize) -> Option<Route> {
        let at = index.to_string();
        self.plugin(raw, &at);
        self.empty_methods(raw, &at);
        if raw.hold.is_some() {
            let place = self.places.key(&["routes", &at, "hold"]);
            let message = "`hold` has no effect yet in this version";
            self.problems
                .push(Problem::warning("AUR0906", place, message).label("no effect yet"));
        }
        let (upstreams, weighted) = self.targets(raw, &at);
        let line = match self.places.value(&["routes", &at]) {
            Place::File(span) => self.text.line(span.start),
            _ => 0,
        };
        Some(Route {
            path: raw.path.clone()?,
            methods: raw.methods.clone(),
            plugin: raw.plugin.clone()?,
            upstreams,
            weighted,
            retry: Retry {
                attempts: raw.retry.attempts,
                budget: raw.retry.budget,
                on: raw
                    .retry
                    .on
                    .iter()
                    .filter_map(|word| retry_on(word))
                    .collect(),
            },
            max_body: raw.max_body.as_ref().map(|size| size.0),
            debug_headers: raw.debug_headers,
            options: raw.options.clone(),
            line,
        })
    }

    fn plugin(&mut self, raw: &raw::Route, at: &str) {
        let Some(name) = &raw.plugin else { return };
        let known: Vec<&str> = self
            .request
            .plugins
            .iter()
            .map(|plugin| plugin.name.as_str())
            .collect();
        if !known.contains(&name.as_str()) {
            let place = self.places.value(&["routes", at, "plugin"]);
            let message = format!("route refers to plugin `{name}`, which does not exist");
            let problem = Problem::error("AUR0202", place, message)
                .label("neither built in nor loaded")
                .suggest(nearest(name, known.iter().copied()))
                .help(format!("known plugins: {}", known.join(", ")));
            self.problems.push(problem);
        }
    }

    fn empty_methods(&mut self, raw: &raw::Route, at: &str) {
        if raw.methods.as_ref().is_some_and(Vec::is_empty) {
            let place = self.places.value(&["routes", at, "methods"]);
            let problem = Problem::error(
                "AUR0115",
                place,
                "`methods` is empty: the route would serve nothing",
            );
            self.problems
                .push(problem.help("remove the line to serve the methods of the plugin"));
        }
    }

    fn targets(&mut self, raw: &raw::Route, at: &str) -> (Vec<Target>, bool) {
        let written = raw.upstream.as_slice();
        let is_list = matches!(raw.upstream, raw::OneOrMany::Many(_));
        let named = written
            .iter()
            .any(|target| matches!(target, raw::Target::Name(_)));
        let weighted = written
            .iter()
            .any(|target| matches!(target, raw::Target::Weighted { .. }));
        let place = self.places.value(&["routes", at, "upstream"]);
        if named && weighted {
            let message = "a list of upstreams has either names or weights, not both";
            let problem = Problem::error("AUR0305", place.clone(), message)
                .label("mixed")
                .help("failover in this order: `[\"a\", \"b\"]`")
                .help("shares of traffic: `[{ name = \"a\", weight = 3 }, { name = \"b\", weight = 1 }]`");
            self.problems.push(problem);
        }
        let mut targets: Vec<Target> = Vec::new();
        for (index, target) in written.iter().enumerate() {
            let (name, weight) = match target {
                raw::Target::Name(name) => (name, 1),
                raw::Target::Weighted {
                    name: Some(name),
                    weight,
                } => (name, *weight),
                raw::Target::Weighted { name: None, .. } | raw::Target::Refused(_) => continue,
            };
            let index = index.to_string();
            let item = if is_list {
                vec!["routes", at, "upstream", &index]
            } else {
                vec!["routes", at, "upstream"]
            };
            let place = match target {
                raw::Target::Name(_) | raw::Target::Refused(_) => self.places.value(&item),
                raw::Target::Weighted { .. } => self
                    .places
                    .value(&item.into_iter().chain(["name"]).collect::<Vec<_>>()),
            };
            if targets.iter().any(|earlier| earlier.name == *name) {
                let message = format!("upstream `{name}` is listed twice");
                self.problems
                    .push(Problem::error("AUR0306", place, message).label("again here"));
                continue;
            }
            self.upstream_exists(name, "route", "AUR0201", place);
            targets.push(Target {
                name: name.clone(),
                weight,
            });
        }
        if weighted && !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
            let message = "all weights are 0, so no upstream could be chosen";
            self.problems
                .push(Problem::error("AUR0304", place, message).label("nothing to choose"));
        }
        (targets, weighted)
    }

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

    fn conflict(&mut self, conflict: &RouteConflict, index: usize, routes: &Routes) {
        let path = |index: usize| self.places.value(&["routes", &index.to_string(), "path"]);
        let place = path(index);
        let written = routes
            .list
            .last()
            .map(|route| route.path.clone())
            .unwrap_or_default();
        let first = |position: &usize| routes.written.get(*position).map(|index| path(*index));
        let (problem, first) = match conflict {
            RouteConflict::Duplicate {
                method, position, ..
            } => {
                let method = method
                    .as_ref()
                    .map(|method| format!("{method} "))
                    .unwrap_or_default();
                let message = format!("duplicate route {method}`{written}`");
                let problem = Problem::error("AUR0301", place, message)
                    .label("this route can never match")
                    .help(
                        "give them different `methods`, or make one route with a list of upstreams",
                    );
                (problem, first(position))
            }
            RouteConflict::Ambiguous { path, position } => {
                let message = format!("route `{written}` and route `{path}` match the same paths");
                let problem = Problem::error("AUR0302", place, message)
                    .label("which one should match?")
                    .help("keep one of them, or make one path more specific");
                (problem, first(position))
            }
            RouteConflict::Invalid { reason } => (
                Problem::error("AUR0112", place, format!("in a path {reason}")),
                None,
            ),
        };
        self.problems.push(match first {
            Some(first) => problem.second(first, "first defined here"),
            None => problem,
        });
    }
}

fn has_items(node: &crate::document::Node) -> bool {
    node.as_list().is_none_or(|items| !items.is_empty())
}

fn retry_on(word: &str) -> Option<RetryOn> {
    Some(match word {
        "connect" => RetryOn::Connect,
        "auth" => RetryOn::Auth,
        "429" => RetryOn::RateLimit,
        "5xx" => RetryOn::ServerError,
        "first_byte" => RetryOn::FirstByte,
        _ => return None,
    })
}
