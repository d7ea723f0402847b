//! From checked settings to [`Config`]: reads the files that are named, follows the references, looks for contradictions.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::diagnostic::Problem;
use crate::document::places::Places;
use crate::document::text::Text;
use crate::raw::Raw;
use crate::request::Request;
use crate::settings::Config;
use crate::sources::Sources;

mod auth;
mod expects;
mod files;
mod plugins;
mod references;
pub(crate) mod required;
mod routes;
mod server;
mod tls;
mod tokens;
mod upstreams;

/// What is at hand while settings are resolved, and what came up.
pub(crate) struct Resolver<'a> {
    pub(crate) request: &'a Request<'a>,
    pub(crate) text: &'a Text,
    pub(crate) sources: &'a dyn Sources,
    pub(crate) places: &'a Places,
    /// Whether `[plugins]` says what it was meant to say. Otherwise no library was loaded, and all would seem to be missing.
    pub(crate) plugins_are_sound: bool,
    pub(crate) problems: Vec<Problem>,
    pub(crate) files: BTreeSet<PathBuf>,
}

impl Resolver<'_> {
    /// The configuration; to be used only when no problem is an error.
    pub(crate) fn config(&mut self, raw: &Raw) -> Config {
        self.version(raw);
        let tokens = self.token_pools(raw);
        let upstreams = self.upstreams(raw);
        let plugins = self.plugins(raw);
        let routes = self.routes(raw, &plugins.filters);
        let auth = self.auth(raw);
        let server = self.server(raw, &auth);
        let admin = self.admin(raw, &server);
        let expects = self.expects(raw, &routes, &upstreams);
        Config {
            server,
            admin,
            auth,
            tokens,
            upstreams,
            routes: routes.list,
            expects,
            plugins,
        }
    }

    fn version(&mut self, raw: &Raw) {
        let Some(version) = raw.version.filter(|version| *version != 1) else {
            return;
        };
        let place = self.places.value(&["version"]);
        let message = format!("this file has form {version}; this version of Aurora reads form 1");
        let problem = Problem::error("AUR0100", place, message)
            .label("unknown form")
            .help(
                "use the version of Aurora that the file was written for, or write `version = 1`",
            );
        self.problems.push(problem);
    }
}
