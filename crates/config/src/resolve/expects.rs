//! `[[expect]]`: routing assertions.

use std::collections::BTreeMap;

use super::Resolver;
use super::routes::Routes;
use crate::diagnostic::Problem;
use crate::raw::{self, Raw};
use crate::routes::{Match, target_order};
use crate::schema::nearest;
use crate::settings::upstreams::Upstream;
use crate::settings::{Expect, Route};

impl Resolver<'_> {
    pub(super) fn expects(
        &mut self,
        raw: &Raw,
        routes: &Routes,
        upstreams: &BTreeMap<String, Upstream>,
    ) -> Vec<Expect> {
        let mut expects = Vec::new();
        for (index, written) in raw.expect.iter().enumerate() {
            let Some(expect) = expectation(written) else {
                continue;
            };
            let at = index.to_string();
            let place = self.places.value(&["expect", &at, "goes_to"]);
            let before = self.problems.len();
            self.upstream_exists(&expect.goes_to, "expectation", "AUR0205", place);
            // With a route missing from the table the answer would mislead.
            if self.problems.len() == before && routes.complete {
                self.check(&expect, &at, routes, upstreams);
            }
            expects.push(expect);
        }
        expects
    }

    fn check(
        &mut self,
        expect: &Expect,
        at: &str,
        routes: &Routes,
        upstreams: &BTreeMap<String, Upstream>,
    ) {
        let Expect {
            method,
            path,
            model,
            goes_to,
        } = expect;
        let block = self.places.value(&["expect", at]);
        let request = match model {
            Some(model) => format!("{method} {path} for model `{model}`"),
            None => format!("{method} {path}"),
        };
        let message = format!("{request} does not go to `{goes_to}`");
        let problem = Problem::error("AUR0303", block, message);
        let position = match routes.table.find(path, method) {
            Match::Found { value, .. } => *value,
            Match::MethodNotAllowed { allow } => {
                let problem = problem.label("no route serves this method");
                self.problems
                    .push(problem.help(format!("`{path}` serves {}", allow.join(", "))));
                return;
            }
            Match::NotFound => {
                let paths: Vec<&str> = routes
                    .list
                    .iter()
                    .map(|route| route.path.as_str())
                    .collect();
                let problem = problem.label("no route has this path");
                self.problems.push(match nearest(path, paths) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem,
                });
                return;
            }
        };
        let Some(route) = routes.list.get(position) else {
            return;
        };
        let Err(instead) = chosen(route, upstreams, model.as_deref(), goes_to) else {
            return;
        };
        let written = routes
            .written
            .get(position)
            .copied()
            .unwrap_or(position)
            .to_string();
        let matched = self.places.value(&["routes", &written, "path"]);
        let problem = problem.label(instead).second(matched, "this route matches");
        let listed = route.upstreams.iter().any(|target| target.name == *goes_to);
        self.problems.push(if route.weighted {
            problem.help("weights share the traffic; a list of names has an order")
        } else if listed {
            problem.help(format!(
                "put `{goes_to}` first in `upstream`, or give it the model in its `models`"
            ))
        } else {
            problem.help(format!("the route does not list `{goes_to}` in `upstream`"))
        });
    }
}

fn expectation(raw: &raw::Expect) -> Option<Expect> {
    let request = raw.request.as_ref()?;
    Some(Expect {
        method: request.method.clone(),
        path: request.path.clone()?,
        model: request.model.clone(),
        goes_to: raw.goes_to.clone()?,
    })
}

/// Whether the first choice is certainly `goes_to`; otherwise what it is.
fn chosen(
    route: &Route,
    upstreams: &BTreeMap<String, Upstream>,
    model: Option<&str>,
    goes_to: &str,
) -> Result<(), String> {
    let order = target_order(route, upstreams, model);
    let Some(first) = order.first() else {
        return Err("its route has no upstream".to_owned());
    };
    if !route.weighted {
        return if first.name == goes_to {
            Ok(())
        } else {
            Err(format!("it goes to `{}`", first.name))
        };
    }
    // By weight the choice is open among equals: those that know the model, or else all.
    let knows = |name: &str| {
        upstreams
            .get(name)
            .zip(model)
            .is_some_and(|(known, model)| known.models.contains_key(model))
    };
    let tier = order
        .iter()
        .filter(|target| target.weight > 0 && knows(&target.name) == knows(&first.name));
    let names: Vec<&str> = tier.map(|target| target.name.as_str()).collect();
    match names.as_slice() {
        [only] if *only == goes_to => Ok(()),
        [only] => Err(format!("it goes to `{only}`")),
        _ => Err(format!(
            "it is shared by weight between `{}`",
            names.join("`, `")
        )),
    }
}
