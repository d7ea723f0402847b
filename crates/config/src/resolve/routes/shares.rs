//! `plugin` of a route: one, or several with a share of the traffic each.

use super::is_name;
use crate::diagnostic::Problem;
use crate::document::Place;
use crate::raw;
use crate::resolve::Resolver;
use crate::resolve::references::Role;
use crate::settings::PluginShare;

impl Resolver<'_> {
    /// The plugins of a route, the main one first; `None` where none can be told.
    pub(super) fn shares(&mut self, raw: &raw::Route, at: &str) -> Option<Vec<PluginShare>> {
        let written = raw.plugin.as_ref()?;
        let key = ["routes", at, "plugin"];
        let place = self.places.value(&key);
        self.has_weights(written, place.clone());
        let mut shares: Vec<PluginShare> = Vec::new();
        for (name, weight, place) in self.items(written, &key) {
            if shares.iter().any(|earlier| earlier.name == name) {
                let message = format!("plugin `{name}` is listed twice");
                self.problems
                    .push(Problem::error("AUR0306", place, message).label("again here"));
                continue;
            }
            self.plugin_exists(name, Role::Handler, "route", place);
            shares.push(PluginShare {
                name: name.to_owned(),
                weight,
            });
        }
        if !shares.is_empty() && shares.iter().all(|share| share.weight == 0) {
            let message = "all weights are 0, so no plugin could be chosen";
            self.problems
                .push(Problem::error("AUR0304", place, message).label("nothing to choose"));
        }
        (!shares.is_empty()).then_some(shares)
    }

    // A list of upstreams is an order; of plugins there is none, since a request is never tried with another one.
    fn has_weights(&mut self, written: &raw::OneOrMany<raw::Target>, place: Place) {
        let raw::OneOrMany::Many(items) = written else {
            return;
        };
        if items.is_empty() {
            let message = "`plugin` is empty: nothing would serve the route";
            self.problems
                .push(Problem::error("AUR0115", place, message).label("empty"));
            return;
        }
        if !items.iter().any(is_name) {
            return;
        }
        let message = "a list of plugins needs the weight of each";
        let names = items.iter().filter_map(|item| match item {
            raw::Target::Name(name)
            | raw::Target::Weighted {
                name: Some(name), ..
            } => Some(name),
            _ => None,
        });
        let shares: Vec<String> = names
            .zip(std::iter::once(95).chain(std::iter::repeat(5)))
            .map(|(name, weight)| format!("{{ name = \"{name}\", weight = {weight} }}"))
            .collect();
        let problem = Problem::error("AUR0307", place, message)
            .label("names without weights")
            .help(match (items.as_slice(), shares.as_slice()) {
                ([raw::Target::Name(only)], _) => format!("one plugin: `plugin = \"{only}\"`"),
                (_, shares) => format!("shares of traffic: `plugin = [{}]`", shares.join(", ")),
            });
        self.problems.push(problem);
    }
}
