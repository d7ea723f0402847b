//! Which route serves a path and a method, and which upstreams it turns to first.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crate::settings::upstreams::Upstream;
use crate::settings::{Route, Target};

const BRACES: &str = "the braces do not match or name nothing";

/// Routes by path and method: exact paths, `{name}` for a segment, `{*rest}` for the end of a path.
///
/// The most specific path decides: an exact one over a pattern, a segment over a rest.
#[derive(Debug, Clone)]
pub struct RouteTable<T> {
    router: matchit::Router<usize>,
    entries: Vec<Vec<Served<T>>>,
    by_pattern: HashMap<String, usize>,
    inserts: usize,
}

#[derive(Debug, Clone)]
struct Served<T> {
    path: String,
    parameters: Vec<String>,
    /// `None` serves every method.
    methods: Option<Vec<String>>,
    value: T,
    position: usize,
}

/// Why a route cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteConflict {
    /// The same path already serves one of these methods.
    #[error("{path} already serves {}", method.as_deref().unwrap_or("every method"))]
    Duplicate {
        /// The path as it was inserted first.
        path: String,
        /// A method that both serve; `None` when both serve every method.
        method: Option<String>,
        /// Which call of `insert`, from 0, added the other route.
        position: usize,
    },
    /// A pattern that matches the same paths already serves one of these methods.
    #[error("it matches the same paths as {path}")]
    Ambiguous {
        /// The other pattern.
        path: String,
        /// Which call of `insert`, from 0, added the other route.
        position: usize,
    },
    /// The path is not a pattern.
    #[error("{reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// What [`RouteTable::find`] finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Match<'t, 'p, T> {
    /// A route.
    Found {
        /// What was inserted for it.
        value: &'t T,
        /// Parameters of the pattern in order, percent-decoded where that gives UTF-8.
        params: Vec<(&'t str, Cow<'p, str>)>,
    },
    /// The path is known, but not with this method.
    MethodNotAllowed {
        /// The methods that it serves, sorted, for `Allow`.
        allow: Vec<&'t str>,
    },
    /// No route has this path.
    NotFound,
}

impl<T> Default for RouteTable<T> {
    fn default() -> Self {
        Self {
            router: matchit::Router::new(),
            entries: Vec::new(),
            by_pattern: HashMap::new(),
            inserts: 0,
        }
    }
}

impl<T> RouteTable<T> {
    /// A table without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route; `None` as methods serves every method.
    ///
    /// # Errors
    /// When the route could never match, or it would be open which of two matches. The table is then as before.
    pub fn insert(
        &mut self,
        path: &str,
        methods: Option<&[String]>,
        value: T,
    ) -> Result<(), RouteConflict> {
        let position = self.inserts;
        self.inserts += 1;
        let Some((pattern, parameters)) = normalize(path) else {
            return Err(RouteConflict::Invalid { reason: BRACES });
        };
        if has_suffix(&pattern) {
            // The router does not come back from such a route to another one that matches.
            let reason = "nothing may stand behind a parameter in its segment";
            return Err(RouteConflict::Invalid { reason });
        }
        let methods = methods.map(<[String]>::to_vec);
        let served = Served {
            path: path.to_owned(),
            parameters,
            methods,
            value,
            position,
        };
        if let Some(entry) = self
            .by_pattern
            .get(&pattern)
            .and_then(|at| self.entries.get_mut(*at))
        {
            if let Some(conflict) = entry.iter().find_map(|other| conflict(&served, other)) {
                return Err(conflict);
            }
            entry.push(served);
            return Ok(());
        }
        if pattern.contains('{') {
            // A router is not as before when it refuses a pattern for what it is, and not for another one.
            let alone = matchit::Router::new().insert(pattern.clone(), ());
            alone.map_err(|error| self.refusal(error))?;
        }
        if let Err(error) = self.router.insert(pattern.clone(), self.entries.len()) {
            return Err(self.refusal(error));
        }
        self.by_pattern.insert(pattern, self.entries.len());
        self.entries.push(vec![served]);
        Ok(())
    }

