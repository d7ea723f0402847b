//! What a plugin says of itself before any of its code has to run.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest name, characters.
const MAX_NAME: usize = 63;

/// A plugin's own description. In a loadable plugin it is static JSON, read before the plugin is created; members that this
/// version does not know are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What routes name, `[a-z][a-z0-9-]{0,62}`.
    pub name: String,
    /// The plugin's own version, for people.
    pub version: String,
    /// What it does, in a line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// What it can be used as.
    #[serde(default = "handler")]
    pub kinds: Vec<Kind>,
    /// The methods that its handlers serve where the route lists none; empty for any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// Whether a route of this plugin makes sense without an upstream.
    #[serde(default = "yes")]
    pub needs_upstream: bool,
    /// JSON Schema of its options, checked before it is built.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Value>,
    /// Ids of host services that it cannot do without, such as `aurora.http.v1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
}

/// What a plugin can be used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It serves routes.
    Handler,
    /// It stands between clients and handlers.
    Filter,
    /// Of a later version: such a plugin can be used as what else it says.
    #[serde(other)]
    Unknown,
}

fn handler() -> Vec<Kind> {
    vec![Kind::Handler]
}

fn yes() -> bool {
    true
}

impl Manifest {
    /// A plugin that serves routes: of any method, with an upstream.
    pub fn handler(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            about: String::new(),
            kinds: handler(),
            methods: Vec::new(),
            needs_upstream: true,
            options: None,
            services: Vec::new(),
        }
    }

    /// A plugin that stands between clients and handlers.
    pub fn filter(name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            kinds: vec![Kind::Filter],
            needs_upstream: false,
            ..Self::handler(name, version)
        }
    }

    /// Says what it does, in a line.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// Names the methods that are served where the route lists none.
    #[must_use]
    pub fn methods<const N: usize>(mut self, methods: [&str; N]) -> Self {
        self.methods = methods.map(str::to_owned).to_vec();
        self
    }

    /// It answers by itself.
    #[must_use]
    pub fn without_upstream(mut self) -> Self {
        self.needs_upstream = false;
        self
    }

    /// Gives the JSON Schema of its options.
    #[must_use]
    pub fn options(mut self, schema: Value) -> Self {
        self.options = Some(schema);
        self
    }

    /// Reads the manifest of a loadable plugin.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(json: &str) -> Result<Self, String> {
        let manifest: Self = serde_json::from_str(json)
            .map_err(|error| format!("its manifest cannot be read: {error}"))?;
        if !is_name(&manifest.name) {
            let name: String = manifest.name.chars().take(MAX_NAME + 1).collect();
            return Err(format!(
                "its manifest has the name {name:?}, which must be lower-case letters, digits and dashes, {MAX_NAME} at the most"
            ));
        }
        if manifest.is_kind(Kind::Handler) || manifest.is_kind(Kind::Filter) {
            return Ok(manifest);
        }
        Err("its manifest has no kind that this version knows: handler or filter".to_owned())
    }

    /// As [`Manifest::parse`], for a file of the plugin's own: `Manifest::json(include_str!("../plugin.json"))`.
    ///
    /// # Panics
    /// Where it cannot be used. A test of the plugin finds that, and so does the gateway, which refuses the library then.
    #[expect(clippy::panic, reason = "the file is a part of the plugin's own code")]
    pub fn json(json: &str) -> Self {
        match Self::parse(json) {
            Ok(manifest) => manifest,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// Whether it can be used as `kind`.
    pub fn is_kind(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }
}

/// Whether `name` can be the name of a plugin.
pub fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase())
        && name.len() <= MAX_NAME
        && characters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let schema = serde_json::json!({ "type": "object" });
        let manifest = Manifest::handler("hello", "1.2.3")
            .about("says hello")
            .methods(["GET", "POST"])
            .without_upstream()
            .options(schema);

        let json = serde_json::to_string(&manifest).unwrap();

        assert_eq!(Manifest::parse(&json), Ok(manifest));
    }

    #[test]
    fn what_is_not_said_has_a_default_and_what_is_unknown_is_ignored() {
        let json = r#"{"name":"a-1","version":"1","colour":"red","kinds":["handler","oracle"]}"#;

        let manifest = Manifest::parse(json).unwrap();

        assert!(manifest.needs_upstream && manifest.methods.is_empty());
        assert!(manifest.is_kind(Kind::Handler) && !manifest.is_kind(Kind::Filter));
    }

    #[test]
    fn a_manifest_that_cannot_be_used_says_why() {
        let long = format!(r#"{{"name":"{}","version":"1"}}"#, "x".repeat(64));
        let table = [
            ("{", "cannot be read"),
            (r#"{"version":"1"}"#, "missing field `name`"),
            (r#"{"name":"Hello","version":"1"}"#, "lower-case"),
            (r#"{"name":"","version":"1"}"#, "lower-case"),
            (r#"{"name":"1a","version":"1"}"#, "lower-case"),
            (&long, "63 at the most"),
            (
                r#"{"name":"a","version":"1","kinds":["oracle"]}"#,
                "no kind",
            ),
            (r#"{"name":"a","version":"1","kinds":[]}"#, "no kind"),
        ];
        for (json, part) in table {
            let error = Manifest::parse(json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
