//! The front door: one text in, one configuration or one report out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Problem, Report, Severity};
use crate::document::places::Places;
use crate::document::text::Text;
use crate::document::{self, Node, Value, mask};
use crate::layers::flags::Overrides;
use crate::layers::{self, environment, flags, historic};
use crate::raw::Raw;
use crate::resolve::{Resolver, required};
use crate::schema::check::Checker;
use crate::schema::keys::ROOT;
use crate::settings::Config;
use crate::settings::tokens::TokenSource;
use crate::sources::Sources;

pub(crate) mod plugins;

/// What is to be loaded.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Content of aurora.toml.
    pub text: &'a str,
    /// Absolute path of aurora.toml; relative paths in it start at its folder.
    pub path: &'a Path,
    /// The path as shown to people.
    pub display: &'a str,
    /// The plugins that routes can name.
    pub plugins: &'a [PluginInfo],
    /// Libraries of the plugin folder that are not among them, so that a route that names one is told why.
    pub refused: &'a [RefusedPlugin],
    /// What the command line says.
    pub overrides: &'a Overrides,
}

// The text may hold secrets.
impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("path", &self.path)
            .field("plugins", &self.plugins)
            .field("refused", &self.refused)
            .field("overrides", &self.overrides)
            .finish_non_exhaustive()
    }
}

/// A plugin that routes can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// Its name.
    pub name: String,
    /// Methods that it serves where a route names none; empty for any.
    pub methods: Vec<String>,
    /// Whether it serves routes.
    pub is_handler: bool,
    /// Whether it can stand in `filters`.
    pub is_filter: bool,
}

/// A library that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedPlugin {
    /// The name that it would have served under; empty when that could not be learned.
    pub name: String,
    /// The library's path as shown to people.
    pub file: String,
    /// Why, for people: a sentence without a full stop.
    pub reason: String,
}

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd about it; no errors.
    pub warnings: Report,
    /// Absolute paths of all files besides aurora.toml that were read or looked for, sorted; to be watched.
    pub files: Vec<PathBuf>,
    places: Places,
    text: Arc<Text>,
}

/// A configuration that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", report.summary())]
pub struct LoadError {
    /// Errors and warnings.
    pub report: Report,
    /// As [`Loaded::files`]: mending one of them may mend the configuration.
    pub files: Vec<PathBuf>,
}

/// How much a configuration defines, for one line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// `[[routes]]`.
    pub routes: usize,
    /// `[upstreams.NAME]`.
    pub upstreams: usize,
    /// Token pools.
    pub pools: usize,
    /// API keys in all pools; ChatGPT accounts are not counted.
    pub tokens: usize,
    /// Client keys.
    pub keys: usize,
}

/// Reads, checks and resolves one configuration.
///
/// # Errors
/// With a report of everything that is wrong, sorted by position.
pub fn load(request: &Request<'_>, sources: &dyn Sources) -> Result<Loaded, LoadError> {
    let mut files: BTreeSet<PathBuf> = sources.files().into_iter().collect();
    let root = match document::parse(request.text) {
        Ok(root) => root,
        Err(error) => {
            let secrets = mask::suspected_secrets(request.text);
            let text = Arc::new(Text::new(request.display, request.text, secrets));
            let problem = document::syntax_problem(&error, request.text);
            return Err(refusal(vec![problem], &text, files));
        }
    };
    let secrets = mask::secrets(&root, request.text);
    let text = Arc::new(Text::new(request.display, request.text, secrets));
    let Checked {
        places,
        mut layers,
        mut problems,
        is_sound,
    } = layered(root, request, sources);
    problems.extend(required::missing(&places));
    let raw: Raw = match layers::merge(&mut layers).extract() {
        Ok(raw) => raw,
        Err(error) => {
            problems.push(unreadable(&error, &places));
            return Err(refusal(problems, &text, files));
        }
    };
    let mut resolver = Resolver {
        request,
        text: &text,
        sources,
        places: &places,
        plugins_are_sound: is_sound,
        problems,
        files: BTreeSet::new(),
    };
    let config = resolver.config(&raw);
    let Resolver {
        problems,
        files: found,
        ..
    } = resolver;
    files.extend(found);
    if problems
        .iter()
        .any(|problem| problem.severity() == Severity::Error)
    {
        return Err(refusal(problems, &text, files));
    }
    let warnings = report(problems, &text);
    Ok(Loaded {
        config,
        warnings,
        files: files.into_iter().collect(),
        places,
        text,
    })
}