    /// The route for `method` and the raw, still percent-encoded `path`.
    ///
    /// `HEAD` falls back to the route for `GET`. `OPTIONS` has no special meaning here.
    pub fn find<'p>(&self, path: &'p str, method: &str) -> Match<'_, 'p, T> {
        let Ok(matched) = self.router.at(path) else {
            return Match::NotFound;
        };
        let Some(entry) = self.entries.get(*matched.value) else {
            return Match::NotFound;
        };
        let with = |method: &str| entry.iter().find(|served| served.serves(method));
        let served = with(method).or_else(|| if method == "HEAD" { with("GET") } else { None });
        let Some(served) = served else {
            return Match::MethodNotAllowed {
                allow: allow(entry),
            };
        };
        let values = matched.params.iter().map(|(_, value)| decode(value));
        let params = served
            .parameters
            .iter()
            .map(String::as_str)
            .zip(values)
            .collect();
        Match::Found {
            value: &served.value,
            params,
        }
    }

    fn refusal(&self, error: matchit::InsertError) -> RouteConflict {
        match error {
            matchit::InsertError::Conflict { with } => {
                let entry = self
                    .by_pattern
                    .get(&with)
                    .and_then(|at| self.entries.get(*at)?.first());
                let (path, position) = entry.map_or((with, 0), |e| (e.path.clone(), e.position));
                RouteConflict::Ambiguous { path, position }
            }
            matchit::InsertError::InvalidParamSegment => RouteConflict::Invalid {
                reason: "only one parameter in each segment is possible",
            },
            matchit::InsertError::InvalidCatchAll => RouteConflict::Invalid {
                reason: "`{*rest}` is possible only at the end",
            },
            _ => RouteConflict::Invalid { reason: BRACES },
        }
    }
}

impl<T> Served<T> {
    fn serves(&self, method: &str) -> bool {
        self.methods
            .as_ref()
            .is_none_or(|methods| methods.iter().any(|known| known == method))
    }
}

fn conflict<T>(new: &Served<T>, old: &Served<T>) -> Option<RouteConflict> {
    let method = match (&new.methods, &old.methods) {
        (None, None) => None,
        (None, Some(methods)) | (Some(methods), None) => Some(methods.first()?.clone()),
        (Some(new), Some(_)) => Some(new.iter().find(|method| old.serves(method))?.clone()),
    };
    let (path, position) = (old.path.clone(), old.position);
    Some(if new.path == old.path {
        RouteConflict::Duplicate {
            path,
            method,
            position,
        }
    } else {
        RouteConflict::Ambiguous { path, position }
    })
}

fn allow<T>(entry: &[Served<T>]) -> Vec<&str> {
    let methods = entry
        .iter()
        .filter_map(|served| served.methods.as_ref())
        .flatten();
    let mut allow: Vec<&str> = methods.map(String::as_str).collect();
    if allow.contains(&"GET") {
        allow.push("HEAD");
    }
    allow.sort_unstable();
    allow.dedup();
    allow
}

/// Replaces parameter names by their numbers, so that patterns that match the same paths are equal; `None` where a brace
/// belongs to no parameter: the router knows escapes and takes odd names, and neither is a pattern here.
fn normalize(path: &str) -> Option<(String, Vec<String>)> {
    let mut pattern = String::with_capacity(path.len());
    let mut names = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').filter(|(name, _)| valid(name))?;
        if before.contains('}') {
            return None;
        }
        let star = if name.starts_with('*') { "*" } else { "" };
        pattern.push_str(before);
        pattern.push('{');
        pattern.push_str(star);
        pattern.push('p');
        pattern.push_str(&names.len().to_string());
        pattern.push('}');
        names.push(name.trim_start_matches('*').to_owned());
        rest = after;
    }
    pattern.push_str(rest);
    (!rest.contains('}')).then_some((pattern, names))
}

/// Whether text follows a parameter in its segment.
fn has_suffix(pattern: &str) -> bool {
    let mut behind = pattern.split('}').skip(1);
    behind.any(|text| !text.is_empty() && !text.starts_with('/'))
}

fn valid(name: &str) -> bool {
    let name = name.strip_prefix('*').unwrap_or(name);
    !name.is_empty() && !name.contains(['{', '*', '/'])
}

fn decode(value: &str) -> Cow<'_, str> {
    if !value.contains('%') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let digits = (hex(ahead.next()), hex(ahead.next()));
        match (byte, digits) {
            (b'%', (Some(high), Some(low))) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8(out).map_or(Cow::Borrowed(value), Cow::Owned)
}

fn hex(byte: Option<u8>) -> Option<u8> {
    char::from(byte?)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// The upstreams of `route` in the order in which a request for `model` should try them.
///
/// Upstreams that have `model` as an alias in their `models` come first; otherwise as written.
pub fn target_order<'r>(
    route: &'r Route,
    upstreams: &BTreeMap<String, Upstream>,
    model: Option<&str>,
) -> Vec<&'r Target> {
    let knows = |target: &&Target| {
        let upstream = upstreams.get(&target.name);
        upstream
            .zip(model)
            .is_some_and(|(upstream, model)| upstream.models.contains_key(model))
    };
    let (mut first, rest): (Vec<&Target>, Vec<&Target>) = route.upstreams.iter().partition(knows);
    first.extend(rest);
    first
}
