//! `[[routes]]`.

use super::Resolver;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw::{self, Raw};
use crate::routes::{RouteConflict, RouteTable};
use crate::settings::{Hold, Retry, RetryOn, Route, Target};

mod shares;

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
    /// `filters` stand before those of each route.
    pub(super) fn routes(&mut self, raw: &Raw, filters: &[String]) -> Routes {
        let mut routes = Routes {
            list: Vec::new(),
            table: RouteTable::new(),
            written: Vec::new(),
            complete: true,
        };
        for (index, route) in raw.routes.iter().enumerate() {
            let resolved = self.route(route, index, filters);
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
                .find(|plugin| plugin.name == route.plugin())?;
            (!plugin.methods.is_empty()).then(|| plugin.methods.clone())
        })
    }

    fn route(&mut self, raw: &raw::Route, index: usize, before: &[String]) -> Option<Route> {
        let at = index.to_string();
        let plugins = self.shares(raw, &at);
        let own = self.filters(&raw.filters, &["routes", &at, "filters"]);
        let own = own.into_iter().filter(|filter| !before.contains(filter));
        self.empty_methods(raw, &at);
        let (upstreams, weighted) = self.targets(raw, &at);
        let line = match self.places.value(&["routes", &at]) {
            Place::File(span) => self.text.line(span.start),
            _ => 0,
        };
        Some(Route {
            path: raw.path.clone()?,
            methods: raw.methods.clone(),
            plugins: plugins?,
            filters: before.iter().cloned().chain(own).collect(),
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
                not_after: raw.retry.not_after,
                backoff: raw.retry.backoff,
                max_share: raw.retry.max_share,
            },
            hold: raw.hold.as_ref().map(|hold| Hold {
                bytes: hold.bytes,
                time: hold.time,
            }),
            max_body: raw.max_body.as_ref().map(|size| size.0),
            debug_headers: raw.debug_headers,
            options: raw.options.clone(),
            line,
        })
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
        let key = ["routes", at, "upstream"];
        let written = raw.upstream.as_slice();
        let weighted = written.iter().any(is_weighted);
        let place = self.places.value(&key);
        if weighted && written.iter().any(is_name) {
            let message = "a list of upstreams has either names or weights, not both";
            let problem = Problem::error("AUR0305", place.clone(), message)
                .label("mixed")
                .help("failover in this order: `[\"a\", \"b\"]`")
                .help("shares of traffic: `[{ name = \"a\", weight = 3 }, { name = \"b\", weight = 1 }]`");
            self.problems.push(problem);
        }
        let mut targets: Vec<Target> = Vec::new();
        for (name, weight, place) in self.items(&raw.upstream, &key) {
            if targets.iter().any(|earlier| earlier.name == *name) {
                let message = format!("upstream `{name}` is listed twice");
                self.problems
                    .push(Problem::error("AUR0306", place, message).label("again here"));
                continue;
            }
            self.upstream_exists(name, "route", "AUR0201", place);
            targets.push(Target {
                name: name.to_owned(),
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

    /// Names and weights of the list, or the one item, at `key`, with the places of the names.
    pub(super) fn items<'r>(
        &self,
        written: &'r raw::OneOrMany<raw::Target>,
        key: &[&str],
    ) -> Vec<(&'r str, u32, Place)> {
        let is_list = matches!(written, raw::OneOrMany::Many(_));
        let items = written.as_slice().iter().enumerate();
        items
            .filter_map(|(index, item)| {
                let index = index.to_string();
                let mut key = key.to_vec();
                if is_list {
                    key.push(&index);
                }
                let (name, weight) = match item {
                    raw::Target::Name(name) => (name, 1),
                    raw::Target::Weighted { name, weight } => {
                        key.push("name");
                        (name.as_ref()?, *weight)
                    }
                    raw::Target::Refused(_) => return None,
                };
                Some((name.as_str(), weight, self.places.value(&key)))
            })
            .collect()
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

fn is_name(item: &raw::Target) -> bool {
    matches!(item, raw::Target::Name(_))
}

fn is_weighted(item: &raw::Target) -> bool {
    matches!(item, raw::Target::Weighted { .. })
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
        "context_length" => RetryOn::ContextLength,
        _ => return None,
    })
}