struct Checked {
    /// As written.
    places: Places,
    /// Without what is wrong, the weakest first.
    layers: Vec<Node>,
    problems: Vec<Problem>,
    /// As [`Resolver::plugins_are_sound`].
    is_sound: bool,
}

fn layered(file: Node, request: &Request<'_>, sources: &dyn Sources) -> Checked {
    let flags = flags::layer(request.overrides);
    let (environment, mut problems) = environment::layer(&file, sources);
    let known = Places::new(vec![environment.clone(), file.clone()]);
    let (historic, further) = historic::layer(&known, sources);
    problems.extend(further);
    let is_sound = plugins::are_sound(&[&file, &environment, &flags], &problems);
    let layers: Vec<Node> = [&file, &historic, &environment, &flags]
        .into_iter()
        .map(|layer| checked(layer, &mut problems))
        .collect();
    Checked {
        places: Places::new(vec![flags, environment, historic, file]),
        layers,
        problems,
        is_sound,
    }
}

fn checked(layer: &Node, problems: &mut Vec<Problem>) -> Node {
    let mut layer = layer.clone();
    let mut checker = Checker::default();
    if let Value::Table(members) = &mut layer.value {
        checker.section(members, &ROOT, &mut Vec::new());
    }
    problems.extend(checker.problems);
    layer
}

// Cannot happen while the table of keys and the types agree; if they do not, the place is still named.
fn unreadable(error: &figment::Error, places: &Places) -> Problem {
    let path: Vec<&str> = error.path.iter().map(String::as_str).collect();
    let message = format!("`{}` cannot be read", path.join("."));
    Problem::error("AUR0003", places.value(&path), message).label("not understood")
}

fn report(problems: Vec<Problem>, text: &Arc<Text>) -> Report {
    let diagnostics = problems
        .into_iter()
        .map(|problem| Diagnostic::locate(problem, text));
    Report::new(text.display.clone(), diagnostics.collect())
}

fn refusal(mut problems: Vec<Problem>, text: &Arc<Text>, files: BTreeSet<PathBuf>) -> LoadError {
    // What is unused may only seem so because of the errors.
    problems.retain(|problem| !["AUR0901", "AUR0902"].contains(&problem.code()));
    LoadError {
        report: report(problems, text),
        files: files.into_iter().collect(),
    }
}

impl Loaded {
    /// An error about the setting at `key_path`, at its place in the file or with the variable's name.
    ///
    /// Positions in lists are decimal numbers: `["routes", "2", "options", "x"]`. Where the setting is not
    /// written, the nearest one above it is shown. The code is one of [`crate::explain`]'s, `AUR0701` for refusals
    /// of plugins and upstreams. Do not put secrets into `message` or `help`.
    pub fn diagnose(
        &self,
        key_path: &[&str],
        code: &'static str,
        message: &str,
        help: Option<&str>,
    ) -> Diagnostic {
        let problem = Problem::error(code, self.places.value(key_path), message);
        let problem = match help {
            Some(help) => problem.help(help),
            None => problem,
        };
        Diagnostic::locate(problem, &self.text)
    }

    /// Turns a configuration that somebody else refused into the error that [`load`] would have given.
    pub fn refuse(self, diagnostics: Vec<Diagnostic>) -> LoadError {
        LoadError {
            report: self.warnings.with(diagnostics),
            files: self.files,
        }
    }

    /// How much the configuration defines.
    pub fn counts(&self) -> Counts {
        let tokens = self.config.tokens.values().map(|pool| match &pool.source {
            TokenSource::Keys(keys) => keys.len(),
            TokenSource::ChatGpt { .. } => 0,
        });
        Counts {
            routes: self.config.routes.len(),
            upstreams: self.config.upstreams.len(),
            pools: self.config.tokens.len(),
            tokens: tokens.sum(),
            keys: self.config.auth.keys.len(),
        }
    }
}
